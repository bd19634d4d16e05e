//! date, time, timetz, timestamp, timestamptz, interval.
//!
//! - `calendar`: days and microseconds against the civil calendar; limits.
//! - `zone`: time zones by name, abbreviation or offset; local time against UTC.
//! - `parse`: the text input of everything but intervals.
//! - `interval`: an interval's input and its four output styles.
//! - `print`: the text output under each DateStyle.

pub mod calendar;
pub mod interval;
pub mod parse;
pub mod print;
pub mod zone;

pub use calendar::{
    Civil, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, civil_of_days,
    days_of_civil, split_timestamp,
};
pub(super) use interval::{input as interval_in, output as interval_out};
pub(super) use parse::{date_in, time_in, timestamp_in, timestamptz_in, timetz_in};
pub(super) use print::{date_out, time_out, timestamp_out, timestamptz_out, timetz_out};

use super::datum::{Interval, TimeTz};
use crate::{Result, SqlError, SqlState};

fn overflow(what: &str) -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("{what} out of range"))
}

pub(super) fn date_recv(days: i32) -> Result<i32> {
    let fits = matches!(days, i32::MIN | i32::MAX) || calendar::date_is_valid(i64::from(days));
    if fits { Ok(days) } else { Err(overflow("date")) }
}

pub(super) fn time_recv(micros: i64) -> Result<i64> {
    if (0..=MICROS_PER_DAY).contains(&micros) { Ok(micros) } else { Err(overflow("time")) }
}

pub(super) fn timetz_recv(bytes: [u8; 12]) -> Result<TimeTz> {
    let (micros, zone) = bytes.split_at(8);
    let micros = time_recv(i64::from_be_bytes(micros.try_into().expect("8 bytes")))?;
    let zone = i32::from_be_bytes(zone.try_into().expect("4 bytes"));
    if zone.abs() >= zone::LIMIT_SECONDS {
        return Err(SqlError::new(
            SqlState::INVALID_TIME_ZONE_DISPLACEMENT_VALUE,
            "time zone displacement out of range",
        ));
    }
    Ok(TimeTz { micros, zone })
}

pub(super) fn timestamp_recv(micros: i64) -> Result<i64> {
    let fits = matches!(micros, i64::MIN | i64::MAX) || calendar::timestamp_is_valid(micros);
    if fits { Ok(micros) } else { Err(overflow("timestamp")) }
}

pub(super) fn interval_recv(bytes: [u8; 16]) -> Interval {
    let word = |at: usize| i32::from_be_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
    Interval {
        micros: i64::from_be_bytes(bytes[..8].try_into().expect("8 bytes")),
        days: word(8),
        months: word(12),
    }
}

/// Rounds microseconds to a number of decimal digits of a second, half away from zero.
pub fn round_micros(micros: i64, precision: i32) -> i64 {
    if !(0..6).contains(&precision) {
        return micros;
    }
    let unit = 10i64.pow((6 - precision) as u32);
    let half = unit / 2;
    if micros >= 0 { (micros + half) / unit * unit } else { -((-micros + half) / unit * unit) }
}

#[cfg(test)]
mod tests {
    use crate::session::info::{DateOrder, DateStyle, IntervalStyle, OutputFormat};
    use crate::types::{Datum, Interval, Io, TypeRef, builtin_type_named};

    /// Each line of `cases.txt`: type, input, and PostgreSQL 15's output or `!` with its error.
    #[test]
    fn reads_what_postgres_reads() {
        let fmt = OutputFormat::default();
        let io = Io::new(&fmt);
        let mut wrong = Vec::new();
        for line in include_str!("datetime/cases.txt").lines() {
            let parts: Vec<_> = line.splitn(3, '|').collect();
            let oid = builtin_type_named(parts[0]).unwrap();
            let answer = match io.input(TypeRef::of(oid), parts[1]) {
                Ok(value) => io.to_text(oid, &value).unwrap(),
                Err(error) => format!("!{} {}", error.code().code(), error.message()),
            };
            if answer != parts[2] {
                wrong.push(format!("{line}: {answer}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn prints_under_each_style() {
        let mut fmt =
            OutputFormat { time_zone: super::zone::named("Europe/Berlin").unwrap(), ..Default::default() };
        let io = Io::new(&fmt);
        let instant = io.input(TypeRef::of(crate::Oid::TIMESTAMPTZ), "2024-07-02 03:04:05.5").unwrap();
        for (style, order, shown) in [
            (DateStyle::Iso, DateOrder::Mdy, "2024-07-02 03:04:05.5+02"),
            (DateStyle::Sql, DateOrder::Mdy, "07/02/2024 03:04:05.5 CEST"),
            (DateStyle::Sql, DateOrder::Dmy, "02/07/2024 03:04:05.5 CEST"),
            (DateStyle::Postgres, DateOrder::Mdy, "Tue Jul 02 03:04:05.5 2024 CEST"),
            (DateStyle::Postgres, DateOrder::Dmy, "Tue 02 Jul 03:04:05.5 2024 CEST"),
            (DateStyle::German, DateOrder::Dmy, "02.07.2024 03:04:05.5 CEST"),
        ] {
            (fmt.date_style, fmt.date_order) = (style, order);
            assert_eq!(Io::new(&fmt).to_text(crate::Oid::TIMESTAMPTZ, &instant).unwrap(), shown);
        }
    }

    #[test]
    fn prints_intervals_under_each_style() {
        let mut fmt = OutputFormat::default();
        let show = |fmt: &OutputFormat, months, days, micros| {
            let value = Datum::Interval(Interval { months, days, micros });
            Io::new(fmt).to_text(crate::Oid::INTERVAL, &value).unwrap()
        };
        for (style, mixed, negative, zero) in [
            (IntervalStyle::Postgres, "1 year 2 mons -3 days +04:05:06.5", "-04:05:06", "00:00:00"),
            (
                IntervalStyle::PostgresVerbose,
                "@ 1 year 2 mons -3 days 4 hours 5 mins 6.5 secs",
                "@ 4 hours 5 mins 6 secs ago",
                "@ 0",
            ),
            (IntervalStyle::SqlStandard, "+1-2 -3 +4:05:06.5", "-4:05:06", "0"),
            (IntervalStyle::Iso8601, "P1Y2M-3DT4H5M6.5S", "PT-4H-5M-6S", "PT0S"),
        ] {
            fmt.interval_style = style;
            assert_eq!(show(&fmt, 14, -3, 14_706_500_000), mixed);
            assert_eq!(show(&fmt, 0, 0, -14_706_000_000), negative);
            assert_eq!(show(&fmt, 0, 0, 0), zero);
        }
    }
}
