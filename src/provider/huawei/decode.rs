//! What a TMS reply says of each resource.

use super::classify;
use crate::provider::{
    Answer, Call, Fate, HttpReply,
    classify::{truncated, unmatched},
};
use serde_json::Value;

/// Reads a reply. A success lists only what failed, so an unmentioned resource is tagged, but only when the body is
/// whole: cut short, empty, or of another shape it proves nothing.
pub(super) fn decode(call: &Call, reply: &HttpReply) -> Answer {
    if !reply.is_success() {
        return Answer::Failure(classify::whole(reply, &call.tags));
    }
    let request_id = reply.header("x-request-id");
    let body: Option<Value> = serde_json::from_slice(&reply.body).ok();
    let Some(Value::Object(map)) = &body else {
        return Answer::Failure(truncated(reply, request_id));
    };
    if ["error", "error_code", "errorCode"].iter().any(|name| map.get(*name).is_some_and(|value| !value.is_null())) {
        return Answer::Failure(classify::from_body(reply, body.as_ref(), &call.tags));
    }
    match map.get("failed_resources") {
        None | Some(Value::Null) => Answer::Finished(vec![Fate::Tagged; call.resources.len()]),
        Some(Value::Array(failed)) => Answer::Finished(fates(call, reply, request_id, failed)),
        Some(_) => Answer::Failure(truncated(reply, request_id)),
    }
}

fn fates(call: &Call, reply: &HttpReply, request_id: Option<&str>, failed: &[Value]) -> Vec<Fate> {
    let mut fates = vec![Fate::Tagged; call.resources.len()];
    let mut stranger = false;
    for entry in failed {
        let field = |name: &str| entry.get(name).and_then(Value::as_str);
        let hits = named(call, field("resource_id"), field("resource_type"));
        stranger |= hits.is_empty();
        let message = field("error_msg").unwrap_or_default();
        let failure = classify::item(field("error_code"), message, request_id, reply, &call.tags);
        for index in hits {
            if let Some(fate @ Fate::Tagged) = fates.get_mut(index) {
                *fate = Fate::Failed(failure.clone());
            }
        }
    }
    if stranger {
        // A failure that fits nothing we sent may mean any of the others.
        for fate in fates.iter_mut().filter(|fate| **fate == Fate::Tagged) {
            *fate = Fate::Failed(unmatched(request_id));
        }
    }
    fates
}

/// The resources an entry means: those of its type and id. Where that fits none, every resource of its id: the API
/// page itself writes `vpc` in one place and `vpcs` in another.
fn named(call: &Call, id: Option<&str>, kind: Option<&str>) -> Vec<usize> {
    let Some(id) = id else { return Vec::new() };
    let of_id = || call.resources.iter().enumerate().filter(move |(_, resource)| &*resource.id == id);
    let exact: Vec<usize> =
        of_id().filter(|(_, resource)| resource.kind.as_deref() == kind).map(|(index, _)| index).collect();
    if exact.is_empty() { of_id().map(|(index, _)| index).collect() } else { exact }
}
