#!/usr/bin/env bash
# Starts a throw-away PostgreSQL server for tests, in a temporary directory, on a free port of the
# loopback interface, without fsync. It outlives this script; stop it with `stop`.
#
#   scripts/test-postgres.sh            prints two lines: the URL, and the server's directory
#   scripts/test-postgres.sh stop DIR   stops the server in DIR and removes DIR
#
# For use:  export PALISADE_TEST_POSTGRES=$(scripts/test-postgres.sh | head -n 1)
set -euo pipefail

readonly WAIT_S=30

fail() {
    echo "test-postgres: $*" >&2
    exit 1
}

# The directory of PostgreSQL's programs: the newest installed, or where pg_config says.
find_bin() {
    local newest
    newest=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1) || true
    if [ -z "$newest" ] && command -v pg_config >/dev/null; then
        newest=$(pg_config --bindir)
    fi
    [ -x "$newest/pg_ctl" ] || fail "PostgreSQL is not installed (apt: postgresql)"
    echo "$newest"
}

# PostgreSQL refuses to run as root.
as_server() {
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --reuid=postgres --regid=postgres --clear-groups env HOME=/ "$@"
    else
        "$@"
    fi
}

# Asks the system for a port nobody uses.
free_port() {
    python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

start() {
    local bin dir port attempt
    bin=$(find_bin)
    dir=$(mktemp -d "${TMPDIR:-/tmp}/palisade-postgres.XXXXXX")
    [ "$(id -u)" -ne 0 ] || chown postgres: "$dir"
    cd "$dir"
    as_server "$bin/initdb" -D "$dir/data" -U palisade --auth=trust --encoding=UTF8 --locale=C \
        --no-sync >"$dir/initdb.log" 2>&1 || fail "initdb failed, see $dir/initdb.log"
    # The port may be taken between asking and starting, so ask again.
    for attempt in 1 2 3; do
        port=$(free_port)
        if as_server "$bin/pg_ctl" -D "$dir/data" -l "$dir/server.log" -w -t "$WAIT_S" -o "\
            -c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories='' \
            -c fsync=off -c full_page_writes=off -c max_connections=300 \
            -c shared_buffers=32MB -c autovacuum=off" start >/dev/null 2>&1 </dev/null; then
            echo "postgres://palisade@127.0.0.1:$port/postgres"
            echo "$dir"
            return
        fi
    done
    fail "the server did not start within $WAIT_S s, see $dir/server.log"
}

stop() {
    local dir=$1
    case "$(basename "$dir")" in
        palisade-postgres.*) ;;
        *) fail "\`$dir\` is not a directory that this script made" ;;
    esac
    [ -d "$dir/data" ] || fail "\`$dir\` holds no server"
    cd "$dir"
    as_server "$(find_bin)/pg_ctl" -D "$dir/data" -m immediate -w -t "$WAIT_S" stop >/dev/null ||
        fail "the server in $dir did not stop within $WAIT_S s"
    cd /
    rm -rf "$dir"
}

case "${1-}" in
    "") start ;;
    stop) [ $# -eq 2 ] || fail "usage: test-postgres.sh stop DIR"; stop "$2" ;;
    *) fail "usage: test-postgres.sh [stop DIR]" ;;
esac
