"""asyncpg: binary only, prepared statements always."""
import asyncio
import os
import ssl

import asyncpg

from cases import VALUES, same


async def main():
    context = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])
    conn = await asyncpg.connect(ssl=context)
    for kind, value in VALUES:
        same(await conn.fetchval(f"select $1::{kind}", value), value, kind)
    same(await conn.fetchval("select $1::jsonb", '{"a": 1}'), '{"a": 1}', "jsonb")
    await conn.execute("drop table if exists drv_asyncpg; create table drv_asyncpg (a int primary key, b text)")
    async with conn.transaction():
        await conn.execute("insert into drv_asyncpg values ($1, $2)", 1, "x")
        try:
            async with conn.transaction():
                await conn.execute("insert into drv_asyncpg values ($1, $2)", 1, "y")
            raise AssertionError("duplicate accepted")
        except asyncpg.UniqueViolationError as error:
            same(error.constraint_name, "drv_asyncpg_pkey", "constraint")
    for sql, wanted in [
        ("select 1/0", asyncpg.DivisionByZeroError),
        ("select * from drv_nosuch", asyncpg.UndefinedTableError),
    ]:
        try:
            await conn.fetch(sql)
            raise AssertionError(sql)
        except wanted:
            pass
    await conn.executemany("insert into drv_asyncpg values ($1, $2)", [(i, str(i)) for i in range(10, 20)])
    await conn.copy_records_to_table("drv_asyncpg", records=[(i, None) for i in range(100, 200)])
    lines = []

    async def collect(data):
        lines.append(data)

    await conn.copy_from_query("select a from drv_asyncpg where a >= 100 order by a", output=collect)
    same(b"".join(lines).split(b"\n")[0], b"100", "copy out")
    async with conn.transaction():
        seen = [row["a"] async for row in conn.cursor("select a from drv_asyncpg order by a", prefetch=7)]
    same(len(seen), 111, "cursor")
    try:
        await conn.fetch("select pg_sleep(20)", timeout=0.3)  # cancels
        raise AssertionError("not cancelled")
    except asyncio.TimeoutError:
        pass
    same(await conn.fetchval("select 1"), 1, "after the cancel")
    await conn.execute("drop table drv_asyncpg")
    await conn.close()
    try:
        await asyncpg.connect(ssl=context, password="wrong")
        raise AssertionError("a wrong password was accepted")
    except asyncpg.InvalidPasswordError:
        pass
    print("asyncpg", asyncpg.__version__)


asyncio.run(main())
