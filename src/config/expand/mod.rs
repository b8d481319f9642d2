//! One entry of `lanes` to many: every combination of the values in `for_each`, less those in `exclude`.

mod fill;
mod values;

use super::read::{Notes, Section};
use super::tree::{Place, Shape, Tree};
use std::collections::HashSet;
use std::path::Path;
use values::List;

pub(super) use fill::placeholder;

/// More lanes than this from one entry are a mistake, and would only cost memory.
const MOST_LANES: usize = 100_000;

/// What an entry with `for_each` came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expansion {
    /// The line of the entry, where it is known.
    pub line: Option<u64>,
    /// Its name as written, with the placeholders.
    pub template: String,
    /// Its lists by name, and how many values each has.
    pub lists: Vec<(String, usize)>,
    /// Combinations that `exclude` took away.
    pub excluded: usize,
    /// Its lanes: from here on in the list of all lanes.
    pub first: usize,
    /// How many of them there are.
    pub lanes: usize,
}

/// The lanes of one entry as if each had been written out, and what to say of the entry.
pub(super) struct Expanded {
    pub(super) trees: Vec<Tree>,
    pub(super) expansion: Expansion,
}

/// Whether an entry asks to be expanded.
pub(super) fn is_asked(entry: &Tree) -> bool {
    field(entry, "for_each").is_some() || field(entry, "exclude").is_some()
}

/// Expands an entry. List files are looked for from `folder`. None when something is wrong with it.
pub(super) fn expand(entry: &Tree, path: &str, folder: &Path, notes: &mut Notes) -> Option<Expanded> {
    let Shape::Map(fields) = &entry.shape else { return None };
    let before = notes.errors.len();
    let Some(written) = field(entry, "for_each") else {
        let place = field(entry, "exclude").map_or(&entry.place, |tree| &tree.place);
        notes.error(place, &format!("{path}.exclude"), "needs for_each beside it");
        return None;
    };
    let lists = values::read(written, &format!("{path}.for_each"), folder, notes);
    let template = fields.iter().filter(|(key, _)| key != "for_each" && key != "exclude").cloned().collect::<Vec<_>>();
    let template = Tree { place: entry.place.clone(), shape: Shape::Map(template) };
    let lists = lists?;
    fill::check(&template, path, &lists, notes);
    let excluded = field(entry, "exclude").map(|tree| excludes(tree, &format!("{path}.exclude"), &lists, notes));
    if notes.errors.len() > before {
        return None;
    }
    let total = lists.iter().map(|list| list.rows.len()).fold(1_usize, usize::saturating_mul);
    if total > MOST_LANES {
        let text = format!("gives {total} lanes; at most {MOST_LANES} can come from one entry");
        notes.error(&written.place, &format!("{path}.for_each"), text);
        return None;
    }
    let excluded = excluded.unwrap_or_default();
    let mut trees = Vec::with_capacity(total);
    for number in 0..total {
        let combination = combination(&lists, number);
        if excluded.iter().any(|exclude| exclude.fits(&combination)) {
            continue;
        }
        trees.push(fill::fill(&template, &lists, &combination));
    }
    if trees.is_empty() {
        notes.error(&written.place, &format!("{path}.exclude"), "leaves no lane of this entry");
        return None;
    }
    let name = match field(&template, "name").map(|tree| &tree.shape) {
        Some(Shape::Text(text)) => text.clone(),
        _ => String::new(),
    };
    let expansion = Expansion {
        line: match entry.place {
            Place::Line(line) if line > 0 => Some(line),
            _ => None,
        },
        template: name,
        lists: lists.iter().map(|list| (list.name.clone(), list.rows.len())).collect(),
        excluded: total - trees.len(),
        first: 0,
        lanes: trees.len(),
    };
    Some(Expanded { trees, expansion })
}

fn field<'t>(tree: &'t Tree, name: &str) -> Option<&'t Tree> {
    let Shape::Map(fields) = &tree.shape else { return None };
    fields.iter().find(|(key, _)| key == name).map(|(_, tree)| tree).filter(|tree| tree.shape != Shape::Null)
}

/// The number of the value of each list in the combination of that number; the last list changes fastest.
fn combination(lists: &[List], number: usize) -> Vec<usize> {
    let mut rest = number;
    let mut indices: Vec<usize> = lists
        .iter()
        .rev()
        .map(|list| {
            let length = list.rows.len().max(1);
            let index = rest % length;
            rest /= length;
            index
        })
        .collect();
    indices.reverse();
    indices
}

/// Combinations that are no lanes: per list the numbers of the values it speaks of, or all.
struct Exclude(Vec<Option<HashSet<usize>>>);

impl Exclude {
    fn fits(&self, combination: &[usize]) -> bool {
        self.0.iter().zip(combination).all(|(values, index)| values.as_ref().is_none_or(|set| set.contains(index)))
    }
}

fn excludes(tree: &Tree, path: &str, lists: &[List], notes: &mut Notes) -> Vec<Exclude> {
    let Shape::List(entries) = &tree.shape else {
        notes.error(&tree.place, path, format!("expected a list, found {}", tree.kind()));
        return Vec::new();
    };
    let names: Vec<&str> = lists.iter().map(|list| list.name.as_str()).collect();
    let mut found = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let path = format!("{path}[{number}]");
        let Some(section) = Section::open(entry, &path, &names, notes) else { continue };
        if !names.iter().any(|name| section.has(name)) {
            notes.error(&entry.place, &path, "names no list of for_each; it would exclude everything");
            continue;
        }
        let values = lists.iter().map(|list| {
            let tree = section.get(&list.name)?;
            let path = section.at(&list.name);
            let mut set = HashSet::new();
            for value in values::texts(tree, &path, notes) {
                match list.rows.iter().position(|row| row.value == value) {
                    Some(index) => {
                        set.insert(index);
                    }
                    None => notes.warn(&tree.place, &path, format!("{value} is no value of the list {}", list.name)),
                }
            }
            Some(set)
        });
        found.push(Exclude(values.collect()));
    }
    found
}
