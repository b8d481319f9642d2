//! Spans of calls in a collector: a run of the binary against simulated clouds, and a collector that is there, gone or slow.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed"
)]

#[path = "../cli/support.rs"]
#[allow(dead_code, clippy::format_collect, reason = "shared with the tests of the commands")]
mod support;

#[path = "../support/rabbit/mod.rs"]
mod rabbit;

#[path = "../fleet/amqp.rs"]
#[allow(dead_code, reason = "shared with the tests of a fleet")]
mod amqp;

#[path = "../fleet/fleet.rs"]
#[allow(dead_code, reason = "shared with the tests of a fleet")]
mod fleet;

mod collector;
mod wire;
mod worker;

use collector::Collector;
use std::time::Duration;
use support::{Clouds, Done, Home, lane};
use tagmill::worker::clock;
use wire::Span;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// One job for a lane of its own, three for another.
fn home(clouds: &Clouds) -> Home {
    let mut home = Home::new(&[lane("tms", &clouds.url(), ""), lane("ecs", &clouds.url(), "")]);
    home.env("TRACEPARENT", &format!("00-{TRACE}-{SPAN}-01"));
    home.env("TRACESTATE", "vendor=opaque");
    let job = |lane: &str, id: &str, kind: &str| {
        format!(
            r#"{{"lane":"{lane}","id":"{id}","set":{{"env":"planted-value"}},"resources":[{{"id":"r-{id}","type":"{kind}"}}]}}"#
        )
    };
    let jobs = [("tms", "1", "disk"), ("ecs", "2", "instance"), ("ecs", "3", "instance"), ("ecs", "4", "instance")];
    home.write("jobs.ndjson", &jobs.map(|(lane, id, kind)| job(lane, id, kind)).join("\n"));
    home
}

fn apply(home: &Home) -> (Done, Duration) {
    let begun = clock::monotonic();
    let done = home.run(&["apply", "jobs.ndjson"]);
    (done, clock::monotonic().saturating_duration_since(begun))
}

fn of<'s>(spans: &'s [Span], lane: &str) -> &'s Span {
    let mut found = spans.iter().filter(|span| span.text("tagmill.lane") == Some(lane));
    let span = found.next().unwrap_or_else(|| panic!("no span of {lane}: {spans:#?}"));
    assert!(found.next().is_none(), "{spans:#?}");
    span
}

#[test]
fn a_call_of_one_job_is_in_its_trace_and_one_of_several_has_links() {
    let (clouds, collector) = (Clouds::start(), Collector::start(Some(Duration::ZERO)));
    let mut home = home(&clouds);
    home.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
    home.env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20planted-token");
    home.env("OTEL_SERVICE_NAME", "night-run");
    home.env("RUST_LOG", "trace");
    let (done, _) = apply(&home);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!done.err.contains("planted"), "{done:?}");

    let requests = collector.requests();
    assert!(!requests.is_empty(), "nothing was exported: {done:?}");
    for request in &requests {
        assert!(request.head.starts_with("POST /v1/traces "), "{}", request.head);
        assert!(request.head.contains("authorization: Bearer planted-token"), "{}", request.head);
        assert!(!String::from_utf8_lossy(&request.body).contains("planted"), "a tag value went out");
    }
    let spans: Vec<Span> = requests.iter().flat_map(|request| wire::spans(&request.body)).collect();
    assert!(spans.iter().all(|span| span.service == "night-run"), "{spans:#?}");

    let alone = of(&spans, "tms");
    assert_eq!((&*alone.trace, &*alone.parent, &*alone.state), (TRACE, SPAN, "vendor=opaque"));
    assert!(alone.links.is_empty(), "{alone:#?}");
    assert_eq!((&*alone.name, alone.kind), ("call huawei-tms", 3));
    assert_eq!(alone.text("messaging.system"), Some("tagmill"));
    assert_eq!((alone.text("tagmill.result"), alone.text("http.request.method")), (Some("ok"), Some("POST")));
    let numbers = ["messaging.batch.message_count", "tagmill.resources", "tagmill.keys", "http.response.status_code"];
    assert_eq!(numbers.map(|name| alone.number(name)), [Some(1), Some(1), Some(1), Some(200)]);

    let several = of(&spans, "ecs");
    assert_ne!(several.trace, TRACE, "it belongs to none of them");
    assert_eq!(several.parent, "");
    assert_eq!(several.links, [(TRACE.to_owned(), SPAN.to_owned())]);
    assert_eq!(several.number("messaging.batch.message_count"), Some(3));
}

#[test]
fn a_collector_that_is_gone_or_slow_costs_a_warning_and_some_seconds_at_most() {
    let clouds = Clouds::start();
    let slow = Collector::start(None);
    let gone = Collector::start(None).url();
    for (url, warned) in [(gone, true), (slow.url(), false)] {
        let mut home = home(&clouds);
        home.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &format!("{url}/v1/traces"));
        let (done, took) = apply(&home);
        assert_eq!(done.code, 0, "{done:?}");
        assert!(took < Duration::from_secs(20), "{took:?}");
        assert_eq!(done.err.matches("spans cannot be exported").count(), usize::from(warned), "{done:?}");
    }
}

#[test]
fn without_an_endpoint_nothing_is_exported_and_a_wrong_one_is_told() {
    let clouds = Clouds::start();
    let (done, _) = apply(&home(&clouds));
    assert!(done.code == 0 && !done.err.contains("span"), "{done:?}");
    let mut wrong = home(&clouds);
    wrong.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:planted@ no place");
    let (done, _) = apply(&wrong);
    assert_eq!((done.code, done.err.matches("no spans are exported").count()), (0, 1), "{done:?}");
    assert!(!done.err.contains("planted"), "{done:?}");
    wrong.env("OTEL_SDK_DISABLED", "true");
    let (done, _) = apply(&wrong);
    assert!(done.code == 0 && !done.err.contains("span"), "{done:?}");
}
