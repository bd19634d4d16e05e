//! Integer arithmetic: every overflow is 22003.

use super::args::{self, division_by_zero, integer, integer_range};
use super::{CallContext, Table};
use crate::types::Datum;
use crate::{Result, SqlError, SqlState};

/// Checked arithmetic of a result type over integers of any width.
macro_rules! arithmetic {
    ($name:literal, $variant:ident, $ty:ty, $what:literal, $op:ident) => {
        ($name, |_, args| {
            let (a, b) = (integer(&args[0])?, integer(&args[1])?);
            let value = a.$op(b).and_then(|value| <$ty>::try_from(value).ok());
            value.map(Datum::$variant).ok_or_else(|| integer_range($what))
        })
    };
}

macro_rules! division {
    ($name:literal, $variant:ident, $ty:ty, $what:literal) => {
        ($name, |_, args| {
            let (a, b) = (integer(&args[0])?, integer(&args[1])?);
            if b == 0 {
                return Err(division_by_zero());
            }
            let value = a.checked_div(b).and_then(|value| <$ty>::try_from(value).ok());
            value.map(Datum::$variant).ok_or_else(|| integer_range($what))
        })
    };
}

macro_rules! remainder {
    ($name:literal, $variant:ident, $ty:ty) => {
        ($name, |_, args| {
            let (a, b) = (integer(&args[0])?, integer(&args[1])?);
            if b == 0 {
                return Err(division_by_zero());
            }
            // The remainder is smaller than the divisor: it fits the type.
            Ok(Datum::$variant(a.wrapping_rem(b) as $ty))
        })
    };
}

/// Operators of one width that take one argument.
macro_rules! unary {
    ($name:literal, $variant:ident, $what:literal, $op:expr) => {
        ($name, |_, args| match &args[0] {
            Datum::$variant(value) => {
                let op: fn(_) -> Option<_> = $op;
                op(*value).map(Datum::$variant).ok_or_else(|| integer_range($what))
            }
            other => Err(SqlError::internal(format!("wrong integer: {other:?}"))),
        })
    };
}

/// Bit operators of one width.
macro_rules! bits {
    ($name:literal, $variant:ident, $ty:ty, $op:expr) => {
        ($name, |_, args| {
            let op: fn(i64, i64) -> i64 = $op;
            Ok(Datum::$variant(op(integer(&args[0])?, integer(&args[1])?) as $ty))
        })
    };
}

/// Shifts take the amount modulo the width, as the machine instruction does.
macro_rules! shift {
    ($name:literal, $variant:ident, $op:ident) => {
        ($name, |_, args| match &args[0] {
            Datum::$variant(value) => Ok(Datum::$variant(value.$op(args::int4(&args[1])? as u32))),
            other => Err(SqlError::internal(format!("wrong integer: {other:?}"))),
        })
    };
}

fn gcd(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.abs()
}

fn lcm(a: i128, b: i128) -> i128 {
    if a == 0 || b == 0 { 0 } else { (a / gcd(a, b) * b).abs() }
}

macro_rules! divisor {
    ($name:literal, $variant:ident, $ty:ty, $what:literal, $of:ident) => {
        ($name, |_, args| {
            let value = $of(i128::from(integer(&args[0])?), i128::from(integer(&args[1])?));
            <$ty>::try_from(value).map(Datum::$variant).map_err(|_| integer_range($what))
        })
    };
}

/// `~` of one width.
fn int2not(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Int2(!args::int2(&args[0])?))
}

fn int4not(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Int4(!args::int4(&args[0])?))
}

fn int8not(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Int8(!args::int8(&args[0])?))
}

fn same(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    Ok(args[0].clone())
}

/// width_bucket over an interval and a count.
fn width_bucket_float8(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (operand, low, high) = (args::float8(&args[0])?, args::float8(&args[1])?, args::float8(&args[2])?);
    let count = args::int4(&args[3])?;
    let error = |message: &str| {
        Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION, message.to_owned()))
    };
    if count <= 0 {
        return error("count must be greater than zero");
    }
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return error("operand, lower bound, and upper bound cannot be NaN");
    }
    if low.is_infinite() || high.is_infinite() {
        return error("lower and upper bounds must be finite");
    }
    let bucket = if low == high {
        return error("lower bound cannot equal upper bound");
    } else if low < high {
        if operand < low {
            0
        } else if operand >= high {
            count.checked_add(1).ok_or_else(|| integer_range("integer"))?
        } else {
            ((f64::from(count) * (operand - low) / (high - low)) as i32).min(count - 1) + 1
        }
    } else if operand > low {
        0
    } else if operand <= high {
        count.checked_add(1).ok_or_else(|| integer_range("integer"))?
    } else {
        ((f64::from(count) * (low - operand) / (low - high)) as i32).min(count - 1) + 1
    };
    Ok(Datum::Int4(bucket))
}

pub(crate) const TABLE: Table = &[
    arithmetic!("int2pl", Int2, i16, "smallint", checked_add),
    arithmetic!("int2mi", Int2, i16, "smallint", checked_sub),
    arithmetic!("int2mul", Int2, i16, "smallint", checked_mul),
    division!("int2div", Int2, i16, "smallint"),
    arithmetic!("int4pl", Int4, i32, "integer", checked_add),
    arithmetic!("int4mi", Int4, i32, "integer", checked_sub),
    arithmetic!("int4mul", Int4, i32, "integer", checked_mul),
    division!("int4div", Int4, i32, "integer"),
    arithmetic!("int8pl", Int8, i64, "bigint", checked_add),
    arithmetic!("int8mi", Int8, i64, "bigint", checked_sub),
    arithmetic!("int8mul", Int8, i64, "bigint", checked_mul),
    division!("int8div", Int8, i64, "bigint"),
    arithmetic!("int24pl", Int4, i32, "integer", checked_add),
    arithmetic!("int24mi", Int4, i32, "integer", checked_sub),
    arithmetic!("int24mul", Int4, i32, "integer", checked_mul),
    division!("int24div", Int4, i32, "integer"),
    arithmetic!("int42pl", Int4, i32, "integer", checked_add),
    arithmetic!("int42mi", Int4, i32, "integer", checked_sub),
    arithmetic!("int42mul", Int4, i32, "integer", checked_mul),
    division!("int42div", Int4, i32, "integer"),
    arithmetic!("int28pl", Int8, i64, "bigint", checked_add),
    arithmetic!("int28mi", Int8, i64, "bigint", checked_sub),
    arithmetic!("int28mul", Int8, i64, "bigint", checked_mul),
    division!("int28div", Int8, i64, "bigint"),
    arithmetic!("int82pl", Int8, i64, "bigint", checked_add),
    arithmetic!("int82mi", Int8, i64, "bigint", checked_sub),
    arithmetic!("int82mul", Int8, i64, "bigint", checked_mul),
    division!("int82div", Int8, i64, "bigint"),
    arithmetic!("int48pl", Int8, i64, "bigint", checked_add),
    arithmetic!("int48mi", Int8, i64, "bigint", checked_sub),
    arithmetic!("int48mul", Int8, i64, "bigint", checked_mul),
    division!("int48div", Int8, i64, "bigint"),
    arithmetic!("int84pl", Int8, i64, "bigint", checked_add),
    arithmetic!("int84mi", Int8, i64, "bigint", checked_sub),
    arithmetic!("int84mul", Int8, i64, "bigint", checked_mul),
    division!("int84div", Int8, i64, "bigint"),
    remainder!("int2mod", Int2, i16),
    unary!("int2um", Int2, "smallint", |v: i16| v.checked_neg()),
    unary!("int2abs", Int2, "smallint", |v: i16| v.checked_abs()),
    ("int2up", same),
    ("int2not", int2not),
    bits!("int2and", Int2, i16, |a, b| a & b),
    bits!("int2or", Int2, i16, |a, b| a | b),
    bits!("int2xor", Int2, i16, |a, b| a ^ b),
    shift!("int2shl", Int2, wrapping_shl),
    shift!("int2shr", Int2, wrapping_shr),
    remainder!("int4mod", Int4, i32),
    unary!("int4um", Int4, "integer", |v: i32| v.checked_neg()),
    unary!("int4abs", Int4, "integer", |v: i32| v.checked_abs()),
    ("int4up", same),
    ("int4not", int4not),
    bits!("int4and", Int4, i32, |a, b| a & b),
    bits!("int4or", Int4, i32, |a, b| a | b),
    bits!("int4xor", Int4, i32, |a, b| a ^ b),
    shift!("int4shl", Int4, wrapping_shl),
    shift!("int4shr", Int4, wrapping_shr),
    remainder!("int8mod", Int8, i64),
    unary!("int8um", Int8, "bigint", |v: i64| v.checked_neg()),
    unary!("int8abs", Int8, "bigint", |v: i64| v.checked_abs()),
    ("int8up", same),
    ("int8not", int8not),
    bits!("int8and", Int8, i64, |a, b| a & b),
    bits!("int8or", Int8, i64, |a, b| a | b),
    bits!("int8xor", Int8, i64, |a, b| a ^ b),
    shift!("int8shl", Int8, wrapping_shl),
    shift!("int8shr", Int8, wrapping_shr),
    unary!("int4inc", Int4, "integer", |v: i32| v.checked_add(1)),
    divisor!("int4gcd", Int4, i32, "integer", gcd),
    divisor!("int4lcm", Int4, i32, "integer", lcm),
    unary!("int8inc", Int8, "bigint", |v: i64| v.checked_add(1)),
    divisor!("int8gcd", Int8, i64, "bigint", gcd),
    divisor!("int8lcm", Int8, i64, "bigint", lcm),
    ("width_bucket_float8", width_bucket_float8),
];
