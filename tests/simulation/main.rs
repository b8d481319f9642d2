//! Thousands of random scripts of jobs, faults and interruptions in virtual time, each checked for every promise of a
//! lane. A failing seed prints the command that replays it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod cloud;
mod counting;
mod gate;
mod newborn;
mod scenarios;
mod script;
mod urgent;
mod world;

use std::panic;
use tagmill::lane::invariant::PROMISES;

/// Random scripts; half of them are for each of the two kinds of broker.
const SCRIPTS: u64 = 12_000;

fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("TAGMILL_SIM_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("TAGMILL_SIM_SCRIPTS").unwrap_or(SCRIPTS).div_ceil(2)).collect(),
    }
}

/// Runs every script against a broker of one kind; `name` is the test's.
fn run_scripts(marks: bool, name: &str) {
    let seeds = seeds();
    let alone = seeds.len() == 1;
    let failed: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2_usize)
            .map(|part| {
                let seeds = &seeds;
                scope.spawn(move || {
                    let mut failed = Vec::new();
                    for seed in seeds.iter().skip(part).step_by(2).copied() {
                        let run = move || world::World::new(script::Script::random(seed, marks), alone).run();
                        let broken = match panic::catch_unwind(run) {
                            Ok(Ok(())) => continue,
                            Ok(Err(broken)) => broken,
                            Err(_) => "panicked".to_owned(),
                        };
                        let promise = PROMISES.iter().find(|(number, _)| broken.starts_with(&format!("{number}:")));
                        let promise = promise.map_or("", |(_, words)| words);
                        failed.push(format!(
                            "{broken}\n    promise: {promise}\n    replay: TAGMILL_SIM_SEED={seed} cargo nextest run --test simulation {name}"
                        ));
                        if failed.len() >= 5 {
                            break;
                        }
                    }
                    failed
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker thread")).collect()
    });
    assert!(failed.is_empty(), "{} scripts broke a promise:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn every_promise_holds_in_every_random_script_with_marks() {
    run_scripts(true, "random_script_with_marks");
}

#[test]
fn every_promise_holds_in_every_random_script_without_marks() {
    run_scripts(false, "random_script_without_marks");
}
