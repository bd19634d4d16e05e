//! FROM and WHERE. Conjuncts over one table go into its read, where they choose the access and are
//! asked in their order; the rest goes above the joins, for DataFusion to push down.

use super::expr::{is_volatile, ranges};
use super::{Cte, Lowerer, Rel, Scope};
use crate::catalog::Descriptor;
use crate::expr::compile;
use crate::ir::{Expr, ExprKind, FromItem, JoinKind, Query, RangeIndex, RangeKind};
use crate::plan::{choose, conjuncts_of};
use crate::relational::error::from_df;
use crate::relational::leaf::{Leaf, PlanColumn, Source};
use crate::relational::rewrite;
use crate::relational::set_function::set_function;
use crate::table::TableCodec;
use crate::types::TypeRef;
use crate::{Oid, Result, SqlError};
use datafusion::catalog::default_table_source::provider_as_source;
use datafusion::logical_expr::{JoinType, LogicalPlanBuilder};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// What FROM needs to know of the query around it.
struct FromCx {
    /// Columns that anything in the query reads, by range.
    wanted: FxHashMap<RangeIndex, Vec<i16>>,
    /// Conjuncts of WHERE and of inner joins, those that a table took removed.
    conjuncts: Vec<Expr>,
}

impl Lowerer {
    /// The rows of FROM that pass WHERE.
    pub(super) fn from_where(&mut self, query: &mut Query) -> Result<Rel> {
        let mut cx = FromCx { wanted: wanted_columns(query)?, conjuncts: vec![] };
        if let Some(filter) = query.filter.take() {
            cx.conjuncts.extend(conjuncts_of(&filter).into_iter().cloned());
        }
        for item in &mut query.from {
            take_inner_conditions(item, &mut cx.conjuncts);
        }
        let from = std::mem::take(&mut query.from);
        let mut rel: Option<Rel> = None;
        for item in &from {
            rel = Some(self.join_item(rel, item, JoinKind::Cross, None, true, query, &mut cx)?);
        }
        let rel = match rel {
            Some(rel) => rel,
            None => Rel {
                plan: LogicalPlanBuilder::empty(true).build().map_err(from_df)?,
                scope: Scope::default(),
            },
        };
        let (plain, with_subquery): (Vec<Expr>, Vec<Expr>) =
            cx.conjuncts.into_iter().partition(|e| !has_subquery(e));
        let mut rel = self.filter(rel, &plain)?;
        for conjunct in with_subquery {
            let mut exprs = [conjunct];
            rel = self.subqueries(rel, &mut exprs)?;
            rel = self.filter(rel, &exprs)?;
        }
        Ok(rel)
    }

    /// Rows for which every conjunct is true.
    pub(super) fn filter(&self, rel: Rel, conjuncts: &[Expr]) -> Result<Rel> {
        let mut lowered = vec![];
        for conjunct in guarded(conjuncts) {
            lowered.push(self.expr(&conjunct, &rel.scope)?);
        }
        let Some(predicate) = lowered.into_iter().reduce(datafusion::logical_expr::Expr::and) else {
            return Ok(rel);
        };
        let plan = LogicalPlanBuilder::from(rel.plan).filter(predicate).and_then(LogicalPlanBuilder::build);
        Ok(Rel { plan: plan.map_err(from_df)?, scope: rel.scope })
    }

    /// Joins one more item to the rows so far. `filterable`: WHERE may be asked at its scans.
    #[expect(clippy::too_many_arguments, reason = "one recursive walk over FROM with its whole state")]
    fn join_item(
        &mut self,
        left: Option<Rel>,
        item: &FromItem,
        kind: JoinKind,
        on: Option<&Expr>,
        filterable: bool,
        query: &Query,
        cx: &mut FromCx,
    ) -> Result<Rel> {
        if let FromItem::Range(range) = item
            && let Some(left) = &left
            && let RangeKind::Subquery { query: inner, .. } = &query.ranges[range.0 as usize].kind
            && self.reads_outer(inner)?
        {
            return self.lateral(left.clone(), *range, inner, kind, on);
        }
        let filterable_right = filterable && !matches!(kind, JoinKind::Left | JoinKind::Full);
        let right = match item {
            FromItem::Range(range) => self.range(*range, filterable_right, query, cx)?,
            FromItem::Join { kind, left: l, right: r, on, .. } => {
                let keeps_left = filterable_right && !matches!(kind, JoinKind::Right | JoinKind::Full);
                let l = self.join_item(None, l, JoinKind::Cross, None, keeps_left, query, cx)?;
                self.join_item(Some(l), r, *kind, on.as_ref(), filterable_right, query, cx)?
            }
        };
        match left {
            Some(left) => self.join(left, right, kind, on),
            None => Ok(right),
        }
    }

    fn join(&self, left: Rel, right: Rel, kind: JoinKind, on: Option<&Expr>) -> Result<Rel> {
        let mut scope = left.scope;
        scope.columns.extend(right.scope.columns);
        let builder = LogicalPlanBuilder::from(left.plan);
        let kind = match kind {
            JoinKind::Cross | JoinKind::Inner => JoinType::Inner,
            JoinKind::Left => JoinType::Left,
            JoinKind::Right => JoinType::Right,
            JoinKind::Full => JoinType::Full,
        };
        let conjuncts: Vec<Expr> =
            on.map(|on| conjuncts_of(on).into_iter().cloned().collect()).unwrap_or_default();
        if conjuncts.iter().any(has_subquery) {
            return Err(SqlError::not_built("a subquery in the condition of an outer join"));
        }
        let lowered = guarded(&conjuncts).iter().map(|e| self.expr(e, &scope)).collect::<Result<Vec<_>>>()?;
        let builder = match (kind, lowered.is_empty()) {
            (JoinType::Inner, true) => builder.cross_join(right.plan),
            (kind, true) => builder.join_on(right.plan, kind, [datafusion::logical_expr::lit(true)]),
            (kind, false) => builder.join_on(right.plan, kind, lowered),
        };
        let plan = builder.and_then(LogicalPlanBuilder::build).map_err(from_df)?;
        Ok(Rel { plan, scope })
    }

    fn range(&mut self, range: RangeIndex, filterable: bool, query: &Query, cx: &mut FromCx) -> Result<Rel> {
        let entry = &query.ranges[range.0 as usize];
        let all: Vec<PlanColumn> =
            entry.columns.iter().map(|c| PlanColumn { name: self.name("c"), ty: c.ty }).collect();
        match &entry.kind {
            RangeKind::Table(descriptor) => self.table(range, descriptor, filterable, cx),
            RangeKind::Virtual(oid) => {
                let rows = super::super::virtual_table::rows(*oid, &self.env)?;
                self.leaf(range, Source::Rows(Arc::new(rows)), all, query)
            }
            RangeKind::Values(rows) => {
                if rows.iter().flatten().any(has_subquery) {
                    return Err(SqlError::not_built("a subquery in VALUES"));
                }
                let rows = rows
                    .iter()
                    .map(|row| row.iter().map(|e| compile(e, &|_| None)).collect::<Result<Vec<_>>>())
                    .collect::<Result<Vec<_>>>()?;
                self.leaf(range, Source::Values(Arc::new(rows)), all, query)
            }
            RangeKind::Functions { calls, ordinality, .. } => {
                if entry.columns.len() != calls.len() + usize::from(*ordinality) {
                    return Err(SqlError::not_built("a function in FROM that returns rows"));
                }
                if calls.iter().any(|call| !ranges(call).is_empty()) {
                    return Err(SqlError::not_built("a function in FROM over columns of other items"));
                }
                let calls = calls.iter().map(|c| set_function(c, &|_| None)).collect::<Result<_>>()?;
                let source = Source::Functions { calls: Arc::new(calls), ordinality: *ordinality };
                self.leaf(range, source, all, query)
            }
            RangeKind::Subquery { query: inner, .. } => {
                let lowered = self.query(inner)?;
                self.named(range, lowered.plan, &lowered.columns, query)
            }
            RangeKind::Cte { levels_up, index } | RangeKind::WorkTable { levels_up, index } => {
                self.cte(range, *levels_up, *index, query)
            }
            RangeKind::Join { .. } => Err(SqlError::internal("the columns of a join in FROM")),
        }
    }

    fn cte(&mut self, range: RangeIndex, levels_up: u16, index: u32, query: &Query) -> Result<Rel> {
        let frame = (self.frames.len() - 1).checked_sub(usize::from(levels_up));
        let found = frame.and_then(|f| self.frames[f].get(index as usize)).cloned().flatten();
        match found.ok_or_else(|| SqlError::internal("reference to a WITH query that is not there"))? {
            Cte::Inline(body, frames) => {
                let around = self.frames.split_off(frames);
                let lowered = self.query(&body);
                self.frames.extend(around);
                let lowered = lowered?;
                self.named(range, lowered.plan, &lowered.columns, query)
            }
            Cte::Shared(shared, columns) => {
                let columns = self.renamed(&columns);
                self.leaf(range, Source::Shared(shared), columns, query)
            }
            Cte::Work(table, columns) => {
                let columns = self.renamed(&columns);
                self.leaf(range, Source::WorkTable(table), columns, query)
            }
        }
    }

    fn renamed(&self, columns: &[PlanColumn]) -> Vec<PlanColumn> {
        columns.iter().map(|c| PlanColumn { name: self.name("c"), ty: c.ty }).collect()
    }

    /// A plan whose columns are those of the range, in order.
    fn named(
        &self,
        range: RangeIndex,
        plan: datafusion::logical_expr::LogicalPlan,
        columns: &[PlanColumn],
        query: &Query,
    ) -> Result<Rel> {
        let mut scope = Scope::default();
        for (number, c) in numbers(query, range).zip(columns) {
            scope.add(range, number, &c.name, c.ty);
        }
        Ok(Rel { plan, scope })
    }

    fn leaf(
        &self,
        range: RangeIndex,
        source: Source,
        columns: Vec<PlanColumn>,
        query: &Query,
    ) -> Result<Rel> {
        let leaf = Leaf { source, columns: columns.clone(), env: self.env.clone() };
        self.named(range, self.scan(leaf)?, &columns, query)
    }

    fn scan(&self, leaf: Leaf) -> Result<datafusion::logical_expr::LogicalPlan> {
        let names: Vec<String> = leaf.columns.iter().map(|c| c.name.clone()).collect();
        let table = self.name("t");
        let source = provider_as_source(Arc::new(leaf));
        let scan = LogicalPlanBuilder::scan(table.as_str(), source, None).map_err(from_df)?;
        if names.is_empty() {
            return scan.build().map_err(from_df);
        }
        // The table's name goes: columns are told apart by their own names.
        let columns = names.iter().map(|name| {
            datafusion::logical_expr::Expr::Column(datafusion::common::Column::new(
                Some(table.as_str()),
                name,
            ))
            .alias(name)
        });
        scan.project(columns.collect::<Vec<_>>()).and_then(LogicalPlanBuilder::build).map_err(from_df)
    }

    fn table(
        &mut self,
        range: RangeIndex,
        descriptor: &Descriptor,
        filterable: bool,
        cx: &mut FromCx,
    ) -> Result<Rel> {
        let Descriptor::Table(table) = descriptor else {
            return Err(SqlError::not_built(format!("reading \"{}\"", descriptor.name())));
        };
        let codec = TableCodec::new(table, &self.env.catalog)?;
        let mine = |e: &Expr| ranges(e) == [range] && !has_subquery(e) && !is_volatile(e);
        let mut taken = vec![];
        if filterable {
            (taken, cx.conjuncts) = std::mem::take(&mut cx.conjuncts).into_iter().partition(|e| mine(e));
        }
        let wanted = cx.wanted.get(&range).cloned().unwrap_or_default();
        let positions = wanted.iter().map(|n| slot(*n)).collect::<Result<Vec<_>>>()?;
        let mut decoded = positions.clone();
        for e in &taken {
            e.walk(&mut |e| {
                if let ExprKind::Column(c) = &e.kind
                    && let Ok(at) = slot(c.column)
                    && !decoded.contains(&at)
                {
                    decoded.push(at);
                }
            });
        }
        let filter = match taken.len() {
            0 => None,
            1 => taken.pop(),
            _ => Some(Expr::new(ExprKind::And(taken), TypeRef::of(Oid::BOOL))),
        };
        let read = choose(&codec, range, filter.as_ref(), &[], false, decoded)?;
        let columns: Vec<PlanColumn> = positions
            .iter()
            .map(|at| PlanColumn { name: self.name("c"), ty: codec.column_type(*at) })
            .collect();
        let mut scope = Scope::default();
        for (number, c) in wanted.iter().zip(&columns) {
            scope.add(range, *number, &c.name, c.ty);
        }
        let source = Source::Table { read: Arc::new(read), positions };
        let plan = self.scan(Leaf { source, columns, env: self.env.clone() })?;
        Ok(Rel { plan, scope })
    }
}

fn slot(number: i16) -> Result<usize> {
    usize::try_from(number - 1).map_err(|_| SqlError::not_built("this system column"))
}

fn numbers(query: &Query, range: RangeIndex) -> impl Iterator<Item = i16> {
    query.ranges[range.0 as usize].columns.iter().map(|c| c.number)
}

pub(super) fn has_subquery(e: &Expr) -> bool {
    rewrite::any(e, &|e| matches!(e.kind, ExprKind::Subquery(_)))
}

/// Columns that the query and the queries in it read of its ranges.
fn wanted_columns(query: &mut Query) -> Result<FxHashMap<RangeIndex, Vec<i16>>> {
    let mut wanted: FxHashMap<RangeIndex, Vec<i16>> = FxHashMap::default();
    rewrite::query(query, 0, &mut |e, depth| {
        if let ExprKind::Column(c) = &e.kind
            && c.levels_up == depth
        {
            let columns = wanted.entry(c.range).or_default();
            if !columns.contains(&c.column) {
                columns.push(c.column);
            }
        }
        Ok(())
    })?;
    Ok(wanted)
}

/// Conditions of inner joins are conditions of WHERE, as long as no outer join is above them.
fn take_inner_conditions(item: &mut FromItem, out: &mut Vec<Expr>) {
    let FromItem::Join { kind, left, right, on, .. } = item else { return };
    match kind {
        JoinKind::Inner | JoinKind::Cross => {
            if let Some(on) = on.take() {
                out.extend(conjuncts_of(&on).into_iter().cloned());
            }
            take_inner_conditions(left, out);
            take_inner_conditions(right, out);
        }
        JoinKind::Left => take_inner_conditions(left, out),
        JoinKind::Right => take_inner_conditions(right, out),
        JoinKind::Full => {}
    }
}

/// Conjuncts in an order of evaluation that is safe: one that may fail also asks those that stand
/// before it and read no other ranges, as PostgreSQL asks them one after the other.
fn guarded(conjuncts: &[Expr]) -> Vec<Expr> {
    let mut out: Vec<Expr> = vec![];
    for (i, conjunct) in conjuncts.iter().enumerate() {
        let reads = ranges(conjunct);
        let guards: Vec<Expr> = match may_fail(conjunct) {
            false => vec![],
            true => conjuncts[..i]
                .iter()
                .filter(|g| ranges(g).iter().all(|r| reads.contains(r)) && !is_volatile(g))
                .cloned()
                .collect(),
        };
        if guards.is_empty() {
            out.push(conjunct.clone());
            continue;
        }
        let mut all = guards;
        all.push(conjunct.clone());
        out.push(Expr::new(ExprKind::And(all), TypeRef::of(Oid::BOOL)));
    }
    out
}

/// Whether evaluation can end in an error: everything but comparisons and their combinations.
fn may_fail(e: &Expr) -> bool {
    rewrite::any(e, &|e| match &e.kind {
        ExprKind::Call { operator, .. } => {
            let name = crate::registry::Registry::get().operator(*operator).map_or("", |o| o.name);
            !matches!(name, "=" | "<>" | "<" | "<=" | ">" | ">=" | "~~" | "!~~" | "~~*" | "!~~*")
        }
        ExprKind::Cast { kind, .. } => !matches!(kind, crate::ir::CastKind::Relabel),
        ExprKind::Case { .. } | ExprKind::Subquery(_) => true,
        _ => false,
    })
}
