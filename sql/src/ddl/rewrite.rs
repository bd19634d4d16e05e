//! Filling new storage: index entries for existing rows, and rows under a new key or layout.

use super::change;
use crate::bind::{BindContext, ParamTypes};
use crate::catalog::{Descriptor, TableDescriptor};
use crate::exec::{ExecContext, TableReader, txn_error};
use crate::expr::{Compiled, EvalContext};
use crate::ir::Expr;
use crate::node::duplicate_key_of;
use crate::table::TableCodec;
use crate::types::{Datum, TypeRef};
use crate::{Oid, Result, SqlError, SqlState};
use std::sync::Arc;
use txn::Key;

/// Runs `bind` with what binding inside DDL sees; there are no parameters.
pub(super) fn with_binder<T>(
    cx: &ExecContext<'_>,
    bind: impl FnOnce(&mut BindContext<'_>) -> Result<T>,
) -> Result<T> {
    let mut params = ParamTypes::declared(&[]);
    bind(&mut BindContext {
        catalog: cx.txn.catalog().snapshot(),
        search_path: &cx.info.search_path,
        session: cx.info,
        params: &mut params,
    })
}

/// A column type as the catalog of this transaction knows it.
pub(super) fn resolve_type(cx: &ExecContext<'_>, ty: &sqlparser::ast::DataType) -> Result<TypeRef> {
    with_binder(cx, |bind_cx| crate::bind::resolve_type(bind_cx, ty))
}

/// An expression given as text, coerced to `want`, over the columns of `table`.
pub(super) fn bind_text(
    cx: &ExecContext<'_>,
    text: &str,
    table: Option<&TableDescriptor>,
    want: TypeRef,
) -> Result<Expr> {
    with_binder(cx, |bind_cx| crate::bind::bind_expr_text(bind_cx, text, table, Some(want)))
}

/// The codec of a table as this transaction sees it.
pub(super) fn codec(cx: &ExecContext<'_>, table: Oid) -> Result<Arc<TableCodec>> {
    let catalog = cx.txn.catalog().snapshot();
    let table = catalog.table(table).ok_or_else(|| SqlError::internal("table vanished during DDL"))?;
    catalog.codec(table.oid)
}

/// Writes the entries of one index for every row that exists, own writes included.
pub(super) async fn fill_index(cx: &mut ExecContext<'_>, table: &TableDescriptor, index: Oid) -> Result<()> {
    let codec = codec(cx, table.oid)?;
    let at = codec.indexes.iter().position(|i| i.oid == index);
    let at = at.ok_or_else(|| SqlError::internal("new index missing from its table"))?;
    let mut rows = TableReader::all(&codec, cx)?;
    while rows.refill(&codec).await? {
        between_blocks(cx).await?;
        while let Some((key, values)) = rows.next_row(&codec)? {
            let entry = codec.indexes[at].entry(&values, codec.key_suffix(&key))?;
            if entry.exclusive {
                insert_new(cx, entry.key.into(), entry.value, index).await?;
            } else {
                cx.txn.open(cx.node).put(entry.key.into(), entry.value.into());
            }
        }
    }
    Ok(())
}

/// Cancellation, and a write buffer that grew too large.
async fn between_blocks(cx: &mut ExecContext<'_>) -> Result<()> {
    cx.cancel.check()?;
    cx.txn.open(cx.node).spill_if_needed().await.map_err(txn_error)
}

/// Buffers a key that no other row may have.
async fn insert_new(cx: &mut ExecContext<'_>, key: Key, value: Vec<u8>, index: Oid) -> Result<()> {
    let txn = cx.txn.open(cx.node);
    if txn.get_latest(&key).await.map_err(txn_error)?.is_some() {
        return Err(could_not_create(cx, index, &key));
    }
    txn.insert(key, value.into(), index.0);
    Ok(())
}

/// 23505 as PostgreSQL words it while an index is built.
fn could_not_create(cx: &ExecContext<'_>, index: Oid, key: &[u8]) -> SqlError {
    let catalog = cx.txn.catalog().snapshot();
    let name = catalog.index(index).map_or_else(String::new, |i| i.name.clone());
    let error =
        SqlError::new(SqlState::UNIQUE_VIOLATION, format!("could not create unique index \"{name}\""))
            .with_constraint(name);
    match duplicate_key_of(catalog, index, key) {
        Some(values) => error.with_detail(format!("Key {values} is duplicated.")),
        None => error,
    }
}

/// Moves every row into fresh storage, as the table's new descriptor says: another key, other column
/// types. `convert` makes the new values of a row. Indexes are filled again under the new storage id.
pub(super) async fn rewrite_rows(
    cx: &mut ExecContext<'_>,
    old: &Arc<TableCodec>,
    mut new: TableDescriptor,
    convert: &(dyn Fn(&EvalContext<'_>, &mut Vec<Datum>) -> Result<()> + Sync),
) -> Result<()> {
    new.storage_id = u64::from(cx.node.next_oid().await?.0);
    change::replace(cx, Descriptor::Table(new.clone())).await?;
    let codec = codec(cx, new.oid)?;
    let mut rows = TableReader::all(old, cx)?;
    while rows.refill(old).await? {
        between_blocks(cx).await?;
        while let Some((_, mut values)) = rows.next_row(old)? {
            convert(&EvalContext { call: cx.call(), params: &[] }, &mut values)?;
            write_row(cx, &codec, &values).await?;
        }
    }
    let span = old.storage_span();
    super::truncate::drop_storage(cx, span).await
}

async fn write_row(cx: &mut ExecContext<'_>, codec: &TableCodec, values: &[Datum]) -> Result<()> {
    let row_id = if codec.has_row_id() { cx.node.next_row_id().await? } else { 0 };
    let key = Key::from(codec.row_key(values, row_id)?);
    let mut row = vec![];
    codec.encode_row(values, &mut row)?;
    for index in &codec.indexes {
        let entry = index.entry(values, codec.key_suffix(&key))?;
        if entry.exclusive {
            insert_new(cx, entry.key.into(), entry.value, index.oid).await?;
        } else {
            cx.txn.open(cx.node).put(entry.key.into(), entry.value.into());
        }
    }
    if codec.has_row_id() {
        cx.txn.open(cx.node).put(key, row.into());
        return Ok(());
    }
    insert_new(cx, key, row, codec.table.primary_key).await
}

/// Asks a condition of every row; `error` words the failure.
pub(super) async fn check_rows(
    cx: &mut ExecContext<'_>,
    table: Oid,
    condition: &Compiled,
    error: impl Fn() -> SqlError,
) -> Result<()> {
    let codec = codec(cx, table)?;
    let mut rows = TableReader::all(&codec, cx)?;
    while rows.refill(&codec).await? {
        cx.cancel.check()?;
        while let Some((_, values)) = rows.next_row(&codec)? {
            let verdict = condition.eval(&EvalContext { call: cx.call(), params: &[] }, &values)?;
            if matches!(verdict, Datum::Bool(false)) {
                return Err(error());
            }
        }
    }
    Ok(())
}

/// Whether a table has no row, own writes included.
pub(super) async fn is_empty(cx: &mut ExecContext<'_>, codec: &Arc<TableCodec>) -> Result<bool> {
    let mut rows = TableReader::all(codec, cx)?;
    Ok(!rows.refill(codec).await?)
}

/// 23502 when a column of an existing row is null.
pub(super) async fn refuse_nulls(
    cx: &mut ExecContext<'_>,
    table: &TableDescriptor,
    column: usize,
) -> Result<()> {
    let codec = codec(cx, table.oid)?;
    let mut rows = TableReader::all(&codec, cx)?;
    while rows.refill(&codec).await? {
        cx.cancel.check()?;
        while let Some((_, values)) = rows.next_row(&codec)? {
            if values[column].is_null() {
                return Err(super::constraint::contains_nulls(table, column));
            }
        }
    }
    Ok(())
}
