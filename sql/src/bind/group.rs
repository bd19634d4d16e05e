//! GROUP BY and HAVING: grouping expressions, and the check that all else is aggregated.

use super::Binder;
use super::coerce::place;
use super::scope::Clause;
use super::walk::{children, find, same};
use crate::catalog::Descriptor;
use crate::ir::{ColumnRef, Expr, ExprKind, Query, RangeKind};
use crate::{Result, SqlError, SqlState};
use sqlparser::ast::{self, GroupByExpr};

impl Binder<'_> {
    pub(super) fn group_by(&mut self, clause: &GroupByExpr) -> Result<()> {
        let GroupByExpr::Expressions(keys, modifiers) = clause else {
            return Err(SqlError::not_built("GROUP BY ALL"));
        };
        if !modifiers.is_empty() {
            return Err(SqlError::not_built("GROUP BY with a modifier"));
        }
        let mut sets: Vec<Vec<u32>> = vec![Vec::new()];
        let mut grouping = false;
        for key in keys {
            let alternatives = match key {
                ast::Expr::GroupingSets(lists) => {
                    grouping = true;
                    lists.iter().map(|list| self.group_keys(list)).collect::<Result<Vec<_>>>()?
                }
                ast::Expr::Rollup(lists) => {
                    grouping = true;
                    let parts = lists.iter().map(|l| self.group_keys(l)).collect::<Result<Vec<_>>>()?;
                    (0..=parts.len()).rev().map(|n| parts[..n].concat()).collect()
                }
                ast::Expr::Cube(lists) => {
                    grouping = true;
                    let parts = lists.iter().map(|l| self.group_keys(l)).collect::<Result<Vec<_>>>()?;
                    if parts.len() > 12 {
                        return Err(SqlError::new(
                            SqlState::TOO_MANY_COLUMNS,
                            "CUBE is limited to 12 elements",
                        ));
                    }
                    cube(&parts)
                }
                ast::Expr::Tuple(list) => vec![self.group_keys(list)?],
                other => vec![self.group_keys(std::slice::from_ref(other))?],
            };
            sets = sets
                .iter()
                .flat_map(|set| alternatives.iter().map(move |more| [set.as_slice(), more].concat()))
                .collect();
            if sets.len() > 4096 {
                return Err(SqlError::new(
                    SqlState::STATEMENT_TOO_COMPLEX,
                    "too many grouping sets present (maximum 4096)",
                ));
            }
        }
        let level = self.level();
        if grouping {
            level.query.grouping_sets = Some(sets);
        }
        if !keys.is_empty() {
            level.query.aggregated = true;
        }
        Ok(())
    }

    /// Positions in the GROUP BY list of these keys, which they join.
    fn group_keys(&mut self, keys: &[ast::Expr]) -> Result<Vec<u32>> {
        let mut positions = Vec::with_capacity(keys.len());
        for key in keys {
            let expr = match self.output(key, "GROUP BY", false)? {
                Some(expr) => expr,
                None => {
                    let expr = self.expr_in(Clause::GroupBy, key)?;
                    self.unknown_to_text(expr)
                }
            };
            if let Some(found) = find(&expr, &|e| matches!(e.kind, ExprKind::Aggregate(_))) {
                let message = "aggregate functions are not allowed in GROUP BY";
                return Err(place(SqlError::new(SqlState::GROUPING_ERROR, message), found.at));
            }
            let groups = &mut self.level().query.group_by;
            let known = groups.iter().position(|g| same(g, &expr));
            positions.push(known.unwrap_or(groups.len()) as u32);
            if known.is_none() {
                groups.push(expr);
            }
        }
        Ok(positions)
    }

    /// In an aggregating query, every column outside aggregates must be grouped by.
    pub(super) fn check_grouping(&mut self) -> Result<()> {
        let level = self.level();
        let query = &mut level.query;
        query.aggregated |= level.has_aggregates || query.having.is_some();
        if !query.aggregated {
            return Ok(());
        }
        let query = &self.level().query;
        let outputs = query.targets.iter().map(|t| &t.expr);
        let keys = query.order_by.iter().map(|k| &k.expr);
        let windows = query
            .windows
            .iter()
            .flat_map(|w| w.partition_by.iter().chain(w.order_by.iter().map(|k| &k.expr)));
        for expr in outputs.chain(&query.having).chain(keys).chain(windows) {
            if let Some((column, at)) = ungrouped(expr, query) {
                let entry = &query.ranges[column.range.0 as usize];
                let name = entry
                    .columns
                    .iter()
                    .find(|c| c.number == column.column)
                    .map_or_else(|| "*".to_owned(), |c| c.name.clone());
                let message = format!(
                    "column \"{}.{name}\" must appear in the GROUP BY clause or be used in an aggregate function",
                    entry.alias
                );
                return Err(place(SqlError::new(SqlState::GROUPING_ERROR, message), at));
            }
        }
        Ok(())
    }
}

fn cube(parts: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let mut sets: Vec<Vec<u32>> = (0..1_usize << parts.len())
        .map(|mask| {
            let chosen = parts.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1);
            chosen.flat_map(|(_, part)| part.iter().copied()).collect()
        })
        .collect();
    sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
    sets
}

/// The first column of the query itself that is neither grouped by nor inside an aggregate.
fn ungrouped(expr: &Expr, query: &Query) -> Option<(ColumnRef, crate::ir::Offset)> {
    if query.group_by.iter().any(|g| same(g, expr)) {
        return None;
    }
    match &expr.kind {
        ExprKind::Aggregate(_) | ExprKind::Grouping(_) => None,
        ExprKind::Column(c) if c.levels_up == 0 => (!depends_on_groups(*c, query)).then_some((*c, expr.at)),
        _ => children(expr).into_iter().find_map(|c| ungrouped(c, query)),
    }
}

/// A column depends on the groups when they hold its table's whole primary key.
fn depends_on_groups(column: ColumnRef, query: &Query) -> bool {
    if query.grouping_sets.is_some() {
        return false;
    }
    let Some(RangeKind::Table(table)) = query.ranges.get(column.range.0 as usize).map(|r| &r.kind) else {
        return false;
    };
    let Descriptor::Table(table) = &**table else { return false };
    let grouped = |number: i16| {
        query.group_by.iter().any(|g| {
            matches!(&g.kind, ExprKind::Column(c)
                if c.levels_up == 0 && c.range == column.range && c.column == number)
        })
    };
    !table.key_columns.is_empty() && table.key_columns.iter().all(|n| grouped(*n))
}
