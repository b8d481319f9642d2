//! Where events come from and how long they are remembered, as the config says it.

use super::read::{Notes, Section};
use super::secret::Secret;
use super::tree::{Shape, Tree};
use crate::event::Source;
use std::collections::BTreeMap;
use std::time::Duration;

const FIELDS: [&str; 5] = ["dedup", "grace", "regions", "alibaba", "queues"];

/// Everything about events but the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events {
    /// How long an event is remembered, so that it is taken once.
    pub dedup: Duration,
    /// How long after an event "not found" means "not there yet".
    pub grace: Duration,
    /// Huawei Cloud: which region a project is in.
    pub regions: BTreeMap<String, String>,
    /// Alibaba Cloud: how the sender of events over HTTP is known.
    pub alibaba: AlibabaEvents,
    /// Queues of the broker that hold raw events.
    pub queues: Vec<EventQueue>,
}

/// How the sender of Alibaba Cloud's events is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlibabaEvents {
    /// Its signature is checked.
    pub verify: bool,
    /// The address that its events are sent to, as the console has it: it is part of what is signed.
    pub url: Option<String>,
    /// A secret that our target alone sends along: without it, any customer's EventBridge could send.
    pub token: Option<Secret>,
    /// Regions whose EventBridge may send; any where none is named.
    pub regions: Vec<String>,
}

/// A queue that holds raw events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventQueue {
    /// Its name. It is not made here: whoever sends to it has made it.
    pub queue: String,
    /// How its events are read.
    pub source: Source,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            dedup: Duration::from_hours(24),
            grace: Duration::from_mins(15),
            regions: BTreeMap::new(),
            alibaba: AlibabaEvents::default(),
            queues: Vec::new(),
        }
    }
}

/// A source by its name, or what there is.
pub(super) fn source(text: &str) -> Result<Source, String> {
    let names = Source::ALL.map(Source::as_str);
    Source::find(text).ok_or_else(|| {
        format!("there is no source {text}{}", crate::job::suggest::hint(text, names))
            + "; known are "
            + &names.join(", ")
    })
}

impl Events {
    pub(super) fn read(outer: &Section<'_>, notes: &mut Notes) -> Self {
        let usual = Self::default();
        let Some(section) = outer.section("events", &FIELDS, notes) else { return usual };
        let week = Duration::from_hours(24 * 7);
        Self {
            dedup: section.time("dedup", week, notes).unwrap_or(usual.dedup),
            grace: section.time("grace", Duration::from_hours(24), notes).unwrap_or(usual.grace),
            regions: regions(&section, notes),
            alibaba: alibaba(&section, notes),
            queues: section
                .list("queues", notes)
                .unwrap_or_default()
                .iter()
                .enumerate()
                .filter_map(|(n, tree)| queue(tree, &format!("{}[{n}]", section.at("queues")), notes))
                .collect(),
        }
    }
}

fn regions(section: &Section<'_>, notes: &mut Notes) -> BTreeMap<String, String> {
    let mut regions = BTreeMap::new();
    match section.get("regions").map(|tree| &tree.shape) {
        None => {}
        Some(Shape::Map(fields)) => {
            for (project, tree) in fields {
                match &tree.shape {
                    Shape::Text(region) => drop(regions.insert(project.clone(), region.clone())),
                    _ => notes.error(&tree.place, &format!("events.regions.{project}"), "expected a region"),
                }
            }
        }
        Some(_) => section.error("regions", notes, "expected a section: project ids and their regions"),
    }
    regions
}

fn alibaba(section: &Section<'_>, notes: &mut Notes) -> AlibabaEvents {
    let Some(alibaba) = section.section("alibaba", &["verify", "url", "token", "regions"], notes) else {
        return AlibabaEvents::default();
    };
    let verify = alibaba.flag("verify", notes).unwrap_or(false);
    let url = alibaba.parsed("url", notes, |text| {
        let fits = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme))
            && !text.contains(char::is_whitespace);
        if fits {
            Ok(text.to_owned())
        } else {
            Err("expected an address such as https://tagmill.example.com/v1/events/alibaba".into())
        }
    });
    let token = alibaba.get("token").and_then(|tree| Secret::read(tree, &alibaba.at("token"), notes));
    let regions = words(&alibaba, "regions", notes);
    if verify && !alibaba.has("token") {
        let text = "is missing: the signature says that EventBridge sent it, the token that it was yours; set the same one in the console";
        alibaba.error("token", notes, text);
    }
    if verify && !alibaba.has("url") {
        alibaba.error("url", notes, "is missing: the address that events are sent to is part of what is signed");
    }
    AlibabaEvents { verify, url, token, regions }
}

fn words(section: &Section<'_>, name: &str, notes: &mut Notes) -> Vec<String> {
    let mut words = Vec::new();
    for tree in section.list(name, notes).unwrap_or_default() {
        match &tree.shape {
            Shape::Text(text) => words.push(text.clone()),
            _ => notes.error(&tree.place, &section.at(name), format!("expected text, found {}", tree.kind())),
        }
    }
    words
}

fn queue(tree: &Tree, path: &str, notes: &mut Notes) -> Option<EventQueue> {
    let section = Section::open(tree, path, &["queue", "source"], notes)?;
    for name in ["queue", "source"].into_iter().filter(|name| !section.has(name)) {
        section.error(name, notes, "is missing");
    }
    let queue = section.parsed("queue", notes, |text| {
        if text.len() <= 255 { Ok(text.to_owned()) } else { Err("a queue's name has at most 255 bytes".to_owned()) }
    });
    let source = section.parsed("source", notes, source);
    Some(EventQueue { queue: queue?, source: source? })
}
