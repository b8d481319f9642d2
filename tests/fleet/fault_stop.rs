//! Workers that are told to stop in the middle of their work: once, twice, and with too little time.

use crate::{
    amqp::Receipts,
    fleet::{Fleet, Lane},
    support::until,
    truth::Truth,
};
use std::{os::unix::net::UnixDatagram, time::Duration};
use tagmill::{
    sim::{Api, Faults, Span},
    worker::clock,
};

const PATIENCE: Duration = Duration::from_mins(3);

fn slow(fleet: &Fleet, lane: &Lane, ms: u64) {
    fleet.clouds.faults(&lane.name, Faults { latency: Span { min_ms: ms, max_ms: ms }, ..Faults::default() });
}

/// Jobs that need a call each.
fn jobs(truth: &mut Truth, lane: &Lane, count: usize) {
    for n in 0..count {
        truth.job(lane, &format!("j-{n}"), &[format!("r-{n}")], &[("name", format!("n{n}"))]);
    }
}

#[test]
fn a_drain_settles_what_is_final_and_the_next_worker_makes_every_call_that_is_left_and_no_other() {
    let lane = Lane::new("tms", Api::HuaweiTms);
    let Some(mut fleet) = Fleet::start(vec![lane.clone()]) else { return };
    slow(&fleet, &lane, 50);
    let socket = UnixDatagram::bind(fleet.home.path("notify")).unwrap();
    fleet.home.env("NOTIFY_SOCKET", fleet.home.path("notify").to_str().unwrap());
    let worker = fleet.worker();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut text = [0; 512];
    let mut hear = || {
        let length = socket.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    while hear() != "READY=1" {}
    let mut truth = Truth::default();
    jobs(&mut truth, &lane, 300);
    fleet.publish(std::mem::take(&mut truth.messages));
    until("it is at work", || fleet.counts(&lane).requests >= 20);
    worker.signal("-TERM");
    while hear() != "STOPPING=1" {}
    let done = worker.wait();
    assert_eq!((done.code, done.out.as_str()), (0, ""), "{}", done.err);
    assert!(done.err.contains("stopped: what is final is settled"), "{}", done.err);
    let made = fleet.counts(&lane).requests;
    assert!((20..300).contains(&made), "{made} calls before it stopped");
    let _next = fleet.worker();
    let mut receipts = Receipts::new(&fleet.node.url());
    fleet.runtime.block_on(receipts.wait_for(300, PATIENCE));
    truth.holds(&fleet);
    assert_eq!((fleet.counts(&lane).requests, receipts.repeats), (300, 0), "nothing was done twice");
}

#[test]
fn a_second_signal_and_a_deadline_leave_at_once_and_lose_nothing() {
    let lane = Lane::new("tms", Api::HuaweiTms);
    let Some(fleet) = Fleet::start(vec![lane.clone()]) else { return };
    slow(&fleet, &lane, 8_000);
    let mut truth = Truth::default();
    jobs(&mut truth, &lane, 50);
    let worker = fleet.worker();
    fleet.publish(std::mem::take(&mut truth.messages));
    until("calls are on their way", || fleet.counts(&lane).in_flight > 0);
    worker.signal("-TERM");
    worker.says("stopping: no new calls");
    let asked = clock::monotonic();
    worker.interrupt();
    let done = worker.wait();
    assert_eq!(done.code, 130, "{}", done.err);
    assert!(done.err.contains("left at once; nothing is lost"), "{}", done.err);
    assert!(asked.elapsed() < Duration::from_secs(5), "it took {:?}", asked.elapsed());

    let hurried = fleet.home.start(&["worker", "--drain", "300ms"]);
    let before = fleet.counts(&lane).requests;
    until("calls are on their way again", || fleet.counts(&lane).requests > before);
    hurried.signal("-TERM");
    let done = hurried.wait();
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.err.contains("the time to stop is over; nothing is lost"), "{}", done.err);

    slow(&fleet, &lane, 0);
    let _next = fleet.worker();
    let mut receipts = Receipts::new(&fleet.node.url());
    fleet.runtime.block_on(receipts.wait_for(50, PATIENCE));
    truth.holds(&fleet);
    assert_eq!((receipts.sum(|receipt| receipt.tagged), receipts.sum(|receipt| receipt.dead)), (50, 0));
}
