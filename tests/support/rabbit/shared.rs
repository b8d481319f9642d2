//! The broker that a run of the tests shares: the one `make test` found or started, or one that is simply there.

use super::wire::Wire;
use std::env;

/// Whether the environment asks to do without tests that start nodes of their own; says so if it does.
pub fn nodes_are_left_out() -> bool {
    let asked = ["TAGMILL_TEST_NO_BROKER", "TAGMILL_TEST_NO_NODES"].into_iter().find(|name| is_on(name));
    if let Some(variable) = asked {
        eprintln!("skipped: {variable}=1 leaves out the tests that start RabbitMQ nodes of their own");
    }
    asked.is_some()
}

fn is_on(variable: &str) -> bool {
    env::var(variable).is_ok_and(|value| value == "1")
}

/// The URL of the shared broker, or `None` if this run is to do without one.
///
/// Plain `cargo test` sets nothing: then it is the broker at 127.0.0.1:5672, if that lets guest in.
pub async fn shared_broker() -> Option<String> {
    if is_on("TAGMILL_TEST_NO_BROKER") {
        eprintln!("skipped: TAGMILL_TEST_NO_BROKER=1 leaves out the tests that need a RabbitMQ");
        return None;
    }
    if let Ok(url) = env::var("TAGMILL_TEST_AMQP")
        && !url.is_empty()
    {
        return Some(url);
    }
    let address = env::var("TAGMILL_TEST_PROBE").unwrap_or_else(|_| "127.0.0.1:5672".into());
    match Wire::log_in(&address, "guest", "guest", "/").await {
        Ok(_) => Some(format!("amqp://guest:guest@{address}/%2f")),
        Err(error) => panic!(
            "this test needs a RabbitMQ, and none lets guest in at {address} ({error}). `make test` finds or starts \
             one; or set TAGMILL_TEST_AMQP=amqp://user:password@host:port/vhost, or leave such tests out: \
             TAGMILL_TEST_NO_BROKER=1"
        ),
    }
}
