//! Two workers, 24 lanes, faults everywhere, and kills: everything that went in comes out once.

use crate::{
    amqp::Receipts,
    fleet::{Fleet, Lane},
    support::Running,
    truth::Truth,
};
use std::time::Duration;
use tagmill::sim::{Api, Faults, Slow};

const PATIENCE: Duration = Duration::from_mins(9);

/// Single-resource jobs, and bulk jobs of 1,000. `TAGMILL_TEST_JOBS=100000` for the whole of it.
fn scale() -> (usize, usize) {
    let singles = std::env::var("TAGMILL_TEST_JOBS").map_or(10_000, |text| text.parse().unwrap());
    (singles, (singles / 1000).clamp(4, 100))
}

/// 24 accounts. A third allows less than its lane is set to; all of them fail in every way.
fn lanes() -> Vec<Lane> {
    (0..24)
        .map(|n| {
            let api = [Api::HuaweiTms, Api::AlibabaRds, Api::AlibabaTag][n % 3];
            let faults = Faults {
                error_500: 0.02,
                error_502: 0.01,
                error_503: 0.02,
                reset_before: 0.01,
                reset_after: 0.01,
                truncated: 0.01,
                transient_items: if api == Api::AlibabaRds { 0.0 } else { 0.002 },
                slow: Slow { probability: 0.02, min_ms: 100, max_ms: 600 },
                unknown: vec!["gone-*".into()],
                ..Faults::default()
            };
            let allowed = (n % 3 == n / 3 % 3).then_some(20.0);
            Lane { allowed, faults, ..Lane::new(&format!("lane-{n:02}"), api) }
        })
        .collect()
}

/// Events on resources of their own and again on some of them, bulk jobs over others, one poison id in a hundred jobs.
fn workload(lanes: &[Lane], singles: usize, bulk: usize) -> Truth {
    let mut rng = fastrand::Rng::with_seed(21);
    let mut truth = Truth::default();
    let every = singles / bulk;
    for n in 0..singles {
        let lane = &lanes[rng.usize(..lanes.len())];
        let owner = rng.usize(..40);
        let again = rng.usize(..10) == 0;
        let id = match n % 100 {
            7 => format!("gone-{n}"),
            _ if again => format!("r-{}", rng.usize(..=n / 2)),
            _ => format!("r-{n}"),
        };
        let set = [("owner", format!("o{owner}")), ("team", format!("t{}", owner % 8)), ("env", "prod".to_owned())];
        truth.job(lane, &format!("single-{n}"), &[id], &set);
        if n % every == every - 1 && n / every < bulk {
            let at = n / every;
            let lane = &lanes[at % lanes.len()];
            let resources: Vec<String> = (0..1000).map(|r| format!("bulk-{}-{r}", at % 40)).collect();
            truth.job(lane, &format!("bulk-{at}"), &resources, &[("bulk", format!("b{at}")), ("env", "bulk".into())]);
        }
    }
    truth
}

fn receipts_add_up(receipts: &Receipts, truth: &Truth) {
    assert_eq!(receipts.sum(|receipt| receipt.accepted), truth.items);
    assert_eq!(receipts.sum(|receipt| receipt.dead), truth.dead);
    assert_eq!(receipts.sum(|receipt| receipt.tagged), truth.items - truth.dead);
}

/// At no moment did a lane send faster than its ceiling. Where the cloud allows less, its own limit is not the lane's.
fn no_lane_broke_its_rate(fleet: &Fleet) {
    for lane in &fleet.lanes {
        let counts = fleet.counts(lane);
        assert!(counts.requests > 0, "{} was never called", lane.name);
        // In one second: the burst, the rate, and what a busy machine may bunch up on the way in half a second.
        assert!(counts.peak_per_second <= 5 + 50 + 25, "{}: {} in a second", lane.name, counts.peak_per_second);
        assert_eq!(counts.before_retry_after, 0, "{}", lane.name);
        if lane.allowed.is_none() {
            assert_eq!(counts.limit_violations, 0, "{}", lane.name);
        }
    }
    // On a slow machine a single lane may never come near its cloud's limit; all of them together do.
    let throttled: u64 = fleet.lanes.iter().map(|lane| fleet.counts(lane).outcomes.throttled).sum();
    assert!(throttled > 0, "no lane was ever throttled: the test proves too little");
}

#[test]
fn two_workers_over_24_failing_lanes_do_every_job_once_and_tell_the_truth() {
    let Some(fleet) = Fleet::start(lanes()) else { return };
    let (singles, bulk) = scale();
    let mut truth = workload(&fleet.lanes, singles, bulk);
    let workers = [fleet.worker(), fleet.worker()];
    let jobs = truth.messages.len();
    fleet.publish(std::mem::take(&mut truth.messages));
    let mut receipts = Receipts::new(&fleet.node.url());
    fleet.runtime.block_on(receipts.wait_for(jobs, PATIENCE));
    truth.holds(&fleet);
    truth.only_poison_is_dead(&fleet);
    receipts_add_up(&receipts, &truth);
    assert_eq!(receipts.repeats, 0, "nobody was killed");
    no_lane_broke_its_rate(&fleet);
    for worker in workers {
        worker.signal("-TERM");
        assert_eq!(worker.wait().code, 0);
    }
}

#[test]
fn with_a_worker_killed_five_times_and_the_broker_once_it_comes_to_the_same() {
    let Some(mut fleet) = Fleet::start(lanes()) else { return };
    let (singles, bulk) = scale();
    let mut truth = workload(&fleet.lanes, singles, bulk);
    let mut workers: Vec<Running> = vec![fleet.worker(), fleet.worker()];
    let jobs = truth.messages.len();
    fleet.publish(std::mem::take(&mut truth.messages));
    let mut rng = fastrand::Rng::with_seed(3);
    let mut receipts = Receipts::new(&fleet.node.url());
    for kill in 0..5 {
        // At a random point of the work: so many more jobs are done.
        let more = jobs / 8 + rng.usize(..jobs / 20);
        let until = (receipts.by_job.len() + more).min(jobs * 9 / 10);
        fleet.runtime.block_on(receipts.wait_for(until, PATIENCE));
        workers.remove(rng.usize(..2)).kill();
        if kill == 2 {
            fleet.node.kill9();
            fleet.runtime.block_on(fleet.node.restart());
        }
        workers.push(fleet.worker());
    }
    fleet.runtime.block_on(receipts.wait_for(jobs, PATIENCE));
    truth.holds(&fleet);
    truth.only_poison_is_dead(&fleet);
    receipts_add_up(&receipts, &truth);
    no_lane_broke_its_rate(&fleet);
}

/// Prints how long a lane is without calls when its owner dies, and when it is frozen.
/// `cargo test --release --test fleet -- --ignored --nocapture how_long`
#[test]
#[ignore = "a measurement: it prints figures and takes a minute"]
fn how_long_a_lane_stands_still_when_its_owner_dies_or_is_frozen() {
    let lane = Lane { rate: 200.0, ..Lane::new("tms", Api::HuaweiTms) };
    let Some(fleet) = Fleet::start(vec![lane.clone()]) else { return };
    let mut truth = Truth::default();
    for n in 0..12_000 {
        // A name of its own each: one call a job, so that calls tell the time.
        truth.job(&lane, &format!("j-{n}"), &[format!("r-{n}")], &[("name", format!("n{n}"))]);
    }
    let owner = fleet.worker();
    fleet.publish(std::mem::take(&mut truth.messages));
    let calls = || fleet.counts(&lane).requests;
    crate::support::until("the first has the lane", || calls() > 50);
    let second = fleet.worker();
    let (at, began) = (calls(), tagmill::worker::clock::monotonic());
    owner.kill();
    // Calls of the dead one that were on their way still arrive.
    crate::support::until("the second has the lane", || calls() > at + 8);
    eprintln!("kill -9: {:?} to the ninth call after it", began.elapsed());
    let third = fleet.worker();
    second.signal("-STOP");
    let (at, began) = (calls(), tagmill::worker::clock::monotonic());
    crate::support::until("the third has the lane", || calls() > at + 8);
    eprintln!("SIGSTOP: {:?} to the ninth call after it", began.elapsed());
    let at = calls();
    second.signal("-CONT");
    let mut receipts = Receipts::new(&fleet.node.url());
    fleet.runtime.block_on(receipts.wait_for(12_000, PATIENCE));
    eprintln!("{} calls after the frozen one woke, {} in all for 12,000 jobs", calls() - at, calls());
    truth.holds(&fleet);
    assert_eq!(fleet.counts(&lane).limit_violations, 0);
    third.signal("-TERM");
    assert_eq!(third.wait().code, 0);
}
