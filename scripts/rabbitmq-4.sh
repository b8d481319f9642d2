#!/usr/bin/env bash
# Unpacks a newer RabbitMQ (4.0 of Debian 13) with its Erlang and C library into a folder, and prints what to export so
# that the tests use it for the nodes they start. Nothing is installed, no root is needed, and no service is touched.
#   eval "$(scripts/rabbitmq-4.sh ~/rabbitmq-4)"
#   make test ARGS="--test rabbitmq"
# The broker that the tests share stays the one at 127.0.0.1:5672; TAGMILL_TEST_PROBE=127.0.0.1:1 makes it a new one too.
# Needs apt-get, dpkg-deb and Debian's archive keys; about 60 MB to download, 150 MB on disk. Optional: no test runs it.
# DEBIAN_SUITE takes another release than trixie (sid: RabbitMQ 4.3), DEBIAN_MIRROR another mirror than this machine's.
set -euo pipefail

if [ $# -ne 1 ] || [ -z "$1" ]; then
    echo "usage: eval \"\$(scripts/rabbitmq-4.sh FOLDER)\"" >&2
    exit 2
fi
for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || { echo "rabbitmq-4: there is no $tool: this needs Debian or a relative of it" >&2 && exit 1; }
done
mkdir -p "$1"
folder=$(cd "$1" && pwd)
suite=${DEBIAN_SUITE:-trixie}
keys=/usr/share/keyrings/debian-archive-keyring.gpg

# Debian's own mirror as this machine's package sources name it.
mirror=${DEBIAN_MIRROR:-}
if [ -z "$mirror" ]; then
    while read -r uri; do
        case $uri in */debian/) mirror=${mirror:-$uri} ;; esac
    done < <(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages')
fi
if [ -z "$mirror" ] || [ ! -r "$keys" ]; then
    echo "rabbitmq-4: no Debian mirror among this machine's package sources (set DEBIAN_MIRROR), or no $keys" >&2
    exit 1
fi

# An apt of its own, for which nothing is installed yet: so it fetches everything down to the C library.
download() {
    local apt="$folder/apt"
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
    : >"$apt/state/status"
    echo "deb [signed-by=$keys] $mirror $suite main" >"$apt/sources.list"
    local options=(-o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o Dir::State="$apt/state" -o Dir::State::status="$apt/state/status" -o Dir::Cache="$apt/cache"
        -o APT::Sandbox::User= -o Acquire::Languages=none -o Debug::NoLocking=1 -qq)
    apt-get "${options[@]}" update
    apt-get "${options[@]}" install --yes --no-install-recommends --download-only rabbitmq-server
    local package
    for package in "$apt"/cache/archives/{rabbitmq-server,erlang-,lib,zlib1g}*.deb; do
        dpkg-deb --extract "$package" "$folder/tree"
    done
    rm -rf -- "$apt"
}

# Puts a script in the place of each program of Erlang that runs the program under the C library it was built for.
# The machine's own may be older; and a variable for all libraries would confuse every other program a node starts.
wrap() {
    local erlang="$folder/tree/usr/lib/erlang" loader libraries bin program
    loader=$(find "$folder/tree" -name 'ld-linux*.so.*' -print -quit)
    libraries=$(dirname "$(find "$folder/tree" -name 'libcrypto.so.*' -print -quit)")
    bin=$(echo "$erlang"/erts-*/bin)
    for program in "$bin"/* "$erlang"/lib/*/priv/bin/*; do
        # Programs only: the first bytes of a script are others, and libraries are found by the programs.
        if [ "$(od -An -tx1 -N4 "$program")" = " 7f 45 4c 46" ]; then
            mv "$program" "$program.real"
            script "$program" "exec '$loader' --library-path '$libraries' '$program.real' \"\$@\""
        fi
    done
    mkdir -p "$folder/sbin"
    script "$folder/sbin/epmd" "exec '$bin/epmd' \"\$@\""
    # The one of the package knows only the place of an installation. A server that joins others starts it by its path.
    for program in "$bin/erl" "$folder/sbin/erl"; do
        script "$program" "export ROOTDIR='$erlang' BINDIR='$bin' EMU=beam PROGNAME=erl" "exec '$bin/erlexec' \"\$@\""
    done
    for program in rabbitmq-server rabbitmqctl rabbitmq-diagnostics rabbitmq-plugins rabbitmq-queues; do
        script "$folder/sbin/$program" "export PATH='$folder/sbin':\"\$PATH\"" \
            "exec '$folder/tree/usr/lib/rabbitmq/bin/$program' \"\$@\""
    done
}

script() {
    local file=$1
    shift
    printf '%s\n' '#!/bin/sh' "$@" >"$file"
    chmod +x "$file"
}

if [ ! -x "$folder/sbin/rabbitmq-server" ]; then
    {
        echo "rabbitmq-4: fetching RabbitMQ of Debian $suite into $folder"
        rm -rf -- "$folder/tree" "$folder/apt"
        download
        wrap
    } >&2
fi
printf 'export TAGMILL_RABBITMQ_SBIN=%q\n' "$folder/sbin"
