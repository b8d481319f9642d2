//! `aws-backup`: TagResource and UntagResource of AWS Backup, one ARN a call.

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
        Moment, Op, Provider, Settings, Silence, Write, classify::truncated, signing::percent,
    },
};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The name in the config.
pub const NAME: &str = "aws-backup";

/// Calls a second to start with. "AWS Backup endpoints and quotas" has a table by API, the row of TagResource was not
/// to be had.
pub const RATE: f64 = 5.0;

/// Model 2018-11-15.
const LIMITS: Limits = Limits {
    resources_per_call: 1,
    // The model has no limit; more than a resource holds can never work.
    tags_per_call: 50,
    keys_per_call: 50,
    tags_per_resource: rules::TAGS_PER_RESOURCE,
    key_chars: rules::KEY_CHARS,
    value_chars: rules::VALUE_CHARS,
    // Seen with two emulators: keys that are there are overwritten, others stay.
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
        api: "AWS Backup 2018-11-15, TagResource and UntagResource",
        auth: AUTH,
        rate_source: "a table of quotas by API exists, the row of this one was not to be had",
    },
};

/// The API for one lane.
#[derive(Debug)]
struct Backup {
    place: Place,
    limits: Limits,
}

/// Makes the provider of a lane. The error lists every wrong setting, each with its field's name.
pub fn build(settings: &Settings) -> Result<Box<dyn Provider>, String> {
    match (Place::of(settings), LIMITS.lowered(settings)) {
        (Ok(place), Ok(limits)) => Ok(Box::new(Backup { place, limits })),
        (place, limits) => Err([place.err(), limits.err()].into_iter().flatten().collect::<Vec<_>>().join("; ")),
    }
}

/// A map, although the text of the API page shows a list.
#[derive(Serialize)]
struct TagBody<'a> {
    #[serde(rename = "Tags")]
    tags: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct UntagBody<'a> {
    #[serde(rename = "TagKeyList")]
    keys: Vec<&'a str>,
}

impl Provider for Backup {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn check(&self, job: &Job) -> Checked {
        let mut found = Checked { job: rules::check(job, Characters::Any), resources: Vec::new() };
        for (index, resource) in job.resources.iter().enumerate() {
            match self.place.arn(&resource.id) {
                Err(problem) => found.resources.push((index, problem)),
                // Recovery points of some types keep the ARN of the service they came from.
                Ok(arn) if !resource.id.contains("backup") => {
                    let service = arn.service;
                    let text =
                        format!("id: AWS Backup tags only its own ARNs, this one is of {service}; use aws-tagging");
                    found.resources.push((index, text));
                }
                Ok(_) => {}
            }
        }
        found
    }

    fn resource_key(&self, resource: &Resource) -> String {
        resource.id.to_string()
    }

    fn share_key(&self, _: &Resource) -> String {
        String::new()
    }

    /// The ARN is one label of the path, so its colons and slashes are encoded; the signature encodes them again.
    fn encode(&self, call: &Call, _: Option<&Memo>, credential: &Credential, at: &Moment) -> HttpRequest {
        let scope = Scope { service: "backup", region: &self.place.region };
        let arn = call.resources.first().map(|resource| percent(&resource.id)).unwrap_or_default();
        let base = self.place.base("backup");
        match call.op {
            Op::Set => {
                let tags = call.tags.iter().map(|(key, value)| (&**key, &**value)).collect();
                json::post(scope, format!("{base}/tags/{arn}"), None, &TagBody { tags }, credential, at)
            }
            Op::Unset => {
                let keys = call.tags.iter().map(|(key, _)| &**key).collect();
                json::post(scope, format!("{base}/untag/{arn}"), None, &UntagBody { keys }, credential, at)
            }
        }
    }

    fn decode(&self, call: &Call, _: Option<&Memo>, reply: &HttpReply) -> Answer {
        decode(call, reply)
    }
}

/// A success has an empty body (`{}` from an emulator). Anything else is not what this API sends.
fn decode(call: &Call, reply: &HttpReply) -> Answer {
    if !reply.is_success() {
        return Answer::Failure(classify::whole(reply, &call.tags, own));
    }
    let told = classify::told(reply);
    if told.code.is_some() {
        return Answer::Failure(classify::from_told(reply, &told, &call.tags, own));
    }
    let empty = reply.body.iter().all(u8::is_ascii_whitespace);
    if empty || matches!(serde_json::from_slice::<Value>(&reply.body), Ok(Value::Object(_))) {
        Answer::Finished(vec![Fate::Tagged; call.resources.len()])
    } else {
        Answer::Failure(truncated(reply, classify::request_id(reply)))
    }
}

/// The modelled errors. One code stands for a wrong ARN and a wrong tag: there is one resource, so it is that one's.
fn own(code: &str) -> Option<Verdict> {
    Some(match code {
        // The last one: its tags are full. Elsewhere in AWS that code is a throttle.
        "ResourceNotFoundException" | "InvalidParameterValueException" | "LimitExceededException" => {
            (Kind::Rejected, Blame::Unnamed)
        }
        "MissingParameterValueException" => (Kind::Rejected, Blame::Request),
        _ => return None,
    })
}
