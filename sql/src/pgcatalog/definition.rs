//! The relations of `pg_catalog` and `information_schema` with PostgreSQL 15's OIDs and columns.

use super::source::{self, Source};
use super::{CatalogCx, Row};
use crate::registry::{Registry, table};
use crate::types::{Datum, TypeRef};
use crate::{Oid, Result};
use rustc_hash::FxHashMap;
use std::sync::OnceLock;

/// The schema `information_schema` as initdb numbers it.
pub(super) const INFORMATION_SCHEMA: Oid = Oid(13_207);

/// A column of a virtual table.
#[derive(Clone, Copy, Debug)]
pub struct VirtualColumn {
    pub name: &'static str,
    /// What expressions over it see: the base type of a domain, with its modifier.
    pub ty: TypeRef,
    /// The type that `pg_attribute` shows.
    pub declared: Oid,
    /// From 1.
    pub number: i16,
    pub not_null: bool,
}

/// A relation whose rows are computed.
#[derive(Debug)]
pub struct VirtualTable {
    pub oid: Oid,
    pub schema: Oid,
    pub name: &'static str,
    /// `r` or `v`, as PostgreSQL has it.
    pub kind: char,
    pub shared: bool,
    pub row_type: Oid,
    pub has_index: bool,
    pub columns: Vec<VirtualColumn>,
    source: Source,
}

impl VirtualTable {
    /// All rows; 0A000 for a relation whose contents are not built yet.
    pub fn rows(&self, cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
        source::rows(self, self.source, cx)
    }

    /// The rows whose column `column` (from 1, of an OID type) is `oid`.
    pub fn rows_where_oid(&self, cx: &CatalogCx<'_>, column: i16, oid: Oid) -> Result<Vec<Row>> {
        let at = usize::try_from(column - 1).unwrap_or(usize::MAX);
        let mut rows = source::rows_of(self, self.source, cx, at, oid)?;
        rows.retain(|row| matches!(row.get(at), Some(Datum::Oid(found)) if *found == oid));
        Ok(rows)
    }

    /// The position of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The schema's name.
    pub fn schema_name(&self) -> &'static str {
        if self.schema == Oid::PG_CATALOG { "pg_catalog" } else { "information_schema" }
    }
}

struct Definitions {
    tables: Vec<VirtualTable>,
    by_oid: FxHashMap<Oid, usize>,
    by_name: FxHashMap<(&'static str, &'static str), usize>,
}

fn definitions() -> &'static Definitions {
    static DEFINITIONS: OnceLock<Definitions> = OnceLock::new();
    DEFINITIONS.get_or_init(|| {
        let tables = read();
        let by_oid = tables.iter().enumerate().map(|(at, t)| (t.oid, at)).collect();
        let by_name = tables.iter().enumerate().map(|(at, t)| ((t.schema_name(), t.name), at)).collect();
        Definitions { tables, by_oid, by_name }
    })
}

/// A relation of `pg_catalog` or `information_schema` by name.
pub fn virtual_table(schema: &str, name: &str) -> Option<&'static VirtualTable> {
    let all = definitions();
    // The map's keys live for ever, a caller's strings need not.
    let found = all.by_name.get(&(schema, name) as &(&str, &str));
    found.map(|at| &all.tables[*at])
}

/// A relation of `pg_catalog` or `information_schema` by OID.
pub fn virtual_table_by_oid(oid: Oid) -> Option<&'static VirtualTable> {
    let all = definitions();
    all.by_oid.get(&oid).map(|at| &all.tables[*at])
}

/// All of them, by OID.
pub fn virtual_tables() -> &'static [VirtualTable] {
    &definitions().tables
}

/// Reads fields of a compiled-in file by column name.
pub(super) struct File {
    table: table::Table,
}

impl File {
    pub(super) fn open(name: &str) -> File {
        File { table: table::catalog(name).expect("the registry holds this catalog") }
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = table::Row> {
        self.table.rows()
    }

    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.table.column(name)
    }

    pub(super) fn text(&self, row: &table::Row, column: &str) -> &'static str {
        let field = self.column(column).and_then(|at| row.get(at));
        match field {
            Some(std::borrow::Cow::Borrowed(text)) => text,
            Some(std::borrow::Cow::Owned(text)) => text.leak(),
            None => "",
        }
    }

    pub(super) fn oid(&self, row: &table::Row, column: &str) -> Oid {
        Oid(self.text(row, column).parse().unwrap_or_default())
    }
}

fn read() -> Vec<VirtualTable> {
    let mut columns = columns();
    let classes = File::open("pg_class");
    let relations = classes.rows().filter(|row| classes.text(row, "relkind") != "i");
    relations
        .map(|row| {
            let (oid, schema) = (classes.oid(&row, "oid"), classes.oid(&row, "relnamespace"));
            let name = classes.text(&row, "relname");
            VirtualTable {
                oid,
                schema,
                name,
                kind: classes.text(&row, "relkind").chars().next().unwrap_or('r'),
                shared: classes.text(&row, "relisshared") == "t",
                row_type: classes.oid(&row, "reltype"),
                has_index: classes.text(&row, "relhasindex") == "t",
                columns: columns.remove(&oid).unwrap_or_default(),
                source: source::of(schema == Oid::PG_CATALOG, name),
            }
        })
        .collect()
}

fn columns() -> FxHashMap<Oid, Vec<VirtualColumn>> {
    let attributes = File::open("pg_attribute");
    let mut columns: FxHashMap<Oid, Vec<VirtualColumn>> = FxHashMap::default();
    for row in attributes.rows() {
        let number = attributes.text(&row, "attnum").parse().unwrap_or(0);
        if number < 1 {
            continue;
        }
        let declared = attributes.oid(&row, "atttypid");
        let domain = Registry::get().type_by_oid(declared).filter(|ty| ty.base != Oid::NONE);
        let (base, typmod) = domain.map_or((declared, -1), |ty| (ty.base, ty.typmod));
        let collation = attributes.oid(&row, "attcollation");
        columns.entry(attributes.oid(&row, "attrelid")).or_default().push(VirtualColumn {
            name: attributes.text(&row, "attname"),
            ty: TypeRef { oid: base, typmod, collation },
            declared,
            number,
            not_null: attributes.text(&row, "attnotnull") == "t",
        });
    }
    columns
}
