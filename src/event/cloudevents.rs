//! CloudEvents 1.0 over HTTP and AMQP: structured, binary and batch, down to an envelope and its data.

use super::envelope::{Envelope, json, text, time};
use base64::Engine as _;
use serde_json::{Map, Value};

/// Beginnings of headers that carry an attribute: HTTP, and the two spellings of AMQP.
const PREFIXES: [&str; 3] = ["ce-", "cloudevents:", "cloudevents_"];

/// Whether this object is an event in structured form.
pub(super) fn is_structured(value: &Value) -> bool {
    value.get("specversion").is_some()
}

/// An event in structured form.
pub(super) fn structured(value: Value) -> Result<(Envelope, Value), String> {
    let Value::Object(mut fields) = value else { return Err("a CloudEvent is an object".into()) };
    let data = match (fields.remove("data"), fields.remove("data_base64")) {
        (Some(_), Some(_)) => return Err("it has both `data` and `data_base64`".into()),
        // JSON inside of text is what some senders make of a record.
        (Some(Value::String(text)), None) => json(text.as_bytes()).unwrap_or(Value::String(text)),
        (Some(data), None) => data,
        (None, Some(coded)) => decoded(&coded)?,
        (None, None) => Value::Null,
    };
    Ok((envelope(fields)?, data))
}

/// The attributes in the headers, where it is an event in binary form.
pub(super) fn binary(headers: &[(&str, &str)]) -> Option<Result<Envelope, String>> {
    let mut fields = Map::new();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if let Some(name) = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
            fields.insert(name.to_owned(), Value::String((*value).to_owned()));
        }
    }
    fields.contains_key("specversion").then(|| envelope(fields))
}

fn envelope(mut fields: Map<String, Value>) -> Result<Envelope, String> {
    let version = fields.remove("specversion");
    if version.as_ref().and_then(Value::as_str) != Some("1.0") {
        return Err("`specversion` is not 1.0".into());
    }
    let mut word = |name: &str| {
        let value = fields.remove(name).ok_or_else(|| format!("`{name}` is missing"))?;
        text(&value).ok_or_else(|| format!("`{name}` is no text of 1 to 512 characters"))
    };
    let (id, source, kind) = (word("id")?, word("source")?, word("type")?);
    let time = match fields.remove("time") {
        None | Some(Value::Null) => None,
        Some(value) => Some(time(&value).ok_or("`time` is no time such as 2026-01-31T12:00:00Z")?),
    };
    Ok(Envelope { id: Some(id), source: Some(source), kind: Some(kind), time, more: fields })
}

fn decoded(coded: &Value) -> Result<Value, String> {
    let bytes = coded.as_str().and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
    let bytes = bytes.ok_or("`data_base64` is no Base64")?;
    json(&bytes).map_err(|error| format!("`data_base64` holds no JSON: {error}"))
}
