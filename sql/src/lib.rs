//! SQL: from a statement's text to rows, as PostgreSQL 15 would answer.
//!
//! The way of a statement:
//! 1. `parse` turns text into syntax trees with byte offsets (the `sqlparser` crate, our dialect).
//! 2. `bind` resolves names, types, functions and coercions against a `catalog` snapshot and the
//!    `registry` (rows of PostgreSQL's own catalogs) into the typed tree of `ir`.
//! 3. `plan` picks the way to run it: the point path, DataFusion, DML, DDL or a utility.
//! 4. `exec` runs it in a transaction of the `txn` crate and hands out rows of `types::Datum`.
//! 5. `session` is what one connection keeps: settings, transaction, portals, prepared statements.
//!
//! One expression library, `expr`, serves every path: one scalar definition a function OID.

pub mod bind;
pub mod catalog;
pub mod copy;
mod ddl;
pub mod error;
pub mod exec;
pub mod expr;
pub mod ir;
pub mod kernels;
pub mod node;
pub mod oid;
pub mod parse;
pub mod pgcatalog;
pub mod plan;
pub mod registry;
pub mod relational;
pub mod session;
pub mod sqlstate;
pub mod table;
pub mod types;

pub use error::{Result, SqlError};
pub use oid::Oid;
pub use sqlstate::SqlState;
