//! ORDER BY, DISTINCT, LIMIT and the like: clauses over a query's output.

use super::Binder;
use super::coerce::place;
use super::scope::Clause;
use super::walk::{any, same};
use crate::ir::{Expr, ExprKind, SortKey};
use crate::parse::lexer::offset_of;
use crate::registry::{CastContext, Registry};
use crate::{Oid, Result, SqlError, SqlState};
use sqlparser::ast::{self, LimitClause, OrderByKind, OrderByOptions, OrderBySort, Spanned};

impl Binder<'_> {
    pub(super) fn sort_key(&mut self, expr: Expr, options: &OrderByOptions) -> Result<SortKey> {
        let class = Registry::get().default_btree_opclass(self.class_type(expr.ty.oid));
        if class.is_none() {
            let label = self.type_label(expr.ty.oid);
            let message = format!("could not identify an ordering operator for type {label}");
            let error = SqlError::new(SqlState::UNDEFINED_FUNCTION, message)
                .with_hint("Use an explicit ordering operator or modify the query.");
            return Err(place(error, expr.at));
        }
        let descending = match &options.sort {
            None | Some(OrderBySort::Asc) => false,
            Some(OrderBySort::Desc) => true,
            Some(OrderBySort::Using(operator)) => match operator.0.last().map(ToString::to_string).as_deref()
            {
                Some("<") => false,
                Some(">") => true,
                Some(_) => return Err(place(SqlError::not_built("ORDER BY USING this operator"), expr.at)),
                None => false,
            },
        };
        Ok(SortKey { expr, descending, nulls_first: options.nulls_first.unwrap_or(descending) })
    }

    /// The keys of ORDER BY: output names and positions first, then expressions over the input.
    pub(super) fn order_by(&mut self, order: Option<&ast::OrderBy>) -> Result<()> {
        let Some(order) = order else { return Ok(()) };
        let OrderByKind::Expressions(keys) = &order.kind else {
            return Err(SqlError::not_built("ORDER BY ALL"));
        };
        let mut bound = Vec::with_capacity(keys.len());
        for key in keys {
            let expr = match self.output(&key.expr, "ORDER BY", true)? {
                Some(expr) => expr,
                None if self.level().query.set_op.is_some() => {
                    let error = SqlError::new(
                        SqlState::FEATURE_NOT_SUPPORTED,
                        "invalid UNION/INTERSECT/EXCEPT ORDER BY clause",
                    )
                    .with_detail("Only result column names can be used, not expressions or functions.")
                    .with_hint(
                        "Add the expression/function to every SELECT, or move the UNION into a FROM clause.",
                    );
                    return Err(place(error, offset_of(key.expr.span())));
                }
                None => {
                    let expr = self.expr_in(Clause::OrderBy, &key.expr)?;
                    self.unknown_to_text(expr)
                }
            };
            let key = self.sort_key(expr, &key.options)?;
            if !bound.iter().any(|k: &SortKey| same(&k.expr, &key.expr)) {
                bound.push(key);
            }
        }
        self.level().query.order_by = bound;
        Ok(())
    }

    /// The output column that a key of ORDER BY, GROUP BY or DISTINCT ON names, if it does. A name
    /// in GROUP BY is looked for in the input first (`output_first` false).
    pub(super) fn output(
        &mut self,
        tree: &ast::Expr,
        clause: &str,
        output_first: bool,
    ) -> Result<Option<Expr>> {
        let at = offset_of(tree.span());
        match tree {
            ast::Expr::Identifier(name) => {
                if !output_first && self.names_input_column(&name.value) {
                    return Ok(None);
                }
                let targets = &self.level().query.targets;
                let mut found: Vec<usize> = Vec::new();
                for (i, target) in targets.iter().enumerate().filter(|(_, t)| !t.junk && t.name == name.value)
                {
                    if !found.iter().any(|f| same(&targets[*f].expr, &target.expr)) {
                        found.push(i);
                    }
                }
                match found.as_slice() {
                    [] => Ok(None),
                    [only] => self.settled_target(*only).map(Some),
                    _ => Err(place(
                        SqlError::new(
                            SqlState::AMBIGUOUS_COLUMN,
                            format!("{clause} \"{}\" is ambiguous", name.value),
                        ),
                        at,
                    )),
                }
            }
            ast::Expr::Value(v) => match &v.value {
                ast::Value::Number(digits, _) => {
                    let count = self.level().query.targets.iter().filter(|t| !t.junk).count();
                    match digits.parse::<usize>() {
                        Ok(n) if (1..=count).contains(&n) => self.settled_target(n - 1).map(Some),
                        Ok(n) => Err(place(
                            SqlError::new(
                                SqlState::INVALID_COLUMN_REFERENCE,
                                format!("{clause} position {n} is not in select list"),
                            ),
                            at,
                        )),
                        Err(_) => Err(non_integer(clause, at)),
                    }
                }
                ast::Value::Placeholder(_) | ast::Value::Null => Ok(None),
                _ => Err(non_integer(clause, at)),
            },
            _ => Ok(None),
        }
    }

    fn names_input_column(&self, name: &str) -> bool {
        self.levels.last().is_some_and(|l| {
            l.items.iter().any(|i| i.columns_visible && i.columns.iter().any(|c| c.name == name))
        })
    }

    /// An output column's expression, its type settled.
    fn settled_target(&mut self, index: usize) -> Result<Expr> {
        let expr = self.level().query.targets[index].expr.clone();
        let expr = self.unknown_to_text(expr);
        self.level().query.targets[index].expr = expr.clone();
        Ok(expr)
    }

    pub(super) fn limit(&mut self, query: &ast::Query) -> Result<()> {
        let (mut limit, mut offset) = (None, None);
        match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit: l, offset: o, .. }) => {
                limit = l.as_ref();
                offset = o.as_ref().map(|o| &o.value);
            }
            Some(LimitClause::OffsetCommaLimit { .. }) => {
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, "LIMIT #,# syntax is not supported")
                    .with_hint("Use separate LIMIT and OFFSET clauses."));
            }
            None => {}
        }
        let one = ast::Expr::value(ast::Value::Number("1".into(), false));
        if let Some(fetch) = &query.fetch {
            limit = Some(fetch.quantity.as_ref().unwrap_or(&one));
            if fetch.with_ties && query.order_by.is_none() {
                return Err(SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    "WITH TIES cannot be specified without ORDER BY clause",
                ));
            }
            self.level().query.with_ties = fetch.with_ties;
        }
        let limit = limit.map(|l| self.row_count(Clause::Limit, l)).transpose()?;
        let offset = offset.map(|o| self.row_count(Clause::Offset, o)).transpose()?;
        let level = self.level();
        level.query.limit = limit;
        level.query.offset = offset;
        Ok(())
    }

    fn row_count(&mut self, clause: Clause, tree: &ast::Expr) -> Result<Expr> {
        let bound = self.expr_in(clause, tree)?;
        let label = clause.label();
        let own_column = |e: &Expr| matches!(&e.kind, ExprKind::Column(c) if c.levels_up == 0);
        if any(&bound, &own_column) {
            let message = format!("argument of {label} must not contain variables");
            return Err(place(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message), bound.at));
        }
        let from = bound.ty.oid;
        if !self.can_coerce(from, Oid::INT8, CastContext::Assignment) {
            let message =
                format!("argument of {label} must be type bigint, not type {}", self.type_label(from));
            return Err(place(SqlError::new(SqlState::DATATYPE_MISMATCH, message), bound.at));
        }
        self.coerce(bound, Oid::INT8, CastContext::Assignment)
    }
}

fn non_integer(clause: &str, at: crate::ir::Offset) -> SqlError {
    place(SqlError::new(SqlState::SYNTAX_ERROR, format!("non-integer constant in {clause}")), at)
}
