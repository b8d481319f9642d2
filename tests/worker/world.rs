//! A fake broker, simulated clouds, and a config that joins them; jobs, and waiting until something is so.

use crate::fake::Fake;
use serde_json::json;
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tagmill::{
    broker::rabbitmq::LinkState,
    config::{self, LaneConfig},
    sim::{Faults, Sim, SimConfig, Span, well_known},
    worker::{LaneView, Readiness, Service, Waits, Worker, clock},
};
use tokio::sync::watch;

/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The same waits as in life, a hundred times shorter.
pub fn waits() -> Waits {
    let ms = Duration::from_millis;
    Waits { spread: ms(30), reopen: (ms(1), ms(50)), refused: ms(50), heal: (ms(50), ms(200)), secrets: ms(50) }
}

pub struct World<const MARKS: bool = false> {
    pub fake: Fake<MARKS>,
    pub sim: Sim,
    pub link: watch::Sender<LinkState>,
}

impl World {
    pub async fn new() -> Self {
        Self::with_marks().await
    }
}

impl<const MARKS: bool> World<MARKS> {
    pub async fn with_marks() -> Self {
        let sim = Sim::start(SimConfig::default(), "127.0.0.1:0".parse().unwrap()).await.unwrap();
        Self { fake: Fake::new(), sim, link: watch::Sender::new(LinkState::Up) }
    }

    /// A lane to the simulated TMS; `more` is YAML in braces.
    pub fn lane(&self, name: &str, more: &str) -> LaneConfig {
        let secret = format!("secret_key: {}", well_known::HUAWEI_SECRET_KEY);
        self.lane_with(name, &secret, more)
    }

    pub fn lane_with(&self, name: &str, secret: &str, more: &str) -> LaneConfig {
        let (key, domain, url) = (well_known::HUAWEI_ACCESS_KEY, well_known::HUAWEI_DOMAIN_ID, self.sim.url());
        let concurrency = if more.contains("concurrency") { "" } else { ", concurrency: 4" };
        let rate = if more.contains("rate") { "" } else { ", rate: {per_second: 500, burst: 20}" };
        let text = format!(
            "lanes:\n  - {{name: {name}, provider: huawei-tms, region: cn-north-4, endpoint: '{url}'{concurrency}, \
             credentials: {{access_key: {key}, {secret}, domain_id: '{domain}'}}{rate}{more}}}\n"
        );
        config::parse(&text, Path::new("test.yaml"), []).unwrap().lanes.remove(0)
    }

    pub fn serve(&self, lanes: &[LaneConfig]) -> Service {
        Worker::serve(&self.fake, lanes, self.link.subscribe(), &waits()).unwrap()
    }

    /// Publishes jobs of one resource each: `prefix-0`, `prefix-1`, ...
    pub fn publish(&self, lane: &str, prefix: &str, count: usize) {
        for n in 0..count {
            let id = format!("{prefix}-{n}");
            self.fake.publish(lane, &id, job(lane, &id, &id, prefix));
        }
    }

    pub fn tags(&self, resource: &str) -> Option<String> {
        let tags = self.sim.tags("huawei-tms");
        tags.iter().find(|(id, _)| id.ends_with(&format!("disk/{resource}")))?.1.get("env").cloned()
    }

    pub fn requests(&self) -> u64 {
        self.sim.counts("huawei-tms").requests
    }

    pub fn faults(&self, faults: Faults) {
        self.sim.set_faults("huawei-tms", faults).unwrap();
    }

    /// Every answer takes so long.
    pub fn slow(&self, ms: u64) {
        self.faults(Faults { latency: Span { min_ms: ms, max_ms: ms }, ..Faults::default() });
    }

    pub fn receipts(&self) -> usize {
        self.fake.state().receipts.len()
    }
}

pub fn job(lane: &str, id: &str, resource: &str, batch: &str) -> String {
    json!({
        "version": 1, "id": id, "lane": lane, "batch": batch, "set": {"env": "prod"},
        "resources": [{"id": resource, "type": "disk", "project": "p-1"}],
    })
    .to_string()
}

/// Polls until something is so.
#[track_caller]
pub fn until(what: &str, so: impl FnMut() -> bool) -> impl Future<Output = ()> {
    until_before(clock::monotonic() + PATIENCE, what.to_owned(), so)
}

async fn until_before(end: Instant, what: String, mut so: impl FnMut() -> bool) {
    while !so() {
        assert!(clock::monotonic() < end, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits for a state of the worker.
pub async fn becomes(service: &Service, wanted: impl Fn(&Readiness) -> bool) -> Readiness {
    let mut readiness = service.readiness();
    let found = tokio::time::timeout(PATIENCE, readiness.wait_for(|state| wanted(state))).await;
    found.expect("never became so").unwrap().clone()
}

pub async fn ready(service: &Service) {
    becomes(service, |state| *state == Readiness::Ready).await;
}

/// What is so of the first lane.
pub fn view(service: &Service) -> LaneView {
    service.views()[0].borrow().clone()
}

/// Drains and waits for the end.
pub async fn stop(mut service: Service) {
    service.drain();
    tokio::time::timeout(PATIENCE, service.ended()).await.expect("it never ended");
}
