//! `aws-s3` in a lane: few requests, no job's failure is another's, and no write ever undoes one before it.

use crate::{
    buckets::{Faults, S3, Set},
    drive::{Drive, Manner, job},
};
use std::{collections::BTreeMap, time::Duration};
use tagmill::{
    lane::{Note, Now},
    provider::Settings,
};

fn settings() -> Settings {
    Settings { region: "us-east-1".into(), ..Settings::default() }
}

fn drive(faults: Faults, manner: Manner) -> Drive<S3> {
    Drive::new("aws-s3", settings(), manner, S3::new(faults, manner.seed))
}

fn names(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("bucket-{n:04}")).collect()
}

const HOUR: Duration = Duration::from_hours(1);

#[test]
fn two_jobs_on_a_thousand_buckets_are_a_thousand_reads_and_a_thousand_writes() {
    let mut drive = drive(Faults::default(), Manner::default());
    let buckets = names(1000);
    drive.publish(Now::ZERO, job("one", &buckets, &[("env", "prod")], &["old"]));
    drive.publish(Now::ZERO, job("two", &buckets, &[("owner", "alice")], &["older"]));
    for bucket in &buckets {
        drive.cloud.start(bucket, &[("old", "x"), ("keep", "y")]);
    }
    drive.run(HOUR);
    assert_eq!((drive.count("GET"), drive.count("PUT"), drive.requests.len()), (1000, 1000, 2000));
    for bucket in &buckets {
        let tags = drive.cloud.tags(bucket);
        assert_eq!(tags.keys().collect::<Vec<_>>(), ["env", "keep", "owner"]);
    }
    for index in [0, 1] {
        let receipt = drive.receipt(index);
        assert_eq!((receipt.tagged, receipt.dead, receipt.calls), (1000, 0, 2000), "follow-ups count for each job");
    }
}

#[test]
fn what_is_right_already_costs_one_read_and_is_reported_as_unchanged() {
    let mut drive = drive(Faults::default(), Manner::default());
    drive.cloud.start("bucket-0000", &[("env", "prod")]);
    drive.publish(Now::ZERO, job("one", &names(1), &[("env", "prod")], &["gone"]));
    drive.run(HOUR);
    assert_eq!((drive.receipt(0).unchanged, drive.receipt(0).calls, drive.requests.len()), (1, 1, 1));
}

#[test]
fn the_job_that_overflows_a_bucket_is_dead_and_the_others_go_on() {
    let mut drive = drive(Faults::default(), Manner::default());
    let held: Vec<String> = (0..46).map(|n| format!("held{n:02}")).collect();
    let held: Vec<(&str, &str)> = held.iter().map(|key| (key.as_str(), "v")).collect();
    drive.cloud.start("bucket-0000", &held);
    let buckets = names(2);
    drive.publish(Now::ZERO, job("one", &buckets, &[("a1", "v"), ("a2", "v")], &[]));
    drive.publish(Now::ZERO, job("two", &buckets, &[("b1", "v"), ("b2", "v"), ("b3", "v")], &[]));
    drive.publish(Now::ZERO, job("three", &buckets, &[("c1", "v")], &["held00"]));
    drive.run(HOUR);
    let dead: Vec<_> = drive.messages.iter().map(|message| message.dead.len()).collect();
    assert_eq!(dead, [0, 1, 0]);
    let letter = &drive.messages[1].dead[0];
    assert_eq!((&*letter.resource.id, letter.code.as_str()), ("bucket-0000", "tag_quota"));
    assert!(letter.applied_keys.is_empty());
    let tags = drive.cloud.tags("bucket-0000");
    assert_eq!(tags.len(), 46 + 2 + 1 - 1);
    assert!(["a1", "a2", "c1"].iter().all(|key| tags.contains_key(*key)) && !tags.contains_key("b1"));
    assert_eq!(drive.cloud.tags("bucket-0001").len(), 6, "the same jobs on a bucket with room");
}

#[test]
fn sixty_keys_of_two_jobs_go_by_job_and_not_by_the_alphabet() {
    let mut drive = drive(Faults::default(), Manner::default());
    let keys = |letter: &str| (0..30).map(|n| format!("{letter}{n:02}")).collect::<Vec<_>>();
    let (early, late) = (keys("z"), keys("a"));
    let pairs = |keys: &'static [String]| keys.iter().map(|key| (key.as_str(), "v")).collect::<Vec<_>>();
    let (early, late) = (pairs(early.leak()), pairs(late.leak()));
    drive.publish(Now::ZERO, job("one", &names(1), &early, &[]));
    drive.publish(Now::ZERO, job("two", &names(1), &late, &[]));
    drive.run(HOUR);
    assert_eq!((drive.receipt(0).tagged, drive.receipt(1).dead), (1, 1));
    assert!(drive.cloud.tags("bucket-0000").keys().all(|key| key.starts_with('z')));
}

#[test]
fn a_read_behind_the_last_write_is_waited_for_without_spending_an_attempt() {
    let faults = Faults { stale: 1.0, stale_for: Duration::from_secs(20), ..Faults::default() };
    let mut stale_reads = 0;
    for seed in 0..20 {
        let mut drive = drive(faults.clone(), Manner { max_attempts: 1, seed, ..Manner::default() });
        drive.publish(Duration::from_secs(100), job("one", &names(1), &[("env", "prod")], &[]));
        drive.publish(Duration::from_secs(101), job("two", &names(1), &[("owner", "alice")], &[]));
        drive.run(HOUR);
        assert_eq!((drive.receipt(0).tagged, drive.receipt(1).tagged), (1, 1), "seed {seed}");
        assert_eq!(drive.cloud.tags("bucket-0000").len(), 2, "seed {seed}");
        assert!(!drive.notes.iter().any(|note| matches!(note, Note::OutageBegan(..))));
        stale_reads += drive.cloud.stale_reads;
    }
    assert!(stale_reads > 10, "{stale_reads} stale reads");
}

#[test]
fn a_lane_that_takes_over_does_not_undo_what_the_one_before_it_has_reported() {
    let faults = Faults { stale: 1.0, stale_for: Duration::from_secs(50), ..Faults::default() };
    let mut drive = drive(faults, Manner::default());
    let start = Duration::from_secs(100);
    drive.publish(start, job("one", &names(1), &[("env", "prod")], &[]));
    drive.run(start + Duration::from_secs(5));
    assert!(drive.messages[0].acked, "the first job is done");
    drive.take_over();
    let taken = drive.now;
    drive.publish(drive.now, job("two", &names(1), &[("owner", "alice")], &[]));
    drive.run(HOUR);
    assert_eq!(drive.cloud.tags("bucket-0000").len(), 2);
    let first = drive.requests.iter().find(|(at, ..)| *at >= taken).unwrap().0;
    assert!(first >= taken + Duration::from_mins(1), "the first request at {first:?}, taken over at {taken:?}");
}

#[test]
fn buckets_with_access_by_tags_are_tagged_through_s3_control() {
    let controlled = names(3).into_iter().collect();
    let faults = Faults { controlled, ..Faults::default() };
    let settings = Settings { account_id: Some("123456789012".into()), ..settings() };
    let mut drive = Drive::new("aws-s3", settings, Manner::default(), S3::new(faults, 1));
    for bucket in names(4) {
        drive.cloud.start(&bucket, &[("old", "x"), ("keep", "y")]);
    }
    drive.publish(Now::ZERO, job("one", &names(4), &[("env", "prod")], &["old"]));
    drive.run(HOUR);
    assert_eq!(drive.receipt(0).tagged, 4);
    for bucket in names(4) {
        assert_eq!(drive.cloud.tags(&bucket).keys().collect::<Vec<_>>(), ["env", "keep"], "{bucket}");
    }
}

/// What a job does to the tags of a bucket; says whether anything was to be done.
fn one_by_one(tags: &mut Set, set: &[(&str, &str)], unset: &[&str], overwrite: bool) -> bool {
    let before = tags.clone();
    for (key, value) in set {
        if overwrite || !tags.contains_key(*key) {
            tags.insert((*key).to_owned(), (*value).to_owned());
        }
    }
    for key in unset {
        tags.remove(*key);
    }
    *tags != before
}

/// Jobs that come together on one bucket: the tags are those of the jobs in order, and a job that does not overwrite is
/// unchanged exactly when each of its keys had a value when its turn came.
fn each_is_told_what_it_did(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut drive = drive(Faults::default(), Manner { seed, ..Manner::default() });
    let (bucket, keys) = (names(1), ["a", "b", "c", "d"]);
    let start: Vec<(&str, &str)> = keys.iter().filter(|_| rng.bool()).map(|key| (*key, "there")).collect();
    drive.cloud.start(&bucket[0], &start);
    let mut expected = drive.cloud.tags(&bucket[0]);
    let mut jobs = Vec::new();
    for n in 0..rng.usize(1..6) {
        let value = format!("v{}", rng.u8(0..3));
        let overwrite = rng.u8(..3) == 0;
        let chosen: Vec<&str> = keys.iter().filter(|_| rng.bool()).copied().collect();
        let gone: Vec<&str> = keys.iter().filter(|key| rng.u8(..6) == 0 && !chosen.contains(*key)).copied().collect();
        let set: Vec<(&str, &str)> = chosen.iter().map(|key| (*key, value.as_str())).collect();
        if set.is_empty() && gone.is_empty() {
            continue;
        }
        let changed = one_by_one(&mut expected, &set, &gone, overwrite);
        let mut job = job(&format!("j{n}"), &bucket, &set, &gone);
        job.extras.overwrite = overwrite;
        drive.publish(Duration::from_secs(1_000), job.clone());
        jobs.push((job, changed));
    }
    drive.run(Duration::from_hours(2));
    assert_eq!(drive.cloud.tags(&bucket[0]), expected, "seed {seed}");
    for (index, (job, changed)) in jobs.iter().enumerate() {
        // A later job that overwrites or removes one of its keys hides what was there: that counts as tagged.
        let keys: Vec<_> = job.set.keys().collect();
        let hidden = |later: &tagmill::job::Job| {
            keys.iter()
                .any(|key| later.unset.contains(*key) || (later.extras.overwrite && later.set.contains_key(*key)))
        };
        if job.extras.overwrite || !job.unset.is_empty() || jobs[index + 1..].iter().any(|(later, _)| hidden(later)) {
            continue;
        }
        let receipt = drive.receipt(index);
        let told = (receipt.tagged - receipt.superseded, receipt.unchanged);
        assert_eq!(told, (u64::from(*changed), u64::from(!*changed)), "seed {seed}: job {index} of {jobs:?}");
    }
}

#[test]
fn a_tag_that_is_there_is_left_alone_where_a_job_says_so_and_each_job_is_told_what_it_did() {
    (0..4_000).for_each(each_is_told_what_it_did);
}

/// A script of jobs, faults and take-overs from one seed; the tags at the end must be those of the jobs in order.
fn no_tag_is_lost(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut share = |most: f64| if rng.bool() { rng.f64() * most } else { 0.0 };
    let faults = Faults {
        stale: share(1.0),
        stale_for: Duration::from_secs_f64(share(55.0)),
        conflict: share(0.2),
        slow_down: share(0.1),
        error_500: share(0.1),
        lost_reply: share(0.2),
        ..Faults::default()
    };
    let manner = Manner {
        per_second: 1.0 + rng.f64() * 30.0,
        concurrency: rng.usize(1..5),
        max_attempts: 1000,
        latency: Duration::from_millis(rng.u64(1..3_000)),
        seed,
    };
    let settings = Settings { verify: rng.u8(..4) == 0, ..settings() };
    let mut drive = Drive::new("aws-s3", settings, manner, S3::new(faults, seed));
    let buckets = names(rng.usize(1..6));
    let mut expected: BTreeMap<String, Set> = BTreeMap::new();
    for bucket in &buckets {
        drive.cloud.start(bucket, &[("old", "x"), ("aws:stack", "s")]);
        expected.insert(bucket.clone(), drive.cloud.tags(bucket));
    }
    // Long after the buckets were made: their first state is what every read shows.
    let mut at = Duration::from_secs(1_000);
    for n in 0..rng.usize(2..12) {
        at += Duration::from_millis(rng.u64(0..40_000));
        let chosen: Vec<String> = buckets.iter().filter(|_| rng.bool()).cloned().collect();
        let key = format!("k{}", rng.u8(0..4));
        let value = format!("v{n}");
        let mut set = vec![(key.as_str(), value.as_str())];
        let (mut unset, overwrite) = (Vec::new(), rng.u8(..3) != 0);
        match rng.u8(..4) {
            0 => unset.push("old"),
            1 => set.push(("old", "y")),
            2 => unset.push(["k0", "k1", "k2", "k3"][(n + 1) % 4]),
            _ => {}
        }
        unset.retain(|gone| *gone != key);
        for bucket in &chosen {
            let tags = expected.get_mut(bucket).unwrap();
            one_by_one(tags, &set, &unset, overwrite);
        }
        if !chosen.is_empty() {
            let mut job = job(&format!("j{n}"), &chosen, &set, &unset);
            job.extras.overwrite = overwrite;
            drive.publish(at, job);
        }
    }
    for _ in 0..rng.usize(0..3) {
        drive.run(Duration::from_millis(rng.u64(1_000_000..1_400_000)).max(drive.now));
        drive.take_over();
    }
    drive.run(Duration::from_hours(48));
    for (index, message) in drive.messages.iter().enumerate() {
        assert!(message.acked && message.dead.is_empty(), "seed {seed}: job {index}: {:?}", message.dead);
    }
    for (bucket, tags) in expected {
        assert_eq!(drive.cloud.tags(&bucket), tags, "seed {seed}: {bucket}");
    }
}

#[test]
fn in_every_interleaving_every_jobs_tags_are_on_every_bucket() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("TAGMILL_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("TAGMILL_SIM_SCRIPTS").unwrap_or(2_000),
    };
    seeds.for_each(no_tag_is_lost);
}
