//! What every broker promises: written once, run over each implementation.

use crate::make::{bodies, bytes, dead_letter, head, job, lane, open, read_job, receipt, soon, take};
use std::{collections::BTreeSet, future::Future, time::Duration};
use tagmill::{
    broker::{Broker, Deed, Feed, RawDeadLetter},
    job::JobId,
};

/// A broker under test, with the hands of everybody else around it.
pub trait Harness: Sized + Send {
    type Broker: Broker;

    /// A broker with nothing in it.
    fn start() -> impl Future<Output = Self> + Send;

    /// The worker's side.
    fn broker(&self) -> &Self::Broker;

    /// Publishes messages to one lane, in order, and waits until they are safe. A job has as many items as resources,
    /// anything else is one item.
    fn publish(&self, lane: &str, messages: Vec<Vec<u8>>) -> impl Future<Output = ()> + Send;

    /// Ends the worker's side in good order and begins anew. All feeds have been dropped.
    fn reopen(self) -> impl Future<Output = Self> + Send;

    /// The same as if the worker had been killed.
    fn crash(self) -> impl Future<Output = Self> + Send;

    /// All dead letters, as (id, body), without taking any away.
    fn dead_letters(&self) -> impl Future<Output = Vec<(String, Vec<u8>)>> + Send;

    /// Replays one dead letter into its lane.
    fn replay(&self, id: &str) -> impl Future<Output = ()> + Send;
}

/// Long enough for a broker to hand over what it should not.
const SHORT: Duration = Duration::from_millis(200);

fn numbered(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| format!("message {n}").into_bytes()).collect()
}

fn texts(count: std::ops::Range<usize>) -> Vec<String> {
    count.map(|n| format!("message {n}")).collect()
}

pub async fn messages_come_in_the_order_they_were_published<H: Harness>() {
    let at = H::start().await;
    at.publish("a", numbered(500)).await;
    at.publish("b", vec![b"other".to_vec()]).await;
    let mut feed = at.broker().open_lane(&lane("a")).await.unwrap();
    assert_eq!(bodies(&take(&mut feed, 500).await), texts(0..500));
}

pub async fn unacked_messages_come_again_in_order_after_a_crash<H: Harness>() {
    let at = H::start().await;
    at.publish("a", numbered(200)).await;
    let (feed, got) = open(at.broker(), "a", 200).await;
    let settled: Vec<_> = got.iter().step_by(3).map(|delivery| Deed::Ack(delivery.ticket)).collect();
    at.broker().commit(settled).await.unwrap();
    drop(feed);
    let at = at.crash().await;
    let left: Vec<_> = texts(0..200).into_iter().enumerate().filter(|(n, _)| n % 3 != 0).map(|(_, t)| t).collect();
    assert_eq!(bodies(&head(at.broker(), "a", left.len()).await), left);
}

pub async fn unacked_messages_come_again_when_the_feed_is_opened_again<H: Harness>() {
    let at = H::start().await;
    at.publish("a", numbered(20)).await;
    assert_eq!(bodies(&head(at.broker(), "a", 20).await), texts(0..20));
    assert_eq!(bodies(&head(at.broker(), "a", 20).await), texts(0..20));
}

pub async fn an_acked_message_never_comes_again<H: Harness>() {
    let at = H::start().await;
    at.publish("a", numbered(3)).await;
    let (feed, got) = open(at.broker(), "a", 3).await;
    at.broker().commit(got.iter().map(|delivery| Deed::Ack(delivery.ticket)).collect()).await.unwrap();
    drop(feed);
    let at = at.crash().await.reopen().await;
    at.publish("a", vec![b"later".to_vec()]).await;
    assert_eq!(bodies(&head(at.broker(), "a", 1).await), ["later"]);
}

pub async fn a_commit_survives_a_crash_as_a_whole<H: Harness>() {
    let at = H::start().await;
    let work = job("a", "job-1", &["r1", "r2", "r3"]);
    at.publish("a", vec![bytes(&work)]).await;
    let (feed, got) = open(at.broker(), "a", 1).await;
    let ticket = got[0].ticket;
    let letter = dead_letter(&work, &["r2"], "NotFound");
    let deeds =
        vec![Deed::DeadLetter(ticket, letter.clone()), Deed::Receipt(ticket, receipt(&work, 1)), Deed::Ack(ticket)];
    at.broker().commit(deeds).await.unwrap();
    drop(feed);
    let at = at.crash().await;
    let found = at.dead_letters().await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, letter.id);
    let found: serde_json::Value = serde_json::from_slice(&found[0].1).unwrap();
    assert_eq!(found, serde_json::to_value(&letter).unwrap());
    at.publish("a", vec![b"later".to_vec()]).await;
    assert_eq!(bodies(&head(at.broker(), "a", 1).await), ["later"]);
}

pub async fn a_dead_letter_written_twice_is_one_by_its_id<H: Harness>() {
    let at = H::start().await;
    let work = job("a", "job-1", &["r1", "r2"]);
    at.publish("a", vec![bytes(&work)]).await;
    let (feed, got) = open(at.broker(), "a", 1).await;
    let ticket = got[0].ticket;
    at.broker().commit(vec![Deed::DeadLetter(ticket, dead_letter(&work, &["r1"], "NotFound"))]).await.unwrap();
    drop(feed);
    let at = at.crash().await;
    let (feed, got) = open(at.broker(), "a", 1).await;
    let ticket = got[0].ticket;
    let again = dead_letter(&work, &["r1", "r2"], "NotFound");
    at.broker().commit(vec![Deed::DeadLetter(ticket, again.clone()), Deed::Ack(ticket)]).await.unwrap();
    drop(feed);
    let found = at.dead_letters().await;
    let ids: BTreeSet<_> = found.iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(ids.len(), 1);
    // When their numbers differ, the last one stands.
    let last: serde_json::Value = serde_json::from_slice(&found.last().unwrap().1).unwrap();
    assert_eq!(last, serde_json::to_value(&again).unwrap());
}

pub async fn a_message_that_is_no_job_is_kept_byte_for_byte<H: Harness>() {
    let at = H::start().await;
    let garbage: Vec<u8> = (0..=255).cycle().take(5000).collect();
    at.publish("a", vec![garbage.clone(), Vec::new()]).await;
    let (feed, got) = open(at.broker(), "a", 2).await;
    assert_eq!(got[0].body, garbage);
    let raw = |n: usize| RawDeadLetter {
        id: format!("raw-{n}"),
        lane: Some(lane("a")),
        code: "invalid".into(),
        message: "expected value at line 1 column 1".into(),
        source: None,
        line: None,
        body: got[n].body.clone(),
    };
    let deeds = (0..2).flat_map(|n| [Deed::RawDeadLetter(got[n].ticket, raw(n)), Deed::Ack(got[n].ticket)]).collect();
    at.broker().commit(deeds).await.unwrap();
    drop(feed);
    let at = at.crash().await;
    let mut found = at.dead_letters().await;
    found.sort();
    assert_eq!(found, [("raw-0".to_owned(), garbage), ("raw-1".to_owned(), Vec::new())]);
}

pub async fn an_empty_lane_waits_and_wakes<H: Harness>() {
    let at = H::start().await;
    let mut feed = at.broker().open_lane(&lane("a")).await.unwrap();
    // A wait that is given up loses nothing.
    for n in 0..3 {
        assert!(tokio::time::timeout(Duration::from_millis(20), feed.next(10)).await.is_err());
        at.publish("a", vec![format!("message {n}").into_bytes()]).await;
        assert_eq!(bodies(&take(&mut feed, 1).await), [format!("message {n}")]);
    }
    let waiting = tokio::spawn(async move { bodies(&take(&mut feed, 1).await) });
    tokio::task::yield_now().await;
    at.publish("a", vec![b"now".to_vec()]).await;
    assert_eq!(soon(waiting).await.unwrap(), ["now"]);
}

pub async fn at_most_as_many_items_come_as_were_asked_for<H: Harness>() {
    let at = H::start().await;
    let sizes = [1, 2, 3, 1, 1, 1, 1, 3, 1, 7, 1, 2, 2];
    let work: Vec<_> = sizes.iter().enumerate().map(|(n, size)| sized(n, *size)).collect();
    at.publish("a", work.iter().cloned().chain(numbered(10)).collect()).await;
    let mut feed = at.broker().open_lane(&lane("a")).await.unwrap();
    let mut got = Vec::new();
    while got.len() < work.len() + 10 {
        let page = soon(feed.next(3)).await.unwrap();
        let items = |body: &[u8]| read_job(body).map_or(1, |job| job.resources.len());
        let total: usize = page.iter().map(|delivery| items(&delivery.body)).sum();
        assert!(total >= 1 && (total <= 3 || page.len() == 1), "{total} items in {} messages", page.len());
        got.extend(page.into_iter().map(|delivery| delivery.body));
    }
    assert_eq!(got, [work, numbered(10)].concat());
}

fn sized(n: usize, resources: usize) -> Vec<u8> {
    let names: Vec<_> = (0..resources).map(|r| format!("r{r}")).collect();
    bytes(&job("a", &format!("job-{n}"), &names.iter().map(String::as_str).collect::<Vec<_>>()))
}

pub async fn a_lane_has_one_owner_at_a_time<H: Harness>() {
    let at = H::start().await;
    at.publish("a", numbered(2)).await;
    let mut first = at.broker().open_lane(&lane("a")).await.unwrap();
    take(&mut first, 1).await;
    // Either it cannot be opened, or it stays empty until the first owner is gone.
    if let Ok(mut second) = at.broker().open_lane(&lane("a")).await {
        assert!(tokio::time::timeout(SHORT, second.next(1)).await.is_err());
    }
    drop(first);
    assert_eq!(bodies(&head(at.broker(), "a", 2).await), texts(0..2));
}

pub async fn a_dead_letter_is_replayed_as_exactly_its_job<H: Harness>() {
    let at = H::start().await;
    let work = job("a", "job-1", &["r1", "r2", "r3"]);
    at.publish("a", vec![bytes(&work)]).await;
    let (feed, got) = open(at.broker(), "a", 1).await;
    let ticket = got[0].ticket;
    let letter = dead_letter(&work, &["r1", "r3"], "NotFound");
    let deeds =
        vec![Deed::DeadLetter(ticket, letter.clone()), Deed::Receipt(ticket, receipt(&work, 2)), Deed::Ack(ticket)];
    at.broker().commit(deeds).await.unwrap();
    drop(feed);
    at.replay(&letter.id).await;
    assert!(at.dead_letters().await.is_empty());
    let at = at.crash().await;
    let got = head(at.broker(), "a", 1).await;
    let read = read_job(&got[0].body).unwrap();
    assert_eq!((read.id, read.resources), (JobId::new("job-1").unwrap(), letter.job.resources.clone()));
    // Besides saying that it is a replay, and when, it is the job of the dead letter.
    let mut sent: serde_json::Value = serde_json::from_slice(&got[0].body).unwrap();
    let sent = sent.as_object_mut().unwrap();
    assert_eq!(sent.remove("replay").unwrap(), serde_json::json!({"of": letter.id, "count": 1}));
    sent.remove("created_at");
    assert_eq!(serde_json::Value::Object(sent.clone()), serde_json::to_value(&letter.job).unwrap());
}

pub async fn looking_at_dead_letters_takes_none_away<H: Harness>() {
    let at = H::start().await;
    let work: Vec<_> = (0..20).map(|n| job("a", &format!("job-{n}"), &["r1"])).collect();
    at.publish("a", work.iter().map(bytes).collect()).await;
    let (feed, got) = open(at.broker(), "a", 20).await;
    let deeds = got.iter().zip(&work).flat_map(|(delivery, work)| {
        [Deed::DeadLetter(delivery.ticket, dead_letter(work, &["r1"], "NotFound")), Deed::Ack(delivery.ticket)]
    });
    at.broker().commit(deeds.collect()).await.unwrap();
    drop(feed);
    let before: BTreeSet<_> = at.dead_letters().await.into_iter().collect();
    assert_eq!(before.len(), 20);
    for _ in 0..50 {
        assert_eq!(at.dead_letters().await.into_iter().collect::<BTreeSet<_>>(), before);
    }
}

/// One test per promise over one implementation.
#[macro_export]
macro_rules! behaviours {
    ($harness:ty) => {
        $crate::behaviours!($harness:
            messages_come_in_the_order_they_were_published
            unacked_messages_come_again_in_order_after_a_crash
            unacked_messages_come_again_when_the_feed_is_opened_again
            an_acked_message_never_comes_again
            a_commit_survives_a_crash_as_a_whole
            a_dead_letter_written_twice_is_one_by_its_id
            a_message_that_is_no_job_is_kept_byte_for_byte
            an_empty_lane_waits_and_wakes
            at_most_as_many_items_come_as_were_asked_for
            a_lane_has_one_owner_at_a_time
            a_dead_letter_is_replayed_as_exactly_its_job
            looking_at_dead_letters_takes_none_away
        );
    };
    ($harness:ty: $($promise:ident)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            $crate::behaviour::$promise::<$harness>().await;
        }
    )* };
}
