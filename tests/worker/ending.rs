//! Told to stop: what is on its way is waited for, the rest stays with the broker, and a deadline loses nothing.

use crate::world::{World, ready, stop, until};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_waits_for_calls_settles_what_is_final_and_leaves_the_rest_to_the_next() {
    let world = World::new().await;
    world.slow(200);
    world.publish("a", "x", 400);
    let lane = [world.lane("a", ", concurrency: 2")];
    let mut service = world.serve(&lane);
    until("calls are on their way", || world.sim.counts("huawei-tms").in_flight == 2).await;
    service.drain();
    service.ended().await;
    assert!(service.unfinished().is_empty());
    assert_eq!(world.requests(), 2, "no new calls");
    let settled = world.receipts();
    assert_eq!((settled, world.fake.left("a"), world.fake.held("a")), (100, 300, 0));
    world.slow(0);
    let next = world.serve(&lane);
    until("the next has done the rest", || world.receipts() == 400).await;
    assert_eq!(world.fake.state().late_acks, 0);
    stop(next).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_worker_ends_at_once() {
    let world = World::new().await;
    let service = world.serve(&[world.lane("a", ""), world.lane("b", "")]);
    ready(&service).await;
    stop(service).await;
    // And one that has not even begun, because there is no broker or because it takes its time.
    world.fake.change(|state| state.down = Some("no broker".into()));
    stop(world.serve(&[world.lane("a", "")])).await;
    world.fake.change(|state| (state.down, state.opens_wait) = (None, true));
    let service = world.serve(&[world.lane("a", "")]);
    let before = world.fake.state().opening;
    until("it is being opened", || world.fake.state().opening > before).await;
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_before_all_is_settled_loses_nothing() {
    let world = World::new().await;
    world.slow(8_000);
    world.publish("a", "x", 60);
    let lane = [world.lane("a", "")];
    let mut service = world.serve(&lane);
    until("calls are on their way", || world.sim.counts("huawei-tms").in_flight > 0).await;
    service.drain();
    let ended = tokio::time::timeout(Duration::from_millis(100), service.ended()).await;
    assert!(ended.is_err(), "calls are on their way still");
    assert_eq!(service.unfinished().iter().map(ToString::to_string).collect::<Vec<_>>(), ["a"]);
    drop(service);
    until("everything is back", || world.fake.held("a") == 0 && world.fake.left("a") == 60).await;
    world.slow(0);
    let next = world.serve(&lane);
    until("the next has done it", || world.receipts() == 60).await;
    assert_eq!(world.fake.state().late_acks, 0);
    stop(next).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_confirms_nothing_does_not_make_a_drain_lose_its_receipts() {
    let world = World::new().await;
    let lane = [world.lane("a", "")];
    let mut service = world.serve(&lane);
    ready(&service).await;
    world.fake.change(|state| state.commits_wait = true);
    world.publish("a", "x", 5);
    until("the call is made", || world.tags("x-4").is_some()).await;
    service.drain();
    assert!(tokio::time::timeout(Duration::from_millis(100), service.ended()).await.is_err());
    world.fake.change(|state| state.commits_wait = false);
    service.ended().await;
    assert_eq!((world.receipts(), world.fake.left("a")), (5, 0));
}
