//! Settings from the environment: `TAGMILL__SECTION__KEY` overrules what the file says.

use super::read::Notes;
use super::tree::{Place, Shape, Tree};

const PREFIX: &str = "TAGMILL__";

/// Lays every `TAGMILL__...` variable over the tree, in the order of their names.
pub(super) fn apply(tree: &mut Tree, variables: impl IntoIterator<Item = (String, String)>, notes: &mut Notes) {
    let mut ours: Vec<(String, String)> = variables.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    ours.sort();
    for (name, value) in ours {
        let path = name.strip_prefix(PREFIX).unwrap_or_default().to_lowercase();
        let place = Place::Variable(name.clone());
        let steps: Vec<&str> = path.split("__").collect();
        if steps.iter().any(|step| step.is_empty()) || !set(tree, &steps, &place, value) {
            notes.error(&place, "", "names no setting; write it as TAGMILL__STATE or TAGMILL__LANES__0__ENDPOINT");
        }
    }
}

fn set(tree: &mut Tree, steps: &[&str], place: &Place, value: String) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        *tree = Tree { place: place.clone(), shape: Shape::Text(value) };
        return true;
    };
    if tree.shape == Shape::Null {
        tree.shape = Shape::Map(Vec::new());
    }
    match &mut tree.shape {
        Shape::List(list) => {
            let entry = step.parse::<usize>().ok().and_then(|index| list.get_mut(index));
            entry.is_some_and(|entry| set(entry, rest, place, value))
        }
        Shape::Map(fields) => {
            if let Some((_, field)) = fields.iter_mut().find(|(key, _)| key == step) {
                return set(field, rest, place, value);
            }
            let mut field = Tree { place: place.clone(), shape: Shape::Null };
            let done = set(&mut field, rest, place, value);
            fields.push(((*step).to_owned(), field));
            done
        }
        _ => false,
    }
}
