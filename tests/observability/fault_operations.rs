//! Incidents of a running fleet, one by one: each fires its alert, and its section of the runbook leads out of it.

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
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions,
        ConfirmSelectOptions,
    },
    types::FieldTable,
};
use serde_json::{Value, json};
use std::{cell::Cell, fs, future::poll_fn, pin::Pin, time::Duration};
use tagmill::sim::{Api, Faults};

/// A fleet with a server, and a Prometheus that looks at it. A window of minutes is one of seconds here; that of restarts
/// stays, because no process can restart four times within seconds on every machine.
struct Scene {
    fleet: Fleet,
    prometheus: Prometheus,
    worker: u16,
    ingest: u16,
}

impl Scene {
    fn new(lanes: Vec<Lane>) -> Option<Self> {
        tool("prometheus")?;
        let fleet = Fleet::start(lanes)?;
        let (worker, ingest) = (free_port(), free_port());
        let config = fs::read_to_string(fleet.home.path("tagmill.yaml")).unwrap();
        let rules = "rules:\n  - { name: owner, source: huawei, lane: first, set: { owner: \"{{ creator }}\" } }\n";
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

    fn start_worker(&self) -> Running {
        let worker = self.fleet.worker();
        let http = Http::new(&self.fleet, self.worker);
        until("the worker takes jobs", || http.get("/readyz").status == 200);
        worker
    }

    fn fires(&self, alert: &str, labels: &str) -> bool {
        let what = format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\",{labels}}}");
        !self.prometheus.query(&what).is_empty()
    }

    #[track_caller]
    fn fired(&self, alert: &str, labels: &str) {
        until(&format!("{alert} fires for {labels}"), || self.fires(alert, labels));
    }

    #[track_caller]
    fn ended(&self, alert: &str, labels: &str) {
        until(&format!("{alert} ends for {labels}"), || !self.fires(alert, labels));
    }

    /// Runs the commands of a part of an alert's section as they stand there, with the words in capitals filled in.
    #[track_caller]
    fn follow(&self, alert: &str, part: &str, words: &[(&str, &str)]) -> Vec<Done> {
        let lines = commands(alert, part);
        assert!(!lines.is_empty(), "{alert}: {part} has no command");
        let run = |line: &String| {
            let filled = words.iter().fold(line.clone(), |line, (word, value)| line.replace(word, value));
            let words: Vec<&str> = filled.split_whitespace().skip(1).collect();
            let left = words.iter().find(|word| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase()));
            assert!(left.is_none(), "{filled}: what is {left:?}?");
            self.fleet.home.run(&words)
        };
        lines.iter().map(run).collect()
    }

    /// The same, where each has to work.
    #[track_caller]
    fn follow_well(&self, alert: &str, part: &str, words: &[(&str, &str)]) -> String {
        let done = self.follow(alert, part, words);
        for one in &done {
            assert_eq!(one.code, 0, "{alert}, {part}: {one:?}");
        }
        done.into_iter().map(|done| done.out).collect()
    }

    /// Jobs as they come out of a queue in which they have waited for so long.
    fn publish(&self, lane: &Lane, prefix: &str, jobs: usize, age: Duration) {
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
    fn burst(&self, path: &str, body: &[u8]) -> Vec<(u16, bool)> {
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
    fn fall_over(&self, queue: &str) {
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

    /// Moves a message from one queue to a lane, with the broker's own means.
    fn shovel(&self, from: &str, lane: &str) {
        let url = self.fleet.node.url();
        self.fleet.runtime.block_on(async {
            let connection = amqp::connect(&url).await;
            let channel = connection.create_channel().await.unwrap();
            channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
            let message = channel.basic_get(from.into(), BasicGetOptions::default()).await.unwrap().unwrap();
            let options = BasicPublishOptions { mandatory: true, ..Default::default() };
            let properties = BasicProperties::default().with_delivery_mode(2);
            let sent = channel.basic_publish("tagmill.jobs".into(), lane.into(), options, &message.data, properties);
            sent.await.unwrap().await.unwrap();
            message.acker.ack(BasicAckOptions::default()).await.unwrap();
            connection.close(200, "bye".into()).await.unwrap();
        });
    }
}

#[test]
fn old_work_and_burning_budgets_are_told_and_ended_as_the_runbook_says() {
    let lanes = vec![
        Lane { faults: Faults { outage: true, ..Faults::default() }, ..Lane::new("old", Api::HuaweiTms) },
        Lane { rate: 2.0, ..Lane::new("behind", Api::AlibabaRds) },
        Lane {
            faults: Faults { denied: vec!["no-*".into()], ..Faults::default() },
            ..Lane::new("burn", Api::HuaweiTms)
        },
        Lane::new("first", Api::HuaweiTms),
    ];
    let Some(scene) = Scene::new(lanes.clone()) else { return };
    let _worker = scene.start_worker();
    let hours = |hours: u64| Duration::from_hours(hours);
    scene.publish(&lanes[0], "late", 5, hours(2));
    scene.publish(&lanes[1], "bulk", 400, hours(48));
    scene.fired("TagmillBacklogAgeHigh", "lane=\"old\",case=\"idle\"");
    scene.fired("TagmillBacklogAgeHigh", "lane=\"behind\",case=\"overloaded\"");
    let seen = scene.follow_well("TagmillBacklogAgeHigh", "Diagnosis", &[]);
    assert!(seen.contains("behind"), "{seen}");
    // More work than the lane can do: what is not needed any more is ended. The outage ends by itself.
    scene.follow_well("TagmillBacklogAgeHigh", "Mitigation", &[("BATCH", "bulk")]);
    scene.fleet.clouds.faults("old", Faults::default());
    scene.ended("TagmillBacklogAgeHigh", "case=\"overloaded\"");
    scene.ended("TagmillBacklogAgeHigh", "case=\"idle\"");

    // A permission is taken away from some resources; the sender goes on.
    let http = Http::new(&scene.fleet, scene.worker);
    let round = Cell::new(0);
    let send = || {
        round.set(round.get() + 1);
        let of = |n: usize, kind: &str| json!({"id": format!("{kind}-{}-{n}", round.get()), "type": "disk"});
        let resources: Vec<Value> = (0..30).flat_map(|n| [of(n, "d"), of(n, "no")]).collect();
        let job = json!({"lane": "burn", "set": {"env": "prod"}, "resources": resources});
        assert_eq!(http.post("/v1/jobs", &job).status, 202);
    };
    until("the budget burns", || {
        send();
        scene.fires("TagmillErrorBudgetBurn", "lane=\"burn\",window=\"1h\",severity=\"critical\"")
    });
    let seen = scene.follow_well("TagmillErrorBudgetBurn", "Diagnosis", &[("LANE", "burn")]);
    assert!(seen.contains("denied") || seen.contains("TMS.") || seen.contains("403"), "{seen}");
    scene.fleet.clouds.faults("burn", Faults::default());
    scene.follow_well("TagmillErrorBudgetBurn", "Mitigation", &[("LANE", "burn")]);
    scene.ended("TagmillErrorBudgetBurn", "window=\"1h\"");
    until("what was denied is tagged", || {
        scene.fleet.tags(&lanes[2]).len() == round.get() * 60
            && http.get("/v1/dead-letters?lane=burn").json()["shown"] == 0
    });
}

#[test]
fn a_fleet_without_worker_broker_or_config_is_told_and_comes_back_as_the_runbook_says() {
    let lanes = vec![Lane::new("first", Api::HuaweiTms), Lane::new("second", Api::AlibabaEcs)];
    let Some(mut scene) = Scene::new(lanes.clone()) else { return };
    let worker = scene.start_worker();
    let ingest = scene.fleet.home.start(&["ingest", "--config", "ingest.yaml"]);

    // A config with a mistake is refused, and the one that was there goes on.
    let good = fs::read_to_string(scene.fleet.home.path("tagmill.yaml")).unwrap();
    scene.fleet.home.write("tagmill.yaml", &good.replace("concurrency: 4", "concurency: 4"));
    worker.signal("-HUP");
    scene.fired("TagmillReloadFailed", "");
    let told = scene.follow("TagmillReloadFailed", "Diagnosis", &[]);
    assert!(told[0].code != 0 && told[0].err.contains("concurency"), "{told:?}");
    scene.fleet.home.write("tagmill.yaml", &good);
    worker.signal("-HUP");
    scene.ended("TagmillReloadFailed", "");

    // No worker. A message that makes each one fall is given up by the broker; others wait.
    worker.interrupt();
    worker.wait();
    scene.publish(&lanes[1], "poison", 1, Duration::ZERO);
    scene.fall_over("tagmill.lane.second");
    scene.publish(&lanes[0], "waits", 3, Duration::ZERO);
    scene.fired("TagmillPoisonMessages", "");
    scene.fired("TagmillNoConsumer", "lane=\"first\"");
    scene.fired("TagmillDown", "case=\"one\"");
    let seen = scene.follow_well("TagmillNoConsumer", "Diagnosis", &[]);
    assert!(seen.contains("no worker"), "{seen}");
    scene.follow_well("TagmillPoisonMessages", "Diagnosis", &[]);
    let worker = scene.start_worker();
    scene.ended("TagmillNoConsumer", "");
    scene.ended("TagmillDown", "");
    scene.shovel("tagmill.poison", "second");
    scene.ended("TagmillPoisonMessages", "");
    until("all of it is tagged", || scene.fleet.tags(&lanes[0]).len() == 3 && scene.fleet.tags(&lanes[1]).len() == 1);

    // No broker. What comes over HTTP is told to come again.
    scene.fleet.runtime.block_on(scene.fleet.node.settle());
    scene.fleet.node.kill9();
    let event = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/events/huawei-create-server.json")).unwrap();
    let json = [("content-type", "application/json")];
    let job = json!({"lane": "first", "set": {"env": "prod"}, "resources": [{"id": "d-1", "type": "disk"}]});
    until("events and jobs that cannot be taken are told", || {
        let answers = [("/v1/events/huawei", event.clone()), ("/v1/jobs", job.to_string().into_bytes())];
        for (path, body) in answers {
            for answer in scene.burst(path, &body) {
                assert_eq!(answer, (503, true), "{path}");
            }
        }
        scene.fires("TagmillIngestRejecting", "source=\"huawei\",result=\"unavailable\"")
            && scene.fires("TagmillIngestRejecting", "source=\"jobs\"")
    });
    scene.fired("TagmillBrokerDisconnected", "");
    let told = scene.follow("TagmillBrokerDisconnected", "Diagnosis", &[]);
    assert_eq!(told[0].code, 69, "{told:?}");
    assert_eq!(Http::new(&scene.fleet, scene.ingest).get("/readyz").status, 503);
    scene.fleet.runtime.block_on(scene.fleet.node.restart());
    scene.ended("TagmillBrokerDisconnected", "");
    let http = Http::new(&scene.fleet, scene.ingest);
    until("it takes events again", || http.send("POST", "/v1/events/huawei", &json, event.clone()).status == 202);
    scene.ended("TagmillIngestRejecting", "");

    // Somebody sends what is no event.
    until("what is refused is told", || {
        for _ in 0..10 {
            assert!((400..500).contains(&http.send("POST", "/v1/events/aws", &json, b"{}".to_vec()).status));
        }
        scene.fires("TagmillIngestRejecting", "source=\"aws\",result=\"rejected\"")
    });
    scene.fleet.home.write("event.json", "{}");
    let told = scene.follow("TagmillIngestRejecting", "Diagnosis", &[]);
    assert_eq!(told[0].code, 0, "status: {told:?}");
    assert!(!told[1].err.is_empty() || !told[1].out.is_empty(), "{told:?}");

    // A worker that falls again and again, then nobody at all.
    let mut worker = worker;
    for _ in 0..4 {
        worker.kill();
        let before = scene.prometheus.query("count_over_time(up{job=\"tagmill\"}[1h])").len();
        assert_eq!(before, 2);
        worker = scene.start_worker();
        let started = format!("changes(process_start_time_seconds{{instance=\"127.0.0.1:{}\"}}[5s])", scene.worker);
        until("the start is seen", || scene.prometheus.query(&started).iter().any(|(_, value)| *value > 0.0));
    }
    scene.fired("TagmillDown", "case=\"restarts\"");
    worker.kill();
    ingest.kill();
    scene.fired("TagmillDown", "case=\"all\"");
    let told = scene.follow("TagmillDown", "Diagnosis", &[]);
    assert!(told.iter().all(|done| done.code == 0), "{told:?}");
}
