//! The files of `deploy`, read: dashboards with their panels, rules with their alerts.

use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

pub const RULES: &str = "deploy/prometheus/rules/tagmill.yml";

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn text(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The files of a folder, in order.
pub fn folder(name: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(root().join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Each dashboard with the name of its file.
pub fn dashboards() -> Vec<(String, Value)> {
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let board =
            serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, board)
    };
    folder("deploy/grafana/dashboards").into_iter().map(read).collect()
}

/// The panels of a dashboard that show something: all but its rows.
pub fn panels(board: &Value) -> Vec<&Value> {
    array(&board["panels"]).iter().filter(|panel| panel["type"] != "row").collect()
}

pub fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// All rules, recording ones included.
pub fn all_rules() -> Vec<Value> {
    let file = yaml(RULES);
    array(&file["groups"]).iter().flat_map(|group| array(&group["rules"]).to_vec()).collect()
}

/// The rules that are alerts.
pub fn alerts() -> Vec<Value> {
    all_rules().into_iter().filter(|rule| rule["alert"].is_string()).collect()
}

/// Every expression of dashboards and rules, with where it stands.
pub fn expressions() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, board) in dashboards() {
        for panel in panels(&board) {
            for target in array(&panel["targets"]) {
                found.push((format!("{name}: {}", word(&panel["title"])), word(&target["expr"]).to_owned()));
            }
        }
        for note in array(&board["annotations"]["list"]) {
            found.push((format!("{name}: {}", word(&note["name"])), word(&note["expr"]).to_owned()));
        }
    }
    for rule in all_rules() {
        let name = if rule["alert"].is_string() { &rule["alert"] } else { &rule["record"] };
        found.push((format!("rules: {}", word(name)), word(&rule["expr"]).to_owned()));
    }
    found
}

/// The same expression over seconds instead of minutes, hours and days, as a run of a test is short: every `[5m]` becomes
/// `[10s]`, every `offset 2m` is one of five seconds, a letter is old after two, the variables of Grafana stand for everything.
pub fn shortened(expression: &str) -> String {
    let filled = expression
        .replace("$__rate_interval", "1m")
        .replace("$__range", "1m")
        .replace("\"$lane\"", "\".*\"")
        .replace("\"$provider\"", "\".*\"")
        .replace("offset 2m", "offset 5s")
        .replace(
            "tagmill_dead_letters_oldest_age_seconds[10m])) > 86400",
            "tagmill_dead_letters_oldest_age_seconds[10m])) > 2",
        );
    let mut short = String::new();
    let mut rest = filled.as_str();
    while let Some((before, after)) = rest.split_once('[') {
        let (inside, behind) = after.split_once(']').unwrap_or((after, ""));
        let window = inside.ends_with(['m', 'h', 'd']) && inside.starts_with(|first: char| first.is_ascii_digit());
        short.push_str(before);
        short.push_str(if window { "[10s]" } else { "[" });
        if !window {
            short.push_str(inside);
            short.push(']');
        }
        rest = behind;
    }
    short.push_str(rest);
    short
}

/// The file of the rules with short windows, and alerts that fire at once.
pub fn shortened_rules() -> String {
    let short = shortened(&text(RULES));
    let now = |line: &str| match line.split_once("for: ") {
        Some((indent, _)) if indent.trim().is_empty() => format!("{indent}for: 0s\n"),
        _ => format!("{line}\n"),
    };
    short.lines().map(now).collect::<Vec<_>>().concat()
}
