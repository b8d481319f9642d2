//! A fleet that Prometheus looks at, what goes wrong around it, and the runbook's commands.

use crate::{
    amqp,
    files::shortened_rules,
    fleet::{Fleet, Lane},
    http::Http,
    prometheus::{Prometheus, tool},
    rabbit::{eventually, free_port},
    runbook::commands,
    support::{Done, Running, until},
};
use futures_core::Stream as _;
use lapin::{
    BasicProperties,
    options::{BasicConsumeOptions, BasicNackOptions, BasicPublishOptions, ConfirmSelectOptions},
    types::FieldTable,
};
use serde_json::{Value, json};
use std::{fs, future::poll_fn, pin::Pin, time::Duration};

/// A fleet with a server, and a Prometheus that looks at it. A window of minutes is one of seconds here; that of restarts
/// stays, because no process can restart four times within seconds on every machine.
pub struct Scene {
    pub fleet: Fleet,
    pub prometheus: Prometheus,
    pub worker: u16,
    pub ingest: u16,
}

impl Scene {
    /// The rule is for the first of the lanes. None where this machine has no Prometheus or no broker.
    pub fn new(lanes: Vec<Lane>) -> Option<Self> {
        tool("prometheus")?;
        let fleet = Fleet::start(lanes)?;
        let first = &fleet.lanes[0].name;
        let (worker, ingest) = (free_port(), free_port());
        let config = fs::read_to_string(fleet.home.path("tagmill.yaml")).unwrap();
        // Nobody has a team: that tag is left out.
        let set = "{ owner: \"{{ creator }}\", team: \"{{ event.team }}\" }";
        let rules = format!("rules:\n  - {{ name: owner, source: huawei, lane: {first}, set: {set} }}\n");
        for (file, port) in [("tagmill.yaml", worker), ("ingest.yaml", ingest)] {
            fleet.home.write(file, &format!("{config}server:\n  listen: 127.0.0.1:{port}\n{rules}"));
        }
        let short = shortened_rules().replace("[10s]) > 3", "[15m]) > 3");
        assert!(short.contains("[15m]) > 3"), "the alert on restarts has another form");
        let targets = [worker, ingest].map(|port| format!("127.0.0.1:{port}"));
        let prometheus = Prometheus::start(&short, &targets)?;
        until("Prometheus answers", || prometheus.get("/api/v1/status/runtimeinfo").is_some());
        Some(Self { fleet, prometheus, worker, ingest })
    }

    pub fn start_worker(&self) -> Running {
        let worker = self.fleet.worker();
        let http = Http::new(&self.fleet, self.worker);
        until("the worker takes jobs", || http.get("/readyz").status == 200);
        worker
    }

    pub fn fires(&self, alert: &str, labels: &str) -> bool {
        let what = format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\",{labels}}}");
        !self.prometheus.query(&what).is_empty()
    }

    #[track_caller]
    pub fn fired(&self, alert: &str, labels: &str) {
        until(&format!("{alert} fires for {labels}"), || self.fires(alert, labels));
    }

    #[track_caller]
    pub fn ended(&self, alert: &str, labels: &str) {
        until(&format!("{alert} ends for {labels}"), || !self.fires(alert, labels));
    }

    /// Runs the commands of a part of an alert's section as they stand there, with the words in capitals filled in.
    #[track_caller]
    pub fn follow(&self, alert: &str, part: &str, words: &[(&str, &str)]) -> Vec<Done> {
        let lines = commands(alert, part);
        assert!(!lines.is_empty(), "{alert}: {part} has no command");
        let run = |line: &String| {
            let filled = words.iter().fold(line.clone(), |line, (word, value)| line.replace(word, value));
            // Where the output goes is the shell's matter.
            let command = filled.split(" > ").next().unwrap();
            let words: Vec<&str> = command.split_whitespace().skip(1).collect();
            let left = words.iter().find(|word| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase()));
            assert!(left.is_none(), "{filled}: what is {left:?}?");
            self.fleet.home.run(&words)
        };
        lines.iter().map(run).collect()
    }

    /// The same, where each has to work.
    #[track_caller]
    pub fn follow_well(&self, alert: &str, part: &str, words: &[(&str, &str)]) -> String {
        let done = self.follow(alert, part, words);
        for one in &done {
            assert_eq!(one.code, 0, "{alert}, {part}: {one:?}");
        }
        done.into_iter().map(|done| done.out).collect()
    }

    /// Jobs as they come out of a queue in which they have waited for so long.
    pub fn publish(&self, lane: &Lane, prefix: &str, jobs: usize, age: Duration) {
        let url = self.fleet.node.url();
        let published = tagmill::worker::clock::wall() - jiff::SignedDuration::try_from(age).unwrap();
        let at = u64::try_from(published.as_second()).unwrap();
        self.fleet.runtime.block_on(async {
            let connection = amqp::connect(&url).await;
            let channel = connection.create_channel().await.unwrap();
            channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
            for n in 0..jobs {
                let resource: Value = serde_json::from_str(&lane.resource(&format!("{prefix}-{n}"))).unwrap();
                let job = json!({
                    "version": 1, "id": format!("{prefix}-{n}"), "batch": prefix, "lane": lane.name,
                    "set": {"n": n.to_string()}, "resources": [resource],
                });
                let properties = BasicProperties::default()
                    .with_delivery_mode(2)
                    .with_timestamp(at)
                    .with_message_id(format!("{prefix}-{n}").into());
                let options = BasicPublishOptions { mandatory: true, ..Default::default() };
                let body = job.to_string().into_bytes();
                let sent =
                    channel.basic_publish("tagmill.jobs".into(), lane.name.as_str().into(), options, &body, properties);
                sent.await.unwrap().await.unwrap();
            }
            connection.close(200, "bye".into()).await.unwrap();
        });
    }

    /// Requests to the ingest at once, because each may wait four seconds for the broker: status, and whether to come again.
    pub fn burst(&self, path: &str, body: &[u8]) -> Vec<(u16, bool)> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(1)).build().unwrap();
        let url = format!("http://127.0.0.1:{}{path}", self.ingest);
        let send = || {
            let request = client.post(&url).header("content-type", "application/json").body(body.to_vec());
            self.fleet.runtime.spawn(async { request.send().await })
        };
        let sent: Vec<_> = (0..8).map(|_| send()).collect();
        let answers = sent.into_iter().map(|task| self.fleet.runtime.block_on(task).unwrap().unwrap());
        answers.map(|answer| (answer.status().as_u16(), answer.headers().contains_key("retry-after"))).collect()
    }

    /// Takes a message and gives it back until the broker has had enough, as workers that fall over it would.
    pub fn fall_over(&self, queue: &str) {
        let url = self.fleet.node.url();
        self.fleet.runtime.block_on(async {
            let connection = amqp::connect(&url).await;
            let channel = connection.create_channel().await.unwrap();
            let options = BasicConsumeOptions::default();
            let mut consumer =
                channel.basic_consume(queue.into(), "falls".into(), options, FieldTable::default()).await.unwrap();
            // Handed out once, and a thousand times more.
            for _ in 0..=1000 {
                let message = poll_fn(|cx| Pin::new(&mut consumer).poll_next(cx)).await.unwrap().unwrap();
                message.acker.nack(BasicNackOptions { requeue: true, ..Default::default() }).await.unwrap();
            }
            connection.close(200, "bye".into()).await.unwrap();
        });
        self.fleet.runtime.block_on(eventually("it is given up", Duration::from_mins(1), async || {
            (amqp::depth(&url, "tagmill.poison").await == 1).then_some(())
        }));
    }
}
