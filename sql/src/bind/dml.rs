//! INSERT, UPDATE and DELETE.

use super::Binder;
use super::coerce::place;
use super::scope::Clause;
use crate::catalog::{Column, Descriptor, Identity, TableDescriptor};
use crate::ir::{
    ConflictAction, Expr, ExprKind, FromItem, InsertSource, Modify, ModifyKind, Offset, OnConflict,
    Overriding, RangeColumn, RangeEntry, RangeKind, Target,
};
use crate::parse::lexer::offset_of;
use crate::types::TypeRef;
use crate::{Oid, Result, SqlError, SqlState};
use sqlparser::ast::{
    self, Assignment, AssignmentTarget, ConflictTarget, FromTable, OnConflictAction, OnInsert, SelectItem,
    SetExpr, Spanned, Statement, TableFactor, TableObject, UpdateTableFromKind,
};
use std::sync::Arc;

impl Binder<'_> {
    /// A modification, with the WITH clause that stands around it.
    pub(super) fn modify_with(&mut self, tree: &Statement, with: Option<&ast::With>) -> Result<Modify> {
        let around = std::mem::replace(&mut self.clause, Clause::Select);
        self.push_level();
        let outcome = match with {
            Some(with) => self.with(with),
            None => Ok(()),
        };
        let outcome = outcome.and_then(|()| match tree {
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(update) => self.update(update),
            Statement::Delete(delete) => self.delete(delete),
            _ => Err(SqlError::not_built("this statement")),
        });
        let query = self.pop_level();
        self.clause = around;
        outcome.map(|parts| Modify {
            table: parts.table,
            kind: parts.kind,
            query,
            returning: parts.returning,
        })
    }

    fn target_table(&mut self, name: &ast::ObjectName) -> Result<Arc<Descriptor>> {
        let descriptor = self.relation(name)?;
        match &*descriptor {
            Descriptor::Table(_) => Ok(descriptor),
            Descriptor::View(view) => {
                Err(SqlError::not_built(format!("modifying the view \"{}\"", view.name)))
            }
            other => Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("cannot change relation \"{}\"", other.name()),
            )),
        }
    }

    fn insert(&mut self, insert: &ast::Insert) -> Result<Parts> {
        let TableObject::TableName(name) = &insert.table else {
            return Err(SqlError::not_built("INSERT into something other than a table"));
        };
        let descriptor = self.target_table(name)?;
        let Descriptor::Table(table) = &*descriptor else { return Err(SqlError::internal("not a table")) };
        let alias = insert.table_alias.as_ref().map_or_else(|| table.name.clone(), |a| a.alias.value.clone());
        let given = self.insert_columns(table, &insert.columns)?;
        // The parser keeps OVERRIDING in these two flags.
        let overriding = match (insert.overwrite, insert.ignore) {
            (true, _) => Some(Overriding::System),
            (_, true) => Some(Overriding::User),
            _ => None,
        };
        let (columns, source) = match &insert.source {
            None => (Vec::new(), InsertSource::DefaultValues),
            Some(query) => {
                let places: Vec<Offset> = insert.columns.iter().map(|c| offset_of(c.span())).collect();
                self.insert_source(given, &places, query)?
            }
        };
        self.check_generated(table, &columns, &source, overriding)?;
        self.add_table(&descriptor, alias, true)?;
        let on_conflict = match &insert.on {
            None => None,
            Some(OnInsert::OnConflict(conflict)) => Some(self.on_conflict(&descriptor, table, conflict)?),
            Some(_) => return Err(SqlError::not_built("this form of ON")),
        };
        let returning = self.returning(insert.returning.as_deref())?;
        let kind = ModifyKind::Insert { columns, source, on_conflict, overriding };
        Ok(Parts { table: descriptor, kind, returning })
    }

    fn insert_columns<'t>(
        &self,
        table: &'t TableDescriptor,
        names: &[ast::ObjectName],
    ) -> Result<Vec<&'t Column>> {
        if names.is_empty() {
            return Ok(table.live_columns().collect());
        }
        let mut columns: Vec<&Column> = Vec::with_capacity(names.len());
        for name in names {
            let ident = name.0.last().and_then(|p| p.as_ident());
            let Some(ident) = ident else { return Err(SqlError::internal("a column name is empty")) };
            let column = named_column(table, &ident.value, offset_of(ident.span))?;
            if columns.iter().any(|c| c.number == column.number) {
                let message = format!("column \"{}\" specified more than once", ident.value);
                let error = SqlError::new(SqlState::DUPLICATE_COLUMN, message);
                return Err(place(error, offset_of(ident.span)));
            }
            columns.push(column);
        }
        Ok(columns)
    }

    fn insert_source(
        &mut self,
        given: Vec<&Column>,
        places: &[Offset],
        query: &ast::Query,
    ) -> Result<(Vec<i16>, InsertSource)> {
        let plain = query.order_by.is_none() && query.limit_clause.is_none() && query.with.is_none();
        match &*query.body {
            SetExpr::Values(values) if plain && query.fetch.is_none() => {
                let mut rows = Vec::with_capacity(values.rows.len());
                let width = values.rows.first().map_or(0, |r| r.content.len());
                for row in &values.rows {
                    rows.push(self.insert_row(&row.content, width, &given, places)?);
                }
                let columns = given.iter().take(width).map(|c| c.number).collect();
                Ok((columns, InsertSource::Values(rows)))
            }
            _ => {
                let mut bound = self.query(query)?;
                let width = bound.targets.iter().filter(|t| !t.junk).count();
                let at = bound.targets.get(given.len()).and_then(|t| t.expr.at);
                check_width(width, given.len(), places, at)?;
                for (i, column) in given.iter().enumerate().take(width) {
                    let expr = bound.targets[i].expr.clone();
                    let assigned = self.assign(expr, column.ty, Some(&column.name))?;
                    bound.targets[i].expr = assigned;
                }
                let columns = given.iter().take(width).map(|c| c.number).collect();
                Ok((columns, InsertSource::Query(Box::new(bound))))
            }
        }
    }

    fn insert_row(
        &mut self,
        row: &[ast::Expr],
        width: usize,
        given: &[&Column],
        places: &[Offset],
    ) -> Result<Vec<Expr>> {
        if row.len() != width {
            let at = row.first().and_then(|e| offset_of(e.span()));
            let message = "VALUES lists must all be the same length";
            return Err(place(SqlError::new(SqlState::SYNTAX_ERROR, message), at));
        }
        let at = row.get(given.len()).and_then(|e| offset_of(e.span()));
        check_width(row.len(), given.len(), places, at)?;
        row.iter()
            .zip(given)
            .map(|(tree, column)| self.assigned_value(Clause::Values, tree, column))
            .collect()
    }

    /// A value for a column: DEFAULT, or an expression coerced to the column's type.
    fn assigned_value(&mut self, clause: Clause, tree: &ast::Expr, column: &Column) -> Result<Expr> {
        if is_default(tree) {
            return Ok(Expr::new(ExprKind::Default, column.ty).with_at(offset_of(tree.span())));
        }
        let expr = self.expr_in(clause, tree)?;
        self.assign(expr, column.ty, Some(&column.name))
    }

    fn check_generated(
        &self,
        table: &TableDescriptor,
        columns: &[i16],
        source: &InsertSource,
        overriding: Option<Overriding>,
    ) -> Result<()> {
        for (i, number) in columns.iter().enumerate() {
            let Some(column) = table.column(*number) else { continue };
            let all_default = match source {
                InsertSource::Values(rows) => {
                    rows.iter().all(|r| matches!(r.get(i).map(|e| &e.kind), Some(ExprKind::Default)))
                }
                _ => false,
            };
            if all_default {
                continue;
            }
            let message = format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name);
            if column.generated.is_some() {
                return Err(SqlError::new(SqlState::GENERATED_ALWAYS, message)
                    .with_detail(format!("Column \"{}\" is a generated column.", column.name)));
            }
            if column.identity == Some(Identity::Always) && overriding.is_none() {
                return Err(SqlError::new(SqlState::GENERATED_ALWAYS, message)
                    .with_detail(format!(
                        "Column \"{}\" is an identity column defined as GENERATED ALWAYS.",
                        column.name
                    ))
                    .with_hint("Use OVERRIDING SYSTEM VALUE to override."));
            }
        }
        Ok(())
    }

    fn on_conflict(
        &mut self,
        descriptor: &Arc<Descriptor>,
        table: &TableDescriptor,
        conflict: &ast::OnConflict,
    ) -> Result<OnConflict> {
        let arbiter = match &conflict.conflict_target {
            None => None,
            Some(ConflictTarget::Columns(names)) => Some(self.arbiter(table, names)?),
            Some(ConflictTarget::OnConstraint(name)) => {
                let ident = name.0.last().and_then(|p| p.as_ident()).map_or("", |i| i.value.as_str());
                let found = self
                    .catalog
                    .indexes_of(table.oid)
                    .find(|i| i.name == ident && (i.primary || i.constraint != Oid::NONE));
                let Some(index) = found else {
                    let message =
                        format!("constraint \"{ident}\" for table \"{}\" does not exist", table.name);
                    return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
                };
                Some(index.oid)
            }
        };
        let action = match &conflict.action {
            OnConflictAction::DoNothing => ConflictAction::Nothing,
            OnConflictAction::DoUpdate(update) => {
                if arbiter.is_none() {
                    return Err(SqlError::new(
                        SqlState::SYNTAX_ERROR,
                        "ON CONFLICT DO UPDATE requires inference specification or constraint name",
                    )
                    .with_hint("For example, ON CONFLICT (column_name)."));
                }
                let columns = table
                    .live_columns()
                    .map(|c| RangeColumn { name: c.name.clone(), ty: c.ty, number: c.number })
                    .collect();
                let kind = RangeKind::Table(descriptor.clone());
                self.add_range(RangeEntry { kind, alias: "excluded".into(), columns }, None);
                if let Some(item) = self.level().items.last_mut() {
                    item.columns_visible = false;
                }
                let set = self.assignments(table, &update.assignments)?;
                let filter = match &update.selection {
                    Some(filter) => Some(self.condition(Clause::Where, "WHERE", filter)?),
                    None => None,
                };
                // RETURNING sees the target only.
                if let Some(item) = self.level().items.last_mut() {
                    item.named = false;
                }
                ConflictAction::Update { set, filter }
            }
        };
        Ok(OnConflict { arbiter, action })
    }

    /// The unique index over exactly these columns.
    fn arbiter(&self, table: &TableDescriptor, names: &[ast::Ident]) -> Result<Oid> {
        let mut wanted = Vec::with_capacity(names.len());
        for name in names {
            let column = table.column_named(&name.value).ok_or_else(|| {
                let message = format!("column \"{}\" does not exist", name.value);
                place(SqlError::new(SqlState::UNDEFINED_COLUMN, message), offset_of(name.span))
            })?;
            wanted.push(column.number);
        }
        wanted.sort_unstable();
        wanted.dedup();
        let fits = |index: &&crate::catalog::IndexDescriptor| {
            let mut columns: Vec<i16> = index.columns.iter().map(|c| c.column).collect();
            columns.sort_unstable();
            index.unique && index.predicate.is_none() && columns == wanted
        };
        self.catalog.indexes_of(table.oid).find(fits).map(|i| i.oid).ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                "there is no unique or exclusion constraint matching the ON CONFLICT specification",
            )
        })
    }

    /// SET: column numbers with their values.
    fn assignments(
        &mut self,
        table: &TableDescriptor,
        assignments: &[Assignment],
    ) -> Result<Vec<(i16, Expr)>> {
        let mut set: Vec<(i16, Expr)> = Vec::with_capacity(assignments.len());
        for assignment in assignments {
            let pairs: Vec<(&ast::ObjectName, &ast::Expr)> = match &assignment.target {
                AssignmentTarget::ColumnName(name) => vec![(name, &assignment.value)],
                AssignmentTarget::Tuple(names) => {
                    let value = match &assignment.value {
                        ast::Expr::Nested(inner) => inner,
                        other => other,
                    };
                    let values = match super::expr::row_fields(value) {
                        Some(fields) => fields,
                        None if names.len() == 1 => std::slice::from_ref(value),
                        None => return Err(SqlError::not_built("SET of several columns from a query")),
                    };
                    if values.len() != names.len() {
                        let message = "number of columns does not match number of values";
                        let at = offset_of(assignment.value.span());
                        return Err(place(SqlError::new(SqlState::SYNTAX_ERROR, message), at));
                    }
                    names.iter().zip(values).collect()
                }
            };
            for (name, value) in pairs {
                let (number, value) = self.assignment(table, name, value)?;
                if set.iter().any(|(n, _)| *n == number) {
                    let shown = name.0.last().map(ToString::to_string).unwrap_or_default();
                    let message = format!("multiple assignments to same column \"{shown}\"");
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
                }
                set.push((number, value));
            }
        }
        Ok(set)
    }

    fn assignment(
        &mut self,
        table: &TableDescriptor,
        name: &ast::ObjectName,
        value: &ast::Expr,
    ) -> Result<(i16, Expr)> {
        let parts: Vec<&ast::Ident> = name.0.iter().filter_map(|p| p.as_ident()).collect();
        let [ident] = parts.as_slice() else {
            let first = parts.first().map_or("", |p| p.value.as_str());
            let at = parts.first().and_then(|p| offset_of(p.span));
            if table.column_named(first).is_some() {
                return Err(place(SqlError::not_built("assignment to a field of a column"), at));
            }
            return Err(missing_column(table, first, at));
        };
        let column = named_column(table, &ident.value, offset_of(ident.span))?;
        if !is_default(value) && (column.generated.is_some() || column.identity == Some(Identity::Always)) {
            let detail = if column.generated.is_some() {
                format!("Column \"{}\" is a generated column.", column.name)
            } else {
                format!("Column \"{}\" is an identity column defined as GENERATED ALWAYS.", column.name)
            };
            let message = format!("column \"{}\" can only be updated to DEFAULT", column.name);
            return Err(SqlError::new(SqlState::GENERATED_ALWAYS, message).with_detail(detail));
        }
        Ok((column.number, self.assigned_value(Clause::Update, value, column)?))
    }

    fn update(&mut self, update: &ast::Update) -> Result<Parts> {
        let TableFactor::Table { name, alias, .. } = &update.table.relation else {
            return Err(SqlError::not_built("UPDATE of something other than a table"));
        };
        let descriptor = self.modified(name, alias.as_ref())?;
        let Descriptor::Table(table) = &*descriptor else { return Err(SqlError::internal("not a table")) };
        if let Some(UpdateTableFromKind::AfterSet(items) | UpdateTableFromKind::BeforeSet(items)) =
            &update.from
        {
            self.more_from(items)?;
        }
        let set = self.assignments(table, &update.assignments)?;
        self.filter(update.selection.as_ref())?;
        let returning = self.returning(update.returning.as_deref())?;
        Ok(Parts { table: descriptor.clone(), kind: ModifyKind::Update { set }, returning })
    }

    fn delete(&mut self, delete: &ast::Delete) -> Result<Parts> {
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let Some(TableFactor::Table { name, alias, .. }) = from.first().map(|f| &f.relation) else {
            return Err(SqlError::not_built("DELETE from something other than a table"));
        };
        let descriptor = self.modified(name, alias.as_ref())?;
        if let Some(items) = &delete.using {
            self.more_from(items)?;
        }
        self.filter(delete.selection.as_ref())?;
        let returning = self.returning(delete.returning.as_deref())?;
        Ok(Parts { table: descriptor, kind: ModifyKind::Delete, returning })
    }

    /// The target of UPDATE or DELETE as range 0.
    fn modified(
        &mut self,
        name: &ast::ObjectName,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Arc<Descriptor>> {
        let descriptor = self.target_table(name)?;
        let alias = alias.map_or_else(|| descriptor.name().to_owned(), |a| a.name.value.clone());
        let range = self.add_table(&descriptor, alias, true)?;
        self.level().query.from.push(FromItem::Range(range));
        Ok(descriptor)
    }

    fn more_from(&mut self, items: &[ast::TableWithJoins]) -> Result<()> {
        for item in items {
            let item = self.from_tree(item)?;
            self.level().query.from.push(item);
        }
        Ok(())
    }

    fn filter(&mut self, tree: Option<&ast::Expr>) -> Result<()> {
        if let Some(tree) = tree {
            let filter = self.condition(Clause::Where, "WHERE", tree)?;
            self.level().query.filter = Some(filter);
        }
        Ok(())
    }

    fn returning(&mut self, items: Option<&[SelectItem]>) -> Result<Vec<Target>> {
        let Some(items) = items else { return Ok(Vec::new()) };
        let around = std::mem::replace(&mut self.clause, Clause::Returning);
        let outcome = self.select_items(items);
        self.clause = around;
        outcome?;
        let mut targets = std::mem::take(&mut self.level().query.targets);
        for target in &mut targets {
            let none = Expr::new(ExprKind::Default, TypeRef::of(Oid::TEXT));
            let expr = std::mem::replace(&mut target.expr, none);
            target.expr = self.unknown_to_text(expr);
        }
        Ok(targets)
    }
}

/// What a modification is besides its query.
struct Parts {
    table: Arc<Descriptor>,
    kind: ModifyKind,
    returning: Vec<Target>,
}

/// The key word DEFAULT in a value's place.
fn is_default(tree: &ast::Expr) -> bool {
    matches!(tree, ast::Expr::Identifier(name) if name.quote_style.is_none() && name.value == "default")
}

/// `places`: where the column list names its columns, empty without one.
fn check_width(width: usize, columns: usize, places: &[Offset], more_at: Offset) -> Result<()> {
    if width > columns {
        let message = "INSERT has more expressions than target columns";
        return Err(place(SqlError::new(SqlState::SYNTAX_ERROR, message), more_at));
    }
    if let Some(fewer_at) = places.get(width) {
        let message = "INSERT has more target columns than expressions";
        return Err(place(SqlError::new(SqlState::SYNTAX_ERROR, message), *fewer_at));
    }
    Ok(())
}

fn missing_column(table: &TableDescriptor, name: &str, at: Offset) -> SqlError {
    let message = format!("column \"{name}\" of relation \"{}\" does not exist", table.name);
    place(SqlError::new(SqlState::UNDEFINED_COLUMN, message), at)
}

fn named_column<'t>(table: &'t TableDescriptor, name: &str, at: Offset) -> Result<&'t Column> {
    table.column_named(name).ok_or_else(|| missing_column(table, name, at))
}
