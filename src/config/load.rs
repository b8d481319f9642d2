//! From a file and the environment to a proven config.

use super::env;
use super::read::{Complaint, Notes};
use super::tree::{self, Place, Shape, Tree};
use super::valid::{BUILT_IN, Catalog, Config};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// Where the config is looked for when nothing else is said.
pub const DEFAULT_PATH: &str = "tagmill.yaml";

/// Why there is no config.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no such file.
    #[error("{}: there is no such file; `tagmill config init` writes one to start from", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It is there and cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no YAML.
    #[error("{}: not YAML: {text}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and what.
        text: String,
    },
    /// It is YAML and no config; everything that is wrong is told.
    #[error("{}", listed(path, complaints))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// In the order of the file.
        complaints: Vec<Complaint>,
    },
}

fn listed(path: &Path, complaints: &[Complaint]) -> String {
    let mut text = format!(
        "{}: {} wrong:",
        path.display(),
        match complaints.len() {
            1 => "one thing is".to_owned(),
            many => format!("{many} things are"),
        }
    );
    for complaint in complaints {
        let _ = write!(text, "\n  {complaint}");
    }
    text
}

/// Loads a config file, overruled by the `TAGMILL__...` variables of the environment. Needs no credentials.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ConfigError::Missing { path: path.into() },
        _ => ConfigError::Unreadable { path: path.into(), source },
    })?;
    // A variable that is not text cannot be one of ours.
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    parse(&text, path, variables)
}

/// Proves the text of a config; `path` only names it in messages.
pub fn parse(
    text: &str,
    path: &Path,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    parse_with(text, path, variables, &BUILT_IN)
}

pub(crate) fn parse_with(
    text: &str,
    path: &Path,
    variables: impl IntoIterator<Item = (String, String)>,
    catalog: &Catalog,
) -> Result<Config, ConfigError> {
    let mut tree = tree::parse(text).map_err(|text| ConfigError::Syntax { path: path.into(), text })?;
    if tree.shape == Shape::Null {
        tree = Tree { place: Place::Line(0), shape: Shape::Map(Vec::new()) };
    }
    let mut notes = Notes::default();
    twice(&tree, "", &mut notes);
    env::apply(&mut tree, variables, &mut notes);
    let folder = path.parent().unwrap_or(Path::new(""));
    Config::read(&tree, folder, catalog, notes)
        .map_err(|complaints| ConfigError::Invalid { path: path.into(), complaints })
}

/// Complains of every key that a section has twice: one of its two values would be lost.
fn twice(tree: &Tree, path: &str, notes: &mut Notes) {
    match &tree.shape {
        Shape::List(list) => {
            for (index, entry) in list.iter().enumerate() {
                twice(entry, &format!("{path}[{index}]"), notes);
            }
        }
        Shape::Map(fields) => {
            let mut seen = HashSet::new();
            for (key, value) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if !seen.insert(key) {
                    notes.error(&value.place, &path, "is there twice");
                }
                twice(value, &path, notes);
            }
        }
        _ => {}
    }
}
