//! Killed at any moment and started again: nothing lost, nothing twice, nothing wrong.

use crate::support::{Clouds, Home, Tags, lane, sums, until};
use std::fmt::Write as _;

/// How many rows the killed file has.
fn rows() -> usize {
    let usual = if cfg!(debug_assertions) { 20_000 } else { 100_000 };
    std::env::var("TAGMILL_TEST_ROWS").map_or(usual, |text| text.parse().unwrap())
}

const KEYS: [&str; 8] = ["env", "team", "owner", "cost-centre", "date", "app", "note", "temp"];

/// A file of mixed rows, and the tags that it leads to, computed cell by cell in file order.
///
/// Every tenth row comes back to a resource of an earlier row, so that order and removal matter.
fn workload(rows: usize, seed: u64) -> (String, Tags) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut csv = format!("id,type,{}\n", KEYS.join(","));
    let mut tags = Tags::new();
    let mut resources: Vec<(String, &str)> = Vec::new();
    for row in 0..rows {
        let again = row > 0 && row % 10 == 0;
        if !again {
            resources.push((format!("r-{row:06}"), ["disk", "ecs"][rng.usize(..2)]));
        }
        let (id, kind) =
            if again { resources[rng.usize(..resources.len())].clone() } else { resources.last().unwrap().clone() };
        let owner = rng.usize(..40);
        let cells = [
            ["dev", "stage", "prod"][rng.usize(..3)].to_owned(),
            format!("t{}", owner % 8),
            if rng.usize(..20) == 0 { String::new() } else { format!("o{owner}") },
            format!("c{}", owner % 5),
            "2026-11-20".to_owned(),
            ["", "shop", "billing"][rng.usize(..3)].to_owned(),
            ["", "", "<empty>", "checked"][rng.usize(..4)].to_owned(),
            ["", "x", "<remove>"][if again { rng.usize(..3) } else { rng.usize(..2) }].to_owned(),
        ];
        writeln!(csv, "{id},{kind},{}", cells.join(",")).unwrap();
        let of = tags.entry(format!("{kind}/{id}")).or_default();
        for (key, cell) in KEYS.iter().zip(cells) {
            match cell.as_str() {
                "" => {}
                "<remove>" => drop(of.remove(*key)),
                "<empty>" => drop(of.insert((*key).to_owned(), String::new())),
                _ => drop(of.insert((*key).to_owned(), cell)),
            }
        }
    }
    (csv, tags)
}

fn assert_same(found: &Tags, wanted: &Tags) {
    // Not assert_eq: a hundred thousand resources are no message.
    assert_eq!(found.len(), wanted.len());
    for (resource, tags) in wanted {
        assert_eq!(found.get(resource), Some(tags), "{resource}");
    }
}

#[test]
fn a_big_file_killed_five_times_and_resumed_ends_with_exactly_the_tags_of_the_file() {
    let rows = rows();
    let (csv, wanted) = workload(rows, 11);
    let clouds = Clouds::start();
    let home = Home::new(&[lane("tms", &clouds.url(), "")]);
    home.write("servers.csv", &csv);

    let plan = home.run(&["plan", "servers.csv", "--output", "json"]);
    assert_eq!(plan.code, 0, "{plan:?}");
    let calls = plan.json()["calls"].as_u64().unwrap();
    assert_eq!(clouds.requests(), 0, "a plan sends nothing");

    let mut rng = fastrand::Rng::with_seed(5);
    let mut points: Vec<u64> = (0..5).map(|_| 1 + rng.u64(..calls * 9 / 10)).collect();
    points.sort_unstable();
    let args = ["apply", "servers.csv", "--output", "json"];
    for point in points {
        let mut running = home.start(&args);
        // Calls that were on their way when it was killed go again, so it can never have ended before.
        let at = point.max(clouds.requests() + 1);
        until("so many calls", || clouds.requests() >= at || running.has_ended());
        assert!(!running.has_ended(), "it ended before it could be killed");
        running.kill();
    }
    let done = home.run(&args);
    let ledger = done.json();
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.contains("going on with an unfinished run of servers.csv"), "{}", done.err);
    assert_eq!(sums(&ledger), [rows as u64, rows as u64, 0, 0], "{ledger}");
    crate::support::adds_up(&ledger);
    assert_same(&clouds.tags("huawei-tms"), &wanted);

    // What was finished is not sent again. What was half finished is: the keys of an item may go in several calls.
    let (sent, counted) = (clouds.requests(), ledger["calls"].as_u64().unwrap());
    assert!(sent < calls * 2, "{sent} calls where {calls} were planned");
    // A kill may lose the count of the calls since the last commit. However long a commit takes, calls wait for it after
    // 50 of them.
    assert!(counted <= sent && sent - counted <= 5 * 50, "{sent} sent, {counted} counted");
    let counts = clouds.counts("huawei-tms");
    assert_eq!((counts.limit_violations, counts.outcomes.rejected), (0, 0));
    assert!(home.dead_letters().is_empty());
}

#[test]
fn killed_while_it_reads_the_file_it_goes_on_reading_and_the_report_covers_the_whole_file() {
    let (csv, wanted) = workload(30_000, 3);
    let clouds = Clouds::start();
    let home = Home::new(&[lane("tms", &clouds.url(), "")]);
    home.write("servers.csv", &csv);
    let args = ["apply", "servers.csv", "--output", "json"];
    // At each of these sizes of the queue's file: when it has just been made, and with some rows in it.
    for size in [1, 2_000_000, 5_000_000] {
        let mut running = home.start(&args);
        until("the queue's file has grown", || home.state_bytes() >= size || running.has_ended());
        assert!(!running.has_ended());
        running.kill();
    }
    let done = home.run(&args);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.contains("rows read, so far"), "{}", done.err);
    assert_eq!(sums(&done.json()), [30_000, 30_000, 0, 0]);
    assert_same(&clouds.tags("huawei-tms"), &wanted);
}

#[test]
fn after_a_run_has_ended_the_same_command_starts_a_new_one() {
    let clouds = Clouds::start();
    let home = Home::new(&[lane("tms", &clouds.url(), "")]);
    home.write("servers.csv", &crate::support::disks((0..120).map(|n| format!("d-{n}"))));
    for times in 1..=3 {
        let (done, ledger) = home.apply(&["servers.csv"]);
        assert_eq!((done.code, sums(&ledger)), (0, [120, 120, 0, 0]), "{done:?}");
        assert!(!done.err.contains("unfinished"), "{}", done.err);
        assert_eq!(ledger["calls"], 3);
        assert_eq!(clouds.requests(), 3 * times, "tagged again");
    }
}
