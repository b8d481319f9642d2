//! Each fault does what it says, and touches nothing it should not.

use crate::client::{Alibaba, ECS, World, borrowed, disks, instances, with_faults};
use serde_json::json;
use std::time::Duration;
use tagmill::{
    sim::{Faults, Late, Since, Slow, Span},
    worker::clock,
};

fn always() -> Faults {
    Faults::default()
}

async fn huawei(faults: Faults) -> World {
    with_faults("huawei-tms", faults).await
}

async fn ecs(faults: Faults) -> World {
    with_faults("alibaba-ecs", faults).await
}

#[tokio::test]
async fn server_errors_carry_the_clouds_own_code_and_change_nothing() {
    let world = huawei(Faults { error_500: 1.0, ..always() }).await;
    world.disks(&["d-1"]).await.is(500, "TMS.0001");
    world.sim.set_faults("huawei-tms", Faults { error_503: 1.0, ..always() }).unwrap();
    world.disks(&["d-1"]).await.is(503, "APIGW.0201");
    assert!(world.sim.tags("huawei-tms").is_empty());
    let outcomes = world.sim.counts("huawei-tms").outcomes;
    assert_eq!((outcomes.error_500, outcomes.error_503, outcomes.ok), (1, 1, 0));

    let world = ecs(Faults { error_500: 1.0, ..always() }).await;
    world.instances(&["i-1"]).await.is(500, "InternalError");
    world.sim.set_faults("alibaba-ecs", Faults { error_503: 1.0, ..always() }).unwrap();
    world.instances(&["i-1"]).await.is(503, "ServiceUnavailable");
    assert!(world.sim.tags("alibaba-ecs").is_empty());
}

#[tokio::test]
async fn a_bad_gateway_answers_with_a_page() {
    let world = huawei(Faults { error_502: 1.0, ..always() }).await;
    let reply = world.disks(&["d-1"]).await;
    assert_eq!(reply.status, 502);
    assert_eq!(reply.header("content-type"), "text/html");
    assert!(reply.text.contains("<html>"));
    assert!(world.sim.tags("huawei-tms").is_empty());
    assert_eq!(world.sim.counts("huawei-tms").outcomes.error_502, 1);
}

#[tokio::test]
async fn a_connection_dropped_before_leaves_no_trace_and_one_dropped_after_leaves_the_tags() {
    let world = huawei(Faults { reset_before: 1.0, ..always() }).await;
    assert!(world.try_create(&disks(&["d-1"])).await.is_err());
    assert!(world.sim.tags("huawei-tms").is_empty());
    world.sim.set_faults("huawei-tms", Faults { reset_after: 1.0, ..always() }).unwrap();
    assert!(world.try_create(&disks(&["d-1"])).await.is_err());
    assert_eq!(world.sim.tags("huawei-tms").len(), 1);
    let counts = world.sim.counts("huawei-tms");
    assert_eq!((counts.requests, counts.outcomes.reset, counts.applied_calls), (2, 2, 1));
    assert_eq!(counts.in_flight, 0);
}

#[tokio::test]
async fn a_truncated_answer_arrives_in_part_after_the_tags_were_written() {
    let world = huawei(Faults { truncated: 1.0, ..always() }).await;
    let error = world.try_create(&disks(&["d-1"])).await.unwrap_err();
    assert!(error.is_decode() || error.is_body(), "the head arrived and the body broke: {error:?}");
    assert_eq!(world.sim.tags("huawei-tms").len(), 1);
    let counts = world.sim.counts("huawei-tms");
    assert_eq!((counts.outcomes.truncated, counts.applied_calls), (1, 1));
}

#[tokio::test]
async fn a_truncated_answer_shows_its_status_and_its_full_length_on_the_wire() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let world = huawei(Faults { truncated: 1.0, ..always() }).await;
    let scope = json!({"domain": {"name": "sim-domain"}});
    let ask = json!({"auth": {"identity": {"methods": ["password"], "password": {"user":
        {"domain": {"name": "sim-domain"}, "name": "sim-user", "password": "sim-password"}}}, "scope": scope}});
    let token = world.post("/v3/auth/tokens", &ask).await;
    let body = disks(&["d-1"]).to_string();
    let mut stream = tokio::net::TcpStream::connect(world.sim.addr()).await.unwrap();
    let head = format!(
        "POST /v1.0/resource-tags/batch-create HTTP/1.1\r\nhost: x\r\nx-auth-token: {}\r\ncontent-length: {}\r\n\r\n",
        token.header("x-subject-token"),
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, rest) = answer.split_once("\r\n\r\n").unwrap();
    let whole = json!({"failed_resources": []}).to_string();
    assert!(head.starts_with("HTTP/1.1 200") && head.contains(&format!("content-length: {}", whole.len())), "{head}");
    assert_eq!(rest, &whole[..whole.len() / 2]);
}

#[tokio::test]
async fn a_slow_answer_is_held_back_but_its_tags_are_written_at_once() {
    let slow = Slow { probability: 1.0, min_ms: 400, max_ms: 500 };
    let world = huawei(Faults { slow, ..always() }).await;
    let started = clock::monotonic();
    let body = disks(&["d-1"]);
    let (reply, ()) = tokio::join!(world.create(&body), async {
        while world.sim.tags("huawei-tms").is_empty() {
            assert!(started.elapsed() < Duration::from_secs(10));
            tokio::task::yield_now().await;
        }
        assert_eq!(world.sim.counts("huawei-tms").in_flight, 1, "written, and not answered yet");
    });
    assert_eq!(reply.status, 200);
    assert!(started.elapsed() >= Duration::from_millis(400));
    let counts = world.sim.counts("huawei-tms");
    assert_eq!((counts.slow, counts.outcomes.ok, counts.in_flight), (1, 1, 0));
}

#[tokio::test]
async fn latency_holds_back_every_answer_without_counting_as_slow() {
    let world = huawei(Faults { latency: Span { min_ms: 50, max_ms: 60 }, ..always() }).await;
    let started = clock::monotonic();
    assert_eq!(world.disks(&["d-1"]).await.status, 200);
    assert!(started.elapsed() >= Duration::from_millis(50));
    assert_eq!(world.sim.counts("huawei-tms").slow, 0);
}

#[tokio::test]
async fn a_poisoned_id_fails_every_call_it_is_in_with_a_coded_500() {
    let faults = Faults { poison_500: vec!["poison-*".into()], ..always() };
    let world = huawei(faults.clone()).await;
    for _ in 0..3 {
        world.disks(&["d-1", "poison-1"]).await.is(500, "TMS.0001");
    }
    assert_eq!(world.disks(&["d-1"]).await.status, 200);
    assert_eq!(world.sim.tags("huawei-tms").len(), 1);
    let world = ecs(faults).await;
    world.instances(&["i-1", "poison-1"]).await.is(500, "InternalError");
    assert!(world.sim.tags("alibaba-ecs").is_empty());
}

#[tokio::test]
async fn a_passing_trouble_hits_some_resources_and_not_the_same_ones_again() {
    let world = huawei(Faults { transient_items: 0.5, ..always() }).await;
    let ids: Vec<String> = (0..50).map(|n| format!("d-{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let reply = world.disks(&ids).await.json();
        let failed = reply["failed_resources"].as_array().unwrap().clone();
        assert!(failed.iter().all(|item| item["error_code"] == "TMS.0001"));
        assert!((5..45).contains(&failed.len()), "{}", failed.len());
        seen.push(failed);
    }
    assert_ne!(seen[0], seen[1]);
    let world = ecs(Faults { transient_items: 1.0, ..always() }).await;
    assert_eq!(world.instances(&["i-1"]).await.status, 200, "an API without failed resources has no such trouble");
}

#[tokio::test]
async fn the_same_seed_brings_the_same_faults() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let world = huawei(Faults { error_500: 0.3, error_502: 0.2, ..always() }).await;
        let mut statuses = Vec::new();
        for _ in 0..40 {
            statuses.push(world.disks(&["d-1"]).await.status);
        }
        assert!(statuses.contains(&200) && statuses.contains(&500) && statuses.contains(&502));
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn a_late_resource_becomes_ready_after_its_time() {
    for since in [Since::FirstSeen, Since::Start] {
        let late = vec![Late { id: "new-*".into(), after_ms: 800, since, code: None }];
        let world = huawei(Faults { late, ..always() }).await;
        let started = clock::monotonic();
        let first = world.disks(&["new-1"]).await.json();
        assert_eq!(first["failed_resources"][0]["error_code"], "TMS.0001");
        while !world.disks(&["new-1"]).await.json()["failed_resources"].as_array().unwrap().is_empty() {
            assert!(started.elapsed() < Duration::from_secs(10));
        }
        assert_eq!(world.sim.tags("huawei-tms").len(), 1);
        let another = world.disks(&["new-2"]).await.json();
        let waits = !another["failed_resources"].as_array().unwrap().is_empty();
        assert_eq!(waits, since == Since::FirstSeen, "{since:?}");
    }
}

#[tokio::test]
async fn an_outage_answers_everybody_even_those_with_a_wrong_signature() {
    let world = ecs(Faults { outage: true, ..always() }).await;
    let forged = Alibaba { secret: "wrong", ..Alibaba::default() };
    world.instances(&["i-1"]).await.is(503, "ServiceUnavailable");
    let reply = world.alibaba(&forged, ECS, "TagResources", &borrowed(&instances(&["i-1"]))).await;
    reply.is(503, "ServiceUnavailable");
    world.sim.set_faults("alibaba-ecs", always()).unwrap();
    assert_eq!(world.instances(&["i-1"]).await.status, 200);
}

#[tokio::test]
async fn account_wide_switches_refuse_with_the_clouds_own_codes() {
    let cases = [
        (Faults { deny_all: true, ..always() }, (403, "TMS.0004"), (403, "Forbidden.RAM")),
        (Faults { revoked: true, ..always() }, (401, "APIGW.0301"), (400, "InvalidAccessKeyId.Inactive")),
        (Faults { expired: true, ..always() }, (401, "APIGW.0301"), (400, "InvalidSecurityToken.Expired")),
    ];
    for (faults, on_huawei, on_alibaba) in cases {
        let world = huawei(faults.clone()).await;
        world.disks(&["d-1"]).await.is(on_huawei.0, on_huawei.1);
        assert!(world.sim.tags("huawei-tms").is_empty());
        assert_eq!(world.instances(&["i-1"]).await.status, 200, "another account notices nothing");
        world.sim.set_faults("alibaba-ecs", faults).unwrap();
        world.instances(&["i-1"]).await.is(on_alibaba.0, on_alibaba.1);
    }
}

#[tokio::test]
async fn a_cloud_whose_clock_is_off_refuses_our_time_and_shows_its_own() {
    let world = ecs(Faults { clock_offset_s: 3600, ..always() }).await;
    let reply = world.instances(&["i-1"]).await;
    reply.is(400, "InvalidTimeStamp.Expired");
    let shown = jiff::fmt::rfc2822::parse(reply.header("date")).unwrap().timestamp();
    let ahead = shown.duration_since(clock::wall()).as_secs();
    assert!((3590..=3600).contains(&ahead), "{ahead}");
    let right = Alibaba { off_by: ahead, ..Alibaba::default() };
    let reply = world.alibaba(&right, ECS, "TagResources", &borrowed(&instances(&["i-1"]))).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn a_fault_with_an_impossible_value_or_for_no_cloud_is_refused() {
    let world = huawei(always()).await;
    assert!(world.sim.set_faults("huawei-tms", Faults { error_500: -0.1, ..always() }).is_err());
    assert!(world.sim.set_faults("nowhere", always()).is_err());
}
