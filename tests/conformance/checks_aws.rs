//! What the AWS providers find wrong with a job before anything is sent, and how they tell resources apart.

use crate::data::{Sample, sample};
use tagmill::job::Resource;

/// The problems of a job with one key and one value.
fn with_tag(provider: &str, name: &str, value: &str) -> Vec<String> {
    let sample = sample(provider);
    sample.provider.check(&sample.job(&[(name, value)], &[])).job
}

/// The places of the resources that are refused, each problem beginning with this field.
fn refused(sample: &Sample, provider: &dyn tagmill::provider::Provider, ids: &[&str], field: &str) -> Vec<usize> {
    let mut job = sample.job(&[("k", "v")], &[]);
    job.resources = ids.iter().map(|id| Resource::plain(id)).collect();
    let found = provider.check(&job);
    assert!(found.resources.iter().all(|(_, text)| text.starts_with(field)), "{found:?}");
    found.resources.into_iter().map(|(index, _)| index).collect()
}

fn aws() -> Vec<Sample> {
    Sample::all().into_iter().filter(|sample| sample.entry.name.starts_with("aws-")).collect()
}

#[test]
fn aws_takes_wide_keys_and_values_but_not_its_own() {
    for sample in aws() {
        let name = sample.entry.name;
        for (key, value) in [("部门", "研发"), ("Cost Centre", ""), (&"k".repeat(128), &"v".repeat(256))] {
            assert_eq!(with_tag(name, key, value), [] as [&str; 0], "{name} {key}");
        }
        for (key, value) in
            [("", "v"), ("aws:x", "v"), ("AWS:x", "v"), (&*"k".repeat(129), "v"), ("k", &*"v".repeat(257))]
        {
            assert_eq!(with_tag(name, key, value).len(), 1, "{name} {key}");
        }
        assert_eq!(sample.provider.check(&sample.job(&[], &["aws:x"])).job.len(), 1, "{name}");
        assert_ne!(sample.provider.fold_key("Env"), sample.provider.fold_key("env"), "{name}: case counts");
    }
}

#[test]
fn one_job_that_alone_sets_more_than_fifty_tags_is_refused() {
    for sample in aws() {
        let keys: Vec<String> = (0..51).map(|n| format!("k{n}")).collect();
        let set: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "v")).collect();
        let problems = sample.provider.check(&sample.job(&set, &[])).job;
        assert!(problems.len() == 1 && problems[0].starts_with("set: 51 tags"), "{problems:?}");
        assert!(sample.provider.check(&sample.job(&set[..50], &[])).job.is_empty());
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        assert!(sample.provider.check(&sample.job(&[], &keys)).job.is_empty(), "removing is not limited");
    }
}

#[test]
fn an_arn_that_would_sink_its_call_is_refused_before_it_is_merged() {
    let sample = sample("aws-tagging");
    let long = format!("arn:aws:ec2:us-east-1:123456789012:{}", "x".repeat(1011));
    let ids = [
        "arn:aws:ec2:us-east-1:123456789012:instance/i-1",
        "i-1",
        "arn:aws-cn:ec2:us-east-1:123456789012:instance/i-1",
        "arn:aws:ec2:us-west-2:123456789012:instance/i-1",
        "arn:aws:ec2:us-east-1:123456789012:",
        &long,
        "arn:aws:s3:::bucket",
        "arn:aws:iam::123456789012:role/r",
    ];
    assert_eq!(refused(&sample, &*sample.provider, &ids, "id: "), [1, 2, 3, 4, 5]);
    let of_account = sample.with(|settings| settings.account_id = Some("111122223333".into())).unwrap();
    assert_eq!(refused(&sample, &*of_account, &ids, "id: "), [0, 1, 2, 3, 4, 5, 7]);
}

#[test]
fn stacks_are_tagged_only_where_the_lane_allows_it() {
    let sample = sample("aws-tagging");
    let ids = [
        "arn:aws:cloudformation:us-east-1:123456789012:stack/s/1",
        "arn:aws:cloudformation:us-east-1:123456789012:stackset/s:1",
        "arn:aws:cloudformation:us-east-1:123456789012:type/resource/x",
    ];
    assert_eq!(refused(&sample, &*sample.provider, &ids, "id: "), [0, 1]);
    let allowed = sample.with(|settings| settings.allow_cloudformation_stacks = true).unwrap();
    assert_eq!(refused(&sample, &*allowed, &ids, "id: "), [] as [usize; 0]);
}

#[test]
fn an_account_that_is_none_is_a_wrong_setting() {
    for sample in aws() {
        let problem = sample.with(|settings| settings.account_id = Some("me".into())).unwrap_err();
        assert!(problem.starts_with("account_id: "), "{}: {problem}", sample.entry.name);
    }
}

#[test]
fn backup_sends_what_is_not_its_own_to_the_tagging_api() {
    let sample = sample("aws-backup");
    let ids = [
        "arn:aws:backup:us-east-1:123456789012:recovery-point:1EB3B5E7",
        "arn:aws:ec2:us-east-1::snapshot/snap-1",
        "arn:aws:backup:eu-west-1:123456789012:backup-vault:v",
        "my-vault",
    ];
    assert_eq!(refused(&sample, &*sample.provider, &ids, "id: "), [1, 2, 3]);
    let mut job = sample.job(&[("k", "v")], &[]);
    job.resources = vec![Resource::plain(ids[1])];
    assert!(sample.provider.check(&job).resources[0].1.contains("aws-tagging"));
}

#[test]
fn machine_learning_knows_its_types_ids_and_regions() {
    let sample = sample("aws-ml");
    let mut job = sample.job(&[("k", "v")], &[]);
    job.resources = vec![
        Resource::typed("ml-1", "MLModel"),
        Resource::plain("ml-1"),
        Resource::typed("ml-1", "mlmodel"),
        Resource::typed("arn:aws:x", "MLModel"),
        Resource::typed(&"x".repeat(65), "DataSource"),
        Resource::typed(&"x".repeat(64), "DataSource"),
    ];
    let found = sample.provider.check(&job).resources;
    let fields: Vec<_> = found.iter().map(|(at, text)| (*at, text.split(':').next().unwrap())).collect();
    assert_eq!(fields, [(1, "type"), (2, "type"), (3, "id"), (4, "id")]);
    let key = |resource: &Resource| sample.provider.resource_key(resource);
    assert_ne!(key(&Resource::typed("x", "MLModel")), key(&Resource::typed("x", "DataSource")));
    let elsewhere = sample.with(|settings| settings.region = "us-west-2".into()).unwrap_err();
    assert!(elsewhere.starts_with("region: "), "{elsewhere}");
    let own = |settings: &mut tagmill::provider::Settings| {
        settings.region = "us-west-2".into();
        settings.endpoint = Some("http://127.0.0.1:1".into());
    };
    assert!(sample.with(own).is_ok());
    for bad in ["a*b", "semi;colon"] {
        assert_eq!(with_tag("aws-ml", bad, "v").len(), 1, "{bad}");
        assert_eq!(with_tag("aws-ml", "k", bad).len(), 1, "{bad}");
    }
}
