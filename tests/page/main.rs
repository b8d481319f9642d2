//! The page at `/`, driven in a real browser by its buttons and keys: headless Chromium, through ChromeDriver.
//!
//! scripts/tools.sh installs both where it can. Where they cannot be had the tests say that they are left out;
//! `TAGMILL_TEST_NO_BROWSER=1` leaves them out on purpose.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of a test are a test; a test that is left out says so"
)]

#[path = "../cli/support.rs"]
#[allow(dead_code, clippy::format_collect, reason = "shared with the tests of the commands")]
mod support;

#[path = "../support/rabbit/mod.rs"]
mod rabbit;

#[path = "../fleet/amqp.rs"]
#[allow(dead_code, reason = "shared with the tests of a fleet")]
mod amqp;

#[path = "../fleet/fleet.rs"]
#[allow(dead_code, reason = "shared with the tests of a fleet")]
mod fleet;

#[path = "../fleet/http.rs"]
#[allow(dead_code, reason = "shared with the tests of a fleet")]
mod http;

mod acting;
mod away;
mod browser;
mod hostile;
mod looking;
mod place;
