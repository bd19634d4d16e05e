//! The views of constraints.

use super::{all_tables, database, owns, sees_constraints};
use crate::catalog::{ForeignKey, ReferentialAction, TableDescriptor};
use crate::pgcatalog::deparse::{self, Constraint};
use crate::pgcatalog::expression::{self, Kind, Style};
use crate::pgcatalog::value::{name, optional, yes};
use crate::pgcatalog::{CatalogCx, Row};
use crate::types::Datum;
use crate::{Oid, Result};

/// What PostgreSQL 15 names a NOT NULL here: it is no constraint of its own.
fn not_null_name(table: &TableDescriptor, number: i16) -> Datum {
    name(format!("{}_{}_{number}_not_null", table.schema, table.oid))
}

fn schema(cx: &CatalogCx<'_>, table: &TableDescriptor) -> Datum {
    optional(cx.names().schema(table.schema))
}

pub(in crate::pgcatalog) fn table_constraints(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for table in all_tables(cx).into_iter().filter(|t| sees_constraints(cx, t)) {
        let mut add = |constraint: Datum, kind: &str, deferrable: bool, deferred: bool| {
            let nulls_distinct = if kind == "UNIQUE" { yes(true) } else { Datum::Null };
            rows.push(vec![
                database(cx),
                schema(cx, table),
                constraint,
                database(cx),
                schema(cx, table),
                name(&table.name),
                name(kind),
                yes(deferrable),
                yes(deferred),
                yes(true),
                nulls_distinct,
            ]);
        };
        for index in cx.catalog.indexes_of(table.oid).filter(|i| i.constraint != Oid::NONE) {
            add(name(&index.name), if index.primary { "PRIMARY KEY" } else { "UNIQUE" }, false, false);
        }
        for key in &table.foreign_keys {
            add(name(&key.name), "FOREIGN KEY", key.deferrable, key.initially_deferred);
        }
        for check in &table.checks {
            add(name(&check.name), "CHECK", false, false);
        }
        for column in table.live_columns().filter(|c| c.not_null) {
            add(not_null_name(table, column.number), "CHECK", false, false);
        }
    }
    Ok(rows)
}

pub(in crate::pgcatalog) fn key_column_usage(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for table in all_tables(cx).into_iter().filter(|t| sees_constraints(cx, t)) {
        let mut add = |constraint: &str, column: i16, position: usize, unique: Option<usize>| {
            let count = |n: usize| Datum::Int4(i32::try_from(n).unwrap_or(i32::MAX));
            rows.push(vec![
                database(cx),
                schema(cx, table),
                name(constraint),
                database(cx),
                schema(cx, table),
                name(&table.name),
                optional(table.column(column).map(|c| &c.name)),
                count(position),
                unique.map_or(Datum::Null, count),
            ]);
        };
        for index in cx.catalog.indexes_of(table.oid).filter(|i| i.constraint != Oid::NONE) {
            for (at, column) in (1..).zip(&index.columns) {
                add(&index.name, column.column, at, None);
            }
        }
        for key in &table.foreign_keys {
            let index = cx.catalog.index(key.referenced_index);
            for (at, (own, parent)) in (1..).zip(key.columns.iter().zip(&key.referenced_columns)) {
                let unique = index.and_then(|i| i.columns.iter().position(|c| c.column == *parent));
                add(&key.name, *own, at, unique.map(|at| at + 1));
            }
        }
    }
    Ok(rows)
}

/// One row a column that a constraint relies on: its own for keys and checks, the referenced ones for
/// a foreign key. Only owned tables show.
pub(in crate::pgcatalog) fn constraint_column_usage(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for table in all_tables(cx) {
        let mut add = |of: &TableDescriptor, columns: &[i16], constraint: &str| {
            if !owns(cx, of.owner) {
                return;
            }
            for column in columns.iter().filter_map(|n| of.column(*n)) {
                rows.push(vec![
                    database(cx),
                    schema(cx, of),
                    name(&of.name),
                    name(&column.name),
                    database(cx),
                    schema(cx, table),
                    name(constraint),
                ]);
            }
        };
        for index in cx.catalog.indexes_of(table.oid).filter(|i| i.constraint != Oid::NONE) {
            let columns: Vec<i16> = index.columns.iter().map(|c| c.column).collect();
            add(table, &columns, &index.name);
        }
        for check in &table.checks {
            let read = expression::bound(&cx.names(), table, Kind::Condition, &check.expr)?;
            add(table, &expression::columns_read(&read), &check.name);
        }
        for key in &table.foreign_keys {
            if let Some(parent) = cx.catalog.table(key.referenced_table) {
                add(parent, &key.referenced_columns, &key.name);
            }
        }
    }
    Ok(rows)
}

pub(in crate::pgcatalog) fn constraint_table_usage(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for table in all_tables(cx) {
        let mut add = |of: &TableDescriptor, constraint: &str| {
            if owns(cx, of.owner) {
                let (of_schema, own_schema) = (schema(cx, of), schema(cx, table));
                rows.push(vec![
                    database(cx),
                    of_schema,
                    name(&of.name),
                    database(cx),
                    own_schema,
                    name(constraint),
                ]);
            }
        };
        for index in cx.catalog.indexes_of(table.oid).filter(|i| i.constraint != Oid::NONE) {
            add(table, &index.name);
        }
        for key in &table.foreign_keys {
            if let Some(parent) = cx.catalog.table(key.referenced_table) {
                add(parent, &key.name);
            }
        }
    }
    Ok(rows)
}

fn rule(action: ReferentialAction) -> &'static str {
    match action {
        ReferentialAction::NoAction => "NO ACTION",
        ReferentialAction::Restrict => "RESTRICT",
        ReferentialAction::Cascade => "CASCADE",
        ReferentialAction::SetNull => "SET NULL",
        ReferentialAction::SetDefault => "SET DEFAULT",
    }
}

pub(in crate::pgcatalog) fn referential_constraints(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let row = |table: &TableDescriptor, key: &ForeignKey| {
        // A unique index that no constraint owns has no name here.
        let unique = cx.catalog.index(key.referenced_index).filter(|i| i.constraint != Oid::NONE);
        vec![
            database(cx),
            schema(cx, table),
            name(&key.name),
            if unique.is_some() { database(cx) } else { Datum::Null },
            optional(unique.and_then(|i| cx.catalog.get(i.schema)).map(|s| s.name())),
            optional(unique.map(|i| &i.name)),
            name(if key.match_full { "FULL" } else { "NONE" }),
            name(rule(key.on_update)),
            name(rule(key.on_delete)),
        ]
    };
    let tables = all_tables(cx).into_iter().filter(|t| sees_constraints(cx, t));
    Ok(tables.flat_map(|t| t.foreign_keys.iter().map(move |key| row(t, key))).collect())
}

pub(in crate::pgcatalog) fn check_constraints(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let names = cx.names();
    let mut rows = Vec::new();
    for table in all_tables(cx).into_iter().filter(|t| owns(cx, t.owner)) {
        for check in &table.checks {
            let definition = deparse::constraint(&names, &Constraint::Check(table, check), Style::Plain);
            let clause = definition.strip_prefix("CHECK ").unwrap_or(&definition);
            rows.push(vec![database(cx), schema(cx, table), name(&check.name), name(clause)]);
        }
        for column in table.live_columns().filter(|c| c.not_null) {
            let clause = name(format!("{} IS NOT NULL", column.name));
            rows.push(vec![database(cx), schema(cx, table), not_null_name(table, column.number), clause]);
        }
    }
    Ok(rows)
}
