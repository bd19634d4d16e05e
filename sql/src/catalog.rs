//! The catalog: descriptors of databases, schemas, tables, indexes, … kept as ordinary MVCC rows.
//!
//! - `descriptor`: what an object is, as stored.
//! - `CatalogSnapshot`: an immutable, versioned view of all descriptors of one database; a
//!   transaction with DDL of its own works on a private successor, a `TxnCatalog`.
//! - `store`: the rows of the system tables, and the newest committed snapshot of each database.

pub mod descriptor;
mod overlay;
pub mod store;

pub use descriptor::*;
pub use overlay::{Change, TxnCatalog};
pub use store::CatalogStore;

use crate::table::TableCodec;
use crate::{Oid, Result, SqlError};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use storage::Ts;

/// Compiled tables by OID, shared by the clones of one snapshot and dropped by the first change.
#[derive(Clone, Debug, Default)]
struct CodecCache(Arc<Mutex<HashMap<Oid, Arc<TableCodec>>>>);

/// All descriptors visible at one timestamp. Cheap to clone, copied on write.
#[derive(Clone, Debug, Default)]
pub struct CatalogSnapshot {
    /// Commit timestamp of the newest descriptor in it; plans are cached under it.
    pub version: Ts,
    /// Counts the DDL statements of the transaction that owns this snapshot; 0 for committed ones.
    pub local_version: u32,
    pub database: Oid,
    objects: Arc<HashMap<Oid, Arc<Descriptor>>>,
    /// (schema, relation name) -> relation (tables, indexes, sequences, views share a name space).
    relations: Arc<BTreeMap<(Oid, String), Oid>>,
    schemas: Arc<BTreeMap<String, Oid>>,
    types: Arc<BTreeMap<(Oid, String), Oid>>,
    roles: Arc<BTreeMap<String, Oid>>,
    databases: Arc<BTreeMap<String, Oid>>,
    /// Table -> its indexes, in creation (OID) order.
    indexes: Arc<HashMap<Oid, Vec<Oid>>>,
    /// Referenced table -> tables with a foreign key to it.
    referenced_by: Arc<HashMap<Oid, Vec<Oid>>>,
    /// Codecs compiled from this very snapshot's descriptors.
    codecs: CodecCache,
}

impl CatalogSnapshot {
    pub fn get(&self, oid: Oid) -> Option<&Arc<Descriptor>> {
        self.objects.get(&oid)
    }

    pub fn objects(&self) -> impl Iterator<Item = &Arc<Descriptor>> {
        self.objects.values()
    }

    pub fn schema(&self, name: &str) -> Option<Oid> {
        self.schemas.get(name).copied()
    }

    pub fn role(&self, name: &str) -> Option<&RoleDescriptor> {
        self.roles.get(name).and_then(|oid| self.role_by_oid(*oid))
    }

    pub fn role_by_oid(&self, oid: Oid) -> Option<&RoleDescriptor> {
        match self.get(oid).map(|d| &**d) {
            Some(Descriptor::Role(role)) => Some(role),
            _ => None,
        }
    }

    pub fn database(&self, name: &str) -> Option<&DatabaseDescriptor> {
        match self.databases.get(name).and_then(|oid| self.get(*oid)).map(|d| &**d) {
            Some(Descriptor::Database(database)) => Some(database),
            _ => None,
        }
    }

    /// The relation of that name in a schema: table, index, sequence or view.
    pub fn relation(&self, schema: Oid, name: &str) -> Option<&Arc<Descriptor>> {
        self.relations.get(&(schema, name.to_owned())).and_then(|oid| self.get(*oid))
    }

    pub fn table(&self, oid: Oid) -> Option<&TableDescriptor> {
        match self.get(oid).map(|d| &**d) {
            Some(Descriptor::Table(table)) => Some(table),
            _ => None,
        }
    }

    pub fn index(&self, oid: Oid) -> Option<&IndexDescriptor> {
        match self.get(oid).map(|d| &**d) {
            Some(Descriptor::Index(index)) => Some(index),
            _ => None,
        }
    }

    pub fn sequence(&self, oid: Oid) -> Option<&SequenceDescriptor> {
        match self.get(oid).map(|d| &**d) {
            Some(Descriptor::Sequence(sequence)) => Some(sequence),
            _ => None,
        }
    }

    /// The indexes of a table, oldest first.
    pub fn indexes_of(&self, table: Oid) -> impl Iterator<Item = &IndexDescriptor> {
        self.indexes.get(&table).into_iter().flatten().filter_map(|oid| self.index(*oid))
    }

    /// Tables whose foreign keys point at `table`.
    pub fn referencing(&self, table: Oid) -> impl Iterator<Item = &TableDescriptor> {
        self.referenced_by.get(&table).into_iter().flatten().filter_map(|oid| self.table(*oid))
    }

    /// The user-defined type of that name in a schema.
    pub fn user_type(&self, schema: Oid, name: &str) -> Option<Oid> {
        self.types.get(&(schema, name.to_owned())).copied()
    }

    /// Relations of a schema by name.
    pub fn relations_in(&self, schema: Oid) -> impl Iterator<Item = &Arc<Descriptor>> {
        self.relations
            .range((schema, String::new())..)
            .take_while(move |((s, _), _)| *s == schema)
            .filter_map(|(_, oid)| self.get(*oid))
    }

    pub fn schemas(&self) -> impl Iterator<Item = (&str, Oid)> {
        self.schemas.iter().map(|(name, oid)| (name.as_str(), *oid))
    }

    /// The codec of a table of this snapshot, compiled at most once.
    pub fn codec(&self, table: Oid) -> Result<Arc<TableCodec>> {
        if let Some(codec) = self.codecs.0.lock().get(&table) {
            return Ok(codec.clone());
        }
        let descriptor =
            self.table(table).ok_or_else(|| SqlError::internal("codec of a table that is not there"))?;
        let codec = TableCodec::new(descriptor, self)?;
        self.codecs.0.lock().insert(table, codec.clone());
        Ok(codec)
    }

    /// Adds or replaces one descriptor.
    pub fn put(&mut self, descriptor: Descriptor) {
        self.codecs = CodecCache::default();
        self.remove(descriptor.oid());
        let oid = descriptor.oid();
        let name = descriptor.name().to_owned();
        match &descriptor {
            Descriptor::Database(_) => drop(Arc::make_mut(&mut self.databases).insert(name, oid)),
            Descriptor::Role(_) => drop(Arc::make_mut(&mut self.roles).insert(name, oid)),
            Descriptor::Schema(_) => drop(Arc::make_mut(&mut self.schemas).insert(name, oid)),
            Descriptor::Type(t) => drop(Arc::make_mut(&mut self.types).insert((t.schema, name), oid)),
            Descriptor::Table(t) => {
                Arc::make_mut(&mut self.relations).insert((t.schema, name), oid);
                for key in &t.foreign_keys {
                    let referencing =
                        Arc::make_mut(&mut self.referenced_by).entry(key.referenced_table).or_default();
                    if !referencing.contains(&oid) {
                        referencing.push(oid);
                    }
                }
            }
            Descriptor::Index(i) => {
                Arc::make_mut(&mut self.relations).insert((i.schema, name), oid);
                let of_table = Arc::make_mut(&mut self.indexes).entry(i.table).or_default();
                of_table.push(oid);
                of_table.sort_unstable();
            }
            Descriptor::Sequence(s) => drop(Arc::make_mut(&mut self.relations).insert((s.schema, name), oid)),
            Descriptor::View(v) => drop(Arc::make_mut(&mut self.relations).insert((v.schema, name), oid)),
        }
        Arc::make_mut(&mut self.objects).insert(oid, Arc::new(descriptor));
    }

    /// Removes a descriptor; nothing happens when it is not there.
    pub fn remove(&mut self, oid: Oid) {
        self.codecs = CodecCache::default();
        let Some(old) = Arc::make_mut(&mut self.objects).remove(&oid) else { return };
        let name = old.name().to_owned();
        match &*old {
            Descriptor::Database(_) => drop(Arc::make_mut(&mut self.databases).remove(&name)),
            Descriptor::Role(_) => drop(Arc::make_mut(&mut self.roles).remove(&name)),
            Descriptor::Schema(_) => drop(Arc::make_mut(&mut self.schemas).remove(&name)),
            Descriptor::Type(t) => drop(Arc::make_mut(&mut self.types).remove(&(t.schema, name))),
            Descriptor::Table(t) => {
                Arc::make_mut(&mut self.relations).remove(&(t.schema, name));
                for referencing in Arc::make_mut(&mut self.referenced_by).values_mut() {
                    referencing.retain(|table| *table != oid);
                }
            }
            Descriptor::Index(i) => {
                Arc::make_mut(&mut self.relations).remove(&(i.schema, name));
                if let Some(of_table) = Arc::make_mut(&mut self.indexes).get_mut(&i.table) {
                    of_table.retain(|index| *index != oid);
                }
            }
            Descriptor::Sequence(s) => drop(Arc::make_mut(&mut self.relations).remove(&(s.schema, name))),
            Descriptor::View(v) => drop(Arc::make_mut(&mut self.relations).remove(&(v.schema, name))),
        }
    }
}
