//! `aws-tagging` in a lane: how few calls it takes, and that one bad ARN costs nobody else anything.

use crate::drive::{Cloud, Drive, Manner, job};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tagmill::{
    lane::Now,
    provider::{Fault, HttpReply, HttpRequest, Settings},
};

/// The Tagging API: it knows its tags, and which ARNs fail once, or always, and how.
#[derive(Default)]
struct Tagging {
    tags: BTreeMap<String, BTreeMap<String, String>>,
    once: BTreeMap<String, &'static str>,
    always: BTreeMap<String, &'static str>,
}

impl Cloud for Tagging {
    fn answer(&mut self, _: Now, request: &HttpRequest) -> Result<HttpReply, Fault> {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let arns: Vec<String> = body["ResourceARNList"].as_array().unwrap().iter().map(text).collect();
        let distinct: BTreeSet<&String> = arns.iter().collect();
        assert!((1..=20).contains(&arns.len()) && distinct.len() == arns.len(), "{arns:?}");
        let mut failed = Map::new();
        for arn in arns {
            if let Some(code) = self.once.remove(&arn).or_else(|| self.always.get(&arn).copied()) {
                failed.insert(arn, json!({"StatusCode": 400, "ErrorCode": code, "ErrorMessage": "w"}));
                continue;
            }
            let own = self.tags.entry(arn).or_default();
            for (key, value) in body["Tags"].as_object().into_iter().flatten() {
                own.insert(key.clone(), text(value));
            }
            for key in body["TagKeys"].as_array().into_iter().flatten() {
                own.remove(key.as_str().unwrap());
            }
        }
        let body = json!({"FailedResourcesMap": failed}).to_string().into_bytes();
        Ok(HttpReply { status: 200, headers: Vec::new(), body })
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn arns(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("arn:aws:ec2:us-east-1:123456789012:instance/i-{n:04}")).collect()
}

fn drive(cloud: Tagging) -> Drive<Tagging> {
    let settings = Settings { region: "us-east-1".into(), ..Settings::default() };
    Drive::new("aws-tagging", settings, Manner::default(), cloud)
}

#[test]
fn four_jobs_over_a_thousand_arns_with_different_keys_are_fifty_calls() {
    let mut drive = drive(Tagging::default());
    for (n, key) in ["env", "owner", "team", "cost"].iter().enumerate() {
        drive.publish(Now::ZERO, job(&format!("j{n}"), &arns(1000), &[(key, "v")], &[]));
    }
    drive.run(Duration::from_hours(1));
    assert_eq!(drive.requests.len(), 50);
    assert!(drive.cloud.tags.len() == 1000 && drive.cloud.tags.values().all(|tags| tags.len() == 4));
    assert_eq!((drive.receipt(3).tagged, drive.receipt(3).calls), (1000, 50));
}

#[test]
fn one_invalid_and_ten_throttled_of_twenty_are_nineteen_tagged_one_dead_two_calls() {
    let arns = arns(20);
    let mut cloud = Tagging::default();
    cloud.always.insert(arns[3].clone(), "InvalidParameterException");
    cloud.once.extend(arns[5..15].iter().map(|arn| (arn.clone(), "ThrottlingException")));
    let mut drive = drive(cloud);
    drive.publish(Now::ZERO, job("j", &arns, &[("env", "prod")], &[]));
    drive.run(Duration::from_hours(1));
    let receipt = drive.receipt(0);
    assert_eq!((receipt.tagged, receipt.dead, receipt.calls, drive.requests.len()), (19, 1, 2, 2));
    let dead = &drive.messages[0].dead;
    assert_eq!((&*dead[0].resource.id, dead[0].code.as_str()), (arns[3].as_str(), "InvalidParameterException"));
    assert_eq!(drive.cloud.tags.len(), 19);
}

#[test]
fn a_type_this_api_cannot_tag_costs_three_attempts_and_no_more() {
    let arns = arns(20);
    let mut cloud = Tagging::default();
    cloud.always.insert(arns[7].clone(), "InternalServiceException");
    let mut drive = drive(cloud);
    drive.publish(Now::ZERO, job("j", &arns, &[("env", "prod")], &[]));
    drive.run(Duration::from_hours(1));
    let receipt = drive.receipt(0);
    assert_eq!((receipt.tagged, receipt.dead, receipt.calls), (19, 1, 3));
    assert_eq!(drive.messages[0].dead[0].attempts, 3);
}
