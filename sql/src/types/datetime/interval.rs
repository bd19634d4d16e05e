//! Intervals: input in all usual forms (`1 day 2:03`, `1-2`, `P1DT2H`, `@ 3 mins ago`) and the
//! four output styles.

use super::calendar::{MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND};
use super::print::fraction;
use crate::session::info::{IntervalStyle, OutputFormat};
use crate::types::datum::Interval;
use crate::types::io::invalid_syntax;
use crate::{Result, SqlError, SqlState};
use std::io::Write;

macro_rules! put {
    ($out:expr, $($arg:tt)*) => {
        write!($out, $($arg)*).expect("a Vec takes every write")
    };
}

/// Longest text that is read.
const MAX_LEN: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Unit {
    Micro,
    Milli,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
}

fn unit_named(word: &str) -> Option<Unit> {
    Some(match word {
        "us" | "usec" | "usecond" | "useconds" | "usecs" | "microsecon" | "microsecond" | "microseconds" => {
            Unit::Micro
        }
        "ms" | "msec" | "msecond" | "mseconds" | "msecs" | "millisecon" | "millisecond" | "milliseconds" => {
            Unit::Milli
        }
        "s" | "sec" | "second" | "seconds" | "secs" => Unit::Second,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
        "h" | "hour" | "hours" | "hr" | "hrs" => Unit::Hour,
        "d" | "day" | "days" => Unit::Day,
        "w" | "week" | "weeks" => Unit::Week,
        "mon" | "mons" | "month" | "months" => Unit::Month,
        "qtr" | "quarter" => Unit::Quarter,
        "y" | "year" | "years" | "yr" | "yrs" => Unit::Year,
        "dec" | "decs" | "decade" | "decades" => Unit::Decade,
        "c" | "cent" | "century" | "centuries" => Unit::Century,
        "mil" | "mils" | "millennia" | "millennium" => Unit::Millennium,
        _ => return None,
    })
}

enum Fault {
    Format,
    /// A field too large while it is read.
    Range,
    /// The sum does not fit an interval.
    Overflow,
}

/// The fields while they are summed.
#[derive(Default)]
struct Sum {
    months: i64,
    days: i64,
    micros: i64,
}

impl Sum {
    fn add_months(&mut self, months: Option<i64>) -> Result<(), Fault> {
        self.months = months.and_then(|m| self.months.checked_add(m)).ok_or(Fault::Range)?;
        Ok(())
    }

    fn add_days(&mut self, days: Option<i64>) -> Result<(), Fault> {
        self.days = days.and_then(|d| self.days.checked_add(d)).ok_or(Fault::Range)?;
        Ok(())
    }

    fn add_micros(&mut self, micros: Option<i64>) -> Result<(), Fault> {
        self.micros = micros.and_then(|m| self.micros.checked_add(m)).ok_or(Fault::Range)?;
        Ok(())
    }

    /// A fraction of a unit of that many microseconds.
    fn add_fraction(&mut self, fraction: f64, unit: i64) -> Result<(), Fault> {
        self.add_micros(Some((fraction * unit as f64).round_ties_even() as i64))
    }

    fn add_day_fraction(&mut self, fraction: f64, days: f64) -> Result<(), Fault> {
        let part = fraction * days;
        let whole = part.trunc();
        self.add_days(Some(whole as i64))?;
        self.add_fraction(part - whole, MICROS_PER_DAY)
    }

    /// `value` and `fraction` (of the same sign) of a unit.
    fn add(&mut self, unit: Unit, value: i64, fraction: f64) -> Result<(), Fault> {
        let years = |sum: &mut Sum, count: i64| {
            sum.add_months(value.checked_mul(count * 12))?;
            sum.add_months(Some((fraction * count as f64 * 12.0).round_ties_even() as i64))
        };
        match unit {
            Unit::Micro => self.add_micros(Some(value + fraction.round_ties_even() as i64)),
            Unit::Milli => {
                self.add_micros(value.checked_mul(1000))?;
                self.add_fraction(fraction, 1000)
            }
            Unit::Second => {
                self.add_micros(value.checked_mul(MICROS_PER_SECOND))?;
                self.add_fraction(fraction, MICROS_PER_SECOND)
            }
            Unit::Minute => {
                self.add_micros(value.checked_mul(MICROS_PER_MINUTE))?;
                self.add_fraction(fraction, MICROS_PER_MINUTE)
            }
            Unit::Hour => {
                self.add_micros(value.checked_mul(MICROS_PER_HOUR))?;
                self.add_fraction(fraction, MICROS_PER_HOUR)
            }
            Unit::Day => {
                self.add_days(Some(value))?;
                self.add_fraction(fraction, MICROS_PER_DAY)
            }
            Unit::Week => {
                self.add_days(value.checked_mul(7))?;
                self.add_day_fraction(fraction, 7.0)
            }
            Unit::Month => {
                self.add_months(Some(value))?;
                self.add_day_fraction(fraction, 30.0)
            }
            Unit::Quarter => Err(Fault::Format),
            Unit::Year => years(self, 1),
            Unit::Decade => years(self, 10),
            Unit::Century => years(self, 100),
            Unit::Millennium => years(self, 1000),
        }
    }

    fn finish(self) -> Result<Interval, Fault> {
        let small = |value: i64| i32::try_from(value).map_err(|_| Fault::Overflow);
        Ok(Interval { months: small(self.months)?, days: small(self.days)?, micros: self.micros })
    }
}

/// Reads an interval; the modifier's fields decide what a bare number means and what is kept.
pub(crate) fn input(text: &str, typmod: i32, fmt: &OutputFormat) -> Result<Interval> {
    read(text, default_unit(typmod), fmt.interval_style).map_err(|fault| match fault {
        Fault::Format => SqlError::new(
            SqlState::INVALID_DATETIME_FORMAT,
            invalid_syntax("interval", text).message().to_owned(),
        ),
        Fault::Overflow => SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range"),
        Fault::Range => SqlError::new(
            SqlState::INTERVAL_FIELD_OVERFLOW,
            format!("interval field value out of range: \"{text}\""),
        ),
    })
}

/// Field bits of an interval's modifier, as PostgreSQL numbers them.
const MONTH: i32 = 1 << 1;
const YEAR: i32 = 1 << 2;
const DAY: i32 = 1 << 3;
const HOUR: i32 = 1 << 10;
const MINUTE: i32 = 1 << 11;
const SECOND: i32 = 1 << 12;

/// The unit of a number without one: the last field of the modifier's range.
fn default_unit(typmod: i32) -> Unit {
    if typmod < 0 {
        return Unit::Second;
    }
    let range = typmod >> 16 & 0x7fff;
    match range {
        0x7fff => Unit::Second,
        range if range & SECOND != 0 => Unit::Second,
        range if range & MINUTE != 0 => Unit::Minute,
        range if range & HOUR != 0 => Unit::Hour,
        range if range & DAY != 0 => Unit::Day,
        range if range & MONTH != 0 => Unit::Month,
        range if range & YEAR != 0 => Unit::Year,
        _ => Unit::Second,
    }
}

/// Cuts an interval to the fields and precision of its modifier.
pub(crate) fn apply_typmod(value: Interval, typmod: i32) -> Result<Interval> {
    if typmod < 0 {
        return Ok(value);
    }
    let range = typmod >> 16 & 0x7fff;
    let precision = typmod & 0xffff;
    let mut value = value;
    let unit = match range {
        0x7fff => 1,
        YEAR => {
            return Ok(Interval { months: value.months / 12 * 12, days: 0, micros: 0 });
        }
        range if range & (DAY | HOUR | MINUTE | SECOND) == 0 => {
            return Ok(Interval { days: 0, micros: 0, ..value });
        }
        range if range & SECOND != 0 => 1,
        range if range & MINUTE != 0 => MICROS_PER_MINUTE,
        range if range & HOUR != 0 => MICROS_PER_HOUR,
        _ => MICROS_PER_DAY,
    };
    if unit == MICROS_PER_DAY {
        value.micros = 0;
    } else {
        value.micros = value.micros / unit * unit;
    }
    if precision < 6 {
        value.micros = super::round_micros(value.micros, precision);
    }
    Ok(value)
}

fn read(text: &str, default: Unit, style: IntervalStyle) -> Result<Interval, Fault> {
    if text.len() > MAX_LEN || !text.is_ascii() {
        return Err(Fault::Format);
    }
    let lower = text.trim().to_ascii_lowercase();
    if lower.starts_with(['p']) || lower.starts_with("-p") {
        return iso8601(&text.trim().to_ascii_uppercase());
    }
    words(&lower, default, style)
}

#[derive(Debug, PartialEq)]
enum Token<'a> {
    /// A number with its sign.
    Number(&'a str),
    /// `h:m[:s]` with its sign.
    Time(&'a str),
    /// `y-m` with its sign.
    YearMonth(&'a str),
    Word(&'a str),
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, Fault> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let b = bytes[at];
        if b.is_ascii_whitespace() || matches!(b, b'@' | b',') {
            at += 1;
        } else if b.is_ascii_alphabetic() {
            while at < bytes.len() && bytes[at].is_ascii_alphabetic() {
                at += 1;
            }
            out.push(Token::Word(&text[start..at]));
        } else if b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.') {
            if matches!(b, b'+' | b'-') {
                at += 1;
            }
            let body = at;
            while at < bytes.len() && (bytes[at].is_ascii_digit() || matches!(bytes[at], b'.' | b':')) {
                at += 1;
            }
            if body == at {
                return Err(Fault::Format);
            }
            let dash = bytes.get(at) == Some(&b'-') && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
            if dash && !text[body..at].contains([':', '.']) {
                at += 1;
                while at < bytes.len() && bytes[at].is_ascii_digit() {
                    at += 1;
                }
                out.push(Token::YearMonth(&text[start..at]));
            } else if text[body..at].contains(':') {
                out.push(Token::Time(&text[start..at]));
            } else {
                out.push(Token::Number(&text[start..at]));
            }
        } else {
            return Err(Fault::Format);
        }
    }
    Ok(out)
}

/// A signed decimal as whole part and fraction of the same sign.
fn decimal(text: &str) -> Result<(i64, f64), Fault> {
    let negative = text.starts_with('-');
    let body = text.trim_start_matches(['+', '-']);
    let (whole, part) = body.split_once('.').unwrap_or((body, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || whole.len() + part.len() == 0 {
        return Err(Fault::Format);
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| Fault::Range)? };
    let part: f64 =
        if part.is_empty() { 0.0 } else { format!("0.{part}").parse().map_err(|_| Fault::Format)? };
    Ok(if negative { (-whole, -part) } else { (whole, part) })
}

fn words(text: &str, default: Unit, style: IntervalStyle) -> Result<Interval, Fault> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Err(Fault::Format);
    }
    let mut sum = Sum::default();
    let mut seen: Vec<Unit> = Vec::new();
    let mut mark = |units: &[Unit]| {
        let twice = units.iter().any(|unit| seen.contains(unit));
        seen.extend_from_slice(units);
        if twice { Err(Fault::Format) } else { Ok(()) }
    };
    let mut ago = false;
    let mut unit: Option<Unit> = None;
    // In the SQL standard style a leading sign counts for every field.
    let all_negative = style == IntervalStyle::SqlStandard
        && text.starts_with('-')
        && tokens.iter().skip(1).all(|token| match token {
            Token::Number(t) | Token::Time(t) | Token::YearMonth(t) => !t.starts_with(['-', '+']),
            Token::Word(_) => true,
        });
    let last = tokens.len() - 1;
    // From the end: a unit stands behind its number.
    for (at, token) in tokens.iter().enumerate().rev() {
        match token {
            Token::Word("ago") if at == last => ago = true,
            Token::Word(word) => {
                if unit.is_some() {
                    return Err(Fault::Format);
                }
                unit = Some(unit_named(word).ok_or(Fault::Format)?);
                if at == 0 {
                    return Err(Fault::Format);
                }
            }
            Token::Number(number) => {
                let (value, part) = decimal(number)?;
                let (value, part) = if all_negative && at > 0 { (-value, -part) } else { (value, part) };
                // A bare number in front of a time is days.
                let of = unit.take().unwrap_or_else(|| match tokens.get(at + 1) {
                    Some(Token::Time(_)) => Unit::Day,
                    _ => default,
                });
                mark(&[of])?;
                sum.add(of, value, part)?;
            }
            Token::Time(time) => {
                if unit.take().is_some() {
                    return Err(Fault::Format);
                }
                mark(&[Unit::Hour, Unit::Minute, Unit::Second])?;
                let micros = clock(time, default)?;
                sum.add_micros(Some(if all_negative && at > 0 { -micros } else { micros }))?;
            }
            Token::YearMonth(part) => {
                if unit.take().is_some() {
                    return Err(Fault::Format);
                }
                mark(&[Unit::Year, Unit::Month])?;
                let negative = part.starts_with('-');
                let (years, months) =
                    part.trim_start_matches(['+', '-']).split_once('-').ok_or(Fault::Format)?;
                let years: i64 = years.parse().map_err(|_| Fault::Range)?;
                let months: i64 = months.parse().map_err(|_| Fault::Range)?;
                if months >= 12 {
                    return Err(Fault::Range);
                }
                let total = years.checked_mul(12).map(|years| years + months);
                sum.add_months(total.map(|total| if negative { -total } else { total }))?;
            }
        }
    }
    if unit.is_some() {
        return Err(Fault::Format);
    }
    let value = sum.finish()?;
    if !ago {
        return Ok(value);
    }
    Ok(Interval {
        months: value.months.checked_neg().ok_or(Fault::Range)?,
        days: value.days.checked_neg().ok_or(Fault::Range)?,
        micros: value.micros.checked_neg().ok_or(Fault::Range)?,
    })
}

/// `[-]h:m[:s[.f]]`; two parts with a fraction are `m:s.f`.
fn clock(text: &str, default: Unit) -> Result<i64, Fault> {
    let negative = text.starts_with('-');
    let parts: Vec<_> = text.trim_start_matches(['+', '-']).split(':').collect();
    let number = |part: &str| -> Result<i64, Fault> {
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Fault::Format);
        }
        part.parse().map_err(|_| Fault::Range)
    };
    let _ = default;
    let (hours, minutes, seconds) = match parts[..] {
        [m, s] if s.contains('.') => (0, number(m)?, s),
        [h, m] => (number(h)?, number(m)?, "0"),
        [h, m, s] => (number(h)?, number(m)?, s),
        _ => return Err(Fault::Format),
    };
    let (second, part) = decimal(seconds)?;
    if minutes >= 60 || second > 60 {
        return Err(Fault::Range);
    }
    let micros = hours
        .checked_mul(MICROS_PER_HOUR)
        .and_then(|h| h.checked_add(minutes * MICROS_PER_MINUTE + second * MICROS_PER_SECOND))
        .and_then(|h| h.checked_add((part * 1e6).round_ties_even() as i64))
        .ok_or(Fault::Range)?;
    Ok(if negative { -micros } else { micros })
}

/// `P[nY][nM][nW][nD][T[nH][nM][nS]]`, and `P0001-02-03T04:05:06`.
fn iso8601(text: &str) -> Result<Interval, Fault> {
    let (negative, body) = match text.strip_prefix('-') {
        Some(rest) => (true, &rest[1..]),
        None => (false, &text[1..]),
    };
    if body.is_empty() {
        return Err(Fault::Format);
    }
    let (date, time) = match body.split_once('T') {
        Some((_, "")) => return Err(Fault::Format),
        Some((date, time)) => (date, time),
        None => (body, ""),
    };
    let mut sum = Sum::default();
    let plain = |part: &str| !part.contains(|c: char| c.is_ascii_alphabetic());
    if !date.is_empty() && plain(date) && date.trim_start_matches('-').contains('-') {
        let parts: Vec<_> = date.splitn(3, '-').collect();
        for (part, unit) in parts.iter().zip([Unit::Year, Unit::Month, Unit::Day]) {
            sum.add(unit, part.parse().map_err(|_| Fault::Format)?, 0.0)?;
        }
    } else {
        designated(date, &mut sum, |c| {
            Some(match c {
                'Y' => Unit::Year,
                'M' => Unit::Month,
                'W' => Unit::Week,
                'D' => Unit::Day,
                _ => return None,
            })
        })?;
    }
    if !time.is_empty() && plain(time) && time.contains(':') {
        sum.add_micros(Some(clock(time, Unit::Second)?))?;
    } else {
        designated(time, &mut sum, |c| {
            Some(match c {
                'H' => Unit::Hour,
                'M' => Unit::Minute,
                'S' => Unit::Second,
                _ => return None,
            })
        })?;
    }
    let value = sum.finish()?;
    Ok(if negative {
        Interval { months: -value.months, days: -value.days, micros: -value.micros }
    } else {
        value
    })
}

fn designated(text: &str, sum: &mut Sum, unit: impl Fn(char) -> Option<Unit>) -> Result<(), Fault> {
    let mut rest = text;
    while !rest.is_empty() {
        let at = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or(Fault::Format)?;
        let (value, part) = decimal(&rest[..at])?;
        let designator = rest[at..].chars().next().and_then(&unit).ok_or(Fault::Format)?;
        sum.add(designator, value, part)?;
        rest = &rest[at + 1..];
    }
    Ok(())
}

/// An interval by fields, each with its own sign.
struct Fields {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
}

pub(crate) fn output(value: Interval, style: IntervalStyle, out: &mut Vec<u8>) {
    let fields = Fields {
        year: i64::from(value.months / 12),
        month: i64::from(value.months % 12),
        day: i64::from(value.days),
        hour: value.micros / MICROS_PER_HOUR,
        minute: value.micros / MICROS_PER_MINUTE % 60,
        second: value.micros / MICROS_PER_SECOND % 60,
        micros: value.micros % MICROS_PER_SECOND,
    };
    match style {
        IntervalStyle::Postgres => postgres(&fields, out),
        IntervalStyle::PostgresVerbose => verbose(&fields, out),
        IntervalStyle::Iso8601 => iso(&fields, out),
        IntervalStyle::SqlStandard => sql_standard(fields, out),
    }
}

fn postgres(f: &Fields, out: &mut Vec<u8>) {
    let (mut first, mut before) = (true, false);
    for (value, unit) in [(f.year, "year"), (f.month, "mon"), (f.day, "day")] {
        if value == 0 {
            continue;
        }
        let space = if first { "" } else { " " };
        let plus = if before && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        put!(out, "{space}{plus}{value} {unit}{plural}");
        before = value < 0;
        first = false;
    }
    let negative = f.hour < 0 || f.minute < 0 || f.second < 0 || f.micros < 0;
    let zero = f.hour == 0 && f.minute == 0 && f.second == 0 && f.micros == 0;
    if first || !zero {
        let space = if first { "" } else { " " };
        let sign = if negative {
            "-"
        } else if before {
            "+"
        } else {
            ""
        };
        put!(out, "{space}{sign}{:02}:{:02}:{:02}", f.hour.abs(), f.minute.abs(), f.second.abs());
        fraction(f.micros.abs(), out);
    }
}

fn verbose(f: &Fields, out: &mut Vec<u8>) {
    let (mut first, mut before) = (true, false);
    out.push(b'@');
    for (value, unit) in
        [(f.year, "year"), (f.month, "mon"), (f.day, "day"), (f.hour, "hour"), (f.minute, "min")]
    {
        if value == 0 {
            continue;
        }
        let shown = if first {
            before = value < 0;
            value.abs()
        } else if before {
            -value
        } else {
            value
        };
        put!(out, " {shown} {unit}{}", if shown == 1 { "" } else { "s" });
        first = false;
    }
    if f.second != 0 || f.micros != 0 {
        out.push(b' ');
        if f.second < 0 || f.micros < 0 {
            if first {
                before = true;
            } else if !before {
                out.push(b'-');
            }
        } else if before {
            out.push(b'-');
        }
        put!(out, "{}", f.second.abs());
        fraction(f.micros.abs(), out);
        put!(out, " sec{}", if f.second.abs() != 1 || f.micros != 0 { "s" } else { "" });
        first = false;
    }
    if first {
        out.extend_from_slice(b" 0");
    }
    if before {
        out.extend_from_slice(b" ago");
    }
}

fn iso(f: &Fields, out: &mut Vec<u8>) {
    let all = [f.year, f.month, f.day, f.hour, f.minute, f.second, f.micros];
    if all.iter().all(|value| *value == 0) {
        return out.extend_from_slice(b"PT0S");
    }
    out.push(b'P');
    for (value, letter) in [(f.year, 'Y'), (f.month, 'M'), (f.day, 'D')] {
        if value != 0 {
            put!(out, "{value}{letter}");
        }
    }
    if all[3..].iter().any(|value| *value != 0) {
        out.push(b'T');
    }
    for (value, letter) in [(f.hour, 'H'), (f.minute, 'M')] {
        if value != 0 {
            put!(out, "{value}{letter}");
        }
    }
    if f.second != 0 || f.micros != 0 {
        if f.second < 0 || f.micros < 0 {
            out.push(b'-');
        }
        put!(out, "{}", f.second.abs());
        fraction(f.micros.abs(), out);
        out.push(b'S');
    }
}

fn sql_standard(mut f: Fields, out: &mut Vec<u8>) {
    let all = [f.year, f.month, f.day, f.hour, f.minute, f.second, f.micros];
    let negative = all.iter().any(|value| *value < 0);
    let positive = all.iter().any(|value| *value > 0);
    let year_month = f.year != 0 || f.month != 0;
    let has_day = f.day != 0;
    let day_time = all[2..].iter().any(|value| *value != 0);
    let standard = !(negative && positive || year_month && day_time);
    if negative && standard {
        out.push(b'-');
        for value in
            [&mut f.year, &mut f.month, &mut f.day, &mut f.hour, &mut f.minute, &mut f.second, &mut f.micros]
        {
            *value = -*value;
        }
    }
    let time_negative = f.hour < 0 || f.minute < 0 || f.second < 0 || f.micros < 0;
    if !negative && !positive {
        return out.push(b'0');
    }
    if !standard {
        let sign = |negative: bool| if negative { '-' } else { '+' };
        put!(out, "{}{}-{} ", sign(f.year < 0 || f.month < 0), f.year.abs(), f.month.abs());
        put!(out, "{}{} ", sign(f.day < 0), f.day.abs());
        put!(out, "{}{}:{:02}:{:02}", sign(time_negative), f.hour.abs(), f.minute.abs(), f.second.abs());
        return fraction(f.micros.abs(), out);
    }
    if year_month {
        return put!(out, "{}-{}", f.year, f.month);
    }
    if has_day {
        put!(out, "{} ", f.day);
    }
    put!(out, "{}:{:02}:{:02}", f.hour, f.minute, f.second);
    fraction(f.micros, out);
}

/// Microseconds of an interval as intervals compare: a month is 30 days, a day 24 hours.
pub fn sort_key(value: &Interval) -> i128 {
    (i128::from(value.months) * 30 + i128::from(value.days)) * i128::from(MICROS_PER_DAY)
        + i128::from(value.micros)
}
