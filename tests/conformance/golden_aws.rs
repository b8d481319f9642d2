//! AWS signatures and whole requests against vectors made with the vendor's SDK and published examples.

use crate::data::{at, json, key, reply};
use serde_json::Value;
use std::sync::Arc;
use tagmill::{
    job::Resource,
    provider::{
        Answer, Call, Credential, HttpReply, HttpRequest, Memo, Op, Provider, Settings,
        aws::sign::{Keys, Scope, sign},
        find,
    },
};

fn vectors() -> Vec<Value> {
    json("vectors_aws.json")["vectors"].as_array().unwrap().clone()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// `20250102T030405Z` with its dashes and colons.
fn iso(stamp: &str) -> String {
    let part = |from: usize, to: usize| &stamp[from..to];
    format!("{}-{}-{}T{}:{}:{}Z", part(0, 4), part(4, 6), part(6, 8), part(9, 11), part(11, 13), part(13, 15))
}

type Headers = Vec<(String, String)>;

/// The headers of a vector in lower case; those that the signer adds are what it is held against.
fn headers(vector: &Value) -> (Headers, Headers) {
    let added = ["x-amz-date", "x-amz-security-token", "x-amz-content-sha256"];
    let map = vector["headers"].as_object().unwrap();
    let all = map.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.as_str().unwrap().to_owned()));
    all.partition(|(name, _)| !added.contains(&name.as_str()))
}

fn signed(vector: &Value) -> Vec<(String, String)> {
    let credentials = &vector["credentials"];
    let keys = Keys {
        access_key: text(credentials, "access_key_id"),
        secret_key: text(credentials, "secret_access_key"),
        session_token: credentials["session_token"].as_str(),
    };
    let scope = Scope { service: text(vector, "service_signing_name"), region: text(vector, "region") };
    let (method, url, body) = (text(vector, "method"), text(vector, "url"), text(vector, "body").as_bytes());
    let now = at(&iso(text(vector, "timestamp")), "").now;
    let mut added = sign(scope, method, url, &headers(vector).0, body, keys, now).unwrap();
    added.sort();
    added
}

#[test]
fn every_vector_is_signed_exactly() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 31);
    for vector in vectors {
        let (_, mut expected) = headers(&vector);
        expected.push(("authorization".into(), text(&vector, "authorization").into()));
        expected.sort();
        assert_eq!(signed(&vector), expected, "{}", text(&vector, "name"));
    }
}

#[test]
fn the_signatures_of_typical_mistakes_are_not_ours() {
    let mut count = 0;
    for vector in vectors() {
        for (mistake, wrong) in vector["mistakes"].as_object().into_iter().flatten() {
            let ours = signed(&vector);
            let authorization = &ours.iter().find(|(name, _)| name == "authorization").unwrap().1;
            assert!(!authorization.ends_with(wrong.as_str().unwrap()), "{mistake}");
            count += 1;
        }
    }
    assert_eq!(count, 2, "mistakes in the vectors");
}

#[test]
fn backup_paths_are_encoded_twice_and_s3_paths_once() {
    let canonical = |name: &str| {
        let vectors = vectors();
        let vector = vectors.iter().find(|vector| text(vector, "name") == name).unwrap();
        text(vector, "canonical_request").lines().nth(1).unwrap().to_owned()
    };
    assert!(canonical("backup-tag-resource-vault").contains("arn%253Aaws%253Abackup"));
    assert!(canonical("s3control-tag-resource-abac-bucket").contains("arn%3Aaws%3As3"));
}

#[test]
fn what_cannot_stand_in_a_header_is_not_signed_and_does_not_panic() {
    let now = at("2025-01-02T03:04:05Z", "").now;
    let scope = Scope { service: "s3", region: "us-east-1" };
    let keys = Keys { access_key: "a", secret_key: "s", session_token: Some("one\ntwo") };
    assert_eq!(sign(scope, "GET", "https://a.example/", &[], &[], keys, now), None);
    let keys = Keys { access_key: "", secret_key: "", session_token: None };
    let odd = [("x-odd".to_owned(), "a\r\nb: c".to_owned())];
    assert_eq!(sign(scope, "GET", "https://a.example/", &odd, &[], keys, now), None);
    assert_eq!(sign(scope, "GET", "https://a b/", &[], &[], keys, now), None);
    assert!(sign(scope, "GET", "https://a.example/", &[], &[], keys, now).is_some());
}

/// Vectors of requests we never make: other operations, a published example, and forms of ours that we do not send.
const NOT_OURS: [&str; 7] = [
    "backup-list-tags",
    "backup-list-tags-paged",
    "machinelearning-describe-tags",
    "sts-assume-role-query",
    "sigv4-suite-get-vanilla",
    "s3-doc-get-bucket-lifecycle",
    // Raw colons verify as well; we send the encoded form.
    "backup-tag-resource-raw-colon-path",
];

fn credential(vector: &Value) -> Credential {
    let credentials = &vector["credentials"];
    let (access, secret) = (text(credentials, "access_key_id"), text(credentials, "secret_access_key"));
    key(access, secret, credentials["session_token"].as_str(), None)
}

fn provider(name: &str, vector: &Value) -> Box<dyn Provider> {
    let url = text(vector, "url");
    // A host of one's own is the only kind with another scheme.
    let endpoint = url.starts_with("http://").then(|| format!("http://{}", text(vector, "host")));
    let settings = Settings { region: text(vector, "region").into(), endpoint, ..Settings::default() };
    (find(name).unwrap().build)(&settings).unwrap()
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Everything of a request but the bytes of its body, which a serializer is free to space in its own way.
fn same(vector: &Value, request: &HttpRequest) {
    let name = text(vector, "name");
    assert_eq!(request.method.as_str(), text(vector, "method"), "{name}");
    assert_eq!(request.url, text(vector, "url"), "{name}");
    let (own, added) = headers(vector);
    for (header_name, value) in own.iter().chain(&added) {
        if header_name != "x-amz-content-sha256" {
            assert_eq!(header(request, header_name), Some(value.as_str()), "{name}: {header_name}");
        }
    }
    let signed_headers = |authorization: &str| authorization.split("SignedHeaders=").nth(1).map(str::to_owned);
    let ours = signed_headers(header(request, "authorization").unwrap()).unwrap();
    assert!(ours.starts_with(&format!("{},", text(vector, "signed_headers"))), "{name}: {ours}");
}

fn pairs(value: &Value) -> Vec<(Arc<str>, Arc<str>)> {
    let map = value.as_object().into_iter().flatten();
    map.map(|(key, value)| (key.as_str().into(), value.as_str().unwrap().into())).collect()
}

fn keys(value: &Value) -> Vec<(Arc<str>, Arc<str>)> {
    value.as_array().into_iter().flatten().map(|key| (key.as_str().unwrap().into(), "".into())).collect()
}

#[test]
fn calls_of_the_json_services_are_encoded_as_the_vendor_sends_them() {
    let mut encoded = 0;
    for vector in vectors() {
        let name = text(&vector, "name");
        if NOT_OURS.contains(&name) || name.starts_with("s3") {
            continue;
        }
        let body: Value = serde_json::from_str(text(&vector, "body")).unwrap();
        let provider_name = match text(&vector, "service_signing_name") {
            "tagging" => "aws-tagging",
            "backup" => "aws-backup",
            "machinelearning" => "aws-ml",
            other => panic!("{other}"),
        };
        let op = if name.contains("untag") || name.contains("delete") { Op::Unset } else { Op::Set };
        let (resources, tags) = match (provider_name, op) {
            ("aws-tagging", Op::Set) => (arns(&body), pairs(&body["Tags"])),
            ("aws-tagging", Op::Unset) => (arns(&body), keys(&body["TagKeys"])),
            ("aws-backup", Op::Set) => (arn_in_path(&vector), pairs(&body["Tags"])),
            ("aws-backup", Op::Unset) => (arn_in_path(&vector), keys(&body["TagKeyList"])),
            (_, Op::Set) => (object(&body), list(&body["Tags"])),
            (_, Op::Unset) => (object(&body), keys(&body["TagKeys"])),
        };
        let call = Call { op, resources, tags, also_unset: Vec::new(), only_missing: Vec::new() };
        let moment = at(&iso(text(&vector, "timestamp")), "");
        let request = provider(provider_name, &vector).encode(&call, None, &credential(&vector), &moment);
        same(&vector, &request);
        assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap(), body, "{name}");
        encoded += 1;
    }
    assert_eq!(encoded, 11);
}

fn arns(body: &Value) -> Vec<Resource> {
    body["ResourceARNList"].as_array().unwrap().iter().map(|arn| Resource::plain(arn.as_str().unwrap())).collect()
}

/// The last label of a Backup path, decoded.
fn arn_in_path(vector: &Value) -> Vec<Resource> {
    let label = text(vector, "url").rsplit('/').next().unwrap();
    vec![Resource::plain(&label.replace("%3A", ":").replace("%2F", "/"))]
}

fn object(body: &Value) -> Vec<Resource> {
    vec![Resource::typed(text(body, "ResourceId"), text(body, "ResourceType"))]
}

fn list(tags: &Value) -> Vec<(Arc<str>, Arc<str>)> {
    let tags = tags.as_array().unwrap().iter();
    tags.map(|tag| (text(tag, "Key").into(), text(tag, "Value").into())).collect()
}

/// A reply to the read before a write, so that the write is of exactly these tags.
fn read_of(tags: &str) -> HttpReply {
    reply(200, &[], format!("<Tagging><TagSet>{tags}</TagSet></Tagging>").as_bytes())
}

/// The memo that makes the next request the one of the vector.
fn step(provider: &dyn Provider, call: &Call, control: bool) -> Memo {
    let read = read_of("<Tag><Key>gone</Key><Value>x</Value></Tag>");
    let Answer::FollowUp(write) = provider.decode(call, None, &read) else { panic!("{call:?}") };
    if !control {
        return write;
    }
    let refused = reply(405, &[], b"<Error><Code>MethodNotAllowed</Code></Error>");
    let Answer::FollowUp(control) = provider.decode(call, Some(&write), &refused) else { panic!("{call:?}") };
    control
}

#[test]
fn calls_of_s3_are_encoded_as_the_vendor_sends_them() {
    let (mut exact, mut alike) = (0, 0);
    for vector in vectors() {
        let name = text(&vector, "name");
        if NOT_OURS.contains(&name) || !name.starts_with("s3") {
            continue;
        }
        let control = name.starts_with("s3control");
        let (own, _) = headers(&vector);
        let given = |wanted: &str| own.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        let url = text(&vector, "url");
        let settings = Settings {
            region: text(&vector, "region").into(),
            endpoint: url.starts_with("http://").then(|| format!("http://{}", text(&vector, "host"))),
            path_style: name.contains("path-style").then_some(true),
            account_id: given("x-amz-expected-bucket-owner").or(given("x-amz-account-id")),
            ..Settings::default()
        };
        let provider = (find("aws-s3").unwrap().build)(&settings).unwrap();
        let bucket = if name.contains("dotted") { "my.bucket.example" } else { "examplebucket" };
        let written = text(&vector, "body");
        // What is written is what is set, and nothing else is left.
        let mut call = Call {
            op: Op::Set,
            resources: vec![Resource::plain(bucket)],
            tags: tags_in(written),
            also_unset: vec!["gone".into()],
            only_missing: Vec::new(),
        };
        if control {
            call.also_unset.clear();
        }
        let memo = match text(&vector, "method") {
            "GET" => None,
            "DELETE" => {
                (call.op, call.tags) = (Op::Unset, vec![("gone".into(), "".into())]);
                call.also_unset.clear();
                Some(step(&*provider, &call, false))
            }
            _ => Some(step(&*provider, &call, control)),
        };
        let moment = at(&iso(text(&vector, "timestamp")), "");
        let request = provider.encode(&call, memo.as_ref(), &credential(&vector), &moment);
        if request.body == written.as_bytes()
            && given("content-md5").is_none()
            && given("x-amz-checksum-crc32").is_none()
        {
            same(&vector, &request);
            assert_eq!(header(&request, "authorization"), Some(text(&vector, "authorization")), "{name}");
            exact += 1;
            continue;
        }
        // The vendor's default checksum is another one, and it escapes and shortens in its own way.
        assert_eq!((request.method.as_str(), request.url.as_str()), (text(&vector, "method"), url), "{name}");
        assert_eq!(tags_in(std::str::from_utf8(&request.body).unwrap()), call.tags, "{name}");
        for header_name in ["x-amz-expected-bucket-owner", "x-amz-security-token"] {
            let mut theirs = vector["headers"].as_object().unwrap().iter();
            let theirs = theirs.find(|(name, _)| name.eq_ignore_ascii_case(header_name)).map(|(_, value)| value);
            assert_eq!(header(&request, header_name), theirs.and_then(Value::as_str), "{name}: {header_name}");
        }
        assert!(header(&request, "x-amz-checksum-sha256").is_some(), "{name}");
        alike += 1;
    }
    assert_eq!((exact, alike), (4, 9));
}

/// Pairs of a body, in byte order of the keys.
fn tags_in(body: &str) -> Vec<(Arc<str>, Arc<str>)> {
    let plain = |text: &str| {
        let quotes = text.replace("&quot;", "\"").replace("&apos;", "'").replace("&lt;", "<").replace("&gt;", ">");
        Arc::from(quotes.replace("&amp;", "&"))
    };
    let mut tags: Vec<(Arc<str>, Arc<str>)> = body
        .split("<Tag>")
        .skip(1)
        .map(|tag| {
            let key = tag.split("<Key>").nth(1).unwrap().split("</Key>").next().unwrap();
            let value = tag.split("<Value>").nth(1).map_or("", |value| value.split("</Value>").next().unwrap());
            (plain(key), plain(value))
        })
        .collect();
    tags.sort();
    tags
}
