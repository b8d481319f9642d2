//! Cancelling, replaying and discarding: every item is always in exactly one place.

use crate::{
    embedded::all_dead,
    make::{bytes, dead_letter, failure, head, job, lane, read_job, receipt},
    runs::{State, bad, row, sum},
};
use tagmill::{
    broker::{
        Broker, Deed, Mark,
        embedded::{CancelFilter, Cancelled, DeadFilter, Embedded, EnqueueRow, Pick, RunId},
    },
    job::{DEAD_LETTER_BYTES, Job, JobId, Trace, stable_id},
};

/// Enqueues jobs in a run and lets each die, one commit each, in the order given.
async fn kill_all(queue: &Embedded, run: RunId, work: &[Job], code: &str) {
    queue.enqueue(run, work.iter().zip(2..).map(|(job, line)| row(line, job)).collect()).await.unwrap();
    let mut got = Vec::new();
    for name in ["a", "b"] {
        let mine = work.iter().filter(|job| job.lane == lane(name)).count();
        got.extend(head(queue, name, mine).await);
    }
    for delivery in got.iter().rev() {
        let job = work.iter().find(|job| bytes(job) == delivery.body).unwrap();
        let ids: Vec<&str> = job.resources.iter().map(|resource| &*resource.id).collect();
        let deeds = vec![
            Deed::DeadLetter(delivery.ticket, dead_letter(job, &ids, code)),
            Deed::Receipt(delivery.ticket, receipt(job, ids.len() as u64)),
            Deed::Ack(delivery.ticket),
        ];
        queue.commit(deeds).await.unwrap();
    }
}

#[tokio::test]
async fn cancelled_items_become_dead_letters_and_finished_ones_keep_their_fate() {
    let at = State::new();
    let run = at.queue.begin_run("digest", "servers.csv").await.unwrap().id;
    let work = job("a", "1", &["r0", "r1", "r2", "r3", "r4"]);
    at.queue.enqueue(run, vec![row(2, &work), row(3, &job("a", "2", &["r9"]))]).await.unwrap();
    let ticket = head(&at.queue, "a", 1).await[0].ticket;
    let marks =
        vec![(0, Mark::Tagged { superseded: true }), (2, Mark::Unchanged), (3, Mark::Dead(failure("r3", "NotFound")))];
    at.queue.commit(vec![Deed::Mark(ticket, marks)]).await.unwrap();
    let filter = CancelFilter { job: Some(JobId::new("1").unwrap()), ..CancelFilter::default() };
    let done = at.queue.cancel(filter.clone(), read_job).await.unwrap();
    assert_eq!(done, Cancelled { jobs: 1, items: 2 });
    assert_eq!(at.queue.cancel(filter, read_job).await.unwrap(), Cancelled::default());
    // The worker that still held it reports too late.
    at.queue.commit(vec![Deed::Receipt(ticket, receipt(&work, 0)), Deed::Ack(ticket)]).await.unwrap();
    let at = at.kill();
    let found = all_dead(&at.queue).await;
    assert_eq!(found.len(), 1);
    let letter: serde_json::Value = serde_json::from_slice(&found[0].1).unwrap();
    assert_eq!(letter["job"]["resources"], serde_json::json!(["r1", "r3", "r4"]));
    let codes: Vec<_> = letter["failures"].as_array().unwrap().iter().map(|failure| &failure["code"]).collect();
    assert_eq!(codes, ["cancelled", "NotFound", "cancelled"]);
    let totals = sum(&at.queue, run).await;
    assert_eq!(
        (totals.accepted, totals.tagged, totals.superseded, totals.unchanged, totals.dead, totals.pending),
        (6, 1, 1, 1, 3, 1)
    );
    let receipts = at.queue.receipts(0, 10).await.unwrap();
    assert_eq!(receipts.len(), 1);
    assert!(receipts[0].1.adds_up());
}

#[tokio::test]
async fn a_large_job_that_is_cancelled_leaves_parts_of_at_most_a_megabyte() {
    const ITEMS: usize = 30_000;
    let at = State::new();
    let run = at.queue.begin_run("digest", "servers.csv").await.unwrap().id;
    let names: Vec<_> = (0..ITEMS).map(|n| format!("i-{n:017x}")).collect();
    let work = job("a", "1", &names.iter().map(String::as_str).collect::<Vec<_>>());
    at.queue.enqueue(run, vec![row(2, &work)]).await.unwrap();
    let done = at.queue.cancel(CancelFilter::default(), read_job).await.unwrap();
    assert_eq!(done, Cancelled { jobs: 1, items: ITEMS as u64 });
    let found = all_dead(&at.queue).await;
    assert!(found.len() > 1);
    let mut items = Vec::new();
    for (n, (id, body)) in found.iter().enumerate() {
        assert!(body.len() <= DEAD_LETTER_BYTES, "{} bytes", body.len());
        assert_eq!(*id, stable_id(&work, &n.to_string()));
        items.extend(read_job(&serde_json::to_vec(&json_of(body)["job"]).unwrap()).unwrap().resources);
    }
    assert_eq!(items, work.resources);
    assert_eq!(sum(&at.queue, run).await.dead, ITEMS as u64);
}

fn json_of(body: &[u8]) -> serde_json::Value {
    serde_json::from_slice(body).unwrap()
}

#[tokio::test]
async fn a_job_whose_receipt_is_recorded_is_done_and_cannot_be_cancelled() {
    let at = State::new();
    let run = at.queue.begin_run("digest", "servers.csv").await.unwrap().id;
    let work = job("a", "1", &["r0", "r1"]);
    at.queue.enqueue(run, vec![row(2, &work)]).await.unwrap();
    let ticket = head(&at.queue, "a", 1).await[0].ticket;
    at.queue.commit(vec![Deed::Receipt(ticket, receipt(&work, 0))]).await.unwrap();
    let done = at.queue.cancel(CancelFilter::default(), read_job).await.unwrap();
    assert_eq!(done, Cancelled::default());
    assert_eq!(sum(&at.queue, run).await.tagged, 2);
    assert!(all_dead(&at.queue).await.is_empty());
}

#[tokio::test]
async fn a_whole_lane_or_run_is_cancelled_and_a_message_that_is_no_job_too() {
    let at = State::new();
    let run = at.queue.begin_run("digest", "servers.csv").await.unwrap().id;
    let rows = (0..1200_u64).map(|n| row(n, &job(if n % 2 == 0 { "a" } else { "b" }, &format!("job-{n}"), &["r"])));
    at.queue.enqueue(run, rows.collect()).await.unwrap();
    at.queue.publish(&lane("a"), vec![(1, b"no job".to_vec())]).await.unwrap();
    let of_lane = CancelFilter { lane: Some(lane("a")), ..CancelFilter::default() };
    assert_eq!(at.queue.cancel(of_lane, read_job).await.unwrap(), Cancelled { jobs: 601, items: 601 });
    assert_eq!((at.queue.backlog(&lane("a")).await.unwrap(), at.queue.backlog(&lane("b")).await.unwrap()), (0, 600));
    let of_run = CancelFilter { run: Some(run), ..CancelFilter::default() };
    assert_eq!(at.queue.cancel(of_run, read_job).await.unwrap(), Cancelled { jobs: 600, items: 600 });
    let count = at.queue.count_dead(DeadFilter::default()).await.unwrap();
    assert_eq!((count.letters, count.items, count.raw), (1201, 1201, 1));
    assert_eq!(sum(&at.queue, run).await.dead, 1200);
    assert!(at.queue.end_run(run).await.unwrap());
}

#[tokio::test]
async fn the_trace_of_a_job_is_that_of_its_dead_letter_its_receipt_and_its_replay() {
    let at = State::new();
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let trace = Trace::read(parent, Some("a=1"));
    let traced = |line, job: &Job| match row(line, job) {
        EnqueueRow::Job { line, lane, items, body, .. } => {
            EnqueueRow::Job { line, lane, items, body, trace: trace.clone() }
        }
        bad @ EnqueueRow::Bad { .. } => bad,
    };
    let run = at.queue.begin_run("digest", "servers.csv").await.unwrap().id;
    let (one, two, plain) = (job("a", "1", &["r1"]), job("a", "2", &["r2"]), job("a", "3", &["r3"]));
    at.queue.enqueue(run, vec![traced(2, &one), traced(3, &two), row(4, &plain)]).await.unwrap();
    let at = at.kill();
    let got = head(&at.queue, "a", 3).await;
    let traces: Vec<_> = got.iter().map(|delivery| delivery.trace.clone()).collect();
    assert_eq!(traces, [trace.clone(), trace.clone(), None]);
    // One dies at work, where the job has its trace; the others are cancelled.
    let mut at_work = one.clone();
    at_work.extras.trace.clone_from(&trace);
    let letter = dead_letter(&at_work, &["r1"], "NotFound");
    let ticket = got[0].ticket;
    let deeds = vec![Deed::DeadLetter(ticket, letter), Deed::Receipt(ticket, receipt(&one, 1)), Deed::Ack(ticket)];
    at.queue.commit(deeds).await.unwrap();
    assert_eq!(at.queue.cancel(CancelFilter::default(), read_job).await.unwrap().jobs, 2);
    let of_receipts: Vec<_> = at.queue.receipts(0, 10).await.unwrap().into_iter().map(|(_, it)| it.trace).collect();
    assert_eq!(of_receipts, [None, Some(parent.to_owned()), None]);
    let page = at.queue.dead_letters(DeadFilter::default(), None, 10).await.unwrap();
    assert_eq!(page.found.iter().map(|entry| entry.trace.clone()).collect::<Vec<_>>(), traces);
    let at = at.kill();
    let replay = at.queue.begin_run("replay", "replay").await.unwrap().id;
    assert_eq!(at.queue.replay(Pick::Matching(DeadFilter::default()), replay).await.unwrap().letters, 3);
    let again: Vec<_> = head(&at.queue, "a", 3).await.into_iter().map(|delivery| delivery.trace).collect();
    assert_eq!(again, traces);
}

#[tokio::test]
async fn dead_letters_are_replayed_in_the_order_in_which_their_jobs_had_arrived() {
    let at = State::new();
    let run = at.queue.begin_run("digest", "servers.csv").await.unwrap().id;
    let work: Vec<_> = (0..40).map(|n| job("a", &format!("job-{n}"), &["same"])).collect();
    // They die from the last to the first.
    kill_all(&at.queue, run, &work, "NotFound").await;
    let replay = at.queue.begin_run("replay", "replay").await.unwrap().id;
    let done = at.queue.replay(Pick::Matching(DeadFilter::default()), replay).await.unwrap();
    assert_eq!((done.letters, done.items), (40, 40));
    let at = at.kill();
    assert!(all_dead(&at.queue).await.is_empty());
    let got = head(&at.queue, "a", 40).await;
    let ids: Vec<_> = got.iter().map(|delivery| read_job(&delivery.body).unwrap().id.to_string()).collect();
    assert_eq!(ids, (0..40).map(|n| format!("job-{n}")).collect::<Vec<_>>());
    let totals = sum(&at.queue, replay).await;
    assert_eq!((totals.accepted, totals.pending), (40, 40));
    assert_eq!(sum(&at.queue, run).await.dead, 40);
}

#[tokio::test]
async fn a_filter_takes_what_passes_and_nothing_else() {
    let at = State::new();
    let run = at.queue.begin_run("digest", "servers.csv").await.unwrap().id;
    kill_all(&at.queue, run, &[job("a", "1", &["r1"]), job("b", "2", &["r2"])], "NotFound").await;
    let before = tagmill::worker::clock::wall();
    kill_all(&at.queue, run, &[job("a", "3", &["r3", "r4"])], "Denied").await;
    at.queue.enqueue(run, vec![bad(9, None)]).await.unwrap();
    let all = DeadFilter::default();
    let ids = async |filter: DeadFilter| {
        let page = at.queue.dead_letters(filter.clone(), None, 100).await.unwrap();
        assert_eq!(at.queue.count_dead(filter).await.unwrap().letters, page.found.len() as u64);
        page.found.into_iter().map(|dead| dead.job.map_or("raw".into(), |job| job.to_string())).collect::<Vec<_>>()
    };
    assert_eq!(ids(all.clone()).await, ["1", "2", "3", "raw"]);
    assert_eq!(ids(DeadFilter { lane: Some(lane("a")), ..all.clone() }).await, ["1", "3"]);
    assert_eq!(ids(DeadFilter { code: Some("Denied".into()), ..all.clone() }).await, ["3"]);
    assert_eq!(ids(DeadFilter { code: Some("invalid".into()), ..all.clone() }).await, ["raw"]);
    assert_eq!(ids(DeadFilter { job: Some(JobId::new("2").unwrap()), ..all.clone() }).await, ["2"]);
    assert_eq!(ids(DeadFilter { before: Some(before), ..all.clone() }).await, ["1", "2"]);
    assert_eq!(ids(DeadFilter { since: Some(before), ..all.clone() }).await, ["3", "raw"]);

    let some = Pick::Matching(DeadFilter { limit: Some(1), ..all.clone() });
    assert_eq!(at.queue.discard(some).await.unwrap().letters, 1);
    assert_eq!(ids(all.clone()).await, ["2", "3", "raw"]);
    // A message that is no job cannot be replayed, and stays.
    let raw = at.queue.dead_letters(all.clone(), None, 100).await.unwrap().found.pop().unwrap();
    let replay = at.queue.begin_run("replay", "replay").await.unwrap().id;
    let done = at.queue.replay(Pick::Ids(vec![raw.id.clone(), "nobody".into()]), replay).await.unwrap();
    assert_eq!((done.letters, done.raw, done.unknown), (0, 1, vec!["nobody".to_owned()]));
    assert_eq!(at.queue.dead_letter(&raw.id).await.unwrap().unwrap().body, b",,prod");
    assert_eq!(at.queue.discard(Pick::Matching(all.clone())).await.unwrap().letters, 3);
    assert_eq!(ids(all).await, Vec::<String>::new());
    assert_eq!(at.queue.dead_letter(&raw.id).await.unwrap(), None);
}

#[tokio::test]
async fn a_replayed_job_that_dies_again_counts_its_replays() {
    let at = State::new();
    let run = at.queue.begin_run("digest", "servers.csv").await.unwrap().id;
    kill_all(&at.queue, run, &[job("a", "1", &["r1"])], "NotFound").await;
    for count in 1..=3 {
        let replay = at.queue.begin_run(&format!("replay {count}"), "replay").await.unwrap().id;
        let of = all_dead(&at.queue).await[0].0.clone();
        at.queue.replay(Pick::Matching(DeadFilter::default()), replay).await.unwrap();
        let delivery = head(&at.queue, "a", 1).await.remove(0);
        let sent: serde_json::Value = serde_json::from_slice(&delivery.body).unwrap();
        assert_eq!(sent["replay"], serde_json::json!({"of": of, "count": count}));
        let mut again = job("a", "1", &["r1"]);
        again.extras.replay = Some(serde_json::from_value(sent["replay"].clone()).unwrap());
        let letter = dead_letter(&again, &["r1"], "NotFound");
        assert_ne!(letter.id, of);
        at.queue.commit(vec![Deed::DeadLetter(delivery.ticket, letter), Deed::Ack(delivery.ticket)]).await.unwrap();
    }
    assert_eq!(all_dead(&at.queue).await.len(), 1);
}
