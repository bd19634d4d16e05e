//! A field's text becomes a value: short cuts for the plain forms of common types, the type's input
//! function for everything else.

use crate::types::{Datum, Io, TypeRef};
use crate::{Oid, Result};

/// Reads one field.
pub(super) fn read(io: &Io<'_>, ty: TypeRef, text: &str) -> Result<Datum> {
    let short = match ty.oid {
        Oid::TEXT => return Ok(Datum::text(text)),
        Oid::VARCHAR if ty.typmod < 0 => return Ok(Datum::text(text)),
        Oid::INT4 => digits(text, 9).map(|v| Datum::Int4(v as i32)),
        Oid::INT8 => digits(text, 18).map(Datum::Int8),
        Oid::INT2 => digits(text, 4).map(|v| Datum::Int2(v as i16)),
        Oid::DATE => iso_date(text).map(Datum::Date),
        _ => None,
    };
    short.map_or_else(|| io.input(ty, text), Ok)
}

/// A plain decimal integer of at most `most` digits.
fn digits(text: &str, most: usize) -> Option<i64> {
    let bytes = text.as_bytes();
    let (negative, bytes) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, bytes),
    };
    if bytes.is_empty() || bytes.len() > most {
        return None;
    }
    let value = bytes.iter().try_fold(0i64, |value, b| match b {
        b'0'..=b'9' => Some(value * 10 + i64::from(b - b'0')),
        _ => None,
    })?;
    Some(if negative { -value } else { value })
}

/// Days since 2000-01-01 of `YYYY-MM-DD`, which means the same under every DateStyle.
fn iso_date(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        bytes[range].iter().try_fold(0i32, |value, b| match b {
            b'0'..=b'9' => Some(value * 10 + i32::from(b - b'0')),
            _ => None,
        })
    };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    if year == 0 || !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) {
        return None;
    }
    // Years begin in March, so that the leap day is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    // 2000-01-01 counted this way.
    Some(days - 730_425)
}

fn days_in(year: i32, month: i32) -> i32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::info::OutputFormat;

    /// The short cuts read what the input functions read.
    #[test]
    fn short_cuts_agree_with_the_input_functions() {
        let fmt = OutputFormat::default();
        let io = Io::new(&fmt);
        let same = |ty: Oid, text: &str| {
            let ty = TypeRef::of(ty);
            let show = |value: Result<Datum>| format!("{value:?}");
            assert_eq!(show(read(&io, ty, text)), show(io.input(ty, text)), "{text}");
        };
        for text in
            ["0", "-0", "7", "-32768", "32768", "99999", "", "-", " 1", "1x", "2147483648", "123456789"]
        {
            for ty in [Oid::INT2, Oid::INT4, Oid::INT8] {
                same(ty, text);
            }
        }
        for text in [
            "2000-01-01",
            "1999-12-31",
            "2000-02-29",
            "2100-02-28",
            "0001-01-01",
            "9999-12-31",
            "1970-01-01",
            "2001-02-29",
            "2001-13-01",
            "2001-00-10",
            "0000-01-01",
            "2024-03-01",
            "1998-12-01",
        ] {
            same(Oid::DATE, text);
        }
    }
}
