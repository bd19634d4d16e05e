//! How to reach the rows of one table: the choice of key, index or scan from a filter's conjuncts.

use crate::catalog::IndexState;
use crate::expr::{Compiled, compile};
use crate::ir::{CastKind, ColumnRef, Expr, ExprKind, RangeIndex, SortKey};
use crate::registry::{Registry, Volatility};
use crate::table::{IndexSource, TableCodec};
use crate::types::TypeRef;
use crate::{Oid, Result};
use std::sync::Arc;
use storage::engine::Direction;
use storage::key::{ColumnOrder, Nulls, SortOrder};

/// The rows that a statement reads of one table.
#[derive(Debug)]
pub struct TableRead {
    pub codec: Arc<TableCodec>,
    pub access: Access,
    pub direction: Direction,
    /// Conjuncts that the access does not already guarantee, over the table's row.
    pub filter: Option<Compiled>,
    /// The whole filter, when `filter` is only a part of it: for rows that changed since they were found.
    pub recheck: Option<Compiled>,
    /// Positions of the columns to decode.
    pub wanted: Vec<usize>,
    /// Whether rows come in the order asked for.
    pub ordered: bool,
}

/// Expressions see no row: constants, parameters, functions of them.
#[derive(Debug)]
pub enum Access {
    /// One row by its whole key.
    Key(Vec<Bound>),
    /// Rows by a list of keys of a one-column key: `key = ANY (array)`.
    KeyList { array: Compiled, ty: Oid },
    /// A span of the primary index.
    Rows(RangeBound),
    /// A span of a secondary index, by position among the table's indexes.
    Index { index: usize, range: RangeBound },
}

/// Equality on a prefix of the columns, then at most one range on the next column.
#[derive(Debug, Default)]
pub struct RangeBound {
    pub equal: Vec<Bound>,
    pub lower: Option<(Bound, Inclusive)>,
    pub upper: Option<(Bound, Inclusive)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inclusive {
    Yes,
    No,
}

/// A value to compare a key column with, of a type that the key column's can stand for.
#[derive(Debug)]
pub struct Bound {
    pub value: Compiled,
    /// Type of the key column.
    pub ty: Oid,
    pub order: ColumnOrder,
}

/// A conjunct `column op value` with a value that needs no row.
struct Comparison<'e> {
    conjunct: usize,
    column: usize,
    op: Op,
    value: &'e Expr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Eq,
    Lt,
    Le,
    Gt,
    Ge,
}

/// A key or index column as the choice sees it.
struct Part {
    column: usize,
    ty: Oid,
    order: ColumnOrder,
}

/// Chooses the access for `filter` over range `range`; `order_by` is met when `ordered` says so.
pub(crate) fn choose(
    codec: &Arc<TableCodec>,
    range: RangeIndex,
    filter: Option<&Expr>,
    order_by: &[SortKey],
    limited: bool,
    wanted: Vec<usize>,
) -> Result<TableRead> {
    let conjuncts = filter.map(conjuncts_of).unwrap_or_default();
    let chooser = Chooser { codec, range, conjuncts: &conjuncts, order_by };
    let (access, consumed) = chooser.access(limited)?;
    let (ordered, direction) = chooser.order(&access);
    let rest: Vec<Expr> = conjuncts
        .iter()
        .enumerate()
        .filter(|(i, _)| !consumed.contains(i))
        .map(|(_, e)| (*e).clone())
        .collect();
    let filter = match rest.len() {
        0 => None,
        1 => Some(chooser.compile(&rest[0])?),
        _ => Some(chooser.compile(&Expr::new(ExprKind::And(rest), TypeRef::of(Oid::BOOL)))?),
    };
    let recheck = if consumed.is_empty() { None } else { chooser.whole_filter()? };
    Ok(TableRead { codec: codec.clone(), access, direction, filter, recheck, wanted, ordered })
}

struct Chooser<'a> {
    codec: &'a Arc<TableCodec>,
    range: RangeIndex,
    conjuncts: &'a [&'a Expr],
    order_by: &'a [SortKey],
}

impl Chooser<'_> {
    fn compile(&self, expr: &Expr) -> Result<Compiled> {
        let width = self.codec.width();
        compile(expr, &|column| slot_of(column, self.range, width))
    }

    fn whole_filter(&self) -> Result<Option<Compiled>> {
        let all = self.conjuncts.iter().copied().cloned().collect();
        self.compile(&Expr::new(ExprKind::And(all), TypeRef::of(Oid::BOOL))).map(Some)
    }

    /// The access, and the conjuncts that it alone guarantees.
    fn access(&self, limited: bool) -> Result<(Access, Vec<usize>)> {
        let comparisons = self.comparisons();
        let key = self.key_parts();
        let (range, consumed) = self.range(&key, &comparisons)?;
        if !key.is_empty() && range.equal.len() == key.len() {
            return Ok((Access::Key(range.equal), consumed));
        }
        if let Some((array, conjunct)) = self.key_list(&key)? {
            return Ok((Access::KeyList { array, ty: key[0].ty }, vec![conjunct]));
        }
        let mut best = (score(&range), Access::Rows(range), consumed);
        for (i, index) in self.codec.indexes.iter().enumerate() {
            if index.state != IndexState::Public {
                continue;
            }
            let parts = self.index_parts(i);
            let (range, consumed) = self.range(&parts, &comparisons)?;
            let candidate = score(&range) + u32::from(index.unique && range.equal.len() == parts.len());
            if candidate > best.0 {
                best = (candidate, Access::Index { index: i, range }, consumed);
            }
        }
        if limited && best.0 == 0 && !self.order_by.is_empty() && !self.order(&best.1).0 {
            let by_order = (0..self.codec.indexes.len())
                .filter(|i| self.codec.indexes[*i].state == IndexState::Public)
                .map(|index| Access::Index { index, range: RangeBound::default() })
                .find(|access| self.order(access).0);
            if let Some(access) = by_order {
                return Ok((access, vec![]));
            }
        }
        Ok((best.1, best.2))
    }

    fn comparisons(&self) -> Vec<Comparison<'_>> {
        self.conjuncts.iter().enumerate().filter_map(|(i, e)| self.comparison(i, e)).collect()
    }

    fn comparison<'e>(&self, conjunct: usize, expr: &'e Expr) -> Option<Comparison<'e>> {
        let ExprKind::Call { operator, args, .. } = &expr.kind else { return None };
        let [left, right] = &args[..] else { return None };
        let row = Registry::get().operator(*operator)?;
        let op = match row.name {
            "=" => Op::Eq,
            "<" => Op::Lt,
            "<=" => Op::Le,
            ">" => Op::Gt,
            ">=" => Op::Ge,
            _ => return None,
        };
        if let Some(column) = self.column(left)
            && !depends_on_rows(right)
            && comparable(self.codec.column_type(column).oid, right.ty.oid)
        {
            return Some(Comparison { conjunct, column, op, value: right });
        }
        let column = self.column(right)?;
        let flipped = match op {
            Op::Eq => Op::Eq,
            Op::Lt => Op::Gt,
            Op::Le => Op::Ge,
            Op::Gt => Op::Lt,
            Op::Ge => Op::Le,
        };
        (!depends_on_rows(left) && comparable(self.codec.column_type(column).oid, left.ty.oid))
            .then_some(Comparison { conjunct, column, op: flipped, value: left })
    }

    /// The column that an expression is, also behind a relabelling cast.
    fn column(&self, expr: &Expr) -> Option<usize> {
        match &expr.kind {
            ExprKind::Column(column) => slot_of(*column, self.range, self.codec.width()),
            ExprKind::Cast { kind: CastKind::Relabel, arg, .. } => self.column(arg),
            _ => None,
        }
    }

    fn key_parts(&self) -> Vec<Part> {
        let part = |column| Part { column, ty: self.codec.column_type(column).oid, order: ColumnOrder::KEY };
        self.codec.key_columns().map(part).collect()
    }

    fn index_parts(&self, index: usize) -> Vec<Part> {
        let parts = self.codec.indexes[index].parts.iter();
        parts
            .map_while(|part| match part.source {
                IndexSource::Column(column) => Some(Part { column, ty: part.ty.oid, order: part.order }),
                IndexSource::Expression(_) => None,
            })
            .collect()
    }

    /// The longest equality prefix, then a range on the next column.
    fn range(&self, parts: &[Part], comparisons: &[Comparison<'_>]) -> Result<(RangeBound, Vec<usize>)> {
        let mut range = RangeBound::default();
        let mut consumed = vec![];
        for part in parts {
            if let Some(eq) = comparisons.iter().find(|c| c.column == part.column && c.op == Op::Eq) {
                range.equal.push(self.bound(eq, part)?);
                consumed.push(eq.conjunct);
                continue;
            }
            for c in comparisons.iter().filter(|c| c.column == part.column) {
                let inclusive = if matches!(c.op, Op::Le | Op::Ge) { Inclusive::Yes } else { Inclusive::No };
                let side = match c.op {
                    Op::Gt | Op::Ge if range.lower.is_none() => &mut range.lower,
                    Op::Lt | Op::Le if range.upper.is_none() => &mut range.upper,
                    _ => continue,
                };
                *side = Some((self.bound(c, part)?, inclusive));
                consumed.push(c.conjunct);
            }
            break;
        }
        Ok((range, consumed))
    }

    fn bound(&self, comparison: &Comparison<'_>, part: &Part) -> Result<Bound> {
        Ok(Bound { value: compile(comparison.value, &|_| None)?, ty: part.ty, order: part.order })
    }

    /// `key = ANY (array)` on a key of one column.
    fn key_list(&self, key: &[Part]) -> Result<Option<(Compiled, usize)>> {
        let [only] = key else { return Ok(None) };
        for (i, conjunct) in self.conjuncts.iter().enumerate() {
            let ExprKind::ArrayOp { operator, all: false, left, array, .. } = &conjunct.kind else {
                continue;
            };
            let is_equality = Registry::get().operator(*operator).is_some_and(|o| o.name == "=");
            let element = Registry::get().type_by_oid(array.ty.oid).map(|t| t.elem);
            let fits = element.is_some_and(|element| comparable(only.ty, element));
            if is_equality && fits && self.column(left) == Some(only.column) && !depends_on_rows(array) {
                return Ok(Some((compile(array, &|_| None)?, i)));
            }
        }
        Ok(None)
    }

    /// Whether the access gives the rows in the order asked for, and in which direction.
    fn order(&self, access: &Access) -> (bool, Direction) {
        let (parts, bound) = match access {
            Access::Key(_) => return (true, Direction::Forward),
            Access::KeyList { .. } => return (self.order_by.is_empty(), Direction::Forward),
            Access::Rows(range) => (self.key_parts(), range.equal.len()),
            Access::Index { index, range } => (self.index_parts(*index), range.equal.len()),
        };
        let mut direction = None;
        let mut free = parts[bound.min(parts.len())..].iter();
        for key in self.order_by {
            let Some(column) = self.column(&key.expr) else { return (false, Direction::Forward) };
            if parts[..bound].iter().any(|p| p.column == column) {
                continue;
            }
            let Some(part) = free.next().filter(|p| p.column == column) else {
                return (false, Direction::Forward);
            };
            let Some(way) = way(key, part.order) else { return (false, Direction::Forward) };
            if *direction.get_or_insert(way) != way {
                return (false, Direction::Forward);
            }
        }
        (true, direction.unwrap_or(Direction::Forward))
    }
}

/// Which way an index column must be walked for a sort key; `None`: its nulls are at the other end.
fn way(key: &SortKey, order: ColumnOrder) -> Option<Direction> {
    let descending = order.sort == SortOrder::Descending;
    let way = if key.descending == descending { Direction::Forward } else { Direction::Reverse };
    let nulls_first = match (order.nulls, way) {
        (Nulls::NotNull, _) => return Some(way),
        (nulls, Direction::Forward) => nulls == Nulls::First,
        (nulls, Direction::Reverse) => nulls == Nulls::Last,
    };
    (nulls_first == key.nulls_first).then_some(way)
}

/// Prefers more equalities, then a range with two ends, then one with one.
fn score(range: &RangeBound) -> u32 {
    let ends = u32::from(range.lower.is_some()) + u32::from(range.upper.is_some());
    4 * range.equal.len() as u32 + ends
}

/// The slot of a column of `range` in the table's row.
pub(super) fn slot_of(column: ColumnRef, range: RangeIndex, width: usize) -> Option<usize> {
    let slot = usize::try_from(column.column).ok()?.checked_sub(1)?;
    (column.levels_up == 0 && column.range == range && slot < width).then_some(slot)
}

/// The conjuncts of a filter, AND flattened.
pub(crate) fn conjuncts_of(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        ExprKind::And(items) => items.iter().flat_map(conjuncts_of).collect(),
        _ => vec![expr],
    }
}

/// Whether key values of `column` can be found from a value of type `value`: the same type, or both
/// integers, which convert where they fit.
fn comparable(column: Oid, value: Oid) -> bool {
    let integer = |ty| matches!(ty, Oid::INT2 | Oid::INT4 | Oid::INT8);
    let text = |ty| matches!(ty, Oid::TEXT | Oid::VARCHAR | Oid::NAME);
    column == value || (integer(column) && integer(value)) || (text(column) && text(value))
}

/// Whether an expression needs a row, or may change between rows.
fn depends_on_rows(expr: &Expr) -> bool {
    let mut depends = false;
    expr.walk(&mut |e| {
        depends |= match &e.kind {
            ExprKind::Column(_) | ExprKind::Subquery(_) | ExprKind::Aggregate(_) | ExprKind::Window(_) => {
                true
            }
            ExprKind::SetCall { .. } | ExprKind::Default | ExprKind::CaseOperand => true,
            ExprKind::Call { function, .. } => is_volatile(*function),
            _ => false,
        }
    });
    depends
}

fn is_volatile(function: Oid) -> bool {
    Registry::get().proc(function).is_none_or(|p| p.volatility == Volatility::Volatile)
}
