//! What arrives in the lanes, and what must not.

use crate::{
    fleet::{Fleet, header, rows, url},
    home::until,
};
use jiff::Timestamp;
use std::{collections::HashSet, fmt::Write as _, time::Duration};
use tagmill::{
    broker::{CancelOrder, rabbitmq::orders},
    job::{Job, Resource},
};

/// Rows for lanes `a` and `b` in turns of `turn`, with the value changing every `same` rows.
pub fn csv(fleet: &Fleet, count: usize, turn: usize, same: usize) -> String {
    let mut text = "lane,id,env\n".to_owned();
    for n in 0..count {
        let lane = fleet.lane(["a", "b"][n / turn % 2]);
        writeln!(text, "{lane},i-{n},v{}", n / same).unwrap();
    }
    text
}

/// The rows of one lane, as its jobs must hold them.
pub fn wanted(csv: &str, lane: &str) -> Vec<(String, String)> {
    let cells = csv.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
    cells.filter(|cells| cells[0] == lane).map(|cells| (cells[1].to_owned(), cells[2].to_owned())).collect()
}

#[test]
fn every_row_of_two_lanes_arrives_once_in_its_order() {
    let Some(mut fleet) = Fleet::new() else { return };
    fleet.home.env("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let text = csv(&fleet, 2000, 30, 100);
    fleet.home.write("servers.csv", &text);
    let done = fleet.home.run(&["submit", "servers.csv", "--output", "json"]);
    let report = done.json(0);
    let batch = fleet.mine(report["batch"].as_str().unwrap());
    assert!(done.err.contains(&format!("batch {batch}: `tagmill watch {batch}` follows it")), "{}", done.err);
    let mut ids = HashSet::new();
    let mut count = 0;
    for letter in ["a", "b"] {
        let jobs = fleet.jobs(letter);
        assert_eq!(rows(&jobs), wanted(&text, fleet.lane(letter).as_str()));
        for (job, message) in jobs.iter().zip(fleet.messages(&fleet.lane_queue(letter))) {
            assert!(ids.insert(job.id.clone()) && job.id.as_str().starts_with(&batch), "{}", job.id);
            assert_eq!(job.extras.batch.as_deref(), Some(&*batch));
            assert_eq!(job.extras.source.as_deref(), Some("csv:servers.csv"));
            let properties = &message.properties;
            assert_eq!(properties.message_id().as_ref().unwrap().as_str(), job.id.as_str());
            assert_eq!(properties.content_type().as_ref().unwrap().as_str(), "application/json");
            assert_eq!((*properties.delivery_mode(), *properties.priority()), (Some(2), Some(0)));
            let made = job.extras.created_at.unwrap();
            assert_eq!(*properties.timestamp(), Some(made.as_second() as u64));
            assert!(header(&message, "traceparent").unwrap().starts_with("00-0af765"));
        }
        count += jobs.len();
    }
    assert_eq!((report["jobs"].as_u64(), report["items"].as_u64()), (Some(count as u64), Some(2000)));
    assert_eq!(count, 40, "a hundred rows that ask for the same are two jobs, one a lane");
}

#[test]
fn jobs_with_ids_of_their_own_keep_them_and_events_go_first() {
    let Some(fleet) = Fleet::new() else { return };
    let lane = fleet.lane("a");
    let text = format!(
        r#"{{"lane":"{lane}","set":{{"env":"x"}},"resources":["i-1"]}}
{{"lane":"{lane}","id":"my own","set":{{"env":"x"}},"resources":["i-9"]}}
{{"lane":"{lane}","id":"mine","set":{{"env":"x"}},"resources":["i-2","i-3"],"priority":"event"}}
{{"lane":"{lane}","set":{{"env":"x"}},"resources":["i-4"]}}
"#
    );
    fleet.home.write("jobs.ndjson", &text);
    let batch = fleet.batch("own");
    let done = fleet.home.run(&["submit", "jobs.ndjson", "--batch", &batch, "--output", "json"]);
    assert_eq!(done.json(1)["bad"], 1, "an id with a space is a bad row");
    let jobs = fleet.jobs("a");
    let wanted = [("i-1", "x"), ("i-4", "x")].map(|(id, x)| (id.to_owned(), x.to_owned()));
    assert_eq!((rows(&jobs), jobs.len()), (wanted.to_vec(), 2));
    let urgent = fleet.messages(&fleet.names.urgent_queue(&lane));
    let id = urgent[0].properties.message_id().as_ref().unwrap().as_str();
    assert_eq!((id, *urgent[0].properties.priority(), urgent.len()), ("mine", Some(9), 1));
    // Two jobs, and what tells whoever has the lane of the third.
    assert_eq!(fleet.messages(&fleet.lane_queue("a")).len(), 3);
    assert_eq!(fleet.dead().len(), 1);
}

#[test]
fn a_dry_run_connects_to_nothing_and_says_what_would_be_sent() {
    let Some(fleet) = Fleet::new() else { return };
    fleet.config("amqp://guest:guest@127.0.0.1:1", "");
    fleet.home.write("servers.csv", &csv(&fleet, 2000, 30, 100));
    let report = fleet.home.run(&["submit", "servers.csv", "--dry-run", "--output", "json"]).json(0);
    assert_eq!(
        (report["jobs"].as_u64(), report["items"].as_u64(), report["sent"].as_u64()),
        (Some(40), Some(2000), Some(0))
    );
    let bytes: u64 = report["lanes"].as_array().unwrap().iter().map(|lane| lane["bytes"].as_u64().unwrap()).sum();
    assert!(bytes > 20_000 && report["bytes"] == bytes, "{report}");
    let table = fleet.home.run(&["submit", "servers.csv", "--dry-run"]);
    assert!(table.code == 0 && table.out.contains("2,000"), "{table:?}");
    assert_eq!((fleet.waiting("a"), fleet.waiting("b")), (0, 0));
    // The same without --dry-run would have connected.
    fleet.home.run(&["submit", "servers.csv"]).refused(69, "connecting to amqp://guest@127.0.0.1:1");
}

#[test]
fn an_unknown_lane_or_a_bad_row_under_strict_sends_nothing() {
    let Some(fleet) = Fleet::new() else { return };
    let batch = fleet.batch("refused");
    let good = csv(&fleet, 10, 1, 1);
    fleet.home.write("unknown.csv", &format!("{good}nowhere,i-1,x\n"));
    fleet.home.write("bad.csv", &format!("{good}{},,x\n", fleet.lane("a")));
    fleet.home.write("nothing.csv", &format!("lane,id,env\n{},,x\n", fleet.lane("a")));
    for (args, why) in [
        (&["unknown.csv"][..], "1 row with a lane that is not in the config; nothing was sent"),
        (&["bad.csv", "--strict"], "1 bad row and --strict was given; nothing was sent"),
        (&["nothing.csv"], "no row can be read; nothing was sent"),
    ] {
        let done = fleet.home.run(&[&["submit", "--batch", &batch], args].concat());
        done.refused(65, why);
    }
    assert!(fleet.depth(&fleet.lane_queue("a")).is_none(), "not even a queue was made");
    assert!(!fleet.has_batch(&batch));
}

#[test]
fn a_bad_row_becomes_a_dead_letter_byte_for_byte_and_part_of_the_ledger() {
    let Some(fleet) = Fleet::new() else { return };
    let batch = fleet.batch("bad");
    let lane = fleet.lane("a");
    fleet.home.write("servers.csv", &format!("lane,id,env\n{lane},i-1,x\n{lane},,\"y\"\n{lane},i-2,x\n"));
    let args = ["submit", "servers.csv", "--batch", &batch, "--output", "json"];
    let done = fleet.home.run(&args);
    assert_eq!(done.json(1)["bad"], 1);
    assert!(done.err.contains("servers.csv:3: invalid: id: the cell is blank"), "{}", done.err);
    assert_eq!(rows(&fleet.jobs("a")).len(), 2);
    let dead = fleet.dead();
    let [letter] = &dead[..] else { panic!("{dead:?}") };
    assert_eq!(letter.data, format!("{lane},,\"y\"").as_bytes());
    let header = |name: &str| header(letter, name);
    assert_eq!(header("tagmill-code").as_deref(), Some("invalid"));
    assert_eq!(header("tagmill-message").as_deref(), Some("id: the cell is blank"));
    assert_eq!(
        (header("tagmill-line").as_deref(), header("tagmill-source").as_deref()),
        (Some("3"), Some("servers.csv"))
    );
    assert_eq!(letter.properties.content_type().as_ref().unwrap().as_str(), "application/octet-stream");
    assert_eq!(letter.properties.message_id().as_ref().unwrap().as_str().len(), 32);
    assert!(fleet.has_batch(&batch));
}

#[test]
fn with_topology_assert_a_lane_without_a_queue_is_named_and_nothing_is_sent() {
    let Some(fleet) = Fleet::new() else { return };
    fleet.config(&url(), "  topology: assert\n");
    fleet.home.write("servers.csv", &csv(&fleet, 10, 1, 1));
    let batch = fleet.batch("assert");
    let done = fleet.home.run(&["submit", "servers.csv", "--batch", &batch]);
    done.refused(69, &format!("lane {}: declaring queue", fleet.lane("a")));
    assert!(done.err.contains("start a worker"), "{}", done.err);
    assert!(!fleet.has_batch(&batch));
}

#[test]
fn another_process_that_submits_the_same_batch_is_respected() {
    let Some(fleet) = Fleet::new() else { return };
    let batch = fleet.batch("locked");
    fleet.home.write("servers.csv", &csv(&fleet, 10, 1, 1));
    let lock = fleet.runtime.block_on(fleet.of(&batch).lock_submit(&fleet.link, Duration::ZERO)).unwrap().unwrap();
    let args = ["submit", "servers.csv", "--batch", &batch];
    fleet.home.run(&args).refused(69, "is being submitted by another process");
    assert_eq!(fleet.waiting("a"), 0);
    fleet.runtime.block_on(lock.release());
    assert_eq!(fleet.home.run(&args).code, 0);
    until("both lanes have them", || fleet.waiting("a") + fleet.waiting("b") == 10);
}

#[test]
fn a_job_of_a_thousand_resources_is_the_largest() {
    let Some(fleet) = Fleet::new() else { return };
    let batch = fleet.batch("large");
    let resources: Vec<Resource> = (0..2500).map(|n| Resource::plain(&format!("i-{n}"))).collect();
    let line = serde_json::json!({"lane": fleet.lane("a"), "id": "big", "set": {"env": "x"}, "resources": resources});
    fleet.home.write("jobs.ndjson", &line.to_string());
    assert_eq!(fleet.home.run(&["submit", "jobs.ndjson", "--batch", &batch]).code, 0);
    let jobs: Vec<Job> = fleet.jobs("a");
    let names: Vec<(&str, usize)> = jobs.iter().map(|job| (job.id.as_str(), job.resources.len())).collect();
    assert_eq!(names, [("big.1", 1000), ("big.2", 1000), ("big.3", 500)]);
    assert_eq!(rows(&jobs).len(), 2500);
}

#[test]
fn a_cancelled_batch_is_not_sent_again() {
    let Some(fleet) = Fleet::new() else { return };
    let (batch, other) = (fleet.batch("cancelled"), fleet.batch("other"));
    fleet.home.write("servers.csv", &csv(&fleet, 10, 1, 1));
    let publisher = fleet.publisher();
    let at = Timestamp::from_second(1_800_000_000).unwrap();
    let order = CancelOrder { lane: None, job: None, batch: Some(batch.clone()), at };
    let changed = orders::change(&fleet.link, &publisher, at, |orders| orders.cancelled.push(order));
    fleet.runtime.block_on(changed).unwrap();
    let why = format!("batch {batch} was cancelled at 2027-01-15T08:00:00Z");
    fleet.home.run(&["submit", "servers.csv", "--batch", &batch]).refused(65, &why);
    assert!(fleet.waiting("a") == 0 && !fleet.has_batch(&batch));
    assert_eq!(fleet.home.run(&["submit", "servers.csv", "--batch", &other]).code, 0);
    assert_eq!(fleet.waiting("a"), 5);
}
