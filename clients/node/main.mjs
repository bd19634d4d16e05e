// node-postgres: text results (its own parser knows no binary ones), buffers as binary parameters, streams for COPY.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import pg from 'pg';
import copy from 'pg-copy-streams';

const ssl = { ca: readFileSync(process.env.PGSSLROOTCERT, 'utf8') };
delete process.env.PGSSLMODE; // node-postgres reads it and would drop the certificate given here
const options = { ssl, host: process.env.PGHOST, password: process.env.PGPASSWORD };
const client = new pg.Client(options);
await client.connect();
const one = async (text, values) => (await client.query({ text, values, rowMode: 'array' })).rows[0]?.[0];

assert.equal(await one('select $1::int4', [42]), 42);
assert.equal(await one('select $1::int8', ['9223372036854775807']), '9223372036854775807');
assert.equal(await one('select $1::float8', [0.1]), 0.1);
assert.equal(await one('select $1::numeric', ['1.10']), '1.10');
assert.equal(await one('select $1::text', ["żółć ' \\"]), "żółć ' \\");
assert.equal(await one('select $1::bool', [true]), true);
assert.equal(await one('select $1::text', [null]), null);
assert.deepEqual(await one('select $1::jsonb', [{ a: [1, null] }]), { a: [1, null] });
assert.deepEqual(await one('select $1::int4[]', [[1, null, 3]]), [1, null, 3]);
assert.deepEqual(await one('select $1::bytea', [Buffer.from([0, 255])]), Buffer.from([0, 255]));
const now = new Date('2024-02-29T01:02:03.456Z');
assert.deepEqual(await one('select $1::timestamptz', [now]), now);

await client.query('drop table if exists drv_node');
await client.query('create table drv_node (a int primary key, b text)');
await client.query('begin');
await client.query('insert into drv_node values ($1, $2)', [1, 'x']);
await client.query('savepoint s');
const failure = async (text, code) => {
  const error = await client.query(text).then(() => assert.fail(text), (error) => error);
  assert.equal(error.code, code, text);
  return error;
};
assert.equal((await failure("insert into drv_node values (1, 'y')", '23505')).constraint, 'drv_node_pkey');
await failure('select 1', '25P02');
await client.query('rollback to s');
await client.query('commit');
await failure('select 1/0', '22012');
await failure('select * from drv_nosuch', '42P01');
for (let i = 0; i < 3; i++) {
  const named = await client.query({ name: 'by-key', text: 'select b from drv_node where a = $1', values: [1] });
  assert.equal(named.rows[0].b, 'x');
}
await pipeline(Readable.from(['10\tten\n11\t\\N\n']), client.query(copy.from('copy drv_node from stdin')));
let text = '';
for await (const chunk of client.query(copy.to('copy (select * from drv_node where a >= 10 order by a) to stdout'))) text += chunk;
assert.equal(text, '10\tten\n11\t\\N\n');
const heard = new Promise((resolve) => client.on('notification', resolve));
await client.query('listen drv_node');
const other = new pg.Client(options);
await other.connect();
await other.query("notify drv_node, 'hello'");
assert.equal((await heard).payload, 'hello');

// node-postgres has no public cancel: the message goes out on a socket of its own, as the driver's native half does.
const running = failure('select pg_sleep(20)', '57014');
await new Promise((resolve) => setTimeout(resolve, 300));
const connection = new pg.Connection({});
connection.connect(Number(process.env.PGPORT), process.env.PGHOST);
connection.once('connect', () => connection.cancel(client.processID, client.secretKey));
await running;
await client.query('drop table drv_node');
await Promise.all([client.end(), other.end()]);
const wrong = new pg.Client({ ...options, password: 'wrong' });
assert.equal((await wrong.connect().catch((error) => error)).code, '28P01');
console.log('node-postgres', JSON.parse(readFileSync(new URL('./node_modules/pg/package.json', import.meta.url))).version);
process.exit(0);
