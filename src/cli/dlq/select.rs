//! Which dead letters a command is about.

use crate::{
    broker::{DeadFilter, age},
    job::{JobId, LaneName},
};
use clap::Args;
use jiff::{SignedDuration, Timestamp};

/// Filters; everything that is given must hold.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Select {
    /// Only of this lane
    #[arg(long, value_parser = LaneName::new)]
    lane: Option<LaneName>,
    /// Only with a failure of this code
    #[arg(long)]
    code: Option<String>,
    /// Only of this job
    #[arg(long, value_name = "ID", value_parser = JobId::new)]
    job: Option<JobId>,
    /// Only recorded longer ago than this, such as 2h or 7d
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<SignedDuration>,
    /// Only recorded within this time, such as 30m
    #[arg(long, value_name = "AGE", value_parser = age)]
    newer_than: Option<SignedDuration>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

/// What to act on, and whether to ask.
#[derive(Args, Clone, Debug)]
pub(super) struct Act {
    /// Ids of dead letters; without any, all that pass the filters
    #[arg(value_name = "ID", conflicts_with_all = ["lane", "code", "job", "older_than", "newer_than", "limit"])]
    pub(super) ids: Vec<String>,
    #[command(flatten)]
    pub(super) select: Select,
    /// Print how many it would be, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(super) yes: bool,
}

impl Select {
    pub(super) fn filter(&self, now: Timestamp) -> DeadFilter {
        DeadFilter {
            lane: self.lane.clone(),
            code: self.code.clone(),
            job: self.job.clone(),
            // An age beyond the calendar passes everything, as `--newer-than`, or nothing.
            before: self.older_than.map(|age| now.checked_sub(age).unwrap_or(Timestamp::MIN)),
            since: self.newer_than.map(|age| now.checked_sub(age).unwrap_or(Timestamp::MIN)),
            limit: self.limit,
        }
    }
}
