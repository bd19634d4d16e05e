//! `pg_attribute` and `pg_attrdef`.

use super::definition::{File, virtual_table_by_oid};
use super::expression::{Kind, node_tree};
use super::value::{flag, letter, name, no_letter, oid};
use super::{CatalogCx, Names, Row, derived};
use crate::catalog::{Column, Descriptor, Identity, IndexDescriptor};
use crate::registry::Registry;
use crate::types::{Datum, TypeLookup, TypeRef};
use crate::{Oid, Result};
use rustc_hash::FxHashMap;
use std::sync::OnceLock;

/// PostgreSQL's system columns: name, type, number.
const SYSTEM: [(&str, Oid, i16); 6] = [
    ("tableoid", Oid::OID, -6),
    ("cmax", Oid::CID, -5),
    ("xmax", Oid::XID, -4),
    ("cmin", Oid::CID, -3),
    ("xmin", Oid::XID, -2),
    ("ctid", Oid::TID, -1),
];

/// How values of a type are laid out: length, by value, alignment, storage.
pub(super) fn layout(names: &Names<'_>, ty: Oid) -> (i16, bool, char, char) {
    if let Some(row) = Registry::get().type_by_oid(ty) {
        return (row.len, row.byval, row.align, row.storage);
    }
    match names.catalog.get(ty).map(|d| &**d) {
        Some(Descriptor::Type(_)) => (4, true, 'i', 'p'),
        _ if names.array_element(ty).is_some() => (-1, false, 'i', 'x'),
        _ => (-1, false, 'd', 'x'),
    }
}

struct Attribute<'a> {
    relation: Oid,
    name: &'a str,
    ty: TypeRef,
    number: i16,
    not_null: bool,
    has_default: bool,
    identity: Option<Identity>,
    generated: bool,
    dropped: bool,
}

impl Attribute<'_> {
    fn row(&self, names: &Names<'_>) -> Row {
        let (len, byval, align, storage) = layout(names, self.ty.oid);
        let is_array = names.array_element(self.ty.oid).is_some()
            || Registry::get().array_element(self.ty.oid).is_some();
        vec![
            oid(self.relation),
            name(self.name),
            oid(if self.dropped { Oid::NONE } else { self.ty.oid }),
            Datum::Int4(if self.number < 0 || self.dropped { 0 } else { -1 }),
            Datum::Int2(len),
            Datum::Int2(self.number),
            Datum::Int4(i32::from(is_array && self.number > 0)),
            Datum::Int4(-1),
            Datum::Int4(self.ty.typmod),
            flag(byval),
            letter(align),
            letter(storage),
            no_letter(),
            flag(self.not_null),
            flag(self.has_default),
            flag(false),
            match self.identity {
                Some(Identity::Always) => letter('a'),
                Some(Identity::ByDefault) => letter('d'),
                None => no_letter(),
            },
            if self.generated { letter('s') } else { no_letter() },
            flag(self.dropped),
            flag(true),
            Datum::Int4(0),
            oid(self.ty.collation),
            Datum::Null,
            Datum::Null,
            Datum::Null,
            Datum::Null,
        ]
    }
}

/// The columns of all relations, or of one.
pub(super) fn rows(cx: &CatalogCx<'_>, only: Oid) -> Result<Vec<Row>> {
    let names = cx.names();
    let mut rows = Vec::new();
    if only != Oid::NONE {
        if let Some(descriptor) = cx.catalog.get(only) {
            own(&names, descriptor, &mut rows);
        } else {
            rows.extend(builtin().get(&only).into_iter().flatten().cloned());
        }
        return Ok(rows);
    }
    let mut relations: Vec<Oid> = builtin().keys().copied().collect();
    relations.sort_unstable();
    rows.extend(relations.iter().filter_map(|relation| builtin().get(relation)).flatten().cloned());
    let mut objects: Vec<_> = cx.catalog.objects().collect();
    objects.sort_unstable_by_key(|d| d.oid());
    for descriptor in objects {
        own(&names, descriptor, &mut rows);
    }
    Ok(rows)
}

fn own(names: &Names<'_>, descriptor: &Descriptor, rows: &mut Vec<Row>) {
    match descriptor {
        Descriptor::Table(t) => {
            system(names, t.oid, rows);
            rows.extend(t.columns.iter().map(|c| column(names, t.oid, c)));
        }
        Descriptor::View(v) => rows.extend(v.columns.iter().map(|c| column(names, v.oid, c))),
        Descriptor::Index(i) => index(names, i, rows),
        Descriptor::Sequence(s) => {
            system(names, s.oid, rows);
            let columns = [("last_value", Oid::INT8), ("log_cnt", Oid::INT8), ("is_called", Oid::BOOL)];
            for (at, (name, ty)) in (1..).zip(columns) {
                rows.push(plain(s.oid, name, TypeRef::of(ty), at, true).row(names));
            }
        }
        _ => {}
    }
}

fn plain(relation: Oid, name: &str, ty: TypeRef, number: i16, not_null: bool) -> Attribute<'_> {
    Attribute {
        relation,
        name,
        ty,
        number,
        not_null,
        has_default: false,
        identity: None,
        generated: false,
        dropped: false,
    }
}

fn system(names: &Names<'_>, relation: Oid, rows: &mut Vec<Row>) {
    for (name, ty, number) in SYSTEM {
        rows.push(plain(relation, name, TypeRef::of(ty), number, true).row(names));
    }
}

fn column(names: &Names<'_>, relation: Oid, c: &Column) -> Row {
    let dropped = format!("........pg.dropped.{}........", c.number);
    Attribute {
        relation,
        name: if c.dropped { &dropped } else { &c.name },
        ty: c.ty,
        number: c.number,
        not_null: c.not_null && !c.dropped,
        has_default: !c.dropped && (c.default.is_some() || c.generated.is_some()),
        identity: c.identity.filter(|_| !c.dropped),
        generated: c.generated.is_some() && !c.dropped,
        dropped: c.dropped,
    }
    .row(names)
}

fn index(names: &Names<'_>, index: &IndexDescriptor, rows: &mut Vec<Row>) {
    let Some(table) = names.catalog.table(index.table) else { return };
    let keys = index.columns.iter().map(|c| c.column);
    for (at, number) in (1..).zip(keys.chain(index.include.iter().copied())) {
        // An expression's column is named `expr`; its type is only known where it is bound.
        let (name, ty) = match table.column(number) {
            Some(column) => (column.name.as_str(), column.ty),
            None => ("expr", TypeRef::of(Oid::TEXT)),
        };
        rows.push(plain(index.oid, name, ty, at, false).row(names));
    }
}

/// The columns of the built-in relations, their indexes included.
fn builtin() -> &'static FxHashMap<Oid, Vec<Row>> {
    static ROWS: OnceLock<FxHashMap<Oid, Vec<Row>>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let mut all: FxHashMap<Oid, Vec<Row>> = FxHashMap::default();
        let file = File::open("pg_attribute");
        let number = |row: &_, column| file.text(row, column).parse::<i32>().unwrap_or(0);
        for row in file.rows() {
            let relation = file.oid(&row, "attrelid");
            let one = |column| letter(file.text(&row, column).chars().next().unwrap_or('\0'));
            let yes = |column| flag(file.text(&row, column) == "t");
            let attnum = number(&row, "attnum");
            all.entry(relation).or_default().push(vec![
                oid(relation),
                name(file.text(&row, "attname")),
                oid(file.oid(&row, "atttypid")),
                Datum::Int4(if attnum < 0 { 0 } else { -1 }),
                Datum::Int2(number(&row, "attlen") as i16),
                Datum::Int2(attnum as i16),
                Datum::Int4(number(&row, "attndims")),
                Datum::Int4(-1),
                Datum::Int4(number(&row, "atttypmod")),
                yes("attbyval"),
                one("attalign"),
                one("attstorage"),
                no_letter(),
                yes("attnotnull"),
                flag(false),
                flag(false),
                no_letter(),
                no_letter(),
                flag(false),
                flag(true),
                Datum::Int4(0),
                oid(file.oid(&row, "attcollation")),
                Datum::Null,
                Datum::Null,
                Datum::Null,
                Datum::Null,
            ]);
        }
        for row in super::builtin::rows("pg_index") {
            let (Some(Datum::Oid(index)), Some(Datum::Oid(table)), Some(Datum::Array(keys))) =
                (row.first(), row.get(1), row.get(15))
            else {
                continue;
            };
            let Some(table) = virtual_table_by_oid(*table) else { continue };
            let columns = all.get(&table.oid).cloned().unwrap_or_default();
            for (at, key) in (1..).zip(&keys.items) {
                let Datum::Int2(key) = key else { continue };
                let found = columns.iter().find(|c| matches!(c.get(5), Some(Datum::Int2(n)) if n == key));
                let Some(mut row) = found.cloned() else { continue };
                row[0] = oid(*index);
                row[5] = Datum::Int2(at);
                row[13] = flag(false);
                all.entry(*index).or_default().push(row);
            }
        }
        all
    })
}

/// `pg_attrdef`: the defaults and generation expressions of all tables, or of one.
pub(super) fn defaults(cx: &CatalogCx<'_>, only: Oid) -> Result<Vec<Row>> {
    let tables = cx.catalog.objects().filter_map(|d| match &**d {
        Descriptor::Table(t) if only == Oid::NONE || t.oid == only => Some(t),
        _ => None,
    });
    let mut tables: Vec<_> = tables.collect();
    tables.sort_unstable_by_key(|t| t.oid);
    let mut rows = Vec::new();
    for table in tables {
        for column in table.live_columns() {
            let text = column.default.as_ref().or(column.generated.as_ref());
            let Some(text) = text else { continue };
            rows.push(vec![
                oid(derived::member(table.oid, column.number as u32)),
                oid(table.oid),
                Datum::Int2(column.number),
                node_tree(Kind::Column(column.number), text),
            ]);
        }
    }
    Ok(rows)
}
