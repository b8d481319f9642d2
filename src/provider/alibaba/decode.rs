//! What a reply says of each resource.

use super::api::{Address, Api};
use super::arn::Arn;
use super::classify;
use crate::provider::{
    Answer, Call, Fate, HttpReply,
    classify::{truncated, unmatched},
};
use serde_json::{Map, Value};

/// Reads a reply. Success is a 2xx with a JSON object that has a request id and no code; anything less proves nothing.
///
/// RDS and ECS answer for the whole call; the Tag service lists what failed and is silent about the rest.
pub(super) fn decode(api: &Api, call: &Call, reply: &HttpReply) -> Answer {
    if !reply.is_success() {
        return Answer::Failure(classify::whole(reply, &call.tags));
    }
    let Ok(Value::Object(map)) = serde_json::from_slice::<Value>(&reply.body) else {
        return Answer::Failure(truncated(reply, reply.header("x-acs-request-id")));
    };
    let told = classify::read(&map);
    if either(&map, ["Code", "code"]).is_some_and(|code| !code.is_null()) {
        return Answer::Failure(classify::from_told(reply, told, &call.tags));
    }
    let Some(request_id) = told.request_id.as_deref() else {
        return Answer::Failure(truncated(reply, reply.header("x-acs-request-id")));
    };
    let failed = match &api.address {
        Address::Id { .. } => Some(Vec::new()),
        Address::Arn => failed_list(either(&map, ["FailedResources", "failedResources"])),
    };
    match failed {
        Some(failed) => Answer::Finished(fates(call, reply, request_id, &failed)),
        None => Answer::Failure(truncated(reply, Some(request_id))),
    }
}

fn either<'a>(map: &'a Map<String, Value>, names: [&str; 2]) -> Option<&'a Value> {
    names.iter().find_map(|name| map.get(*name))
}

/// The entries of `{"FailedResources":{"FailedResource":[..]}}`. Every layer may be missing, null or empty, and the
/// inner list may stand by itself or be a single object. None for a shape that is none of these.
fn failed_list(outer: Option<&Value>) -> Option<Vec<&Value>> {
    match outer {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(list)) => Some(list.iter().collect()),
        Some(Value::Object(map)) => match either(map, ["FailedResource", "failedResource"]) {
            // An entry without its wrapper, and an object we cannot read: neither is "nothing failed".
            None if either(map, ["ResourceARN", "resourceARN"]).is_some() => outer.map(|entry| vec![entry]),
            None if map.is_empty() => Some(Vec::new()),
            Some(Value::Null) => Some(Vec::new()),
            Some(Value::Array(list)) => Some(list.iter().collect()),
            Some(entry @ Value::Object(_)) => Some(vec![entry]),
            None | Some(_) => None,
        },
        Some(_) => None,
    }
}

fn fates(call: &Call, reply: &HttpReply, request_id: &str, failed: &[&Value]) -> Vec<Fate> {
    let mut fates = vec![Fate::Tagged; call.resources.len()];
    let mut stranger = false;
    for entry in failed {
        let map = entry.as_object();
        let field = |names: [&str; 2]| map.and_then(|map| either(map, names));
        let hits = named(call, field(["ResourceARN", "resourceARN"]).and_then(Value::as_str));
        stranger |= hits.is_empty();
        let failure = classify::item(field(["Result", "result"]), Some(request_id), reply, &call.tags);
        for index in hits {
            if let Some(fate @ Fate::Tagged) = fates.get_mut(index) {
                *fate = Fate::Failed(failure.clone());
            }
        }
    }
    if stranger {
        // A failure that fits nothing we sent may mean any of the others.
        for fate in fates.iter_mut().filter(|fate| **fate == Fate::Tagged) {
            *fate = Fate::Failed(unmatched(Some(request_id)));
        }
    }
    fates
}

/// The resources an entry means: the same text, else every ARN that a `*` makes equal.
fn named(call: &Call, arn: Option<&str>) -> Vec<usize> {
    let Some(arn) = arn else { return Vec::new() };
    let all = || call.resources.iter().enumerate();
    let exact: Vec<usize> = all().filter(|(_, resource)| &*resource.id == arn).map(|(index, _)| index).collect();
    let Ok(reported) = Arn::parse(arn) else { return exact };
    if !exact.is_empty() {
        return exact;
    }
    all()
        .filter(|(_, resource)| Arn::parse(&resource.id).is_ok_and(|sent| sent.meets(&reported)))
        .map(|(index, _)| index)
        .collect()
}
