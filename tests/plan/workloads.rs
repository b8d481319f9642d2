//! The calls that the reference workloads need.

#[path = "../support/workload.rs"]
mod workload;

use std::{collections::BTreeMap, sync::Arc};
use tagmill::{
    job::Resource,
    plan::{Caps, Preview, preview},
};

const TMS: Caps = Caps { resources: 50, tags: 10, keys: 10 };

fn gather(kind: &str, count: usize) -> Preview {
    let mut gathered = Preview::new(TMS);
    for row in workload::rows(kind, count, 1) {
        let resource = Resource { id: row.id.as_str().into(), kind: Some("ecs".into()), project: Some("p-1".into()) };
        let set: BTreeMap<Arc<str>, Arc<str>> =
            row.tags.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect();
        let name = |r: &Resource| (r.id.to_string(), "p-1".to_owned());
        gathered.add(std::iter::once(&resource), set.iter(), std::iter::empty(), name, str::to_owned);
    }
    gathered
}

/// Workload, resources, calls to reach or beat. Merging keys pair by pair alone gives 333 for the second `wide`.
const MARKS: &[(&str, usize, u64)] = &[
    ("uniform", 10_000, 200),
    ("event", 500, 196),
    ("event", 2_000, 243),
    ("event", 10_000, 495),
    ("independent", 500, 142),
    ("independent", 2_000, 208),
    ("independent", 10_000, 689),
    ("repeat", 10_000, 200),
    ("named", 10_000, 10_000),
    ("wide", 500, 112),
    ("wide", 2_000, 303),
    ("wide", 10_000, 991),
];

#[test]
fn every_reference_workload_needs_no_more_calls_than_its_mark() {
    let mut over = Vec::new();
    for (kind, count, mark) in MARKS {
        let gathered = gather(kind, *count);
        assert_eq!(gathered.resources(), *count as u64, "{kind} {count}: every resource is counted");
        let calls = preview(&gathered);
        eprintln!("{kind:12} {count:6} {calls:6} (mark {mark})");
        if calls > *mark {
            over.push(format!("{kind} {count}: {calls} calls, mark {mark}"));
        }
    }
    assert!(over.is_empty(), "{over:#?}");
}

#[test]
fn the_generator_draws_what_it_has_always_drawn() {
    let first: Vec<(String, String)> = workload::rows("event", 2, 1).remove(0).tags;
    let expected = [("env", "stage"), ("team", "t14"), ("owner", "o34"), ("date", "2026-11-20"), ("cc", "c1")];
    assert_eq!(first, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
}
