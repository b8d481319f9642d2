//! tagmill tags cloud resources in bulk and never loses one.
//!
//! A job says: these resources of this lane get these tags. A lane is one tagging API at one account and region. What
//! goes in comes out exactly once as tagged, already right, or dead with a reason.
//!
//! ```text
//!  job file ── file ──> Row ── job::parse ──> Job ──┐
//!                                                   v
//!                                        broker: queue, marks, dead letters, receipts
//!                                          ^ Deed            │ Delivery
//!                                          │                 v
//!                                   worker: one task per lane, the only I/O of a call
//!                                          ^ Action          │ handle_job, handle_reply, ...
//!                                          │                 v
//!                                   lane: backlog, pace, verdicts, ledger ── plan: fewest calls
//!                                          │ Call            ^ Answer
//!                                          v                 │
//!                                   provider: encode ── HTTP ── decode
//! ```
//!
//! - [`job`], [`call`]: the nouns. [`plan`]: pending work to rectangles. [`lane`]: the machine. [`provider`]: one cloud API.
//!   These five are pure: no I/O, no clock, no chance of their own. They build without the `runtime` feature.
//! - `file`, `config`: what people write. `broker`: where jobs wait. `worker`: where everything meets. `cli`: one file a
//!   command. `telemetry`: logs. `sim`: clouds to test against, which share no code with the providers.
//!
//! The protocol of the machine: one input (`handle_*`), then every [`lane::Lane::poll_action`], then sleep until
//! [`lane::Lane::poll_deadline`] or the next input. A job is acked when its dead letter and its receipt are stored.
//! What keeps a later value from being overwritten after a kill is a mark per item where the broker remembers marks, and
//! else the order of the acks. So a kill at any moment costs at most repeated calls.
//!
//! `docs/ARCHITECTURE.md` walks one job through the files; `docs/STATES.md` draws the states.
#![forbid(unsafe_code)]

pub mod call;
pub mod event;
pub mod job;
pub mod lane;
pub mod plan;
pub mod provider;

#[cfg(feature = "runtime")]
pub mod broker;
#[cfg(feature = "runtime")]
pub mod cli;
#[cfg(feature = "runtime")]
pub mod config;
#[cfg(feature = "runtime")]
pub mod file;
#[cfg(feature = "runtime")]
pub mod fleet;
#[cfg(feature = "runtime")]
pub mod server;
#[cfg(feature = "runtime")]
pub mod sim;
#[cfg(feature = "runtime")]
pub mod telemetry;
#[cfg(feature = "runtime")]
pub mod worker;
