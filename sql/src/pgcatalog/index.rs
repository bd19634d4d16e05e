//! `pg_index`, and the operator classes that indexes use.

use super::expression::{Kind, node_tree};
use super::value::{count, flag, int2vector, oid, oidvector};
use super::{CatalogCx, Row, builtin};
use crate::catalog::{Descriptor, IndexColumn, IndexDescriptor, IndexState, TableDescriptor};
use crate::registry::{Registry, TypeKind};
use crate::types::Datum;
use crate::{Oid, Result};
use rustc_hash::FxHashMap;
use std::sync::OnceLock;

/// The default btree operator class of a type; `None` when values of it have no order.
pub(super) fn operator_class(ty: Oid) -> Option<Oid> {
    static CLASSES: OnceLock<FxHashMap<Oid, Oid>> = OnceLock::new();
    let classes = CLASSES.get_or_init(|| {
        let default = |row: &&Row| {
            matches!(
                (row.get(1), row.get(7)),
                (Some(Datum::Oid(super::relation::BTREE)), Some(Datum::Bool(true)))
            )
        };
        let pair = |row: &Row| match (&row[6], &row[0]) {
            (Datum::Oid(input), Datum::Oid(class)) => Some((*input, *class)),
            _ => None,
        };
        builtin::rows("pg_opclass").iter().filter(default).filter_map(pair).collect()
    });
    let known = Registry::get().default_btree_opclass(sortable(ty))?;
    classes.get(&known.input).copied()
}

/// The type that the registry knows the order of.
pub(super) fn sortable(ty: Oid) -> Oid {
    match Registry::get().type_by_oid(ty) {
        Some(row) if row.kind == TypeKind::Enum => Oid::ANYENUM,
        Some(_) => ty,
        None => Oid::ANYENUM,
    }
}

/// The indexes of all tables, or of one.
pub(super) fn rows(cx: &CatalogCx<'_>, table: Oid) -> Result<Vec<Row>> {
    if table != Oid::NONE && table < Oid::FIRST_USER {
        return Ok(builtin::rows_of("pg_index", 1, table));
    }
    let mut rows = match table {
        Oid::NONE => builtin::rows("pg_index").to_vec(),
        _ => Vec::new(),
    };
    let mut indexes: Vec<&IndexDescriptor> = match table {
        Oid::NONE => cx
            .catalog
            .objects()
            .filter_map(|d| match &**d {
                Descriptor::Index(index) => Some(index),
                _ => None,
            })
            .collect(),
        table => cx.catalog.indexes_of(table).collect(),
    };
    indexes.sort_unstable_by_key(|index| index.oid);
    rows.extend(indexes.into_iter().filter_map(|index| Some(row(index, cx.catalog.table(index.table)?))));
    Ok(rows)
}

fn row(index: &IndexDescriptor, table: &TableDescriptor) -> Row {
    let column = |c: &IndexColumn| table.column(c.column);
    let public = index.state == IndexState::Public;
    let option = |c: &IndexColumn| i16::from(c.descending) | (i16::from(c.nulls_first) << 1);
    let exprs: Vec<&str> = index.columns.iter().filter_map(|c| c.expr.as_deref()).collect();
    vec![
        oid(index.oid),
        oid(index.table),
        count(index.columns.len() + index.include.len()),
        count(index.columns.len()),
        flag(index.unique),
        flag(false),
        flag(index.primary),
        flag(false),
        flag(true),
        flag(false),
        flag(public),
        flag(false),
        flag(true),
        flag(true),
        flag(false),
        int2vector(index.columns.iter().map(|c| c.column).chain(index.include.iter().copied())),
        oidvector(index.columns.iter().map(|c| column(c).map_or(Oid::NONE, |c| c.ty.collation))),
        oidvector(
            index
                .columns
                .iter()
                .map(|c| column(c).and_then(|c| operator_class(c.ty.oid)).unwrap_or(Oid::NONE)),
        ),
        int2vector(index.columns.iter().map(option)),
        match &exprs[..] {
            [] => Datum::Null,
            exprs => node_tree(Kind::Expression, &exprs.join(", ")),
        },
        index.predicate.as_ref().map_or(Datum::Null, |text| node_tree(Kind::Condition, text)),
    ]
}
