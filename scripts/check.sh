#!/usr/bin/env bash
# Everything that must hold before the tests are worth running.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
set -x

cargo fmt --all --check
cargo clippy --locked --all-targets -- -D warnings
# What the default build leaves out.
cargo clippy --locked --features otlp --lib --bins --test otlp -- -D warnings
# The pure core compiles without anything that does I/O.
cargo check --locked --lib --no-default-features
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
