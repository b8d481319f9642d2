//! AWS signatures and whole requests against vectors made with the vendor's SDK and published examples.

use crate::data::{at, json};
use serde_json::Value;
use tagmill::provider::aws::sign::{Keys, Scope, sign};

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

/// The headers of a vector in lower case; those that the signer adds are what it is held against.
fn headers(vector: &Value) -> (Vec<(String, String)>, Vec<(String, String)>) {
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
