//! Queries: WITH, select lists, VALUES and set operations.

use super::Binder;
use super::coerce::place;
use super::scope::{Clause, CteName};
use super::walk::same;
use crate::ir::{
    ColumnRef, Cte, CteBody, Distinct, Expr, ExprKind, LockStrength, LockWait, Query, RangeColumn,
    RangeEntry, RangeIndex, RangeKind, RowLock, SetOp, SetOpKind, Target,
};
use crate::parse::lexer::offset_of;
use crate::registry::CastContext;
use crate::types::TypeRef;
use crate::{Oid, Result, SqlError, SqlState};
use sqlparser::ast::{
    self, CteAsMaterialized, LockType, NonBlock, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    SetOperator, SetQuantifier, Spanned,
};

impl Binder<'_> {
    /// A query as a level of its own.
    pub(super) fn query(&mut self, tree: &ast::Query) -> Result<Query> {
        let around = std::mem::replace(&mut self.clause, Clause::Select);
        self.push_level();
        let outcome = self.query_here(tree);
        let query = self.pop_level();
        self.clause = around;
        outcome.map(|()| query)
    }

    /// A query into the level at the top of the stack.
    fn query_here(&mut self, tree: &ast::Query) -> Result<()> {
        if let Some(with) = &tree.with {
            self.with(with)?;
        }
        match &*tree.body {
            SetExpr::Select(select) => self.select(select, tree.order_by.as_ref())?,
            SetExpr::Values(values) => {
                self.values(values)?;
                self.order_by(tree.order_by.as_ref())?;
            }
            SetExpr::Query(inner) => {
                let plain = tree.order_by.is_none() && tree.limit_clause.is_none() && tree.fetch.is_none();
                if plain && tree.locks.is_empty() {
                    return self.query_here(inner);
                }
                self.wrapped(inner)?;
                self.order_by(tree.order_by.as_ref())?;
            }
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                self.set_operation(left, *op, *set_quantifier, right)?;
                self.order_by(tree.order_by.as_ref())?;
            }
            SetExpr::Table(table) => {
                let parts: Vec<&str> =
                    table.schema_name.iter().chain(&table.table_name).map(String::as_str).collect();
                let item = self.from_relation(&parts, None, None)?;
                self.level().query.from.push(item);
                self.star_targets(None)?;
                self.order_by(tree.order_by.as_ref())?;
            }
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                return Err(SqlError::not_built("a modification inside a query"));
            }
        }
        self.limit(tree)?;
        self.locks(&tree.locks)
    }

    /// `(query) ORDER BY …`: the inner query as a subquery of this one.
    fn wrapped(&mut self, inner: &ast::Query) -> Result<()> {
        let mut query = self.query(inner)?;
        self.finish_unknown_targets(&mut query);
        let columns = output_columns(&query);
        let kind = RangeKind::Subquery { query: Box::new(query), lateral: false };
        let range = self.add_range(RangeEntry { kind, alias: "*SELECT*".into(), columns }, None);
        self.level().query.from.push(crate::ir::FromItem::Range(range));
        self.star_targets(None)
    }

    fn select(&mut self, select: &ast::Select, order_by: Option<&ast::OrderBy>) -> Result<()> {
        if select.into.is_some() {
            return Err(SqlError::not_built("SELECT INTO"));
        }
        for item in &select.from {
            let item = self.from_tree(item)?;
            self.level().query.from.push(item);
        }
        self.named_windows(&select.named_window)?;
        self.select_items(&select.projection)?;
        if let Some(filter) = &select.selection {
            let filter = self.condition(Clause::Where, "WHERE", filter)?;
            self.level().query.filter = Some(filter);
        }
        self.group_by(&select.group_by)?;
        if let Some(having) = &select.having {
            let having = self.condition(Clause::Having, "HAVING", having)?;
            self.level().query.having = Some(having);
        }
        self.order_by(order_by)?;
        self.distinct(select.distinct.as_ref())?;
        self.check_grouping()
    }

    fn named_windows(&mut self, windows: &[ast::NamedWindowDefinition]) -> Result<()> {
        for ast::NamedWindowDefinition(name, definition) in windows {
            let spec = match definition {
                ast::NamedWindowExpr::WindowSpec(spec) => self.window_spec(spec)?,
                ast::NamedWindowExpr::NamedWindow(_) => {
                    return Err(SqlError::not_built("a window defined as another's name"));
                }
            };
            let level = self.level();
            if level.windows.iter().any(|(n, _)| *n == name.value) {
                let message = format!("window \"{}\" is already defined", name.value);
                return Err(place(SqlError::new(SqlState::WINDOWING_ERROR, message), offset_of(name.span)));
            }
            level.windows.push((name.value.clone(), level.query.windows.len() as u32));
            level.query.windows.push(spec);
        }
        Ok(())
    }

    /// The select list (or RETURNING) into the level's targets.
    pub(super) fn select_items(&mut self, items: &[SelectItem]) -> Result<()> {
        for item in items {
            match item {
                SelectItem::UnnamedExpr(tree) => {
                    if let ast::Expr::QualifiedWildcard(name, _) = tree {
                        self.star_targets(Some(name))?;
                        continue;
                    }
                    let clause = self.clause;
                    let expr = self.expr_in(clause, tree)?;
                    let name = self.column_name(tree);
                    self.push_target(expr, name);
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let clause = self.clause;
                    let expr = self.expr_in(clause, expr)?;
                    self.push_target(expr, alias.value.clone());
                }
                SelectItem::ExprWithAliases { .. } => return Err(SqlError::not_built("several aliases")),
                SelectItem::Wildcard(options) => {
                    let at = offset_of(options.wildcard_token.0.span);
                    self.star_targets(None).map_err(|e| place(e, at))?;
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    self.star_targets(Some(name))?;
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(e), _) => {
                    let at = offset_of(e.span());
                    return Err(place(SqlError::not_built("(row).*"), at));
                }
            }
        }
        Ok(())
    }

    fn push_target(&mut self, expr: Expr, name: String) {
        let origin = self.origin(&expr);
        self.level().query.targets.push(Target { expr, name, origin, junk: false });
    }

    /// Table and column number of a plain column.
    fn origin(&self, expr: &Expr) -> Option<(Oid, i16)> {
        let ExprKind::Column(c) = &expr.kind else { return None };
        let level = self.levels.len().checked_sub(1 + usize::from(c.levels_up))?;
        match &self.levels[level].query.ranges.get(c.range.0 as usize)?.kind {
            RangeKind::Table(table) => Some((table.oid(), c.column)),
            RangeKind::Virtual(oid) => Some((*oid, c.column)),
            _ => None,
        }
    }

    /// `*` or `table.*`.
    fn star_targets(&mut self, table: Option<&ast::ObjectName>) -> Result<()> {
        let columns: Vec<(String, Expr)> = match table {
            None => {
                let level = self.level();
                if level.items.is_empty() {
                    let message = "SELECT * with no tables specified is not valid";
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
                }
                let visible = level.items.iter().filter(|i| i.columns_visible);
                visible.flat_map(|i| i.columns.iter().map(|c| (c.name.clone(), c.expr.clone()))).collect()
            }
            Some(name) => {
                let ident = name.0.last().and_then(|p| p.as_ident());
                let Some(ident) = ident else { return Err(SqlError::internal("a name is empty")) };
                let at = name.0.first().and_then(|p| p.as_ident()).and_then(|i| offset_of(i.span));
                let Some((up, item)) = self.find_item(&ident.value) else {
                    return Err(self.missing_from(&ident.value, at));
                };
                let item = &self.levels[self.levels.len() - 1 - up].items[item];
                let shifted = |c: &super::scope::ItemColumn| super::scope::shift(&c.expr, up as u16);
                item.columns.iter().map(|c| (c.name.clone(), shifted(c))).collect()
            }
        };
        for (name, expr) in columns {
            self.push_target(expr, name);
        }
        Ok(())
    }

    fn distinct(&mut self, distinct: Option<&ast::Distinct>) -> Result<()> {
        match distinct {
            None | Some(ast::Distinct::All) => {}
            Some(ast::Distinct::Distinct) => {
                for i in 0..self.level().query.targets.len() {
                    let expr = self.level().query.targets[i].expr.clone();
                    self.level().query.targets[i].expr = self.unknown_to_text(expr);
                }
                let query = &self.level().query;
                let missing =
                    query.order_by.iter().find(|k| !query.targets.iter().any(|t| same(&t.expr, &k.expr)));
                if let Some(key) = missing {
                    let message = "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
                    return Err(place(
                        SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message),
                        key.expr.at,
                    ));
                }
                self.level().query.distinct = Distinct::All;
            }
            Some(ast::Distinct::On(keys)) => {
                let mut bound: Vec<Expr> = Vec::with_capacity(keys.len());
                for key in keys {
                    let expr = match self.output(key, "DISTINCT ON", true)? {
                        Some(expr) => expr,
                        None => {
                            let expr = self.expr_in(Clause::DistinctOn, key)?;
                            self.unknown_to_text(expr)
                        }
                    };
                    if !bound.iter().any(|b| same(b, &expr)) {
                        bound.push(expr);
                    }
                }
                let leading = self.level().query.order_by.iter().take(bound.len());
                let stray = leading.clone().find(|k| !bound.iter().any(|b| same(b, &k.expr)));
                if let Some(stray) = stray {
                    let message = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
                    return Err(place(
                        SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message),
                        stray.expr.at,
                    ));
                }
                self.level().query.distinct = Distinct::On(bound);
            }
        }
        Ok(())
    }

    fn values(&mut self, values: &ast::Values) -> Result<()> {
        let mut rows: Vec<Vec<Expr>> = Vec::with_capacity(values.rows.len());
        for row in &values.rows {
            let bound: Vec<Expr> =
                row.content.iter().map(|e| self.expr_in(Clause::Values, e)).collect::<Result<_>>()?;
            if rows.first().is_some_and(|first| first.len() != bound.len()) {
                let at = bound.first().and_then(|b| b.at);
                let message = "VALUES lists must all be the same length";
                return Err(place(SqlError::new(SqlState::SYNTAX_ERROR, message), at));
            }
            rows.push(bound);
        }
        let width = rows.first().map_or(0, Vec::len);
        let mut columns = Vec::with_capacity(width);
        for i in 0..width {
            let column: Vec<Expr> = rows.iter().map(|r| r[i].clone()).collect();
            let (column, ty) = self.unify(column, "VALUES")?;
            for (row, value) in rows.iter_mut().zip(column) {
                row[i] = value;
            }
            columns.push(RangeColumn { name: format!("column{}", i + 1), ty, number: i as i16 + 1 });
        }
        let entry = RangeEntry { kind: RangeKind::Values(rows), alias: "*VALUES*".into(), columns };
        let range = self.add_range(entry, None);
        self.level().query.from.push(crate::ir::FromItem::Range(range));
        self.star_targets(None)
    }

    fn set_operation(
        &mut self,
        left: &SetExpr,
        op: SetOperator,
        quantifier: SetQuantifier,
        right: &SetExpr,
    ) -> Result<()> {
        let kind = match op {
            SetOperator::Union => SetOpKind::Union,
            SetOperator::Intersect => SetOpKind::Intersect,
            SetOperator::Except | SetOperator::Minus => SetOpKind::Except,
        };
        let all = match quantifier {
            SetQuantifier::All => true,
            SetQuantifier::None | SetQuantifier::Distinct => false,
            _ => return Err(SqlError::not_built("set operations by name")),
        };
        let left = self.set_side(left)?;
        let right = self.set_side(right)?;
        self.join_sides(kind, all, left, right)
    }

    /// One side of a set operation.
    fn set_side(&mut self, side: &SetExpr) -> Result<Query> {
        self.push_level();
        let outcome = match side {
            SetExpr::Select(select) => self.select(select, None),
            SetExpr::Query(query) => self.query_here(query),
            SetExpr::Values(values) => self.values(values),
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                self.set_operation(left, *op, *set_quantifier, right)
            }
            _ => Err(SqlError::not_built("this side of a set operation")),
        };
        let query = self.pop_level();
        outcome.map(|()| query)
    }

    fn join_sides(&mut self, kind: SetOpKind, all: bool, mut left: Query, mut right: Query) -> Result<()> {
        let label = match kind {
            SetOpKind::Union => "UNION",
            SetOpKind::Intersect => "INTERSECT",
            SetOpKind::Except => "EXCEPT",
        };
        if left.targets.len() != right.targets.len() {
            let message = format!("each {label} query must have the same number of columns");
            let at = right.targets.first().and_then(|t| t.expr.at);
            return Err(place(SqlError::new(SqlState::SYNTAX_ERROR, message), at));
        }
        let mut types = Vec::with_capacity(left.targets.len());
        for i in 0..left.targets.len() {
            let pair = vec![left.targets[i].expr.clone(), right.targets[i].expr.clone()];
            let (mut pair, ty) = self.unify(pair, label)?;
            if let (Some(r), Some(l)) = (pair.pop(), pair.pop()) {
                self.retype_target(&mut right, i, r);
                self.retype_target(&mut left, i, l);
            }
            types.push(ty);
        }
        let targets = left.targets.iter().zip(&types).enumerate().map(|(i, (target, ty))| Target {
            expr: output_column(i, *ty),
            name: target.name.clone(),
            origin: None,
            junk: false,
        });
        let targets = targets.collect();
        let query = &mut self.level().query;
        query.targets = targets;
        query.set_op = Some(Box::new(SetOp { kind, all, left, right, types }));
        Ok(())
    }

    /// Puts another expression in an output column's place.
    pub(super) fn retype_target(&mut self, query: &mut Query, index: usize, expr: Expr) {
        if expr.ty != query.targets[index].expr.ty {
            query.targets[index].expr = expr;
        }
    }

    /// Output columns of unknown type become text.
    pub(super) fn finish_unknown_targets(&mut self, query: &mut Query) {
        for i in 0..query.targets.len() {
            if query.targets[i].expr.ty.oid == Oid::UNKNOWN {
                let expr = query.targets[i].expr.clone();
                query.targets[i].expr = self.unknown_to_text(expr);
            }
        }
    }

    fn locks(&mut self, locks: &[ast::LockClause]) -> Result<()> {
        for lock in locks {
            let strength = match lock.lock_type {
                LockType::Update => LockStrength::Update,
                LockType::Share => LockStrength::Share,
            };
            let wait = match &lock.nonblock {
                None => LockWait::Block,
                Some(NonBlock::Nowait) => LockWait::NoWait,
                Some(NonBlock::SkipLocked) => LockWait::SkipLocked,
            };
            let query = &self.level().query;
            let reason = if query.aggregated && !query.group_by.is_empty() {
                Some("GROUP BY clause")
            } else if query.aggregated {
                Some("aggregate functions")
            } else if !matches!(query.distinct, Distinct::No) {
                Some("DISTINCT clause")
            } else if query.set_op.is_some() {
                Some("UNION/INTERSECT/EXCEPT")
            } else {
                None
            };
            if let Some(reason) = reason {
                let word = if strength == LockStrength::Update { "UPDATE" } else { "SHARE" };
                let message = format!("FOR {word} is not allowed with {reason}");
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
            }
            let ranges = match &lock.of {
                None => Vec::new(),
                Some(name) => {
                    let ident = name.0.last().and_then(|p| p.as_ident());
                    let Some(ident) = ident else { return Err(SqlError::internal("a name is empty")) };
                    let found = self.level().items.iter().find(|i| i.alias == ident.value).map(|i| i.range);
                    let Some(range) = found else {
                        let message = format!(
                            "relation \"{}\" in FOR UPDATE clause not found in FROM clause",
                            ident.value
                        );
                        let at = offset_of(ident.span);
                        return Err(place(SqlError::new(SqlState::UNDEFINED_TABLE, message), at));
                    };
                    vec![range]
                }
            };
            self.level().query.locking.push(RowLock { strength, ranges, wait });
        }
        Ok(())
    }

    /// WITH: each member in turn, seen by those after it.
    pub(super) fn with(&mut self, with: &ast::With) -> Result<()> {
        for cte in &with.cte_tables {
            let name = cte.alias.name.value.clone();
            if self.level().ctes.iter().any(|c| c.name == name) {
                let message = format!("WITH query name \"{name}\" specified more than once");
                let at = offset_of(cte.alias.name.span);
                return Err(place(SqlError::new(SqlState::DUPLICATE_ALIAS, message), at));
            }
            let aliases: Vec<String> = cte.alias.columns.iter().map(|c| c.name.value.clone()).collect();
            let materialized = match cte.materialized {
                None => None,
                Some(CteAsMaterialized::Materialized) => Some(true),
                Some(CteAsMaterialized::NotMaterialized) => Some(false),
            };
            let recursive =
                if with.recursive { self.recursive_cte(&name, &aliases, &cte.query)? } else { None };
            let is_recursive = recursive.is_some();
            let body = match recursive {
                Some(query) => CteBody::Query(Box::new(query)),
                None => match &*cte.query.body {
                    SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner) => {
                        CteBody::Modify(Box::new(self.modify_with(inner, cte.query.with.as_ref())?))
                    }
                    _ => {
                        let mut query = self.query(&cte.query)?;
                        self.finish_unknown_targets(&mut query);
                        CteBody::Query(Box::new(query))
                    }
                },
            };
            let outputs = match &body {
                CteBody::Query(query) => output_columns(query),
                CteBody::Modify(modify) => target_columns(&modify.returning),
            };
            let columns = renamed(&name, outputs, &aliases, offset_of(cte.alias.name.span))?;
            let level = self.level();
            let index = level.query.ctes.len() as u32;
            let pairs: Vec<(String, TypeRef)> = columns;
            level.ctes.push(CteName { name: name.clone(), columns: pairs.clone(), index, working: false });
            level.query.ctes.push(Cte { name, body, recursive: is_recursive, materialized, columns: pairs });
        }
        Ok(())
    }

    /// A recursive member, when its body is a UNION that names it; `None` otherwise.
    fn recursive_cte(&mut self, name: &str, aliases: &[String], tree: &ast::Query) -> Result<Option<Query>> {
        let SetExpr::SetOperation { left, op: SetOperator::Union, set_quantifier, right } = &*tree.body
        else {
            return Ok(None);
        };
        if !format!("{right}").to_lowercase().contains(name) {
            return Ok(None);
        }
        let around = std::mem::replace(&mut self.clause, Clause::Select);
        let index = self.level().query.ctes.len() as u32;
        self.push_level();
        let outcome = self.recursive_sides(name, aliases, index, left, *set_quantifier, right);
        let outcome =
            outcome.and_then(|()| self.order_by(tree.order_by.as_ref())).and_then(|()| self.limit(tree));
        let query = self.pop_level();
        let own = self.level();
        own.ctes.retain(|c| !(c.working && c.name == name));
        self.clause = around;
        outcome.map(|()| Some(query))
    }

    fn recursive_sides(
        &mut self,
        name: &str,
        aliases: &[String],
        index: u32,
        left: &SetExpr,
        quantifier: SetQuantifier,
        right: &SetExpr,
    ) -> Result<()> {
        let mut first = self.set_side(left)?;
        self.finish_unknown_targets(&mut first);
        let columns = renamed(name, output_columns(&first), aliases, None)?;
        let outer = self.levels.len() - 2;
        let types: Vec<TypeRef> = columns.iter().map(|c| c.1).collect();
        self.levels[outer].ctes.push(CteName { name: name.to_owned(), columns, index, working: true });
        let mut second = self.set_side(right)?;
        self.finish_unknown_targets(&mut second);
        for (i, ty) in types.iter().enumerate().take(second.targets.len()) {
            let target = second.targets[i].expr.clone();
            if target.ty.oid != ty.oid {
                if !self.can_coerce(target.ty.oid, ty.oid, CastContext::Implicit) {
                    let message = format!(
                        "recursive query \"{name}\" column {} has type {} in non-recursive term but type {} overall",
                        i + 1,
                        self.type_label(ty.oid),
                        self.type_label(target.ty.oid)
                    );
                    return Err(place(
                        SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                            .with_hint("Cast the output of the non-recursive term to the correct type."),
                        first.targets[i].expr.at,
                    ));
                }
                let coerced = self.coerce(target, ty.oid, CastContext::Implicit)?;
                self.retype_target(&mut second, i, coerced);
            }
        }
        self.join_sides(SetOpKind::Union, quantifier == SetQuantifier::All, first, second)
    }
}

/// Column `index` (from 0) of a set operation's result.
fn output_column(index: usize, ty: TypeRef) -> Expr {
    let column = ColumnRef { levels_up: 0, range: RangeIndex(0), column: index as i16 + 1 };
    Expr::new(ExprKind::Column(column), ty)
}

/// A query's output as columns of a range.
pub(super) fn output_columns(query: &Query) -> Vec<RangeColumn> {
    target_columns(&query.targets)
}

fn target_columns(targets: &[Target]) -> Vec<RangeColumn> {
    let visible = targets.iter().filter(|t| !t.junk).enumerate();
    visible.map(|(i, t)| RangeColumn { name: t.name.clone(), ty: t.expr.ty, number: i as i16 + 1 }).collect()
}

/// Output columns under the names of an alias list.
fn renamed(
    table: &str,
    columns: Vec<RangeColumn>,
    aliases: &[String],
    at: crate::ir::Offset,
) -> Result<Vec<(String, TypeRef)>> {
    if aliases.len() > columns.len() {
        let message = format!(
            "WITH query \"{table}\" has {} columns available but {} columns specified",
            columns.len(),
            aliases.len()
        );
        return Err(place(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message), at));
    }
    let names = columns.into_iter().enumerate();
    Ok(names.map(|(i, c)| (aliases.get(i).cloned().unwrap_or(c.name), c.ty)).collect())
}
