//! The half of transactions that lives where a range is led: what reads and commits of the range meet.
//!
//! Everything here is memory, rebuilt empty when the lease is gained with a floor above every read
//! served before. Per key, in the order a reader goes: `highwater` (raise), `inflight` (look), `cache`
//! (look), engine.
//!
//! Locks of the read and commit path, all short, sharded by key and never held across a wait:
//! 1. a shard of `inflight`, then under it (only in `applied`) a shard of `cache`;
//! 2. a shard of `crate::lock` (the graph of waits in front of it, only when somebody waits);
//! 3. a transaction's own write buffer.
//!
//! There is no lock that all transactions share; the one queue they meet in is the range's proposals.

pub(crate) mod cache;
pub(crate) mod highwater;
pub(crate) mod inflight;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use storage::Ts;
use storage::engine::{Op, RangeId, Space, Span, WriteBatch};
use storage::mvcc;

use crate::key::{self, Coverage, LOCAL_BYTE};
use crate::large::{LargeTxns, record};
use crate::lock::LockTable;
use crate::metrics::Metrics;
use crate::{Limits, Result};
use cache::{Newest, RowCache};
use highwater::HighWater;
use inflight::{CommitSlot, InFlight};

/// Batches with more operations than this refresh the row cache but do not fill it.
const CACHED_BATCH: usize = 256;

/// The one range of tables, until ranges split.
pub(crate) const RANGE: RangeId = cluster::keys::FIRST_DATA;

/// What the range's transactions share; see the module header. Hand it to the node as its handler.
pub struct Participant {
    pub(crate) highwater: HighWater,
    pub(crate) inflight: InFlight,
    pub(crate) cache: RowCache,
    pub(crate) locks: LockTable,
    pub(crate) large: LargeTxns,
    /// One large transaction commits at a time.
    pub(crate) large_commit: tokio::sync::Mutex<()>,
    pub(crate) metrics: Metrics,
    /// The newest commit timestamp applied here: at or above every acknowledged commit.
    applied: AtomicU64,
    /// Snapshots below it may miss versions.
    gc_floor: AtomicU64,
}

impl Participant {
    pub fn new(limits: &Limits) -> Arc<Participant> {
        Arc::new(Participant {
            highwater: HighWater::new(),
            inflight: InFlight::new(),
            cache: RowCache::new(limits.cache_bytes),
            locks: LockTable::new(),
            large: LargeTxns::default(),
            large_commit: tokio::sync::Mutex::default(),
            metrics: Metrics::default(),
            applied: AtomicU64::new(0),
            gc_floor: AtomicU64::new(0),
        })
    }

    /// A snapshot that sees every acknowledged commit. A commit at or below it that is not applied yet
    /// is in the in-flight map: it was published before its timestamp was taken, which was before this
    /// one was applied.
    pub(crate) fn snapshot_ts(&self) -> Ts {
        Ts(self.applied.load(SeqCst))
    }

    pub(crate) fn gc_floor(&self) -> Ts {
        Ts(self.gc_floor.load(SeqCst))
    }

    pub(crate) fn raise_gc_floor(&self, to: Ts) {
        self.gc_floor.fetch_max(to.0, SeqCst);
    }

    /// Fences a point read at `ts`; answers the commit that it has to wait for.
    pub(crate) fn fence_key(&self, hash: u64, key: &[u8], ts: Ts) -> Option<Arc<CommitSlot>> {
        self.highwater.raise_key(hash, ts);
        let large = || self.large.blocker(key, ts).map(|large| large.slot.clone());
        self.inflight.blocker(hash, key, ts).or_else(large)
    }

    /// Fences a scan at `ts`; answers the commits that it has to wait for.
    pub(crate) fn fence_span(&self, span: &Span, coverage: Coverage, ts: Ts) -> Vec<Arc<CommitSlot>> {
        self.highwater.raise_span(coverage, ts);
        let mut commits = self.inflight.blockers_in(span, coverage, ts);
        commits.extend(self.large.blockers_in(span, ts).into_iter().map(|large| large.slot.clone()));
        commits
    }

    /// The engine holds `batch`: makes it visible to readers here, before its proposer is woken.
    pub(crate) fn on_applied(&self, batch: &WriteBatch) {
        let small = batch.len() <= CACHED_BATCH;
        let mut ended: Vec<Arc<CommitSlot>> = Vec::new();
        let mut newest = Ts::ZERO;
        for op in batch.iter() {
            match op {
                Op::Put { space: Space::Data, key, value } if key.first() > Some(&LOCAL_BYTE) => {
                    let Ok((key, ts)) = mvcc::split(key) else { continue };
                    let publish = || self.cache.publish(key, || version(ts, value), small);
                    match self.inflight.finish(key, ts, publish) {
                        Some(slot) if ended.iter().any(|known| Arc::ptr_eq(known, &slot)) => {}
                        Some(slot) => ended.push(slot),
                        None => self.cache.invalidate(key),
                    }
                    newest = newest.max(ts);
                }
                Op::Put { space: Space::Data, key, value } => {
                    if let Some((slot, ts)) = self.record_applied(key, value) {
                        ended.push(slot);
                        newest = newest.max(ts);
                    }
                }
                Op::Delete { space: Space::Data, key } => {
                    if let Ok((key, _)) = mvcc::split(key) {
                        self.cache.invalidate(key);
                    }
                }
                Op::DeleteRange { space: Space::Data, lo, hi } => {
                    self.cache.forget(&[Span { lo: lo.to_vec(), hi: hi.to_vec() }]);
                }
                _ => {}
            }
        }
        self.applied.fetch_max(newest.0, SeqCst);
        for slot in ended {
            slot.end();
        }
    }

    /// A range-local key was written: if it is the record of a large transaction of this node, its
    /// writes are committed.
    fn record_applied(&self, key: &[u8], value: &[u8]) -> Option<(Arc<CommitSlot>, Ts)> {
        let (key, _) = mvcc::split(key).ok()?;
        let large = self.large.find(record::owner(RANGE, key)?)?;
        let record = record::read(mvcc::read_version(value).ok()?.row?).ok()?;
        self.large.commit_applied(large.id, record.ts, |spans| self.cache.forget(spans));
        Some((large.slot.clone(), record.ts))
    }

    /// The lease begins: no commit may land at or below `floor`, and every snapshot lies at or above it.
    pub(crate) fn on_lease_gained(&self, floor: Ts) {
        self.cache.forget(&[Span { lo: vec![], hi: vec![] }]);
        self.highwater.raise_floor(floor);
        self.applied.fetch_max(floor.0, SeqCst);
    }

    /// The lease is lost: nothing remembered here is true any more.
    pub(crate) fn on_lease_lost(&self) {
        self.locks.forget_all();
        self.cache.forget(&[Span { lo: vec![], hi: vec![] }]);
    }
}

fn version(ts: Ts, value: &[u8]) -> Newest {
    decode(ts, &storage::engine::Value::copy_from_slice(value)).unwrap_or(Newest::NEVER)
}

/// Reads the stored value of a version; the row shares its bytes.
pub(crate) fn decode(ts: Ts, value: &storage::engine::Value) -> Result<Newest> {
    let read = mvcc::read_version(value)?;
    let row = read.row.map(|row| value.slice_ref(row));
    Ok(Newest { ts, tag: read.tag, row })
}

/// What a fence needs to know of a key.
#[derive(Clone, Copy)]
pub(crate) struct KeyHash {
    pub(crate) key: u64,
    pub(crate) index: u64,
}

impl KeyHash {
    pub(crate) fn of(key: &[u8]) -> KeyHash {
        KeyHash { key: key::hash(key), index: key::hash(key::index_prefix(key)) }
    }
}
