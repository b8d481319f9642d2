//! Watching: every job counts once, whoever comes late reads the same, and nothing is taken out before the end.

use crate::{fleet::Fleet, home::until, receipts::receipt, send::csv};
use serde_json::Value;
use std::{collections::HashSet, time::Duration};
use tagmill::{
    broker::rabbitmq::watch::{HELD, Tail},
    job::{Extras, Job, Replay},
    worker::clock,
};

fn numbers(ledger: &Value) -> [u64; 4] {
    ["accepted", "tagged", "dead", "pending"].map(|name| ledger[name].as_u64().unwrap())
}

/// A batch of 200 jobs with one item each.
fn submitted(fleet: &Fleet, word: &str) -> (String, Vec<Job>) {
    let batch = fleet.batch(word);
    fleet.home.write("servers.csv", &csv(fleet, 200, 3, 1));
    let done = fleet.home.run(&["submit", "servers.csv", "--batch", &batch]);
    assert_eq!(done.code, 0, "{done:?}");
    let mut jobs = fleet.jobs("a");
    jobs.extend(fleet.jobs("b"));
    assert_eq!(jobs.len(), 200);
    (batch, jobs)
}

#[test]
fn after_ctrl_c_a_watch_goes_on_and_counts_every_job_once() {
    let Some(fleet) = Fleet::new() else { return };
    let (batch, jobs) = submitted(&fleet, "again");
    let publisher = fleet.publisher();
    fleet.publish(&publisher, jobs[..80].iter().map(|job| receipt(job, 0, 1_800_000_000)));
    let args = ["watch", &batch, "--output", "json"];
    let before = fleet.kept(&batch);
    for _ in 0..2 {
        let running = fleet.home.start(&args);
        until("it holds them", || fleet.is_watched(&batch));
        until("it has taken them", || fleet.kept(&batch) == 0);
        running.interrupt();
        let done = running.wait();
        let ledger = done.json(130);
        assert_eq!((numbers(&ledger), &ledger["interrupted"]), ([200, 80, 0, 120], &true.into()));
        assert!(done.err.contains(&format!("nothing is lost, `tagmill watch {batch}` goes on")), "{}", done.err);
        until("all of it is back", || fleet.kept(&batch) == before);
    }
    let running = fleet.home.start(&args);
    // The first 80 once more, as after a worker's crash: one of them with other numbers, and the later ones stand.
    fleet.publish(&publisher, jobs.iter().map(|job| receipt(job, 0, 1_800_000_000)));
    let done = running.wait();
    assert_eq!(numbers(&done.json(0)), [200, 200, 0, 0]);
    assert!(!fleet.has_batch(&batch));
    fleet.home.run(&args).refused(65, &format!("there is no batch {batch}"));
}

#[test]
fn of_two_receipts_with_other_numbers_the_last_one_stands_and_a_replay_belongs_to_another_ledger() {
    let Some(fleet) = Fleet::new() else { return };
    let (batch, jobs) = submitted(&fleet, "numbers");
    let publisher = fleet.publisher();
    fleet.publish(&publisher, jobs.iter().map(|job| receipt(job, 1, 1_800_000_000)));
    fleet.publish(&publisher, jobs[..50].iter().map(|job| receipt(job, 0, 1_800_000_000)));
    let replay = |job: &Job| {
        let replay = Some(Replay { of: "letter".into(), count: 1 });
        receipt(&Job { extras: Extras { replay, ..job.extras.clone() }, ..job.clone() }, 0, 1_900_000_000)
    };
    fleet.publish(&publisher, jobs[50..].iter().map(replay));
    let ledger = fleet.home.run(&["watch", &batch, "--keep", "--output", "json"]).json(1);
    assert_eq!(numbers(&ledger), [200, 50, 150, 0]);
    assert!(fleet.has_batch(&batch), "--keep");
    let table = fleet.home.run(&["watch", &batch]);
    assert!(table.code == 1 && table.err.contains("150 dead: `tagmill dlq list` shows why"), "{table:?}");
    let total = table.out.lines().last().unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(total[total.len() - 6..], ["200", "200", "50", "0", "150", "0"], "{}", table.out);
}

#[test]
fn a_second_watcher_is_refused_and_the_first_one_goes_on() {
    let Some(fleet) = Fleet::new() else { return };
    let (batch, jobs) = submitted(&fleet, "two");
    let first = fleet.home.start(&["watch", &batch, "--output", "json"]);
    until("it holds the notes", || fleet.is_watched(&batch));
    fleet.home.run(&["watch", &batch]).refused(69, "is being watched by another process");
    // Nor can the notes be read for going on with it.
    fleet.home.run(&["submit", "servers.csv", "--batch", &batch]).refused(69, "is being watched by another process");
    let publisher = fleet.publisher();
    fleet.publish(&publisher, jobs.iter().map(|job| receipt(job, 0, 1_800_000_000)));
    assert_eq!(numbers(&first.wait().json(0)), [200, 200, 0, 0]);
}

#[test]
fn a_watcher_that_is_killed_leaves_everything_for_the_next() {
    let Some(fleet) = Fleet::new() else { return };
    let (batch, jobs) = submitted(&fleet, "killed");
    let publisher = fleet.publisher();
    fleet.publish(&publisher, jobs[..150].iter().map(|job| receipt(job, 0, 1_800_000_000)));
    let running = fleet.home.start(&["watch", &batch]);
    until("it has taken them", || fleet.kept(&batch) == 0);
    running.kill();
    let next = fleet.home.start(&["watch", &batch, "--output", "json"]);
    fleet.publish(&publisher, jobs[150..].iter().map(|job| receipt(job, 0, 1_800_000_000)));
    assert_eq!(numbers(&next.wait().json(0)), [200, 200, 0, 0]);
}

#[test]
fn bad_rows_are_in_the_ledger_as_accepted_and_dead() {
    let Some(fleet) = Fleet::new() else { return };
    let batch = fleet.batch("rows");
    let lane = fleet.lane("a");
    fleet.home.write("servers.csv", &format!("lane,id,env\n{lane},i-1,x\n{lane},,y\n{lane},i-2,x\n"));
    let submit = ["submit", "servers.csv", "--batch", &batch, "--wait", "--output", "json"];
    let running = fleet.home.start(&submit);
    until("the job is there", || fleet.waiting("a") == 1);
    let publisher = fleet.publisher();
    fleet.publish(&publisher, fleet.jobs("a").iter().map(|job| receipt(job, 0, 1_800_000_000)));
    let ledger = running.wait().json(1);
    assert_eq!(numbers(&ledger), [3, 2, 1, 0]);
    assert_eq!((ledger["lanes"][0]["name"].clone(), numbers(&ledger["lanes"][0])), (Value::Null, [1, 0, 1, 0]));
    assert_eq!(fleet.dead().len(), 1);
}

#[test]
fn a_batch_that_was_not_sent_to_its_end_is_told_so_and_watched_all_the_same() {
    let Some(fleet) = Fleet::new() else { return };
    let batch = fleet.batch("half");
    fleet.home.write("servers.csv", &csv(&fleet, 30_000, 7, 1));
    let args = ["submit", "servers.csv", "--batch", &batch];
    let mut running = fleet.home.start(&args);
    until("a part is sent", || fleet.waiting("a") > 2000 || running.has_ended());
    running.kill();
    let mut watching = fleet.home.start(&["watch", &batch, "--output", "json"]);
    watching.says("was not sent to its end");
    watching.interrupt();
    let ledger = watching.wait().json(130);
    assert_eq!(numbers(&ledger), [30_000, 0, 0, 30_000], "the report covers the whole file");
    assert_eq!(fleet.home.run(&args).code, 0);
}

#[test]
fn a_job_is_watched_by_its_id_before_and_after_its_receipt() {
    let Some(fleet) = Fleet::new() else { return };
    let (batch, jobs) = submitted(&fleet, "jobs");
    let job = |n: usize, batch: bool| {
        let mut job = jobs[n].clone();
        if !batch {
            job.extras.batch = None;
        }
        job
    };
    let publisher = fleet.publisher();
    let (before, after) = (job(0, false), job(1, true));
    let waiting = fleet.home.start(&["watch", "--job", before.id.as_str(), "--output", "json"]);
    let mut waiting = waiting;
    waiting.says("waiting for the receipt");
    fleet.publish(&publisher, [receipt(&after, 1, 1_800_000_000), receipt(&before, 0, 1_800_000_000)]);
    let found = waiting.wait().json(0);
    assert_eq!((found["job"].as_str(), &found["tagged"]), (Some(before.id.as_str()), &1.into()));
    let found = fleet.home.run(&["watch", after.id.as_str(), "--output", "json"]).json(1);
    assert_eq!((found["batch"].as_str(), &found["dead"]), (Some(&*batch), &1.into()));
    let table = fleet.home.run(&["watch", after.id.as_str()]);
    assert!(table.code == 1 && table.out.contains(after.lane.as_str()), "{table:?}");
    let unknown = fleet.batch("unknown");
    fleet.home.run(&["watch", &unknown]).refused(65, &format!("there is no batch {unknown}"));
}

#[test]
fn a_queue_that_is_read_over_several_channels_is_left_in_its_order() {
    let Some(fleet) = Fleet::new() else { return };
    let (batch, jobs) = submitted(&fleet, "order");
    let publisher = fleet.publisher();
    fleet.publish(&publisher, jobs.iter().map(|job| receipt(job, 0, 1_800_000_000)));
    let queue = fleet.of(&batch).queue().to_owned();
    let count = fleet.kept(&batch);
    let read = |held: u16| {
        let found = fleet.runtime.block_on(async {
            let mut tail = Tail::open(&fleet.link, &queue, held).await.unwrap();
            let mut found = Vec::new();
            for _ in 0..count {
                found.push(tail.next().await.unwrap().body);
            }
            tail.close().await;
            found
        });
        // The broker says that the channel is closed a little before everything is back.
        until("all of it is back", || fleet.kept(&batch) == count);
        found
    };
    let first = read(HELD);
    for held in [50, 7, 100] {
        assert!(read(held) == first, "held {held}");
    }
    assert!(read(HELD) == first);
}

#[test]
fn waiting_for_the_next_message_can_be_given_up_at_any_moment_and_loses_none() {
    let Some(fleet) = Fleet::new() else { return };
    let (batch, jobs) = submitted(&fleet, "given-up");
    let publisher = fleet.publisher();
    fleet.publish(&publisher, jobs.iter().map(|job| receipt(job, 0, 1_800_000_000)));
    let count = fleet.kept(&batch) as usize;
    fleet.runtime.block_on(async {
        let mut tail = Tail::open(&fleet.link, fleet.of(&batch).queue(), 7).await.unwrap();
        let mut found = Vec::new();
        let end = clock::monotonic() + Duration::from_mins(1);
        while found.len() < count {
            assert!(clock::monotonic() < end, "{} of {count}", found.len());
            if let Ok(read) = tokio::time::timeout(Duration::from_micros(200), tail.next()).await {
                found.push(read.unwrap().body);
            }
        }
        tail.close().await;
        let distinct: HashSet<Vec<u8>> = found.into_iter().collect();
        assert_eq!(distinct.len(), count);
    });
}
