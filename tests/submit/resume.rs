//! Killed, interrupted, run again: nothing lost, nothing that doubles in effect.

use crate::{
    fleet::{Fleet, rows},
    home::until,
    receipts::receipt,
    send::{csv, wanted},
};
use std::collections::HashMap;
use tagmill::job::Job;

fn size() -> usize {
    std::env::var("TAGMILL_TEST_SUBMIT_ROWS").map_or(50_000, |text| text.parse().unwrap())
}

/// The jobs without repeats, and how many repeats there were. A repeat is the same job in every byte that counts.
fn distinct(jobs: Vec<Job>) -> (Vec<Job>, usize) {
    let mut first: HashMap<String, Job> = HashMap::new();
    let (mut once, mut repeats) = (Vec::new(), 0);
    for job in jobs {
        if let Some(earlier) = first.get(job.id.as_str()) {
            assert_eq!(*earlier, job, "the same id and another job");
            repeats += 1;
        } else {
            first.insert(job.id.as_str().to_owned(), job.clone());
            once.push(job);
        }
    }
    (once, repeats)
}

#[test]
fn killed_in_the_middle_and_run_again_every_row_is_there_and_the_ledger_adds_up() {
    let Some(fleet) = Fleet::new() else { return };
    let batch = fleet.batch("killed");
    let count = size();
    let text = csv(&fleet, count, 7, 1);
    fleet.home.write("servers.csv", &text);
    let args = ["submit", "servers.csv", "--batch", &batch, "--output", "json"];
    let some = (count / 5) as u64;
    let mut running = fleet.home.start(&args);
    until("a part is sent", || fleet.waiting("a") + fleet.waiting("b") > some || running.has_ended());
    assert!(!running.has_ended(), "it ended before it could be killed");
    running.kill();

    let done = fleet.home.run(&args);
    let report = done.json(0);
    assert!(done.err.contains("jobs were there already"), "{}", done.err);
    let sent = report["sent"].as_u64().unwrap() as usize;
    assert!(sent < count - count / 10, "{sent} of {count} were sent again");
    let mut jobs = Vec::new();
    for letter in ["a", "b"] {
        let (once, repeats) = distinct(fleet.jobs(letter));
        assert_eq!(rows(&once), wanted(&text, fleet.lane(letter).as_str()));
        // What lies between the last note and the kill: a note is written every 500 jobs, and 500 may be on their way.
        assert!(repeats <= 2000, "{repeats} repeats");
        jobs.extend(once);
    }
    assert_eq!(jobs.len(), count);
    let made = jobs[0].extras.created_at;
    assert!(jobs.iter().all(|job| job.extras.created_at == made), "all of one time, whoever sent them");

    let again = fleet.home.run(&args);
    assert_eq!(again.json(0)["sent"], 0);
    assert!(again.err.contains("was sent to its end before"), "{}", again.err);
    settle(&fleet, &batch, jobs);
}

/// Receipts in random order, every tenth twice, every hundredth job dead, while the batch is watched.
fn settle(fleet: &Fleet, batch: &str, mut jobs: Vec<Job>) {
    let count = jobs.len() as u64;
    let watching = fleet.home.start(&["submit", "servers.csv", "--batch", batch, "--wait", "--output", "json"]);
    fastrand::Rng::with_seed(5).shuffle(&mut jobs);
    let publisher = fleet.publisher();
    let receipts = jobs.iter().enumerate().flat_map(|(n, job)| {
        let of = receipt(job, u64::from(n % 100 == 0), 1_800_000_000);
        std::iter::repeat_n(of, if n % 10 == 0 { 2 } else { 1 })
    });
    fleet.publish(&publisher, receipts);
    let ledger = watching.wait().json(1);
    let number = |name: &str| ledger[name].as_u64().unwrap();
    let dead = count.div_ceil(100);
    assert_eq!(
        [number("accepted"), number("tagged"), number("dead"), number("pending")],
        [count, count - dead, dead, 0]
    );
    assert_eq!((number("jobs"), number("jobs_pending"), number("job_calls")), (count, 0, count * 2));
    let lanes = ledger["lanes"].as_array().unwrap();
    assert_eq!(lanes.iter().map(|lane| lane["accepted"].as_u64().unwrap()).sum::<u64>(), count);
    assert!(!fleet.has_batch(batch), "its queue goes when it was watched to its end");
}

#[test]
fn interrupted_and_run_again_not_one_job_is_sent_twice() {
    let Some(fleet) = Fleet::new() else { return };
    let batch = fleet.batch("interrupted");
    let text = csv(&fleet, 30_000, 7, 1);
    fleet.home.write("servers.csv", &text);
    let args = ["submit", "servers.csv", "--batch", &batch, "--output", "json"];
    let mut running = fleet.home.start(&args);
    until("a part is sent", || fleet.waiting("a") + fleet.waiting("b") > 4000 || running.has_ended());
    running.interrupt();
    let done = running.wait();
    done.refused(130, "stopping: waiting for what is on its way (again to leave at once)");
    assert!(done.err.contains(&format!("of batch {batch} are sent; the same command with --batch")), "{}", done.err);
    let before = fleet.waiting("a") + fleet.waiting("b");
    let done = fleet.home.run(&args);
    assert_eq!(done.json(0)["sent"], 30_000 - before);
    for letter in ["a", "b"] {
        assert_eq!(rows(&fleet.jobs(letter)), wanted(&text, fleet.lane(letter).as_str()));
    }
}

#[test]
fn other_files_under_the_same_batch_are_refused() {
    let Some(fleet) = Fleet::new() else { return };
    let batch = fleet.batch("other");
    let text = csv(&fleet, 10, 1, 1);
    fleet.home.write("one.csv", &text);
    fleet.home.write("two.csv", &format!("{text}{},i-99,x\n", fleet.lane("a")));
    assert_eq!(fleet.home.run(&["submit", "one.csv", "--batch", &batch]).code, 0);
    let why = format!("batch {batch} was begun with other files or options (one.csv) than these (two.csv)");
    fleet.home.run(&["submit", "two.csv", "--batch", &batch]).refused(65, &why);
    fleet.home.run(&["submit", "one.csv", "--batch", &batch, "--set", "more=x"]).refused(65, "other files or options");
    assert_eq!(fleet.waiting("a") + fleet.waiting("b"), 10);
    // A copy under another name is the same file.
    fleet.home.write("copy.csv", &text);
    assert_eq!(fleet.home.run(&["submit", "copy.csv", "--batch", &batch]).code, 0);
    assert_eq!(fleet.waiting("a") + fleet.waiting("b"), 10);
}

#[test]
fn the_same_files_that_make_other_jobs_now_are_refused() {
    let Some(fleet) = Fleet::new() else { return };
    let batch = fleet.batch("config");
    let (a, b) = (fleet.lane("a"), fleet.lane("b"));
    let text = format!("lane,id,region,env\n{a},i-1,cn-hangzhou,x\n{b},i-2,cn-hangzhou,x\n");
    fleet.home.write("one.csv", &text);
    let args = ["submit", "one.csv", "--batch", &batch];
    assert_eq!(fleet.home.run(&args).code, 0);
    // A lane that moves to another region makes a bad row of one that was a job.
    let config = std::fs::read_to_string(fleet.home.path("tagmill.yaml")).unwrap();
    fleet.home.write("tagmill.yaml", &config.replacen("cn-hangzhou", "cn-beijing", 1));
    fleet.home.run(&args).refused(65, "the same files make other jobs than when batch");
}
