//! AWS Backup: TagResource, UntagResource and ListTags, whose ARN is one label of the path.

use super::{
    super::{
        super::{cloud::Cloud, percent, reply::Reply, request::Request},
        Command, Op, Refusal,
    },
    rules,
};
use hyper::Method;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TagBody {
    #[serde(rename = "Tags")]
    tags: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UntagBody {
    #[serde(rename = "TagKeyList")]
    keys: Option<Vec<String>>,
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::rejected(400, "InvalidParameterValueException", message)
}

fn missing(what: &str) -> Refusal {
    Refusal::rejected(400, "MissingParameterValueException", format!("{what} is missing."))
}

fn unreadable(error: &serde_json::Error) -> Refusal {
    Refusal::rejected(400, "SerializationException", error.to_string())
}

pub(super) fn command(request: &Request, cloud: &Cloud) -> Result<Command, Refusal> {
    let unknown = || Refusal::rejected(404, "UnknownOperationException", "There is no such operation.");
    let mut labels = request.path.split('/').skip(1);
    let (verb, label, rest) = (labels.next().unwrap_or_default(), labels.next(), labels.collect::<Vec<_>>());
    let arn = percent::decode(label.ok_or_else(unknown)?, false);
    let op = match (&request.method, verb, rest.as_slice()) {
        (&Method::POST, "tags", []) => {
            let body: TagBody = serde_json::from_slice(&request.body).map_err(|error| unreadable(&error))?;
            let tags: Vec<(String, String)> = body.tags.ok_or_else(|| missing("Tags"))?.into_iter().collect();
            rules::tags(&tags, false, false).map_err(|wrong| invalid(format!("A tag is not valid: {wrong:?}")))?;
            Op::Set(tags)
        }
        (&Method::POST, "untag", []) => {
            let body: UntagBody = serde_json::from_slice(&request.body).map_err(|error| unreadable(&error))?;
            Op::Unset(body.keys.ok_or_else(|| missing("TagKeyList"))?)
        }
        // The path of ListTags ends in a slash.
        (&Method::GET, "tags", [""]) => Op::Read,
        _ => return Err(unknown()),
    };
    if !arn.contains("backup") {
        return Err(invalid("The ARN is not one of AWS Backup."));
    }
    let target = rules::target(&arn, None, cloud).ok_or_else(|| invalid("The ARN is not valid."))?;
    Ok(Command { resources: vec![target], op })
}

/// Writes have an empty body.
pub(super) fn done(command: &Command, found: &[(String, String)], id: &str) -> Reply {
    let reply = if matches!(command.op, Op::Read) {
        let tags: BTreeMap<&str, &str> = found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        Reply::json(200, &json!({"Tags": tags}))
    } else {
        Reply::new(200, "application/json", "")
    };
    reply.with("x-amzn-requestid", id)
}
