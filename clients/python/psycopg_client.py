"""psycopg 3, text and binary, pipeline mode too."""
import threading
import time

import psycopg
from psycopg.types.json import Jsonb

from cases import VALUES, same

with psycopg.connect(autocommit=True) as conn:
    assert conn.pgconn.ssl_in_use, "no TLS"
    for binary in (False, True):
        for kind, value in VALUES:
            mark = "%b" if binary else "%s"
            for given in (value, None):
                row = conn.execute(f"select {mark}::{kind}", (given,), binary=binary).fetchone()
                same(row[0], given, f"{kind} binary={binary}")
        row = conn.execute("select %s::jsonb", (Jsonb({"a": [1, None]}),), binary=binary).fetchone()
        same(row[0], {"a": [1, None]}, "jsonb")
    conn.execute("drop table if exists drv_psycopg")
    conn.execute("create table drv_psycopg (a int primary key, b text)")
    with conn.transaction():
        conn.execute("insert into drv_psycopg values (1, 'x')")
        try:
            with conn.transaction():
                conn.execute("insert into drv_psycopg values (1, 'y')")
            raise AssertionError("duplicate accepted")
        except psycopg.errors.UniqueViolation as error:
            same(error.diag.constraint_name, "drv_psycopg_pkey", "constraint")
    same(conn.execute("select a, b from drv_psycopg").fetchall(), [(1, "x")], "after the savepoint")
    for sql, wanted in [
        ("select 1/0", psycopg.errors.DivisionByZero),
        ("select * from drv_nosuch", psycopg.errors.UndefinedTable),
    ]:
        try:
            conn.execute(sql)
            raise AssertionError(sql)
        except wanted:
            pass
    cur = conn.cursor()
    same(cur.executemany("insert into drv_psycopg values (%s, %s)", [(i, str(i)) for i in range(10, 20)]), None, "many")
    with cur.copy("copy drv_psycopg from stdin") as copy:
        for i in range(100, 200):
            copy.write_row((i, None if i % 2 else "even"))
    with cur.copy("copy (select a, b from drv_psycopg where a >= 100 order by a) to stdout") as copy:
        copy.set_types(["int4", "text"])
        rows = list(copy.rows())
    same((len(rows), rows[0], rows[1]), (100, (100, "even"), (101, None)), "copy")
    with cur.copy("copy drv_psycopg from stdin with (format binary)") as copy:
        copy.set_types(["int4", "text"])
        copy.write_row((300, "binary"))
    with conn.pipeline():
        first = conn.execute("select count(*) from drv_psycopg")
        second = conn.execute("select b from drv_psycopg where a = %s", (300,))
    same((first.fetchone()[0], second.fetchone()[0]), (112, "binary"), "pipeline")
    with conn.transaction(), conn.cursor("server_side") as named:
        named.execute("select a from drv_psycopg order by a")
        same(len(named.fetchmany(7)), 7, "named cursor")
    for _ in range(10):  # beyond prepare_threshold
        conn.execute("select b from drv_psycopg where a = %s", (1,)).fetchone()
    threading.Thread(target=lambda: (time.sleep(0.3), conn.cancel())).start()
    try:
        conn.execute("select pg_sleep(20)")
        raise AssertionError("not cancelled")
    except psycopg.errors.QueryCanceled:
        pass
    conn.execute("drop table drv_psycopg")
try:
    psycopg.connect(password="wrong")
    raise AssertionError("a wrong password was accepted")
except psycopg.OperationalError as error:
    assert "password" in str(error), error
print("psycopg", psycopg.__version__)
