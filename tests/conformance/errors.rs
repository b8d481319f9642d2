//! Every error code we know, through the whole decoder: one table per provider, one per cloud where several share it.

use crate::data::{Sample, json, read, reply};
use serde_json::Value;
use std::{collections::BTreeSet, path::Path};
use tagmill::provider::{Answer, Fate, HttpReply, Kind, Op};

/// The tables of a provider: its own and its cloud's.
fn tables(name: &str) -> Vec<(String, Value)> {
    let cloud = name.split('-').next().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    [name, cloud]
        .iter()
        .map(|name| format!("errors/{name}.json"))
        .filter(|file| folder.join(file).exists())
        .map(|file| (file.clone(), json(&file)))
        .collect()
}

fn rows(name: &str) -> Vec<(String, Value)> {
    let rows = |(file, table): (String, Value)| {
        let rows = table.as_array().unwrap().clone();
        rows.into_iter().map(move |row| (format!("{file}: {}", row["name"].as_str().unwrap()), row))
    };
    tables(name).into_iter().flat_map(rows).collect()
}

fn reply_of(row: &Value) -> HttpReply {
    let headers = row["headers"].as_object().cloned().unwrap_or_default();
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    // A string is the body as it stands; anything else is the JSON it is.
    let body = row["body"].as_str().map_or_else(|| row["body"].to_string(), str::to_owned);
    reply(row["status"].as_u64().unwrap().try_into().unwrap(), &headers, body.as_bytes())
}

#[test]
fn every_row_of_the_error_tables_gets_its_verdict() {
    for sample in Sample::all() {
        let rows = rows(sample.entry.name);
        assert!(rows.len() >= 30, "{}: {} rows are no table", sample.entry.name, rows.len());
        for (name, row) in rows {
            let call = sample.call(Op::Set);
            let name = format!("{}, {name}", sample.entry.name);
            match (sample.decode(&call, &reply_of(&row)), row["fates"].as_array()) {
                (Answer::Failure(failure), None) => same(&name, &failure, &row["expect"]),
                (Answer::Finished(fates), Some(expected)) => {
                    assert_eq!(fates.len(), expected.len(), "{name}");
                    for (fate, expected) in fates.iter().zip(expected) {
                        match fate {
                            Fate::Failed(failure) => same(&name, failure, expected),
                            other => {
                                assert_eq!(format!("{other:?}"), expected.as_str().unwrap_or("a failure"), "{name}");
                            }
                        }
                    }
                }
                (answer, _) => panic!("{name}: {answer:?}"),
            }
        }
    }
}

/// A row leaves out what is at its plainest: coded, no hint, no clock, no bound on attempts, nothing about existence.
fn same(name: &str, failure: &tagmill::provider::Failure, expected: &Value) {
    assert!(expected.is_object(), "{name}: expected {expected}, got {failure:?}");
    assert_eq!(format!("{:?}", failure.kind), expected["kind"].as_str().unwrap(), "{name}: kind");
    assert_eq!(format!("{:?}", failure.blame), expected["blame"].as_str().unwrap(), "{name}: blame");
    assert_eq!(failure.code, expected["code"].as_str().unwrap(), "{name}: code");
    assert_eq!(failure.coded, expected["coded"].as_bool().unwrap_or(true), "{name}: coded");
    let millis = failure.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap());
    assert_eq!(millis, expected["retry_after_ms"].as_u64(), "{name}: retry after");
    let clock = failure.server_time.map(|time| time.to_string());
    assert_eq!(clock.as_deref(), expected["server_time"].as_str(), "{name}: server time");
    assert_eq!(failure.attempts_at_most.map(u64::from), expected["attempts_at_most"].as_u64(), "{name}: attempts");
    let missing = expected["missing"].as_str().unwrap_or("No");
    assert_eq!(format!("{:?}", failure.missing), missing, "{name}: missing");
    if let Some(id) = expected["request_id"].as_str() {
        assert_eq!(failure.request_id.as_deref(), Some(id), "{name}: request id");
    }
}

#[test]
fn no_table_is_left_unread() {
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    for sample in Sample::all() {
        wanted.extend(tables(sample.entry.name).into_iter().map(|(file, _)| file));
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/errors");
    for file in std::fs::read_dir(folder).unwrap() {
        let file = format!("errors/{}", file.unwrap().file_name().to_str().unwrap());
        assert!(wanted.contains(&file), "{file} belongs to no provider; {} bytes", read(&file).len());
    }
}

#[test]
fn success_is_success_and_anything_cut_from_it_is_not() {
    for sample in Sample::all() {
        let call = sample.call(Op::Set);
        for body in &sample.success {
            let whole = sample.decode(&call, &reply(200, &[], body.as_bytes()));
            assert_eq!(whole, Answer::Finished(vec![Fate::Tagged; call.resources.len()]), "{}", sample.entry.name);
            // `{}` cut to nothing is the other success of an API that sends no body.
            for cut in (0..body.len()).filter(|cut| !sample.success.iter().any(|whole| *whole == body[..*cut])) {
                let answer = sample.decode(&call, &reply(200, &[], &body.as_bytes()[..cut]));
                let Answer::Failure(failure) = answer else { panic!("{}: {body:.cut$}", sample.entry.name) };
                assert_eq!((failure.kind, failure.code.as_str()), (Kind::Transient, "truncated"));
            }
            for status in [199, 300, 302, 400, 403, 404, 429, 500, 503] {
                let answer = sample.decode(&call, &reply(status, &[], body.as_bytes()));
                assert!(matches!(answer, Answer::Failure(_)), "{}: {status} {body}", sample.entry.name);
            }
        }
    }
}

#[test]
fn every_provider_has_a_code_for_a_resource_that_does_not_exist_and_it_is_final_by_itself() {
    for sample in Sample::all() {
        let name = sample.entry.name;
        let certain = rows(name).into_iter().filter(|(_, row)| {
            let fates = row["fates"].as_array().cloned().unwrap_or_default();
            fates.iter().chain([&row["expect"]]).any(|expected| {
                let kind = expected["kind"].as_str();
                assert!(expected["missing"].is_null() || kind == Some("Rejected"), "{name}: {row}");
                expected["missing"].as_str() == Some("Yes")
            })
        });
        assert!(certain.count() > 0, "{name}: no row says that a resource does not exist");
    }
}
