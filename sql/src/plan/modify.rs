//! INSERT, UPDATE and DELETE: the rows to change, and everything a changed row has to pass.

use super::prepare::PlanContext;
use super::select::{plan_select, sequence_calls, wanted_columns};
use super::table_read::{TableRead, choose, slot_of};
use super::{OutputColumn, SelectPlan};
use crate::bind::{self, ParamTypes};
use crate::catalog::{CatalogSnapshot, Column, Descriptor, ForeignKey, Identity, TableDescriptor};
use crate::expr::{Compiled, compile};
use crate::ir::{
    ColumnRef, ConflictAction, Expr, ExprKind, FromItem, InsertSource, Modify, ModifyKind, OnConflict,
    Overriding, RangeIndex,
};
use crate::relational::RelationalPlan;
use crate::table::TableCodec;
use crate::types::{Datum, TypeRef};
use crate::{Oid, Result, SqlError, SqlState};
use std::sync::Arc;

/// The target table of a modification and every check of its rows.
#[derive(Debug)]
pub struct ModifyPlan {
    pub codec: Arc<TableCodec>,
    pub action: ModifyAction,
    /// Positions of NOT NULL columns.
    pub not_null: Vec<usize>,
    /// Name and expression of every CHECK, over the table's row.
    pub checks: Vec<(String, Compiled)>,
    /// Generated columns: position and expression over the table's row.
    pub generated: Vec<(usize, Compiled)>,
    /// Foreign keys of this table: looked up when a row comes or its key columns change.
    pub references: Vec<ForeignKeyPlan>,
    /// Foreign keys of other tables at this one: looked up when a row goes or its key changes.
    pub referenced_by: Vec<ForeignKeyPlan>,
    pub returning: Option<Vec<Compiled>>,
}

#[derive(Debug)]
pub enum ModifyAction {
    Insert {
        rows: InsertRows,
        columns: Vec<(usize, ColumnSource)>,
        on_conflict: Option<ConflictPlan>,
    },
    /// `sequences`: arguments of the calls of `nextval` in `set`.
    Update {
        read: TableRead,
        set: Vec<(usize, Compiled)>,
        sequences: Box<[Compiled]>,
    },
    Delete {
        read: TableRead,
    },
}

/// Where inserted rows come from.
#[derive(Debug)]
pub enum InsertRows {
    /// One expression a given column.
    Values(Vec<Vec<ColumnSource>>),
    Select(Box<SelectPlan>),
    Relational(Box<RelationalPlan>),
}

/// Where the value of a column of a new row comes from.
#[derive(Debug)]
pub enum ColumnSource {
    /// Position in the row that the source gives.
    Input(usize),
    Expr(Compiled),
    /// An expression with calls of `nextval`: the argument of each.
    WithSequences {
        expr: Compiled,
        sequences: Box<[Compiled]>,
    },
    /// The next value of a sequence (serial and identity columns), cast to the column's type.
    Sequence {
        sequence: Oid,
        ty: TypeRef,
    },
}

#[derive(Debug)]
pub struct ConflictPlan {
    /// The index whose conflict is handled; `None`: any unique index.
    pub arbiter: Option<Oid>,
    pub action: ConflictUpdate,
}

/// `set` and `filter` see the existing row, then the proposed row (slots from the table's width on).
#[derive(Debug)]
pub enum ConflictUpdate {
    Nothing,
    Update { set: Vec<(usize, Compiled)>, filter: Option<Compiled> },
}

/// One foreign key, compiled for look-ups from either side.
#[derive(Debug)]
pub struct ForeignKeyPlan {
    pub key: ForeignKey,
    /// The referencing table.
    pub child: Arc<TableCodec>,
    pub child_columns: Vec<usize>,
    /// The referenced table.
    pub parent: Arc<TableCodec>,
    pub parent_columns: Vec<usize>,
}

/// Plans a bound INSERT, UPDATE or DELETE.
pub(crate) fn plan_modify(
    cx: &PlanContext,
    modify: &Modify,
) -> Result<(ModifyPlan, Option<Vec<OutputColumn>>)> {
    let Descriptor::Table(table) = &*modify.table else {
        return Err(SqlError::not_built(format!(
            "changing \"{}\", which is not a table",
            modify.table.name()
        )));
    };
    let catalog = &cx.catalog;
    let codec = catalog.codec(table.oid)?;
    let compiler = RowCompiler { cx, table, width: codec.width() };
    let action = match &modify.kind {
        ModifyKind::Insert { columns, source, on_conflict, overriding } => {
            compiler.insert(columns, source, on_conflict.as_ref(), *overriding)?
        }
        ModifyKind::Update { set } => {
            let sequences = sequence_calls(set.iter().map(|(_, expr)| expr))?;
            // What FROM adds is refused here, before its columns are met in SET.
            let read = compiler.read(&codec, modify)?;
            ModifyAction::Update { read, set: compiler.assignments(set)?, sequences }
        }
        ModifyKind::Delete => ModifyAction::Delete { read: compiler.read(&codec, modify)? },
    };
    let returning = match &modify.returning[..] {
        [] => None,
        targets => Some(targets.iter().map(|t| compiler.row_expr(&t.expr)).collect::<Result<_>>()?),
    };
    let columns = returning.is_some().then(|| super::prepare::output_columns(&modify.returning));
    let plan = ModifyPlan {
        action,
        not_null: table.live_columns().filter(|c| c.not_null).map(position).collect(),
        checks: compiler.checks()?,
        generated: compiler.generated()?,
        references: references(table, &codec, catalog)?,
        referenced_by: referenced_by(table, &codec, catalog)?,
        returning,
        codec,
    };
    Ok((plan, columns))
}

fn position(column: &Column) -> usize {
    column.number as usize - 1
}

struct RowCompiler<'a> {
    cx: &'a PlanContext,
    table: &'a TableDescriptor,
    width: usize,
}

impl RowCompiler<'_> {
    /// An expression over the table's row (range 0).
    fn row_expr(&self, expr: &Expr) -> Result<Compiled> {
        compile(expr, &|c| slot_of(c, RangeIndex(0), self.width))
    }

    /// An expression over the existing row (range 0) and the proposed one (range 1).
    fn conflict_expr(&self, expr: &Expr) -> Result<Compiled> {
        compile(expr, &|c: ColumnRef| {
            slot_of(c, RangeIndex(0), self.width)
                .or_else(|| slot_of(c, RangeIndex(1), self.width).map(|slot| slot + self.width))
        })
    }

    fn stored_expr(&self, text: &str, want: TypeRef) -> Result<Compiled> {
        let mut params = ParamTypes::declared(&[]);
        let mut bind_cx = self.cx.bind_context(&mut params);
        let expr = bind::bind_expr_text(&mut bind_cx, text, Some(self.table), Some(want))?;
        self.row_expr(&expr)
    }

    fn read(&self, codec: &Arc<TableCodec>, modify: &Modify) -> Result<TableRead> {
        let query = &modify.query;
        if !matches!(query.from[..], [] | [FromItem::Range(RangeIndex(0))]) {
            return Err(SqlError::not_built("UPDATE ... FROM and DELETE ... USING"));
        }
        let plain = wanted_columns(query.filter.iter(), RangeIndex(0), self.width);
        if plain.is_none() {
            return Err(SqlError::not_built("this column in the WHERE clause of UPDATE or DELETE"));
        }
        let all = self.table.live_columns().map(position).collect();
        choose(codec, RangeIndex(0), query.filter.as_ref(), &[], false, all)
    }

    fn assignments(&self, set: &[(i16, Expr)]) -> Result<Vec<(usize, Compiled)>> {
        set.iter()
            .map(|(number, expr)| {
                let column = self.column(*number)?;
                let value = match &expr.kind {
                    ExprKind::Default => self.default_expr(column)?,
                    _ if column.generated.is_some() || column.identity == Some(Identity::Always) => {
                        return Err(only_default("UPDATE", column));
                    }
                    _ => self.row_expr(expr)?,
                };
                Ok((position(column), value))
            })
            .collect()
    }

    fn column(&self, number: i16) -> Result<&Column> {
        self.table.column(number).ok_or_else(|| SqlError::internal("column number without column"))
    }

    fn insert(
        &self,
        given: &[i16],
        source: &InsertSource,
        on_conflict: Option<&OnConflict>,
        overriding: Option<Overriding>,
    ) -> Result<ModifyAction> {
        let rows = match source {
            InsertSource::DefaultValues => InsertRows::Values(vec![vec![]]),
            InsertSource::Values(rows) => InsertRows::Values(
                rows.iter().map(|row| self.value_row(given, row, overriding)).collect::<Result<_>>()?,
            ),
            InsertSource::Query(query) => {
                self.refuse_given(given, overriding)?;
                match plan_select(query, &self.cx.catalog)? {
                    Some(plan) => InsertRows::Select(Box::new(plan)),
                    None => InsertRows::Relational(Box::new(RelationalPlan::new((**query).clone()))),
                }
            }
        };
        let columns = self
            .table
            .live_columns()
            .filter(|c| c.generated.is_none())
            .map(|column| {
                let input = given.iter().position(|number| *number == column.number);
                let source = match input {
                    Some(i) if !(overriding == Some(Overriding::User) && column.identity.is_some()) => {
                        ColumnSource::Input(i)
                    }
                    _ => self.default_source(column)?,
                };
                Ok((position(column), source))
            })
            .collect::<Result<_>>()?;
        let on_conflict = on_conflict.map(|c| self.conflict(c)).transpose()?;
        Ok(ModifyAction::Insert { rows, columns, on_conflict })
    }

    fn value_row(
        &self,
        given: &[i16],
        row: &[Expr],
        overriding: Option<Overriding>,
    ) -> Result<Vec<ColumnSource>> {
        row.iter()
            .zip(given)
            .map(|(expr, number)| {
                let column = self.column(*number)?;
                if matches!(expr.kind, ExprKind::Default) {
                    return match column.generated {
                        Some(_) => Ok(ColumnSource::Expr(constant_null(column.ty)?)),
                        None => self.default_source(column),
                    };
                }
                refuse_value(column, overriding)?;
                source_of(expr)
            })
            .collect()
    }

    fn refuse_given(&self, given: &[i16], overriding: Option<Overriding>) -> Result<()> {
        given.iter().try_for_each(|number| refuse_value(self.column(*number)?, overriding))
    }

    fn default_source(&self, column: &Column) -> Result<ColumnSource> {
        if column.identity.is_some() {
            let sequence = self.owned_sequence(column)?;
            return Ok(ColumnSource::Sequence { sequence, ty: column.ty });
        }
        let Some(text) = &column.default else { return Ok(ColumnSource::Expr(constant_null(column.ty)?)) };
        let mut params = ParamTypes::declared(&[]);
        let mut bind_cx = self.cx.bind_context(&mut params);
        let expr = bind::bind_expr_text(&mut bind_cx, text, None, Some(column.ty))?;
        if let Some(sequence) = nextval_of(&expr) {
            return Ok(ColumnSource::Sequence { sequence, ty: column.ty });
        }
        source_of(&expr)
    }

    fn default_expr(&self, column: &Column) -> Result<Compiled> {
        match self.default_source(column)? {
            ColumnSource::Expr(expr) => Ok(expr),
            _ => Err(SqlError::not_built("UPDATE ... SET column = DEFAULT with a sequence")),
        }
    }

    fn owned_sequence(&self, column: &Column) -> Result<Oid> {
        let owner = Some((self.table.oid, column.number));
        let found = self.cx.catalog.objects().find_map(|d| match &**d {
            Descriptor::Sequence(s) if s.owned_by == owner => Some(s.oid),
            _ => None,
        });
        found.ok_or_else(|| SqlError::internal("identity column without sequence"))
    }

    fn conflict(&self, on_conflict: &OnConflict) -> Result<ConflictPlan> {
        let action = match &on_conflict.action {
            ConflictAction::Nothing => ConflictUpdate::Nothing,
            ConflictAction::Update { set, filter } => ConflictUpdate::Update {
                set: set
                    .iter()
                    .map(|(number, expr)| {
                        let column = self.column(*number)?;
                        let value = match &expr.kind {
                            ExprKind::Default => self.default_expr(column)?,
                            _ => self.conflict_expr(expr)?,
                        };
                        Ok((position(column), value))
                    })
                    .collect::<Result<_>>()?,
                filter: filter.as_ref().map(|f| self.conflict_expr(f)).transpose()?,
            },
        };
        Ok(ConflictPlan { arbiter: on_conflict.arbiter, action })
    }

    fn checks(&self) -> Result<Vec<(String, Compiled)>> {
        let checks = self.table.checks.iter();
        checks.map(|c| Ok((c.name.clone(), self.stored_expr(&c.expr, TypeRef::of(Oid::BOOL))?))).collect()
    }

    fn generated(&self) -> Result<Vec<(usize, Compiled)>> {
        let columns = self.table.live_columns();
        columns
            .filter_map(|c| c.generated.as_ref().map(|text| (c, text)))
            .map(|(c, text)| Ok((position(c), self.stored_expr(text, c.ty)?)))
            .collect()
    }
}

/// An expression without a row.
fn source_of(expr: &Expr) -> Result<ColumnSource> {
    let (sequences, expr) = (sequence_calls(std::iter::once(expr))?, compile(expr, &|_| None)?);
    Ok(if sequences.is_empty() {
        ColumnSource::Expr(expr)
    } else {
        ColumnSource::WithSequences { expr, sequences }
    })
}

fn constant_null(ty: TypeRef) -> Result<Compiled> {
    compile(&Expr::constant(Datum::Null, ty), &|_| None)
}

/// `nextval('sequence'::regclass)` with a known sequence, possibly under a cast.
fn nextval_of(expr: &Expr) -> Option<Oid> {
    match &expr.kind {
        ExprKind::Cast { arg, .. } => nextval_of(arg),
        ExprKind::Call { function, args, .. } if *function == crate::kernels::NEXTVAL => match &args[..] {
            [argument] => regclass_of(argument),
            _ => None,
        },
        _ => None,
    }
}

/// A constant regclass, also one that is still the text of its OID.
fn regclass_of(expr: &Expr) -> Option<Oid> {
    match &expr.kind {
        ExprKind::Const(Datum::Oid(oid)) => Some(*oid),
        ExprKind::Const(Datum::Text(text)) => text.parse().ok().map(Oid),
        ExprKind::Cast { arg, .. } => regclass_of(arg),
        _ => None,
    }
}

/// A value other than DEFAULT given for a generated or ALWAYS-identity column: 428C9.
fn refuse_value(column: &Column, overriding: Option<Overriding>) -> Result<()> {
    let refused =
        column.generated.is_some() || (column.identity == Some(Identity::Always) && overriding.is_none());
    if refused { Err(only_default("INSERT", column)) } else { Ok(()) }
}

fn only_default(command: &str, column: &Column) -> SqlError {
    let name = &column.name;
    let message = match command {
        "INSERT" => format!("cannot insert a non-DEFAULT value into column \"{name}\""),
        _ => format!("column \"{name}\" can only be updated to DEFAULT"),
    };
    let error = SqlError::new(SqlState::GENERATED_ALWAYS, message);
    if column.generated.is_some() {
        return error.with_detail(format!("Column \"{name}\" is a generated column."));
    }
    let error =
        error.with_detail(format!("Column \"{name}\" is an identity column defined as GENERATED ALWAYS."));
    if command == "INSERT" { error.with_hint("Use OVERRIDING SYSTEM VALUE to override.") } else { error }
}

fn references(
    table: &TableDescriptor,
    codec: &Arc<TableCodec>,
    catalog: &CatalogSnapshot,
) -> Result<Vec<ForeignKeyPlan>> {
    table.foreign_keys.iter().map(|key| foreign_key(key, table, codec, catalog)).collect()
}

fn referenced_by(
    table: &TableDescriptor,
    codec: &Arc<TableCodec>,
    catalog: &CatalogSnapshot,
) -> Result<Vec<ForeignKeyPlan>> {
    let mut plans = vec![];
    for child in catalog.referencing(table.oid) {
        let child_codec = if child.oid == table.oid { codec.clone() } else { catalog.codec(child.oid)? };
        for key in child.foreign_keys.iter().filter(|key| key.referenced_table == table.oid) {
            plans.push(foreign_key(key, child, &child_codec, catalog)?);
        }
    }
    Ok(plans)
}

fn foreign_key(
    key: &ForeignKey,
    child: &TableDescriptor,
    child_codec: &Arc<TableCodec>,
    catalog: &CatalogSnapshot,
) -> Result<ForeignKeyPlan> {
    let parent = catalog
        .table(key.referenced_table)
        .ok_or_else(|| SqlError::internal(format!("foreign key \"{}\" without its table", key.name)))?;
    let positions = |numbers: &[i16]| numbers.iter().map(|n| *n as usize - 1).collect();
    Ok(ForeignKeyPlan {
        key: key.clone(),
        child: child_codec.clone(),
        child_columns: positions(&key.columns),
        parent: if parent.oid == child.oid { child_codec.clone() } else { catalog.codec(parent.oid)? },
        parent_columns: positions(&key.referenced_columns),
    })
}
