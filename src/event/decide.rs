//! What follows from an event: which rules are for it, what they find in it, and the jobs they make of that.

use super::{
    Event, Source,
    lanes::{self, LaneFacts, Wanted},
    path::searchable,
    rule::{LaneSpec, Rule, Rules},
    template::Nothing,
};
use crate::job::{Extras, Job, JobId, LaneName, Priority, Resource, rules as limits, stable_hash};
use jiff::Timestamp;
use jmespath::Variable;
use minijinja::{Value as Shown, context, value::Serde};
use serde_json::Value;
use std::{borrow::Cow, cell::OnceCell, collections::BTreeMap, fmt, sync::Arc};

/// Why nothing follows from an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// What was asked for did not happen.
    Failed,
    /// A service did it for its own ends.
    Internal,
    /// Nothing was changed.
    ReadOnly,
    /// It tagged something: an answer to it would go round in circles.
    Tagging,
    /// No rule is for it.
    NoRule,
}

impl Ignored {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Internal => "internal",
            Self::ReadOnly => "read_only",
            Self::Tagging => "tagging",
            Self::NoRule => "no_rule",
        }
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "the call it tells of failed",
            Self::Internal => "a service did it for its own ends",
            Self::ReadOnly => "nothing was changed",
            Self::Tagging => "it is a call that tags",
            Self::NoRule => "no rule is for it",
        })
    }
}

/// Why a rule that is for an event made no job of it, although it should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// `no_ids`, `no_lane`, `rule_error`.
    pub code: &'static str,
    /// What is wrong. It shows no value of a tag.
    pub text: String,
}

/// How a rule met an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Met {
    /// It is for other events.
    NotForIt,
    /// Its condition does not hold.
    NotWhen,
    /// It is for this one.
    Yes,
}

/// What became of one tag of a rule.
#[derive(Clone, PartialEq, Eq)]
pub struct TagOutcome {
    /// The key.
    pub key: String,
    /// The value, or why it was left out.
    pub value: Result<String, String>,
}

/// Values of tags can be personal data.
impl fmt::Debug for TagOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.as_ref().map(|_| "...");
        f.debug_struct("TagOutcome").field("key", &self.key).field("value", &value).finish()
    }
}

/// What one rule made of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleOutcome {
    /// The rule.
    pub rule: String,
    /// How it met the event.
    pub met: Met,
    /// The ids that were found, and where they stand.
    pub found: Vec<(String, Vec<String>)>,
    /// What became of its tags, for the first resource that differs in none.
    pub tags: Vec<TagOutcome>,
    /// Jobs it made.
    pub jobs: usize,
    /// Resources in them.
    pub resources: usize,
    /// Why it made none where it should have.
    pub trouble: Option<Trouble>,
}

impl RuleOutcome {
    /// Tags that were left out.
    pub fn left_out(&self) -> usize {
        self.tags.iter().filter(|tag| tag.value.is_err()).count()
    }
}

/// What follows from an event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// Nothing, and why.
    pub ignored: Option<Ignored>,
    /// The jobs, in the order of the rules.
    pub jobs: Vec<Job>,
    /// What each rule made of it, in their order.
    pub rules: Vec<RuleOutcome>,
}

impl Decision {
    /// The rules that should have made a job and did not.
    pub fn troubles(&self) -> impl Iterator<Item = (&str, &Trouble)> {
        self.rules.iter().filter_map(|rule| Some((rule.rule.as_str(), rule.trouble.as_ref()?)))
    }
}

/// A resource that an event names, in the form of one lane's provider.
struct Found {
    lane: LaneName,
    resource: Resource,
}

/// An event in the forms that rules look at it. The one that paths search is as large as the record, so it is made when
/// it is needed, and once.
struct Sight<'e> {
    event: &'e Event,
    shown: Shown,
    record: OnceCell<Option<Variable>>,
}

impl Sight<'_> {
    fn record(&self) -> Option<&Variable> {
        self.record.get_or_init(|| searchable(&self.event.record)).as_ref()
    }
}

impl Rules {
    /// What follows from this event. `now` stands for the time of an event that says none.
    pub fn decide(&self, event: &Event, lanes: &[LaneFacts], now: Timestamp) -> Decision {
        let mut decision = Decision { ignored: event.ignored, ..Decision::default() };
        let event = &*self.placed(event);
        let sight = Sight { event, shown: shown(event), record: OnceCell::new() };
        for rule in &self.all {
            let (outcome, jobs) = self.apply(rule, &sight, lanes, now);
            if event.ignored.is_none() {
                decision.jobs.extend(jobs);
            }
            decision.rules.push(outcome);
        }
        if decision.ignored.is_none() && decision.rules.iter().all(|rule| rule.met != Met::Yes) {
            decision.ignored = Some(Ignored::NoRule);
        }
        if event.ignored.is_some() {
            for rule in &mut decision.rules {
                (rule.jobs, rule.resources, rule.trouble) = (0, 0, None);
            }
        }
        decision
    }

    /// The event with the region that only the config knows.
    fn placed<'e>(&self, event: &'e Event) -> Cow<'e, Event> {
        match event.project.as_ref().and_then(|project| self.options.regions.get(project)) {
            Some(region) if event.region.is_none() => {
                Cow::Owned(Event { region: Some(region.clone()), ..event.clone() })
            }
            _ => Cow::Borrowed(event),
        }
    }

    fn apply(&self, rule: &Rule, sight: &Sight<'_>, lanes: &[LaneFacts], now: Timestamp) -> (RuleOutcome, Vec<Job>) {
        let event = sight.event;
        let mut outcome = RuleOutcome {
            rule: rule.spec.name.clone(),
            met: Met::NotForIt,
            found: Vec::new(),
            tags: Vec::new(),
            jobs: 0,
            resources: 0,
            trouble: None,
        };
        if !rule.is_for(event.cloud, &event.service, &event.name) {
            return (outcome, Vec::new());
        }
        let jobs = self.jobs(rule, sight, lanes, now, &mut outcome).unwrap_or_else(|trouble| {
            (outcome.met, outcome.trouble) = (Met::Yes, Some(trouble));
            Vec::new()
        });
        outcome.jobs = jobs.len();
        outcome.resources = jobs.iter().map(|job| job.resources.len()).sum();
        (outcome, jobs)
    }

    fn jobs(
        &self,
        rule: &Rule,
        sight: &Sight<'_>,
        lanes: &[LaneFacts],
        now: Timestamp,
        outcome: &mut RuleOutcome,
    ) -> Result<Vec<Job>, Trouble> {
        let (event, shown) = (sight.event, &sight.shown);
        let error = |text: String| Trouble { code: "rule_error", text };
        if let Some(when) = &rule.spec.when
            && !self.engine.holds(when, shown).map_err(|why| error(format!("when: {why}")))?
        {
            outcome.met = Met::NotWhen;
            return Ok(Vec::new());
        }
        outcome.met = Met::Yes;
        let resources = self.resources(rule, sight, lanes, &mut outcome.found)?;
        // Resources that get the same tags in the same lane are one job.
        let mut groups: BTreeMap<(LaneName, Tags), Vec<Resource>> = BTreeMap::new();
        for found in resources {
            let tags = self.tags(rule, shown, &found.resource);
            let set: Tags = tags.iter().filter_map(|tag| Some((tag.key.clone(), tag.value.clone().ok()?))).collect();
            if outcome.tags.is_empty() {
                outcome.tags = tags;
            }
            if !set.is_empty() || !rule.spec.unset.is_empty() {
                groups.entry((found.lane, set)).or_default().push(found.resource);
            }
        }
        let groups = groups.into_iter().enumerate();
        groups.map(|(index, (key, resources))| self.job(rule, event, index, key, resources, now)).collect()
    }

    fn job(
        &self,
        rule: &Rule,
        event: &Event,
        index: usize,
        (lane, tags): (LaneName, Tags),
        resources: Vec<Resource>,
        now: Timestamp,
    ) -> Result<Job, Trouble> {
        let at = event.time.unwrap_or(now);
        let id = stable_hash(&[&event.source, &event.id, &rule.spec.name, lane.as_str(), &index.to_string()]);
        let set = tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        let unset = rule.spec.unset.iter().map(|key| Arc::from(key.as_str())).collect();
        let extras = Extras {
            source: Some(label(event).into()),
            created_at: Some(at),
            priority: Priority::Event,
            overwrite: rule.spec.update,
            not_found_until: at.checked_add(self.options.grace).ok(),
            ..Extras::none()
        };
        let id = JobId::new(&id).map_err(|why| Trouble { code: "rule_error", text: why.to_string() })?;
        Ok(Job { id, lane, resources, set, unset, extras })
    }

    fn tags(&self, rule: &Rule, shown: &Shown, resource: &Resource) -> Vec<TagOutcome> {
        let about = context! {
            resource => context! { id => &*resource.id, type => resource.kind.as_deref() },
            ..shown.clone()
        };
        let value = |template: &str| match self.engine.render(template, &about) {
            Ok(value) => limits::value(&value).map(|()| value),
            Err(Nothing::Unresolved) => Err("what it names is not there, or empty".to_owned()),
            Err(Nothing::Failed(why)) => Err(why),
        };
        let tag = |(key, template): &(String, String)| TagOutcome { key: key.clone(), value: value(template) };
        rule.spec.set.iter().map(tag).collect()
    }

    fn resources(
        &self,
        rule: &Rule,
        sight: &Sight<'_>,
        lanes: &[LaneFacts],
        told: &mut Vec<(String, Vec<String>)>,
    ) -> Result<Vec<Found>, Trouble> {
        let (event, shown) = (sight.event, &sight.shown);
        let error = |text: String| Trouble { code: "rule_error", text };
        let record = sight.record().ok_or_else(|| error("the record cannot be searched".into()))?;
        let mut all = Vec::new();
        let mut wrong = None;
        if let (Some(path), Some(ids)) = (&rule.path, &rule.spec.ids) {
            let found = path.ids(record).map_err(|why| error(format!("ids: {why}")))?;
            told.push((path.as_str().to_owned(), found.clone()));
            for id in found {
                all.push(self.own(rule, ids, &id, event, shown, lanes)?);
            }
        } else {
            let rows = self.known.iter().filter(|(row, _)| {
                row.source == event.cloud && row.service == event.service && row.event == event.name
            });
            for (row, path) in rows {
                let found = path.ids(record).map_err(|why| error(format!("ids: {why}")))?;
                told.push((path.as_str().to_owned(), found.clone()));
                for id in found {
                    match self.known_one(rule, row, &id, event, shown, lanes) {
                        Ok(found) => all.push(found),
                        // A lane may take one kind of an event's resources and no other.
                        Err(trouble) => wrong = Some(trouble),
                    }
                }
            }
        }
        match wrong {
            Some(trouble) if all.is_empty() => Err(trouble),
            _ if all.is_empty() => {
                let text = "the event names no resource where its ids should stand".to_owned();
                Err(Trouble { code: "no_ids", text })
            }
            _ => Ok(all),
        }
    }

    /// A resource of the rule's own `ids`.
    fn own(
        &self,
        rule: &Rule,
        ids: &super::rule::Ids,
        id: &str,
        event: &Event,
        shown: &Shown,
        lanes: &[LaneFacts],
    ) -> Result<Found, Trouble> {
        let about = context! { id => id, ..shown.clone() };
        let make = |field: &str, template: &Option<String>| match template {
            None => Ok(None),
            Some(template) => self.engine.render(template, &about).map(Some).map_err(|nothing| Trouble {
                code: "rule_error",
                text: match nothing {
                    Nothing::Unresolved => format!("ids.{field}: what it names is not there"),
                    Nothing::Failed(why) => format!("ids.{field}: {why}"),
                },
            }),
        };
        let (name, kind) = (make("id", &ids.id)?, make("type", &ids.kind)?);
        let provider = match &rule.spec.lane {
            LaneSpec::Find { provider: Some(provider), .. } => provider.as_str(),
            _ => "",
        };
        let (_, lane) = self.lane(rule, event, &about, lanes, [provider])?;
        let huawei = event.cloud == Source::Huawei;
        let project = event.project.as_deref().filter(|_| huawei).map(Arc::from);
        let resource = Resource { id: name.as_deref().unwrap_or(id).into(), kind: kind.map(Arc::from), project };
        checked(lane, resource)
    }

    /// A resource that the table knows.
    fn known_one(
        &self,
        rule: &Rule,
        row: &super::known::Known,
        id: &str,
        event: &Event,
        shown: &Shown,
        lanes: &[LaneFacts],
    ) -> Result<Found, Trouble> {
        let about = context! { id => id, ..shown.clone() };
        let providers = row.forms.iter().map(|form| form.provider);
        let (index, lane) = self.lane(rule, event, &about, lanes, providers)?;
        let form = row.forms.get(index).ok_or_else(|| Trouble {
            code: "no_lane",
            text: format!("lane {lane} is of a provider that tags no {}", row.kind),
        })?;
        let region = event.region.as_deref().unwrap_or_default();
        let name = form
            .id
            .replace("{partition}", partition(region))
            .replace("{region}", region)
            .replace("{account}", event.account.as_deref().unwrap_or_default())
            .replace("{id}", id);
        let project = event.project.as_deref().filter(|_| form.project).map(Arc::from);
        checked(lane, Resource { id: name.into(), kind: form.kind.map(Arc::from), project })
    }

    /// The lane of a rule for an event, and which of these providers it is of.
    fn lane<'l>(
        &self,
        rule: &Rule,
        event: &Event,
        about: &Shown,
        lanes: &'l [LaneFacts],
        providers: impl IntoIterator<Item = &'l str>,
    ) -> Result<(usize, LaneName), Trouble> {
        let no_lane = |text: String| Trouble { code: "no_lane", text };
        match &rule.spec.lane {
            LaneSpec::Named(template) => {
                let name = self.engine.render(template, about).map_err(|nothing| {
                    no_lane(match nothing {
                        Nothing::Unresolved => "lane: what it names is not there".into(),
                        Nothing::Failed(why) => format!("lane: {why}"),
                    })
                })?;
                let known = lanes.iter().find(|lane| lane.name.as_str() == name);
                let lane =
                    known.ok_or_else(|| no_lane("the config has no lane of the name that `lane` makes".into()))?;
                let index = providers.into_iter().position(|provider| provider == lane.provider || provider.is_empty());
                Ok((index.unwrap_or(usize::MAX), lane.name.clone()))
            }
            LaneSpec::Find { provider, account, region } => {
                let wanted =
                    Wanted { provider: provider.as_deref(), account: account.as_deref(), region: region.as_deref() };
                let (index, lane) = lanes::choose(lanes, event, &wanted, providers).map_err(no_lane)?;
                Ok((index, lane.name.clone()))
            }
        }
    }
}

type Tags = BTreeMap<String, String>;

/// Where a job comes from, in words. A custom event can have a name that is too long for it.
fn label(event: &Event) -> String {
    let label = format!("event:{}:{}", event.cloud, event.name);
    if limits::label("the source", &label).is_ok() { label } else { format!("event:{}", event.cloud) }
}

fn checked(lane: LaneName, resource: Resource) -> Result<Found, Trouble> {
    let word = |what: &str, word: &Option<Arc<str>>| {
        word.as_ref().map_or(Ok(()), |word| limits::word(what, word, limits::WORD_CHARS))
    };
    limits::id(&resource.id)
        .and_then(|()| word("the type", &resource.kind))
        .and_then(|()| word("the project", &resource.project))
        .map_err(|text| Trouble { code: "no_ids", text })?;
    Ok(Found { lane, resource })
}

/// The partition of an AWS region.
fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

/// Longest text of a record that templates see, in bytes; a tag's value has 256 characters. Each word of a template can
/// go through the whole of a text, for each tag of each resource.
const SEEN: usize = 2_048;

/// A record without its long texts: to a template they are not there.
fn without_long_texts(record: &Value) -> Cow<'_, Value> {
    fn is_long(value: &Value) -> bool {
        match value {
            Value::String(text) => text.len() > SEEN,
            Value::Array(all) => all.iter().any(is_long),
            Value::Object(fields) => fields.iter().any(|(key, value)| key.len() > SEEN || is_long(value)),
            _ => false,
        }
    }
    fn cut(value: &mut Value) {
        match value {
            Value::Array(all) => {
                for one in all {
                    if one.as_str().is_some_and(|text| text.len() > SEEN) {
                        *one = Value::Null;
                    }
                    cut(one);
                }
            }
            Value::Object(fields) => {
                let is_short = |text: &str| text.len() <= SEEN;
                fields.retain(|key, value| is_short(key) && value.as_str().is_none_or(is_short));
                fields.values_mut().for_each(cut);
            }
            _ => {}
        }
    }
    if !is_long(record) {
        return Cow::Borrowed(record);
    }
    let mut record = record.clone();
    cut(&mut record);
    if is_long(&record) { Cow::Owned(Value::Null) } else { Cow::Owned(record) }
}

/// What templates and conditions see of an event.
fn shown(event: &Event) -> Shown {
    context! {
        event => Shown::from(Serde(&*without_long_texts(&event.record))),
        cloud => event.cloud.as_str(),
        source => event.source.as_str(),
        service => event.service.as_str(),
        name => event.name.as_str(),
        time => event.time.map(|time| time.to_string()),
        account => event.account.as_deref(),
        region => event.region.as_deref(),
        project => event.project.as_deref(),
        creator => event.creator.as_deref(),
    }
}
