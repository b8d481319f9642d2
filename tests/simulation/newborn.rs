//! Resources that do not exist yet, and jobs that say for how long that may be.

use crate::{
    cloud::{Faults, Style},
    script::{Event, Script, job, ms, wall},
    world::World,
};
use std::{collections::BTreeMap, time::Duration};
use tagmill::{
    job::{Job, Priority},
    lane::{Dead, Note, Now},
    plan::Caps,
};

const ONE: Caps = Caps { resources: 1, tags: 10, keys: 10 };

/// A job whose resources may not exist before `until`.
fn patient(job: Job, until: Now) -> Event {
    let mut job = job;
    job.extras.not_found_until = Some(wall(until));
    Event::Job(job)
}

fn run(script: Script) -> World {
    let mut world = World::new(script, false);
    world.drive().expect("no promise is broken");
    world.check_end().expect("the end is right");
    world
}

/// When which resource died, of which code, after how many attempts.
fn deaths(world: &World) -> Vec<(Now, String, String, u32)> {
    let dead = |(at, note): &(Now, Note)| match note {
        Note::Dead(Dead { failure, .. }) => {
            Some((*at, failure.resource.id.to_string(), failure.code.clone(), failure.attempts))
        }
        _ => None,
    };
    world.notes.iter().filter_map(dead).collect()
}

fn is_calm(world: &World) -> bool {
    !world.notes.iter().any(|(_, note)| matches!(note, Note::OutageBegan(..) | Note::Paused(..)))
}

fn appears(ids: impl IntoIterator<Item = (String, Now)>) -> Faults {
    Faults { appears: ids.into_iter().collect(), ..Faults::none() }
}

fn minutes(n: u64) -> Now {
    Duration::from_mins(n)
}

#[test]
fn a_resource_that_appears_within_its_time_is_tagged_and_has_spent_no_attempt() {
    for style in [Style::AllOrNothing, Style::Named] {
        let ids: Vec<String> = (0..8).map(|n| format!("i-{n}")).collect();
        let names: Vec<&str> = ids.iter().map(String::as_str).collect();
        let events = vec![(Now::ZERO, patient(job("new", &names, &[("env", "prod")], &[]), minutes(15)))];
        let faults = appears(ids.iter().map(|id| (id.clone(), minutes(5))));
        let world = run(Script { faults, style, max_attempts: 1, ..Script::calm(events) });
        assert_eq!(deaths(&world), []);
        assert!(is_calm(&world), "{:?}", world.notes);
        assert!(world.calls < 8 * 20, "{} calls in five minutes", world.calls);
        if style == Style::Named {
            assert!(world.calls < 20, "they wait together: {} calls", world.calls);
        }
    }
}

#[test]
fn a_resource_that_never_appears_is_dead_as_soon_as_its_time_is_over_with_the_clouds_own_code() {
    let events = vec![
        (Now::ZERO, patient(job("new", &["i-1"], &[("env", "prod")], &[]), minutes(15))),
        (Now::ZERO, Event::Job(job("old", &["i-2"], &[("env", "prod")], &[]))),
    ];
    let faults = appears([("i-1".to_owned(), Now::MAX), ("i-2".to_owned(), Now::MAX)]);
    let world = run(Script { faults, caps: ONE, ..Script::calm(events) });
    let [(first, ..), (second, ..)] = deaths(&world)[..] else { panic!("{:?}", deaths(&world)) };
    assert!(first < ms(200), "without a time the first answer is final: {first:?}");
    assert!((minutes(15)..minutes(15) + ms(200)).contains(&second), "{second:?}");
    let words: Vec<_> = deaths(&world).into_iter().map(|(_, id, code, attempts)| (id, code, attempts)).collect();
    assert_eq!(words, [("i-2".into(), "NotThere".into(), 1), ("i-1".into(), "NotThere".into(), 1)]);
}

#[test]
fn what_is_not_there_yet_is_found_by_halving_and_the_other_49_are_tagged_at_once() {
    for bad in [0, 17, 49] {
        let ids: Vec<String> = (0..50).map(|n| format!("i-{n}")).collect();
        let names: Vec<&str> = ids.iter().map(String::as_str).collect();
        let events = vec![(Now::ZERO, patient(job("new", &names, &[("env", "prod")], &[]), minutes(15)))];
        let faults = appears([(format!("i-{bad}"), minutes(1))]);
        let world = run(Script { faults, ..Script::calm(events) });
        assert_eq!(deaths(&world), []);
        let before = world.cloud.log.iter().filter(|(at, ..)| *at < ms(1_500)).count();
        assert!(before <= 13, "{bad}: {before} calls");
        let tagged: usize =
            world.cloud.log.iter().filter(|(at, _, word)| *at < ms(1_500) && *word == "ok").map(|(_, n, _)| n).sum();
        assert_eq!(tagged, 49, "{bad}");
    }
}

#[test]
fn a_thousand_resources_that_do_not_exist_yet_hold_up_nobody_by_more_than_a_third() {
    let bulk: Vec<String> = (0..1_000).map(|n| format!("b-{n}")).collect();
    let names: Vec<&str> = bulk.iter().map(String::as_str).collect();
    let finish = |new: usize| {
        let mut events = Vec::new();
        let late: Vec<String> = (0..new).map(|n| format!("n-{n}")).collect();
        for id in &late {
            events.push((Now::ZERO, patient(job(id, &[id], &[("env", "prod")], &[]), minutes(60))));
        }
        // They are older than the work that they must not hold up.
        events.push((Now::ZERO, Event::Job(job("bulk", &names, &[("env", "prod")], &[]))));
        let faults = appears(late.iter().map(|id| (id.clone(), minutes(30))));
        let script = Script { faults, caps: ONE, per_second: 10.0, ..Script::calm(events) };
        let world = run(script);
        assert_eq!(deaths(&world), []);
        assert!(is_calm(&world), "{:?}", world.notes);
        // The thousandth success that is not one of the late ones: those come after half an hour.
        world.cloud.log.iter().filter(|(at, _, word)| *word == "ok" && *at < minutes(30)).map(|(at, ..)| *at).max()
    };
    let (alone, held_up) = (finish(0).unwrap(), finish(1_000).unwrap());
    // Each of them is asked once in its turn, as fresh work.
    let first_round = Duration::from_secs(100);
    assert!(held_up < (alone + first_round).mul_f64(1.4), "{alone:?} without them, {held_up:?} with them");
}

#[test]
fn an_event_whose_resource_appears_during_a_bulk_job_is_tagged_seconds_later() {
    let bulk: Vec<String> = (0..2_000).map(|n| format!("b-{n}")).collect();
    let names: Vec<&str> = bulk.iter().map(String::as_str).collect();
    let mut event = job("event", &["i-1"], &[("env", "prod")], &[]);
    event.extras.priority = Priority::Event;
    let events = vec![
        (Now::ZERO, Event::Job(job("bulk", &names, &[("env", "prod")], &[]))),
        (ms(10_000), patient(event, minutes(15))),
    ];
    let faults = appears([("i-1".to_owned(), ms(14_000))]);
    let mut world = World::new(Script { faults, caps: ONE, per_second: 10.0, ..Script::calm(events) }, false);
    world.drive().expect("no promise is broken");
    let receipt = world.messages[1].receipt.as_ref().expect("a receipt");
    assert!((3_000..15_000).contains(&receipt.duration_ms), "{} ms", receipt.duration_ms);
    assert!(
        world.cloud.log.iter().filter(|(at, ..)| *at > ms(30_000)).count() > 1_000,
        "the bulk job was still running"
    );
}

#[test]
fn of_two_jobs_on_one_resource_each_has_its_own_time() {
    for late_first in [true, false] {
        let with = patient(job("with", &["i-1"], &[("env", "prod"), ("a", "1")], &[]), minutes(5));
        let without = Event::Job(job("without", &["i-1"], &[("env", "dev"), ("b", "2")], &[]));
        let jobs = if late_first { [with, without] } else { [without, with] };
        let events: Vec<_> = jobs.into_iter().map(|job| (Now::ZERO, job)).collect();
        let faults = appears([("i-1".to_owned(), minutes(2))]);
        let world = run(Script { faults, ..Script::calm(events) });
        let [(at, ..)] = deaths(&world)[..] else { panic!("{:?}", deaths(&world)) };
        assert!(at < ms(500), "{at:?}");
        let dead: Vec<&str> =
            world.messages.iter().filter(|message| !message.dead.is_empty()).map(|m| m.job.id.as_str()).collect();
        assert_eq!(dead, ["without"]);
        let tags: Vec<_> = world.cloud.tags["i-1"].iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(tags, [("a", "1"), ("env", "prod")], "what the dead job asked for is not on it");
    }
}

#[test]
fn a_code_that_may_mean_something_else_kills_nobody_for_somebody_elses_tags() {
    // The older job cannot wait, and would be dead at once if the code were certain.
    let old = Event::Job(job("old", &["i-1"], &[("env", "dev")], &[]));
    let new = patient(job("new", &["i-1"], &[("owner", "a")], &[]), minutes(5));
    let mut faults = appears([("i-1".to_owned(), ms(40))]);
    faults.appears_perhaps = true;
    let world = run(Script { faults, ..Script::calm(vec![(Now::ZERO, old), (Now::ZERO, new)]) });
    assert_eq!(deaths(&world), [], "each was asked alone before anybody was given up");
}

#[test]
fn a_denied_resource_does_not_wait_for_its_verdict_until_others_exist() {
    let events = vec![
        (Now::ZERO, patient(job("new", &["i-1"], &[("env", "prod")], &[]), minutes(15))),
        (Now::ZERO, Event::Job(job("good", &["i-2"], &[("env", "prod")], &[]))),
        (Now::ZERO, Event::Job(job("denied", &["i-3"], &[("env", "prod")], &[]))),
    ];
    let mut faults = appears([("i-1".to_owned(), minutes(10))]);
    faults.denied = ["i-3".to_owned()].into();
    let world = run(Script { faults, caps: ONE, ..Script::calm(events) });
    let [(at, ..)] = deaths(&world)[..] else { panic!("{:?}", deaths(&world)) };
    assert!(at < ms(5_000), "{at:?}");
}

#[test]
fn waiting_for_a_resource_uses_up_no_retries_of_others() {
    // Three hundred answers of that kind, and then one call that fails once: it goes again within its first wait.
    let late: BTreeMap<String, Now> = (0..60).map(|n| (format!("n-{n}"), minutes(60))).collect();
    let names: Vec<&str> = late.keys().map(String::as_str).collect();
    let events = vec![
        (Now::ZERO, patient(job("new", &names, &[("env", "prod")], &[]), minutes(90))),
        (minutes(20), Event::Job(job("good", &["i-1"], &[("env", "prod")], &[]))),
    ];
    let mut faults = appears(late);
    faults.poison_500 = ["i-1".to_owned()].into();
    let world = run(Script { faults, caps: ONE, per_second: 0.5, burst: 1, ..Script::calm(events) });
    let good: Vec<_> = deaths(&world).into_iter().filter(|(_, id, ..)| id == "i-1").collect();
    let [(at, _, code, attempts)] = &good[..] else { panic!("{good:?}") };
    assert_eq!((code.as_str(), *attempts), ("InternalError", 8));
    assert!(*at < minutes(26), "{at:?}");
}

#[test]
fn give_up_after_bounds_the_wait_too() {
    let events = vec![(Now::ZERO, patient(job("new", &["i-1"], &[("env", "prod")], &[]), minutes(600)))];
    let faults = appears([("i-1".to_owned(), Now::MAX)]);
    let world = run(Script { faults, give_up_after: minutes(30), ..Script::calm(events) });
    let [(at, ..)] = deaths(&world)[..] else { panic!("{:?}", deaths(&world)) };
    assert!((minutes(30)..minutes(32)).contains(&at), "{at:?}");
}
