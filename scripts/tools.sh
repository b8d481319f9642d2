#!/usr/bin/env bash
# Programs for the tests. Prometheus and promtool: finds them, or unpacks Debian's package under target/tools. The package is
# not installed, so that nothing of it starts and nothing of the system changes; no password is needed. Chromium with
# ChromeDriver: finds them, or installs Debian's packages, which takes root (they bring too many libraries to unpack).
# TAGMILL_TEST_NO_PROMETHEUS=1 and TAGMILL_TEST_NO_BROWSER=1 leave out the tests that need them, TAGMILL_TEST_NO_INSTALL=1
# downloads nothing, TAGMILL_TEST_PROMETHEUS names a folder that has both.
set -euo pipefail

# Never fails: what is missing is said, and the tests say that they are left out.
prometheus_up() {
    local home=$PWD/target/tools/prometheus
    if [ "${TAGMILL_TEST_NO_PROMETHEUS:-}" = 1 ] || [ -n "${TAGMILL_TEST_PROMETHEUS:-}" ]; then
        return
    fi
    if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
        return
    fi
    if [ -x "$home/prometheus" ] && [ -x "$home/promtool" ]; then
        return
    fi
    if [ "${TAGMILL_TEST_NO_INSTALL:-}" = 1 ] || ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
        echo "tools: no Prometheus is installed here, and this is no place to get Debian's package" >&2
        return
    fi
    rm -rf -- "$home.new"
    mkdir -p "$home.new"
    if ! fetch_prometheus "$home.new"; then
        echo "tools: apt-get could not download the package prometheus" >&2
        rm -rf -- "$home.new"
        return
    fi
    rm -rf -- "$home"
    mv "$home.new" "$home"
    echo "tools: unpacked Debian's prometheus into ${home#"$PWD"/}" >&2
}

# Downloads the package into folder $1 and takes the two programs out of it.
fetch_prometheus() (
    cd "$1"
    # The lists of packages may be missing; only root may fetch them.
    if ! apt-get -qq -o APT::Sandbox::User=root download prometheus </dev/null >/dev/null 2>&1; then
        [ "$(id -u)" = 0 ] && apt-get update -qq </dev/null >&2 &&
            apt-get -qq -o APT::Sandbox::User=root download prometheus </dev/null >&2 || exit 1
    fi
    dpkg-deb -x prometheus_*.deb unpacked && mv unpacked/usr/bin/prometheus unpacked/usr/bin/promtool . &&
        rm -rf unpacked prometheus_*.deb && ./promtool --version >/dev/null 2>&1
)

# Never fails either.
browser_up() {
    if [ "${TAGMILL_TEST_NO_BROWSER:-}" = 1 ] || { command -v chromium >/dev/null && command -v chromedriver >/dev/null; }; then
        return
    fi
    if [ "${TAGMILL_TEST_NO_INSTALL:-}" = 1 ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "tools: no Chromium with ChromeDriver is here; as root on Debian: apt-get install chromium chromium-driver" >&2
        return
    fi
    echo "tools: installing Debian's chromium and chromium-driver" >&2
    if ! install_browser; then
        echo "tools: apt-get could not install chromium and chromium-driver" >&2
    fi
}

# Fonts too: without any, text has no size.
install_browser() {
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends
        chromium chromium-driver fonts-dejavu-core)
    "${install[@]}" </dev/null >/dev/null 2>&1 || { apt-get update -qq </dev/null >&2 && "${install[@]}" </dev/null >&2; }
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    cd "$(dirname "${BASH_SOURCE[0]}")/.."
    prometheus_up
    browser_up
fi
