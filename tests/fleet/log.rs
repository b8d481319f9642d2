//! The log of a worker at its most talkative, while everything fails: what it says of a failure, and what it never says.

use crate::{
    amqp::{Outgoing, Receipts},
    fleet::{Fleet, Lane},
    http::Http,
    rabbit::free_port,
    support::until,
    truth::body,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use tagmill::sim::{Api, FailedItems, Faults};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// A tag value, what stands in a job for another program, the token of a sender, the secret of every account.
const PLANTED: [&str; 4] = ["planted-tag-value", "planted-ext", "planted-token-0123456789", "sim-secret"];

/// Everything that can go wrong with a call, and clouds that repeat what they were sent.
fn faults(code: &str) -> Faults {
    let failed = FailedItems { id: "odd-*".into(), code: code.into(), message: format!("no {}", PLANTED[0]) };
    Faults {
        error_500: 0.05,
        error_503: 0.1,
        reset_before: 0.05,
        reset_after: 0.05,
        truncated: 0.05,
        transient_items: 0.05,
        unknown: vec!["gone-*".into()],
        failed_items: vec![failed],
        ..Faults::default()
    }
}

fn is(line: &Value, name: &str, wanted: &Value) -> bool {
    line.get(name).unwrap_or(&Value::Null) == wanted
}

#[test]
fn a_log_at_debug_level_names_every_dead_item_once_and_no_secret_and_no_tag_value_ever() {
    let mut lanes = vec![Lane::new("tms", Api::HuaweiTms), Lane::new("tag", Api::AlibabaTag)];
    lanes.push(Lane { allowed: Some(20.0), ..Lane::new("ecs", Api::AlibabaEcs) });
    for (lane, code) in lanes.iter_mut().zip(["TMS.0002", "InvalidResourceId.NotFound", "odd"]) {
        lane.faults = faults(code);
    }
    // This API fails as a whole.
    lanes[2].faults.failed_items.clear();
    let Some(mut fleet) = Fleet::start(lanes.clone()) else { return };
    let port = free_port();
    let config = std::fs::read_to_string(fleet.home.path("tagmill.yaml")).unwrap();
    let server = "  tokens:\n    - { name: sender, secret: { env: T_SEND }, scopes: [ingest] }\n";
    fleet.home.write("tagmill.yaml", &format!("{config}server:\n  listen: 127.0.0.1:{port}\n{server}"));
    fleet.home.env("T_SEND", PLANTED[2]);
    fleet.home.env("RUST_LOG", "debug,tagmill=trace");
    let worker = fleet.home.start(&["worker", "--log-format", "json", "-vvv"]);
    worker.says("ready");

    let set = [("env", PLANTED[0].to_owned())];
    let ext = format!(r#","ext":{{"note":"{}"}}"#, PLANTED[1]);
    let mut messages = Vec::new();
    for lane in &lanes {
        for n in 0..20 {
            let id = format!("{}-{n}", lane.name);
            let resources = [format!("r-{n}"), format!("gone-{n}"), format!("odd-{n}")];
            let resources = if lane.api == Api::AlibabaEcs { &resources[..2] } else { &resources };
            messages.push(Outgoing {
                lane: lane.name.clone(),
                id,
                body: body(lane, &format!("{}-{n}", lane.name), resources, &set, &ext),
            });
        }
    }
    // One that the provider can never take, and two that are no jobs.
    let bad = format!(r#"{{"version":1,"id":"never","lane":"tms","set":{{"a":"{}"}},"resources":["n"]}}"#, PLANTED[0]);
    let odd =
        format!(r#"{{"version":1,"id":"odd","lane":"tms","set":"{0}","resources":[{{"id":"{0}"}}]}}"#, PLANTED[0]);
    messages.push(Outgoing { lane: "tms".into(), id: "never".into(), body: bad.into_bytes() });
    messages.push(Outgoing { lane: "tms".into(), id: "odd".into(), body: odd.into_bytes() });
    messages.push(Outgoing {
        lane: "tms".into(),
        id: "cut".into(),
        body: format!("{{\"set\":{{\"a\":\"{}", PLANTED[0]).into_bytes(),
    });
    fleet.publish(messages);
    let mut http = Http::new(&fleet, port);
    http.token = Some(PLANTED[2]);
    let job = json!({"id": "traced", "lane": "tms", "set": {"env": PLANTED[0]}, "resources": [{"id": "gone-t", "type": "disk"}]});
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let headers = [("content-type", "application/json"), ("traceparent", &*parent), ("tracestate", "vendor=opaque")];
    assert_eq!(http.send("POST", "/v1/jobs", &headers, job.to_string().into_bytes()).status, 202);
    http.token = Some("planted-token-that-is-wrong");
    http.post("/v1/jobs", &job).problem(401);
    let mut receipts = Receipts::new(&fleet.node.url());
    fleet.runtime.block_on(receipts.wait_for(62, Duration::from_mins(1)));
    until("the two are dead that are no jobs", || {
        fleet.home.dead_letters().iter().filter(|letter| letter["code"] == "invalid").count() == 2
    });
    let letters = fleet.home.dead_letters();
    // At last the credential is refused, again and again.
    fleet.clouds.faults("tms", Faults { revoked: true, ..Faults::default() });
    fleet.publish(vec![Outgoing {
        lane: "tms".into(),
        id: "late".into(),
        body: body(&lanes[0], "late", &["l".to_owned()], &set, ""),
    }]);
    worker.says("paused");
    worker.signal("-TERM");
    let log = worker.wait().err;

    for word in PLANTED.iter().chain(&["planted", "guest:"]) {
        let said: Vec<&str> = log.lines().filter(|line| line.contains(word)).collect();
        assert!(said.is_empty(), "{word} is in the log: {said:#?}");
    }
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .inspect(|line: &Value| {
            assert!(["timestamp", "level", "message"].iter().all(|name| line[*name].is_string()), "{line}");
        })
        .collect();

    // A dead item is one line, whoever let it die and why.
    let mut dead: BTreeMap<String, usize> = BTreeMap::new();
    for letter in letters.iter().filter(|letter| letter["job"].is_object()) {
        let job = &letter["job"];
        for failure in letter["failures"].as_array().unwrap() {
            let resource = failure["resource"].get("id").unwrap_or(&failure["resource"]);
            let wanted = [
                ("message", &json!("dead")),
                ("level", &json!("INFO")),
                ("lane", &job["lane"]),
                ("job", &job["id"]),
                ("resource", resource),
                ("code", &failure["code"]),
                ("attempts", &failure["attempts"]),
                ("request_id", failure.get("request_id").unwrap_or(&Value::Null)),
            ];
            let told = lines.iter().filter(|line| wanted.iter().all(|(name, value)| is(line, name, value))).count();
            assert_eq!(told, 1, "{failure} of {}", job["id"]);
            *dead.entry(failure["code"].as_str().unwrap().to_owned()).or_default() += 1;
            assert!(failure["attempts"] == 0 || failure["request_id"].is_string(), "{failure}");
        }
    }
    assert_eq!(dead.values().sum::<usize>(), 102, "{dead:?}");
    assert_eq!(lines.iter().filter(|line| is(line, "message", &json!("dead"))).count(), 102);
    let traced: Vec<&Value> = lines.iter().filter(|line| is(line, "trace_id", &json!(TRACE))).collect();
    assert_eq!((traced.len(), &traced[0]["job"]), (1, &json!("traced")));

    // An error is what somebody has to act on; that a lock is held for a moment, say, is none.
    let errors = lines.iter().filter(|line| line["level"] == "ERROR" && line["message"] != "paused");
    assert_eq!(errors.collect::<Vec<_>>(), Vec::<&Value>::new());

    // The other failures are told too, with what the cloud calls the request.
    for (message, level) in [("throttled", "INFO"), ("a call failed and is tried again", "DEBUG"), ("paused", "ERROR")]
    {
        let told: Vec<&Value> = lines.iter().filter(|line| is(line, "message", &json!(message))).collect();
        assert!(told.iter().all(|line| line["level"] == level && line["lane"].is_string()), "{message}: {told:#?}");
        assert!(told.iter().any(|line| line["request_id"].is_string()), "{message}: {told:#?}");
    }
}
