//! What the parser promises: every mistake is told, no value is, and what was written is read back.

use super::*;
use crate::job::{Problem, Trace, stable_id};
use insta::assert_snapshot;
use proptest::prelude::*;

fn read(text: &str) -> Result<Job, Vec<Problem>> {
    job(text.as_bytes(), &Defaults::default())
}

fn complaints(text: &str) -> String {
    read(text).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

const GOOD: &str = r#"{"version":1,"id":"j-1","lane":"huawei-prod","set":{"env":"prod"},"unset":["temp"],
    "resources":[{"id":"a","type":"disk","project":"p-1"},"arn:aws:s3:::b"],"source":"csv:servers.csv"}"#;

#[test]
fn a_good_job_is_read_field_by_field() {
    let job = read(GOOD).unwrap();
    assert_eq!(job.id.as_str(), "j-1");
    assert_eq!(job.lane.as_str(), "huawei-prod");
    assert_eq!(job.resources[0].kind.as_deref(), Some("disk"));
    assert_eq!(job.resources[1], Resource::plain("arn:aws:s3:::b"));
    assert_eq!(job.set.get("env").map(|v| &**v), Some("prod"));
    assert!(job.unset.contains("temp"));
    assert_eq!(job.extras.source.as_deref(), Some("csv:servers.csv"));
    assert!(job.extras.overwrite);
}

#[test]
fn many_mistakes_are_told_at_once_and_no_value_is_shown() {
    let text = complaints(
        r#"{"version":2,"id":"has space","lnae":"x","set":{"env":"SECRET","env":"SECRET","":"SECRET","n":5,
            "bad key":"SEC\u0007RET"},"unset":["env","temp","temp",7],"priority":"SECRET","overwrite":"yes",
            "created_at":"yesterday","resources":["a","a",{"id":"b b"},{"type":"disk"},{"id":"c","typ":"x"},3],
            "replay":{"of":"d"},"source":"","ext":[1],"tags":{}}"#,
    );
    assert!(!text.contains("SECRET"));
    assert_snapshot!(text, @r#"
    version: this build reads version 1, this message is of version 2
    lnae: unknown field; did you mean lane?
    tags: unknown field; did you mean set?
    id: an id has 1 to 128 visible ASCII characters and no spaces
    lane: is missing
    resources[2].id: the id holds a space
    resources[3].id: is missing
    resources[4].typ: unknown field; did you mean type?
    resources[5]: expected text or an object, found a number
    resources[1]: the same resource as resources[0]
    set.env: the key is there twice
    set[""]: the key is empty
    set.n: expected text (in quotes), found a number
    set["bad key"]: the value holds a control character
    set.env: the key is both set and unset
    unset[2]: the key is there twice
    unset[3]: expected text, found a number
    source: the source is empty
    created_at: not a time such as 2026-01-31T12:00:00Z
    priority: is either bulk or event
    and 3 more
    "#);
}

#[test]
fn what_is_no_job_at_all_is_told_in_one_line() {
    assert_snapshot!(complaints("{\"lane\":"), @"not JSON: EOF while parsing a value at column 8");
    assert_snapshot!(complaints("[]"), @"a job is a JSON object, this is a list");
    assert_snapshot!(complaints("{}"), @r"
    id: is missing
    lane: is missing
    resources: is missing
    set: nothing to do: neither set nor unset names a key
    ");
    assert_snapshot!(complaints(r#"{"id":"a","lane":"l","resources":[],"set":{}}"#), @r"
    resources: is empty; name at least one resource
    set: nothing to do: neither set nor unset names a key
    ");
    let error = job(b"{\"lane\":\"\xff\"}", &Defaults::default()).unwrap_err();
    assert_snapshot!(Problem::describe(&error), @"not UTF-8 from byte 9 on");
}

#[test]
fn a_default_fills_a_gap_and_never_overrules_the_message() {
    let (lane, id) = (LaneName::new("only").unwrap(), JobId::new("made").unwrap());
    let set = [("env".into(), "default".into()), ("cc".into(), "42".into()), ("temp".into(), "x".into())].into();
    let unset = [Arc::from("old"), Arc::from("owner")].into();
    let published = Some("2026-01-31T12:00:00Z".parse().unwrap());
    let defaults = Defaults {
        lane: Some(&lane),
        id: Some(&id),
        source: Some("cli"),
        set: Some(&set),
        unset: Some(&unset),
        created_at: published,
    };
    let filled = job(br#"{"resources":["a"]}"#, &defaults).unwrap();
    assert_eq!(filled.extras.created_at, published);
    assert_eq!((filled.lane, filled.id, filled.extras.source.as_deref()), (lane.clone(), id.clone(), Some("cli")));
    assert_eq!(filled.set, set);

    let text = br#"{"id":"j","lane":"l","resources":["a"],"set":{"env":"prod","owner":"me"},"unset":["temp"],
        "created_at":"2025-12-24T18:00:00Z"}"#;
    let own = job(text, &defaults).unwrap();
    assert_eq!(own.extras.created_at, Some("2025-12-24T18:00:00Z".parse().unwrap()));
    assert_eq!((own.id.as_str(), own.lane.as_str()), ("j", "l"));
    assert_eq!(&*own.set["env"], "prod");
    assert_eq!(own.set.keys().map(|k| &**k).collect::<Vec<_>>(), ["cc", "env", "owner"]);
    assert_eq!(own.unset.iter().map(|k| &**k).collect::<Vec<_>>(), ["old", "temp"]);
}

#[test]
fn equal_texts_of_a_job_share_one_allocation() {
    let job = read(
        r#"{"id":"j","lane":"l","set":{"k":"v"},"resources":[{"id":"a","type":"disk"},{"id":"b","type":"disk"}]}"#,
    )
    .unwrap();
    let kinds: Vec<_> = job.resources.iter().filter_map(|r| r.kind.clone()).collect();
    assert!(Arc::ptr_eq(&kinds[0], &kinds[1]));
}

#[test]
fn the_same_resource_twice_is_found_among_a_hundred_thousand() {
    let ids: Vec<String> = (0..100_000).map(|n| format!(r#"{{"id":"r-{n}","type":"disk"}}"#)).collect();
    let text =
        |last: &str| format!(r#"{{"id":"j","lane":"l","set":{{"k":"v"}},"resources":[{},{last}]}}"#, ids.join(","));
    assert_eq!(read(&text(r#"{"id":"r-5","type":"volume"}"#)).unwrap().resources.len(), 100_001);
    assert_eq!(
        complaints(&text(r#"{"id":"r-5","type":"disk"}"#)),
        "resources[100000]: the same resource as resources[5]"
    );
}

#[test]
fn the_trace_of_a_message_is_no_part_of_its_json_nor_of_its_documents_ids() {
    let plain = read(r#"{"id":"j","lane":"l","set":{"k":"v"},"resources":["a"]}"#).unwrap();
    let mut traced = plain.clone();
    traced.extras.trace = Trace::read("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None);
    assert!(traced.extras.trace.is_some());
    assert_eq!(serde_json::to_vec(&traced).unwrap(), serde_json::to_vec(&plain).unwrap());
    assert_eq!(stable_id(&traced, "receipt"), stable_id(&plain, "receipt"));
    let smuggled = r#"{"id":"j","lane":"l","set":{"k":"v"},"resources":["a"],"trace":"00-1"}"#;
    assert!(complaints(smuggled).contains("trace"), "a trace in the body is an unknown field");
}

#[test]
fn ext_is_carried_whatever_it_holds() {
    let job =
        read(r#"{"id":"j","lane":"l","set":{"k":"v"},"resources":["a"],"ext":{"a":{"a":[1,null,2.5]}}}"#).unwrap();
    assert_eq!(serde_json::Value::Object(*job.extras.ext.unwrap()), serde_json::json!({"a":{"a":[1,null,2.5]}}));
}

fn text(most: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>().prop_filter("no control", |c| !c.is_control()), 1..=most)
        .prop_map(String::from_iter)
}

fn word(most: usize) -> impl Strategy<Value = String> {
    text(most).prop_map(|t| t.replace(char::is_whitespace, "_"))
}

fn arc(text: impl Strategy<Value = String>) -> impl Strategy<Value = Arc<str>> {
    text.prop_map(Arc::from)
}

prop_compose! {
    fn extras()(
        source in proptest::option::of(arc(text(20))),
        batch in proptest::option::of(arc(text(20))),
        times in proptest::collection::vec(proptest::option::of((0..=253_402_200_000_i64, 0..1_000_000_000_i32)), 2),
        event: bool,
        overwrite: bool,
        replay in proptest::option::of((text(20), 1..=u32::MAX)),
        ext in proptest::option::of(proptest::collection::btree_map(text(5), any::<Option<i64>>(), 0..3)),
    ) -> Extras {
        let time = |n: usize| times[n].map(|(s, ns)| jiff::Timestamp::new(s, ns).unwrap());
        Extras {
            source, batch, overwrite,
            created_at: time(0),
            not_found_until: time(1),
            priority: if event { Priority::Event } else { Priority::Bulk },
            replay: replay.map(|(of, count)| Replay { of, count }),
            ext: ext.map(|ext| Box::new(ext.into_iter().map(|(k, v)| (k, v.into())).collect())),
            trace: None,
        }
    }
}

prop_compose! {
    fn jobs()(
        id in "[!-~]{1,128}",
        lane in "[a-zA-Z0-9._-]{1,120}",
        resources in proptest::collection::hash_set(
            (arc(word(30)), proptest::option::of(arc(word(9))), proptest::option::of(arc(word(9)))), 1..6),
        set in proptest::collection::btree_map(arc(text(128)), arc(text(256)), 0..6),
        empty in proptest::option::of(arc(text(9))),
        unset in proptest::collection::btree_set(arc(text(20)), 1..4),
        extras in extras(),
    ) -> Job {
        let mut set = set;
        if let Some(key) = empty { set.insert(key, "".into()); }
        let unset = unset.into_iter().filter(|key| !set.contains_key(key)).collect::<BTreeSet<_>>();
        if unset.is_empty() { set.insert("k".into(), "v".into()); }
        Job {
            id: JobId::new(&id).unwrap(), lane: LaneName::new(&lane).unwrap(), set, unset, extras,
            resources: resources.into_iter().map(|(id, kind, project)| Resource { id, kind, project }).collect(),
        }
    }
}

proptest! {
    #[test]
    fn every_job_that_is_written_is_read_back_the_same(job in jobs()) {
        let bytes = serde_json::to_vec(&job).unwrap();
        let back = super::job(&bytes, &Defaults::default());
        prop_assert!(back.as_ref() == Ok(&job), "{back:?}");
        prop_assert_eq!(serde_json::to_vec(&back.unwrap()).unwrap(), bytes);
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        let _ = super::job(&bytes, &Defaults::default());
    }

    #[test]
    fn a_good_job_with_a_few_bytes_changed_never_panics(changes in proptest::collection::vec((0..GOOD.len(), any::<u8>()), 1..4)) {
        let mut bytes = GOOD.as_bytes().to_vec();
        for (at, byte) in changes { bytes[at] = byte; }
        if let Err(problems) = super::job(&bytes, &Defaults::default()) {
            prop_assert!(!problems.is_empty() && Problem::describe(&problems).len() <= 4096);
        }
    }
}
