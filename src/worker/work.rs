//! From a delivery to work for a lane: parsed, checked against the provider, and what is final already known.

use crate::{
    broker::{Delivery, RawDeadLetter},
    job::{
        ItemFailure, Job, LaneName, Mark, Problem,
        parse::{self, Defaults},
        stable_hash,
    },
    lane::Work,
    provider::Provider,
};

/// Reads a delivery, or says why it is no job.
pub(super) fn read(delivery: Delivery, lane: &LaneName, provider: &dyn Provider) -> Result<Work, Box<RawDeadLetter>> {
    let defaults = Defaults { lane: Some(lane), ..Defaults::default() };
    match parse::job(&delivery.body, &defaults) {
        Ok(job) => {
            let mut finals = delivery.marks;
            finals.extend(refused(&job, delivery.line, provider));
            Ok(Work { ticket: delivery.ticket, job, line: delivery.line, finals })
        }
        Err(problems) => Err(Box::new(RawDeadLetter {
            id: stable_hash(&[lane.as_str(), &delivery.ticket.0.to_string(), &String::from_utf8_lossy(&delivery.body)]),
            lane: Some(lane.clone()),
            code: "invalid".into(),
            message: Problem::describe(&problems),
            source: None,
            line: delivery.line,
            body: delivery.body,
        })),
    }
}

/// The items of a job that can never work, so that they are not merged with work that can.
pub(super) fn refused(job: &Job, line: Option<u64>, provider: &dyn Provider) -> Vec<(u32, Mark)> {
    let checked = provider.check(job);
    let dead = |index: usize, message: String| {
        let resource = job.resources.get(index)?.clone();
        let failure = ItemFailure {
            resource,
            code: "invalid".into(),
            message,
            request_id: None,
            attempts: 0,
            applied_keys: Vec::new(),
            line,
        };
        Some((index as u32, Mark::Dead(failure)))
    };
    if !checked.job.is_empty() {
        let message = checked.job.join("; ");
        return (0..job.resources.len()).filter_map(|index| dead(index, message.clone())).collect();
    }
    checked.resources.into_iter().filter_map(|(index, message)| dead(index, message)).collect()
}
