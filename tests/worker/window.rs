//! What a lane holds: a window full of retries is seen, and the count of calls is never far behind.

use crate::world::{World, job, ready, stop, until, view};
use std::time::Duration;
use tagmill::{
    broker::rabbitmq::control::LaneState,
    sim::{Faults, Late, Since},
    worker::{Worker, clock},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_full_of_work_that_waits_for_a_retry_is_seen_and_takes_more_when_it_is_done() {
    let world = World::new().await;
    let late = Late { id: "late-*".into(), after_ms: 60_000, since: Since::Start, code: None };
    world.faults(Faults { late: vec![late], ..Faults::default() });
    world.fake.lane("a", |lane| lane.window = Some(3));
    world.publish("a", "late", 3);
    world.publish("a", "good", 3);
    let service = world.serve(&[world.lane("a", "")]);
    until("it is full", || view(&service).full).await;
    let report = view(&service).report(clock::wall()).unwrap();
    assert!(report.full && report.state == LaneState::Active && report.oldest_seconds.is_some());
    assert_eq!((report.held, report.pending, report.waiting), (3, 3, 3));
    assert_eq!(world.fake.lane("a", |lane| lane.deliveries), 3, "no more is taken");
    world.faults(Faults::default());
    until("everything is acked", || world.fake.left("a") == 0).await;
    assert!(!view(&service).full);
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_the_queue_already_is_planned_together_however_it_trickles_in() {
    let world = World::new().await;
    world.fake.lane("a", |lane| lane.page = Some(3));
    world.publish("a", "x", 50);
    let service = world.serve(&[world.lane("a", ", rate: {per_second: 100000, burst: 100}")]);
    until("everything is acked", || world.fake.left("a") == 0).await;
    assert_eq!(world.requests(), 1, "fifty resources fit into one call");
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_go_on_when_a_lane_is_opened_again() {
    let world = World::new().await;
    let service = world.serve(&[world.lane("a", "")]);
    ready(&service).await;
    for (round, prefix) in ["x", "y", "z"].into_iter().enumerate() {
        world.publish("a", prefix, 1);
        until("a receipt", || world.receipts() == round + 1 && world.fake.left("a") == 0).await;
        until("it is counted", || view(&service).status.counts.tagged == round as u64 + 1).await;
        world.fake.lose("a");
    }
    assert_eq!(view(&service).status.counts.calls, 3);
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_whose_count_is_not_safe_are_never_many() {
    let world = World::<true>::with_marks().await;
    world.fake.change(|state| state.commits_wait = true);
    for n in 0..200 {
        let body = job("a", &format!("j-{n}"), &format!("d-{n}"), "x").replace("prod", &format!("v{n}"));
        world.fake.publish("a", &format!("j-{n}"), body);
    }
    let service =
        Worker::serve(&world.fake, &[world.lane("a", "")], world.link.subscribe(), &crate::world::waits()).unwrap();
    until("as many calls as may be", || world.requests() == 50).await;
    let since = clock::monotonic();
    until("time for many more", || since.elapsed() > Duration::from_millis(100)).await;
    assert_eq!((world.requests(), world.fake.state().counted), (50, 0));
    world.fake.change(|state| state.commits_wait = false);
    until("everything is acked", || world.fake.left("a") == 0).await;
    until("every call is counted", || world.fake.state().counted == 200).await;
    stop(service).await;
}
