//! One log event a failure, where it is handled. Codes and request ids, never a tag value.

use crate::{
    job::{ItemFailure, Job, JobId, LaneName, Mark, Trace},
    lane::{Dead, Note, Refused},
};
use rustc_hash::FxHashSet;

pub(super) fn tell(lane: &LaneName, note: &Note) {
    match note {
        Note::Throttled(hold, Refused { code, request_id }) => {
            tracing::info!(%lane, %code, request_id, ?hold, "throttled");
        }
        Note::OutageBegan(why, request_id) => tracing::warn!(%lane, request_id, %why, "outage"),
        Note::OutageEnded => tracing::warn!(%lane, "the outage is over"),
        Note::Paused(why, request_id) => tracing::error!(%lane, request_id, %why, "paused"),
        Note::Resumed => tracing::info!(%lane, "resumed"),
        Note::Retrying(Refused { code, request_id }) => {
            tracing::debug!(%lane, %code, request_id, "a call failed and is tried again");
        }
        Note::Dead(Dead { job, trace, failure }) => dead(lane, job, trace.as_ref(), failure),
    }
}

/// The items of a job that are dead before anything was sent. Those before `known` were told by an earlier owner.
pub(super) fn stillborn(lane: &LaneName, job: &Job, finals: &[(u32, Mark)], known: usize) {
    let (before, new) = finals.split_at(known.min(finals.len()));
    let mut told: FxHashSet<u32> = before.iter().map(|(index, _)| *index).collect();
    for (index, mark) in new {
        if let Mark::Dead(failure) = mark
            && told.insert(*index)
        {
            dead(lane, &job.id, job.extras.trace.as_ref(), failure);
        }
    }
}

fn dead(lane: &LaneName, job: &JobId, trace: Option<&Trace>, failure: &ItemFailure) {
    tracing::info!(
        %lane, %job, resource = %failure.resource.id, code = %failure.code, request_id = failure.request_id,
        attempts = failure.attempts, trace_id = trace.map(Trace::trace_id), "dead"
    );
}
