//! `numeric`: text and binary form, order, conversion. The value itself is `datum::Numeric`.
//!
//! - `arith`: the four operations, remainder, rounding, square root, with PostgreSQL's scales.
//! - `transcend`: exp, ln, log, power.
//!
//! Binary form (all big-endian i16): digit count, weight, sign (0x0000 +, 0x4000 -, 0xC000 NaN,
//! 0xD000 Infinity, 0xF000 -Infinity), display scale, then base-10000 digits.

pub mod arith;
pub mod transcend;

use super::datum::{Numeric, NumericSign};
use crate::{Result, SqlError, SqlState};
use smallvec::SmallVec;
use std::cmp::Ordering;

/// Most decimal digits after the point.
pub const MAX_SCALE: i32 = 16383;
/// Largest exponent (base 10000) of the first digit.
pub const MAX_WEIGHT: i32 = 32767;
/// Decimal digits in one base-10000 digit.
pub const DIGIT_WIDTH: i32 = 4;
/// The base of a digit.
pub const BASE: u32 = 10000;

pub(crate) type Digits = SmallVec<[u16; 8]>;

fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

impl Numeric {
    /// Zero, shown with `scale` digits after the point.
    pub fn zero(scale: u16) -> Numeric {
        Numeric { sign: NumericSign::Positive, weight: 0, scale, digits: Digits::new() }
    }

    pub fn nan() -> Numeric {
        Numeric { sign: NumericSign::NaN, ..Numeric::zero(0) }
    }

    pub fn infinity() -> Numeric {
        Numeric { sign: NumericSign::Infinity, ..Numeric::zero(0) }
    }

    pub fn neg_infinity() -> Numeric {
        Numeric { sign: NumericSign::NegInfinity, ..Numeric::zero(0) }
    }

    pub fn is_nan(&self) -> bool {
        self.sign == NumericSign::NaN
    }

    pub fn is_infinite(&self) -> bool {
        matches!(self.sign, NumericSign::Infinity | NumericSign::NegInfinity)
    }

    /// Neither NaN nor infinite.
    pub fn is_finite(&self) -> bool {
        matches!(self.sign, NumericSign::Positive | NumericSign::Negative)
    }

    /// The finite value zero.
    pub fn is_zero(&self) -> bool {
        self.is_finite() && self.digits.is_empty()
    }

    /// -1, 0 or 1; NaN counts as 0.
    pub fn signum(&self) -> i32 {
        match self.sign {
            NumericSign::NaN => 0,
            NumericSign::Infinity => 1,
            NumericSign::NegInfinity => -1,
            _ if self.digits.is_empty() => 0,
            NumericSign::Positive => 1,
            NumericSign::Negative => -1,
        }
    }

    pub(crate) fn is_negative(&self) -> bool {
        self.sign == NumericSign::Negative
    }

    /// Builds a finite value from digits that may have zeros at either end; 22003 when it is too
    /// large for the format.
    pub(crate) fn build(negative: bool, weight: i32, scale: i32, digits: Digits) -> Result<Numeric> {
        let value = Numeric::build_unchecked(negative, weight, scale, digits);
        if value.weight > MAX_WEIGHT || scale > MAX_SCALE { Err(overflow()) } else { Ok(value) }
    }

    pub(crate) fn build_unchecked(
        negative: bool,
        mut weight: i32,
        scale: i32,
        mut digits: Digits,
    ) -> Numeric {
        while digits.last() == Some(&0) {
            digits.pop();
        }
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        if zeros > 0 {
            digits.drain(..zeros);
            weight -= zeros as i32;
        }
        if digits.is_empty() {
            return Numeric::zero(scale.clamp(0, i32::from(u16::MAX)) as u16);
        }
        let sign = if negative { NumericSign::Negative } else { NumericSign::Positive };
        Numeric { sign, weight, scale: scale.clamp(0, i32::from(u16::MAX)) as u16, digits }
    }

    /// The exact value of an integer, scale 0.
    pub fn from_i128(value: i128) -> Numeric {
        let mut rest = value.unsigned_abs();
        let mut digits = Digits::new();
        while rest > 0 {
            digits.push((rest % u128::from(BASE)) as u16);
            rest /= u128::from(BASE);
        }
        digits.reverse();
        let weight = digits.len() as i32 - 1;
        Numeric::build_unchecked(value < 0, weight, 0, digits)
    }

    pub fn from_i64(value: i64) -> Numeric {
        Numeric::from_i128(i128::from(value))
    }

    /// As PostgreSQL's cast: 15 significant digits.
    pub fn from_f64(value: f64) -> Result<Numeric> {
        Numeric::from_float_text(value, super::float::format_general(value, 15))
    }

    /// As PostgreSQL's cast: 6 significant digits.
    pub fn from_f32(value: f32) -> Result<Numeric> {
        Numeric::from_float_text(f64::from(value), super::float::format_general(f64::from(value), 6))
    }

    fn from_float_text(value: f64, text: String) -> Result<Numeric> {
        if value.is_nan() {
            Ok(Numeric::nan())
        } else if value.is_infinite() {
            Ok(if value > 0.0 { Numeric::infinity() } else { Numeric::neg_infinity() })
        } else {
            Numeric::parse(&text)
        }
    }

    /// The nearest double; `None` when it is finite but too large for one.
    pub fn to_f64(&self) -> Option<f64> {
        match self.sign {
            NumericSign::NaN => Some(f64::NAN),
            NumericSign::Infinity => Some(f64::INFINITY),
            NumericSign::NegInfinity => Some(f64::NEG_INFINITY),
            _ => self.to_string().parse().ok().filter(|value: &f64| value.is_finite()),
        }
    }

    /// The value rounded half away from zero to an integer; `None` when it does not fit or is not
    /// finite.
    pub fn to_i128(&self) -> Option<i128> {
        if !self.is_finite() {
            return None;
        }
        let rounded = self.round(0);
        if rounded.weight > 9 {
            return None;
        }
        let mut value = 0i128;
        for at in 0..=rounded.weight.max(-1) {
            let digit = rounded.digits.get(at as usize).copied().unwrap_or(0);
            value = value.checked_mul(i128::from(BASE))?.checked_add(i128::from(digit))?;
        }
        Some(if rounded.is_negative() { -value } else { value })
    }

    pub fn to_i64(&self) -> Option<i64> {
        self.to_i128().and_then(|value| value.try_into().ok())
    }

    /// Reads PostgreSQL's text form.
    pub fn parse(text: &str) -> Result<Numeric> {
        let invalid = || super::io::invalid_syntax("numeric", text);
        let trimmed = text.trim_matches(super::io::is_space);
        let (negative, unsigned) = match trimmed.as_bytes().first() {
            Some(b'-') => (true, &trimmed[1..]),
            Some(b'+') => (false, &trimmed[1..]),
            _ => (false, trimmed),
        };
        if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return special(trimmed, unsigned, negative).ok_or_else(invalid);
        }
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
            None => (unsigned, None),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
            return Err(invalid());
        }
        let exponent = match exponent {
            None => 0,
            Some(part) => {
                let digits = part.strip_prefix(['+', '-']).unwrap_or(part);
                if digits.is_empty() || !all_digits(digits) {
                    return Err(invalid());
                }
                let size = digits.parse::<i64>().unwrap_or(i64::MAX).min(i64::from(i32::MAX));
                if size >= i64::from(i32::MAX / 2) {
                    return Err(overflow());
                }
                if part.starts_with('-') { -(size as i32) } else { size as i32 }
            }
        };
        from_decimal(negative, whole, fraction, exponent)
    }

    /// Order of `numeric_cmp`: NaN equals NaN and is greater than everything.
    pub fn compare(&self, other: &Numeric) -> Ordering {
        let class = |n: &Numeric| match n.sign {
            NumericSign::NegInfinity => 0,
            NumericSign::Positive | NumericSign::Negative => 1,
            NumericSign::Infinity => 2,
            NumericSign::NaN => 3,
        };
        match class(self).cmp(&class(other)) {
            Ordering::Equal if self.is_finite() => {}
            unequal => return unequal,
        }
        match self.signum().cmp(&other.signum()) {
            Ordering::Equal => {}
            unequal => return unequal,
        }
        let magnitude = self.compare_abs(other);
        if self.is_negative() { magnitude.reverse() } else { magnitude }
    }

    pub(crate) fn compare_abs(&self, other: &Numeric) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => {
                self.weight.cmp(&other.weight).then_with(|| self.digits.as_slice().cmp(&other.digits))
            }
        }
    }

    /// Applies `numeric(precision, scale)`; 22003 when the value does not fit.
    pub fn apply_typmod(self, typmod: i32) -> Result<Numeric> {
        if typmod < 4 || self.is_nan() {
            return Ok(self);
        }
        let (precision, scale) = super::typmod::numeric_parts(typmod);
        let error = |detail: String| {
            SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow").with_detail(detail)
        };
        if self.is_infinite() {
            return Err(error(format!(
                "A field with precision {precision}, scale {scale} cannot hold an infinite value."
            )));
        }
        let mut value = self.round(scale);
        value.scale = scale.max(0) as u16;
        let most = precision - scale;
        if let Some(first) = value.digits.first() {
            let width = first.ilog10() as i32 + 1;
            if value.weight * DIGIT_WIDTH + width > most {
                let limit = if most == 0 { "1".to_owned() } else { format!("10^{most}") };
                return Err(error(format!(
                    "A field with precision {precision}, scale {scale} must round to an absolute value less than {limit}."
                )));
            }
        }
        Ok(value)
    }

    /// Appends the binary form.
    pub fn send(&self, out: &mut Vec<u8>) {
        let sign: u16 = match self.sign {
            NumericSign::Positive => 0,
            NumericSign::Negative => 0x4000,
            NumericSign::NaN => 0xC000,
            NumericSign::Infinity => 0xD000,
            NumericSign::NegInfinity => 0xF000,
        };
        // Infinities carry the scale that PostgreSQL keeps in their header.
        let scale = if self.is_infinite() { 0x20 } else { self.scale };
        out.extend_from_slice(&(self.digits.len() as u16).to_be_bytes());
        out.extend_from_slice(&(self.weight as i16).to_be_bytes());
        out.extend_from_slice(&sign.to_be_bytes());
        out.extend_from_slice(&scale.to_be_bytes());
        for digit in &self.digits {
            out.extend_from_slice(&digit.to_be_bytes());
        }
    }

    /// Reads the binary form.
    pub fn recv(bytes: &[u8]) -> Result<Numeric> {
        let invalid = |what: &str| {
            SqlError::new(
                SqlState::INVALID_BINARY_REPRESENTATION,
                format!("invalid {what} in external \"numeric\" value"),
            )
        };
        let short = || SqlError::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message");
        let word = |at: usize| {
            bytes.get(at * 2..at * 2 + 2).map(|b| u16::from_be_bytes([b[0], b[1]])).ok_or_else(short)
        };
        let (count, weight, sign, scale) = (word(0)?, word(1)? as i16, word(2)?, word(3)?);
        let negative = match sign {
            0 => false,
            0x4000 => true,
            0xC000 => return Ok(Numeric::nan()),
            0xD000 => return Ok(Numeric::infinity()),
            0xF000 => return Ok(Numeric::neg_infinity()),
            _ => return Err(invalid("sign")),
        };
        if i32::from(scale) > MAX_SCALE {
            return Err(invalid("scale"));
        }
        let mut digits = Digits::new();
        for at in 0..usize::from(count) {
            let digit = word(4 + at)?;
            if u32::from(digit) >= BASE {
                return Err(invalid("digit"));
            }
            digits.push(digit);
        }
        let value = Numeric::build(negative, i32::from(weight), i32::from(scale), digits)?;
        // More digits than the scale shows are cut off.
        Ok(value.trunc(i32::from(scale)))
    }
}

/// `NaN`, `Infinity`, `inf` in any case, the infinities with a sign.
fn special(trimmed: &str, unsigned: &str, negative: bool) -> Option<Numeric> {
    if trimmed.eq_ignore_ascii_case("nan") {
        Some(Numeric::nan())
    } else if unsigned.eq_ignore_ascii_case("infinity") || unsigned.eq_ignore_ascii_case("inf") {
        Some(if negative { Numeric::neg_infinity() } else { Numeric::infinity() })
    } else {
        None
    }
}

/// ±whole.fraction · 10^exponent.
fn from_decimal(negative: bool, whole: &str, fraction: &str, exponent: i32) -> Result<Numeric> {
    let scale = (fraction.len() as i64 - i64::from(exponent)).max(0);
    // Decimal exponent of the first digit of the joined string, plus one.
    let point = whole.len() as i64 + i64::from(exponent);
    let joined: SmallVec<[u8; 64]> = whole.bytes().chain(fraction.bytes()).map(|b| b - b'0').collect();
    let leading = joined.iter().take_while(|d| **d == 0).count();
    if leading == joined.len() {
        if scale > i64::from(MAX_SCALE) {
            return Err(overflow());
        }
        return Ok(Numeric::zero(scale as u16));
    }
    let point = point - leading as i64;
    let joined = &joined[leading..];
    // The first base-10000 digit takes `head` decimal digits, so that digits align on the point.
    let weight = (point - 1).div_euclid(i64::from(DIGIT_WIDTH));
    if weight > i64::from(MAX_WEIGHT) || scale > i64::from(MAX_SCALE) {
        return Err(overflow());
    }
    let head = (point - weight * i64::from(DIGIT_WIDTH)) as usize;
    let mut digits = Digits::new();
    let mut at = 0;
    let mut width = head;
    while at < joined.len() {
        let mut digit = 0u16;
        for offset in 0..width {
            digit = digit * 10 + u16::from(joined.get(at + offset).copied().unwrap_or(0));
        }
        digits.push(digit);
        at += width;
        width = DIGIT_WIDTH as usize;
    }
    Numeric::build(negative, weight as i32, scale as i32, digits)
}

impl std::fmt::Display for Numeric {
    /// PostgreSQL's text form: exactly `scale` digits after the point.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.sign {
            NumericSign::NaN => return f.write_str("NaN"),
            NumericSign::Infinity => return f.write_str("Infinity"),
            NumericSign::NegInfinity => return f.write_str("-Infinity"),
            NumericSign::Negative => f.write_str("-")?,
            NumericSign::Positive => {}
        }
        let digit =
            |at: i32| usize::try_from(at).ok().and_then(|at| self.digits.get(at)).copied().unwrap_or(0);
        if self.weight < 0 {
            f.write_str("0")?;
        }
        for at in 0..=self.weight {
            if at == 0 { write!(f, "{}", digit(0))? } else { write!(f, "{:04}", digit(at))? }
        }
        let mut left = usize::from(self.scale);
        if left > 0 {
            f.write_str(".")?;
        }
        let mut at = self.weight + 1;
        while left > 0 {
            let d = digit(at);
            let shown = [
                b'0' + (d / 1000) as u8,
                b'0' + (d / 100 % 10) as u8,
                b'0' + (d / 10 % 10) as u8,
                b'0' + (d % 10) as u8,
            ];
            let take = left.min(4);
            f.write_str(std::str::from_utf8(&shown[..take]).expect("ASCII digits"))?;
            left -= take;
            at += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        match Numeric::parse(text) {
            Ok(value) => value.to_string(),
            Err(error) => format!("{} {}", error.code().code(), error.message()),
        }
    }

    #[test]
    fn reads_and_prints_as_postgres() {
        for (input, shown) in [
            ("  +.5e1 ", "5"),
            ("1.", "1"),
            ("-0.00", "0.00"),
            ("1e5", "100000"),
            ("1.5e-3", "0.0015"),
            ("-12345678901234567890.000100", "-12345678901234567890.000100"),
            ("0.00001", "0.00001"),
            ("inf", "Infinity"),
            ("-Infinity", "-Infinity"),
            ("nAn", "NaN"),
            ("1 2", "22P02 invalid input syntax for type numeric: \"1 2\""),
            ("", "22P02 invalid input syntax for type numeric: \"\""),
            (".", "22P02 invalid input syntax for type numeric: \".\""),
            ("1e", "22P02 invalid input syntax for type numeric: \"1e\""),
            ("1e131072", "22003 value overflows numeric format"),
            ("1e-16384", "22003 value overflows numeric format"),
        ] {
            assert_eq!(show(input), shown, "{input}");
        }
    }

    #[test]
    fn applies_precision_and_scale() {
        let typmod = |p: i32, s: i32| ((p << 16) | (s & 0x7ff)) + 4;
        let apply = |text: &str, p, s| match Numeric::parse(text).unwrap().apply_typmod(typmod(p, s)) {
            Ok(value) => value.to_string(),
            Err(error) => error.fields().detail.clone().unwrap(),
        };
        assert_eq!(apply("123.456", 5, 2), "123.46");
        assert_eq!(apply("0.5", 5, 2), "0.50");
        assert_eq!(apply("12345.678", 5, -2), "12300");
        assert_eq!(
            apply("12345.678", 5, 2),
            "A field with precision 5, scale 2 must round to an absolute value less than 10^3."
        );
        assert_eq!(
            apply("0.0123", 2, 4),
            "A field with precision 2, scale 4 must round to an absolute value less than 10^-2."
        );
        assert_eq!(apply("inf", 5, 2), "A field with precision 5, scale 2 cannot hold an infinite value.");
    }

    #[test]
    fn orders_nan_last() {
        let parse = |text| Numeric::parse(text).unwrap();
        let sorted = ["-inf", "-10000.1", "-1", "0", "0.0001", "0.5", "1", "10000", "inf", "nan"];
        for pair in sorted.windows(2) {
            assert_eq!(parse(pair[0]).compare(&parse(pair[1])), Ordering::Less, "{pair:?}");
        }
        assert_eq!(parse("1.0").compare(&parse("1.000")), Ordering::Equal);
    }

    #[test]
    fn binary_form_round_trips() {
        for text in ["0", "0.00", "-1.5", "123456789.123456789", "NaN", "Infinity", "1e100", "0.00001"] {
            let value = Numeric::parse(text).unwrap();
            let mut bytes = Vec::new();
            value.send(&mut bytes);
            assert_eq!(Numeric::recv(&bytes).unwrap().to_string(), value.to_string());
        }
        let mut bytes = Vec::new();
        Numeric::parse("-12345.67").unwrap().send(&mut bytes);
        assert_eq!(bytes, [0, 3, 0, 1, 0x40, 0, 0, 2, 0, 1, 0x09, 0x29, 0x1a, 0x2c]);
        assert!(Numeric::recv(&bytes[..9]).is_err());
    }
}
