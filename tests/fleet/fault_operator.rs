//! What an operator meets: outages, alarms, lanes that are gone, batches sent by mistake, dead letters to look at.

use crate::{
    amqp::Receipts,
    fleet::{Fleet, Lane},
    support::until,
    truth::Truth,
};
use std::{fmt::Write as _, time::Duration};
use tagmill::sim::{Api, Faults};

const PATIENCE: Duration = Duration::from_mins(3);

fn singles(truth: &mut Truth, lane: &Lane, name: &str, count: usize) {
    for n in 0..count {
        let set = [("env", "prod".to_owned()), ("owner", format!("o{}", n % 5))];
        truth.job(lane, &format!("{name}-{n}"), &[format!("{name}-{n}")], &set);
    }
}

#[test]
fn an_outage_of_one_cloud_kills_nothing_and_leaves_the_other_lanes_alone() {
    let lanes = vec![Lane::new("down", Api::HuaweiTms), Lane::new("up", Api::AlibabaTag)];
    let Some(fleet) = Fleet::start(lanes.clone()) else { return };
    let _worker = fleet.worker();
    fleet.clouds.faults("down", Faults { outage: true, ..Faults::default() });
    let mut truth = Truth::default();
    singles(&mut truth, &lanes[0], "a", 600);
    singles(&mut truth, &lanes[1], "b", 600);
    fleet.publish(std::mem::take(&mut truth.messages));
    let mut receipts = Receipts::new(&fleet.node.url());
    fleet.runtime.block_on(receipts.wait_for(600, PATIENCE));
    assert!(receipts.by_job.keys().all(|job| job.starts_with('b')), "the lane that is up is done first");
    // Five failures make an outage, a few calls were on their way, and after that come single probes with growing waits.
    until("probes", || fleet.counts(&lanes[0]).requests >= 9);
    assert!(fleet.home.dead_letters().is_empty());
    assert!(fleet.counts(&lanes[0]).requests < 20, "600 items wait, and single probes are sent");
    fleet.clouds.faults("down", Faults::default());
    fleet.runtime.block_on(receipts.wait_for(1200, PATIENCE));
    truth.holds(&fleet);
    assert!(fleet.home.dead_letters().is_empty());
    assert_eq!(receipts.sum(|receipt| receipt.tagged), 1200);
}

#[test]
fn dead_letters_that_were_looked_at_fifty_times_are_all_still_there() {
    let lane = Lane {
        faults: Faults { unknown: vec!["gone-*".into()], ..Faults::default() },
        ..Lane::new("tms", Api::HuaweiTms)
    };
    let Some(fleet) = Fleet::start(vec![lane.clone()]) else { return };
    let _worker = fleet.worker();
    let mut truth = Truth::default();
    singles(&mut truth, &lane, "gone", 120);
    fleet.publish(std::mem::take(&mut truth.messages));
    let mut receipts = Receipts::new(&fleet.node.url());
    fleet.runtime.block_on(receipts.wait_for(120, PATIENCE));
    let first = fleet.home.run(&["dlq", "list", "--output", "ndjson"]);
    assert_eq!((first.code, first.out.lines().count()), (0, 120), "{}", first.err);
    for _ in 0..50 {
        let again = fleet.home.run(&["dlq", "list", "--output", "ndjson"]);
        assert_eq!(again.out.lines().count(), 120, "{}", again.err);
    }
    truth.only_poison_is_dead(&fleet);
    // The resources are there now: what is replayed is tagged, and no letter is left.
    fleet.clouds.faults("tms", Faults::default());
    let replayed = fleet.home.run(&["dlq", "replay", "--yes"]);
    assert_eq!(replayed.code, 0, "{}", replayed.err);
    until("all are tagged", || fleet.tags(&lane).len() == 120);
    until("no dead letter is left", || fleet.home.dead_letters().is_empty());
}

#[test]
fn a_batch_sent_by_mistake_is_stopped_with_cancel() {
    let rows = std::env::var("TAGMILL_TEST_JOBS").map_or(20_000, |text| text.parse().unwrap());
    let lane = Lane { rate: 20.0, ..Lane::new("tms", Api::HuaweiTms) };
    let Some(fleet) = Fleet::start(vec![lane.clone()]) else { return };
    let _worker = fleet.worker();
    let mut csv = "id,type,owner\n".to_owned();
    for n in 0..rows {
        writeln!(csv, "r-{n},disk,o{}", n % 7).unwrap();
    }
    fleet.home.write("mistake.csv", &csv);
    let waiting = fleet.home.start(&["submit", "mistake.csv", "--batch", "oops", "--wait", "--output", "json"]);
    until("it has begun", || fleet.counts(&lane).requests > 20);
    let cancelled = fleet.home.run(&["cancel", "--batch", "oops", "--yes"]);
    assert_eq!(cancelled.code, 0, "{}", cancelled.err);
    let done = waiting.wait();
    assert_eq!(done.code, 1, "{}", done.err);
    let ledger = done.json();
    let number = |name: &str| ledger[name].as_u64().unwrap();
    assert_eq!(number("accepted"), rows as u64, "{ledger}");
    assert_eq!(number("tagged") + number("dead"), rows as u64, "{ledger}");
    assert!(number("dead") > rows as u64 / 2, "{ledger}");
    assert_eq!(fleet.tags(&lane).len() as u64, number("tagged"), "what is told tagged is, and nothing else");
    let letters = fleet.home.dead_letters();
    let failures: Vec<_> = letters.iter().flat_map(|letter| letter["failures"].as_array().unwrap()).collect();
    assert_eq!(failures.len() as u64, number("dead"));
    assert!(failures.iter().all(|failure| failure["code"] == "cancelled"));
}

#[test]
fn a_lane_that_left_the_config_with_messages_in_its_queue_is_shown() {
    let lanes = vec![Lane::new("kept", Api::HuaweiTms), Lane::new("dropped", Api::AlibabaTag)];
    let Some(fleet) = Fleet::start(lanes.clone()) else { return };
    let worker = fleet.worker();
    worker.signal("-TERM");
    assert_eq!(worker.wait().code, 0);
    let mut truth = Truth::default();
    singles(&mut truth, &lanes[1], "x", 33);
    fleet.publish(std::mem::take(&mut truth.messages));
    fleet.config(&lanes[..1], "");
    let status = fleet.home.run(&["status"]);
    assert_eq!(status.code, 0, "{}", status.err);
    let line = status.out.lines().find(|line| line.contains("dropped")).unwrap_or_else(|| panic!("{}", status.out));
    assert!(line.contains("33") && line.contains("not in config"), "{}", status.out);
}

#[test]
fn while_the_broker_is_blocked_publishing_waits_and_nothing_is_lost() {
    let lane = Lane::new("tms", Api::HuaweiTms);
    let Some(fleet) = Fleet::start(vec![lane.clone()]) else { return };
    let worker = fleet.worker();
    let mut truth = Truth::default();
    singles(&mut truth, &lane, "a", 2_000);
    fleet.publish(std::mem::take(&mut truth.messages));
    let mut receipts = Receipts::new(&fleet.node.url());
    fleet.runtime.block_on(receipts.wait_for(10, PATIENCE));
    fleet.runtime.block_on(fleet.node.alarm(true));
    worker.says("degraded");
    fleet.runtime.block_on(fleet.node.alarm(false));
    fleet.runtime.block_on(receipts.wait_for(2_000, PATIENCE));
    truth.holds(&fleet);
    assert_eq!(receipts.sum(|receipt| receipt.tagged), 2_000);
}

#[test]
fn pause_reaches_the_worker_that_has_the_lane_and_the_one_that_takes_it_over() {
    let lane = Lane { rate: 10.0, ..Lane::new("tms", Api::HuaweiTms) };
    let Some(fleet) = Fleet::start(vec![lane.clone()]) else { return };
    let first = fleet.worker();
    let second = fleet.worker();
    let mut truth = Truth::default();
    for n in 0..400 {
        truth.job(&lane, &format!("j-{n}"), &[format!("r-{n}")], &[("name", format!("n{n}"))]);
    }
    fleet.publish(std::mem::take(&mut truth.messages));
    until("it has begun", || fleet.counts(&lane).requests > 5);
    let paused = fleet.home.run(&["pause", "tms"]);
    assert_eq!(paused.code, 0, "{}", paused.err);
    let at = fleet.counts(&lane).requests;
    first.kill();
    second.says("paused by the operator");
    let third = fleet.worker();
    third.says("ready");
    assert!(fleet.counts(&lane).requests <= at + 4, "calls that were on their way, and none after");
    let status = fleet.home.run(&["status"]);
    assert!(status.out.contains("paused"), "{}", status.out);
    assert_eq!(fleet.home.run(&["resume", "tms"]).code, 0);
    let mut receipts = Receipts::new(&fleet.node.url());
    fleet.runtime.block_on(receipts.wait_for(400, PATIENCE));
    truth.holds(&fleet);
}
