//! What a pending item costs in memory: a lane is filled with 100,000 jobs of one resource each, and the growth of the
//! process is divided by them. Ends with 1 when an item costs more than its budget.

#[path = "support/lane.rs"]
mod support;
#[path = "../tests/support/workload.rs"]
mod workload;

use jiff::Timestamp;
use std::{
    env, fs,
    process::{Command, ExitCode},
};
use tagmill::lane::Now;

const ITEMS: usize = 100_000;
/// Bytes that one pending item may cost.
const BUDGET: u64 = 1024;
const WORKLOADS: &[&str] = &["event", "uniform"];
/// Whether the broker remembers marks. Without them the lane also keeps which jobs share a resource.
const MARKS: &[(&str, bool)] = &[("marks", true), ("no-marks", false)];

/// With the name of a workload and of a kind of broker it measures that one. Without, it runs itself once for each:
/// memory that one run gave back to the allocator would make the next look cheaper than it is.
fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let kind = WORKLOADS.iter().find(|kind| args.iter().any(|arg| arg == *kind));
    let marks = MARKS.iter().find(|(name, _)| args.iter().any(|arg| arg == name));
    if let (Some(kind), Some((name, marks))) = (kind, marks) {
        return measure(kind, name, *marks);
    }
    let Ok(own) = env::current_exe() else { return ExitCode::FAILURE };
    let passed = |kind: &str, name: &str| Command::new(&own).args([kind, name]).status().is_ok_and(|s| s.success());
    let all = WORKLOADS.iter().flat_map(|kind| MARKS.iter().map(move |(name, _)| (*kind, *name)));
    let failed = all.filter(|(kind, name)| !passed(kind, name)).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(kind: &str, name: &str, marks: bool) -> ExitCode {
    let mut lane = support::lane(marks);
    // The rows stay alive to the end: nothing that the lane asks for comes out of what they give back.
    let rows = workload::rows(kind, ITEMS, 1);
    let Some(before) = resident() else {
        println!("{kind}: not measured, /proc/self/status is not there");
        return ExitCode::SUCCESS;
    };
    for (second, (n, row)) in (0..).zip(rows.iter().enumerate()) {
        let mut work = support::work(n, row);
        if !marks {
            // Messages that come one by one each have a time of their own.
            work.job.extras.created_at = Timestamp::from_second(second).ok();
        }
        lane.handle_job(Now::ZERO, &work);
    }
    let filled = resident().unwrap_or_default().saturating_sub(before);
    // The first call chooses the grouping and sorts every row to its company: that is what a busy lane holds.
    let Some((_, call)) = support::next_call(&mut lane, &mut Now::default()) else {
        println!("{kind}: the lane makes no call");
        return ExitCode::FAILURE;
    };
    let working = resident().unwrap_or_default().saturating_sub(before);
    let per_item = filled.max(working) / ITEMS as u64;
    println!(
        "{kind}, {name}: {} bytes per pending item when filled, {} with a call of {} in flight, at most {BUDGET}",
        filled / ITEMS as u64,
        working / ITEMS as u64,
        call.resources.len(),
    );
    drop(rows);
    if per_item > BUDGET { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Bytes of the process that are in memory now.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}
