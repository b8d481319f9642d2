//! From an event's bytes to the jobs of its rules, for every cloud; and what hostile bytes do.

use super::*;
use crate::job::{LaneName, Priority, Resource};
use proptest::prelude::*;
use serde_json::json;
use std::time::Duration;

const CLOUDTRAIL: &str = r#"{"version":"0","id":"6f1","detail-type":"AWS API Call via CloudTrail","source":"aws.ec2",
 "account":"111122223333","region":"eu-west-1","time":"2026-11-28T06:00:00Z",
 "detail":{"eventSource":"ec2.amazonaws.com","eventName":"RunInstances","awsRegion":"eu-west-1",
  "recipientAccountId":"111122223333","eventTime":"2026-11-28T05:59:58Z",
  "userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::111122223333:assumed-role/dev/alice",
   "sessionContext":{"sessionIssuer":{"userName":"dev"}}},
  "requestParameters":{"tagSpecificationSet":{"items":[]}},
  "responseElements":{"instancesSet":{"items":[{"instanceId":"i-0abc"},{"instanceId":"i-0def"}]}}}}"#;

const ACTIONTRAIL: &str = r#"{"specversion":"1.0","id":"45ef","source":"acs.ecs","type":"ecs:ActionTrail:ApiCall",
 "aliyunaccountid":"1234","aliyunregionid":"cn-hangzhou","time":"2026-11-28T06:00:00Z",
 "data":{"eventName":"RunInstances","eventType":"ApiCall","eventRW":"Write","serviceName":"Ecs","acsRegion":"cn-hangzhou",
  "recipientAccountId":"1234","userIdentity":{"type":"ram-user","userName":"bob"},
  "referencedResources":{"ACS::ECS::Instance":["i-bp1"],"ACS::ECS::Disk":["d-bp1","d-bp2"]}}}"#;

const TRACE: &str = r#"{"cts":{"trace_name":"createServer","service_type":"ECS","resource_type":"ecs","resource_id":"0f3",
  "project_id":"0706","domain_id":"7e0d","trace_rating":"normal","code":"200","time":1764309600000,
  "user":{"type":"User","name":"carol"},"response":"{\"serverIds\":[\"0f3\",\"0f4\"]}"}}"#;

fn lane(name: &str, provider: &str, region: &str, account: &str) -> LaneFacts {
    LaneFacts {
        name: LaneName::new(name).unwrap(),
        provider: provider.into(),
        region: region.into(),
        regional: !matches!(provider, "aws-s3" | "huawei-tms"),
        account: Some(account.into()),
    }
}

fn lanes() -> Vec<LaneFacts> {
    vec![
        lane("tagging", "aws-tagging", "eu-west-1", "111122223333"),
        lane("buckets", "aws-s3", "us-east-1", "111122223333"),
        lane("ecs", "alibaba-ecs", "cn-hangzhou", "1234"),
        lane("tms", "huawei-tms", "cn-north-4", "7e0d"),
    ]
}

fn rule(name: &str) -> RuleSpec {
    RuleSpec {
        name: name.into(),
        sources: vec![Source::Aws, Source::Alibaba, Source::Huawei],
        events: Vec::new(),
        ids: None,
        when: None,
        lane: LaneSpec::Find { provider: None, account: None, region: None },
        set: vec![("owner".into(), "{{ creator }}".into())],
        unset: Vec::new(),
        update: false,
    }
}

fn decide(specs: Vec<RuleSpec>, source: Source, body: &str) -> Decision {
    let rules = Rules::compile(specs, Options::default()).unwrap();
    let event = read(source, &[], body.as_bytes()).unwrap().remove(0);
    rules.decide(&event, &lanes(), Timestamp::UNIX_EPOCH)
}

#[test]
fn one_rule_serves_three_clouds_and_names_each_resource_as_its_lane_wants_it() {
    let aws = decide(vec![rule("owner")], Source::Aws, CLOUDTRAIL).jobs;
    assert_eq!(aws.len(), 1);
    assert_eq!(aws[0].lane.as_str(), "tagging");
    let arn = |id: &str| Resource::plain(&format!("arn:aws:ec2:eu-west-1:111122223333:instance/{id}"));
    assert_eq!(aws[0].resources, [arn("i-0abc"), arn("i-0def")]);
    assert_eq!(&*aws[0].set["owner"], "alice");

    let alibaba = decide(vec![rule("owner")], Source::Alibaba, ACTIONTRAIL).jobs;
    let all = [("i-bp1", "instance"), ("d-bp1", "disk"), ("d-bp2", "disk")];
    assert_eq!(alibaba.len(), 1, "several types of one event are one job");
    assert_eq!(alibaba[0].resources, all.map(|(id, kind)| Resource::typed(id, kind)));
    assert_eq!(&*alibaba[0].set["owner"], "bob");

    let huawei = decide(vec![rule("owner")], Source::Huawei, TRACE).jobs;
    let server = |id: &str| Resource { project: Some("0706".into()), ..Resource::typed(id, "ecs") };
    assert_eq!(huawei[0].resources, [server("0f3"), server("0f4")], "once each, from the field and from the answer");
    assert_eq!((huawei[0].lane.as_str(), &*huawei[0].set["owner"]), ("tms", "carol"));
}

#[test]
fn a_job_of_an_event_is_urgent_and_knows_when_its_resource_was_made() {
    let job = decide(vec![rule("owner")], Source::Aws, CLOUDTRAIL).jobs.remove(0);
    let made: Timestamp = "2026-11-28T05:59:58Z".parse().unwrap();
    let extras = &job.extras;
    assert_eq!((extras.priority, extras.overwrite, extras.created_at), (Priority::Event, false, Some(made)));
    assert_eq!(extras.not_found_until, Some(made + Duration::from_mins(15)));
    assert_eq!(extras.source.as_deref(), Some("event:aws:RunInstances"));
    let again = decide(vec![rule("owner")], Source::Aws, CLOUDTRAIL).jobs.remove(0);
    assert_eq!(again.id, job.id, "the same event makes the same job");
    let other = CLOUDTRAIL.replace("6f1", "6f2");
    assert_ne!(decide(vec![rule("owner")], Source::Aws, &other).jobs[0].id, job.id);
    assert_ne!(decide(vec![rule("other")], Source::Aws, CLOUDTRAIL).jobs[0].id, job.id);
}

#[test]
fn what_a_job_says_is_read_back_as_the_same_job() {
    for (source, body) in [(Source::Aws, CLOUDTRAIL), (Source::Alibaba, ACTIONTRAIL), (Source::Huawei, TRACE)] {
        for job in decide(vec![rule("owner")], source, body).jobs {
            let text = serde_json::to_vec(&job).unwrap();
            let read = crate::job::parse::job(&text, &crate::job::parse::Defaults::default());
            assert_eq!(read.map_err(|problems| crate::job::Problem::describe(&problems)), Ok(job));
        }
    }
}

#[test]
fn a_tag_that_does_not_resolve_is_left_out_and_the_others_are_set() {
    let mut spec = rule("r");
    spec.set = vec![
        ("owner".into(), "{{ creator }}".into()),
        ("team".into(), "{{ event.requestParameters.team }}".into()),
        ("env".into(), "{{ event.requestParameters.env | default('none') }}".into()),
        ("long".into(), "{{ 'a' }}".repeat(200) + &"b".repeat(200)),
    ];
    let decision = decide(vec![spec.clone()], Source::Aws, CLOUDTRAIL);
    let keys: Vec<&str> = decision.jobs[0].set.keys().map(|key| &**key).collect();
    assert_eq!(keys, ["env", "owner"]);
    assert_eq!(decision.rules[0].left_out(), 2);
    assert!(!format!("{decision:?}").contains("alice"), "debug output shows no value");
    spec.set.retain(|(key, _)| key == "team");
    let nothing = decide(vec![spec], Source::Aws, CLOUDTRAIL);
    assert_eq!((nothing.jobs.len(), nothing.rules[0].left_out(), nothing.ignored), (0, 1, None));
}

#[test]
fn failed_internal_read_and_tagging_events_are_ignored_whatever_the_rules_say() {
    let mut spec = rule("all");
    spec.events = ["RunInstances", "CreateTags"].map(|name| EventName::parse(name).unwrap()).into();
    spec.ids = Some(Ids { path: "responseElements.instancesSet.items[].instanceId".into(), ..Ids::default() });
    spec.lane = LaneSpec::Named("tagging".into());
    let why = |from: &str, to: &str| {
        let decision = decide(vec![spec.clone()], Source::Aws, &CLOUDTRAIL.replacen(from, to, 1));
        assert!(decision.jobs.is_empty() || decision.ignored.is_none());
        decision.ignored
    };
    assert_eq!(why("x", "x"), None);
    assert_eq!(why("\"eventName\"", "\"errorCode\":\"Client.X\",\"eventName\""), Some(Ignored::Failed));
    assert_eq!(why("AssumedRole", "AWSService"), Some(Ignored::Internal));
    assert_eq!(why("\"eventName\"", "\"readOnly\":true,\"eventName\""), Some(Ignored::ReadOnly));
    assert_eq!(why("RunInstances", "CreateTags"), Some(Ignored::Tagging));
    assert_eq!(why("RunInstances", "StopInstances"), Some(Ignored::NoRule));
}

#[test]
fn a_rule_with_its_own_ids_makes_the_resource_as_it_says() {
    let mut spec = rule("own");
    spec.events = vec![EventName::parse("ec2:RunInstances").unwrap()];
    spec.ids = Some(Ids {
        path: "responseElements.instancesSet.items[0].instanceId".into(),
        id: Some("arn:aws:ec2:{{ region }}:{{ account }}:instance/{{ id }}".into()),
        kind: None,
    });
    spec.lane = LaneSpec::Find { provider: Some("aws-tagging".into()), account: None, region: None };
    let job = decide(vec![spec.clone()], Source::Aws, CLOUDTRAIL).jobs.remove(0);
    assert_eq!(job.resources, [Resource::plain("arn:aws:ec2:eu-west-1:111122223333:instance/i-0abc")]);
    spec.lane = LaneSpec::Named("{{ 'tag' ~ 'ging' }}".into());
    assert_eq!(decide(vec![spec.clone()], Source::Aws, CLOUDTRAIL).jobs[0].lane.as_str(), "tagging");
    spec.lane = LaneSpec::Named("{{ 'no' }}".into());
    let decision = decide(vec![spec], Source::Aws, CLOUDTRAIL);
    assert_eq!(
        decision.troubles().map(|(rule, trouble)| (rule, trouble.code)).collect::<Vec<_>>(),
        [("own", "no_lane")]
    );
}

#[test]
fn what_should_have_made_a_job_and_did_not_is_told() {
    let code = |spec: RuleSpec, body: &str| {
        let decision = decide(vec![spec], Source::Aws, body);
        assert!(decision.jobs.is_empty());
        decision.troubles().next().map(|(_, trouble)| trouble.code)
    };
    assert_eq!(code(rule("r"), &CLOUDTRAIL.replace("eu-west-1", "us-east-2")), Some("no_lane"));
    assert_eq!(code(rule("r"), &CLOUDTRAIL.replace("instanceId", "other")), Some("no_ids"));
    let mut when = rule("r");
    when.when = Some("creator | split(3)".into());
    assert_eq!(code(when, CLOUDTRAIL), Some("rule_error"));
}

#[test]
fn a_condition_decides_and_a_bucket_goes_to_the_lane_of_buckets() {
    let mut spec = rule("r");
    spec.when = Some("creator != 'alice'".into());
    let decision = decide(vec![spec], Source::Aws, CLOUDTRAIL);
    assert_eq!((decision.jobs.len(), decision.rules[0].met.clone()), (0, Met::NotWhen));
    let bucket = json!({"detail-type":"x","source":"aws.s3","id":"1","account":"111122223333","region":"eu-west-1",
        "detail":{"eventSource":"s3.amazonaws.com","eventName":"CreateBucket","requestParameters":{"bucketName":"b-1"},
        "userIdentity":{"type":"IAMUser","userName":"bob"}}});
    let job = decide(vec![rule("r")], Source::Aws, &bucket.to_string()).jobs.remove(0);
    assert_eq!((job.lane.as_str(), job.resources), ("buckets", vec![Resource::plain("b-1")]));
}

#[test]
fn cloudevents_come_structured_binary_and_in_batches() {
    let names = |headers: &[(&str, &str)], body: &str| {
        read(Source::Alibaba, headers, body.as_bytes())
            .map(|events| events.into_iter().map(|event| event.id).collect::<Vec<_>>())
    };
    assert_eq!(names(&[], ACTIONTRAIL).unwrap(), ["45ef"]);
    let batch = format!("[{ACTIONTRAIL},{}]", ACTIONTRAIL.replace("45ef", "46"));
    assert_eq!(names(&[("Content-Type", "application/cloudevents-batch+json")], &batch).unwrap(), ["45ef", "46"]);
    assert_eq!(names(&[], "[]").unwrap(), Vec::<String>::new());
    for prefix in ["ce-", "cloudEvents:", "cloudEvents_"] {
        let headers = ["specversion", "id", "source", "type"].map(|name| format!("{prefix}{name}"));
        let values = ["1.0", "b-1", "acs.ecs", "ecs:ActionTrail:ApiCall"];
        let headers: Vec<(&str, &str)> = headers.iter().map(String::as_str).zip(values).collect();
        let data = r#"{"eventName":"RunInstances"}"#;
        assert_eq!(names(&headers, data).unwrap(), ["b-1"], "{prefix}");
    }
    for (bad, why) in [
        (ACTIONTRAIL.replace("\"1.0\"", "\"0.3\""), "`specversion` is not 1.0"),
        (ACTIONTRAIL.replacen("\"id\"", "\"no\"", 1), "`id` is missing"),
        (ACTIONTRAIL.replace("2026-11-28T06:00:00Z", "yesterday"), "`time` is no time"),
        ("{}".into(), "it is no CloudEvent"),
        ("7".into(), "it is no CloudEvent"),
        (format!("[{ACTIONTRAIL},{{}}]"), "event 1: it is no CloudEvent"),
    ] {
        let told = names(&[], &bad).unwrap_err().to_string();
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn hostile_bytes_are_refused_with_a_reason() {
    let deep = "[".repeat(90_000);
    let deep_object = "{\"a\":".repeat(90_000);
    let many = format!("[{}1]", "1,".repeat(50_000));
    let too_many = format!("[{}1]", "1,".repeat(400_000));
    let large = vec![b' '; EVENT_BYTES + 1];
    for (body, why) in [
        (deep.as_bytes(), "recursion limit"),
        (deep_object.as_bytes(), "recursion limit"),
        (many.as_bytes(), "more than 1000 events"),
        (too_many.as_bytes(), "more than 100000 values"),
        (&large, "at most 1048576"),
        (&[0xff, 0xfe, b'{'], "not JSON"),
        (b"", "not JSON"),
        (b"{\"detail\":[]}", "no object"),
    ] {
        let told = read(Source::Aws, &[], body).unwrap_err().to_string();
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn everything_that_is_wrong_with_rules_is_told_at_once() {
    let mut one = rule("same");
    one.set = vec![("owner".into(), "{{ creator".into()), (String::new(), "x".into())];
    one.when = Some("a ==".into());
    let mut two = rule("same");
    two.events = vec![EventName { service: None, name: "NoSuchEvent".into() }];
    two.set = Vec::new();
    let bad = Rules::compile(vec![one, two], Options::default()).unwrap_err();
    let told: Vec<(usize, &str)> = bad.iter().map(|bad| (bad.rule, bad.field.as_str())).collect();
    assert_eq!(told, [(0, "set.owner"), (0, "set."), (0, "when"), (1, "set"), (1, "event"), (1, "name")]);
}

#[test]
fn a_text_that_is_too_long_for_any_tag_is_not_there_for_templates() {
    let mut spec = rule("r");
    spec.set = vec![
        ("arn".into(), "{{ event.userIdentity.arn | split('/') | last }}".into()),
        ("fallback".into(), "{{ event.userIdentity.arn | default('none') }}".into()),
        ("other".into(), "{{ event.awsRegion }}".into()),
    ];
    let long = CLOUDTRAIL.replace("assumed-role/dev/", &"assumed-role/dev/".repeat(200));
    let outcome = decide(vec![spec], Source::Aws, &long);
    let set: Vec<(&str, &str)> = outcome.jobs[0].set.iter().map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(set, [("fallback", "none"), ("other", "eu-west-1")]);
    assert_eq!(outcome.rules[0].left_out(), 1);
}

#[test]
fn a_type_or_a_name_that_no_job_can_have_is_trouble_and_no_job() {
    let mut spec = rule("r");
    spec.events = vec![EventName { service: None, name: "RunInstances".into() }];
    let path = "responseElements.instancesSet.items[].instanceId".to_owned();
    spec.ids = Some(Ids { path, id: None, kind: Some("{{ event.kind }}".into()) });
    spec.lane = LaneSpec::Named("tagging".into());
    let odd = CLOUDTRAIL.replace("\"awsRegion\"", "\"kind\":\"two words\",\"awsRegion\"");
    let decision = decide(vec![spec], Source::Aws, &odd);
    assert_eq!(decision.jobs, []);
    assert_eq!(decision.troubles().map(|(_, trouble)| trouble.code).collect::<Vec<_>>(), ["no_ids"]);

    let mut spec = rule("r");
    let name = "n".repeat(510);
    spec.events = vec![EventName { service: None, name: name.clone() }];
    spec.ids = Some(Ids { path: "responseElements.instancesSet.items[].instanceId".into(), ..Ids::default() });
    spec.lane = LaneSpec::Named("tagging".into());
    let jobs = decide(vec![spec], Source::Aws, &CLOUDTRAIL.replace("RunInstances", &name)).jobs;
    assert_eq!(jobs[0].extras.source.as_deref(), Some("event:aws"));
}

fn any_source() -> impl Strategy<Value = Source> {
    prop::sample::select(Source::ALL.to_vec())
}

/// A record as it is, with some bytes replaced, cut off or said twice.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let base = prop::sample::select(vec![CLOUDTRAIL, ACTIONTRAIL, TRACE]);
    (base, prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..12)).prop_map(
        |(base, edits)| {
            let mut bytes = base.as_bytes().to_vec();
            for (at, byte, how) in edits {
                if bytes.is_empty() {
                    break;
                }
                let at = at.index(bytes.len());
                match how {
                    0 => bytes[at] = byte,
                    1 => bytes.truncate(at),
                    _ => {
                        let copy = bytes[at..].to_vec();
                        bytes.extend(copy);
                    }
                }
            }
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic_and_what_they_make_is_bounded(
        source in any_source(),
        body in prop_oneof![mutated(), prop::collection::vec(any::<u8>(), 0..400)],
    ) {
        let mut spec = rule("r");
        spec.set.push(("big".into(), "{{ event.eventName ~ event.userIdentity.arn }}".into()));
        let rules = Rules::compile(vec![spec], Options::default()).unwrap();
        if let Ok(events) = read(source, &[], &body) {
            prop_assert!(events.len() <= EVENTS_AT_ONCE);
            for event in events {
                let decision = rules.decide(&event, &lanes(), Timestamp::UNIX_EPOCH);
                for job in decision.jobs {
                    prop_assert!(job.resources.len() <= 3_000);
                    let text = serde_json::to_vec(&job).unwrap();
                    prop_assert!(crate::job::parse::job(&text, &crate::job::parse::Defaults::default()).is_ok());
                }
            }
        }
    }
}
