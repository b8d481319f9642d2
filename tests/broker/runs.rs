//! Runs: resumed at the right row, with sums that stay exact.

use crate::make::{bytes, dead_letter, head, job, lane, receipt};
use tagmill::{
    broker::{
        Broker, CallCounts, Deed,
        embedded::{DeadFilter, Embedded, EnqueueRow, LaneTotals, RunId, RunState},
    },
    job::Job,
};
use tempfile::TempDir;

pub struct State {
    pub queue: Embedded,
    dir: TempDir,
}

impl State {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { queue: Embedded::open(dir.path()).unwrap(), dir }
    }

    /// Kills the process and starts another one on what it left.
    pub fn kill(self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        crate::disk::copy_queue(self.dir.path(), dir.path());
        Self { queue: Embedded::open(dir.path()).unwrap(), dir }
    }
}

pub fn row(line: u64, job: &Job) -> EnqueueRow {
    let items = job.resources.len() as u64;
    EnqueueRow::Job { line: Some(line), lane: job.lane.clone(), items, body: bytes(job), trace: None }
}

pub fn bad(line: u64, lane_name: Option<&str>) -> EnqueueRow {
    EnqueueRow::Bad {
        line: Some(line),
        lane: lane_name.map(lane),
        code: "invalid".into(),
        message: "no id".into(),
        source: Some("csv:servers.csv".into()),
        body: b",,prod".to_vec(),
    }
}

pub async fn sum(queue: &Embedded, run: RunId) -> LaneTotals {
    let totals = queue.totals(run).await.unwrap();
    for lane in &totals.lanes {
        assert_eq!(lane.accepted, lane.tagged + lane.unchanged + lane.dead + lane.pending);
    }
    totals.sum()
}

#[tokio::test]
async fn a_run_goes_on_at_the_row_where_it_stopped() {
    let at = State::new();
    let run = at.queue.begin_run("digest", "servers.csv").await.unwrap();
    assert_eq!(run.state, RunState::New);
    let work = job("a", "1", &["r1"]);
    at.queue.enqueue(run.id, vec![row(2, &work), bad(3, None)]).await.unwrap();
    at.queue.enqueue(run.id, vec![row(4, &work)]).await.unwrap();
    let at = at.kill();
    let again = at.queue.begin_run("digest", "servers.csv").await.unwrap();
    assert_eq!((again.id, again.state), (run.id, RunState::Resuming { rows_done: 3, sealed: false }));
    at.queue.seal(run.id).await.unwrap();
    let at = at.kill();
    let again = at.queue.begin_run("digest", "servers.csv").await.unwrap();
    assert_eq!(again.state, RunState::Resuming { rows_done: 3, sealed: true });
    let other = at.queue.begin_run("another digest", "disks.csv").await.unwrap();
    assert_eq!(other.state, RunState::New);
    let found = at.queue.unfinished_runs().await.unwrap();
    assert_eq!(
        found.iter().map(|run| (run.id, run.label.as_str())).collect::<Vec<_>>(),
        [(run.id, "servers.csv"), (other.id, "disks.csv")]
    );
    let lines: Vec<_> = head(&at.queue, "a", 2).await.iter().map(|delivery| delivery.line).collect();
    assert_eq!(lines, [Some(2), Some(4)]);
}

#[tokio::test]
async fn the_sums_of_a_run_are_exact_over_kills() {
    let at = State::new();
    let run = at.queue.begin_run("digest", "servers.csv").await.unwrap().id;
    let work = [job("a", "1", &["r1", "r2", "r3"]), job("a", "2", &["r4"]), job("b", "3", &["r5", "r6"])];
    let mut rows: Vec<_> = work.iter().zip(2..).map(|(job, line)| row(line, job)).collect();
    rows.extend([bad(5, Some("a")), bad(6, None)]);
    at.queue.enqueue(run, rows).await.unwrap();
    let ticket = head(&at.queue, "a", 1).await[0].ticket;
    let counts = CallCounts { calls: 5, throttled: 1, retries: 2 };
    at.queue
        .commit(vec![
            Deed::Count(lane("a"), counts),
            Deed::DeadLetter(ticket, dead_letter(&work[0], &["r2"], "NotFound")),
            Deed::Receipt(ticket, receipt(&work[0], 1)),
        ])
        .await
        .unwrap();
    // Recorded, but not acked: it counts once, when it is acked.
    let at = at.kill();
    assert_eq!(sum(&at.queue, run).await.tagged, 0);
    let ticket = head(&at.queue, "a", 1).await[0].ticket;
    at.queue.commit(vec![Deed::Receipt(ticket, receipt(&work[0], 1)), Deed::Ack(ticket)]).await.unwrap();
    at.queue.commit(vec![Deed::Ack(ticket)]).await.unwrap();
    let at = at.kill();
    let totals = at.queue.totals(run).await.unwrap();
    let expected = [
        LaneTotals { accepted: 1, dead: 1, ..LaneTotals::default() },
        LaneTotals {
            lane: Some(lane("a")),
            accepted: 5,
            tagged: 2,
            dead: 2,
            pending: 1,
            open_jobs: 1,
            calls: 5,
            throttled: 1,
            retries: 2,
            ..LaneTotals::default()
        },
        LaneTotals { lane: Some(lane("b")), accepted: 2, pending: 2, open_jobs: 1, ..LaneTotals::default() },
    ];
    assert_eq!(totals.lanes, expected);
    assert_eq!((totals.rows_done, totals.label.as_str()), (5, "servers.csv"));
}

#[tokio::test]
async fn a_run_ends_only_when_nothing_is_pending_and_then_its_key_begins_a_new_one() {
    let at = State::new();
    let run = at.queue.begin_run("digest", "servers.csv").await.unwrap().id;
    let work = job("a", "1", &["r1"]);
    at.queue.enqueue(run, vec![row(2, &work), bad(3, None)]).await.unwrap();
    assert!(!at.queue.end_run(run).await.unwrap());
    let ticket = head(&at.queue, "a", 1).await[0].ticket;
    at.queue.commit(vec![Deed::Receipt(ticket, receipt(&work, 0)), Deed::Ack(ticket)]).await.unwrap();
    assert!(at.queue.end_run(run).await.unwrap());
    assert!(at.queue.unfinished_runs().await.unwrap().is_empty());
    assert!(at.queue.totals(run).await.is_err());
    assert!(at.queue.enqueue(run, vec![row(2, &work)]).await.is_err());
    // A late count of calls does not bring it back.
    at.queue.commit(vec![Deed::Count(lane("a"), CallCounts { calls: 1, ..CallCounts::default() })]).await.unwrap();
    let again = at.queue.begin_run("digest", "servers.csv").await.unwrap();
    assert_eq!(again.state, RunState::New);
    assert_ne!(again.id, run);
    // The same bad row of the same file is one dead letter, however often the file is applied.
    at.queue.enqueue(again.id, vec![row(2, &work), bad(3, None)]).await.unwrap();
    assert_eq!(at.queue.count_dead(DeadFilter::default()).await.unwrap().letters, 1);
}

#[tokio::test]
async fn a_run_that_is_abandoned_leaves_nothing_and_touches_nothing_else() {
    let at = State::new();
    let kept = at.queue.begin_run("kept", "kept.csv").await.unwrap().id;
    at.queue.enqueue(kept, vec![row(2, &job("a", "kept", &["r1"])), bad(3, None)]).await.unwrap();
    let run = at.queue.begin_run("digest", "servers.csv").await.unwrap().id;
    at.queue.enqueue(run, vec![row(2, &job("a", "1", &["r1"])), bad(3, Some("a")), bad(4, None)]).await.unwrap();
    at.queue.abandon(run).await.unwrap();
    let at = at.kill();
    assert_eq!(at.queue.unfinished_runs().await.unwrap().len(), 1);
    assert_eq!(at.queue.backlog(&lane("a")).await.unwrap(), 1);
    assert_eq!(at.queue.count_dead(DeadFilter::default()).await.unwrap().letters, 1);
    let totals = sum(&at.queue, kept).await;
    assert_eq!((totals.accepted, totals.dead, totals.pending), (2, 1, 1));
    assert_eq!(at.queue.begin_run("digest", "servers.csv").await.unwrap().state, RunState::New);
}

#[tokio::test]
async fn the_time_of_a_run_adds_up_over_processes() {
    let at = State::new();
    let run = at.queue.begin_run("digest", "servers.csv").await.unwrap().id;
    let begun = at.queue.totals(run).await.unwrap().started_at;
    let worked = std::time::Duration::from_millis(20);
    while at.queue.totals(run).await.unwrap().elapsed < worked {
        tokio::task::yield_now().await;
    }
    at.queue.enqueue(run, vec![bad(2, None)]).await.unwrap();
    let at = at.kill();
    let totals = at.queue.totals(run).await.unwrap();
    assert!(totals.elapsed >= worked, "{:?}", totals.elapsed);
    assert_eq!(totals.started_at, begun);
    at.queue.begin_run("digest", "servers.csv").await.unwrap();
    assert!(at.queue.totals(run).await.unwrap().elapsed >= totals.elapsed);
}
