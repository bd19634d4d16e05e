//! The functions behind `pg_cast`: between number types, strings, and the length coercions, which
//! take (value, modifier[, explicit]).

use super::args::{self, integer, integer_range, numeric};
use super::{CallContext, Table};
use crate::types::{Coercion, Datum, Numeric, TypeRef, apply_typmod, order};
use crate::{Oid, Result, SqlError, SqlState};

/// An integer type to another: 22003 when it does not fit.
macro_rules! narrow {
    ($name:literal, $variant:ident, $ty:ty, $what:literal) => {
        ($name, |_, args| {
            let value = <$ty>::try_from(integer(&args[0])?);
            value.map(Datum::$variant).map_err(|_| integer_range($what))
        })
    };
}

/// A float to an integer: rounded half to even, 22003 when it does not fit.
macro_rules! round {
    ($name:literal, $variant:ident, $ty:ty, $what:literal) => {
        ($name, |_, args| {
            let value = match &args[0] {
                Datum::Float4(value) => f64::from(*value),
                other => args::float8(other)?,
            };
            let value = value.round_ties_even();
            // The bounds are powers of two, exact as doubles; the upper one is open.
            let (low, high) = (<$ty>::MIN as f64, -(<$ty>::MIN as f64));
            if value >= low && value < high {
                Ok(Datum::$variant(value as $ty))
            } else {
                Err(integer_range($what))
            }
        })
    };
}

/// A numeric to an integer: rounded half away from zero.
macro_rules! numeric_to {
    ($name:literal, $variant:ident, $ty:ty, $what:literal) => {
        ($name, |_, args| {
            to_integer(numeric(&args[0])?, $what)?
                .try_into()
                .map(Datum::$variant)
                .map_err(|_| integer_range($what))
        })
    };
}

fn to_integer(value: &Numeric, what: &str) -> Result<i64> {
    let special = |shown: &str| {
        Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("cannot convert {shown} to {what}")))
    };
    if value.is_nan() {
        return special("NaN");
    }
    if value.is_infinite() {
        return special("infinity");
    }
    value.to_i64().ok_or_else(|| integer_range(what))
}

fn float_range(value: &Numeric, ty: &str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("\"{value}\" is out of range for type {ty}"))
}

/// By way of the text form, as PostgreSQL: an underflow is an error too.
fn numeric_float8(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let value = numeric(&args[0])?;
    let float = value.to_f64().ok_or_else(|| float_range(value, "double precision"))?;
    if float == 0.0 && !value.is_zero() {
        return Err(float_range(value, "double precision"));
    }
    Ok(Datum::Float8(float))
}

fn numeric_float4(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let value = numeric(&args[0])?;
    crate::types::float::float4_in(&value.to_string()).map(Datum::Float4)
}

fn dtof(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let value = args::float8(&args[0])?;
    let narrow = value as f32;
    let error = |message: &str| Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message.to_owned()));
    if narrow.is_infinite() && value.is_finite() {
        return error("value out of range: overflow");
    }
    if narrow == 0.0 && value != 0.0 {
        return error("value out of range: underflow");
    }
    Ok(Datum::Float4(narrow))
}

/// A length coercion of a type; the third argument, where there is one, says explicit.
macro_rules! length {
    ($name:literal, $ty:ident) => {
        ($name, |_, args| {
            let explicit = args.get(2).map(args::boolean).transpose()?.unwrap_or(true);
            let coercion = if explicit { Coercion::Explicit } else { Coercion::Assignment };
            let ty = TypeRef::of(Oid::$ty).with_typmod(args::int4(&args[1])?);
            apply_typmod(ty, args[0].clone(), coercion)
        })
    };
}

fn text_name(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    Ok(crate::types::text::name_in(args::text(&args[0])?))
}

fn trimmed(value: &Datum) -> Result<&str> {
    Ok(order::trim_blanks(args::text(value)?))
}

/// A jsonb scalar to a number or boolean.
fn json_number(value: &Datum, ty: &str) -> Result<Numeric> {
    use crate::types::json::Json;
    match crate::types::jsonb::decode(args::bytes(value)?) {
        Json::Number(number) => Ok(number),
        other => Err(json_cast_error(&other, ty)),
    }
}

fn json_cast_error(value: &crate::types::json::Json, ty: &str) -> SqlError {
    use crate::types::json::Json;
    let kind = match value {
        Json::Null => "null",
        Json::String(_) => "string",
        Json::Number(_) => "numeric",
        Json::Bool(_) => "boolean",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    };
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("cannot cast jsonb {kind} to type {ty}"))
}

fn jsonb_bool(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    match crate::types::jsonb::decode(args::bytes(&args[0])?) {
        crate::types::json::Json::Bool(value) => Ok(Datum::Bool(value)),
        other => Err(json_cast_error(&other, "boolean")),
    }
}

macro_rules! jsonb_integer {
    ($name:literal, $variant:ident, $what:literal) => {
        ($name, |_, args| {
            to_integer(&json_number(&args[0], $what)?, $what)?
                .try_into()
                .map(Datum::$variant)
                .map_err(|_| integer_range($what))
        })
    };
}

pub(crate) const TABLE: Table = &[
    narrow!("i4toi2", Int2, i16, "smallint"),
    narrow!("i2toi4", Int4, i32, "integer"),
    narrow!("int28", Int8, i64, "bigint"),
    narrow!("int82", Int2, i16, "smallint"),
    narrow!("int48", Int8, i64, "bigint"),
    narrow!("int84", Int4, i32, "integer"),
    narrow!("oidtoi8", Int8, i64, "bigint"),
    ("i8tooid", |_, args| {
        u32::try_from(args::int8(&args[0])?).map(|v| Datum::Oid(Oid(v))).map_err(|_| integer_range("OID"))
    }),
    ("i2tod", |_, args| Ok(Datum::Float8(integer(&args[0])? as f64))),
    ("i4tod", |_, args| Ok(Datum::Float8(integer(&args[0])? as f64))),
    ("i8tod", |_, args| Ok(Datum::Float8(integer(&args[0])? as f64))),
    ("i2tof", |_, args| Ok(Datum::Float4(integer(&args[0])? as f32))),
    ("i4tof", |_, args| Ok(Datum::Float4(integer(&args[0])? as f32))),
    ("i8tof", |_, args| Ok(Datum::Float4(integer(&args[0])? as f32))),
    round!("dtoi2", Int2, i16, "smallint"),
    round!("dtoi4", Int4, i32, "integer"),
    round!("dtoi8", Int8, i64, "bigint"),
    round!("ftoi2", Int2, i16, "smallint"),
    round!("ftoi4", Int4, i32, "integer"),
    round!("ftoi8", Int8, i64, "bigint"),
    ("ftod", |_, args| Ok(Datum::Float8(f64::from(args::float4(&args[0])?)))),
    ("dtof", dtof),
    ("int2_numeric", |_, args| Ok(Datum::Numeric(Numeric::from_i64(integer(&args[0])?)))),
    ("int4_numeric", |_, args| Ok(Datum::Numeric(Numeric::from_i64(integer(&args[0])?)))),
    ("int8_numeric", |_, args| Ok(Datum::Numeric(Numeric::from_i64(integer(&args[0])?)))),
    numeric_to!("numeric_int2", Int2, i16, "smallint"),
    numeric_to!("numeric_int4", Int4, i32, "integer"),
    numeric_to!("numeric_int8", Int8, i64, "bigint"),
    ("float4_numeric", |_, args| Ok(Datum::Numeric(Numeric::from_f32(args::float4(&args[0])?)?))),
    ("float8_numeric", |_, args| Ok(Datum::Numeric(Numeric::from_f64(args::float8(&args[0])?)?))),
    ("numeric_float4", numeric_float4),
    ("numeric_float8", numeric_float8),
    ("int4_bool", |_, args| Ok(Datum::Bool(args::int4(&args[0])? != 0))),
    ("bool_int4", |_, args| Ok(Datum::Int4(args::boolean(&args[0])?.into()))),
    ("booltext", |_, args| Ok(Datum::text(if args::boolean(&args[0])? { "true" } else { "false" }))),
    length!("varchar", VARCHAR),
    length!("bpchar", BPCHAR),
    length!("numeric", NUMERIC),
    length!("time_scale", TIME),
    length!("timetz_scale", TIMETZ),
    length!("timestamp_scale", TIMESTAMP),
    length!("timestamptz_scale", TIMESTAMPTZ),
    length!("interval_scale", INTERVAL),
    ("name_text", |_, args| Ok(args[0].clone())),
    ("name_bpchar", |_, args| Ok(args[0].clone())),
    ("char_text", |_, args| Ok(args[0].clone())),
    ("char_bpchar", |_, args| Ok(args[0].clone())),
    ("text_name", text_name),
    ("bpchar_name", |_, args| Ok(crate::types::text::name_in(trimmed(&args[0])?))),
    ("text_char", |cx, args| cx.io().input(TypeRef::of(Oid::CHAR), args::text(&args[0])?)),
    ("chartoi4", |_, args| {
        Ok(Datum::Int4(i32::from(crate::types::text::char_byte(args::text(&args[0])?) as i8)))
    }),
    ("i4tochar", |_, args| {
        let value = args::int4(&args[0])?;
        match i8::try_from(value) {
            Ok(byte) => Ok(crate::types::text::char_recv(byte as u8)),
            Err(_) => Err(integer_range("\"char\"")),
        }
    }),
    ("text_regclass", |cx, args| cx.io().input(TypeRef::of(Oid::REGCLASS), args::text(&args[0])?)),
    ("jsonb_bool", jsonb_bool),
    ("jsonb_numeric", |_, args| Ok(Datum::Numeric(json_number(&args[0], "numeric")?))),
    jsonb_integer!("jsonb_int2", Int2, "smallint"),
    jsonb_integer!("jsonb_int4", Int4, "integer"),
    jsonb_integer!("jsonb_int8", Int8, "bigint"),
    ("jsonb_float8", |cx, args| {
        numeric_float8(cx, &[Datum::Numeric(json_number(&args[0], "double precision")?)])
    }),
    ("jsonb_float4", |cx, args| numeric_float4(cx, &[Datum::Numeric(json_number(&args[0], "real")?)])),
];
