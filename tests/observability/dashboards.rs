//! The dashboards as Grafana loads them from files.

use crate::files::{array, dashboards, expressions, folder, panels, text, word, yaml};
use serde_json::Value;
use std::collections::BTreeSet;

#[test]
fn there_are_three_with_uids_of_their_own_that_never_change() {
    let found: Vec<(String, String)> =
        dashboards().iter().map(|(name, board)| (name.clone(), word(&board["uid"]).to_owned())).collect();
    let expected = [
        ("dead-letters.json", "tagmill-dead-letters"),
        ("lane.json", "tagmill-lane"),
        ("overview.json", "tagmill-overview"),
    ];
    assert_eq!(found, expected.map(|(name, uid)| (name.to_owned(), uid.to_owned())));
}

#[test]
fn each_loads_from_a_file_as_it_is() {
    for (name, board) in dashboards() {
        assert!(board["id"].is_null() && board.as_object().unwrap().contains_key("id"), "{name}: id");
        for export in ["__inputs", "__requires", "__elements"] {
            assert!(board.get(export).is_none(), "{name}: {export} is of an export, provisioning does not fill it in");
        }
        let file = text(&format!("deploy/grafana/dashboards/{name}"));
        assert!(!file.contains("${DS_"), "{name}: nobody fills ${{DS_...}} in");
        let variables = array(&board["templating"]["list"]);
        assert_eq!(variables[0]["type"], "datasource", "{name}");
        assert_eq!(variables[0]["name"], "datasource", "{name}");
        let names: Vec<&str> = variables.iter().map(|variable| word(&variable["name"])).collect();
        assert_eq!(names, ["datasource", "provider", "lane"], "{name}");
        assert!(
            array(&board["annotations"]["list"]).iter().any(|note| word(&note["expr"]).contains("tagmill_build_info"))
        );
    }
}

/// Datasources anywhere in a document.
fn datasources<'v>(value: &'v Value, into: &mut Vec<&'v Value>) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                if key == "datasource" {
                    into.push(field);
                }
                datasources(field, into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| datasources(item, into)),
        _ => {}
    }
}

#[test]
fn every_query_asks_the_datasource_that_was_chosen() {
    for (name, board) in dashboards() {
        let mut found = Vec::new();
        datasources(&board, &mut found);
        for datasource in found {
            assert_eq!(datasource["uid"], "${datasource}", "{name}: {datasource}");
            assert_eq!(datasource["type"], "prometheus", "{name}: {datasource}");
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit_and_what_it_shows_when_there_is_nothing() {
    for (name, board) in dashboards() {
        for panel in panels(&board) {
            let title = word(&panel["title"]);
            let place = format!("{name}: {title}");
            assert!(!title.is_empty(), "{name}: a panel without a title");
            assert!(word(&panel["description"]).len() > 5, "{place}: no description");
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(!word(&defaults["unit"]).is_empty(), "{place}: no unit");
            assert!(!word(&defaults["noValue"]).is_empty(), "{place}: nothing to show without data");
            assert!(!array(&defaults["thresholds"]["steps"]).is_empty(), "{place}: no thresholds");
            let targets = array(&panel["targets"]);
            assert!(!targets.is_empty(), "{place}: no query");
            let references: BTreeSet<&str> = targets.iter().map(|target| word(&target["refId"])).collect();
            assert_eq!(references.len(), targets.len(), "{place}: a refId twice");
            for target in targets {
                assert!(!word(&target["expr"]).is_empty(), "{place}: an empty query");
                assert!(!word(&target["legendFormat"]).is_empty(), "{place}: no legend");
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{place}");
            }
        }
    }
}

#[test]
fn no_panel_lies_over_another_or_has_anothers_id() {
    for (name, board) in dashboards() {
        let panels = array(&board["panels"]);
        let ids: BTreeSet<i64> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len(), "{name}: an id twice");
        let mut taken = BTreeSet::new();
        for panel in panels {
            let place = |field: &str| panel["gridPos"][field].as_u64().unwrap();
            assert!(place("x") + place("w") <= 24, "{name}: {} is wider than the page", panel["title"]);
            for x in place("x")..place("x") + place("w") {
                for y in place("y")..place("y") + place("h") {
                    assert!(taken.insert((x, y)), "{name}: {} lies over another panel", panel["title"]);
                }
            }
        }
    }
}

/// The selectors of a series in an expression: its name, and what stands behind it.
fn series(expression: &str) -> Vec<(&str, &str)> {
    let starts = expression.match_indices("tagmill_").map(|(at, _)| at);
    let starts = starts.filter(|at| !expression[..*at].ends_with([':', '_']));
    let part = |at: usize| {
        let rest = &expression[at..];
        rest.split_at(
            rest.find(|letter: char| !letter.is_ascii_alphanumeric() && !"_:".contains(letter)).unwrap_or(rest.len()),
        )
    };
    starts.map(part).collect()
}

#[test]
fn a_counter_is_never_shown_as_it_is_and_a_histogram_keeps_its_bounds() {
    for (place, expression) in expressions() {
        for (name, behind) in series(&expression).into_iter().filter(|(name, _)| !name.contains(':')) {
            let counter = ["_total", "_bucket", "_sum", "_count"].iter().any(|end| name.ends_with(end));
            let behind = behind
                .split_once('}')
                .map_or(behind, |(_, after)| if behind.starts_with('{') { after } else { behind });
            assert_eq!(
                counter,
                behind.starts_with('[')
                    && !expression.contains(&format!("changes({name}"))
                    && !expression.contains(&format!("max_over_time({name}")),
                "{place}: {name} in {expression}"
            );
        }
        for (_, after) in
            expression.match_indices("histogram_quantile(").map(|(at, found)| expression[at..].split_at(found.len()))
        {
            let inner = after.split_once(", ").unwrap().1;
            assert!(inner.starts_with("sum by (le"), "{place}: {expression}");
            assert!(inner.contains("(rate(") && inner.contains("_bucket"), "{place}: {expression}");
        }
    }
}

#[test]
fn no_expression_waits_for_a_multiple_of_a_step() {
    // A subquery is evaluated at absolute multiples of its step: where Prometheus is younger, it is empty.
    for (place, expression) in expressions() {
        let windows = expression.split('[').skip(1).filter_map(|rest| rest.split_once(']'));
        for (window, _) in windows {
            assert!(!window.contains(':'), "{place}: the subquery [{window}] of {expression}");
        }
    }
}

#[test]
fn a_panel_on_lanes_hears_the_variables() {
    // What has no lane: fleet-wide gauges, the processes, and what comes in over HTTP.
    let fleet = [
        "tagmill_dead_letters",
        "tagmill_poison_",
        "tagmill_unrouted_",
        "tagmill_broker_",
        "tagmill_http_",
        "tagmill_ingest_",
        "tagmill_rule_",
        "tagmill_config_",
        "tagmill_build_info",
    ];
    for (name, board) in dashboards() {
        for panel in panels(&board) {
            for target in array(&panel["targets"]) {
                let expression = word(&target["expr"]);
                for (series, behind) in series(expression) {
                    let lanes = !fleet.iter().any(|start| series.starts_with(start));
                    assert_eq!(
                        lanes,
                        behind.starts_with('{') && behind.split('}').next().unwrap().contains("\"$provider\""),
                        "{name}: {}: {series}",
                        panel["title"]
                    );
                }
            }
        }
    }
}

#[test]
fn provisioning_names_the_folder_and_the_interval_of_the_scrapes() {
    let sources = yaml("deploy/grafana/provisioning/datasources/prometheus.yml");
    let source = &sources["datasources"][0];
    let scrape = &yaml("deploy/prometheus/prometheus.yml")["global"]["scrape_interval"];
    assert_eq!(source["type"], "prometheus");
    assert_eq!(&source["jsonData"]["timeInterval"], scrape, "$__rate_interval is made from it");
    let providers = yaml("deploy/grafana/provisioning/dashboards/tagmill.yml");
    assert_eq!(providers["providers"][0]["type"], "file");
    assert!(word(&providers["providers"][0]["options"]["path"]).starts_with('/'));
    assert_eq!(folder("deploy/grafana/provisioning").len(), 2);
}
