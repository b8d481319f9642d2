//! Messages that are no jobs, jobs for nobody, jobs of every size: each ends where an operator finds it.

use crate::{
    amqp::{Outgoing, Receipts},
    fleet::{Fleet, Lane},
    support::until,
    truth::{Truth, body},
};
use serde_json::Value;
use std::time::Duration;
use tagmill::sim::Api;

fn message(lane: &str, id: &str, body: Vec<u8>) -> Outgoing {
    Outgoing { lane: lane.to_owned(), id: id.to_owned(), body }
}

/// The letters that are no jobs, by code.
fn raw(fleet: &Fleet, code: &str) -> Vec<Value> {
    fleet.home.dead_letters().into_iter().filter(|letter| letter["code"] == code).collect()
}

#[test]
fn what_is_no_job_is_dead_with_its_bytes_and_the_worker_goes_on() {
    use base64::Engine as _;
    let lane = Lane { rate: 400.0, ..Lane::new("tms", Api::HuaweiTms) };
    let Some(fleet) = Fleet::start(vec![lane.clone()]) else { return };
    let garbage: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let large: Vec<u8> = (0..15_000_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    let set = [("env", "prod".to_owned())];
    let one = ["r-1".to_owned()];
    let unknown = String::from_utf8(body(&lane, "lost", &one, &set, "")).unwrap().replace("\"tms\"", "\"nowhere\"");
    let future = String::from_utf8(body(&lane, "future", &one, &set, "")).unwrap().replace(":1,\"id\"", ":9,\"id\"");
    let mut truth = Truth::default();
    truth.job(&lane, "good", &["r-2".to_owned()], &set);
    let worker = fleet.worker();
    fleet.publish(vec![
        message("tms", "garbage", garbage.clone()),
        message("tms", "large", large.clone()),
        message("nowhere", "lost", unknown.clone().into_bytes()),
        message("tms", "future", future.clone().into_bytes()),
    ]);
    fleet.publish(std::mem::take(&mut truth.messages));
    let mut receipts = Receipts::new(&fleet.node.url());
    fleet.runtime.block_on(receipts.wait_for(1, Duration::from_mins(1)));
    truth.holds(&fleet);
    until("all four are dead", || fleet.home.dead_letters().len() == 4);

    let letters = fleet.home.dead_letters();
    let bytes_of = |letter: &Value| {
        let text = letter["body"].as_str().unwrap_or_else(|| panic!("no body: {:.300}", letter.to_string()));
        base64::engine::general_purpose::STANDARD.decode(text).unwrap()
    };
    let find = |wanted: &[u8]| {
        letters.iter().find(|letter| bytes_of(letter) == wanted).unwrap_or_else(|| panic!("{} bytes", wanted.len()))
    };
    assert_eq!(find(&garbage)["code"], "invalid");
    assert_eq!(find(&large)["code"], "invalid");
    let lost = find(unknown.as_bytes());
    assert_eq!(lost["code"], "unknown_lane");
    assert!(lost["message"].as_str().unwrap().contains("nowhere"), "{lost}");
    let ahead = find(future.as_bytes());
    assert!(ahead["message"].as_str().unwrap().contains("version"), "{ahead}");
    assert_eq!(raw(&fleet, "unknown_lane").len(), 1);
    worker.signal("-TERM");
    assert_eq!(worker.wait().code, 0);
}

#[test]
fn a_job_of_100_000_resources_in_one_message_is_done() {
    let lane = Lane { rate: 1000.0, ..Lane::new("tms", Api::HuaweiTms) };
    let Some(fleet) = Fleet::start(vec![lane.clone()]) else { return };
    let mut truth = Truth::default();
    let resources: Vec<String> = (0..100_000).map(|n| format!("r-{n}")).collect();
    truth.job(&lane, "huge", &resources, &[("env", "prod".to_owned())]);
    let _worker = fleet.worker();
    fleet.publish(std::mem::take(&mut truth.messages));
    let mut receipts = Receipts::new(&fleet.node.url());
    fleet.runtime.block_on(receipts.wait_for(1, Duration::from_mins(4)));
    assert_eq!((receipts.sum(|receipt| receipt.accepted), receipts.sum(|receipt| receipt.tagged)), (100_000, 100_000));
    truth.holds(&fleet);
    assert_eq!(fleet.counts(&lane).requests, 2_000);
}
