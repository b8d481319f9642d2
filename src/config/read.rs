//! Values out of the tree, with a complaint where one is missing or wrong. Nothing stops at the first mistake.

use super::duration;
use super::tree::{Place, Shape, Tree};
use crate::job::suggest;
use std::fmt;
use std::time::Duration;

/// One thing that is wrong with a config, or worth a look.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Complaint {
    /// `line 12`, or `TAGMILL__STATE` where the environment says it; nothing where no place can be named.
    pub place: Option<String>,
    /// The field, such as `lanes[0].rate.per_second`; empty when it is about the config as a whole.
    pub field: String,
    /// What, and what to do about it. Never a secret.
    pub text: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.text)
    }
}

/// Mistakes and warnings while they are being found.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) errors: Vec<Complaint>,
    pub(super) warnings: Vec<Complaint>,
}

impl Notes {
    pub(super) fn error(&mut self, place: &Place, field: &str, text: impl Into<String>) {
        self.errors.push(complaint(place, field, text.into()));
    }

    pub(super) fn warn(&mut self, place: &Place, field: &str, text: impl Into<String>) {
        self.warnings.push(complaint(place, field, text.into()));
    }
}

fn complaint(place: &Place, field: &str, text: String) -> Complaint {
    let place = match place {
        // A line that is not known is no line.
        Place::Line(0) => None,
        Place::Line(line) => Some(format!("line {line}")),
        Place::Variable(name) => Some(name.clone()),
    };
    Complaint { place, field: field.to_owned(), text }
}

/// One section of the config: its fields, and where it stands.
pub(super) struct Section<'t> {
    pub(super) place: Place,
    path: String,
    fields: Vec<(&'t str, &'t Tree)>,
}

impl<'t> Section<'t> {
    /// Opens a section and complains of every field that is not known.
    pub(super) fn open(tree: &'t Tree, path: &str, known: &[&str], notes: &mut Notes) -> Option<Self> {
        let Shape::Map(fields) = &tree.shape else {
            notes.error(&tree.place, path, format!("expected a section, found {}", tree.kind()));
            return None;
        };
        let section = Self {
            place: tree.place.clone(),
            path: path.to_owned(),
            fields: fields.iter().map(|(key, value)| (&**key, value)).collect(),
        };
        for (key, value) in fields.iter().filter(|(key, _)| !known.contains(&&**key)) {
            let hint = suggest::hint(key, known.iter().copied());
            let hint = if hint.is_empty() { format!("; known here: {}", known.join(", ")) } else { hint };
            notes.error(&value.place, &section.at(key), format!("unknown field{hint}"));
        }
        Some(section)
    }

    /// The path of one of its fields.
    pub(super) fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// A field that is there and says something. A field with nothing behind its colon counts as left out.
    pub(super) fn get(&self, name: &str) -> Option<&'t Tree> {
        self.fields.iter().find(|(key, _)| *key == name).map(|(_, tree)| *tree).filter(|tree| tree.shape != Shape::Null)
    }

    /// Whether a field is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The place of a field, or of the section.
    pub(super) fn place_of(&self, name: &str) -> &Place {
        self.get(name).map_or(&self.place, |tree| &tree.place)
    }

    /// A complaint about one of its fields.
    pub(super) fn error(&self, name: &str, notes: &mut Notes, text: impl Into<String>) {
        notes.error(self.place_of(name), &self.at(name), text);
    }

    /// Reads a field with a rule of its own.
    pub(super) fn parsed<T>(
        &self,
        name: &str,
        notes: &mut Notes,
        parse: impl FnOnce(&'t str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(name, notes)?;
        parse(text).map_err(|why| self.error(name, notes, why)).ok()
    }

    /// A field of text that is not empty.
    pub(super) fn text(&self, name: &str, notes: &mut Notes) -> Option<&'t str> {
        let tree = self.get(name)?;
        match &tree.shape {
            Shape::Text(text) if text.trim().is_empty() => {
                self.error(name, notes, "is empty");
                None
            }
            Shape::Text(text) => Some(text),
            Shape::Int(_) | Shape::Float(_) | Shape::Bool(_) => {
                // YAML has turned `007` into 7 and `no` into false by now: the text that was meant is gone.
                self.error(name, notes, format!("expected text, found {}; put it in quotes", tree.kind()));
                None
            }
            _ => {
                self.error(name, notes, format!("expected text, found {}", tree.kind()));
                None
            }
        }
    }

    /// A field that says yes or no.
    pub(super) fn flag(&self, name: &str, notes: &mut Notes) -> Option<bool> {
        let tree = self.get(name)?;
        let flag = match (&tree.shape, &tree.place) {
            (Shape::Bool(flag), _) => Some(*flag),
            (Shape::Text(text), Place::Variable(_)) => text.parse().ok(),
            _ => None,
        };
        if flag.is_none() {
            self.error(name, notes, format!("expected true or false, found {}", tree.kind()));
        }
        flag
    }

    /// A number above zero.
    pub(super) fn positive(&self, name: &str, notes: &mut Notes) -> Option<f64> {
        let tree = self.get(name)?;
        let number = match (&tree.shape, &tree.place) {
            (Shape::Int(number), _) => Some(*number as f64),
            (Shape::Float(number), _) => Some(*number),
            (Shape::Text(text), Place::Variable(_)) => text.parse().ok(),
            _ => None,
        };
        match number {
            None => self.error(name, notes, format!("expected a number, found {}", tree.kind())),
            Some(number) if number.is_finite() && number > 0.0 => return Some(number),
            Some(_) => self.error(name, notes, "must be a number above 0"),
        }
        None
    }

    /// A whole number within bounds.
    pub(super) fn whole(&self, name: &str, least: u32, most: u32, notes: &mut Notes) -> Option<u32> {
        let tree = self.get(name)?;
        let number = match (&tree.shape, &tree.place) {
            (Shape::Int(number), _) => Some(*number),
            (Shape::Text(text), Place::Variable(_)) => text.parse().ok(),
            _ => None,
        };
        match number {
            None => self.error(name, notes, format!("expected a whole number, found {}", tree.kind())),
            Some(number) => match u32::try_from(number) {
                Ok(number) if (least..=most).contains(&number) => return Some(number),
                _ if most == u32::MAX => self.error(name, notes, format!("must be at least {least}")),
                _ => self.error(name, notes, format!("must be from {least} to {most}")),
            },
        }
        None
    }

    /// A length of time above zero and at most `most`.
    pub(super) fn time(&self, name: &str, most: Duration, notes: &mut Notes) -> Option<Duration> {
        // `give_up_after: 6` is a number, and "put it in quotes" would be the wrong advice.
        if let Some(Shape::Int(_) | Shape::Float(_)) = self.get(name).map(|tree| &tree.shape) {
            self.error(name, notes, "the unit is missing; write 500ms, 90s, 15m, 6h or 7d");
            return None;
        }
        self.parsed(name, notes, |text| {
            let time = duration::read(text)?;
            if time.is_zero() || time > most {
                return Err(format!("must be above 0 and at most {}", days_or_less(most)));
            }
            Ok(time)
        })
    }

    /// A section below this one.
    pub(super) fn section(&self, name: &str, known: &[&str], notes: &mut Notes) -> Option<Section<'t>> {
        Section::open(self.get(name)?, &self.at(name), known, notes)
    }

    /// A list below this one.
    pub(super) fn list(&self, name: &str, notes: &mut Notes) -> Option<&'t [Tree]> {
        let tree = self.get(name)?;
        if let Shape::List(list) = &tree.shape {
            return Some(list);
        }
        self.error(name, notes, format!("expected a list, found {}", tree.kind()));
        None
    }
}

fn days_or_less(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds >= 86_400 => format!("{}d", seconds / 86_400),
        seconds if seconds >= 60 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}
