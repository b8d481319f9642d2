//! How fast jobs are settled. Run by hand, it prints and asserts no times:
//! `cargo test --release --test broker pace -- --ignored --nocapture`

use crate::{
    make::{bytes, dead_letter, job, lane, receipt},
    runs::row,
};
use std::time::Instant;
use tagmill::broker::{
    Broker, Deed, Feed,
    embedded::{DeadFilter, Embedded, Pick},
};

const JOBS: u64 = 100_000;

#[allow(clippy::disallowed_methods, reason = "it measures")]
fn now() -> Instant {
    Instant::now()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints times"]
async fn settling_a_hundred_thousand_jobs() {
    for (per_commit, at_once) in [(500, 1), (50, 1), (50, 8)] {
        let dir = tempfile::tempdir().unwrap();
        let queue = Embedded::open(dir.path()).unwrap();
        let run = queue.begin_run("digest", "servers.csv").await.unwrap().id;
        let start = now();
        for chunk in (0..JOBS).collect::<Vec<_>>().chunks(1000) {
            let rows = chunk.iter().map(|n| row(*n, &job("a", &format!("job-{n}"), &[&format!("i-{n:017x}")])));
            queue.enqueue(run, rows.collect()).await.unwrap();
        }
        let enqueued = start.elapsed();
        let start = now();
        let mut feed = queue.open_lane(&lane("a")).await.unwrap();
        let mut waiting = tokio::task::JoinSet::new();
        let mut commits = 0;
        while !feed.is_exhausted() {
            let got = feed.next(per_commit / 2).await.unwrap();
            let work = job("a", "job", &["r"]);
            let deeds = got
                .into_iter()
                .flat_map(|delivery| [Deed::Receipt(delivery.ticket, receipt(&work, 0)), Deed::Ack(delivery.ticket)]);
            let (queue, deeds) = (queue.clone(), deeds.collect());
            waiting.spawn(async move { queue.commit(deeds).await.unwrap() });
            commits += 1;
            if waiting.len() >= at_once {
                waiting.join_next().await.unwrap().unwrap();
            }
        }
        waiting.join_all().await;
        let settled = start.elapsed();
        let totals = queue.totals(run).await.unwrap().sum();
        assert_eq!((totals.tagged, totals.pending), (JOBS, 0));
        println!(
            "{JOBS} jobs: enqueued in {enqueued:.2?}, settled in {settled:.2?} ({commits} commits, {at_once} at once)"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints times"]
async fn a_large_backlog_and_many_dead_letters() {
    const MANY: u64 = 1_000_000;
    let dir = tempfile::tempdir().unwrap();
    let queue = Embedded::open(dir.path()).unwrap();
    let start = now();
    let mut published = 0;
    while published < MANY {
        let jobs = (published..published + 5000).map(|n| (1, bytes(&job("a", &format!("job-{n}"), &["r"]))));
        queue.publish(&lane("a"), jobs.collect()).await.unwrap();
        published += 5000;
    }
    println!("{MANY} published in {:.2?}", start.elapsed());
    let start = now();
    drop(queue);
    let queue = Embedded::open(dir.path()).unwrap();
    println!("closed and opened again in {:.2?}", start.elapsed());
    let start = now();
    let mut feed = queue.open_lane(&lane("a")).await.unwrap();
    let mut n = 0;
    while !feed.is_exhausted() {
        let got = feed.next(1000).await.unwrap();
        let deeds = got.into_iter().flat_map(|delivery| {
            let work = job("a", &format!("job-{n}"), &["r"]);
            n += 1;
            [Deed::DeadLetter(delivery.ticket, dead_letter(&work, &["r"], "NotFound")), Deed::Ack(delivery.ticket)]
        });
        queue.commit(deeds.collect()).await.unwrap();
    }
    drop(feed);
    println!("{n} dead letters in {:.2?}, memory {}", start.elapsed(), memory());
    let start = now();
    let count = queue.count_dead(DeadFilter { code: Some("NotFound".into()), ..DeadFilter::default() }).await.unwrap();
    println!("{} counted in {:.2?}", count.letters, start.elapsed());
    let start = now();
    let run = queue.begin_run("replay", "replay").await.unwrap().id;
    let done = queue.replay(Pick::Matching(DeadFilter::default()), run).await.unwrap();
    println!("{} replayed in {:.2?}, memory {}", done.letters, start.elapsed(), memory());
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("unknown").to_owned()
}
