//! Table constraints: PRIMARY KEY, UNIQUE, FOREIGN KEY, CHECK.

use super::index::{NewIndex, column_number, columns, current};
use super::names::{display, fold, made_up, table};
use super::{change, rewrite, table as tables};
use crate::catalog::{
    CheckConstraint, Descriptor, ForeignKey, IndexColumn, IndexDescriptor, IndexState, ReferentialAction,
    TableDescriptor,
};
use crate::exec::ExecContext;
use crate::expr::{EvalContext, compile};
use crate::plan::ForeignKeyPlan;
use crate::types::{Datum, TypeRef};
use crate::{Oid, Result, SqlError, SqlState};
use sqlparser::ast::{
    CheckConstraint as AstCheck, ColumnOption, ConstraintCharacteristics, ConstraintReferenceMatchKind,
    DeferrableInitial, ForeignKeyConstraint, Ident, IndexColumn as AstColumn, NullsDistinctOption,
    PrimaryKeyConstraint, ReferentialAction as AstAction, TableConstraint, UniqueConstraint,
};

/// A column's constraint as one of the table; `None`: no constraint.
pub(super) fn of_column(
    option: &ColumnOption,
    column: &str,
    name: Option<&Ident>,
) -> Option<TableConstraint> {
    let own = || Ident::with_quote('"', column);
    Some(match option {
        ColumnOption::PrimaryKey(key) => TableConstraint::PrimaryKey(PrimaryKeyConstraint {
            name: name.cloned(),
            columns: vec![AstColumn::from(own())],
            ..key.clone()
        }),
        ColumnOption::Unique(unique) => TableConstraint::Unique(UniqueConstraint {
            name: name.cloned(),
            columns: vec![AstColumn::from(own())],
            ..unique.clone()
        }),
        ColumnOption::ForeignKey(key) => TableConstraint::ForeignKey(ForeignKeyConstraint {
            name: name.cloned(),
            columns: vec![own()],
            ..key.clone()
        }),
        ColumnOption::Check(check) => {
            TableConstraint::Check(AstCheck { name: name.cloned(), ..check.clone() })
        }
        _ => return None,
    })
}

/// Adds constraints in PostgreSQL's order: keys first, so that foreign keys find them.
pub(super) async fn add_all(cx: &mut ExecContext<'_>, oid: Oid, all: &[TableConstraint]) -> Result<()> {
    let rank = |c: &TableConstraint| match c {
        TableConstraint::PrimaryKey(_) => 0,
        TableConstraint::Unique(_) => 1,
        TableConstraint::Check(_) => 2,
        _ => 3,
    };
    let mut ordered: Vec<&TableConstraint> = all.iter().collect();
    ordered.sort_by_key(|c| rank(c));
    for constraint in ordered {
        add(cx, oid, constraint, false).await?;
    }
    Ok(())
}

/// Adds one constraint to a table that may hold rows.
pub(super) async fn add(
    cx: &mut ExecContext<'_>,
    oid: Oid,
    constraint: &TableConstraint,
    not_valid: bool,
) -> Result<()> {
    match constraint {
        TableConstraint::PrimaryKey(key) => primary_key(cx, oid, key).await,
        TableConstraint::Unique(unique) => self::unique(cx, oid, unique).await,
        TableConstraint::Check(check) => self::check(cx, oid, check, not_valid).await,
        TableConstraint::ForeignKey(key) => foreign_key(cx, oid, key, not_valid).await,
        other => Err(SqlError::not_built(format!("constraint {other}"))),
    }
}

fn refuse_deferrable(characteristics: Option<&ConstraintCharacteristics>, what: &str) -> Result<()> {
    match characteristics {
        Some(c) if c.deferrable == Some(true) || c.initially == Some(DeferrableInitial::Deferred) => {
            Err(SqlError::not_built(format!("DEFERRABLE {what}")))
        }
        _ => Ok(()),
    }
}

/// PRIMARY KEY: the columns become NOT NULL and the key that rows are stored under.
async fn primary_key(cx: &mut ExecContext<'_>, oid: Oid, key: &PrimaryKeyConstraint) -> Result<()> {
    refuse_deferrable(key.characteristics.as_ref(), "primary key")?;
    let mut table = current(cx, oid)?;
    if table.primary_key != Oid::NONE {
        let message = format!("multiple primary keys for table \"{}\" are not allowed", table.name);
        return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
    }
    change::exclude_users(cx, &table).await?;
    let key_columns = key_columns(&table, &key.columns)?;
    let name = match &key.name {
        Some(name) => fold(name),
        None => made_up(cx.txn.catalog().snapshot(), table.schema, &table.name, &[], "pkey", |_| false),
    };
    let old = rewrite::codec(cx, oid)?;
    let index = IndexDescriptor {
        oid: cx.node.next_oid().await?,
        database: table.database,
        name,
        schema: table.schema,
        table: oid,
        number: 0,
        columns: key_columns.clone(),
        include: vec![],
        unique: true,
        primary: true,
        constraint: cx.node.next_oid().await?,
        predicate: None,
        state: IndexState::Public,
        comment: None,
    };
    table.primary_key = index.oid;
    table.key_columns = key_columns.iter().map(|c| c.column).collect();
    for column in &key_columns {
        table.columns[column.column as usize - 1].not_null = true;
    }
    tables::set_layout(&mut table);
    change::create(cx, Descriptor::Index(index)).await?;
    let not_null: Vec<usize> = key_columns.iter().map(|c| c.column as usize - 1).collect();
    let described = table.clone();
    let convert = move |_: &EvalContext<'_>, values: &mut Vec<Datum>| -> Result<()> {
        match not_null.iter().find(|c| values[**c].is_null()) {
            Some(column) => Err(contains_nulls(&described, *column)),
            None => Ok(()),
        }
    };
    rewrite::rewrite_rows(cx, &old, table, &convert).await
}

/// 23502 for a column that has nulls already.
pub(super) fn contains_nulls(table: &TableDescriptor, column: usize) -> SqlError {
    let name = &table.columns[column].name;
    let message = format!("column \"{name}\" of relation \"{}\" contains null values", table.name);
    SqlError::new(SqlState::NOT_NULL_VIOLATION, message).with_column(name.clone())
}

/// Key columns: plain, each once, without order of their own.
fn key_columns(table: &TableDescriptor, given: &[AstColumn]) -> Result<Vec<IndexColumn>> {
    let resolved = columns(table, given).map_err(|e| match e.code() {
        SqlState::UNDEFINED_COLUMN => {
            let message = e.message().replace("does not exist", "named in key does not exist");
            SqlError::new(SqlState::UNDEFINED_COLUMN, message)
        }
        _ => e,
    })?;
    for (i, column) in resolved.iter().enumerate() {
        if resolved[..i].iter().any(|c| c.column == column.column) {
            let name = table.column(column.column).map_or("", |c| &c.name);
            let message = format!("column \"{name}\" appears twice in primary key constraint");
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
    }
    Ok(resolved)
}

async fn unique(cx: &mut ExecContext<'_>, oid: Oid, unique: &UniqueConstraint) -> Result<()> {
    refuse_deferrable(unique.characteristics.as_ref(), "unique constraint")?;
    if matches!(unique.nulls_distinct, NullsDistinctOption::NotDistinct) {
        return Err(SqlError::not_built("NULLS NOT DISTINCT"));
    }
    let table = current(cx, oid)?;
    let columns = key_columns(&table, &unique.columns)?;
    let names: Vec<&str> =
        columns.iter().filter_map(|c| table.column(c.column)).map(|c| c.name.as_str()).collect();
    let name = match &unique.name {
        Some(name) => fold(name),
        None => made_up(cx.txn.catalog().snapshot(), table.schema, &table.name, &names, "key", |_| false),
    };
    let constraint = cx.node.next_oid().await?;
    let new = NewIndex { name, columns, unique: true, primary: false, constraint };
    super::index::add(cx, oid, new).await?;
    Ok(())
}

async fn check(cx: &mut ExecContext<'_>, oid: Oid, check: &AstCheck, not_valid: bool) -> Result<()> {
    let mut table = current(cx, oid)?;
    change::exclude_users(cx, &table).await?;
    let text = check.expr.to_string();
    let expr = rewrite::bind_text(cx, &text, Some(&table), TypeRef::of(Oid::BOOL))?;
    let mut used = vec![];
    expr.walk(&mut |e| {
        if let crate::ir::ExprKind::Column(c) = &e.kind
            && !used.contains(&c.column)
        {
            used.push(c.column);
        }
    });
    let name = match &check.name {
        Some(name) => fold(name),
        None => {
            let column = match &used[..] {
                [only] => table.column(*only).map(|c| c.name.as_str()),
                _ => None,
            };
            let names: Vec<&str> = column.into_iter().collect();
            let taken = |name: &str| has_constraint(&table, name);
            made_up(cx.txn.catalog().snapshot(), table.schema, &table.name, &names, "check", taken)
        }
    };
    refuse_taken(&table, &name)?;
    let width = table.columns.len();
    let compiled = compile(&expr, &|c| {
        usize::try_from(c.column).ok().and_then(|n| n.checked_sub(1)).filter(|slot| *slot < width)
    })?;
    if !not_valid {
        let violated = || {
            let message =
                format!("check constraint \"{name}\" of relation \"{}\" is violated by some row", table.name);
            SqlError::new(SqlState::CHECK_VIOLATION, message).with_constraint(name.clone())
        };
        rewrite::check_rows(cx, oid, &compiled, violated).await?;
    }
    let oid = cx.node.next_oid().await?;
    table.checks.push(CheckConstraint { oid, name, expr: text, not_valid });
    table.checks.sort_by(|a, b| a.name.cmp(&b.name));
    change::replace(cx, Descriptor::Table(table)).await
}

pub(super) fn has_constraint(table: &TableDescriptor, name: &str) -> bool {
    table.checks.iter().any(|c| c.name == name) || table.foreign_keys.iter().any(|k| k.name == name)
}

fn refuse_taken(table: &TableDescriptor, name: &str) -> Result<()> {
    if has_constraint(table, name) {
        let message = format!("constraint \"{name}\" for relation \"{}\" already exists", table.name);
        return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message));
    }
    Ok(())
}

async fn foreign_key(
    cx: &mut ExecContext<'_>,
    oid: Oid,
    key: &ForeignKeyConstraint,
    not_valid: bool,
) -> Result<()> {
    refuse_deferrable(key.characteristics.as_ref(), "foreign key")?;
    let mut table = current(cx, oid)?;
    let parent = self::table(&key.foreign_table, cx)?;
    change::exclude_users(cx, &table).await?;
    if parent.oid != table.oid {
        change::exclude_users(cx, &parent).await?;
    }
    let columns = numbers(&table, &key.columns)?;
    let referenced_columns = match &key.referred_columns[..] {
        [] if parent.primary_key == Oid::NONE => {
            let message = format!("there is no primary key for referenced table \"{}\"", parent.name);
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
        }
        [] => parent.key_columns.clone(),
        given => numbers(&parent, given)?,
    };
    if columns.len() != referenced_columns.len() {
        let message = "number of referencing and referenced columns for foreign key disagree";
        return Err(SqlError::new(SqlState::INVALID_FOREIGN_KEY, message));
    }
    let referenced_index = unique_index(cx, &parent, &referenced_columns).ok_or_else(|| {
        let name = display(&key.foreign_table);
        let message =
            format!("there is no unique constraint matching given keys for referenced table \"{name}\"");
        SqlError::new(SqlState::INVALID_FOREIGN_KEY, message)
    })?;
    let name = match &key.name {
        Some(name) => fold(name),
        None => {
            let names: Vec<&str> =
                columns.iter().filter_map(|n| table.column(*n)).map(|c| c.name.as_str()).collect();
            let taken = |name: &str| has_constraint(&table, name);
            made_up(cx.txn.catalog().snapshot(), table.schema, &table.name, &names, "fkey", taken)
        }
    };
    refuse_taken(&table, &name)?;
    refuse_other_types(&name, &table, &columns, &parent, &referenced_columns)?;
    let new = ForeignKey {
        oid: cx.node.next_oid().await?,
        name,
        columns,
        referenced_table: parent.oid,
        referenced_index,
        referenced_columns,
        on_delete: action(key.on_delete),
        on_update: action(key.on_update),
        match_full: matches!(key.match_kind, Some(ConstraintReferenceMatchKind::Full)),
        not_valid,
        deferrable: false,
        initially_deferred: false,
    };
    table.foreign_keys.push(new.clone());
    change::replace(cx, Descriptor::Table(table)).await?;
    if parent.oid != oid {
        // Written again so that plans which do not look for children of this kind go stale.
        change::replace(cx, Descriptor::Table(parent)).await?;
    }
    if not_valid { Ok(()) } else { check_existing(cx, oid, new).await }
}

fn numbers(table: &TableDescriptor, names: &[Ident]) -> Result<Vec<i16>> {
    names
        .iter()
        .map(|name| {
            let name = fold(name);
            column_number(table, &name).map_err(|_| {
                let message =
                    format!("column \"{name}\" referenced in foreign key constraint does not exist");
                SqlError::new(SqlState::UNDEFINED_COLUMN, message)
            })
        })
        .collect()
}

fn action(action: Option<AstAction>) -> ReferentialAction {
    match action {
        None | Some(AstAction::NoAction) => ReferentialAction::NoAction,
        Some(AstAction::Restrict) => ReferentialAction::Restrict,
        Some(AstAction::Cascade) => ReferentialAction::Cascade,
        Some(AstAction::SetNull) => ReferentialAction::SetNull,
        Some(AstAction::SetDefault) => ReferentialAction::SetDefault,
    }
}

/// The unique index whose columns are exactly these, in any order.
fn unique_index(cx: &ExecContext<'_>, parent: &TableDescriptor, columns: &[i16]) -> Option<Oid> {
    let same = |index: &&IndexDescriptor| {
        index.unique
            && index.columns.len() == columns.len()
            && index.columns.iter().all(|c| columns.contains(&c.column))
    };
    cx.txn.catalog().snapshot().indexes_of(parent.oid).find(same).map(|i| i.oid)
}

/// Referencing and referenced columns must have one type: look-ups encode the one as the other.
fn refuse_other_types(
    name: &str,
    child: &TableDescriptor,
    columns: &[i16],
    parent: &TableDescriptor,
    referenced: &[i16],
) -> Result<()> {
    let ty = |table: &TableDescriptor, number: i16| table.column(number).map(|c| c.ty.oid);
    let text = |oid: Option<Oid>| matches!(oid, Some(Oid::TEXT | Oid::VARCHAR));
    for (a, b) in columns.iter().zip(referenced) {
        let (a, b) = (ty(child, *a), ty(parent, *b));
        if a != b && !(text(a) && text(b)) {
            return Err(SqlError::not_built(format!(
                "foreign key \"{name}\" between columns of different types"
            )));
        }
    }
    Ok(())
}

/// Looks every existing row's key up.
async fn check_existing(cx: &mut ExecContext<'_>, oid: Oid, key: ForeignKey) -> Result<()> {
    let child = rewrite::codec(cx, oid)?;
    let parent = rewrite::codec(cx, key.referenced_table)?;
    let positions = |numbers: &[i16]| numbers.iter().map(|n| *n as usize - 1).collect::<Vec<_>>();
    let plan = ForeignKeyPlan {
        child_columns: positions(&key.columns),
        parent_columns: positions(&key.referenced_columns),
        child: child.clone(),
        parent,
        key,
    };
    crate::exec::check_all_references(&plan, cx).await
}
