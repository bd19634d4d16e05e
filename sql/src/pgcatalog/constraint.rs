//! `pg_constraint`.

use super::expression::{self, Kind, node_tree};
use super::index::sortable;
use super::value::{flag, letter, name, oid, oids, smallints};
use super::{CatalogCx, Row, builtin};
use crate::catalog::{
    CheckConstraint, Descriptor, ForeignKey, IndexDescriptor, ReferentialAction, TableDescriptor,
};
use crate::registry::Registry;
use crate::types::Datum;
use crate::{Oid, Result};

struct Constraint<'a> {
    oid: Oid,
    name: &'a str,
    table: &'a TableDescriptor,
    kind: char,
    validated: bool,
    index: Oid,
    no_inherit: bool,
    columns: Datum,
    expr: Datum,
    foreign: Option<&'a ForeignKey>,
}

impl Constraint<'_> {
    fn row(self, cx: &CatalogCx<'_>) -> Row {
        let key = self.foreign;
        let action = |action: fn(&ForeignKey) -> char| letter(key.map_or(' ', action));
        let operators = match key {
            Some(key) => oids(key.columns.iter().filter_map(|n| equality(self.table, *n))),
            None => Datum::Null,
        };
        let referenced = key.and_then(|key| cx.catalog.table(key.referenced_table).map(|t| (t, key)));
        let parents = match referenced {
            Some((t, key)) => oids(key.referenced_columns.iter().filter_map(|n| equality(t, *n))),
            None => Datum::Null,
        };
        vec![
            oid(self.oid),
            name(self.name),
            oid(self.table.schema),
            letter(self.kind),
            flag(key.is_some_and(|k| k.deferrable)),
            flag(key.is_some_and(|k| k.initially_deferred)),
            flag(self.validated),
            oid(self.table.oid),
            oid(Oid::NONE),
            oid(self.index),
            oid(Oid::NONE),
            oid(key.map_or(Oid::NONE, |k| k.referenced_table)),
            action(|k| action_letter(k.on_update)),
            action(|k| action_letter(k.on_delete)),
            action(|k| if k.match_full { 'f' } else { 's' }),
            flag(true),
            Datum::Int4(0),
            flag(self.no_inherit),
            self.columns,
            key.map_or(Datum::Null, |k| smallints(k.referenced_columns.iter().copied())),
            parents.clone(),
            parents,
            operators,
            Datum::Null,
            Datum::Null,
            self.expr,
        ]
    }
}

fn action_letter(action: ReferentialAction) -> char {
    match action {
        ReferentialAction::NoAction => 'a',
        ReferentialAction::Restrict => 'r',
        ReferentialAction::Cascade => 'c',
        ReferentialAction::SetNull => 'n',
        ReferentialAction::SetDefault => 'd',
    }
}

fn equality(table: &TableDescriptor, number: i16) -> Option<Oid> {
    let ty = table.column(number)?.ty.oid;
    Registry::get().default_btree_opclass(sortable(ty)).map(|class| class.eq)
}

/// The constraints of all tables, or of one.
pub(super) fn rows(cx: &CatalogCx<'_>, only: Oid) -> Result<Vec<Row>> {
    if only != Oid::NONE && only < Oid::FIRST_USER {
        return Ok(builtin::rows_of("pg_constraint", 7, only));
    }
    let mut rows = match only {
        Oid::NONE => builtin::rows("pg_constraint").to_vec(),
        _ => Vec::new(),
    };
    for table in tables(cx) {
        if only == Oid::NONE || table.oid == only {
            of_table(cx, table, &mut rows);
        }
    }
    Ok(rows)
}

/// All tables, by OID.
pub(super) fn tables<'a>(cx: &CatalogCx<'a>) -> Vec<&'a TableDescriptor> {
    let catalog = cx.catalog;
    let tables = catalog.objects().filter_map(|d| match &**d {
        Descriptor::Table(t) => Some(t),
        _ => None,
    });
    let mut tables: Vec<_> = tables.collect();
    tables.sort_unstable_by_key(|t| t.oid);
    tables
}

fn of_table(cx: &CatalogCx<'_>, table: &TableDescriptor, rows: &mut Vec<Row>) {
    let start = rows.len();
    for index in cx.catalog.indexes_of(table.oid).filter(|i| i.constraint != Oid::NONE) {
        rows.push(of_index(table, index).row(cx));
    }
    for check in &table.checks {
        rows.push(of_check(cx, table, check).row(cx));
    }
    for key in &table.foreign_keys {
        let constraint = Constraint {
            oid: key.oid,
            name: &key.name,
            table,
            kind: 'f',
            validated: !key.not_valid,
            index: key.referenced_index,
            no_inherit: true,
            columns: smallints(key.columns.iter().copied()),
            expr: Datum::Null,
            foreign: Some(key),
        };
        rows.push(constraint.row(cx));
    }
    rows[start..].sort_by_key(|row| match row.first() {
        Some(Datum::Oid(oid)) => *oid,
        _ => Oid::NONE,
    });
}

fn of_index<'a>(table: &'a TableDescriptor, index: &'a IndexDescriptor) -> Constraint<'a> {
    Constraint {
        oid: index.constraint,
        name: &index.name,
        table,
        kind: if index.primary { 'p' } else { 'u' },
        validated: true,
        index: index.oid,
        no_inherit: true,
        columns: smallints(index.columns.iter().map(|c| c.column)),
        expr: Datum::Null,
        foreign: None,
    }
}

fn of_check<'a>(
    cx: &CatalogCx<'_>,
    table: &'a TableDescriptor,
    check: &'a CheckConstraint,
) -> Constraint<'a> {
    let columns = match expression::bound(&cx.names(), table, Kind::Condition, &check.expr) {
        Ok(expr) => smallints(expression::columns_read(&expr)),
        Err(_) => Datum::Null,
    };
    Constraint {
        oid: check.oid,
        name: &check.name,
        table,
        kind: 'c',
        validated: !check.not_valid,
        index: Oid::NONE,
        no_inherit: false,
        columns,
        expr: node_tree(Kind::Condition, &check.expr),
        foreign: None,
    }
}
