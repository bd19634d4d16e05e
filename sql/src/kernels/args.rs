//! Taking arguments out of datums. The binder has coerced them, so another variant is a bug of
//! the server, never of the client.

use crate::types::{ArrayValue, Datum, Interval, Numeric};
use crate::{Oid, Result, SqlError, SqlState};
use std::sync::Arc;

fn wrong(want: &str, got: &Datum) -> SqlError {
    SqlError::internal(format!("kernel argument is not {want}: {got:?}"))
}

macro_rules! takers {
    ($($name:ident $variant:ident $ty:ty;)*) => {
        $(
            #[doc = concat!("The value of a `", stringify!($variant), "` datum.")]
            pub fn $name(value: &Datum) -> Result<$ty> {
                match value {
                    Datum::$variant(value) => Ok(value.clone()),
                    other => Err(wrong(stringify!($variant), other)),
                }
            }
        )*
    };
}

takers! {
    boolean Bool bool;
    int2 Int2 i16;
    int4 Int4 i32;
    int8 Int8 i64;
    float4 Float4 f32;
    float8 Float8 f64;
    date Date i32;
    time Time i64;
    timestamp Timestamp i64;
    interval Interval Interval;
    array Array Arc<ArrayValue>;
    oid Oid Oid;
}

/// The text of a `Text` datum.
pub fn text(value: &Datum) -> Result<&str> {
    match value {
        Datum::Text(text) => Ok(text.as_str()),
        other => Err(wrong("Text", other)),
    }
}

/// The bytes of a `Bytes` datum.
pub fn bytes(value: &Datum) -> Result<&[u8]> {
    match value {
        Datum::Bytes(bytes) => Ok(bytes),
        other => Err(wrong("Bytes", other)),
    }
}

/// The value of a `Numeric` datum.
pub fn numeric(value: &Datum) -> Result<&Numeric> {
    match value {
        Datum::Numeric(value) => Ok(value),
        other => Err(wrong("Numeric", other)),
    }
}

/// Any integer type's value.
pub fn integer(value: &Datum) -> Result<i64> {
    crate::types::order::integer(value).ok_or_else(|| wrong("an integer", value))
}

/// 22003 with PostgreSQL's message for an integer type.
pub fn integer_range(ty: &str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{ty} out of range"))
}

pub fn division_by_zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

/// 22023.
pub fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}
