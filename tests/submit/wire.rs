//! The broker goes away or takes nothing while a command is at work: it waits, says so, and goes on.

use crate::{
    fleet::{Fleet, rows, url},
    home::until,
    proxy::Proxy,
    receipts::receipt,
    send::{csv, wanted},
};
use std::collections::BTreeSet;

/// A proxy in front of the broker, and the URL that leads through it.
fn proxied() -> (Proxy, String) {
    let url = url();
    let (user, rest) = url.rsplit_once('@').unwrap();
    let (broker, vhost) = rest.split_once('/').unwrap_or((rest, "%2f"));
    let proxy = Proxy::start(broker);
    let through = format!("{user}@{}/{vhost}", proxy.address());
    (proxy, through)
}

#[test]
fn a_connection_that_is_lost_while_sending_is_made_anew_and_nothing_is_missing() {
    let Some(fleet) = Fleet::new() else { return };
    let (proxy, through) = proxied();
    fleet.config(&through, "");
    let batch = fleet.batch("cut");
    let text = csv(&fleet, 30_000, 7, 1);
    fleet.home.write("servers.csv", &text);
    let mut running = fleet.home.start(&["submit", "servers.csv", "--batch", &batch]);
    until("a part is sent", || fleet.waiting("a") + fleet.waiting("b") > 3000 || running.has_ended());
    proxy.cut();
    running.says("the broker is not there");
    proxy.mend();
    let done = running.wait();
    assert_eq!(done.code, 0, "{done:?}");
    for letter in ["a", "b"] {
        let arrived: BTreeSet<_> = rows(&fleet.jobs(letter)).into_iter().collect();
        let wanted: BTreeSet<_> = wanted(&text, fleet.lane(letter).as_str()).into_iter().collect();
        assert!(arrived == wanted, "{} of {}", arrived.len(), wanted.len());
    }
}

#[test]
fn a_blocked_broker_is_waited_for_and_ctrl_c_is_heard_meanwhile() {
    let Some(fleet) = Fleet::new() else { return };
    let (proxy, through) = proxied();
    fleet.config(&through, "");
    let batch = fleet.batch("blocked");
    let text = csv(&fleet, 30_000, 7, 1);
    fleet.home.write("servers.csv", &text);
    let args = ["submit", "servers.csv", "--batch", &batch];
    let mut running = fleet.home.start(&args);
    until("a part is sent", || fleet.waiting("a") + fleet.waiting("b") > 3000 || running.has_ended());
    proxy.block();
    running.says("the broker takes no messages for now (low on memory); waiting");
    running.interrupt();
    running.says("stopping: waiting for what is on its way");
    proxy.unblock();
    running.says("the broker takes messages again");
    assert_eq!(running.wait().code, 130);

    let mut running = fleet.home.start(&args);
    running.says("were there already");
    running.interrupt();
    running.says("stopping");
    assert_eq!(running.wait().code, 130);
    assert_eq!(fleet.home.run(&args).code, 0);
    for letter in ["a", "b"] {
        assert!(rows(&fleet.jobs(letter)) == wanted(&text, fleet.lane(letter).as_str()));
    }
}

#[test]
fn a_watch_whose_connection_is_lost_reads_everything_again_and_counts_it_once() {
    let Some(fleet) = Fleet::new() else { return };
    let (proxy, through) = proxied();
    let batch = fleet.batch("cut-watch");
    fleet.home.write("servers.csv", &csv(&fleet, 300, 7, 1));
    assert_eq!(fleet.home.run(&["submit", "servers.csv", "--batch", &batch]).code, 0);
    let mut jobs = fleet.jobs("a");
    jobs.extend(fleet.jobs("b"));
    let publisher = fleet.publisher();
    fleet.publish(&publisher, jobs[..200].iter().map(|job| receipt(job, 0, 1_800_000_000)));
    fleet.config(&through, "");
    let queue = fleet.of(&batch).queue().to_owned();
    let mut running = fleet.home.start(&["watch", &batch, "--output", "json"]);
    until("it has taken them", || fleet.depth(&queue).unwrap().ready == 0);
    proxy.cut();
    running.says("connecting again");
    proxy.mend();
    fleet.publish(&publisher, jobs[200..].iter().map(|job| receipt(job, 0, 1_800_000_000)));
    let ledger = running.wait().json(0);
    assert_eq!((ledger["accepted"].as_u64(), ledger["tagged"].as_u64()), (Some(300), Some(300)));
}
