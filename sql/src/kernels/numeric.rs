//! numeric: operators and mathematics over `types::numeric`.

use super::args::{self, numeric};
use super::{CallContext, Table};
use crate::types::{Datum, Numeric};
use crate::{Result, SqlError, SqlState};

/// An operation on two numerics.
macro_rules! binary {
    ($name:literal, $method:ident) => {
        ($name, |_, args| Ok(Datum::Numeric(numeric(&args[0])?.$method(numeric(&args[1])?)?)))
    };
}

/// A fallible function of one numeric.
macro_rules! unary {
    ($name:literal, $method:ident) => {
        ($name, |_, args| Ok(Datum::Numeric(numeric(&args[0])?.$method()?)))
    };
}

pub(super) fn round1(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Numeric(numeric(&args[0])?.round(0)))
}

pub(super) fn trunc1(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Numeric(numeric(&args[0])?.trunc(0)))
}

/// PostgreSQL limits the digits after the point to ±2000 here.
fn scale(value: &Datum) -> Result<i32> {
    Ok(args::int4(value)?.clamp(-2000, 2000))
}

fn round2(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Numeric(numeric(&args[0])?.round(scale(&args[1])?)))
}

fn trunc2(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Numeric(numeric(&args[0])?.trunc(scale(&args[1])?)))
}

pub(super) fn log10(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Numeric(numeric(&args[0])?.log(&Numeric::from_i64(10))?))
}

fn sign(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let value = numeric(&args[0])?;
    Ok(Datum::Numeric(if value.is_nan() { Numeric::nan() } else { Numeric::from_i64(value.signum().into()) }))
}

/// The least scale that shows the value, or NULL for NaN and infinities.
fn min_scale(value: &Numeric) -> Option<i32> {
    if !value.is_finite() {
        return None;
    }
    let last = value.digits.last().copied().unwrap_or(0);
    if last == 0 {
        return Some(0);
    }
    let below = (value.digits.len() as i32 - 1 - value.weight) * 4;
    let zeros = (0..4).take_while(|n| last % 10u16.pow(n + 1) == 0).count() as i32;
    Some((below - zeros).max(0))
}

fn numeric_min_scale(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    Ok(min_scale(numeric(&args[0])?).map_or(Datum::Null, Datum::Int4))
}

fn numeric_scale(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let value = numeric(&args[0])?;
    Ok(if value.is_finite() { Datum::Int4(value.scale.into()) } else { Datum::Null })
}

fn trim_scale(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let value = numeric(&args[0])?;
    Ok(Datum::Numeric(match min_scale(value) {
        Some(scale) => value.trunc(scale),
        None => value.clone(),
    }))
}

fn factorial(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let n = args::int8(&args[0])?;
    if n < 0 {
        return Err(SqlError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            "factorial of a negative number is undefined",
        ));
    }
    // 32178! is beyond the format.
    if n > 32177 {
        return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format"));
    }
    let mut value = Numeric::from_i64(1);
    for factor in 2..=n {
        value = value.mul(&Numeric::from_i64(factor))?;
    }
    Ok(Datum::Numeric(value))
}

pub(crate) const TABLE: Table = &[
    binary!("numeric_add", add),
    binary!("numeric_sub", sub),
    binary!("numeric_mul", mul),
    binary!("numeric_div", div),
    binary!("numeric_mod", rem),
    binary!("numeric_div_trunc", div_trunc),
    binary!("numeric_power", power),
    unary!("numeric_sqrt", sqrt),
    unary!("numeric_exp", exp),
    unary!("numeric_ln", ln),
    unary!("numeric_ceil", ceil),
    unary!("numeric_floor", floor),
    ("numeric_log", |_, args| Ok(Datum::Numeric(numeric(&args[1])?.log(numeric(&args[0])?)?))),
    ("numeric_uminus", |_, args| Ok(Datum::Numeric(numeric(&args[0])?.negate()))),
    ("numeric_uplus", |_, args| Ok(args[0].clone())),
    ("numeric_abs", |_, args| Ok(Datum::Numeric(numeric(&args[0])?.abs()))),
    ("numeric_sign", sign),
    ("numeric_round", round2),
    ("numeric_trunc", trunc2),
    ("numeric_scale", numeric_scale),
    ("numeric_min_scale", numeric_min_scale),
    ("numeric_trim_scale", trim_scale),
    ("numeric_fac", factorial),
];
