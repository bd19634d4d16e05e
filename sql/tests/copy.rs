//! COPY both ways over a node in memory: what comes in goes out again, errors name their line, and
//! how fast rows come in (printed; run with `--nocapture`).

use sql::catalog::{
    CatalogSnapshot, Column, Descriptor, ForeignKey, IndexDescriptor, IndexState, Persistence,
    ReferentialAction, RowLayout, SchemaDescriptor, TableDescriptor,
};
use sql::copy::{CopyIn, CopyOut, CopyRows, CopyStep, plan_copy};
use sql::exec::{CancelToken, ExecContext, TxnHandle};
use sql::node::{SqlNode, SqlOptions};
use sql::parse::{self, Body};
use sql::plan::PlanContext;
use sql::session::SessionInfo;
use sql::types::TypeRef;
use sql::{Oid, SqlError};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use storage::engine::AnyEngine;
use storage::engine::mem::MemEngine;
use storage::log::{LogOptions, RaftLog};
use storage::vfs::SimVfs;
use txn::{Limits, Participant, TxnDb, TxnOptions};

const DATABASE: Oid = Oid(5);
const PUBLIC: Oid = Oid(2200);
const OWNER: Oid = Oid(10);

/// A node, the tables of the test, and the one session that uses them.
struct World {
    node: Arc<SqlNode>,
    catalog: Arc<CatalogSnapshot>,
    info: Arc<SessionInfo>,
}

impl World {
    async fn start() -> World {
        let limits = Limits::default();
        let participant = Participant::new(&limits);
        let log = RaftLog::open(Arc::new(SimVfs::new(1)), Path::new("/log"), LogOptions::default()).unwrap();
        let engine = Arc::new(AnyEngine::from(MemEngine::new()));
        let env = Arc::new(cluster::SystemEnv::default());
        let cluster =
            cluster::Node::start(cluster::NodeOptions::default(), engine, log, participant.clone(), env)
                .unwrap();
        let db = TxnDb::new(cluster, participant, limits).unwrap();
        let options = SqlOptions { memory_bytes: 1 << 30, bootstrap_verifier: None };
        let node = SqlNode::start(db, options).await.unwrap();
        let info = SessionInfo {
            catalog: Default::default(),
            pid: 1,
            database: DATABASE,
            database_name: "postgres".into(),
            role: OWNER,
            role_name: "postgres".into(),
            session_role_name: "postgres".into(),
            superuser: true,
            search_path: vec![PUBLIC].into(),
            transaction_start: 0,
            statement_start: 0,
            format: Default::default(),
            lock_timeout: None,
            sequences: Default::default(),
            nap: Default::default(),
            changes: Default::default(),
            settings: Default::default(),
        };
        World { node, catalog: Arc::new(tables()), info: Arc::new(info) }
    }

    /// Runs COPY FROM with the input in these chunks; rows, or the error with its context.
    async fn copy_in(&self, sql: &str, chunks: &[&[u8]]) -> Result<u64, SqlError> {
        let mut txn = TxnHandle::new(TxnOptions::default(), self.catalog.clone());
        let rows = self.copy_in_txn(&mut txn, sql, chunks).await?;
        txn.commit(&self.node).await?;
        Ok(rows)
    }

    async fn copy_in_txn(&self, txn: &mut TxnHandle, sql: &str, chunks: &[&[u8]]) -> Result<u64, SqlError> {
        let plan = self.plan(sql)?;
        txn.start_statement();
        let mut notices = vec![];
        let cancel = CancelToken::default();
        let mut cx =
            ExecContext { node: &self.node, txn, info: &self.info, cancel: &cancel, notices: &mut notices };
        let mut copy = CopyIn::new(plan)?;
        for chunk in chunks {
            copy.push(&mut cx, chunk).await?;
        }
        copy.finish(&mut cx).await
    }

    async fn copy_out(&self, sql: &str) -> Result<(Vec<u8>, usize, u64), SqlError> {
        let mut txn = TxnHandle::new(TxnOptions::default(), self.catalog.clone());
        let mut notices = vec![];
        let cancel = CancelToken::default();
        let mut cx = ExecContext {
            node: &self.node,
            txn: &mut txn,
            info: &self.info,
            cancel: &cancel,
            notices: &mut notices,
        };
        let mut copy = CopyOut::new(self.plan(sql)?);
        let (mut all, mut messages, mut rows) = (vec![], 0, CopyRows::default());
        loop {
            let step = copy.next(&mut cx, &mut rows).await?;
            for message in rows.messages() {
                all.extend_from_slice(message);
                messages += 1;
            }
            rows.clear();
            if let CopyStep::Done(n) = step {
                return Ok((all, messages, n));
            }
        }
    }

    fn plan(&self, sql: &str) -> Result<Arc<sql::copy::CopyPlan>, SqlError> {
        let statement = parse::parse(sql)?.remove(0);
        let Body::Copy(copy) = &statement.body else { panic!("not COPY") };
        let cx = PlanContext { catalog: self.catalog.clone(), info: self.info.clone() };
        plan_copy(&cx, copy, &statement)
    }

    /// Expects `code: message [detail] [CONTEXT]` of a COPY FROM.
    async fn refuses(&self, sql: &str, input: &str, expected: &str) {
        let error = self.copy_in(sql, &[input.as_bytes()]).await.expect_err(sql);
        let fields = error.fields();
        let mut shown = format!("{:?}: {}", fields.code, fields.message);
        for part in [&fields.detail, &fields.context].into_iter().flatten() {
            write!(shown, " | {part}").unwrap();
        }
        assert_eq!(shown, expected, "{sql} of {input:?}");
    }
}

fn column(number: i16, name: &str, ty: TypeRef, not_null: bool) -> Column {
    let name = name.to_owned();
    let (default, identity, generated, missing, comment) = (None, None, None, None, None);
    Column { number, name, ty, not_null, default, identity, generated, missing, dropped: false, comment }
}

/// A table of the given columns whose first `keys` columns are the primary key.
fn table(catalog: &mut CatalogSnapshot, oid: u32, name: &str, columns: &[(&str, TypeRef)], keys: i16) {
    let primary = Oid(oid + 1);
    let stored = |n: &i16| *n > keys || columns[*n as usize - 1].1.oid == Oid::NUMERIC;
    let numbers = 1..=columns.len() as i16;
    let descriptor = TableDescriptor {
        oid: Oid(oid),
        database: DATABASE,
        name: name.into(),
        schema: PUBLIC,
        owner: OWNER,
        storage_id: u64::from(oid),
        persistence: Persistence::Permanent,
        columns: numbers
            .clone()
            .map(|n| column(n, columns[n as usize - 1].0, columns[n as usize - 1].1, n <= keys))
            .collect(),
        primary_key: if keys > 0 { primary } else { Oid::NONE },
        key_columns: (1..=keys).collect(),
        layouts: vec![RowLayout { id: 1, columns: numbers.filter(stored).collect() }],
        next_index_number: 1,
        checks: vec![],
        foreign_keys: vec![],
        acl: None,
        options: vec![],
        comment: None,
    };
    catalog.put(Descriptor::Table(descriptor));
    if keys > 0 {
        let key =
            |column| sql::catalog::IndexColumn { column, expr: None, descending: false, nulls_first: false };
        catalog.put(Descriptor::Index(IndexDescriptor {
            oid: primary,
            database: DATABASE,
            name: format!("{name}_pkey"),
            schema: PUBLIC,
            table: Oid(oid),
            number: 0,
            columns: (1..=keys).map(key).collect(),
            include: vec![],
            unique: true,
            primary: true,
            constraint: primary,
            predicate: None,
            state: IndexState::Public,
            comment: None,
        }));
    }
}

fn tables() -> CatalogSnapshot {
    let mut catalog = CatalogSnapshot::default();
    catalog.database = DATABASE;
    let schema =
        SchemaDescriptor { oid: PUBLIC, database: DATABASE, name: "public".into(), owner: OWNER, acl: None };
    catalog.put(Descriptor::Schema(schema));
    let of = TypeRef::of;
    let money = of(Oid::NUMERIC).with_typmod(((15 << 16) | 2) + 4);
    table(
        &mut catalog,
        20_000,
        "t",
        &[("a", of(Oid::INT4)), ("b", of(Oid::TEXT)), ("c", of(Oid::NUMERIC))],
        0,
    );
    table(&mut catalog, 20_010, "u", &[("a", of(Oid::INT4)), ("b", of(Oid::TEXT))], 1);
    table(&mut catalog, 20_020, "child", &[("id", of(Oid::INT4)), ("parent", of(Oid::INT4))], 1);
    table(&mut catalog, 20_030, "tree", &[("id", of(Oid::INT4)), ("up", of(Oid::INT4))], 1);
    let text = of(Oid::TEXT);
    let lineitem = [
        ("l_orderkey", of(Oid::INT8)),
        ("l_linenumber", of(Oid::INT4)),
        ("l_partkey", of(Oid::INT8)),
        ("l_suppkey", of(Oid::INT8)),
        ("l_quantity", money),
        ("l_extendedprice", money),
        ("l_discount", money),
        ("l_tax", money),
        ("l_returnflag", text),
        ("l_linestatus", text),
        ("l_shipdate", of(Oid::DATE)),
        ("l_commitdate", of(Oid::DATE)),
        ("l_receiptdate", of(Oid::DATE)),
        ("l_shipinstruct", text),
        ("l_shipmode", text),
        ("l_comment", text),
    ];
    table(&mut catalog, 20_040, "lineitem", &lineitem, 2);
    computed(&mut catalog, "k");
    reference(&mut catalog, Oid(20_020), Oid(20_010));
    reference(&mut catalog, Oid(20_030), Oid(20_030));
    catalog
}

/// `(a int, b text default 'none', g int generated always as (a * 2) stored, check (a < 100))`.
fn computed(catalog: &mut CatalogSnapshot, name: &str) {
    let int = TypeRef::of(Oid::INT4);
    table(catalog, 20_050, name, &[("a", int), ("b", TypeRef::of(Oid::TEXT)), ("g", int)], 0);
    let mut table = catalog.table(Oid(20_050)).unwrap().clone();
    table.columns[1].default = Some("'none'".into());
    table.columns[2].generated = Some("a * 2".into());
    table.checks.push(sql::catalog::CheckConstraint {
        oid: Oid(20_055),
        name: "k_a_check".into(),
        expr: "a < 100".into(),
        not_valid: false,
    });
    catalog.put(Descriptor::Table(table));
}

/// The second column of `child` refers to the primary key of `parent`.
fn reference(catalog: &mut CatalogSnapshot, child: Oid, parent: Oid) {
    let mut table = catalog.table(child).unwrap().clone();
    table.foreign_keys.push(ForeignKey {
        oid: Oid(child.0 + 5),
        name: format!("{}_fkey", table.name),
        columns: vec![2],
        referenced_table: parent,
        referenced_index: Oid(parent.0 + 1),
        referenced_columns: vec![1],
        on_delete: ReferentialAction::NoAction,
        on_update: ReferentialAction::NoAction,
        match_full: false,
        not_valid: false,
        deferrable: false,
        initially_deferred: false,
    });
    catalog.put(Descriptor::Table(table));
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}

#[test]
fn rows_come_back_in_every_format_and_cut() {
    run(async {
        let input = "1\ta\\tb\t1.50\n2\t\\N\t\\N\n-3\t\t0\n";
        for at in 0..=input.len() {
            let world = World::start().await;
            let (head, tail) = input.as_bytes().split_at(at);
            assert_eq!(world.copy_in("copy t from stdin", &[head, tail]).await.unwrap(), 3);
            let (text, messages, rows) = world.copy_out("copy t to stdout").await.unwrap();
            assert_eq!((String::from_utf8(text).unwrap().as_str(), messages, rows), (input, 3, 3));
            if at % 9 > 0 {
                continue;
            }
            let (csv, ..) = world
                .copy_out("copy t (c, b) to stdout (format csv, header, force_quote (c))")
                .await
                .unwrap();
            assert_eq!(String::from_utf8(csv).unwrap(), "c,b\n\"1.50\",a\tb\n,\n\"0\",\"\"\n");
            let (binary, messages, _) = world.copy_out("copy t to stdout binary").await.unwrap();
            assert_eq!(messages, 4);
            let other = World::start().await;
            let (head, tail) = binary.split_at(at + 7);
            assert_eq!(other.copy_in("copy t from stdin binary", &[head, tail]).await.unwrap(), 3);
            let (text, ..) = other.copy_out("copy t to stdout").await.unwrap();
            assert_eq!(String::from_utf8(text).unwrap(), input);
        }
    });
}

/// Answers of PostgreSQL 15.
#[test]
fn errors_name_line_and_column() {
    run(async {
        let w = World::start().await;
        let t = "copy t from stdin";
        w.refuses(t, "1\n", "22P04: missing data for column \"b\" | COPY t, line 1: \"1\"").await;
        w.refuses(
            t,
            "1\ta\t2\t3\n",
            "22P04: extra data after last expected column | COPY t, line 1: \"1\ta\t2\t3\"",
        )
        .await;
        w.refuses(
            t,
            "1\ta\t2\nx\ta\t2\n",
            "22P02: invalid input syntax for type integer: \"x\" | COPY t, line 2, column a: \"x\"",
        )
        .await;
        w.refuses(
            "copy t (a,b) from stdin csv",
            "1,\"a\n",
            "22P04: unterminated CSV quoted field | COPY t, line 1: \"1,\"a\n\"",
        )
        .await;
        let header = "copy t (a,b) from stdin (format csv, header match)";
        w.refuses(header, "a,c\n", "22P04: column name mismatch in header line field 2: got \"c\", expected \"b\" | COPY t, line 1: \"a,c\"").await;
        w.refuses(
            header,
            "a\n",
            "22P04: wrong number of fields in header line: got 1, expected 2 | COPY t, line 1: \"a\"",
        )
        .await;
        w.refuses(header, ",b\n", "22P04: column name mismatch in header line field 1: got null value (\"\"), expected \"a\" | COPY t, line 1: \",b\"").await;
        w.refuses("copy u from stdin", "\\N\tx\n", "23502: null value in column \"a\" of relation \"u\" violates not-null constraint | Failing row contains (null, x). | COPY u, line 1: \"\\N\tx\"").await;
        w.refuses("copy u from stdin", "1\ta\n2\tb\n1\tc\n", "23505: duplicate key value violates unique constraint \"u_pkey\" | Key (a)=(1) already exists. | COPY u, line 3").await;
        assert_eq!(w.copy_in("copy u from stdin", &[b"7\ta\n5\tb\n"]).await.unwrap(), 2);
        w.refuses("copy u from stdin", "6\ta\n7\tb\n", "23505: duplicate key value violates unique constraint \"u_pkey\" | Key (a)=(7) already exists. | COPY u, line 2").await;
        w.refuses("copy nosuch from stdin", "", "42P01: relation \"nosuch\" does not exist").await;
        w.refuses("copy u (zz) from stdin", "", "42703: column \"zz\" of relation \"u\" does not exist")
            .await;
        w.refuses("copy u (a, a) from stdin", "", "42701: column \"a\" specified more than once").await;
        w.refuses(
            "copy u (a) from stdin (format csv, force_null (b))",
            "",
            "42P10: FORCE_NULL column \"b\" not referenced by COPY",
        )
        .await;
        w.refuses("copy u_pkey from stdin", "", "42809: \"u_pkey\" is an index").await;
    });
}

#[test]
fn foreign_keys_hold() {
    run(async {
        let w = World::start().await;
        w.copy_in("copy u from stdin", &[b"1\ta\n2\tb\n"]).await.unwrap();
        assert_eq!(w.copy_in("copy child from stdin", &[b"1\t1\n2\t1\n3\t2\n4\t\\N\n"]).await.unwrap(), 4);
        let missing = "23503: insert or update on table \"child\" violates foreign key constraint \"child_fkey\" | Key (parent)=(3) is not present in table \"u\".";
        w.refuses("copy child from stdin", "5\t1\n6\t3\n", missing).await;
        // A row may come before the one that it refers to.
        assert_eq!(w.copy_in("copy tree from stdin", &[b"1\t2\n2\t\\N\n3\t3\n"]).await.unwrap(), 3);
        let missing = "23503: insert or update on table \"tree\" violates foreign key constraint \"tree_fkey\" | Key (up)=(9) is not present in table \"tree\".";
        w.refuses("copy tree from stdin", "4\t9\n", missing).await;
    });
}

#[test]
fn forced_nulls() {
    run(async {
        let w = World::start().await;
        let sql = "copy t (a, b) from stdin (format csv, null 'N', force_null (b))";
        w.copy_in(sql, &[b"1,N\n2,\"N\"\n3,x\n"]).await.unwrap();
        let sql = "copy t (a, b) from stdin (format csv, null 'N', force_not_null (b))";
        w.copy_in(sql, &[b"4,N\n"]).await.unwrap();
        let (out, ..) = w.copy_out("copy t (a, b) to stdout (null '-')").await.unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "1\t-\n2\t-\n3\tx\n4\tN\n");
    });
}

/// Answers of PostgreSQL 15.
#[test]
fn defaults_checks_generated_columns_and_where() {
    run(async {
        let w = World::start().await;
        assert_eq!(w.copy_in("copy k (a) from stdin where a > 1", &[b"1\n2\n3\n"]).await.unwrap(), 2);
        assert_eq!(w.copy_in("copy k from stdin", &[b"4\tx\n"]).await.unwrap(), 1);
        let (out, ..) = w.copy_out("copy k to stdout").await.unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "2\tnone\n3\tnone\n4\tx\n");
        let (out, _, rows) =
            w.copy_out("copy (select g, a from k where a > 2) to stdout csv header").await.unwrap();
        assert_eq!((String::from_utf8(out).unwrap().as_str(), rows), ("g,a\n6,3\n8,4\n", 2));
        w.refuses("copy k from stdin", "1\tx\n200\tb\n", "23514: new row for relation \"k\" violates check constraint \"k_a_check\" | Failing row contains (200, b, 400). | COPY k, line 2: \"200\tb\"").await;
        w.refuses(
            "copy k (g) from stdin",
            "",
            "42P10: column \"g\" is a generated column | Generated columns cannot be used in COPY.",
        )
        .await;
        w.refuses("copy k from stdin where g > 1", "", "42P10: generated columns are not supported in COPY FROM WHERE conditions | Column \"g\" is a generated column.").await;
        w.refuses("copy k from stdin where nosuch > 1", "", "42703: column \"nosuch\" does not exist").await;
        w.refuses(
            "copy k from stdin where a",
            "",
            "42804: argument of WHERE must be type boolean, not type integer",
        )
        .await;
    });
}

/// Rows a second of one client; the figure is printed, the rows are counted.
#[expect(clippy::print_stdout, reason = "a measurement prints its figures")]
#[test]
fn lineitem_comes_in_fast() {
    run(async {
        let rows = 200_000u32;
        let mut input = String::new();
        for i in 0..rows {
            let (order, line) = (i / 4 + 1, i % 4 + 1);
            writeln!(
                input,
                "{order}\t{line}\t{}\t{}\t{}.00\t{}.{:02}\t0.0{}\t0.0{}\tN\tO\t1996-03-13\t1996-02-12\t1996-03-22\tDELIVER IN PERSON\tTRUCK\tegular courts above the {i}",
                i * 7 % 200_000, i % 10_000, i % 50 + 1, i % 100_000 + 900, i % 100, i % 10, i % 9
            )
            .unwrap();
        }
        let w = World::start().await;
        let plan_only = std::time::Instant::now();
        let mut txn = TxnHandle::new(TxnOptions::default(), w.catalog.clone());
        let chunks: Vec<&[u8]> = input.as_bytes().chunks(64 << 10).collect();
        let copied = w.copy_in_txn(&mut txn, "copy lineitem from stdin", &chunks).await.unwrap();
        let staged = plan_only.elapsed();
        txn.commit(&w.node).await.unwrap();
        let committed = plan_only.elapsed();
        assert_eq!(copied, u64::from(rows));
        let out = std::time::Instant::now();
        let (text, ..) = w.copy_out("copy lineitem to stdout").await.unwrap();
        let sent = out.elapsed();
        assert!(text.len() >= input.len(), "{} of {}", text.len(), input.len());
        let rate = |time: std::time::Duration| f64::from(rows) / time.as_secs_f64() / 1000.0;
        println!(
            "COPY lineitem: {:.0} k rows/s into the transaction, {:.0} k with commit, {:.0} k rows/s out",
            rate(staged),
            rate(committed),
            rate(sent)
        );
    });
}
