//! CREATE INDEX, and the indexes of constraints.

use super::names::{fold, made_up, parts, table};
use super::{change, rewrite};
use crate::catalog::{Descriptor, IndexColumn, IndexDescriptor, IndexState, TableDescriptor};
use crate::exec::ExecContext;
use crate::{Oid, Result, SqlError, SqlState};
use sqlparser::ast::{CreateIndex, Expr, IndexColumn as AstColumn, OrderBySort};

pub(super) async fn create(create: &CreateIndex, cx: &mut ExecContext<'_>) -> Result<String> {
    let done = || Ok("CREATE INDEX".to_owned());
    refuse_unbuilt(create)?;
    let table = table(&create.table_name, cx)?;
    change::require_owner(cx, "table", &table.name, table.owner)?;
    let columns = columns(&table, &create.columns)?;
    let catalog = cx.txn.catalog().snapshot();
    let name = match &create.name {
        Some(name) => parts(name)?.pop().unwrap_or_default(),
        None => {
            let names: Vec<&str> = columns.iter().map(|c| column_name(&table, c)).collect();
            made_up(catalog, table.schema, &table.name, &names, "idx", |_| false)
        }
    };
    if create.if_not_exists && catalog.relation(table.schema, &name).is_some() {
        let message = format!("relation \"{name}\" already exists, skipping");
        cx.notice(SqlError::new(SqlState::DUPLICATE_TABLE, message));
        return done();
    }
    let new = NewIndex { name, columns, unique: create.unique, primary: false, constraint: Oid::NONE };
    add(cx, table.oid, new).await?;
    done()
}

fn refuse_unbuilt(create: &CreateIndex) -> Result<()> {
    if let Some(using) = &create.using
        && !using.to_string().eq_ignore_ascii_case("btree")
    {
        return Err(SqlError::not_built(format!("index access method {using}")));
    }
    let unbuilt = [
        (create.predicate.is_some(), "a partial index"),
        (!create.include.is_empty(), "INCLUDE columns of an index"),
        (create.nulls_distinct == Some(false), "NULLS NOT DISTINCT"),
        (create.concurrently, "CREATE INDEX CONCURRENTLY"),
        (!create.with.is_empty(), "index storage parameters"),
    ];
    match unbuilt.iter().find(|(asked, _)| *asked) {
        Some((_, what)) => Err(SqlError::not_built(what)),
        None => Ok(()),
    }
}

/// An index to be made.
pub(super) struct NewIndex {
    pub(super) name: String,
    pub(super) columns: Vec<IndexColumn>,
    pub(super) unique: bool,
    pub(super) primary: bool,
    pub(super) constraint: Oid,
}

/// The columns of a definition, resolved; 42703 for one that the table lacks.
pub(super) fn columns(table: &TableDescriptor, columns: &[AstColumn]) -> Result<Vec<IndexColumn>> {
    columns.iter().map(|column| index_column(table, column)).collect()
}

fn index_column(table: &TableDescriptor, column: &AstColumn) -> Result<IndexColumn> {
    if let Some(class) = &column.operator_class {
        return Err(SqlError::not_built(format!("operator class {class}")));
    }
    let Expr::Identifier(ident) = &column.column.expr else {
        return Err(SqlError::not_built("an index on an expression"));
    };
    let number = column_number(table, &fold(ident))?;
    let options = &column.column.options;
    let descending = match &options.sort {
        None | Some(OrderBySort::Asc) => false,
        Some(OrderBySort::Desc) => true,
        Some(_) => {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "USING is not allowed in an index definition"));
        }
    };
    Ok(IndexColumn {
        column: number,
        expr: None,
        descending,
        nulls_first: options.nulls_first.unwrap_or(descending),
    })
}

/// The number of a column by name.
pub(super) fn column_number(table: &TableDescriptor, name: &str) -> Result<i16> {
    table
        .column_named(name)
        .map(|c| c.number)
        .ok_or_else(|| SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist")))
}

fn column_name<'t>(table: &'t TableDescriptor, column: &IndexColumn) -> &'t str {
    table.column(column.column).map_or("expr", |c| &c.name)
}

/// Adds a secondary index: descriptor, then the entries of the rows that exist. The table's users are
/// excluded until this transaction ends, so that index and table agree from its commit on.
pub(super) async fn add(cx: &mut ExecContext<'_>, table: Oid, new: NewIndex) -> Result<Oid> {
    let mut table = current(cx, table)?;
    change::exclude_users(cx, &table).await?;
    let oid = cx.node.next_oid().await?;
    let index = IndexDescriptor {
        oid,
        database: table.database,
        name: new.name,
        schema: table.schema,
        table: table.oid,
        number: table.next_index_number,
        columns: new.columns,
        include: vec![],
        unique: new.unique,
        primary: new.primary,
        constraint: new.constraint,
        predicate: None,
        state: IndexState::Public,
        comment: None,
    };
    // Compiled first: a column type without key form is refused before anything is written.
    table.next_index_number += 1;
    change::create(cx, Descriptor::Index(index)).await?;
    change::replace(cx, Descriptor::Table(table.clone())).await?;
    rewrite::fill_index(cx, &table, oid).await?;
    Ok(oid)
}

/// A table as this transaction sees it now.
pub(super) fn current(cx: &ExecContext<'_>, table: Oid) -> Result<TableDescriptor> {
    let found = cx.txn.catalog().snapshot().table(table).cloned();
    found.ok_or_else(|| SqlError::internal("table vanished during DDL"))
}
