//! What the notes and receipts of a batch add up to. Each job counts once, however often its receipt comes.

use super::{
    batch::{Batch, Begun, Note, Sent},
    watch::Read,
};
use crate::job::{Extras, Job, LaneName, Receipt, stable_id};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    hash::{DefaultHasher, Hash, Hasher as _},
};

/// Items of one lane, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Jobs whose receipt is there.
    pub jobs: u64,
    /// Items of those jobs: tagged + unchanged + dead.
    pub done: u64,
    /// Items that carry their tags now.
    pub tagged: u64,
    /// Of the tagged: those whose value a later job replaced before it was sent.
    pub superseded: u64,
    /// Items that were right already.
    pub unchanged: u64,
    /// Items in dead letters.
    pub dead: u64,
    /// Calls, summed over jobs: one that carried items of three jobs is in here three times.
    pub job_calls: u64,
    /// Retries, summed in the same way.
    pub job_retries: u64,
}

/// Everything that was read of a batch so far. Reading all of it once more changes nothing.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    begun: Option<Begun>,
    sent: Sent,
    complete: Option<Sent>,
    /// By a hash of lane and id of 128 bits: a million ids would take more room than all the rest.
    jobs: HashMap<[u64; 2], Counted>,
    lanes: BTreeMap<LaneName, Sums>,
    last: Option<Timestamp>,
}

/// One job's receipt, as far as it is needed to replace it. There can be millions: 48 bytes.
#[derive(Clone, Copy, Debug)]
struct Counted {
    /// Hash of the receipt's id.
    id: u64,
    /// In milliseconds.
    finished_at: i64,
    numbers: Numbers,
    /// It speaks of the job itself and not of a replay of its dead items.
    own: bool,
}

/// What a receipt adds. No job has four thousand million items.
#[derive(Clone, Copy, Debug)]
struct Numbers {
    tagged: u32,
    superseded: u32,
    unchanged: u32,
    dead: u32,
    calls: u32,
    retries: u32,
}

impl Tally {
    /// Takes a message of the batch's queue. What is neither a note nor a receipt is told to the log and left alone.
    pub fn take(&mut self, batch: &Batch, read: &Read) {
        let unreadable = |error: serde_json::Error| {
            // A text of serde's can hold a piece of the message, so only its place is told.
            tracing::warn!(key = %read.key, column = error.column(), "a message of the batch cannot be read");
        };
        if read.key == batch.queue() {
            serde_json::from_slice(&read.body).map_or_else(unreadable, |note| self.note(note));
        } else {
            serde_json::from_slice(&read.body).map_or_else(unreadable, |receipt| self.receipt(&receipt));
        }
    }

    /// Takes a note.
    pub fn note(&mut self, note: Note) {
        match note {
            // There is one. Were there two, the earlier one would be what the first jobs were made with.
            Note::Begun(begun) => drop(self.begun.get_or_insert(begun)),
            Note::Published(sent) => self.sent = most(self.sent, sent),
            Note::Complete(sent) => {
                self.sent = most(self.sent, sent);
                self.complete = Some(sent);
            }
        }
    }

    /// Takes a receipt. Of two with the same id the one that was finished later stands. Of two about the same job with
    /// different ids the other one is of a replay, which belongs to somebody else's ledger.
    pub fn receipt(&mut self, receipt: &Receipt) {
        let new = Counted {
            id: hash(&receipt.id),
            finished_at: receipt.finished_at.as_millisecond(),
            numbers: Numbers::of(receipt),
            own: receipt.id == own_id(receipt),
        };
        let name = (receipt.lane.as_str(), receipt.job.as_str());
        match self.jobs.entry([hash((0, name)), hash((1, name))]) {
            Entry::Vacant(place) => drop(place.insert(new)),
            Entry::Occupied(mut place) => {
                let old = *place.get();
                let is_repeat = old.id == new.id && new.finished_at >= old.finished_at;
                let is_better = old.id != new.id && new.own && !old.own;
                if !is_repeat && !is_better {
                    return;
                }
                if let Some(sums) = self.lanes.get_mut(&receipt.lane) {
                    sums.change(&old.numbers, u64::wrapping_sub);
                }
                place.insert(new);
            }
        }
        self.lanes.entry(receipt.lane.clone()).or_default().change(&new.numbers, u64::wrapping_add);
        self.last = self.last.max(Some(receipt.finished_at));
    }

    /// How the batch began, once that was read.
    pub fn begun(&self) -> Option<&Begun> {
        self.begun.as_ref()
    }

    /// What the broker has confirmed, as far as it was noted.
    pub fn sent(&self) -> Sent {
        self.sent
    }

    /// All of it, once everything was sent.
    pub fn complete(&self) -> Option<Sent> {
        self.complete
    }

    /// Jobs whose receipt is there.
    pub fn jobs(&self) -> u64 {
        self.jobs.len() as u64
    }

    /// Whether everything was sent and every job has its receipt.
    pub fn is_done(&self) -> bool {
        self.complete.is_some_and(|all| self.jobs() >= all.jobs)
    }

    /// What the receipts add up to, lane by lane.
    pub fn lanes(&self) -> &BTreeMap<LaneName, Sums> {
        &self.lanes
    }

    /// All lanes together.
    pub fn sum(&self) -> Sums {
        let mut all = Sums::default();
        for lane in self.lanes.values() {
            all.add(lane);
        }
        all
    }

    /// When the last item became final.
    pub fn last(&self) -> Option<Timestamp> {
        self.last
    }
}

impl Numbers {
    fn of(receipt: &Receipt) -> Self {
        let short = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            tagged: short(receipt.tagged),
            superseded: short(receipt.superseded),
            unchanged: short(receipt.unchanged),
            dead: short(receipt.dead),
            calls: short(receipt.calls),
            retries: short(receipt.retries),
        }
    }
}

impl Sums {
    fn change(&mut self, job: &Numbers, by: fn(u64, u64) -> u64) {
        self.jobs = by(self.jobs, 1);
        // A receipt adds up, so this is what it accepted.
        for done in [job.tagged, job.unchanged, job.dead] {
            self.done = by(self.done, done.into());
        }
        self.tagged = by(self.tagged, job.tagged.into());
        self.superseded = by(self.superseded, job.superseded.into());
        self.unchanged = by(self.unchanged, job.unchanged.into());
        self.dead = by(self.dead, job.dead.into());
        self.job_calls = by(self.job_calls, job.calls.into());
        self.job_retries = by(self.job_retries, job.retries.into());
    }

    /// Adds another lane.
    pub fn add(&mut self, other: &Self) {
        self.jobs += other.jobs;
        self.done += other.done;
        self.tagged += other.tagged;
        self.superseded += other.superseded;
        self.unchanged += other.unchanged;
        self.dead += other.dead;
        self.job_calls += other.job_calls;
        self.job_retries += other.job_retries;
    }
}

/// Notes come in order but for what a broken connection sent twice.
fn most(one: Sent, other: Sent) -> Sent {
    if one.jobs + one.bad >= other.jobs + other.bad { one } else { other }
}

/// The id that the receipt of a job has when the job is no replay.
fn own_id(receipt: &Receipt) -> String {
    let job = Job {
        id: receipt.job.clone(),
        lane: receipt.lane.clone(),
        resources: Vec::new(),
        set: BTreeMap::new(),
        unset: [].into(),
        extras: Extras::none(),
    };
    stable_id(&job, "receipt")
}

fn hash(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{JobId, Replay};

    /// A receipt of a job in lane `a` that tagged all but `dead` of its ten items.
    fn receipt(job: &str, dead: u64, finished: i64, replay: bool) -> Receipt {
        let (id, lane) = (JobId::new(job).unwrap(), LaneName::new("a").unwrap());
        let replay = replay.then(|| Replay { of: "letter".into(), count: 1 });
        let of = Job {
            id: id.clone(),
            lane: lane.clone(),
            resources: Vec::new(),
            set: BTreeMap::new(),
            unset: [].into(),
            extras: Extras { replay, ..Extras::none() },
        };
        let text = serde_json::json!({
            "version": 1, "id": stable_id(&of, "receipt"), "job": id, "lane": lane, "accepted": 10,
            "tagged": 10 - dead, "superseded": 0, "unchanged": 0, "dead": dead,
            "calls": 2, "retries": 0, "finished_at": Timestamp::from_second(finished).unwrap(),
        });
        serde_json::from_value(text).unwrap()
    }

    fn numbers(tally: &Tally) -> [u64; 4] {
        let sum = tally.sum();
        [sum.jobs, sum.done, sum.tagged, sum.dead]
    }

    #[test]
    fn a_job_counts_once_and_the_later_of_two_receipts_stands_in_whatever_order_they_come() {
        let (early, late) = (receipt("1", 3, 100, false), receipt("1", 1, 200, false));
        for order in [[&early, &late, &early], [&late, &early, &late]] {
            let mut tally = Tally::default();
            for receipt in order {
                tally.receipt(receipt);
            }
            tally.receipt(&receipt("2", 0, 50, false));
            assert_eq!(numbers(&tally), [2, 20, 19, 1]);
            assert_eq!(tally.last(), Some(Timestamp::from_second(200).unwrap()));
        }
    }

    #[test]
    fn of_two_receipts_of_the_same_time_the_last_one_stands() {
        let mut tally = Tally::default();
        tally.receipt(&receipt("1", 3, 100, false));
        tally.receipt(&receipt("1", 2, 100, false));
        assert_eq!(numbers(&tally), [1, 10, 8, 2]);
    }

    #[test]
    fn the_replay_of_a_dead_item_does_not_take_the_place_of_its_job() {
        let (own, replay) = (receipt("1", 3, 100, false), receipt("1", 0, 200, true));
        for order in [[&own, &replay], [&replay, &own]] {
            let mut tally = Tally::default();
            for receipt in order {
                tally.receipt(receipt);
            }
            assert_eq!(numbers(&tally), [1, 10, 7, 3]);
        }
    }

    #[test]
    fn a_batch_is_done_when_all_was_sent_and_every_job_has_answered() {
        let mut tally = Tally::default();
        tally.receipt(&receipt("1", 0, 1, false));
        tally.note(Note::Published(Sent { jobs: 1, items: 10, bad: 0 }));
        assert!(!tally.is_done());
        tally.note(Note::Complete(Sent { jobs: 2, items: 20, bad: 0 }));
        tally.note(Note::Published(Sent { jobs: 1, items: 10, bad: 0 }));
        assert!(!tally.is_done());
        assert_eq!(tally.sent().jobs, 2);
        tally.receipt(&receipt("1", 0, 1, false));
        assert!(!tally.is_done());
        tally.receipt(&receipt("2", 0, 1, false));
        assert!(tally.is_done());
    }
}
