//! A running worker in trouble, watched by a real Prometheus: what it tells is what the panels show and the alerts fire on.

use crate::{
    dashboards_live::look,
    files::shortened_rules,
    fleet::{Fleet, Lane},
    prometheus::Prometheus,
    rabbit::free_port,
    support::until,
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, env, fs, time::Duration};
use tagmill::sim::{Api, Faults};

fn post(fleet: &Fleet, url: &str, body: &Value) -> u16 {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
    let request = client.post(url).header("content-type", "application/json").body(body.to_string());
    fleet.runtime.block_on(async { request.send().await.unwrap().status().as_u16() })
}

/// Alerts that fired within the last minute, each with its lane.
fn fired(prometheus: &Prometheus) -> BTreeSet<(String, String)> {
    let found = prometheus.query("max_over_time(ALERTS{alertstate=\"firing\"}[1m])");
    let text = |labels: &Value, key: &str| labels[key].as_str().unwrap_or_default().to_owned();
    found.iter().map(|(labels, _)| (text(labels, "alertname"), text(labels, "lane"))).collect()
}

/// Jobs of one resource each.
fn jobs(lane: &Lane, prefix: &str, from: usize, to: usize, priority: &str) -> Value {
    let job = |n: usize| {
        let resource: Value = serde_json::from_str(&lane.resource(&format!("{prefix}{n}"))).unwrap();
        json!({"lane": lane.name, "set": {"n": n.to_string()}, "resources": [resource], "priority": priority})
    };
    (from..to).map(job).collect()
}

#[test]
fn each_incident_fires_its_alert_and_shows_on_the_panels() {
    let with = |name: &str, api: Api, faults: Faults| Lane { faults, ..Lane::new(name, api) };
    let lanes = vec![
        with("good", Api::HuaweiTms, Faults::default()),
        Lane { allowed: Some(2.0), ..Lane::new("slow", Api::AlibabaRds) },
        with("key", Api::AlibabaEcs, Faults { expired: true, ..Faults::default() }),
        with("out", Api::AlibabaEcs, Faults { outage: true, ..Faults::default() }),
        with("poison", Api::HuaweiTms, Faults { unknown: vec!["gone-*".into()], ..Faults::default() }),
    ];
    if crate::prometheus::tool("prometheus").is_none() {
        return;
    }
    let Some(fleet) = Fleet::start(lanes.clone()) else { return };
    let port = free_port();
    let config = fs::read_to_string(fleet.home.path("tagmill.yaml")).unwrap();
    let rules = "rules:\n  - { name: owner, source: huawei, lane: good, set: { owner: \"{{ creator }}\" } }\n";
    fleet.home.write("tagmill.yaml", &format!("{config}server:\n  listen: 127.0.0.1:{port}\n{rules}"));
    let _worker = fleet.worker();
    let prometheus = Prometheus::start(&shortened_rules(), &[format!("127.0.0.1:{port}")]).unwrap();
    until("Prometheus answers", || prometheus.get("/api/v1/status/runtimeinfo").is_some());
    until("the worker is scraped", || !prometheus.query("tagmill_items_total").is_empty());

    let url = format!("http://127.0.0.1:{port}/v1/jobs");
    // One value a resource: one call a resource, so that a lane has to hurry.
    for (lane, prefix, count) in [(1, "r-", 400), (2, "i-", 50), (3, "i-", 50)] {
        assert_eq!(post(&fleet, &url, &jobs(&lanes[lane], prefix, 0, count, "bulk")), 202);
    }
    let expected = [
        ("TagmillAuthFailing", "key"),
        ("TagmillThrottledSustained", "slow"),
        ("TagmillNotDraining", "out"),
        ("TagmillDeadLettersGrowing", "poison"),
        ("TagmillDeadLettersOld", ""),
    ];
    let expected: BTreeSet<(String, String)> =
        expected.iter().map(|(name, lane)| ((*name).to_owned(), (*lane).to_owned())).collect();
    let mut round = 0;
    let (mut shown, mut wrong) = (String::new(), vec!["never looked at".to_owned()]);
    until("every incident fires, and every panel shows something", || {
        round += 1;
        assert_eq!(post(&fleet, &url, &jobs(&lanes[0], "d-", round * 20, round * 20 + 20, "event")), 202);
        assert_eq!(post(&fleet, &url, &jobs(&lanes[4], "gone-", round * 20, round * 20 + 20, "bulk")), 202);
        if !expected.is_subset(&fired(&prometheus)) {
            return false;
        }
        (shown, wrong) = look(&prometheus, &["Credential ends in"]);
        wrong.is_empty() || round > 150
    });
    if let Some(file) = env::var_os("TAGMILL_TEST_FLEET_PANELS") {
        fs::write(file, &shown).unwrap();
    }
    assert_eq!(wrong, Vec::<String>::new(), "\n{shown}");
    // Nothing else was the matter with these.
    for (name, lane) in fired(&prometheus) {
        assert!(lane != "good", "{name} fired for a lane with nothing wrong");
        let paused = ["TagmillNotDraining", "TagmillBacklogAgeHigh"].contains(&name.as_str()) && lane == "key";
        assert!(!paused, "{name} fired beside TagmillAuthFailing");
    }

    // The keys, the cloud and the jobs are mended: the runbook's way.
    for lane in ["key", "out", "poison"] {
        fleet.clouds.faults(lane, Faults::default());
    }
    let resumed = fleet.home.run(&["resume", "key"]);
    assert!(resumed.code == 0, "{resumed:?}");
    let quiet = |name: &str, lane: &str| {
        let alert = format!("ALERTS{{alertname=\"{name}\",lane=\"{lane}\",alertstate=\"firing\"}}");
        prometheus.query(&alert).is_empty()
    };
    until("the alerts end", || quiet("TagmillAuthFailing", "key") && quiet("TagmillNotDraining", "out"));
    let replayed = fleet.home.run(&["dlq", "replay", "--lane", "poison", "--yes"]);
    assert!(replayed.code == 0, "{replayed:?}");
    until("no letter is left", || prometheus.query("max(tagmill_dead_letters) == 0").len() == 1);
}
