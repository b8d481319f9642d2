//! The four APIs of AWS keep their own rules, in their own words.

use crate::{
    client::{Reply, World, cloud, start, with_faults},
    sign,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tagmill::{
    sim::{BucketRegion, Faults, Rate, RetryAfter, Stale, WrongRegion, well_known},
    worker::clock,
};

/// How a request is made; the default is right in every way.
struct Aws {
    access: &'static str,
    secret: &'static str,
    token: Option<&'static str>,
    region: &'static str,
    service: Option<&'static str>,
    off_by: i64,
    unsigned: Option<&'static str>,
    body_hash: Option<&'static str>,
    /// The path under the signature, where it is not the right one.
    path: Option<&'static str>,
    more: Vec<(String, String)>,
}

impl Default for Aws {
    fn default() -> Self {
        Self {
            access: well_known::AWS_ACCESS_KEY,
            secret: well_known::AWS_SECRET_KEY,
            token: None,
            region: "us-east-1",
            service: None,
            off_by: 0,
            unsigned: None,
            body_hash: None,
            path: None,
            more: Vec::new(),
        }
    }
}

fn with(name: &str, value: &str) -> Aws {
    Aws { more: vec![(name.to_owned(), value.to_owned())], ..Aws::default() }
}

async fn send(world: &World, how: &Aws, service: &str, method: Method, target: &str, body: &str) -> Reply {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let now = clock::wall().checked_add(SignedDuration::from_secs(how.off_by)).unwrap();
    let stamp = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut headers = vec![("host".to_owned(), world.sim.addr().to_string()), ("x-amz-date".to_owned(), stamp.clone())];
    headers.extend(how.token.map(|token| ("x-amz-security-token".to_owned(), token.to_owned())));
    if service == "s3" {
        let hash = how.body_hash.map_or_else(|| sign::sha256(body.as_bytes()), str::to_owned);
        headers.push(("x-amz-content-sha256".to_owned(), hash));
    }
    headers.extend(how.more.clone());
    let encoded = path.split('/').map(sign::encode).collect::<Vec<_>>().join("/");
    let canonical = how.path.map_or(if service == "s3" { path.to_owned() } else { encoded }, str::to_owned);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<String> =
        pairs.map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") }).collect();
    pairs.sort();
    let signed: Vec<_> = headers.iter().filter(|(name, _)| Some(name.as_str()) != how.unsigned).cloned().collect();
    let parts = (method.as_str(), &*canonical, &*pairs.join("&"), body.as_bytes());
    let scope = (how.region, how.service.unwrap_or(service), &*stamp);
    headers.push(("authorization".to_owned(), sign::aws((how.access, how.secret), scope, parts, &signed)));
    world.send(method, target, &headers, body.as_bytes().to_vec()).await.unwrap()
}

/// Code and status of a reply, whatever its envelope.
fn code(reply: &Reply) -> (u16, String) {
    let xml = reply.text.split("<Code>").nth(1).and_then(|rest| rest.split("</Code>").next());
    let json: Value = serde_json::from_str(&reply.text).unwrap_or_default();
    let json = json["__type"].as_str().or(json["Code"].as_str()).map(str::to_owned);
    (reply.status, xml.map(str::to_owned).or(json).unwrap_or_else(|| "none".to_owned()))
}

fn is(reply: &Reply, status: u16, expected: &str) {
    assert_eq!(code(reply), (status, expected.to_owned()), "{}", reply.text);
}

fn arn(id: &str) -> String {
    format!("arn:aws:ec2:us-east-1:123456789012:instance/{id}")
}

async fn tagging_as(world: &World, how: Aws, action: &str, body: Value) -> Reply {
    let target = format!("ResourceGroupsTaggingAPI_20170126.{action}");
    let mut how = how;
    how.more.extend([
        ("content-type".to_owned(), "application/x-amz-json-1.1".to_owned()),
        ("x-amz-target".to_owned(), target),
    ]);
    send(world, &how, "tagging", Method::POST, "/", &body.to_string()).await
}

async fn tagging(world: &World, arns: &[String], tags: Value) -> Reply {
    tagging_as(world, Aws::default(), "TagResources", json!({"ResourceARNList": arns, "Tags": tags})).await
}

const VAULT: &str = "/tags/arn%3Aaws%3Abackup%3Aus-east-1%3A123456789012%3Abackup-vault%3Av";

async fn backup(world: &World, how: &Aws, target: &str, body: &Value) -> Reply {
    send(world, how, "backup", Method::POST, target, &body.to_string()).await
}

async fn ml(world: &World, action: &str, body: Value) -> Reply {
    let how = Aws {
        more: vec![
            ("content-type".into(), "application/x-amz-json-1.1".into()),
            ("x-amz-target".into(), format!("AmazonML_20141212.{action}")),
        ],
        ..Aws::default()
    };
    send(world, &how, "machinelearning", Method::POST, "/", &body.to_string()).await
}

fn set(pairs: &[(&str, &str)]) -> String {
    let tags: String =
        pairs.iter().map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>")).collect();
    format!("<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet>{tags}</TagSet></Tagging>")
}

fn summed(body: &str) -> Aws {
    with("x-amz-checksum-sha256", &STANDARD.encode(Sha256::digest(body)))
}

async fn put(world: &World, bucket: &str, pairs: &[(&str, &str)]) -> Reply {
    let body = set(pairs);
    send(world, &summed(&body), "s3", Method::PUT, &format!("/{bucket}?tagging"), &body).await
}

async fn get(world: &World, bucket: &str) -> Reply {
    send(world, &Aws::default(), "s3", Method::GET, &format!("/{bucket}?tagging"), "").await
}

#[tokio::test]
async fn the_tagging_api_merges_and_lists_what_failed() {
    let world = start(|clouds| {
        let cloud = cloud(clouds, "aws-tagging");
        cloud.faults.unknown = vec!["i-gone".into()];
        cloud.faults.denied = vec!["i-locked".into()];
    })
    .await;
    let arns: Vec<String> = ["i-1", "i-gone", "i-locked", "i-2"].iter().map(|id| arn(id)).collect();
    let reply = tagging(&world, &arns, json!({"env": "dev", "team": "a"})).await;
    let failed = &reply.json()["FailedResourcesMap"];
    assert_eq!((reply.status, failed.as_object().unwrap().len()), (200, 2));
    assert_eq!(failed[&arns[1]]["ErrorCode"], "ResourceNotFoundException");
    assert_eq!(failed[&arns[2]]["ErrorCode"], "AccessDeniedException");
    assert_eq!(tagging(&world, &arns[..1], json!({"env": "prod"})).await.json(), json!({"FailedResourcesMap": {}}));
    let untag = json!({"ResourceARNList": [arns[3]], "TagKeys": ["env", "absent"]});
    assert_eq!(tagging_as(&world, Aws::default(), "UntagResources", untag).await.status, 200);
    let expected = json!({&arns[0]: {"env": "prod", "team": "a"}, &arns[3]: {"team": "a"}});
    assert_eq!(json!(world.sim.tags("aws-tagging")), expected);
}

#[tokio::test]
async fn what_is_beyond_the_limits_of_the_tagging_api_fails_the_whole_call() {
    let world = start(|_| {}).await;
    let many: Vec<String> = (0..21).map(|n| arn(&format!("i-{n}"))).collect();
    let one = json!({"k": "v"});
    let tags = |n: usize| json!((0..n).map(|n| (format!("k{n}"), json!("v"))).collect::<serde_json::Map<_, _>>());
    let cases: Vec<(Vec<String>, Value)> = vec![
        (many.clone(), one.clone()),
        (vec![], one.clone()),
        (vec!["i-1".into()], one.clone()),
        (vec![many[0].clone(), many[0].clone()], one.clone()),
        (vec!["arn:aws-cn:ec2:us-east-1:123456789012:instance/i".into()], one.clone()),
        (vec!["arn:aws:ec2:us-west-2:123456789012:instance/i".into()], one.clone()),
        (vec!["arn:aws:ec2:us-east-1:999999999999:instance/i".into()], one.clone()),
        (many[..1].to_vec(), tags(51)),
        (many[..1].to_vec(), json!({})),
        (many[..1].to_vec(), json!({"aws:x": "v"})),
        (many[..1].to_vec(), json!({"k": "v".repeat(257)})),
    ];
    for (arns, tags) in cases {
        is(&tagging(&world, &arns, tags).await, 400, "InvalidParameterException");
    }
    assert_eq!(tagging(&world, &many[..20], tags(50)).await.status, 200);
    let full = tagging(&world, &many[..1], json!({"one-more": "v"})).await.json();
    assert_eq!(full["FailedResourcesMap"][&many[0]]["ErrorCode"], "TagLimitExceeded");
    is(&tagging_as(&world, Aws::default(), "GetResources", json!({})).await, 400, "UnknownOperationException");
}

#[tokio::test]
async fn backup_takes_an_arn_as_one_label_and_answers_nothing() {
    let world = start(|_| {}).await;
    let how = with("content-type", "application/json");
    let reply = backup(&world, &how, VAULT, &json!({"Tags": {"env": "dev", "team": "a"}})).await;
    assert_eq!((reply.status, reply.text.as_str()), (200, ""));
    let untag = VAULT.replace("/tags/", "/untag/");
    assert_eq!(backup(&world, &how, &untag, &json!({"TagKeyList": ["team"]})).await.status, 200);
    let list = send(&world, &Aws::default(), "backup", Method::GET, &format!("{VAULT}/"), "").await;
    assert_eq!(list.json(), json!({"Tags": {"env": "dev"}}));

    let raw = VAULT.replace("%3A", ":");
    assert_eq!(backup(&world, &how, &raw, &json!({"Tags": {"b": "c"}})).await.status, 200, "raw colons verify too");
    let other = "/tags/arn%3Aaws%3Aec2%3Aus-east-1%3A%3Asnapshot%2Fsnap-1";
    is(&backup(&world, &how, other, &json!({"Tags": {"b": "c"}})).await, 400, "InvalidParameterValueException");
    is(&backup(&world, &how, VAULT, &json!({})).await, 400, "MissingParameterValueException");
    is(&backup(&world, &how, VAULT, &json!({"Tags": [{"Key": "k"}]})).await, 400, "SerializationException");
    is(&backup(&world, &how, "/tags/a/b/c", &json!({"Tags": {}})).await, 404, "UnknownOperationException");
    let many: serde_json::Map<_, _> = (0..51).map(|n| (format!("k{n}"), json!("v"))).collect();
    is(&backup(&world, &how, VAULT, &json!({"Tags": many})).await, 400, "LimitExceededException");
}

#[tokio::test]
async fn backup_refuses_a_path_that_is_encoded_once_under_the_signature() {
    let world = start(|_| {}).await;
    let once = Aws { path: Some(VAULT), ..with("content-type", "application/json") };
    is(&backup(&world, &once, VAULT, &json!({"Tags": {"a": "b"}})).await, 403, "InvalidSignatureException");
}

#[tokio::test]
async fn machine_learning_knows_its_types_and_holds_ten_tags() {
    let world = start(|_| {}).await;
    let add = |kind: &str, tags: Value| json!({"ResourceId": "ml-1", "ResourceType": kind, "Tags": tags});
    let tags = |n: usize| json!((0..n).map(|n| json!({"Key": format!("k{n}"), "Value": "v"})).collect::<Vec<_>>());
    let reply = ml(&world, "AddTags", add("MLModel", tags(10))).await;
    assert_eq!(reply.json(), json!({"ResourceId": "ml-1", "ResourceType": "MLModel"}));
    is(&ml(&world, "AddTags", add("MLModel", json!([{"Key": "more"}]))).await, 400, "TagLimitExceededException");
    is(&ml(&world, "AddTags", add("mlmodel", tags(1))).await, 400, "InvalidInputException");
    is(&ml(&world, "AddTags", add("MLModel", json!([{"Key": "a*"}]))).await, 400, "InvalidTagException");
    is(&ml(&world, "AddTags", add("MLModel", json!({"k": "v"}))).await, 400, "SerializationException");
    let delete = json!({"ResourceId": "ml-1", "ResourceType": "MLModel", "TagKeys": ["k0", "absent"]});
    assert_eq!(ml(&world, "DeleteTags", delete).await.status, 200);
    let described = ml(&world, "DescribeTags", json!({"ResourceId": "ml-1", "ResourceType": "MLModel"})).await;
    assert_eq!(described.json()["Tags"].as_array().unwrap().len(), 9);
}

#[tokio::test]
async fn a_bucket_has_one_set_that_a_write_replaces() {
    let world = start(|_| {}).await;
    is(&get(&world, "bucket").await, 404, "NoSuchTagSet");
    assert_eq!(put(&world, "bucket", &[("a", "1"), ("b &amp; c", "")]).await.status, 400, "no ampersand in a key");
    assert_eq!(put(&world, "bucket", &[("a", "1"), ("b", "")]).await.status, 204);
    assert_eq!(put(&world, "bucket", &[("c", "3")]).await.status, 204);
    let reply = get(&world, "bucket").await;
    assert!(reply.text.contains("<Key>c</Key><Value>3</Value>") && !reply.text.contains("<Key>a</Key>"));
    let delete = send(&world, &Aws::default(), "s3", Method::DELETE, "/bucket?tagging", "").await;
    assert_eq!((delete.status, world.sim.tags("aws-s3").len()), (204, 0));
    let host = Aws { more: vec![], ..Aws::default() };
    is(&send(&world, &host, "s3", Method::GET, "/bucket?acl", "").await, 501, "NotImplemented");
}

#[tokio::test]
async fn a_write_needs_a_right_checksum_and_a_set_that_is_one() {
    let world = start(|_| {}).await;
    let body = set(&[("a", "1")]);
    let send_with = async |how: Aws, body: &str| send(&world, &how, "s3", Method::PUT, "/bucket?tagging", body).await;
    is(&send_with(Aws::default(), &body).await, 400, "InvalidRequest");
    is(&send_with(with("x-amz-checksum-sha256", "bm90IGl0"), &body).await, 400, "BadDigest");
    is(&send_with(with("x-amz-checksum-crc32", "AAAAAA=="), &body).await, 400, "BadDigest");
    is(&send_with(with("content-md5", "x"), &body).await, 400, "InvalidDigest");
    let lies = Aws { body_hash: Some("00"), ..summed(&body) };
    is(&send_with(lies, &body).await, 400, "XAmzContentSHA256Mismatch");
    for malformed in ["", "<Tagging>", "<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>", "{}"] {
        is(&send_with(summed(malformed), malformed).await, 400, "MalformedXML");
    }
    for pairs in [&[("a", "1"), ("a", "2")][..], &[("aws:x", "1")], &[("", "1")], &[("k!", "1")], &[("k", "a*")]] {
        is(&put(&world, "bucket", pairs).await, 400, "InvalidTag");
    }
    let keys: Vec<String> = (0..51).map(|n| format!("k{n}")).collect();
    let many: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "v")).collect();
    is(&put(&world, "bucket", &many).await, 400, "BadRequest");
    assert_eq!(put(&world, "bucket", &many[..50]).await.status, 204);
    let crc = with("x-amz-checksum-crc32", "XAodMw==");
    let documented = "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet><Tag><Key>Project</Key>\
        <Value>Project One</Value></Tag><Tag><Key>User</Key><Value>jsmith</Value></Tag></TagSet></Tagging>";
    assert_eq!(send_with(crc, documented).await.status, 204, "the vendor's own request");
}

#[tokio::test]
async fn tags_of_aws_can_be_neither_made_changed_nor_lost_and_do_not_count() {
    let world = start(|clouds| {
        let tags = [("bucket".to_owned(), [("aws:stack".to_owned(), "s".to_owned())].into())].into();
        cloud(clouds, "aws-s3").tags = tags;
    })
    .await;
    for pairs in [&[("a", "1")][..], &[("aws:stack", "other")], &[("aws:stack", "s"), ("aws:more", "x")]] {
        is(&put(&world, "bucket", pairs).await, 400, "InvalidTag");
    }
    is(&send(&world, &Aws::default(), "s3", Method::DELETE, "/bucket?tagging", "").await, 400, "InvalidTag");
    let keys: Vec<String> = (0..50).map(|n| format!("k{n}")).collect();
    let mut full: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "v")).collect();
    full.push(("aws:stack", "s"));
    assert_eq!(put(&world, "bucket", &full).await.status, 204);
    assert_eq!(world.sim.tags("aws-s3")["bucket"].len(), 51);
}

#[tokio::test]
async fn a_bucket_of_somebody_else_is_guarded_by_its_owner() {
    let world = start(|clouds| cloud(clouds, "aws-s3").foreign = vec!["theirs-*".into()]).await;
    let read =
        async |bucket: &str, how: &Aws| send(&world, how, "s3", Method::GET, &format!("/{bucket}?tagging"), "").await;
    let expected = with("x-amz-expected-bucket-owner", well_known::AWS_ACCOUNT_ID);
    is(&read("ours", &expected).await, 404, "NoSuchTagSet");
    is(&read("theirs-1", &expected).await, 403, "AccessDenied");
    is(&read("ours", &with("x-amz-expected-bucket-owner", "111122223333")).await, 403, "AccessDenied");
    is(&read("theirs-1", &Aws::default()).await, 404, "NoSuchTagSet");
}

#[tokio::test]
async fn a_bucket_in_another_region_says_so_in_four_ways() {
    for (how, status, code, header) in [
        (WrongRegion::Redirect, 301, "PermanentRedirect", Some("eu-west-1")),
        (WrongRegion::Temporary, 307, "TemporaryRedirect", Some("eu-west-1")),
        (WrongRegion::Malformed, 400, "AuthorizationHeaderMalformed", None),
        (WrongRegion::Silent, 301, "PermanentRedirect", None),
    ] {
        let world = start(|clouds| {
            let cloud = cloud(clouds, "aws-s3");
            cloud.bucket_regions = vec![BucketRegion { id: "eu-*".into(), region: "eu-west-1".into() }];
            cloud.wrong_region = how;
        })
        .await;
        // A redirect without a location is answered as it stands.
        let reply = get(&world, "eu-bucket").await;
        is(&reply, status, code);
        assert_eq!(reply.headers.get("x-amz-bucket-region").map(|region| region.to_str().unwrap()), header);
        assert_eq!(reply.text.contains("<Region>eu-west-1</Region>"), how == WrongRegion::Malformed);
        let there = Aws { region: "eu-west-1", ..Aws::default() };
        is(&send(&world, &there, "s3", Method::GET, "/eu-bucket?tagging", "").await, 404, "NoSuchTagSet");
        if how == WrongRegion::Silent {
            let head = send(&world, &Aws::default(), "s3", Method::HEAD, "/eu-bucket", "").await;
            assert_eq!(head.header("x-amz-bucket-region"), "eu-west-1");
        }
    }
}

#[tokio::test]
async fn buckets_with_access_by_tags_take_them_through_s3_control() {
    let world = start(|clouds| cloud(clouds, "aws-s3").abac = vec!["abac-*".into()]).await;
    is(&put(&world, "abac-1", &[("a", "1")]).await, 403, "AccessDenied");
    let body = "<TagResourceRequest xmlns=\"http://awss3control.amazonaws.com/doc/2018-08-20/\"><Tags><Tag><Key>a</Key>\
        <Value>b</Value></Tag></Tags></TagResourceRequest>";
    let path = "/v20180820/tags/arn%3Aaws%3As3%3A%3A%3Aabac-1";
    is(&send(&world, &Aws::default(), "s3", Method::POST, path, body).await, 403, "AccessDenied");
    let how = with("x-amz-account-id", well_known::AWS_ACCOUNT_ID);
    assert_eq!(send(&world, &how, "s3", Method::POST, path, body).await.status, 204);
    assert_eq!(json!(world.sim.tags("aws-s3")), json!({"abac-1": {"a": "b"}}));
    assert!(get(&world, "abac-1").await.text.contains("<Key>a</Key>"), "reading works as ever");
    let untag = format!("{path}?tagKeys=a&tagKeys=z");
    assert_eq!(send(&world, &how, "s3", Method::DELETE, &untag, "").await.status, 204);
    assert!(world.sim.tags("aws-s3").is_empty());
}

#[tokio::test]
async fn a_read_may_be_behind_and_shows_what_was_true_then() {
    let stale = Stale { probability: 1.0, up_to_ms: 60_000 };
    let world = with_faults("aws-s3", Faults { stale, ..Faults::default() }).await;
    for value in ["1", "2"] {
        assert_eq!(put(&world, "bucket", &[("a", value)]).await.status, 204);
    }
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let reply = get(&world, "bucket").await;
        let value = reply.text.split("<Value>").nth(1).map_or("none", |rest| rest.split('<').next().unwrap());
        seen.insert(value.to_owned());
    }
    assert!(seen.contains("none") && !seen.contains("3"), "{seen:?}");
    let fresh = Faults { stale: Stale::default(), ..world.sim.faults("aws-s3").unwrap() };
    world.sim.set_faults("aws-s3", fresh).unwrap();
    assert!(get(&world, "bucket").await.text.contains("<Value>2</Value>"));
}

#[tokio::test]
async fn a_conflict_is_a_409_and_changes_nothing() {
    let world = with_faults("aws-s3", Faults { conflict: 1.0, ..Faults::default() }).await;
    is(&put(&world, "bucket", &[("a", "1")]).await, 409, "OperationAborted");
    is(&get(&world, "bucket").await, 404, "NoSuchTagSet");
}

#[tokio::test]
async fn a_request_that_does_not_prove_who_sent_it_is_refused_and_changes_nothing() {
    let world = start(|_| {}).await;
    let cases = |s3: bool| -> Vec<(Aws, &'static str)> {
        let pick = |json: &'static str, xml: &'static str| if s3 { xml } else { json };
        let signature = pick("InvalidSignatureException", "SignatureDoesNotMatch");
        let far = pick("InvalidSignatureException", "RequestTimeTooSkewed");
        vec![
            (Aws { secret: "wrong", ..Aws::default() }, signature),
            (Aws { access: "NOBODY", ..Aws::default() }, pick("UnrecognizedClientException", "InvalidAccessKeyId")),
            (Aws { off_by: -16 * 60, ..Aws::default() }, far),
            (Aws { off_by: 16 * 60, ..Aws::default() }, far),
            (Aws { token: Some("x"), ..Aws::default() }, pick("UnrecognizedClientException", "InvalidToken")),
            (Aws { unsigned: Some("x-amz-date"), ..Aws::default() }, signature),
            (Aws { unsigned: Some("host"), ..Aws::default() }, signature),
        ]
    };
    for (how, expected) in cases(false) {
        let body = json!({"ResourceARNList": [arn("i-1")], "Tags": {"a": "b"}});
        let reply = tagging_as(&world, how, "TagResources", body).await;
        is(&reply, 400, expected);
    }
    for (how, expected) in cases(false) {
        is(&backup(&world, &how, VAULT, &json!({"Tags": {"a": "b"}})).await, 403, expected);
    }
    for (how, expected) in cases(true) {
        let status = if expected == "InvalidToken" { 400 } else { 403 };
        is(&send(&world, &how, "s3", Method::GET, "/bucket?tagging", "").await, status, expected);
    }
    for service in ["ec2", "resourcegroupstaggingapi"] {
        let how = Aws { service: Some(service), ..Aws::default() };
        let reply = tagging_as(&world, how, "TagResources", json!({})).await;
        is(&reply, 400, "InvalidSignatureException");
    }
    let skew = tagging_as(&world, Aws { off_by: -16 * 60, ..Aws::default() }, "TagResources", json!({})).await;
    assert!(skew.text.contains("Signature expired") && skew.headers.contains_key("date"), "{}", skew.text);
    for name in ["aws-tagging", "aws-s3", "aws-backup"] {
        assert!(world.sim.tags(name).is_empty(), "{name}");
        assert!(world.sim.counts(name).outcomes.auth >= 6, "{name}");
    }
}

#[tokio::test]
async fn a_temporary_key_needs_its_token_and_switches_speak_each_services_words() {
    let world = start(|clouds| cloud(clouds, "aws-backup").security_token = Some("session+/=".into())).await;
    let body = json!({"Tags": {"a": "b"}});
    is(&backup(&world, &Aws::default(), VAULT, &body).await, 403, "UnrecognizedClientException");
    let right = Aws { token: Some("session+/="), ..Aws::default() };
    assert_eq!(backup(&world, &right, VAULT, &body).await.status, 200);

    let words = async |faults: Faults| {
        let world = start(|clouds| clouds.iter_mut().for_each(|cloud| cloud.faults = faults.clone())).await;
        let json = code(&tagging(&world, &[arn("i-1")], json!({"a": "b"})).await);
        [json, code(&backup(&world, &Aws::default(), VAULT, &body).await), code(&get(&world, "bucket").await)]
    };
    let of = |list: [(u16, &str); 3]| list.map(|(status, code)| (status, code.to_owned()));
    assert_eq!(
        words(Faults { expired: true, ..Faults::default() }).await,
        of([(400, "ExpiredTokenException"), (403, "ExpiredTokenException"), (400, "ExpiredToken")])
    );
    assert_eq!(
        words(Faults { revoked: true, ..Faults::default() }).await,
        of([(400, "UnrecognizedClientException"), (403, "UnrecognizedClientException"), (403, "InvalidAccessKeyId")])
    );
    assert_eq!(
        words(Faults { deny_all: true, ..Faults::default() }).await,
        of([(400, "AccessDeniedException"), (403, "AccessDeniedException"), (403, "AccessDenied")])
    );
    assert_eq!(
        words(Faults { outage: true, ..Faults::default() }).await,
        of([(503, "ServiceUnavailable"), (503, "ServiceUnavailable"), (503, "ServiceUnavailable")])
    );
}

#[tokio::test]
async fn too_many_requests_are_throttled_with_the_clouds_own_hint() {
    let world = start(|clouds| {
        for name in ["aws-tagging", "aws-backup", "aws-s3"] {
            let cloud = cloud(clouds, name);
            cloud.rate = Some(Rate { per_second: 0.000_1, burst: 1.0, slack_ms: 0.0 });
            cloud.retry_after = Some(RetryAfter::Milliseconds(1500));
        }
    })
    .await;
    let arns = [arn("i-1")];
    tagging(&world, &arns, json!({"a": "b"})).await;
    let reply = tagging(&world, &arns, json!({"a": "b"})).await;
    is(&reply, 400, "ThrottledException");
    assert_eq!(reply.header("x-amz-retry-after"), "1500");
    backup(&world, &Aws::default(), VAULT, &json!({"Tags": {"a": "b"}})).await;
    is(&backup(&world, &Aws::default(), VAULT, &json!({"Tags": {"a": "b"}})).await, 400, "ThrottlingException");
    get(&world, "bucket").await;
    is(&get(&world, "bucket").await, 503, "SlowDown");
}
