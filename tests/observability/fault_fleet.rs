//! A running worker in trouble, watched by a real Prometheus: what it tells is what the panels show and the alerts fire on.

use crate::{dashboards_live::look, fleet::Lane, http::Http, prometheus::Prometheus, scene::Scene, support::until};
use serde_json::{Value, json};
use std::{collections::BTreeSet, env, fs};
use tagmill::sim::{Api, Faults};

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

/// Somebody has created a server, just now.
fn creation(round: usize) -> Vec<u8> {
    let mut event: Value =
        serde_json::from_str(include_str!("../../examples/events/huawei-create-server.json")).unwrap();
    let trace = &mut event["cts"];
    trace["trace_id"] = format!("trace-{round}").into();
    trace["time"] = tagmill::worker::clock::wall().as_millisecond().into();
    trace["response"] = json!({"serverIds": [format!("server-{round}")]}).to_string().into();
    event.to_string().into_bytes()
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
    let Some(scene) = Scene::new(lanes.clone()) else { return };
    let prometheus = &scene.prometheus;
    let _worker = scene.start_worker();
    until("the worker is scraped", || !prometheus.query("tagmill_items_total").is_empty());

    let http = Http::new(&scene.fleet, scene.worker);
    let post = |body: &Value| assert_eq!(http.post("/v1/jobs", body).status, 202);
    // One value a resource: one call a resource, so that a lane has to hurry.
    for (lane, prefix, count) in [(1, "r-", 400), (2, "i-", 50), (3, "i-", 50)] {
        post(&jobs(&lanes[lane], prefix, 0, count, "bulk"));
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
        // As often as Prometheus looks: more would only be a longer queue.
        let looks = prometheus.query("max(count_over_time(up[1h]))").first().map_or(0, |(_, looks)| *looks as usize);
        if looks <= round {
            return false;
        }
        round = looks;
        post(&jobs(&lanes[0], "d-", round * 20, round * 20 + 20, "event"));
        post(&jobs(&lanes[4], "gone-", round * 20, round * 20 + 20, "bulk"));
        // A creation, the same again, and what is none.
        let json = [("content-type", "application/json")];
        let event =
            |source: &str, body: Vec<u8>| http.send("POST", &format!("/v1/events/{source}"), &json, body).status;
        assert_eq!(event("huawei", creation(round)), 202);
        assert_eq!(event("huawei", creation(round)), 202);
        assert_eq!(event("aws", b"{}".to_vec()), 422);
        if !expected.is_subset(&fired(prometheus)) {
            return false;
        }
        (shown, wrong) = look(prometheus, &["Credential ends in"]);
        wrong.is_empty() || round > 150
    });
    if let Some(file) = env::var_os("TAGMILL_TEST_FLEET_PANELS") {
        fs::write(file, &shown).unwrap();
    }
    assert_eq!(wrong, Vec::<String>::new(), "\n{shown}");
    // Nothing else was the matter with these.
    for (name, lane) in fired(prometheus) {
        assert!(lane != "good", "{name} fired for a lane with nothing wrong");
        let paused = ["TagmillNotDraining", "TagmillBacklogAgeHigh"].contains(&name.as_str()) && lane == "key";
        assert!(!paused, "{name} fired beside TagmillAuthFailing");
    }

    // What the runbook says to look at can be looked at, and shows what is wrong.
    for (alert, lane, word) in [
        ("TagmillAuthFailing", "key", "key"),
        ("TagmillNotDraining", "out", "down, probing"),
        ("TagmillThrottledSustained", "slow", "slow"),
        ("TagmillDeadLettersGrowing", "poison", "TMS.0005"),
        ("TagmillDeadLettersOld", "poison", ""),
    ] {
        let letter =
            http.get("/v1/dead-letters?lane=poison&limit=1").json()["letters"][0]["id"].as_str().unwrap().to_owned();
        let done = scene.follow(alert, "Diagnosis", &[("LANE", lane), ("ID", &letter)]);
        let text = done.iter().flat_map(|done| [done.out.as_str(), done.err.as_str()]).collect::<Vec<_>>().concat();
        assert!(text.contains(word), "{alert}: {text}");
        // `whoami` says with its exit code that it is the key.
        let bad: Vec<_> = done.iter().filter(|done| done.code != 0).collect();
        assert!(bad.is_empty() || ["key", "out"].contains(&lane), "{alert}: {bad:?}");
    }

    // The keys, the cloud and the jobs are mended, and it goes on as the runbook says.
    for lane in ["key", "out", "poison"] {
        scene.fleet.clouds.faults(lane, Faults::default());
    }
    scene.follow_well("TagmillAuthFailing", "Mitigation", &[("LANE", "key")]);
    scene.follow_well("TagmillNotDraining", "Mitigation", &[("LANE", "out")]);
    scene.ended("TagmillAuthFailing", "lane=\"key\"");
    scene.ended("TagmillNotDraining", "lane=\"out\"");
    let words = [("LANE", "poison"), ("CODE", "TMS.0005"), ("BATCH", "none-of-that-name")];
    scene.follow("TagmillDeadLettersGrowing", "Mitigation", &words);
    until("no letter is left", || prometheus.query("max(tagmill_dead_letters) == 0").len() == 1);
    scene.ended("TagmillDeadLettersOld", "");
}
