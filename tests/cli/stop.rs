//! Ctrl-C, twice, a second process on the same state, and cancelling what is left.

use crate::support::{Clouds, Home, disks, lane, sums, until};
use std::time::Duration;
use tagmill::{
    sim::{Faults, Span},
    worker::clock,
};

fn slow(ms: u64) -> Faults {
    Faults { latency: Span { min_ms: ms, max_ms: ms }, ..Faults::default() }
}

fn disks_of(count: usize) -> String {
    disks((0..count).map(|n| format!("d-{n}")))
}

#[test]
fn ctrl_c_waits_for_calls_on_their_way_says_how_to_resume_and_resumes() {
    for signal in ["-INT", "-TERM"] {
        let clouds = Clouds::start();
        let home = Home::new(&[lane("tms", &clouds.url(), "rate: { per_second: 50 }")]);
        home.write("disks.csv", &disks_of(5000));
        let running = home.start(&["apply", "disks.csv", "--output", "json"]);
        until("it is on its way", || clouds.requests() >= 5);
        running.signal(signal);
        let done = running.wait();
        assert_eq!(done.code, 130, "{done:?}");
        let ledger = done.json();
        crate::support::adds_up(&ledger);
        assert_eq!(ledger["interrupted"], true);
        let [accepted, tagged, dead, pending] = sums(&ledger);
        assert_eq!((accepted, dead), (5000, 0));
        assert!(pending > 0 && tagged > 0, "{ledger}");
        assert_eq!(clouds.tags("huawei-tms").len() as u64, tagged, "a drain waits for its answers");
        assert!(done.err.contains("items pending; the same command goes on with them"), "{}", done.err);
        let (done, ledger) = home.apply(&["disks.csv"]);
        assert_eq!((done.code, sums(&ledger)), (0, [5000, 5000, 0, 0]), "{done:?}");
        assert_eq!((ledger["calls"].as_u64(), clouds.requests()), (Some(100), 100), "nothing was sent twice");
    }
}

#[test]
fn ctrl_c_while_the_file_is_read_leaves_at_once_and_resumes() {
    let clouds = Clouds::start();
    let home = Home::new(&[lane("tms", &clouds.url(), "")]);
    home.write("disks.csv", &disks_of(40_000));
    let args = ["apply", "disks.csv", "--output", "json"];
    let running = home.start(&args);
    until("some rows are in the queue", || home.state_bytes() > 5_000_000);
    running.interrupt();
    let done = running.wait();
    done.refused(130);
    assert!(done.err.contains("the same command goes on where this one stopped"), "{}", done.err);
    assert_eq!(clouds.requests(), 0);
    let (done, ledger) = home.apply(&["disks.csv"]);
    assert_eq!((done.code, sums(&ledger)), (0, [40_000, 40_000, 0, 0]), "{done:?}");
    assert!(done.err.contains("rows read, so far"), "{}", done.err);
}

#[test]
fn a_second_ctrl_c_leaves_at_once_and_nothing_is_lost() {
    let clouds = Clouds::start();
    clouds.faults("huawei-tms", slow(20_000));
    let home = Home::new(&[lane("tms", &clouds.url(), "timeout: 60s")]);
    home.write("disks.csv", &disks_of(500));
    let running = home.start(&["apply", "disks.csv"]);
    until("calls are on their way", || clouds.counts("huawei-tms").in_flight > 0);
    running.interrupt();
    running.says("stopping: waiting for calls on their way (again to leave at once)");
    let asked = clock::monotonic();
    running.interrupt();
    let done = running.wait();
    assert_eq!(done.code, 130, "{done:?}");
    assert!(done.err.contains("nothing is lost, and the same command goes on where this one stopped"), "{}", done.err);
    assert!(clock::monotonic() - asked < Duration::from_secs(10), "it did not wait for the calls");
    clouds.faults("huawei-tms", Faults::default());
    let (done, ledger) = home.apply(&["disks.csv"]);
    assert_eq!((done.code, sums(&ledger)), (0, [500, 500, 0, 0]), "{done:?}");
    assert_eq!(clouds.tags("huawei-tms").len(), 500);
}

#[test]
fn a_second_process_on_the_same_state_is_told_so_and_does_no_harm() {
    let clouds = Clouds::start();
    clouds.faults("huawei-tms", slow(1500));
    let home = Home::new(&[lane("tms", &clouds.url(), "")]);
    home.write("disks.csv", &disks_of(500));
    let running = home.start(&["apply", "disks.csv", "--output", "json"]);
    until("calls are on their way", || clouds.counts("huawei-tms").in_flight > 0);
    for second in [&["apply", "disks.csv"][..], &["dlq", "list"], &["cancel", "--yes"]] {
        let done = home.run(second);
        done.refused(69);
        let process = done.err.split("process ").nth(1).unwrap().split(':').next().unwrap();
        let said = done.err.replace(process, "N");
        insta::allow_duplicates! {
            insta::assert_snapshot!(said, @"state directory ./tagmill-state is in use by process N: wait until it ends, or name another directory with --state");
        }
    }
    let done = running.wait();
    assert_eq!((done.code, sums(&done.json())), (0, [500, 500, 0, 0]), "{done:?}");
}

#[test]
fn cancel_ends_what_an_interrupted_run_left_as_dead_letters() {
    let clouds = Clouds::start();
    let home = Home::new(&[lane("tms", &clouds.url(), "rate: { per_second: 40 }")]);
    home.write("disks.csv", &disks_of(3000));
    let running = home.start(&["apply", "disks.csv", "--output", "json"]);
    until("it is on its way", || clouds.requests() >= 5);
    running.interrupt();
    let [_, tagged, _, pending] = sums(&running.wait().json());
    assert!(pending > 0);

    let asked = home.run(&["cancel"]);
    asked.refused(2);
    assert!(asked.err.contains("--yes"), "{}", asked.err);
    let before = clouds.requests();
    let done = home.run(&["cancel", "--yes"]);
    done.refused(0);
    let list = home.run(&["dlq", "list", "--code", "cancelled", "--output", "json"]);
    let items: u64 = list.json_lines().iter().map(|entry| entry["items"].as_u64().unwrap()).sum();
    assert_eq!(items, pending, "{}", done.err);
    assert_eq!(clouds.requests(), before, "cancelling sends nothing");
    assert_eq!(clouds.tags("huawei-tms").len() as u64, tagged);

    // They are as good as any other dead letter.
    let replayed = home.run(&["dlq", "replay", "--code", "cancelled", "--yes", "--output", "json"]);
    assert_eq!(replayed.code, 0, "{replayed:?}");
    assert_eq!(clouds.tags("huawei-tms").len(), 3000);
    assert!(home.dead_letters().is_empty());
}
