//! A broker of its own, simulated clouds, a config of lanes, and workers to start and kill.

use crate::{
    rabbit::{Node, Setup},
    support::{Clouds, Home, Running, Tags},
};
use std::fmt::Write as _;
use tagmill::sim::{Api, CloudConfig, Counts, Faults, Rate, RetryAfter};
use tokio::runtime::Runtime;

/// One lane and the account behind it.
#[derive(Clone)]
pub struct Lane {
    pub name: String,
    pub api: Api,
    /// The ceiling in the config.
    pub rate: f64,
    /// What the cloud allows, where that is less.
    pub allowed: Option<f64>,
    pub faults: Faults,
    /// More of the lane's config, in YAML.
    pub more: String,
}

impl Lane {
    pub fn new(name: &str, api: Api) -> Self {
        let (rate, allowed) = (50.0, None);
        Self { name: name.to_owned(), api, rate, allowed, faults: Faults::default(), more: String::new() }
    }

    fn key(&self) -> String {
        format!("AK{}", self.name.to_uppercase().replace('-', ""))
    }

    /// The id of a resource as a job of this lane names it, in JSON.
    pub fn resource(&self, id: &str) -> String {
        match self.api {
            Api::HuaweiTms => format!(r#"{{"id":"{id}","type":"disk"}}"#),
            Api::AlibabaRds => format!(r#"{{"id":"{id}","type":"INSTANCE"}}"#),
            Api::AlibabaEcs => format!(r#"{{"id":"{id}","type":"instance"}}"#),
            Api::AlibabaTag => format!(r#""{}""#, self.shown(id)),
            other => panic!("no fleet has a lane of {}", other.name()),
        }
    }

    /// The name under which its cloud shows it.
    pub fn shown(&self, id: &str) -> String {
        match self.api {
            Api::HuaweiTms => format!("disk/{id}"),
            Api::AlibabaRds => format!("INSTANCE/{id}"),
            Api::AlibabaEcs => format!("instance/{id}"),
            Api::AlibabaTag => format!("arn:acs:ecs:cn-hangzhou:1234567890123456:instance/{id}"),
            other => panic!("no fleet has a lane of {}", other.name()),
        }
    }

    fn cloud(&self) -> CloudConfig {
        let domain_id = (self.api == Api::HuaweiTms).then(|| "d0".to_owned());
        let allowed = self.allowed.unwrap_or(self.rate);
        CloudConfig {
            domain_id,
            // Bunching on a busy machine is not the lane's fault.
            rate: Some(Rate { slack_ms: 500.0, ..Rate::new(allowed, 5.0) }),
            retry_after: self.allowed.is_some().then_some(RetryAfter::Seconds(1)),
            faults: self.faults.clone(),
            ..CloudConfig::new(&self.name, self.api, &self.key(), "sim-secret")
        }
    }

    fn yaml(&self, url: &str) -> String {
        let (region, domain) = match self.api {
            Api::HuaweiTms => ("cn-north-4", ", domain_id: d0"),
            Api::AwsTagging => ("us-east-1", ""),
            _ => ("cn-hangzhou", ""),
        };
        let mut text = String::new();
        let (name, provider, key, rate) = (&self.name, self.api.name(), self.key(), self.rate);
        writeln!(text, "  - name: {name}\n    provider: {provider}\n    region: {region}\n    endpoint: {url}")
            .unwrap();
        writeln!(text, "    credentials: {{ access_key: {key}, secret_key: {{ env: SIM_SECRET }}{domain} }}").unwrap();
        writeln!(text, "    rate: {{ per_second: {rate}, burst: 5 }}\n    concurrency: 4").unwrap();
        for line in self.more.lines() {
            writeln!(text, "    {line}").unwrap();
        }
        text
    }
}

pub struct Fleet {
    pub runtime: Runtime,
    // Before the node: workers must not outlive it for long.
    pub home: Home,
    pub clouds: Clouds,
    pub node: Node,
    pub lanes: Vec<Lane>,
}

impl Fleet {
    /// None where this machine has no RabbitMQ and was told to do without.
    pub fn start(lanes: Vec<Lane>) -> Option<Self> {
        Self::start_on(Setup::new(), lanes)
    }

    pub fn start_on(setup: Setup, lanes: Vec<Lane>) -> Option<Self> {
        let runtime = Runtime::new().unwrap();
        let node = runtime.block_on(setup.start())?;
        let clouds = Clouds::with(|clouds| *clouds = lanes.iter().map(Lane::cloud).collect());
        let mut home = Home::new(&[]);
        home.env("SIM_SECRET", "sim-secret");
        home.env("AMQP_URL", &node.url());
        home.env("RUST_LOG", "info");
        let fleet = Self { runtime, home, clouds, node, lanes };
        fleet.config(&fleet.lanes, "");
        Some(fleet)
    }

    /// Writes the config of these lanes; `more` goes under `broker:`.
    pub fn config(&self, lanes: &[Lane], more: &str) {
        let lanes: String = lanes.iter().map(|lane| lane.yaml(&self.clouds.url())).collect();
        self.home.write("tagmill.yaml", &format!("broker:\n  url: {{ env: AMQP_URL }}\n{more}lanes:\n{lanes}"));
    }

    /// A worker that serves its lanes.
    pub fn worker(&self) -> Running {
        let worker = self.home.start(&["worker"]);
        worker.says("ready");
        worker
    }

    pub fn counts(&self, lane: &Lane) -> Counts {
        self.clouds.counts(&lane.name)
    }

    pub fn tags(&self, lane: &Lane) -> Tags {
        self.clouds.tags(&lane.name)
    }

    /// Publishes as any program would.
    pub fn publish(&self, messages: Vec<crate::amqp::Outgoing>) {
        self.runtime.block_on(crate::amqp::publish(&self.node.url(), messages));
    }
}
