//! Subqueries in expressions and lateral FROM items become Apply; their outer columns become
//! parameters. Set-returning functions of a select list become ProjectSet.

use super::{Lowerer, Rel, Scope};
use crate::expr::compile;
use crate::ir::{ColumnRef, Expr, ExprKind, JoinKind, Query, RangeIndex, Subquery, SubqueryKind};
use crate::registry::Registry;
use crate::relational::apply::{ApplyNode, OuterColumn};
use crate::relational::error::from_df;
use crate::relational::key::key_class;
use crate::relational::leaf::PlanColumn;
use crate::relational::rewrite;
use crate::relational::set_function::set_function;
use crate::relational::subplan::{Kind, SubPlan};
use crate::relational::unary::Work;
use crate::types::{Datum, TypeRef};
use crate::{Oid, Result, SqlError};
use datafusion::common::Column;
use datafusion::logical_expr::{Expr as DfExpr, Extension, LogicalPlan, LogicalPlanBuilder};
use std::cell::Cell;
use std::sync::Arc;

impl Lowerer {
    /// Adds the values of all subqueries in `exprs` to the rows; columns stand in their places.
    pub(super) fn subqueries(&mut self, mut rel: Rel, exprs: &mut [Expr]) -> Result<Rel> {
        for e in exprs {
            loop {
                let mut found = None;
                rewrite::replace(e, &mut |e| {
                    if found.is_none()
                        && let ExprKind::Subquery(subquery) = &e.kind
                    {
                        found = Some(((**subquery).clone(), e.ty));
                        return Ok(Some(Expr::new(ExprKind::Default, e.ty)));
                    }
                    Ok(None)
                })?;
                let Some((subquery, ty)) = found else { break };
                let value = self.apply(&mut rel, subquery, ty)?;
                // The place is marked by DEFAULT, which no scalar expression holds.
                rewrite::replace(e, &mut |e| Ok(matches!(e.kind, ExprKind::Default).then(|| value.clone())))?;
            }
        }
        Ok(rel)
    }

    fn apply(&mut self, rel: &mut Rel, subquery: Subquery, ty: TypeRef) -> Result<Expr> {
        let Subquery { kind, mut query } = subquery;
        let mut outer = self.outer_columns(&mut query, &rel.scope)?;
        let (lowered, env) = self.nested(&query)?;
        let mut left_count = 0;
        let kind = match kind {
            SubqueryKind::Scalar => Kind::Scalar,
            SubqueryKind::Exists => Kind::Exists,
            SubqueryKind::Array => {
                let element = Registry::get().type_by_oid(ty.oid).map(|t| t.elem);
                Kind::Array(element.ok_or_else(|| SqlError::not_built("ARRAY(SELECT ...) of this type"))?)
            }
            SubqueryKind::Quantified { all, mut left, functions, negated } => {
                *rel = self.subqueries(rel.clone(), &mut left)?;
                let types: Vec<TypeRef> = left.iter().map(|e| e.ty).collect();
                let same = left
                    .iter()
                    .zip(&lowered.columns)
                    .all(|(l, r)| l.ty.oid == r.ty.oid && key_class(l.ty.oid, &self.env.catalog).is_ok());
                let hashed = !all
                    && same
                    && left.len() == lowered.columns.len()
                    && functions.iter().all(|f| is_equality(*f));
                let comparison = row_comparison(&types, &lowered.columns, &functions)?;
                left_count = left.len();
                outer.extend(self.left_columns(rel, &left)?);
                Kind::Quantified { all, negated, comparison, hashed }
            }
        };
        let sub = Arc::new(SubPlan { kind, logical: lowered.plan, env, columns: lowered.columns });
        let name = self.name("q");
        let added = vec![PlanColumn { name: name.clone(), ty }];
        let node = ApplyNode::new(rel.plan.clone(), sub, outer, left_count, added, self.env.clone());
        rel.plan = LogicalPlan::Extension(Extension { node: Arc::new(node.map_err(from_df)?) });
        let mut scope = std::mem::take(&mut rel.scope);
        let value = self.made(&name, ty, &mut scope);
        rel.scope = scope;
        Ok(value)
    }

    /// The left side of a comparison as columns of the rows.
    fn left_columns(&self, rel: &mut Rel, left: &[Expr]) -> Result<Vec<OuterColumn>> {
        let mut exprs: Vec<DfExpr> = rel.plan.schema().columns().into_iter().map(DfExpr::Column).collect();
        let mut columns = vec![];
        for e in left {
            let name = self.name("v");
            exprs.push(self.expr(e, &rel.scope)?.alias(&name));
            columns.push(OuterColumn { column: Column::from_name(name), ty: e.ty.oid });
        }
        let projected = LogicalPlanBuilder::from(rel.plan.clone()).project(exprs);
        rel.plan = projected.and_then(LogicalPlanBuilder::build).map_err(from_df)?;
        Ok(columns)
    }

    /// Turns the columns of this query that `query` reads into parameters; answers them in order.
    fn outer_columns(&self, query: &mut Query, scope: &Scope) -> Result<Vec<OuterColumn>> {
        let mut found: Vec<ColumnRef> = vec![];
        let mut outer = vec![];
        rewrite::query(query, 0, &mut |e, depth| {
            let ExprKind::Column(c) = &e.kind else { return Ok(()) };
            if c.levels_up != depth + 1 {
                return Ok(());
            }
            let plain = ColumnRef { levels_up: 0, ..*c };
            let at = match found.iter().position(|f| *f == plain) {
                Some(at) => at,
                None => {
                    let column = scope.get(plain)?;
                    outer.push(OuterColumn { column: column.column.clone(), ty: column.ty.oid });
                    found.push(plain);
                    found.len() - 1
                }
            };
            let number = u16::try_from(self.params + at + 1)
                .map_err(|_| SqlError::internal("too many parameters and outer columns"))?;
            e.kind = ExprKind::Param(number);
            Ok(())
        })?;
        Ok(outer)
    }

    /// Plans a subquery with an environment of its own.
    fn nested(&self, query: &Query) -> Result<(super::Lowered, Arc<crate::relational::env::QueryEnv>)> {
        let env = self.env.nested();
        let mut most = self.params;
        let mut copy = query.clone();
        rewrite::query(&mut copy, 0, &mut |e, _| {
            if let ExprKind::Param(n) = e.kind {
                most = most.max(usize::from(n));
            }
            Ok(())
        })?;
        let mut lowerer = Lowerer {
            env: env.clone(),
            client: self.client.clone(),
            params: most,
            frames: self.frames.clone(),
            next: self.next.clone(),
            depth: Cell::new(self.depth.get()),
        };
        Ok((lowerer.query(query)?, env))
    }

    /// Whether a FROM item reads columns of the query it stands in.
    pub(super) fn reads_outer(&self, query: &Query) -> Result<bool> {
        let mut reads = false;
        rewrite::query(&mut query.clone(), 0, &mut |e, depth| {
            reads |= matches!(&e.kind, ExprKind::Column(c) if c.levels_up == depth + 1);
            Ok(())
        })?;
        Ok(reads)
    }

    /// `left [LEFT] JOIN LATERAL (query)`.
    pub(super) fn lateral(
        &mut self,
        left: Rel,
        range: RangeIndex,
        query: &Query,
        kind: JoinKind,
        on: Option<&Expr>,
    ) -> Result<Rel> {
        let always = |e: &Expr| matches!(e.kind, ExprKind::Const(Datum::Bool(true)));
        let outer_join = match kind {
            JoinKind::Cross | JoinKind::Inner => false,
            JoinKind::Left if on.is_none_or(always) => true,
            JoinKind::Left => return Err(SqlError::not_built("LEFT JOIN LATERAL with a condition")),
            JoinKind::Right | JoinKind::Full => {
                return Err(SqlError::internal("RIGHT or FULL JOIN with a lateral reference"));
            }
        };
        let mut query = query.clone();
        let outer = self.outer_columns(&mut query, &left.scope)?;
        let (lowered, env) = self.nested(&query)?;
        let added: Vec<PlanColumn> =
            lowered.columns.iter().map(|c| PlanColumn { name: self.name("c"), ty: c.ty }).collect();
        let kind = Kind::Lateral { outer: outer_join };
        let sub = Arc::new(SubPlan { kind, logical: lowered.plan, env, columns: lowered.columns });
        let node =
            ApplyNode::new(left.plan, sub, outer, 0, added.clone(), self.env.clone()).map_err(from_df)?;
        let mut scope = left.scope;
        for (i, c) in added.iter().enumerate() {
            scope.add(range, i as i16 + 1, &c.name, c.ty);
        }
        let rel = Rel { plan: LogicalPlan::Extension(Extension { node: Arc::new(node) }), scope };
        match (outer_join, on) {
            (false, Some(on)) => self.filter(rel, std::slice::from_ref(on)),
            _ => Ok(rel),
        }
    }

    /// Set-returning functions of a select list: rows multiply, columns stand in the calls' places.
    pub(super) fn set_calls(&mut self, mut rel: Rel, exprs: &mut [Expr]) -> Result<Rel> {
        let mut calls: Vec<Expr> = vec![];
        let mut prints: Vec<String> = vec![];
        for e in exprs.iter() {
            let mut failed = None;
            e.walk(&mut |e| {
                if let ExprKind::SetCall { .. } = &e.kind {
                    match rewrite::fingerprint(e) {
                        Ok(print) if !prints.contains(&print) => {
                            prints.push(print);
                            calls.push(e.clone());
                        }
                        Ok(_) => {}
                        Err(error) => failed = Some(error),
                    }
                }
            });
            if let Some(error) = failed {
                return Err(error);
            }
        }
        if calls.is_empty() {
            return Ok(rel);
        }
        let nested = |e: &Expr| {
            matches!(&e.kind, ExprKind::SetCall { args, .. }
            if args.iter().any(|a| rewrite::any(a, &|e| matches!(e.kind, ExprKind::SetCall { .. }))))
        };
        if calls.iter().any(nested) {
            return Err(SqlError::not_built("a set-returning function of a set-returning function"));
        }
        let mut columns: Vec<ColumnRef> = vec![];
        for call in &calls {
            call.walk(&mut |e| {
                if let ExprKind::Column(c) = &e.kind
                    && !columns.contains(c)
                {
                    columns.push(*c);
                }
            });
        }
        let slots = |c: ColumnRef| columns.iter().position(|known| *known == c);
        let functions = calls.iter().map(|c| set_function(c, &slots)).collect::<Result<Vec<_>>>()?;
        let reads = columns.iter().map(|c| rel.scope.get(*c).map(|s| (s.column.clone(), s.ty.oid)));
        let reads = reads.collect::<Result<Vec<_>>>()?;
        let added: Vec<PlanColumn> =
            calls.iter().map(|c| PlanColumn { name: self.name("r"), ty: c.ty }).collect();
        let builder = LogicalPlanBuilder::from(rel.plan);
        let builder = self.unary(builder, Work::ProjectSet(functions), reads, added.clone())?;
        rel.plan = builder.build().map_err(from_df)?;
        let mut scope = std::mem::take(&mut rel.scope);
        let values: Vec<Expr> = added.iter().map(|c| self.made(&c.name, c.ty, &mut scope)).collect();
        rel.scope = scope;
        for e in exprs {
            rewrite::replace(e, &mut |e| {
                if !matches!(e.kind, ExprKind::SetCall { .. }) {
                    return Ok(None);
                }
                let print = rewrite::fingerprint(e)?;
                Ok(prints.iter().position(|p| *p == print).map(|at| values[at].clone()))
            })?;
        }
        Ok(rel)
    }
}

/// The comparison of all columns, over slots: left values, then the row's.
fn row_comparison(
    left: &[TypeRef],
    right: &[PlanColumn],
    functions: &[Oid],
) -> Result<crate::expr::Compiled> {
    let slot = |at: usize, ty: TypeRef| {
        let column = ColumnRef { levels_up: 0, range: RangeIndex(at as u32), column: 1 };
        Expr::new(ExprKind::Column(column), ty)
    };
    let bool_type = TypeRef::of(Oid::BOOL);
    let comparisons: Vec<Expr> = functions
        .iter()
        .enumerate()
        .zip(left.iter().zip(right))
        .map(|((i, function), (l, r))| {
            let args = vec![slot(i, *l), slot(left.len() + i, r.ty)];
            Expr::new(ExprKind::Call { function: *function, operator: Oid::NONE, args }, bool_type)
        })
        .collect();
    let whole = match &comparisons[..] {
        [only] => only.clone(),
        // Rows of several columns are equal when all are; <> of rows comes as one function a column.
        _ if functions.iter().all(|f| is_equality(*f)) => Expr::new(ExprKind::And(comparisons), bool_type),
        _ => return Err(SqlError::not_built("an order comparison of rows with a subquery")),
    };
    compile(&whole, &|c| Some(c.range.0 as usize))
}

/// Whether a function is the `=` of one type.
fn is_equality(function: Oid) -> bool {
    Registry::get().operators_named("=").iter().any(|o| o.function == function && o.left == o.right)
}
