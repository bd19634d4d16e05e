//! Names: what a query level shows, and finding columns and relations in it and around it.

use super::Binder;
use super::coerce::place;
use crate::catalog::Descriptor;
use crate::ir::{ColumnRef, Expr, ExprKind, Offset, Query, RangeColumn, RangeEntry, RangeIndex, RangeKind};
use crate::parse::lexer::offset_of;
use crate::types::TypeRef;
use crate::{Oid, Result, SqlError, SqlState};
use sqlparser::ast::{Ident, ObjectName};
use std::sync::Arc;

/// The part of a statement that an expression stands in: what is allowed there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clause {
    Select,
    Where,
    Having,
    JoinOn,
    From,
    GroupBy,
    OrderBy,
    DistinctOn,
    Limit,
    Offset,
    Values,
    Update,
    Returning,
    Default,
    Filter,
    Window,
    Aggregate,
}

impl Clause {
    /// How messages name the place where aggregates are not allowed; `None`: they are.
    pub(super) fn refuses_aggregates(self) -> Option<&'static str> {
        Some(match self {
            Clause::Select | Clause::Having | Clause::OrderBy | Clause::DistinctOn | Clause::Window => {
                return None;
            }
            Clause::Where => "WHERE",
            Clause::JoinOn => "JOIN conditions",
            Clause::From => "functions in FROM",
            Clause::GroupBy => "GROUP BY",
            Clause::Limit => "LIMIT",
            Clause::Offset => "OFFSET",
            Clause::Values => "VALUES",
            Clause::Update => "UPDATE",
            Clause::Returning => "RETURNING",
            Clause::Default => "DEFAULT expressions",
            Clause::Filter => "FILTER",
            Clause::Aggregate => return None,
        })
    }

    pub(super) fn allows_windows(self) -> bool {
        matches!(self, Clause::Select | Clause::OrderBy | Clause::DistinctOn)
    }

    /// How messages name it.
    pub(super) fn label(self) -> &'static str {
        match self {
            Clause::Select => "SELECT",
            Clause::Having => "HAVING",
            Clause::OrderBy => "ORDER BY",
            Clause::DistinctOn => "DISTINCT ON",
            Clause::Window => "window definitions",
            Clause::Aggregate => "aggregate function calls",
            other => other.refuses_aggregates().unwrap_or("this clause"),
        }
    }
}

/// One query level while it is being bound.
#[derive(Default)]
pub(super) struct Level {
    pub(super) query: Query,
    pub(super) items: Vec<Item>,
    pub(super) ctes: Vec<CteName>,
    /// WINDOW names and their index in `query.windows`.
    pub(super) windows: Vec<(String, u32)>,
    pub(super) has_aggregates: bool,
}

/// A CTE as later names see it.
pub(super) struct CteName {
    pub(super) name: String,
    pub(super) columns: Vec<(String, TypeRef)>,
    pub(super) index: u32,
    /// While its own recursive term is bound: references are to the working table.
    pub(super) working: bool,
}

/// Something that FROM shows under a name.
pub(super) struct Item {
    pub(super) alias: String,
    pub(super) range: RangeIndex,
    pub(super) columns: Vec<ItemColumn>,
    /// Its columns are found without qualification (a merged join hides its sides' columns).
    pub(super) columns_visible: bool,
    /// It is found by its name.
    pub(super) named: bool,
    /// Already in FROM but only LATERAL items may look at it.
    pub(super) lateral_only: bool,
    pub(super) table: Option<Arc<Descriptor>>,
}

#[derive(Clone)]
pub(super) struct ItemColumn {
    pub(super) name: String,
    /// What the name stands for, in terms of this level.
    pub(super) expr: Expr,
}

/// System columns of a table: name, number and type.
const SYSTEM_COLUMNS: [(&str, i16, Oid); 6] = [
    ("ctid", -1, Oid::TID),
    ("xmin", -2, Oid::XID),
    ("cmin", -3, Oid::CID),
    ("xmax", -4, Oid::XID),
    ("cmax", -5, Oid::CID),
    ("tableoid", -6, Oid::OID),
];

impl Binder<'_> {
    pub(super) fn push_level(&mut self) {
        self.levels.push(Level::default());
    }

    pub(super) fn pop_level(&mut self) -> Query {
        self.levels.pop().map(|level| level.query).unwrap_or_default()
    }

    pub(super) fn level(&mut self) -> &mut Level {
        if self.levels.is_empty() {
            self.push_level();
        }
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    /// Adds a range to the level, and its item; gives its index.
    pub(super) fn add_range(&mut self, entry: RangeEntry, table: Option<Arc<Descriptor>>) -> RangeIndex {
        let level = self.level();
        let range = RangeIndex(level.query.ranges.len() as u32);
        let columns = entry
            .columns
            .iter()
            .map(|c| {
                let column = ColumnRef { levels_up: 0, range, column: c.number };
                ItemColumn { name: c.name.clone(), expr: Expr::new(ExprKind::Column(column), c.ty) }
            })
            .collect();
        level.items.push(Item {
            alias: entry.alias.clone(),
            range,
            columns,
            columns_visible: true,
            named: true,
            lateral_only: false,
            table,
        });
        level.query.ranges.push(entry);
        range
    }

    /// Adds a table as a range; without `visible`, its columns need qualification.
    pub(super) fn add_table(
        &mut self,
        descriptor: &Arc<Descriptor>,
        alias: String,
        visible: bool,
    ) -> Result<RangeIndex> {
        let Descriptor::Table(table) = &**descriptor else {
            return Err(SqlError::internal("not a table"));
        };
        let columns = table
            .live_columns()
            .map(|c| RangeColumn { name: c.name.clone(), ty: c.ty, number: c.number })
            .collect();
        let entry = RangeEntry { kind: RangeKind::Table(descriptor.clone()), alias, columns };
        let range = self.add_range(entry, Some(descriptor.clone()));
        if let Some(item) = self.level().items.last_mut() {
            item.columns_visible = visible;
        }
        Ok(range)
    }

    /// A column by its unqualified name.
    pub(super) fn column(&mut self, name: &Ident) -> Result<Expr> {
        let at = offset_of(name.span);
        if let Some(found) = self.find_column(&name.value, at)? {
            return Ok(found);
        }
        // The name of a table stands for its row.
        if let Some((up, item)) = self.find_item(&name.value) {
            return Ok(self.whole_row(up, item, at));
        }
        Err(self.missing_column(None, &name.value, at))
    }

    fn whole_row(&self, up: usize, item: usize, at: Offset) -> Expr {
        let item = &self.levels[self.levels.len() - 1 - up].items[item];
        if let [only] = item.columns.as_slice()
            && item.table.is_none()
            && only.name == item.alias
        {
            return shift(&only.expr, up as u16).with_at(at);
        }
        let column = ColumnRef { levels_up: up as u16, range: item.range, column: 0 };
        Expr::new(ExprKind::Column(column), TypeRef::of(Oid::RECORD)).with_at(at)
    }

    /// `table.column`, `schema.table.column`.
    pub(super) fn qualified_column(&mut self, parts: &[Ident]) -> Result<Expr> {
        let at = parts.first().and_then(|p| offset_of(p.span));
        let [.., table, name] = parts else { return Err(SqlError::internal("a name is empty")) };
        let Some((up, index)) = self.find_item(&table.value) else {
            return Err(self.missing_from(&table.value, at));
        };
        if parts.len() > 2 && !self.schema_matches(up, index, &parts[parts.len() - 3].value) {
            return Err(self.missing_from(&table.value, at));
        }
        let item = &self.levels[self.levels.len() - 1 - up].items[index];
        let mut found = item.columns.iter().filter(|c| c.name == name.value);
        match (found.next(), found.next()) {
            (Some(column), None) => Ok(shift(&column.expr, up as u16).with_at(at)),
            (Some(_), Some(_)) => Err(ambiguous(&name.value, at)),
            (None, _) => match system_column(item, &name.value) {
                Some(expr) => Ok(shift(&expr, up as u16).with_at(at)),
                None => Err(self.missing_column(Some(&table.value), &name.value, at)),
            },
        }
    }

    fn schema_matches(&self, up: usize, item: usize, schema: &str) -> bool {
        match &self.levels[self.levels.len() - 1 - up].items[item].table {
            Some(d) => match &**d {
                Descriptor::Table(t) => self.catalog.schema(schema) == Some(t.schema),
                _ => false,
            },
            None => false,
        }
    }

    /// The nearest item of that name: levels up and its place there.
    pub(super) fn find_item(&self, name: &str) -> Option<(usize, usize)> {
        self.levels.iter().rev().enumerate().find_map(|(up, level)| {
            level.items.iter().position(|i| i.named && !i.lateral_only && i.alias == name).map(|at| (up, at))
        })
    }

    fn find_column(&self, name: &str, at: Offset) -> Result<Option<Expr>> {
        for (up, level) in self.levels.iter().rev().enumerate() {
            let visible = || level.items.iter().filter(|i| i.columns_visible && !i.lateral_only);
            let mut found = visible().flat_map(|i| i.columns.iter().filter(|c| c.name == name));
            match (found.next(), found.next()) {
                (Some(column), None) => return Ok(Some(shift(&column.expr, up as u16).with_at(at))),
                (Some(_), Some(_)) => return Err(ambiguous(name, at)),
                (None, _) => {}
            }
            let mut system = visible().filter_map(|i| system_column(i, name));
            match (system.next(), system.next()) {
                (Some(expr), None) => return Ok(Some(shift(&expr, up as u16).with_at(at))),
                (Some(_), Some(_)) => return Err(ambiguous(name, at)),
                (None, _) => {}
            }
        }
        Ok(None)
    }

    /// The relation of that name: the named schema, or the search path.
    pub(super) fn relation(&self, name: &ObjectName) -> Result<Arc<Descriptor>> {
        let parts: Vec<&Ident> = name.0.iter().filter_map(|p| p.as_ident()).collect();
        let at = parts.first().and_then(|p| offset_of(p.span));
        let values: Vec<&str> = parts.iter().map(|p| p.value.as_str()).collect();
        self.relation_named(&values, at)
    }

    pub(super) fn relation_named(&self, parts: &[&str], at: Offset) -> Result<Arc<Descriptor>> {
        let undefined = |shown: String| {
            place(
                SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{shown}\" does not exist")),
                at,
            )
        };
        match parts {
            [name] => self
                .search_path
                .iter()
                .find_map(|schema| self.catalog.relation(*schema, name))
                .cloned()
                .ok_or_else(|| undefined((*name).to_owned())),
            [.., schema, name] => {
                if parts.len() > 3 {
                    let message =
                        format!("improper relation name (too many dotted names): {}", parts.join("."));
                    return Err(place(SqlError::new(SqlState::SYNTAX_ERROR, message), at));
                }
                if let [database, _, _] = parts
                    && *database != &*self.session.database_name
                {
                    let message =
                        format!("cross-database references are not implemented: \"{}\"", parts.join("."));
                    return Err(place(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message), at));
                }
                let oid = self.catalog.schema(schema);
                oid.and_then(|oid| self.catalog.relation(oid, name))
                    .cloned()
                    .ok_or_else(|| undefined(format!("{schema}.{name}")))
            }
            [] => Err(SqlError::internal("a relation name is empty")),
        }
    }
}

fn system_column(item: &Item, name: &str) -> Option<Expr> {
    item.table.as_ref()?;
    let (_, number, ty) = SYSTEM_COLUMNS.iter().find(|c| c.0 == name)?;
    let column = ColumnRef { levels_up: 0, range: item.range, column: *number };
    Some(Expr::new(ExprKind::Column(column), TypeRef::of(*ty)))
}

fn ambiguous(name: &str, at: Offset) -> SqlError {
    place(SqlError::new(SqlState::AMBIGUOUS_COLUMN, format!("column reference \"{name}\" is ambiguous")), at)
}

/// A name's meaning seen from `up` levels further in. Meanings are columns, and for merged columns
/// of outer joins COALESCE and casts over columns.
pub(super) fn shift(expr: &Expr, up: u16) -> Expr {
    if up == 0 {
        return expr.clone();
    }
    let kind = match &expr.kind {
        ExprKind::Column(c) => ExprKind::Column(ColumnRef { levels_up: c.levels_up + up, ..*c }),
        ExprKind::Coalesce(args) => ExprKind::Coalesce(args.iter().map(|a| shift(a, up)).collect()),
        ExprKind::Cast { kind, arg, explicit } => {
            ExprKind::Cast { kind: *kind, arg: Box::new(shift(arg, up)), explicit: *explicit }
        }
        other => other.clone(),
    };
    Expr { kind, ty: expr.ty, at: expr.at }
}
