//! The rate limit throttles in the cloud's own words, and sees who does not keep to it.

use crate::client::{World, cloud, start};
use tagmill::{
    sim::{Rate, RetryAfter, ThrottledBy},
    worker::clock,
};

/// So slow that no test run is long enough for a second token.
fn strict(burst: f64) -> Rate {
    Rate { per_second: 0.000_1, burst, slack_ms: 0.0 }
}

async fn limited(name: &str, burst: f64, hint: Option<RetryAfter>) -> World {
    start(|clouds| {
        let cloud = cloud(clouds, name);
        cloud.rate = Some(strict(burst));
        cloud.retry_after = hint;
    })
    .await
}

#[tokio::test]
async fn beyond_its_burst_an_account_is_throttled_in_the_clouds_own_words() {
    let world = limited("huawei-tms", 2.0, None).await;
    for id in ["d-1", "d-2"] {
        assert_eq!(world.disks(&[id]).await.status, 200);
    }
    let reply = world.disks(&["d-3"]).await;
    reply.is(403, "TMS.0006");
    assert!(!reply.headers.contains_key("retry-after"));
    assert_eq!(world.sim.tags("huawei-tms").len(), 2);
    assert_eq!(world.instances(&["i-1"]).await.status, 200, "another account has its own limit");
    let counts = world.sim.counts("huawei-tms");
    assert_eq!((counts.requests, counts.outcomes.throttled, counts.limit_violations), (3, 1, 1));
    assert!((counts.max_excess - 1.0).abs() < 0.01, "{}", counts.max_excess);
    assert!(counts.peak_per_second >= 1);

    let world = limited("alibaba-ecs", 1.0, None).await;
    assert_eq!(world.instances(&["i-1"]).await.status, 200);
    world.instances(&["i-2"]).await.is(400, "Throttling.User");
}

#[tokio::test]
async fn the_gateway_may_be_the_one_to_throttle() {
    let world = start(|clouds| {
        let cloud = cloud(clouds, "huawei-tms");
        cloud.rate = Some(strict(1.0));
        cloud.throttled_by = ThrottledBy::Gateway;
    })
    .await;
    world.disks(&["d-1"]).await;
    world.disks(&["d-1"]).await.is(429, "APIGW.0308");
}

#[tokio::test]
async fn a_throttle_says_when_to_come_back_in_each_of_the_three_ways() {
    let world = limited("huawei-tms", 1.0, Some(RetryAfter::Seconds(7))).await;
    world.disks(&["d-1"]).await;
    assert_eq!(world.disks(&["d-1"]).await.header("retry-after"), "7");

    let world = limited("huawei-tms", 1.0, Some(RetryAfter::Date(60))).await;
    world.disks(&["d-1"]).await;
    let reply = world.disks(&["d-1"]).await;
    let until = jiff::fmt::rfc2822::parse(reply.header("retry-after")).unwrap().timestamp();
    assert!((55..=60).contains(&until.duration_since(clock::wall()).as_secs()));

    let world = limited("alibaba-ecs", 1.0, Some(RetryAfter::Milliseconds(1500))).await;
    world.instances(&["i-1"]).await;
    assert_eq!(world.instances(&["i-1"]).await.header("x-acs-retry-after"), "1500");
}

#[tokio::test]
async fn who_comes_back_before_the_named_moment_is_noticed() {
    let world = limited("huawei-tms", 1.0, Some(RetryAfter::Seconds(600))).await;
    for _ in 0..3 {
        world.disks(&["d-1"]).await;
    }
    assert_eq!(world.sim.counts("huawei-tms").before_retry_after, 1, "the second was throttled, the third came early");
}

#[tokio::test]
async fn a_bad_signature_uses_up_no_ones_limit() {
    use crate::client::{Huawei, disks};
    let world = limited("huawei-tms", 1.0, None).await;
    let forged = Huawei { secret: "wrong", ..Huawei::default() };
    let target = "/v1.0/resource-tags/batch-create";
    for _ in 0..3 {
        world.huawei(&forged, reqwest::Method::POST, target, &disks(&["d-1"]).to_string()).await.is(401, "APIGW.0301");
    }
    assert_eq!(world.disks(&["d-1"]).await.status, 200);
}

#[tokio::test]
async fn calls_at_the_same_time_are_seen_and_so_are_those_on_the_same_resource() {
    let world =
        start(|clouds| cloud(clouds, "huawei-tms").faults.latency = tagmill::sim::Span { min_ms: 600, max_ms: 600 })
            .await;
    let ids = (["a", "b"], ["b", "c"], ["d", "e"]);
    let replies = tokio::join!(world.disks(&ids.0), world.disks(&ids.1), world.disks(&ids.2));
    assert_eq!((replies.0.status, replies.1.status, replies.2.status), (200, 200, 200));
    let counts = world.sim.counts("huawei-tms");
    assert_eq!((counts.max_in_flight, counts.overlapping, counts.in_flight), (3, 1, 0));
    world.disks(&["a", "b"]).await;
    assert_eq!(world.sim.counts("huawei-tms").overlapping, 1, "one after the other is no overlap");
}

/// Not a test of the machine it runs on: run it by hand with `--run-ignored only --no-capture` to see the number.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints how many calls a second the simulator answers"]
async fn many_calls_a_second() {
    let world = start(|_| {}).await;
    let ids: Vec<String> = (0..50).map(|n| format!("d-{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let started = clock::monotonic();
    let client = async || {
        for _ in 0..1000 {
            assert_eq!(world.disks(&ids).await.status, 200);
        }
    };
    tokio::join!(client(), client(), client(), client());
    println!("{:.0} calls a second, client included", 4000.0 / started.elapsed().as_secs_f64());
}
