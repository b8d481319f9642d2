//! From a delivery to work for a lane: parsed, checked against the provider, and what is final already known.

use crate::{
    broker::{Delivery, Orders, RawDeadLetter},
    job::{
        ItemFailure, Job, JobId, LaneName, Mark, Problem,
        parse::{self, Defaults},
        stable_hash,
    },
    lane::Work,
    provider::Provider,
};
use jiff::Timestamp;

/// What a delivery is read against.
pub(super) struct Reading<'r> {
    /// The lane whose queue it came from.
    pub(super) lane: &'r LaneName,
    pub(super) provider: &'r dyn Provider,
    pub(super) orders: &'r Orders,
    /// Stands for the time of a message that has none.
    pub(super) wall: Timestamp,
}

impl Reading<'_> {
    /// Reads a delivery, or says why it is no job for this lane. A body can have many megabytes: it is not copied.
    pub(super) fn read(&self, delivery: Delivery) -> Result<Work, Box<RawDeadLetter>> {
        let id = JobId::new(&delivery.id).ok();
        let defaults = Defaults {
            lane: Some(self.lane),
            id: id.as_ref(),
            created_at: Some(delivery.published_at.unwrap_or(self.wall)),
            ..Defaults::default()
        };
        let mut job = match parse::job(&delivery.body, &defaults) {
            Ok(job) => job,
            Err(problems) => {
                let code = if parse::is_of_another_version(&problems) { "unsupported_version" } else { "invalid" };
                return Err(self.raw(delivery, code, Problem::describe(&problems)));
            }
        };
        if job.lane != *self.lane {
            let message = format!(
                "it came on the queue of lane {} and names lane {}: the routing key has to be the job's lane",
                self.lane, job.lane
            );
            return Err(self.raw(delivery, "wrong_lane", message));
        }
        job.extras.trace = delivery.trace;
        let mut finals = delivery.marks;
        if self.orders.is_cancelled(&job) {
            finals.extend(all_dead(&job, delivery.line, "cancelled", "cancelled before it was sent"));
        }
        finals.extend(refused(&job, delivery.line, self.provider));
        Ok(Work { ticket: delivery.ticket, job, line: delivery.line, finals })
    }

    fn raw(&self, delivery: Delivery, code: &str, message: String) -> Box<RawDeadLetter> {
        Box::new(RawDeadLetter {
            id: stable_hash(&[self.lane.as_str(), &delivery.id]),
            lane: Some(self.lane.clone()),
            code: code.into(),
            message,
            source: None,
            line: delivery.line,
            body: delivery.body,
        })
    }
}

/// The items of a job that can never work, so that they are not merged with work that can.
pub(super) fn refused(job: &Job, line: Option<u64>, provider: &dyn Provider) -> Vec<(u32, Mark)> {
    let checked = provider.check(job);
    if !checked.job.is_empty() {
        return all_dead(job, line, "invalid", &checked.job.join("; ")).collect();
    }
    checked.resources.into_iter().filter_map(|(index, message)| dead(job, index, line, "invalid", message)).collect()
}

fn all_dead(job: &Job, line: Option<u64>, code: &str, message: &str) -> impl Iterator<Item = (u32, Mark)> {
    (0..job.resources.len()).filter_map(move |index| dead(job, index, line, code, message.to_owned()))
}

/// An item that was never sent.
fn dead(job: &Job, index: usize, line: Option<u64>, code: &str, message: String) -> Option<(u32, Mark)> {
    let resource = job.resources.get(index)?.clone();
    let failure = ItemFailure {
        resource,
        code: code.into(),
        message,
        request_id: None,
        attempts: 0,
        applied_keys: Vec::new(),
        line,
    };
    Some((index as u32, Mark::Dead(failure)))
}
