//! Session and catalog information that needs no more than the statement's snapshot.

use super::args::{self, text};
use super::{CallContext, Table};
use crate::catalog::{CatalogSnapshot, Descriptor, SequenceDescriptor};
use crate::node::{SequenceState, check_bounds};
use crate::registry::Registry;
use crate::session::info::SettingChange;
use crate::session::settings::{Settings, Source};
use crate::types::{Datum, TypeRef, format_type, format_type_be};
use crate::{Oid, Result, SqlError, SqlState};

fn format_type_kernel(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let Datum::Oid(oid) = &args[0] else { return Ok(Datum::Null) };
    if *oid >= Oid::FIRST_USER {
        return Ok(Datum::text(cx.io().type_name(*oid)));
    }
    Ok(Datum::text(match &args[1] {
        Datum::Int4(typmod) => format_type(*oid, *typmod),
        _ => format_type_be(*oid),
    }))
}

fn current_setting(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let name = text(&args[0])?;
    let missing_ok = args.get(1).map(args::boolean).transpose()?.unwrap_or(false);
    match cx.session.settings.get(&name.to_ascii_lowercase()) {
        Some(value) => Ok(Datum::text(value)),
        None if missing_ok => Ok(Datum::Null),
        None => Err(SqlError::new(
            SqlState::UNDEFINED_OBJECT,
            format!("unrecognized configuration parameter \"{name}\""),
        )),
    }
}

/// The name of the first schema of the search path.
fn current_schema(cx: &CallContext<'_>, _: &[Datum]) -> Result<Datum> {
    let first = cx.session.search_path.first().and_then(|oid| cx.catalog.get(*oid));
    Ok(first.map_or(Datum::Null, |schema| Datum::text(schema.name())))
}

fn current_schemas(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let mut names = Vec::new();
    if args::boolean(&args[0])? && !cx.session.search_path.contains(&Oid::PG_CATALOG) {
        names.push(Datum::text("pg_catalog"));
    }
    let own = cx.session.search_path.iter().filter_map(|oid| cx.catalog.get(*oid));
    names.extend(own.map(|schema| Datum::text(schema.name())));
    Ok(Datum::array(Oid::NAME, names))
}

fn to_regtype(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    lenient(cx, Oid::REGTYPE, &args[0])
}

fn to_regclass(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    lenient(cx, Oid::REGCLASS, &args[0])
}

/// A `reg…` input that answers NULL for a name that does not exist.
fn lenient(cx: &CallContext<'_>, ty: Oid, value: &Datum) -> Result<Datum> {
    match cx.io().input(TypeRef::of(ty), text(value)?) {
        Ok(value) => Ok(value),
        Err(error) if matches!(error.code(), SqlState::UNDEFINED_TABLE | SqlState::UNDEFINED_OBJECT) => {
            Ok(Datum::Null)
        }
        Err(error) => Err(error),
    }
}

/// A version 4 UUID.
fn random_uuid(_: &CallContext<'_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::Uuid(*uuid::Uuid::new_v4().as_bytes()))
}

fn type_is_visible(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let oid = args::oid(&args[0])?;
    if let Some(row) = Registry::get().type_by_oid(oid) {
        return Ok(Datum::Bool(row.namespace == Oid::PG_CATALOG));
    }
    Ok(match cx.catalog.get(oid).map(|d| &**d) {
        Some(Descriptor::Type(ty)) => Datum::Bool(
            cx.session.search_path.iter().find_map(|s| cx.catalog.user_type(*s, &ty.name)) == Some(oid),
        ),
        _ => Datum::Null,
    })
}

/// Checks the value and asks for the change; the session makes it when the statement is done.
fn set_config(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    if args[0].is_null() {
        return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "SET requires parameter name"));
    }
    let name = text(&args[0])?;
    if args[1].is_null() {
        return Err(SqlError::not_built("set_config with a null value"));
    }
    let value = text(&args[1])?;
    let local = !args[2].is_null() && args::boolean(&args[2])?;
    let shown = Settings::preview(name, value, Source::Session { superuser: cx.session.superuser })?;
    let change = SettingChange { name: name.to_owned(), value: value.to_owned(), local };
    cx.session.changes.ask(change);
    Ok(Datum::text(shown))
}

/// Asks for the time; the executor waits.
fn sleep(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    /// Longer sleeps end after this time: a century.
    const MOST_SECONDS: f64 = 3.2e9;
    let seconds = args::float8(&args[0])?;
    if seconds > 0.0 {
        cx.session.nap.ask(std::time::Duration::from_secs_f64(seconds.min(MOST_SECONDS)));
    }
    Ok(Datum::text(""))
}

/// The sequence that a regclass names; 42809 for another relation.
pub(crate) fn sequence_of(catalog: &CatalogSnapshot, oid: Oid) -> Result<&SequenceDescriptor> {
    if let Some(sequence) = catalog.sequence(oid) {
        return Ok(sequence);
    }
    Err(match catalog.get(oid) {
        Some(other) => {
            SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not a sequence", other.name()))
        }
        None => SqlError::new(SqlState::UNDEFINED_TABLE, format!("could not open relation with OID {oid}")),
    })
}

/// Gives a value that the executor fetched before the row.
fn nextval(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let sequence = sequence_of(cx.catalog, args::oid(&args[0])?)?;
    if cx.session.sequences.is_unstored(sequence.oid) {
        return Err(SqlError::not_built("nextval after setval of the same sequence in one statement"));
    }
    let value = cx.session.sequences.give(sequence.oid);
    value.map(Datum::Int8).ok_or_else(|| SqlError::not_built("nextval in this place"))
}

fn currval(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let sequence = sequence_of(cx.catalog, args::oid(&args[0])?)?;
    cx.session.sequences.current(sequence.oid).map(Datum::Int8).ok_or_else(|| {
        SqlError::new(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("currval of sequence \"{}\" is not yet defined in this session", sequence.name),
        )
    })
}

fn lastval(cx: &CallContext<'_>, _: &[Datum]) -> Result<Datum> {
    cx.session.sequences.last().map(Datum::Int8).ok_or_else(|| {
        SqlError::new(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            "lastval is not yet defined in this session",
        )
    })
}

/// The executor stores the value when the statement pauses or ends.
fn setval(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let sequence = sequence_of(cx.catalog, args::oid(&args[0])?)?;
    let last = args::integer(&args[1])?;
    let called = args.get(2).map(args::boolean).transpose()?.unwrap_or(true);
    check_bounds(sequence, last)?;
    cx.session.sequences.set(sequence.oid, SequenceState { last, called });
    Ok(Datum::Int8(last))
}

pub(crate) const TABLE: Table = &[
    ("pg_sleep", sleep),
    ("set_config_by_name", set_config),
    ("pg_typeof", |cx, _| Ok(Datum::Oid(cx.arg_type(0)))),
    ("format_type", format_type_kernel),
    ("show_config_by_name", current_setting),
    ("show_config_by_name_missing_ok", current_setting),
    ("current_database", |cx, _| Ok(Datum::text(&*cx.session.database_name))),
    ("current_user", |cx, _| Ok(Datum::text(&*cx.session.role_name))),
    ("session_user", |cx, _| Ok(Datum::text(&*cx.session.session_role_name))),
    ("current_schema", current_schema),
    ("current_schemas", current_schemas),
    ("pg_backend_pid", |cx, _| Ok(Datum::Int4(cx.session.pid))),
    ("pg_type_is_visible", type_is_visible),
    ("to_regtype", to_regtype),
    ("to_regclass", to_regclass),
    ("gen_random_uuid", random_uuid),
    ("nextval_oid", nextval),
    ("currval_oid", currval),
    ("lastval", lastval),
    ("setval_oid", setval),
    ("setval3_oid", setval),
];
