//! `aws-tagging`: the Resource Groups Tagging API, TagResources and UntagResources over almost any ARN.

use super::{
    AUTH,
    classify::{self, Tags, Verdict},
    json,
    place::Place,
    rules::{self, Characters},
    sign::Scope,
};
use crate::{
    job::{Job, Resource},
    provider::{
        About, Answer, Blame, Call, Checked, Credential, Entry, Failure, Fate, HttpReply, HttpRequest, Kind, Limits,
        Memo, Missing, Moment, Op, Provider, Settings, Silence, Write,
        classify::{Told, by_status, failure, truncated, unmatched},
    },
};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The name in the config.
pub const NAME: &str = "aws-tagging";

/// Calls a second to start with: AWS allows 5 per account and region (Tag Editor user guide, "Service quotas").
pub const RATE: f64 = 4.0;

/// Model 2017-01-26.
const LIMITS: Limits = Limits {
    // ResourceARNList 1 to 20, Tags 1 to 50, TagKeys 1 to 50.
    resources_per_call: 20,
    tags_per_call: 50,
    keys_per_call: 50,
    tags_per_resource: rules::TAGS_PER_RESOURCE,
    key_chars: rules::KEY_CHARS,
    value_chars: rules::VALUE_CHARS,
    // "To add tags": a key that is there is overwritten, others stay.
    write: Write::Merge,
    // FailedResourcesMap: "if the request was successful for a resource, it is not in the map".
    silence: Silence::Success,
};

/// The longest ARN (same model; older editions of the page say 1600).
const ARN_CHARS: usize = 1011;

/// Neither "no answer from the service that owns the resource" nor "a type this API cannot tag" is told apart from the
/// other, so it is tried this often.
const INTERNAL_ATTEMPTS: u32 = 3;

/// Its row in the list of providers.
pub const ENTRY: Entry = Entry {
    name: NAME,
    build,
    default_rate: RATE,
    regional: true,
    limits: &LIMITS,
    about: About {
        api: "Resource Groups Tagging API 2017-01-26, TagResources and UntagResources",
        auth: AUTH,
        rate_source: "the Tag Editor user guide allows 5 a second per account and region",
    },
};

/// The API for one lane.
#[derive(Debug)]
struct Tagging {
    place: Place,
    limits: Limits,
    allow_stacks: bool,
}

/// Makes the provider of a lane. The error lists every wrong setting, each with its field's name.
pub fn build(settings: &Settings) -> Result<Box<dyn Provider>, String> {
    match (Place::of(settings), LIMITS.lowered(settings)) {
        (Ok(place), Ok(limits)) => {
            Ok(Box::new(Tagging { place, limits, allow_stacks: settings.allow_cloudformation_stacks }))
        }
        (place, limits) => Err([place.err(), limits.err()].into_iter().flatten().collect::<Vec<_>>().join("; ")),
    }
}

#[derive(Serialize)]
struct TagBody<'a> {
    #[serde(rename = "ResourceARNList")]
    arns: Vec<&'a str>,
    #[serde(rename = "Tags")]
    tags: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct UntagBody<'a> {
    #[serde(rename = "ResourceARNList")]
    arns: Vec<&'a str>,
    #[serde(rename = "TagKeys")]
    keys: Vec<&'a str>,
}

impl Tagging {
    fn resource_problem(&self, id: &str) -> Option<String> {
        let chars = id.chars().count();
        if chars > ARN_CHARS {
            return Some(format!("id: the ARN has {chars} characters, this API takes {ARN_CHARS}"));
        }
        match self.place.arn(id) {
            Err(problem) => Some(problem),
            Ok(arn) if arn.is_stack() && !self.allow_stacks => Some(
                "id: tagging a CloudFormation stack starts an update of it; allow_cloudformation_stacks: true allows it"
                    .into(),
            ),
            Ok(_) => None,
        }
    }
}

impl Provider for Tagging {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    /// ARNs are proven here: one that is none fails the other 19 of its call.
    fn check(&self, job: &Job) -> Checked {
        let resources = job.resources.iter().enumerate();
        let resources = resources.filter_map(|(index, resource)| Some((index, self.resource_problem(&resource.id)?)));
        Checked { job: rules::check(job, Characters::Any), resources: resources.collect() }
    }

    fn resource_key(&self, resource: &Resource) -> String {
        resource.id.to_string()
    }

    /// ARNs of any service go together.
    fn share_key(&self, _: &Resource) -> String {
        String::new()
    }

    fn encode(&self, call: &Call, _: Option<&Memo>, credential: &Credential, at: &Moment) -> HttpRequest {
        let scope = Scope { service: "tagging", region: &self.place.region };
        let url = format!("{}/", self.place.base("tagging"));
        let arns = call.resources.iter().map(|resource| &*resource.id).collect();
        match call.op {
            Op::Set => {
                let tags = call.tags.iter().map(|(key, value)| (&**key, &**value)).collect();
                let target = Some("ResourceGroupsTaggingAPI_20170126.TagResources");
                json::post(scope, url, target, &TagBody { arns, tags }, credential, at)
            }
            Op::Unset => {
                let keys = call.tags.iter().map(|(key, _)| &**key).collect();
                let target = Some("ResourceGroupsTaggingAPI_20170126.UntagResources");
                json::post(scope, url, target, &UntagBody { arns, keys }, credential, at)
            }
        }
    }

    fn decode(&self, call: &Call, _: Option<&Memo>, reply: &HttpReply) -> Answer {
        decode(call, reply)
    }
}

/// A success lists what failed, so an ARN that is not in the map is tagged; but only when the body is whole.
fn decode(call: &Call, reply: &HttpReply) -> Answer {
    if !reply.is_success() {
        return Answer::Failure(classify::whole(reply, &call.tags, own));
    }
    let request_id = classify::request_id(reply);
    let Ok(Value::Object(map)) = serde_json::from_slice::<Value>(&reply.body) else {
        return Answer::Failure(truncated(reply, request_id));
    };
    let told = classify::told(reply);
    if told.code.is_some() {
        return Answer::Failure(classify::from_told(reply, &told, &call.tags, own));
    }
    let failed = match map.get("FailedResourcesMap") {
        None | Some(Value::Null) => return Answer::Finished(vec![Fate::Tagged; call.resources.len()]),
        Some(Value::Object(failed)) => failed,
        Some(_) => return Answer::Failure(truncated(reply, request_id)),
    };
    let fate = |resource: &Resource| match failed.get(&*resource.id) {
        Some(info) => Fate::Failed(item(info, reply, &call.tags)),
        None => Fate::Tagged,
    };
    let mut fates: Vec<Fate> = call.resources.iter().map(fate).collect();
    if failed.keys().any(|arn| !call.resources.iter().any(|resource| *resource.id == **arn)) {
        // A failure that fits nothing we sent may mean any of the others.
        for fate in fates.iter_mut().filter(|fate| **fate == Fate::Tagged) {
            *fate = Fate::Failed(unmatched(request_id));
        }
    }
    Answer::Finished(fates)
}

/// This API's own words for a whole call: something in it is no ARN, or a size is wrong.
fn own(code: &str) -> Option<Verdict> {
    (code == "InvalidParameterException").then_some((Kind::Rejected, Blame::Unnamed))
}

/// The failure of one ARN: `{"StatusCode":400,"ErrorCode":"..","ErrorMessage":".."}`. Any code of the service that owns
/// the resource can stand there.
fn item(info: &Value, reply: &HttpReply, tags: &Tags) -> Failure {
    let text = |name: &str| info.get(name).and_then(Value::as_str);
    let code = text("ErrorCode").filter(|code| Told::is_code(code));
    let told = Told {
        code: code.map(str::to_owned),
        message: text("ErrorMessage").unwrap_or_default().to_owned(),
        request_id: classify::request_id(reply).map(str::to_owned),
    };
    let status = info.get("StatusCode").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
    let verdict = triage(code.unwrap_or_default(), status);
    let mut failure = failure(verdict, &told, reply, tags);
    if code.is_none() {
        failure.code = "unknown".into();
    }
    if code == Some("InternalServiceException") {
        failure.attempts_at_most = Some(INTERNAL_ATTEMPTS);
    }
    if failure.kind == Kind::Rejected {
        failure.missing = missing(code.unwrap_or_default());
    }
    // The wait in the header is the whole call's, and the call succeeded.
    failure.retry_after = None;
    failure
}

/// What an owning service's code says of a resource that does not exist. `InvalidParameterException` stands for that too
/// ("the target ID is invalid, unsupported, or doesn't exist"), next to other faults of an ARN or a tag.
fn missing(code: &str) -> Missing {
    match code {
        "InvalidParameterException" => Missing::Perhaps,
        code if names_what_is_missing(code) => Missing::Yes,
        _ => Missing::No,
    }
}

/// `DBInstanceNotFound`, `InvalidVolume.NotFound`, `QueueDoesNotExist`: every service has its own.
fn names_what_is_missing(code: &str) -> bool {
    ["NotFound", "DoesNotExist", "NoSuchBucket"].iter().any(|word| code.contains(word))
}

/// What an entry of the map means: by its code, then by its status.
fn triage(code: &str, status: Option<u16>) -> Verdict {
    let rejected = (Kind::Rejected, Blame::Unnamed);
    match code {
        "InternalServiceException" => (Kind::Transient, Blame::Unnamed),
        // Of the owning service this may be a full quota as well as a rate, so its status decides below.
        code if code != "LimitExceededException" && classify::is_throttle(code) => (Kind::Throttled, Blame::Unnamed),
        "AccessDeniedException" | "UnauthorizedOperation" | "AccessDenied" => (Kind::Denied, Blame::Unnamed),
        "InvalidParameterException" => rejected,
        code if names_what_is_missing(code) => rejected,
        _ => match status {
            Some(429) => (Kind::Throttled, Blame::Unnamed),
            Some(500..600) => (Kind::Transient, Blame::Unnamed),
            Some(status) if by_status(status) == Kind::Transient => (Kind::Transient, Blame::Unnamed),
            _ => rejected,
        },
    }
}
