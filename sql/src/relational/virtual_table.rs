//! The rows of pg_catalog's and information_schema's tables.

use super::env::QueryEnv;
use crate::pgcatalog::{self, CatalogCx, NoHooks};
use crate::types::Datum;
use crate::{Oid, Result, SqlError};

/// All rows of a virtual table, one value a column.
pub(super) fn rows(table: Oid, env: &QueryEnv) -> Result<Vec<Vec<Datum>>> {
    let table = pgcatalog::virtual_table_by_oid(table)
        .ok_or_else(|| SqlError::internal(format!("no catalog table with OID {table}")))?;
    table.rows(&CatalogCx { catalog: &env.catalog, session: &env.info, hooks: &NoHooks })
}
