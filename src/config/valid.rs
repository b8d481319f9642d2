//! The config as proven: what is in here needs no second look.

use super::broker::Broker;
use super::lane::LaneConfig;
use super::overlap;
use super::read::{Complaint, Notes, Section};
use super::tree::{Shape, Tree};
use crate::provider::{self, Entry};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;

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
    pub(super) fn read(tree: &Tree, catalog: &Catalog, mut notes: Notes) -> Result<Self, Vec<Complaint>> {
        let config = read(tree, catalog, &mut notes);
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

fn read(tree: &Tree, catalog: &Catalog, notes: &mut Notes) -> Option<Config> {
    let section = Section::open(tree, "", &FIELDS, notes)?;
    let state = section.text("state", notes).unwrap_or("./tagmill-state").into();
    let broker = Broker::read(&section, notes);
    let server = section.section("server", &["listen"], notes).and_then(|section| server(&section, notes));
    let rules = section.list("rules", notes).unwrap_or_default().iter().map(Tree::to_json).collect();
    let lanes = lanes(&section, catalog, notes);
    overlap::check(&lanes, notes);
    let lanes = lanes.into_iter().map(|(_, lane)| lane).collect();
    Some(Config { broker, state, server, lanes, rules, warnings: Vec::new() })
}

fn lanes<'t>(section: &Section<'t>, catalog: &Catalog, notes: &mut Notes) -> Vec<(&'t Tree, LaneConfig)> {
    let list = section.list("lanes", notes);
    if list.is_none_or(<[Tree]>::is_empty) && (list.is_some() || !section.has("lanes")) {
        section.error("lanes", notes, "there are none; name at least one lane");
    }
    let mut lanes = Vec::new();
    let mut names: HashMap<&str, usize> = HashMap::new();
    for (index, tree) in list.unwrap_or_default().iter().enumerate() {
        let path = format!("lanes[{index}]");
        // A name is held against the others even where the rest of its lane is wrong.
        if let Shape::Map(fields) = &tree.shape
            && let Some((_, name)) = fields.iter().find(|(key, _)| key == "name")
            && let Shape::Text(text) = &name.shape
            && let Some(first) = names.insert(text, index)
        {
            notes.error(&name.place, &format!("{path}.name"), format!("{text} is the name of lanes[{first}] already"));
        }
        let lane = LaneConfig::read(tree, &path, catalog, section.has("broker"), notes);
        lanes.extend(lane.map(|lane| (tree, lane)));
    }
    lanes
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
