//! What our exchanges and queues are called: everything begins with `tagmill.`, so one permission pattern covers it.

use crate::job::{JobId, LaneName, stable_hash};

/// Direct exchange for jobs; the routing key is the lane's name. What has no queue goes on to [`UNROUTED`].
pub const JOBS: &str = "tagmill.jobs";
/// Fanout exchange and queue for whatever has no queue of its own: jobs for lanes that nobody declared.
pub const UNROUTED: &str = "tagmill.unrouted";
/// Fanout exchange and queue for messages that were handed out too often (the delivery limit).
pub const POISON: &str = "tagmill.poison";
/// Topic exchange and queue for dead letters; the routing key is the lane's name.
pub const DEAD: &str = "tagmill.dead";
/// Topic exchange and queue for receipts; see [`receipt_key`].
pub const RECEIPTS: &str = "tagmill.receipts";
/// Fanout exchange for questions and news to all workers.
pub const CONTROL: &str = "tagmill.control";
/// Direct exchange for what is meant for one queue: answers, notes of a batch. The routing key is the queue's name.
pub const DIRECT: &str = "tagmill.direct";
/// Queue that holds the fleet's standing orders, one document.
pub const ORDERS: &str = "tagmill.orders";
/// Queue that holds at most one message: workers prove their lease by publishing to it.
pub const LEASE: &str = "tagmill.lease";

/// The name of a lane's queue begins so.
pub const LANE_PREFIX: &str = "tagmill.lane.";

/// The queue of a lane.
pub fn lane_queue(lane: &LaneName) -> String {
    format!("{LANE_PREFIX}{lane}")
}

/// A queue that goes with its connection.
pub fn temporary(name: &str) -> String {
    format!("tagmill.tmp.{name}")
}

/// The queue whose owner holds a lock of the fleet.
pub fn lock_queue(name: &str) -> String {
    temporary(&format!("lock.{name}"))
}

/// The queue that brings a worker questions and news.
pub fn worker_queue(worker: &str) -> String {
    temporary(&format!("worker.{worker}"))
}

/// The queue that brings answers to whoever asked.
pub fn answer_queue(nonce: &str) -> String {
    temporary(&format!("answers.{nonce}"))
}

/// Whether answers may go there: a question that names any other queue is not one of ours.
pub fn is_answer_queue(name: &str) -> bool {
    name.starts_with(&answer_queue(""))
}

/// The lane whose queue that is.
pub fn lane_of(queue: &str) -> Option<LaneName> {
    LaneName::new(queue.strip_prefix(LANE_PREFIX)?).ok()
}

/// The queue that collects the receipts of a batch.
pub fn watch_queue(batch: &str) -> String {
    format!("tagmill.watch.{}", stable_hash(&["batch", batch]))
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
        let lane = LaneName::new("a.b").unwrap();
        assert_eq!(lane_of(&lane_queue(&lane)), Some(lane));
        assert_eq!(lane_of("tagmill.lane."), None);
        assert_eq!(lane_of(DEAD), None);
    }

    #[test]
    fn answers_go_to_queues_of_askers_only() {
        assert!(is_answer_queue(&answer_queue("x")));
        assert!(!is_answer_queue(DEAD) && !is_answer_queue(&worker_queue("x")));
    }

    #[test]
    fn the_longest_names_fit_into_255_bytes() {
        let lane = LaneName::new(&"l".repeat(120)).unwrap();
        let job = JobId::new(&"j".repeat(128)).unwrap();
        let batch = "b".repeat(1000);
        let names = [
            lane_queue(&lane),
            watch_queue(&batch),
            receipt_key(&lane, Some(&batch), &job),
            batch_binding(&batch),
            job_binding(&job),
        ];
        assert!(names.iter().all(|name| name.len() <= 255), "{names:?}");
    }
}
