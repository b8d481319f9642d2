//! Amazon Machine Learning: AddTags, DeleteTags and DescribeTags.

use super::{
    super::{
        super::{reply::Reply, request::Request},
        Command, Op, Refusal, Target,
    },
    rules,
};
use serde::Deserialize;
use serde_json::json;

const PREFIX: &str = "AmazonML_20141212.";
const KINDS: [&str; 4] = ["BatchPrediction", "DataSource", "Evaluation", "MLModel"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(rename = "ResourceId", default)]
    id: String,
    #[serde(rename = "ResourceType", default)]
    kind: String,
    #[serde(rename = "Tags")]
    tags: Option<Vec<Tag>>,
    #[serde(rename = "TagKeys")]
    keys: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tag {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "Value", default)]
    value: Option<String>,
}

fn input(message: impl Into<String>) -> Refusal {
    Refusal::rejected(400, "InvalidInputException", message)
}

pub(super) fn command(request: &Request) -> Result<Command, Refusal> {
    let action = request.header("x-amz-target").unwrap_or_default().strip_prefix(PREFIX).unwrap_or_default();
    let body: Body = serde_json::from_slice(&request.body)
        .map_err(|error| Refusal::rejected(400, "SerializationException", error.to_string()))?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if !(1..=64).contains(&body.id.len()) || !body.id.bytes().all(plain) {
        return Err(input("The resource id is not valid."));
    }
    if !KINDS.contains(&body.kind.as_str()) {
        return Err(input("The resource type is not valid."));
    }
    let op = match (action, body.tags, body.keys) {
        ("AddTags", Some(tags), None) if tags.len() <= 100 => {
            let tags: Vec<_> = tags.into_iter().map(|tag| (tag.key, tag.value.unwrap_or_default())).collect();
            let wrong = |wrong| Refusal::rejected(400, "InvalidTagException", format!("A tag is not valid: {wrong:?}"));
            rules::tags(&tags, true, false).map_err(wrong)?;
            Op::Set(tags)
        }
        ("DeleteTags", None, Some(keys)) if keys.len() <= 100 => Op::Unset(keys),
        ("DescribeTags", None, None) => Op::Read,
        ("AddTags" | "DeleteTags" | "DescribeTags", ..) => return Err(input("The tags are missing or too many.")),
        _ => return Err(Refusal::rejected(400, "UnknownOperationException", "The operation is not known.")),
    };
    let key = format!("{}/{}", body.kind, body.id);
    Ok(Command { resources: vec![Target { key, id: body.id, label: body.kind }], op })
}

pub(super) fn done(command: &Command, found: &[(String, String)], id: &str) -> Reply {
    let target = command.resources.first();
    let mut body = json!({
        "ResourceId": target.map(|target| &target.id),
        "ResourceType": target.map(|target| &target.label),
    });
    if let (Op::Read, Some(fields)) = (&command.op, body.as_object_mut()) {
        let tags: Vec<_> = found.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        fields.insert("Tags".into(), json!(tags));
    }
    Reply::new(200, "application/x-amz-json-1.1", body.to_string()).with("x-amzn-requestid", id)
}
