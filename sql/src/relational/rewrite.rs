//! Walks over the typed tree that change it, with the depth of queries around each expression.

use crate::ir::{
    CteBody, Distinct, Expr, ExprKind, FrameBound, FromItem, Query, RangeKind, SubqueryKind, Subscript,
};
use crate::{Result, SqlError};

/// Called for every expression, operands first, with the number of queries between it and the start.
pub(super) type Change<'f> = &'f mut dyn FnMut(&mut Expr, u16) -> Result<()>;

/// Changes an expression bottom-up, the queries of its subqueries included.
pub(super) fn expr(e: &mut Expr, depth: u16, change: Change<'_>) -> Result<()> {
    if let ExprKind::Subquery(subquery) = &mut e.kind {
        query(&mut subquery.query, depth + 1, change)?;
    }
    children(e, &mut |child| expr(child, depth, change))?;
    change(e, depth)
}

/// Changes every expression of a query; `depth` is that of the query's own expressions.
pub(super) fn query(q: &mut Query, depth: u16, change: Change<'_>) -> Result<()> {
    for cte in &mut q.ctes {
        match &mut cte.body {
            CteBody::Query(body) => query(body, depth + 1, change)?,
            CteBody::Modify(_) => return Err(SqlError::not_built("INSERT, UPDATE or DELETE in WITH")),
        }
    }
    for entry in &mut q.ranges {
        match &mut entry.kind {
            RangeKind::Subquery { query: inner, .. } => query(inner, depth + 1, change)?,
            RangeKind::Values(rows) => all(rows.iter_mut().flatten(), depth, change)?,
            RangeKind::Functions { calls, .. } => all(calls.iter_mut(), depth, change)?,
            RangeKind::Join { merged } => all(merged.iter_mut(), depth, change)?,
            RangeKind::Table(_)
            | RangeKind::Virtual(_)
            | RangeKind::Cte { .. }
            | RangeKind::WorkTable { .. } => {}
        }
    }
    for item in &mut q.from {
        from_item(item, depth, change)?;
    }
    if let Some(set_op) = &mut q.set_op {
        query(&mut set_op.left, depth + 1, change)?;
        query(&mut set_op.right, depth + 1, change)?;
    }
    for window in &mut q.windows {
        all(
            window.partition_by.iter_mut().chain(window.order_by.iter_mut().map(|k| &mut k.expr)),
            depth,
            change,
        )?;
        for bound in [&mut window.frame.start, &mut window.frame.end] {
            if let FrameBound::Preceding(e) | FrameBound::Following(e) = bound {
                expr(e, depth, change)?;
            }
        }
    }
    if let Distinct::On(keys) = &mut q.distinct {
        all(keys.iter_mut(), depth, change)?;
    }
    let targets = q.targets.iter_mut().map(|t| &mut t.expr);
    let order = q.order_by.iter_mut().map(|k| &mut k.expr);
    let rest = q.filter.iter_mut().chain(&mut q.having).chain(&mut q.limit).chain(&mut q.offset);
    all(targets.chain(order).chain(q.group_by.iter_mut()).chain(rest), depth, change)
}

fn from_item(item: &mut FromItem, depth: u16, change: Change<'_>) -> Result<()> {
    if let FromItem::Join { left, right, on, .. } = item {
        from_item(left, depth, change)?;
        from_item(right, depth, change)?;
        if let Some(on) = on {
            expr(on, depth, change)?;
        }
    }
    Ok(())
}

fn all<'e>(exprs: impl Iterator<Item = &'e mut Expr>, depth: u16, change: Change<'_>) -> Result<()> {
    for e in exprs {
        expr(e, depth, change)?;
    }
    Ok(())
}

/// The direct operands, changeable. A flat match: every kind stands once.
fn children(e: &mut Expr, visit: &mut dyn FnMut(&mut Expr) -> Result<()>) -> Result<()> {
    match &mut e.kind {
        ExprKind::Const(_)
        | ExprKind::Column(_)
        | ExprKind::Param(_)
        | ExprKind::CaseOperand
        | ExprKind::Grouping(_)
        | ExprKind::Session(_)
        | ExprKind::Default => Ok(()),
        ExprKind::Call { args, .. } | ExprKind::SetCall { args, .. } | ExprKind::MinMax { args, .. } => {
            args.iter_mut().try_for_each(visit)
        }
        ExprKind::And(items) | ExprKind::Or(items) | ExprKind::Coalesce(items) | ExprKind::Row(items) => {
            items.iter_mut().try_for_each(visit)
        }
        ExprKind::Array { items, .. } => items.iter_mut().try_for_each(visit),
        ExprKind::Cast { arg, .. }
        | ExprKind::Not(arg)
        | ExprKind::IsNull { arg, .. }
        | ExprKind::BoolTest { arg, .. }
        | ExprKind::Field { arg, .. }
        | ExprKind::Collate { arg } => visit(arg),
        ExprKind::Distinct { left, right, .. }
        | ExprKind::NullIf { left, right, .. }
        | ExprKind::ArrayOp { left, array: right, .. } => {
            visit(left)?;
            visit(right)
        }
        ExprKind::Case { operand, arms, otherwise } => {
            operand.iter_mut().try_for_each(|e| visit(e))?;
            for (condition, value) in arms {
                visit(condition)?;
                visit(value)?;
            }
            otherwise.iter_mut().try_for_each(|e| visit(e))
        }
        ExprKind::RowCompare { left, right, .. } => left.iter_mut().chain(right).try_for_each(visit),
        ExprKind::Subscript { arg, subscripts } => {
            visit(arg)?;
            for subscript in subscripts {
                match subscript {
                    Subscript::Index(e) => visit(e)?,
                    Subscript::Slice { lower, upper } => {
                        lower.iter_mut().chain(upper).try_for_each(&mut *visit)?;
                    }
                }
            }
            Ok(())
        }
        ExprKind::Subquery(subquery) => match &mut subquery.kind {
            SubqueryKind::Quantified { left, .. } => left.iter_mut().try_for_each(visit),
            SubqueryKind::Scalar | SubqueryKind::Exists | SubqueryKind::Array => Ok(()),
        },
        ExprKind::Aggregate(call) => {
            call.args.iter_mut().chain(&mut call.filter).chain(&mut call.direct).try_for_each(&mut *visit)?;
            call.order_by.iter_mut().try_for_each(|key| visit(&mut key.expr))
        }
        ExprKind::Window(call) => call.args.iter_mut().chain(&mut call.filter).try_for_each(visit),
    }
}

/// Replaces top-down: where `replace` answers, its answer stands and is not looked into. Queries of
/// subqueries are not entered.
pub(super) fn replace(e: &mut Expr, with: &mut dyn FnMut(&Expr) -> Result<Option<Expr>>) -> Result<()> {
    if let Some(new) = with(e)? {
        *e = new;
        return Ok(());
    }
    children(e, &mut |child| replace(child, with))
}

/// A text that is the same for the same expression, wherever in the statement it stands.
pub(super) fn fingerprint(e: &Expr) -> Result<String> {
    let mut plain = e.clone();
    expr(&mut plain, 0, &mut |e, _| {
        e.at = None;
        Ok(())
    })?;
    Ok(format!("{plain:?}"))
}

/// Whether `test` holds for the expression or one below it, outside subqueries' queries.
pub(super) fn any(e: &Expr, test: &dyn Fn(&Expr) -> bool) -> bool {
    let mut found = false;
    e.walk(&mut |e| found |= test(e));
    found
}
