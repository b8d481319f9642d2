//! The config as proven: what is in here needs no second look.

use super::broker::Broker;
use super::expand::Expansion;
use super::lane::LaneConfig;
use super::read::{Complaint, Notes, Section};
use super::tree::Tree;
use super::{Events, Server, lanes, overlap, rules};
use crate::event::Rules;
use crate::provider::{self, Entry};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `tests` are read by `tagmill rules test` alone.
const FIELDS: [&str; 7] = ["broker", "state", "server", "lanes", "events", "rules", "tests"];

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
    /// Everything about events but the rules.
    pub events: Events,
    /// Rules that turn events into jobs, every path and template in them checked.
    pub rules: Arc<Rules>,
    /// What works but is worth a look.
    pub warnings: Vec<Complaint>,
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
    let server = Server::read(&section, notes);
    let events = Events::read(&section, notes);
    let (lanes, expansions) = lanes::read(&section, folder, catalog, notes);
    overlap::check(&lanes, notes);
    let lanes: Vec<LaneConfig> = lanes.into_iter().map(|(_, lane)| lane).collect();
    let rules = rules::read(&section, &events, &lanes, notes);
    if !events.queues.is_empty() && broker.is_none() {
        section.error("events", notes, "queues: they are queues of the broker, and the config names none");
    }
    Some(Config { broker, state, server, lanes, expansions, events, rules: rules?, warnings: Vec::new() })
}
