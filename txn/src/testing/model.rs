//! Random transactions against a serial reference.
//!
//! Clients are futures, polled one at a time in an order that a seed chooses; proposals are applied, row
//! locks lost and large transactions resolved between the steps. Afterwards every read that was
//! answered is compared with the commits replayed in timestamp order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use storage::Ts;

use super::TestNode;
use crate::{
    Direction, Error, Isolation, Key, KvBlock, Limits, LockMode, Span, Transaction, TxnDb, TxnOptions,
    WaitPolicy,
};

const KEYS: usize = 6;
const CLIENTS: usize = 4;
const TXNS: usize = 6;

type Row = Option<Bytes>;
type State = BTreeMap<Key, Row>;

/// A read that was answered: the row of a key at a snapshot.
struct Read {
    ts: Ts,
    key: Key,
    row: Row,
}

struct Committed {
    ts: Ts,
    writes: State,
    /// What locks showed of keys that had to stay so until the commit.
    locked: State,
}

#[derive(Default)]
struct History {
    reads: Vec<Read>,
    committed: Vec<Committed>,
    conflicts: usize,
    deadlocks: usize,
    duplicates: usize,
}

#[test]
fn random_transactions_agree_with_a_serial_reference() {
    let mut total = History::default();
    let (mut commits, mut large) = (0, 0);
    let (mut runs, seeds) = match std::env::var("SEED").ok().and_then(|seed| seed.parse::<u64>().ok()) {
        Some(seed) => (0, seed..seed + 1),
        None => (0, 0..600),
    };
    for seed in seeds {
        let (history, large_commits) = run(seed);
        commits += history.committed.len();
        large += large_commits;
        total.conflicts += history.conflicts;
        total.deadlocks += history.deadlocks;
        total.duplicates += history.duplicates;
        total.reads.extend(history.reads);
        runs += 1;
    }
    let done = CLIENTS * TXNS * runs;
    eprintln!(
        "{runs} seeds: {commits} commits ({large} large), {} reads, {} conflicts, {} deadlocks, {} duplicates",
        total.reads.len(),
        total.conflicts,
        total.deadlocks,
        total.duplicates
    );
    if runs > 1 {
        assert!(commits * 10 > done * 3, "fewer than three of ten commit: the test shows little");
        assert!(total.conflicts > 0 && total.deadlocks > 0 && total.duplicates > 0 && large > 100);
    }
}

fn run(seed: u64) -> (History, usize) {
    let mut rng = StdRng::seed_from_u64(seed);
    let limits = Limits {
        cache_bytes: [0, 1 << 18, 1 << 22][rng.random_range(0..3)],
        buffer_bytes: [1 << 20, 150, 150][rng.random_range(0..3)],
        chunk_bytes: 64,
        ..Limits::default()
    };
    let loses_locks = rng.random_bool(0.3);
    let (node, db) = TestNode::start(&limits);
    let history = Arc::new(Mutex::new(History::default()));
    node.hold(true);
    let mut clients: Vec<BoxFuture<'static, ()>> = (0..CLIENTS)
        .map(|_| client(db.clone(), StdRng::seed_from_u64(rng.random()), history.clone()).boxed())
        .collect();
    let mut steps = 0;
    while !clients.is_empty() {
        match rng.random_range(0..100) {
            0..75 => {
                let at = rng.random_range(0..clients.len());
                if (&mut clients[at]).now_or_never().is_some() {
                    drop(clients.remove(at));
                }
            }
            75..97 => drop(node.apply_nth(rng.random_range(0..4))),
            97 if loses_locks => node.participant.locks.forget_all(),
            _ => {
                node.hold(false);
                node.run_jobs();
                node.hold(true);
            }
        }
        steps += 1;
        assert!(steps < 100_000, "seed {seed}: nobody gets on");
    }
    node.hold(false);
    node.run_jobs();
    let gauges = db.gauges();
    assert_eq!((gauges.waiting_txns, gauges.inflight_keys, gauges.large_txns), (0, 0, 0), "seed {seed}");
    if !loses_locks {
        assert_eq!(gauges.locked_keys, 0, "seed {seed}");
    }
    let history = std::mem::take(&mut *history.lock());
    check(seed, &history, &db);
    let (_, again) = TestNode::restart(node.engine.clone(), &limits, node.last_ts());
    check(seed, &history, &again);
    (history, db.metrics().large_commits as usize)
}

/// Replays the commits in timestamp order and compares.
fn check(seed: u64, history: &History, db: &Arc<TxnDb>) {
    let mut commits: Vec<&Committed> = history.committed.iter().collect();
    commits.sort_by_key(|commit| commit.ts);
    let state_at = |ts: Ts| {
        let mut state = State::new();
        for commit in commits.iter().take_while(|commit| commit.ts <= ts) {
            state.extend(commit.writes.clone());
        }
        state
    };
    for pair in commits.windows(2) {
        assert!(pair[0].ts < pair[1].ts, "seed {seed}: two commits at one timestamp");
    }
    for read in &history.reads {
        let row = state_at(read.ts).remove(&read.key).flatten();
        assert_eq!(read.row, row, "seed {seed}: {:?} at {}", read.key, read.ts.0);
    }
    for commit in &commits {
        let before = state_at(commit.ts.prev());
        for (key, row) in &commit.locked {
            let was = before.get(key).cloned().flatten();
            assert_eq!(*row, was, "seed {seed}: lost update of {key:?} at {}", commit.ts.0);
        }
    }
    let now: Vec<(Key, Bytes)> =
        state_at(Ts::MAX).into_iter().filter_map(|(key, row)| Some((key, row?))).collect();
    let view = db.view(db.snapshot_ts());
    assert_eq!(futures::executor::block_on(scan(&view, Direction::Forward)), now, "seed {seed}");
}

async fn scan(view: &crate::ReadView, direction: Direction) -> Vec<(Key, Bytes)> {
    let mut scan = view.scan(Span { lo: b"k".to_vec(), hi: b"l".to_vec() }, direction);
    let (mut block, mut rows) = (KvBlock::new(), vec![]);
    while scan.next_block(2, 1 << 20, &mut block).await.expect("memory does not fail") {
        for (key, row) in block.iter() {
            rows.push((Key::copy_from_slice(key), Bytes::copy_from_slice(row)));
        }
        pause().await;
    }
    rows
}

/// Lets the scheduler choose somebody else.
async fn pause() {
    let mut paused = false;
    futures::future::poll_fn(|context| {
        context.waker().wake_by_ref();
        if std::mem::replace(&mut paused, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

async fn client(db: Arc<TxnDb>, mut rng: StdRng, history: Arc<Mutex<History>>) {
    for _ in 0..TXNS {
        let isolation =
            if rng.random_bool(0.5) { Isolation::RepeatableRead } else { Isolation::ReadCommitted };
        let mut run = Run {
            txn: db.begin(TxnOptions { isolation, ..TxnOptions::default() }),
            own: State::new(),
            locked: State::new(),
            history: history.clone(),
        };
        let mut outcome = Ok(());
        for _ in 0..rng.random_range(1..5) {
            pause().await;
            outcome = run.statement(&mut rng).await;
            if outcome.is_err() {
                break;
            }
        }
        let Run { txn, own, locked, .. } = run;
        let outcome = match outcome {
            Ok(()) if rng.random_bool(0.9) => txn.commit().await,
            Ok(()) => continue,
            Err(error) => Err(error),
        };
        let mut history = history.lock();
        match outcome {
            Ok(commit) => {
                let Some(ts) = commit.ts else { continue };
                history.committed.push(Committed { ts, writes: own, locked });
            }
            Err(Error::WriteConflict { .. }) => history.conflicts += 1,
            Err(Error::Deadlock { .. }) => history.deadlocks += 1,
            Err(Error::DuplicateKey { .. }) => history.duplicates += 1,
            Err(other) => panic!("{other}"),
        }
    }
}

struct Run {
    txn: Transaction,
    own: State,
    locked: State,
    history: Arc<Mutex<History>>,
}

impl Run {
    async fn statement(&mut self, rng: &mut StdRng) -> crate::Result<()> {
        let key = Key::from(format!("k{}", rng.random_range(0..KEYS)));
        let row = Bytes::from(format!("row {} of some length", rng.random::<u64>()));
        let ts = self.txn.start_statement();
        match rng.random_range(0..10) {
            0 => self.scan(ts, Direction::Forward).await,
            1 => self.scan(ts, Direction::Reverse).await,
            2 | 3 => self.get(ts, key).await?,
            4 => {
                // A subtransaction that fails.
                let savepoint = self.txn.savepoint();
                self.txn.put(key, row);
                self.txn.start_statement();
                self.txn.put(Key::from_static(b"k0"), Bytes::from_static(b"undone"));
                self.txn.spill_if_needed().await?;
                pause().await;
                self.txn.rollback_to(savepoint)?;
                self.txn.release(savepoint)?;
            }
            5 => {
                if self.txn.check_absent(&key).await? {
                    self.txn.insert(key.clone(), row.clone(), 1);
                    self.own.insert(key, Some(row));
                }
            }
            _ => self.update(rng, key, row).await?,
        }
        self.txn.spill_if_needed().await
    }

    async fn get(&mut self, ts: Ts, key: Key) -> crate::Result<()> {
        let row = self.txn.view().get(&key).await?;
        self.saw(ts, key, row);
        Ok(())
    }

    async fn scan(&mut self, ts: Ts, direction: Direction) {
        let view = self.txn.view();
        let rows = scan(&view, direction).await;
        let ordered = match direction {
            Direction::Forward => rows.is_sorted_by(|a, b| a.0 < b.0),
            Direction::Reverse => rows.is_sorted_by(|a, b| a.0 > b.0),
        };
        assert!(ordered, "scans are in order");
        let mut rows: BTreeMap<Key, Bytes> = rows.into_iter().collect();
        for key in (0..KEYS).map(|n| Key::from(format!("k{n}"))) {
            let row = rows.remove(&key);
            self.saw(ts, key, row);
        }
    }

    fn saw(&self, ts: Ts, key: Key, row: Row) {
        match self.own.get(&key) {
            Some(own) => assert_eq!(row, *own, "own write of {key:?}"),
            None => self.history.lock().reads.push(Read { ts, key, row }),
        }
    }

    /// Locks, or not, and writes or deletes.
    async fn update(&mut self, rng: &mut StdRng, key: Key, row: Bytes) -> crate::Result<()> {
        if rng.random_bool(0.8) {
            let wait = WaitPolicy::Wait { timeout: None };
            let locked = self.txn.lock(std::slice::from_ref(&key), LockMode::Update, wait).await?.remove(0);
            self.locked.entry(key.clone()).or_insert(locked.newest);
        }
        pause().await;
        if rng.random_bool(0.8) {
            self.txn.put(key.clone(), row.clone());
            self.own.insert(key, Some(row));
        } else {
            self.txn.delete(key.clone());
            self.own.insert(key, None);
        }
        Ok(())
    }
}
