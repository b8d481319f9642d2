//! `cargo +nightly fuzz run event`: see `fuzz/README.md`.
#![no_main]

#[path = "../bodies.rs"]
#[allow(dead_code)]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bodies::event(bytes);
});
