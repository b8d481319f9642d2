//! Dead letters from the moment they die to their replay.

use crate::support::{Clouds, Home, disks, lane, sums};
use serde_json::json;
use tagmill::sim::{FailedItems, Faults};

/// 60 disks, three of them poison, in two jobs' worth of codes.
fn with_dead() -> (Clouds, Home) {
    let clouds = Clouds::start();
    let failed = |id: &str, code: &str| FailedItems { id: id.into(), code: code.into(), message: "refused".into() };
    let faults =
        Faults { failed_items: vec![failed("a-*", "TMS.0002"), failed("b-*", "TMS.0013")], ..Faults::default() };
    clouds.faults("huawei-tms", faults);
    let home = Home::new(&[lane("tms", &clouds.url(), "")]);
    let ids = (0..57).map(|n| format!("d-{n}")).chain(["a-1", "a-2", "b-1"].map(str::to_owned));
    home.write("disks.csv", &disks(ids));
    let (done, ledger) = home.apply(&["disks.csv"]);
    assert_eq!((done.code, sums(&ledger)), (1, [60, 57, 3, 0]), "{done:?}");
    assert!(done.err.contains("3 dead: `tagmill dlq list` shows why"), "{}", done.err);
    (clouds, home)
}

#[test]
fn dead_letters_listed_fifty_times_are_all_still_there() {
    let (_clouds, home) = with_dead();
    let mut seen = Vec::new();
    for n in 0..50 {
        let how = [&["dlq", "list"][..], &["dlq", "list", "--output", "json"], &["dlq", "export"]][n % 3];
        let done = home.run(how);
        assert_eq!(done.code, 0, "{done:?}");
        if n % 3 == 1 {
            seen.push(done.json_lines());
        }
    }
    assert!(seen.iter().all(|list| list.len() == 3 && *list == seen[0]), "{seen:?}");
}

#[test]
fn a_dead_letter_is_shown_with_everything_and_found_by_filters() {
    let (_clouds, home) = with_dead();
    let count = |args: &[&str]| {
        let done = home.run(&[&["dlq", "list", "--output", "ndjson"], args].concat());
        assert_eq!(done.code, 0, "{done:?}");
        done.json_lines().len()
    };
    assert_eq!(count(&["--code", "TMS.0002"]), 2);
    assert_eq!(count(&["--lane", "tms", "--limit", "1"]), 1);
    assert_eq!((count(&["--newer-than", "1h"]), count(&["--older-than", "1h"])), (3, 0));
    let list = home.run(&["dlq", "list", "--code", "TMS.0013", "--output", "json"]).json_lines();
    let id = list[0]["id"].as_str().unwrap();
    let shown = home.run(&["dlq", "show", id]);
    assert_eq!(shown.code, 0, "{shown:?}");
    for part in ["b-1", "TMS.0013", "refused", "disks.csv", "\"env\":\"prod\""] {
        assert!(shown.out.contains(part), "{part}: {}", shown.out);
    }
    let letter = home.run(&["dlq", "show", id, "--output", "json"]).json();
    assert_eq!(letter["failures"][0]["line"], 61);
    assert_eq!(letter["job"]["resources"], json!([{"id": "b-1", "type": "disk"}]));
    home.run(&["dlq", "show", "no-such-id"]).refused(2);
}

#[test]
fn a_replay_after_the_repair_tags_the_poison_and_empties_the_store() {
    let (clouds, home) = with_dead();
    let before = clouds.requests();
    let dry = home.run(&["dlq", "replay", "--dry-run", "--output", "json"]);
    assert_eq!((dry.code, dry.json()), (0, json!({"letters": 3, "items": 3, "raw": 0})), "{dry:?}");
    let asked = home.run(&["dlq", "replay"]);
    asked.refused(2);
    assert!(asked.err.contains("add --yes"), "{}", asked.err);
    assert_eq!((clouds.requests(), home.dead_letters().len()), (before, 3), "nothing was sent, nothing was taken");

    // Not repaired yet: dead again, and it says how often.
    let again = home.run(&["dlq", "replay", "--yes", "--code", "TMS.0013", "--output", "json"]);
    assert_eq!((again.code, sums(&again.json())), (1, [1, 0, 1, 0]), "{again:?}");
    let letters = home.dead_letters();
    assert_eq!(letters.len(), 3);
    let replay = letters.iter().find(|letter| letter["failures"][0]["code"] == "TMS.0013").unwrap();
    assert_eq!(replay["replay"]["count"], 1, "{replay}");

    clouds.faults("huawei-tms", Faults::default());
    let done = home.run(&["dlq", "replay", "--yes", "--output", "json"]);
    assert_eq!((done.code, sums(&done.json())), (0, [3, 3, 0, 0]), "{done:?}");
    assert_eq!(clouds.tags("huawei-tms").len(), 60);
    assert!(home.dead_letters().is_empty());
    assert_eq!(home.run(&["dlq", "list", "--output", "json"]).json(), json!([]));
}

#[test]
fn an_exported_dead_letter_holds_a_job_that_can_be_applied() {
    let (clouds, home) = with_dead();
    let jobs: String = home.dead_letters().iter().map(|letter| format!("{}\n", letter["job"])).collect();
    home.write("again.ndjson", &jobs);
    clouds.faults("huawei-tms", Faults::default());
    let (done, ledger) = home.apply(&["again.ndjson"]);
    assert_eq!((done.code, sums(&ledger)), (0, [3, 3, 0, 0]), "{done:?}");
    assert_eq!(clouds.tags("huawei-tms").len(), 60);
}

#[test]
fn discard_removes_what_was_chosen_and_nothing_else() {
    let (clouds, home) = with_dead();
    let before = clouds.requests();
    home.run(&["dlq", "discard"]).refused(2);
    home.run(&["dlq", "discard", "no-such-id", "--yes"]).refused(2);
    assert_eq!(home.dead_letters().len(), 3);
    let done = home.run(&["dlq", "discard", "--code", "TMS.0002", "--yes"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(home.failures().keys().collect::<Vec<_>>(), ["b-1"]);
    assert_eq!(clouds.requests(), before);
}

#[test]
fn a_folder_without_a_queue_is_no_empty_queue() {
    let home = Home::new(&[]);
    for command in [&["dlq", "list", "--state", "typo"][..], &["cancel", "--yes", "--state", "typo"]] {
        let done = home.run(command);
        done.refused(69);
        assert!(done.err.contains("there is no queue in typo"), "{}", done.err);
        assert!(!home.path("typo").exists());
    }
}
