//! The broker that a run of the tests shares: the one `make test` found or started, or one that is simply there.

use super::wire::Wire;
use std::env;

/// The first of these variables that is `1`.
pub fn left_out(variables: &[&'static str]) -> Option<&'static str> {
    variables.iter().copied().find(|name| env::var(name).is_ok_and(|value| value == "1"))
}

/// The URL of the shared broker, or `None` if this run is to do without one.
///
/// Plain `cargo test` sets nothing: then it is the broker at 127.0.0.1:5672, if that lets guest in.
pub async fn shared_broker() -> Option<String> {
    if let Some(variable) = left_out(&["TAGMILL_TEST_NO_BROKER"]) {
        eprintln!("skipped: {variable} leaves out the tests that need a RabbitMQ");
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
