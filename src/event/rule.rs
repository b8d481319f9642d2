//! Rules: as they are written, and as they are once every path and template in them has been checked.

use super::{Source, known, lanes, path::Path, template::Engine};
use crate::job::{LaneName, rules};
use std::{collections::BTreeMap, time::Duration};

/// Tags of one rule at most.
const TAGS: usize = 50;

/// A rule as it is written. The words are those of Cloud Custodian where it has one.
#[derive(Clone, PartialEq)]
pub struct RuleSpec {
    /// Its name, unique among the rules.
    pub name: String,
    /// The clouds it is for.
    pub sources: Vec<Source>,
    /// The events it is for; none: all that the table of creations knows.
    pub events: Vec<EventName>,
    /// Where the ids stand; left out: as the table of creations says.
    pub ids: Option<Ids>,
    /// A condition.
    pub when: Option<String>,
    /// Where its jobs go.
    pub lane: LaneSpec,
    /// Tags to set: key and template.
    pub set: Vec<(String, String)>,
    /// Keys to remove.
    pub unset: Vec<String>,
    /// Whether a tag that is there is replaced.
    pub update: bool,
}

/// An event's name, with its service where that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventName {
    /// The service; any where left out.
    pub service: Option<String>,
    /// The name, in the cloud's own spelling.
    pub name: String,
}

impl EventName {
    /// `RunInstances` or `ec2:RunInstances`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (service, name) = match text.split_once(':') {
            Some((service, name)) => (Some(service.trim().to_lowercase()), name.trim()),
            None => (None, text.trim()),
        };
        if name.is_empty() || service.as_deref() == Some("") {
            return Err(
                "an event is a name such as RunInstances, or a service and a name such as ec2:RunInstances".into()
            );
        }
        Ok(Self { service, name: name.to_owned() })
    }

    fn fits(&self, service: &str, name: &str) -> bool {
        self.name == name && self.service.as_deref().is_none_or(|mine| mine == service)
    }
}

/// Where the ids stand, and how the resources are to be named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// JMESPath in the record.
    pub path: String,
    /// The id as the provider wants it: a template with `id`. Left out: the id as it was found.
    pub id: Option<String>,
    /// The type as the provider wants it: a template with `id`.
    pub kind: Option<String>,
}

/// Where the jobs of a rule go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneSpec {
    /// To the lane of the event's account and region, or of these.
    Find {
        /// Only lanes of this provider.
        provider: Option<String>,
        /// In place of the event's account.
        account: Option<String>,
        /// In place of the event's region.
        region: Option<String>,
    },
    /// A lane's name, or a template that makes one.
    Named(String),
}

/// What holds for all rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long after an event "not found" means "not there yet".
    pub grace: Duration,
    /// Huawei Cloud: which region a project is in.
    pub regions: BTreeMap<String, String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { grace: Duration::from_mins(15), regions: BTreeMap::new() }
    }
}

/// One thing that is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRule {
    /// Which rule, from 0.
    pub rule: usize,
    /// Which field, such as `set.owner`.
    pub field: String,
    /// What is wrong. It names no value.
    pub text: String,
}

/// A rule that has been checked.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) spec: RuleSpec,
    /// The path of its own `ids`.
    pub(super) path: Option<Path>,
}

/// Templates can hold values of tags.
impl std::fmt::Debug for RuleSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RuleSpec").field("name", &self.name).field("sources", &self.sources).finish_non_exhaustive()
    }
}

impl Rule {
    /// Whether the rule is for events of this name. Without names of its own it is for what the table knows.
    pub(super) fn is_for(&self, source: Source, service: &str, name: &str) -> bool {
        let named = self.spec.events.iter().any(|event| event.fits(service, name));
        self.spec.sources.contains(&source)
            && (named || (self.spec.events.is_empty() && known::of(source, service, name).next().is_some()))
    }
}

/// Rules that have all been checked.
#[derive(Debug)]
pub struct Rules {
    pub(super) all: Vec<Rule>,
    pub(super) known: Vec<(&'static known::Known, Path)>,
    pub(super) engine: Engine,
    pub(super) options: Options,
}

impl Rules {
    /// Checks rules, or tells everything that is wrong with them.
    pub fn compile(specs: Vec<RuleSpec>, options: Options) -> Result<Self, Vec<BadRule>> {
        let engine = Engine::new();
        let mut bad = Vec::new();
        let mut rules = Vec::with_capacity(specs.len());
        for (index, spec) in specs.into_iter().enumerate() {
            let mut complain = |field: String, text: String| bad.push(BadRule { rule: index, field, text });
            let path = check(&spec, &engine, &mut complain);
            if rules.iter().any(|rule: &Rule| rule.spec.name == spec.name) {
                complain("name".into(), "another rule has this name".into());
            }
            rules.push(Rule { spec, path });
        }
        // A row whose path does not compile is seen by a test of the table.
        let known = known::TABLE.iter().filter_map(|row| Some((row, Path::compile(row.ids).ok()?))).collect();
        if bad.is_empty() { Ok(Self { all: rules, known, engine, options }) } else { Err(bad) }
    }

    /// The names of the rules, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|rule| rule.spec.name.as_str())
    }

    /// The rules as they are written, in their order.
    pub fn specs(&self) -> impl Iterator<Item = &RuleSpec> {
        self.all.iter().map(|rule| &rule.spec)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

fn check(spec: &RuleSpec, engine: &Engine, complain: &mut impl FnMut(String, String)) -> Option<Path> {
    if spec.sources.is_empty() {
        complain("source".into(), "is empty".into());
    }
    if spec.set.is_empty() && spec.unset.is_empty() {
        complain("set".into(), "is missing: a rule sets or removes tags".into());
    }
    if spec.set.len() + spec.unset.len() > TAGS {
        complain("set".into(), format!("more than {TAGS} tags"));
    }
    for (key, template) in &spec.set {
        let field = || format!("set.{key}");
        rules::key(key).unwrap_or_else(|why| complain(field(), why));
        engine.check(template).unwrap_or_else(|why| complain(field(), why));
    }
    for key in &spec.unset {
        rules::key(key).unwrap_or_else(|why| complain("unset".into(), why));
        if spec.set.iter().any(|(other, _)| other == key) {
            complain("unset".into(), format!("{key} is also in `set`"));
        }
    }
    if let Some(when) = &spec.when {
        engine.check_condition(when).unwrap_or_else(|why| complain("when".into(), why));
    }
    check_lane(spec, engine, complain);
    check_ids(spec, engine, complain)
}

fn check_lane(spec: &RuleSpec, engine: &Engine, complain: &mut impl FnMut(String, String)) {
    match &spec.lane {
        LaneSpec::Named(name) if name.contains("{{") || name.contains("{%") => {
            engine.check(name).unwrap_or_else(|why| complain("lane".into(), why));
        }
        LaneSpec::Named(name) => {
            if let Err(why) = LaneName::new(name) {
                complain("lane".into(), why.to_string());
            }
        }
        LaneSpec::Find { provider: Some(provider), .. } => {
            if !spec.sources.iter().any(|source| lanes::is_of(*source, provider)) {
                complain("lane.provider".into(), format!("{provider} is of another cloud than `source`"));
            }
        }
        LaneSpec::Find { .. } => {}
    }
}

fn check_ids(spec: &RuleSpec, engine: &Engine, complain: &mut impl FnMut(String, String)) -> Option<Path> {
    let Some(ids) = &spec.ids else {
        for event in &spec.events {
            let known = |row: &known::Known| spec.sources.contains(&row.source) && event.fits(row.service, row.event);
            if !known::TABLE.iter().any(known) {
                let name = &event.name;
                complain(
                    "event".into(),
                    format!(
                        "{name} is not in the table of creations (`tagmill rules list`): say where its ids stand with `ids`"
                    ),
                );
            }
        }
        if spec.events.is_empty() && spec.sources.contains(&Source::CloudEvents) {
            complain("event".into(), "is missing: nothing is known of events of cloudevents".into());
        }
        return None;
    };
    if spec.events.is_empty() {
        complain("event".into(), "is missing: `ids` is about certain events".into());
    }
    if matches!(spec.lane, LaneSpec::Find { provider: None, .. }) {
        complain("lane".into(), "with `ids` of your own say the provider, or the lane".into());
    }
    for (field, template) in [("ids.id", &ids.id), ("ids.type", &ids.kind)] {
        if let Some(template) = template {
            engine.check(template).unwrap_or_else(|why| complain(field.into(), why));
        }
    }
    Path::compile(&ids.path).map_err(|why| complain("ids".into(), why)).ok()
}
