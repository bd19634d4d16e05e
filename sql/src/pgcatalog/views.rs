//! `pg_tables`, `pg_views`, `pg_indexes`.

use super::constraint::tables as all_tables;
use super::definition::{virtual_table_by_oid, virtual_tables};
use super::expression::Style;
use super::value::{flag, name, optional};
use super::{CatalogCx, Row, builtin, deparse, functions};
use crate::Result;
use crate::catalog::{Descriptor, ViewDescriptor};
use crate::types::Datum;

pub(super) fn tables(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let names = cx.names();
    let builtin = virtual_tables().iter().filter(|t| t.kind == 'r').map(|t| {
        let space = if t.shared { name("pg_global") } else { Datum::Null };
        let (schema, owner) = (name(t.schema_name()), name("postgres"));
        let (index, rules) = (flag(t.has_index), flag(false));
        vec![schema, name(t.name), owner, space, index, rules, flag(false), flag(false)]
    });
    let own = all_tables(cx).into_iter().map(|t| {
        let triggers = !t.foreign_keys.is_empty() || cx.catalog.referencing(t.oid).next().is_some();
        vec![
            optional(names.schema(t.schema)),
            name(&t.name),
            optional(names.role(t.owner)),
            Datum::Null,
            flag(cx.catalog.indexes_of(t.oid).next().is_some()),
            flag(false),
            flag(triggers),
            flag(false),
        ]
    });
    Ok(builtin.chain(own).collect())
}

/// The views that users made, by OID.
pub(super) fn own_views<'a>(cx: &CatalogCx<'a>) -> Vec<&'a ViewDescriptor> {
    let catalog = cx.catalog;
    let views = catalog.objects().filter_map(|d| match &**d {
        Descriptor::View(view) => Some(view),
        _ => None,
    });
    let mut views: Vec<_> = views.collect();
    views.sort_unstable_by_key(|v| v.oid);
    views
}

/// The built-in views are computed here, so they have no query to show: their definition is null.
pub(super) fn views(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let names = cx.names();
    let builtin = virtual_tables()
        .iter()
        .filter(|t| t.kind == 'v')
        .map(|t| vec![name(t.schema_name()), name(t.name), name("postgres"), Datum::Null]);
    let own = own_views(cx).into_iter().map(|v| {
        let definition = name(functions::view_definition(v));
        vec![optional(names.schema(v.schema)), name(&v.name), optional(names.role(v.owner)), definition]
    });
    Ok(builtin.chain(own).collect())
}

pub(super) fn indexes(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let names = cx.names();
    let mut rows = Vec::new();
    for row in builtin::rows("pg_index") {
        let (Datum::Oid(index), Datum::Oid(table)) = (&row[0], &row[1]) else { continue };
        let (Some((_, index_name)), Some(table)) = (names.relation(*index), virtual_table_by_oid(*table))
        else {
            continue;
        };
        let space = if table.shared { name("pg_global") } else { Datum::Null };
        let definition = optional(functions::builtin_index_definition(&names, *index));
        rows.push(vec![name(table.schema_name()), name(table.name), name(index_name), space, definition]);
    }
    for table in all_tables(cx) {
        for index in cx.catalog.indexes_of(table.oid) {
            rows.push(vec![
                optional(names.schema(table.schema)),
                name(&table.name),
                name(&index.name),
                Datum::Null,
                name(deparse::index(&names, index, table, Style::Plain)),
            ]);
        }
    }
    Ok(rows)
}
