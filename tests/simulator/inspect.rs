//! The inspection endpoint shows everything, changes faults while clouds run, and counts as nothing.

use crate::client::start;
use reqwest::Method;
use serde_json::{Value, json};
use tagmill::sim::Counts;

#[tokio::test]
async fn tags_are_shown_by_cloud_and_resource() {
    let world = start(|_| {}).await;
    world.disks(&["d-1"]).await;
    world.instances(&["i-1"]).await;
    let all = world.get("/_sim/tags").await.json();
    let expected = json!({"huawei-tms": {"disk/d-1": {"env": "dev"}}, "alibaba-ecs": {"instance/i-1": {"env": "dev"}},
        "alibaba-rds": {}, "alibaba-tag": {}, "aws-tagging": {}, "aws-s3": {}, "aws-backup": {}, "aws-ml": {}});
    assert_eq!(all, expected);
    assert_eq!(world.get("/_sim/tags?cloud=alibaba-ecs").await.json(), json!({"alibaba-ecs": expected["alibaba-ecs"]}));
    assert_eq!(world.get("/_sim/tags?cloud=none").await.status, 404);
}

#[tokio::test]
async fn calls_are_counted_by_cloud_and_inspection_is_no_call() {
    let world = start(|_| {}).await;
    for _ in 0..3 {
        world.get("/_sim/calls").await;
        world.get("/_sim/tags").await;
    }
    world.disks(&["d-1", "d-2"]).await;
    world.create(&json!({})).await;
    let calls = world.get("/_sim/calls").await.json();
    assert_eq!(calls["unmatched"], 0);
    let shown = &calls["clouds"]["huawei-tms"];
    assert_eq!(shown["provider"], "huawei-tms");
    let mut counts = shown.clone();
    counts.as_object_mut().unwrap().remove("provider");
    let counts: Counts = serde_json::from_value(counts).unwrap();
    assert_eq!(counts, world.sim.counts("huawei-tms"));
    assert_eq!((counts.requests, counts.outcomes.ok, counts.outcomes.rejected), (2, 1, 1));
    assert_eq!((counts.applied_calls, counts.applied_items), (1, 2));
    assert_eq!(calls["clouds"]["alibaba-tag"]["requests"], 0);
}

#[tokio::test]
async fn faults_change_while_a_cloud_runs() {
    let world = start(|_| {}).await;
    let change = |cloud: Value, faults: Value| json!({"cloud": cloud, "faults": faults});
    let reply =
        world.post("/_sim/faults", &change(json!("huawei-tms"), json!({"outage": true, "unknown": ["x"]}))).await;
    assert_eq!(reply.json()["clouds"]["huawei-tms"]["outage"], true);
    world.disks(&["d-1"]).await.is(503, "APIGW.0201");
    assert_eq!(world.instances(&["i-1"]).await.status, 200);
    world.post("/_sim/faults", &change(json!("huawei-tms"), json!({"outage": null}))).await;
    let failed = world.disks(&["d-1", "x"]).await.json();
    assert_eq!(failed["failed_resources"][0]["resource_id"], "x", "what the patch did not name has stayed");
    world.post("/_sim/faults", &json!({"faults": {"deny_all": true}})).await;
    world.disks(&["d-1"]).await.is(403, "TMS.0004");
    world.instances(&["i-1"]).await.is(403, "Forbidden.RAM");
    assert_eq!(world.get("/_sim/faults").await.json()["clouds"]["alibaba-rds"]["deny_all"], true);
}

#[tokio::test]
async fn a_change_that_cannot_be_made_is_refused_whole() {
    let world = start(|_| {}).await;
    let cases = [
        (json!({"cloud": "none", "faults": {}}), 404),
        (json!({"cloud": "huawei-tms", "faults": {"no_such": 1}}), 400),
        (json!({"cloud": "huawei-tms", "faults": {"outage": true, "error_500": 2}}), 400),
        (json!({"clouds": "huawei-tms", "faults": {}}), 400),
        (json!([]), 400),
    ];
    for (body, status) in cases {
        let reply = world.post("/_sim/faults", &body).await;
        assert_eq!(reply.status, status, "{body}");
        assert!(reply.json()["error"].is_string());
    }
    assert_eq!(world.disks(&["d-1"]).await.status, 200);

    let slow = json!({"slow": {"min_ms": 1, "max_ms": 9}});
    assert_eq!(world.post("/_sim/faults", &json!({"cloud": "huawei-tms", "faults": slow})).await.status, 200);
    let fits_one_cloud_only = json!({"faults": {"slow": {"min_ms": 5}}});
    assert_eq!(world.post("/_sim/faults", &fits_one_cloud_only).await.status, 400);
    assert_eq!(world.sim.faults("huawei-tms").unwrap().slow.min_ms, 1, "either every cloud takes it or none does");
}

#[tokio::test]
async fn a_reset_puts_everything_back_to_the_start() {
    let world = start(|_| {}).await;
    world.disks(&["d-1"]).await;
    world.post("/_sim/faults", &json!({"faults": {"outage": true}})).await;
    assert_eq!(world.post("/_sim/reset", &json!({})).await.status, 200);
    assert!(world.sim.tags("huawei-tms").is_empty());
    assert_eq!(world.sim.counts("huawei-tms"), Counts::default());
    assert_eq!(world.disks(&["d-1"]).await.status, 200);
}

#[tokio::test]
async fn a_request_of_no_known_shape_is_refused_and_counted_apart() {
    let world = start(|_| {}).await;
    assert_eq!(world.get("/").await.status, 404);
    assert_eq!(world.post("/somewhere", &json!({})).await.status, 404);
    assert_eq!(world.get("/_sim/nothing").await.status, 404);
    assert_eq!(world.send(Method::DELETE, "/_sim/tags", &[], vec![]).await.unwrap().status, 405);
    assert_eq!(world.sim.unmatched(), 2);
}

#[tokio::test]
async fn a_body_beyond_sixteen_mebibytes_is_not_taken() {
    let world = start(|_| {}).await;
    let target = "/v1.0/resource-tags/batch-create";
    // The answer may come, or the connection close, while the rest is still on its way: both are a refusal.
    let outcome = world.send(Method::POST, target, &[], vec![b' '; 16 * 1024 * 1024 + 1]).await;
    assert!(outcome.is_err() || outcome.is_ok_and(|reply| reply.status == 413));
    assert_eq!(world.disks(&["d-1"]).await.status, 200);
}

#[tokio::test]
async fn a_stopped_simulator_listens_no_more() {
    let world = start(|_| {}).await;
    let addr = world.sim.addr();
    assert_eq!(world.disks(&["d-1"]).await.status, 200);
    world.sim.stop().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}
