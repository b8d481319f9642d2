//! A random script: what is asked of the lane, how the cloud behaves, and who interrupts.

use crate::cloud::{Faults, Style};
use jiff::Timestamp;
use std::{collections::BTreeSet, time::Duration};
use tagmill::{
    job::{Extras, Job, JobId, LaneName, Priority, Resource, Trace},
    lane::{Cancel, Control, Now, Tuning},
    plan::Caps,
};

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a handful in a test")]
pub enum Event {
    Job(Job),
    Control(Control),
    /// The operator changes the config.
    Tune(Tuning),
    /// The lane ends by a drain; another owner takes over.
    Drain,
    /// The lane is lost without a word; another owner takes over.
    Crash,
}

#[derive(Clone, Debug)]
pub struct Script {
    pub seed: u64,
    pub caps: Caps,
    pub per_second: f64,
    pub burst: u32,
    pub concurrency: usize,
    pub max_attempts: u32,
    pub give_up_after: Duration,
    pub capacity: usize,
    pub latency: (Duration, Duration),
    pub style: Style,
    pub faults: Faults,
    pub events: Vec<(Now, Event)>,
    /// Confirms that the broker refuses the first time.
    pub nacks: f64,
    /// Whether the broker remembers marks. If not, an unsettled message comes back whole.
    pub marks: bool,
    /// Most time that a confirm or an ack is on its way.
    pub wire: Duration,
}

pub fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub fn job(id: &str, resources: &[&str], set: &[(&str, &str)], unset: &[&str]) -> Job {
    Job {
        id: JobId::new(id).expect("an id"),
        lane: LaneName::new("lane").expect("a name"),
        resources: resources.iter().map(|id| Resource::plain(id)).collect(),
        set: set.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        unset: unset.iter().map(|key| (*key).into()).collect(),
        extras: Extras::none(),
    }
}

impl Script {
    /// A calm script to build scenarios on: 50 x 10, 100 calls a second, 20 ms a call.
    pub fn calm(events: Vec<(Now, Event)>) -> Self {
        Self {
            seed: 1,
            caps: Caps { resources: 50, tags: 10, keys: 10 },
            per_second: 100.0,
            burst: 10,
            concurrency: 2,
            max_attempts: 8,
            give_up_after: Duration::from_hours(6),
            capacity: 100_000,
            latency: (ms(20), ms(20)),
            style: Style::AllOrNothing,
            faults: Faults::none(),
            events,
            nacks: 0.0,
            marks: true,
            wire: Duration::ZERO,
        }
    }

    /// The script of that number; two brokers act it out, with and without marks.
    pub fn random(seed: u64, marks: bool) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let names: Vec<String> = (0..rng.u32(1..40)).map(|n| format!("r{n}")).collect();
        let pick = |rng: &mut fastrand::Rng, most: usize| -> BTreeSet<String> {
            (0..rng.usize(0..=most)).filter_map(|_| rng.choice(&names).cloned()).collect()
        };
        let often = |rng: &mut fastrand::Rng, chance: f64, most: f64| {
            if rng.f64() < chance { rng.f64() * most } else { 0.0 }
        };
        let style = if rng.bool() { Style::AllOrNothing } else { Style::Named };
        let horizon = rng.u64(1_000..60_000);
        let mut outages = Vec::new();
        if rng.f64() < 0.25 {
            let from = rng.u64(0..horizon);
            outages.push((ms(from), ms(from + rng.u64(1_000..1_800_000))));
        }
        let expires_at = (rng.f64() < 0.15).then(|| ms(rng.u64(0..horizon)));
        let faults = Faults {
            throttle: often(&mut rng, 0.3, 0.4),
            retry_after: rng.bool().then(|| ms(rng.u64(1..20_000))),
            error_500: often(&mut rng, 0.3, 0.25),
            error_503: often(&mut rng, 0.3, 0.25),
            lost_reply: often(&mut rng, 0.3, 0.2),
            named_transient: often(&mut rng, 0.3, 0.3),
            poison: if rng.f64() < 0.4 { pick(&mut rng, 4) } else { BTreeSet::new() },
            poison_500: if rng.f64() < 0.25 { pick(&mut rng, 3) } else { BTreeSet::new() },
            denied: if rng.f64() < 0.2 { pick(&mut rng, 3) } else { BTreeSet::new() },
            bad_key: (rng.f64() < 0.1).then(|| format!("k{}", rng.u32(0..6))),
            bad_value: (rng.f64() < 0.1).then(|| format!("v{}", rng.u32(0..3))),
            outages,
            expires_at,
            revoked_until: expires_at.filter(|_| rng.bool()).map(|at| at + ms(rng.u64(1_000..600_000))),
            two_steps: often(&mut rng, 0.2, 0.8),
            limit: (rng.f64() < 0.2).then(|| rng.f64() * 20.0 + 0.5),
            outage_code: ["http_503", "http_503", "InternalError", "http_500", "named"][rng.usize(0..5)],
            ..Faults::none()
        };
        let mut events = Vec::new();
        for n in 0..rng.usize(1..25) {
            let at = if rng.bool() { 0 } else { rng.u64(0..horizon) };
            let count = if rng.bool() { 1 } else { rng.usize(1..=names.len()) };
            let resources: BTreeSet<&str> = (0..count).filter_map(|_| rng.choice(&names).map(String::as_str)).collect();
            let resources: Vec<&str> = resources.into_iter().collect();
            let keys: Vec<(String, String)> =
                (0..rng.usize(0..6)).map(|_| (format!("k{}", rng.u32(0..6)), format!("v{}", rng.u32(0..3)))).collect();
            let set: Vec<(&str, &str)> = keys.iter().map(|(key, value)| (&**key, &**value)).collect();
            let gone: Vec<String> = (0..rng.usize(0..3)).map(|_| format!("k{}", rng.u32(0..6))).collect();
            let unset: Vec<&str> =
                gone.iter().map(|key| &**key).filter(|key| !set.iter().any(|(other, _)| other == key)).collect();
            if set.is_empty() && unset.is_empty() {
                continue;
            }
            let mut job = job(&format!("j{n}"), &resources, &set, &unset);
            job.extras.priority = if rng.f64() < 0.2 { Priority::Event } else { Priority::Bulk };
            job.extras.batch = rng.bool().then(|| format!("b{}", rng.u32(0..2)).into());
            job.extras.trace =
                if rng.bool() { Trace::read(&format!("00-{:032x}-{:016x}-01", n + 1, n + 1), None) } else { None };
            events.push((ms(at), Event::Job(job)));
        }
        if rng.f64() < 0.2 {
            let at = rng.u64(0..horizon);
            events.push((ms(at), Event::Control(Control::Pause)));
            events.push((ms(at + rng.u64(1..600_000)), Event::Control(Control::Resume)));
        }
        if rng.f64() < 0.15 {
            let which = match rng.u32(0..3) {
                0 => Cancel::All,
                1 => Cancel::Job(JobId::new(&format!("j{}", rng.u32(0..25))).expect("an id")),
                _ => Cancel::Batch(format!("b{}", rng.u32(0..2)).into()),
            };
            events.push((ms(rng.u64(0..horizon)), Event::Control(Control::Cancel(which))));
        }
        let mut tuner = fastrand::Rng::with_seed(seed ^ 0x7e11);
        while tuner.f64() < 0.15 {
            let tuning = Tuning {
                per_second: tuner.f64() * 50.0 + 0.5,
                burst: tuner.u32(1..6),
                concurrency: tuner.usize(1..5),
                max_attempts: 8,
                give_up_after: Duration::from_hours(6),
            };
            events.push((ms(tuner.u64(0..horizon)), Event::Tune(tuning)));
        }
        // Without marks a crash puts more at stake, so there are more of them.
        for _ in 0..rng.usize(0..if marks { 3 } else { 6 }) {
            if rng.f64() < 0.3 {
                let event = if rng.bool() { Event::Drain } else { Event::Crash };
                events.push((ms(rng.u64(0..horizon)), event));
            }
        }
        let faults = late(seed, &names, horizon, faults, &mut events);
        events.sort_by_key(|(at, _)| *at);
        let slow = rng.u64(1..3_000);
        let cut = Caps { resources: rng.usize(1..8), tags: rng.usize(1..5), keys: rng.usize(1..4) };
        Self {
            seed,
            // Every eighth cloud replaces whole sets.
            caps: if seed % 8 == 7 { Caps::WHOLE } else { cut },
            per_second: if rng.f64() < 0.1 { 0.2 } else { rng.f64() * 50.0 + 0.5 },
            burst: rng.u32(1..6),
            concurrency: rng.usize(1..5),
            max_attempts: rng.u32(1..9),
            give_up_after: Duration::from_secs(if rng.f64() < 0.1 { 60 } else { 6 * 3600 }),
            capacity: if rng.f64() < 0.3 { rng.usize(1..30) } else { 100_000 },
            latency: (ms(1), ms(slow)),
            style,
            faults,
            events,
            nacks: if rng.f64() < 0.2 { 0.3 } else { 0.0 },
            marks,
            wire: if rng.bool() { ms(rng.u64(1..2_000)) } else { Duration::ZERO },
        }
    }
}

/// In every third script some resources appear late or never, and some jobs say that theirs may be new.
fn late(seed: u64, names: &[String], horizon: u64, faults: Faults, events: &mut [(Now, Event)]) -> Faults {
    let mut rng = fastrand::Rng::with_seed(seed ^ 0x1a7e);
    if rng.f64() > 0.33 {
        return faults;
    }
    let appears = (0..rng.usize(1..=names.len().min(8))).filter_map(|_| {
        let never = rng.f64() < 0.2;
        let at = if never { Now::MAX } else { ms(rng.u64(0..horizon * 3)) };
        Some((rng.choice(names)?.clone(), at))
    });
    let appears = appears.collect();
    for (at, event) in events {
        if let Event::Job(job) = event
            && rng.f64() < 0.6
        {
            let until = *at + ms(rng.u64(0..horizon * 4));
            job.extras.not_found_until = Some(wall(until));
        }
    }
    Faults { appears, appears_perhaps: rng.f64() < 0.3, ..faults }
}

/// A time of the simulation as the wall clock shows it.
pub fn wall(at: Now) -> Timestamp {
    Timestamp::from_nanosecond(at.as_nanos().cast_signed()).expect("a time")
}
