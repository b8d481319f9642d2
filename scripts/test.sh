#!/usr/bin/env bash
# Runs the tests, with a RabbitMQ found or started for them (scripts/broker.sh), a Prometheus and a Chromium found or
# fetched (scripts/tools.sh): with cargo-nextest where it is installed, with plain cargo otherwise. Arguments are passed on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/broker.sh
source scripts/tools.sh

broker_up
prometheus_up
browser_up
if command -v cargo-nextest >/dev/null; then
    cargo nextest run --locked "$@"
    # A choice of tests by name means those only. The feature that the default build leaves out has a test of its own, and
    # nextest leaves the examples in the documentation out.
    if [ $# -eq 0 ]; then
        cargo nextest run --locked --features otlp --test otlp
        cargo test --locked --doc
    fi
else
    echo "cargo-nextest is not installed; cargo test does the same, slower (cargo install cargo-nextest --locked)" >&2
    cargo test --locked "$@"
    if [ $# -eq 0 ]; then
        cargo test --locked --features otlp --test otlp
    fi
fi
