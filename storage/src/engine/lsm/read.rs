//! Snapshots and cursors.
//!
//! A `View` is the database after a certain number of changes (its version). Point reads use cursors
//! from a pool, one slot a thread: making a cursor costs as much as the seek itself. A pooled cursor
//! is used for a view only when it shows exactly that version:
//! - it was made for or brought to the same version, or
//! - it is refreshed to the newest state, and `started` says before and after the refresh that no
//!   change behind the view's version has begun. A change raises `started` before it touches the
//!   database, so nothing newer can be in sight then.
//!
//! Otherwise a cursor is made from the view's snapshot.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};
use rocksdb::{ReadOptions, ReadTier};

use super::super::{ApplyState, Iter, RangeId, ReadMode, Snapshot, Space, Span, Value};
use super::pinned::{PinnedIter, PinnedSnapshot};
use super::store::{self, Family, Store};
use crate::mvcc::{self, SUFFIX};
use crate::{Result, Ts};

/// Pool slots: threads that read at the same time without making cursors.
const SLOTS: usize = 64;

/// No view has this version.
const NO_VERSION: u64 = u64::MAX;

/// What views of one engine share.
pub(super) struct Shared {
    pool: Vec<Mutex<Slot>>,
    /// Changes begun so far.
    started: AtomicU64,
    store: Arc<Store>,
}

impl Shared {
    pub(super) fn new(store: Arc<Store>) -> Shared {
        let pool = (0..SLOTS).map(|_| Mutex::default()).collect();
        Shared { pool, started: AtomicU64::new(0), store }
    }

    /// Call with the writer's lock held, before the change.
    pub(super) fn begin_change(&self) {
        self.started.fetch_add(1, Ordering::SeqCst);
    }

    /// Drops the pooled cursors that nobody is using right now.
    pub(super) fn forget_cursors(&self) {
        for slot in &self.pool {
            if let Some(mut slot) = slot.try_lock() {
                slot.cursors = Default::default();
            }
        }
    }

    /// This thread's slot, unless another thread with the same slot is at it.
    fn slot(&self) -> Option<MutexGuard<'_, Slot>> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SLOTS);
        self.pool[MINE.with(|slot| *slot)].try_lock()
    }
}

/// The database after `version` changes.
pub(super) struct View {
    snapshot: PinnedSnapshot,
    version: u64,
    shared: Arc<Shared>,
}

impl View {
    /// Call with the writer's lock held (or before there is a second thread).
    pub(super) fn take(shared: &Arc<Shared>) -> View {
        let snapshot = PinnedSnapshot::take(shared.store.clone());
        View { snapshot, version: shared.started.load(Ordering::SeqCst), shared: shared.clone() }
    }

    pub(super) fn states(&self) -> Result<Vec<(RangeId, ApplyState)>> {
        let mut iter = self.snapshot.iter(Family::Meta, ReadOptions::default());
        let mut states = vec![];
        iter.seek(&[]);
        while let Some((key, value)) = iter.get().item() {
            states.push(store::decode_entry(iter.store(), key, value)?);
            iter.next();
        }
        iter.get().status().map_err(|e| iter.store().error("read", e))?;
        Ok(states)
    }

    fn get(&self, family: Family, key: &[u8], mode: ReadMode) -> Result<Option<Value>> {
        let store = self.snapshot.store();
        let options = read_options(mode);
        let found = self.snapshot.get().get_pinned_cf_opt(store.family(family), key, options);
        let found = found.map_err(|e| store.error("read", e))?;
        Ok(found.map(|value| Value::copy_from_slice(&value)))
    }
}

/// A consistent view of everything applied before it was taken.
#[derive(Clone)]
pub struct LsmSnapshot {
    view: Arc<View>,
}

impl LsmSnapshot {
    pub(super) fn new(view: Arc<View>) -> LsmSnapshot {
        LsmSnapshot { view }
    }
}

impl Snapshot for LsmSnapshot {
    type Iter = LsmIter;

    fn get(&self, space: Space, key: &[u8], mode: ReadMode) -> Result<Option<Value>> {
        self.view.get(space.into(), key, mode)
    }

    fn get_le_ts(&self, user_key: &[u8], ts: Ts, mode: ReadMode) -> Result<Option<(Ts, Value)>> {
        match self.view.shared.slot() {
            Some(mut slot) => slot.get_le_ts(&self.view, user_key, ts, mode),
            None => Slot::default().get_le_ts(&self.view, user_key, ts, mode),
        }
    }

    fn iter(&self, space: Space, span: &Span) -> Result<LsmIter> {
        let empty = !span.hi.is_empty() && span.hi <= span.lo;
        let mut options = read_options(ReadMode::Block);
        options.set_total_order_seek(true);
        options.set_iterate_lower_bound(&span.lo[..]);
        if !span.hi.is_empty() && !empty {
            options.set_iterate_upper_bound(&span.hi[..]);
        }
        Ok(LsmIter { iter: self.view.snapshot.iter(space.into(), options), empty })
    }

    fn state(&self, range: RangeId) -> Result<Option<ApplyState>> {
        let key = store::range_key(range);
        let Some(value) = self.view.get(Family::Meta, &key, ReadMode::Block)? else { return Ok(None) };
        store::decode_entry(self.view.snapshot.store(), &key, &value).map(|(_, state)| Some(state))
    }
}

fn read_options(mode: ReadMode) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_background_purge_on_iterator_cleanup(true);
    if mode == ReadMode::CacheOnly {
        options.set_read_tier(ReadTier::BlockCache);
    }
    options
}

/// What one thread keeps for its point reads.
#[derive(Default)]
struct Slot {
    /// One for `ReadMode::Block`, one for `ReadMode::CacheOnly`.
    cursors: [Option<Cursor>; 2],
    /// Memory of the key to seek.
    key: Vec<u8>,
}

impl Slot {
    fn get_le_ts(
        &mut self,
        view: &View,
        user_key: &[u8],
        ts: Ts,
        mode: ReadMode,
    ) -> Result<Option<(Ts, Value)>> {
        self.key.clear();
        self.key.extend_from_slice(user_key);
        mvcc::push_suffix(&mut self.key, ts);
        let at = match mode {
            ReadMode::Block => 0,
            ReadMode::CacheOnly => 1,
        };
        let held = self.cursors[at].take().and_then(|cursor| cursor.brought_to(view));
        let cursor = self.cursors[at].insert(held.unwrap_or_else(|| Cursor::new(view, mode)));
        let found = cursor.first_at(&self.key);
        if found.as_ref().is_err_and(|e| !e.retry()) {
            self.cursors[at] = None;
        }
        found
    }
}

/// A cursor over the data space that shows one version.
struct Cursor {
    iter: PinnedIter,
    version: u64,
}

impl Cursor {
    fn new(view: &View, mode: ReadMode) -> Cursor {
        let mut options = read_options(mode);
        // All versions of a key share its prefix: the filters of files without it answer the seek.
        options.set_prefix_same_as_start(true);
        Cursor { iter: view.snapshot.iter(Family::Data, options), version: view.version }
    }

    /// The cursor at a view's version; `None` when it cannot be brought there.
    fn brought_to(mut self, view: &View) -> Option<Cursor> {
        if self.version == view.version {
            return Some(self);
        }
        let newest = || view.shared.started.load(Ordering::SeqCst) == view.version;
        self.version = NO_VERSION;
        if newest() && self.iter.refresh().is_ok() && newest() {
            self.version = view.version;
            return Some(self);
        }
        None
    }

    /// The first version at or after a versioned key, if it belongs to the same user key.
    fn first_at(&mut self, key: &[u8]) -> Result<Option<(Ts, Value)>> {
        self.iter.seek(key);
        let user_key = &key[..key.len() - SUFFIX];
        match self.iter.get().item() {
            Some((found, value)) if found.len() == key.len() && found.starts_with(user_key) => {
                let (_, ts) = mvcc::split(found)?;
                Ok(Some((ts, Value::copy_from_slice(value))))
            }
            Some(_) => Ok(None),
            None => {
                self.iter.get().status().map_err(|e| self.iter.store().error("read", e))?;
                Ok(None)
            }
        }
    }
}

/// A cursor bounded by a span. It pins files and memory: keep it for seconds at most.
pub struct LsmIter {
    iter: PinnedIter,
    /// The span holds no key; RocksDB does not take bounds in the wrong order.
    empty: bool,
}

impl LsmIter {
    fn landed(&self) -> Result<bool> {
        if self.iter.get().valid() {
            return Ok(true);
        }
        self.iter.get().status().map_err(|e| self.iter.store().error("read", e))?;
        Ok(false)
    }
}

impl Iter for LsmIter {
    fn seek_ge(&mut self, key: &[u8]) -> Result<bool> {
        if self.empty {
            return Ok(false);
        }
        self.iter.seek(key);
        self.landed()
    }

    fn seek_lt(&mut self, key: &[u8]) -> Result<bool> {
        if self.empty {
            return Ok(false);
        }
        self.iter.seek_for_prev(key);
        if self.iter.get().key() == Some(key) {
            self.iter.prev();
        }
        self.landed()
    }

    fn next(&mut self) -> Result<bool> {
        self.iter.next();
        self.landed()
    }

    fn prev(&mut self) -> Result<bool> {
        self.iter.prev();
        self.landed()
    }

    fn key(&self) -> &[u8] {
        self.iter.get().key().unwrap_or_default()
    }

    fn value(&self) -> &[u8] {
        self.iter.get().value().unwrap_or_default()
    }
}
