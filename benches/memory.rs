//! What a pending item costs in memory: a lane is filled with 100,000 jobs of one resource each, and the growth of the
//! process is divided by them. Ends with 1 when an item costs more than its budget.

#[path = "support/lane.rs"]
mod support;
#[path = "../tests/support/workload.rs"]
mod workload;

use std::{
    env, fs,
    process::{Command, ExitCode},
};
use tagmill::lane::Now;

const ITEMS: usize = 100_000;
/// Bytes that one pending item may cost.
const BUDGET: u64 = 1024;
const WORKLOADS: &[&str] = &["event", "uniform"];

/// With the name of a workload it measures that one. Without, it runs itself once per workload: memory that one run
/// gave back to the allocator would make the next look cheaper than it is.
fn main() -> ExitCode {
    if let Some(kind) = env::args().skip(1).find(|arg| WORKLOADS.contains(&arg.as_str())) {
        return measure(&kind);
    }
    let Ok(own) = env::current_exe() else { return ExitCode::FAILURE };
    let passed = |kind: &&str| Command::new(&own).arg(kind).status().is_ok_and(|status| status.success());
    let failed = WORKLOADS.iter().filter(|kind| !passed(kind)).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(kind: &str) -> ExitCode {
    let mut lane = support::lane();
    // The rows stay alive to the end: nothing that the lane asks for comes out of what they give back.
    let rows = workload::rows(kind, ITEMS, 1);
    let Some(before) = resident() else {
        println!("{kind}: not measured, /proc/self/status is not there");
        return ExitCode::SUCCESS;
    };
    for (n, row) in rows.iter().enumerate() {
        lane.handle_job(Now::ZERO, &support::work(n, row));
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
        "{kind}: {} bytes per pending item when filled, {} with a call of {} in flight, at most {BUDGET}",
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
