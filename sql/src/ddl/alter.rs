//! ALTER TABLE.

use super::names::{fold, parts, table as find_table};
use super::table::{Definition, add_column, set_layout};
use super::{change, constraint, drop, index, rewrite, role, sequence};
use crate::catalog::{Column, Descriptor, TableDescriptor};
use crate::exec::ExecContext;
use crate::expr::{EvalContext, compile};
use crate::types::{self, Datum};
use crate::{Oid, Result, SqlError, SqlState};
use sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation as Operation, ColumnDef, Ident, Owner,
    RenameTableNameKind,
};

pub(super) async fn table(alter: &AlterTable, cx: &mut ExecContext<'_>) -> Result<&'static str> {
    if alter.if_exists && super::names::find(&alter.name, cx)?.is_none() {
        let message = format!("relation \"{}\" does not exist, skipping", super::names::display(&alter.name));
        cx.notice(SqlError::new(SqlState::SUCCESSFUL_COMPLETION, message));
        return Ok("ALTER TABLE");
    }
    let found = find_table(&alter.name, cx)?;
    change::require_owner(cx, "table", &found.name, found.owner)?;
    for operation in &alter.operations {
        change::exclude_users(cx, &found).await?;
        one(found.oid, operation, cx).await?;
    }
    Ok("ALTER TABLE")
}

async fn one(oid: Oid, operation: &Operation, cx: &mut ExecContext<'_>) -> Result<()> {
    let mut table = index::current(cx, oid)?;
    match operation {
        Operation::AddConstraint { constraint, not_valid } => {
            return constraint::add(cx, oid, constraint, *not_valid).await;
        }
        Operation::AddColumn { if_not_exists, column_def, .. } => {
            return new_column(cx, table, *if_not_exists, column_def).await;
        }
        Operation::DropColumn { column_names, if_exists, .. } => {
            for name in column_names {
                drop_column(cx, oid, &fold(name), *if_exists).await?;
            }
            return Ok(());
        }
        Operation::DropConstraint { if_exists, name, .. } => {
            return drop_constraint(cx, table, &fold(name), *if_exists).await;
        }
        Operation::AlterColumn { column_name, op } => return alter_column(cx, table, column_name, op).await,
        Operation::RenameColumn { old_column_name, new_column_name } => {
            rename_column(&mut table, &fold(old_column_name), fold(new_column_name))?;
        }
        Operation::RenameTable { table_name } => {
            let (RenameTableNameKind::As(name) | RenameTableNameKind::To(name)) = table_name;
            table.name = parts(name)?.pop().unwrap_or_default();
        }
        Operation::OwnerTo { new_owner } => {
            table.owner = match new_owner {
                Owner::Ident(ident) => role::find(&fold(ident), cx)?.oid,
                Owner::CurrentRole | Owner::CurrentUser | Owner::SessionUser => cx.info.role,
            };
        }
        other => return Err(SqlError::not_built(format!("ALTER TABLE ... {other}"))),
    }
    change::replace(cx, Descriptor::Table(table)).await
}

fn no_column(table: &TableDescriptor, name: &str) -> SqlError {
    let message = format!("column \"{name}\" of relation \"{}\" does not exist", table.name);
    SqlError::new(SqlState::UNDEFINED_COLUMN, message)
}

fn position(table: &TableDescriptor, name: &str) -> Result<usize> {
    table.column_named(name).map(|c| c.number as usize - 1).ok_or_else(|| no_column(table, name))
}

/// ADD COLUMN. Existing rows show the default's value of now, stored once beside the column, as long
/// as the default is the same for every row; a volatile one rewrites the table.
async fn new_column(
    cx: &mut ExecContext<'_>,
    table: TableDescriptor,
    if_not_exists: bool,
    column: &ColumnDef,
) -> Result<()> {
    let name = fold(&column.name);
    if table.column_named(&name).is_some() {
        let message = format!("column \"{name}\" of relation \"{}\" already exists", table.name);
        if if_not_exists {
            cx.notice(SqlError::new(SqlState::DUPLICATE_COLUMN, format!("{message}, skipping")));
            return Ok(());
        }
        return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
    }
    let old = rewrite::codec(cx, table.oid)?;
    let oid = table.oid;
    let mut definition = Definition { table, constraints: vec![], sequences: vec![] };
    add_column(&mut definition, column, cx).await?;
    let Definition { mut table, constraints, sequences } = definition;
    let empty = rewrite::is_empty(cx, &old).await?;
    let added = table.columns.last().cloned().ok_or_else(|| SqlError::internal("column not added"))?;
    if !empty && (!sequences.is_empty() || added.generated.is_some()) {
        return Err(SqlError::not_built(
            "ADD COLUMN with a sequence or a generated column on a table with rows",
        ));
    }
    if !empty {
        let missing = default_now(cx, &added)?;
        if added.not_null && missing.is_none() {
            return Err(constraint::contains_nulls(&table, table.columns.len() - 1));
        }
        if let Some(last) = table.columns.last_mut() {
            last.missing = missing;
        }
    }
    set_layout(&mut table);
    change::replace(cx, Descriptor::Table(table)).await?;
    for new in sequences {
        sequence::create_row(cx, new).await?;
    }
    constraint::add_all(cx, oid, &constraints).await
}

/// The text of a default that is the same for all rows; `None`: null.
fn default_now(cx: &ExecContext<'_>, column: &Column) -> Result<Option<String>> {
    let Some(text) = &column.default else { return Ok(None) };
    let expr = rewrite::bind_text(cx, text, None, column.ty)?;
    let mut volatile = false;
    expr.walk(&mut |e| {
        if let crate::ir::ExprKind::Call { function, .. } = &e.kind {
            volatile |= crate::registry::Registry::get()
                .proc(*function)
                .is_none_or(|p| p.volatility == crate::registry::Volatility::Volatile);
        }
    });
    if volatile {
        return Err(SqlError::not_built("ADD COLUMN with a volatile default on a table with rows"));
    }
    let value = compile(&expr, &|_| None)?.eval(&EvalContext { call: cx.call(), params: &[] }, &[])?;
    if value.is_null() {
        return Ok(None);
    }
    // Stored in the neutral format that reading it back uses.
    let mut out = vec![];
    types::output(column.ty.oid, &value, &Default::default(), &mut out);
    String::from_utf8(out).map(Some).map_err(|_| SqlError::internal("default with invalid text"))
}

/// DROP COLUMN: the column becomes a hole; indexes and constraints over it go.
async fn drop_column(cx: &mut ExecContext<'_>, oid: Oid, name: &str, if_exists: bool) -> Result<()> {
    let table = index::current(cx, oid)?;
    let Some(column) = table.column_named(name).cloned() else {
        if if_exists {
            let message =
                format!("column \"{name}\" of relation \"{}\" does not exist, skipping", table.name);
            cx.notice(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
            return Ok(());
        }
        return Err(no_column(&table, name));
    };
    if table.key_columns.contains(&column.number) {
        return Err(SqlError::not_built("DROP COLUMN of a primary key column"));
    }
    let over: Vec<Oid> = cx
        .txn
        .catalog()
        .snapshot()
        .indexes_of(oid)
        .filter(|i| i.columns.iter().any(|c| c.column == column.number))
        .map(|i| i.oid)
        .collect();
    for found in over {
        drop::drop_index(found, cx).await?;
    }
    let mut table = index::current(cx, oid)?;
    let at = column.number as usize - 1;
    table.foreign_keys.retain(|k| !k.columns.contains(&column.number));
    let slot = &mut table.columns[at];
    slot.dropped = true;
    slot.not_null = false;
    slot.default = None;
    slot.generated = None;
    slot.identity = None;
    slot.name = format!("........pg.dropped.{}........", column.number);
    set_layout(&mut table);
    change::replace(cx, Descriptor::Table(table)).await
}

async fn drop_constraint(
    cx: &mut ExecContext<'_>,
    mut table: TableDescriptor,
    name: &str,
    if_exists: bool,
) -> Result<()> {
    let index = cx
        .txn
        .catalog()
        .snapshot()
        .indexes_of(table.oid)
        .find(|i| i.constraint != Oid::NONE && i.name == name)
        .map(|i| (i.oid, i.primary));
    match index {
        Some((_, true)) => return Err(SqlError::not_built("dropping a primary key")),
        Some((oid, false)) => return drop::drop_index(oid, cx).await,
        None => {}
    }
    if !constraint::has_constraint(&table, name) {
        let message = format!("constraint \"{name}\" of relation \"{}\" does not exist", table.name);
        if if_exists {
            cx.notice(SqlError::new(SqlState::UNDEFINED_OBJECT, format!("{message}, skipping")));
            return Ok(());
        }
        return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
    }
    table.checks.retain(|c| c.name != name);
    table.foreign_keys.retain(|k| k.name != name);
    change::replace(cx, Descriptor::Table(table)).await
}

async fn alter_column(
    cx: &mut ExecContext<'_>,
    mut table: TableDescriptor,
    name: &Ident,
    operation: &AlterColumnOperation,
) -> Result<()> {
    let at = position(&table, &fold(name))?;
    match operation {
        AlterColumnOperation::SetNotNull => {
            rewrite::refuse_nulls(cx, &table, at).await?;
            table.columns[at].not_null = true;
        }
        AlterColumnOperation::DropNotNull => {
            let column = &table.columns[at];
            if table.key_columns.contains(&column.number) {
                let message = format!("column \"{}\" is in a primary key", column.name);
                return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
            }
            table.columns[at].not_null = false;
        }
        AlterColumnOperation::SetDefault { value } => {
            let text = value.to_string();
            let ty = table.columns[at].ty;
            rewrite::bind_text(cx, &text, None, ty)?;
            table.columns[at].default = Some(text);
        }
        AlterColumnOperation::DropDefault => table.columns[at].default = None,
        AlterColumnOperation::SetDataType { data_type, using: None, .. } => {
            return change_type(cx, table, at, data_type).await;
        }
        other => return Err(SqlError::not_built(format!("ALTER COLUMN ... {other}"))),
    }
    change::replace(cx, Descriptor::Table(table)).await
}

/// ALTER COLUMN TYPE by the assignment cast: every row is written again.
async fn change_type(
    cx: &mut ExecContext<'_>,
    mut table: TableDescriptor,
    at: usize,
    data_type: &sqlparser::ast::DataType,
) -> Result<()> {
    let to = rewrite::resolve_type(cx, data_type)?;
    let name = table.columns[at].name.clone();
    let text = format!("\"{}\"", name.replace('"', "\"\""));
    let expr = rewrite::bind_text(cx, &text, Some(&table), to)?;
    let width = table.columns.len();
    let compiled = compile(&expr, &|c| usize::try_from(c.column - 1).ok().filter(|slot| *slot < width))?;
    let old = rewrite::codec(cx, table.oid)?;
    table.columns[at].ty = to;
    table.columns[at].missing = None;
    table.layouts.clear();
    set_layout(&mut table);
    let convert = move |eval: &EvalContext<'_>, values: &mut Vec<Datum>| -> Result<()> {
        values[at] = compiled.eval(eval, values)?;
        Ok(())
    };
    rewrite::rewrite_rows(cx, &old, table, &convert).await
}

fn rename_column(table: &mut TableDescriptor, old: &str, new: String) -> Result<()> {
    let at = position(table, old)?;
    if table.column_named(&new).is_some() {
        let message = format!("column \"{new}\" of relation \"{}\" already exists", table.name);
        return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
    }
    let mentioned = table.checks.iter().any(|c| c.expr.contains(old))
        || table.live_columns().any(|c| c.generated.as_ref().is_some_and(|g| g.contains(old)));
    if mentioned {
        return Err(SqlError::not_built(
            "RENAME COLUMN of a column that a CHECK or generated column may use",
        ));
    }
    table.columns[at].name = new;
    Ok(())
}
