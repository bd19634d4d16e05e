//! Where descriptors live: rows of two system tables in the ordinary key space.
//!
//! | row | key | value |
//! |---|---|---|
//! | descriptor | `table prefix (sid 1, index 0) · database u32 · oid u32` | format byte 1, then JSON of `Descriptor` |
//! | name | `table prefix (sid 1, index 1) · database u32 · class text · schema u32 · name text` | oid, 4 bytes little-endian |
//! | counter | `table prefix (sid 2, index 0) · name text` | next free value, 8 bytes little-endian |
//! | sequence | `table prefix (sid 3, index 0) · oid u32` | last value i64 little-endian, is_called u8 |
//! | abandoned storage | `table prefix (sid 4, index 0) · first key bytes` | end of the span |
//!
//! Objects that all databases share (roles, databases) stand under database 0. The name row is what
//! makes a name unique: two transactions that create it meet there.

use super::{CatalogSnapshot, Change, Descriptor};
use crate::{Oid, Result, SqlError, SqlState};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use storage::Ts;
use storage::engine::{Direction, Span};
use storage::key::{ColumnOrder, KeyWriter, prefix_span, table_prefix};
use txn::{KvBlock, ReadView, Transaction};

const DESCRIPTORS: u64 = 1;
const COUNTERS: u64 = 2;
const SEQUENCES: u64 = 3;
const ABANDONED: u64 = 4;
const FORMAT: u8 = 1;

/// The database of shared objects.
const SHARED: Oid = Oid::NONE;

/// The newest committed catalog of every database, in memory.
pub struct CatalogStore {
    databases: ArcSwap<HashMap<Oid, Arc<CatalogSnapshot>>>,
    /// Serialises publishing; readers only load the pointer.
    publishing: Mutex<()>,
}

impl CatalogStore {
    /// Reads every descriptor that `view` shows.
    pub async fn load(view: &ReadView) -> Result<CatalogStore> {
        let mut by_database: HashMap<Oid, Vec<Descriptor>> = HashMap::new();
        let mut scan = view.scan(prefix_span(&table_prefix(DESCRIPTORS, 0)), Direction::Forward);
        let mut block = KvBlock::default();
        loop {
            let more = scan.next_block(1024, 1 << 20, &mut block).await.map_err(crate::exec::txn_error)?;
            for (key, value) in block.iter() {
                let (database, descriptor) = decode(key, value)?;
                by_database.entry(database).or_default().push(descriptor);
            }
            if !more {
                break;
            }
        }
        Ok(CatalogStore {
            databases: ArcSwap::from_pointee(shared(assemble(by_database, view.ts()))),
            publishing: Mutex::new(()),
        })
    }

    /// The newest committed catalog of a database.
    pub fn snapshot(&self, database: Oid) -> Option<Arc<CatalogSnapshot>> {
        self.databases.load().get(&database).cloned()
    }

    /// OID of a database by name.
    pub fn database_named(&self, name: &str) -> Option<Oid> {
        let all = self.databases.load();
        all.values().next().and_then(|any| any.database(name)).map(|d| d.oid)
    }

    pub fn is_empty(&self) -> bool {
        self.databases.load().is_empty()
    }

    /// Makes the changes of a transaction that committed at `ts` the newest catalog.
    pub fn publish(&self, changes: &[Change], ts: Ts) {
        let _one_at_a_time = self.publishing.lock();
        let committed = self.databases.load();
        let mut all: HashMap<Oid, CatalogSnapshot> =
            committed.iter().map(|(oid, snapshot)| (*oid, CatalogSnapshot::clone(snapshot))).collect();
        for change in changes {
            apply(&mut all, change);
        }
        for snapshot in all.values_mut() {
            snapshot.version = snapshot.version.max(ts);
        }
        self.databases.store(Arc::new(shared(all)));
    }
}

fn shared(all: HashMap<Oid, CatalogSnapshot>) -> HashMap<Oid, Arc<CatalogSnapshot>> {
    all.into_iter().map(|(oid, snapshot)| (oid, Arc::new(snapshot))).collect()
}

fn assemble(mut by_database: HashMap<Oid, Vec<Descriptor>>, version: Ts) -> HashMap<Oid, CatalogSnapshot> {
    let shared = by_database.remove(&SHARED).unwrap_or_default();
    let databases = shared.iter().filter_map(|d| match d {
        Descriptor::Database(database) => Some(database.oid),
        _ => None,
    });
    databases
        .collect::<Vec<_>>()
        .into_iter()
        .map(|database| {
            let mut snapshot = CatalogSnapshot { database, version, ..Default::default() };
            let own = by_database.remove(&database).unwrap_or_default();
            for descriptor in shared.iter().cloned().chain(own) {
                snapshot.put(descriptor);
            }
            (database, snapshot)
        })
        .collect()
}

fn apply(all: &mut HashMap<Oid, CatalogSnapshot>, change: &Change) {
    match change {
        Change::Put(descriptor) => match home(descriptor) {
            Home::Shared => {
                for snapshot in all.values_mut() {
                    snapshot.put(Descriptor::clone(descriptor));
                }
                if let Descriptor::Database(database) = &**descriptor
                    && !all.contains_key(&database.oid)
                {
                    all.insert(database.oid, new_database(all, database.oid));
                }
            }
            Home::Database(database) => {
                if let Some(snapshot) = all.get_mut(&database) {
                    snapshot.put(Descriptor::clone(descriptor));
                }
            }
        },
        Change::Remove { database: SHARED, oid } => {
            all.remove(oid);
            for snapshot in all.values_mut() {
                snapshot.remove(*oid);
            }
        }
        Change::Remove { database, oid } => {
            if let Some(snapshot) = all.get_mut(database) {
                snapshot.remove(*oid);
            }
        }
    }
}

/// The catalog of a database that begins: the shared objects.
fn new_database(all: &HashMap<Oid, CatalogSnapshot>, database: Oid) -> CatalogSnapshot {
    let mut snapshot = CatalogSnapshot { database, ..Default::default() };
    if let Some(any) = all.values().next() {
        for descriptor in any.objects().filter(|d| matches!(home(d), Home::Shared)) {
            snapshot.put(Descriptor::clone(descriptor));
        }
    }
    snapshot
}

enum Home {
    Shared,
    Database(Oid),
}

fn home(descriptor: &Descriptor) -> Home {
    match descriptor.database() {
        SHARED => Home::Shared,
        database => Home::Database(database),
    }
}

/// Key of a descriptor's row.
pub fn descriptor_key(database: Oid, oid: Oid) -> Vec<u8> {
    let mut key = KeyWriter::table(DESCRIPTORS, 0);
    key.push_u32(database.0, ColumnOrder::KEY);
    key.push_u32(oid.0, ColumnOrder::KEY);
    key.finish()
}

/// Key of a name's row.
pub fn name_key(descriptor: &Descriptor) -> Result<Vec<u8>> {
    let (class, schema) = match descriptor {
        Descriptor::Database(_) => ("database", Oid::NONE),
        Descriptor::Role(_) => ("role", Oid::NONE),
        Descriptor::Schema(_) => ("schema", Oid::NONE),
        Descriptor::Table(d) => ("relation", d.schema),
        Descriptor::Index(d) => ("relation", d.schema),
        Descriptor::Sequence(d) => ("relation", d.schema),
        Descriptor::View(d) => ("relation", d.schema),
        Descriptor::Type(d) => ("type", d.schema),
    };
    let mut key = KeyWriter::table(DESCRIPTORS, 1);
    key.push_u32(descriptor.database().0, ColumnOrder::KEY);
    key.push_text(class, ColumnOrder::KEY)?;
    key.push_u32(schema.0, ColumnOrder::KEY);
    key.push_text(descriptor.name(), ColumnOrder::KEY)?;
    Ok(key.finish())
}

/// Key of a counter's row.
pub fn counter_key(name: &str) -> Result<Vec<u8>> {
    let mut key = KeyWriter::table(COUNTERS, 0);
    key.push_text(name, ColumnOrder::KEY)?;
    Ok(key.finish())
}

/// Key of a sequence's row.
pub fn sequence_key(oid: Oid) -> Vec<u8> {
    let mut key = KeyWriter::table(SEQUENCES, 0);
    key.push_u32(oid.0, ColumnOrder::KEY);
    key.finish()
}

/// Key of the record of a span of keys that nothing refers to any more.
pub fn abandoned_key(span: &Span) -> Vec<u8> {
    let mut key = KeyWriter::table(ABANDONED, 0);
    key.push_bytes(&span.lo, ColumnOrder::KEY);
    key.finish()
}

/// All keys of the catalog itself.
pub fn catalog_span() -> Span {
    prefix_span(&table_prefix(DESCRIPTORS, 0))
}

/// Buffers a new object: its row and its name.
pub fn insert(txn: &mut Transaction, object: &Descriptor) -> Result<()> {
    txn.insert(descriptor_key(object.database(), object.oid()).into(), encode(object)?.into(), 0);
    txn.insert(name_key(object)?.into(), object.oid().0.to_le_bytes().to_vec().into(), 0);
    Ok(())
}

pub fn encode(descriptor: &Descriptor) -> Result<Vec<u8>> {
    let mut value = vec![FORMAT];
    serde_json::to_writer(&mut value, descriptor)
        .map_err(|e| SqlError::internal(format!("descriptor: {e}")))?;
    Ok(value)
}

fn decode(key: &[u8], value: &[u8]) -> Result<(Oid, Descriptor)> {
    let damaged = |what: String| SqlError::new(SqlState::DATA_CORRUPTED, format!("catalog row: {what}"));
    let (&format, json) = value.split_first().ok_or_else(|| damaged("empty".into()))?;
    if format != FORMAT {
        return Err(damaged(format!("unknown format {format}")));
    }
    let descriptor: Descriptor = serde_json::from_slice(json).map_err(|e| damaged(e.to_string()))?;
    let database = descriptor.database();
    if key != descriptor_key(database, descriptor.oid()) {
        return Err(damaged(format!("object {} stands under another key", descriptor.oid())));
    }
    Ok((database, descriptor))
}
