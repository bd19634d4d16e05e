//! `pg_database`, `pg_namespace`, `pg_tablespace`.

use super::value::{flag, letter, name, oid};
use super::{CatalogCx, Row, privilege};
use crate::catalog::Descriptor;
use crate::types::Datum;
use crate::{Oid, Result};

/// `pg_default`.
const DEFAULT_TABLESPACE: Oid = Oid(1663);
const GLOBAL_TABLESPACE: Oid = Oid(1664);
const TEMPLATE0: Oid = Oid(4);
const TEMPLATE1: Oid = Oid(1);
/// UTF8 in PostgreSQL's list of encodings.
const UTF8: i32 = 6;

pub(super) fn databases(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let names = cx.names();
    let mut databases: Vec<_> = cx
        .catalog
        .objects()
        .filter_map(|d| match &**d {
            Descriptor::Database(database) => Some(database),
            _ => None,
        })
        .collect();
    databases.sort_unstable_by_key(|d| d.oid);
    Ok(databases
        .into_iter()
        .map(|d| {
            vec![
                oid(d.oid),
                name(&d.name),
                oid(d.owner),
                Datum::Int4(UTF8),
                letter('c'),
                flag(matches!(d.oid, TEMPLATE0 | TEMPLATE1)),
                flag(d.oid != TEMPLATE0),
                Datum::Int4(-1),
                oid(Oid::NONE),
                oid(Oid::NONE),
                oid(DEFAULT_TABLESPACE),
                name("C"),
                name("C"),
                Datum::Null,
                Datum::Null,
                privilege::acl(&names, d.acl.as_ref()),
            ]
        })
        .collect())
}

pub(super) fn namespaces(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let names = cx.names();
    let mut schemas: Vec<_> = cx
        .catalog
        .objects()
        .filter_map(|d| match &**d {
            Descriptor::Schema(schema) => Some(schema),
            _ => None,
        })
        .collect();
    schemas.sort_unstable_by_key(|s| s.oid);
    let builtin = |schema: Oid| {
        let rows = super::builtin::rows_of("pg_namespace", 0, schema);
        rows.first().and_then(|row| row.get(3)).cloned().unwrap_or(Datum::Null)
    };
    let row = |s: &crate::catalog::SchemaDescriptor| {
        let acl = match (&s.acl, s.name.as_str()) {
            (None, "pg_catalog" | "information_schema") => builtin(s.oid),
            (acl, _) => privilege::acl(&names, acl.as_ref()),
        };
        vec![oid(s.oid), name(&s.name), oid(s.owner), acl]
    };
    let mut rows: Vec<Row> = schemas.into_iter().map(row).collect();
    rows.extend(super::builtin::rows_of("pg_namespace", 0, Oid(99)));
    Ok(rows)
}

pub(super) fn tablespaces(_: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let row = |o: Oid, n: &str| vec![oid(o), name(n), oid(Oid::BOOTSTRAP_ROLE), Datum::Null, Datum::Null];
    Ok(vec![row(DEFAULT_TABLESPACE, "pg_default"), row(GLOBAL_TABLESPACE, "pg_global")])
}
