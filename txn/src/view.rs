//! A read-only view: a snapshot, and the own writes of a transaction as of one of its statements.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use storage::Ts;
use storage::engine::{Direction, Span};

use crate::buffer::{Buffer, Position};
use crate::db::off_thread;
use crate::large::Large;
use crate::{Key, Lookup, Result, Scan, TxnDb};

/// Reads at one snapshot. Cheap to clone, can be sent to other threads.
#[derive(Clone)]
pub struct ReadView {
    db: Arc<TxnDb>,
    ts: Ts,
    overlay: Option<Overlay>,
}

/// The writes of a transaction below one position.
#[derive(Clone)]
pub(crate) struct Overlay {
    pub(crate) buffer: Arc<RwLock<Buffer>>,
    pub(crate) limit: Position,
    /// Where earlier writes were spilled to.
    pub(crate) large: Option<Arc<Large>>,
}

impl Overlay {
    /// From memory only. `None`: not written; `Some(None)`: deleted.
    fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        self.buffer.read().get(key, self.limit).map(|write| write.row.clone())
    }

    /// What was spilled of a key; reads the engine.
    fn get_spilled(&self, db: &Arc<TxnDb>, key: &[u8]) -> Result<Option<Option<Bytes>>> {
        match &self.large {
            Some(large) => Ok(large.read(db, key, self.limit)?.map(|write| write.row)),
            None => Ok(None),
        }
    }

    fn spilled(&self, key: &[u8]) -> bool {
        self.large.as_ref().is_some_and(|large| large.covers(key))
    }
}

impl ReadView {
    pub(crate) fn new(db: Arc<TxnDb>, ts: Ts, overlay: Option<Overlay>) -> ReadView {
        ReadView { db, ts, overlay }
    }

    pub fn ts(&self) -> Ts {
        self.ts
    }

    /// Never waits, costs a fraction of a microsecond: answers from own writes and the row cache.
    pub fn get_cached(&self, key: &[u8]) -> Result<Lookup> {
        if let Some(own) = self.overlay.as_ref().and_then(|overlay| overlay.get(key)) {
            return Ok(own.map_or(Lookup::Absent, Lookup::Found));
        }
        if self.overlay.as_ref().is_some_and(|overlay| overlay.spilled(key)) {
            return Ok(Lookup::Wait);
        }
        Ok(self.db.lookup(key, self.ts))
    }

    /// The row of a key. Waits for commits under way and for the disk.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        if let Some(overlay) = &self.overlay {
            if let Some(own) = overlay.get(key) {
                return Ok(own);
            }
            if overlay.spilled(key) {
                let (db, overlay, key) = (self.db.clone(), overlay.clone(), key.to_vec());
                let spilled = off_thread(move || overlay.get_spilled(&db, &key));
                if let Some(own) = spilled.await? {
                    return Ok(own);
                }
            }
        }
        Ok(self.db.read(key, self.ts).await?.row)
    }

    /// The rows of several keys, in their order.
    pub async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Bytes>>> {
        let mut rows = Vec::with_capacity(keys.len());
        for key in keys {
            rows.push(self.get(key).await?);
        }
        Ok(rows)
    }

    /// Scans the half-open `span`. Its bounds are prefixes of keys, whole keys, or a whole key and a
    /// zero byte (just behind that key). The scan holds old versions back until it is dropped.
    pub fn scan(&self, span: Span, direction: Direction) -> Scan {
        Scan::new(self, span, direction)
    }

    pub(crate) fn db(&self) -> &Arc<TxnDb> {
        &self.db
    }

    pub(crate) fn overlay(&self) -> Option<&Overlay> {
        self.overlay.as_ref()
    }
}
