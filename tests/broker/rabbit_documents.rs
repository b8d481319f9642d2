//! What a commit publishes on RabbitMQ, and what it does when that cannot be done at once.

use crate::{
    hands::Fleet,
    make::{bodies, bytes, dead_letter, job, lane, open, receipt, soon, take},
};
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use std::time::Duration;
use tagmill::{
    broker::{Broker, CallCounts, Deed, Feed as _, RawDeadLetter, rabbitmq::LinkState},
    job::{Mark, Trace},
};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn traced() -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert("traceparent".into(), AMQPValue::LongString(TRACE.into()));
    headers.insert("tracestate".into(), AMQPValue::LongString("vendor=opaque".into()));
    BasicProperties::default().with_headers(headers).with_message_id("message-1".into()).with_timestamp(1_700_000_000)
}

fn header(properties: &BasicProperties, name: &str) -> Option<String> {
    match properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_carry_a_stable_id_a_time_and_the_trace_of_their_message() {
    let fleet = Fleet::start(10).await;
    let rabbit = fleet.worker("w");
    let work = job("a", "job-1", &["r1", "r2"]);
    fleet.publish_with("a", &bytes(&work), traced()).await;
    fleet.publish("a", [b"\xff\x00garbage".to_vec()]).await;
    let (feed, got) = open(&rabbit, "a", 2).await;
    assert_eq!((&*got[0].id, got[0].trace.as_ref().map(Trace::parent)), ("message-1", Some(TRACE)));
    assert_eq!(got[0].published_at.unwrap().as_second(), 1_700_000_000);
    assert_eq!((got[1].published_at, got[1].trace.as_ref()), (None, None));
    let (letter, done) = (dead_letter(&work, &["r1"], "NotFound"), receipt(&work, 1));
    let raw = RawDeadLetter {
        id: got[1].id.to_string(),
        lane: None,
        code: "invalid".into(),
        message: "é".repeat(5_000),
        source: Some("csv:servers.csv".into()),
        line: Some(7),
        body: got[1].body.clone(),
    };
    let count = CallCounts { calls: 3, throttled: 1, retries: 0 };
    let deeds = vec![
        Deed::Count(lane("a"), count),
        Deed::Mark(got[0].ticket, vec![(0, Mark::Unchanged)]),
        Deed::DeadLetter(got[0].ticket, letter.clone()),
        Deed::Receipt(got[0].ticket, done.clone()),
        Deed::Ack(got[0].ticket),
        Deed::RawDeadLetter(got[1].ticket, raw.clone()),
        Deed::Ack(got[1].ticket),
    ];
    rabbit.commit(deeds).await.unwrap();
    assert_eq!(rabbit.counts(&lane("a")), count);
    feed.close().await;

    let receipts = fleet.peek(fleet.names.receipts()).await;
    let [(properties, body)] = &*receipts else { panic!("one receipt, not {}", receipts.len()) };
    assert_eq!(serde_json::from_slice::<serde_json::Value>(body).unwrap(), serde_json::to_value(&done).unwrap());
    assert_eq!(properties.message_id().as_ref().unwrap().as_str(), done.id);
    assert_eq!(properties.content_type().as_ref().unwrap().as_str(), "application/json");
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert!(properties.timestamp().unwrap() > 1_700_000_000);
    assert_eq!(header(properties, "traceparent").as_deref(), Some(TRACE));
    assert_eq!(header(properties, "tracestate").as_deref(), Some("vendor=opaque"));

    let dead = fleet.peek(fleet.names.dead()).await;
    let [(first, body), (second, bytes)] = &*dead else { panic!("two dead letters, not {}", dead.len()) };
    assert_eq!(first.message_id().as_ref().unwrap().as_str(), letter.id);
    assert_eq!(serde_json::from_slice::<serde_json::Value>(body).unwrap(), serde_json::to_value(&letter).unwrap());
    assert_eq!(header(first, "traceparent").as_deref(), Some(TRACE));
    assert_eq!(header(first, "tracestate").as_deref(), Some("vendor=opaque"));
    assert_eq!((bytes, second.message_id().as_ref().unwrap().as_str()), (&raw.body, &*raw.id));
    assert_eq!(second.content_type().as_ref().unwrap().as_str(), "application/octet-stream");
    let headers = ["tagmill-code", "tagmill-lane", "tagmill-source", "tagmill-line", "traceparent"];
    let told = headers.map(|name| header(second, name));
    let expected = [Some("invalid"), Some("a"), Some("csv:servers.csv"), Some("7"), None];
    assert_eq!(told, expected.map(|text| text.map(str::to_owned)));
    assert_eq!(header(second, "tagmill-message").unwrap(), "é".repeat(2_048), "4 KB, and whole characters");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_waits_for_a_publishing_connection_that_is_lost_and_then_succeeds() {
    let fleet = Fleet::start(10).await;
    let rabbit = fleet.worker("w");
    let work: Vec<_> = (0..50).map(|n| job("a", &format!("job-{n}"), &["r1"])).collect();
    fleet.publish("a", work.iter().map(bytes)).await;
    let (feed, got) = open(&rabbit, "a", 50).await;
    let deeds = got
        .iter()
        .zip(&work)
        .flat_map(|(delivery, work)| [Deed::Receipt(delivery.ticket, receipt(work, 0)), Deed::Ack(delivery.ticket)]);
    let deeds: Vec<_> = deeds.collect();
    // The documents are under way, and no answer comes.
    fleet.proxy.silence("publishing");
    let committing = tokio::spawn({
        let rabbit = rabbit.clone();
        async move { rabbit.commit(deeds).await }
    });
    let mut state = rabbit.publisher().state();
    fleet.proxy.cut("publishing");
    soon(state.wait_for(|state| matches!(state, LinkState::Lost(_)))).await.unwrap();
    assert!(!committing.is_finished());
    assert_eq!(rabbit.held(&lane("a")).unwrap().messages, 50, "nothing is acked before it is safe");
    fleet.proxy.listen();
    soon(committing).await.unwrap().unwrap();
    assert_eq!(rabbit.held(&lane("a")).unwrap().messages, 0);
    feed.check().unwrap();
    feed.close().await;
    // Some may have come twice, under the same id; none is missing.
    let receipts = fleet.peek(fleet.names.receipts()).await;
    let mut ids: Vec<_> = receipts.iter().map(|(properties, _)| properties.message_id().clone().unwrap()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 50);
    fleet.publish("a", [b"the end".to_vec()]).await;
    assert_eq!(bodies(&take(&mut soon(rabbit.open_lane(&lane("a"))).await.unwrap(), 1).await), ["the end"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_of_a_lane_that_is_lost_publishes_nothing_for_it() {
    let fleet = Fleet::start(10).await;
    let rabbit = fleet.worker("w");
    let work = job("a", "job-1", &["r1"]);
    fleet.publish("a", [bytes(&work)]).await;
    let (feed, got) = open(&rabbit, "a", 1).await;
    feed.close().await;
    let deeds = vec![Deed::Receipt(got[0].ticket, receipt(&work, 0)), Deed::Ack(got[0].ticket)];
    let error = rabbit.commit(deeds).await.unwrap_err();
    assert_eq!(error.to_string(), "lane a is lost: it was closed");
    assert_eq!(fleet.peek(fleet.names.receipts()).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_cannot_be_reached_is_unavailable_and_says_where() {
    let fleet = Fleet::start(10).await;
    let rabbit = fleet.worker_at(1, "w");
    let began = tokio::time::Instant::now();
    let error = soon(rabbit.open_lane(&lane("a"))).await.unwrap_err().to_string();
    assert!(error.contains("connecting to amqp://guest@127.0.0.1:1"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(matches!(rabbit.state().consuming, LinkState::Lost(_)));
}
