//! `has_…_privilege` and `pg_has_role`. Every form of one function has the same kernel: the role is
//! there or not, role and object are a name or an OID.

use super::definitions::find_relation;
use super::{names, wrong};
use crate::catalog::{AclItem, Descriptor};
use crate::kernels::{CallContext, ScalarFn};
use crate::pgcatalog::definition::virtual_table_by_oid;
use crate::pgcatalog::privilege::{ObjectKind, Wanted, allowed, is_member, parse};
use crate::pgcatalog::relation::is_secret;
use crate::registry::Registry;
use crate::types::{Datum, TypeLookup};
use crate::{Oid, Result, SqlError, SqlState};

pub(super) const TABLE: &[(&str, ScalarFn)] = &[
    ("has_any_column_privilege_id", table),
    ("has_any_column_privilege_id_id", table),
    ("has_any_column_privilege_id_name", table),
    ("has_any_column_privilege_name", table),
    ("has_any_column_privilege_name_id", table),
    ("has_any_column_privilege_name_name", table),
    ("has_column_privilege_id_attnum", column),
    ("has_column_privilege_id_id_attnum", column),
    ("has_column_privilege_id_id_name", column),
    ("has_column_privilege_id_name", column),
    ("has_column_privilege_id_name_attnum", column),
    ("has_column_privilege_id_name_name", column),
    ("has_column_privilege_name_attnum", column),
    ("has_column_privilege_name_id_attnum", column),
    ("has_column_privilege_name_id_name", column),
    ("has_column_privilege_name_name", column),
    ("has_column_privilege_name_name_attnum", column),
    ("has_column_privilege_name_name_name", column),
    ("has_database_privilege_id", database),
    ("has_database_privilege_id_id", database),
    ("has_database_privilege_id_name", database),
    ("has_database_privilege_name", database),
    ("has_database_privilege_name_id", database),
    ("has_database_privilege_name_name", database),
    ("has_function_privilege_id", function),
    ("has_function_privilege_id_id", function),
    ("has_function_privilege_id_name", function),
    ("has_function_privilege_name", function),
    ("has_function_privilege_name_id", function),
    ("has_function_privilege_name_name", function),
    ("has_schema_privilege_id", schema),
    ("has_schema_privilege_id_id", schema),
    ("has_schema_privilege_id_name", schema),
    ("has_schema_privilege_name", schema),
    ("has_schema_privilege_name_id", schema),
    ("has_schema_privilege_name_name", schema),
    ("has_sequence_privilege_id", sequence),
    ("has_sequence_privilege_id_id", sequence),
    ("has_sequence_privilege_id_name", sequence),
    ("has_sequence_privilege_name", sequence),
    ("has_sequence_privilege_name_id", sequence),
    ("has_sequence_privilege_name_name", sequence),
    ("has_table_privilege_id", table),
    ("has_table_privilege_id_id", table),
    ("has_table_privilege_id_name", table),
    ("has_table_privilege_name", table),
    ("has_table_privilege_name_id", table),
    ("has_table_privilege_name_name", table),
    ("has_type_privilege_id", ty),
    ("has_type_privilege_id_id", ty),
    ("has_type_privilege_id_name", ty),
    ("has_type_privilege_name", ty),
    ("has_type_privilege_name_id", ty),
    ("has_type_privilege_name_name", ty),
    ("pg_has_role_id", has_role),
    ("pg_has_role_id_id", has_role),
    ("pg_has_role_id_name", has_role),
    ("pg_has_role_name", has_role),
    ("pg_has_role_name_id", has_role),
    ("pg_has_role_name_name", has_role),
];

/// The role asked about and the arguments behind it; the session's own where none is given.
fn split<'a>(cx: &CallContext<'_>, args: &'a [Datum], without: usize) -> Result<(Oid, &'a [Datum])> {
    if args.len() <= without {
        return Ok((cx.session.role, args));
    }
    Ok((role(cx, &args[0])?, &args[1..]))
}

fn role(cx: &CallContext<'_>, value: &Datum) -> Result<Oid> {
    match value {
        Datum::Oid(oid) => Ok(*oid),
        Datum::Text(name) if name == "public" => Ok(Oid::NONE),
        Datum::Text(name) => names(cx).role_named(name).ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"))
        }),
        _ => Err(wrong("role")),
    }
}

fn wanted(kind: ObjectKind, value: Option<&Datum>) -> Result<Vec<Wanted>> {
    match value {
        Some(Datum::Text(text)) => parse(kind, text),
        _ => Err(wrong("privilege")),
    }
}

fn relation(cx: &CallContext<'_>, value: &Datum) -> Result<Oid> {
    match value {
        Datum::Oid(oid) => Ok(*oid),
        Datum::Text(name) => find_relation(&names(cx), name),
        _ => Err(wrong("relation")),
    }
}

/// Owner and privilege list of a relation.
fn owner_of<'a>(cx: &CallContext<'a>, relation: Oid) -> Option<(Oid, Option<&'a Vec<AclItem>>)> {
    match cx.catalog.get(relation).map(|d| &**d) {
        Some(Descriptor::Table(t)) => Some((t.owner, t.acl.as_ref())),
        Some(Descriptor::View(v)) => Some((v.owner, v.acl.as_ref())),
        Some(Descriptor::Sequence(s)) => Some((s.owner, s.acl.as_ref())),
        Some(Descriptor::Index(i)) => cx.catalog.table(i.table).map(|t| (t.owner, None)),
        _ => None,
    }
}

fn on_relation(cx: &CallContext<'_>, kind: ObjectKind, role: Oid, relation: Oid, wanted: &[Wanted]) -> Datum {
    if let Some((owner, acl)) = owner_of(cx, relation) {
        return Datum::Bool(allowed(cx.catalog, role, kind, owner, acl.map(Vec::as_slice), wanted));
    }
    let Some(table) = virtual_table_by_oid(relation) else { return Datum::Null };
    let readable = !is_secret(table) && wanted.iter().any(|w| w.letter == 'r' && !w.grant_option);
    Datum::Bool(readable || allowed(cx.catalog, role, kind, Oid::BOOTSTRAP_ROLE, None, wanted))
}

fn table(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (role, rest) = split(cx, args, 2)?;
    let wanted = wanted(ObjectKind::Table, rest.get(1))?;
    Ok(on_relation(cx, ObjectKind::Table, role, relation(cx, &rest[0])?, &wanted))
}

/// Privileges are held on whole tables.
fn column(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (role, rest) = split(cx, args, 3)?;
    let relation = relation(cx, &rest[0])?;
    if let (Some(Datum::Text(name)), Some(table)) = (rest.get(1), cx.catalog.table(relation))
        && table.column_named(name).is_none()
    {
        let message = format!("column \"{name}\" of relation \"{}\" does not exist", table.name);
        return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
    }
    let wanted = wanted(ObjectKind::Column, rest.get(2))?;
    Ok(on_relation(cx, ObjectKind::Table, role, relation, &wanted))
}

fn sequence(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (role, rest) = split(cx, args, 2)?;
    let relation = relation(cx, &rest[0])?;
    let wanted = wanted(ObjectKind::Sequence, rest.get(1))?;
    match cx.catalog.sequence(relation) {
        Some(_) => Ok(on_relation(cx, ObjectKind::Sequence, role, relation, &wanted)),
        None => {
            let name =
                names(cx).relation(relation).map_or_else(|| relation.to_string(), |(_, n)| n.to_owned());
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is not a sequence")))
        }
    }
}

fn schema(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (role, rest) = split(cx, args, 2)?;
    let oid = match &rest[0] {
        Datum::Oid(oid) => *oid,
        Datum::Text(name) => cx.catalog.schema(name).ok_or_else(|| {
            SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{name}\" does not exist"))
        })?,
        _ => return Err(wrong("schema")),
    };
    let wanted = wanted(ObjectKind::Schema, rest.get(1))?;
    let Some(Descriptor::Schema(schema)) = cx.catalog.get(oid).map(|d| &**d) else { return Ok(Datum::Null) };
    let system = matches!(schema.name.as_str(), "pg_catalog" | "information_schema");
    let usable = system && wanted.iter().any(|w| w.letter == 'U' && !w.grant_option);
    let acl = schema.acl.as_deref();
    Ok(Datum::Bool(usable || allowed(cx.catalog, role, ObjectKind::Schema, schema.owner, acl, &wanted)))
}

fn database(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (role, rest) = split(cx, args, 2)?;
    let database = match &rest[0] {
        Datum::Oid(oid) => match cx.catalog.get(*oid).map(|d| &**d) {
            Some(Descriptor::Database(database)) => database,
            _ => return Ok(Datum::Null),
        },
        Datum::Text(name) => cx.catalog.database(name).ok_or_else(|| {
            SqlError::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist"))
        })?,
        _ => return Err(wrong("database")),
    };
    let wanted = wanted(ObjectKind::Database, rest.get(1))?;
    let acl = database.acl.as_deref();
    Ok(Datum::Bool(allowed(cx.catalog, role, ObjectKind::Database, database.owner, acl, &wanted)))
}

/// All functions are built in, open to everyone.
fn function(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (role, rest) = split(cx, args, 2)?;
    let oid = match &rest[0] {
        Datum::Oid(oid) => *oid,
        Datum::Text(name) => names(cx).reg_input(Oid::REGPROCEDURE, name)?.unwrap_or_default(),
        _ => return Err(wrong("function")),
    };
    let wanted = wanted(ObjectKind::Function, rest.get(1))?;
    if Registry::get().proc(oid).is_none() {
        return Ok(Datum::Null);
    }
    Ok(Datum::Bool(allowed(cx.catalog, role, ObjectKind::Function, Oid::BOOTSTRAP_ROLE, None, &wanted)))
}

fn ty(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (role, rest) = split(cx, args, 2)?;
    let oid = match &rest[0] {
        Datum::Oid(oid) => *oid,
        Datum::Text(name) => {
            let found = names(cx).find_type(name).or_else(|| crate::types::builtin_type_named(name));
            found.ok_or_else(|| {
                SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist"))
            })?
        }
        _ => return Err(wrong("type")),
    };
    let wanted = wanted(ObjectKind::Type, rest.get(1))?;
    let owner = match cx.catalog.get(oid).map(|d| &**d) {
        Some(Descriptor::Type(ty)) => ty.owner,
        _ => Oid::BOOTSTRAP_ROLE,
    };
    Ok(Datum::Bool(allowed(cx.catalog, role, ObjectKind::Type, owner, None, &wanted)))
}

fn has_role(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (member, rest) = split(cx, args, 2)?;
    let of = role(cx, &rest[0])?;
    let Some(Datum::Text(kinds)) = rest.get(1) else { return Err(wrong("privilege")) };
    for kind in kinds.split(',') {
        let kind = kind.trim();
        let known = [
            "MEMBER",
            "USAGE",
            "MEMBER WITH GRANT OPTION",
            "MEMBER WITH ADMIN OPTION",
            "USAGE WITH GRANT OPTION",
            "USAGE WITH ADMIN OPTION",
        ];
        if !known.contains(&kind.to_uppercase().as_str()) {
            let message = format!("unrecognized privilege type: \"{kind}\"");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
    }
    let superuser = cx.catalog.role_by_oid(member).is_some_and(|r| r.superuser);
    Ok(Datum::Bool(superuser || is_member(cx.catalog, member, of)))
}
