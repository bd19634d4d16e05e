//! `pg_authid` and the views over it, `pg_auth_members`, `pg_db_role_setting`.

use super::value::{flag, name, oid, oids, optional, texts};
use super::{CatalogCx, Row, builtin};
use crate::catalog::{Descriptor, RoleDescriptor};
use crate::types::Datum;
use crate::{Oid, Result, SqlError, SqlState};

/// The roles of the catalog, by OID.
fn own<'a>(cx: &CatalogCx<'a>) -> Vec<&'a RoleDescriptor> {
    let catalog = cx.catalog;
    let roles = catalog.objects().filter_map(|d| match &**d {
        Descriptor::Role(role) => Some(role),
        _ => None,
    });
    let mut roles: Vec<_> = roles.collect();
    roles.sort_unstable_by_key(|role| role.oid);
    roles
}

/// Columns of `pg_authid`, the password included.
fn all(cx: &CatalogCx<'_>) -> Vec<Row> {
    let own = own(cx);
    let row = |r: &&RoleDescriptor| {
        vec![
            oid(r.oid),
            name(&r.name),
            flag(r.superuser),
            flag(r.inherit),
            flag(r.create_role),
            flag(r.create_db),
            flag(r.login),
            // The first role may do everything, as initdb makes it.
            flag(r.oid == Oid::BOOTSTRAP_ROLE),
            flag(r.oid == Oid::BOOTSTRAP_ROLE),
            Datum::Int4(r.connection_limit),
            optional(r.verifier.as_ref()),
            Datum::Null,
        ]
    };
    let mut rows: Vec<Row> = own.iter().map(row).collect();
    let is_own = |row: &&Row| matches!(&row[0], Datum::Oid(oid) if own.iter().any(|r| r.oid == *oid));
    rows.extend(builtin::rows("pg_authid").iter().filter(|row| !is_own(row)).cloned());
    rows
}

fn superuser_only(cx: &CatalogCx<'_>, table: &str) -> Result<()> {
    if cx.session.superuser {
        return Ok(());
    }
    let message = format!("permission denied for table {table}");
    Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message))
}

pub(super) fn authid(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    superuser_only(cx, "pg_authid")?;
    Ok(all(cx))
}

fn config(cx: &CatalogCx<'_>, role: &Datum) -> Datum {
    let Datum::Oid(role) = role else { return Datum::Null };
    match cx.catalog.role_by_oid(*role).map(|r| &r.settings[..]) {
        None | Some([]) => Datum::Null,
        Some(settings) => texts(settings.iter().map(|(name, value)| format!("{name}={value}"))),
    }
}

pub(super) fn roles(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let view = |r: Row| {
        let config = config(cx, &r[0]);
        let at = |i: usize| r[i].clone();
        let hidden = name("********");
        vec![at(1), at(2), at(3), at(4), at(5), at(6), at(7), at(9), hidden, at(11), at(8), config, at(0)]
    };
    Ok(all(cx).into_iter().map(view).collect())
}

/// Roles that may log in, in the shape of `pg_user` and `pg_shadow`.
fn logins(cx: &CatalogCx<'_>, password: impl Fn(&Datum) -> Datum) -> Vec<Row> {
    let may_log_in = |r: &Row| matches!(r[6], Datum::Bool(true));
    let view = |r: Row| {
        let at = |i: usize| r[i].clone();
        vec![at(1), at(0), at(5), at(2), at(7), at(8), password(&r[10]), at(11), config(cx, &r[0])]
    };
    all(cx).into_iter().filter(may_log_in).map(view).collect()
}

pub(super) fn users(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    Ok(logins(cx, |_| name("********")))
}

pub(super) fn shadow(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    superuser_only(cx, "pg_shadow")?;
    Ok(logins(cx, Datum::clone))
}

pub(super) fn groups(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let roles = own(cx);
    let members = |group: &Datum| {
        let Datum::Oid(group) = group else { return Datum::Null };
        oids(roles.iter().filter(|r| r.member_of.contains(group)).map(|r| r.oid))
    };
    let groups = all(cx).into_iter().filter(|r| matches!(r[6], Datum::Bool(false)));
    Ok(groups.map(|r| vec![r[1].clone(), r[0].clone(), members(&r[0])]).collect())
}

pub(super) fn members(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let row = |role: Oid, member: Oid| vec![oid(role), oid(member), oid(Oid::BOOTSTRAP_ROLE), flag(false)];
    // PostgreSQL's own: pg_monitor reads settings, statistics and tables' scans.
    let builtin = [Oid(3374), Oid(3375), Oid(3377)].map(|role| row(role, Oid(3373)));
    let own = own(cx);
    let granted = own.iter().flat_map(|r| r.member_of.iter().map(|role| row(*role, r.oid)));
    Ok(builtin.into_iter().chain(granted).collect())
}

pub(super) fn settings(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let row = |r: &RoleDescriptor| vec![oid(Oid::NONE), oid(r.oid), config(cx, &Datum::Oid(r.oid))];
    Ok(own(cx).into_iter().filter(|r| !r.settings.is_empty()).map(row).collect())
}
