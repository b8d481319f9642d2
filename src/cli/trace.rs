//! The trace that a command belongs to, as whoever starts it says in its environment.

use crate::job::Trace;

/// By `TRACEPARENT` and `TRACESTATE`, as pipelines and `otel-cli` set them.
pub(super) fn of_environment() -> Option<Trace> {
    let state = std::env::var("TRACESTATE").ok();
    Trace::read(&std::env::var("TRACEPARENT").ok()?, state.as_deref())
}
