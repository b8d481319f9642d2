//! The alerts: complete, and tried by promtool.

use crate::{
    files::{RULES, alerts, array, dashboards, folder, root, text, word, yaml},
    prometheus::tool,
};
use std::{collections::BTreeSet, process::Command};

/// What an operator is told of.
pub const NAMES: [&str; 13] = [
    "TagmillAuthFailing",
    "TagmillBacklogAgeHigh",
    "TagmillBrokerDisconnected",
    "TagmillDeadLettersGrowing",
    "TagmillDeadLettersOld",
    "TagmillDown",
    "TagmillErrorBudgetBurn",
    "TagmillIngestRejecting",
    "TagmillNoConsumer",
    "TagmillNotDraining",
    "TagmillPoisonMessages",
    "TagmillReloadFailed",
    "TagmillThrottledSustained",
];

#[test]
fn every_alert_is_there() {
    let found: BTreeSet<String> = alerts().iter().map(|alert| word(&alert["alert"]).to_owned()).collect();
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), NAMES);
}

#[test]
fn every_alert_says_how_bad_it_is_what_it_means_and_where_to_go_on() {
    let boards: BTreeSet<String> = dashboards().iter().map(|(_, board)| word(&board["uid"]).to_owned()).collect();
    let mut whole = BTreeSet::new();
    for alert in alerts() {
        let name = word(&alert["alert"]);
        assert!(["critical", "warning"].contains(&word(&alert["labels"]["severity"])), "{name}: severity");
        assert!(!word(&alert["for"]).is_empty(), "{name}: one scrape wakes nobody");
        for note in ["summary", "description"] {
            let note = word(&alert["annotations"][note]);
            assert!(note.len() > 20 && !note.contains('\n'), "{name}: {note:?}");
        }
        let runbook = format!("https://github.com/tagmill/tagmill/blob/main/docs/RUNBOOK.md#{}", name.to_lowercase());
        assert_eq!(word(&alert["annotations"]["runbook_url"]), runbook);
        let board = word(&alert["annotations"]["dashboard_url"]);
        let uid = board.strip_prefix("/d/").and_then(|rest| rest.split('?').next()).unwrap_or_default();
        assert!(boards.contains(uid), "{name}: {board}");
        assert!(whole.insert(format!("{name} {}", alert["labels"])), "{name}: two rules that cannot be told apart");
    }
}

#[test]
fn every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() {
    let (mut fires, mut calm) = (BTreeSet::new(), BTreeSet::new());
    for path in folder("deploy/prometheus/tests") {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        for case in array(&yaml(&name)["tests"]) {
            for check in array(&case["promql_expr_test"]) {
                for sample in array(&check["exp_samples"]) {
                    let label = |key: &str| {
                        let rest =
                            word(&sample["labels"]).split_once(&format!("{key}=\"")).map(|(_, rest)| rest.to_owned());
                        rest.and_then(|rest| rest.split('"').next().map(str::to_owned)).unwrap_or_default()
                    };
                    fires.insert(["alertname", "severity", "case", "window", "result"].map(label).join(" "));
                }
            }
            for check in array(&case["alert_rule_test"]) {
                if array(&check["exp_alerts"]).is_empty() {
                    calm.insert(word(&check["alertname"]).to_owned());
                }
            }
        }
    }
    for alert in alerts() {
        let label = |key: &str| word(&alert["labels"][key]).to_owned();
        let key =
            [word(&alert["alert"]).to_owned(), label("severity"), label("case"), label("window"), label("result")]
                .join(" ");
        assert!(fires.contains(&key), "no case in which `{key}` fires");
    }
    assert_eq!(calm.iter().map(String::as_str).collect::<Vec<_>>(), NAMES);
}

/// promtool with these arguments must be content.
fn promtool(arguments: &[&str]) {
    let Some(program) = tool("promtool") else { return };
    let output = Command::new(program).args(arguments).current_dir(root()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "promtool {}:\n{}", arguments.join(" "), String::from_utf8_lossy(&said));
}

#[test]
fn promtool_finds_nothing_wrong_with_the_rules() {
    promtool(&["check", "rules", "--lint-fatal", RULES]);
}

#[test]
fn promtool_finds_nothing_wrong_with_the_configs() {
    promtool(&["check", "config", "--lint-fatal", "deploy/prometheus/prometheus.yml"]);
    promtool(&["check", "config", "--lint-fatal", "deploy/prometheus/local.yml"]);
}

#[test]
fn promtool_sees_each_alert_fire_when_it_should_and_only_then() {
    let files = folder("deploy/prometheus/tests");
    let names: Vec<&str> = files.iter().map(|path| path.to_str().unwrap()).collect();
    promtool(&[&["test", "rules"], names.as_slice()].concat());
}

#[test]
fn the_scrape_jobs_have_the_name_that_the_alerts_look_for() {
    for name in ["deploy/prometheus/prometheus.yml", "deploy/prometheus/local.yml"] {
        assert_eq!(yaml(name)["scrape_configs"][0]["job_name"], "tagmill", "{name}");
    }
    assert!(text(RULES).contains("job=~\"tagmill.*\""));
}
