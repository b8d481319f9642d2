//! A fleet for people and for programs.

use crate::{
    broker::rabbitmq::control::WorkerReport,
    cli::report::{self, Cell, Output, Table},
    fleet::look::Snapshot,
};
use jiff::Timestamp;
use std::{fmt::Write as _, time::Duration};

/// The fleet as text.
pub(super) fn text(fleet: &Snapshot, output: Output, now: Timestamp) -> String {
    match output {
        Output::Table => table(fleet, now),
        Output::Json => format!("{}\n", fleet.document()),
        Output::Ndjson => fleet.lanes.iter().fold(String::new(), |mut lines, each| {
            // Writing to a String cannot fail.
            let _ = writeln!(lines, "{}", fleet.lane_document(each));
            lines
        }),
    }
}

fn table(fleet: &Snapshot, now: Timestamp) -> String {
    let mut table = Table::new(&["lane", "state", "ready", "held", "oldest", "calls/s", "worker", ""]);
    for lane in &fleet.lanes {
        let owner = lane.owner.as_ref();
        let number = |number: Option<u64>| Cell::right(number.map_or_else(|| "-".to_owned(), report::thousands));
        let oldest = owner.and_then(|(_, report)| report.oldest_seconds);
        let rate = |report: &crate::broker::rabbitmq::control::LaneReport| {
            format!("{:.1} of {:.1}", report.rate, report.ceiling)
        };
        table.row(vec![
            Cell::text(lane.name.as_str()),
            Cell::text(lane.state().text()),
            number(lane.queue.map(|queue| queue.ready)),
            number(owner.map(|(_, report)| report.held)),
            Cell::right(oldest.map_or_else(|| "-".to_owned(), |age| report::duration(Duration::from_secs(age)))),
            Cell::right(owner.map_or_else(|| "-".to_owned(), |(_, report)| rate(report))),
            Cell::text(owner.map_or("-", |(worker, _)| worker)),
            Cell::text(&lane.notes(&fleet.workers).join("; ")),
        ]);
    }
    let mut text = table.render();
    let count = |number: Option<u64>| number.map_or_else(|| "none declared".to_owned(), report::thousands);
    let (dead, poison, unrouted) = (count(fleet.dead), count(fleet.poison), count(fleet.unrouted));
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\ndead letters: {dead}; handed out too often: {poison}; for unknown lanes: {unrouted}");
    match fleet.workers.as_slice() {
        [] => text.push_str("no worker has answered\n"),
        workers => workers.iter().for_each(|each| {
            let _ = writeln!(text, "worker {}", worker(each, now));
        }),
    }
    text
}

fn worker(report: &WorkerReport, now: Timestamp) -> String {
    let WorkerReport { worker, host, pid, version, started_at, lanes, .. } = report;
    let active = lanes.iter().filter(|lane| lane.held > 0).count();
    let age = Duration::try_from(now.duration_since(*started_at)).unwrap_or_default();
    let age = report::duration(age);
    let (worker, host, version) = (report::plain(worker), report::plain(host), report::plain(version));
    format!("{worker}: {host}, process {pid}, version {version}, up {age}, {active} of {} lanes at work", lanes.len())
}
