//! What the readers of all clouds share: fields out of JSON, names of our own calls, and the parts of an event.

use super::{Event, Ignored, Source};
use crate::job::stable_hash;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// Longest id, source, name, account or region of an event, in bytes; nobody's are near it.
const WORD: usize = 512;

/// Values of one message at most. What stands in few bytes can take hundreds of times as many once it is read: `{"":0},`
/// is eight bytes and a map. A record of a cloud has a value every dozen bytes.
const VALUES: usize = 100_000;

/// Reads JSON that is neither too deep (serde_json sees to that) nor made of too many values.
pub(super) fn json(bytes: &[u8]) -> Result<Value, String> {
    few(bytes)?;
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// Counts the values of JSON, without reading it.
pub(super) fn few(bytes: &[u8]) -> Result<(), String> {
    let (mut values, mut in_text, mut escaped) = (1, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => values += 1,
            _ => {}
        }
    }
    if values > VALUES {
        return Err(format!("more than {VALUES} values"));
    }
    Ok(())
}

/// What surrounds a record, whatever the transport.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    pub(super) id: Option<String>,
    pub(super) source: Option<String>,
    /// The `type` of a CloudEvent, the `detail-type` of EventBridge.
    pub(super) kind: Option<String>,
    pub(super) time: Option<Timestamp>,
    /// Attributes beyond the standard's, in lower case.
    pub(super) more: Map<String, Value>,
}

impl Envelope {
    /// One of the attributes beyond the standard's.
    pub(super) fn more(&self, name: &str) -> Option<String> {
        text(self.more.get(name)?)
    }
}

/// A word of an event: text or a number, short, without anything that would spoil a log line.
pub(super) fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty() && text.len() <= WORD && !text.chars().any(char::is_control)).then_some(text)
}

/// A word at a path of plain fields.
pub(super) fn at(record: &Value, path: &[&str]) -> Option<String> {
    text(path.iter().try_fold(record, |value, field| value.get(field))?)
}

/// Something is there: not missing and not null.
pub(super) fn is_there(record: &Value, field: &str) -> bool {
    record.get(field).is_some_and(|value| !value.is_null() && value.as_str() != Some(""))
}

/// A time as RFC 3339 or in milliseconds since 1970.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        Value::Number(number) => Timestamp::from_millisecond(number.as_i64()?).ok(),
        _ => None,
    }
}

/// Whether this is the name of a call that tags: an answer to it would go round in circles.
pub(super) fn is_tagging(name: &str) -> bool {
    let name = name.to_lowercase();
    let starts = ["tagresource", "untagresource", "addtag", "removetag", "createtag", "deletetag"];
    starts.iter().any(|start| name.starts_with(start))
        || name.ends_with("tagging")
        || (name.contains("tag") && (name.starts_with("batch") || name.contains("resourcetag")))
}

/// What a cloud's reader has found in a record.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) id: Option<String>,
    pub(super) source: Option<String>,
    pub(super) service: Option<String>,
    pub(super) name: Option<String>,
    pub(super) time: Option<Timestamp>,
    pub(super) account: Option<String>,
    pub(super) region: Option<String>,
    pub(super) project: Option<String>,
    pub(super) creator: Option<String>,
    pub(super) ignored: Option<Ignored>,
}

/// An event of these parts. One that names itself nowhere is named by its bytes.
pub(super) fn event(cloud: Source, facts: Facts, record: Value) -> Result<Event, String> {
    let name = facts.name.ok_or("it does not say what happened")?;
    let source = facts.source.unwrap_or_else(|| cloud.as_str().to_owned());
    let id = facts.id.unwrap_or_else(|| stable_hash(&[&source, &record.to_string()]));
    let ignored = facts.ignored.or_else(|| is_tagging(&name).then_some(Ignored::Tagging));
    Ok(Event {
        cloud,
        source,
        id,
        service: facts.service.unwrap_or_default().to_lowercase(),
        name,
        time: facts.time,
        account: facts.account,
        region: facts.region,
        project: facts.project,
        creator: facts.creator,
        ignored,
        record,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_tag_are_known_by_their_names_and_others_are_not() {
        for name in [
            "TagResource",
            "TagResources",
            "UntagResources",
            "PutBucketTagging",
            "DeleteBucketTagging",
            "CreateTags",
            "DeleteTags",
            "AddTags",
            "AddTagsToResource",
            "RemoveTagsFromResource",
            "batchCreateTags",
            "batchCreateServerTags",
            "createResourceTag",
        ] {
            assert!(is_tagging(name), "{name}");
        }
        for name in ["RunInstances", "CreateBucket", "createServer", "CreateStage", "BatchCreate", "Create"] {
            assert!(!is_tagging(name), "{name}");
        }
    }

    #[test]
    fn a_message_of_too_many_values_is_refused_before_it_is_read_and_text_is_not_counted() {
        let many = |piece: &str, times: usize| format!("[{}1]", piece.repeat(times));
        assert!(json(many("1,", 99_000).as_bytes()).is_ok());
        for piece in ["1,", "{\"\":0},", "[],", "\"\\\"\","] {
            let refused = json(many(piece, 100_001).as_bytes()).unwrap_err();
            assert_eq!(refused, "more than 100000 values", "{piece}");
        }
        assert!(json(format!("\"{}\"", "a,{[\\\"".repeat(100_000)).as_bytes()).is_ok());
    }

    #[test]
    fn an_event_without_an_id_is_named_by_its_bytes() {
        let make = |text: &str| {
            let facts = Facts { name: Some("n".into()), ..Facts::default() };
            event(Source::Huawei, facts, Value::String(text.into())).unwrap().id
        };
        assert_eq!(make("a"), make("a"));
        assert_ne!(make("a"), make("b"));
    }
}
