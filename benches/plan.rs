//! How long planning takes: every reference workload through `Preview`, from merged rows to the last call.

#[path = "../tests/support/workload.rs"]
mod workload;

use criterion::{BenchmarkId, Criterion, Throughput};
use std::{collections::BTreeMap, hint::black_box, sync::Arc};
use tagmill::{
    job::Resource,
    plan::{Caps, Preview, preview},
};

const TMS: Caps = Caps { resources: 50, tags: 10, keys: 10 };

/// Workload and resources, as in the table of call counts that `tests/plan` guards.
const WORKLOADS: &[(&str, usize)] = &[
    ("uniform", 10_000),
    ("event", 500),
    ("event", 2_000),
    ("event", 10_000),
    ("independent", 500),
    ("independent", 2_000),
    ("independent", 10_000),
    ("repeat", 10_000),
    ("named", 10_000),
    ("wide", 500),
    ("wide", 2_000),
    ("wide", 10_000),
    // Not in the table: the least that one window of a plan holds.
    ("event", 100_000),
];

fn gather(kind: &str, count: usize) -> Preview {
    let mut gathered = Preview::new(TMS);
    for row in workload::rows(kind, count, 1) {
        let resource = Resource { id: row.id.as_str().into(), kind: Some("ecs".into()), project: Some("p-1".into()) };
        let set: BTreeMap<Arc<str>, Arc<str>> =
            row.tags.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect();
        let name = |r: &Resource| (r.id.to_string(), "p-1".to_owned());
        gathered.add(std::iter::once(&resource), set.iter(), std::iter::empty(), name, str::to_owned);
    }
    gathered
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    let mut group = criterion.benchmark_group("plan");
    for (kind, count) in WORKLOADS {
        // Generating and gathering the workload is not planning; it happens once, outside the measurement.
        let gathered = gather(kind, *count);
        println!("{kind}/{count}: {} calls", preview(&gathered));
        group.throughput(Throughput::Elements(*count as u64));
        group.bench_function(BenchmarkId::new(*kind, count), |bench| bench.iter(|| preview(black_box(&gathered))));
    }
    group.finish();
    criterion.final_summary();
}
