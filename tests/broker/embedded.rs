//! The embedded queue under the suite of all brokers, and its own small promises.

use crate::{
    behaviour::Harness,
    make::{bodies, bytes, dead_letter, failure, head, job, lane, read_job, receipt, soon, take},
    runs::row,
};
use std::path::Path;
use tagmill::{
    broker::{
        Broker, Deed, Feed, Mark,
        embedded::{DeadFilter, Embedded, Pick},
    },
    job::Resource,
};
use tempfile::TempDir;

/// The embedded queue in a directory of its own.
pub struct OnDisk {
    queue: Embedded,
    dir: TempDir,
}

impl Harness for OnDisk {
    type Broker = Embedded;

    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { queue: Embedded::open(dir.path()).unwrap(), dir }
    }

    fn broker(&self) -> &Embedded {
        &self.queue
    }

    async fn publish(&self, name: &str, messages: Vec<Vec<u8>>) {
        let items = |body: &[u8]| read_job(body).map_or(1, |job| job.resources.len() as u64);
        let messages = messages.into_iter().map(|body| (items(&body), body)).collect();
        self.queue.publish(&lane(name), messages).await.unwrap();
    }

    async fn reopen(self) -> Self {
        let Self { queue, dir } = self;
        drop(queue);
        Self { queue: Embedded::open(dir.path()).unwrap(), dir }
    }

    async fn crash(self) -> Self {
        // What a killed process leaves behind is the file as it is; nothing is being written at this moment.
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(self.dir.path().join("queue.redb"), dir.path().join("queue.redb")).unwrap();
        Self { queue: Embedded::open(dir.path()).unwrap(), dir }
    }

    async fn dead_letters(&self) -> Vec<(String, Vec<u8>)> {
        all_dead(&self.queue).await
    }

    async fn replay(&self, id: &str) {
        let run = self.queue.begin_run("replay", "replay").await.unwrap();
        let done = self.queue.replay(Pick::Ids(vec![id.to_owned()]), run.id).await.unwrap();
        assert_eq!((done.letters, done.raw), (1, 0));
    }
}

/// All dead letters, page by page.
pub async fn all_dead(queue: &Embedded) -> Vec<(String, Vec<u8>)> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = queue.dead_letters_in_full(DeadFilter::default(), after, 7).await.unwrap();
        found.extend(page.found.into_iter().map(|dead| (dead.entry.id, dead.body)));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

mod suite {
    crate::behaviours!(super::OnDisk);
}

#[tokio::test]
async fn marks_come_back_with_their_message_until_it_is_acked() {
    let at = OnDisk::start().await;
    at.publish("a", vec![bytes(&job("a", "1", &["r0", "r1", "r2", "r3"])), b"next".to_vec()]).await;
    let ticket = head(at.broker(), "a", 1).await[0].ticket;
    let typed = Mark::Dead(tagmill::job::ItemFailure {
        resource: Resource { project: Some("p-1".into()), ..Resource::typed("r3", "disk") },
        request_id: None,
        line: None,
        ..failure("r3", "NotFound")
    });
    let first = vec![(2, Mark::Unchanged), (0, Mark::Tagged { superseded: false })];
    at.broker().commit(vec![Deed::Mark(ticket, first), Deed::Mark(ticket, vec![(3, typed.clone())])]).await.unwrap();
    at.broker().commit(vec![Deed::Mark(ticket, vec![(1, Mark::Tagged { superseded: true })])]).await.unwrap();
    let at = at.crash().await;
    let got = head(at.broker(), "a", 2).await;
    let expected = vec![
        (0, Mark::Tagged { superseded: false }),
        (1, Mark::Tagged { superseded: true }),
        (2, Mark::Unchanged),
        (3, typed),
    ];
    assert_eq!(got[0].marks, expected);
    assert_eq!(got[1].marks, []);
    at.broker().commit(vec![Deed::Ack(ticket)]).await.unwrap();
    let got = head(at.broker(), "a", 1).await;
    assert_eq!((bodies(&got), &got[0].marks), (vec!["next".to_owned()], &vec![]));
}

#[tokio::test]
async fn a_lane_that_is_open_cannot_be_opened_a_second_time() {
    let at = OnDisk::start().await;
    let feed = at.broker().open_lane(&lane("a")).await.unwrap();
    let error = at.broker().open_lane(&lane("a")).await.unwrap_err().to_string();
    assert!(error.contains("lane a is open already"), "{error}");
    assert!(at.broker().open_lane(&lane("b")).await.is_ok());
    drop(feed);
    assert!(at.broker().open_lane(&lane("a")).await.is_ok());
}

#[tokio::test]
async fn a_feed_is_exhausted_when_everything_was_handed_over_and_not_before() {
    let at = OnDisk::start().await;
    let mut feed = at.broker().open_lane(&lane("a")).await.unwrap();
    assert!(feed.is_exhausted());
    at.publish("a", vec![b"1".to_vec(), b"2".to_vec()]).await;
    assert!(!feed.is_exhausted());
    take(&mut feed, 1).await;
    assert!(!feed.is_exhausted());
    take(&mut feed, 1).await;
    assert!(feed.is_exhausted());
    at.publish("b", vec![b"other lane".to_vec()]).await;
    assert!(feed.is_exhausted());
    at.publish("a", vec![b"3".to_vec()]).await;
    assert!(!feed.is_exhausted());
}

#[tokio::test]
async fn what_is_said_of_a_settled_message_changes_nothing() {
    let at = OnDisk::start().await;
    let work = job("a", "1", &["r1", "r2"]);
    at.publish("a", vec![bytes(&work)]).await;
    let ticket = head(at.broker(), "a", 1).await[0].ticket;
    let letter = dead_letter(&work, &["r1", "r2"], "NotFound");
    let deeds = vec![Deed::DeadLetter(ticket, letter), Deed::Receipt(ticket, receipt(&work, 2)), Deed::Ack(ticket)];
    at.broker().commit(deeds).await.unwrap();
    let before = (all_dead(at.broker()).await, at.broker().receipts(0, 10).await.unwrap());
    let late = vec![
        Deed::DeadLetter(ticket, dead_letter(&work, &["r1"], "late")),
        Deed::Mark(ticket, vec![(0, Mark::Unchanged)]),
        Deed::Receipt(ticket, receipt(&work, 0)),
        Deed::Ack(ticket),
    ];
    at.broker().commit(late).await.unwrap();
    assert_eq!((all_dead(at.broker()).await, at.broker().receipts(0, 10).await.unwrap()), before);
    assert_eq!(at.broker().backlog(&lane("a")).await.unwrap(), 0);
}

#[tokio::test]
async fn a_receipt_that_comes_twice_counts_once_and_the_last_one_stands() {
    let at = OnDisk::start().await;
    let work = job("a", "1", &["r1", "r2"]);
    at.publish("a", vec![bytes(&work)]).await;
    let ticket = head(at.broker(), "a", 1).await[0].ticket;
    at.broker().commit(vec![Deed::Receipt(ticket, receipt(&work, 2))]).await.unwrap();
    assert!(at.broker().receipts(0, 10).await.unwrap().is_empty(), "a receipt counts when its job is acked");
    let at = at.crash().await;
    at.broker().commit(vec![Deed::Receipt(ticket, receipt(&work, 1)), Deed::Ack(ticket)]).await.unwrap();
    let receipts = at.broker().receipts(0, 10).await.unwrap();
    assert_eq!(receipts.iter().map(|(_, receipt)| receipt.dead).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn two_different_jobs_with_one_id_keep_both_their_dead_letters() {
    let at = OnDisk::start().await;
    let work = [job("a", "same", &["r1"]), job("a", "same", &["r2"])];
    for _ in 0..2 {
        at.publish("a", work.iter().map(bytes).collect()).await;
        let got = head(at.broker(), "a", 2).await;
        let deeds = got.iter().zip(&work).flat_map(|(delivery, work)| {
            let letter = dead_letter(work, &["r1", "r2"], "NotFound");
            [Deed::DeadLetter(delivery.ticket, letter), Deed::Ack(delivery.ticket)]
        });
        at.broker().commit(deeds.collect()).await.unwrap();
        // The second time they are the very same jobs again: still two.
        let found = all_dead(at.broker()).await;
        let resources: Vec<serde_json::Value> = found
            .iter()
            .map(|(id, body)| {
                let letter: serde_json::Value = serde_json::from_slice(body).unwrap();
                assert_eq!(letter["id"], id.as_str());
                letter["job"]["resources"].clone()
            })
            .collect();
        assert_eq!(resources, [serde_json::json!(["r1"]), serde_json::json!(["r2"])]);
    }
}

/// Enqueues jobs in a run; each dies, all in one commit.
async fn die(queue: &Embedded, digest: &str, work: &[tagmill::job::Job]) {
    let run = queue.begin_run(digest, "jobs.ndjson").await.unwrap().id;
    queue.enqueue(run, work.iter().zip(1..).map(|(job, line)| row(line, job)).collect()).await.unwrap();
    let got = head(queue, "a", work.len()).await;
    let deeds = got.iter().zip(work).flat_map(|(delivery, job)| {
        let ids: Vec<&str> = job.resources.iter().map(|resource| &*resource.id).collect();
        [
            Deed::DeadLetter(delivery.ticket, dead_letter(job, &ids, "NotFound")),
            Deed::Receipt(delivery.ticket, receipt(job, ids.len() as u64)),
            Deed::Ack(delivery.ticket),
        ]
    });
    queue.commit(deeds.collect()).await.unwrap();
}

#[tokio::test]
async fn five_thousand_jobs_of_one_id_keep_a_dead_letter_each_under_an_id_that_does_not_count_the_others() {
    const MANY: usize = 5000;
    let work: Vec<_> = (0..MANY).map(|n| job("a", "same", &[&format!("r{n}")])).collect();
    let at = OnDisk::start().await;
    die(at.broker(), "digest", &work).await;
    let ids: Vec<String> = all_dead(at.broker()).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), MANY);
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), MANY);
    // An id that is found by walking past the ids of others would depend on how many there are.
    let few = OnDisk::start().await;
    die(few.broker(), "digest", &[work[0].clone(), work[MANY - 1].clone()]).await;
    let found: Vec<String> = all_dead(few.broker()).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(found, [ids[0].clone(), ids[MANY - 1].clone()]);
    // The same jobs in a later run take the places of the first.
    die(at.broker(), "later", &work).await;
    assert_eq!(all_dead(at.broker()).await.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), ids);
}

#[tokio::test]
async fn identical_lines_of_one_run_have_a_dead_letter_each_and_a_redelivery_adds_none() {
    const LINES: usize = 4;
    let work = vec![job("a", "same", &["r1"]); LINES];
    let at = OnDisk::start().await;
    let run = at.broker().begin_run("digest", "jobs.ndjson").await.unwrap().id;
    at.broker().enqueue(run, work.iter().zip(1..).map(|(job, line)| row(line, job)).collect()).await.unwrap();
    let got = head(at.broker(), "a", LINES).await;
    let deeds = |code: &str| -> Vec<Deed> {
        let letter = dead_letter(&work[0], &["r1"], code);
        got.iter().map(|delivery| Deed::DeadLetter(delivery.ticket, letter.clone())).collect()
    };
    at.broker().commit(deeds("NotFound")).await.unwrap();
    let ids = |found: Vec<(String, Vec<u8>)>| found.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    let before = ids(all_dead(at.broker()).await);
    assert_eq!(before.iter().collect::<std::collections::BTreeSet<_>>().len(), LINES);
    // After a crash they come again, and each finds its own letter.
    let at = at.crash().await;
    at.broker().commit(deeds("Forbidden")).await.unwrap();
    let found = all_dead(at.broker()).await;
    assert!(found.iter().all(|(_, body)| String::from_utf8_lossy(body).contains("Forbidden")));
    assert_eq!(ids(found), before);
    // So they do when the first letter has been taken away in between.
    at.broker().discard(Pick::Ids(vec![before[0].clone()])).await.unwrap();
    let settled = got
        .iter()
        .flat_map(|delivery| [Deed::Receipt(delivery.ticket, receipt(&work[0], 1)), Deed::Ack(delivery.ticket)]);
    at.broker().commit(deeds("NotFound").into_iter().chain(settled).collect()).await.unwrap();
    assert_eq!(ids(all_dead(at.broker()).await), before);
    let totals = crate::runs::sum(at.broker(), run).await;
    assert_eq!(totals.dead, LINES as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_small_commits_at_once_are_all_recorded() {
    let at = OnDisk::start().await;
    at.publish("a", (0..1000).map(|n| format!("message {n}").into_bytes()).collect()).await;
    let got = head(at.broker(), "a", 1000).await;
    let mut tasks = tokio::task::JoinSet::new();
    for delivery in got.into_iter().skip(1) {
        let queue = at.broker().clone();
        tasks.spawn(async move { queue.commit(vec![Deed::Ack(delivery.ticket)]).await.unwrap() });
    }
    soon(tasks.join_all()).await;
    let at = at.crash().await;
    assert_eq!(at.broker().backlog(&lane("a")).await.unwrap(), 1);
    assert_eq!(bodies(&head(at.broker(), "a", 1).await), ["message 0"]);
}

#[tokio::test]
async fn a_large_message_is_kept_whole() {
    let at = OnDisk::start().await;
    let large: Vec<u8> = (0..20_000_000_u32).map(|n| (n % 251) as u8).collect();
    at.publish("a", vec![large.clone(), b"small".to_vec()]).await;
    let at = at.crash().await;
    let got = head(at.broker(), "a", 2).await;
    assert_eq!(got[0].body, large);
    assert_eq!(got[1].body, b"small");
}

#[cfg(unix)]
#[tokio::test]
async fn state_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("new/state");
    let _queue = Embedded::open(&state).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(&state.join("queue.redb")), 0o600);
}

#[tokio::test]
async fn a_new_queue_has_had_no_owner_and_a_used_one_a_recent_one() {
    let disk = OnDisk::start().await;
    assert_eq!(disk.queue.last_owner(), Some(std::time::Duration::MAX));
    let disk = disk.reopen().await;
    assert!(disk.queue.last_owner().is_some_and(|ago| ago < std::time::Duration::from_mins(10)));
}
