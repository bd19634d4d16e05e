//! What a changed row has to pass: NOT NULL, CHECK, generated columns, foreign keys.

use super::read::table_cursor;
use super::select::row_text;
use super::{ExecContext, txn_error};
use crate::catalog::ReferentialAction;
use crate::catalog::store::descriptor_key;
use crate::expr::EvalContext;
use crate::node::schema_name;
use crate::plan::{ForeignKeyPlan, ModifyPlan, Plan};
use crate::table::{IndexSource, TableCodec, push_key};
use crate::types::{self, Datum};
use crate::{Result, SqlError, SqlState};
use storage::engine::{Direction, Span};
use storage::key::{ColumnOrder, KeyWriter, prefix_end};
use txn::{Key, LockMode, WaitPolicy};

/// Holds the target's descriptor: a DDL that changes the table waits for this transaction, and the
/// commit fails if the descriptor changed after the plan was made.
pub(crate) async fn pin_schema(plan: &Plan, modify: &ModifyPlan, cx: &mut ExecContext<'_>) -> Result<()> {
    let table = &modify.codec.table;
    let key = Key::from(descriptor_key(table.database, table.oid));
    let wait = WaitPolicy::Wait { timeout: cx.info.lock_timeout };
    let txn = cx.txn.open(cx.node);
    let locked = txn.lock(std::slice::from_ref(&key), LockMode::KeyShare, wait).await.map_err(txn_error)?;
    let newest = locked.first().map_or(storage::Ts::ZERO, |l| l.ts);
    if newest > plan.catalog.version {
        return Err(super::schema_changed());
    }
    txn.require(key, newest);
    Ok(())
}

/// Fills generated columns and asks NOT NULL and CHECK.
pub(crate) fn complete_row(modify: &ModifyPlan, eval: &EvalContext<'_>, values: &mut [Datum]) -> Result<()> {
    for (column, expr) in &modify.generated {
        values[*column] = expr.eval(eval, values)?;
    }
    for column in &modify.not_null {
        if values[*column].is_null() {
            return Err(not_null_violation(modify, eval, *column, values));
        }
    }
    for (name, check) in &modify.checks {
        if let Datum::Bool(false) = check.eval(eval, values)? {
            return Err(check_violation(modify, eval, name, values));
        }
    }
    Ok(())
}

fn failing_row(modify: &ModifyPlan, eval: &EvalContext<'_>, values: &[Datum]) -> String {
    let columns = modify.codec.table.live_columns();
    let texts = columns.map(|c| (c.ty.oid, values[c.number as usize - 1].clone()));
    format!("Failing row contains {}.", row_text(texts, eval))
}

fn not_null_violation(
    modify: &ModifyPlan,
    eval: &EvalContext<'_>,
    column: usize,
    values: &[Datum],
) -> SqlError {
    let table = &modify.codec.table;
    let name = &table.columns[column].name;
    let message = format!(
        "null value in column \"{name}\" of relation \"{}\" violates not-null constraint",
        table.name
    );
    SqlError::new(SqlState::NOT_NULL_VIOLATION, message)
        .with_detail(failing_row(modify, eval, values))
        .with_table(schema_name(eval.call.catalog, table.schema), table.name.clone())
        .with_column(name.clone())
}

fn check_violation(modify: &ModifyPlan, eval: &EvalContext<'_>, check: &str, values: &[Datum]) -> SqlError {
    let table = &modify.codec.table;
    let message = format!("new row for relation \"{}\" violates check constraint \"{check}\"", table.name);
    SqlError::new(SqlState::CHECK_VIOLATION, message)
        .with_detail(failing_row(modify, eval, values))
        .with_table(schema_name(eval.call.catalog, table.schema), table.name.clone())
        .with_constraint(check)
}

/// A new or changed row of a referencing table: each key must exist. The referenced row is locked
/// KEY SHARE, and the lock's validation at commit is what makes the check hold.
pub(super) async fn check_references(
    modify: &ModifyPlan,
    eval: &EvalContext<'_>,
    cx: &mut ExecContext<'_>,
    old: Option<&[Datum]>,
    new: &[Datum],
) -> Result<()> {
    for reference in &modify.references {
        let key: Vec<&Datum> = reference.child_columns.iter().map(|c| &new[*c]).collect();
        let nulls = key.iter().filter(|v| v.is_null()).count();
        if nulls > 0 && (!reference.key.match_full || nulls == key.len()) {
            continue;
        }
        let unchanged = old.is_some_and(|old| same(reference, &reference.child_columns, old, new));
        if unchanged {
            continue;
        }
        if nulls > 0 || !parent_exists(reference, &key, cx).await? {
            return Err(missing_parent(reference, eval, &key));
        }
    }
    Ok(())
}

fn same(reference: &ForeignKeyPlan, columns: &[usize], old: &[Datum], new: &[Datum]) -> bool {
    let codec = if std::ptr::eq(columns, &reference.parent_columns[..]) {
        &reference.parent
    } else {
        &reference.child
    };
    columns.iter().all(|c| match (&old[*c], &new[*c]) {
        (Datum::Null, Datum::Null) => true,
        (Datum::Null, _) | (_, Datum::Null) => false,
        (a, b) => types::compare(codec.column_type(*c).oid, a, b).is_eq(),
    })
}

/// Looks the referenced key up and locks its row.
async fn parent_exists(reference: &ForeignKeyPlan, key: &[&Datum], cx: &mut ExecContext<'_>) -> Result<bool> {
    let Some(row_key) = parent_row_key(reference, key, cx).await? else { return Ok(false) };
    let wait = WaitPolicy::Wait { timeout: cx.info.lock_timeout };
    let txn = cx.txn.open(cx.node);
    txn.lock(std::slice::from_ref(&row_key), LockMode::KeyShare, wait).await.map_err(txn_error)?;
    Ok(txn.get_latest(&row_key).await.map_err(txn_error)?.is_some())
}

/// The key of the referenced row, by the primary key or through a unique index.
pub(crate) async fn parent_row_key(
    reference: &ForeignKeyPlan,
    key: &[&Datum],
    cx: &mut ExecContext<'_>,
) -> Result<Option<Key>> {
    let parent = &reference.parent;
    let value_of = |column: usize| reference.parent_columns.iter().position(|c| *c == column).map(|i| key[i]);
    if reference.key.referenced_index == parent.table.primary_key {
        let mut out = KeyWriter::after(parent.prefix().to_vec());
        for column in parent.key_columns() {
            let value =
                value_of(column).ok_or_else(|| SqlError::internal("foreign key without key column"))?;
            push_key(&mut out, value, parent.column_type(column).oid, ColumnOrder::KEY)?;
        }
        return Ok(Some(out.finish().into()));
    }
    let index = parent.indexes.iter().find(|i| i.oid == reference.key.referenced_index);
    let index = index.ok_or_else(|| SqlError::internal("foreign key without its unique index"))?;
    let mut out = index.search_key();
    for part in &index.parts {
        let IndexSource::Column(column) = part.source else {
            return Err(SqlError::internal("foreign key at an index on expressions"));
        };
        let value = value_of(column).ok_or_else(|| SqlError::internal("foreign key without key column"))?;
        push_key(&mut out, value, part.ty.oid, part.order)?;
    }
    let entry = Key::from(out.finish());
    let txn = cx.txn.open(cx.node);
    let found = txn.get_latest(&entry).await.map_err(txn_error)?;
    Ok(found.map(|suffix| parent.key_from_suffix(&suffix).into()))
}

pub(crate) fn missing_parent(reference: &ForeignKeyPlan, eval: &EvalContext<'_>, key: &[&Datum]) -> SqlError {
    let (child, parent) = (&reference.child, &reference.parent);
    let message = format!(
        "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
        child.table.name, reference.key.name
    );
    let detail = if key.iter().any(|v| v.is_null()) {
        "MATCH FULL does not allow mixing of null and nonnull key values.".to_owned()
    } else {
        format!(
            "Key {}={} is not present in table \"{}\".",
            names(child, &reference.child_columns),
            texts(child, &reference.child_columns, key, eval),
            parent.table.name
        )
    };
    fk_error(message, detail, child, reference, eval)
}

fn still_referenced(reference: &ForeignKeyPlan, eval: &EvalContext<'_>, old: &[Datum]) -> SqlError {
    let (child, parent) = (&reference.child, &reference.parent);
    let message = format!(
        "update or delete on table \"{}\" violates foreign key constraint \"{}\" on table \"{}\"",
        parent.table.name, reference.key.name, child.table.name
    );
    let key: Vec<&Datum> = reference.parent_columns.iter().map(|c| &old[*c]).collect();
    let detail = format!(
        "Key {}={} is still referenced from table \"{}\".",
        names(parent, &reference.parent_columns),
        texts(parent, &reference.parent_columns, &key, eval),
        child.table.name
    );
    fk_error(message, detail, child, reference, eval)
}

fn fk_error(
    message: String,
    detail: String,
    child: &TableCodec,
    reference: &ForeignKeyPlan,
    eval: &EvalContext<'_>,
) -> SqlError {
    SqlError::new(SqlState::FOREIGN_KEY_VIOLATION, message)
        .with_detail(detail)
        .with_table(schema_name(eval.call.catalog, child.table.schema), child.table.name.clone())
        .with_constraint(reference.key.name.clone())
}

fn names(codec: &TableCodec, columns: &[usize]) -> String {
    let names: Vec<&str> = columns.iter().map(|c| &*codec.table.columns[*c].name).collect();
    format!("({})", names.join(", "))
}

fn texts(codec: &TableCodec, columns: &[usize], key: &[&Datum], eval: &EvalContext<'_>) -> String {
    row_text(columns.iter().zip(key).map(|(c, v)| (codec.column_type(*c).oid, (*v).clone())), eval)
}

/// A row of a referenced table goes away.
pub(super) async fn on_delete(
    modify: &ModifyPlan,
    eval: &EvalContext<'_>,
    cx: &mut ExecContext<'_>,
    old: &[Datum],
) -> Result<()> {
    for reference in &modify.referenced_by {
        if has_children(reference, old, cx).await? {
            act(reference.key.on_delete, "ON DELETE", reference, eval, old)?;
        }
    }
    Ok(())
}

/// A row of a referenced table changes: only a changed key matters.
pub(super) async fn on_update(
    modify: &ModifyPlan,
    eval: &EvalContext<'_>,
    cx: &mut ExecContext<'_>,
    old: &[Datum],
    new: &[Datum],
) -> Result<()> {
    for reference in &modify.referenced_by {
        if !same(reference, &reference.parent_columns, old, new) && has_children(reference, old, cx).await? {
            act(reference.key.on_update, "ON UPDATE", reference, eval, old)?;
        }
    }
    Ok(())
}

fn act(
    action: ReferentialAction,
    clause: &str,
    reference: &ForeignKeyPlan,
    eval: &EvalContext<'_>,
    old: &[Datum],
) -> Result<()> {
    match action {
        ReferentialAction::NoAction | ReferentialAction::Restrict => {
            Err(still_referenced(reference, eval, old))
        }
        ReferentialAction::Cascade | ReferentialAction::SetNull | ReferentialAction::SetDefault => {
            Err(SqlError::not_built(format!("the {clause} action of foreign key \"{}\"", reference.key.name)))
        }
    }
}

/// Whether any row refers to the old key: through an index on the foreign key's columns if there is
/// one, else by reading the referencing table. The probed span must stay free of new rows until commit.
async fn has_children(reference: &ForeignKeyPlan, old: &[Datum], cx: &mut ExecContext<'_>) -> Result<bool> {
    let key: Vec<&Datum> = reference.parent_columns.iter().map(|c| &old[*c]).collect();
    if key.iter().any(|v| v.is_null()) {
        return Ok(false);
    }
    let child = &reference.child;
    let (span, indexed) = match child_span(reference, &key)? {
        Some(span) => (span, true),
        None => (child.span(), false),
    };
    let view = {
        let txn = cx.txn.open(cx.node);
        let view = txn.fresh_view();
        txn.require_span(span.clone(), view.ts());
        view
    };
    if indexed {
        let mut scan = view.scan(span, Direction::Forward);
        let mut block = txn::KvBlock::default();
        scan.next_block(1, 1 << 16, &mut block).await.map_err(txn_error)?;
        return Ok(!block.is_empty());
    }
    let mut values = vec![Datum::Null; child.width()];
    let mut cursor = table_cursor(view, span);
    while cursor.refill(child).await? {
        cx.cancel.check()?;
        while let Some((row_key, row)) = cursor.next_in_block() {
            child.decode(row_key, row, &reference.child_columns, &mut values)?;
            let refers = reference.child_columns.iter().zip(&key).all(|(c, v)| {
                !values[*c].is_null() && types::compare(child.column_type(*c).oid, &values[*c], v).is_eq()
            });
            if refers {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The span of an index (or the primary key) of the child that begins with the foreign key's columns.
fn child_span(reference: &ForeignKeyPlan, key: &[&Datum]) -> Result<Option<Span>> {
    let child = &reference.child;
    let wanted = &reference.child_columns;
    let fill = |mut out: KeyWriter, parts: Vec<(usize, ColumnOrder)>| -> Result<Option<Span>> {
        if parts.len() < wanted.len() || !parts[..wanted.len()].iter().all(|(c, _)| wanted.contains(c)) {
            return Ok(None);
        }
        for (column, order) in &parts[..wanted.len()] {
            let at = wanted.iter().position(|c| c == column).expect("checked above");
            push_key(&mut out, key[at], child.column_type(*column).oid, *order)?;
        }
        let lo = out.finish();
        Ok(Some(Span { hi: prefix_end(&lo), lo }))
    };
    let primary = child.key_columns().map(|c| (c, ColumnOrder::KEY)).collect();
    if let Some(span) = fill(KeyWriter::after(child.prefix().to_vec()), primary)? {
        return Ok(Some(span));
    }
    for index in &child.indexes {
        let parts = index.parts.iter().map_while(|p| match p.source {
            IndexSource::Column(c) => Some((c, p.order)),
            IndexSource::Expression(_) => None,
        });
        if let Some(span) = fill(index.search_key(), parts.collect())? {
            return Ok(Some(span));
        }
    }
    Ok(None)
}

/// Looks up the key of every row of the referencing table: a foreign key that is added.
pub async fn check_all_references(reference: &ForeignKeyPlan, cx: &mut ExecContext<'_>) -> Result<()> {
    let mut rows = super::TableReader::all(&reference.child, cx)?;
    let mut last: Option<Vec<Datum>> = None;
    while rows.refill(&reference.child).await? {
        cx.cancel.check()?;
        while let Some((_, values)) = rows.next_row(&reference.child)? {
            let key: Vec<Datum> = reference.child_columns.iter().map(|c| values[*c].clone()).collect();
            let nulls = key.iter().filter(|v| v.is_null()).count();
            if nulls > 0 && (!reference.key.match_full || nulls == key.len()) {
                continue;
            }
            // Neighbours often share their parent.
            let again = last.as_ref().is_some_and(|last| equal_keys(reference, last, &key));
            if again {
                continue;
            }
            let borrowed: Vec<&Datum> = key.iter().collect();
            if nulls > 0 || !key_exists(reference, &borrowed, cx).await? {
                let eval = EvalContext { call: cx.call(), params: &[] };
                return Err(missing_parent(reference, &eval, &borrowed));
            }
            last = Some(key);
        }
    }
    Ok(())
}

fn equal_keys(reference: &ForeignKeyPlan, a: &[Datum], b: &[Datum]) -> bool {
    reference
        .child_columns
        .iter()
        .zip(a.iter().zip(b))
        .all(|(c, (a, b))| types::compare(reference.child.column_type(*c).oid, a, b).is_eq())
}

/// Whether the referenced row exists, without a lock: both tables are held by the DDL.
async fn key_exists(reference: &ForeignKeyPlan, key: &[&Datum], cx: &mut ExecContext<'_>) -> Result<bool> {
    let Some(row_key) = parent_row_key(reference, key, cx).await? else { return Ok(false) };
    let txn = cx.txn.open(cx.node);
    Ok(txn.get_latest(&row_key).await.map_err(txn_error)?.is_some())
}
