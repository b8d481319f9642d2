//! Lanes that are lost, refused, given back and opened again: nothing lost, nothing acked late, no harm to the others.

use crate::{
    fake::distinct,
    world::{World, becomes, ready, stop, until, view, waits},
};
use std::time::Duration;
use tagmill::{
    broker::{BrokerError, rabbitmq::LinkState},
    job::LaneName,
    worker::{Readiness, Stand, Worker, clock},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_is_tagged_receipted_and_acked() {
    let world = World::new().await;
    let service = world.serve(&[world.lane("a", ""), world.lane("b", "")]);
    ready(&service).await;
    world.publish("a", "x", 30);
    world.publish("b", "y", 1);
    until("31 receipts", || world.receipts() == 31).await;
    until("everything is acked", || world.fake.left("a") + world.fake.left("b") == 0).await;
    assert_eq!((world.tags("x-29").as_deref(), world.tags("y-0").as_deref()), (Some("prod"), Some("prod")));
    let receipt = world.fake.state().receipts[0].clone();
    assert_eq!((receipt.accepted, receipt.tagged), (1, 1));
    assert!(receipt.trace.unwrap().starts_with("00-4bf92f"), "the trace of the message is the trace of its receipt");
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_lost_in_the_middle_of_a_call_is_opened_again_and_nothing_is_acked_late() {
    let world = World::new().await;
    world.slow(300);
    world.publish("a", "x", 120);
    let service = world.serve(&[world.lane("a", "")]);
    until("calls are on their way", || world.sim.counts("huawei-tms").in_flight > 0).await;
    world.fake.lose("a");
    world.slow(0);
    until("everything is acked", || world.fake.left("a") == 0).await;
    let (late, dead, receipts) = world.fake.change(|state| (state.late_acks, state.dead.len(), state.receipts.clone()));
    assert_eq!((late, dead), (0, 0));
    let ids = receipts.iter().map(|receipt| receipt.job.as_str());
    assert_eq!((distinct(ids).len(), receipts.len()), (120, 120), "what was not settled was not receipted either");
    assert_eq!(world.fake.lane("a", |lane| lane.opened), 2);
    assert!((0..120).all(|n| world.tags(&format!("x-{n}")).is_some()));
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_that_waited_for_the_broker_when_the_lane_was_lost_ack_nothing_afterwards() {
    let world = World::new().await;
    let service = world.serve(&[world.lane("a", "")]);
    ready(&service).await;
    world.fake.change(|state| state.commits_wait = true);
    world.publish("a", "x", 10);
    until("the calls are made", || world.tags("x-9").is_some()).await;
    world.fake.lose("a");
    until("it is opened again", || world.fake.lane("a", |lane| lane.opened) == 2).await;
    world.fake.change(|state| state.commits_wait = false);
    until("everything is acked", || world.fake.left("a") == 0).await;
    assert_eq!(world.fake.state().late_acks, 0);
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_is_old_stops_the_call_before_it_leaves() {
    let world = World::new().await;
    world.fake.lane("a", |lane| lane.stale = true);
    world.publish("a", "x", 10);
    let service = world.serve(&[world.lane("a", "")]);
    until("it has tried several times", || world.fake.lane("a", |lane| lane.opened) >= 4).await;
    until("it says why", || view(&service).stand == Stand::Away("the lease is old".into())).await;
    assert_eq!(world.requests(), 0);
    world.fake.lane("a", |lane| lane.stale = false);
    until("everything is acked", || world.fake.left("a") == 0).await;
    assert_eq!(world.receipts(), 10);
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_fails_gives_the_lane_back_and_it_is_done_anew() {
    let world = World::new().await;
    let service = world.serve(&[world.lane("a", "")]);
    ready(&service).await;
    for error in [
        BrokerError::Unavailable("no confirm".into()),
        BrokerError::LaneLost(LaneName::new("a").unwrap(), "the channel was closed".into()),
        BrokerError::Refused("no permission for tagmill.receipts".into()),
    ] {
        world.fake.change(|state| state.next_commit_fails = Some(error));
        let before = world.receipts();
        world.publish("a", "x", 3);
        until("receipts", || world.receipts() == before + 3).await;
    }
    assert_eq!((world.fake.left("a"), world.fake.state().late_acks), (0, 0));
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_is_refused_does_not_hold_up_the_other_one() {
    let world = World::new().await;
    world.fake.lane("a", |lane| lane.refused = Some("declaring queue tagmill.lane.a: no permission".into()));
    world.publish("a", "x", 5);
    world.publish("b", "y", 5);
    let service = world.serve(&[world.lane("a", ""), world.lane("b", "")]);
    until("the other lane's receipts", || world.receipts() == 5).await;
    let state = becomes(&service, |state| matches!(state, Readiness::Degraded(_))).await;
    assert_eq!(state.to_string(), "degraded: lane a is refused: declaring queue tagmill.lane.a: no permission");
    assert!(service.is_up(), "whatever may be open is open");
    world.fake.lane("a", |lane| lane.refused = None);
    ready(&service).await;
    until("its own receipts", || world.receipts() == 10).await;
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_whose_task_breaks_down_comes_back_and_the_other_never_notices() {
    let world = World::new().await;
    let service = world.serve(&[world.lane("a", ""), world.lane("b", "")]);
    ready(&service).await;
    world.fake.lane("a", |lane| lane.panics = true);
    becomes(&service, |state| matches!(state, Readiness::Degraded(_))).await;
    world.publish("b", "y", 5);
    until("the other lane's receipts", || world.receipts() == 5).await;
    assert_eq!(world.fake.lane("b", |lane| lane.opened), 1);
    world.fake.lane("a", |lane| lane.panics = false);
    world.publish("a", "x", 5);
    until("its own receipts", || world.receipts() == 10).await;
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_a_better_owner_waits_for_is_drained_settled_and_opened_again() {
    let world = World::new().await;
    world.slow(100);
    world.publish("a", "x", 200);
    let service = world.serve(&[world.lane("a", ", concurrency: 1")]);
    until("calls are on their way", || world.sim.counts("huawei-tms").in_flight > 0).await;
    world.fake.lane("a", |lane| lane.wants_reopening = Some("a better owner waits"));
    until("it was opened again", || world.fake.lane("a", |lane| lane.opened) == 2).await;
    let settled = world.receipts();
    assert!(settled > 0 && settled == 200 - world.fake.left("a"), "{settled} settled before it went");
    until("everything is acked", || world.fake.left("a") == 0).await;
    assert_eq!((world.receipts(), world.fake.state().late_acks), (200, 0), "no job was done twice");
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_broker_it_keeps_trying_and_says_what_is_missing() {
    let world = World::new().await;
    world.fake.change(|state| state.down = Some("connecting to amqp://mq:5672: refused".into()));
    world.publish("a", "x", 5);
    let service = world.serve(&[world.lane("a", ""), world.lane("b", "")]);
    let state = becomes(&service, |state| matches!(state, Readiness::Degraded(_))).await;
    assert_eq!(state.to_string(), "degraded: no connection to the broker: connecting to amqp://mq:5672: refused");
    assert!(!service.is_up());
    world.fake.change(|state| state.down = None);
    ready(&service).await;
    until("receipts", || world.receipts() == 5).await;
    world.link.send_replace(LinkState::Blocked("low on memory".into()));
    let state = becomes(&service, |state| matches!(state, Readiness::Degraded(_))).await;
    assert_eq!(state.to_string(), "degraded: broker blocked (memory alarm): publishing waits");
    world.link.send_replace(LinkState::Up);
    ready(&service).await;
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_goes_on_where_the_owner_stopped_and_begins_with_an_empty_bucket() {
    let world = World::new().await;
    // Three calls: three values, and a rate that lets five go at once after a quiet half second.
    let lane = [world.lane("a", ", rate: {per_second: 10, burst: 5}")];
    let (owner, standby) = (world.serve(&lane), world.serve(&lane));
    ready(&owner).await;
    ready(&standby).await;
    let idle_since = clock::monotonic();
    until("a bucket would be full", || idle_since.elapsed() > Duration::from_millis(600)).await;
    // Whoever is first in line has the lane; neither has worked yet, and the other is the standby.
    let published = clock::monotonic();
    for n in 0..3 {
        let body = crate::world::job("a", &format!("j-{n}"), &format!("d-{n}"), "b").replace("prod", &format!("v{n}"));
        world.fake.publish("a", &format!("j-{n}"), body);
    }
    until("the first owner's calls", || world.requests() == 3).await;
    assert!(published.elapsed() >= Duration::from_millis(250), "three calls took {:?}", published.elapsed());
    until("receipts", || world.receipts() == 3).await;
    let active: Vec<bool> = [&owner, &standby].map(|service| view(service).active).into();
    assert_eq!(active.iter().filter(|active| **active).count(), 1);
    let (first, second) = if active[0] { (owner, standby) } else { (standby, owner) };
    drop(first);
    world.publish("a", "late", 2);
    until("the standby's receipts", || world.receipts() == 5).await;
    assert!(view(&second).active);
    stop(second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_are_opened_within_the_spread_in_an_order_of_their_own() {
    let world = World::new().await;
    let lanes: Vec<_> = (0..12).map(|n| world.lane(&format!("l{n}"), "")).collect();
    let slow = tagmill::worker::Waits { spread: Duration::from_millis(300), ..waits() };
    let mut orders = Vec::new();
    for _ in 0..2 {
        let service = Worker::serve(&world.fake, &lanes, world.link.subscribe(), &slow).unwrap();
        let mut order: Vec<usize> = Vec::new();
        until("all are open", || {
            for (n, view) in service.views().iter().enumerate() {
                if view.borrow().stand == Stand::Open && !order.contains(&n) {
                    order.push(n);
                }
            }
            order.len() == 12
        })
        .await;
        orders.push(order);
        stop(service).await;
    }
    assert_ne!(orders[0], orders[1]);
}
