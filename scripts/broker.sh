#!/usr/bin/env bash
# A RabbitMQ for the tests: finds or starts one, runs a command with its URL in TAGMILL_TEST_AMQP, ends what it started.
#   scripts/broker.sh cargo test --test rabbitmq
#
# It takes the first of these:
#   the URL in TAGMILL_TEST_AMQP;
#   what lets guest in at TAGMILL_TEST_PROBE (127.0.0.1:5672);
#   a container of TAGMILL_TEST_IMAGE (rabbitmq:4), if a Docker engine answers;
#   a node of its own from the RabbitMQ installed here, or from the scripts in the folder TAGMILL_RABBITMQ_SBIN alone.
#   Where apt-get needs no password it installs rabbitmq-server for that, unless TAGMILL_TEST_NO_INSTALL=1.
# TAGMILL_TEST_NO_BROKER=1 leaves the tests that need a broker out, each with a line that says so;
# TAGMILL_TEST_NO_NODES=1 leaves out only those that start RabbitMQ nodes of their own.
#
# No pipe here has a reader that may leave early: with pipefail that ends the script (exit 141).
set -euo pipefail

probe=${TAGMILL_TEST_PROBE:-127.0.0.1:5672}
image=${TAGMILL_TEST_IMAGE:-rabbitmq:4}
boot_seconds=60
missing=()
container=
folder=
processes=()

say() {
    printf 'broker: %s\n' "$*" >&2
}

# --- Is there a broker? -------------------------------------------------------------------------------------------

# One byte from file descriptor 3 as a number in $byte. A zero byte is read as an empty text.
read_byte() {
    local character
    IFS= LC_ALL=C read -r -d '' -n 1 -t 5 character <&3 || return 1
    LC_ALL=C printf -v byte '%d' "'$character"
    byte=$((byte & 255))
}

# Reads a frame of AMQP 0-9-1; succeeds if it holds the method with this class and number.
read_method() {
    local head=() size
    while [ ${#head[@]} -lt 11 ]; do
        read_byte || return 1
        head+=("$byte")
    done
    size=$((head[3] << 24 | head[4] << 16 | head[5] << 8 | head[6]))
    # A method frame, of a size that a greeting has.
    [ "${head[0]}" = 1 ] && [ "$size" -ge 4 ] && [ "$size" -lt 65536 ] || return 1
    [ $((head[7] << 8 | head[8])) = "$1" ] && [ $((head[9] << 8 | head[10])) = "$2" ] || return 1
    # The rest of the payload, and the end of the frame.
    for ((size -= 3; size > 0; size--)); do
        read_byte || return 1
    done
}

# Does something at host $1, port $2 let guest in? The answer to our Start-Ok is Tune, or the end of the connection.
lets_guest_in() (
    exec 3<>"/dev/tcp/$1/$2" || exit 1
    printf 'AMQP\0\0\x09\x01' >&3
    read_method 10 10 || exit 1
    printf '\x01\0\0\0\0\0\x24\0\x0a\0\x0b\0\0\0\0\x05PLAIN\0\0\0\x0c\0guest\0guest\x05en_US\xce' >&3
    read_method 10 30
) 2>/dev/null

# Waits for host $1, port $2 as long as the command after them succeeds.
await_guest() {
    local host=$1 port=$2 until=$((SECONDS + boot_seconds))
    shift 2
    until lets_guest_in "$host" "$port"; do
        if [ "$SECONDS" -ge "$until" ] || ! "$@"; then
            return 1
        fi
        sleep 0.2
    done
}

# --- Start one ----------------------------------------------------------------------------------------------------

container_runs() {
    [ "$(docker inspect --format '{{.State.Running}}' "$container" 2>/dev/null)" = true ]
}

from_docker() {
    local address
    if ! command -v docker >/dev/null; then
        missing+=("Docker is not installed")
        return 1
    fi
    if ! docker version --format '{{.Server.Version}}' >/dev/null 2>&1; then
        missing+=("Docker is installed, but no engine answers")
        return 1
    fi
    say "starting a container of $image"
    if ! container=$(docker run --detach --rm --publish 127.0.0.1::5672 "$image"); then
        container=
        missing+=("Docker could not run $image")
        return 1
    fi
    address=$(docker port "$container" 5672/tcp)
    address=${address%%$'\n'*}
    if ! await_guest 127.0.0.1 "${address##*:}" container_runs; then
        docker logs --tail 20 "$container" >&2 || true
        missing+=("the container of $image did not answer")
        stop_container
        return 1
    fi
    export TAGMILL_TEST_AMQP="amqp://guest:guest@127.0.0.1:${address##*:}/%2f"
    say "using RabbitMQ in the container ${container:0:12}"
    find_scripts >/dev/null || say "tests that start nodes of their own need an installed RabbitMQ as well, and there is none"
}

# Prints the folder of the scripts that start a server as they are: /usr/sbin has wrappers that switch the user.
find_scripts() {
    local place places=(/usr/lib/rabbitmq/bin /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin
        /opt/homebrew/opt/rabbitmq/sbin /usr/local/opt/rabbitmq/sbin)
    if [ -n "${TAGMILL_RABBITMQ_SBIN:-}" ]; then
        places=("$TAGMILL_RABBITMQ_SBIN")
    fi
    for place in "${places[@]}"; do
        if [ -x "$place/rabbitmq-server" ] && [ -x "$place/rabbitmqctl" ]; then
            printf '%s\n' "$place"
            return
        fi
    done
    return 1
}

install_package() {
    local as_root=()
    if [ -n "${TAGMILL_RABBITMQ_SBIN:-}" ]; then
        missing+=("TAGMILL_RABBITMQ_SBIN=$TAGMILL_RABBITMQ_SBIN holds no rabbitmq-server and rabbitmqctl")
        return 1
    fi
    if ! command -v apt-get >/dev/null || [ "${TAGMILL_TEST_NO_INSTALL:-}" = 1 ]; then
        missing+=("no RabbitMQ server is installed here")
        return 1
    fi
    if [ "$(id -u)" != 0 ]; then
        as_root=(sudo -n)
        if ! sudo -n true 2>/dev/null; then
            missing+=("no RabbitMQ server is installed here, and installing the package rabbitmq-server needs a password")
            return 1
        fi
    fi
    say "installing the package rabbitmq-server"
    if ! "${as_root[@]}" apt-get update -qq >&2 ||
        ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends rabbitmq-server >&2; then
        missing+=("apt-get could not install rabbitmq-server")
        return 1
    fi
}

# A port in $port that nobody listens on, below every system's range for outgoing connections.
free_port() {
    local tries
    for tries in {1..100}; do
        port=$((10240 + (RANDOM + tries) % 5760))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            return
        fi
    done
    return 1
}

node_runs() {
    kill -0 "$1" 2>/dev/null
}

from_installation() {
    local scripts path port amqp_port dist_port epmd_port server loopback='-kernel inet_dist_use_interface {127,0,0,1}'
    if ! scripts=$(find_scripts); then
        install_package || return 1
        scripts=$(find_scripts) || { missing+=("the package rabbitmq-server has no scripts where they are known to be") && return 1; }
    fi
    # A folder of scripts may bring an Erlang of its own.
    path="$scripts:$PATH"
    if ! PATH=$path command -v epmd >/dev/null; then
        missing+=("there is RabbitMQ in $scripts, but no Erlang (epmd) in the PATH")
        return 1
    fi
    folder=$(mktemp -d "${TMPDIR:-/tmp}/tagmill-broker.XXXXXX")
    mkdir "$folder/home" "$folder/data" "$folder/log"
    printf 'tagmill-test' >"$folder/home/.erlang.cookie"
    chmod 400 "$folder/home/.erlang.cookie"
    free_port && amqp_port=$port
    free_port && dist_port=$port
    free_port && epmd_port=$port
    : >"$folder/env.conf"
    echo '[].' >"$folder/plugins"
    printf '%s\n' "listeners.tcp.1 = 127.0.0.1:$amqp_port" 'log.file = node.log' 'log.connection.level = warning' \
        >"$folder/rabbitmq.conf"

    # Ours and in the foreground: the server would start one as a daemon that nobody ends.
    PATH=$path epmd -port "$epmd_port" -address 127.0.0.1 </dev/null >/dev/null 2>&1 &
    processes+=($!)
    # RUNNING_UNDER_SYSTEMD makes the script become the Erlang machine, so that $! is the server.
    (
        cd "$folder"
        exec env -i PATH="$path" LC_ALL=C.UTF-8 HOME="$folder/home" ERL_EPMD_ADDRESS=127.0.0.1 \
            ERL_EPMD_PORT="$epmd_port" RABBITMQ_NODENAME=n1@localhost RABBITMQ_NODE_PORT="$amqp_port" \
            RABBITMQ_DIST_PORT="$dist_port" RABBITMQ_MNESIA_BASE="$folder/data" RABBITMQ_LOG_BASE="$folder/log" \
            RABBITMQ_CONFIG_FILE="$folder/rabbitmq.conf" RABBITMQ_CONF_ENV_FILE="$folder/env.conf" \
            RABBITMQ_ENABLED_PLUGINS_FILE="$folder/plugins" RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="$loopback" \
            RUNNING_UNDER_SYSTEMD=true "$scripts/rabbitmq-server" </dev/null >"$folder/log/start.log" 2>&1
    ) &
    server=$!
    processes+=("$server")
    if ! await_guest 127.0.0.1 "$amqp_port" node_runs "$server"; then
        tail -n 20 "$folder/log/start.log" >&2
        missing+=("the RabbitMQ in $scripts did not start")
        stop_node
        return 1
    fi
    export TAGMILL_TEST_AMQP="amqp://guest:guest@127.0.0.1:$amqp_port/%2f"
    say "using a RabbitMQ node started from $scripts on port $amqp_port"
}

# --- End what was started -----------------------------------------------------------------------------------------

stop_container() {
    if [ -n "$container" ]; then
        docker rm --force --volumes "$container" >/dev/null 2>&1 || true
        container=
    fi
}

stop_node() {
    if [ ${#processes[@]} -gt 0 ]; then
        # Nobody wants its data: no orderly end, which takes seconds.
        kill -KILL "${processes[@]}" 2>/dev/null || true
        wait "${processes[@]}" 2>/dev/null || true
        processes=()
    fi
    if [ -n "$folder" ]; then
        rm -rf -- "$folder"
        folder=
    fi
}

clean_up() {
    stop_container
    stop_node
}

# --- In order -----------------------------------------------------------------------------------------------------

# Sets TAGMILL_TEST_AMQP, or says what is missing. Tests that need a broker then fail, and say so themselves.
broker_up() {
    if [ "${TAGMILL_TEST_NO_BROKER:-}" = 1 ]; then
        say "none, as TAGMILL_TEST_NO_BROKER=1 asks: the tests that need one are skipped"
        return
    fi
    if [ -n "${TAGMILL_TEST_AMQP:-}" ]; then
        say "using the one in TAGMILL_TEST_AMQP"
        return
    fi
    if lets_guest_in "${probe%:*}" "${probe##*:}"; then
        export TAGMILL_TEST_AMQP="amqp://guest:guest@$probe/%2f"
        say "using the RabbitMQ at $probe"
        return
    fi
    missing+=("nothing lets guest in at $probe")
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    if from_docker || from_installation; then
        return
    fi
    {
        echo "There is no RabbitMQ for the tests:"
        printf '  - %s\n' "${missing[@]}"
        echo "The tests that need one will fail: those of tests/rabbitmq, and in other folders those that say so."
        echo "Start a RabbitMQ, or Docker; or install rabbitmq-server; or set TAGMILL_TEST_AMQP=amqp://user:password@host:port/vhost."
        echo "To leave these tests out: TAGMILL_TEST_NO_BROKER=1 make test"
    } >&2
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    if [ $# -eq 0 ]; then
        echo "usage: scripts/broker.sh COMMAND [ARGUMENT...]" >&2
        exit 2
    fi
    broker_up
    "$@"
fi
