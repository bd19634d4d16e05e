//! PostgreSQL's types on the store's physical kinds: one row of the table below a type.
//!
//! | type | row1 | key | key gives the value back |
//! |---|---|---|---|
//! | bool, int2/4/8, oid and reg*, date, time, timestamp(tz), uuid | fixed | same | yes |
//! | float4/8 | fixed | F32, F64 | no (-0) |
//! | text, varchar, name | bytes | Text | yes |
//! | bpchar | bytes | Text, without trailing blanks | no |
//! | bytea | bytes | Bytes | yes |
//! | numeric | bytes (binary form) | Numeric | no (scale) |
//! | interval | Fixed16 | Interval | no ('1 mon' = '30 days') |
//! | timetz | bytes (binary form) | TimeTz | no |
//! | everything else | bytes (binary form) | none | - |

use crate::types::{self, Datum, Interval, Numeric, NumericSign, TypeRef};
use crate::{Oid, Result, SqlError};
use std::borrow::Cow;
use storage::key::{ColumnOrder, DecimalClass, DecimalParts, KeyDatum, KeyKind, KeyWriter};
use storage::row::{PhysKind, RowReader, RowWriter};

/// Microseconds of a day and of the 30-day month that interval ordering counts with.
const DAY: i128 = 86_400_000_000;
const MONTH: i128 = 30 * DAY;

/// The physical kind of a type's column in a row.
pub(super) fn phys_kind(ty: Oid) -> PhysKind {
    match ty {
        Oid::BOOL => PhysKind::Bool,
        Oid::INT2 => PhysKind::I16,
        Oid::INT4 | Oid::DATE => PhysKind::I32,
        Oid::INT8 | Oid::TIME | Oid::TIMESTAMP | Oid::TIMESTAMPTZ => PhysKind::I64,
        Oid::FLOAT4 => PhysKind::F32,
        Oid::FLOAT8 => PhysKind::F64,
        oid if is_oid_like(oid) => PhysKind::U32,
        Oid::UUID => PhysKind::Uuid,
        Oid::INTERVAL => PhysKind::Fixed16,
        _ => PhysKind::Bytes,
    }
}

/// Whether values of the type can be stored at all.
pub fn storable(ty: Oid) -> bool {
    !matches!(
        ty,
        Oid::UNKNOWN | Oid::VOID | Oid::RECORD | Oid::ANY | Oid::ANYELEMENT | Oid::CSTRING | Oid::TRIGGER
    )
}

/// The physical kind of a type's column in a key; `None`: the type has no key form yet.
pub fn key_kind(ty: Oid) -> Option<KeyKind> {
    Some(match ty {
        Oid::BOOL => KeyKind::Bool,
        Oid::INT2 => KeyKind::I16,
        Oid::INT4 | Oid::DATE => KeyKind::I32,
        Oid::INT8 | Oid::TIME | Oid::TIMESTAMP | Oid::TIMESTAMPTZ => KeyKind::I64,
        Oid::FLOAT4 => KeyKind::F32,
        Oid::FLOAT8 => KeyKind::F64,
        oid if is_oid_like(oid) => KeyKind::U32,
        Oid::TEXT | Oid::VARCHAR | Oid::NAME | Oid::BPCHAR | Oid::CHAR => KeyKind::Text,
        Oid::BYTEA => KeyKind::Bytes,
        Oid::UUID => KeyKind::Uuid,
        Oid::NUMERIC => KeyKind::Numeric,
        Oid::INTERVAL => KeyKind::Interval,
        Oid::TIMETZ => KeyKind::TimeTz,
        _ => return None,
    })
}

/// Whether the key form of a type gives the exact value back.
pub(super) fn key_round_trips(ty: Oid) -> bool {
    !matches!(
        ty,
        Oid::FLOAT4 | Oid::FLOAT8 | Oid::BPCHAR | Oid::NUMERIC | Oid::INTERVAL | Oid::TIMETZ | Oid::CHAR
    )
}

pub(crate) fn is_oid_like(ty: Oid) -> bool {
    matches!(
        ty,
        Oid::OID
            | Oid::XID
            | Oid::CID
            | Oid::REGPROC
            | Oid::REGPROCEDURE
            | Oid::REGOPER
            | Oid::REGOPERATOR
            | Oid::REGCLASS
            | Oid::REGTYPE
            | Oid::REGNAMESPACE
            | Oid::REGROLE
    )
}

/// Appends a value to a key.
pub fn push_key(out: &mut KeyWriter, value: &Datum, ty: Oid, order: ColumnOrder) -> Result<()> {
    match value {
        Datum::Null => out.push_null(order),
        Datum::Bool(v) => out.push_bool(*v, order),
        Datum::Int2(v) => out.push_i16(*v, order),
        Datum::Int4(v) | Datum::Date(v) => out.push_i32(*v, order),
        Datum::Int8(v) | Datum::Time(v) | Datum::Timestamp(v) => out.push_i64(*v, order),
        Datum::Float4(v) => out.push_f32(*v, order),
        Datum::Float8(v) => out.push_f64(*v, order),
        Datum::Oid(v) => out.push_u32(v.0, order),
        Datum::Uuid(v) => out.push_uuid(*v, order),
        Datum::Text(v) if ty == Oid::BPCHAR => out.push_text(v.trim_end_matches(' '), order)?,
        Datum::Text(v) => out.push_text(v, order)?,
        Datum::Bytes(v) => out.push_bytes(v, order),
        Datum::Numeric(v) => out.push_numeric(&decimal_parts(v)?, order)?,
        Datum::Interval(v) => out.push_interval(interval_micros(*v), order),
        Datum::TimeTz(v) => out.push_timetz(v.micros + i64::from(v.zone) * 1_000_000, v.zone, order),
        Datum::Array(_) | Datum::Record(_) => {
            return Err(SqlError::not_built(format!("a key column of type {}", types::format_type(ty, -1))));
        }
    }
    Ok(())
}

fn interval_micros(v: Interval) -> i128 {
    i128::from(v.months) * MONTH + i128::from(v.days) * DAY + i128::from(v.micros)
}

fn decimal_parts(v: &Numeric) -> Result<DecimalParts<'_>> {
    let class = match v.sign {
        NumericSign::NaN => DecimalClass::NaN,
        NumericSign::Infinity => DecimalClass::Infinity,
        NumericSign::NegInfinity => DecimalClass::NegInfinity,
        NumericSign::Positive | NumericSign::Negative if v.digits.is_empty() => DecimalClass::Zero,
        NumericSign::Positive => DecimalClass::Positive,
        NumericSign::Negative => DecimalClass::Negative,
    };
    let weight = i16::try_from(v.weight).map_err(|_| SqlError::internal("numeric weight out of range"))?;
    Ok(DecimalParts { class, weight, digits: Cow::Borrowed(&v.digits[..]) })
}

/// The value of a key column whose key form round-trips.
pub(super) fn from_key(value: KeyDatum<'_>, ty: Oid) -> Result<Datum> {
    Ok(match (value, ty) {
        (KeyDatum::Null, _) => Datum::Null,
        (KeyDatum::Bool(v), _) => Datum::Bool(v),
        (KeyDatum::I16(v), _) => Datum::Int2(v),
        (KeyDatum::I32(v), Oid::DATE) => Datum::Date(v),
        (KeyDatum::I32(v), _) => Datum::Int4(v),
        (KeyDatum::I64(v), Oid::TIME) => Datum::Time(v),
        (KeyDatum::I64(v), Oid::TIMESTAMP | Oid::TIMESTAMPTZ) => Datum::Timestamp(v),
        (KeyDatum::I64(v), _) => Datum::Int8(v),
        (KeyDatum::U32(v), _) => Datum::Oid(Oid(v)),
        (KeyDatum::Uuid(v), _) => Datum::Uuid(v),
        (KeyDatum::Text(v), _) => Datum::text(v),
        (KeyDatum::Bytes(v), _) => Datum::Bytes(bytes::Bytes::copy_from_slice(&v)),
        (other, _) => {
            return Err(SqlError::internal(format!("key column {other:?} does not give its value back")));
        }
    })
}

/// A value that stands for a key column in messages: exact but for scale, blanks and the like.
pub(super) fn any_from_key(value: KeyDatum<'_>, ty: Oid) -> Result<Datum> {
    Ok(match value {
        KeyDatum::F32(v) => Datum::Float4(v),
        KeyDatum::F64(v) => Datum::Float8(v),
        KeyDatum::Interval(v) => Datum::Interval(Interval { months: 0, days: 0, micros: v as i64 }),
        KeyDatum::TimeTz { utc_micros: utc, zone } => {
            Datum::TimeTz(types::TimeTz { micros: utc - i64::from(zone) * 1_000_000, zone })
        }
        KeyDatum::Numeric(parts) => Datum::Numeric(numeric_of(&parts)),
        other => from_key(other, ty)?,
    })
}

fn numeric_of(parts: &DecimalParts<'_>) -> Numeric {
    let sign = match parts.class {
        DecimalClass::NaN => NumericSign::NaN,
        DecimalClass::Infinity => NumericSign::Infinity,
        DecimalClass::NegInfinity => NumericSign::NegInfinity,
        DecimalClass::Negative => NumericSign::Negative,
        DecimalClass::Zero | DecimalClass::Positive => NumericSign::Positive,
    };
    let fraction_digits = (parts.digits.len() as i32 - 1 - i32::from(parts.weight)).max(0);
    Numeric {
        sign,
        weight: i32::from(parts.weight),
        scale: u16::try_from(fraction_digits * 4).unwrap_or(u16::MAX),
        digits: parts.digits.iter().copied().collect(),
    }
}

/// Sets column `i` of a row.
pub(super) fn set_row(out: &mut RowWriter<'_>, i: usize, value: &Datum, ty: Oid) {
    match value {
        Datum::Null => out.set_null(i),
        Datum::Bool(v) => out.set_bool(i, *v),
        Datum::Int2(v) => out.set_i16(i, *v),
        Datum::Int4(v) | Datum::Date(v) => out.set_i32(i, *v),
        Datum::Int8(v) | Datum::Time(v) | Datum::Timestamp(v) => out.set_i64(i, *v),
        Datum::Float4(v) => out.set_f32(i, *v),
        Datum::Float8(v) => out.set_f64(i, *v),
        Datum::Oid(v) => out.set_u32(i, v.0),
        Datum::Uuid(v) => out.set_uuid(i, *v),
        Datum::Interval(v) => out.set_interval(i, v.months, v.days, v.micros),
        Datum::Text(v) => out.set_bytes(i, v.as_bytes()),
        Datum::Bytes(v) => out.set_bytes(i, v),
        Datum::Numeric(_) | Datum::TimeTz(_) | Datum::Array(_) | Datum::Record(_) => {
            out.set_bytes_with(i, |buffer| types::send(ty, value, buffer));
        }
    }
}

/// Column `i` of a row, which is neither null nor missing.
pub(super) fn from_row(row: &RowReader<'_>, i: usize, ty: TypeRef) -> Result<Datum> {
    Ok(match ty.oid {
        Oid::BOOL => Datum::Bool(row.bool(i)),
        Oid::INT2 => Datum::Int2(row.i16(i)),
        Oid::INT4 => Datum::Int4(row.i32(i)),
        Oid::DATE => Datum::Date(row.i32(i)),
        Oid::INT8 => Datum::Int8(row.i64(i)),
        Oid::TIME => Datum::Time(row.i64(i)),
        Oid::TIMESTAMP | Oid::TIMESTAMPTZ => Datum::Timestamp(row.i64(i)),
        Oid::FLOAT4 => Datum::Float4(row.f32(i)),
        Oid::FLOAT8 => Datum::Float8(row.f64(i)),
        oid if is_oid_like(oid) => Datum::Oid(Oid(row.u32(i))),
        Oid::UUID => Datum::Uuid(row.uuid(i)),
        Oid::INTERVAL => {
            let (months, days, micros) = row.interval(i);
            Datum::Interval(Interval { months, days, micros })
        }
        Oid::TEXT | Oid::VARCHAR | Oid::BPCHAR | Oid::NAME | Oid::CHAR | Oid::JSON | Oid::XML => {
            stored_text(row.bytes(i))?
        }
        Oid::BYTEA | Oid::JSONB => Datum::Bytes(bytes::Bytes::copy_from_slice(row.bytes(i))),
        oid if oid >= Oid::FIRST_USER => stored_text(row.bytes(i))?,
        _ => types::recv(TypeRef { typmod: -1, ..ty }, row.bytes(i))?,
    })
}

fn stored_text(bytes: &[u8]) -> Result<Datum> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Datum::text(text)),
        Err(_) => Err(SqlError::new(crate::SqlState::DATA_CORRUPTED, "invalid text in a stored row")),
    }
}
