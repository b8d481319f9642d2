//! Bytes to a job, or every reason why not.
//!
//! Strict on purpose: a field that is misspelt and ignored is a resource that is tagged wrong and reported right.

use super::node::Node;
use super::problem::{Problem, Problems, TagPath};
use super::{Extras, Job, JobId, LaneName, Priority, Replay, Resource, VERSION, rules};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Display;
use std::sync::Arc;

mod fields;
#[cfg(test)]
mod tests;

/// The fields of a job of version 1.
pub const FIELDS: [&str; 14] = [
    "version",
    "id",
    "lane",
    "resources",
    "set",
    "unset",
    "source",
    "batch",
    "created_at",
    "priority",
    "overwrite",
    "not_found_until",
    "replay",
    "ext",
];

/// What fills in for a field that the message leaves out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Defaults<'a> {
    /// The lane, where the message names none.
    pub lane: Option<&'a LaneName>,
    /// The id, where it has none.
    pub id: Option<&'a JobId>,
    /// The source, where it names none.
    pub source: Option<&'a str>,
    /// Tags to set besides those of the message. What the message says of a key wins.
    pub set: Option<&'a BTreeMap<Arc<str>, Arc<str>>>,
    /// Keys to remove besides those of the message. What the message says of a key wins.
    pub unset: Option<&'a BTreeSet<Arc<str>>>,
    /// When the job was made, where the message does not say.
    pub created_at: Option<Timestamp>,
}

/// What is told of a version that this build does not read begins so.
const OTHER_VERSION: &str = "this build reads version 1, this message is of version";

/// Whether these are the problems of a message of another version. What else is wrong with it then says little.
pub fn is_of_another_version(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| problem.field == "version" && problem.text.starts_with(OTHER_VERSION))
}

/// Reads one job message. All that is wrong with it is told at once, each with its field.
pub fn job(bytes: &[u8], defaults: &Defaults<'_>) -> Result<Job, Vec<Problem>> {
    let mut parser = Parser::default();
    let job = parser.read(bytes, defaults);
    match job {
        Some(job) if parser.problems.found() == 0 => Ok(job),
        _ => Err(parser.problems.into_list()),
    }
}

#[derive(Default)]
struct Parser {
    problems: Problems,
    /// Equal texts of one job share one allocation: a hundred thousand resources have a handful of types.
    texts: HashSet<Arc<str>>,
}

impl Parser {
    fn read(&mut self, bytes: &[u8], defaults: &Defaults<'_>) -> Option<Job> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| self.problems.add("", format_args!("not UTF-8 from byte {} on", error.valid_up_to())))
            .ok()?;
        // Our visitor takes every value, so an error is one of syntax: it names a place and never a value.
        let node =
            serde_json::from_str::<Node<'_>>(text).map_err(|error| self.problems.add("", syntax(&error))).ok()?;
        let Node::Object(fields) = node else {
            self.problems.add("", format_args!("a job is a JSON object, this is {}", node.kind()));
            return None;
        };
        // First, so that it is not lost behind a list of fields that only a later version knows.
        self.version(fields.iter().find(|(name, _)| name == "version").map(|(_, node)| node));
        let [
            _,
            id,
            lane,
            resources,
            set,
            unset,
            source,
            batch,
            created_at,
            priority,
            overwrite,
            not_found_until,
            replay,
            ext,
        ] = self.slots(fields, &FIELDS, "");

        let id = self.name("id", id, JobId::new, defaults.id);
        let lane = self.name("lane", lane, LaneName::new, defaults.lane);
        let resources = self.resources(resources);
        let (set, unset) = self.tags(set, unset, defaults);
        let extras = Extras {
            source: self
                .text("source", source)
                .and_then(|text| self.checked("source", &text, |text| rules::label("the source", text)))
                .or_else(|| defaults.source.map(|source| self.share(source))),
            batch: self
                .text("batch", batch)
                .and_then(|text| self.checked("batch", &text, |text| rules::label("the batch", text))),
            created_at: self.time("created_at", created_at).or(defaults.created_at),
            priority: self.priority(priority),
            overwrite: self.flag("overwrite", overwrite).unwrap_or(true),
            not_found_until: self.time("not_found_until", not_found_until),
            replay: self.replay(replay),
            ext: self.ext(ext),
            trace: None,
        };
        Some(Job { id: id?, lane: lane?, resources, set, unset, extras })
    }

    fn version(&mut self, node: Option<&Node<'_>>) {
        match node.map(Node::whole) {
            None | Some(Some(VERSION)) => {}
            Some(Some(other)) => self.problems.add("version", format_args!("{OTHER_VERSION} {other}")),
            Some(None) => self.problems.add("version", "is the whole number 1"),
        }
    }

    fn resources(&mut self, node: Option<Node<'_>>) -> Vec<Resource> {
        let list = match node {
            None => {
                self.problems.add("resources", "is missing");
                return Vec::new();
            }
            Some(node) => self.list("resources", node).unwrap_or_default(),
        };
        let mut found: Vec<Option<Resource>> = Vec::with_capacity(list.len());
        for (index, node) in list.into_iter().enumerate() {
            let resource = self.resource(index, node);
            found.push(resource);
        }
        // The standard hasher is keyed: a message made for it cannot turn this into a quadratic search.
        let mut first: HashMap<&Resource, usize> = HashMap::with_capacity(found.len());
        for (index, resource) in found.iter().enumerate() {
            let Some(resource) = resource else { continue };
            if let Some(earlier) = first.insert(resource, index) {
                self.problems
                    .add(format_args!("resources[{index}]"), format_args!("the same resource as resources[{earlier}]"));
            }
        }
        found.into_iter().flatten().collect()
    }

    fn resource(&mut self, index: usize, node: Node<'_>) -> Option<Resource> {
        let fields = match node {
            Node::Text(id) => {
                let id = self.checked(format_args!("resources[{index}]"), &id, rules::id)?;
                return Some(Resource { id, kind: None, project: None });
            }
            Node::Object(fields) => fields,
            other => {
                self.wrong(format_args!("resources[{index}]"), "text or an object", &other);
                return None;
            }
        };
        let path = Part { index, name: "" };
        let [id, kind, project] = self.slots(fields, &["id", "type", "project"], &path);
        let at = |name: &'static str| Part { index, name };
        let kind = self.part(&at("type"), kind, |text| rules::word("the type", text, rules::WORD_CHARS));
        let project = self.part(&at("project"), project, |text| rules::word("the project", text, rules::WORD_CHARS));
        if id.is_none() {
            self.problems.add(at("id"), "is missing");
        }
        let id = self.part(&at("id"), id, rules::id);
        match (id, kind, project) {
            (Ok(Some(id)), Ok(kind), Ok(project)) => Some(Resource { id, kind, project }),
            _ => None,
        }
    }

    /// A part of a resource: left out is fine, wrong is an error that was told.
    fn part(
        &mut self,
        at: &Part,
        node: Option<Node<'_>>,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<Option<Arc<str>>, ()> {
        match node {
            None => Ok(None),
            Some(Node::Text(text)) => self.checked(at, &text, check).map(Some).ok_or(()),
            Some(other) => {
                self.wrong(at, "text", &other);
                Err(())
            }
        }
    }

    #[allow(clippy::type_complexity, reason = "the two halves of a job's tags, used once")]
    fn tags(
        &mut self,
        set: Option<Node<'_>>,
        unset: Option<Node<'_>>,
        defaults: &Defaults<'_>,
    ) -> (BTreeMap<Arc<str>, Arc<str>>, BTreeSet<Arc<str>>) {
        let before = self.problems.found();
        let mut tags = BTreeMap::new();
        for (key, node) in set.and_then(|node| self.object("set", node)).unwrap_or_default() {
            let path = TagPath("set", &key);
            let key = self.checked(&path, &key, rules::key);
            let value = match node {
                Node::Text(text) => self.checked(&path, &text, rules::value),
                other => {
                    self.wrong(&path, "text (in quotes)", &other);
                    None
                }
            };
            let Some(key) = key else { continue };
            // A bad value keeps its key: that it comes twice or is also unset is worth telling too.
            if tags.insert(key, value.unwrap_or_else(|| "".into())).is_some() {
                self.problems.add(&path, "the key is there twice");
            }
        }
        let mut keys = BTreeSet::new();
        for (index, node) in unset.and_then(|node| self.list("unset", node)).unwrap_or_default().into_iter().enumerate()
        {
            let Node::Text(text) = node else {
                self.wrong(format_args!("unset[{index}]"), "text", &node);
                continue;
            };
            let Some(key) = self.checked(format_args!("unset[{index}]"), &text, rules::key) else { continue };
            if tags.contains_key(&key) {
                self.problems.add(TagPath("set", &key), "the key is both set and unset");
            }
            if !keys.insert(key) {
                self.problems.add(format_args!("unset[{index}]"), "the key is there twice");
            }
        }
        fill(&mut tags, &mut keys, defaults.set, defaults.unset);
        if tags.is_empty() && keys.is_empty() && self.problems.found() == before {
            self.problems.add("set", "nothing to do: neither set nor unset names a key");
        }
        (tags, keys)
    }

    fn priority(&mut self, node: Option<Node<'_>>) -> Priority {
        match self.text("priority", node).as_deref() {
            None | Some("bulk") => Priority::Bulk,
            Some("event") => Priority::Event,
            Some(_) => {
                self.problems.add("priority", "is either bulk or event");
                Priority::Bulk
            }
        }
    }

    fn replay(&mut self, node: Option<Node<'_>>) -> Option<Replay> {
        let fields = node.and_then(|node| self.object("replay", node))?;
        let [of, count] = self.slots(fields, &["of", "count"], "replay.");
        if of.is_none() {
            self.problems.add("replay.of", "is missing");
        }
        let of = self
            .text("replay.of", of)
            .and_then(|text| self.checked("replay.of", &text, |text| rules::label("the id", text)));
        let count = count.and_then(|node| node.whole()).and_then(|count| u32::try_from(count).ok());
        if count.is_none_or(|count| count == 0) {
            self.problems.add("replay.count", "is a whole number from 1 on");
        }
        Some(Replay { of: of?.to_string(), count: count? })
    }

    fn ext(&mut self, node: Option<Node<'_>>) -> Option<Box<serde_json::Map<String, serde_json::Value>>> {
        if let serde_json::Value::Object(map) = node?.into_value() {
            return Some(Box::new(map));
        }
        self.problems.add("ext", "expected an object");
        None
    }
}

/// A syntax error in one line of text: of a message that is one line, "line 1" would only mislead.
fn syntax(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line 1 column {}", error.column());
    match text.strip_suffix(&place) {
        Some(what) => format!("not JSON: {what} at column {}", error.column()),
        None => format!("not JSON: {text}"),
    }
}

/// Adds tags that go on every job of a file, except where the job itself says something of the key.
pub fn fill(
    set: &mut BTreeMap<Arc<str>, Arc<str>>,
    unset: &mut BTreeSet<Arc<str>>,
    more_set: Option<&BTreeMap<Arc<str>, Arc<str>>>,
    more_unset: Option<&BTreeSet<Arc<str>>>,
) {
    let own: BTreeSet<Arc<str>> = unset.clone();
    for key in more_unset.into_iter().flatten().filter(|key| !set.contains_key(*key)) {
        unset.insert(Arc::clone(key));
    }
    for (key, value) in more_set.into_iter().flatten().filter(|(key, _)| !own.contains(*key)) {
        set.entry(Arc::clone(key)).or_insert_with(|| Arc::clone(value));
    }
}

/// A field of one resource, spelled out only where it is shown.
struct Part {
    index: usize,
    name: &'static str,
}

impl Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "resources[{}].{}", self.index, self.name)
    }
}
