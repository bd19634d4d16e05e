//! Whether the search path finds an object, and objects by name without an error.

use super::{names, oid, text};
use crate::kernels::{CallContext, ScalarFn};
use crate::pgcatalog::{builtin, names::Names};
use crate::registry::Registry;
use crate::types::{Datum, TypeLookup, TypeRef};
use crate::{Oid, Result, SqlState};

pub(super) const TABLE: &[(&str, ScalarFn)] = &[
    ("pg_collation_is_visible", |cx, args| builtin_visible(cx, args, "pg_collation")),
    ("pg_conversion_is_visible", |cx, args| builtin_visible(cx, args, "pg_conversion")),
    ("pg_function_is_visible", function),
    ("pg_opclass_is_visible", |cx, args| builtin_visible(cx, args, "pg_opclass")),
    ("pg_operator_is_visible", |cx, args| builtin_visible(cx, args, "pg_operator")),
    ("pg_opfamily_is_visible", |cx, args| builtin_visible(cx, args, "pg_opfamily")),
    ("pg_statistics_obj_is_visible", super::null),
    ("pg_table_is_visible", table),
    ("pg_ts_config_is_visible", |cx, args| builtin_visible(cx, args, "pg_ts_config")),
    ("pg_ts_dict_is_visible", |cx, args| builtin_visible(cx, args, "pg_ts_dict")),
    ("pg_ts_parser_is_visible", |cx, args| builtin_visible(cx, args, "pg_ts_parser")),
    ("pg_ts_template_is_visible", |cx, args| builtin_visible(cx, args, "pg_ts_template")),
    ("to_regnamespace", |cx, args| by_name(cx, args, Oid::REGNAMESPACE)),
    ("to_regproc", |cx, args| by_name(cx, args, Oid::REGPROC)),
    ("to_regprocedure", |cx, args| by_name(cx, args, Oid::REGPROCEDURE)),
    ("to_regrole", |cx, args| by_name(cx, args, Oid::REGROLE)),
];

fn table(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (relation, names) = (oid(args, 0)?, names(cx));
    let Some((_, name)) = names.relation(relation) else { return Ok(Datum::Null) };
    Ok(Datum::Bool(names.visible_relation(name) == Some(relation)))
}

fn function(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let Some(row) = Registry::get().proc(oid(args, 0)?) else { return Ok(Datum::Null) };
    Ok(Datum::Bool(names(cx).path().contains(&row.namespace)))
}

/// Objects of which only PostgreSQL's own exist, all in `pg_catalog`, which is always searched.
fn builtin_visible(_: &CallContext<'_>, args: &[Datum], catalog: &'static str) -> Result<Datum> {
    let found = !builtin::rows_of(catalog, 0, oid(args, 0)?).is_empty();
    Ok(if found { Datum::Bool(true) } else { Datum::Null })
}

/// The object of that name, or null.
fn by_name(cx: &CallContext<'_>, args: &[Datum], ty: Oid) -> Result<Datum> {
    let names: Names<'_> = names(cx);
    let io = crate::types::Io { fmt: cx.fmt, lookup: &names as &dyn TypeLookup, now: None };
    match io.input(TypeRef::of(ty), text(args, 0)?) {
        Ok(found) => Ok(found),
        Err(error) => match error.code() {
            SqlState::INVALID_NAME | SqlState::SYNTAX_ERROR => Err(error),
            _ => Ok(Datum::Null),
        },
    }
}
