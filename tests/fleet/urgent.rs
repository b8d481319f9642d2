//! Jobs of events while a bulk job runs in the same lane: they wait for calls, not for the bulk job.

use crate::{
    amqp::{Outgoing, Receipts, publish_to},
    fleet::{Fleet, Lane},
    support::{Running, until},
    truth::{Truth, body},
};
use std::time::Duration;
use tagmill::{sim::Api, worker::clock};

/// Further calls after which the resource of an event is tagged at the latest: those on their way, one burst, and what
/// the lane makes while the test looks and the machine is busy. The bulk job has thousands to go.
const CALLS: u64 = 40;

/// Messages of the bulk job, one resource each. `TAGMILL_TEST_JOBS=100000` for the whole of it.
fn messages() -> usize {
    std::env::var("TAGMILL_TEST_JOBS").map_or(5_000, |text| text.parse().unwrap())
}

fn event(lane: &Lane, id: &str) -> Outgoing {
    let body = body(lane, id, &[id.to_owned()], &[("owner", "alice".to_owned())], r#","priority":"event""#);
    Outgoing { lane: lane.name.clone(), id: id.to_owned(), body }
}

/// So many workers at work on a bulk job of messages whose calls cannot be merged.
fn busy(lane: &Lane, workers: usize) -> Option<(Fleet, Vec<Running>, Truth)> {
    let fleet = Fleet::start(vec![lane.clone()])?;
    let workers = (0..workers).map(|_| fleet.worker()).collect();
    let mut truth = Truth::default();
    for n in 0..messages() {
        truth.job(lane, &format!("bulk-{n}"), &[format!("r-{n}")], &[("name", format!("n{n}"))]);
    }
    fleet.publish(std::mem::take(&mut truth.messages));
    Some((fleet, workers, truth))
}

/// Publishes the job of an event as any program may, and waits until its resource is tagged: in so many calls.
fn tagged_after(fleet: &Fleet, lane: &Lane, id: &str) -> u64 {
    let (calls, began) = (fleet.counts(lane).requests, clock::monotonic());
    let url = fleet.node.url();
    fleet.runtime.block_on(publish_to(&url, "tagmill.urgent", [event(lane, id)]));
    until("the resource of the event is tagged", || fleet.tags(lane).contains_key(&lane.shown(id)));
    let took = fleet.counts(lane).requests - calls;
    eprintln!("{id}: tagged after {took} calls of the lane, {:?}", began.elapsed());
    took
}

#[test]
fn an_event_does_not_wait_behind_a_bulk_job_of_many_messages_in_its_lane() {
    let lane = Lane::new("tms", Api::HuaweiTms);
    let Some((fleet, workers, _)) = busy(&lane, 1) else { return };
    until("the bulk job is on its way", || fleet.counts(&lane).requests > 50);
    for n in 0..5 {
        let took = tagged_after(&fleet, &lane, &format!("event-{n}"));
        assert!(took <= CALLS, "{took} calls");
    }
    let calls = fleet.counts(&lane).requests;
    assert!(calls < messages() as u64 / 2, "{calls}: there was nothing left to wait behind");
    assert_eq!(fleet.counts(&lane).limit_violations, 0);
    for worker in workers {
        worker.signal("-TERM");
        assert_eq!(worker.wait().code, 0);
    }
}

#[test]
fn an_event_is_not_lost_and_does_not_wait_when_the_owner_of_its_lane_is_killed() {
    let lane = Lane { rate: 200.0, ..Lane::new("tms", Api::HuaweiTms) };
    let Some((fleet, mut workers, mut truth)) = busy(&lane, 2) else { return };
    for n in 0..4 {
        let before = fleet.counts(&lane).requests;
        until("the bulk job is on its way", || fleet.counts(&lane).requests > before + 50);
        let id = format!("event-{n}");
        truth.job(&lane, &id, std::slice::from_ref(&id), &[("owner", "alice".to_owned())]);
        truth.messages.clear();
        let url = fleet.node.url();
        fleet.runtime.block_on(publish_to(&url, "tagmill.urgent", [event(&lane, &id)]));
        // Whichever has the lane: in the end both were killed twice.
        workers.remove(0).kill();
        until("the resource of the event is tagged", || fleet.tags(&lane).contains_key(&lane.shown(&id)));
        workers.push(fleet.worker());
    }
    let jobs = messages() + 4;
    let mut receipts = Receipts::new(&fleet.node.url());
    fleet.runtime.block_on(receipts.wait_for(jobs, Duration::from_mins(9)));
    truth.holds(&fleet);
    assert_eq!((receipts.sum(|receipt| receipt.accepted), receipts.sum(|receipt| receipt.dead)), (jobs as u64, 0));
    assert!(fleet.home.dead_letters().is_empty(), "a bell is no job and no dead letter");
    for worker in workers {
        worker.signal("-TERM");
        assert_eq!(worker.wait().code, 0);
    }
}
