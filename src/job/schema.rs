//! The JSON Schemas of what travels: job, dead letter, receipt.
//!
//! Written by hand and held against the parser by a test: a schema that drifts from the parser is worse than none.

use super::parse::FIELDS;
use super::rules::{ID_BYTES, KEY_CHARS, VALUE_CHARS, WORD_CHARS};
use serde_json::{Value, json};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Text without control characters.
const PLAIN: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";
/// Text without control characters and without white space of any script.
const WORD: &str = "^[^\\u0000-\\u0020\\u007f-\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]*$";
/// RFC 3339 with a capital T and Z and at most nanoseconds.
const TIME: &str = "^\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])T([01]\\d|2[0-3]):[0-5]\\d:([0-5]\\d|60)\
    (\\.\\d{1,9})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)$";

/// A job message of version 1.
pub fn job() -> Value {
    let mut schema = json!({
        "$schema": DIALECT,
        "title": "tagmill job",
        "description": "Tags to set and keys to remove on resources of one lane. Besides what is said here: no key may \
            be both set and unset, no resource and no JSON key may come twice.",
        "$defs": definitions(),
    });
    merge(&mut schema, job_object());
    schema
}

/// A dead letter of version 1.
pub fn dead_letter() -> Value {
    let mut defs = definitions();
    merge(&mut defs, json!({ "job": job_object() }));
    json!({
        "$schema": DIALECT,
        "title": "tagmill dead letter",
        "description": "The failed items of a job with their reasons. `job` is a valid job of just those items.",
        "$defs": defs,
        "type": "object",
        "additionalProperties": false,
        "required": ["version", "id", "job", "failures"],
        "properties": {
            "version": { "const": 1 },
            "id": { "type": "string", "minLength": 1,
                "description": "Stable over crashes: a consumer drops repeats by it." },
            "job": { "$ref": "#/$defs/job" },
            "failures": {
                "type": "array",
                "description": "One entry per item of `job`, in the same order.",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["resource", "code", "message", "attempts", "applied_keys"],
                    "properties": {
                        "resource": { "$ref": "#/$defs/resource" },
                        "code": { "type": "string", "description": "The provider's error code, or one of ours." },
                        "message": { "type": "string" },
                        "request_id": { "type": "string" },
                        "attempts": { "type": "integer", "minimum": 0 },
                        "applied_keys": { "type": "array", "items": { "type": "string" },
                            "description": "Keys that had been applied before the item failed." },
                        "line": { "type": "integer", "minimum": 1, "description": "Line of the file it came from." }
                    }
                }
            },
            "replay": { "$ref": "#/$defs/replay" }
        }
    })
}

/// A receipt of version 1.
pub fn receipt() -> Value {
    let count = |what: &str| json!({ "type": "integer", "minimum": 0, "description": what });
    json!({
        "$schema": DIALECT,
        "title": "tagmill receipt",
        "description": "What became of a job. accepted = tagged + unchanged + dead.",
        "$defs": definitions(),
        "type": "object",
        "additionalProperties": false,
        "required": ["version", "id", "job", "lane", "accepted", "tagged", "superseded", "unchanged", "dead", "calls",
            "retries", "finished_at", "duration_ms"],
        "properties": {
            "version": { "const": 1 },
            "id": { "type": "string", "minLength": 1,
                "description": "Stable over crashes: a consumer drops repeats by it." },
            "job": { "$ref": "#/$defs/id" },
            "lane": { "$ref": "#/$defs/lane" },
            "batch": { "$ref": "#/$defs/label" },
            "accepted": count("Items taken on."),
            "tagged": count("Items that carry their tags now."),
            "superseded": count("Of the tagged: items whose value a later job replaced before it was sent."),
            "unchanged": count("Items that were right already."),
            "dead": count("Items in the dead letter."),
            "calls": count("Calls that carried an item of this job."),
            "retries": count("Retries among those calls."),
            "first_attempt": { "$ref": "#/$defs/time" },
            "last_attempt": { "$ref": "#/$defs/time" },
            "finished_at": { "$ref": "#/$defs/time" },
            "duration_ms": count("Milliseconds from taking the job on to its last item being final."),
            "trace": { "type": "string", "minLength": 1,
                "description": "The W3C traceparent that came with the job's message, in a header beside it." }
        }
    })
}

fn job_object() -> Value {
    let object = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["lane", "resources"],
        "anyOf": [
            { "required": ["set"], "properties": { "set": { "minProperties": 1 } } },
            { "required": ["unset"], "properties": { "unset": { "minItems": 1 } } }
        ],
        "properties": {
            "version": { "const": 1 },
            "id": { "$ref": "#/$defs/id", "description": "Made at submit where it is left out." },
            "lane": { "$ref": "#/$defs/lane" },
            "resources": { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/resource" } },
            "set": {
                "type": "object",
                "description": "Tags to set.",
                "propertyNames": { "$ref": "#/$defs/key" },
                "additionalProperties": { "type": "string", "maxLength": VALUE_CHARS, "pattern": PLAIN }
            },
            "unset": { "type": "array", "description": "Keys to remove.", "uniqueItems": true,
                "items": { "$ref": "#/$defs/key" } },
            "source": { "$ref": "#/$defs/label", "description": "Where the job came from, such as csv:servers.csv." },
            "batch": { "$ref": "#/$defs/label", "description": "The batch it was submitted in." },
            "created_at": { "$ref": "#/$defs/time" },
            "priority": { "enum": ["bulk", "event"], "default": "bulk" },
            "overwrite": { "type": "boolean", "default": true,
                "description": "Whether a tag that is already there may be replaced, where the API can tell." },
            "not_found_until": { "$ref": "#/$defs/time", "description": "Until then `not found` means `not there yet`." },
            "replay": { "$ref": "#/$defs/replay" },
            "ext": { "type": "object", "description": "Carried and ignored." }
        }
    });
    debug_assert!(
        FIELDS.iter().all(|field| object.pointer(&format!("/properties/{field}")).is_some()),
        "the schema knows every field"
    );
    object
}

fn definitions() -> Value {
    let word = json!({ "type": "string", "minLength": 1, "maxLength": WORD_CHARS, "pattern": WORD });
    let id = json!({ "type": "string", "minLength": 1, "maxLength": ID_BYTES, "pattern": WORD });
    json!({
        "id": { "type": "string", "pattern": "^[!-~]{1,128}$" },
        "lane": { "type": "string", "pattern": "^[A-Za-z0-9._-]{1,120}$" },
        "key": { "type": "string", "minLength": 1, "maxLength": KEY_CHARS, "pattern": PLAIN },
        "label": { "type": "string", "minLength": 1, "maxLength": WORD_CHARS, "pattern": PLAIN },
        "time": { "type": "string", "format": "date-time", "pattern": TIME },
        "resource": {
            "oneOf": [
                id,
                {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["id"],
                    "properties": { "id": id, "type": word, "project": word }
                }
            ]
        },
        "replay": {
            "type": "object",
            "additionalProperties": false,
            "required": ["of", "count"],
            "properties": {
                "of": { "$ref": "#/$defs/label" },
                "count": { "type": "integer", "minimum": 1, "maximum": u32::MAX }
            }
        }
    })
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

#[cfg(test)]
mod tests;
