//! The same from a worker of a fleet: each job comes over AMQP in a trace of its own.

use crate::{
    amqp::{Receipts, connect},
    collector::Collector,
    fleet::{Fleet, Lane},
    wire::{self, Span},
};
use lapin::{
    BasicProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::{AMQPValue, FieldTable},
};
use std::{collections::BTreeSet, time::Duration};
use tagmill::sim::Api;

async fn publish(url: &str, traces: &[String]) {
    let connection = connect(url).await;
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    for (n, trace) in traces.iter().enumerate() {
        let body = format!(
            r#"{{"id":"job-{n}","lane":"tms","set":{{"env":"prod"}},"resources":[{{"id":"r-{n}","type":"disk"}}]}}"#
        );
        let mut headers = FieldTable::default();
        headers.insert("traceparent".into(), AMQPValue::LongString(format!("00-{trace}-00f067aa0ba902b7-01").into()));
        let properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let sent = channel.basic_publish("tagmill.jobs".into(), "tms".into(), options, body.as_bytes(), properties);
        assert!(sent.await.unwrap().await.unwrap().is_ack());
    }
    connection.close(200, "bye".into()).await.unwrap();
}

#[test]
fn every_job_is_linked_to_or_the_parent_of_the_call_that_carried_it_and_a_stop_exports_the_last() {
    // Slow enough for jobs to share a call.
    let lane = Lane { rate: 1.0, ..Lane::new("tms", Api::HuaweiTms) };
    let Some(mut fleet) = Fleet::start(vec![lane]) else { return };
    let collector = Collector::start(Some(Duration::ZERO));
    fleet.home.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
    // Nothing but the end of the process exports.
    fleet.home.env("OTEL_BSP_SCHEDULE_DELAY", "600000");
    let worker = fleet.worker();
    let traces: Vec<String> = (1..=20).map(|n| format!("{n:032x}")).collect();
    fleet.runtime.block_on(publish(&fleet.node.url(), &traces));
    let mut receipts = Receipts::new(&fleet.node.url());
    fleet.runtime.block_on(receipts.wait_for(traces.len(), Duration::from_mins(1)));
    assert!(collector.requests().is_empty());
    worker.signal("-TERM");
    assert_eq!(worker.wait().code, 0);

    let spans: Vec<Span> = collector.requests().iter().flat_map(|request| wire::spans(&request.body)).collect();
    let mut met = BTreeSet::new();
    for span in &spans {
        assert_eq!(span.text("messaging.system"), Some("rabbitmq"));
        let jobs = span.number("messaging.batch.message_count").unwrap();
        if jobs == 1 {
            assert!(span.links.is_empty() && !span.parent.is_empty(), "{span:#?}");
            met.insert(span.trace.clone());
        } else {
            assert!(span.parent.is_empty() && !traces.contains(&span.trace), "{span:#?}");
            assert_eq!(span.links.len(), usize::try_from(jobs).unwrap(), "{span:#?}");
            met.extend(span.links.iter().map(|(trace, _)| trace.clone()));
        }
    }
    assert_eq!(met, traces.into_iter().collect());
    assert!(spans.len() < 20, "no call was shared: {}", spans.len());
}
