#!/bin/bash
# Writes sql/src/registry/data/*.tsv from the catalogs of a fresh PostgreSQL 15 cluster.
# Development time only: the output is checked in. Needs the server binaries of PostgreSQL 15
# (PGBIN) and must not run as root (initdb refuses it).
set -euo pipefail
PGBIN=${PGBIN:-/usr/lib/postgresql/15/bin}
HERE=$(cd "$(dirname "$0")" && pwd)
OUT=${OUT:-$HERE/../src/registry/data}
WORK=$(mktemp -d)
trap '"$PGBIN/pg_ctl" -D "$WORK/data" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$WORK"' EXIT

"$PGBIN/initdb" -D "$WORK/data" --locale=C -E UTF8 -U postgres -A trust --no-sync >/dev/null
"$PGBIN/pg_ctl" -D "$WORK/data" -w -l "$WORK/log" \
    -o "-c listen_addresses='' -c unix_socket_directories=$WORK -c fsync=off" start >/dev/null
sql() { "$PGBIN/psql" -X -q -h "$WORK" -U postgres -d postgres -v ON_ERROR_STOP=1 -At "$@"; }

# One catalog whole: every column in catalog order, regproc as its OID, expressions as SQL text.
catalog() { # relation order-by [where]
    local columns
    columns=$(sql -c "select string_agg(case atttypid
            when 'regproc'::regtype then attname || '::oid as ' || attname
            when 'pg_node_tree'::regtype then case attname
                when 'prosqlbody' then 'pg_get_function_sqlbody(oid) as prosqlbody' else 'pg_get_expr(' || attname || ', 0) as ' || attname end
            else quote_ident(attname) end, ', ' order by attnum)
        from pg_attribute where attrelid = '$1'::regclass and attnum > 0 and not attisdropped")
    sql -c "copy (select $columns from $1 ${3:+where $3} order by $2) to stdout with (header)" >"$OUT/$1.tsv"
}
query() { # file, query
    sql -c "copy ($2) to stdout with (header)" >"$OUT/$1.tsv"
}

catalog pg_type oid
catalog pg_proc oid
catalog pg_operator oid
catalog pg_cast oid
catalog pg_aggregate aggfnoid
catalog pg_am oid
catalog pg_opclass oid
catalog pg_opfamily oid
catalog pg_amop oid
catalog pg_amproc oid
catalog pg_collation oid "collencoding in (-1, 6) and collprovider <> 'i'"
catalog pg_language oid
catalog pg_range rngtypid
catalog pg_namespace oid
catalog pg_conversion oid
catalog pg_ts_config oid
catalog pg_ts_dict oid
catalog pg_ts_parser oid
catalog pg_ts_template oid
query pg_class "select oid, relname, relnamespace, reltype, relam, relkind, relhasindex, relisshared
    from pg_class where relkind in ('r', 'v', 'i') and relname !~ '^pg_toast' order by oid"
query pg_attribute "select attrelid, attname, atttypid, attlen, attnum, attndims, atttypmod, attbyval, attalign,
    attstorage, attnotnull, attcollation from pg_attribute join pg_class c on c.oid = attrelid
    where relkind in ('r', 'v') and relname !~ '^pg_toast' order by attrelid, attnum"
query pg_settings "select name, unit, category, short_desc, extra_desc, context, vartype, min_val, max_val,
    enumvals, boot_val from pg_settings order by name"
query pg_authid "select oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin,
    rolreplication, rolbypassrls, rolconnlimit from pg_authid order by oid"
catalog pg_index indexrelid "indrelid in (select oid from pg_class where relname !~ '^pg_toast')"
catalog pg_constraint oid
catalog pg_description "classoid, objoid, objsubid"
