//! The OpenAPI document: what each route takes and answers. The routes themselves come from their table.

use super::{
    page,
    routes::{Needs, Route, table},
};
use crate::{event::Source, job::schema};
use axum::http::Method;
use serde_json::{Map, Value, json};

/// The document, OpenAPI 3.1.
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in table() {
        let entry = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(methods) = entry.as_object_mut() {
            methods.insert(route.method.as_str().to_lowercase(), operation(&route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "tagmill", "version": env!("CARGO_PKG_VERSION"), "license": {"name": "Apache-2.0"},
            "description": "Jobs and events in, lanes and dead letters at hand. Whatever is answered with 202 is safe with the broker.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Problem": problem(), "Job": job(), "Order": order(), "Count": count(),
                "DeadLetter": dead_letter(),
            },
        },
    })
}

/// The job message without what only a document of its own has.
fn job() -> Value {
    let mut schema = schema::job();
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("$schema");
        fields.remove("$id");
    }
    moved(&mut schema);
    schema
}

/// Makes references within the schema right for where it stands now.
fn moved(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(to) if name == "$ref" => *to = to.replacen("#/", "#/components/schemas/Job/", 1),
                    other => moved(other),
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(moved),
        _ => {}
    }
}

fn object(properties: &Value) -> Value {
    json!({"type": "object", "properties": properties})
}

fn problem() -> Value {
    json!({
        "type": "object", "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
            "detail": {"type": "string"},
            "errors": {"type": "array", "items": {
                "type": "object", "required": ["at", "message"],
                "properties": {"at": {"type": "string"}, "message": {"type": "string"}},
            }},
        },
    })
}

fn age() -> Value {
    json!({"type": "string", "pattern": "^[0-9]{1,6}(s|m|h|d|w)$", "examples": ["90s", "2h", "7d"]})
}

fn order() -> Value {
    let filter = json!({
        "type": "object", "additionalProperties": false,
        "properties": {
            "lane": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,120}$"}, "code": {"type": "string"},
            "job": {"type": "string", "pattern": "^[!-~]{1,128}$"}, "older_than": age(), "newer_than": age(),
        },
    });
    json!({
        "type": "object", "additionalProperties": false,
        "properties": {
            "ids": {"type": "array", "minItems": 1, "maxItems": 10_000, "items": {"type": "string"}},
            "filter": filter,
            "dry_run": {"type": "boolean", "description": "Count, and change nothing."},
            "expect": {
                "type": "object", "additionalProperties": false, "required": ["letters"],
                "properties": {"letters": {"type": "integer", "minimum": 0}},
                "description": "How many you believe they are; 409 where they are another number by now.",
            },
        },
        "oneOf": [{"required": ["ids"]}, {"required": ["filter"]}],
    })
}

fn count() -> Value {
    let number = || json!({"type": "integer", "minimum": 0});
    json!({
        "type": "object", "required": ["letters", "items", "raw"],
        "properties": {"letters": number(), "items": number(), "raw": number(), "no_lane": number(), "gone": number()},
    })
}

fn dead_letter() -> Value {
    let text = || json!({"type": ["string", "null"]});
    json!({
        "type": "object", "required": ["id", "items", "codes", "message", "recorded_at", "raw"],
        "properties": {
            "id": {"type": "string"}, "lane": text(), "job": text(), "items": {"type": "integer"},
            "codes": {"type": "array", "items": {"type": "string"}}, "message": {"type": "string"},
            "recorded_at": {"type": "string", "format": "date-time"}, "raw": {"type": "boolean"}, "source": text(),
            "line": {"type": ["integer", "null"]},
            "trace": {
                "type": ["object", "null"], "required": ["traceparent"],
                "properties": {"traceparent": {"type": "string"}, "tracestate": {"type": "string"}},
            },
            "document": {"description": "The dead letter itself."},
            "body": {"type": ["string", "null"], "description": "A message that is no job, where it is text."},
            "body_base64": {"type": "string", "description": "The same, byte for byte."},
        },
    })
}

fn answer(text: &str, schema: &Value) -> Value {
    json!({"description": text, "content": {"application/json": {"schema": schema}}})
}

fn refers(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Problems by status.
fn problems(statuses: &[u16]) -> Map<String, Value> {
    let text = |status: u16| match status {
        400 => "The request cannot be read.",
        401 => "A token is needed, or a signature.",
        403 => "The token does not allow it, or the request is of another origin.",
        404 => "There is no such thing.",
        408 => "The request did not arrive in time.",
        409 => "There are more or fewer by now.",
        413 => "The body is too large.",
        415 => "The content type is not taken here.",
        422 => "What the request holds cannot be accepted. Nothing of it was.",
        429 => "Too many requests at once; Retry-After says when to come again.",
        _ => "Not now; Retry-After says when to come again.",
    };
    let one = |status: &u16| {
        let body = json!({"application/problem+json": {"schema": refers("Problem")}});
        (status.to_string(), json!({"description": text(*status), "content": body}))
    };
    statuses.iter().map(one).collect()
}

fn parameter(place: &str, name: &str, required: bool, schema: &Value) -> Value {
    json!({"in": place, "name": name, "required": required, "schema": schema})
}

/// What one route takes and answers.
fn operation(route: &Route) -> Value {
    let About { id, text, parameters, body, status, success, problems: own } = about(&route.method, route.path);
    let mut statuses = own;
    match route.needs {
        Needs::Nothing => {}
        Needs::AnyToken | Needs::Scope(_) => statuses.extend([401, 403, 429, 503]),
    }
    statuses.sort_unstable();
    statuses.dedup();
    let mut responses = problems(&statuses);
    responses.insert(status.to_string(), success);
    let mut operation = json!({"operationId": id, "summary": text, "responses": responses});
    if let Some(fields) = operation.as_object_mut() {
        if !parameters.is_empty() {
            fields.insert("parameters".into(), parameters.into());
        }
        if let Some(body) = body {
            fields.insert("requestBody".into(), json!({"required": true, "content": body}));
        }
        if route.needs != Needs::Nothing {
            fields.insert("security".into(), json!([{"token": []}]));
        }
        if let Needs::Scope(scope) = route.needs {
            fields.insert("description".into(), format!("Needs the scope `{}`.", scope.as_str()).into());
        }
    }
    operation
}

struct About {
    id: &'static str,
    text: &'static str,
    parameters: Vec<Value>,
    body: Option<Value>,
    status: u16,
    success: Value,
    problems: Vec<u16>,
}

fn about(method: &Method, path: &str) -> About {
    let lane = || json!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,120}$"});
    let plain = |id, text, success: Value, problems: &[u16]| About {
        id,
        text,
        parameters: Vec::new(),
        body: None,
        status: 200,
        success: answer("Done.", &success),
        problems: problems.to_vec(),
    };
    let any = object(&json!({}));
    let ordered = || Some(json!({"application/json": {"schema": refers("Order")}}));
    match (method.as_str(), path) {
        ("GET", "/") => About {
            success: json!({"description": "The page.", "content": {"text/html": {"schema": {"type": "string"}}}}),
            ..plain("page", "The page to look at.", any, &[])
        },
        ("GET", "/page/{file}") => About {
            parameters: vec![parameter("path", "file", true, &json!({"enum": page::names().collect::<Vec<_>>()}))],
            success: json!({"description": "A file of the page.", "content": {
                "text/css": {}, "text/javascript": {}, "image/svg+xml": {},
            }}),
            ..plain("pageFile", "What the page is made of.", any, &[404])
        },
        ("GET", "/livez") => plain("livez", "The process lives.", any, &[]),
        ("GET", "/readyz") => plain("readyz", "It can do its work.", any, &[503]),
        ("GET", "/startupz") => plain("startupz", "It has begun.", any, &[503]),
        ("GET", "/openapi.json") => plain("openapi", "This document.", any, &[]),
        ("GET", "/metrics") => About {
            success: json!({
                "description": "Counts for Prometheus.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            }),
            ..plain("metrics", "Counts for Prometheus.", any, &[])
        },
        ("GET", "/v1/me") => plain("me", "Who is asking, and what they may do.", any, &[]),
        ("GET", "/v1/rules") => plain("rules", "What each rule has done since the server began.", any, &[]),
        ("GET", "/v1/jobs/recent") => plain("recentJobs", "The last jobs that were finished.", any, &[]),
        ("GET", "/v1/lanes") => plain("lanes", "How every lane of the fleet is.", any, &[]),
        ("POST", "/v1/jobs") => {
            let one = refers("Job");
            let many = json!({"type": "array", "minItems": 1, "items": one, "description": "10,000 jobs at most."});
            About {
                body: Some(json!({
                    "application/json": {"schema": {"anyOf": [refers("Job"), many]}},
                    "application/x-ndjson": {"schema": {"type": "string", "description": "One job a line."}},
                })),
                status: 202,
                success: answer("The broker has all of them.", &object(&json!({"jobs": {"type": "array"}}))),
                ..plain("submitJobs", "Hand in jobs: all are taken, or none.", any, &[400, 413, 415, 422])
            }
        }
        ("POST", "/v1/events/{source}") => About {
            parameters: vec![source()],
            body: Some(json!({
                "application/json": {"schema": {"type": ["object", "array"]}},
                "application/cloudevents+json": {"schema": {"type": "object"}},
                "application/cloudevents-batch+json": {"schema": {"type": "array", "items": {"type": "object"}}},
            })),
            status: 202,
            success: answer("The broker has what follows from all of them.", &events()),
            ..plain("takeEvents", "Hand in events of a cloud.", any, &[400, 404, 413, 415, 422])
        },
        ("OPTIONS", "/v1/events/{source}") => About {
            parameters: vec![source()],
            status: 204,
            success: json!({"description": "Whoever wants to send may."}),
            ..plain("eventsHandshake", "The handshake of CloudEvents webhooks.", any, &[404])
        },
        ("POST", "/v1/lanes/{name}/pause") => About {
            parameters: vec![parameter("path", "name", true, &lane())],
            ..plain("pauseLane", "Let a lane make no more calls, whoever has it.", any, &[400, 404])
        },
        ("POST", "/v1/lanes/{name}/resume") => About {
            parameters: vec![parameter("path", "name", true, &lane())],
            ..plain("resumeLane", "Let a lane go on.", any, &[400, 404])
        },
        ("GET", "/v1/dead-letters") => About {
            parameters: vec![
                parameter("query", "lane", false, &lane()),
                parameter("query", "code", false, &json!({"type": "string"})),
                parameter("query", "job", false, &json!({"type": "string", "pattern": "^[!-~]{1,128}$"})),
                parameter("query", "older_than", false, &age()),
                parameter("query", "newer_than", false, &age()),
                parameter("query", "limit", false, &json!({"type": "integer", "minimum": 1, "maximum": 1_000})),
            ],
            ..plain("deadLetters", "Dead letters, in the order in which their jobs arrived.", any, &[400, 422])
        },
        ("GET", "/v1/dead-letters/{id}") => About {
            parameters: vec![parameter("path", "id", true, &json!({"type": "string"}))],
            ..plain("deadLetter", "One dead letter, whole.", refers("DeadLetter"), &[400, 404])
        },
        ("POST", "/v1/dead-letters/replay") => About {
            body: ordered(),
            ..plain("replay", "Send dead letters again, as new work.", refers("Count"), &[400, 404, 409, 413, 415, 422])
        },
        ("POST", "/v1/dead-letters/discard") => About {
            body: ordered(),
            ..plain("discard", "Remove dead letters for good.", refers("Count"), &[400, 404, 409, 413, 415, 422])
        },
        // A route without a description is seen by a test.
        _ => plain("", "", any, &[]),
    }
}

fn source() -> Value {
    let names: Vec<&str> = Source::ALL.iter().map(|source| source.as_str()).collect();
    parameter("path", "source", true, &json!({"type": "string", "enum": names}))
}

fn events() -> Value {
    let number = || json!({"type": "integer", "minimum": 0});
    json!({
        "type": "object", "required": ["events", "duplicates", "ignored", "jobs", "dead"],
        "properties": {
            "events": number(), "duplicates": number(), "ignored": number(), "jobs": number(), "dead": number(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_once() {
        let document = document();
        let mut ids = std::collections::BTreeSet::new();
        for route in table() {
            let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
            let id = operation["operationId"].as_str().unwrap();
            assert!(!id.is_empty(), "{} {}", route.method, route.path);
            assert!(ids.insert(id.to_owned()), "{id}");
            assert!(operation["responses"].as_object().unwrap().keys().any(|status| status.starts_with('2')));
        }
        let described: usize =
            document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
        assert_eq!(described, table().len());
    }

    #[test]
    fn the_schema_of_a_job_is_the_published_one() {
        let document = document();
        let of_job = &document["components"]["schemas"]["Job"];
        let keys = |schema: &Value| schema["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(of_job), keys(&schema::job()));
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
        }
    }
}
