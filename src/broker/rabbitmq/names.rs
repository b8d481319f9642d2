//! What our exchanges and queues are called: everything begins with one prefix, so one permission pattern covers it.

use crate::job::{JobId, LaneName, stable_hash};
use std::sync::Arc;

/// The prefix where the config names none.
pub const DEFAULT_PREFIX: &str = "tagmill";
/// Bytes of a prefix at most: the longest name has to fit into the 255 bytes of the wire.
const LONGEST: usize = 64;

/// The names of one fleet. Several fleets share a vhost by having different prefixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    prefix: Arc<str>,
    jobs: Arc<str>,
    urgent: Arc<str>,
    unrouted: Arc<str>,
    poison: Arc<str>,
    dead: Arc<str>,
    receipts: Arc<str>,
    control: Arc<str>,
    direct: Arc<str>,
    orders: Arc<str>,
    lease: Arc<str>,
}

impl Default for Names {
    fn default() -> Self {
        Self::of(DEFAULT_PREFIX)
    }
}

impl Names {
    /// Names that begin with `prefix` and a dot; the error says what a prefix may be.
    pub fn new(prefix: &str) -> Result<Self, String> {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
        if (1..=LONGEST).contains(&prefix.len()) && prefix.bytes().all(good) {
            Ok(Self::of(prefix))
        } else {
            Err(format!("expected 1 to {LONGEST} characters of a-z 0-9 . _ -"))
        }
    }

    fn of(prefix: &str) -> Self {
        let name = |name: &str| -> Arc<str> { format!("{prefix}.{name}").into() };
        Self {
            prefix: prefix.into(),
            jobs: name("jobs"),
            urgent: name("urgent"),
            unrouted: name("unrouted"),
            poison: name("poison"),
            dead: name("dead"),
            receipts: name("receipts"),
            control: name("control"),
            direct: name("direct"),
            orders: name("orders"),
            lease: name("lease"),
        }
    }

    /// What all of them begin with, without the dot.
    pub fn prefix(&self) -> &Arc<str> {
        &self.prefix
    }

    /// Direct exchange for jobs; the routing key is the lane's name. What has no queue goes on to [`Names::unrouted`].
    pub fn jobs(&self) -> &Arc<str> {
        &self.jobs
    }

    /// Direct exchange for jobs that go ahead of bulk work; the routing key is the lane's name. Where a lane has no queue
    /// for them, they go on to [`Names::jobs`].
    pub fn urgent(&self) -> &Arc<str> {
        &self.urgent
    }

    /// Fanout exchange and queue for whatever has no queue of its own: jobs for lanes that nobody declared.
    pub fn unrouted(&self) -> &Arc<str> {
        &self.unrouted
    }

    /// Fanout exchange and queue for messages that were handed out too often (the delivery limit).
    pub fn poison(&self) -> &Arc<str> {
        &self.poison
    }

    /// Topic exchange and queue for dead letters; the routing key is the lane's name.
    pub fn dead(&self) -> &Arc<str> {
        &self.dead
    }

    /// Topic exchange and queue for receipts; see [`receipt_key`].
    pub fn receipts(&self) -> &Arc<str> {
        &self.receipts
    }

    /// Fanout exchange for questions and news to all workers.
    pub fn control(&self) -> &Arc<str> {
        &self.control
    }

    /// Direct exchange for what is meant for one queue: answers, notes of a batch. The routing key is the queue's name.
    pub fn direct(&self) -> &Arc<str> {
        &self.direct
    }

    /// Queue that holds the fleet's standing orders, one document.
    pub fn orders(&self) -> &Arc<str> {
        &self.orders
    }

    /// Queue that holds at most one message: workers prove their lease by publishing to it.
    pub fn lease(&self) -> &Arc<str> {
        &self.lease
    }

    /// The queue of a lane.
    pub fn lane_queue(&self, lane: &LaneName) -> String {
        format!("{}{lane}", self.lane_prefix())
    }

    /// The queue of a lane's urgent jobs.
    pub fn urgent_queue(&self, lane: &LaneName) -> String {
        format!("{}{lane}", self.urgent_prefix())
    }

    fn urgent_prefix(&self) -> String {
        format!("{}.", self.urgent)
    }

    /// The name of a lane's queue begins so.
    pub fn lane_prefix(&self) -> String {
        format!("{}.lane.", self.prefix)
    }

    /// A queue that goes with its connection.
    pub fn temporary(&self, name: &str) -> String {
        format!("{}.tmp.{name}", self.prefix)
    }

    /// The queue that collects the receipts of a batch.
    pub fn watch_queue(&self, batch: &str) -> String {
        format!("{}.watch.{}", self.prefix, stable_hash(&["batch", batch]))
    }

    /// The queue whose owner holds a lock of the fleet.
    pub fn lock_queue(&self, name: &str) -> String {
        self.temporary(&format!("lock.{name}"))
    }

    /// The queue that brings a worker questions and news.
    pub fn worker_queue(&self, worker: &str) -> String {
        self.temporary(&format!("worker.{worker}"))
    }

    /// The queue that brings answers to whoever asked.
    pub fn answer_queue(&self, nonce: &str) -> String {
        self.temporary(&format!("answers.{nonce}"))
    }

    /// Whether answers may go there: a question that names any other queue is not one of ours.
    pub fn is_answer_queue(&self, name: &str) -> bool {
        name.starts_with(&self.answer_queue(""))
    }

    /// The lane whose queue that is, for all its jobs or for urgent ones.
    pub fn lane_of(&self, queue: &str) -> Option<LaneName> {
        let lane = queue.strip_prefix(&self.lane_prefix()).or_else(|| queue.strip_prefix(&self.urgent_prefix()));
        LaneName::new(lane?).ok()
    }
}

/// The routing key of a receipt: lane, hash of the batch (or `-`), hash of the job's id. Hashes, because a key has 255
/// bytes at most and a dot means something in it.
pub fn receipt_key(lane: &LaneName, batch: Option<&str>, job: &JobId) -> String {
    let batch = batch.map_or_else(|| "-".to_owned(), |batch| stable_hash(&["batch", batch]));
    format!("{lane}.{batch}.{}", stable_hash(&["job", job.as_str()]))
}

/// The binding that brings every receipt of a batch, whatever its lane (whose name may hold dots).
pub fn batch_binding(batch: &str) -> String {
    format!("#.{}.*", stable_hash(&["batch", batch]))
}

/// The binding that brings the receipt of one job.
pub fn job_binding(job: &JobId) -> String {
    format!("#.{}", stable_hash(&["job", job.as_str()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_of_a_lane_tells_the_lane() {
        let (names, lane) = (Names::default(), LaneName::new("a.b").unwrap());
        assert_eq!(names.lane_of(&names.lane_queue(&lane)), Some(lane.clone()));
        assert_eq!(names.lane_of(&names.urgent_queue(&lane)), Some(lane));
        assert_eq!(names.lane_of("tagmill.lane."), None);
        assert_eq!(names.lane_of(names.dead()), None);
    }

    #[test]
    fn answers_go_to_queues_of_askers_only() {
        let names = Names::default();
        assert!(names.is_answer_queue(&names.answer_queue("x")));
        assert!(!names.is_answer_queue(names.dead()) && !names.is_answer_queue(&names.worker_queue("x")));
    }

    #[test]
    fn the_longest_names_fit_into_255_bytes() {
        let names = Names::new(&"p".repeat(LONGEST)).unwrap();
        let lane = LaneName::new(&"l".repeat(120)).unwrap();
        let job = JobId::new(&"j".repeat(128)).unwrap();
        let batch = "b".repeat(1000);
        let all = [
            names.lane_queue(&lane),
            names.urgent_queue(&lane),
            names.watch_queue(&batch),
            receipt_key(&lane, Some(&batch), &job),
            batch_binding(&batch),
            job_binding(&job),
        ];
        assert!(all.iter().all(|name| name.len() <= 255), "{all:?}");
    }

    #[test]
    fn a_prefix_is_checked_and_begins_every_name() {
        let names = Names::new("team-a.tagmill").unwrap();
        assert_eq!((&**names.jobs(), &*names.temporary("x")), ("team-a.tagmill.jobs", "team-a.tagmill.tmp.x"));
        assert_eq!(&**Names::default().dead(), "tagmill.dead");
        for bad in ["", "Upper", "a b", "a*", "ä", &"p".repeat(LONGEST + 1)] {
            assert!(Names::new(bad).is_err(), "{bad}");
        }
    }
}
