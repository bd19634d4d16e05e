//! Time zones. Offsets are seconds east of UTC, unless said otherwise.

use super::calendar::{self, MICROS_PER_SECOND, UNIX_EPOCH_MICROS};
use crate::{Result, SqlError, SqlState};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// Offsets stay below 16 hours, as PostgreSQL's do.
pub const LIMIT_SECONDS: i32 = 16 * 3600;

/// Abbreviations of PostgreSQL's default set that have one fixed meaning: (name, seconds east).
const ABBREVIATIONS: &[(&str, i32)] = &[
    ("acst", 34200),
    ("adt", -10800),
    ("aest", 36000),
    ("aedt", 39600),
    ("acdt", 37800),
    ("akdt", -28800),
    ("akst", -32400),
    ("ast", -14400),
    ("awst", 28800),
    ("bst", 3600),
    ("cdt", -18000),
    ("cest", 7200),
    ("cet", 3600),
    ("cst", -21600),
    ("edt", -14400),
    ("eest", 10800),
    ("eet", 7200),
    ("est", -18000),
    ("gmt", 0),
    ("hst", -36000),
    ("idt", 10800),
    ("ist", 7200),
    ("jst", 32400),
    ("kst", 32400),
    ("mdt", -21600),
    ("mest", 7200),
    ("met", 3600),
    ("msk", 10800),
    ("mst", -25200),
    ("ndt", -9000),
    ("nst", -12600),
    ("nzdt", 46800),
    ("nzst", 43200),
    ("pdt", -25200),
    ("pst", -28800),
    ("sast", 7200),
    ("sgt", 28800),
    ("uct", 0),
    ("ut", 0),
    ("utc", 0),
    ("wat", 3600),
    ("west", 3600),
    ("wet", 0),
    ("z", 0),
    ("zulu", 0),
];

/// The offset of an abbreviation, in lower case.
pub fn abbreviation(word: &str) -> Option<i32> {
    ABBREVIATIONS.iter().find(|(name, _)| *name == word).map(|(_, offset)| *offset)
}

/// A zone by the name that SET TIME ZONE or AT TIME ZONE gives: a name of the tz database in any
/// case, an abbreviation, or a POSIX offset (`UTC+3`, `<+03>-3`: hours west).
pub fn named(name: &str) -> Result<TimeZone> {
    lookup(name).ok_or_else(|| {
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{name}\" not recognized"))
    })
}

pub(crate) fn lookup(name: &str) -> Option<TimeZone> {
    if let Some(offset) = abbreviation(&name.to_ascii_lowercase()) {
        return fixed(offset);
    }
    if let Ok(zone) = TimeZone::get(name) {
        return Some(zone);
    }
    posix(name)
}

/// `ABC+h[:mm[:ss]]`: hours west of UTC.
fn posix(name: &str) -> Option<TimeZone> {
    let at = match name.strip_prefix('<') {
        Some(_) => name.find('>')? + 1,
        None => name.find(|c: char| !c.is_ascii_alphabetic()).filter(|at| *at >= 3)?,
    };
    let (sign, digits) = match name.as_bytes().get(at)? {
        b'-' => (1, &name[at + 1..]),
        b'+' => (-1, &name[at + 1..]),
        b'0'..=b'9' => (-1, &name[at..]),
        _ => return None,
    };
    let mut seconds = 0;
    let parts: Vec<_> = digits.split(':').collect();
    if parts.len() > 3 {
        return None;
    }
    for (part, unit) in parts.iter().zip([3600, 60, 1]) {
        if part.is_empty() || part.len() > 2 || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        seconds += part.parse::<i32>().ok()? * unit;
    }
    fixed(sign * seconds)
}

/// The zone with a fixed offset.
pub fn fixed(seconds: i32) -> Option<TimeZone> {
    Offset::from_seconds(seconds).ok().map(TimeZone::fixed)
}

/// The offset in force at an instant.
pub fn offset_at(zone: &TimeZone, micros: i64) -> i32 {
    zone.to_offset(instant(micros)).seconds()
}

/// The abbreviation in force at an instant (`UTC`, `CEST`).
pub fn abbreviation_at(zone: &TimeZone, micros: i64) -> String {
    zone.to_offset_info(instant(micros)).abbreviation().to_owned()
}

/// The instant in jiff's terms; beyond its range, one 400-year cycle or more nearer.
fn instant(micros: i64) -> jiff::Timestamp {
    const CYCLE: i64 = 146_097 * 86_400;
    let mut seconds = micros.div_euclid(MICROS_PER_SECOND) + UNIX_EPOCH_MICROS / MICROS_PER_SECOND;
    let last = jiff::Timestamp::MAX.as_second();
    let first = jiff::Timestamp::MIN.as_second();
    if seconds >= last {
        seconds -= ((seconds - last) / CYCLE + 1) * CYCLE;
    }
    jiff::Timestamp::from_second(seconds.max(first)).unwrap_or(jiff::Timestamp::MIN)
}

/// The offset of a local time. In a gap the offset before it counts, in a fold the one after.
pub fn offset_of_local(zone: &TimeZone, local: i64) -> i32 {
    let civil = calendar::split_timestamp(local);
    let year = match civil.year {
        // Far years take a year of the same shape in the same 400-year cycle.
        year if year > 9998 => 9600 + year.rem_euclid(400) - if year.rem_euclid(400) > 398 { 400 } else { 0 },
        year => year.max(-9998),
    };
    let date_time = jiff::civil::DateTime::new(
        year as i16,
        civil.month as i8,
        civil.day as i8,
        civil.hour as i8,
        civil.minute as i8,
        civil.second as i8,
        0,
    );
    let Ok(date_time) = date_time else { return 0 };
    match zone.to_ambiguous_timestamp(date_time).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.seconds(),
        AmbiguousOffset::Gap { before, .. } => before.seconds(),
        AmbiguousOffset::Fold { after, .. } => after.seconds(),
    }
}

/// Local time to UTC; `None` outside a timestamp's range.
pub fn to_utc(zone: &TimeZone, local: i64) -> Option<i64> {
    let micros = local - i64::from(offset_of_local(zone, local)) * MICROS_PER_SECOND;
    Some(micros).filter(|micros| calendar::timestamp_is_valid(*micros))
}

/// UTC to local time.
pub fn to_local(zone: &TimeZone, micros: i64) -> i64 {
    micros + i64::from(offset_at(zone, micros)) * MICROS_PER_SECOND
}
