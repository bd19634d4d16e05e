//! `pg_class`.

use super::definition::{INFORMATION_SCHEMA, virtual_table_by_oid, virtual_tables};
use super::names::{builtin_index, builtin_indexes};
use super::value::{count, flag, letter, name, oid, texts};
use super::{CatalogCx, Names, Row, VirtualTable, derived, privilege};
use crate::catalog::{Descriptor, Persistence, TableDescriptor};
use crate::types::Datum;
use crate::{Oid, Result};

/// The table access method that PostgreSQL names `heap`: rows by key, whatever the engine.
const HEAP: Oid = Oid(2);
pub(super) const BTREE: Oid = Oid(403);
/// `pg_class` itself.
pub(super) const PG_CLASS: Oid = Oid(1259);

/// What differs between the kinds of relations.
struct Class<'a> {
    oid: Oid,
    name: &'a str,
    schema: Oid,
    row_type: Oid,
    owner: Oid,
    method: Oid,
    file: u64,
    has_index: bool,
    shared: bool,
    persistence: char,
    kind: char,
    columns: usize,
    checks: usize,
    /// Views have their rule.
    rules: bool,
    /// Foreign keys are triggers in PostgreSQL; psql shows none where this is false.
    triggers: bool,
    acl: Datum,
    options: Datum,
}

impl Class<'_> {
    fn row(self) -> Row {
        let is_table = self.kind == 'r' && self.oid >= Oid::FIRST_USER;
        vec![
            oid(self.oid),
            name(self.name),
            oid(self.schema),
            oid(self.row_type),
            oid(Oid::NONE),
            oid(self.owner),
            oid(self.method),
            oid(Oid(self.file as u32)),
            oid(if self.shared { Oid(1664) } else { Oid::NONE }),
            Datum::Int4(0),
            // Not known, as PostgreSQL has it before the first ANALYZE.
            Datum::Float4(-1.0),
            Datum::Int4(0),
            oid(Oid::NONE),
            flag(self.has_index),
            flag(self.shared),
            letter(self.persistence),
            letter(self.kind),
            count(self.columns),
            count(self.checks),
            flag(self.rules),
            flag(self.triggers),
            flag(false),
            flag(false),
            flag(false),
            flag(true),
            letter(if is_table { 'd' } else { 'n' }),
            flag(false),
            oid(Oid::NONE),
            oid(Oid::NONE),
            oid(Oid::NONE),
            self.acl,
            self.options,
            Datum::Null,
        ]
    }
}

/// All relations, or the one of that OID.
pub(super) fn rows(cx: &CatalogCx<'_>, only: Oid) -> Result<Vec<Row>> {
    let names = cx.names();
    if only != Oid::NONE {
        return Ok(one(&names, only).into_iter().collect());
    }
    let builtin = virtual_tables().iter().map(|table| table.oid);
    let indexes = builtin_indexes().iter().map(|index| index.oid);
    let mut own: Vec<Oid> = cx.catalog.objects().map(|d| d.oid()).collect();
    own.sort_unstable();
    Ok(builtin.chain(indexes).chain(own).filter_map(|relation| one(&names, relation)).collect())
}

fn one(names: &Names<'_>, relation: Oid) -> Option<Row> {
    if let Some(descriptor) = names.catalog.get(relation) {
        return own(names, descriptor).map(Class::row);
    }
    if let Some(table) = virtual_table_by_oid(relation) {
        return Some(builtin(table).row());
    }
    builtin_index(relation).map(|index| {
        let columns = super::builtin::rows_of("pg_index", 0, index.oid);
        let columns = columns.first().and_then(|row| row.get(2)).cloned();
        let columns = if let Some(Datum::Int2(n)) = columns { n as usize } else { 0 };
        let class = Class { method: BTREE, kind: 'i', columns, ..plain(index.oid, index.name, index.schema) };
        Class { shared: index.shared, ..class }.row()
    })
}

/// A relation with nothing but a name.
fn plain(oid: Oid, name: &str, schema: Oid) -> Class<'_> {
    Class {
        oid,
        name,
        schema,
        row_type: Oid::NONE,
        owner: Oid::BOOTSTRAP_ROLE,
        method: Oid::NONE,
        file: 0,
        has_index: false,
        shared: false,
        persistence: 'p',
        kind: 'r',
        columns: 0,
        checks: 0,
        rules: false,
        triggers: false,
        acl: Datum::Null,
        options: Datum::Null,
    }
}

/// Catalogs that only superusers may read.
pub(super) fn is_secret(table: &VirtualTable) -> bool {
    table.schema != INFORMATION_SCHEMA
        && matches!(
            table.name,
            "pg_authid"
                | "pg_shadow"
                | "pg_largeobject"
                | "pg_statistic"
                | "pg_statistic_ext_data"
                | "pg_user_mapping"
                | "pg_subscription"
                | "pg_hba_file_rules"
                | "pg_ident_file_mappings"
                | "pg_file_settings"
                | "pg_config"
                | "pg_backend_memory_contexts"
                | "pg_shmem_allocations"
                | "pg_replication_origin_status"
        )
}

fn builtin(table: &VirtualTable) -> Class<'_> {
    let grants: &[&str] = match is_secret(table) {
        true => &["postgres=arwdDxt/postgres"],
        false => &["postgres=arwdDxt/postgres", "=r/postgres"],
    };
    Class {
        row_type: table.row_type,
        method: if table.kind == 'r' { HEAP } else { Oid::NONE },
        has_index: table.has_index,
        shared: table.shared,
        kind: table.kind,
        columns: table.columns.len(),
        rules: table.kind == 'v',
        acl: Datum::array(Oid::ACLITEM, grants.iter().map(Datum::text).collect()),
        ..plain(table.oid, table.name, table.schema)
    }
}

fn own<'a>(names: &Names<'_>, descriptor: &'a Descriptor) -> Option<Class<'a>> {
    let catalog = names.catalog;
    Some(match descriptor {
        Descriptor::Table(t) => Class {
            row_type: derived::row_type(t.oid),
            owner: t.owner,
            method: HEAP,
            file: t.storage_id,
            has_index: catalog.indexes_of(t.oid).next().is_some(),
            persistence: match t.persistence {
                Persistence::Permanent => 'p',
                Persistence::Unlogged => 'u',
                Persistence::Temporary => 't',
            },
            columns: t.columns.len(),
            checks: t.checks.len(),
            triggers: !t.foreign_keys.is_empty() || catalog.referencing(t.oid).next().is_some(),
            acl: privilege::acl(names, t.acl.as_ref()),
            options: options(t),
            ..plain(t.oid, &t.name, t.schema)
        },
        Descriptor::Index(i) => Class {
            owner: catalog.table(i.table).map_or(Oid::BOOTSTRAP_ROLE, |t| t.owner),
            method: BTREE,
            file: u64::from(i.oid.0),
            kind: 'i',
            columns: i.columns.len() + i.include.len(),
            ..plain(i.oid, &i.name, i.schema)
        },
        Descriptor::Sequence(s) => Class {
            owner: s.owner,
            file: u64::from(s.oid.0),
            kind: 'S',
            columns: 3,
            acl: privilege::acl(names, s.acl.as_ref()),
            ..plain(s.oid, &s.name, s.schema)
        },
        Descriptor::View(v) => Class {
            row_type: derived::row_type(v.oid),
            owner: v.owner,
            kind: 'v',
            columns: v.columns.len(),
            rules: true,
            acl: privilege::acl(names, v.acl.as_ref()),
            ..plain(v.oid, &v.name, v.schema)
        },
        _ => return None,
    })
}

fn options(table: &TableDescriptor) -> Datum {
    match &table.options[..] {
        [] => Datum::Null,
        all => texts(all.iter().map(|(name, value)| format!("{name}={value}"))),
    }
}
