//! Clouds that fail in every way they know: what can be tagged is tagged, the rest is dead with its reason.

use crate::support::{Clouds, Home, Tags, adds_up, cloud, lane, sums};
use std::{collections::BTreeMap, fmt::Write as _};
use tagmill::sim::{FailedItems, Faults, Rate, RetryAfter};

const LANES: [(&str, &str); 3] = [("tms", "huawei-tms"), ("ecs", "alibaba-ecs"), ("tag", "alibaba-tag")];

/// The id in a file, the type, and the cloud's name of a resource.
fn resource(lane: &str, id: &str) -> (String, &'static str, String) {
    match lane {
        "tms" => (id.to_owned(), "disk", format!("disk/{id}")),
        "ecs" => (id.to_owned(), "instance", format!("instance/{id}")),
        _ => {
            let arn = format!("arn:acs:ecs:cn-hangzhou:1:instance/{id}");
            (arn.clone(), "", arn)
        }
    }
}

#[test]
fn three_faulty_clouds_end_with_every_good_resource_right_and_exactly_the_poison_dead() {
    let per_lane = 600;
    let clouds = Clouds::with(|clouds| {
        for (name, limit) in [("huawei-tms", 40.0), ("alibaba-ecs", 60.0), ("alibaba-tag", 50.0)] {
            let cloud = cloud(clouds, name);
            cloud.rate = Some(Rate::new(limit, 5.0));
            cloud.faults = Faults {
                error_500: 0.03,
                error_502: 0.02,
                error_503: 0.03,
                reset_before: 0.02,
                reset_after: 0.02,
                truncated: 0.03,
                transient_items: if name == "alibaba-ecs" { 0.0 } else { 0.01 },
                ..Faults::default()
            };
        }
        cloud(clouds, "alibaba-ecs").retry_after = Some(RetryAfter::Milliseconds(300));
        let failed =
            |code: &str| vec![FailedItems { id: "poison-*".into(), code: code.into(), message: "not this one".into() }];
        cloud(clouds, "huawei-tms").faults.failed_items = failed("TMS.0002");
        cloud(clouds, "alibaba-tag").faults.failed_items = failed("InvalidResourceId.NotFound");
        cloud(clouds, "alibaba-ecs").faults.unknown = vec!["poison-*".into()];
    });
    let home =
        Home::new(&LANES.map(|(name, _)| {
            lane(name, &clouds.url(), "rate: { per_second: 70, burst: 5 }\nretry: { max_attempts: 12 }")
        }));
    let mut rng = fastrand::Rng::with_seed(2);
    let mut csv = "id,type,lane,env,owner,app\n".to_owned();
    let mut wanted: BTreeMap<&str, Tags> = BTreeMap::new();
    let mut poison = Vec::new();
    for n in 0..per_lane {
        for (lane, cloud) in LANES {
            let bad = n % 97 == 13;
            let (id, kind, key) = resource(lane, &format!("{}-{lane}-{n}", if bad { "poison" } else { "good" }));
            let (env, owner, app) = (rng.usize(..3), rng.usize(..12), rng.usize(..4));
            writeln!(csv, "{id},{kind},{lane},e{env},o{owner},a{app}").unwrap();
            if bad {
                poison.push(id);
            } else {
                let tags = [("env", format!("e{env}")), ("owner", format!("o{owner}")), ("app", format!("a{app}"))];
                let tags = tags.map(|(key, value)| (key.to_owned(), value)).into();
                wanted.entry(cloud).or_default().insert(key, tags);
            }
        }
    }
    home.write("all.csv", &csv);
    let (done, ledger) = home.apply(&["all.csv"]);
    assert_eq!(done.code, 1, "{done:?}");
    let (all, dead) = (per_lane * 3, poison.len() as u64);
    assert_eq!(sums(&ledger), [all, all - dead, dead, 0], "{ledger}");
    for (_, cloud) in LANES {
        assert_eq!(clouds.tags(cloud), wanted[cloud], "{cloud}");
    }

    let failures = home.failures();
    poison.sort();
    assert_eq!(failures.keys().cloned().collect::<Vec<_>>(), poison);
    for failure in failures.values() {
        let text = |name: &str| failure[name].as_str().unwrap_or_default();
        let codes = ["TMS.0002", "InvalidResourceId.NotFound"];
        assert!(codes.contains(&text("code")) && !text("message").is_empty(), "{failure}");
        assert!(failure["attempts"].as_u64() >= Some(1), "{failure}");
        assert!(!text("request_id").is_empty(), "{failure}");
        assert!(failure["line"].as_u64() >= Some(2), "{failure}");
    }

    // Every request was counted, by both sides.
    for (lane, cloud) in LANES {
        let lines = ledger["lanes"].as_array().unwrap();
        let line = lines.iter().find(|line| line["name"] == lane).unwrap();
        let counts = clouds.counts(cloud);
        assert_eq!(line["calls"], counts.requests, "{lane}: {counts:?}");
        assert_eq!(line["throttled"], counts.outcomes.throttled, "{lane}: {counts:?}");
        assert_eq!((counts.overlapping, counts.before_retry_after), (0, 0), "{lane}: {counts:?}");
        let o = &counts.outcomes;
        assert!(o.throttled > 0 && o.error_500 + o.error_502 + o.error_503 + o.reset + o.truncated > 0, "{o:?}");
    }
}

#[test]
fn one_bad_id_of_fifty_costs_at_most_13_calls_and_only_itself() {
    let clouds = Clouds::start();
    clouds.faults("alibaba-rds", Faults { unknown: vec!["gone".into()], ..Faults::default() });
    let home = Home::new(&[lane("rds", &clouds.url(), "")]);
    for bad in [0, 23, 49] {
        let ids = (0..50).map(|n| if n == bad { "gone".to_owned() } else { format!("rm-{bad}-{n}") });
        home.write("rds.csv", &ids.fold("id,env\n".to_owned(), |csv, id| csv + &format!("{id},prod\n")));
        let before = clouds.requests();
        let (done, ledger) = home.apply(&["rds.csv"]);
        assert_eq!((done.code, sums(&ledger)), (1, [50, 49, 1, 0]), "{done:?}");
        assert!(clouds.requests() - before <= 13, "{} calls", clouds.requests() - before);
        assert_eq!(ledger["calls"], clouds.requests() - before);
    }
    assert_eq!(clouds.tags("alibaba-rds").len(), 3 * 49);
    let letters = home.dead_letters();
    assert!(
        letters.iter().all(|letter| letter["job"]["resources"][0] == serde_json::json!({"id": "gone"})
            || letter["job"]["resources"][0] == "gone"),
        "{letters:?}"
    );
}

#[test]
fn an_id_that_breaks_every_call_it_is_in_dies_alone() {
    let clouds = Clouds::start();
    clouds.faults("huawei-tms", Faults { poison_500: vec!["bad".into()], ..Faults::default() });
    let home = Home::new(&[lane("tms", &clouds.url(), "retry: { max_attempts: 3 }")]);
    let ids = (0..50).map(|n| if n == 31 { "bad".to_owned() } else { format!("d-{n}") });
    home.write("disks.csv", &crate::support::disks(ids));
    let (done, ledger) = home.apply(&["disks.csv"]);
    assert_eq!((done.code, sums(&ledger)), (1, [50, 49, 1, 0]), "{done:?}");
    assert_eq!(clouds.tags("huawei-tms").len(), 49);
    let failures = home.failures();
    assert_eq!(failures.keys().collect::<Vec<_>>(), ["bad"]);
    assert_eq!(failures["bad"]["attempts"], 3, "{failures:?}");
    assert_eq!(ledger["calls"], clouds.requests());
}

#[test]
fn fourteen_tags_go_to_tms_in_two_calls_and_all_of_them_arrive() {
    let clouds = Clouds::start();
    let home = Home::new(&[lane("tms", &clouds.url(), "")]);
    let keys: Vec<String> = (0..14).map(|n| format!("k{n:02}")).collect();
    let mut csv = format!("id,type,{}\n", keys.join(","));
    for n in 0..30 {
        writeln!(csv, "d-{n},disk{}", ",v".repeat(14)).unwrap();
    }
    home.write("wide.csv", &csv);
    let (done, ledger) = home.apply(&["wide.csv"]);
    assert_eq!((done.code, sums(&ledger), ledger["calls"].as_u64()), (0, [30, 30, 0, 0], Some(2)), "{done:?}");
    let tags = clouds.tags("huawei-tms");
    assert_eq!(tags.len(), 30);
    assert!(tags.values().all(|tags| tags.keys().eq(&keys)), "{tags:?}");
}

#[test]
fn an_outage_in_the_middle_kills_nothing() {
    let clouds = Clouds::start();
    let home = Home::new(&[lane("tms", &clouds.url(), "rate: { per_second: 40 }\nretry: { max_attempts: 2 }")]);
    home.write("disks.csv", &crate::support::disks((0..3000).map(|n| format!("d-{n}"))));
    let running = home.start(&["apply", "disks.csv", "--output", "json"]);
    crate::support::until("it is on its way", || clouds.requests() >= 10);
    clouds.faults("huawei-tms", Faults { outage: true, ..Faults::default() });
    crate::support::until("it probes", || clouds.counts("huawei-tms").outcomes.error_503 >= 7);
    clouds.faults("huawei-tms", Faults::default());
    let done = running.wait();
    adds_up(&done.json());
    assert_eq!((done.code, sums(&done.json())), (0, [3000, 3000, 0, 0]), "{done:?}");
    assert_eq!(clouds.tags("huawei-tms").len(), 3000);
    assert!(done.err.contains("outage"), "{}", done.err);
}
