//! The HTTP interface in front of a fleet: what is confirmed is there, what is not is said so, and hostile bytes are cheap.

use crate::{
    amqp::Receipts,
    fleet::{Fleet, Lane},
    http::Http,
    rabbit::free_port,
    support::until,
};
use serde_json::{Value, json};
use std::{io::Write as _, net::TcpStream, time::Duration};
use tagmill::sim::{Api, Faults};

/// A fleet with one lane of disks, and a config with a server.
fn fleet(more: &str) -> Option<(Fleet, u16)> {
    let mut lane = Lane { rate: 200.0, ..Lane::new("tms", Api::HuaweiTms) };
    lane.faults = Faults { unknown: vec!["gone-*".into()], ..Faults::default() };
    let fleet = Fleet::start(vec![lane])?;
    let port = free_port();
    let config = std::fs::read_to_string(fleet.home.path("tagmill.yaml")).unwrap();
    let server = format!("server:\n  listen: 127.0.0.1:{port}\n");
    fleet.home.write("tagmill.yaml", &format!("{config}{server}{more}"));
    Some((fleet, port))
}

fn job(id: &str, resource: &str) -> Value {
    json!({"id": id, "lane": "tms", "set": {"env": "prod"}, "resources": [{"id": resource, "type": "disk"}]})
}

#[test]
fn everything_the_command_line_can_do_is_there_over_http() {
    let Some((fleet, port)) = fleet("") else { return };
    let http = Http::new(&fleet, port);
    let _worker = fleet.worker();
    until("it takes jobs", || http.get("/readyz").status == 200);
    let mut receipts = Receipts::new(&fleet.node.url());

    // Jobs: one, an array, lines.
    let one = http.post("/v1/jobs", &job("j-1", "d-1"));
    assert_eq!((one.status, one.json()["jobs"][0]["id"].as_str()), (202, Some("j-1")));
    assert_eq!(http.post("/v1/jobs", &json!([job("j-2", "d-2"), job("j-3", "gone-1")])).status, 202);
    let lines = format!("{}\n\n{}\n", job("j-4", "d-4"), job("j-5", "gone-2"));
    let lined = http.send("POST", "/v1/jobs", &[("content-type", "application/x-ndjson")], lines.into_bytes());
    assert_eq!((lined.status, lined.json()["jobs"].as_array().unwrap().len()), (202, 2));
    fleet.runtime.block_on(receipts.wait_for(5, Duration::from_mins(1)));
    assert_eq!(fleet.tags(&fleet.lanes[0]).len(), 3);
    until("the jobs are shown", || http.get("/v1/jobs/recent").json()["jobs"].as_array().unwrap().len() == 5);
    let recent = http.get("/v1/jobs/recent").json();
    for job in recent["jobs"].as_array().unwrap() {
        let [accepted, tagged, dead] = ["accepted", "tagged", "dead"].map(|name| job[name].as_u64().unwrap());
        assert_eq!(accepted, tagged + dead, "{job}");
    }

    // Dead letters: listed, filtered, shown, counted, sent again, thrown away.
    until("both are dead", || http.get("/v1/dead-letters").json()["count"]["letters"] == 2);
    assert_eq!(http.get("/v1/dead-letters?job=j-3&newer_than=1h").json()["count"]["items"], 1);
    assert_eq!(http.get("/v1/dead-letters?older_than=1h").json()["shown"], 0);
    http.get("/v1/dead-letters?older_than=soon").problem(422);
    http.get("/v1/dead-letters?nonsense=1").problem(400);
    let letters = http.get("/v1/dead-letters?limit=1").json();
    let id = letters["letters"][0]["id"].as_str().unwrap();
    let letter = http.get(&format!("/v1/dead-letters/{id}")).json();
    assert_eq!(letter["document"]["failures"][0]["code"], "TMS.0005", "{letter}");
    http.get("/v1/dead-letters/none").problem(404);
    let all = json!({"filter": {"code": "TMS.0005"}});
    let dry = http.post("/v1/dead-letters/replay", &json!({"filter": {}, "dry_run": true})).json();
    assert_eq!((&dry["letters"], &dry["items"]), (&json!(2), &json!(2)));
    http.post("/v1/dead-letters/replay", &json!({"filter": {}, "expect": {"letters": 1}})).problem(409);
    http.post("/v1/dead-letters/replay", &json!({"filtr": {}})).problem(422);
    http.post("/v1/dead-letters/replay", &json!({})).problem(422);
    fleet.clouds.faults("tms", Faults::default());
    assert_eq!(
        http.post("/v1/dead-letters/replay", &json!({"ids": [id], "expect": {"letters": 1}})).json()["letters"],
        1
    );
    until("it is tagged after all", || fleet.tags(&fleet.lanes[0]).len() == 4);
    assert_eq!(http.post("/v1/dead-letters/discard", &all).json()["letters"], 1);
    assert_eq!(http.get("/v1/dead-letters").json()["count"]["letters"], 0);

    // Lanes: as `status` shows them, paused, resumed.
    assert_eq!(http.post("/v1/lanes/tms/pause", &Value::Null).json()["paused"], true);
    let lane = |http: &Http<'_>| http.get("/v1/lanes").json()["lanes"][0].clone();
    until("it is paused", || lane(&http)["state"] == "paused");
    assert_eq!(http.post("/v1/lanes/tms/resume", &Value::Null).json()["paused"], false);
    until("it is idle", || lane(&http)["state"] == "idle");
    assert_eq!((&lane(&http)["provider"], &lane(&http)["counts"]["tagged"]), (&json!("huawei-tms"), &json!(4)));
    http.post("/v1/lanes/tmss/pause", &Value::Null).problem(404);

    // `status` without any way to the broker: the same table, and the same JSON.
    let status = fleet.home.run(&["status", "--url", &http.url, "--output", "json"]);
    assert_eq!(status.code, 0, "{status:?}");
    assert_eq!(status.json()["lanes"][0]["counts"], lane(&http)["counts"]);
    let table = fleet.home.run(&["status", "--url", &http.url]);
    assert!(table.code == 0 && table.out.contains("tms") && table.out.contains("idle"), "{table:?}");

    assert_eq!(http.get("/readyz").status, 200);
    let health = fleet.home.run(&["healthcheck"]);
    assert_eq!(health.code, 0, "{health:?}");
}

#[test]
fn while_the_broker_is_away_nothing_is_taken_in_and_afterwards_everything_is_as_it_was_said() {
    let Some((mut fleet, port)) = fleet("") else { return };
    let worker = fleet.home.start(&["ingest"]);
    worker.says("listening");
    let is_ready = |fleet: &Fleet| Http::new(fleet, port).get("/readyz").status == 200;
    until("it is ready", || is_ready(&fleet));
    let first = Http::new(&fleet, port).post("/v1/jobs", &job("before", "d-1"));
    // No worker has ever been here: the job waits for the first one.
    assert_eq!(first.status, 202);
    fleet.runtime.block_on(fleet.node.settle());
    fleet.node.kill9();
    until("it is not ready", || !is_ready(&fleet));
    {
        let http = Http::new(&fleet, port);
        let refused = http.post("/v1/jobs", &job("away", "d-2"));
        assert!(refused.problem(503)["detail"].as_str().unwrap().contains("broker"));
        assert!(refused.retry_after.is_some());
        for path in ["/v1/lanes", "/v1/dead-letters"] {
            let away = http.get(path);
            assert!(away.problem(503).to_string().contains("broker") && away.retry_after.is_some());
            assert!(!away.text.contains("127.0.0.1"), "hosts are for the log: {}", away.text);
        }
        assert_eq!(http.get("/livez").status, 200);
        assert_eq!(fleet.home.run(&["healthcheck"]).code, 1);
        assert_eq!(fleet.home.run(&["healthcheck", "--probe", "live"]).code, 0);
    }
    let Fleet { runtime, node, .. } = &mut fleet;
    runtime.block_on(node.restart());
    until("it is ready again, without a restart", || is_ready(&fleet));
    assert_eq!(Http::new(&fleet, port).post("/v1/jobs", &job("after", "d-3")).status, 202);
    let _tagging = {
        let free = free_port();
        let config = std::fs::read_to_string(fleet.home.path("tagmill.yaml")).unwrap();
        fleet.home.write("worker.yaml", &config.replace(&format!(":{port}\n"), &format!(":{free}\n")));
        let running = fleet.home.start(&["worker", "--config", "worker.yaml"]);
        running.says("ready");
        running
    };
    assert_eq!(Http::new(&fleet, port).post("/v1/jobs", &job("last", "d-4")).status, 202);
    let tagged = || fleet.tags(&fleet.lanes[0]).into_keys().collect::<Vec<_>>();
    until("what was handed in is tagged", || tagged() == ["disk/d-1", "disk/d-3", "disk/d-4"]);
    assert!(fleet.home.dead_letters().is_empty());
}

#[test]
fn a_token_opens_what_its_scopes_say_and_everything_else_stays_shut() {
    let tokens = "  tokens:\n    - { name: looker, secret: { env: T_READ }, scopes: [read] }\n    - { name: sender, secret: { env: T_INGEST }, scopes: [ingest] }\n    - { name: boss, secret: { env: T_ALL }, scopes: [read, operate, ingest] }\n";
    let Some((mut fleet, port)) = fleet(tokens) else { return };
    for (name, token) in
        [("T_READ", "secret-read-token"), ("T_INGEST", "secret-ingest-token"), ("T_ALL", "secret-all-token")]
    {
        fleet.home.env(name, token);
    }
    let ingest = fleet.home.start(&["ingest"]);
    ingest.says("listening");
    let mut http = Http::new(&fleet, port);
    until("it is ready", || http.get("/readyz").status == 200);
    let asked = |http: &Http<'_>| {
        [
            http.get("/v1/lanes").status,
            http.post("/v1/jobs", &job("j", "d")).status,
            http.post("/v1/dead-letters/discard", &json!({"filter": {}, "dry_run": true})).status,
            http.get("/v1/me").status,
        ]
    };
    assert_eq!(asked(&http), [401; 4]);
    http.token = Some("secret-read-tokem");
    assert_eq!(asked(&http), [401; 4]);
    http.token = Some("secret-read-token");
    assert_eq!(asked(&http), [200, 403, 403, 200]);
    http.token = Some("secret-ingest-token");
    assert_eq!(asked(&http), [403, 202, 403, 200]);
    http.token = Some("secret-all-token");
    assert_eq!(asked(&http), [200, 202, 200, 200]);
    assert_eq!(http.get("/v1/me").json()["name"], "boss");
    // Probes need none.
    http.token = None;
    for path in ["/livez", "/readyz", "/startupz", "/openapi.json"] {
        assert_eq!(http.get(path).status, 200, "{path}");
    }
    ingest.interrupt();
    let done = ingest.wait();
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.contains("actor=boss") && !done.err.contains("secret-"), "{}", done.err);
}

#[test]
fn rules_and_tokens_of_a_config_that_is_read_again_hold_at_once() {
    let Some((mut fleet, port)) = fleet("") else { return };
    fleet.home.env("T_INGEST", "the-ingest-token");
    let old = std::fs::read_to_string(fleet.home.path("tagmill.yaml")).unwrap();
    let worker = fleet.worker();
    let trace = |id: &str| {
        json!({"cts": {"trace_id": id, "trace_name": "createVpc", "service_type": "VPC", "resource_id": id,
            "project_id": "p", "domain_id": "d0", "trace_rating": "normal", "user": {"name": "alice"}}})
    };
    let mut http = Http::new(&fleet, port);
    until("it takes events", || http.get("/readyz").status == 200);
    assert_eq!(http.post("/v1/events/huawei", &trace("v-1")).json()["ignored"], 1, "no rule is for it");
    let rules = "rules: [{ name: owner, source: huawei, set: { owner: \"{{ creator }}\" } }]\n";
    fleet.home.write("tagmill.yaml", &format!("{old}{rules}"));
    worker.signal("-HUP");
    until("the rule is there", || http.get("/v1/rules").json()["rules"].as_array().unwrap().len() == 1);
    assert_eq!(http.post("/v1/events/huawei", &trace("v-2")).json()["jobs"], 1);
    until("it is tagged", || fleet.tags(&fleet.lanes[0]).contains_key("p/vpcs/v-2"));
    // A config that is wrong changes nothing.
    fleet.home.write("tagmill.yaml", &format!("{old}{}", rules.replace("creator }}", "creator")));
    worker.signal("-HUP");
    worker.says("the config is refused");
    assert_eq!(http.post("/v1/events/huawei", &trace("v-3")).json()["jobs"], 1);
    let tokens = "  tokens: [{ name: i, secret: { env: T_INGEST }, scopes: [ingest] }]\n";
    fleet.home.write("tagmill.yaml", &format!("{old}{tokens}{rules}"));
    worker.signal("-HUP");
    // The variable was there before the worker was started.
    until("a token is needed", || http.get("/v1/me").status == 401);
    http.token = Some("the-ingest-token");
    assert_eq!(http.post("/v1/events/huawei", &trace("v-4")).json()["jobs"], 1);
    assert_eq!(http.get("/v1/rules").status, 403);
}

#[test]
fn hostile_requests_are_answered_clearly_and_cost_little() {
    let rules = "  limits: { body_megabytes: 12, concurrency: 4, timeout: 2s }\nrules:\n  - { name: r, source: [aws, huawei], set: { owner: \"{{ creator }}\", big: \"{{ event.eventName ~ event.userIdentity }}\" } }\n";
    let Some((fleet, port)) = fleet(rules) else { return };
    let ingest = fleet.home.start(&["ingest"]);
    ingest.says("listening");
    let http = Http::new(&fleet, port);
    until("it is ready", || http.get("/readyz").status == 200);
    let json = [("content-type", "application/json")];
    let send = |path: &str, body: Vec<u8>| http.send("POST", path, &json, body);
    for path in ["/v1/jobs", "/v1/events/aws"] {
        send(path, "[".repeat(200_000).into_bytes());
        let deep = send(path, "{\"a\":".repeat(200_000).into_bytes());
        assert!([400, 422].contains(&deep.status), "{deep:?}");
        send(path, vec![b' '; 13_000_000]).problem(413);
        let many = send(path, format!("[{}1]", "1,".repeat(1_000_000)).into_bytes());
        many.problem(413);
        let odd = send(path, vec![0xff, 0xfe, 0x00, b'{']);
        assert!([400, 422].contains(&odd.status), "{odd:?}");
        send(path, Vec::new()).problem(422);
        http.send("POST", path, &[("content-type", "text/plain")], b"{}".to_vec()).problem(415);
        http.send("POST", path, &[], b"{}".to_vec()).problem(415);
    }
    send("/v1/jobs", vec![b' '; 10_000_000]).problem(422);
    send("/v1/events/aws", vec![b' '; 10_000_000]).problem(413);
    let ids: Vec<String> = (0..60_000).map(|n| format!("i-{n}")).collect();
    let wide = json!({"detail-type": "x", "id": "wide", "source": "aws.ec2", "account": "1", "region": "r", "detail": {
        "eventSource": "ec2.amazonaws.com", "eventName": "RunInstances",
        "responseElements": {"instancesSet": {"items": ids.iter().map(|id| json!({"instanceId": id})).collect::<Vec<_>>()}}}});
    send("/v1/events/aws", wide.to_string().into_bytes()).problem(413);
    http.send("POST", "/v1/events/mars", &json, b"{}".to_vec()).problem(404);
    http.send("DELETE", "/v1/jobs", &[], Vec::new()).problem(405);
    let foreign = [("content-type", "application/json"), ("origin", "http://evil.example")];
    http.send("POST", "/v1/jobs", &foreign, job("j", "d").to_string().into_bytes()).problem(403);
    http.send("GET", "/v1/lanes", &[("host", "evil.example")], Vec::new()).problem(403);
    http.send("GET", "/v1/me", &[("x-long", &"x".repeat(100_000))], Vec::new());

    // Heads that never end hold no request up.
    let mut slow: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    for stream in &mut slow {
        stream.write_all(b"POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-").unwrap();
    }
    assert_eq!(http.get("/v1/me").status, 200);
    // Bodies that never come are given up, and until then the others are told to come again.
    for stream in &mut slow {
        stream.write_all(b"type: application/json\r\ncontent-length: 100\r\n\r\n{").unwrap();
    }
    let told = http.post("/v1/jobs", &job("j", "d"));
    assert!(matches!(told.status, 202 | 429), "{told:?}");
    until("there is room again", || http.post("/v1/jobs", &job("j", "d")).status == 202);
    drop(slow);
    assert_eq!(http.get("/livez").status, 200);
    let status = std::fs::read_to_string(format!("/proc/{}/status", ingest.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().to_owned();
    let kilobytes: u64 = peak.split_whitespace().next().unwrap().parse().unwrap();
    assert!(kilobytes < 400_000, "peak {peak}");
}
