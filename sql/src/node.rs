//! What all sessions of one node share: the transactions, the catalog, counters, sequences, plans.

mod bootstrap;
mod counter;
mod sequence;

pub(crate) use bootstrap::schemas;
pub use counter::Counters;
pub(crate) use sequence::check_bounds;
pub use sequence::{SequenceState, Sequences};

use crate::catalog::{CatalogSnapshot, CatalogStore};
use crate::exec::txn_error;
use crate::{Oid, Result, SqlError, SqlState};
use std::sync::Arc;
use txn::TxnDb;

/// Bounds of the SQL layer of one node.
#[derive(Clone, Debug)]
pub struct SqlOptions {
    /// Bytes that running queries of the node may hold together.
    pub memory_bytes: usize,
    /// SCRAM verifier of the role `postgres` for a new data directory; `None`: no password.
    pub bootstrap_verifier: Option<String>,
}

pub struct SqlNode {
    pub db: Arc<TxnDb>,
    pub catalog: CatalogStore,
    pub counters: Counters,
    pub sequences: Sequences,
    pub options: SqlOptions,
    /// Runs what the point path does not take.
    pub relational: crate::relational::Engine,
}

impl SqlNode {
    /// Reads the catalog; a new data directory gets the built-in objects first.
    pub async fn start(db: Arc<TxnDb>, options: SqlOptions) -> Result<Arc<SqlNode>> {
        let mut catalog = CatalogStore::load(&db.view(db.snapshot_ts())).await?;
        if catalog.is_empty() {
            bootstrap::create(&db, options.bootstrap_verifier.clone()).await?;
            catalog = CatalogStore::load(&db.view(db.snapshot_ts())).await?;
        }
        Ok(Arc::new(SqlNode {
            db: db.clone(),
            catalog,
            counters: Counters::default(),
            sequences: Sequences::default(),
            relational: crate::relational::Engine::new(options.memory_bytes)?,
            options,
        }))
    }

    /// A fresh OID, never used before on any node.
    pub async fn next_oid(&self) -> Result<Oid> {
        let value = self.counters.next(&self.db, "oid", u64::from(Oid::FIRST_USER.0)).await?;
        u32::try_from(value).map(Oid).map_err(|_| SqlError::internal("object identifiers are used up"))
    }

    /// A row id for a table without primary key.
    pub async fn next_row_id(&self) -> Result<i64> {
        let value = self.counters.next(&self.db, "row", 1).await?;
        i64::try_from(value).map_err(|_| SqlError::internal("row ids are used up"))
    }

    /// What a client is told of a commit that failed.
    pub fn commit_error(&self, error: txn::Error, catalog: &CatalogSnapshot) -> SqlError {
        match &error {
            txn::Error::DuplicateKey { key, constraint } => {
                duplicate_key(catalog, Oid(*constraint), key).unwrap_or_else(|| txn_error(error))
            }
            _ => txn_error(error),
        }
    }
}

/// 23505 for a key of the index `index`, with PostgreSQL's detail. `None`: no such index.
pub fn duplicate_key(catalog: &CatalogSnapshot, index: Oid, key: &[u8]) -> Option<SqlError> {
    let descriptor = catalog.index(index)?;
    let table = catalog.table(descriptor.table)?;
    let values = duplicate_key_of(catalog, index, key)?;
    Some(
        SqlError::new(
            SqlState::UNIQUE_VIOLATION,
            format!("duplicate key value violates unique constraint \"{}\"", descriptor.name),
        )
        .with_detail(format!("Key {values} already exists."))
        .with_table(schema_name(catalog, table.schema), table.name.clone())
        .with_constraint(descriptor.name.clone()),
    )
}

/// `(a, b)=(1, x)`: the columns and values of an index key, for error details.
pub fn duplicate_key_of(catalog: &CatalogSnapshot, index: Oid, key: &[u8]) -> Option<String> {
    let table = catalog.table(catalog.index(index)?.table)?;
    catalog.codec(table.oid).ok()?.describe_key(index, key).ok()
}

/// A schema's name, for error fields.
pub fn schema_name(catalog: &CatalogSnapshot, schema: Oid) -> String {
    catalog.get(schema).map_or_else(String::new, |d| d.name().to_owned())
}
