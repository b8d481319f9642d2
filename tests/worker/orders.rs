//! Paused, resumed, cancelled: wherever the lane is, and whoever has it next.

use crate::world::{World, job, ready, stop, until, view};
use tagmill::{
    broker::CancelOrder,
    job::{JobId, LaneName},
    worker::clock,
};

fn name(lane: &str) -> LaneName {
    LaneName::new(lane).unwrap()
}

fn pause(world: &World, lane: &str) {
    world.fake.order(|orders| orders.paused.extend([(name(lane), clock::wall())]));
}

fn resume(world: &World, lane: &str) {
    world.fake.order(|orders| {
        orders.paused.remove(&name(lane));
        orders.resumed.insert(name(lane), clock::wall());
    });
}

fn cancel(world: &World, lane: Option<&str>, job: Option<&str>, batch: Option<&str>) {
    let order = CancelOrder {
        lane: lane.map(name),
        job: job.map(|id| JobId::new(id).unwrap()),
        batch: batch.map(str::to_owned),
        at: clock::wall(),
    };
    world.fake.order(|orders| orders.cancelled.push(order));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_is_paused_before_it_is_opened_makes_no_call_until_it_is_resumed() {
    let world = World::new().await;
    pause(&world, "a");
    world.publish("a", "x", 10);
    world.publish("b", "y", 10);
    let service = world.serve(&[world.lane("a", ""), world.lane("b", "")]);
    until("the other lane has worked", || world.receipts() == 10).await;
    until("it holds its work", || world.fake.held("a") == 10 && view(&service).status.jobs == 10).await;
    assert_eq!(view(&service).status.paused.as_deref(), Some("paused by the operator"));
    let before = world.requests();
    world.fake.lose("a");
    until("another owner has it", || world.fake.lane("a", |lane| lane.deliveries) == 20).await;
    until("it holds its work again", || view(&service).status.jobs == 10).await;
    assert!(view(&service).status.paused.is_some(), "the next owner finds the order");
    assert_eq!(world.requests(), before, "no call from a paused lane");
    resume(&world, "a");
    until("it goes on", || world.receipts() == 20).await;
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_is_paused_at_work_stops_and_goes_on_when_it_is_resumed() {
    let world = World::new().await;
    for n in 0..40 {
        let body = job("a", &format!("j-{n}"), &format!("d-{n}"), "x").replace("prod", &format!("v{n}"));
        world.fake.publish("a", &format!("j-{n}"), body);
    }
    let service = world.serve(&[world.lane("a", ", rate: {per_second: 20}")]);
    until("it is at work", || world.receipts() >= 3).await;
    pause(&world, "a");
    until("it has stopped", || view(&service).status.paused.is_some() && view(&service).status.in_flight == 0).await;
    let before = world.requests();
    assert!(before < 40);
    // Time for two more calls, if any were made.
    let since = clock::monotonic();
    until("time has passed", || since.elapsed().as_millis() > 120).await;
    assert_eq!(world.requests(), before);
    resume(&world, "a");
    until("it goes on", || world.receipts() == 40).await;
    assert_eq!(world.requests(), 40);
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_cancelled_is_dead_wherever_it_is_and_the_receipts_say_so() {
    let world = World::new().await;
    pause(&world, "a");
    world.fake.lane("a", |lane| lane.window = Some(6));
    world.publish("a", "mistake", 10);
    world.publish("a", "good", 3);
    let service = world.serve(&[world.lane("a", "")]);
    until("its window is full", || view(&service).status.jobs == 6).await;
    cancel(&world, None, None, Some("mistake"));
    // Held or still in the queue: cancelled is settled while the lane is paused.
    until("ten receipts", || world.receipts() == 10).await;
    until("the others are held", || world.fake.left("a") == 3).await;
    assert_eq!(world.requests(), 0, "nothing was sent");
    {
        let state = world.fake.state();
        assert_eq!(state.dead.len(), 10);
        assert!(state.dead.iter().all(|letter| letter.failures[0].code == "cancelled"));
        assert!(state.receipts.iter().all(|receipt| receipt.dead == 1 && receipt.calls == 0));
    }
    resume(&world, "a");
    until("the others are tagged", || world.receipts() == 13).await;
    assert_eq!((world.fake.state().dead.len(), world.tags("mistake-0")), (10, None));
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_cancelled_while_nobody_had_the_lane_is_never_sent() {
    let world = World::new().await;
    world.publish("a", "x", 3);
    world.publish("b", "y", 3);
    cancel(&world, Some("a"), None, None);
    cancel(&world, None, Some("y-1"), None);
    let service = world.serve(&[world.lane("a", ""), world.lane("b", "")]);
    until("all receipts", || world.receipts() == 6).await;
    let mut dead: Vec<String> = world.fake.state().dead.iter().map(|letter| letter.job.id.to_string()).collect();
    dead.sort();
    assert_eq!(dead, ["x-0", "x-1", "x-2", "y-1"]);
    assert_eq!((world.tags("x-0"), world.tags("y-1")), (None, None));
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_is_cancelled_loses_what_it_holds_and_takes_what_comes_later() {
    let world = World::new().await;
    pause(&world, "a");
    world.publish("a", "old", 5);
    let service = world.serve(&[world.lane("a", "")]);
    until("it holds them", || view(&service).status.jobs == 5).await;
    cancel(&world, Some("a"), None, None);
    until("they are dead", || world.fake.state().dead.len() == 5).await;
    resume(&world, "a");
    world.publish("a", "new", 5);
    until("the new ones are tagged", || world.tags("new-4").is_some()).await;
    assert_eq!(world.fake.state().dead.len(), 5);
    assert_eq!(world.tags("old-0"), None);
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_for_another_lane_is_not_heard() {
    let world = World::new().await;
    let service = world.serve(&[world.lane("a", "")]);
    ready(&service).await;
    pause(&world, "b");
    cancel(&world, Some("b"), None, Some("x"));
    world.publish("a", "x", 3);
    until("receipts", || world.receipts() == 3).await;
    assert!(world.fake.state().dead.is_empty());
    stop(service).await;
}
