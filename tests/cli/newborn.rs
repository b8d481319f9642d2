//! Resources that come into being while their tags are on the way, and tags that are there already and stay.

use crate::support::{Clouds, Home, cloud, lane};
use jiff::{SignedDuration, Timestamp};
use std::fmt::Write as _;
use tagmill::{sim::Appears, worker::clock};

/// One line of a job file.
fn line(lane: &str, resource: &str, more: &str) -> String {
    format!(r#"{{"lane":"{lane}","set":{{"owner":"alice"}},"resources":[{resource}]{more}}}"#)
}

fn young(id: &str, after_ms: Option<u64>, after_calls: Option<u32>) -> Appears {
    Appears { id: id.to_owned(), after_ms, since: tagmill::sim::Since::FirstSeen, after_calls }
}

fn until(seconds: i64) -> String {
    let at: Timestamp = clock::wall().checked_add(SignedDuration::from_secs(seconds)).unwrap();
    format!(r#","not_found_until":"{at}","priority":"event""#)
}

#[test]
fn what_appears_within_its_time_is_tagged_and_what_does_not_is_dead_with_the_clouds_own_code() {
    let rules =
        vec![young("young-*", Some(3_000), None), young("asked-*", None, Some(2)), young("never-*", None, None)];
    let clouds = Clouds::with(|clouds| {
        for name in ["huawei-tms", "alibaba-ecs", "aws-s3"] {
            cloud(clouds, name).faults.appears.clone_from(&rules);
        }
    });
    let home = Home::new(
        &["tms", "ecs", "s3"]
            .map(|name| lane(name, &clouds.url(), "rate: { per_second: 50, burst: 5 }\nretry: { max_attempts: 1 }")),
    );
    let mut jobs = String::new();
    for kind in ["young", "asked", "never", "old"] {
        for n in 0..5 {
            let id = format!("{kind}-{n}");
            for (lane, resource) in [
                ("tms", format!(r#"{{"id":"{id}","type":"disk"}}"#)),
                ("ecs", format!(r#"{{"id":"{id}","type":"instance"}}"#)),
                ("s3", format!(r#""{id}""#)),
            ] {
                writeln!(jobs, "{}", line(lane, &resource, &until(15))).unwrap();
            }
        }
    }
    // Without a time of its own, the first answer is final.
    writeln!(jobs, "{}", line("tms", r#"{"id":"young-x","type":"disk"}"#, "")).unwrap();
    home.write("jobs.ndjson", &jobs);
    let (done, ledger) = home.apply(&["jobs.ndjson"]);
    assert_eq!(done.code, 1, "{}", done.err);
    assert_eq!((ledger["tagged"].as_u64(), ledger["dead"].as_u64()), (Some(45), Some(16)), "{ledger}");
    for (name, code) in
        [("huawei-tms", "TMS.0005"), ("alibaba-ecs", "InvalidResourceId.NotFound"), ("aws-s3", "NoSuchBucket")]
    {
        let tagged = clouds.tags(name);
        assert_eq!(tagged.len(), 15, "{name}: {:?}", tagged.keys());
        assert!(tagged.keys().all(|key| !key.contains("never") && !key.contains("-x")));
        let letters = home.dead_letters();
        let failures = letters.iter().flat_map(|letter| letter["failures"].as_array().unwrap());
        assert_eq!(
            failures.filter(|failure| failure["code"] == code && failure["attempts"] == 1).count() % 5,
            usize::from(name == "huawei-tms")
        );
    }
}

#[test]
fn a_tag_that_is_there_stays_on_a_bucket_and_is_overwritten_with_a_warning_where_nobody_can_tell() {
    let tags = |owner: &str| [("owner".to_owned(), owner.to_owned())].into();
    let clouds = Clouds::with(|clouds| {
        cloud(clouds, "aws-s3").tags.insert("taken".into(), tags("bob"));
        cloud(clouds, "huawei-tms").tags.insert("disk/taken".into(), tags("bob"));
    });
    let home = Home::new(&["tms", "s3"].map(|name| lane(name, &clouds.url(), "")));
    let keep = r#","overwrite":false"#;
    let jobs = [
        line("s3", r#""taken""#, keep),
        line("s3", r#""free-bucket""#, keep),
        line("tms", r#"{"id":"taken","type":"disk"}"#, keep),
        line("tms", r#"{"id":"free","type":"disk"}"#, keep),
    ];
    home.write("jobs.ndjson", &jobs.join("\n"));
    let (done, ledger) = home.apply(&["jobs.ndjson"]);
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!((ledger["tagged"].as_u64(), ledger["unchanged"].as_u64()), (Some(3), Some(1)), "{ledger}");
    let owner = |name: &str, key: &str| clouds.tags(name)[key]["owner"].clone();
    assert_eq!((owner("aws-s3", "taken"), owner("aws-s3", "free-bucket")), ("bob".into(), "alice".into()));
    assert_eq!(owner("huawei-tms", "disk/taken"), "alice");
    assert_eq!(done.err.matches("overwrite: false").count(), 1, "said once a lane: {}", done.err);
}
