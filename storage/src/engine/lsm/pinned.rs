//! RocksDB's snapshots and iterators borrow the database; these keep it alive instead, so that they
//! can be kept, sent and pooled. The only unsafe code of the engine.

use std::sync::Arc;

use rocksdb::{DB, DBRawIteratorWithThreadMode, ReadOptions, SnapshotWithThreadMode};

use super::store::{Family, Store};

/// A snapshot that holds its database open. Fields drop in order: the snapshot before the store.
pub(super) struct PinnedSnapshot {
    snapshot: SnapshotWithThreadMode<'static, DB>,
    store: Arc<Store>,
}

impl PinnedSnapshot {
    pub(super) fn take(store: Arc<Store>) -> PinnedSnapshot {
        let snapshot = store.db().snapshot();
        // SAFETY: the snapshot borrows the `DB` inside the `Store`, which lives behind an `Arc` and so
        // does not move, and which `self.store` keeps alive. The snapshot is declared first and so is
        // dropped first, and it leaves this type only under the lifetime of a borrow of `self`.
        let snapshot = unsafe {
            std::mem::transmute::<SnapshotWithThreadMode<'_, DB>, SnapshotWithThreadMode<'static, DB>>(
                snapshot,
            )
        };
        PinnedSnapshot { snapshot, store }
    }

    pub(super) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    pub(super) fn get<'a>(&'a self) -> &'a SnapshotWithThreadMode<'a, DB> {
        &self.snapshot
    }

    /// An iterator that shows this snapshot; it does not need the snapshot any more.
    pub(super) fn iter(&self, family: Family, options: ReadOptions) -> PinnedIter {
        let iter = self.snapshot.raw_iterator_cf_opt(self.store.family(family), options);
        // SAFETY: as for the snapshot above. The iterator pins the memtables and files it reads by
        // itself and takes its sequence number from the snapshot when it is made; what it borrows for
        // longer is the `DB`, which `PinnedIter::store` keeps alive until after the iterator's drop.
        let iter = unsafe {
            std::mem::transmute::<DBRawIteratorWithThreadMode<'_, DB>, DBRawIteratorWithThreadMode<'static, DB>>(
                iter,
            )
        };
        PinnedIter { iter, store: self.store.clone() }
    }
}

/// An iterator that holds its database open. Fields drop in order: the iterator before the store.
pub(super) struct PinnedIter {
    iter: DBRawIteratorWithThreadMode<'static, DB>,
    store: Arc<Store>,
}

impl PinnedIter {
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn get<'a>(&'a self) -> &'a DBRawIteratorWithThreadMode<'a, DB> {
        &self.iter
    }

    pub(super) fn seek(&mut self, key: &[u8]) {
        self.iter.seek(key);
    }

    pub(super) fn seek_for_prev(&mut self, key: &[u8]) {
        self.iter.seek_for_prev(key);
    }

    pub(super) fn next(&mut self) {
        self.iter.next();
    }

    pub(super) fn prev(&mut self) {
        self.iter.prev();
    }

    /// Moves the iterator to the newest state of the database; it needs a seek afterwards.
    pub(super) fn refresh(&mut self) -> Result<(), rocksdb::Error> {
        self.iter.refresh()
    }
}
