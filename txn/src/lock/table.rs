//! The locks of all keys, and who waits for whom.
//!
//! Locks and their order: `graph` before one shard. The graph is locked only by a transaction that
//! begins or ends to wait; a lock that is free is granted, and every lock is released, under its shard
//! alone.
//!
//! Deadlocks: an edge begins only under the graph's lock, and the search runs under the same lock. A
//! cycle it finds is real: its members wait on each other in a ring that ends at the searcher, which
//! holds what it holds, so no member of the ring can go on. A cycle it misses closes later, by the
//! enqueuing of a member that searches itself. The victim is the transaction whose wait closes the ring.

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

use super::queue::{Granted, KeyLock};
use super::{LockMode, TxnId};
use crate::error::DeadlockEdge;
use crate::key::{self, Key, Padded};
use crate::{Error, Result};

const SHARDS: usize = 256;

type Shard = Mutex<FxHashMap<Key, KeyLock>>;

/// What a transaction waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WaitOn {
    Key(Key),
    /// The end of a large transaction.
    Txn(TxnId),
}

struct Wait {
    on: WaitOn,
    label: u64,
}

pub(crate) struct LockTable {
    shards: Box<[Padded<Shard>]>,
    graph: Mutex<FxHashMap<TxnId, Wait>>,
}

/// The answer to a request that may wait.
pub(crate) enum Acquired {
    Now(Granted),
    /// Fires when the lock is granted.
    Later(oneshot::Receiver<()>),
}

impl LockTable {
    pub(crate) fn new() -> LockTable {
        LockTable { shards: key::shards(SHARDS), graph: Mutex::default() }
    }

    /// Grants a lock that nobody is in the way of.
    pub(crate) fn try_acquire(&self, txn: TxnId, key: &Key, mode: LockMode) -> Option<Granted> {
        let mut shard = self.shard(key).lock();
        match shard.get_mut(key) {
            Some(lock) => lock.try_acquire(txn, mode),
            None => shard.entry(key.clone()).or_default().try_acquire(txn, mode),
        }
    }

    /// Grants the lock or queues for it; fails if waiting would close a cycle.
    pub(crate) fn acquire(&self, txn: TxnId, label: u64, key: &Key, mode: LockMode) -> Result<Acquired> {
        let mut graph = self.graph.lock();
        let granted = {
            let mut shard = self.shard(key).lock();
            let lock = shard.entry(key.clone()).or_default();
            if let Some(now) = lock.try_acquire(txn, mode) {
                return Ok(Acquired::Now(now));
            }
            let (grant, granted) = oneshot::channel();
            lock.enqueue(txn, mode, grant);
            granted
        };
        graph.insert(txn, Wait { on: WaitOn::Key(key.clone()), label });
        if let Some(cycle) = self.find_cycle(&graph, txn) {
            graph.remove(&txn);
            self.change(key, |lock| lock.cancel(txn));
            return Err(Error::Deadlock { cycle });
        }
        Ok(Acquired::Later(granted))
    }

    /// Notes that `txn` waits for the end of `on`; fails if that closes a cycle.
    pub(crate) fn begin_wait(&self, txn: TxnId, label: u64, on: TxnId) -> Result<()> {
        let mut graph = self.graph.lock();
        graph.insert(txn, Wait { on: WaitOn::Txn(on), label });
        if let Some(cycle) = self.find_cycle(&graph, txn) {
            graph.remove(&txn);
            return Err(Error::Deadlock { cycle });
        }
        Ok(())
    }

    /// The transaction does not wait any more.
    pub(crate) fn end_wait(&self, txn: TxnId) {
        self.graph.lock().remove(&txn);
    }

    /// Gives up a wait. If the lock was granted meanwhile, it goes back to what was held before.
    pub(crate) fn cancel(&self, txn: TxnId, key: &Key, before: Option<LockMode>) {
        self.end_wait(txn);
        self.change(key, |lock| {
            if !lock.cancel(txn) {
                lock.release(txn, before);
            }
        });
    }

    /// Releases a lock, or takes it back to the weaker mode `to`.
    pub(crate) fn release(&self, txn: TxnId, key: &Key, to: Option<LockMode>) {
        self.change(key, |lock| lock.release(txn, to));
    }

    pub(crate) fn held(&self, txn: TxnId, key: &Key) -> Option<LockMode> {
        self.shard(key).lock().get(key)?.held(txn)
    }

    /// Forgets every lock, as the loss of a lease does. Waiters are let go: their receivers fail.
    pub(crate) fn forget_all(&self) {
        for Padded(shard) in &self.shards {
            shard.lock().clear();
        }
    }

    /// Keys that are locked or waited for.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.lock().len()).sum()
    }

    /// Transactions that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.graph.lock().len()
    }

    fn change<T>(&self, key: &Key, change: impl FnOnce(&mut KeyLock) -> T) -> Option<T> {
        let mut shard = self.shard(key).lock();
        let lock = shard.get_mut(key)?;
        let answer = change(lock);
        if lock.is_free() {
            shard.remove(key);
        }
        Some(answer)
    }

    fn shard(&self, key: &[u8]) -> &Shard {
        &self.shards[key::shard_of(key::hash(key), SHARDS)].0
    }

    /// The ring that `start` stands in, its edge first. Depth first over the waits in `graph`.
    fn find_cycle(&self, graph: &FxHashMap<TxnId, Wait>, start: TxnId) -> Option<Vec<DeadlockEdge>> {
        let mut reached_from: FxHashMap<TxnId, TxnId> = FxHashMap::default();
        let mut stack = vec![start];
        while let Some(txn) = stack.pop() {
            for blocker in self.blockers(graph, txn) {
                if blocker == start {
                    return Some(ring(graph, &reached_from, start, txn));
                }
                if graph.contains_key(&blocker) && !reached_from.contains_key(&blocker) {
                    reached_from.insert(blocker, txn);
                    stack.push(blocker);
                }
            }
        }
        None
    }

    fn blockers(&self, graph: &FxHashMap<TxnId, Wait>, txn: TxnId) -> Vec<TxnId> {
        match graph.get(&txn).map(|wait| &wait.on) {
            None => vec![],
            Some(WaitOn::Txn(on)) => vec![*on],
            Some(WaitOn::Key(key)) => {
                self.shard(key).lock().get(key).map_or(vec![], |lock| lock.blockers(txn))
            }
        }
    }
}

fn ring(
    graph: &FxHashMap<TxnId, Wait>,
    reached_from: &FxHashMap<TxnId, TxnId>,
    start: TxnId,
    last: TxnId,
) -> Vec<DeadlockEdge> {
    let mut members = vec![last];
    while *members.last().expect("never empty") != start {
        members.push(reached_from[members.last().expect("never empty")]);
    }
    members.reverse();
    let label = |txn: &TxnId| graph.get(txn).map_or(0, |wait| wait.label);
    let edge = |at: usize| DeadlockEdge {
        waiter: label(&members[at]),
        holder: label(&members[(at + 1) % members.len()]),
        key: match graph.get(&members[at]).map(|wait| &wait.on) {
            Some(WaitOn::Key(key)) => key.clone(),
            _ => Key::new(),
        },
    };
    (0..members.len()).map(edge).collect()
}

#[cfg(test)]
mod tests {
    use super::LockMode::Update;
    use super::*;

    fn key(text: &'static str) -> Key {
        Key::from_static(text.as_bytes())
    }

    fn hold(table: &LockTable, txn: u64, k: &'static str) {
        table.try_acquire(TxnId(txn), &key(k), Update).unwrap();
    }

    fn wait(table: &LockTable, txn: u64, k: &'static str) -> Result<Acquired> {
        table.acquire(TxnId(txn), txn * 10, &key(k), Update)
    }

    #[test]
    fn the_wait_that_closes_a_ring_fails_and_names_it() {
        let table = LockTable::new();
        for (txn, k) in [(1, "a"), (2, "b"), (3, "c")] {
            hold(&table, txn, k);
        }
        let first = wait(&table, 1, "b").unwrap();
        let second = wait(&table, 2, "c").unwrap();
        assert!(matches!((&first, &second), (Acquired::Later(_), Acquired::Later(_))));
        let Err(Error::Deadlock { cycle }) = wait(&table, 3, "a") else { panic!("a ring of three") };
        let edges: Vec<_> = cycle.iter().map(|edge| (edge.waiter, edge.holder, edge.key.clone())).collect();
        assert_eq!(edges, [(30, 10, key("a")), (10, 20, key("b")), (20, 30, key("c"))]);
        assert_eq!(table.waiting(), 2, "the victim does not wait");
        table.release(TxnId(3), &key("c"), None);
        let Acquired::Later(mut granted) = second else { panic!() };
        assert!(granted.try_recv().is_ok());
    }

    #[test]
    fn a_wait_for_a_large_transaction_is_an_edge_too() {
        let table = LockTable::new();
        hold(&table, 1, "a");
        table.begin_wait(TxnId(1), 1, TxnId(2)).unwrap();
        assert!(matches!(wait(&table, 2, "a"), Err(Error::Deadlock { .. })));
        table.end_wait(TxnId(1));
        assert!(matches!(wait(&table, 2, "a"), Ok(Acquired::Later(_))));
    }

    #[test]
    fn waiting_without_a_ring_is_no_deadlock_and_nothing_stays_behind() {
        let table = LockTable::new();
        hold(&table, 1, "a");
        hold(&table, 2, "b");
        let Ok(Acquired::Later(granted)) = wait(&table, 3, "a") else { panic!() };
        let Ok(Acquired::Later(_)) = wait(&table, 4, "b") else { panic!() };
        table.cancel(TxnId(4), &key("b"), None);
        table.release(TxnId(1), &key("a"), None);
        drop(granted);
        table.cancel(TxnId(3), &key("a"), None);
        table.release(TxnId(2), &key("b"), None);
        assert_eq!((table.len(), table.waiting()), (0, 0));
    }
}
