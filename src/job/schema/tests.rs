//! The job schema and the parser judge alike.
//!
//! What JSON Schema cannot say, and only the parser refuses ([`beyond_schema`]): JSON keys that come twice, a resource
//! listed twice, a key both set and unset, ids over 2048 bytes (a schema counts characters), and dates that no
//! calendar has.

use super::*;
use crate::job::parse::Defaults;
use crate::job::{DeadLetter, ItemFailure, Job, JobId, LaneName, Receipt, Replay, Resource, parse};
use proptest::prelude::*;

fn accepts(text: &str) -> bool {
    // The schema lets a job go without an id, so the parser is given one to fill in.
    let id = JobId::new("made").unwrap();
    parse::job(text.as_bytes(), &Defaults { id: Some(&id), ..Defaults::default() }).is_ok()
}

fn valid(schema: &Value, document: &Value) -> bool {
    jsonschema::draft202012::new(schema).unwrap().is_valid(document)
}

const GOOD: &str = r#"{"version":1,"id":"j-1","lane":"huawei-prod","set":{"env":"prod"},"unset":["temp"],
    "resources":[{"id":"a","type":"disk","project":"p-1"},"arn:aws:s3:::b"],"source":"csv:servers.csv","batch":"b",
    "created_at":"2026-01-31T12:00:00Z","priority":"event","overwrite":false,"not_found_until":"2026-01-31T12:00:00.5+01:00",
    "replay":{"of":"d-1","count":1},"ext":{"any":[1]}}"#;

/// One change to the good job: where, and to what (`None` takes the field away).
fn cases() -> Vec<(&'static str, Option<Value>)> {
    let mut cases = Vec::new();
    for field in FIELDS {
        let path: &'static str = Box::leak(format!("/{field}").into_boxed_str());
        cases.push((path, None));
        for value in [
            json!(null),
            json!(true),
            json!(1),
            json!(1.0),
            json!(2),
            json!(1.5),
            json!(-1),
            json!(""),
            json!("x"),
            json!("a b"),
            json!("a\u{7}"),
            json!("ü"),
            json!("event"),
            json!([]),
            json!(["x"]),
            json!(["x", "x"]),
            json!([""]),
            json!([1]),
            json!({}),
            json!({"k": "v"}),
            json!({"k": 1}),
            json!({"": "v"}),
            json!({"of": "x", "count": 1.0}),
            json!({"of": "x", "count": 0}),
            json!({"of": "x", "count": 4_294_967_296_u64}),
            json!({"of": "", "count": 1}),
            json!({"of": "x", "count": 1, "more": 1}),
            json!([{"id": "x"}]),
            json!([{"id": "x", "type": ""}]),
            json!([{"id": "x", "project": "p p"}]),
            json!([{"type": "x"}]),
            json!([{"id": "x", "kind": "y"}]),
            json!("2026-13-01T00:00:00Z"),
            json!("2026-01-01t00:00:00z"),
            json!("2026-01-01T24:00:00Z"),
            json!("2026-01-01T23:59:60Z"),
            json!("2026-01-01T00:00:00-00:00"),
            json!("2026-01-01T00:00:00+24:00"),
            json!("0000-01-01T00:00:00Z"),
            json!("2026-01-01T00:00:00.1234567890Z"),
            json!("x".repeat(120)),
            json!("x".repeat(121)),
            json!("x".repeat(128)),
            json!("x".repeat(129)),
            json!("x".repeat(512)),
            json!("x".repeat(513)),
            json!(["x".repeat(129)]),
            json!(["x".repeat(2048)]),
            json!(["x".repeat(2049)]),
            json!({"k": "ü".repeat(256)}),
            json!({"k": "v".repeat(257)}),
            json!({"x".repeat(128): ""}),
            json!({"x".repeat(129): ""}),
        ] {
            cases.push((path, Some(value)));
        }
    }
    cases.push(("/extra", Some(json!(1))));
    cases
}

fn change(document: &mut Value, path: &str, to: Option<Value>) {
    let fields = document.as_object_mut().unwrap();
    match to {
        Some(value) => drop(fields.insert(path[1..].to_owned(), value)),
        None => drop(fields.remove(&path[1..])),
    }
}

fn beyond_schema(document: &Value) -> bool {
    let keys = |field: &str| match &document[field] {
        Value::Object(map) => map.keys().cloned().collect(),
        Value::Array(list) => list.iter().filter_map(|key| key.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    };
    let both = keys("unset").iter().any(|key| keys("set").contains(key));
    let resources: Vec<Value> = document["resources"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|r| if r.is_string() { json!({ "id": r }) } else { r.clone() })
        .collect();
    let twice = resources.iter().enumerate().any(|(n, r)| resources[..n].contains(r));
    let long = resources.iter().any(|r| r["id"].as_str().is_some_and(|id| id.len() > ID_BYTES));
    both || twice || long
}

fn agree(schema: &jsonschema::Validator, document: &Value) -> Result<(), String> {
    let (by_schema, by_parser) = (schema.is_valid(document), accepts(&document.to_string()));
    if by_schema == by_parser || (by_schema && beyond_schema(document)) {
        Ok(())
    } else {
        Err(format!("schema says {by_schema}, parser says {by_parser}: {document}"))
    }
}

#[test]
fn every_single_change_of_a_good_job_is_judged_alike() {
    let schema = jsonschema::draft202012::new(&job()).unwrap();
    let good: Value = serde_json::from_str(GOOD).unwrap();
    assert!(schema.is_valid(&good) && accepts(GOOD));
    let disagreements: Vec<String> = cases()
        .into_iter()
        .filter_map(|(path, to)| {
            let mut document = good.clone();
            change(&mut document, path, to);
            agree(&schema, &document).err()
        })
        .collect();
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
}

#[test]
fn only_the_parser_sees_what_a_schema_cannot_say() {
    let schema = job();
    let judged = |text: &str| (valid(&schema, &serde_json::from_str(text).unwrap()), accepts(text));
    for text in [
        r#"{"lane":"l","lane":"l","resources":["a"],"set":{"k":"v"}}"#,
        r#"{"lane":"l","resources":["a"],"set":{"k":"v","k":"w"}}"#,
        r#"{"lane":"l","resources":[{"id":"a","id":"a"}],"set":{"k":"v"}}"#,
        r#"{"lane":"l","resources":["a",{"id":"a"}],"set":{"k":"v"}}"#,
        r#"{"lane":"l","resources":["a"],"set":{"k":"v"},"unset":["k"]}"#,
        r#"{"lane":"l","resources":["a"],"set":{"k":"v"},"created_at":"2026-02-30T00:00:00Z"}"#,
        &format!(r#"{{"lane":"l","resources":["{}"],"set":{{"k":"v"}}}}"#, "ü".repeat(2000)),
    ] {
        assert_eq!(judged(text), (true, false), "{text}");
    }
}

#[test]
fn the_patterns_and_the_rules_know_the_same_characters() {
    let schema = jsonschema::draft202012::new(&job()).unwrap();
    for c in (0..0x3100).chain([0xfeff, 0xfffd, 0x1_f600]).filter_map(char::from_u32) {
        for document in [
            json!({"lane": "l", "resources": [format!("a{c}")], "set": {"k": "v"}}),
            json!({"lane": "l", "resources": ["a"], "set": {"k": format!("a{c}")}}),
        ] {
            agree(&schema, &document).unwrap();
        }
    }
}

proptest! {
    #[test]
    fn several_changes_at_once_are_judged_alike(changes in proptest::collection::vec(any::<prop::sample::Index>(), 0..4)) {
        thread_local! {
            static SCHEMA: jsonschema::Validator = jsonschema::draft202012::new(&job()).unwrap();
            static CASES: Vec<(&'static str, Option<Value>)> = cases();
        }
        let mut document: Value = serde_json::from_str(GOOD).unwrap();
        CASES.with(|cases| for index in changes {
            let (path, to) = index.get(cases).clone();
            change(&mut document, path, to);
        });
        let verdict = SCHEMA.with(|schema| agree(schema, &document));
        prop_assert!(verdict.is_ok(), "{verdict:?}");
    }
}

#[test]
fn a_dead_letter_and_a_receipt_that_we_write_fit_their_schemas() {
    let job: Job = parse::job(GOOD.as_bytes(), &Defaults::default()).unwrap();
    let letter = DeadLetter {
        version: 1,
        id: "d-1".into(),
        failures: vec![ItemFailure {
            resource: Resource::typed("a", "disk"),
            code: "TMS.0005".into(),
            message: "no such resource".into(),
            request_id: Some("r".into()),
            attempts: 0,
            applied_keys: vec!["env".into()],
            line: Some(3),
        }],
        job,
        replay: Some(Replay { of: "d-0".into(), count: 2 }),
    };
    assert!(valid(&dead_letter(), &serde_json::to_value(&letter).unwrap()));
    let receipt_value = Receipt {
        version: 1,
        id: "r-1".into(),
        job: JobId::new("j").unwrap(),
        lane: LaneName::new("l").unwrap(),
        batch: Some("b".into()),
        accepted: 1,
        tagged: 1,
        superseded: 0,
        unchanged: 0,
        dead: 0,
        calls: 1,
        retries: 0,
        first_attempt: Some(jiff::Timestamp::UNIX_EPOCH),
        last_attempt: None,
        finished_at: jiff::Timestamp::UNIX_EPOCH,
        duration_ms: 1500,
        trace: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
    };
    let schema = jsonschema::draft202012::new(&receipt()).unwrap();
    let full = serde_json::to_value(&receipt_value).unwrap();
    assert!(schema.is_valid(&full));
    let least = Receipt { batch: None, first_attempt: None, trace: None, ..receipt_value };
    let least = serde_json::to_value(&least).unwrap();
    assert!(schema.is_valid(&least));
    for field in least.as_object().unwrap().keys() {
        let mut without = full.clone();
        without.as_object_mut().unwrap().remove(field);
        assert!(!schema.is_valid(&without), "a receipt without {field}");
    }
    let mut more = full.clone();
    more["extra"] = json!(1);
    assert!(!schema.is_valid(&more), "a receipt with a field that is not ours");
}
