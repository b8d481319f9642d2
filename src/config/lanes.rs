//! The lanes of the config: each entry read, or expanded and read, and no name twice.

use super::expand::{self, Expansion, placeholder};
use super::lane::LaneConfig;
use super::read::{Complaint, Notes, Section};
use super::tree::{Place, Shape, Tree};
use super::valid::Catalog;
use std::collections::HashMap;
use std::path::Path;

/// Different mistakes told of one entry; what is wrong with more lanes than that has one cause.
const TOLD: usize = 20;

/// A lane and where it was written.
pub(super) type Placed = (Place, LaneConfig);

/// Reads every entry. Lanes that are wrong are told and left out.
pub(super) fn read(
    section: &Section<'_>,
    folder: &Path,
    catalog: &Catalog,
    notes: &mut Notes,
) -> (Vec<Placed>, Vec<Expansion>) {
    let list = section.list("lanes", notes);
    if list.is_none_or(<[Tree]>::is_empty) && (list.is_some() || !section.has("lanes")) {
        section.error("lanes", notes, "there are none; name at least one lane");
    }
    let mut names = Names::default();
    let (mut lanes, mut expansions) = (Vec::new(), Vec::new());
    for (index, tree) in list.unwrap_or_default().iter().enumerate() {
        let path = format!("lanes[{index}]");
        if !expand::is_asked(tree) {
            // A name is held against the others even where the rest of its lane is wrong.
            names.take(tree, index, &path, notes);
            lanes.extend(
                LaneConfig::read(tree, &path, catalog, section.has("broker"), notes)
                    .map(|lane| (tree.place.clone(), lane)),
            );
            continue;
        }
        let Some(mut expanded) = expand::expand(tree, &path, folder, notes) else { continue };
        expanded.expansion.first = lanes.len();
        let mut gathered = Gathered::default();
        names.take_all(&expanded.trees, index, &path, &expanded.expansion, notes);
        for tree in &expanded.trees {
            let mut own = Notes::default();
            lanes.extend(
                LaneConfig::read(tree, &path, catalog, section.has("broker"), &mut own)
                    .map(|lane| (tree.place.clone(), lane)),
            );
            gathered.add(own, name(tree).map_or("without a name", |(_, name)| name));
        }
        gathered.tell(&path, notes);
        expansions.push(expanded.expansion);
    }
    (lanes, expansions)
}

fn name(tree: &Tree) -> Option<(&Place, &str)> {
    let Shape::Map(fields) = &tree.shape else { return None };
    match fields.iter().find(|(key, _)| key == "name") {
        Some((_, Tree { place, shape: Shape::Text(text) })) => Some((place, text)),
        _ => None,
    }
}

/// Names that are taken, and by which entry.
#[derive(Default)]
struct Names(HashMap<String, usize>);

impl Names {
    fn take(&mut self, tree: &Tree, index: usize, path: &str, notes: &mut Notes) {
        if let Some((place, text)) = name(tree)
            && let Some(first) = self.0.insert(text.to_owned(), index)
        {
            notes.error(place, &format!("{path}.name"), format!("{text} is the name of lanes[{first}] already"));
        }
    }

    /// The names of an expanded entry. However many collide, they have one cause, and it is told once.
    fn take_all(&mut self, trees: &[Tree], index: usize, path: &str, expansion: &Expansion, notes: &mut Notes) {
        let mut first = None;
        let mut collisions = 0_usize;
        for tree in trees {
            if let Some((place, text)) = name(tree)
                && let Some(owner) = self.0.insert(text.to_owned(), index)
            {
                collisions += 1;
                first.get_or_insert((place, text, owner));
            }
        }
        let Some((place, text, owner)) = first else { return };
        let mut told = match owner {
            owner if owner == index => format!("{text} is the name of two lanes of this entry"),
            owner => format!("{text} is the name of lanes[{owner}] already"),
        };
        let mut missing = expansion.lists.iter().map(|(list, _)| placeholder(list));
        if let Some(missing) = missing.find(|text| !expansion.template.contains(text.as_str()))
            && owner == index
        {
            told = format!("{told}; put {missing} into it");
        }
        if collisions > 1 {
            told = format!("{told} (and {} more)", collisions - 1);
        }
        notes.error(place, &format!("{path}.name"), told);
    }
}

/// What is said of the lanes of one entry: the same of many is said once, with the first lane and how many.
#[derive(Default)]
struct Gathered {
    errors: Group,
    warnings: Group,
}

#[derive(Default)]
struct Group {
    index: HashMap<Complaint, usize>,
    /// In the order they came: what, the first lane it is about, and how many.
    found: Vec<(Complaint, String, usize)>,
}

impl Gathered {
    fn add(&mut self, notes: Notes, lane: &str) {
        self.errors.add(notes.errors, lane);
        self.warnings.add(notes.warnings, lane);
    }

    fn tell(self, path: &str, notes: &mut Notes) {
        notes.errors.extend(self.errors.told(path));
        notes.warnings.extend(self.warnings.told(path));
    }
}

impl Group {
    fn add(&mut self, complaints: Vec<Complaint>, lane: &str) {
        for complaint in complaints {
            if let Some(entry) = self.index.get(&complaint).and_then(|at| self.found.get_mut(*at)) {
                entry.2 += 1;
                continue;
            }
            self.index.insert(complaint.clone(), self.found.len());
            self.found.push((complaint, lane.to_owned(), 1));
        }
    }

    fn told(self, path: &str) -> Vec<Complaint> {
        let rest = self.found.len().saturating_sub(TOLD);
        let place = self.found.first().and_then(|(complaint, ..)| complaint.place.clone());
        let tell = |(complaint, lane, count): (Complaint, String, usize)| {
            let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
            Complaint { text: format!("{} (lane {lane}{more})", complaint.text), ..complaint }
        };
        let mut told: Vec<Complaint> = self.found.into_iter().take(TOLD).map(tell).collect();
        if rest > 0 {
            let text = format!("and {rest} more of this kind in the lanes of this entry");
            told.push(Complaint { place, field: path.to_owned(), text });
        }
        told
    }
}
