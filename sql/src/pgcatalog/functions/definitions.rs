//! Definitions of objects as SQL text.

use super::{int4, is_true, names, null, oid, text};
use crate::catalog::{Descriptor, ViewDescriptor};
use crate::kernels::text::quote_identifier;
use crate::kernels::{CallContext, ScalarFn};
use crate::pgcatalog::definition::virtual_table_by_oid;
use crate::pgcatalog::expression::{self, Style};
use crate::pgcatalog::{Names, builtin, deparse};
use crate::registry::{ProcRow, Registry};
use crate::types::Datum;
use crate::{Oid, Result, SqlError, SqlState};

pub(super) const TABLE: &[(&str, ScalarFn)] = &[
    ("pg_get_constraintdef", constraint),
    ("pg_get_constraintdef_ext", constraint),
    ("pg_get_expr", expr),
    ("pg_get_expr_ext", expr),
    ("pg_get_function_arguments", |cx, args| function_arguments(cx, args, true)),
    ("pg_get_function_identity_arguments", |cx, args| function_arguments(cx, args, false)),
    ("pg_get_function_result", function_result),
    ("pg_get_indexdef", index),
    ("pg_get_indexdef_ext", index),
    ("pg_get_partkeydef", null),
    ("pg_get_ruledef", null),
    ("pg_get_ruledef_ext", null),
    ("pg_get_serial_sequence", serial_sequence),
    ("pg_get_statisticsobjdef", null),
    ("pg_get_statisticsobjdef_columns", null),
    ("pg_get_triggerdef", null),
    ("pg_get_triggerdef_ext", null),
    ("pg_get_viewdef", view),
    ("pg_get_viewdef_ext", view),
    ("pg_get_viewdef_name", view_named),
    ("pg_get_viewdef_name_ext", view_named),
];

fn style(args: &[Datum], at: usize) -> Style {
    if is_true(args, at) { Style::Pretty } else { Style::Plain }
}

/// `pg_get_expr(tree, table [, pretty])`.
fn expr(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let tree = text(args, 0)?;
    let Some((kind, stored)) = expression::read_node_tree(tree) else {
        // What ships with PostgreSQL is kept printed.
        return Ok(Datum::text(tree));
    };
    let Some(table) = cx.catalog.table(oid(args, 1)?) else { return Ok(Datum::Null) };
    Ok(Datum::text(expression::shown(&names(cx), table, kind, stored, style(args, 2))))
}

/// `pg_get_constraintdef(oid [, pretty])`; null for an unknown constraint.
fn constraint(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (wanted, names) = (oid(args, 0)?, names(cx));
    if let Some(found) = deparse::find(&names, wanted) {
        return Ok(Datum::text(deparse::constraint(&names, &found, style(args, 1))));
    }
    let rows = builtin::rows_of("pg_constraint", 0, wanted);
    let Some(row) = rows.first() else { return Ok(Datum::Null) };
    let (Datum::Text(kind), Datum::Oid(table)) = (&row[3], &row[7]) else { return Ok(Datum::Null) };
    let word = match kind.as_str() {
        "p" => "PRIMARY KEY",
        "u" => "UNIQUE",
        _ => return Err(SqlError::not_built("the definition of a built-in constraint")),
    };
    let Datum::Array(keys) = &row[18] else { return Ok(Datum::Null) };
    Ok(Datum::text(format!("{word} ({})", builtin_columns(*table, &keys.items))))
}

/// Column names of a built-in relation.
fn builtin_columns(table: Oid, keys: &[Datum]) -> String {
    let columns = virtual_table_by_oid(table).map_or(&[][..], |t| &t.columns);
    let name = |key: &Datum| match key {
        Datum::Int2(key) => columns.iter().find(|c| c.number == *key).map(|c| quote_identifier(c.name)),
        _ => None,
    };
    keys.iter().filter_map(name).collect::<Vec<_>>().join(", ")
}

/// The statement that would make an index of a built-in catalog.
pub(in crate::pgcatalog) fn builtin_index_definition(names: &Names<'_>, index: Oid) -> Option<String> {
    let rows = builtin::rows_of("pg_index", 0, index);
    let row = rows.first()?;
    let (Datum::Oid(table), Datum::Bool(unique), Datum::Array(keys)) = (&row[1], &row[4], &row[15]) else {
        return None;
    };
    let (_, name) = names.relation(index)?;
    Some(format!(
        "CREATE {}INDEX {} ON {} USING btree ({})",
        if *unique { "UNIQUE " } else { "" },
        quote_identifier(name),
        names.relation_qualified(*table)?,
        builtin_columns(*table, &keys.items)
    ))
}

/// `pg_get_indexdef(index [, column, pretty])`; column 0 is the whole statement.
fn index(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (wanted, names) = (oid(args, 0)?, names(cx));
    let column = if args.len() > 1 { int4(args, 1)? } else { 0 };
    let position = usize::try_from(column - 1).ok();
    let Some(index) = cx.catalog.index(wanted) else {
        return Ok(match position {
            None => builtin_index_definition(&names, wanted).map_or(Datum::Null, Datum::text),
            Some(at) => builtin_key(wanted, at),
        });
    };
    let Some(table) = cx.catalog.table(index.table) else { return Ok(Datum::Null) };
    let style = style(args, 2);
    let Some(at) = position.filter(|_| column > 0) else {
        return Ok(Datum::text(deparse::index(&names, index, table, style)));
    };
    if let Some(key) = index.columns.get(at) {
        return Ok(Datum::text(deparse::index_key(&names, table, key, style)));
    }
    let included = index.include.get(at - index.columns.len()).and_then(|n| table.column(*n));
    Ok(Datum::text(included.map_or_else(String::new, |c| quote_identifier(&c.name))))
}

fn builtin_key(index: Oid, at: usize) -> Datum {
    let rows = builtin::rows_of("pg_index", 0, index);
    let Some(row) = rows.first() else { return Datum::Null };
    let (Datum::Oid(table), Datum::Array(keys)) = (&row[1], &row[15]) else { return Datum::Null };
    Datum::text(builtin_columns(*table, keys.items.get(at..at + 1).unwrap_or_default()))
}

/// A view's query, ending in a semicolon as PostgreSQL prints it.
pub(in crate::pgcatalog) fn view_definition(view: &ViewDescriptor) -> String {
    format!(" {};", view.query.trim().trim_end_matches(';'))
}

fn view_of(cx: &CallContext<'_>, relation: Oid) -> Result<Datum> {
    if let Some(Descriptor::View(view)) = cx.catalog.get(relation).map(|d| &**d) {
        return Ok(Datum::text(view_definition(view)));
    }
    match virtual_table_by_oid(relation) {
        Some(table) if table.kind == 'v' => Err(SqlError::not_built("the definition of a built-in view")),
        _ => Ok(Datum::Null),
    }
}

fn view(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    view_of(cx, oid(args, 0)?)
}

fn view_named(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    view_of(cx, find_relation(&names(cx), text(args, 0)?)?)
}

/// A relation by name, or 42P01.
pub(super) fn find_relation(names: &Names<'_>, name: &str) -> Result<Oid> {
    names.find_relation(name)?.ok_or_else(|| {
        SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
    })
}

/// `pg_get_serial_sequence(table, column)`: the sequence that a column owns.
fn serial_sequence(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let names = names(cx);
    let relation = find_relation(&names, text(args, 0)?)?;
    let column = text(args, 1)?;
    let number = match cx.catalog.table(relation) {
        Some(table) => table.column_named(column).map(|c| c.number).ok_or_else(|| {
            let message = format!("column \"{column}\" of relation \"{}\" does not exist", table.name);
            SqlError::new(SqlState::UNDEFINED_COLUMN, message)
        })?,
        None => return Ok(Datum::Null),
    };
    let mut owned = cx.catalog.objects().filter_map(|d| match &**d {
        Descriptor::Sequence(s) if s.owned_by == Some((relation, number)) => Some(s.oid),
        _ => None,
    });
    Ok(owned.next().and_then(|oid| names.relation_qualified(oid)).map_or(Datum::Null, Datum::text))
}

fn function_result(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let Some(row) = Registry::get().proc(oid(args, 0)?) else { return Ok(Datum::Null) };
    let names = names(cx);
    let table: Vec<String> = outputs(row, 't').map(|(name, ty)| argument(&names, "", name, ty)).collect();
    if !table.is_empty() {
        return Ok(Datum::text(format!("TABLE({})", table.join(", "))));
    }
    let ty = names.format_type(row.ret, -1);
    Ok(Datum::text(if row.returns_set { format!("SETOF {ty}") } else { ty }))
}

/// Arguments of a mode, with their names.
fn outputs(row: &ProcRow, mode: char) -> impl Iterator<Item = (&str, Oid)> {
    let modes = row.arg_modes.iter().zip(&row.all_arg_types).enumerate();
    modes
        .filter(move |(_, (m, _))| **m == mode)
        .map(|(at, (_, ty))| (row.arg_names.get(at).copied().unwrap_or(""), *ty))
}

fn argument(names: &Names<'_>, mode: &str, name: &str, ty: Oid) -> String {
    let name = if name.is_empty() { String::new() } else { format!("{} ", quote_identifier(name)) };
    format!("{mode}{name}{}", names.format_type(ty, -1))
}

fn function_arguments(cx: &CallContext<'_>, args: &[Datum], defaults: bool) -> Result<Datum> {
    let Some(row) = Registry::get().proc(oid(args, 0)?) else { return Ok(Datum::Null) };
    let names = names(cx);
    let types = if row.all_arg_types.is_empty() { &row.args } else { &row.all_arg_types };
    let mut shown = Vec::new();
    let mut input = 0usize;
    // No default of a built-in function holds a comma but between defaults.
    let texts: Vec<&str> = row.default_text.map_or(vec![], |text| text.split(", ").collect());
    let first_default = row.args.len() - usize::from(row.defaults);
    for (at, ty) in types.iter().enumerate() {
        let mode = match row.arg_modes.get(at) {
            None | Some('i') => "",
            Some('o') => "OUT ",
            Some('b') => "INOUT ",
            Some('v') => "VARIADIC ",
            Some(_) => continue,
        };
        if mode == "OUT " && !defaults {
            continue;
        }
        let mode = if mode.is_empty() && row.variadic != Oid::NONE && at + 1 == row.args.len() {
            "VARIADIC "
        } else {
            mode
        };
        let mut one = argument(&names, mode, row.arg_names.get(at).copied().unwrap_or(""), *ty);
        if mode != "OUT " {
            let default = input.checked_sub(first_default).and_then(|at| texts.get(at));
            if let Some(default) = default.filter(|_| defaults) {
                one += &format!(" DEFAULT {default}");
            }
            input += 1;
        }
        shown.push(one);
    }
    Ok(Datum::text(shown.join(", ")))
}
