//! A memory alarm, and a broker that dies and comes back: in the middle of a submission and in the middle of a watch.

use crate::{
    fleet::{Fleet, rows},
    home::until,
    rabbit::Node,
    receipts::receipt,
    send::{csv, wanted},
};
use std::collections::{BTreeSet, HashMap};
use tagmill::job::Job;

#[test]
fn a_submission_and_a_watch_outlive_an_alarm_and_the_death_of_the_broker() {
    // Apart from the fleet's, so that the node outlives the fleet.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let Some(mut node) = runtime.block_on(Node::start()) else { return };
    let mut fleet = Fleet::at(&node.url());
    let batch = fleet.batch("outlives");
    let count = 50_000;
    let text = csv(&fleet, count, 7, 1);
    fleet.home.write("servers.csv", &text);
    let waiting = |fleet: &Fleet| fleet.waiting("a") + fleet.waiting("b");

    runtime.block_on(node.alarm(true));
    let mut running = fleet.home.start(&["submit", "servers.csv", "--batch", &batch]);
    running.says("the broker takes no messages for now");
    runtime.block_on(node.settle());
    assert_eq!(waiting(&fleet), 0);
    runtime.block_on(node.alarm(false));
    running.says("the broker takes messages again");
    until("a part is sent", || waiting(&fleet) > 2000 || running.has_ended());
    assert!(!running.has_ended(), "it ended before the broker could be killed");
    node.kill9();
    running.says("the broker is not there");
    runtime.block_on(node.restart());
    let done = running.wait();
    assert_eq!(done.code, 0, "{done:?}");

    fleet.reconnect();
    let mut jobs: HashMap<String, Job> = HashMap::new();
    for letter in ["a", "b"] {
        let found = fleet.jobs(letter);
        let arrived: BTreeSet<_> = rows(&found).into_iter().collect();
        let wanted: BTreeSet<_> = wanted(&text, fleet.lane(letter).as_str()).into_iter().collect();
        assert!(arrived == wanted, "{} of {}", arrived.len(), wanted.len());
        jobs.extend(found.into_iter().map(|job| (job.id.to_string(), job)));
    }
    assert_eq!(jobs.len(), count, "each row is one job, however often it was sent");

    let jobs: Vec<Job> = jobs.into_values().collect();
    let of = |job: &Job| receipt(job, 0, 1_800_000_000);
    let publisher = fleet.publisher();
    fleet.publish(&publisher, jobs[..30_000].iter().map(of));
    let mut watching = fleet.home.start(&["watch", &batch, "--output", "json"]);
    until("it has read a part", || fleet.kept(&batch) < 20_000);
    node.kill9();
    watching.says("connecting again");
    runtime.block_on(node.restart());
    fleet.publish(&publisher, jobs[30_000..].iter().map(of));
    let ledger = watching.wait().json(0);
    let numbers = ["accepted", "tagged", "pending", "jobs"].map(|name| ledger[name].as_u64().unwrap());
    assert_eq!(numbers, [count as u64, count as u64, 0, count as u64]);
    fleet.reconnect();
}
