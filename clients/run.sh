#!/bin/sh
# The driver matrix: every driver does the same things against the server in PGHOST, PGPORT, PGUSER, PGPASSWORD,
# PGSSLMODE=verify-full and PGSSLROOTCERT. `make drivers` starts a server and calls this; arguments choose drivers.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cache=${PHANTOMDB_CLIENTS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/phantomdb/clients}
mkdir -p "$cache"
all="psql psycopg psycopg2 asyncpg node-postgres pgx tokio-postgres pgjdbc"
[ $# -gt 0 ] && all="$*"
log=$cache/setup.log

python_ready() {
    [ -x "$cache/venv/bin/python" ] || python3 -m venv "$cache/venv" || return 1
    "$cache/venv/bin/pip" install -q --disable-pip-version-check -r "$here/python/requirements.txt" >"$log" 2>&1
}
node_ready() {
    mkdir -p "$cache/node" && cp "$here/node/package.json" "$here/node/main.mjs" "$cache/node/" &&
        (cd "$cache/node" && npm install --silent --no-audit --no-fund >"$log" 2>&1)
}
java_ready() {
    [ -f "$cache/pgjdbc.jar" ] && return 0
    mvn -q -B dependency:copy -Dartifact=org.postgresql:postgresql:42.7.7 -DoutputDirectory="$cache/java" >"$log" 2>&1 &&
        cp "$cache"/java/postgresql-*.jar "$cache/pgjdbc.jar"
}

one() {
    case "$1" in
        psql) sh "$here/psql/run.sh" ;;
        psycopg|psycopg2|asyncpg) python_ready && "$cache/venv/bin/python" "$here/python/$1_client.py" ;;
        node-postgres) node_ready && node "$cache/node/main.mjs" ;;
        pgx) (cd "$here/go" && GOFLAGS=-mod=mod go run .) ;;
        tokio-postgres) CARGO_TARGET_DIR="$cache/tokio-postgres" cargo run -q --manifest-path "$here/tokio-postgres/Cargo.toml" ;;
        pgjdbc) java_ready && java -cp "$cache/pgjdbc.jar" "$here/java/Main.java" ;;
        *) echo "unknown driver $1"; return 1 ;;
    esac
}

failed=0
for driver in $all; do
    if output=$(one "$driver" 2>&1); then
        printf 'ok    %-15s %s\n' "$driver" "$(printf '%s' "$output" | tail -n 1)"
    else
        failed=$((failed + 1))
        printf 'FAIL  %s\n%s\n' "$driver" "$output" | tail -n 25
    fi
done
[ "$failed" -eq 0 ] || { echo "$failed drivers failed"; exit 1; }
