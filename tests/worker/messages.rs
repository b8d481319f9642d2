//! Messages that are no jobs for their lane: dead-lettered byte for byte, with what is wrong, and the lane goes on.

use crate::world::{World, job, ready, stop, until, view};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_a_later_version_and_a_job_of_another_lane_each_say_what_is_wrong() {
    let world = World::new().await;
    let service = world.serve(&[world.lane("a", "")]);
    ready(&service).await;
    let later =
        json!({"version": 2, "id": "j", "lane": "a", "targets": ["d-1"], "tags": {"env": "SECRET"}}).to_string();
    let bodies = [
        ("garbage", vec![0xff, 0x00, b'{', 0xfe]),
        ("large", vec![b'g'; 15 << 20]),
        ("later", later.into_bytes()),
        ("elsewhere", job("b", "j", "d-1", "x").into_bytes()),
        ("half", b"{\"version\":1,\"id\":\"j\"".to_vec()),
    ];
    for (id, body) in &bodies {
        world.fake.publish("a", id, body.clone());
    }
    world.publish("a", "good", 1);
    until("everything is acked", || world.fake.left("a") == 0).await;
    let raw = world.fake.state().raw.clone();
    let codes: Vec<&str> = raw.iter().map(|letter| letter.code.as_str()).collect();
    assert_eq!(codes, ["invalid", "invalid", "unsupported_version", "wrong_lane", "invalid"]);
    for (letter, (id, body)) in raw.iter().zip(&bodies) {
        assert!(letter.body == *body, "{id}: byte for byte");
        assert_eq!(letter.lane.as_ref().unwrap().as_str(), "a");
        assert!(!letter.message.contains("SECRET"));
    }
    assert!(raw[0].message.contains("UTF-8"), "{}", raw[0].message);
    assert!(
        raw[2].message.starts_with("version: this build reads version 1, this message is of version 2"),
        "{}",
        raw[2].message
    );
    assert!(
        raw[3].message.contains("queue of lane a") && raw[3].message.contains("names lane b"),
        "{}",
        raw[3].message
    );
    assert_eq!((world.requests(), world.receipts()), (1, 1), "the good one was tagged");
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raw_dead_letter_has_the_same_id_when_its_message_comes_again() {
    let world = World::new().await;
    let service = world.serve(&[world.lane("a", "")]);
    ready(&service).await;
    world.fake.change(|state| state.commits_wait = true);
    world.fake.publish("a", "m-1", "garbage");
    until("it was handed out", || world.fake.lane("a", |lane| lane.deliveries) == 1).await;
    world.fake.lose("a");
    until("it was handed out again", || world.fake.lane("a", |lane| lane.deliveries) == 2).await;
    let first = {
        world.fake.change(|state| state.commits_wait = false);
        until("it is dead-lettered", || world.fake.left("a") == 0).await;
        world.fake.state().raw[0].id.clone()
    };
    world.fake.publish("a", "m-1", "garbage");
    world.fake.publish("a", "m-2", "garbage");
    until("they are dead-lettered", || world.fake.left("a") == 0).await;
    let ids: Vec<String> = world.fake.state().raw.iter().map(|letter| letter.id.clone()).collect();
    assert_eq!(ids[1], first, "the same message");
    assert_ne!(ids[2], first, "another message with the same bytes");
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_without_an_id_is_called_after_its_message() {
    let world = World::new().await;
    let service = world.serve(&[world.lane("a", "")]);
    ready(&service).await;
    let body = json!({"set": {"env": "prod"}, "resources": [{"id": "d-1", "type": "disk", "project": "p-1"}]});
    world.fake.publish("a", "m-77", body.to_string());
    until("its receipt", || world.receipts() == 1).await;
    assert_eq!(world.fake.state().receipts[0].job.as_str(), "m-77");
    assert!(view(&service).active);
    stop(service).await;
}
