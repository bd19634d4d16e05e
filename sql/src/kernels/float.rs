//! float4 and float8: arithmetic with PostgreSQL's overflow and underflow errors, mathematics.

use super::args::{self, division_by_zero};
use super::{CallContext, Table};
use crate::types::Datum;
use crate::{Result, SqlError, SqlState};

fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
}

fn underflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow")
}

/// The value of either float type.
fn float(value: &Datum) -> Result<f64> {
    match value {
        Datum::Float4(value) => Ok(f64::from(*value)),
        other => args::float8(other),
    }
}

macro_rules! checks {
    ($name:ident, $ty:ty) => {
        /// A result is infinite only over an infinite argument, zero only over one that allows it.
        fn $name(op: char, a: $ty, b: $ty) -> Result<$ty> {
            let value = match op {
                '+' => a + b,
                '-' => a - b,
                '*' => a * b,
                _ if b == 0.0 && !a.is_nan() => return Err(division_by_zero()),
                _ => a / b,
            };
            let infinite = match op {
                '/' => a.is_infinite(),
                _ => a.is_infinite() || b.is_infinite(),
            };
            if value.is_infinite() && !infinite {
                return Err(overflow());
            }
            let zero = match op {
                '*' => a == 0.0 || b == 0.0,
                '/' => a == 0.0 || b.is_infinite(),
                _ => true,
            };
            if value == 0.0 && !zero { Err(underflow()) } else { Ok(value) }
        }
    };
}

checks!(compute4, f32);
checks!(compute8, f64);

macro_rules! arithmetic {
    ($four:literal, $eight:literal, $mixed1:literal, $mixed2:literal, $op:literal) => {
        [
            ($four, |_, args| {
                Ok(Datum::Float4(compute4($op, args::float4(&args[0])?, args::float4(&args[1])?)?))
            }),
            ($eight, eight!($op)),
            ($mixed1, eight!($op)),
            ($mixed2, eight!($op)),
        ]
    };
}

macro_rules! eight {
    ($op:literal) => {
        |_, args| Ok(Datum::Float8(compute8($op, float(&args[0])?, float(&args[1])?)?))
    };
}

/// A function of one float8.
macro_rules! function {
    ($name:literal, $of:expr) => {
        ($name, |_, args| {
            let of: fn(f64) -> Result<f64> = $of;
            Ok(Datum::Float8(of(args::float8(&args[0])?)?))
        })
    };
}

fn input_range() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range")
}

fn sqrt(value: f64) -> Result<f64> {
    if value < 0.0 {
        return Err(SqlError::new(
            SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION,
            "cannot take square root of a negative number",
        ));
    }
    Ok(value.sqrt())
}

fn logarithm(value: f64, of: fn(f64) -> f64) -> Result<f64> {
    let error =
        |message: &str| Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_LOGARITHM, message.to_owned()));
    if value == 0.0 {
        return error("cannot take logarithm of zero");
    }
    if value < 0.0 {
        return error("cannot take logarithm of a negative number");
    }
    Ok(of(value))
}

fn exp(value: f64) -> Result<f64> {
    let result = value.exp();
    if result.is_infinite() && value.is_finite() {
        return Err(overflow());
    }
    if result == 0.0 && value.is_finite() { Err(underflow()) } else { Ok(result) }
}

fn power(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (base, exponent) = (args::float8(&args[0])?, args::float8(&args[1])?);
    let error =
        |message: &str| Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message.to_owned()));
    if base == 0.0 && exponent < 0.0 {
        return error("zero raised to a negative power is undefined");
    }
    if base < 0.0 && exponent.is_finite() && exponent.floor() != exponent && base.is_finite() {
        return error("a negative number raised to a non-integer power yields a complex result");
    }
    let value = base.powf(exponent);
    if value.is_infinite() && base.is_finite() && exponent.is_finite() {
        return Err(overflow());
    }
    if value == 0.0 && base != 0.0 && base.is_finite() && exponent.is_finite() {
        return Err(underflow());
    }
    Ok(Datum::Float8(value))
}

/// A trigonometric function of a finite angle.
fn angle(value: f64, of: fn(f64) -> f64) -> Result<f64> {
    if value.is_infinite() { Err(input_range()) } else { Ok(of(value)) }
}

/// An inverse function over [-1, 1].
fn inverse(value: f64, of: fn(f64) -> f64) -> Result<f64> {
    if value.is_nan() {
        return Ok(value);
    }
    if (-1.0..=1.0).contains(&value) { Ok(of(value)) } else { Err(input_range()) }
}

const PARTS: [[(&str, super::ScalarFn); 4]; 4] = [
    arithmetic!("float4pl", "float8pl", "float48pl", "float84pl", '+'),
    arithmetic!("float4mi", "float8mi", "float48mi", "float84mi", '-'),
    arithmetic!("float4mul", "float8mul", "float48mul", "float84mul", '*'),
    arithmetic!("float4div", "float8div", "float48div", "float84div", '/'),
];

pub(crate) const TABLE: Table = &[
    PARTS[0][0],
    PARTS[0][1],
    PARTS[0][2],
    PARTS[0][3],
    PARTS[1][0],
    PARTS[1][1],
    PARTS[1][2],
    PARTS[1][3],
    PARTS[2][0],
    PARTS[2][1],
    PARTS[2][2],
    PARTS[2][3],
    PARTS[3][0],
    PARTS[3][1],
    PARTS[3][2],
    PARTS[3][3],
    ("float4um", |_, args| Ok(Datum::Float4(-args::float4(&args[0])?))),
    ("float4up", |_, args| Ok(args[0].clone())),
    ("float4abs", |_, args| Ok(Datum::Float4(args::float4(&args[0])?.abs()))),
    function!("float8um", |v| Ok(-v)),
    function!("float8up", Ok),
    function!("float8abs", |v| Ok(v.abs())),
    function!("dround", |v| Ok(v.round_ties_even())),
    function!("dtrunc", |v| Ok(v.trunc())),
    function!("dceil", |v| Ok(v.ceil())),
    function!("dfloor", |v| Ok(v.floor())),
    function!("dsign", |v| Ok(if v > 0.0 {
        1.0
    } else if v < 0.0 {
        -1.0
    } else {
        0.0
    })),
    function!("dsqrt", sqrt),
    function!("dexp", exp),
    function!("dlog1", |v| logarithm(v, f64::ln)),
    function!("dlog10", |v| logarithm(v, f64::log10)),
    ("dpow", power),
    ("dpi", |_, _| Ok(Datum::Float8(std::f64::consts::PI))),
    function!("dsin", |v| angle(v, f64::sin)),
    function!("dcos", |v| angle(v, f64::cos)),
    function!("dtan", |v| angle(v, f64::tan)),
    function!("dasin", |v| inverse(v, f64::asin)),
    function!("dacos", |v| inverse(v, f64::acos)),
    function!("datan", |v| Ok(v.atan())),
    ("datan2", |_, args| Ok(Datum::Float8(args::float8(&args[0])?.atan2(args::float8(&args[1])?)))),
    function!("degrees", |v| Ok(v / 0.017_453_292_519_943_295)),
    function!("radians", |v| Ok(v * 0.017_453_292_519_943_295)),
    ("drandom", |_, _| Ok(Datum::Float8(rand::random::<f64>()))),
];
