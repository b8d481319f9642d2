//! A fleet for people and for programs, from the document that `GET /v1/lanes` answers with too.

use crate::cli::report::{self, Cell, Output, Table};
use jiff::Timestamp;
use serde_json::Value;
use std::{fmt::Write as _, time::Duration};

/// The fleet as text.
pub(super) fn text(fleet: &Value, output: Output, now: Timestamp) -> String {
    match output {
        Output::Table => table(fleet, now),
        Output::Json => format!("{fleet}\n"),
        Output::Ndjson => each(fleet, "lanes").iter().fold(String::new(), |mut lines, lane| {
            // Writing to a String cannot fail.
            let _ = writeln!(lines, "{lane}");
            lines
        }),
    }
}

fn each<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn number(of: &Value, key: &str) -> Option<u64> {
    of.get(key).and_then(Value::as_u64)
}

fn word(of: &Value, key: &str) -> String {
    of.get(key).and_then(Value::as_str).map_or_else(|| "-".to_owned(), report::plain)
}

fn table(fleet: &Value, now: Timestamp) -> String {
    let lanes = each(fleet, "lanes");
    // One look knows no pace: the column is there when there is something in it.
    let with_eta = lanes.iter().any(|lane| number(lane, "eta_seconds").is_some());
    let mut head = vec!["lane", "state", "ready", "held", "oldest", "calls/s"];
    head.extend(with_eta.then_some("empty in"));
    head.extend(["worker", ""]);
    let mut table = Table::new(&head);
    for lane in lanes {
        let count = |key: &str| Cell::right(number(lane, key).map_or_else(|| "-".to_owned(), report::thousands));
        let time = |key: &str| {
            let seconds = number(lane, key).map(Duration::from_secs);
            Cell::right(seconds.map_or_else(|| "-".to_owned(), report::duration))
        };
        let calls = |key: &str| lane.get(key).and_then(Value::as_f64);
        let rate = calls("rate").zip(calls("ceiling"));
        let notes: Vec<&str> = each(lane, "notes").iter().filter_map(Value::as_str).collect();
        let mut row = vec![
            Cell::text(&word(lane, "name")),
            Cell::text(&word(lane, "state")),
            count("ready"),
            count("held"),
            time("oldest_seconds"),
            Cell::right(rate.map_or_else(|| "-".to_owned(), |(rate, ceiling)| format!("{rate:.1} of {ceiling:.1}"))),
        ];
        row.extend(with_eta.then(|| time("eta_seconds")));
        row.extend([Cell::text(&word(lane, "worker")), Cell::text(&report::plain(&notes.join("; ")))]);
        table.row(row);
    }
    let mut text = table.render();
    let count = |key: &str| number(fleet, key).map_or_else(|| "none declared".to_owned(), report::thousands);
    let (dead, poison, unrouted) = (count("dead"), count("poison"), count("unrouted"));
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\ndead letters: {dead}; handed out too often: {poison}; for unknown lanes: {unrouted}");
    match each(fleet, "workers") {
        [] => text.push_str("no worker has answered\n"),
        workers => workers.iter().for_each(|each| {
            let _ = writeln!(text, "worker {}", worker(each, lanes, now));
        }),
    }
    text
}

fn worker(of: &Value, lanes: &[Value], now: Timestamp) -> String {
    let name = word(of, "worker");
    let at_work = |lane: &&Value| word(lane, "worker") == name && number(lane, "held").is_some_and(|held| held > 0);
    let active = lanes.iter().filter(at_work).count();
    let started = of.get("started_at").and_then(Value::as_str).and_then(|at| at.parse::<Timestamp>().ok());
    let age = started.and_then(|at| Duration::try_from(now.duration_since(at)).ok()).unwrap_or_default();
    let (host, version, age) = (word(of, "host"), word(of, "version"), report::duration(age));
    let (pid, all) = (number(of, "pid").unwrap_or_default(), number(of, "lanes").unwrap_or_default());
    format!("{name}: {host}, process {pid}, version {version}, up {age}, {active} of {all} lanes at work")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fleet(eta: &Value) -> Value {
        json!({
            "lanes": [{"name": "a", "state": "working", "ready": 1200, "held": 7, "oldest_seconds": 61, "rate": 2.0,
                "ceiling": 4.0, "worker": "w", "notes": ["one", "two"], "eta_seconds": eta}],
            "dead": 3, "poison": 0, "unrouted": null,
            "workers": [{"worker": "w", "host": "h", "pid": 9, "version": "1", "started_at": "2026-01-01T00:00:00Z",
                "lanes": 2}],
        })
    }

    fn shown(eta: &Value) -> String {
        table(&fleet(eta), "2026-01-01T00:01:00Z".parse().unwrap())
    }

    #[test]
    fn the_table_says_when_a_lane_will_be_empty_and_leaves_the_column_out_where_nothing_is_known() {
        assert!(shown(&json!(90)).contains("empty in"), "{}", shown(&json!(90)));
        assert!(!shown(&Value::Null).contains("empty in"), "{}", shown(&Value::Null));
    }

    #[test]
    fn the_table_says_what_the_document_says() {
        let text = shown(&Value::Null);
        assert!(text.contains("2.0 of 4.0") && text.contains("one; two"), "{text}");
        assert!(text.contains("dead letters: 3; handed out too often: 0; for unknown lanes: none declared"), "{text}");
        assert!(text.contains("w: h, process 9, version 1") && text.contains("1 of 2 lanes at work"), "{text}");
    }

    #[test]
    fn a_document_without_anything_is_an_empty_fleet() {
        assert!(table(&json!({}), Timestamp::UNIX_EPOCH).contains("no worker has answered"));
    }
}
