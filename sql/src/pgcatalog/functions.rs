//! The functions that describe objects, by PostgreSQL's internal names (`TABLE`), and those that
//! PostgreSQL writes in SQL by OID (`BY_OID`). A NULL argument of a strict function never gets here.
//!
//! - `definitions`: `pg_get_…def`, `pg_get_expr`.
//! - `visibility`: `pg_…_is_visible`, `to_reg…`.
//! - `privileges`: `has_…_privilege`, `pg_has_role`.
//! - `server`: versions, encodings, state of the server; comments.

mod definitions;
mod privileges;
mod server;
mod visibility;

pub(super) use definitions::{builtin_index_definition, view_definition};

use super::{CatalogCx, Names, NoHooks};
use crate::kernels::{CallContext, ScalarFn};
use crate::types::Datum;
use crate::{Oid, Result, SqlError};

/// PostgreSQL's internal function name and what computes it.
pub(crate) const TABLES: &[&[(&str, ScalarFn)]] =
    &[definitions::TABLE, privileges::TABLE, server::TABLE, visibility::TABLE];

/// Functions that PostgreSQL defines in SQL.
pub(crate) const BY_OID: &[(u32, ScalarFn)] = server::BY_OID;

fn names<'a>(cx: &CallContext<'a>) -> Names<'a> {
    Names { catalog: cx.catalog, session: cx.session }
}

fn catalog_cx<'a>(cx: &CallContext<'a>) -> CatalogCx<'a> {
    CatalogCx { catalog: cx.catalog, session: cx.session, hooks: &NoHooks }
}

fn wrong(want: &str) -> SqlError {
    SqlError::internal(format!("argument of a system function is no {want}"))
}

fn oid(args: &[Datum], at: usize) -> Result<Oid> {
    match args.get(at) {
        Some(Datum::Oid(oid)) => Ok(*oid),
        _ => Err(wrong("oid")),
    }
}

fn text(args: &[Datum], at: usize) -> Result<&str> {
    match args.get(at) {
        Some(Datum::Text(text)) => Ok(text),
        _ => Err(wrong("text")),
    }
}

fn int4(args: &[Datum], at: usize) -> Result<i32> {
    match args.get(at) {
        Some(Datum::Int4(n)) => Ok(*n),
        _ => Err(wrong("integer")),
    }
}

fn is_true(args: &[Datum], at: usize) -> bool {
    matches!(args.get(at), Some(Datum::Bool(true)))
}

fn null(_: &CallContext<'_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;

    #[test]
    fn every_line_names_a_function_once() {
        let mut seen = std::collections::HashSet::new();
        for (name, _) in TABLES.iter().flat_map(|table| table.iter()) {
            assert!(Registry::get().procs().iter().any(|row| row.src == *name), "{name}");
            assert!(seen.insert(*name), "{name} stands twice");
        }
        for (oid, _) in BY_OID {
            assert!(Registry::get().proc(Oid(*oid)).is_some(), "{oid}");
        }
    }
}
