//! Window functions: a sort by partition and order, then the operator that computes the calls.

use super::{Lowerer, Rel, column};
use crate::expr::compile;
use crate::ir::{Expr, ExprKind, FrameBound, FrameMode, Query, WindowCall, WindowSpec};
use crate::kernels;
use crate::registry::Registry;
use crate::relational::aggregate::{CallOrder, Compute};
use crate::relational::error::from_df;
use crate::relational::key::key_expr;
use crate::relational::leaf::PlanColumn;
use crate::relational::rewrite::{self, fingerprint};
use crate::relational::unary::Work;
use crate::relational::window::{Bound, FrameSpec, What, WindowFunction, WindowWork};
use crate::types::{Datum, TypeRef};
use crate::{Result, SqlError, SqlState};
use datafusion::common::Column;
use datafusion::logical_expr::{Expr as DfExpr, LogicalPlanBuilder, SortExpr};

/// A distinct call of the query.
struct Found {
    print: String,
    call: WindowCall,
    ty: TypeRef,
}

impl Lowerer {
    /// Adds the values of all window calls; columns stand in their places.
    pub(super) fn windows(&mut self, mut rel: Rel, query: &mut Query) -> Result<Rel> {
        let mut found: Vec<Found> = vec![];
        let mut collect = |e: &Expr| {
            e.walk(&mut |e| {
                if let ExprKind::Window(call) = &e.kind
                    && let Ok(print) = fingerprint(e)
                    && !found.iter().any(|f| f.print == print)
                {
                    found.push(Found { print, call: (**call).clone(), ty: e.ty });
                }
            });
        };
        query.targets.iter().for_each(|t| collect(&t.expr));
        query.order_by.iter().for_each(|k| collect(&k.expr));
        if found.is_empty() {
            return Ok(rel);
        }
        let mut values: Vec<(String, Expr)> = vec![];
        for (index, window) in query.windows.iter().enumerate() {
            let calls: Vec<&Found> = found.iter().filter(|f| f.call.window as usize == index).collect();
            if !calls.is_empty() {
                rel = self.window(rel, window, &calls, &mut values)?;
            }
        }
        let targets = query.targets.iter_mut().map(|t| &mut t.expr);
        for e in targets.chain(query.order_by.iter_mut().map(|k| &mut k.expr)) {
            rewrite::replace(e, &mut |e| {
                if !matches!(e.kind, ExprKind::Window(_)) {
                    return Ok(None);
                }
                let print = fingerprint(e)?;
                Ok(values.iter().find(|(p, _)| *p == print).map(|(_, value)| value.clone()))
            })?;
        }
        Ok(rel)
    }

    fn window(
        &mut self,
        rel: Rel,
        spec: &WindowSpec,
        calls: &[&Found],
        values: &mut Vec<(String, Expr)>,
    ) -> Result<Rel> {
        let mut exprs: Vec<Expr> = spec.partition_by.clone();
        exprs.extend(spec.order_by.iter().map(|k| k.expr.clone()));
        let keys = exprs.len();
        let mut functions = vec![];
        for found in calls {
            functions.push(window_function(found, &mut exprs)?);
        }
        let mut rel = self.subqueries(rel, &mut exprs)?;
        let columns: Vec<PlanColumn> =
            exprs.iter().map(|e| PlanColumn { name: self.name("w"), ty: e.ty }).collect();
        let mut projected: Vec<DfExpr> =
            rel.plan.schema().columns().into_iter().map(DfExpr::Column).collect();
        for (e, c) in exprs.iter().zip(&columns) {
            projected.push(self.expr(e, &rel.scope)?.alias(&c.name));
        }
        let mut builder = LogicalPlanBuilder::from(rel.plan).project(projected).map_err(from_df)?;
        let sort = columns[..keys].iter().enumerate().map(|(i, c)| {
            let by = i.checked_sub(spec.partition_by.len()).map(|at| &spec.order_by[at]);
            let (descending, nulls_first) = by.map_or((false, false), |k| (k.descending, k.nulls_first));
            let expr = key_expr(column(&c.name), c.ty.oid, &self.env)?;
            Ok(SortExpr::new(expr, !descending, nulls_first))
        });
        let sort = sort.collect::<Result<Vec<_>>>()?;
        if !sort.is_empty() {
            builder = builder.sort(sort).map_err(from_df)?;
        }
        let work = WindowWork {
            partition: spec.partition_by.iter().map(|e| e.ty.oid).collect(),
            order: spec
                .order_by
                .iter()
                .map(|k| CallOrder {
                    ty: k.expr.ty.oid,
                    descending: k.descending,
                    nulls_first: k.nulls_first,
                })
                .collect(),
            frame: self.frame(spec)?,
            calls: functions,
        };
        let reads = columns.iter().map(|c| (Column::from_name(&c.name), c.ty.oid)).collect();
        let added: Vec<PlanColumn> =
            calls.iter().map(|f| PlanColumn { name: self.name("w"), ty: f.ty }).collect();
        let builder = self.unary(builder, Work::Window(work), reads, added.clone())?;
        rel.plan = builder.build().map_err(from_df)?;
        let mut scope = std::mem::take(&mut rel.scope);
        for (found, c) in calls.iter().zip(&added) {
            values.push((found.print.clone(), self.made(&c.name, c.ty, &mut scope)));
        }
        rel.scope = scope;
        Ok(rel)
    }

    fn frame(&self, spec: &WindowSpec) -> Result<FrameSpec> {
        let frame = &spec.frame;
        let start = self.bound(&frame.start, frame.mode, "starting")?;
        let end = self.bound(&frame.end, frame.mode, "ending")?;
        Ok(FrameSpec { mode: frame.mode, start, end, exclude: frame.exclude })
    }

    fn bound(&self, bound: &FrameBound, mode: FrameMode, which: &str) -> Result<Bound> {
        let offset = |e: &Expr| -> Result<u64> {
            if mode == FrameMode::Range {
                return Err(SqlError::not_built("RANGE with an offset"));
            }
            let value = compile(e, &|_| None)?.eval(&self.env.eval(&self.client), &[])?;
            let offset = match value {
                Datum::Int8(v) => v,
                Datum::Int4(v) => i64::from(v),
                _ => {
                    return Err(SqlError::new(
                        SqlState::NULL_VALUE_NOT_ALLOWED,
                        format!("frame {which} offset must not be null"),
                    ));
                }
            };
            u64::try_from(offset).map_err(|_| {
                SqlError::new(
                    SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE,
                    format!("frame {which} offset must not be negative"),
                )
            })
        };
        Ok(match bound {
            FrameBound::UnboundedPreceding => Bound::UnboundedPreceding,
            FrameBound::Preceding(e) => Bound::Preceding(offset(e)?),
            FrameBound::CurrentRow => Bound::CurrentRow,
            FrameBound::Following(e) => Bound::Following(offset(e)?),
            FrameBound::UnboundedFollowing => Bound::UnboundedFollowing,
        })
    }
}

/// The call with its arguments placed among the columns that the operator reads.
fn window_function(found: &Found, exprs: &mut Vec<Expr>) -> Result<WindowFunction> {
    let call = &found.call;
    let name = Registry::get().proc(call.function).map_or("", |p| p.name);
    let not_built = || SqlError::not_built(format!("window function {name}"));
    let what = match call.is_aggregate {
        true => What::Aggregate(Compute::Kernel(kernels::aggregate(call.function).ok_or_else(not_built)?)),
        false => What::named(name).ok_or_else(not_built)?,
    };
    let mut place = |e: &Expr| {
        exprs.push(e.clone());
        exprs.len() - 1
    };
    let args = call.args.iter().map(&mut place).collect();
    let filter = call.filter.as_ref().map(&mut place);
    Ok(WindowFunction { what, args, filter })
}
