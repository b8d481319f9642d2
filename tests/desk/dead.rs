//! Dead letters on the broker: looked at for as long as one likes, sent again without a loss, thrown away by name.

use crate::support::{
    Letters, dead_letter, job, lane, link, names, on_a_clean_broker, publisher, put, raw_channel, ready, taken, until,
};
use futures_core::Stream as _;
use jiff::Timestamp;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use serde_json::json;
use std::{collections::BTreeSet, pin::Pin, time::Duration};
use tagmill::{
    broker::{
        BrokerError, DeadFilter, Pick, StoredDead,
        rabbitmq::{
            Address, Publisher, Tls, Topology,
            dead::{DeadLetters, Index, Picked},
        },
    },
    job::{Job, Resource, Trace, stable_id},
    worker::clock,
};

fn everything() -> Pick {
    Pick::Matching(DeadFilter::default())
}

fn ids(index: &Index) -> Vec<String> {
    index.entries(&DeadFilter::default()).map(|entry| entry.id.clone()).collect()
}

async fn bodies(letters: &DeadLetters, index: &Index, picked: &Picked) -> Vec<StoredDead> {
    let mut found = Vec::new();
    let keep = |dead| -> Result<(), BrokerError> {
        found.push(dead);
        Ok(())
    };
    letters.read(index, picked, clock::wall(), keep).await.unwrap();
    found
}

#[test]
fn dead_letters_that_are_listed_fifty_times_are_all_still_there_in_their_order() {
    on_a_clean_broker(|| async {
        let link = link().await;
        let on = Letters::of(&link).await;
        // Sizes that make chunks of every kind.
        for n in 0..700_u32 {
            let code = if n % 7 == 0 { "NotFound".to_owned() } else { "x".repeat(1 + (n as usize * 37) % 5000) };
            on.dead(&dead_letter(&job("desk-a", &format!("j{n}"), &["r1", "r2"]), &code)).await;
        }
        on.raw("raw-1", "desk-b", "invalid", b"\xff\x00").await;
        on.unrouted("desk-x", b"{}").await;
        on.poison("desk-d", b"poison").await;
        let letters = DeadLetters::new(link.clone());
        let first = letters.index(clock::wall()).await.unwrap();
        let expected: Vec<_> = (0..700).map(|n| stable_id(&job("desk-a", &format!("j{n}"), &[]), "0")).collect();
        assert_eq!(ids(&first)[..700], expected);
        assert_eq!((ids(&first).len(), first.unseen()), (703, 0));
        for n in 1..50 {
            let index = letters.index(clock::wall()).await.unwrap();
            assert_eq!(ids(&index), ids(&first), "the {n}th time");
            // Nobody who looks right after it misses one.
            assert_eq!(ready(&link, names::DEAD).await, 701);
        }
        assert_eq!((ready(&link, names::UNROUTED).await, ready(&link, names::POISON).await), (1, 1));
    });
}

#[test]
fn the_times_of_a_few_letters_are_looked_at_fifty_times_by_two_and_every_letter_stays_in_its_place() {
    on_a_clean_broker(|| async {
        let (link, other) = (link().await, link().await);
        let (letters, others) = (DeadLetters::new(link.clone()), DeadLetters::new(other.clone()));
        assert!(letters.times(5, clock::wall()).await.unwrap().is_empty(), "there is none");
        let wall = clock::wall();
        let (channel, recorded) = (raw_channel(&link).await, wall.as_second().unsigned_abs() - 86_400);
        for n in 0..5_u64 {
            let letter = dead_letter(&job("desk-a", &format!("j{n}"), &["r1"]), "NotFound");
            let properties = BasicProperties::default().with_delivery_mode(2).with_timestamp(recorded + n * 60);
            put(&channel, names::DEAD, "desk-a", properties, &serde_json::to_vec(&letter).unwrap()).await;
        }
        let first = letters.index(wall).await.unwrap();
        assert_eq!(ids(&first).len(), 5);
        let time = |n: u64| Timestamp::from_second((recorded + n * 60).cast_signed()).unwrap();
        let expected: Vec<Timestamp> = (0..5).map(time).collect();
        for n in 0..25 {
            let (one, two) = tokio::join!(letters.times(5, wall), others.times(5, wall));
            assert!(one.is_ok() || two.is_ok(), "look {n}");
            for found in [one, two] {
                match found {
                    Ok(found) => assert_eq!(found, expected, "look {n}"),
                    Err(error) => assert!(matches!(error, BrokerError::InUse(_)), "look {n}: {error}"),
                }
            }
            // Nobody who looks right after it misses one.
            assert_eq!(ready(&link, names::DEAD).await, 5);
        }
        assert_eq!(ids(&letters.index(wall).await.unwrap()), ids(&first));

        // A part of them would come back behind the others, so none is taken.
        assert!(letters.times(4, wall).await.unwrap().is_empty());
        let picked = first.pick(&Pick::Ids(vec![ids(&first)[0].clone()])).unwrap();
        letters.discard(&first, &picked, wall).await.unwrap();
        assert_eq!(letters.times(4, wall).await.unwrap(), expected[1..]);
        assert_eq!(ids(&letters.index(wall).await.unwrap()), ids(&first)[1..]);
    });
}

#[test]
fn what_is_known_of_a_dead_letter_comes_from_wherever_it_lies() {
    on_a_clean_broker(|| async {
        let link = link().await;
        let on = Letters::of(&link).await;
        let work = job("desk-a", "j1", &["r1", "r2"]);
        on.dead(&dead_letter(&work, "NotFound")).await;
        on.raw("raw-1", "desk-b", "invalid", b"\xff\x00").await;
        on.poison("desk-d", &serde_json::to_vec(&job("desk-d", "j2", &["r1", "r2", "r3"])).unwrap()).await;
        on.unrouted("desk-x", &serde_json::to_vec(&job("desk-x", "j3", &["r1"])).unwrap()).await;
        on.unrouted("no such lane!", b"gibberish").await;
        let letters = DeadLetters::new(link.clone());
        let now = clock::wall();
        let index = letters.index(now).await.unwrap();
        let entries: Vec<_> = index.entries(&DeadFilter::default()).collect();
        let seen: Vec<_> = entries
            .iter()
            .map(|entry| {
                let text = |text: Option<&str>| text.unwrap_or("-").to_owned();
                let lane = text(entry.lane.as_ref().map(tagmill::job::LaneName::as_str));
                let job = text(entry.job.as_ref().map(tagmill::job::JobId::as_str));
                (entry.codes[0].as_str(), lane, job, entry.items, entry.raw)
            })
            .collect();
        let row = |code, lane: &str, job: &str, items, raw| (code, lane.to_owned(), job.to_owned(), items, raw);
        assert_eq!(
            seen,
            [
                row("NotFound", "desk-a", "j1", 2, false),
                row("invalid", "desk-b", "-", 1, true),
                row("delivery_limit", "desk-d", "j2", 3, true),
                row("unknown_lane", "desk-x", "j3", 1, true),
                row("unknown_lane", "-", "-", 1, true),
            ]
        );
        assert_eq!(entries[1].message, "what was wrong");
        assert_eq!((entries[1].source.as_deref(), entries[1].line), (Some("csv:a.csv"), Some(7)));
        assert!(entries[2].message.contains("tagmill.lane.desk-d"), "{}", entries[2].message);
        assert!(entries[3].message.contains("desk-x"), "{}", entries[3].message);
        assert!(entries.iter().all(|entry| now.duration_since(entry.recorded_at).as_secs() < 60));
        let stored = bodies(&letters, &index, &index.pick(&everything()).unwrap()).await;
        assert_eq!(stored[1].body, b"\xff\x00");
        assert_eq!(stored[4].body, b"gibberish");
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&stored[0].body).unwrap()["job"]["id"], "j1");
    });
}

#[test]
fn a_filter_picks_by_lane_code_job_age_and_number() {
    on_a_clean_broker(|| async {
        let link = link().await;
        let on = Letters::of(&link).await;
        for (n, (lane, code)) in [("desk-a", "X"), ("desk-a", "Y"), ("desk-b", "X"), ("desk-b", "Y")].iter().enumerate()
        {
            on.dead(&dead_letter(&job(lane, &format!("j{n}"), &["r"]), code)).await;
        }
        let now = clock::wall();
        let index = DeadLetters::new(link.clone()).index(now).await.unwrap();
        let count = |filter: DeadFilter| index.pick(&Pick::Matching(filter)).unwrap().count().letters;
        let all = DeadFilter::default;
        assert_eq!(count(DeadFilter { lane: Some(lane("desk-a")), ..all() }), 2);
        assert_eq!(count(DeadFilter { lane: Some(lane("desk-a")), code: Some("X".into()), ..all() }), 1);
        assert_eq!(count(DeadFilter { job: Some(job("desk-a", "j3", &[]).id), ..all() }), 1);
        assert_eq!(count(DeadFilter { limit: Some(3), ..all() }), 3);
        let hour = Timestamp::from_second(now.as_second() - 3600).unwrap();
        assert_eq!(count(DeadFilter { before: Some(hour), ..all() }), 0);
        assert_eq!(count(DeadFilter { since: Some(hour), ..all() }), 4);
        assert_eq!(index.pick(&Pick::Ids(vec!["nobody".into()])).unwrap_err(), "nobody");
    });
}

#[test]
fn the_same_letter_twice_is_one_and_the_last_one_stands_in_the_place_of_the_first() {
    on_a_clean_broker(|| async {
        let (link, publisher) = (link().await, publisher());
        let on = Letters::of(&link).await;
        on.lane("desk-a").await;
        let twice = job("desk-a", "j1", &["r1", "r2"]);
        on.dead(&dead_letter(&job("desk-a", "j1", &["r1"]), "First")).await;
        on.dead(&dead_letter(&job("desk-a", "j2", &["r1"]), "Other")).await;
        // A crash after the first one: the job came again, and more of it failed.
        on.dead(&dead_letter(&twice, "Second")).await;
        on.raw("raw", "desk-a", "invalid", b"x").await;
        on.raw("raw", "desk-a", "invalid", b"x").await;
        let letters = DeadLetters::new(link.clone());
        let index = letters.index(clock::wall()).await.unwrap();
        let picked = index.pick(&everything()).unwrap();
        let count = picked.count();
        assert_eq!((count.letters, count.items, count.raw), (3, 4, 1));
        let stored = bodies(&letters, &index, &picked).await;
        assert_eq!(stored.iter().map(|dead| &dead.entry.codes[0]).collect::<Vec<_>>(), ["Second", "Other", "invalid"]);
        let replay = letters.replay(&publisher, &index, &picked, clock::wall()).await;
        assert!(replay.broke_off.is_none() && replay.no_job == 1, "{replay:?}");
        let sent: Vec<Job> = taken(&link, &lane("desk-a")).await;
        let sent: Vec<_> = sent.iter().map(|job| (job.id.as_str(), job.resources.len())).collect();
        assert_eq!(sent, [("j1", 2), ("j2", 1)]);
        assert_eq!(ready(&link, names::DEAD).await, 2, "both copies of the raw one");
    });
}

#[test]
fn two_jobs_that_share_an_id_are_two_letters() {
    on_a_clean_broker(|| async {
        let link = link().await;
        let on = Letters::of(&link).await;
        let one = job("desk-a", "same", &["r1"]);
        let mut other = job("desk-a", "same", &["r1"]);
        other.set.insert("env".into(), "test".into());
        on.dead(&dead_letter(&one, "X")).await;
        on.dead(&dead_letter(&other, "X")).await;
        on.raw("raw", "desk-a", "invalid", b"\xfe").await;
        on.raw("raw", "desk-a", "invalid", b"\xff").await;
        let letters = DeadLetters::new(link.clone());
        let index = letters.index(clock::wall()).await.unwrap();
        let found = ids(&index);
        assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 4, "{found:?}");
        assert!(found[1].starts_with(&found[0]) && found[3].starts_with("raw-"), "{found:?}");
        // Each can be named alone.
        let picked = index.pick(&Pick::Ids(vec![found[1].clone(), found[3].clone()])).unwrap();
        let count = letters.discard(&index, &picked, clock::wall()).await.unwrap();
        assert_eq!((count.letters, count.raw), (2, 1));
        assert_eq!(ids(&letters.index(clock::wall()).await.unwrap()), [found[0].clone(), found[2].clone()]);
    });
}

#[test]
fn a_replay_goes_to_the_lane_it_came_from_as_new_work_in_the_old_order() {
    on_a_clean_broker(|| async {
        let (link, publisher) = (link().await, publisher());
        let on = Letters::of(&link).await;
        on.lane("desk-a").await;
        on.unrouted("desk-b", &serde_json::to_vec(&json!({"resources": ["u"], "set": {"a": "b"}})).unwrap()).await;
        on.lane("desk-b").await;
        for n in 0..300 {
            let name = if n % 3 == 0 { "desk-b" } else { "desk-a" };
            on.dead(&dead_letter(&job(name, &format!("j{n}"), &["r1"]), "X")).await;
        }
        on.dead(&dead_letter(&job("desk-c", "nowhere", &["r1"]), "X")).await;
        on.raw("raw", "desk-a", "invalid", b"no job").await;
        on.poison("desk-d", &serde_json::to_vec(&job("desk-d", "p", &["r1"])).unwrap()).await;
        let letters = DeadLetters::new(link.clone());
        let index = letters.index(clock::wall()).await.unwrap();
        // What comes in between is not part of what was picked.
        on.dead(&dead_letter(&job("desk-a", "late", &["r1"]), "X")).await;
        let now = Timestamp::from_second(clock::wall().as_second()).unwrap();
        let replay = letters.replay(&publisher, &index, &index.pick(&everything()).unwrap(), now).await;
        assert!(replay.broke_off.is_none(), "{replay:?}");
        let sent: Vec<_> = replay.lanes.iter().map(|(lane, sent)| (lane.as_str(), sent.letters, sent.items)).collect();
        assert_eq!(sent, [("desk-a", 200, 200), ("desk-b", 101, 101), ("desk-d", 1, 1)]);
        assert_eq!(replay.no_lane.iter().map(|(lane, n)| (lane.as_str(), *n)).collect::<Vec<_>>(), [("desk-c", 1)]);
        assert_eq!((replay.no_job, replay.left(), replay.gone), (1, 2, 0));
        assert!(replay.lanes.values().all(|sent| !sent.has_worker));
        let (a, b) = (taken(&link, &lane("desk-a")).await, taken(&link, &lane("desk-b")).await);
        let expected = |mine: fn(u32) -> bool| (0..300).filter(move |n| mine(*n)).map(|n| format!("j{n}"));
        let names = |jobs: &[Job]| jobs.iter().map(|job| job.id.as_str().to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&a), expected(|n| n % 3 != 0).collect::<Vec<_>>());
        assert_eq!(names(&b)[..100], expected(|n| n % 3 == 0).collect::<Vec<_>>());
        let replayed = a[0].extras.replay.as_ref().unwrap();
        assert_eq!((replayed.of.as_str(), replayed.count), (ids(&index)[1].as_str(), 1));
        assert!(a.iter().chain(&b).all(|job| job.extras.created_at == Some(now)));
        let unrouted = b.last().unwrap();
        assert_eq!((unrouted.lane.as_str(), &*unrouted.resources[0].id), ("desk-b", "u"));
        assert_eq!(taken(&link, &lane("desk-d")).await.len(), 1);
        let left = letters.index(now).await.unwrap();
        let left: Vec<_> = left.entries(&DeadFilter::default()).map(|entry| entry.job.clone()).collect();
        let left: Vec<_> = left.iter().map(|job| job.as_ref().map_or("-", |job| job.as_str())).collect();
        assert_eq!(left, ["nowhere", "-", "late"]);
    });
}

#[test]
fn a_replay_goes_on_with_the_trace_of_its_letter() {
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    on_a_clean_broker(|| async {
        let (link, publisher) = (link().await, publisher());
        let on = Letters::of(&link).await;
        on.lane("desk-a").await;
        let channel = raw_channel(&link).await;
        let text = |text: &str| AMQPValue::LongString(text.into());
        for (id, parent) in [("traced", Some(PARENT)), ("not", None), ("nonsense", Some("00-1-2-01"))] {
            let letter = dead_letter(&job("desk-a", id, &["r1"]), "X");
            let mut headers = FieldTable::default();
            if let Some(parent) = parent {
                headers.insert("traceparent".into(), text(parent));
                headers.insert("tracestate".into(), text("a=1, b=2"));
            }
            let properties = BasicProperties::default().with_message_id(letter.id.as_str().into());
            let body = serde_json::to_vec(&letter).unwrap();
            put(&channel, names::DEAD, "desk-a", properties.with_headers(headers), &body).await;
        }
        let letters = DeadLetters::new(link.clone());
        let index = letters.index(clock::wall()).await.unwrap();
        let known: Vec<_> = index.entries(&DeadFilter::default()).map(|entry| entry.trace.clone()).collect();
        assert_eq!(known, [Trace::read(PARENT, Some("a=1,b=2")), None, None]);
        let replay = letters.replay(&publisher, &index, &index.pick(&everything()).unwrap(), clock::wall()).await;
        assert_eq!((replay.lanes[&lane("desk-a")].letters, replay.left()), (3, 0), "{replay:?}");
        let queue = names::lane_queue(&lane("desk-a"));
        let consuming =
            channel.basic_consume(queue.as_str().into(), "look".into(), Default::default(), FieldTable::default());
        let mut consumer = consuming.await.unwrap();
        for expected in [[Some(text(PARENT)), Some(text("a=1,b=2"))], [None, None], [None, None]] {
            let next = std::future::poll_fn(|cx| Pin::new(&mut consumer).poll_next(cx)).await;
            let headers = next.unwrap().unwrap().properties.headers().clone().unwrap_or_default();
            assert_eq!(["traceparent", "tracestate"].map(|name| headers.inner().get(name).cloned()), expected);
        }
    });
}

#[test]
fn nothing_is_removed_before_its_job_is_safe() {
    on_a_clean_broker(|| async {
        let link = link().await;
        let on = Letters::of(&link).await;
        on.lane("desk-a").await;
        for n in 0..300 {
            on.dead(&dead_letter(&job("desk-a", &format!("j{n}"), &["r1"]), "X")).await;
        }
        let letters = DeadLetters::new(link.clone());
        let index = letters.index(clock::wall()).await.unwrap();
        let picked = index.pick(&everything()).unwrap();
        // Takes what it is given and never has a connection.
        let nowhere = Address::parse("amqp://127.0.0.1:1", Tls::default()).unwrap();
        let publisher = Publisher::start(nowhere, "desk test".into(), Topology::Assert);
        let replaying = letters.replay(&publisher, &index, &picked, clock::wall());
        assert!(tokio::time::timeout(Duration::from_secs(1), replaying).await.is_err(), "who has confirmed them?");
        assert_eq!(ids(&letters.index(clock::wall()).await.unwrap()), ids(&index));
    });
}

#[test]
fn a_replay_given_up_at_any_moment_loses_nothing() {
    on_a_clean_broker(|| async {
        let link = link().await;
        let on = Letters::of(&link).await;
        on.lane("desk-a").await;
        let all: BTreeSet<String> = (0..600).map(|n| format!("j{n}")).collect();
        for id in &all {
            on.dead(&dead_letter(&job("desk-a", id, &["r1"]), "X")).await;
        }
        let letters = DeadLetters::new(link.clone());
        let mut sent = BTreeSet::new();
        for round in 0..12_u64 {
            let publisher = publisher();
            let index = letters.index(clock::wall()).await.unwrap();
            let dead: BTreeSet<String> =
                index.entries(&DeadFilter::default()).map(|entry| entry.job.as_ref().unwrap().to_string()).collect();
            let lost: Vec<_> = all.difference(&sent).filter(|id| !dead.contains(*id)).collect();
            assert!(lost.is_empty(), "round {round}: neither dead nor sent: {lost:?}");
            let picked = index.pick(&everything()).unwrap();
            // Given up between a publish and its ack, at one moment or another; the connection lives on.
            let replaying = letters.replay(&publisher, &index, &picked, clock::wall());
            let _ = tokio::time::timeout(Duration::from_millis(15 + 4 * round), replaying).await;
            drop(publisher);
            until("everything is back", async || letters.index(clock::wall()).await.is_ok()).await;
            sent.extend(taken(&link, &lane("desk-a")).await.iter().map(|job| job.id.to_string()));
        }
        let publisher = publisher();
        let index = letters.index(clock::wall()).await.unwrap();
        let replay = letters.replay(&publisher, &index, &index.pick(&everything()).unwrap(), clock::wall()).await;
        assert!(replay.broke_off.is_none(), "{replay:?}");
        sent.extend(taken(&link, &lane("desk-a")).await.iter().map(|job| job.id.to_string()));
        assert_eq!(sent, all);
        assert_eq!(ready(&link, names::DEAD).await, 0);
    });
}

#[test]
fn what_was_discarded_does_not_come_back() {
    on_a_clean_broker(|| async {
        let link = link().await;
        let on = Letters::of(&link).await;
        let letters = DeadLetters::new(link.clone());
        // The broker forgets acks that are followed by the end of their channel too soon; not at every try.
        for round in 0..6 {
            for n in 0..300 {
                on.dead(&dead_letter(&job("desk-a", &format!("j{round}-{n}"), &["r1"]), "X")).await;
            }
            let index = letters.index(clock::wall()).await.unwrap();
            let picked = index.pick(&everything()).unwrap();
            assert_eq!(picked.count().letters, 300, "round {round}");
            assert_eq!(letters.discard(&index, &picked, clock::wall()).await.unwrap().letters, 300);
            assert_eq!(ready(&link, names::DEAD).await, 0, "round {round}");
        }
    });
}

#[test]
fn a_look_that_breaks_off_leaves_everything_in_its_order() {
    on_a_clean_broker(|| async {
        let watching = link().await;
        let on = Letters::of(&watching).await;
        for n in 0..2000 {
            on.dead(&dead_letter(&job("desk-a", &format!("j{n}"), &["r1"]), "X")).await;
        }
        let before = ids(&DeadLetters::new(watching.clone()).index(clock::wall()).await.unwrap());
        for round in 0..8_u64 {
            let link = link().await;
            let letters = DeadLetters::new(link.clone());
            let _ = tokio::time::timeout(Duration::from_millis(10 + 6 * round), letters.index(clock::wall())).await;
            if round % 2 == 0 {
                link.close().await;
            }
            let mut after = Vec::new();
            until("all are back", async || {
                after = ids(&DeadLetters::new(watching.clone()).index(clock::wall()).await.unwrap());
                after.len() == before.len()
            })
            .await;
            assert_eq!(after, before, "round {round}");
        }
    });
}

#[test]
fn large_letters_come_in_small_chunks_and_whole() {
    on_a_clean_broker(|| async {
        let link = link().await;
        let on = Letters::of(&link).await;
        let mut large = job("desk-a", "large", &[]);
        large.resources = (0..3000).map(|n| Resource::plain(&format!("resource-{n:05}"))).collect();
        for n in 0..40 {
            large.id = job("desk-a", &format!("large-{n}"), &[]).id;
            on.dead(&dead_letter(&large, "X")).await;
        }
        let letters = DeadLetters::new(link.clone());
        let index = letters.index(clock::wall()).await.unwrap();
        assert_eq!(index.pick(&everything()).unwrap().count().items, 40 * 3000);
        let picked = index.pick(&Pick::Ids(vec![ids(&index)[31].clone()])).unwrap();
        let stored = bodies(&letters, &index, &picked).await;
        assert_eq!(stored[0].entry.job.as_ref().unwrap().as_str(), "large-31");
        letters.discard(&index, &picked, clock::wall()).await.unwrap();
        assert_eq!(letters.index(clock::wall()).await.unwrap().entries(&DeadFilter::default()).count(), 39);
    });
}

#[test]
fn a_message_that_is_no_dead_letter_is_shown_without_repeating_it() {
    on_a_clean_broker(|| async {
        let link = link().await;
        let channel = raw_channel(&link).await;
        let body = br#"{"id":"x","job":{"id":"1","lane":"a","resources":"s3cret"},"failures":[]}"#;
        put(&channel, names::DEAD, "desk-a", BasicProperties::default(), body).await;
        let index = DeadLetters::new(link.clone()).index(clock::wall()).await.unwrap();
        let entry = index.entries(&DeadFilter::default()).next().unwrap();
        assert_eq!((entry.codes[0].as_str(), entry.raw), ("unreadable", true));
        assert!(!entry.message.contains("s3cret"), "{}", entry.message);
    });
}
