//! Date, time and interval functions.

use super::args::{
    self, date, division_by_zero, int4, integer_range, interval, invalid, text, time, timestamp,
};
use super::{CallContext, Table};
use crate::types::datetime::calendar::{self, MICROS_PER_DAY, MICROS_PER_SECOND, split_timestamp};
use crate::types::datetime::{Civil, civil_of_days, zone};
use crate::types::{Datum, Interval, Numeric, TimeTz};
use crate::{Oid, Result, SqlError, SqlState};

fn out_of_range(what: &str) -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("{what} out of range"))
}

fn finite(micros: i64) -> bool {
    !matches!(micros, i64::MIN | i64::MAX)
}

fn checked_timestamp(micros: Option<i64>) -> Result<Datum> {
    let micros = micros.filter(|micros| calendar::timestamp_is_valid(*micros));
    micros.map(Datum::Timestamp).ok_or_else(|| out_of_range("timestamp"))
}

/// Days to midnight, infinities kept.
fn midnight(days: i32) -> Result<i64> {
    match days {
        i32::MIN => Ok(i64::MIN),
        i32::MAX => Ok(i64::MAX),
        days => {
            let micros = i64::from(days).checked_mul(MICROS_PER_DAY);
            micros.filter(|micros| calendar::timestamp_is_valid(*micros)).ok_or_else(|| {
                SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range for timestamp")
            })
        }
    }
}

fn to_days(micros: i64) -> i32 {
    match micros {
        i64::MIN => i32::MIN,
        i64::MAX => i32::MAX,
        micros => micros.div_euclid(MICROS_PER_DAY) as i32,
    }
}

fn to_utc(cx: &CallContext<'_>, local: i64) -> Result<i64> {
    if !finite(local) {
        return Ok(local);
    }
    zone::to_utc(&cx.fmt.time_zone, local).ok_or_else(|| out_of_range("timestamp"))
}

fn to_local(cx: &CallContext<'_>, micros: i64) -> i64 {
    if finite(micros) { zone::to_local(&cx.fmt.time_zone, micros) } else { micros }
}

fn date_plus(days: i32, more: i64) -> Result<Datum> {
    if matches!(days, i32::MIN | i32::MAX) {
        return Ok(Datum::Date(days));
    }
    let sum = i64::from(days) + more;
    if calendar::date_is_valid(sum) { Ok(Datum::Date(sum as i32)) } else { Err(out_of_range("date")) }
}

pub(super) fn integer_pl_date(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    date_plus(date(&args[1])?, i64::from(int4(&args[0])?))
}

fn date_minus_date(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (a, b) = (date(&args[0])?, date(&args[1])?);
    if [a, b].iter().any(|days| matches!(*days, i32::MIN | i32::MAX)) {
        return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "cannot subtract infinite dates"));
    }
    Ok(Datum::Int4(a - b))
}

fn negated(value: Interval) -> Result<Interval> {
    let fields = (value.months.checked_neg(), value.days.checked_neg(), value.micros.checked_neg());
    match fields {
        (Some(months), Some(days), Some(micros)) => Ok(Interval { months, days, micros }),
        _ => Err(out_of_range("interval")),
    }
}

/// The sum of two intervals, field by field.
pub(super) fn add_intervals(a: Interval, b: Interval) -> Result<Interval> {
    let fields = (a.months.checked_add(b.months), a.days.checked_add(b.days), a.micros.checked_add(b.micros));
    match fields {
        (Some(months), Some(days), Some(micros)) => Ok(Interval { months, days, micros }),
        _ => Err(out_of_range("interval")),
    }
}

/// Six digits after the point.
fn round6(value: f64) -> f64 {
    (value * 1e6).round_ties_even() / 1e6
}

/// Scales an interval; fractions of months become days, of days time.
fn scale_interval(value: Interval, by: impl Fn(f64) -> f64) -> Result<Interval> {
    let fits = |value: f64| value.is_finite() && value.abs() < 2_147_483_648.0;
    let (months, days) = (by(f64::from(value.months)), by(f64::from(value.days)));
    if !fits(months) || !fits(days) {
        return Err(out_of_range("interval"));
    }
    let whole_months = months.trunc();
    let mut whole_days = days.trunc();
    let month_days = round6((months - whole_months) * 30.0);
    let mut seconds = round6((days - whole_days + month_days - month_days.trunc()) * 86_400.0);
    if seconds.abs() >= 86_400.0 {
        let extra = (seconds / 86_400.0).trunc();
        whole_days += extra;
        seconds -= extra * 86_400.0;
    }
    whole_days += month_days.trunc();
    let micros = (by(value.micros as f64) + seconds * 1e6).round_ties_even();
    if !fits(whole_days) || !micros.is_finite() || micros.abs() >= 9_223_372_036_854_775_808.0 {
        return Err(out_of_range("interval"));
    }
    Ok(Interval { months: whole_months as i32, days: whole_days as i32, micros: micros as i64 })
}

/// An interval divided by a number.
pub(super) fn divide_interval(value: Interval, by: f64) -> Result<Interval> {
    if by == 0.0 {
        return Err(division_by_zero());
    }
    scale_interval(value, |field| field / by)
}

/// Adds months (to the same day, or the month's last), then days, to a local time.
fn add_calendar(local: i64, span: Interval) -> Option<i64> {
    let mut local = local;
    if span.months != 0 {
        let c = split_timestamp(local);
        let months = c.month - 1 + i64::from(span.months);
        let (year, month) = (c.year + months.div_euclid(12), months.rem_euclid(12) + 1);
        let day = c.day.min(calendar::days_in_month(year, month));
        local = Civil { year, month, day, ..c }.timestamp()?;
    }
    local
        .checked_add(i64::from(span.days).checked_mul(MICROS_PER_DAY)?)
        .filter(|l| calendar::timestamp_is_valid(*l))
}

/// timestamp or date + interval.
fn add_local(local: i64, span: Interval) -> Result<Datum> {
    if !finite(local) {
        return Ok(Datum::Timestamp(local));
    }
    checked_timestamp(add_calendar(local, span).and_then(|local| local.checked_add(span.micros)))
}

/// timestamptz + interval: months and days count on the session's calendar.
fn add_instant(cx: &CallContext<'_>, micros: i64, span: Interval) -> Result<Datum> {
    if !finite(micros) {
        return Ok(Datum::Timestamp(micros));
    }
    let moved = if span.months == 0 && span.days == 0 {
        Some(micros)
    } else {
        add_calendar(to_local(cx, micros), span).and_then(|local| zone::to_utc(&cx.fmt.time_zone, local))
    };
    checked_timestamp(moved.and_then(|micros| micros.checked_add(span.micros)))
}

/// `value + interval` or `-`, by the type of the value.
fn shift(cx: &CallContext<'_>, value: &Datum, ty: Oid, span: Interval) -> Result<Datum> {
    match value {
        Datum::Date(days) => add_local(midnight(*days)?, span),
        Datum::Timestamp(micros) if ty == Oid::TIMESTAMPTZ => add_instant(cx, *micros, span),
        Datum::Timestamp(micros) => add_local(*micros, span),
        Datum::Time(micros) => {
            Ok(Datum::Time((micros + span.micros % MICROS_PER_DAY).rem_euclid(MICROS_PER_DAY)))
        }
        Datum::TimeTz(value) => Ok(Datum::TimeTz(TimeTz {
            micros: (value.micros + span.micros % MICROS_PER_DAY).rem_euclid(MICROS_PER_DAY),
            ..*value
        })),
        other => Err(SqlError::internal(format!("no date or time: {other:?}"))),
    }
}

/// Operators of a date or time type and an interval.
macro_rules! plus_minus {
    ($plus:literal, $minus:literal, $ty:ident) => {
        [
            ($plus, |cx, args| shift(cx, &args[0], Oid::$ty, interval(&args[1])?)),
            ($minus, |cx, args| shift(cx, &args[0], Oid::$ty, negated(interval(&args[1])?)?)),
        ]
    };
}

/// `interval + value`.
pub(super) fn swap_pl_interval(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    shift(cx, &args[1], cx.arg_type(1), interval(&args[0])?)
}

fn timestamp_minus(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (a, b) = (timestamp(&args[0])?, timestamp(&args[1])?);
    if !finite(a) || !finite(b) {
        return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "cannot subtract infinite timestamps"));
    }
    let micros = a.checked_sub(b).ok_or_else(|| out_of_range("interval"))?;
    Ok(Datum::Interval(Interval {
        months: 0,
        days: (micros / MICROS_PER_DAY) as i32,
        micros: micros % MICROS_PER_DAY,
    }))
}

/// The difference of two local times in years, months, days and time.
fn age_between(a: i64, b: i64) -> Result<Datum> {
    if !finite(a) || !finite(b) {
        return Err(out_of_range("timestamp"));
    }
    let (later, earlier) = if a >= b { (a, b) } else { (b, a) };
    let (l, e) = (split_timestamp(later), split_timestamp(earlier));
    let mut micros = l.time_micros() - e.time_micros();
    let mut days = l.day - e.day;
    let mut months = (l.year - e.year) * 12 + l.month - e.month;
    if micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    }
    // Days are borrowed from the month of the first argument when it is the earlier one, else of
    // the second: in both cases the earlier date's.
    while days < 0 {
        days += calendar::days_in_month(e.year, e.month);
        months -= 1;
    }
    let value = Interval {
        months: i32::try_from(months).map_err(|_| out_of_range("interval"))?,
        days: days as i32,
        micros,
    };
    Ok(Datum::Interval(if a >= b { value } else { negated(value)? }))
}

fn age2(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    age_between(timestamp(&args[0])?, timestamp(&args[1])?)
}

fn age2_instant(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    age_between(to_local(cx, timestamp(&args[0])?), to_local(cx, timestamp(&args[1])?))
}

/// The age at today's midnight.
pub(super) fn age1(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let today = to_local(cx, cx.session.transaction_start).div_euclid(MICROS_PER_DAY) * MICROS_PER_DAY;
    let value = timestamp(&args[0])?;
    let local = if cx.arg_type(0) == Oid::TIMESTAMPTZ { to_local(cx, value) } else { value };
    age_between(today, local)
}

fn justify_hours(value: Interval) -> Result<Interval> {
    let mut days = i64::from(value.days) + value.micros / MICROS_PER_DAY;
    let mut micros = value.micros % MICROS_PER_DAY;
    if days > 0 && micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    } else if days < 0 && micros > 0 {
        micros -= MICROS_PER_DAY;
        days += 1;
    }
    Ok(Interval { days: i32::try_from(days).map_err(|_| out_of_range("interval"))?, micros, ..value })
}

fn justify_days(value: Interval) -> Result<Interval> {
    let mut months = i64::from(value.months) + i64::from(value.days / 30);
    let mut days = value.days % 30;
    if months > 0 && days < 0 {
        days += 30;
        months -= 1;
    } else if months < 0 && days > 0 {
        days -= 30;
        months += 1;
    }
    Ok(Interval { months: i32::try_from(months).map_err(|_| out_of_range("interval"))?, days, ..value })
}

/// Field names of extract and date_trunc.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Unit {
    Microseconds,
    Milliseconds,
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
    Epoch,
    Dow,
    IsoDow,
    Doy,
    IsoYear,
    Julian,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
}

fn unit_named(word: &str) -> Option<Unit> {
    Some(match word {
        "us" | "usec" | "usecs" | "microsecond" | "microseconds" => Unit::Microseconds,
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => Unit::Milliseconds,
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Second,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Hour,
        "d" | "day" | "days" => Unit::Day,
        "w" | "week" | "weeks" => Unit::Week,
        "mon" | "mons" | "month" | "months" => Unit::Month,
        "qtr" | "quarter" => Unit::Quarter,
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Year,
        "dec" | "decs" | "decade" | "decades" => Unit::Decade,
        "c" | "cent" | "century" | "centuries" => Unit::Century,
        "mil" | "mils" | "millennium" | "millennia" => Unit::Millennium,
        "epoch" => Unit::Epoch,
        "dow" => Unit::Dow,
        "isodow" => Unit::IsoDow,
        "doy" => Unit::Doy,
        "isoyear" => Unit::IsoYear,
        "j" | "jd" | "julian" => Unit::Julian,
        "timezone" => Unit::Timezone,
        "timezone_h" | "timezone_hour" => Unit::TimezoneHour,
        "timezone_m" | "timezone_minute" => Unit::TimezoneMinute,
        _ => return None,
    })
}

fn find_unit(word: &str, ty: &str) -> Result<Unit> {
    let lower = word.to_ascii_lowercase();
    unit_named(&lower).ok_or_else(|| invalid(format!("unit \"{lower}\" not recognized for type {ty}")))
}

fn unsupported(word: &str, ty: &str) -> SqlError {
    SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("unit \"{}\" not supported for type {ty}", word.to_ascii_lowercase()),
    )
}

/// A field's value: `whole` · 10^-scale.
struct Part {
    whole: i64,
    scale: i32,
}

const fn whole(whole: i64) -> Part {
    Part { whole, scale: 0 }
}

fn time_part(unit: Unit, micros_of_day: i64) -> Option<Part> {
    let minute = micros_of_day % (60 * MICROS_PER_SECOND);
    Some(match unit {
        Unit::Microseconds => whole(minute),
        Unit::Milliseconds => Part { whole: minute, scale: 3 },
        Unit::Second => Part { whole: minute, scale: 6 },
        Unit::Minute => whole(micros_of_day / (60 * MICROS_PER_SECOND) % 60),
        Unit::Hour => whole(micros_of_day / (3600 * MICROS_PER_SECOND)),
        _ => return None,
    })
}

fn date_part(unit: Unit, days: i64) -> Option<Part> {
    let (year, month, day) = civil_of_days(days);
    let no_zero = |year: i64| if year > 0 { year } else { year - 1 };
    let group =
        |size: i64| if year > 0 { (year + size - 1) / size } else { -((size - 1 - (year - 1)) / size) };
    Some(whole(match unit {
        Unit::Day => day,
        Unit::Month => month,
        Unit::Quarter => (month - 1) / 3 + 1,
        Unit::Week => calendar::iso_week(days).1,
        Unit::Year => no_zero(year),
        Unit::IsoYear => no_zero(calendar::iso_week(days).0),
        Unit::Decade => year.div_euclid(10),
        Unit::Century => group(100),
        Unit::Millennium => group(1000),
        Unit::Dow => calendar::day_of_week(days),
        Unit::IsoDow => (calendar::day_of_week(days) + 6) % 7 + 1,
        Unit::Doy => calendar::day_of_year(year, month, day),
        Unit::Julian => days + calendar::JULIAN_EPOCH,
        _ => return None,
    }))
}

fn interval_part(unit: Unit, value: Interval) -> Option<Part> {
    let (years, months) = (i64::from(value.months / 12), i64::from(value.months % 12));
    let rest = value.micros % (60 * MICROS_PER_SECOND);
    Some(match unit {
        Unit::Microseconds => whole(rest),
        Unit::Milliseconds => Part { whole: rest, scale: 3 },
        Unit::Second => Part { whole: rest, scale: 6 },
        Unit::Minute => whole(value.micros / (60 * MICROS_PER_SECOND) % 60),
        Unit::Hour => whole(value.micros / (3600 * MICROS_PER_SECOND)),
        Unit::Day => whole(value.days.into()),
        Unit::Month => whole(months),
        Unit::Quarter => whole(months / 3 + 1),
        Unit::Year => whole(years),
        Unit::Decade => whole(years / 10),
        Unit::Century => whole(years / 100),
        Unit::Millennium => whole(years / 1000),
        Unit::Epoch => {
            // A year counts 365.25 days: a quarter of a day, 21,600 seconds, more than 365.
            let days = years.checked_mul(365)? + months * 30 + i64::from(value.days);
            let seconds = days * 86_400 + years * 21_600;
            Part { whole: seconds.checked_mul(MICROS_PER_SECOND)?.checked_add(value.micros)?, scale: 6 }
        }
        _ => return None,
    })
}

/// The types that fields are taken from.
#[derive(Clone, Copy, PartialEq)]
enum Source {
    Date,
    Time,
    TimeTz,
    Timestamp,
    TimestampTz,
    Interval,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Source::Date => "date",
            Source::Time => "time without time zone",
            Source::TimeTz => "time with time zone",
            Source::Timestamp => "timestamp without time zone",
            Source::TimestampTz => "timestamp with time zone",
            Source::Interval => "interval",
        }
    }
}

/// A field of a value; `Ok(None)` for a field that an infinite value does not have.
fn part(cx: &CallContext<'_>, source: Source, args: &[Datum]) -> Result<Option<PartValue>> {
    let word = text(&args[0])?;
    let unit = find_unit(word, source.name())?;
    let missing = || unsupported(word, source.name());
    if let Some(positive) = infinite(&args[1]) {
        let grows = matches!(
            unit,
            Unit::Year
                | Unit::Decade
                | Unit::Century
                | Unit::Millennium
                | Unit::Epoch
                | Unit::IsoYear
                | Unit::Julian
        );
        let known =
            grows || date_part(unit, 0).is_some() || (source != Source::Date && time_part(unit, 0).is_some());
        return match (known, grows) {
            (false, _) if source != Source::TimestampTz => Err(missing()),
            (_, true) => Ok(Some(PartValue::Infinite(positive))),
            _ => Ok(None),
        };
    }
    let zone_part = |east: i64| match unit {
        Unit::Timezone => Some(whole(east)),
        Unit::TimezoneHour => Some(whole(east / 3600)),
        Unit::TimezoneMinute => Some(whole(east / 60 % 60)),
        _ => None,
    };
    let local_part = |local: i64| {
        if unit == Unit::Julian {
            return None;
        }
        time_part(unit, local.rem_euclid(MICROS_PER_DAY))
            .or_else(|| date_part(unit, local.div_euclid(MICROS_PER_DAY)))
    };
    let epoch = |micros: i64| {
        let sum = micros.checked_add(calendar::UNIX_EPOCH_MICROS);
        sum.map(|whole| Part { whole, scale: 6 })
    };
    let julian = unit == Unit::Julian && matches!(source, Source::Timestamp | Source::TimestampTz);
    if julian {
        return Err(SqlError::not_built("the field \"julian\" of a timestamp"));
    }
    let found = match (&args[1], unit) {
        (Datum::Date(days), Unit::Epoch) => {
            Some(whole((i64::from(*days) + calendar::UNIX_EPOCH_DAYS) * 86_400))
        }
        (Datum::Date(days), _) => date_part(unit, (*days).into()),
        (Datum::Time(micros), Unit::Epoch) => Some(Part { whole: *micros, scale: 6 }),
        (Datum::Time(micros), _) => time_part(unit, *micros),
        (Datum::TimeTz(value), Unit::Epoch) => {
            Some(Part { whole: value.micros + i64::from(value.zone) * MICROS_PER_SECOND, scale: 6 })
        }
        (Datum::TimeTz(value), _) => {
            time_part(unit, value.micros).or_else(|| zone_part(-i64::from(value.zone)))
        }
        (Datum::Timestamp(micros), Unit::Epoch) => epoch(*micros),
        (Datum::Timestamp(micros), _) if source == Source::TimestampTz => local_part(to_local(cx, *micros))
            .or_else(|| zone_part(zone::offset_at(&cx.fmt.time_zone, *micros).into())),
        (Datum::Timestamp(micros), _) => local_part(*micros),
        (Datum::Interval(value), _) => interval_part(unit, *value),
        _ => None,
    };
    found.map(|part| Some(PartValue::Finite(part))).ok_or_else(missing)
}

enum PartValue {
    Finite(Part),
    /// Whether it is the positive infinity.
    Infinite(bool),
}

/// The sign of an infinite date or timestamp.
fn infinite(value: &Datum) -> Option<bool> {
    match value {
        Datum::Date(i32::MAX) | Datum::Timestamp(i64::MAX) => Some(true),
        Datum::Date(i32::MIN) | Datum::Timestamp(i64::MIN) => Some(false),
        _ => None,
    }
}

fn extract(cx: &CallContext<'_>, source: Source, args: &[Datum]) -> Result<Datum> {
    Ok(match part(cx, source, args)? {
        None => Datum::Null,
        Some(PartValue::Infinite(true)) => Datum::Numeric(Numeric::infinity()),
        Some(PartValue::Infinite(false)) => Datum::Numeric(Numeric::neg_infinity()),
        Some(PartValue::Finite(part)) => {
            let unit = Numeric::parse(&format!("1e-{}", part.scale))?;
            Datum::Numeric(Numeric::from_i64(part.whole).mul(&unit)?)
        }
    })
}

fn date_part_float(cx: &CallContext<'_>, source: Source, args: &[Datum]) -> Result<Datum> {
    Ok(match part(cx, source, args)? {
        None => Datum::Null,
        Some(PartValue::Infinite(true)) => Datum::Float8(f64::INFINITY),
        Some(PartValue::Infinite(false)) => Datum::Float8(f64::NEG_INFINITY),
        Some(PartValue::Finite(part)) => Datum::Float8(part.whole as f64 / 10f64.powi(part.scale)),
    })
}

/// `date_part(text, date)`: over the date's midnight.
pub(super) fn date_part_date(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let local = Datum::Timestamp(midnight(date(&args[1])?)?);
    date_part_float(cx, Source::Timestamp, &[args[0].clone(), local])
}

/// A local time cut to a unit; `None` for a unit that does not cut.
fn truncate(unit: Unit, local: i64) -> Option<i64> {
    let c = split_timestamp(local);
    let start = |year: i64, month: i64| Civil { year, month, day: 1, ..Civil::default() }.timestamp();
    let cut = |size: i64| Some(local.div_euclid(size) * size);
    let group = |size: i64| {
        let first = if c.year > 0 {
            (c.year + size - 1) / size * size - (size - 1)
        } else {
            -((size - 1 - (c.year - 1)) / size) * size + 1
        };
        start(first, 1)
    };
    match unit {
        Unit::Microseconds => Some(local),
        Unit::Milliseconds => cut(1000),
        Unit::Second => cut(MICROS_PER_SECOND),
        Unit::Minute => cut(60 * MICROS_PER_SECOND),
        Unit::Hour => cut(3600 * MICROS_PER_SECOND),
        Unit::Day => cut(MICROS_PER_DAY),
        Unit::Week => {
            let days = local.div_euclid(MICROS_PER_DAY);
            (days - (calendar::day_of_week(days) + 6) % 7).checked_mul(MICROS_PER_DAY)
        }
        Unit::Month => start(c.year, c.month),
        Unit::Quarter => start(c.year, (c.month - 1) / 3 * 3 + 1),
        Unit::Year => start(c.year, 1),
        Unit::Decade => start(c.year.div_euclid(10) * 10, 1),
        Unit::Century => group(100),
        Unit::Millennium => group(1000),
        _ => None,
    }
}

fn trunc_unit(value: &Datum, ty: &str) -> Result<Unit> {
    let word = text(value)?;
    let unit = find_unit(word, ty)?;
    let cuts = truncate(unit, 0).is_some() || matches!(unit, Unit::Century | Unit::Millennium);
    if cuts { Ok(unit) } else { Err(unsupported(word, ty)) }
}

fn timestamp_trunc(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let unit = trunc_unit(&args[0], Source::Timestamp.name())?;
    let value = timestamp(&args[1])?;
    if finite(value) { checked_timestamp(truncate(unit, value)) } else { Ok(args[1].clone()) }
}

fn truncate_instant(value: i64, unit: Unit, zone: &jiff::tz::TimeZone) -> Result<Datum> {
    if !finite(value) {
        return Ok(Datum::Timestamp(value));
    }
    let local = zone::to_local(zone, value);
    let cut = truncate(unit, local).ok_or_else(|| out_of_range("timestamp"))?;
    let below_day =
        matches!(unit, Unit::Microseconds | Unit::Milliseconds | Unit::Second | Unit::Minute | Unit::Hour);
    // Below a day the offset stays; a day or more takes the offset of its start.
    if below_day {
        return checked_timestamp(Some(cut - (local - value)));
    }
    checked_timestamp(zone::to_utc(zone, cut))
}

fn timestamptz_trunc(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let unit = trunc_unit(&args[0], Source::TimestampTz.name())?;
    truncate_instant(timestamp(&args[1])?, unit, &cx.fmt.time_zone)
}

fn timestamptz_trunc_zone(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let unit = trunc_unit(&args[0], Source::TimestampTz.name())?;
    truncate_instant(timestamp(&args[1])?, unit, &zone::named(text(&args[2])?)?)
}

/// `timestamp AT TIME ZONE zone`.
fn timestamp_zone(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let value = timestamp(&args[1])?;
    let zone = zone::named(text(&args[0])?)?;
    if finite(value) { checked_timestamp(zone::to_utc(&zone, value)) } else { Ok(args[1].clone()) }
}

/// `timestamptz AT TIME ZONE zone`.
fn timestamptz_zone(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let value = timestamp(&args[1])?;
    let zone = zone::named(text(&args[0])?)?;
    if finite(value) { checked_timestamp(Some(zone::to_local(&zone, value))) } else { Ok(args[1].clone()) }
}

/// `to_timestamp(seconds)`.
fn float8_timestamptz(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let seconds = args::float8(&args[0])?;
    let range =
        || SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("timestamp out of range: \"{seconds}\""));
    if seconds.is_nan() {
        return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp cannot be NaN"));
    }
    if seconds.is_infinite() {
        return Ok(Datum::Timestamp(if seconds > 0.0 { i64::MAX } else { i64::MIN }));
    }
    let micros = ((seconds - calendar::UNIX_EPOCH_DAYS as f64 * 86_400.0) * 1e6).round_ties_even();
    if micros.abs() >= 9.2e18 || !calendar::timestamp_is_valid(micros as i64) {
        return Err(range());
    }
    Ok(Datum::Timestamp(micros as i64))
}

fn time_of(micros: i64) -> Datum {
    if finite(micros) { Datum::Time(micros.rem_euclid(MICROS_PER_DAY)) } else { Datum::Null }
}

fn make_date(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    date_from(args)
}

fn date_from(args: &[Datum]) -> Result<Datum> {
    let (year, month, day) = (int4(&args[0])?, int4(&args[1])?, int4(&args[2])?);
    let wrong = || {
        SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date field value out of range: {year}-{month:02}-{day:02}"),
        )
    };
    // A negative year is BC; there is no year 0.
    let full = match year {
        0 => return Err(wrong()),
        year if year < 0 => i64::from(year) + 1,
        year => i64::from(year),
    };
    let (month, day) = (i64::from(month), i64::from(day));
    if !(1..=12).contains(&month) || day < 1 || day > calendar::days_in_month(full, month) {
        return Err(wrong());
    }
    let days = calendar::days_of_civil(full, month, day);
    if calendar::date_is_valid(days) {
        return Ok(Datum::Date(days as i32));
    }
    Err(SqlError::new(
        SqlState::DATETIME_FIELD_OVERFLOW,
        format!("date out of range: {year}-{month:02}-{day:02}"),
    ))
}

/// The time of day of `make_time`'s arguments: hour, minute, seconds.
fn time_from(args: &[Datum]) -> Result<i64> {
    let (hour, minute, second) = (int4(&args[0])?, int4(&args[1])?, args::float8(&args[2])?);
    let micros = (second * 1e6).round_ties_even();
    let whole = (0..24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60e6).contains(&micros);
    let last = hour == 24 && minute == 0 && micros == 0.0;
    if !whole && !last {
        return Err(SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("time field value out of range: {hour}:{minute:02}:{second:02}"),
        ));
    }
    let minutes = i64::from(hour) * 60 + i64::from(minute);
    Ok(minutes * 60 * MICROS_PER_SECOND + micros as i64)
}

fn timestamp_from(args: &[Datum]) -> Result<i64> {
    let Datum::Date(days) = date_from(&args[..3])? else { return Err(out_of_range("timestamp")) };
    let micros = midnight(days)?.checked_add(time_from(&args[3..])?);
    micros.filter(|micros| calendar::timestamp_is_valid(*micros)).ok_or_else(|| out_of_range("timestamp"))
}

/// Years, months, weeks, days, hours, minutes, seconds.
fn make_interval(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let counts = args[..6].iter().map(|arg| Ok(i64::from(int4(arg)?))).collect::<Result<Vec<_>>>()?;
    let seconds = args::float8(&args[6])?;
    let micros = (seconds * 1e6).round_ties_even();
    let whole = (counts[4] * 3600 + counts[5] * 60) * MICROS_PER_SECOND;
    let total = Some(micros).filter(|micros| micros.abs() < 9.2e18).and_then(|m| whole.checked_add(m as i64));
    let months = i32::try_from(counts[0] * 12 + counts[1]);
    let days = i32::try_from(counts[2] * 7 + counts[3]);
    match (months, days, total) {
        (Ok(months), Ok(days), Some(micros)) => Ok(Datum::Interval(Interval { months, days, micros })),
        _ => Err(out_of_range("interval")),
    }
}

const PLUS_MINUS: [[(&str, super::ScalarFn); 2]; 5] = [
    plus_minus!("date_pl_interval", "date_mi_interval", DATE),
    plus_minus!("timestamp_pl_interval", "timestamp_mi_interval", TIMESTAMP),
    plus_minus!("timestamptz_pl_interval", "timestamptz_mi_interval", TIMESTAMPTZ),
    plus_minus!("time_pl_interval", "time_mi_interval", TIME),
    plus_minus!("timetz_pl_interval", "timetz_mi_interval", TIMETZ),
];

pub(crate) const TABLE: Table = &[
    PLUS_MINUS[0][0],
    PLUS_MINUS[0][1],
    PLUS_MINUS[1][0],
    PLUS_MINUS[1][1],
    PLUS_MINUS[2][0],
    PLUS_MINUS[2][1],
    PLUS_MINUS[3][0],
    PLUS_MINUS[3][1],
    PLUS_MINUS[4][0],
    PLUS_MINUS[4][1],
    ("date_pli", |_, args| date_plus(date(&args[0])?, int4(&args[1])?.into())),
    ("date_mii", |_, args| date_plus(date(&args[0])?, -i64::from(int4(&args[1])?))),
    ("date_mi", date_minus_date),
    ("make_date", make_date),
    ("make_time", |_, args| Ok(Datum::Time(time_from(args)?))),
    ("make_timestamp", |_, args| Ok(Datum::Timestamp(timestamp_from(args)?))),
    ("make_timestamptz", |cx, args| Ok(Datum::Timestamp(to_utc(cx, timestamp_from(args)?)?))),
    ("make_interval", make_interval),
    ("timestamp_mi", timestamp_minus),
    ("time_mi_time", |_, args| {
        Ok(Datum::Interval(Interval { micros: time(&args[0])? - time(&args[1])?, ..Interval::default() }))
    }),
    ("interval_pl", |_, args| Ok(Datum::Interval(add_intervals(interval(&args[0])?, interval(&args[1])?)?))),
    ("interval_mi", |_, args| {
        Ok(Datum::Interval(add_intervals(interval(&args[0])?, negated(interval(&args[1])?)?)?))
    }),
    ("interval_um", |_, args| Ok(Datum::Interval(negated(interval(&args[0])?)?))),
    ("interval_mul", |_, args| {
        let by = args::float8(&args[1])?;
        Ok(Datum::Interval(scale_interval(interval(&args[0])?, |field| field * by)?))
    }),
    ("mul_d_interval", |_, args| {
        let by = args::float8(&args[0])?;
        Ok(Datum::Interval(scale_interval(interval(&args[1])?, |field| field * by)?))
    }),
    ("interval_div", |_, args| {
        Ok(Datum::Interval(divide_interval(interval(&args[0])?, args::float8(&args[1])?)?))
    }),
    ("interval_justify_hours", |_, args| Ok(Datum::Interval(justify_hours(interval(&args[0])?)?))),
    ("interval_justify_days", |_, args| Ok(Datum::Interval(justify_days(interval(&args[0])?)?))),
    ("interval_finite", |_, _| Ok(Datum::Bool(true))),
    ("timestamp_finite", |_, args| Ok(Datum::Bool(infinite(&args[0]).is_none()))),
    ("date_finite", |_, args| Ok(Datum::Bool(infinite(&args[0]).is_none()))),
    ("timestamp_age", age2),
    ("timestamptz_age", age2_instant),
    ("date_timestamp", |_, args| Ok(Datum::Timestamp(midnight(date(&args[0])?)?))),
    ("date_timestamptz", |cx, args| Ok(Datum::Timestamp(to_utc(cx, midnight(date(&args[0])?)?)?))),
    ("timestamp_date", |_, args| Ok(Datum::Date(to_days(timestamp(&args[0])?)))),
    ("timestamptz_date", |cx, args| Ok(Datum::Date(to_days(to_local(cx, timestamp(&args[0])?))))),
    ("timestamp_timestamptz", |cx, args| Ok(Datum::Timestamp(to_utc(cx, timestamp(&args[0])?)?))),
    ("timestamptz_timestamp", |cx, args| Ok(Datum::Timestamp(to_local(cx, timestamp(&args[0])?)))),
    ("timestamp_time", |_, args| Ok(time_of(timestamp(&args[0])?))),
    ("timestamptz_time", |cx, args| Ok(time_of(to_local(cx, timestamp(&args[0])?)))),
    ("datetime_timestamp", |_, args| {
        let start = midnight(date(&args[0])?)?;
        let at = time(&args[1])?;
        if finite(start) { checked_timestamp(start.checked_add(at)) } else { Ok(Datum::Timestamp(start)) }
    }),
    ("time_interval", |_, args| {
        Ok(Datum::Interval(Interval { micros: time(&args[0])?, ..Interval::default() }))
    }),
    ("interval_time", |_, args| Ok(Datum::Time(interval(&args[0])?.micros.rem_euclid(MICROS_PER_DAY)))),
    ("extract_date", |cx, args| extract(cx, Source::Date, args)),
    ("extract_time", |cx, args| extract(cx, Source::Time, args)),
    ("extract_timetz", |cx, args| extract(cx, Source::TimeTz, args)),
    ("extract_timestamp", |cx, args| extract(cx, Source::Timestamp, args)),
    ("extract_timestamptz", |cx, args| extract(cx, Source::TimestampTz, args)),
    ("extract_interval", |cx, args| extract(cx, Source::Interval, args)),
    ("time_part", |cx, args| date_part_float(cx, Source::Time, args)),
    ("timetz_part", |cx, args| date_part_float(cx, Source::TimeTz, args)),
    ("timestamp_part", |cx, args| date_part_float(cx, Source::Timestamp, args)),
    ("timestamptz_part", |cx, args| date_part_float(cx, Source::TimestampTz, args)),
    ("interval_part", |cx, args| date_part_float(cx, Source::Interval, args)),
    ("timestamp_trunc", timestamp_trunc),
    ("timestamptz_trunc", timestamptz_trunc),
    ("timestamptz_trunc_zone", timestamptz_trunc_zone),
    ("timestamp_zone", timestamp_zone),
    ("timestamptz_zone", timestamptz_zone),
    ("float8_timestamptz", float8_timestamptz),
    ("now", |cx, _| Ok(Datum::Timestamp(cx.session.transaction_start))),
    ("statement_timestamp", |cx, _| Ok(Datum::Timestamp(cx.session.statement_start))),
    ("clock_timestamp", |_, _| {
        let now = jiff::Timestamp::now().as_microsecond() - calendar::UNIX_EPOCH_MICROS;
        if calendar::timestamp_is_valid(now) {
            Ok(Datum::Timestamp(now))
        } else {
            Err(integer_range("timestamp"))
        }
    }),
];
