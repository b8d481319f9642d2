//! Incidents of a running fleet, one by one: each fires its alert, and its section of the runbook leads out of it.

use crate::{fleet::Lane, http::Http, scene::Scene, support::until};
use serde_json::{Value, json};
use std::{cell::Cell, fs, time::Duration};
use tagmill::sim::{Api, Faults};

#[test]
fn old_work_and_burning_budgets_are_told_and_ended_as_the_runbook_says() {
    let lanes = vec![
        Lane { faults: Faults { outage: true, ..Faults::default() }, ..Lane::new("old", Api::HuaweiTms) },
        Lane { rate: 2.0, ..Lane::new("behind", Api::AlibabaRds) },
        Lane {
            faults: Faults { denied: vec!["no-*".into()], ..Faults::default() },
            ..Lane::new("burn", Api::HuaweiTms)
        },
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
    let listed = scene.fleet.home.run(&["dlq", "list", "--code", "delivery_limit", "--output", "ndjson"]).out;
    let letter: Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    let seen = scene.follow_well("TagmillPoisonMessages", "Diagnosis", &[("ID", letter["id"].as_str().unwrap())]);
    assert!(seen.contains("poison-0"), "{seen}");
    let worker = scene.start_worker();
    scene.ended("TagmillNoConsumer", "");
    scene.ended("TagmillDown", "");
    scene.follow_well("TagmillPoisonMessages", "Mitigation", &[]);
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
