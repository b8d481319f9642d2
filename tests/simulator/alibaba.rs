//! Alibaba Cloud: both signatures, limits, all or nothing on RDS and ECS, failed resources on Tag.

use crate::client::{Alibaba, ECS, RDS, Reply, TAG, World, borrowed, cloud, instances, start, with_faults};
use serde_json::{Value, json};
use tagmill::sim::Faults;

async fn tag(world: &World, how: &Alibaba) -> Reply {
    world.alibaba(how, ECS, "TagResources", &borrowed(&instances(&["i-1"]))).await
}

/// The four ways to sign and send.
fn ways() -> [(bool, bool); 4] {
    [(false, false), (false, true), (true, false), (true, true)]
}

#[tokio::test]
async fn both_signatures_work_with_parameters_in_the_query_and_in_a_form() {
    for (v1, form) in ways() {
        let world = start(|_| {}).await;
        let parameters = [
            ("RegionId", "cn-hangzhou"),
            ("ResourceType", "INSTANCE"),
            ("ResourceId.1", "rm-1"),
            ("Tag.1.Key", "Owner Name"),
            ("Tag.1.Value", "J/S+*~%王"),
            ("Tag.2.Key", "empty"),
        ];
        let how = Alibaba { v1, form, ..Alibaba::default() };
        let reply = world.alibaba(&how, RDS, "TagResources", &parameters).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.json()["RequestId"].as_str().unwrap().len(), 36);
        let expected = json!({"INSTANCE/rm-1": {"Owner Name": "J/S+*~%王", "empty": ""}});
        assert_eq!(json!(world.sim.tags("alibaba-rds")), expected);
    }
}

#[tokio::test]
async fn a_request_that_does_not_prove_who_sent_it_is_refused_and_changes_nothing() {
    for (v1, form) in ways() {
        let world = start(|_| {}).await;
        let base = || Alibaba { v1, form, ..Alibaba::default() };
        let cases = [
            (Alibaba { secret: "wrong", ..base() }, 400, "SignatureDoesNotMatch"),
            (Alibaba { access: "NOBODY", ..base() }, 404, "InvalidAccessKeyId.NotFound"),
            (Alibaba { off_by: -16 * 60, ..base() }, 400, "InvalidTimeStamp.Expired"),
            (Alibaba { off_by: 16 * 60, ..base() }, 400, "InvalidTimeStamp.Expired"),
            (Alibaba { date: Some("2025-01-02 03:04:05"), ..base() }, 400, "InvalidTimeStamp.Format"),
            (Alibaba { security_token: Some("x"), ..base() }, 400, "InvalidSecurityToken.MismatchWithAccessKey"),
            (Alibaba { nonce: Some(""), ..base() }, 400, "IncompleteSignature"),
        ];
        for (how, status, code) in &cases {
            tag(&world, how).await.is(*status, code);
        }
        assert!(world.sim.tags("alibaba-ecs").is_empty());
        assert_eq!(world.sim.counts("alibaba-ecs").outcomes.auth, 6);
        assert_eq!(world.sim.unmatched(), 1);
        assert_eq!(tag(&world, &Alibaba { off_by: -14 * 60, ..base() }).await.status, 200);
    }
}

#[tokio::test]
async fn a_nonce_opens_the_door_once() {
    for (v1, form) in ways() {
        let world = start(|_| {}).await;
        let how = Alibaba { v1, form, nonce: Some("once"), ..Alibaba::default() };
        assert_eq!(tag(&world, &how).await.status, 200);
        tag(&world, &how).await.is(400, "SignatureNonceUsed");
        let forged = Alibaba { v1, form, nonce: Some("other"), secret: "wrong", ..Alibaba::default() };
        tag(&world, &forged).await.is(400, "SignatureDoesNotMatch");
        let right = Alibaba { v1, form, nonce: Some("other"), ..Alibaba::default() };
        assert_eq!(tag(&world, &right).await.status, 200, "a forged request uses up no nonce");
    }
}

#[tokio::test]
async fn a_v3_header_that_is_not_signed_is_refused() {
    let world = start(|_| {}).await;
    for name in ["host", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256", "x-acs-action"] {
        let how = Alibaba { unsigned: Some(name), ..Alibaba::default() };
        tag(&world, &how).await.is(400, "IncompleteSignature");
    }
}

#[tokio::test]
async fn a_v3_header_that_lies_about_the_body_is_refused_although_it_is_signed() {
    let world = start(|_| {}).await;
    let how = Alibaba { body_hash: Some("0123"), form: true, ..Alibaba::default() };
    tag(&world, &how).await.is(400, "SignatureDoesNotMatch");
}

#[tokio::test]
async fn a_temporary_key_needs_its_security_token() {
    let world = start(|clouds| cloud(clouds, "alibaba-ecs").security_token = Some("session+/=".into())).await;
    for v1 in [false, true] {
        tag(&world, &Alibaba { v1, ..Alibaba::default() }).await.is(400, "MissingSecurityToken");
        let right = Alibaba { v1, security_token: Some("session+/="), ..Alibaba::default() };
        assert_eq!(tag(&world, &right).await.status, 200);
        let wrong = Alibaba { v1, security_token: Some("session+/="), secret: "wrong", ..Alibaba::default() };
        assert!(!tag(&world, &wrong).await.text.contains("session"), "a refusal repeats no token");
    }
}

#[tokio::test]
async fn without_format_the_first_signature_is_answered_in_xml() {
    let world = start(|_| {}).await;
    let how = Alibaba { v1: true, json: false, ..Alibaba::default() };
    let reply = tag(&world, &how).await;
    assert!(reply.header("content-type").starts_with("text/xml"));
    assert!(reply.text.contains("<TagResourcesResponse><RequestId>"), "{}", reply.text);
    let reply = tag(&world, &Alibaba { secret: "wrong", ..how }).await;
    assert!(
        reply.text.contains("<Code>SignatureDoesNotMatch</Code>") && reply.text.contains("&amp;"),
        "{}",
        reply.text
    );
}

#[tokio::test]
async fn an_unknown_action_version_or_region_is_refused() {
    let world = start(|clouds| cloud(clouds, "alibaba-ecs").region = Some("cn-beijing".into())).await;
    let how = Alibaba::default();
    world.alibaba(&how, ECS, "tagResources", &[]).await.is(404, "InvalidAction.NotFound");
    world.alibaba(&how, "2014-05-27", "TagResources", &[]).await.is(400, "InvalidVersion");
    tag(&world, &how).await.is(404, "InvalidRegionId.NotFound");
}

fn numbered(prefix: &str, suffix: &str, count: usize, value: &str) -> Vec<(String, String)> {
    (1..=count).map(|n| (format!("{prefix}.{n}{suffix}"), format!("{value}{n}"))).collect()
}

#[tokio::test]
async fn what_is_beyond_the_limits_of_rds_and_ecs_is_refused_with_its_own_code() {
    let world = start(|_| {}).await;
    for (version, kind, missing, duplicate) in
        [(RDS, "INSTANCE", 400, (400, "Duplicate.TagKey")), (ECS, "instance", 404, (403, "TagKey.Duplication"))]
    {
        let ids = |n| numbered("ResourceId", "", n, "i-");
        let keys = |n| numbered("Tag", ".Key", n, "k");
        let one = |key: &str, value: &str| {
            vec![("Tag.1.Key".to_owned(), key.to_owned()), ("Tag.1.Value".to_owned(), value.to_owned())]
        };
        let longest = "k".repeat(128);
        let (key, value) = ("InvalidTagKey.Malformed", "InvalidTagValue.Malformed");
        let cases: Vec<(Vec<_>, Vec<_>, (u16, &str))> = vec![
            (ids(51), keys(1), (400, "NumberExceed.ResourceIds")),
            (ids(0), keys(1), (missing, "MissingParameter.ResourceId")),
            (vec![("ResourceId.2".into(), "a".into())], keys(1), (400, "InvalidParameter.ResourceId")),
            (numbered("ResourceId", "", 1, ""), keys(0), (missing, "MissingParameter.Tags")),
            (
                vec![("ResourceId.1".into(), "a".into()), ("ResourceId.2".into(), "a".into())],
                keys(1),
                (400, "InvalidParameter.ResourceId"),
            ),
            (ids(1), keys(21), (400, "NumberExceed.Tags")),
            (ids(1), vec![("Tag.2.Key".into(), "k".into())], (400, "InvalidParameter.Tags")),
            (ids(1), one("", "v"), (400, key)),
            (ids(1), one(&format!("{longest}k"), "v"), (400, key)),
            (ids(1), one("Aliyun-x", "v"), (400, key)),
            (ids(1), one("acs:x", "v"), (400, key)),
            (ids(1), one("see http://x", "v"), (400, key)),
            (ids(1), one("k", &"v".repeat(129)), (400, value)),
            (ids(1), one("k", "HTTPS://x"), (400, value)),
            (ids(1), vec![("Tag.1.Key".into(), "Env".into()), ("Tag.2.Key".into(), "env".into())], duplicate),
            (ids(50), keys(20), (200, "none")),
            (ids(1), one(&longest, &longest), (200, "none")),
        ];
        for (mut parameters, tags, (status, code)) in cases {
            parameters.extend(tags);
            parameters.extend([("RegionId".into(), "cn-hangzhou".into()), ("ResourceType".into(), kind.into())]);
            world.alibaba(&Alibaba::default(), version, "TagResources", &borrowed(&parameters)).await.is(status, code);
        }
        let wrong_type = [("RegionId", "r"), ("ResourceType", "Instance"), ("ResourceId.1", "a"), ("Tag.1.Key", "k")];
        let reply = world.alibaba(&Alibaba::default(), version, "TagResources", &wrong_type).await;
        reply.is(404, "InvalidResourceType.NotFound");
        let reply = world.alibaba(&Alibaba::default(), version, "TagResources", &wrong_type[1..]).await;
        reply.is(missing, "MissingParameter.RegionId");
    }
}

#[tokio::test]
async fn one_unknown_id_fails_a_whole_ecs_or_rds_call_and_nothing_is_applied() {
    for (name, version, kind, status) in [("alibaba-ecs", ECS, "instance", 404), ("alibaba-rds", RDS, "INSTANCE", 400)]
    {
        let world = with_faults(name, Faults { unknown: vec!["gone-*".into()], ..Faults::default() }).await;
        let mut parameters = instances(&["i-1", "gone-1", "i-2"]);
        parameters[1].1 = kind.into();
        let reply = world.alibaba(&Alibaba::default(), version, "TagResources", &borrowed(&parameters)).await;
        reply.is(status, "InvalidResourceId.NotFound");
        assert!(!reply.text.contains("gone-1"), "the culprit is not named");
        assert!(world.sim.tags(name).is_empty());
        assert_eq!(world.sim.counts(name).applied_calls, 0);
        parameters.retain(|(_, value)| value != "gone-1");
        parameters.last_mut().unwrap().0 = "ResourceId.2".into();
        let reply = world.alibaba(&Alibaba::default(), version, "TagResources", &borrowed(&parameters)).await;
        assert_eq!(reply.status, 200);
        assert_eq!(world.sim.tags(name).len(), 2);
    }
}

#[tokio::test]
async fn denied_late_and_full_resources_fail_a_whole_call_too() {
    let world = start(|clouds| {
        for name in ["alibaba-ecs", "alibaba-rds"] {
            let cloud = cloud(clouds, name);
            cloud.tags_per_resource = Some(1);
            cloud.faults.denied = vec!["locked".into()];
            let late = json!([{"id": "new", "after_ms": 3_600_000}]);
            cloud.faults.late = serde_json::from_value(late).unwrap();
        }
    })
    .await;
    assert_eq!(world.instances(&["full"]).await.status, 200);
    world.instances(&["a", "locked"]).await.is(403, "Forbidden.RAM");
    world.instances(&["a", "new"]).await.is(400, "OperationConflict");
    let mut parameters = instances(&["a", "full"]);
    parameters[2].1 = "other".into();
    let reply = world.alibaba(&Alibaba::default(), ECS, "TagResources", &borrowed(&parameters)).await;
    reply.is(403, "QuotaExceed.TagsPerResource");
    parameters[1].1 = "INSTANCE".into();
    parameters.last_mut().unwrap().1 = "new".into();
    let reply = world.alibaba(&Alibaba::default(), RDS, "TagResources", &borrowed(&parameters)).await;
    reply.is(403, "OperationDenied.DBInstanceStatus");
    assert_eq!(world.sim.tags("alibaba-ecs").keys().collect::<Vec<_>>(), ["instance/full"]);
    let outcomes = world.sim.counts("alibaba-ecs").outcomes;
    assert_eq!((outcomes.denied, outcomes.not_ready, outcomes.rejected), (1, 1, 1));
}

#[tokio::test]
async fn a_key_is_folded_on_write_and_on_removal() {
    let world = start(|_| {}).await;
    let mut parameters = instances(&["i-1"]);
    for (key, value) in [("Env", "a"), ("Team", "x"), ("ENV", "b")] {
        (parameters[2].1, parameters[3].1) = (key.into(), value.into());
        let reply = world.alibaba(&Alibaba::default(), ECS, "TagResources", &borrowed(&parameters)).await;
        assert_eq!(reply.status, 200);
    }
    assert_eq!(json!(world.sim.tags("alibaba-ecs")), json!({"instance/i-1": {"ENV": "b", "Team": "x"}}));
    let base = [("RegionId", "cn-hangzhou"), ("ResourceType", "instance"), ("ResourceId.1", "i-1")];
    let with = |more: &[(&'static str, &'static str)]| [&base[..], more].concat();
    let untag = async |more: &[(&'static str, &'static str)]| {
        world.alibaba(&Alibaba::default(), ECS, "UntagResources", &with(more)).await
    };
    assert_eq!(untag(&[("TagKey.1", "env"), ("TagKey.2", "absent")]).await.status, 200);
    assert_eq!(json!(world.sim.tags("alibaba-ecs")), json!({"instance/i-1": {"Team": "x"}}));
    untag(&[]).await.is(404, "MissingParameter.TagKey");
    untag(&[("TagKey.1", "Team"), ("All", "true")]).await.is(403, "Param.Conflict");
    assert_eq!(untag(&[("All", "true")]).await.status, 200);
    assert!(world.sim.tags("alibaba-ecs").is_empty());
}

async fn tag_service(world: &World, arns: &[&str], tags: &str) -> Reply {
    let mut parameters = vec![("RegionId".to_owned(), "cn-hangzhou".to_owned()), ("Tags".to_owned(), tags.to_owned())];
    parameters.extend(arns.iter().enumerate().map(|(n, arn)| (format!("ResourceARN.{}", n + 1), (*arn).to_owned())));
    world.alibaba(&Alibaba::default(), TAG, "TagResources", &borrowed(&parameters)).await
}

#[tokio::test]
async fn the_tag_service_resolves_stars_and_reports_failed_resources_in_a_double_wrapper() {
    let world = start(|clouds| {
        let tag = cloud(clouds, "alibaba-tag");
        tag.account_id = Some("42".into());
        tag.faults.unknown = vec!["i-gone".into()];
        tag.faults.denied = vec!["arn:acs:vpc:*".into()];
    })
    .await;
    let good = "arn:acs:ecs:*:*:instance/i-1";
    let reply = tag_service(&world, &[good], r#"{"k1":"v1","k2":"v2"}"#).await;
    assert_eq!((reply.status, &reply.json()["FailedResources"]), (200, &json!({})));
    let (gone, locked) = ("arn:acs:ecs:*:*:instance/i-gone", "arn:acs:vpc:cn-hangzhou:42:vpc/v-1");
    let reply = tag_service(&world, &[gone, good, locked], r#"{"k1":"new"}"#).await;
    let failed = reply.json()["FailedResources"]["FailedResource"].clone();
    let codes: Vec<_> =
        failed.as_array().unwrap().iter().map(|f| (f["ResourceARN"].as_str().unwrap(), &f["Result"]["Code"])).collect();
    assert_eq!(codes, [(gone, &json!("InvalidResourceId.NotFound")), (locked, &json!("Forbidden.RAM"))]);
    let expected = json!({"arn:acs:ecs:cn-hangzhou:42:instance/i-1": {"k1": "new", "k2": "v2"}});
    assert_eq!(json!(world.sim.tags("alibaba-tag")), expected);
}

#[tokio::test]
async fn what_is_beyond_the_limits_of_the_tag_service_is_refused_with_its_own_code() {
    let world = start(|clouds| cloud(clouds, "alibaba-tag").account_id = Some("42".into())).await;
    let arn = "arn:acs:ecs:cn-hangzhou:42:instance/i-1";
    let many: Vec<String> = (0..51).map(|n| format!("{arn}{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let eleven = json!((0..11).map(|n| (format!("k{n}"), json!("v"))).collect::<serde_json::Map<String, Value>>());
    let eleven = eleven.to_string();
    let one = r#"{"k":"v"}"#;
    let cases: [(&[&str], &str, u16, &str); 15] = [
        (&many, one, 403, "NumberExceed.ResourceIds"),
        (&many[..50], one, 200, "none"),
        (&[], one, 404, "MissingParameter.ResourceARN"),
        (&[arn, "arn:acs:ecs:*:*:instance/i-1"], one, 400, "InvalidParameter.ResourceARN"),
        (&["i-1"], one, 400, "InvalidResourceARN.FormatError"),
        (&["arn:aws:ecs:cn-hangzhou:42:instance/i-1"], one, 400, "InvalidResourceARN.FormatError"),
        (&["arn:acs:ecs:cn-beijing:42:instance/i-1"], one, 400, "InvalidResourceARN.Region"),
        (&["arn:acs:ecs:cn-hangzhou:43:instance/i-1"], one, 400, "InvalidResourceARN.Account"),
        (&[arn], &eleven, 403, "NumberExceed.Tags"),
        (&[arn], "", 404, "MissingParameter.Tags"),
        (&[arn], r#"["k"]"#, 400, "InvalidParameter.Tags"),
        (&[arn], r#"{"k":1}"#, 400, "InvalidParameter.Tags"),
        (&[arn], r#"{"k":""}"#, 400, "InvalidParameter.TagValue"),
        (&[arn], r#"{"":"v"}"#, 400, "InvalidParameter.TagKey"),
        (&[arn], r#"{"k":"v","k":"w"}"#, 403, "Duplicate.TagKey"),
    ];
    for (arns, tags, status, code) in cases {
        tag_service(&world, arns, tags).await.is(status, code);
    }
}
