//! What comes from outside, as bad as it can be: random and mutated bytes, bombs, and texts made to be expensive.
//!
//! What has to hold for each stands in `fuzz/bodies.rs`, which cargo-fuzz calls too; see `fuzz/README.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "../../fuzz/bodies.rs"]
mod bodies;

use proptest::{prelude::*, sample::Index};
use std::fs;

/// The shipped examples: what a cloud really sends, to be bent.
fn examples() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/events");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    assert!(files.len() >= 5, "{files:?}");
    files.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// How one place of a text is changed: a byte is replaced, what follows is cut off, said twice or nested, or something
/// is put there that means something to a reader of JSON, of headers or of templates.
#[derive(Clone, Debug)]
enum Edit {
    Byte(u8),
    Cut,
    Twice,
    Nest(u8),
    Put(&'static str),
}

const PUT: &[&str] = &[
    "\"",
    "\\u0000",
    "\\ud800",
    "null",
    "[]",
    "{}",
    "[[[[",
    "]]]]",
    "-1",
    "1e999",
    "18446744073709551616",
    "0.1",
    "{{",
    "}}",
    "{%",
    "%}",
    "\u{202e}",
    "\u{7f}",
    " ",
    "\n\n",
    ": ",
    "arn:aws:*",
    "../",
    "\"id\":",
    "\"detail\":",
    "\"cts\":",
    "\"specversion\":\"1.0\",",
    "\"data\":",
    "true",
    "[*]",
    "@",
    "|",
    "&",
    "`",
    "'",
    "(",
    "*",
    "~",
];

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => any::<u8>().prop_map(Edit::Byte),
        1 => Just(Edit::Cut),
        1 => Just(Edit::Twice),
        1 => (1..=200_u8).prop_map(Edit::Nest),
        4 => prop::sample::select(PUT).prop_map(Edit::Put),
    ]
}

fn mutated(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<Index>(), edit()), 0..6);
    (prop::sample::select(seeds), edits).prop_map(|(mut text, edits)| {
        for (at, edit) in edits {
            let at = at.index(text.len() + 1);
            let tail = text.split_off(at);
            match edit {
                Edit::Byte(byte) => text.extend([&[byte], tail.get(1..).unwrap_or_default()].concat()),
                Edit::Cut => {}
                Edit::Twice if text.len() < 100_000 => text.extend([&tail[..], &tail].concat()),
                Edit::Twice => text.extend(tail),
                Edit::Nest(depth) => text.extend([&[b'['].repeat(depth.into()), &tail[..]].concat()),
                Edit::Put(what) => text.extend([what.as_bytes(), &tail].concat()),
            }
        }
        text
    })
}

/// Any source, with headers or without, before a body.
fn sent(body: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let head = prop_oneof![
        3 => Just(String::new()),
        1 => Just("ce-specversion: 1.0\nce-id: a\nce-source: s\nce-type: com.example.made\n\n".to_owned()),
        1 => Just("content-type: application/cloudevents-batch+json\n\n".to_owned()),
        1 => "(ce-(id|type|time|source|specversion|region): [ -~]{0,20}\n){1,6}\n",
    ];
    (0..4_u8, head, body).prop_map(|(source, head, body)| {
        let how = if head.is_empty() { source } else { source | 0x80 };
        [&[how], head.as_bytes(), &body].concat()
    })
}

/// Rules that compile, to be bent: paths, conditions and templates of every kind.
const RULES: &[&str] = &[
    "responseElements.instancesSet.items[].instanceId\ncreator == 'alice'\ntagging\ninstance\n{{ creator | lower }}",
    "responseElements.instancesSet.items[?instanceId != `null`].instanceId | [0:10]\n\n{{ 'tms' if cloud == 'huawei' else 'tagging' }}\n\n{% if event.list %}{{ event.list[0] }}{% else %}{{ event.text | first }}{% endif %}",
    "[list[0], responseElements.instancesSet.items[*].instanceId][]\n1 in event.list and event.eventSource is startingwith 'ec2'\ntagging\n{{ id }}\n{{ event.text | default(event.eventSource) | split('.') | first }}",
    "join('-', list[:9].to_string(@))\n\ntagging\n\n{{ region | replace('e', 'ee') | upper | trim }}",
    "keys(@) | sort(@)\nevent.list | length > 3\ntagging\n\n{{ region ~ account ~ resource.id }}",
];

#[test]
fn the_inputs_that_are_bent_are_good_before_they_are() {
    let mut jobs = 0;
    for (example, source) in examples().into_iter().flat_map(|example| (0..4_u8).map(move |n| (example.clone(), n))) {
        jobs += bodies::event(&[&[source], &example[..]].concat());
    }
    assert!(jobs >= 6, "{jobs} jobs");
    for rule in RULES {
        assert!(bodies::rule_text(rule).is_some_and(|jobs| jobs > 0), "{rule}");
    }
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(3_000))]

    #[test]
    fn whatever_bytes_come_as_events_make_jobs_that_workers_take_or_are_refused(
        bytes in prop_oneof![
            4 => sent(mutated(examples())),
            1 => sent(prop::collection::vec(any::<u8>(), 0..300)),
            1 => sent("[\\[{\",: \\]}a-z0-9]{0,200}".prop_map(String::into_bytes)),
        ],
    ) {
        bodies::event(&bytes);
    }

    #[test]
    fn whatever_bytes_come_as_signatures_are_refused(
        bytes in mutated(vec![
            b"x-eventbridge-signature-v2: AAAA\nx-eventbridge-hash-method: SHA256\nx-eventbridge-signature-version: 1.0\n\
              x-eventbridge-signature-timestamp: 1767225600000\nx-eventbridge-signature-token: token\n\
              x-eventbridge-signature-url: https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/c.pem\n\n".to_vec(),
            fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/src/event/signature/certificate.pem")).unwrap(),
        ]),
    ) {
        bodies::signature(&bytes);
    }
}

proptest! {
    // Each looks at an event of half a megabyte.
    #![proptest_config(cases(150))]

    #[test]
    fn whatever_stands_in_a_rule_it_is_refused_or_does_bounded_work(
        bytes in mutated(RULES.iter().map(|rule| rule.as_bytes().to_vec()).collect()),
    ) {
        bodies::rule(&bytes);
    }
}
