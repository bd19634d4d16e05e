//! float4 and float8: text forms.

use super::io::{invalid_syntax, is_space};
use crate::{Result, SqlError, SqlState};

fn range_error(text: &str, ty: &str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("\"{text}\" is out of range for type {ty}"))
}

/// The number in `text` when it has strtod's decimal or special form.
fn checked<'a>(text: &'a str, ty: &str) -> Result<&'a str> {
    let word = text.trim_matches(is_space);
    let unsigned = word.strip_prefix(['-', '+']).unwrap_or(word);
    let lower = unsigned.to_ascii_lowercase();
    let decimal = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if decimal || matches!(lower.as_str(), "nan" | "inf" | "infinity") {
        Ok(word)
    } else {
        Err(invalid_syntax(ty, text))
    }
}

/// Whether the text's mantissa has a digit other than zero.
fn mantissa_is_nonzero(word: &str) -> bool {
    word.bytes().take_while(|b| !matches!(b, b'e' | b'E')).any(|b| b.is_ascii_digit() && b != b'0')
}

pub fn float8_in(text: &str) -> Result<f64> {
    let ty = "double precision";
    let word = checked(text, ty)?;
    let value: f64 = word.parse().map_err(|_| invalid_syntax(ty, text))?;
    let special = !word.bytes().any(|b| b.is_ascii_digit());
    if !special && (value.is_infinite() || (value == 0.0 && mantissa_is_nonzero(word))) {
        return Err(range_error(word, ty));
    }
    Ok(if value.is_nan() { f64::NAN } else { value })
}

pub fn float4_in(text: &str) -> Result<f32> {
    let ty = "real";
    let word = checked(text, ty)?;
    let value: f32 = word.parse().map_err(|_| invalid_syntax(ty, text))?;
    let special = !word.bytes().any(|b| b.is_ascii_digit());
    if !special && (value.is_infinite() || (value == 0.0 && mantissa_is_nonzero(word))) {
        return Err(range_error(word, ty));
    }
    Ok(if value.is_nan() { f32::NAN } else { value })
}

/// Shortest text that reads back as the same value, or `15 + extra` digits for `extra <= 0`.
pub fn float8_out(value: f64, extra_float_digits: i32, out: &mut Vec<u8>) {
    if let Some(word) = special(value) {
        out.extend_from_slice(word);
    } else if extra_float_digits > 0 {
        out.extend_from_slice(lay_out(&format!("{value:e}"), 15).as_bytes());
    } else {
        let digits = (15 + extra_float_digits).max(1) as usize;
        out.extend_from_slice(format_general(value, digits).as_bytes());
    }
}

pub fn float4_out(value: f32, extra_float_digits: i32, out: &mut Vec<u8>) {
    if let Some(word) = special(f64::from(value)) {
        out.extend_from_slice(word);
    } else if extra_float_digits > 0 {
        out.extend_from_slice(lay_out(&format!("{value:e}"), 6).as_bytes());
    } else {
        let digits = (6 + extra_float_digits).max(1) as usize;
        out.extend_from_slice(format_general(f64::from(value), digits).as_bytes());
    }
}

fn special(value: f64) -> Option<&'static [u8]> {
    if value.is_nan() {
        Some(b"NaN")
    } else if value == f64::INFINITY {
        Some(b"Infinity")
    } else if value == f64::NEG_INFINITY {
        Some(b"-Infinity")
    } else {
        None
    }
}

/// C's `%.*g`.
pub(crate) fn format_general(value: f64, digits: usize) -> String {
    let text = format!("{:.*e}", digits.saturating_sub(1), value);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = match mantissa.contains('.') {
        true => mantissa.trim_end_matches('0').trim_end_matches('.'),
        false => mantissa,
    };
    lay_out(&format!("{mantissa}e{exponent}"), digits as i32)
}

/// `d.ddde±x` as plain digits, or with an exponent of at least two digits when it is below -4 or
/// not below `limit`.
fn lay_out(scientific: &str, limit: i32) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= limit {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let digits = mantissa.replace('.', "");
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat((-exponent - 1) as usize));
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        format!("{sign}{digits}{}", "0".repeat(whole - digits.len()))
    } else {
        format!("{sign}{}.{}", &digits[..whole], &digits[whole..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_postgres() {
        let show = |value, extra| {
            let mut out = Vec::new();
            float8_out(value, extra, &mut out);
            String::from_utf8(out).unwrap()
        };
        for (value, shown) in [
            (1e20, "1e+20"),
            (1e15, "1e+15"),
            (123_456_789_012_345.0, "123456789012345"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (1.5e300, "1.5e+300"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (-1234.5, "-1234.5"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(show(value, 1), shown);
        }
        assert_eq!(show(1.0 / 3.0, 0), "0.333333333333333");
        assert_eq!(show(1.0 / 3.0, -3), "0.333333333333");
        let show4 = |value, extra| {
            let mut out = Vec::new();
            float4_out(value, extra, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(show4(1e6, 1), "1e+06");
        assert_eq!(show4(1234567.0, 1), "1.234567e+06");
        assert_eq!(show4(123_456.79, -3), "1.23e+05");
        assert_eq!(show4(0.1, 1), "0.1");
    }

    #[test]
    fn reads_as_postgres() {
        assert_eq!(float8_in(" 1.5e3 ").unwrap(), 1500.0);
        assert!(float8_in("nan").unwrap().is_nan());
        assert_eq!(float8_in("-Inf").unwrap(), f64::NEG_INFINITY);
        assert_eq!(
            float8_in("1e400").unwrap_err().message(),
            "\"1e400\" is out of range for type double precision"
        );
        assert_eq!(float8_in("1e-400").unwrap_err().code(), SqlState::NUMERIC_VALUE_OUT_OF_RANGE);
        assert_eq!(float4_in("1e39").unwrap_err().message(), "\"1e39\" is out of range for type real");
        for bad in ["", "x1", "1e", "infinit", "1 2"] {
            assert_eq!(
                float8_in(bad).unwrap_err().message(),
                format!("invalid input syntax for type double precision: \"{bad}\"")
            );
        }
    }
}
