"""psycopg 2: values in text, interpolated by the client."""
import io
import threading
import time

import psycopg2
import psycopg2.extras
from psycopg2 import errors

from cases import VALUES, same

psycopg2.extras.register_uuid()
conn = psycopg2.connect("")
assert conn.info.ssl_in_use, "no TLS"
cur = conn.cursor()
for kind, value in VALUES:
    cur.execute(f"select cast(%s as {kind})", (value,))
    got = cur.fetchone()[0]
    same(bytes(got) if kind == "bytea" else got, value, kind)
cur.execute("drop table if exists drv_psycopg2")
cur.execute("create table drv_psycopg2 (a int primary key, b text)")
conn.commit()
cur.execute("insert into drv_psycopg2 values (1, 'x')")
conn.rollback()
cur.execute("select count(*) from drv_psycopg2")
same(cur.fetchone(), (0,), "rolled back")
psycopg2.extras.execute_values(cur, "insert into drv_psycopg2 values %s", [(i, str(i)) for i in range(50)])
conn.commit()
for sql, wanted in [
    ("insert into drv_psycopg2 values (1, 'x')", errors.UniqueViolation),
    ("select 1/0", errors.DivisionByZero),
    ("select * from drv_nosuch", errors.UndefinedTable),
]:
    try:
        cur.execute(sql)
        raise AssertionError(sql)
    except wanted:
        try:
            cur.execute("select 1")
            raise AssertionError("the block was not failed")
        except errors.InFailedSqlTransaction:
            conn.rollback()
cur.copy_expert("copy drv_psycopg2 from stdin", io.StringIO("100\thundred\n101\t\\N\n"))
out = io.StringIO()
cur.copy_expert("copy (select * from drv_psycopg2 where a >= 100 order by a) to stdout", out)
same(out.getvalue(), "100\thundred\n101\t\\N\n", "copy")
named = conn.cursor("named")
named.execute("select a from drv_psycopg2 order by a")
same(len(named.fetchmany(5)), 5, "named cursor")
named.close()
conn.commit()
threading.Thread(target=lambda: (time.sleep(0.3), conn.cancel())).start()
try:
    cur.execute("select pg_sleep(20)")
    raise AssertionError("not cancelled")
except errors.QueryCanceled:
    conn.rollback()
cur.execute("drop table drv_psycopg2")
conn.commit()
try:
    psycopg2.connect(password="wrong")
    raise AssertionError("a wrong password was accepted")
except psycopg2.OperationalError as error:
    assert "password" in str(error), error
print("psycopg2", psycopg2.__version__)
