//! Large transactions and the end of the process: all of a transaction is there afterwards, or nothing.

use std::sync::Arc;

use futures::FutureExt;
use futures::executor::block_on;
use storage::engine::mem::MemEngine;

use super::TestNode;
use crate::{Direction, Key, KvBlock, Limits, LockMode, Span, Transaction, TxnDb, TxnOptions, WaitPolicy};

const ROWS: u32 = 500;

fn limits() -> Limits {
    Limits { buffer_bytes: 4 << 10, chunk_bytes: 1 << 10, ..Limits::default() }
}

fn key(n: u32) -> Key {
    let mut key = storage::key::table_prefix(7, 0);
    key.extend_from_slice(&n.to_be_bytes());
    Key::from(key)
}

/// Writes every row, as a statement of many blocks does.
fn write_all(db: &Arc<TxnDb>, row: &'static str) -> Transaction {
    let mut txn = db.begin(TxnOptions::default());
    txn.start_statement();
    for n in 0..ROWS {
        let wait = WaitPolicy::Wait { timeout: None };
        let locked = block_on(txn.lock(&[key(n)], LockMode::NoKeyUpdate, wait)).unwrap();
        assert!(!locked[0].skipped);
        txn.put(key(n), row.into());
        block_on(txn.spill_if_needed()).unwrap();
    }
    assert!(db.metrics().spilled_bytes > 0);
    txn
}

fn rows(db: &Arc<TxnDb>) -> Vec<String> {
    let table = storage::key::prefix_span(&storage::key::table_prefix(7, 0));
    let mut scan = db.view(db.snapshot_ts()).scan(Span { lo: table.lo, hi: table.hi }, Direction::Forward);
    let (mut block, mut rows) = (KvBlock::new(), vec![]);
    while block_on(scan.next_block(64, 1 << 20, &mut block)).unwrap() {
        rows.extend(block.iter().map(|(_, row)| String::from_utf8_lossy(row).into_owned()));
    }
    let by_get = |n| block_on(db.view(db.snapshot_ts()).get(&key(n))).unwrap();
    assert_eq!(by_get(3).map(|row| String::from_utf8_lossy(&row).into_owned()).as_ref(), rows.get(3));
    rows
}

fn all(row: &str) -> Vec<String> {
    vec![row.to_string(); ROWS as usize]
}

#[test]
fn a_large_transaction_is_seen_whole_before_and_after_its_resolution() {
    let (node, db) = TestNode::start(&limits());
    let first = write_all(&db, "one");
    assert_eq!(rows(&db), Vec::<String>::new());
    assert!(db.gauges().locked_keys < 100, "the area stands for the locks");
    block_on(first.commit()).unwrap();
    assert_eq!(rows(&db), all("one"));
    let second = write_all(&db, "two");
    assert_eq!(rows(&db), all("one"));
    block_on(second.commit()).unwrap();
    assert_eq!(rows(&db), all("two"));
    node.run_jobs();
    assert_eq!(db.gauges().large_txns, 0);
    assert_eq!(rows(&db), all("two"));
}

#[test]
fn a_crash_at_every_point_leaves_all_or_nothing() {
    // Every number of proposals that reach the engine: those of the spill, the record, the resolution.
    let (mut none, mut whole) = (0, 0);
    for survive in 0.. {
        let engine = MemEngine::new();
        let (node, db) = TestNode::restart(engine.clone(), &limits(), storage::Ts(100));
        let mut old = db.begin(TxnOptions::default());
        (0..ROWS).for_each(|n| old.put(key(n), "old".into()));
        block_on(old.commit()).unwrap();
        node.run_jobs();
        node.lose_after(survive);
        let committed = attempt(&db, &node);
        let finished = !node.is_lost();
        let (node, db) = TestNode::restart(engine, &limits(), node.last_ts());
        let after = rows(&db);
        if after == all("new") {
            whole += 1;
        } else {
            assert_eq!(after, all("old"), "after {survive} proposals");
            assert!(!committed, "an acknowledged commit is lost");
            none += 1;
        }
        node.run_jobs();
        assert_eq!((rows(&db), db.gauges().large_txns), (after, 0));
        assert_eq!(node.intents(), 0, "nothing stays behind");
        if finished {
            break;
        }
    }
    assert!(none > 10 && whole > 10, "{none} {whole}");
}

/// Writes all rows and commits; from the point where proposals get lost nothing answers any more.
fn attempt(db: &Arc<TxnDb>, node: &Arc<TestNode>) -> bool {
    let mut txn = db.begin(TxnOptions::default());
    txn.start_statement();
    for n in 0..ROWS {
        txn.put(key(n), "new".into());
        match txn.spill_if_needed().now_or_never() {
            Some(spilled) => spilled.unwrap(),
            None => {
                #[expect(clippy::disallowed_methods, reason = "a crash runs no destructor")]
                std::mem::forget(txn);
                return false;
            }
        }
    }
    let mut commit = Box::pin(txn.commit());
    let Some(outcome) = (&mut commit).now_or_never() else {
        #[expect(clippy::disallowed_methods, reason = "a crash runs no destructor")]
        std::mem::forget(commit);
        return false;
    };
    outcome.unwrap();
    node.run_jobs_until_lost();
    true
}

#[test]
fn a_rollback_leaves_nothing_and_lets_waiters_on() {
    let (node, db) = TestNode::start(&limits());
    let mut txn = write_all(&db, "never");
    let savepoint = txn.savepoint();
    txn.put(key(1), "undone".into());
    txn.rollback_to(savepoint).unwrap();
    let mut other = db.begin(TxnOptions::default());
    let nowait = block_on(other.lock(&[key(1)], LockMode::Update, WaitPolicy::NoWait));
    assert!(matches!(nowait, Err(crate::Error::LockNotAvailable { .. })));
    let keys = [key(1)];
    let wait = WaitPolicy::Wait { timeout: None };
    let mut waiting = Box::pin(other.lock(&keys, LockMode::Update, wait));
    assert!((&mut waiting).now_or_never().is_none());
    txn.rollback();
    assert_eq!((&mut waiting).now_or_never().unwrap().unwrap()[0].newest, None);
    node.run_jobs();
    assert_eq!((node.intents(), db.gauges().large_txns), (0, 0));
}

#[test]
fn a_small_commit_of_a_fenced_key_waits_and_then_loses() {
    let (node, db) = TestNode::start(&limits());
    let large = write_all(&db, "large");
    let mut blind = db.begin(TxnOptions::default());
    blind.insert(key(5), "small".into(), 9);
    let mut early = db.begin(TxnOptions::default());
    early.put(key(ROWS + 5), "beside".into());
    node.hold(true);
    let mut commit = Box::pin(large.commit());
    while (&mut commit).now_or_never().is_none() && db.participant.large.fenced().is_empty() {
        assert!(node.apply_next(), "it waits for its spill");
    }
    assert_eq!(node.held(), 1, "the record");
    let mut small = Box::pin(blind.commit());
    assert!((&mut small).now_or_never().is_none());
    let mut beside = Box::pin(early.commit());
    assert!((&mut beside).now_or_never().is_none(), "its proposal is held");
    node.hold(false);
    assert!((&mut beside).now_or_never().unwrap().is_ok());
    while (&mut commit).now_or_never().is_none() {}
    let duplicate = (&mut small).now_or_never().unwrap();
    assert!(matches!(duplicate, Err(crate::Error::DuplicateKey { constraint: 9, .. })), "{duplicate:?}");
}
