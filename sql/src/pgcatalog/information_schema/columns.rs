//! `information_schema.columns`.

use super::{all_tables, database, own_views, sees};
use crate::catalog::{Column, Identity, TableDescriptor};
use crate::pgcatalog::definition::virtual_tables;
use crate::pgcatalog::expression::{self, Kind, Style};
use crate::pgcatalog::privilege::ObjectKind;
use crate::pgcatalog::relation::is_secret;
use crate::pgcatalog::value::{name, optional, yes};
use crate::pgcatalog::{CatalogCx, Row, sequence, types};
use crate::registry::Registry;
use crate::types::{Datum, TypeLookup, TypeRef, format_type};
use crate::{Oid, Result};

/// Bytes that a character may take.
const BYTES_A_CHARACTER: i32 = 4;
/// The longest text in bytes.
const LONGEST: i32 = 1 << 30;
/// Digits after the second's point.
const MICROSECONDS: i32 = 6;

struct Shown<'a> {
    schema: Datum,
    table: &'a str,
    column: &'a str,
    number: i16,
    ty: TypeRef,
    /// The type as declared; differs from `ty` for a domain.
    declared: Oid,
    not_null: bool,
    default: Datum,
    identity: Option<(Identity, [Datum; 4], bool)>,
    generated: Datum,
    updatable: bool,
}

/// Bits of an integer or floating-point type.
pub(super) fn bits(ty: Oid) -> Option<i32> {
    match ty {
        Oid::INT2 => Some(16),
        Oid::INT4 => Some(32),
        Oid::INT8 => Some(64),
        Oid::FLOAT4 => Some(24),
        Oid::FLOAT8 => Some(53),
        _ => None,
    }
}

fn number(value: Option<i32>) -> Datum {
    value.map_or(Datum::Null, Datum::Int4)
}

/// Length in characters and in bytes.
fn lengths(ty: TypeRef) -> (Option<i32>, Option<i32>) {
    match ty.oid {
        Oid::VARCHAR | Oid::BPCHAR if ty.typmod > 0 => {
            let characters = ty.typmod - 4;
            (Some(characters), Some(characters.saturating_mul(BYTES_A_CHARACTER)))
        }
        Oid::BIT | Oid::VARBIT if ty.typmod > 0 => (Some(ty.typmod), None),
        Oid::TEXT | Oid::VARCHAR | Oid::BPCHAR => (None, Some(LONGEST)),
        _ => (None, None),
    }
}

/// Precision, its radix, and scale.
fn numeric(ty: TypeRef) -> (Option<i32>, Option<i32>, Option<i32>) {
    match ty.oid {
        Oid::NUMERIC if ty.typmod > 0 => {
            let (precision, scale) = crate::types::typmod::numeric_parts(ty.typmod);
            (Some(precision), Some(10), Some(scale))
        }
        Oid::NUMERIC => (None, Some(10), None),
        Oid::INT2 | Oid::INT4 | Oid::INT8 => (bits(ty.oid), Some(2), Some(0)),
        Oid::FLOAT4 | Oid::FLOAT8 => (bits(ty.oid), Some(2), None),
        _ => (None, None, None),
    }
}

fn datetime(ty: TypeRef) -> Option<i32> {
    match ty.oid {
        Oid::DATE => Some(0),
        Oid::TIME | Oid::TIMETZ | Oid::TIMESTAMP | Oid::TIMESTAMPTZ if ty.typmod >= 0 => Some(ty.typmod),
        Oid::INTERVAL if ty.typmod >= 0 && ty.typmod & 0xffff != 0xffff => Some(ty.typmod & 0xffff),
        Oid::TIME | Oid::TIMETZ | Oid::TIMESTAMP | Oid::TIMESTAMPTZ | Oid::INTERVAL => Some(MICROSECONDS),
        _ => None,
    }
}

/// `YEAR TO MONTH` of an interval declared with fields.
fn interval_fields(ty: TypeRef) -> Option<String> {
    let shown = (ty.oid == Oid::INTERVAL && ty.typmod >= 0).then(|| format_type(ty.oid, ty.typmod))?;
    let fields = shown.strip_prefix("interval ")?.split('(').next()?.trim().to_uppercase();
    (!fields.is_empty()).then_some(fields)
}

impl Shown<'_> {
    fn row(self, cx: &CatalogCx<'_>) -> Row {
        let names = cx.names();
        let null = || Datum::Null;
        let builtin = Registry::get().type_by_oid(self.ty.oid);
        let is_array = Registry::get().array_element(self.ty.oid).is_some()
            || names.array_element(self.ty.oid).is_some();
        let data_type = match builtin {
            _ if is_array => "ARRAY".to_owned(),
            Some(_) => format_type_without_length(self.ty.oid),
            None => "USER-DEFINED".to_owned(),
        };
        let (characters, octets) = lengths(self.ty);
        let (precision, radix, scale) = numeric(self.ty);
        let collated = self.ty.collation == Oid::C_COLLATION;
        let collation = |text: Datum| if collated { text } else { Datum::Null };
        let domain = (self.declared != self.ty.oid).then(|| types::schema_and_name(&names, self.declared));
        let (udt_schema, udt_name) = types::schema_and_name(&names, self.ty.oid);
        let identity = self.identity;
        let identity_word = identity.as_ref().map(|(kind, ..)| match kind {
            Identity::Always => "ALWAYS",
            Identity::ByDefault => "BY DEFAULT",
        });
        let is_identity = identity.is_some();
        let ([start, increment, maximum, minimum], cycle) = match identity {
            Some((_, numbers, cycle)) => (numbers, cycle),
            None => ([null(), null(), null(), null()], false),
        };
        let is_generated = !self.generated.is_null();
        vec![
            database(cx),
            self.schema,
            name(self.table),
            name(self.column),
            Datum::Int4(i32::from(self.number)),
            self.default,
            yes(!self.not_null),
            name(data_type),
            number(characters),
            number(octets),
            number(precision),
            number(radix),
            number(scale),
            number(datetime(self.ty)),
            optional(interval_fields(self.ty)),
            null(),
            null(),
            null(),
            null(),
            collation(database(cx)),
            collation(name("pg_catalog")),
            collation(name("C")),
            if domain.is_some() { database(cx) } else { null() },
            optional(domain.as_ref().map(|(schema, _)| schema)),
            optional(domain.as_ref().map(|(_, name)| name)),
            database(cx),
            name(udt_schema),
            name(udt_name),
            null(),
            null(),
            null(),
            null(),
            name(self.number.to_string()),
            yes(false),
            yes(is_identity),
            optional(identity_word),
            start,
            increment,
            maximum,
            minimum,
            yes(cycle),
            name(if is_generated { "ALWAYS" } else { "NEVER" }),
            self.generated,
            yes(self.updatable),
        ]
    }
}

/// `format_type(oid, null)`: `character`, where a modifier of -1 would say `bpchar`.
fn format_type_without_length(ty: Oid) -> String {
    crate::types::format_type_be(ty)
}

pub(in crate::pgcatalog) fn columns(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let names = cx.names();
    let mut rows = Vec::new();
    for table in virtual_tables().iter().filter(|t| cx.session.superuser || !is_secret(t)) {
        for column in &table.columns {
            let shown = Shown {
                schema: name(table.schema_name()),
                table: table.name,
                column: column.name,
                number: column.number,
                ty: column.ty,
                declared: column.declared,
                not_null: column.not_null,
                default: Datum::Null,
                identity: None,
                generated: Datum::Null,
                updatable: table.kind == 'r',
            };
            rows.push(shown.row(cx));
        }
    }
    let wanted = "SELECT, INSERT, UPDATE, REFERENCES";
    for table in all_tables(cx) {
        if sees(cx, ObjectKind::Table, table.owner, table.acl.as_ref(), wanted) {
            rows.extend(table.live_columns().map(|c| of_table(cx, table, c).row(cx)));
        }
    }
    for view in own_views(cx) {
        if sees(cx, ObjectKind::Table, view.owner, view.acl.as_ref(), wanted) {
            let schema = optional(names.schema(view.schema));
            rows.extend(view.columns.iter().map(|c| plain(schema.clone(), &view.name, c, false).row(cx)));
        }
    }
    Ok(rows)
}

fn plain<'a>(schema: Datum, table: &'a str, column: &'a Column, updatable: bool) -> Shown<'a> {
    Shown {
        schema,
        table,
        column: &column.name,
        number: column.number,
        ty: column.ty,
        declared: column.ty.oid,
        not_null: column.not_null,
        default: Datum::Null,
        identity: None,
        generated: Datum::Null,
        updatable,
    }
}

fn of_table<'a>(cx: &CatalogCx<'_>, table: &'a TableDescriptor, column: &'a Column) -> Shown<'a> {
    let names = cx.names();
    let text = |text: &String| {
        name(expression::shown(&names, table, Kind::Column(column.number), text, Style::Plain))
    };
    let identity = column.identity.map(|kind| {
        let own = |s: &&crate::catalog::SequenceDescriptor| s.owned_by == Some((table.oid, column.number));
        let sequence = sequence::all(cx).into_iter().find(own);
        let part = |value: fn(&crate::catalog::SequenceDescriptor) -> i64| {
            sequence.map_or(Datum::Null, |s| name(value(s).to_string()))
        };
        let numbers = [part(|s| s.start), part(|s| s.increment), part(|s| s.max), part(|s| s.min)];
        (kind, numbers, sequence.is_some_and(|s| s.cycle))
    });
    Shown {
        default: column.default.as_ref().map_or(Datum::Null, text),
        identity,
        generated: column.generated.as_ref().map_or(Datum::Null, text),
        ..plain(optional(names.schema(table.schema)), &table.name, column, true)
    }
}
