//! One log event a failure, where it is handled. Codes and request ids, never a tag value.

use crate::{job::LaneName, lane::Note};

pub(super) fn tell(lane: &LaneName, note: &Note) {
    match note {
        Note::Throttled(hold) => tracing::info!(%lane, ?hold, "throttled"),
        Note::OutageBegan(why) => tracing::warn!(%lane, %why, "outage"),
        Note::OutageEnded => tracing::warn!(%lane, "the outage is over"),
        Note::Paused(why) => tracing::error!(%lane, %why, "paused"),
        Note::Resumed => tracing::info!(%lane, "resumed"),
        Note::Retrying(code, request) => tracing::debug!(%lane, %code, request, "a call failed and is tried again"),
        Note::Dead(failure) => tracing::info!(
            %lane, resource = %failure.resource.id, code = %failure.code, request = failure.request_id,
            attempts = failure.attempts, "dead"
        ),
    }
}
