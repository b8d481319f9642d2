//! The config as proven: what is in here needs no second look.

use super::broker::Broker;
use super::expand::Expansion;
use super::lane::LaneConfig;
use super::read::{Complaint, Notes, Section};
use super::tree::Tree;
use super::{lanes, overlap};
use crate::provider::{self, Entry};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

const FIELDS: [&str; 5] = ["broker", "state", "server", "lanes", "rules"];

/// A config whose every field has been checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// RabbitMQ, or the embedded queue where there is none.
    pub broker: Option<Broker>,
    /// Folder of the embedded queue and of local state.
    pub state: PathBuf,
    /// The HTTP server, where one is wanted.
    pub server: Option<Server>,
    /// At least one; no name twice.
    pub lanes: Vec<LaneConfig>,
    /// The entries of `lanes` that stand for many.
    pub expansions: Vec<Expansion>,
    /// Rules as they stand.
    pub rules: Vec<serde_json::Value>,
    /// What works but is worth a look.
    pub warnings: Vec<Complaint>,
}

/// The HTTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Address and port.
    pub listen: SocketAddr,
}

/// The providers a config may name.
#[derive(Clone, Copy)]
pub(crate) struct Catalog {
    pub(crate) find: fn(&str) -> Option<&'static Entry>,
    pub(crate) names: fn() -> Vec<&'static str>,
}

/// Those of this build.
pub(super) const BUILT_IN: Catalog =
    Catalog { find: provider::find, names: || provider::ALL.iter().map(|entry| entry.name).collect() };

impl Config {
    /// What the config asks for and this version does not do, told wherever the config is used.
    pub fn not_yet(&self) -> Vec<&'static str> {
        let asked = [
            (self.server.is_some(), "server: this version serves no HTTP"),
            (!self.rules.is_empty(), "rules: this version takes no events"),
        ];
        asked.into_iter().filter(|(is_there, _)| *is_there).map(|(_, text)| text).collect()
    }

    /// Proves a tree, or tells everything that is wrong with it.
    pub(super) fn read(
        tree: &Tree,
        folder: &Path,
        catalog: &Catalog,
        mut notes: Notes,
    ) -> Result<Self, Vec<Complaint>> {
        let config = read(tree, folder, catalog, &mut notes);
        notes.errors.sort_by_key(line);
        match config {
            Some(config) if notes.errors.is_empty() => Ok(Self { warnings: notes.warnings, ..config }),
            _ => Err(notes.errors),
        }
    }
}

/// Complaints come in the order of the file, those without a line first.
fn line(complaint: &Complaint) -> u64 {
    let place = complaint.place.as_deref().unwrap_or_default();
    place.strip_prefix("line ").and_then(|line| line.parse().ok()).unwrap_or(0)
}

fn read(tree: &Tree, folder: &Path, catalog: &Catalog, notes: &mut Notes) -> Option<Config> {
    let section = Section::open(tree, "", &FIELDS, notes)?;
    let state = section.text("state", notes).unwrap_or("./tagmill-state").into();
    let broker = Broker::read(&section, notes);
    let server = section.section("server", &["listen"], notes).and_then(|section| server(&section, notes));
    let rules = section.list("rules", notes).unwrap_or_default().iter().map(Tree::to_json).collect();
    let (lanes, expansions) = lanes::read(&section, folder, catalog, notes);
    overlap::check(&lanes, notes);
    let lanes = lanes.into_iter().map(|(_, lane)| lane).collect();
    Some(Config { broker, state, server, lanes, expansions, rules, warnings: Vec::new() })
}

fn server(section: &Section<'_>, notes: &mut Notes) -> Option<Server> {
    if !section.has("listen") {
        return Some(Server { listen: SocketAddr::from(([127, 0, 0, 1], 9464)) });
    }
    let listen = section.parsed("listen", notes, |text| {
        text.parse().map_err(|_| "expected an address and a port such as 127.0.0.1:9464".to_owned())
    });
    Some(Server { listen: listen? })
}
