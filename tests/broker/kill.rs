//! Killed at any moment: everything confirmed is there, and nothing is there by halves.

use crate::{
    disk::Disk,
    embedded::all_dead,
    make::{bodies, dead_letter, failure, head, job, lane, read_job, receipt, take},
    runs::{bad, row},
};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};
use tagmill::broker::{
    Broker, BrokerError, CallCounts, Deed, Feed, Mark,
    embedded::{CancelFilter, DeadFilter, Embedded, Pick, RunId},
};

const STEPS: usize = 9;

/// A life of a queue in steps of one transaction each.
async fn step(queue: &Embedded, number: usize) -> Result<(), BrokerError> {
    let work = [job("a", "1", &["r0", "r1"]), job("a", "2", &["r2"]), job("b", "3", &["r3"])];
    let run = RunId(1);
    let first = async || {
        let mut feed = queue.open_lane(&lane("a")).await?;
        Ok::<_, BrokerError>(feed.next(1).await?[0].ticket)
    };
    match number {
        0 => queue.begin_run("digest", "servers.csv").await.map(drop),
        1 => {
            let mut rows: Vec<_> = work.iter().zip(2..).map(|(job, line)| row(line, job)).collect();
            rows.push(bad(5, Some("b")));
            queue.enqueue(run, rows).await
        }
        2 => {
            let ticket = first().await?;
            let marks = vec![(0, Mark::Tagged { superseded: false }), (1, Mark::Dead(failure("r1", "NotFound")))];
            let counts = CallCounts { calls: 2, throttled: 1, retries: 0 };
            queue.commit(vec![Deed::Mark(ticket, marks), Deed::Count(lane("a"), counts)]).await
        }
        3 => {
            let ticket = first().await?;
            let letter = dead_letter(&work[0], &["r1"], "NotFound");
            queue.commit(vec![Deed::DeadLetter(ticket, letter), Deed::Receipt(ticket, receipt(&work[0], 1))]).await
        }
        4 => queue.commit(vec![Deed::Ack(first().await?)]).await,
        5 => queue.replay(Pick::Matching(DeadFilter::default()), run).await.map(drop),
        6 => queue.seal(run).await,
        7 => queue.cancel(CancelFilter { run: Some(run), ..CancelFilter::default() }, read_job).await.map(drop),
        _ => queue.end_run(run).await.map(drop),
    }
}

/// All that can be seen of a queue, without the times in it.
async fn picture(queue: &Embedded) -> String {
    let mut seen = Vec::new();
    for name in ["a", "b"] {
        let count = usize::try_from(queue.backlog(&lane(name)).await.unwrap()).unwrap();
        let got = head(queue, name, count).await;
        for delivery in got {
            seen.push(format!("{name} {:?} {:?} {}", delivery.line, delivery.marks, timeless(&delivery.body)));
        }
    }
    for (id, body) in all_dead(queue).await {
        seen.push(format!("dead {id} {}", timeless(&body)));
    }
    for (_, receipt) in queue.receipts(0, 100).await.unwrap() {
        seen.push(format!("receipt {} {} {} {}", receipt.id, receipt.accepted, receipt.tagged, receipt.dead));
    }
    for run in queue.unfinished_runs().await.unwrap() {
        let lanes = queue.totals(run.id).await.unwrap().lanes;
        seen.push(format!("run {:?} {} {} {lanes:?}", run.id, run.rows_done, run.sealed));
    }
    seen.join("\n")
}

fn timeless(body: &[u8]) -> String {
    let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(body) else {
        return String::from_utf8_lossy(body).into_owned();
    };
    for place in ["", "/job"] {
        if let Some(object) = value.pointer_mut(place).and_then(serde_json::Value::as_object_mut) {
            object.remove("created_at");
        }
    }
    value.to_string()
}

async fn pictures() -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let queue = Embedded::open_with(dir.path(), Disk::default().opener()).unwrap();
    let mut seen = vec![picture(&queue).await];
    for number in 0..STEPS {
        step(&queue, number).await.unwrap();
        seen.push(picture(&queue).await);
    }
    seen
}

/// Lives until the disk stops; returns the steps that were confirmed.
async fn live(dir: &Path, disk: &Disk) -> usize {
    let Ok(queue) = Embedded::open_with(dir, disk.opener()) else { return 0 };
    for number in 0..STEPS {
        if step(&queue, number).await.is_err() {
            return number;
        }
    }
    STEPS
}

#[tokio::test]
async fn after_a_kill_or_a_power_cut_at_any_write_the_queue_is_as_after_a_whole_step() {
    let expected = pictures().await;
    assert!(expected.windows(2).all(|pair| pair[0] != pair[1]), "every step shows");
    let whole = Disk::default();
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(live(dir.path(), &whole).await, STEPS);
    assert!(whole.operations() > 50);
    let mut random = fastrand::Rng::with_seed(11);
    for stop in 0..whole.operations() {
        for power_cut in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let disk = Disk::default();
            disk.stop_after(stop);
            let confirmed = live(dir.path(), &disk).await;
            match (disk.path().exists(), power_cut) {
                (false, _) => {}
                (true, false) => disk.kill(),
                (true, true) => disk.cut_power(|_| random.bool()),
            }
            let left = Embedded::open(dir.path());
            let left = left.unwrap_or_else(|error| panic!("stopped after {stop}, power cut {power_cut}: {error}"));
            let seen = picture(&left).await;
            assert!(
                expected[confirmed..].iter().take(2).any(|state| *state == seen),
                "stopped after {stop} (power cut: {power_cut}), {confirmed} steps confirmed, and found\n{seen}"
            );
        }
    }
}

const WORKS: &str = "TAGMILL_TEST_WORKS";
const MESSAGES: usize = 2000;

/// Run as a process of its own by the test below: acks message after message and says so, until it is killed.
#[tokio::test]
async fn working_until_killed() {
    let Ok(dir) = std::env::var(WORKS) else { return };
    let queue = Embedded::open(Path::new(&dir)).unwrap();
    let mut feed = queue.open_lane(&lane("a")).await.unwrap();
    println!();
    loop {
        for delivery in feed.next(3).await.unwrap() {
            let name = String::from_utf8(delivery.body).unwrap();
            let work = job("a", &name, &["r1"]);
            let letter = dead_letter(&work, &["r1"], "NotFound");
            queue.commit(vec![Deed::DeadLetter(delivery.ticket, letter)]).await.unwrap();
            queue
                .commit(vec![Deed::Receipt(delivery.ticket, receipt(&work, 1)), Deed::Ack(delivery.ticket)])
                .await
                .unwrap();
            println!("done {name}");
        }
    }
}

#[tokio::test]
async fn a_killed_process_loses_nothing_and_repeats_at_most_the_last_message() {
    let dir = tempfile::tempdir().unwrap();
    let queue = Embedded::open(dir.path()).unwrap();
    queue.publish(&lane("a"), (0..MESSAGES).map(|n| (1, n.to_string().into_bytes())).collect()).await.unwrap();
    drop(queue);
    let mut done = 0;
    for kills_after in [1, 7, 20, 2, 50] {
        let mut worker = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::working_until_killed", "--nocapture"])
            .env(WORKS, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(worker.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut said = 0;
        for line in lines {
            if let Some(name) = line.strip_prefix("done ") {
                assert_eq!(name.parse::<usize>().unwrap(), done, "in order, and none twice");
                done += 1;
                said += 1;
                if said == kills_after {
                    worker.kill().unwrap();
                }
            }
        }
        worker.wait().unwrap();
        assert!(said >= kills_after);
        let queue = Embedded::open(dir.path()).unwrap();
        let mut feed = queue.open_lane(&lane("a")).await.unwrap();
        let next: usize = bodies(&take(&mut feed, 1).await)[0].parse().unwrap();
        // The last one may have been acked without having said so.
        assert!(next == done || next == done + 1, "{done} were confirmed and {next} comes next");
        done = next;
        let backlog = queue.backlog(&lane("a")).await.unwrap();
        assert_eq!(usize::try_from(backlog).unwrap(), MESSAGES - done);
        let receipts = queue.receipts(0, MESSAGES).await.unwrap();
        assert_eq!(receipts.len(), done);
        let dead = queue.count_dead(DeadFilter::default()).await.unwrap().letters;
        assert!((done as u64..=done as u64 + 1).contains(&dead));
    }
}
