//! SELECT on the point path: rows of at most one table, filtered, projected, limited.

use super::table_read::{TableRead, choose, slot_of};
use crate::Result;
use crate::catalog::{CatalogSnapshot, Descriptor};
use crate::expr::{Compiled, compile};
use crate::ir::{Distinct, Expr, ExprKind, FromItem, Query, RangeIndex, RangeKind};

/// A SELECT over one table, or over no table at all.
#[derive(Debug)]
pub struct SelectPlan {
    /// `None`: one empty row (SELECT without FROM).
    pub read: Option<TableRead>,
    /// Without a table: the WHERE clause.
    pub filter: Option<Compiled>,
    pub targets: Vec<Compiled>,
    /// The arguments of the calls of `nextval` in the targets.
    pub sequences: Box<[Compiled]>,
    pub limit: Option<Compiled>,
    pub offset: Option<Compiled>,
}

/// Plans a query for the point path; `None`: its shape needs the relational path.
pub(crate) fn plan_select(query: &Query, catalog: &CatalogSnapshot) -> Result<Option<SelectPlan>> {
    let Some(source) = source_of(query) else { return Ok(None) };
    if !fits(query) {
        return Ok(None);
    }
    let visible = query.targets.iter().filter(|t| !t.junk).map(|t| &t.expr);
    let constant = |e: &Option<Expr>| e.as_ref().map(|e| compile(e, &|_| None)).transpose();
    let (limit, offset) = (constant(&query.limit)?, constant(&query.offset)?);
    let sequences = sequence_calls(visible.clone())?;
    let Source::Table(range, descriptor) = source else {
        if !query.order_by.is_empty() {
            return Ok(None);
        }
        return Ok(Some(SelectPlan {
            read: None,
            filter: constant(&query.filter)?,
            targets: visible.map(|e| compile(e, &|_| None)).collect::<Result<_>>()?,
            sequences,
            limit,
            offset,
        }));
    };
    let Descriptor::Table(table) = descriptor else { return Ok(None) };
    let codec = catalog.codec(table.oid)?;
    let width = codec.width();
    let wanted = wanted_columns(visible.clone().chain(&query.filter), range, width);
    let Some(wanted) = wanted else { return Ok(None) };
    let read = choose(&codec, range, query.filter.as_ref(), &query.order_by, query.limit.is_some(), wanted)?;
    if !read.ordered {
        return Ok(None);
    }
    let targets = visible.map(|e| compile(e, &|c| slot_of(c, range, width))).collect::<Result<_>>()?;
    Ok(Some(SelectPlan { read: Some(read), filter: None, targets, sequences, limit, offset }))
}

enum Source<'q> {
    Nothing,
    Table(RangeIndex, &'q Descriptor),
}

fn source_of(query: &Query) -> Option<Source<'_>> {
    match &query.from[..] {
        [] => Some(Source::Nothing),
        [FromItem::Range(range)] => match &query.ranges.get(range.0 as usize)?.kind {
            RangeKind::Table(descriptor) => Some(Source::Table(*range, descriptor)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether the point path has everything that the query asks for.
fn fits(query: &Query) -> bool {
    let simple = query.group_by.is_empty()
        && query.grouping_sets.is_none()
        && !query.aggregated
        && query.having.is_none()
        && query.windows.is_empty()
        && matches!(query.distinct, Distinct::No)
        && !query.with_ties
        && query.set_op.is_none()
        && query.ctes.is_empty()
        && query.locking.is_empty();
    let exprs =
        query.targets.iter().map(|t| &t.expr).chain(&query.filter).chain(&query.limit).chain(&query.offset);
    simple && exprs.into_iter().all(is_scalar)
}

/// Whether an expression can be evaluated a row at a time.
fn is_scalar(expr: &Expr) -> bool {
    let mut scalar = true;
    expr.walk(&mut |e| {
        scalar &= !matches!(
            e.kind,
            ExprKind::Subquery(_)
                | ExprKind::Aggregate(_)
                | ExprKind::Window(_)
                | ExprKind::SetCall { .. }
                | ExprKind::Grouping(_)
        );
    });
    scalar
}

/// Positions of the columns that the expressions read; `None` when one is not a plain column
/// (whole rows, system columns).
pub(super) fn wanted_columns<'e>(
    exprs: impl Iterator<Item = &'e Expr>,
    range: RangeIndex,
    width: usize,
) -> Option<Vec<usize>> {
    let mut wanted = vec![];
    let mut plain = true;
    for expr in exprs {
        expr.walk(&mut |e| {
            if let ExprKind::Column(column) = &e.kind {
                match slot_of(*column, range, width) {
                    Some(slot) if !wanted.contains(&slot) => wanted.push(slot),
                    Some(_) => {}
                    None => plain = false,
                }
            }
        });
    }
    plain.then_some(wanted)
}

/// The arguments of the calls of `nextval` in expressions. Those that depend on a row are left out:
/// such a call fails when it runs.
pub(crate) fn sequence_calls<'e>(exprs: impl Iterator<Item = &'e Expr>) -> Result<Box<[Compiled]>> {
    let mut arguments = vec![];
    for expr in exprs {
        expr.walk(&mut |e| match &e.kind {
            ExprKind::Call { function, args, .. } if *function == crate::kernels::NEXTVAL => {
                arguments.extend(args.first().filter(|a| is_constant(a)));
            }
            _ => {}
        });
    }
    arguments.into_iter().map(|argument| compile(argument, &|_| None)).collect()
}

fn is_constant(expr: &Expr) -> bool {
    let mut constant = is_scalar(expr);
    expr.walk(&mut |e| constant &= !matches!(e.kind, ExprKind::Column(_)));
    constant
}
