//! Grouping: what becomes one job, what does not, and what is never lost or twice.

use super::*;
use crate::job::{
    Priority,
    parse::{self, Defaults},
};
use proptest::prelude::*;
use std::convert::Infallible;

const DIGEST: &str = "0123456789abcdef-and-more";

fn made() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// A row as a reader hands it over: without an id of its own it has one of the file's.
fn row(line: u64, lane: &str, value: &str, ids: &[&str]) -> Found {
    let job = Job {
        id: JobId::new(&format!("0123456789abcdef-{line}")).unwrap(),
        lane: LaneName::new(lane).unwrap(),
        resources: ids.iter().map(|id| Resource::plain(id)).collect(),
        set: [("env".into(), value.into())].into(),
        unset: [].into(),
        extras: crate::job::Extras::none(),
    };
    Found::Job { file: "f".into(), line, job, refused: Vec::new() }
}

fn change(found: Found, change: impl FnOnce(&mut Job)) -> Found {
    let Found::Job { file, line, mut job, refused } = found else { panic!("a bad row") };
    change(&mut job);
    Found::Job { file, line, job, refused }
}

fn own(found: Found, id: &str) -> Found {
    change(found, |job| job.id = JobId::new(id).unwrap())
}

fn pieces(rows: impl IntoIterator<Item = Found>) -> Vec<Piece> {
    let identity = Identity::new("b", made());
    // As on Alibaba Cloud's Tag service: two spellings of one resource.
    let mut grouping = Grouping::new(&identity, |_, resource: &Resource| resource.id.replace('*', "here"));
    let mut pieces = Vec::new();
    let mut emit = |piece| {
        pieces.push(piece);
        Ok::<(), Infallible>(())
    };
    for row in rows {
        let Ok(()) = grouping.add(DIGEST, row, &mut emit);
    }
    let Ok(()) = grouping.finish(&mut emit);
    pieces
}

fn jobs(rows: impl IntoIterator<Item = Found>) -> Vec<Job> {
    let job = |piece| match piece {
        Piece::Job(job) => job,
        Piece::Bad(_, bad) => panic!("{bad:?}"),
    };
    pieces(rows).into_iter().map(job).collect()
}

/// Lane, value and resources of each job.
fn shape(jobs: &[Job]) -> Vec<String> {
    let ids = |job: &Job| job.resources.iter().map(|resource| resource.id.to_string()).collect::<Vec<_>>().join(",");
    jobs.iter().map(|job| format!("{} {} {}", job.lane, job.set["env"], ids(job))).collect()
}

#[test]
fn neighbours_that_ask_for_the_same_are_one_job_lane_by_lane() {
    let rows = [
        row(1, "a", "x", &["1"]),
        row(2, "b", "x", &["1"]),
        row(3, "a", "x", &["2"]),
        row(4, "a", "y", &["1"]),
        row(5, "b", "x", &["2", "3"]),
        row(6, "a", "x", &["3"]),
    ];
    assert_eq!(shape(&jobs(rows)), ["a x 1,2", "a y 1", "a x 3", "b x 1,2,3"]);
}

#[test]
fn a_resource_that_comes_again_begins_a_new_job_under_whatever_name_it_comes() {
    let rows = [row(1, "a", "x", &["1", "*"]), row(2, "a", "x", &["2"]), row(3, "a", "x", &["here", "3"])];
    assert_eq!(shape(&jobs(rows)), ["a x 1,*,2", "a x here,3"]);
}

#[test]
fn rows_that_differ_in_anything_else_are_jobs_of_their_own() {
    let plain = || row(1, "a", "x", &["1"]);
    for other in [
        change(row(2, "a", "x", &["2"]), |job| job.unset = ["k".into()].into()),
        change(row(2, "a", "x", &["2"]), |job| job.extras.priority = Priority::Event),
        change(row(2, "a", "x", &["2"]), |job| job.extras.overwrite = false),
        change(row(2, "a", "x", &["2"]), |job| job.extras.created_at = Some(Timestamp::UNIX_EPOCH)),
        change(row(2, "a", "x", &["2"]), |job| job.extras.source = Some("else".into())),
    ] {
        assert_eq!(jobs([plain(), other]).len(), 2);
    }
}

#[test]
fn every_job_has_the_batch_a_time_and_an_id_that_comes_out_the_same_again() {
    let rows = || [row(1, "a", "x", &["1"]), row(2, "a", "y", &["1"]), own(row(3, "a", "y", &["2"]), "mine")];
    let first = jobs(rows());
    let prefix = Identity::new("b", made()).prefix;
    let ids: Vec<&str> = first.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(ids, [&*format!("{prefix}-1"), &*format!("{prefix}-2"), "mine"]);
    assert!(first.iter().all(|job| job.extras.batch.as_deref() == Some("b")));
    assert!(first.iter().all(|job| job.extras.created_at == Some(made())));
    assert_eq!(jobs(rows()), first);
    let later = Identity::new("b", Timestamp::from_second(1_800_000_001).unwrap());
    assert_ne!(later.prefix, prefix, "a later batch of the same name has other ids");
}

#[test]
fn a_job_with_an_id_of_its_own_stays_alone_and_in_its_place() {
    let rows = [
        row(1, "a", "x", &["1"]),
        own(row(2, "a", "x", &["2"]), "mine"),
        row(3, "a", "x", &["3"]),
        row(4, "b", "x", &["1"]),
    ];
    let jobs = jobs(rows);
    assert_eq!(shape(&jobs), ["a x 1", "a x 2", "a x 3", "b x 1"]);
    assert_eq!(jobs[1].id.as_str(), "mine");
}

#[test]
fn the_same_id_twice_is_told_and_the_second_job_is_a_dead_letter() {
    let rows = [own(row(1, "a", "x", &["1"]), "mine"), own(row(2, "b", "y", &["2"]), "mine")];
    let pieces = pieces(rows);
    let [Piece::Job(_), Piece::Bad(_, bad)] = &pieces[..] else { panic!("{pieces:?}") };
    assert_eq!((bad.code, bad.line), ("invalid", 2));
    assert!(bad.message.starts_with("id: "), "{}", bad.message);
    assert_eq!(parse::job(&bad.bytes, &Defaults::default()).unwrap().resources.len(), 1);
}

#[test]
fn too_many_resources_are_split_and_every_part_has_a_name() {
    let ids: Vec<String> = (0..2500).map(|n| format!("r-{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let parts = jobs([own(row(1, "a", "x", &ids), "mine")]);
    let names: Vec<&str> = parts.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(names, ["mine.1", "mine.2", "mine.3"]);
    assert_eq!(parts.iter().map(|job| job.resources.len()).collect::<Vec<_>>(), [1000, 1000, 500]);
    let long = "m".repeat(128);
    let parts = jobs([own(row(1, "a", "x", &ids), &long)]);
    assert!(parts.iter().all(|job| job.id.as_str().len() <= 128));
    let names: HashSet<&str> = parts.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(names.len(), 3);
    let grouped = jobs([row(1, "a", "x", &ids), row(2, "a", "x", &["more"])]);
    assert_eq!(grouped.iter().map(|job| job.resources.len()).collect::<Vec<_>>(), [1000, 1000, 501]);
}

#[test]
fn no_job_is_above_its_bytes_and_one_that_cannot_be_is_a_dead_letter() {
    let long: Vec<String> = (0..900).map(|n| format!("{n}-{}", "i".repeat(2000))).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    for rows in [vec![row(1, "a", "x", &long)], vec![own(row(1, "a", "x", &long), "mine")]] {
        let jobs = jobs(rows);
        assert_eq!(jobs.iter().map(|job| job.resources.len()).sum::<usize>(), 900);
        assert!(jobs.len() <= 8 && jobs.iter().all(|job| size(job) <= BYTES), "{}", jobs.len());
    }
    let tags = |count: usize| {
        move |job: &mut Job| {
            job.set.extend((0..count).map(|n| (format!("key-{n:0100}").into(), "v".repeat(256).into())));
        }
    };
    let heavy = jobs([change(row(1, "a", "x", &long), tags(1000))]);
    assert!(heavy.iter().all(|job| (BYTES..=MOST_BYTES).contains(&size(job)) || job.resources.len() < 100));
    let pieces = pieces([change(row(1, "a", "x", &["1"]), tags(3000))]);
    let [Piece::Bad(_, bad)] = &pieces[..] else { panic!("{}", pieces.len()) };
    assert!(bad.message.contains("1 MB"), "{}", bad.message);
}

#[test]
fn two_bad_rows_never_have_the_same_id() {
    let bad = |line| {
        Found::Bad(Bad {
            file: "f".into(),
            line,
            code: "invalid",
            message: "m".into(),
            lane: None,
            bytes: b"x".to_vec(),
        })
    };
    let names = |pieces: Vec<Piece>| -> Vec<String> {
        let name = |piece| match piece {
            Piece::Bad(id, _) => id,
            Piece::Job(job) => panic!("{job:?}"),
        };
        pieces.into_iter().map(name).collect()
    };
    let (first, again) = (names(pieces([bad(1), bad(1), bad(2)])), names(pieces([bad(1), bad(1), bad(2)])));
    assert_eq!(first, again);
    assert_eq!(first.iter().collect::<HashSet<_>>().len(), 3);
}

proptest! {
    #[test]
    fn each_lane_gets_its_rows_once_in_their_order(
        rows in prop::collection::vec((0..3_u8, 0..2_u8, prop::collection::vec(0..6_u8, 1..4), any::<bool>()), 0..60)
    ) {
        let mut wanted: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        let found = rows.iter().enumerate().map(|(at, (lane, value, ids, has_id))| {
            let (lane, value) = (format!("l{lane}"), format!("v{value}"));
            let mut ids: Vec<String> = ids.iter().map(|id| format!("r{id}")).collect();
            ids.sort();
            ids.dedup();
            let of = wanted.entry(lane.clone()).or_default();
            of.extend(ids.iter().map(|id| (id.clone(), value.clone())));
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let row = row(at as u64, &lane, &value, &ids);
            if *has_id { own(row, &format!("own-{at}")) } else { row }
        });
        let found: Vec<Found> = found.collect();
        let mut got: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        let mut names = HashSet::new();
        for job in jobs(found) {
            prop_assert!(names.insert(job.id.clone()), "an id twice");
            // A job of ours is one that every worker reads: no resource twice, no field wrong.
            let json = serde_json::to_vec(&job).unwrap();
            let read = parse::job(&json, &Defaults::default());
            prop_assert_eq!(read.as_ref(), Ok(&job));
            let of = got.entry(job.lane.to_string()).or_default();
            of.extend(job.resources.iter().map(|r| (r.id.to_string(), job.set["env"].to_string())));
        }
        prop_assert_eq!(got, wanted);
    }
}
