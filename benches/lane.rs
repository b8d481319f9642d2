//! What the lane costs: processor time per item from job to receipt, and forming one call at backlogs of three sizes.

#[path = "support/lane.rs"]
mod support;
#[path = "../tests/support/workload.rs"]
mod workload;

use criterion::{BenchmarkId, Criterion, Throughput};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};
use tagmill::lane::{Lane, Now, Work};

/// Feeds every job, then lets the lane make its calls until nothing is left; says how many there were.
fn run(works: &[Work], marks: bool) -> u64 {
    let mut lane = support::lane(marks);
    let mut now = Now::ZERO;
    for work in works {
        lane.handle_job(now, work);
    }
    while let Some((id, call)) = support::next_call(&mut lane, &mut now) {
        support::answer(&mut lane, now, id, &call);
    }
    assert!(lane.is_idle(), "the lane ended before its work");
    lane.status().counts.calls
}

fn works(kind: &str, count: usize) -> Vec<Work> {
    workload::rows(kind, count, 1).iter().enumerate().map(|(n, row)| support::work(n, row)).collect()
}

fn per_item(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lane/item");
    group.sample_size(10);
    for count in [10_000, 100_000] {
        let works = works("event", count);
        println!("event/{count}: {} calls", run(&works, true));
        group.throughput(Throughput::Elements(count as u64));
        for (name, marks) in [("event", true), ("event without marks", false)] {
            group.bench_function(BenchmarkId::new(name, count), |bench| bench.iter(|| run(black_box(&works), marks)));
        }
    }
    group.finish();
}

/// A lane that has made its first call, so that its grouping is chosen, and its time.
fn backlog(works: &[Work]) -> (Lane, Now) {
    let mut lane = support::lane(true);
    let mut now = Now::ZERO;
    for work in works {
        lane.handle_job(now, work);
    }
    if let Some((id, call)) = support::next_call(&mut lane, &mut now) {
        support::answer(&mut lane, now, id, &call);
    }
    (lane, now)
}

/// Only the forming is timed, not the answers. The calls of one lane are few, so a fresh lane follows when a third of
/// the backlog is gone; choosing the grouping is outside too, it happens at most once a second.
#[allow(clippy::disallowed_methods, reason = "the benchmark leaves the refill out of the time, so it reads the clock")]
fn form_calls(works: &[Work], iterations: u64) -> Duration {
    let mut spent = Duration::ZERO;
    let mut left = iterations;
    while left > 0 {
        let (mut lane, mut now) = backlog(works);
        while left > 0 && lane.status().pending > works.len() * 2 / 3 {
            // The answers of the last call are not part of forming the next.
            now += Duration::from_micros(2);
            lane.handle_timeout(now);
            let began = Instant::now();
            let formed = support::next_call(&mut lane, &mut now);
            spent += began.elapsed();
            let Some((id, call)) = formed else { break };
            support::answer(&mut lane, now, id, &call);
            while let Some(action) = lane.poll_action() {
                if let tagmill::lane::Action::Emit(emit, ..) = action {
                    lane.handle_confirm(now, emit, true);
                }
            }
            left -= 1;
        }
    }
    spent
}

fn one_call(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lane/call");
    group.sample_size(10);
    // Calls of `uniform` are full at every backlog, so that the three are the same call.
    for count in [1_000, 10_000, 100_000] {
        let works = works("uniform", count);
        group.bench_function(BenchmarkId::new("uniform", count), |bench| {
            bench.iter_custom(|iterations| form_calls(&works, iterations));
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    per_item(&mut criterion);
    one_call(&mut criterion);
    criterion.final_summary();
}
