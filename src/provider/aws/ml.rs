//! `aws-ml`: AddTags and DeleteTags of Amazon Machine Learning, a service that takes no new users.

use super::{
    AUTH,
    classify::{self, Verdict},
    json,
    place::Place,
    rules::{self, Characters},
    sign::Scope,
};
use crate::{
    job::{Job, Resource},
    provider::{
        About, Answer, Blame, Call, Checked, Credential, Entry, Fate, HttpReply, HttpRequest, Kind, Limits, Memo,
        Moment, Op, Provider, Settings, Silence, Write, classify::truncated,
    },
};
use serde::Serialize;
use serde_json::Value;

/// The name in the config.
pub const NAME: &str = "aws-ml";

/// Calls a second to start with. Nothing is published.
pub const RATE: f64 = 2.0;

/// The regions it exists in (endpoint table of the vendor's SDK).
const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];

/// ResourceType, in its own case (model 2014-12-12).
const KINDS: [&str; 4] = ["BatchPrediction", "DataSource", "Evaluation", "MLModel"];

/// Model 2014-12-12.
const LIMITS: Limits = Limits {
    resources_per_call: 1,
    // What the list may hold. An object holds 10, and only the service knows how many it has: more than fit are
    // refused whole, and then job by job.
    tags_per_call: 100,
    keys_per_call: 100,
    // API page of AddTags.
    tags_per_resource: 10,
    key_chars: rules::KEY_CHARS,
    value_chars: rules::VALUE_CHARS,
    // "If you add a tag using a key that is already associated, AddTags updates the tag's value."
    write: Write::Merge,
    silence: Silence::AllOrNothing,
};

/// Its row in the list of providers.
pub const ENTRY: Entry = Entry {
    name: NAME,
    build,
    default_rate: RATE,
    regional: true,
    limits: &LIMITS,
    about: About {
        api: "Machine Learning 2014-12-12, AddTags and DeleteTags",
        auth: AUTH,
        rate_source: "nothing is published",
    },
};

/// The API for one lane.
#[derive(Debug)]
struct MachineLearning {
    place: Place,
    limits: Limits,
}

/// Makes the provider of a lane. The error lists every wrong setting, each with its field's name.
pub fn build(settings: &Settings) -> Result<Box<dyn Provider>, String> {
    let place = Place::of(settings).and_then(|place| {
        if place.endpoint.is_none() && !REGIONS.contains(&place.region.as_str()) {
            return Err(format!("region: Machine Learning exists in {} only", REGIONS.join(" and ")));
        }
        Ok(place)
    });
    match (place, LIMITS.lowered(settings)) {
        (Ok(place), Ok(limits)) => Ok(Box::new(MachineLearning { place, limits })),
        (place, limits) => Err([place.err(), limits.err()].into_iter().flatten().collect::<Vec<_>>().join("; ")),
    }
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "ResourceId")]
    id: &'a str,
    #[serde(rename = "ResourceType")]
    kind: &'a str,
    /// A list, although the sample of the API page shows an object.
    #[serde(rename = "Tags", skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<Tag<'a>>>,
    #[serde(rename = "TagKeys", skip_serializing_if = "Option::is_none")]
    keys: Option<Vec<&'a str>>,
}

#[derive(Serialize)]
struct Tag<'a> {
    #[serde(rename = "Key")]
    key: &'a str,
    #[serde(rename = "Value")]
    value: &'a str,
}

fn resource_problems(resource: &Resource) -> Vec<String> {
    let mut found = Vec::new();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if !(1..=64).contains(&resource.id.len()) || !resource.id.bytes().all(plain) {
        found.push("id: an id of Machine Learning has 1 to 64 characters of a-z A-Z 0-9 _ . -".into());
    }
    let known = KINDS.join(", ");
    match resource.kind.as_deref().filter(|kind| !kind.is_empty()) {
        None => found.push(format!("type: missing; one of {known}")),
        Some(kind) if !KINDS.contains(&kind) => found.push(format!("type: {kind} is not one of {known}")),
        Some(_) => {}
    }
    found
}

impl Provider for MachineLearning {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn check(&self, job: &Job) -> Checked {
        let resources = job.resources.iter().enumerate();
        let resources = resources
            .flat_map(|(index, resource)| resource_problems(resource).into_iter().map(move |problem| (index, problem)));
        Checked { job: rules::check(job, Characters::Plain), resources: resources.collect() }
    }

    /// An id is unique only within its type. The separator cannot be typed.
    fn resource_key(&self, resource: &Resource) -> String {
        format!("{}\u{1f}{}", resource.kind.as_deref().unwrap_or_default(), resource.id)
    }

    fn share_key(&self, _: &Resource) -> String {
        String::new()
    }

    fn encode(&self, call: &Call, _: Option<&Memo>, credential: &Credential, at: &Moment) -> HttpRequest {
        let scope = Scope { service: "machinelearning", region: &self.place.region };
        let url = format!("{}/", self.place.base("machinelearning"));
        let resource = call.resources.first();
        let id = resource.map_or("", |resource| &*resource.id);
        let kind = resource.and_then(|resource| resource.kind.as_deref()).unwrap_or_default();
        match call.op {
            Op::Set => {
                let tags = Some(call.tags.iter().map(|(key, value)| Tag { key, value }).collect());
                let target = Some("AmazonML_20141212.AddTags");
                json::post(scope, url, target, &Body { id, kind, tags, keys: None }, credential, at)
            }
            Op::Unset => {
                let keys = Some(call.tags.iter().map(|(key, _)| &**key).collect());
                let target = Some("AmazonML_20141212.DeleteTags");
                json::post(scope, url, target, &Body { id, kind, tags: None, keys }, credential, at)
            }
        }
    }

    fn decode(&self, call: &Call, _: Option<&Memo>, reply: &HttpReply) -> Answer {
        decode(call, reply)
    }
}

/// A success echoes the resource.
fn decode(call: &Call, reply: &HttpReply) -> Answer {
    if !reply.is_success() {
        return Answer::Failure(classify::whole(reply, &call.tags, own));
    }
    let told = classify::told(reply);
    if told.code.is_some() {
        return Answer::Failure(classify::from_told(reply, &told, &call.tags, own));
    }
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let echoed = body.get("ResourceId").and_then(Value::as_str);
    match call.resources.first() {
        Some(resource) if echoed == Some(&*resource.id) => Answer::Finished(vec![Fate::Tagged; call.resources.len()]),
        _ => Answer::Failure(truncated(reply, classify::request_id(reply))),
    }
}

/// The modelled errors: each is about the one object of the call.
fn own(code: &str) -> Option<Verdict> {
    matches!(
        code,
        "InvalidInputException" | "InvalidTagException" | "TagLimitExceededException" | "ResourceNotFoundException"
    )
    .then_some((Kind::Rejected, Blame::Unnamed))
}
