//! The transactions of one node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use storage::Ts;
use storage::engine::{ReadMode, Snapshot};

use crate::backend::Backend;
use crate::key;
use crate::large::{self, resolve};
use crate::lock::TxnId;
use crate::metrics::TxnMetrics;
use crate::participant::cache::Newest;
use crate::participant::inflight::CommitSlot;
use crate::participant::{Participant, decode};
use crate::pins::Pins;
use crate::{Error, Limits, ReadView, Result, Transaction, TxnOptions};

/// The answer of the path that never waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    Found(Bytes),
    Absent,
    /// A commit at or below the snapshot is under way, or the row is not in the cache: ask `get`.
    Wait,
}

/// Begins transactions and reads. One a node.
pub struct TxnDb {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) participant: Arc<Participant>,
    pub(crate) limits: Limits,
    pub(crate) pins: Pins,
    next_txn: AtomicU64,
}

impl TxnDb {
    pub(crate) fn with_backend(
        backend: Arc<dyn Backend>,
        participant: Arc<Participant>,
        limits: Limits,
    ) -> Result<Arc<TxnDb>> {
        let (pins, next_txn) = (Pins::default(), AtomicU64::new(1));
        let db = Arc::new(TxnDb { backend, participant, limits, pins, next_txn });
        resolve::recover(&db)?;
        Ok(db)
    }

    /// The snapshot of a statement that begins now: at or above every acknowledged commit.
    pub fn snapshot_ts(&self) -> Ts {
        self.participant.snapshot_ts()
    }

    /// A view without own writes: reads of an autocommit statement. It does not hold old versions
    /// back, except while a scan of it is open: it is good for the garbage collector's age.
    pub fn view(self: &Arc<Self>, ts: Ts) -> ReadView {
        ReadView::new(self.clone(), ts, None)
    }

    pub fn begin(self: &Arc<Self>, options: TxnOptions) -> Transaction {
        let id = TxnId(self.next_txn.fetch_add(1, Relaxed));
        Transaction::new(self.clone(), id, options)
    }

    pub fn metrics(&self) -> TxnMetrics {
        self.participant.metrics.read()
    }

    /// Rows locked or waited for, transactions that wait, keys of commits under way.
    pub fn gauges(&self) -> Gauges {
        let participant = &self.participant;
        Gauges {
            locked_keys: participant.locks.len(),
            waiting_txns: participant.locks.waiting(),
            inflight_keys: participant.inflight.len(),
            large_txns: participant.large.len(),
        }
    }

    /// Lets the engine remove versions that nobody can read any more. To be called every few seconds.
    pub fn advance_gc(&self, wall_millis: u64) {
        let ttl = u64::try_from(self.limits.gc_ttl.as_millis()).unwrap_or(u64::MAX);
        let aged = Ts::from_millis(wall_millis.saturating_sub(ttl).min(self.snapshot_ts().millis()));
        let safe = self.pins.oldest().map_or(aged, |oldest| oldest.min(aged));
        // Readers test the floor after they have read: it must rise before versions can go.
        self.participant.raise_gc_floor(safe);
        self.backend.set_gc_safe_point(self.participant.gc_floor());
    }

    /// The path that never waits and allocates nothing: fence, in-flight check, row cache.
    pub(crate) fn lookup(&self, key: &[u8], ts: Ts) -> Lookup {
        let hash = key::hash(key);
        if self.participant.fence_key(hash, key, ts).is_some() {
            return Lookup::Wait;
        }
        match self.participant.cache.get(hash, key) {
            Some(Newest { ts: newest, row, .. }) if newest <= ts => row.map_or(Lookup::Absent, Lookup::Found),
            _ => Lookup::Wait,
        }
    }

    /// The version of `key` that a snapshot at `ts` sees; waits for commits and for the disk.
    pub(crate) async fn read(self: &Arc<Self>, key: &[u8], ts: Ts) -> Result<Newest> {
        let hash = key::hash(key);
        while let Some(commit) = self.participant.fence_key(hash, key, ts) {
            self.await_commit(&commit).await;
        }
        self.read_fenced(hash, key, ts).await
    }

    /// The newest committed version of `key`, after every commit of it that is under way now.
    pub(crate) async fn read_newest(self: &Arc<Self>, key: &[u8]) -> Result<Newest> {
        if let Some(commit) = self.participant.inflight.holder(key)
            && commit.ts().is_some()
        {
            self.await_commit(&commit).await;
        }
        while let Some(large) = self.participant.large.blocker(key, Ts::MAX) {
            self.await_commit(&large.slot).await;
        }
        self.read_fenced(key::hash(key), key, Ts::MAX).await
    }

    /// As `read`, for a caller that has fenced the key, or holds its latch.
    pub(crate) async fn read_fenced(self: &Arc<Self>, hash: u64, key: &[u8], ts: Ts) -> Result<Newest> {
        if let Some(newest) = self.participant.cache.get(hash, key)
            && newest.ts <= ts
        {
            return Ok(newest);
        }
        self.participant.metrics.cache_misses.add(1);
        match self.read_engine(hash, key, ts, ReadMode::CacheOnly) {
            Err(Error::Storage(storage::Error::WouldBlock)) => {
                let (db, key) = (self.clone(), key.to_vec());
                off_thread(move || db.read_engine(hash, &key, ts, ReadMode::Block)).await
            }
            answer => answer,
        }
    }

    /// Reads the engine, and remembers the key's newest version.
    pub(crate) fn read_engine(&self, hash: u64, key: &[u8], ts: Ts, mode: ReadMode) -> Result<Newest> {
        let ticket = self.participant.cache.ticket(hash);
        // The list before the snapshot: what is resolved in between is in the data space.
        let unresolved = self.participant.large.unresolved(Ts::MAX);
        let snapshot = self.backend.snapshot();
        let read = |at| {
            let newest = match snapshot.get_le_ts(key, at, mode)? {
                Some((ts, value)) => decode(ts, &value)?,
                None => Newest::NEVER,
            };
            large::newest(&unresolved, &snapshot, key, at, newest)
        };
        let newest = read(Ts::MAX)?;
        self.participant.cache.fill(hash, key, ticket, &newest);
        let seen = if newest.ts <= ts { newest } else { read(ts)? };
        self.check_age(ts)?;
        Ok(seen)
    }

    /// Fails if versions that a snapshot at `ts` needs may have been removed before now.
    pub(crate) fn check_age(&self, ts: Ts) -> Result<()> {
        if ts < self.participant.gc_floor() { Err(Error::SnapshotTooOld) } else { Ok(()) }
    }

    pub(crate) async fn await_commit(&self, commit: &Arc<CommitSlot>) {
        self.participant.metrics.read_waits.add(1);
        commit.ended().await;
    }
}

/// Numbers that rise and fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauges {
    pub locked_keys: usize,
    pub waiting_txns: usize,
    pub inflight_keys: usize,
    /// Large transactions that are open, or committed and not resolved.
    pub large_txns: usize,
}

/// Runs work that may wait for the disk away from the threads of the network. Without a runtime (a
/// thread of its own drives the future) it runs here.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => match runtime.spawn_blocking(work).await {
            Ok(answer) => answer,
            Err(failed) => Err(Error::Cluster(Box::new(failed))),
        },
        Err(_) => work(),
    }
}

/// Waits without holding a thread of the runtime, if there is one.
pub(crate) async fn pause(time: std::time::Duration) {
    match tokio::runtime::Handle::try_current() {
        Ok(_) => tokio::time::sleep(time).await,
        Err(_) => std::thread::sleep(time),
    }
}
