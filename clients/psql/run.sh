#!/bin/sh
# psql itself: variables, COPY through \copy, errors, cancel by statement_timeout.
set -eu
run() { psql -X -v ON_ERROR_STOP=1 -Atq "$@"; }
same() { [ "$1" = "$2" ] || { echo "expected <$2>, got <$1>"; exit 1; }; }
run -c "drop table if exists drv_psql" -c "create table drv_psql (a int primary key, b text)" 2>/dev/null
printf '1\tone\n2\t\\N\n' | run -c '\copy drv_psql from stdin'
same "$(run -c '\copy drv_psql to stdout')" "$(printf '1\tone\n2\t\\N')"
same "$(run -v id=1 -c 'select 1' -f - <<'SQL'
select b from drv_psql where a = :id;
SQL
)" "$(printf '1\none')"
error=$(psql -X -v VERBOSITY=sqlstate -c "insert into drv_psql values (1, 'x')" 2>&1 || true)
case "$error" in *23505*) ;; *) echo "no 23505 in <$error>"; exit 1 ;; esac
error=$(psql -X -v VERBOSITY=sqlstate -c "set statement_timeout = 100" -c "select pg_sleep(10)" 2>&1 || true)
case "$error" in *57014*) ;; *) echo "no 57014 in <$error>"; exit 1 ;; esac
same "$(run -1 -c "insert into drv_psql values (3, 'c')" -c "select count(*) from drv_psql")" 3
printf 'begin;\ninsert into drv_psql values (4);\nrollback;\nselect count(*) from drv_psql;\n' | run -f - >/tmp/drv_psql.$$ && same "$(cat /tmp/drv_psql.$$)" 3
rm -f /tmp/drv_psql.$$
case "$(psql -X -c '\conninfo')" in *SSL*) ;; *) echo "no TLS"; exit 1 ;; esac
if PGPASSWORD=wrong psql -X -c 'select 1' >/dev/null 2>&1; then echo "a wrong password was accepted"; exit 1; fi
run -c "drop table drv_psql"
psql --version
