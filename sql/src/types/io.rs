//! Text and binary form of every type: the dispatch by type OID to the families' files.

use super::{ArrayValue, Datum, Numeric, TypeRef};
use super::{array, bytea, datetime, float, json, jsonb, record, scalar, text};
use crate::registry::Registry;
use crate::session::info::OutputFormat;
use crate::{Oid, Result, SqlError, SqlState};
use bytes::Bytes;
use std::sync::Arc;

/// What values need to know of types and objects that are defined at run time.
pub trait TypeLookup: Sync {
    /// The labels of an enum in order; `None` when the OID is no enum.
    fn enum_labels(&self, _ty: Oid) -> Option<&[String]> {
        None
    }

    /// The element type of a user-defined type's array type.
    fn array_element(&self, _ty: Oid) -> Option<Oid> {
        None
    }

    /// A user-defined type's name as `format_type` prints it.
    fn type_name(&self, _ty: Oid) -> Option<String> {
        None
    }

    /// The object that a name means to a `reg…` type's input; `None` leaves it to the built-in
    /// objects.
    fn reg_input(&self, _ty: Oid, _name: &str) -> Result<Option<Oid>> {
        Ok(None)
    }

    /// The name that a `reg…` type's output shows; `None` leaves it to the built-in objects.
    fn reg_output(&self, _ty: Oid, _value: Oid) -> Option<String> {
        None
    }
}

/// Knows the built-in types only.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltinTypes;

impl TypeLookup for BuiltinTypes {}

/// Reads and prints values: the settings, the run-time types and the current time.
#[derive(Clone, Copy)]
pub struct Io<'a> {
    pub fmt: &'a OutputFormat,
    pub lookup: &'a dyn TypeLookup,
    /// What `'now'` means, microseconds since 2000-01-01 UTC; `None`: the system clock.
    pub now: Option<i64>,
}

impl<'a> Io<'a> {
    pub fn new(fmt: &'a OutputFormat) -> Io<'a> {
        Io { fmt, lookup: &BuiltinTypes, now: None }
    }

    /// The element type of a true array type.
    pub fn array_element(&self, ty: Oid) -> Option<Oid> {
        Registry::get().array_element(ty).or_else(|| self.lookup.array_element(ty))
    }

    /// Reads a type's text form. A modifier is enforced as the type's input function does: a
    /// too long `varchar(n)` is an error.
    pub fn input(&self, ty: TypeRef, text: &str) -> Result<Datum> {
        let value = match ty.oid {
            Oid::BOOL => scalar::bool_in(text)?,
            Oid::INT2 => Datum::Int2(scalar::int_in(text, "smallint")?),
            Oid::INT4 => Datum::Int4(scalar::int_in(text, "integer")?),
            Oid::INT8 => Datum::Int8(scalar::int_in(text, "bigint")?),
            Oid::FLOAT4 => Datum::Float4(float::float4_in(text)?),
            Oid::FLOAT8 => Datum::Float8(float::float8_in(text)?),
            Oid::NUMERIC => Datum::Numeric(Numeric::parse(text)?),
            Oid::OID => Datum::Oid(scalar::oid_in(text, "oid")?),
            Oid::XID | Oid::CID => Datum::Oid(scalar::xid_in(text)),
            ty if scalar::is_reg(ty) => Datum::Oid(scalar::reg_in(self, ty, text)?),
            Oid::TEXT | Oid::VARCHAR | Oid::BPCHAR | Oid::UNKNOWN | Oid::CSTRING | Oid::REFCURSOR => {
                Datum::text(text)
            }
            Oid::NAME => text::name_in(text),
            Oid::CHAR => text::char_in(text),
            Oid::BYTEA => Datum::Bytes(bytea::input(text)?),
            Oid::UUID => Datum::Uuid(scalar::uuid_in(text)?),
            Oid::DATE => Datum::Date(datetime::date_in(self, text)?),
            Oid::TIME => Datum::Time(datetime::time_in(self, text)?),
            Oid::TIMETZ => Datum::TimeTz(datetime::timetz_in(self, text)?),
            Oid::TIMESTAMP => Datum::Timestamp(datetime::timestamp_in(self, text)?),
            Oid::TIMESTAMPTZ => Datum::Timestamp(datetime::timestamptz_in(self, text)?),
            Oid::INTERVAL => Datum::Interval(datetime::interval_in(text, ty.typmod, self.fmt)?),
            Oid::JSON => json::input(text)?,
            Oid::JSONB => Datum::Bytes(jsonb::from_text(text)?),
            Oid::VOID => Datum::text(""),
            Oid::OIDVECTOR => scalar::vector_in(text, Oid::OID)?,
            Oid::INT2VECTOR => scalar::vector_in(text, Oid::INT2)?,
            Oid::RECORD | Oid::RECORD_ARRAY => {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "input of anonymous composite types is not implemented",
                ));
            }
            other => return self.input_other(other, ty, text),
        };
        super::typmod::apply_typmod(ty, value, super::Coercion::Input)
    }

    fn input_other(&self, oid: Oid, ty: TypeRef, text: &str) -> Result<Datum> {
        if let Some(element) = self.array_element(oid) {
            return array::input(self, element, ty.typmod, text);
        }
        if let Some(labels) = self.lookup.enum_labels(oid) {
            if labels.iter().any(|label| label == text) {
                return Ok(Datum::text(text));
            }
            let name = self.type_name(oid);
            return Err(SqlError::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                format!("invalid input value for enum {name}: \"{text}\""),
            ));
        }
        let name = self.type_name(oid);
        if Registry::get().type_by_oid(oid).is_some_and(|row| row.category == 'P') {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("cannot accept a value of type {name}"),
            ));
        }
        Err(SqlError::not_built(format!("type {name}")))
    }

    /// The type's name as `format_type` prints it.
    pub fn type_name(&self, oid: Oid) -> String {
        if let Some(name) = self.lookup.type_name(oid) {
            return name;
        }
        super::typmod::format_type_be(oid)
    }

    /// Appends a value's text form; nothing for null.
    pub fn output(&self, ty: Oid, value: &Datum, out: &mut Vec<u8>) {
        match value {
            Datum::Null => {}
            Datum::Bool(value) => out.push(if *value { b't' } else { b'f' }),
            Datum::Int2(value) => scalar::int_out(i64::from(*value), out),
            Datum::Int4(value) => scalar::int_out(i64::from(*value), out),
            Datum::Int8(value) => scalar::int_out(*value, out),
            Datum::Float4(value) => float::float4_out(*value, self.fmt.extra_float_digits, out),
            Datum::Float8(value) => float::float8_out(*value, self.fmt.extra_float_digits, out),
            Datum::Oid(value) => scalar::oid_out(self, ty, *value, out),
            Datum::Numeric(value) => append(out, value),
            Datum::Text(value) => out.extend_from_slice(value.as_bytes()),
            Datum::Bytes(value) if ty == Oid::JSONB => jsonb::to_text(value, out),
            Datum::Bytes(value) => bytea::output(value, self.fmt.bytea_output, out),
            Datum::Date(value) => datetime::date_out(*value, self.fmt, out),
            Datum::Time(value) => datetime::time_out(*value, out),
            Datum::TimeTz(value) => datetime::timetz_out(*value, self.fmt, out),
            Datum::Timestamp(value) if ty == Oid::TIMESTAMPTZ => {
                datetime::timestamptz_out(*value, self.fmt, out);
            }
            Datum::Timestamp(value) => datetime::timestamp_out(*value, self.fmt, out),
            Datum::Interval(value) => datetime::interval_out(*value, self.fmt.interval_style, out),
            Datum::Uuid(value) => scalar::uuid_out(value, out),
            Datum::Array(value) => self.array_out(ty, value, out),
            Datum::Record(fields) => record::output(self, fields, out),
        }
    }

    fn array_out(&self, ty: Oid, value: &ArrayValue, out: &mut Vec<u8>) {
        if matches!(ty, Oid::OIDVECTOR | Oid::INT2VECTOR) {
            for (at, item) in value.items.iter().enumerate() {
                if at > 0 {
                    out.push(b' ');
                }
                self.output(value.element, item, out);
            }
        } else {
            array::output(self, value, out);
        }
    }

    /// A value's text form; `None` for null.
    pub fn to_text(&self, ty: Oid, value: &Datum) -> Option<String> {
        if value.is_null() {
            return None;
        }
        let mut out = Vec::new();
        self.output(ty, value, &mut out);
        Some(String::from_utf8_lossy(&out).into_owned())
    }

    /// Reads a type's binary form.
    pub fn recv(&self, ty: TypeRef, bytes: &[u8]) -> Result<Datum> {
        let value = match ty.oid {
            Oid::BOOL => Datum::Bool(fixed::<1>(bytes)?[0] != 0),
            Oid::INT2 => Datum::Int2(i16::from_be_bytes(fixed(bytes)?)),
            Oid::INT4 => Datum::Int4(i32::from_be_bytes(fixed(bytes)?)),
            Oid::INT8 => Datum::Int8(i64::from_be_bytes(fixed(bytes)?)),
            Oid::FLOAT4 => Datum::Float4(f32::from_be_bytes(fixed(bytes)?)),
            Oid::FLOAT8 => Datum::Float8(f64::from_be_bytes(fixed(bytes)?)),
            Oid::NUMERIC => Datum::Numeric(Numeric::recv(bytes)?),
            Oid::OID | Oid::XID | Oid::CID => Datum::Oid(Oid(u32::from_be_bytes(fixed(bytes)?))),
            ty if scalar::is_reg(ty) => Datum::Oid(Oid(u32::from_be_bytes(fixed(bytes)?))),
            Oid::TEXT | Oid::VARCHAR | Oid::BPCHAR | Oid::UNKNOWN | Oid::CSTRING | Oid::REFCURSOR => {
                Datum::text(text::check_utf8(bytes)?)
            }
            Oid::NAME => text::name_recv(text::check_utf8(bytes)?)?,
            Oid::CHAR => text::char_recv(fixed::<1>(bytes)?[0]),
            Oid::BYTEA => Datum::Bytes(Bytes::copy_from_slice(bytes)),
            Oid::UUID => Datum::Uuid(fixed(bytes)?),
            Oid::DATE => Datum::Date(datetime::date_recv(i32::from_be_bytes(fixed(bytes)?))?),
            Oid::TIME => Datum::Time(datetime::time_recv(i64::from_be_bytes(fixed(bytes)?))?),
            Oid::TIMETZ => Datum::TimeTz(datetime::timetz_recv(fixed(bytes)?)?),
            Oid::TIMESTAMP | Oid::TIMESTAMPTZ => {
                Datum::Timestamp(datetime::timestamp_recv(i64::from_be_bytes(fixed(bytes)?))?)
            }
            Oid::INTERVAL => Datum::Interval(datetime::interval_recv(fixed(bytes)?)),
            Oid::JSON => json::input(text::check_utf8(bytes)?)?,
            Oid::JSONB => Datum::Bytes(jsonb::recv(bytes)?),
            Oid::VOID => Datum::text(""),
            Oid::OIDVECTOR => array::recv(self, Oid::OID, bytes)?,
            Oid::INT2VECTOR => array::recv(self, Oid::INT2, bytes)?,
            other => match self.array_element(other) {
                Some(element) => array::recv(self, element, bytes)?,
                None if self.lookup.enum_labels(other).is_some() => {
                    return self.input(ty, text::check_utf8(bytes)?);
                }
                None => {
                    let name = self.type_name(other);
                    return Err(SqlError::not_built(format!("binary input of type {name}")));
                }
            },
        };
        super::typmod::apply_typmod(ty, value, super::Coercion::Input)
    }

    /// Appends a value's binary form; nothing for null.
    pub fn send(&self, ty: Oid, value: &Datum, out: &mut Vec<u8>) {
        match value {
            Datum::Null => {}
            Datum::Bool(value) => out.push(u8::from(*value)),
            Datum::Int2(value) => out.extend_from_slice(&value.to_be_bytes()),
            Datum::Int4(value) => out.extend_from_slice(&value.to_be_bytes()),
            Datum::Int8(value) => out.extend_from_slice(&value.to_be_bytes()),
            Datum::Float4(value) => out.extend_from_slice(&value.to_be_bytes()),
            Datum::Float8(value) => out.extend_from_slice(&value.to_be_bytes()),
            Datum::Oid(value) => out.extend_from_slice(&value.0.to_be_bytes()),
            Datum::Numeric(value) => value.send(out),
            Datum::Text(value) if ty == Oid::CHAR => out.push(text::char_byte(value)),
            Datum::Text(value) => out.extend_from_slice(value.as_bytes()),
            Datum::Bytes(value) if ty == Oid::JSONB => {
                out.push(1);
                jsonb::to_text(value, out);
            }
            Datum::Bytes(value) => out.extend_from_slice(value),
            Datum::Date(value) => out.extend_from_slice(&value.to_be_bytes()),
            Datum::Time(value) | Datum::Timestamp(value) => out.extend_from_slice(&value.to_be_bytes()),
            Datum::TimeTz(value) => {
                out.extend_from_slice(&value.micros.to_be_bytes());
                out.extend_from_slice(&value.zone.to_be_bytes());
            }
            Datum::Interval(value) => {
                out.extend_from_slice(&value.micros.to_be_bytes());
                out.extend_from_slice(&value.days.to_be_bytes());
                out.extend_from_slice(&value.months.to_be_bytes());
            }
            Datum::Uuid(value) => out.extend_from_slice(value),
            Datum::Array(value) => array::send(self, value, out),
            Datum::Record(fields) => record::send(self, fields, out),
        }
    }

    /// Carries a value over to a binary-coercible type: the same bits, the other type's variant.
    pub fn relabel(&self, to: Oid, value: Datum) -> Datum {
        relabel(to, value)
    }
}

/// Carries a value over to a binary-coercible type: the same bits, the other type's variant.
pub fn relabel(to: Oid, value: Datum) -> Datum {
    match value {
        Datum::Int4(v) if to == Oid::OID || scalar::is_reg(to) => Datum::Oid(Oid(v as u32)),
        Datum::Oid(v) if to == Oid::INT4 => Datum::Int4(v.0 as i32),
        Datum::Array(array) => {
            let element = match to {
                Oid::OIDVECTOR => Some(Oid::OID),
                Oid::INT2VECTOR => Some(Oid::INT2),
                to => Registry::get().array_element(to),
            };
            match element {
                Some(element) if element != array.element => Datum::Array(Arc::new(ArrayValue {
                    element,
                    dims: array.dims.clone(),
                    items: array.items.iter().map(|item| relabel(element, item.clone())).collect(),
                })),
                _ => Datum::Array(array),
            }
        }
        other => other,
    }
}

/// Exactly N bytes of a binary value.
pub(crate) fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| {
        if bytes.len() < N {
            SqlError::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message")
        } else {
            SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, "incorrect binary data format")
        }
    })
}

/// 22P02 with PostgreSQL's usual message.
pub(crate) fn invalid_syntax(ty: &str, text: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("invalid input syntax for type {ty}: \"{text}\""),
    )
}

/// 22003 for a number's text.
pub(crate) fn out_of_range(ty: &str, text: &str) -> SqlError {
    SqlError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("value \"{text}\" is out of range for type {ty}"),
    )
}

/// C's isspace().
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

pub(crate) fn append(out: &mut Vec<u8>, value: &dyn std::fmt::Display) {
    use std::io::Write;
    write!(out, "{value}").expect("a Vec takes every write");
}
