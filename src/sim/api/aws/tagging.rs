//! The Resource Groups Tagging API: TagResources and UntagResources, whose 200 lists what failed.

use super::{
    super::{
        super::{cloud::Cloud, reply::Reply, request::Request},
        Command, Op, Refusal, Target,
    },
    rules,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashSet};

const PREFIX: &str = "ResourceGroupsTaggingAPI_20170126.";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(rename = "ResourceARNList", default)]
    arns: Vec<String>,
    #[serde(rename = "Tags")]
    tags: Option<BTreeMap<String, String>>,
    #[serde(rename = "TagKeys")]
    keys: Option<Vec<String>>,
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::rejected(400, "InvalidParameterException", message)
}

pub(super) fn command(request: &Request, region: &str, cloud: &Cloud) -> Result<Command, Refusal> {
    let action = request.header("x-amz-target").unwrap_or_default().strip_prefix(PREFIX).unwrap_or_default();
    if !matches!(action, "TagResources" | "UntagResources") {
        return Err(Refusal::rejected(400, "UnknownOperationException", "The operation is not known."));
    }
    if request.header("content-type") != Some("application/x-amz-json-1.1") {
        return Err(Refusal::rejected(400, "SerializationException", "The content type is not JSON 1.1."));
    }
    if cloud.config.region.as_deref().is_some_and(|served| served != region) {
        return Err(Refusal::auth(400, "InvalidSignatureException", "Credential should be scoped to a valid region."));
    }
    let body: Body = serde_json::from_slice(&request.body)
        .map_err(|error| Refusal::rejected(400, "SerializationException", error.to_string()))?;
    if !(1..=20).contains(&body.arns.len()) {
        return Err(invalid("ResourceARNList must have 1 to 20 members."));
    }
    let mut seen = HashSet::new();
    let mut resources: Vec<Target> = Vec::with_capacity(body.arns.len());
    for arn in &body.arns {
        // One that is none fails the whole call.
        let target = rules::target(arn, Some(region), cloud).ok_or_else(|| invalid(format!("{arn} is not valid.")))?;
        if !seen.insert(target.key.clone()) {
            return Err(invalid(format!("{arn} is listed twice.")));
        }
        resources.push(target);
    }
    let op = match (action, body.tags, body.keys) {
        ("TagResources", Some(tags), None) if (1..=50).contains(&tags.len()) => {
            let tags: Vec<(String, String)> = tags.into_iter().collect();
            rules::tags(&tags, false, false).map_err(|wrong| invalid(format!("A tag is not valid: {wrong:?}")))?;
            Op::Set(tags)
        }
        ("UntagResources", None, Some(keys)) if (1..=50).contains(&keys.len()) => {
            let good = keys.iter().all(|key| rules::key(key, false, false).is_ok());
            if !good {
                return Err(invalid("A tag key is not valid."));
            }
            Op::Unset(keys)
        }
        _ => return Err(invalid("Tags or TagKeys must have 1 to 50 members.")),
    };
    Ok(Command { resources, op })
}

pub(super) fn done(failed: &[(&Target, Refusal)], id: &str) -> Reply {
    let failed: Map<String, Value> = failed
        .iter()
        .map(|(target, why)| {
            let entry = json!({"StatusCode": why.status, "ErrorCode": why.code, "ErrorMessage": why.message});
            (target.label.clone(), entry)
        })
        .collect();
    let body = json!({"FailedResourcesMap": failed}).to_string();
    Reply::new(200, "application/x-amz-json-1.1", body).with("x-amzn-requestid", id)
}
