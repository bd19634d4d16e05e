//! FROM: tables, subqueries, functions and joins.

use super::Binder;
use super::coerce::place;
use super::scope::{Clause, Item, ItemColumn};
use super::select::output_columns;
use crate::catalog::Descriptor;
use crate::ir::{Expr, ExprKind, FromItem, JoinKind, Offset, RangeColumn, RangeEntry, RangeIndex, RangeKind};
use crate::parse::lexer::offset_of;
use crate::pgcatalog::{VirtualTable, virtual_table};
use crate::registry::Registry;
use crate::types::TypeRef;
use crate::{Oid, Result, SqlError, SqlState};
use sqlparser::ast::{self, JoinConstraint, JoinOperator, TableAlias, TableFactor, TableWithJoins};

impl Binder<'_> {
    /// One comma-separated member of FROM, with its joins.
    pub(super) fn from_tree(&mut self, tree: &TableWithJoins) -> Result<FromItem> {
        let start = self.level().items.len();
        let mut left = self.factor(&tree.relation)?;
        for join in &tree.joins {
            left = self.join(left, start, join)?;
        }
        Ok(left)
    }

    fn factor(&mut self, factor: &TableFactor) -> Result<FromItem> {
        match factor {
            TableFactor::Table { args: Some(args), name, alias, with_ordinality, .. } => {
                self.function_range(name, &args.args, alias.as_ref(), *with_ordinality, false)
            }
            TableFactor::Table { name, alias, sample, .. } => {
                if sample.is_some() {
                    return Err(SqlError::not_built("TABLESAMPLE"));
                }
                let parts: Vec<&ast::Ident> = name.0.iter().filter_map(|p| p.as_ident()).collect();
                let at = parts.first().and_then(|p| offset_of(p.span));
                let parts: Vec<&str> = parts.iter().map(|p| p.value.as_str()).collect();
                self.from_relation(&parts, alias.as_ref(), at)
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                self.derived(*lateral, subquery, alias.as_ref())
            }
            TableFactor::Function { lateral, name, args, with_ordinality, alias } => {
                self.function_range(name, args, alias.as_ref(), *with_ordinality, *lateral)
            }
            TableFactor::UNNEST { alias, array_exprs, with_ordinality, .. } => {
                let name = ast::ObjectName::from(vec![ast::Ident::new("unnest")]);
                let arg = |e: &ast::Expr| ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(e.clone()));
                let args: Vec<ast::FunctionArg> = array_exprs.iter().map(arg).collect();
                self.function_range(&name, &args, alias.as_ref(), *with_ordinality, false)
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let start = self.level().items.len();
                let inner = self.from_tree(table_with_joins)?;
                match alias {
                    Some(alias) => self.aliased_join(inner, start, alias),
                    None => Ok(inner),
                }
            }
            _ => Err(SqlError::not_built("this kind of FROM item")),
        }
    }

    /// A named relation: a CTE, a table, a view, a virtual table.
    pub(super) fn from_relation(
        &mut self,
        parts: &[&str],
        alias: Option<&TableAlias>,
        at: Offset,
    ) -> Result<FromItem> {
        let [.., name] = parts else { return Err(SqlError::internal("a relation name is empty")) };
        let shown = alias.map_or_else(|| (*name).to_owned(), |a| a.name.value.clone());
        if parts.len() == 1
            && let Some(found) = self.cte_range(name)
        {
            let (kind, columns) = found;
            return self.named_range(RangeEntry { kind, alias: shown, columns }, None, alias);
        }
        if let Some(table) = self.virtual_named(parts) {
            let columns = table
                .columns
                .iter()
                .map(|c| RangeColumn { name: c.name.to_string(), ty: c.ty, number: c.number })
                .collect();
            let kind = RangeKind::Virtual(table.oid);
            return self.named_range(RangeEntry { kind, alias: shown, columns }, None, alias);
        }
        let descriptor = self.relation_named(parts, at)?;
        match &*descriptor {
            Descriptor::Table(table) => {
                let columns = table
                    .live_columns()
                    .map(|c| RangeColumn { name: c.name.clone(), ty: c.ty, number: c.number })
                    .collect();
                let entry = RangeEntry { kind: RangeKind::Table(descriptor.clone()), alias: shown, columns };
                self.named_range(entry, Some(descriptor.clone()), alias)
            }
            Descriptor::View(view) => {
                let statements = crate::parse::parse(&view.query)?;
                let Some(crate::parse::Body::Bindable(tree)) = statements.first().map(|s| &s.body) else {
                    return Err(SqlError::internal("a view's text is no query"));
                };
                let path = [view.schema, Oid::PUBLIC];
                let mut inner =
                    Binder::new(self.catalog, &path, self.session, &mut *self.params, &view.query);
                let crate::ir::Bound::Query(query) = inner.statement(tree)? else {
                    return Err(SqlError::internal("a view's text is no query"));
                };
                let mut columns = output_columns(&query);
                for (column, declared) in columns.iter_mut().zip(&view.columns) {
                    column.name.clone_from(&declared.name);
                }
                let kind = RangeKind::Subquery { query: Box::new(query), lateral: false };
                self.named_range(RangeEntry { kind, alias: shown, columns }, None, alias)
            }
            Descriptor::Index(_) => {
                let message = format!("\"{name}\" is an index");
                Err(place(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message), at))
            }
            _ => Err(place(SqlError::not_built(format!("reading \"{name}\"")), at)),
        }
    }

    /// The catalog table of that name: by its schema, or before everything else in the search path.
    fn virtual_named(&self, parts: &[&str]) -> Option<&'static VirtualTable> {
        match parts {
            [name] => virtual_table("pg_catalog", name),
            [.., schema, name] => virtual_table(schema, name),
            [] => None,
        }
    }

    /// The CTE of that name, nearest first.
    fn cte_range(&self, name: &str) -> Option<(RangeKind, Vec<RangeColumn>)> {
        self.levels.iter().rev().enumerate().find_map(|(up, level)| {
            let cte = level.ctes.iter().rev().find(|c| c.name == name)?;
            let (levels_up, index) = (up as u16, cte.index);
            let kind = if cte.working {
                RangeKind::WorkTable { levels_up, index }
            } else {
                RangeKind::Cte { levels_up, index }
            };
            Some((kind, numbered(&cte.columns)))
        })
    }

    /// Adds a range under its alias, with the alias's column names.
    fn named_range(
        &mut self,
        mut entry: RangeEntry,
        table: Option<std::sync::Arc<Descriptor>>,
        alias: Option<&TableAlias>,
    ) -> Result<FromItem> {
        if let Some(alias) = alias {
            rename_columns(&mut entry, alias)?;
        }
        if !entry.alias.is_empty() && self.level().items.iter().any(|i| i.named && i.alias == entry.alias) {
            let message = format!("table name \"{}\" specified more than once", entry.alias);
            return Err(SqlError::new(SqlState::DUPLICATE_ALIAS, message));
        }
        Ok(FromItem::Range(self.add_range(entry, table)))
    }

    fn derived(
        &mut self,
        lateral: bool,
        subquery: &ast::Query,
        alias: Option<&TableAlias>,
    ) -> Result<FromItem> {
        let Some(named) = alias else {
            let values = matches!(&*subquery.body, ast::SetExpr::Values(_));
            let (what, hint) = if values {
                ("VALUES in FROM must have an alias", "For example, FROM (VALUES ...) [AS] foo.")
            } else {
                ("subquery in FROM must have an alias", "For example, FROM (SELECT ...) [AS] foo.")
            };
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, what).with_hint(hint));
        };
        let hidden = if lateral { Vec::new() } else { self.hide_items(0) };
        let query = self.query(subquery);
        self.show_items(&hidden);
        let mut query = query?;
        self.finish_unknown_targets(&mut query);
        let columns = output_columns(&query);
        let kind = RangeKind::Subquery { query: Box::new(query), lateral };
        self.named_range(RangeEntry { kind, alias: named.name.value.clone(), columns }, None, alias)
    }

    /// Takes the level's items from `from` on out of sight; gives those that were in it.
    fn hide_items(&mut self, from: usize) -> Vec<usize> {
        let items = &mut self.level().items;
        let shown: Vec<usize> = (from..items.len()).filter(|i| !items[*i].lateral_only).collect();
        for i in &shown {
            items[*i].lateral_only = true;
        }
        shown
    }

    fn show_items(&mut self, hidden: &[usize]) {
        for i in hidden {
            self.level().items[*i].lateral_only = false;
        }
    }

    fn function_range(
        &mut self,
        name: &ast::ObjectName,
        args: &[ast::FunctionArg],
        alias: Option<&TableAlias>,
        ordinality: bool,
        lateral: bool,
    ) -> Result<FromItem> {
        let call = ast::Function {
            name: name.clone(),
            uses_odbc_syntax: false,
            parameters: ast::FunctionArguments::None,
            args: ast::FunctionArguments::List(ast::FunctionArgumentList {
                duplicate_treatment: None,
                args: args.to_vec(),
                clauses: Vec::new(),
            }),
            within_group: Vec::new(),
            filter: None,
            null_treatment: None,
            over: None,
        };
        let bound = self.expr_in(Clause::From, &ast::Expr::Function(call))?;
        let own = name.0.last().and_then(|p| p.as_ident());
        let shown =
            alias.map_or_else(|| own.map(|i| i.value.clone()).unwrap_or_default(), |a| a.name.value.clone());
        let mut columns = self.function_columns(&bound, &shown, alias)?;
        if ordinality {
            let number = columns.len() as i16 + 1;
            columns.push(RangeColumn { name: "ordinality".into(), ty: self.ty(Oid::INT8), number });
        }
        let kind = RangeKind::Functions { calls: vec![bound], ordinality, lateral };
        self.named_range(RangeEntry { kind, alias: shown, columns }, None, alias)
    }

    /// The columns that a function gives in FROM: its OUT arguments, or itself.
    fn function_columns(
        &self,
        call: &Expr,
        shown: &str,
        alias: Option<&TableAlias>,
    ) -> Result<Vec<RangeColumn>> {
        let function = match &call.kind {
            ExprKind::SetCall { function, .. } | ExprKind::Call { function, .. } => Some(*function),
            _ => None,
        };
        let row = function.and_then(|f| Registry::get().proc(f));
        let outs: Vec<(String, TypeRef)> = row
            .into_iter()
            .flat_map(|row| row.arg_modes.iter().zip(&row.all_arg_types).zip(&row.arg_names))
            .filter(|((mode, _), _)| matches!(mode, 'o' | 'b' | 't'))
            .map(|((_, ty), name)| ((*name).to_owned(), self.ty(*ty)))
            .collect();
        if outs.len() > 1 {
            return Ok(numbered(&outs));
        }
        if call.ty.oid == Oid::RECORD {
            let defined: Vec<(String, TypeRef)> = alias
                .into_iter()
                .flat_map(|a| &a.columns)
                .filter_map(|c| c.data_type.as_ref().map(|t| (c.name.value.clone(), t)))
                .map(|(name, ty)| Ok((name, self.type_name(ty)?)))
                .collect::<Result<_>>()?;
            if defined.is_empty() {
                let message = "a column definition list is required for functions returning \"record\"";
                return Err(place(SqlError::new(SqlState::SYNTAX_ERROR, message), call.at));
            }
            return Ok(numbered(&defined));
        }
        let name = match outs.first() {
            Some((name, _)) if !name.is_empty() && alias.is_none() => name.clone(),
            _ => shown.to_owned(),
        };
        Ok(numbered(&[(name, call.ty)]))
    }

    fn join(&mut self, left: FromItem, start: usize, join: &ast::Join) -> Result<FromItem> {
        let middle = self.level().items.len();
        let right = self.factor(&join.relation)?;
        let (kind, constraint) = match &join.join_operator {
            JoinOperator::Join(c) | JoinOperator::Inner(c) => (JoinKind::Inner, c),
            JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => (JoinKind::Left, c),
            JoinOperator::Right(c) | JoinOperator::RightOuter(c) => (JoinKind::Right, c),
            JoinOperator::FullOuter(c) => (JoinKind::Full, c),
            JoinOperator::CrossJoin(c) => (JoinKind::Cross, c),
            _ => return Err(SqlError::not_built("this kind of join")),
        };
        let (on, range) = match constraint {
            JoinConstraint::None => (None, None),
            JoinConstraint::On(tree) => {
                // ON sees the two sides, not what stands left of them in FROM.
                let outside: Vec<usize> = (0..start)
                    .filter(|i| !self.levels.last().is_none_or(|l| l.items[*i].lateral_only))
                    .collect();
                for i in &outside {
                    self.level().items[*i].lateral_only = true;
                }
                let on = self.condition(Clause::JoinOn, "JOIN/ON", tree);
                self.show_items(&outside);
                (Some(on?), None)
            }
            JoinConstraint::Using(names) => {
                let idents: Vec<&ast::Ident> =
                    names.iter().filter_map(|n| n.0.last().and_then(|p| p.as_ident())).collect();
                let names: Vec<(String, Offset)> =
                    idents.iter().map(|i| (i.value.clone(), offset_of(i.span))).collect();
                self.merge_columns(kind, start, middle, &names)?
            }
            JoinConstraint::Natural => {
                let names = self.shared_columns(start, middle);
                self.merge_columns(kind, start, middle, &names)?
            }
        };
        Ok(FromItem::Join { kind, left: Box::new(left), right: Box::new(right), on, range })
    }

    /// Columns that both sides show, for NATURAL.
    fn shared_columns(&mut self, start: usize, middle: usize) -> Vec<(String, Offset)> {
        let items = &self.level().items;
        let names = |range: &[Item]| -> Vec<String> {
            let visible = range.iter().filter(|i| i.columns_visible);
            visible.flat_map(|i| i.columns.iter().map(|c| c.name.clone())).collect()
        };
        let right = names(&items[middle..]);
        names(&items[start..middle]).into_iter().filter(|n| right.contains(n)).map(|n| (n, None)).collect()
    }

    /// USING: the condition, and the join's own range with the merged columns first.
    fn merge_columns(
        &mut self,
        kind: JoinKind,
        start: usize,
        middle: usize,
        names: &[(String, Offset)],
    ) -> Result<(Option<Expr>, Option<RangeIndex>)> {
        let mut conditions = Vec::with_capacity(names.len());
        let mut merged: Vec<ItemColumn> = Vec::new();
        let end = self.level().items.len();
        for (name, at) in names {
            let left = self.side_column(start, middle, name, "left", *at)?;
            let right = self.side_column(middle, end, name, "right", *at)?;
            conditions.push(self.operator("=", left.clone(), right.clone(), *at)?);
            let (mut pair, ty) = self.unify(vec![left, right], "JOIN/USING")?;
            let (right, left) = match (pair.pop(), pair.pop()) {
                (Some(right), Some(left)) => (right, left),
                _ => return Err(SqlError::internal("a merged column lost a side")),
            };
            let expr = match kind {
                JoinKind::Right => right,
                JoinKind::Full => Expr::new(ExprKind::Coalesce(vec![left, right]), ty),
                _ => left,
            };
            merged.push(ItemColumn { name: name.clone(), expr });
        }
        let is_merged = |c: &ItemColumn| names.iter().any(|(n, _)| *n == c.name);
        let sides = self.level().items[start..].iter().filter(|i| i.columns_visible);
        let rest: Vec<ItemColumn> =
            sides.flat_map(|i| i.columns.iter().filter(|c| !is_merged(c)).cloned()).collect();
        merged.extend(rest);
        for item in &mut self.level().items[start..] {
            item.columns_visible = false;
        }
        let range = self.join_range(String::new(), merged, false);
        let on = match conditions.len() {
            0 => None,
            1 => conditions.pop(),
            _ => Some(Expr::new(ExprKind::And(conditions), TypeRef::of(Oid::BOOL))),
        };
        Ok((on, Some(range)))
    }

    fn side_column(&mut self, from: usize, to: usize, name: &str, side: &str, at: Offset) -> Result<Expr> {
        let items = self.level().items[from..to].iter().filter(|i| i.columns_visible);
        let mut found = items.flat_map(|i| i.columns.iter().filter(|c| c.name == name));
        match (found.next(), found.next()) {
            (Some(column), None) => Ok(column.expr.clone()),
            (Some(_), Some(_)) => {
                let message = format!("common column name \"{name}\" appears more than once in {side} table");
                Err(place(SqlError::new(SqlState::AMBIGUOUS_COLUMN, message), at))
            }
            (None, _) => {
                let message =
                    format!("column \"{name}\" specified in USING clause does not exist in {side} table");
                Err(place(SqlError::new(SqlState::UNDEFINED_COLUMN, message), at))
            }
        }
    }

    fn join_range(&mut self, alias: String, columns: Vec<ItemColumn>, named: bool) -> RangeIndex {
        let level = self.level();
        let range = RangeIndex(level.query.ranges.len() as u32);
        let shown = columns.iter().enumerate().map(|(i, c)| RangeColumn {
            name: c.name.clone(),
            ty: c.expr.ty,
            number: i as i16 + 1,
        });
        let merged = columns.iter().map(|c| c.expr.clone()).collect();
        let entry =
            RangeEntry { kind: RangeKind::Join { merged }, alias: alias.clone(), columns: shown.collect() };
        level.query.ranges.push(entry);
        level.items.push(Item {
            alias,
            range,
            columns,
            columns_visible: true,
            named,
            lateral_only: false,
            table: None,
        });
        range
    }

    /// `(a JOIN b …) AS j`: only the join's name is seen.
    fn aliased_join(&mut self, inner: FromItem, start: usize, alias: &TableAlias) -> Result<FromItem> {
        let items = &mut self.level().items[start..];
        let mut columns: Vec<ItemColumn> =
            items.iter().filter(|i| i.columns_visible).flat_map(|i| i.columns.clone()).collect();
        for item in items {
            item.columns_visible = false;
            item.named = false;
        }
        for (column, name) in columns.iter_mut().zip(&alias.columns) {
            column.name.clone_from(&name.name.value);
        }
        let index = self.join_range(alias.name.value.clone(), columns, true);
        Ok(match inner {
            FromItem::Join { kind, left, right, on, range: None } => {
                FromItem::Join { kind, left, right, on, range: Some(index) }
            }
            other => other,
        })
    }
}

fn numbered(columns: &[(String, TypeRef)]) -> Vec<RangeColumn> {
    let columns = columns.iter().enumerate();
    columns.map(|(i, (name, ty))| RangeColumn { name: name.clone(), ty: *ty, number: i as i16 + 1 }).collect()
}

fn rename_columns(entry: &mut RangeEntry, alias: &TableAlias) -> Result<()> {
    if alias.columns.len() > entry.columns.len() {
        let message = format!(
            "table \"{}\" has {} columns available but {} columns specified",
            entry.alias,
            entry.columns.len(),
            alias.columns.len()
        );
        let at = offset_of(alias.name.span);
        return Err(place(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message), at));
    }
    for (column, name) in entry.columns.iter_mut().zip(&alias.columns) {
        column.name.clone_from(&name.name.value);
    }
    Ok(())
}
