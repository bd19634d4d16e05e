//! The catalog as a transaction sees it: a committed snapshot plus the transaction's own DDL.

use super::{CatalogSnapshot, Descriptor};
use crate::Oid;
use std::sync::Arc;

/// One change of the catalog.
#[derive(Clone, Debug)]
pub enum Change {
    Put(Arc<Descriptor>),
    Remove { database: Oid, oid: Oid },
}

/// A snapshot with own changes on top. Clones share everything until written.
#[derive(Clone, Debug)]
pub struct TxnCatalog {
    snapshot: Arc<CatalogSnapshot>,
    changes: Vec<Change>,
}

impl TxnCatalog {
    pub fn new(snapshot: Arc<CatalogSnapshot>) -> TxnCatalog {
        TxnCatalog { snapshot, changes: vec![] }
    }

    pub fn snapshot(&self) -> &CatalogSnapshot {
        &self.snapshot
    }

    /// The same, to be kept.
    pub fn shared(&self) -> &Arc<CatalogSnapshot> {
        &self.snapshot
    }

    /// The transaction's own changes, oldest first.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    pub fn put(&mut self, descriptor: Descriptor) {
        let snapshot = Arc::make_mut(&mut self.snapshot);
        snapshot.put(descriptor.clone());
        snapshot.local_version += 1;
        self.changes.push(Change::Put(Arc::new(descriptor)));
    }

    /// Records an object of another database: it is no part of this snapshot.
    pub fn put_elsewhere(&mut self, descriptor: Descriptor) {
        self.changes.push(Change::Put(Arc::new(descriptor)));
    }

    /// Removes an object of a database (`Oid::NONE`: a shared one).
    pub fn remove(&mut self, database: Oid, oid: Oid) {
        let snapshot = Arc::make_mut(&mut self.snapshot);
        snapshot.remove(oid);
        snapshot.local_version += 1;
        self.changes.push(Change::Remove { database, oid });
    }
}
