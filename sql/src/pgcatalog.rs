//! `pg_catalog` and `information_schema`: PostgreSQL 15's relations as virtual tables over the
//! catalog snapshot of a statement, and the functions that describe objects.
//!
//! The way of `SELECT … FROM pg_class`: the binder finds the relation with `virtual_table` and binds
//! its OID (`RangeKind::Virtual`); the executor asks `virtual_table_by_oid(oid)` for `rows`.
//!
//! - `definition`: every relation with PostgreSQL's columns; `source`: where each gets its rows.
//! - `builtin`: rows that ship with PostgreSQL; `derived`: OIDs of what has no descriptor.
//! - a file for each family of catalogs: `relation`, `attribute`, `types`, `index`, `constraint`,
//!   `depend`, `role`, `database`, `sequence`, `comment`; the views over them in `views`, `settings`, `activity`.
//! - `information_schema`: the views of the SQL standard.
//! - `names`: names in and out of the `reg…` types, search path and visibility.
//! - `privilege`: who may do what; `deparse` and `expression`: definitions as SQL text.
//! - `functions`: the system functions, by PostgreSQL's internal names.

mod activity;
mod attribute;
mod builtin;
mod comment;
mod constraint;
mod database;
mod definition;
pub mod deparse;
mod depend;
pub mod derived;
mod expression;
pub mod functions;
mod index;
mod information_schema;
pub mod names;
pub mod privilege;
mod relation;
mod role;
mod sequence;
mod settings;
mod source;
mod types;
mod value;
mod views;

#[cfg(test)]
mod tests;

pub use activity::{Activity, NoHooks, NodeHooks};
pub use definition::{VirtualColumn, VirtualTable, virtual_table, virtual_table_by_oid, virtual_tables};
pub use names::Names;

use crate::catalog::CatalogSnapshot;
use crate::session::info::SessionInfo;
use crate::types::Datum;

/// A row of a virtual table: one value a column.
pub type Row = Vec<Datum>;

/// What the contents of a virtual table depend on.
#[derive(Clone, Copy)]
pub struct CatalogCx<'a> {
    pub catalog: &'a CatalogSnapshot,
    pub session: &'a SessionInfo,
    pub hooks: &'a dyn NodeHooks,
}

impl<'a> CatalogCx<'a> {
    /// Names as this session sees them.
    pub fn names(&self) -> Names<'a> {
        Names { catalog: self.catalog, session: self.session }
    }
}
