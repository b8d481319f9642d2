//! What a lane counts of itself, against what happened.

use crate::{
    cloud::{Faults, Style},
    scenarios::{bulk, run, workload},
    script::{Event, Script, job, ms},
};
use tagmill::lane::{Cause, Now};

/// Jobs of one resource each, all alike.
fn alike(count: usize) -> Vec<(Now, Event)> {
    let one = |n: usize| job(&format!("j{n}"), &[&format!("i-{n}")], &[("env", "prod")], &[]);
    (0..count).map(|n| (Now::ZERO, Event::Job(one(n)))).collect()
}

#[test]
fn what_is_saved_is_one_call_a_job_less_the_calls_that_were_made() {
    let alone = |events| {
        let world = run(Script::calm(events));
        (world.counts().saved, world.calls)
    };
    assert_eq!(alone(alike(100)), (98, 2), "fifty jobs a call");
    assert_eq!(alone(bulk(100)), (0, 2), "a job that fills its calls saves none");
    // Fourteen tags of which ten go in one call: each job alone takes two.
    let (saved, calls) = alone(workload("wide", 500));
    assert_eq!(saved, 1_000 - calls, "{calls} calls");
    let (saved, calls) = alone(workload("event", 2_000));
    assert_eq!(saved, 2_000 - calls, "{calls} calls");
    // Nothing can be shared.
    assert_eq!(alone(workload("named", 300)).0, 0);
}

#[test]
fn a_bad_day_neither_saves_calls_nor_costs_what_was_saved() {
    let faults = Faults {
        throttle_first: 3,
        retry_after: Some(ms(200)),
        poison: ["i-7".to_owned()].into(),
        error_503: 0.1,
        ..Faults::none()
    };
    let world = run(Script { faults, ..Script::calm(alike(100)) });
    assert!(world.calls > 10, "{} calls", world.calls);
    assert_eq!(world.counts().saved, 98);
    assert_eq!(world.counts().causes[0], 1);
}

#[test]
fn a_lane_whose_rate_is_the_limit_waits_for_it_and_one_that_has_little_to_do_does_not() {
    let world = run(Script { concurrency: 8, ..Script::calm(workload("named", 500)) });
    let (limited, least) = (world.counts().limited.as_secs_f64(), 500.0 / 100.0 - 0.5);
    assert!(limited > least && limited < least + 1.0, "500 calls at 100 a second: {limited} s");
    let seldom =
        |n: usize| (ms(1_000 + 500 * n as u64), Event::Job(job(&format!("j{n}"), &["i-1"], &[("n", "1")], &[])));
    let world = run(Script::calm((0..20).map(seldom).collect()));
    assert_eq!(world.counts().limited, Now::ZERO);
    // A pause that the cloud asked for is a wait too.
    let faults = Faults { throttle_first: 1, retry_after: Some(ms(3_000)), ..Faults::none() };
    let limited = run(Script { faults, ..Script::calm(alike(1)) }).counts().limited;
    assert!(limited >= ms(3_000) && limited < ms(3_500), "{limited:?}");
}

#[test]
fn the_cause_of_a_death_is_that_of_the_failure_and_not_of_its_code() {
    // One code, denied for one resource and rejected for another.
    let faults = Faults {
        poison: ["i-1".to_owned(), "i-2".to_owned()].into(),
        denied: ["i-3".to_owned()].into(),
        poison_500: ["i-4".to_owned()].into(),
        ..Faults::none()
    };
    let script = Script { faults, style: Style::AllOrNothing, ..Script::calm(alike(20)) };
    let counts = run(script).counts();
    let of = |cause: Cause| counts.causes[Cause::ALL.iter().position(|known| *known == cause).unwrap()];
    assert_eq!((of(Cause::Rejected), of(Cause::Denied), of(Cause::Transient)), (2, 1, 1), "{counts:?}");
    assert_eq!(counts.dead, 4);
}
