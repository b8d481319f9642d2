//! Messages for lanes that nobody has become dead letters, byte for byte, and none is lost on the way.

use crate::support::{Letters, dead_letter, job, link, names, on_a_clean_broker, publisher, raw_channel, ready, until};
use lapin::options::QueueDeleteOptions;
use std::{collections::BTreeSet, time::Duration};
use tagmill::{
    broker::{
        BrokerError, DeadEntry, DeadFilter, Pick, StoredDead,
        rabbitmq::{Address, Link, Publisher, Tls, Topology, dead::DeadLetters, unrouted},
    },
    worker::clock,
};

async fn dead(link: &Link) -> Vec<DeadEntry> {
    let index = DeadLetters::new(link.clone()).index(clock::wall()).await.unwrap();
    index.entries(&DeadFilter::default()).cloned().collect()
}

fn serving(link: &Link) -> tokio::task::JoinHandle<Result<(), BrokerError>> {
    let (link, publisher) = (link.clone(), publisher());
    tokio::spawn(async move { unrouted::serve(&link, &publisher).await })
}

#[test]
fn a_job_for_an_unknown_lane_becomes_a_dead_letter_that_says_so() {
    on_a_clean_broker(|| async {
        let link = link().await;
        let on = Letters::of(&link).await;
        on.unrouted("desk-x", b"\xff not even a job").await;
        on.unrouted("no such lane!", b"{}").await;
        let worker = serving(&link);
        until("both are dead letters", async || ready(&link, names::DEAD).await == 2).await;
        on.unrouted("desk-x", b"later").await;
        until("the third one too", async || ready(&link, names::DEAD).await == 3).await;
        assert_eq!(ready(&link, names::UNROUTED).await, 0);
        let letters = DeadLetters::new(link.clone());
        let index = letters.index(clock::wall()).await.unwrap();
        let mut stored: Vec<StoredDead> = Vec::new();
        let all = index.pick(&Pick::Matching(DeadFilter::default())).unwrap();
        let keep = |dead| -> Result<(), BrokerError> {
            stored.push(dead);
            Ok(())
        };
        letters.read(&index, &all, clock::wall(), keep).await.unwrap();
        let seen: Vec<_> = stored.iter().map(|dead| (dead.body.as_slice(), dead.entry.codes[0].as_str())).collect();
        assert_eq!(
            seen,
            [(&b"\xff not even a job"[..], "unknown_lane"), (b"{}", "unknown_lane"), (b"later", "unknown_lane")]
        );
        assert!(stored[0].entry.message.contains("lane desk-x") && stored[0].entry.message.contains("dlq replay"));
        assert_eq!(stored[0].entry.lane.as_ref().map(tagmill::job::LaneName::as_str), Some("desk-x"));
        assert_eq!(stored[1].entry.lane, None);
        link.close().await;
        worker.await.unwrap().unwrap();
    });
}

#[test]
fn a_worker_that_is_lost_again_and_again_loses_none_and_repeats_have_the_same_id() {
    on_a_clean_broker(|| async {
        let watching = link().await;
        let on = Letters::of(&watching).await;
        for n in 0..600 {
            on.unrouted("desk-x", format!("message {n}").as_bytes()).await;
        }
        for round in 0..8_u64 {
            let link = link().await;
            let publisher = publisher();
            let lost = tokio::time::timeout(Duration::from_millis(10 + 5 * round), unrouted::serve(&link, &publisher));
            assert!(lost.await.is_err(), "it ended by itself");
            link.close().await;
        }
        let link = link().await;
        let _worker = serving(&link);
        until("all are settled", async || ready(&watching, names::UNROUTED).await == 0).await;
        let mut entries = Vec::new();
        until("all are dead letters", async || {
            entries = dead(&watching).await;
            entries.len() >= 600
        })
        .await;
        let ids: BTreeSet<_> = entries.iter().map(|entry| &entry.id).collect();
        assert_eq!((entries.len(), ids.len()), (600, 600));
    });
}

#[test]
fn nothing_is_settled_before_its_dead_letter_is_safe() {
    on_a_clean_broker(|| async {
        let watching = link().await;
        let on = Letters::of(&watching).await;
        for n in 0..100 {
            on.unrouted("desk-x", format!("message {n}").as_bytes()).await;
        }
        let link = link().await;
        let nowhere = Address::parse("amqp://127.0.0.1:1", Tls::default()).unwrap();
        let publisher = Publisher::start(nowhere, "desk test".into(), Topology::Assert);
        let serving = unrouted::serve(&link, &publisher);
        assert!(tokio::time::timeout(Duration::from_secs(1), serving).await.is_err());
        link.close().await;
        until("all are back", async || ready(&watching, names::UNROUTED).await == 100).await;
    });
}

#[test]
fn a_dead_letter_whose_queue_was_deleted_is_back_when_the_queue_is() {
    on_a_clean_broker(|| async {
        let link = link().await;
        let on = Letters::of(&link).await;
        let channel = raw_channel(&link).await;
        channel.queue_delete(names::DEAD.into(), QueueDeleteOptions::default()).await.unwrap();
        on.dead(&dead_letter(&job("desk-a", "j1", &["r1"]), "X")).await;
        assert_eq!(ready(&link, names::UNROUTED).await, 1);
        // It is seen where it lies.
        let before = dead(&link).await;
        assert_eq!((before[0].codes[0].as_str(), before[0].raw), ("X", false));
        let _worker = serving(&link);
        until("it is taken up", async || ready(&link, names::UNROUTED).await == 0).await;
        Topology::Declare.prepare(&link).await.unwrap();
        until("it is back", async || ready(&link, names::DEAD).await == 1).await;
        let after = dead(&link).await;
        assert_eq!((after.len(), &after[0].id, after[0].raw), (1, &before[0].id, false));
    });
}
