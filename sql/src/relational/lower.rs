//! From the typed tree to a plan of DataFusion: columns named by id, every cast explicit.
//!
//! - `expr`: scalar expressions. `from`: FROM and WHERE. `group`: aggregates and GROUP BY.
//! - `window`: window functions. `set`: UNION, INTERSECT, EXCEPT. `subquery`: subqueries as Apply.
//! - here: a query's clauses in their order, CTEs, DISTINCT, ORDER BY, LIMIT.
//!
//! A column that planning makes (an aggregate, a subquery's value) gets a range of its own, above
//! `FIRST_MADE`, and stands in the expression where the call stood.

mod expr;
mod from;
mod group;
mod set;
mod subquery;
mod window;

use super::env::QueryEnv;
use super::error::from_df;
use super::key::key_expr;
use super::leaf::PlanColumn;
use super::rewrite;
use super::shared::{SharedPlan, WorkTable};
use super::unary::{UnaryNode, Work};
use crate::exec::sequence;
use crate::expr::compile;
use crate::ir::{ColumnRef, CteBody, Distinct, Expr, ExprKind, Query, RangeIndex, RangeKind, SortKey};
use crate::plan::sequence_calls;
use crate::types::{Datum, TypeRef};
use crate::{Oid, Result, SqlError, SqlState};
use datafusion::common::Column;
use datafusion::logical_expr::{Expr as DfExpr, Extension, LogicalPlan, LogicalPlanBuilder, SortExpr};
use rustc_hash::FxHashMap;
use std::cell::Cell;
use std::sync::Arc;

/// Ranges from here on are columns that planning made.
const FIRST_MADE: u32 = 1 << 30;

/// A column of the plan so far.
#[derive(Clone, Debug)]
pub(super) struct ScopeColumn {
    column: Column,
    ty: TypeRef,
}

/// What the columns of a query are called in the plan.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    columns: FxHashMap<(RangeIndex, i16), ScopeColumn>,
}

impl Scope {
    fn add(&mut self, range: RangeIndex, number: i16, name: &str, ty: TypeRef) {
        self.columns.insert((range, number), ScopeColumn { column: Column::from_name(name), ty });
    }

    fn get(&self, column: ColumnRef) -> Result<&ScopeColumn> {
        let found =
            (column.levels_up == 0).then(|| self.columns.get(&(column.range, column.column))).flatten();
        found.ok_or_else(|| SqlError::internal(format!("column {column:?} out of reach")))
    }
}

/// A plan under construction and what it calls its columns.
#[derive(Clone)]
pub(super) struct Rel {
    pub(super) plan: LogicalPlan,
    scope: Scope,
}

/// A lowered query: its plan and its visible columns.
pub(super) struct Lowered {
    pub(super) plan: LogicalPlan,
    pub(super) columns: Vec<PlanColumn>,
}

/// A CTE as its readers see it.
#[derive(Clone)]
enum Cte {
    /// Read at most once: planned where it is read, among the frames of its definition.
    Inline(Arc<Query>, usize),
    Shared(Arc<SharedPlan>, Vec<PlanColumn>),
    /// The recursive CTE whose body is being planned.
    Work(Arc<WorkTable>, Vec<PlanColumn>),
}

/// Plans one query, with the queries inside it.
pub(super) struct Lowerer {
    env: Arc<QueryEnv>,
    /// Values of the client's parameters: constants of the plan.
    client: Arc<[Datum]>,
    /// Parameters that a subquery of this one gets before its outer values.
    params: usize,
    /// CTEs of the queries around, outermost first.
    frames: Vec<Vec<Option<Cte>>>,
    /// Shared by everything of one statement, so that no name stands twice.
    next: Arc<std::sync::atomic::AtomicU32>,
    depth: Cell<u32>,
}

/// Queries inside queries: deeper ones are refused before the stack ends.
const MOST_DEPTH: u32 = 100;

impl Lowerer {
    pub(super) fn new(env: Arc<QueryEnv>) -> Lowerer {
        let client = env.params();
        Lowerer {
            params: client.len(),
            client,
            env,
            frames: vec![],
            next: Arc::default(),
            depth: Cell::new(0),
        }
    }

    fn id(&self) -> u32 {
        self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    fn name(&self, what: &str) -> String {
        format!("{what}{}", self.id())
    }

    /// A new column that stands for `expr`'s value, as an expression of the tree.
    fn made(&self, name: &str, ty: TypeRef, scope: &mut Scope) -> Expr {
        let range = RangeIndex(FIRST_MADE + self.id());
        scope.add(range, 1, name, ty);
        Expr::new(ExprKind::Column(ColumnRef { levels_up: 0, range, column: 1 }), ty)
    }

    /// Plans a query and everything in it.
    pub(super) fn query(&mut self, query: &Query) -> Result<Lowered> {
        if self.depth.get() >= MOST_DEPTH {
            return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded"));
        }
        self.depth.set(self.depth.get() + 1);
        self.frames.push(vec![]);
        let lowered = self.query_in_frame(query.clone());
        self.frames.pop();
        self.depth.set(self.depth.get() - 1);
        lowered
    }

    fn query_in_frame(&mut self, mut query: Query) -> Result<Lowered> {
        if !query.locking.is_empty() {
            return Err(SqlError::not_built("a row lock in a query of this shape"));
        }
        if query.with_ties {
            return Err(SqlError::not_built("FETCH FIRST ... WITH TIES"));
        }
        self.settle(&mut query)?;
        self.ctes(&query)?;
        let mut rel = match query.set_op.take() {
            Some(set_op) => self.set_operation(*set_op)?,
            None => {
                let rel = self.from_where(&mut query)?;
                match query.aggregated || !query.group_by.is_empty() || query.having.is_some() {
                    true => self.group(rel, &mut query)?,
                    false => rel,
                }
            }
        };
        rel = self.windows(rel, &mut query)?;
        self.output(rel, query)
    }

    /// Puts constants for the client's parameters, and the sides' columns for those of joins.
    fn settle(&self, query: &mut Query) -> Result<()> {
        let client = self.client.clone();
        rewrite::query(query, 0, &mut |e, _| {
            if let ExprKind::Param(n) = e.kind
                && let Some(value) = client.get(usize::from(n) - 1)
            {
                e.kind = ExprKind::Const(value.clone());
            }
            Ok(())
        })?;
        let joins: FxHashMap<RangeIndex, Vec<Expr>> = query
            .ranges
            .iter()
            .enumerate()
            .filter_map(|(i, entry)| match &entry.kind {
                RangeKind::Join { merged } => Some((RangeIndex(i as u32), merged.clone())),
                _ => None,
            })
            .collect();
        let rows: FxHashMap<RangeIndex, Vec<Expr>> =
            (0..query.ranges.len() as u32).map(RangeIndex).map(|r| (r, whole_row(query, r))).collect();
        rewrite::query(query, 0, &mut |e, depth| expand(e, depth, &joins, &rows))
    }

    /// CTEs that are read more than once, or asked to be, become shared results.
    fn ctes(&mut self, query: &Query) -> Result<()> {
        let here = self.frames.len() - 1;
        for (index, cte) in query.ctes.iter().enumerate() {
            let CteBody::Query(body) = &cte.body else {
                return Err(SqlError::not_built("INSERT, UPDATE or DELETE in WITH"));
            };
            let readers = readers(query, index as u32);
            let planned = if readers == 0 {
                None
            } else if cte.recursive && reads_work_table(body) {
                let lowered = self.recursive(body)?;
                Some(Cte::Shared(SharedPlan::new(lowered.plan, self.env.clone()), lowered.columns))
            } else if readers > 1 && cte.materialized != Some(false) || cte.materialized == Some(true) {
                let lowered = self.query(body)?;
                Some(Cte::Shared(SharedPlan::new(lowered.plan, self.env.clone()), lowered.columns))
            } else {
                Some(Cte::Inline(Arc::new((**body).clone()), here + 1))
            };
            self.frames[here].push(planned);
        }
        Ok(())
    }

    /// Select list, DISTINCT, ORDER BY, LIMIT.
    fn output(&mut self, mut rel: Rel, query: Query) -> Result<Lowered> {
        let mut exprs: Vec<Expr> = query.targets.iter().map(|t| t.expr.clone()).collect();
        let visible: Vec<usize> = (0..exprs.len()).filter(|i| !query.targets[*i].junk).collect();
        let mut prints = exprs.iter().map(rewrite::fingerprint).collect::<Result<Vec<_>>>()?;
        let mut place = |expr: &Expr| -> Result<usize> {
            let print = rewrite::fingerprint(expr)?;
            if let Some(at) = prints.iter().position(|p| *p == print) {
                return Ok(at);
            }
            prints.push(print);
            exprs.push(expr.clone());
            Ok(exprs.len() - 1)
        };
        let order: Vec<(usize, &SortKey)> =
            query.order_by.iter().map(|k| Ok((place(&k.expr)?, k))).collect::<Result<_>>()?;
        let distinct_on: Option<Vec<usize>> = match &query.distinct {
            Distinct::On(keys) => Some(keys.iter().map(&mut place).collect::<Result<_>>()?),
            Distinct::No | Distinct::All => None,
        };
        rel = self.subqueries(rel, &mut exprs)?;
        rel = self.set_calls(rel, &mut exprs)?;
        let columns: Vec<PlanColumn> =
            exprs.iter().map(|e| PlanColumn { name: self.name("o"), ty: e.ty }).collect();
        let mut builder = self.project(rel, &exprs, &columns)?;
        if matches!(query.distinct, Distinct::All) {
            let kept: Vec<PlanColumn> = visible.iter().map(|i| columns[*i].clone()).collect();
            builder = self.distinct(builder, &kept)?;
        }
        let mut sort = vec![];
        if let Some(keys) = &distinct_on {
            // ORDER BY begins with the keys, in any order; keys that it does not name come behind.
            let missing = keys.iter().filter(|at| !order.iter().any(|(o, _)| o == *at));
            for at in order.iter().map(|(at, _)| at).chain(missing) {
                let by = order.iter().find(|(o, _)| o == at).map(|(_, key)| *key);
                sort.push(self.sort_expr(&columns[*at], by)?);
            }
        } else {
            for (at, key) in &order {
                sort.push(self.sort_expr(&columns[*at], Some(key))?);
            }
        }
        if !sort.is_empty() {
            builder = builder.sort(sort).map_err(from_df)?;
        }
        if let Some(keys) = &distinct_on {
            let reads =
                keys.iter().map(|at| (Column::from_name(&columns[*at].name), columns[*at].ty.oid)).collect();
            builder = self.unary(builder, Work::FirstOfRun, reads, vec![])?;
        }
        builder = self.limit(builder, &query)?;
        let columns: Vec<PlanColumn> = visible.iter().map(|i| columns[*i].clone()).collect();
        let plan = builder
            .project(columns.iter().map(|c| column(&c.name)))
            .and_then(LogicalPlanBuilder::build)
            .map_err(from_df)?;
        Ok(Lowered { plan, columns })
    }

    /// A projection to `exprs` alone, under the names of `columns`.
    fn project(&self, rel: Rel, exprs: &[Expr], columns: &[PlanColumn]) -> Result<LogicalPlanBuilder> {
        let lowered = exprs
            .iter()
            .zip(columns)
            .map(|(e, c)| Ok(self.expr(e, &rel.scope)?.alias(&c.name)))
            .collect::<Result<Vec<_>>>()?;
        let mut input = LogicalPlanBuilder::from(rel.plan);
        let calls = sequence_calls(exprs.iter())?;
        let calls = sequence::named(&calls, &self.env.eval(&self.client))?;
        if !calls.is_empty() {
            input = self.unary(input, Work::Sequences(calls.into()), vec![], vec![])?;
        }
        input.project(lowered).map_err(from_df)
    }

    fn sort_expr(&self, by: &PlanColumn, key: Option<&SortKey>) -> Result<SortExpr> {
        let (descending, nulls_first) = key.map_or((false, false), |k| (k.descending, k.nulls_first));
        let expr = key_expr(column(&by.name), by.ty.oid, &self.env)?;
        Ok(SortExpr::new(expr, !descending, nulls_first))
    }

    fn unary(
        &self,
        input: LogicalPlanBuilder,
        work: Work,
        reads: Vec<(Column, Oid)>,
        added: Vec<PlanColumn>,
    ) -> Result<LogicalPlanBuilder> {
        let input = input.build().map_err(from_df)?;
        let node = UnaryNode::new(input, Arc::new(work), reads, added, self.env.clone()).map_err(from_df)?;
        Ok(LogicalPlanBuilder::from(LogicalPlan::Extension(Extension { node: Arc::new(node) })))
    }

    fn limit(&self, builder: LogicalPlanBuilder, query: &Query) -> Result<LogicalPlanBuilder> {
        let fetch = self.row_count(query.limit.as_ref(), "LIMIT")?;
        let skip = self.row_count(query.offset.as_ref(), "OFFSET")?.unwrap_or(0);
        match (skip, fetch) {
            (0, None) => Ok(builder),
            (skip, fetch) => builder.limit(skip, fetch).map_err(from_df),
        }
    }

    /// The value of LIMIT or OFFSET; null means none.
    fn row_count(&self, expr: Option<&Expr>, clause: &str) -> Result<Option<usize>> {
        let Some(expr) = expr else { return Ok(None) };
        let varies = |e: &Expr| matches!(e.kind, ExprKind::Param(_) | ExprKind::Subquery(_));
        if rewrite::any(expr, &varies) {
            return Err(SqlError::not_built(format!("a subquery or an outer column in {clause}")));
        }
        let count = match compile(expr, &|_| None)?.eval(&self.env.eval(&[]), &[])? {
            Datum::Null => return Ok(None),
            Datum::Int8(v) => v,
            Datum::Int4(v) => i64::from(v),
            other => return Err(SqlError::internal(format!("{clause} of {other:?}"))),
        };
        let code = match clause {
            "LIMIT" => SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE,
            _ => SqlState::INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE,
        };
        usize::try_from(count)
            .map(Some)
            .map_err(|_| SqlError::new(code, format!("{clause} must not be negative")))
    }
}

/// A column of the plan, by its name as it is.
fn column(name: &str) -> DfExpr {
    DfExpr::Column(Column::from_name(name))
}

fn whole_row(query: &Query, range: RangeIndex) -> Vec<Expr> {
    let columns = query.ranges[range.0 as usize].columns.iter();
    columns
        .map(|c| Expr::new(ExprKind::Column(ColumnRef { levels_up: 0, range, column: c.number }), c.ty))
        .collect()
}

/// Replaces a column of a join by what it merges, and a whole row by its columns. The replacement
/// comes from the query that owns the range, so its own columns are as many levels up.
fn expand(
    e: &mut Expr,
    depth: u16,
    joins: &FxHashMap<RangeIndex, Vec<Expr>>,
    rows: &FxHashMap<RangeIndex, Vec<Expr>>,
) -> Result<()> {
    let ExprKind::Column(column) = &e.kind else { return Ok(()) };
    if column.levels_up != depth || column.range.0 >= FIRST_MADE {
        return Ok(());
    }
    let mut new = match (column.column, joins.get(&column.range)) {
        (0, _) => Expr::new(ExprKind::Row(rows.get(&column.range).cloned().unwrap_or_default()), e.ty),
        (number, Some(merged)) => {
            let at = usize::try_from(number - 1).ok().and_then(|at| merged.get(at));
            at.cloned().ok_or_else(|| SqlError::internal("column number of a join"))?
        }
        (number, None) if number < 0 => return Err(SqlError::not_built("this system column")),
        _ => return Ok(()),
    };
    rewrite::expr(&mut new, depth, &mut |e, at| {
        if let ExprKind::Column(column) = &mut e.kind
            && column.levels_up == at - depth
        {
            column.levels_up = at;
            return expand(e, at, joins, rows);
        }
        Ok(())
    })?;
    *e = new;
    Ok(())
}

/// How many places read a CTE of this query.
fn readers(query: &Query, index: u32) -> usize {
    count_readers(query, 0, index)
}

fn count_readers(query: &Query, depth: u16, wanted: u32) -> usize {
    let mut count = 0;
    for entry in &query.ranges {
        match &entry.kind {
            RangeKind::Cte { levels_up, index } if *levels_up == depth && *index == wanted => count += 1,
            RangeKind::Subquery { query, .. } => count += count_readers(query, depth + 1, wanted),
            _ => {}
        }
    }
    for cte in &query.ctes {
        if let CteBody::Query(body) = &cte.body {
            count += count_readers(body, depth + 1, wanted);
        }
    }
    if let Some(set_op) = &query.set_op {
        count +=
            count_readers(&set_op.left, depth + 1, wanted) + count_readers(&set_op.right, depth + 1, wanted);
    }
    // A subquery in an expression may run many times: it counts twice.
    let mut inner = 0;
    let mut copy = query.clone();
    let visited = rewrite::query(&mut copy, depth, &mut |e, at| {
        if let ExprKind::Subquery(subquery) = &e.kind
            && at == depth
        {
            inner += 2 * count_readers(&subquery.query, depth + 1, wanted);
        }
        Ok(())
    });
    count + if visited.is_ok() { inner } else { 0 }
}

/// Whether the body of a CTE reads itself.
fn reads_work_table(query: &Query) -> bool {
    let in_ranges = query.ranges.iter().any(|entry| match &entry.kind {
        RangeKind::WorkTable { .. } => true,
        RangeKind::Subquery { query, .. } => reads_work_table(query),
        _ => false,
    });
    let in_sides =
        query.set_op.as_ref().is_some_and(|s| reads_work_table(&s.left) || reads_work_table(&s.right));
    in_ranges || in_sides
}
