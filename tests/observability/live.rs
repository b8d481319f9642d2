//! Every panel and every alert, evaluated by a real Prometheus over a fleet in trouble.
//!
//! The windows are shortened, and alerts fire at once (`files::shortened`): what minutes show in life, seconds show here.
//! `TAGMILL_TEST_PANELS=FILE` writes what each panel showed.

use crate::{
    dashboards_live::look,
    exporter::Exporter,
    files::{shortened_rules, word},
    prometheus::Prometheus,
    rabbit::{eventually, within},
    world::Process,
};
use std::{
    collections::BTreeSet,
    env, fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const PATIENCE: Duration = Duration::from_mins(1);

/// A process to scrape; what it tells turns into an incident when the switch is on.
fn process(owner: bool, incidents: &Arc<AtomicBool>) -> Exporter {
    let process = Mutex::new(Process::new(owner));
    let incidents = Arc::clone(incidents);
    Exporter::start(move |now| process.lock().unwrap().tell(now, incidents.load(Ordering::SeqCst)))
}

/// What fires now: the alert, and what tells it from others of its name.
fn firing(prometheus: &Prometheus) -> BTreeSet<String> {
    let fires = prometheus.query("ALERTS{alertstate=\"firing\"}");
    let name = |labels: &serde_json::Value| {
        let of = ["alertname", "lane", "case", "window", "source"].map(|key| word(&labels[key]).to_owned());
        of.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(" ")
    };
    fires.iter().map(|(labels, _)| name(labels)).collect()
}

fn all(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Waits until exactly these fire.
async fn expect(prometheus: &Prometheus, names: &[&str]) {
    let expected = all(names);
    if within(PATIENCE, async || (firing(prometheus) == expected).then_some(())).await.is_none() {
        assert_eq!(firing(prometheus), expected, "left: what fires, right: what should");
    }
}

#[tokio::test]
async fn a_fleet_in_trouble_shows_on_every_panel_and_the_right_alerts_fire() {
    let incidents = Arc::new(AtomicBool::new(false));
    let (first, second) = (process(true, &incidents), process(false, &incidents));
    let Some(prometheus) = Prometheus::start(&shortened_rules(), &[first.address(), second.address()]) else { return };
    eventually("Prometheus answers", PATIENCE, async || prometheus.get("/api/v1/status/runtimeinfo")).await;
    let scrapes = async |least: f64| {
        let enough = format!("min(count_over_time(up{{job=\"tagmill\"}}[60s])) >= {least}");
        eventually("scrapes", PATIENCE, async || (!prometheus.query(&enough).is_empty()).then_some(())).await;
    };

    // Longer than every window: a fleet at work wakes nobody, not even for a moment.
    scrapes(14.0).await;
    expect(&prometheus, &[]).await;
    let woken = prometheus.query("max_over_time(ALERTS{alertstate=\"firing\"}[8s])");
    assert!(woken.is_empty(), "with nothing wrong: {woken:?}");
    let (_, wrong) = look(&prometheus, &[]);
    assert_eq!(wrong, Vec::<String>::new(), "with nothing wrong");

    incidents.store(true, Ordering::SeqCst);
    let expected = [
        "TagmillAuthFailing expired",
        "TagmillBacklogAgeHigh behind overloaded",
        "TagmillBacklogAgeHigh old idle",
        "TagmillBrokerDisconnected",
        "TagmillDeadLettersGrowing poison",
        "TagmillDeadLettersOld many",
        "TagmillDeadLettersOld old",
        "TagmillDown restarts",
        "TagmillErrorBudgetBurn poison 1d",
        "TagmillErrorBudgetBurn poison 1h",
        "TagmillErrorBudgetBurn poison 3d",
        "TagmillErrorBudgetBurn poison 6h",
        "TagmillIngestRejecting alibaba",
        "TagmillIngestRejecting huawei",
        "TagmillIngestRejecting jobs",
        "TagmillNoConsumer orphan",
        "TagmillNotDraining orphan",
        "TagmillNotDraining outage",
        "TagmillPoisonMessages",
        "TagmillReloadFailed",
        "TagmillThrottledSustained throttled",
    ];
    expect(&prometheus, &expected).await;
    let (shown, wrong) = look(&prometheus, &[]);
    if let Some(file) = env::var_os("TAGMILL_TEST_PANELS") {
        fs::write(file, &shown).unwrap();
    }
    assert_eq!(wrong, Vec::<String>::new(), "\n{shown}");
    let alerts = prometheus.get("/api/v1/alerts").unwrap();
    let notes = alerts["data"]["alerts"].to_string();
    assert!(!notes.contains("error expanding") && !notes.contains("<no value>"), "{notes}");

    // It is mended, and all is quiet again.
    incidents.store(false, Ordering::SeqCst);
    expect(&prometheus, &[]).await;
    drop(second);
    expect(&prometheus, &["TagmillDown one"]).await;
    drop(first);
    let gone = async || firing(&prometheus).contains("TagmillDown all").then_some(());
    eventually("somebody is told that nothing is there", PATIENCE, gone).await;
}
