//! What each provider finds wrong with a job before anything is sent, and how it tells resources apart.

use crate::data::{Sample, at, key, sample};
use tagmill::{
    job::Resource,
    provider::{Checked, Op},
};

fn in_project(id: &str, kind: &str, project: &str) -> Resource {
    Resource { project: Some(project.into()), ..Resource::typed(id, kind) }
}

/// The problems of a job with one key and one value.
fn with_tag(provider: &str, name: &str, value: &str) -> Vec<String> {
    let sample = sample(provider);
    sample.provider.check(&sample.job(&[(name, value)], &[])).job
}

#[test]
fn a_good_job_has_nothing_wrong() {
    for sample in Sample::all() {
        let provider = sample.entry.name;
        assert_eq!(sample.provider.check(&sample.job(&[("env", "prod")], &["temp"])), Checked::default(), "{provider}");
    }
}

#[test]
fn tms_takes_narrow_keys_and_values() {
    for (name, value) in [("部门", "研发.1"), ("a-b_C9", ""), (&"k".repeat(36), &"v".repeat(43))] {
        assert_eq!(with_tag("huawei-tms", name, value), [] as [&str; 0], "{name}");
    }
    for name in ["", "a.b", "a b", "cost:centre", "ü", "\u{3fff}", &"k".repeat(37)] {
        assert_eq!(with_tag("huawei-tms", name, "v").len(), 1, "{name}");
    }
    for value in ["a b", "a@b", "a/b", &"v".repeat(44), &"王".repeat(44)] {
        assert_eq!(with_tag("huawei-tms", "k", value).len(), 1, "{value}");
    }
    let unset = sample("huawei-tms");
    assert_eq!(unset.provider.check(&unset.job(&[], &["a b"])).job.len(), 1);
}

#[test]
fn tms_needs_a_type() {
    let sample = sample("huawei-tms");
    let mut job = sample.job(&[("k", "v")], &[]);
    job.resources = vec![Resource::plain("r-1"), Resource::typed("r-2", "disk"), Resource::typed("r-3", "")];
    let found = sample.provider.check(&job);
    let indexes: Vec<_> = found.resources.iter().map(|(index, text)| (*index, text.starts_with("type: "))).collect();
    assert_eq!((found.job.len(), indexes), (0, vec![(0, true), (2, true)]));
}

#[test]
fn tms_keeps_projects_apart_and_lets_types_mix() {
    let provider = sample("huawei-tms").provider;
    let (disk, vpc) = (in_project("r", "disk", "p"), in_project("r", "vpcs", "p"));
    assert_ne!(provider.resource_key(&disk), provider.resource_key(&vpc));
    assert_eq!(provider.share_key(&disk), provider.share_key(&vpc));
    assert_ne!(provider.share_key(&disk), provider.share_key(&in_project("r", "disk", "q")));
    assert_eq!(provider.share_key(&Resource::typed("r", "cdn")), provider.share_key(&in_project("r", "cdn", "")));
    assert_eq!(provider.resource_key(&Resource::typed("r", "cdn")), provider.resource_key(&in_project("r", "cdn", "")));
}

#[test]
fn tms_sends_a_value_with_a_removed_key_only_when_asked() {
    let sample = sample("huawei-tms");
    let body = |with_value| {
        let provider = sample.with(|settings| settings.delete_with_value = with_value).unwrap();
        let call = sample.call(Op::Unset);
        let request = provider.encode(&call, None, &key("a", "s", None, None), &at("2025-01-02T03:04:05Z", "n"));
        assert!(request.url.ends_with("/v1.0/resource-tags/batch-delete"));
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        body["tags"].clone()
    };
    assert_eq!(body(false), serde_json::json!([{"key": "env"}, {"key": "owner"}]));
    assert_eq!(body(true), serde_json::json!([{"key": "env", "value": ""}, {"key": "owner", "value": ""}]));
}

#[test]
fn tms_takes_a_token_in_place_of_a_signature() {
    let sample = sample("huawei-tms");
    let token = tagmill::provider::Credential::Token("MII".into());
    let request = sample.provider.encode(&sample.call(Op::Set), None, &token, &at("2025-01-02T03:04:05Z", "n"));
    let names: Vec<_> = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(names, [("content-type", "application/json"), ("x-auth-token", "MII")]);
}

#[test]
fn tms_leaves_the_project_out_where_there_is_none() {
    let sample = sample("huawei-tms");
    let mut call = sample.call(Op::Set);
    call.resources = vec![Resource::typed("d-1", "cdn")];
    let credential = key("a", "s", None, None);
    let request = sample.provider.encode(&call, None, &credential, &at("2025-01-02T03:04:05Z", "n"));
    let body = String::from_utf8(request.body).unwrap();
    assert!(body.starts_with(r#"{"resources":[{"resource_id":"d-1","resource_type":"cdn"}],"tags":"#), "{body}");
    assert!(!request.headers.iter().any(|(name, _)| name == "x-domain-id"), "no account, no header");
}

#[test]
fn alibaba_takes_wide_keys_and_values() {
    for provider in ["alibaba-rds", "alibaba-ecs"] {
        for (name, value) in [("Owner Name", ""), (&"王".repeat(128), &"王".repeat(128)), ("cost:centre", "a/b")] {
            assert_eq!(with_tag(provider, name, value), [] as [&str; 0], "{provider} {name}");
        }
        for (name, value) in [
            ("", "v"),
            ("aliyun-x", "v"),
            ("acs:x", "v"),
            ("see http://x", "v"),
            ("k", "https://x"),
            (&*"k".repeat(129), "v"),
            ("k", &*"v".repeat(129)),
        ] {
            assert_eq!(with_tag(provider, name, value).len(), 1, "{provider} {name}");
        }
    }
    assert_eq!(with_tag("alibaba-tag", "k", "").len(), 1, "the Tag service wants a value");
    assert_eq!(with_tag("alibaba-tag", "k", "v"), [] as [&str; 0]);
}

#[test]
fn alibaba_keys_that_differ_in_case_are_one_key() {
    for provider in ["alibaba-rds", "alibaba-ecs", "alibaba-tag"] {
        let sample = sample(provider);
        assert_eq!(sample.provider.fold_key("Env"), sample.provider.fold_key("eNV"));
        assert_eq!(sample.provider.check(&sample.job(&[("Env", "a"), ("env", "b")], &[])).job.len(), 1);
        assert_eq!(sample.provider.check(&sample.job(&[("Env", "a")], &["env"])).job.len(), 1);
    }
    assert_eq!(sample("huawei-tms").provider.fold_key("Env"), "Env");
}

#[test]
fn alibaba_knows_its_types_and_its_default() {
    for (provider, default, other, unknown) in
        [("alibaba-rds", "INSTANCE", "CUSTOM", "instance"), ("alibaba-ecs", "instance", "disk", "INSTANCE")]
    {
        let sample = sample(provider);
        assert_eq!(sample.provider.share_key(&Resource::plain("x")), default);
        assert_eq!(
            sample.provider.resource_key(&Resource::plain("x")),
            sample.provider.resource_key(&Resource::typed("x", default))
        );
        assert_ne!(sample.provider.share_key(&Resource::typed("x", other)), default);
        let mut job = sample.job(&[("k", "v")], &[]);
        job.resources = vec![Resource::typed("x", other), Resource::typed("y", unknown), Resource::plain("")];
        let found = sample.provider.check(&job).resources;
        assert_eq!(found.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 2], "{provider}: {found:?}");
    }
}

#[test]
fn alibaba_tag_takes_arns_of_its_region() {
    let sample = sample("alibaba-tag");
    let mut job = sample.job(&[("k", "v")], &[]);
    job.resources =
        ["i-1", "arn:acs:ecs:cn-beijing:*:instance/i-1", "arn:acs:ecs:*:*:instance/i-1"].map(Resource::plain).into();
    let found = sample.provider.check(&job).resources;
    assert_eq!(found.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1], "{found:?}");
    let star = Resource::plain("arn:acs:ecs:*:*:instance/i-1");
    let named = Resource::plain("arn:acs:ecs:cn-hangzhou:*:instance/i-1");
    assert_eq!(sample.provider.resource_key(&star), sample.provider.resource_key(&named));
    assert_eq!(sample.provider.share_key(&star), sample.provider.share_key(&Resource::plain("arn:acs:vpc:*:*:vpc/v")));
}
