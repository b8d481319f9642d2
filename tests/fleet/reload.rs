//! A worker whose config changes while it works: what is the same goes on without a break, what is wrong changes nothing.

use crate::{
    amqp::Receipts,
    fleet::{Fleet, Lane},
    http::Http,
    rabbit::free_port,
    support::until,
    truth::Truth,
};
use std::{fs, os::unix::net::UnixDatagram, time::Duration};
use tagmill::sim::Api;

const PATIENCE: Duration = Duration::from_mins(3);

/// Jobs that no call can do two of.
fn singles(truth: &mut Truth, lane: &Lane, count: usize) {
    for n in 0..count {
        let name = &lane.name;
        truth.job(lane, &format!("{name}-{n}"), &[format!("{name}-{n}")], &[("name", format!("n{n}"))]);
    }
}

#[test]
fn lanes_come_change_and_go_during_a_bulk_run_and_nothing_is_lost_or_done_twice() {
    let lanes = vec![
        Lane::new("same", Api::HuaweiTms),
        Lane { rate: 10.0, ..Lane::new("leaves", Api::AlibabaTag) },
        Lane { rate: 10.0, allowed: Some(100.0), ..Lane::new("faster", Api::AlibabaEcs) },
        Lane::new("comes", Api::AlibabaRds),
        Lane::new("other", Api::HuaweiTms),
    ];
    let Some(mut fleet) = Fleet::start(lanes.clone()) else { return };
    let [same, leaves, faster, comes, other] = &lanes[..] else { panic!("five lanes") };
    let socket = UnixDatagram::bind(fleet.home.path("notify")).unwrap();
    socket.set_nonblocking(true).unwrap();
    fleet.home.env("NOTIFY_SOCKET", fleet.home.path("notify").to_str().unwrap());
    fleet.config(&[same.clone(), leaves.clone(), faster.clone(), other.clone()], "");
    let worker = fleet.home.start(&["worker", "--watch-config", "1s"]);
    worker.says("ready");
    let mut truth = Truth::default();
    for (lane, count) in [(same, 1_200), (leaves, 250), (faster, 600), (other, 300)] {
        singles(&mut truth, lane, count);
    }
    fleet.publish(std::mem::take(&mut truth.messages));
    until("all have begun", || [same, leaves, faster, other].iter().all(|lane| fleet.counts(lane).requests > 5));

    // Two things are wrong: neither is taken over, both are said, in one line.
    let good = fs::read_to_string(fleet.home.path("tagmill.yaml")).unwrap();
    fleet.home.write("tagmill.yaml", &good.replace("concurrency: 4", "concurrency: 400").replace("region:", "regoin:"));
    worker.signal("-HUP");
    worker.says("the config is refused; everything goes on as it was");
    let at = fleet.counts(leaves).requests;
    until("the old config is in force", || fleet.counts(leaves).requests > at + 5);

    // `other` times out sooner: it ends in good order and is opened again.
    let changed = Lane { more: "timeout: 5s".into(), ..other.clone() };
    let quick = Lane { rate: 100.0, ..faster.clone() };
    fleet.config(&[same.clone(), quick, comes.clone(), changed], "");
    worker.signal("-HUP");
    worker.says("the config has been taken over");
    // Its queue is made when it is opened; before that a job for it finds none.
    until("the new lane is open", || {
        let status = fleet.home.run(&["status"]).out;
        status.lines().any(|line| line.contains("comes") && line.contains("idle"))
    });
    singles(&mut truth, comes, 200);
    fleet.publish(std::mem::take(&mut truth.messages));
    let mut receipts = Receipts::new(&fleet.node.url());
    fleet.runtime.block_on(receipts.wait_for(1_200 + 600 + 200 + 300, PATIENCE));
    let done = fleet.counts(leaves).requests;
    assert!(done < 200, "the lane that left went on to the end: {done} calls");
    until("systemd has heard of it", || {
        let mut text = [0; 512];
        while let Ok(length) = socket.recv(&mut text) {
            if text[..length].starts_with(b"RELOADING=1\nMONOTONIC_USEC=") {
                return true;
            }
        }
        false
    });

    // What it left is still with the broker. Nobody is told this time: the file is looked at.
    fleet.config(&lanes, "");
    fleet.runtime.block_on(receipts.wait_for(2_550, PATIENCE));
    assert_eq!(receipts.sum(|receipt| receipt.tagged), 2_550);
    assert!(fleet.home.dead_letters().is_empty());
    truth.holds(&fleet);
    for (lane, count) in [(same, 1_200), (leaves, 250), (faster, 600), (comes, 200), (other, 300)] {
        let counts = fleet.counts(lane);
        assert_eq!((counts.applied_items, counts.overlapping), (count, 0), "{}: called twice", lane.name);
    }
    let status = fleet.home.run(&["status"]);
    assert!(lanes.iter().all(|lane| status.out.contains(&lane.name)), "{}", status.out);
    worker.signal("-TERM");
    assert_eq!(worker.wait().code, 0);
}

#[test]
fn a_lane_that_stands_still_for_its_key_goes_on_soon_after_the_file_of_the_key_has_changed() {
    let lane = Lane::new("tms", Api::HuaweiTms);
    let Some(fleet) = Fleet::start(vec![lane.clone()]) else { return };
    let secret = fleet.home.path("secret");
    fs::write(&secret, "the-key-of-yesterday\n").unwrap();
    let config = fs::read_to_string(fleet.home.path("tagmill.yaml")).unwrap();
    fleet
        .home
        .write("tagmill.yaml", &config.replace("{ env: SIM_SECRET }", &format!("{{ file: {} }}", secret.display())));
    let worker = fleet.worker();
    let mut truth = Truth::default();
    singles(&mut truth, &lane, 50);
    fleet.publish(std::mem::take(&mut truth.messages));
    worker.says("the cloud refuses the credentials");
    // It would look by itself after a minute.
    let started = tagmill::worker::clock::monotonic();
    fs::write(&secret, "sim-secret\n").unwrap();
    let mut receipts = Receipts::new(&fleet.node.url());
    fleet.runtime.block_on(receipts.wait_for(50, PATIENCE));
    assert!(started.elapsed() < Duration::from_secs(45), "{:?}", started.elapsed());
    assert_eq!(receipts.sum(|receipt| receipt.tagged), 50);
    assert!(fleet.home.dead_letters().is_empty());
    truth.holds(&fleet);
}

#[test]
fn an_ingest_goes_on_with_new_tokens_and_rules_and_refuses_what_is_wrong() {
    let Some(mut fleet) = Fleet::start(vec![Lane::new("disks", Api::HuaweiTms)]) else { return };
    fleet.home.env("ONE", "the-first-token");
    fleet.home.env("TWO", "the-second-token");
    let port = free_port();
    let lanes = fs::read_to_string(fleet.home.path("tagmill.yaml")).unwrap();
    let with = |token: &str, rule: &str| {
        format!(
            "{lanes}server:\n  listen: 127.0.0.1:{port}\n  tokens:\n    \
             - {{ name: ops, secret: {{ env: {token} }}, scopes: [read, ingest] }}\n\
             rules:\n  - {{ name: {rule}, source: huawei, lane: disks, set: {{ owner: \"{{{{ creator }}}}\" }} }}\n"
        )
    };
    fleet.home.write("tagmill.yaml", &with("ONE", "before"));
    let ingest = fleet.home.start(&["ingest", "--watch-config", "1s"]);
    ingest.says("listening");
    let http = |token| {
        let mut http = Http::new(&fleet, port);
        http.token = Some(token);
        http
    };
    until("it is ready", || http("the-first-token").get("/readyz").status == 200);

    // A secret that is not there, and a word that is none: neither is taken over, and Prometheus hears of it.
    let is = |line: &str| http("the-first-token").get("/metrics").text.lines().any(|found| found == line);
    fleet.home.write("tagmill.yaml", &with("NOWHERE", "after"));
    until("it is refused", || is("tagmill_config_reloads_total{result=\"refused\"} 1"));
    fleet.home.write("tagmill.yaml", &with("ONE", "after").replace("source:", "sauce:"));
    until("it is refused again", || is("tagmill_config_reloads_total{result=\"refused\"} 2"));
    assert!(is("tagmill_config_last_reload_successful 0"));
    assert!(http("the-first-token").get("/v1/rules").text.contains("\"before\""));

    fleet.home.write("tagmill.yaml", &with("TWO", "after"));
    ingest.signal("-HUP");
    until("the new token opens", || http("the-second-token").get("/v1/rules").status == 200);
    assert!(http("the-second-token").get("/v1/rules").text.contains("\"after\""));
    assert_eq!(http("the-first-token").get("/v1/rules").status, 401);
    ingest.interrupt();
    assert_eq!(ingest.wait().code, 0);
}
