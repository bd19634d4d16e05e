//! The engine on RocksDB: one database a node for all ranges, no write-ahead log of its own.
//!
//! - `store` opens the database: column families `data`, `intent` and `meta` (apply states); it owns
//!   the FORMAT file and turns RocksDB's errors into ours. `options` sizes it.
//! - A turn of the apply loop is one RocksDB batch, apply states included, and flushes are atomic
//!   over the three families: after a crash the files hold a prefix of the turns. `persisted` reads
//!   `meta` past the memtables.
//! - `read` has snapshots and cursors. Every apply publishes a `View`, so that taking a snapshot is
//!   a pointer copy; point reads reuse pooled cursors.
//! - `pinned` holds the only unsafe code: cursors and snapshots that keep the database open.
//! - `gc` drops covered versions while RocksDB compacts.
//!
//! A full disk: `apply` and `checkpoint` answer `Error::DiskFull` and have applied nothing. RocksDB
//! looks for room every few seconds; once there is as much as the largest memtable, the same call
//! succeeds. Nobody has to restart the engine.
//!
//! Locks, in order: `writer`, then `current`; pool slots are only ever tried.

mod gc;
mod options;
mod pinned;
mod read;
mod store;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::{ApplyState, Engine, Iter, Op, RangeId, Snapshot, Space, Span, WriteBatch};
use crate::{Error, Result, Ts};
pub use options::LsmOptions;
pub use read::{LsmIter, LsmSnapshot};
use read::{Shared, View};
use store::{Family, Store};

/// Below this estimate `approx_bytes` counts entries, because RocksDB's estimate sees files only.
const ESTIMATE_TRUSTED_FROM: u64 = 1 << 20;
/// Entries `approx_bytes` counts at most: about a millisecond.
const COUNT_AT_MOST: usize = 10_000;

/// See the module header. Dropping it flushes what is in memory; the database closes when the last
/// snapshot and cursor are gone too.
pub struct LsmEngine {
    /// Held over every change of the database, so that views are published in order.
    writer: Mutex<()>,
    current: RwLock<Arc<View>>,
    shared: Arc<Shared>,
    store: Arc<Store>,
    safe_point: Arc<AtomicU64>,
}

impl LsmEngine {
    /// Opens or creates the database in `dir`. Refuses a directory that a newer version wrote.
    pub fn open(dir: &Path, options: &LsmOptions) -> Result<LsmEngine> {
        let safe_point = Arc::new(AtomicU64::new(0));
        let store = Arc::new(Store::open(dir, options, &safe_point)?);
        let shared = Arc::new(Shared::new(store.clone()));
        let current = RwLock::new(Arc::new(View::take(&shared)));
        Ok(LsmEngine { writer: Mutex::new(()), current, shared, store, safe_point })
    }

    /// Compacts the whole data space now, which also collects garbage below the safe point. Blocks;
    /// for tests and administration.
    pub fn compact(&self) {
        self.store.compact();
    }

    /// Runs a change of the database and publishes the view that shows it.
    fn change(&self, change: impl FnOnce(&Store) -> Result<()>) -> Result<()> {
        let _writer = self.writer.lock();
        self.shared.begin_change();
        let changed = change(&self.store);
        let view = Arc::new(View::take(&self.shared));
        // The old view goes after the lock: its end is a call into RocksDB.
        let old = std::mem::replace(&mut *self.current.write(), view);
        drop(old);
        changed
    }

    fn view(&self) -> Arc<View> {
        self.current.read().clone()
    }

    /// The bytes of at most `COUNT_AT_MOST` entries of a span.
    fn count_bytes(&self, span: &Span) -> Result<u64> {
        let mut iter = self.snapshot().iter(Space::Data, span)?;
        let mut bytes = 0;
        let mut more = iter.seek_ge(&span.lo)?;
        for _ in 0..COUNT_AT_MOST {
            if !more {
                break;
            }
            bytes += (iter.key().len() + iter.value().len()) as u64;
            more = iter.next()?;
        }
        Ok(bytes)
    }
}

impl Engine for LsmEngine {
    type Snap = LsmSnapshot;

    fn ranges(&self) -> Result<Vec<(RangeId, ApplyState)>> {
        self.view().states()
    }

    fn apply(&self, turn: &[(RangeId, &WriteBatch, ApplyState)]) -> Result<()> {
        self.change(|store| {
            let mut batch = rocksdb::WriteBatch::default();
            for (at, (range, effects, state)) in turn.iter().enumerate() {
                for op in effects.iter() {
                    push_op(store, &mut batch, turn, op)?;
                }
                // One atom: of a run of batches of one range only the last state is ever seen.
                if turn.get(at + 1).is_none_or(|(next, _, _)| next != range) {
                    batch.put_cf(
                        store.family(Family::Meta),
                        store::range_key(*range),
                        store::encode_state(*state),
                    );
                }
            }
            store.write(batch)
        })
    }

    fn snapshot(&self) -> LsmSnapshot {
        LsmSnapshot::new(self.view())
    }

    fn persisted(&self, range: RangeId) -> Result<Option<ApplyState>> {
        self.store.persisted(range)
    }

    fn checkpoint(&self) -> Result<()> {
        self.store.flush()?;
        // An idle cursor would hold on to the memtables that the flush has just replaced.
        self.shared.forget_cursors();
        Ok(())
    }

    /// The file's versions become durable here, the apply state with the next checkpoint: after a
    /// crash between the two the raft log brings the same file again, and the same keys and values
    /// are added once more.
    fn ingest(&self, range: RangeId, file: &Path, state: ApplyState) -> Result<()> {
        let sorted = self.store.build_table(file)?;
        self.change(|store| {
            if let Some(table) = sorted {
                store.ingest(table)?;
            }
            let mut batch = rocksdb::WriteBatch::default();
            batch.put_cf(store.family(Family::Meta), store::range_key(range), store::encode_state(state));
            store.write(batch)
        })
    }

    /// From file sizes; spans below 1 MiB by counting at most 10,000 entries.
    fn approx_bytes(&self, span: &Span) -> Result<u64> {
        let files = self.store.approx_file_bytes(span)?;
        if files >= ESTIMATE_TRUSTED_FROM {
            return Ok(files);
        }
        Ok(files.max(self.count_bytes(span)?))
    }

    fn set_gc_safe_point(&self, safe_point: Ts) {
        self.safe_point.fetch_max(safe_point.0, Ordering::Relaxed);
    }

    fn dirty_bytes(&self) -> u64 {
        self.store.memtable_bytes()
    }
}

/// Adds one effect to a batch.
fn push_op(
    store: &Store,
    out: &mut rocksdb::WriteBatch,
    turn: &[(RangeId, &WriteBatch, ApplyState)],
    op: Op<'_>,
) -> Result<()> {
    match op {
        Op::Put { space, key, value } => out.put_cf(store.family(space.into()), key, value),
        Op::Delete { space, key } => out.delete_cf(store.family(space.into()), key),
        Op::DeleteRange { space, lo, hi: [] } => {
            let last = last_key(store, turn, space)?;
            if let Some(mut end) = last.filter(|last| last[..] >= *lo) {
                end.push(0);
                out.delete_range_cf(store.family(space.into()), lo, &end);
            }
        }
        Op::DeleteRange { space, lo, hi } if lo < hi => {
            out.delete_range_cf(store.family(space.into()), lo, hi);
        }
        Op::DeleteRange { .. } => {}
    }
    Ok(())
}

/// The last key a delete range without upper bound can meet: RocksDB needs a bound. Keys put earlier
/// in the same turn are not in the database yet.
fn last_key(
    store: &Store,
    turn: &[(RangeId, &WriteBatch, ApplyState)],
    wanted: Space,
) -> Result<Option<Vec<u8>>> {
    let puts = turn.iter().flat_map(|(_, batch, _)| batch.iter()).filter_map(|op| match op {
        Op::Put { space, key, .. } if space == wanted => Some(key.to_vec()),
        _ => None,
    });
    Ok(puts.max().max(store.last_key(wanted)?))
}

impl From<Space> for Family {
    fn from(space: Space) -> Family {
        match space {
            Space::Data => Family::Data,
            Space::Intent => Family::Intent,
        }
    }
}

/// Turns an error of RocksDB into ours. RocksDB tells a full disk by its message alone.
fn error(dir: &Path, op: &'static str, e: rocksdb::Error) -> Error {
    let path = PathBuf::from(dir);
    match e.kind() {
        rocksdb::ErrorKind::Incomplete => Error::WouldBlock,
        rocksdb::ErrorKind::Corruption => Error::Corruption { path, what: e.into_string() },
        _ if e.as_ref().contains("No space left on device") => Error::DiskFull { op, path },
        _ if e.as_ref().contains("While lock file")
            || e.as_ref().contains("lock hold by current process") =>
        {
            Error::InUse { path }
        }
        rocksdb::ErrorKind::IOError => Error::Io { op, path, source: std::io::Error::other(e.into_string()) },
        _ => Error::Engine(e.into_string()),
    }
}
