//! The views of the SQL standard that clients ask for, with PostgreSQL's definitions. A row shows
//! where the role owns the object, is a member of its owner, or has a privilege on it.

mod columns;
mod constraints;

pub(super) use columns::columns;
pub(super) use constraints::{
    check_constraints, constraint_column_usage, constraint_table_usage, key_column_usage,
    referential_constraints, table_constraints,
};

use super::constraint::tables as all_tables;
use super::definition::virtual_tables;
use super::privilege::{self, ObjectKind};
use super::relation::is_secret;
use super::value::{name, optional, yes};
use super::views::own_views;
use super::{CatalogCx, Row, functions, sequence};
use crate::catalog::{AclItem, Descriptor, TableDescriptor};
use crate::types::{Datum, format_type};
use crate::{Oid, Result};

fn database(cx: &CatalogCx<'_>) -> Datum {
    name(&*cx.session.database_name)
}

/// Whether the session's role owns an object or belongs to its owner.
fn owns(cx: &CatalogCx<'_>, owner: Oid) -> bool {
    cx.session.superuser || privilege::is_member(cx.catalog, cx.session.role, owner)
}

/// Whether it owns it, or has any of the privileges on it.
fn sees(cx: &CatalogCx<'_>, kind: ObjectKind, owner: Oid, acl: Option<&Vec<AclItem>>, wanted: &str) -> bool {
    let wanted = privilege::parse(kind, wanted).unwrap_or_default();
    owns(cx, owner)
        || privilege::allowed(cx.catalog, cx.session.role, kind, owner, acl.map(Vec::as_slice), &wanted)
}

const ANY_TABLE_PRIVILEGE: &str = "SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER";
const CONSTRAINT_PRIVILEGE: &str = "INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER";

fn sees_constraints(cx: &CatalogCx<'_>, table: &TableDescriptor) -> bool {
    sees(cx, ObjectKind::Table, table.owner, table.acl.as_ref(), CONSTRAINT_PRIVILEGE)
}

pub(super) fn catalog_name(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    Ok(vec![vec![database(cx)]])
}

pub(super) fn schemata(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let names = cx.names();
    let may = |owner, acl: Option<&Vec<AclItem>>| sees(cx, ObjectKind::Schema, owner, acl, "CREATE, USAGE");
    let mut rows = Vec::new();
    for (schema, oid) in cx.catalog.schemas() {
        let Some(Descriptor::Schema(s)) = cx.catalog.get(oid).map(|d| &**d) else { continue };
        if may(s.owner, s.acl.as_ref()) {
            let null = || Datum::Null;
            let owner = optional(names.role(s.owner));
            rows.push(vec![database(cx), name(schema), owner, null(), null(), null(), null()]);
        }
    }
    Ok(rows)
}

pub(super) fn tables(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let names = cx.names();
    let row = |schema: Datum, table: &str, kind: &str, insertable: bool| {
        let null = || Datum::Null;
        let (insertable, typed) = (yes(insertable), yes(false));
        let kind = name(kind);
        vec![
            database(cx),
            schema,
            name(table),
            kind,
            null(),
            null(),
            null(),
            null(),
            null(),
            insertable,
            typed,
            null(),
        ]
    };
    let mut rows = Vec::new();
    for t in virtual_tables().iter().filter(|t| cx.session.superuser || !is_secret(t)) {
        let kind = if t.kind == 'v' { "VIEW" } else { "BASE TABLE" };
        rows.push(row(name(t.schema_name()), t.name, kind, t.kind == 'r'));
    }
    for t in all_tables(cx) {
        if sees(cx, ObjectKind::Table, t.owner, t.acl.as_ref(), ANY_TABLE_PRIVILEGE) {
            rows.push(row(optional(names.schema(t.schema)), &t.name, "BASE TABLE", true));
        }
    }
    for v in own_views(cx) {
        if sees(cx, ObjectKind::Table, v.owner, v.acl.as_ref(), ANY_TABLE_PRIVILEGE) {
            rows.push(row(optional(names.schema(v.schema)), &v.name, "VIEW", false));
        }
    }
    Ok(rows)
}

/// Views cannot be written to here.
pub(super) fn views(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let names = cx.names();
    let no = || yes(false);
    let row = |schema: Datum, view: &str, definition: Datum| {
        vec![database(cx), schema, name(view), definition, name("NONE"), no(), no(), no(), no(), no()]
    };
    let builtin =
        virtual_tables().iter().filter(|t| t.kind == 'v' && (cx.session.superuser || !is_secret(t)));
    let mut rows: Vec<Row> = builtin.map(|t| row(name(t.schema_name()), t.name, Datum::Null)).collect();
    for v in own_views(cx) {
        if sees(cx, ObjectKind::Table, v.owner, v.acl.as_ref(), ANY_TABLE_PRIVILEGE) {
            let definition =
                if owns(cx, v.owner) { name(functions::view_definition(v)) } else { Datum::Null };
            rows.push(row(optional(names.schema(v.schema)), &v.name, definition));
        }
    }
    Ok(rows)
}

/// Sequences of identity columns are part of their column and do not show.
pub(super) fn sequences(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let names = cx.names();
    let is_identity = |owned: Option<(Oid, i16)>| {
        let column = owned.and_then(|(table, number)| cx.catalog.table(table)?.column(number));
        column.is_some_and(|c| c.identity.is_some())
    };
    let mut rows = Vec::new();
    for s in sequence::all(cx).into_iter().filter(|s| !is_identity(s.owned_by)) {
        if !sees(cx, ObjectKind::Sequence, s.owner, s.acl.as_ref(), "SELECT, UPDATE, USAGE") {
            continue;
        }
        rows.push(vec![
            database(cx),
            optional(names.schema(s.schema)),
            name(&s.name),
            name(format_type(s.ty, -1)),
            columns::bits(s.ty).map_or(Datum::Null, Datum::Int4),
            Datum::Int4(2),
            Datum::Int4(0),
            name(s.start.to_string()),
            name(s.min.to_string()),
            name(s.max.to_string()),
            name(s.increment.to_string()),
            yes(s.cycle),
        ]);
    }
    Ok(rows)
}

/// The roles that the session's role is or belongs to.
pub(super) fn enabled_roles(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let mut roles: Vec<_> = cx
        .catalog
        .objects()
        .filter_map(|d| match &**d {
            Descriptor::Role(role) if owns(cx, role.oid) => Some(role),
            _ => None,
        })
        .collect();
    roles.sort_unstable_by_key(|role| role.oid);
    Ok(roles.into_iter().map(|role| vec![name(&role.name)]).collect())
}

pub(super) fn applicable_roles(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let names = cx.names();
    let mut rows = Vec::new();
    for descriptor in cx.catalog.objects() {
        let Descriptor::Role(member) = &**descriptor else { continue };
        if owns(cx, member.oid) {
            let granted = |role: &Oid| vec![name(&member.name), optional(names.role(*role)), yes(false)];
            rows.extend(member.member_of.iter().map(granted));
        }
    }
    Ok(rows)
}
