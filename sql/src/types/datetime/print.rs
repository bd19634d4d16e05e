//! Text output of dates and times under each DateStyle.

use super::calendar::{self, Civil, MICROS_PER_SECOND, split_time, split_timestamp};
use super::zone;
use crate::session::info::{DateOrder, DateStyle, OutputFormat};
use crate::types::datum::TimeTz;
use std::io::Write;

pub(crate) const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
pub(crate) const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

macro_rules! put {
    ($out:expr, $($arg:tt)*) => {
        write!($out, $($arg)*).expect("a Vec takes every write")
    };
}

/// The year as shown: 1 BC for year 0.
fn shown_year(year: i64) -> i64 {
    if year > 0 { year } else { 1 - year }
}

pub(crate) fn date_out(days: i32, fmt: &OutputFormat, out: &mut Vec<u8>) {
    if infinite(days == i32::MIN, days == i32::MAX, out) {
        return;
    }
    let (year, month, day) = calendar::civil_of_days(i64::from(days));
    let date = Civil { year, month, day, ..Civil::default() };
    match (fmt.date_style, fmt.date_order) {
        (DateStyle::Iso, _) => put!(out, "{:04}-{month:02}-{day:02}", shown_year(year)),
        (DateStyle::Postgres, DateOrder::Dmy) => put!(out, "{day:02}-{month:02}-{:04}", shown_year(year)),
        (DateStyle::Postgres, _) => put!(out, "{month:02}-{day:02}-{:04}", shown_year(year)),
        _ => numeric_date(&date, fmt, out),
    }
    era(year, out);
}

/// SQL's `mm/dd/yyyy` and German `dd.mm.yyyy`.
fn numeric_date(c: &Civil, fmt: &OutputFormat, out: &mut Vec<u8>) {
    let year = shown_year(c.year);
    match (fmt.date_style, fmt.date_order) {
        (DateStyle::German, _) => put!(out, "{:02}.{:02}.{year:04}", c.day, c.month),
        (_, DateOrder::Dmy) => put!(out, "{:02}/{:02}/{year:04}", c.day, c.month),
        _ => put!(out, "{:02}/{:02}/{year:04}", c.month, c.day),
    }
}

fn infinite(negative: bool, positive: bool, out: &mut Vec<u8>) -> bool {
    if negative {
        out.extend_from_slice(b"-infinity");
    } else if positive {
        out.extend_from_slice(b"infinity");
    }
    negative || positive
}

fn era(year: i64, out: &mut Vec<u8>) {
    if year <= 0 {
        out.extend_from_slice(b" BC");
    }
}

/// hh:mm:ss with the fraction's trailing zeros cut.
fn clock(c: &Civil, out: &mut Vec<u8>) {
    put!(out, "{:02}:{:02}:{:02}", c.hour, c.minute, c.second);
    fraction(c.micros, out);
}

/// `.ffffff` without trailing zeros; nothing for zero.
pub(crate) fn fraction(micros: i64, out: &mut Vec<u8>) {
    if micros == 0 {
        return;
    }
    put!(out, ".{micros:06}");
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

pub(crate) fn time_out(micros: i64, out: &mut Vec<u8>) {
    clock(&split_time(micros), out);
}

pub(crate) fn timetz_out(value: TimeTz, _fmt: &OutputFormat, out: &mut Vec<u8>) {
    time_out(value.micros, out);
    offset(-value.zone, out);
}

/// `+hh[:mm[:ss]]` of seconds east.
pub(crate) fn offset(seconds: i32, out: &mut Vec<u8>) {
    let size = seconds.abs();
    put!(out, "{}{:02}", if seconds < 0 { '-' } else { '+' }, size / 3600);
    if size % 3600 != 0 {
        put!(out, ":{:02}", size / 60 % 60);
        if size % 60 != 0 {
            put!(out, ":{:02}", size % 60);
        }
    }
}

pub(crate) fn timestamp_out(micros: i64, fmt: &OutputFormat, out: &mut Vec<u8>) {
    if !infinite(micros == i64::MIN, micros == i64::MAX, out) {
        date_and_time(&split_timestamp(micros), None, fmt, out);
    }
}

pub(crate) fn timestamptz_out(micros: i64, fmt: &OutputFormat, out: &mut Vec<u8>) {
    if infinite(micros == i64::MIN, micros == i64::MAX, out) {
        return;
    }
    let seconds = zone::offset_at(&fmt.time_zone, micros);
    let local = split_timestamp(micros + i64::from(seconds) * MICROS_PER_SECOND);
    date_and_time(&local, Some((seconds, micros)), fmt, out);
}

fn date_and_time(c: &Civil, zone: Option<(i32, i64)>, fmt: &OutputFormat, out: &mut Vec<u8>) {
    let year = shown_year(c.year);
    match fmt.date_style {
        DateStyle::Iso => put!(out, "{year:04}-{:02}-{:02} ", c.month, c.day),
        DateStyle::Postgres => {
            put!(out, "{} ", DAYS[calendar::day_of_week(c.days()) as usize]);
            let month = MONTHS[(c.month - 1) as usize];
            match fmt.date_order {
                DateOrder::Dmy => put!(out, "{:02} {month} ", c.day),
                _ => put!(out, "{month} {:02} ", c.day),
            }
        }
        _ => {
            numeric_date(c, fmt, out);
            out.push(b' ');
        }
    }
    clock(c, out);
    if fmt.date_style == DateStyle::Postgres {
        put!(out, " {year:04}");
    }
    if let Some((seconds, micros)) = zone {
        print_zone(seconds, micros, fmt, out);
    }
    era(c.year, out);
}

/// ISO shows the offset, the others the abbreviation where the zone has one.
fn print_zone(seconds: i32, micros: i64, fmt: &OutputFormat, out: &mut Vec<u8>) {
    if fmt.date_style == DateStyle::Iso {
        return offset(seconds, out);
    }
    let name = zone::abbreviation_at(&fmt.time_zone, micros);
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        put!(out, " {name}");
    } else if fmt.date_style == DateStyle::Postgres {
        out.push(b' ');
        offset(seconds, out);
    } else {
        put!(out, " {name}");
    }
}
