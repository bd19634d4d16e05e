//! Definitions of constraints and indexes as SQL text, as PostgreSQL prints them.

use super::Names;
use super::expression::{self, Kind, Style};
use crate::Oid;
use crate::catalog::{
    CheckConstraint, Descriptor, ForeignKey, IndexColumn, IndexDescriptor, ReferentialAction, TableDescriptor,
};
use crate::kernels::text::quote_identifier;

/// A constraint of a table, found by OID.
pub(super) enum Constraint<'a> {
    Check(&'a TableDescriptor, &'a CheckConstraint),
    ForeignKey(&'a TableDescriptor, &'a ForeignKey),
    Index(&'a TableDescriptor, &'a IndexDescriptor),
}

/// Finds a constraint; costs a look at every table.
pub(super) fn find<'a>(names: &Names<'a>, oid: Oid) -> Option<Constraint<'a>> {
    let catalog = names.catalog;
    catalog.objects().find_map(|d| match &**d {
        Descriptor::Table(t) => {
            let check = t.checks.iter().find(|c| c.oid == oid).map(|c| Constraint::Check(t, c));
            check.or_else(|| {
                t.foreign_keys.iter().find(|k| k.oid == oid).map(|k| Constraint::ForeignKey(t, k))
            })
        }
        Descriptor::Index(i) if i.constraint == oid => {
            catalog.table(i.table).map(|t| Constraint::Index(t, i))
        }
        _ => None,
    })
}

/// Column names in parentheses.
fn columns(table: &TableDescriptor, numbers: impl IntoIterator<Item = i16>) -> String {
    let name = |number| table.column(number).map_or_else(String::new, |c| quote_identifier(&c.name));
    let names: Vec<_> = numbers.into_iter().map(name).collect();
    format!("({})", names.join(", "))
}

/// `pg_get_constraintdef`.
pub(super) fn constraint(names: &Names<'_>, found: &Constraint<'_>, style: Style) -> String {
    match found {
        Constraint::Check(table, check) => {
            let expr = expression::shown(names, table, Kind::Condition, &check.expr, style);
            format!("CHECK ({expr}){}", if check.not_valid { " NOT VALID" } else { "" })
        }
        Constraint::Index(table, index) => {
            let word = if index.primary { "PRIMARY KEY" } else { "UNIQUE" };
            let keys = columns(table, index.columns.iter().map(|c| c.column));
            let include = match &index.include[..] {
                [] => String::new(),
                include => format!(" INCLUDE {}", columns(table, include.iter().copied())),
            };
            format!("{word} {keys}{include}")
        }
        Constraint::ForeignKey(table, key) => foreign_key(names, table, key),
    }
}

fn foreign_key(names: &Names<'_>, table: &TableDescriptor, key: &ForeignKey) -> String {
    let own = columns(table, key.columns.iter().copied());
    let parent = names.relation_shown(key.referenced_table).unwrap_or_default();
    let referenced = names
        .catalog
        .table(key.referenced_table)
        .map_or_else(String::new, |t| columns(t, key.referenced_columns.iter().copied()));
    let mut text = format!("FOREIGN KEY {own} REFERENCES {parent}{referenced}");
    if key.match_full {
        text += " MATCH FULL";
    }
    for (word, action) in [("UPDATE", key.on_update), ("DELETE", key.on_delete)] {
        if let Some(name) = action_words(action) {
            text += &format!(" ON {word} {name}");
        }
    }
    if key.deferrable {
        text += " DEFERRABLE";
    }
    if key.initially_deferred {
        text += " INITIALLY DEFERRED";
    }
    if key.not_valid {
        text += " NOT VALID";
    }
    text
}

/// The words of an action; `None` for the one that is not written.
fn action_words(action: ReferentialAction) -> Option<&'static str> {
    match action {
        ReferentialAction::NoAction => None,
        ReferentialAction::Restrict => Some("RESTRICT"),
        ReferentialAction::Cascade => Some("CASCADE"),
        ReferentialAction::SetNull => Some("SET NULL"),
        ReferentialAction::SetDefault => Some("SET DEFAULT"),
    }
}

/// `pg_get_indexdef(index)`: the plain style qualifies the table's name always, the pretty one only
/// where the search path does not find it.
pub(super) fn index(
    names: &Names<'_>,
    index: &IndexDescriptor,
    table: &TableDescriptor,
    style: Style,
) -> String {
    let on = match style {
        Style::Plain => names.relation_qualified(table.oid),
        Style::Pretty => names.relation_shown(table.oid),
    };
    let keys: Vec<_> = index.columns.iter().map(|c| index_column(names, table, c, style)).collect();
    let mut text = format!(
        "CREATE {}INDEX {} ON {} USING btree ({})",
        if index.unique { "UNIQUE " } else { "" },
        quote_identifier(&index.name),
        on.unwrap_or_default(),
        keys.join(", ")
    );
    if !index.include.is_empty() {
        text += &format!(" INCLUDE {}", columns(table, index.include.iter().copied()));
    }
    if let Some(predicate) = &index.predicate {
        text += &format!(" WHERE {}", expression::shown(names, table, Kind::Condition, predicate, style));
    }
    text
}

fn index_column(names: &Names<'_>, table: &TableDescriptor, column: &IndexColumn, style: Style) -> String {
    let order = match (column.descending, column.nulls_first) {
        (false, false) => "",
        (false, true) => " NULLS FIRST",
        (true, true) => " DESC",
        (true, false) => " DESC NULLS LAST",
    };
    index_key(names, table, column, style) + order
}

/// `pg_get_indexdef(index, column, …)`: the column or expression alone.
pub(super) fn index_key(
    names: &Names<'_>,
    table: &TableDescriptor,
    column: &IndexColumn,
    style: Style,
) -> String {
    if let Some(found) = table.column(column.column) {
        return quote_identifier(&found.name);
    }
    let text = column.expr.as_deref().unwrap_or_default();
    match expression::bound(names, table, Kind::Expression, text) {
        Ok(expr) => {
            let shown = expression::print(names, table, &expr, style);
            if expression::is_call(&expr) { shown } else { format!("({shown})") }
        }
        Err(_) => format!("({text})"),
    }
}
