//! What is told to Prometheus against what happened: the receipts, the dead letters and the calls that the clouds saw.

use crate::{
    fake::Fake,
    world::{World, job, ready, stop, until, waits},
};
use serde_json::json;
use std::{collections::BTreeMap, path::Path};
use tagmill::{
    broker::rabbitmq::LinkState,
    config::{self, LaneConfig},
    sim::{Api, FailedItems, Faults, Rate, Sim, SimConfig, well_known},
    telemetry::Metrics,
    worker::{Service, Worker, clock},
};
use tokio::sync::watch;

/// Every series with its value.
type Told = BTreeMap<String, f64>;

fn scrape(metrics: &Metrics, service: &Service) -> Told {
    let now = clock::wall();
    let text = metrics.render(service.views().iter().map(|view| view.borrow().now(now)).collect::<Vec<_>>());
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.into(), value.parse().unwrap()))
        .collect()
}

/// The sum of a series over all labels that are not named; `some` are pieces of its labels.
fn sum(told: &Told, name: &str, some: &[&str]) -> u64 {
    let of = |series: &str| series.split('{').next() == Some(name) && some.iter().all(|label| series.contains(label));
    told.iter().filter(|(series, _)| of(series)).map(|(_, value)| *value).sum::<f64>() as u64
}

/// No counter and no histogram may be less than it was.
fn never_back(before: &Told, after: &Told, when: &str) {
    for (series, value) in before {
        let name = series.split('{').next().unwrap();
        if ["_total", "_count", "_bucket", "_sum"].iter().any(|end| name.ends_with(end)) && name.starts_with("tagmill_")
        {
            assert!(after.get(series).is_some_and(|after| after >= value), "{when}: {series} went back from {value}");
        }
    }
}

/// A lane to the simulated S3.
fn buckets(world: &World) -> LaneConfig {
    let (key, secret, url) = (well_known::AWS_ACCESS_KEY, well_known::AWS_SECRET_KEY, world.sim.url());
    let text = format!(
        "lanes:\n  - {{name: s3, provider: aws-s3, region: us-east-1, endpoint: '{url}', concurrency: 4, \
         credentials: {{access_key: {key}, secret_key: {secret}}}, rate: {{per_second: 500, burst: 20}}}}\n"
    );
    config::parse(&text, Path::new("test.yaml"), []).unwrap().lanes.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_bulk_run_with_faults_the_counters_are_the_receipts_and_the_calls_that_the_clouds_saw() {
    let mut clouds = SimConfig::default();
    for cloud in clouds.clouds.iter_mut().filter(|cloud| cloud.provider == Api::HuaweiTms) {
        cloud.rate = Some(Rate::new(60.0, 5.0));
    }
    let sim = Sim::start(clouds, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let world = World { fake: Fake::<false>::new(), sim, link: watch::Sender::new(LinkState::Up) };
    let odd = FailedItems { id: "odd-*".into(), code: "TMS.0020".into(), message: "no such type".into() };
    world.faults(Faults {
        error_503: 0.05,
        transient_items: 0.05,
        unknown: vec!["gone-*".into()],
        failed_items: vec![odd],
        ..Faults::default()
    });
    world.fake.change(|state| state.never_owned = true);
    let (metrics, lanes) = (Metrics::new(), [world.lane("a", ""), buckets(&world)]);
    let service = Worker::serve(&world.fake, &lanes, world.link.subscribe(), &waits()).unwrap();
    ready(&service).await;
    for n in 0..300 {
        let resource = |id: String| json!({"id": id, "type": "disk", "project": "p-1"});
        let mut resources = vec![resource(format!("x-{n}")), resource(format!("y-{}", n % 40))];
        if n % 10 == 0 {
            resources.push(resource(format!("gone-{n}")));
        }
        if n % 25 == 0 {
            resources.push(resource(format!("odd-{n}")));
        }
        // One value in three jobs: neither one call for all, nor one for each.
        let body = json!({"version": 1, "id": format!("j-{n}"), "lane": "a", "resources": resources,
            "set": {"env": "prod", "n": (n / 3).to_string()}});
        world.fake.publish("a", &format!("j-{n}"), body.to_string());
    }
    for n in 0..4 {
        world.fake.publish("a", &format!("raw-{n}"), "no job");
    }
    // The second one finds everything as it should be.
    for id in ["first", "again"] {
        let body = json!({"version": 1, "id": id, "lane": "s3", "resources": ["bucket-1", "bucket-2"], "set": {"env": "prod"}});
        world.fake.publish("s3", id, body.to_string());
        until("the job of the buckets is done", || world.fake.left("s3") == 0).await;
    }
    until("everything is acked", || world.fake.left("a") == 0).await;
    let told = scrape(&metrics, &service);
    stop(service).await;

    let (receipts, dead) = world.fake.change(|state| (state.receipts.clone(), state.dead.clone()));
    let receipted = |of: fn(&tagmill::job::Receipt) -> u64| receipts.iter().map(of).sum::<u64>();
    let items = |outcome: &str| sum(&told, "tagmill_items_total", &[outcome]);
    assert_eq!(receipts.len(), 302);
    assert_eq!(sum(&told, "tagmill_jobs_total", &[]), 302);
    assert_eq!(items("\"tagged\""), receipted(|receipt| receipt.tagged));
    assert_eq!(items("\"unchanged\""), receipted(|receipt| receipt.unchanged));
    assert!(items("\"unchanged\"") >= 2, "{told:?}");
    assert_eq!(sum(&told, "tagmill_items_superseded_total", &[]), receipted(|receipt| receipt.superseded));
    assert_eq!(items("\"dead\""), receipted(|receipt| receipt.dead) + 4, "and the messages that were no jobs");
    assert_eq!(sum(&told, "tagmill_items_dead_total", &[]), items("\"dead\""));
    let codes = |code: &str| dead.iter().flat_map(|letter| &letter.failures).filter(|dead| dead.code == code).count();
    assert_eq!(receipted(|receipt| receipt.dead), dead.iter().map(|letter| letter.failures.len() as u64).sum::<u64>());
    assert_eq!(sum(&told, "tagmill_items_dead_total", &["\"invalid\""]), 4 + codes("invalid") as u64);
    assert_eq!(sum(&told, "tagmill_items_dead_total", &["\"other\""]), 0, "the lane knows why each died");

    for (lane, cloud) in [("lane=\"a\"", "huawei-tms"), ("lane=\"s3\"", "aws-s3")] {
        let saw = world.sim.counts(cloud);
        assert_eq!(sum(&told, "tagmill_calls_total", &[lane]), saw.requests, "{cloud}");
        assert_eq!(sum(&told, "tagmill_throttles_total", &[lane]), saw.outcomes.throttled, "{cloud}");
    }
    assert!(world.sim.counts("huawei-tms").outcomes.throttled > 0, "the run was meant to be throttled");
    let timed = sum(&told, "tagmill_call_duration_seconds_count", &[]);
    assert_eq!(timed, sum(&told, "tagmill_calls_total", &[]));
    assert_eq!(sum(&told, "tagmill_job_duration_seconds_count", &[]), 302);

    let saved = sum(&told, "tagmill_calls_saved_total", &["lane=\"a\""]);
    assert!(saved >= 200, "three jobs of one value share a call: {saved}");
    assert!(saved < 300, "more was saved than there was: {saved}");
    assert!(sum(&told, "tagmill_limiter_wait_seconds_total", &["lane=\"a\""]) > 0, "a throttle makes it wait");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_counter_goes_back_when_a_lane_is_lost_or_leaves_and_comes_back() {
    let world = World::new().await;
    world.slow(20);
    let (metrics, lane) = (Metrics::new(), world.lane("a", ", limits: {resources_per_call: 1}"));
    let mut service = world.serve(&[lane.clone(), world.lane("b", "")]);
    ready(&service).await;
    world.publish("a", "x", 400);
    until("it is at work", || world.receipts() > 20).await;
    let mut before = scrape(&metrics, &service);
    let mut look = |service: &Service, when: &str| {
        for _ in 0..3 {
            let after = scrape(&metrics, service);
            never_back(&before, &after, when);
            before = after;
        }
    };
    for round in 0..3 {
        let receipts = world.receipts();
        world.fake.lose("a");
        look(&service, "just lost");
        until("it goes on", || world.receipts() > receipts + 20).await;
        look(&service, &format!("lost and opened again, {round}"));
    }
    for round in 0..3 {
        let receipts = world.receipts();
        // Back at once: the one that leaves has calls on their way.
        service.reload(&[world.lane("b", "")]).unwrap();
        look(&service, "just removed");
        service.reload(&[lane.clone(), world.lane("b", "")]).unwrap();
        assert!(service.views().len() >= 2);
        look(&service, &format!("put back before it has ended, {round}"));
        until("it goes on", || world.receipts() > receipts + 20).await;
        service.tidy();
        look(&service, &format!("put back, {round}"));
    }
    service.reload(&[world.lane("b", "")]).unwrap();
    until("it has ended", || {
        service.tidy();
        service.views().len() == 1
    })
    .await;
    look(&service, "gone");
    service.reload(&[lane, world.lane("b", "")]).unwrap();
    until("everything is acked", || world.fake.left("a") == 0).await;
    look(&service, "done");
    // What was lost on its way was done again. Nothing else was counted twice.
    let tagged = sum(&before, "tagmill_items_total", &["lane=\"a\"", "\"tagged\""]);
    let receipts = world.receipts() as u64;
    assert!(tagged >= receipts && tagged <= receipts + 3 * 60, "{tagged} items, {receipts} receipts");
    let calls = sum(&before, "tagmill_calls_total", &["lane=\"a\""]);
    assert!(calls <= world.requests(), "{calls} calls, the cloud saw {}", world.requests());
    stop(service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_gets_another_provider_is_counted_under_it_and_keeps_what_it_did_before() {
    let world = World::new().await;
    let metrics = Metrics::new();
    let mut service = world.serve(&[world.lane("a", "")]);
    ready(&service).await;
    world.publish("a", "x", 5);
    until("receipts", || world.receipts() == 5).await;
    let before = scrape(&metrics, &service);
    let (key, secret, url) = (well_known::ALIBABA_ACCESS_KEY, well_known::ALIBABA_SECRET_KEY, world.sim.url());
    let text = format!(
        "lanes:\n  - {{name: a, provider: alibaba-ecs, region: cn-hangzhou, endpoint: '{url}', \
         credentials: {{access_key: {key}, secret_key: {secret}}}, rate: {{per_second: 500, burst: 20}}}}\n"
    );
    let other = config::parse(&text, Path::new("test.yaml"), []).unwrap().lanes.remove(0);
    service.reload(&[other]).unwrap();
    // The lane that ends might still take the job.
    until("the lane is that of the other cloud", || {
        service.tidy();
        let now = scrape(&metrics, &service);
        let mut states = now.keys().filter(|series| series.starts_with("tagmill_lane_state{"));
        states.all(|series| series.contains("alibaba-ecs"))
            && *service.readiness().borrow() == tagmill::worker::Readiness::Ready
    })
    .await;
    let body = job("a", "y", "i-1", "x").replace("disk", "instance").replace(",\"project\":\"p-1\"", "");
    world.fake.publish("a", "y", body);
    until("the other cloud's receipt", || world.receipts() == 6).await;
    let after = scrape(&metrics, &service);
    never_back(&before, &after, "another provider");
    let tagged = |provider: &str| sum(&after, "tagmill_items_total", &["\"tagged\"", provider]);
    assert_eq!((tagged("\"huawei-tms\""), tagged("\"alibaba-ecs\"")), (5, 1));
    let states: Vec<&String> = after.keys().filter(|series| series.starts_with("tagmill_lane_state{")).collect();
    assert!(states.iter().all(|series| series.contains("alibaba-ecs")), "{states:?}");
    stop(service).await;
}
