//! The four APIs of AWS, from a file to the simulated cloud and back, with everything that can go wrong going wrong.

use crate::support::{Clouds, Home, Tags, cloud, lane, sums};
use serde_json::json;
use tagmill::sim::{BucketRegion, Faults, Stale, WrongRegion, well_known};

/// One job a line.
fn jobs(jobs: &[serde_json::Value]) -> String {
    jobs.iter().map(|job| format!("{job}\n")).collect()
}

fn arns(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("arn:aws:ec2:us-east-1:{}:instance/i-{n:04}", well_known::AWS_ACCOUNT_ID)).collect()
}

fn buckets(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("bucket-{n:04}")).collect()
}

fn keys(tags: &Tags, resource: &str) -> Vec<String> {
    tags[resource].keys().cloned().collect()
}

const FAST: &str = "rate: { per_second: 5000, burst: 50 }";

/// Everything that passes.
fn rough() -> Faults {
    Faults {
        error_500: 0.03,
        error_502: 0.03,
        error_503: 0.03,
        reset_before: 0.03,
        reset_after: 0.03,
        truncated: 0.03,
        transient_items: 0.03,
        conflict: 0.02,
        ..Faults::default()
    }
}

#[test]
fn all_four_apis_tag_everything_whatever_passes_on_the_way() {
    let clouds = Clouds::with(|clouds| {
        for name in ["aws-tagging", "aws-s3", "aws-backup", "aws-ml"] {
            cloud(clouds, name).faults = rough();
        }
    });
    let names = ["tagging", "s3", "backup", "ml"];
    let home = Home::new(&names.map(|name| lane(name, &clouds.url(), FAST)));
    let vaults: Vec<String> =
        (0..40).map(|n| format!("arn:aws:backup:us-east-1:123456789012:backup-vault:v{n}")).collect();
    let models: Vec<_> = (0..40).map(|n| json!({"id": format!("ml-{n}"), "type": "MLModel"})).collect();
    let text = jobs(&[
        json!({"lane": "tagging", "resources": arns(200), "set": {"env": "prod", "old": "x"}}),
        json!({"lane": "tagging", "resources": arns(200), "set": {"owner": "alice"}, "unset": ["old"]}),
        json!({"lane": "s3", "resources": buckets(60), "set": {"env": "prod", "old": "x"}}),
        json!({"lane": "s3", "resources": buckets(60), "set": {"owner": "a & <b>"}, "unset": ["old"]}),
        json!({"lane": "backup", "resources": vaults, "set": {"env": "prod"}, "unset": ["gone"]}),
        json!({"lane": "ml", "resources": models, "set": {"env": "prod"}, "unset": ["gone"]}),
    ]);
    // A value that S3 cannot take is found before anything is sent.
    let text = text.replace("a & <b>", "a+b");
    home.write("jobs.ndjson", &text);
    let (done, ledger) = home.apply(&["jobs.ndjson"]);
    assert_eq!((done.code, sums(&ledger)), (0, [600, 600, 0, 0]), "{done:?}");
    for (name, count) in [("aws-tagging", 200), ("aws-s3", 60), ("aws-backup", 40), ("aws-ml", 40)] {
        let tags = clouds.tags(name);
        assert_eq!(tags.len(), count, "{name}");
        let wanted: &[&str] = if count < 60 { &["env"] } else { &["env", "owner"] };
        assert!(tags.keys().all(|resource| keys(&tags, resource) == wanted), "{name}: {tags:?}");
        assert_eq!(clouds.counts(name).overlapping, 0, "{name}: a resource was in two calls at once");
    }
}

#[test]
fn four_jobs_over_a_thousand_arns_are_fifty_calls_and_two_over_a_thousand_buckets_two_thousand() {
    let clouds = Clouds::start();
    let home = Home::new(&["tagging", "s3"].map(|name| lane(name, &clouds.url(), FAST)));
    let mut list: Vec<_> = ["env", "owner", "team", "cost"]
        .iter()
        .map(|key| json!({"lane": "tagging", "resources": arns(1000), "set": {*key: "v"}}))
        .collect();
    list.extend(["env", "owner"].map(|key| json!({"lane": "s3", "resources": buckets(1000), "set": {key: "v"}})));
    home.write("jobs.ndjson", &jobs(&list));
    let plan = home.run(&["plan", "--output", "json", "jobs.ndjson"]).json();
    assert_eq!(plan["calls"], 2050, "{plan}");
    let (_, ledger) = home.apply(&["jobs.ndjson"]);
    assert_eq!((sums(&ledger), &ledger["calls"]), ([6000, 6000, 0, 0], &json!(2050)));
    assert_eq!((clouds.counts("aws-tagging").requests, clouds.counts("aws-s3").requests), (50, 2000));
    assert!(clouds.tags("aws-tagging").values().all(|tags| tags.len() == 4));
    assert!(clouds.tags("aws-s3").values().all(|tags| tags.len() == 2));
}

#[test]
fn buckets_elsewhere_are_found_those_of_others_are_left_alone_and_what_is_aws_stays() {
    for how in [WrongRegion::Redirect, WrongRegion::Temporary, WrongRegion::Malformed, WrongRegion::Silent] {
        let clouds = Clouds::with(|clouds| {
            let cloud = cloud(clouds, "aws-s3");
            cloud.region = Some("us-east-1".into());
            cloud.bucket_regions = vec![BucketRegion { id: "eu-*".into(), region: "eu-central-1".into() }];
            cloud.wrong_region = how;
            cloud.foreign = vec!["theirs-*".into()];
            cloud.abac = vec!["abac-*".into()];
            cloud.tags = [
                (
                    "eu-1".to_owned(),
                    [("aws:stack".to_owned(), "s".to_owned()), ("old".to_owned(), "x".to_owned())].into(),
                ),
                ("right".to_owned(), [("env".to_owned(), "prod".to_owned())].into()),
                ("only".to_owned(), [("old".to_owned(), "x".to_owned())].into()),
            ]
            .into();
        });
        let account = format!("account_id: \"{}\"\nverify: true\n{FAST}", well_known::AWS_ACCOUNT_ID);
        let home = Home::new(&[lane("s3", &clouds.url(), &account)]);
        home.write(
            "jobs.ndjson",
            &jobs(&[
                json!({"resources": ["eu-1", "eu-2", "here-1", "theirs-1", "abac-1", "right"],
                    "set": {"env": "prod"}, "unset": ["old"]}),
                json!({"resources": ["only"], "unset": ["old"]}),
            ]),
        );
        let (done, ledger) = home.apply(&["jobs.ndjson"]);
        assert_eq!((done.code, &ledger["unchanged"], &ledger["dead"]), (1, &json!(1), &json!(1)), "{how:?}: {done:?}");
        let failures = home.failures();
        assert_eq!(failures["theirs-1"]["code"], "AccessDenied", "{how:?}");
        let tags = clouds.tags("aws-s3");
        assert_eq!(keys(&tags, "eu-1"), ["aws:stack", "env"], "{how:?}");
        assert_eq!(tags.keys().collect::<Vec<_>>(), ["abac-1", "eu-1", "eu-2", "here-1", "right"], "{how:?}");
    }
}

#[test]
fn reads_behind_the_writes_lose_no_tag() {
    let clouds = Clouds::with(|clouds| {
        let stale = Stale { probability: 0.5, up_to_ms: 2_000 };
        cloud(clouds, "aws-s3").faults = Faults { stale, ..Faults::default() };
    });
    let home = Home::new(&[lane("s3", &clouds.url(), FAST)]);
    // More keys than fit: the second job is dead on every bucket, and goes by itself after the first.
    let many: serde_json::Map<_, _> = (0..40).map(|n| (format!("a{n}"), json!("v"))).collect();
    let more: serde_json::Map<_, _> = (0..40).map(|n| (format!("b{n}"), json!("v"))).collect();
    home.write(
        "jobs.ndjson",
        &jobs(&[
            json!({"resources": buckets(4), "set": many}),
            json!({"resources": buckets(4), "set": more}),
            json!({"resources": buckets(4), "set": {"last": "v"}}),
        ]),
    );
    let (done, ledger) = home.apply(&["jobs.ndjson"]);
    assert_eq!((done.code, sums(&ledger)), (1, [12, 8, 4, 0]), "{done:?}");
    assert!(home.failures().values().all(|failure| failure["code"] == "tag_quota"));
    for (bucket, tags) in clouds.tags("aws-s3") {
        assert!(tags.len() == 41 && tags.contains_key("last") && tags.contains_key("a0"), "{bucket}: {tags:?}");
    }
}

#[test]
fn a_clock_that_is_off_is_set_by_the_clouds_and_said_so() {
    for (name, off) in [("s3", 3_600), ("tagging", -900)] {
        let clouds = Clouds::with(|clouds| {
            for cloud in clouds.iter_mut() {
                cloud.faults.clock_offset_s = off;
            }
        });
        let home = Home::new(&[lane(name, &clouds.url(), FAST)]);
        let resources = if name == "s3" { buckets(3) } else { arns(3) };
        home.write("jobs.ndjson", &jobs(&[json!({"resources": resources, "set": {"env": "prod"}})]));
        let (done, ledger) = home.apply(&["jobs.ndjson"]);
        assert_eq!((done.code, sums(&ledger)), (0, [3, 3, 0, 0]), "{done:?}");
        assert!(done.err.contains("clock is off"), "{}", done.err);
    }
}

#[test]
fn the_usual_variables_are_the_credentials_where_a_lane_names_none() {
    let clouds = Clouds::start();
    let named = lane("tagging", &clouds.url(), FAST);
    let none: String =
        named.lines().filter(|line| !line.contains("credentials:")).map(|line| format!("{line}\n")).collect();
    let mut home = Home::new(&[none]);
    home.write("jobs.ndjson", &jobs(&[json!({"resources": arns(1), "set": {"env": "prod"}})]));
    home.env("AWS_ACCESS_KEY_ID", well_known::AWS_ACCESS_KEY);
    home.env("AWS_SECRET_ACCESS_KEY", well_known::AWS_SECRET_KEY);
    let (done, ledger) = home.apply(&["jobs.ndjson"]);
    assert_eq!((done.code, sums(&ledger)), (0, [1, 1, 0, 0]), "{done:?}");
}

#[test]
fn what_can_never_work_is_dead_before_anything_is_sent() {
    let clouds = Clouds::start();
    let home = Home::new(&["tagging", "backup"].map(|name| lane(name, &clouds.url(), FAST)));
    let stack = "arn:aws:cloudformation:us-east-1:123456789012:stack/s/1";
    home.write(
        "jobs.ndjson",
        &jobs(&[
            json!({"lane": "tagging", "resources": [stack, "i-1"], "set": {"env": "prod"}}),
            json!({"lane": "tagging", "resources": arns(1), "set": {"aws:x": "prod"}}),
            json!({"lane": "backup", "resources": ["arn:aws:ec2:us-east-1::snapshot/snap-1"], "set": {"env": "prod"}}),
        ]),
    );
    let (done, ledger) = home.apply(&["jobs.ndjson"]);
    assert_eq!((done.code, sums(&ledger)), (1, [4, 0, 4, 0]), "{done:?}");
    assert_eq!(clouds.requests(), 0);
    let failures = home.failures();
    assert!(failures[stack]["message"].as_str().unwrap().contains("allow_cloudformation_stacks"));
    let snapshot = &failures["arn:aws:ec2:us-east-1::snapshot/snap-1"];
    assert!(snapshot["message"].as_str().unwrap().contains("aws-tagging"), "{snapshot}");
}

#[test]
fn a_lane_on_s3_waits_out_the_minute_after_another_process_has_written() {
    let clouds = Clouds::start();
    let home = Home::new(&[lane("s3", &clouds.url(), FAST)]);
    home.write("one.ndjson", &jobs(&[json!({"lane": "s3", "resources": buckets(2), "set": {"env": "prod"}})]));
    home.write("two.ndjson", &jobs(&[json!({"lane": "s3", "resources": buckets(2), "set": {"owner": "alice"}})]));
    let (done, _) = home.apply(&["one.ndjson"]);
    assert!(done.code == 0 && !done.err.contains("earlier owner"), "a new state has had no owner: {done:?}");
    let second = home.start(&["apply", "two.ndjson", "-v"]);
    second.says("an earlier owner");
    second.interrupt();
    assert_eq!((second.wait().code, clouds.counts("aws-s3").requests), (130, 4));
    let merging = Home::new(&[lane("tagging", &clouds.url(), FAST)]);
    merging.write("three.ndjson", &jobs(&[json!({"resources": arns(2), "set": {"env": "prod"}})]));
    for _ in 0..2 {
        assert_eq!(merging.apply(&["three.ndjson"]).0.code, 0, "other APIs wait for nobody");
    }
}
