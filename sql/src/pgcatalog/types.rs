//! `pg_type` and `pg_enum`.

use super::definition::INFORMATION_SCHEMA;
use super::value::{flag, letter, name, oid};
use super::{CatalogCx, Row, builtin, derived};
use crate::catalog::{Descriptor, TypeDefinition};
use crate::registry::Registry;
use crate::types::Datum;
use crate::{Oid, Result};

/// A type that is not built in.
struct Type<'a> {
    oid: Oid,
    name: &'a str,
    schema: Oid,
    owner: Oid,
    kind: Kind,
    relation: Oid,
    element: Oid,
    array: Oid,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Enum,
    Row,
    Array,
}

impl Type<'_> {
    fn row(&self) -> Row {
        let function =
            |name: &str| oid(Registry::get().procs_named(name).first().map_or(Oid::NONE, |p| p.oid));
        let (len, byval, kind, category, align, storage) = match self.kind {
            Kind::Enum => (4, true, 'e', 'E', 'i', 'p'),
            Kind::Row => (-1, false, 'c', 'C', 'd', 'x'),
            Kind::Array => (-1, false, 'b', 'A', if self.relation == Oid::NONE { 'i' } else { 'd' }, 'x'),
        };
        let family = match self.kind {
            Kind::Enum => "enum",
            Kind::Row => "record",
            Kind::Array => "array",
        };
        let array = self.kind == Kind::Array;
        vec![
            oid(self.oid),
            name(self.name),
            oid(self.schema),
            oid(self.owner),
            Datum::Int2(len),
            flag(byval),
            letter(kind),
            letter(category),
            flag(false),
            flag(true),
            letter(','),
            oid(if array { Oid::NONE } else { self.relation }),
            if array { function("array_subscript_handler") } else { oid(Oid::NONE) },
            oid(self.element),
            oid(self.array),
            function(&format!("{family}_in")),
            function(&format!("{family}_out")),
            function(&format!("{family}_recv")),
            function(&format!("{family}_send")),
            oid(Oid::NONE),
            oid(Oid::NONE),
            if array { function("array_typanalyze") } else { oid(Oid::NONE) },
            letter(align),
            letter(storage),
            flag(false),
            oid(Oid::NONE),
            Datum::Int4(-1),
            Datum::Int4(0),
            oid(Oid::NONE),
            Datum::Null,
            Datum::Null,
            Datum::Null,
        ]
    }
}

/// Every type, or the one of that OID.
pub(super) fn rows(cx: &CatalogCx<'_>, only: Oid) -> Result<Vec<Row>> {
    if only != Oid::NONE && only < Oid::FIRST_USER {
        return Ok(builtin::rows_of("pg_type", 0, only));
    }
    let mut rows = match only {
        Oid::NONE => builtin::rows("pg_type").to_vec(),
        _ => Vec::new(),
    };
    let mut objects: Vec<_> = cx.catalog.objects().collect();
    objects.sort_unstable_by_key(|d| d.oid());
    let mut add = |ty: Type<'_>| {
        if only == Oid::NONE || ty.oid == only {
            rows.push(ty.row());
        }
    };
    for descriptor in objects {
        let relation = |oid: Oid| (derived::row_type(oid), derived::row_array(oid));
        let (this, array, schema, owner, kind, table) = match &**descriptor {
            Descriptor::Type(t) => match t.definition {
                TypeDefinition::Enum { .. } => (t.oid, t.array_oid, t.schema, t.owner, Kind::Enum, Oid::NONE),
            },
            Descriptor::Table(t) => {
                let (row, array) = relation(t.oid);
                (row, array, t.schema, t.owner, Kind::Row, t.oid)
            }
            Descriptor::View(v) => {
                let (row, array) = relation(v.oid);
                (row, array, v.schema, v.owner, Kind::Row, v.oid)
            }
            _ => continue,
        };
        let own_name = descriptor.name();
        let one = Type {
            oid: this,
            name: own_name,
            schema,
            owner,
            kind,
            relation: table,
            element: Oid::NONE,
            array,
        };
        add(one);
        let array_name = format!("_{own_name}");
        add(Type {
            oid: array,
            name: &array_name,
            schema,
            owner,
            kind: Kind::Array,
            relation: table,
            element: this,
            array: Oid::NONE,
        });
    }
    Ok(rows)
}

/// `pg_enum`.
pub(super) fn labels(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let mut types: Vec<_> = cx
        .catalog
        .objects()
        .filter_map(|d| match &**d {
            Descriptor::Type(t) => Some(t),
            _ => None,
        })
        .collect();
    types.sort_unstable_by_key(|t| t.oid);
    let label = |ty: Oid, (at, label): (u32, &String)| {
        vec![oid(derived::member(ty, at)), oid(ty), Datum::Float4(at as f32), name(label)]
    };
    Ok(types
        .iter()
        .flat_map(|t| match &t.definition {
            TypeDefinition::Enum { labels } => (1..).zip(labels).map(move |l| label(t.oid, l)),
        })
        .collect())
}

/// A type's schema and catalog name, as `udt_schema` and `udt_name` show it.
pub(super) fn schema_and_name(names: &super::Names<'_>, ty: Oid) -> (String, String) {
    if let Some(row) = Registry::get().type_by_oid(ty) {
        let schema = if row.namespace == INFORMATION_SCHEMA { "information_schema" } else { "pg_catalog" };
        return (schema.to_owned(), row.name.to_owned());
    }
    match names.user_type(ty) {
        Some((schema, name)) => (names.schema(schema).unwrap_or_default().to_owned(), name),
        None => (String::new(), String::new()),
    }
}
