//! AWS as others understand it: the binary against moto and MiniStack, which check signatures with code of their own.
//!
//! Needs Python 3 and, once, the network: the emulators are installed under `target/tmp`. Where that cannot be had the
//! tests say that they are left out. `TAGMILL_TEST_NO_EMULATORS=1` leaves them out too.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::format_collect,
    reason = "helpers of a test are a test; a test that is left out says so"
)]

mod emulator;
mod ministack;
mod moto;
mod python;
mod tagmill;
