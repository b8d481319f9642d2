//! What must hold: of the lane's own words, of every document, and of the cloud in the end.

use super::{Checked, Message, World};
use crate::script::wall;
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tagmill::{job::Trace, lane::Emission};

/// Later than anything that a script asks for.
const FOREVER: Duration = Duration::from_hours(24 * 365);

impl World {
    /// What the lane says of itself, against what the broker knows.
    pub(super) fn check_status(&self) -> Checked {
        let (status, room) = (self.lane.status(), self.lane.room());
        let capacity = self.script.capacity;
        if room > capacity || (status.pending + status.held >= capacity && room > 0) {
            return Err(format!("L11: full, and still {room} items wanted"));
        }
        let counts = status.counts;
        if counts.causes.iter().sum::<u64>() != counts.dead {
            return Err(format!("{} items are dead, of these causes: {:?}", counts.dead, counts.causes));
        }
        let jobs = self.unsettled.len();
        let oldest = self.unsettled.first().map(|at| self.messages[*at].taken);
        if (status.jobs, status.oldest) != (jobs, oldest) {
            return Err(format!("L1: {jobs} jobs are not settled, the oldest since {oldest:?}: {status:?}"));
        }
        if status.held > 0 && (self.script.marks || status.held >= status.jobs) {
            return Err(format!("L10: jobs wait for none that does not: {status:?}"));
        }
        if status.full && (room > 0 || status.pending == 0) {
            return Err(format!("L11: full with room for {room}: {status:?}"));
        }
        Ok(())
    }

    /// A document is published: is it about a job of ours, does it say the right things, and is it its turn?
    pub(super) fn check_document(&self, at: usize, emission: &Emission) -> Checked {
        let message = &self.messages[at];
        let job = &message.job;
        if message.settled {
            return Err(format!("L2: a document after the ack of {:?}", job.id));
        }
        let before = |other: &&Message| !other.settled && !other.acked && other.shares_a_resource_with(job);
        if !self.script.marks
            && let Some(earlier) = self.messages[..at].iter().find(before)
        {
            return Err(format!("L6: a document of {:?} before {:?} is settled", job.id, earlier.job.id));
        }
        match emission {
            Emission::DeadLetter(letter) if letter.job.extras != job.extras || letter.job.set != job.set => {
                Err(format!("L2: a dead letter with another job than {:?}", job.id))
            }
            Emission::Receipt(receipt) if !receipt.adds_up() || receipt.accepted != job.resources.len() as u64 => {
                Err(format!("L2: a receipt that does not add up: {receipt:?}"))
            }
            Emission::Receipt(receipt) => {
                let finished = receipt.finished_at.duration_since(Timestamp::UNIX_EPOCH).unsigned_abs();
                let took = finished.saturating_sub(message.taken).as_millis() as u64;
                let own = (job.extras.trace.as_ref().map(Trace::parent), job.extras.batch.as_deref());
                if receipt.duration_ms != took
                    || finished > self.now
                    || (receipt.trace.as_deref(), receipt.batch.as_deref()) != own
                {
                    return Err(format!("L2: not the receipt of {:?}, which took {took} ms: {receipt:?}", job.id));
                }
                Ok(())
            }
            Emission::DeadLetter(_) => Ok(()),
        }
    }

    pub fn check_end(&self) -> Checked {
        for message in &self.messages {
            self.check_message(message)?;
        }
        self.check_tags()
    }

    fn check_message(&self, message: &Message) -> Checked {
        let Some(receipt) = &message.receipt else { return Err(format!("L1: no receipt for {:?}", message.job.id)) };
        if receipt.dead != message.dead.len() as u64 {
            return Err(format!(
                "L2: {:?} counts {} dead, its letter {}",
                message.job.id,
                receipt.dead,
                message.dead.len()
            ));
        }
        let faults = &self.script.faults;
        for resource in &message.job.resources {
            let id = &*resource.id;
            let dead = message.dead.iter().find(|failure| failure.resource == *resource);
            let sets = &message.job.set;
            let bad_tag = faults.bad_key.as_deref().is_some_and(|key| sets.contains_key(key))
                || sets.get("k0").is_some_and(|value| Some(&**value) == faults.bad_value.as_deref());
            let Some(dead) = dead else {
                if faults.poison.contains(id) || faults.poison_500.contains(id) {
                    return Err(format!("L6: {id} of {:?} is reported done and cannot be", message.job.id));
                }
                continue;
            };
            let why = match dead.code.as_str() {
                "NotFound" => faults.poison.contains(id),
                // Not before its own time is over, and never once the resource is there.
                "NotThere" => {
                    let until = message.job.extras.not_found_until.unwrap_or(Timestamp::UNIX_EPOCH);
                    let appears = faults.appears.get(id).copied().unwrap_or_default();
                    let short = self.script.give_up_after < Duration::from_hours(1);
                    self.script.give_up_after < appears && short || wall(appears.min(FOREVER)) > until
                }
                "Forbidden" => faults.denied.contains(id),
                "InvalidTagKey.Malformed" => bad_tag,
                "cancelled" => message.cancelled,
                "InternalError" | "http_503" | "http_500" | "timeout" | "Busy" => {
                    if dead.attempts > self.script.max_attempts {
                        return Err(format!("L8: {} attempts: {dead:?}", dead.attempts));
                    }
                    dead.attempts == self.script.max_attempts || dead.message.starts_with("gave up")
                }
                _ => false,
            };
            if !why {
                return Err(format!("L6: {id} of {:?} is dead without need: {dead:?}", message.job.id));
            }
        }
        Ok(())
    }

    /// The tags in the cloud are those of the jobs in order; keys of dead items may hold what those asked for.
    fn check_tags(&self) -> Checked {
        let mut expected: BTreeMap<(String, String), Option<String>> = BTreeMap::new();
        let mut also: BTreeMap<(String, String), BTreeSet<Option<String>>> = BTreeMap::new();
        for message in &self.messages {
            for resource in &message.job.resources {
                let dead = message.dead.iter().any(|failure| failure.resource == *resource);
                let sets = message.job.set.iter().map(|(key, value)| (key, Some(value.to_string())));
                for (key, value) in sets.chain(message.job.unset.iter().map(|key| (key, None))) {
                    let cell = (resource.id.to_string(), key.to_string());
                    if dead {
                        also.entry(cell).or_default().insert(value);
                    } else {
                        expected.insert(cell, value);
                    }
                }
            }
        }
        let cells: BTreeSet<_> = expected.keys().chain(also.keys()).cloned().collect();
        for cell in cells {
            let found = self.cloud.tags.get(&cell.0).and_then(|tags| tags.get(&cell.1)).cloned();
            let right = expected.get(&cell).cloned().flatten();
            let allowed = also.get(&cell).is_some_and(|values| values.contains(&found));
            if found != right && !allowed {
                return Err(format!("L6: {cell:?} is {found:?} and should be {right:?}"));
            }
        }
        Ok(())
    }
}
