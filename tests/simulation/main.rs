//! Thousands of random scripts of jobs, faults and interruptions in virtual time, each checked for every promise of a
//! lane. A failing seed prints the command that replays it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod cloud;
mod scenarios;
mod script;
mod world;

use std::panic;
use tagmill::lane::invariant::PROMISES;

const SCRIPTS: u64 = 12_000;

fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("TAGMILL_SIM_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("TAGMILL_SIM_SCRIPTS").unwrap_or(SCRIPTS)).collect(),
    }
}

#[test]
fn every_promise_holds_in_every_random_script() {
    let seeds = seeds();
    let alone = seeds.len() == 1;
    let failed: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2_usize)
            .map(|part| {
                let seeds = &seeds;
                scope.spawn(move || {
                    let mut failed = Vec::new();
                    for seed in seeds.iter().skip(part).step_by(2).copied() {
                        let run = move || world::World::new(script::Script::random(seed), alone).run();
                        let broken = match panic::catch_unwind(run) {
                            Ok(Ok(())) => continue,
                            Ok(Err(broken)) => broken,
                            Err(_) => "panicked".to_owned(),
                        };
                        let promise = PROMISES.iter().find(|(number, _)| broken.starts_with(&format!("{number}:")));
                        let promise = promise.map_or("", |(_, words)| words);
                        failed.push(format!(
                            "{broken}\n    promise: {promise}\n    replay: TAGMILL_SIM_SEED={seed} cargo nextest run --test simulation random_script"
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
