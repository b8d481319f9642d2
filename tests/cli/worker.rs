//! `tagmill worker` without a broker: what it refuses, what it says, and how it ends.

use crate::support::{Clouds, Done, Home, disks, lane, until};
use serde_json::Value;
use std::os::unix::net::UnixDatagram;

/// A port that nobody listens on.
const NOBODY: &str = "amqp://127.0.0.1:1";

fn home(broker: &str, lanes: &[String]) -> Home {
    let home = Home::new(&[]);
    home.write("tagmill.yaml", &format!("{broker}lanes:\n{}", lanes.concat()));
    home
}

fn lanes() -> Vec<String> {
    ["tms", "ecs"].map(|name| lane(name, "http://127.0.0.1:1", "")).into()
}

#[track_caller]
fn refused(done: &Done, words: &str) {
    done.refused(78);
    assert!(done.err.contains(words), "{}", done.err);
}

#[test]
fn a_config_that_no_worker_can_serve_is_refused_with_what_to_do() {
    let without = home("", &lanes());
    refused(&without.run(&["worker"]), "the config names no broker: add `broker: { url: amqp://... }`");
    let with = home(&format!("broker: {{ url: '{NOBODY}' }}\n"), &lanes());
    refused(&with.run(&["worker", "--lane", "tsm"]), "there is no lane tsm; there are tms, ecs");
    let short = home(&format!("broker: {{ url: '{NOBODY}?heartbeat=5' }}\n"), &lanes());
    refused(&short.run(&["worker"]), "lane tms: timeout (9s) must be below the heartbeat in broker.url (5s)");
    let secret = home("broker: { url: { env: NO_SUCH_URL } }\n", &lanes());
    refused(&secret.run(&["worker"]), "NO_SUCH_URL");
}

#[test]
fn without_a_broker_it_keeps_trying_says_so_to_systemd_too_and_ends_when_told() {
    for signal in ["-TERM", "-INT"] {
        let mut home = home(&format!("broker: {{ url: '{NOBODY}' }}\n"), &lanes());
        let socket = UnixDatagram::bind(home.path("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        home.env("NOTIFY_SOCKET", home.path("notify").to_str().unwrap());
        home.env("WATCHDOG_USEC", "20000");
        let mut running = home.start(&["worker"]);
        running.says("degraded: no connection to the broker: connecting to amqp://guest@127.0.0.1:1");
        let mut heard = Vec::new();
        let mut listen = |what: &str| {
            until(what, || {
                let mut text = [0; 512];
                while let Ok(length) = socket.recv(&mut text) {
                    heard.push(String::from_utf8_lossy(&text[..length]).into_owned());
                }
                heard.iter().any(|said| said.starts_with(what))
            });
        };
        listen("STATUS=degraded: no connection to the broker");
        listen("WATCHDOG=1");
        assert!(!running.has_ended());
        running.signal(signal);
        listen("STOPPING=1");
        let done = running.wait();
        assert_eq!((done.code, done.out.as_str()), (0, ""), "{done:?}");
        assert!(!heard.iter().any(|said| said == "READY=1"), "it was never ready: {heard:?}");
        assert!(done.err.contains("stopped: what is final is settled"), "{}", done.err);
    }
}

#[test]
fn its_log_is_json_where_that_is_wanted() {
    let home = home(&format!("broker: {{ url: '{NOBODY}' }}\n"), &lanes());
    let running = home.start(&["worker", "--log-format", "json"]);
    running.says("degraded");
    running.signal("-TERM");
    let done = running.wait();
    assert_eq!((done.code, done.out.as_str()), (0, ""), "{done:?}");
    let lines: Vec<Value> = done.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["message"] == "working" && line["lanes"] == 2), "{}", done.err);
    assert!(lines.iter().all(|line| line["timestamp"].is_string() && line["level"].is_string()));
}

#[test]
fn apply_beside_a_fleet_warns_that_both_share_the_rate() {
    let clouds = Clouds::start();
    let home = home(&format!("broker: {{ url: '{NOBODY}' }}\n"), &[lane("tms", &clouds.url(), "")]);
    home.write("disks.csv", &disks(["d-1".to_owned()]));
    let done = home.run(&["apply", "disks.csv"]);
    assert_eq!(done.code, 0, "{done:?}");
    let warned = "warning: broker: `apply` works on its own embedded queue beside the fleet";
    assert_eq!(done.err.matches(warned).count(), 1, "{}", done.err);
}
