//! Named situations with exact expectations.

#[path = "../support/workload.rs"]
mod workload;

use crate::{
    cloud::{Faults, Style},
    script::{Event, Script, job, ms},
    world::World,
};
use std::time::Duration;
use tagmill::{
    job::Priority,
    lane::{Note, Now},
    plan::Caps,
};

fn ids(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("i-{n}")).collect()
}

/// One job over `n` resources.
pub fn bulk(n: usize) -> Vec<(Now, Event)> {
    let ids = ids(n);
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    vec![(Now::ZERO, Event::Job(job("bulk", &ids, &[("env", "prod")], &[])))]
}

/// One job per row of a workload, all at once.
pub fn workload(kind: &str, count: usize) -> Vec<(Now, Event)> {
    workload::rows(kind, count, 1)
        .iter()
        .enumerate()
        .map(|(n, row)| {
            let set: Vec<(&str, &str)> = row.tags.iter().map(|(key, value)| (&**key, &**value)).collect();
            (Now::ZERO, Event::Job(job(&format!("j{n}"), &[&row.id], &set, &[])))
        })
        .collect()
}

pub fn run(script: Script) -> World {
    let mut world = World::new(script, false);
    world.drive().expect("no promise is broken");
    world.check_end().expect("the end is right");
    world
}

fn dead(world: &World) -> Vec<(String, String, u32)> {
    let failures = world.messages.iter().flat_map(|message| &message.dead);
    failures.map(|dead| (dead.resource.id.to_string(), dead.code.clone(), dead.attempts)).collect()
}

fn paused(world: &World) -> Vec<&str> {
    let notes = world.notes.iter();
    notes.filter_map(|(_, note)| if let Note::Paused(why, _) = note { Some(&**why) } else { None }).collect()
}

#[test]
fn one_bad_id_among_fifty_costs_at_most_thirteen_calls_and_the_others_are_tagged() {
    for bad in 0..50 {
        let faults = Faults { poison: [format!("i-{bad}")].into(), ..Faults::none() };
        let world = run(Script { faults, ..Script::calm(bulk(50)) });
        assert_eq!(dead(&world), [(format!("i-{bad}"), "NotFound".into(), 1)]);
        assert!(world.calls <= 13, "bad id at {bad}: {} calls", world.calls);
    }
}

#[test]
fn a_throttled_call_of_fifty_goes_again_as_one_call() {
    let mut script = Script::calm(bulk(50));
    script.faults.throttle_first = 1;
    script.faults.retry_after = Some(ms(1_500));
    let world = run(script);
    assert_eq!(
        world.cloud.log.iter().map(|(_, size, word)| (*size, *word)).collect::<Vec<_>>(),
        [(50, "throttled"), (50, "ok")]
    );
    assert!(dead(&world).is_empty());
}

#[test]
fn only_the_throttled_resources_of_a_named_reply_go_again_and_they_go_together() {
    let mut script = Script::calm(bulk(20));
    script.style = Style::Named;
    script.faults.poison = ["i-3".to_owned()].into();
    script.faults.named_throttled_once = (8..18).map(|n| format!("i-{n}")).collect();
    let world = run(script);
    assert_eq!(dead(&world), [("i-3".into(), "NotFound".into(), 1)]);
    assert_eq!(world.calls, 2);
}

#[test]
fn half_an_hour_of_503_dead_letters_nothing_and_costs_single_probes_only() {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    for code in ["http_503", "InternalError"] {
        let outages = vec![(ms(100), minutes(30))];
        let faults = Faults { outages, outage_code: code, ..Faults::none() };
        let world = run(Script { faults, max_attempts: 3, ..Script::calm(bulk(5_000)) });
        assert!(dead(&world).is_empty(), "{code}: {:?}", dead(&world));
        let during: Vec<usize> = world
            .cloud
            .log
            .iter()
            .filter(|(at, ..)| *at > ms(1_500) && *at < minutes(30))
            .map(|(_, size, _)| *size)
            .collect();
        assert!(during.len() < 60, "{} calls in half an hour", during.len());
        assert!(during.iter().all(|size| *size == 1), "probes are of one resource");
    }
}

#[test]
fn what_failed_while_an_outage_began_has_all_its_attempts_afterwards() {
    let minute = Duration::from_mins(1);
    let faults = Faults {
        outages: vec![(ms(0), minute)],
        outage_code: "InternalError",
        // The first call is the probe that ends the outage, the second is of the other resource.
        error_500_at: Some((minute, 1)),
        ..Faults::none()
    };
    let caps = Caps { resources: 1, tags: 10, keys: 10 };
    let world = run(Script { faults, caps, max_attempts: 2, ..Script::calm(bulk(2)) });
    assert!(dead(&world).is_empty(), "{:?}", dead(&world));
}

#[test]
fn an_outage_told_resource_by_resource_kills_nothing() {
    for max_attempts in 1..=4 {
        let outages = vec![(ms(50), Duration::from_mins(30))];
        let faults = Faults { outages, outage_code: "named", ..Faults::none() };
        let script = Script { style: Style::Named, per_second: 2.0, max_attempts, faults, ..Script::calm(bulk(500)) };
        assert_eq!(dead(&run(script)), [], "{max_attempts} attempts");
    }
}

#[test]
fn resources_that_never_become_ready_cost_their_attempts_and_no_more() {
    for (n, outage) in [(10, 0), (40, 60)] {
        let outages = vec![(ms(0), Duration::from_secs(outage))];
        let faults = Faults { outages, not_ready_from: Some(ms(0)), ..Faults::none() };
        let world = run(Script { faults, ..Script::calm(bulk(n)) });
        assert_eq!(dead(&world).len(), n);
        assert!(world.calls < 12 * n as u64, "{n}: {} calls", world.calls);
    }
}

#[test]
fn what_comes_too_early_spends_no_attempt_and_makes_no_outage() {
    let until = Duration::from_mins(10);
    let faults = Faults { too_early_until: Some(until), ..Faults::none() };
    let caps = Caps { resources: 1, tags: 10, keys: 10 };
    let world = run(Script { faults, caps, max_attempts: 1, ..Script::calm(bulk(8)) });
    assert_eq!(dead(&world), []);
    assert!(!world.notes.iter().any(|(_, note)| matches!(note, Note::OutageBegan(..))), "{:?}", world.notes);
    let before = world.cloud.log.iter().filter(|(at, ..)| *at < until).count();
    assert!((8..200).contains(&before), "{before} calls in ten minutes");
}

#[test]
fn where_a_write_replaces_the_set_one_call_does_all_that_is_pending_on_a_resource() {
    let first = job("first", &["i-1", "i-2"], &[("env", "dev"), ("team", "a")], &["old"]);
    let second = job("second", &["i-2", "i-1"], &[("env", "prod")], &["team"]);
    let events = vec![(Now::ZERO, Event::Job(first)), (Now::ZERO, Event::Job(second))];
    let world = run(Script { caps: Caps::WHOLE, ..Script::calm(events) });
    assert_eq!(world.calls, 2);
    for resource in ["i-1", "i-2"] {
        assert_eq!(world.cloud.tags[resource].iter().collect::<Vec<_>>(), [(&"env".into(), &"prod".into())]);
    }
}

#[test]
fn follow_ups_count_in_the_receipt_of_every_job_they_speak_for() {
    let first = job("first", &["i-1", "i-2"], &[("env", "dev")], &[]);
    let second = job("second", &["i-2"], &[("team", "a")], &[]);
    let events = vec![(Now::ZERO, Event::Job(first)), (Now::ZERO, Event::Job(second))];
    let faults = Faults { two_steps: 1.0, ..Faults::none() };
    let world = run(Script { caps: Caps::WHOLE, faults, ..Script::calm(events) });
    let calls = |n: usize| world.messages[n].receipt.as_ref().expect("a receipt").calls;
    assert_eq!((world.calls, calls(0), calls(1)), (4, 4, 2));
}

#[test]
fn two_resources_that_answer_a_bare_500_are_not_probed_for_ever() {
    let outages = vec![(ms(0), Duration::from_hours(2160))];
    let faults = Faults { outages, outage_code: "http_500", ..Faults::none() };
    let world = run(Script { faults, ..Script::calm(bulk(2)) });
    assert_eq!(dead(&world).len(), 2);
    assert!(world.calls < 200, "{} calls", world.calls);
}

#[test]
fn a_lane_that_may_not_touch_some_resources_tags_all_others_without_a_pause() {
    let scattered = |every: usize| (0..5_000).filter(|n| n % every == 3).map(|n| format!("i-{n}")).collect();
    let together = (0..400).map(|n| format!("i-{n}")).collect();
    for denied in [scattered(5), scattered(20), together] {
        for concurrency in [1, 2, 8] {
            let faults = Faults { denied: std::collections::BTreeSet::clone(&denied), ..Faults::none() };
            let world = run(Script { concurrency, faults, ..Script::calm(bulk(5_000)) });
            assert!(paused(&world).is_empty(), "{} denied, {concurrency} in flight", denied.len());
            assert_eq!(dead(&world).len(), denied.len());
        }
    }
}

#[test]
fn an_older_event_never_overtakes_newer_work_in_flight_or_after_a_crash() {
    let at = |seconds| jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(seconds);
    for (gap, crash) in [(0, false), (110, false), (110, true)] {
        let mut newer = job("newer", &["i-1"], &[("k", "bulk")], &[]);
        newer.extras.created_at = Some(at(100));
        let mut older = job("older", &["i-1"], &[("k", "event")], &[]);
        older.extras.created_at = Some(at(50));
        older.extras.priority = Priority::Event;
        let mut events = vec![(ms(0), Event::Job(newer)), (ms(gap), Event::Job(older))];
        events.extend(crash.then_some((ms(300), Event::Crash)));
        let mut world = World::new(Script { latency: (ms(500), ms(500)), ..Script::calm(events) }, false);
        world.drive().expect("no promise is broken");
        assert_eq!(world.cloud.tags["i-1"]["k"], "bulk", "{gap} ms later, crash: {crash}");
    }
}

#[test]
fn a_bad_resource_that_several_jobs_name_does_not_meet_fresh_work_again() {
    let mut events = Vec::new();
    let (all, other) = (ids(50), (100..400).map(|n| format!("i-{n}")).collect::<Vec<_>>());
    let names = |ids: &[String]| ids.to_vec();
    for (n, ids) in [names(&all), names(&all), names(&other)].iter().enumerate() {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        events.push((Now::ZERO, Event::Job(job(&format!("j{n}"), &ids, &[("env", "prod")], &[]))));
    }
    let faults = Faults { poison: ["i-7".to_owned()].into(), ..Faults::none() };
    let world = run(Script { faults, ..Script::calm(events) });
    assert_eq!(dead(&world).len(), 2, "it is dead for both jobs");
    let whole = world.cloud.log.iter().filter(|(_, size, word)| *size == 50 && *word == "rejected").count();
    assert_eq!(whole, 1, "{:?}", world.cloud.log);
}

#[test]
fn one_resource_that_makes_its_call_answer_500_for_ever_dies_alone() {
    for others in [0, 1, 500] {
        let faults = Faults { poison_500: ["i-7".to_owned()].into(), ..Faults::none() };
        let world = run(Script { faults, ..Script::calm(bulk(50 + others)) });
        assert_eq!(dead(&world), [("i-7".into(), "InternalError".into(), 8)], "{others} others");
    }
}

#[test]
fn a_few_resources_that_answer_500_for_ever_do_not_look_like_an_outage_at_the_end() {
    let poison_500 = ["i-7", "i-90", "i-91", "i-300"].map(str::to_owned).into();
    let world = run(Script { faults: Faults { poison_500, ..Faults::none() }, ..Script::calm(bulk(500)) });
    assert_eq!(dead(&world).len(), 4);
    let last = world.cloud.log.last().expect("a call").0;
    assert!(last < Duration::from_mins(10), "it took {last:?}");
}

#[test]
fn a_wrong_key_pauses_the_lane_and_nothing_is_dead() {
    let mut script = Script::calm(bulk(5_000));
    script.faults.expires_at = Some(ms(0));
    script.faults.revoked_until = Some(Duration::from_mins(15));
    let world = run(script);
    assert!(dead(&world).is_empty());
    assert_eq!(paused(&world).len(), 1);
    let early = world.cloud.log.iter().filter(|(at, ..)| *at < Duration::from_mins(15)).count();
    assert!(early <= 4, "{early} calls with a key that is refused");
}

#[test]
fn an_expired_token_is_refreshed_once_and_nothing_is_dead() {
    let mut script = Script::calm(bulk(5_000));
    script.faults.expires_at = Some(ms(300));
    let world = run(script);
    assert!(dead(&world).is_empty() && paused(&world).is_empty());
}

#[test]
fn a_permission_missing_on_everything_pauses_the_lane_within_a_few_calls_and_nothing_is_dead() {
    for (style, n) in [(Style::AllOrNothing, 5_000), (Style::Named, 5_000), (Style::AllOrNothing, 3), (Style::Named, 1)]
    {
        let faults = Faults { denied: ids(n).into_iter().collect(), grant_on_pause: true, ..Faults::none() };
        let world = run(Script { style, faults, ..Script::calm(bulk(n)) });
        assert!(dead(&world).is_empty(), "{style:?} {n}: {:?}", dead(&world));
        assert_eq!(paused(&world).len(), 1, "{style:?} {n}");
        let refused = world.cloud.log.iter().filter(|(.., word)| *word != "ok").count();
        assert!(refused <= 6, "{style:?} {n}: {refused} refused calls");
    }
}

#[test]
fn a_permission_missing_on_one_resource_makes_that_one_dead_and_pauses_nothing() {
    for style in [Style::AllOrNothing, Style::Named] {
        for denied in [0, 13, 49] {
            let faults = Faults { denied: [format!("i-{denied}")].into(), ..Faults::none() };
            let world = run(Script { style, faults, ..Script::calm(bulk(50)) });
            assert_eq!(dead(&world), [(format!("i-{denied}"), "Forbidden".into(), 1)], "{style:?}");
            assert!(paused(&world).is_empty());
        }
    }
}

#[test]
fn the_last_of_three_jobs_on_one_key_stands_everywhere_under_faults() {
    let faults = Faults { throttle: 0.1, error_500: 0.1, error_503: 0.1, lost_reply: 0.1, ..Faults::none() };
    let script = Script { faults, ..Script::calm(workload("conflict", 300)) };
    let world = run(script);
    assert!(world.cloud.tags.values().all(|tags| tags["stage"] == "last"));
}

#[test]
fn fourteen_tags_travel_in_calls_of_at_most_ten() {
    let world = run(Script::calm(workload("wide", 200)));
    assert!(world.cloud.tags.values().all(|tags| tags.len() == 14));
}

#[test]
fn a_rejected_value_leaves_the_earlier_one_and_kills_only_the_job_that_asked_for_it() {
    let events = vec![
        (Now::ZERO, Event::Job(job("good", &["i-1"], &[("k0", "v1")], &[]))),
        (Now::ZERO, Event::Job(job("bad", &["i-1"], &[("k0", "v2")], &[]))),
    ];
    let faults = Faults { bad_value: Some("v2".into()), ..Faults::none() };
    let world = run(Script { faults, ..Script::calm(events) });
    assert_eq!(dead(&world).len(), 1);
    assert_eq!(world.cloud.tags["i-1"]["k0"], "v1");
}

#[test]
fn a_job_that_sets_and_unsets_sets_first() {
    let events = vec![(Now::ZERO, Event::Job(job("rename", &["i-1"], &[("new", "v")], &["old"])))];
    let world = run(Script::calm(events));
    assert_eq!(world.calls, 2);
    assert_eq!(world.cloud.tags["i-1"].keys().collect::<Vec<_>>(), ["new"]);
}

#[test]
fn an_event_does_not_wait_behind_a_bulk_job() {
    let mut events = workload("named", 20_000);
    let mut event = job("event", &["i-new"], &[("owner", "alice")], &[]);
    event.extras.priority = Priority::Event;
    events.push((Duration::from_secs(10), Event::Job(event)));
    let script = Script { caps: Caps { resources: 1, tags: 10, keys: 10 }, ..Script::calm(events) };
    let mut world = World::new(script, false);
    world.drive().expect("no promise is broken");
    let finished = world.messages.last().and_then(|message| message.receipt.as_ref()).expect("a receipt").finished_at;
    let seconds = finished.as_millisecond() as f64 / 1000.0;
    assert!(seconds < 10.2, "tagged {seconds} s after the start, created at 10 s");
}

#[test]
fn work_done_with_calls_in_flight_needs_hardly_more_calls_than_the_plan() {
    for (kind, count, mark) in [("event", 2_000, 243), ("independent", 2_000, 208), ("wide", 500, 112)] {
        for (concurrency, latency) in [(1, 20), (2, 5), (2, 50)] {
            let script =
                Script { concurrency, latency: (ms(latency), ms(latency)), ..Script::calm(workload(kind, count)) };
            let world = run(script);
            eprintln!("{kind} {count}: {} calls, plan {mark}; {concurrency} in flight of {latency} ms", world.calls);
            assert!(world.calls * 100 <= mark * 103, "{kind}: {} calls, plan {mark}", world.calls);
        }
    }
}

#[test]
fn the_lane_learns_what_the_cloud_allows_and_uses_it() {
    for (allowed, ceiling, hint) in
        [(10.0, 10.0, None), (10.0, 20.0, Some(ms(1_000))), (10.0, 100.0, None), (5.0, 6.0, Some(ms(500)))]
    {
        let mut script = Script::calm(workload("named", 20_000));
        script.caps.resources = 1;
        script.per_second = ceiling;
        script.burst = 1;
        script.faults.limit = Some(allowed);
        script.faults.retry_after = hint;
        let world = run(script);
        // The first two minutes are for learning.
        let settled = Duration::from_mins(2);
        let log: Vec<_> = world.cloud.log.iter().filter(|(at, ..)| *at > settled).collect();
        let seconds = log.last().expect("calls").0.saturating_sub(settled).as_secs_f64();
        let ok = log.iter().filter(|(.., word)| *word == "ok").count() as f64;
        let throttled = log.iter().filter(|(.., word)| *word == "throttled").count() as f64;
        let (share, waste) = (ok / seconds / allowed, throttled / log.len() as f64);
        eprintln!("allowed {allowed}, ceiling {ceiling}: {share:.4} of it used, {waste:.4} throttled");
        assert!(share >= 0.98 && waste <= 0.01, "allowed {allowed}, ceiling {ceiling}: {share:.4}, {waste:.4}");
    }
}

#[test]
fn a_good_resource_gets_its_turn_before_bad_ones_that_are_older_where_the_cloud_allows_little() {
    for (concurrency, allowed) in [(1, 0.5), (3, 0.5), (3, 0.05), (3, 2.0)] {
        let poison_500 = ["i-0", "i-1"].map(str::to_owned).into();
        let faults = Faults { poison_500, limit: Some(allowed), ..Faults::none() };
        let caps = Caps { resources: 1, tags: 10, keys: 10 };
        let mut script = Script { faults, caps, concurrency, per_second: 48.0, burst: 3, ..Script::calm(bulk(3)) };
        script.latency = (ms(100), ms(300));
        let world = run(script);
        assert_eq!(dead(&world).len(), 2, "{concurrency} in flight, {allowed} allowed");
        let last = world.cloud.log.last().expect("a call").0;
        assert!(last < Duration::from_hours(2), "{concurrency} in flight, {allowed} allowed: it took {last:?}");
    }
}
