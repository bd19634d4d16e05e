//! Dates, times and intervals by template.

use super::pattern::{Node, Ordinal, date_template, ordinal_suffix};
use crate::kernels::{CallContext, args};
use crate::types::Datum;
use crate::types::datetime::calendar::{
    self, JULIAN_EPOCH, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, days_of_civil,
};
use crate::types::datetime::zone;
use crate::{Result, SqlError, SqlState};

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
/// Roman months, January first.
pub(super) const ROMAN: [&str; 12] =
    ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// What a template prints.
struct Fields {
    interval: bool,
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    /// 0: Sunday.
    weekday: i64,
    /// From 1.
    yearday: i64,
    /// Days since 2000-01-01.
    days: i64,
    /// Seconds east of UTC, and the zone's abbreviation.
    zone: Option<(i64, String)>,
}

pub(super) fn timestamp_to_char(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    moment(args::timestamp(&args[0])?, None, args::text(&args[1])?)
}

pub(super) fn timestamptz_to_char(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let micros = args::timestamp(&args[0])?;
    if matches!(micros, i64::MIN | i64::MAX) {
        return Ok(Datum::Null);
    }
    let zone = &cx.fmt.time_zone;
    let offset = zone::offset_at(zone, micros);
    let abbreviation = zone::abbreviation_at(zone, micros);
    moment(zone::to_local(zone, micros), Some((offset.into(), abbreviation)), args::text(&args[1])?)
}

fn moment(micros: i64, zone: Option<(i64, String)>, template: &str) -> Result<Datum> {
    if template.is_empty() || matches!(micros, i64::MIN | i64::MAX) {
        return Ok(Datum::Null);
    }
    let c = calendar::split_timestamp(micros);
    let days = c.days();
    let fields = Fields {
        interval: false,
        year: c.year,
        month: c.month,
        day: c.day,
        hour: c.hour,
        minute: c.minute,
        second: c.second,
        micros: c.micros,
        weekday: calendar::day_of_week(days),
        yearday: days - days_of_civil(c.year, 1, 1) + 1,
        days,
        zone,
    };
    fields.print(template)
}

pub(super) fn interval_to_char(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (span, template) = (args::interval(&args[0])?, args::text(&args[1])?);
    if template.is_empty() {
        return Ok(Datum::Null);
    }
    let (months, day) = (i64::from(span.months), i64::from(span.days));
    let (year, month) = (months / 12, months % 12);
    let fields = Fields {
        interval: true,
        year,
        month,
        day,
        hour: span.micros / MICROS_PER_HOUR,
        minute: span.micros / MICROS_PER_MINUTE % 60,
        second: span.micros / MICROS_PER_SECOND % 60,
        micros: span.micros % MICROS_PER_SECOND,
        weekday: 0,
        yearday: months * 30 + day,
        days: 0,
        zone: None,
    };
    fields.print(template)
}

/// A number with at least `width` digits; its minus sign is one more.
fn padded(value: i64, width: usize, fill: bool) -> String {
    let width = match (fill, value < 0) {
        (true, _) => 0,
        (false, negative) => width + usize::from(negative),
    };
    format!("{value:0width$}")
}

/// A number in `width` places, the minus sign among them.
fn fixed(value: i64, width: usize, fill: bool) -> String {
    let width = if fill { 0 } else { width };
    format!("{value:0width$}")
}

/// A name, padded with blanks to its column's width.
fn name(text: &str, width: usize, fill: bool) -> String {
    let width = if fill { 0 } else { width };
    format!("{text:<width$}")
}

/// The name in the case of the keyword: `DAY`, `Day`, `day`.
fn cased(text: &str, word: &str) -> String {
    match word.as_bytes() {
        [_, b'A'..=b'Z', ..] => text.to_ascii_uppercase(),
        [b'A'..=b'Z', ..] => text.to_owned(),
        _ => text.to_ascii_lowercase(),
    }
}

impl Fields {
    fn print(&self, template: &str) -> Result<Datum> {
        let mut out = String::new();
        for node in date_template(template) {
            match node {
                Node::Key { word, fill, localized, ordinal } => {
                    self.key(word, fill || localized, fill, ordinal, &mut out)?;
                }
                Node::Separator(c) | Node::Space(c) | Node::Literal(c) => out.push(c),
            }
        }
        Ok(Datum::text(out))
    }

    /// `narrow`: names are not padded. `fill`: numbers neither.
    fn key(
        &self,
        word: &str,
        narrow: bool,
        fill: bool,
        ordinal: Option<Ordinal>,
        out: &mut String,
    ) -> Result<()> {
        let upper = word.to_ascii_uppercase();
        if let Some(number) = self.number(&upper, fill)? {
            out.push_str(&number);
            if let Some(ordinal) = ordinal {
                out.push_str(ordinal_suffix(&number, ordinal));
            }
            return Ok(());
        }
        if self.interval && !matches!(upper.as_str(), "A.M." | "P.M." | "AM" | "PM" | "RM" | "FX") {
            return Err(not_for_intervals());
        }
        out.push_str(&self.word(word, &upper, narrow, fill));
        Ok(())
    }

    /// The keywords that print a number; `None`: it is none of them.
    fn number(&self, upper: &str, fill: bool) -> Result<Option<String>> {
        if self.interval && matches!(upper, "D" | "ID" | "IDDD" | "IW" | "IYYY" | "IYY" | "IY" | "I" | "J") {
            return match upper {
                "D" | "ID" => Err(not_for_intervals()),
                _ => Err(SqlError::not_built(format!("to_char of an interval with {upper}"))),
            };
        }
        Ok(Some(match upper {
            "HH" | "HH12" => {
                let hour = if self.hour % 12 == 0 { 12 } else { self.hour % 12 };
                fixed(hour, if self.hour < 0 { 3 } else { 2 }, fill)
            }
            "HH24" => padded(self.hour, 2, fill),
            "MI" => padded(self.minute, 2, fill),
            "SS" => padded(self.second, 2, fill),
            "FF1" => format!("{}", self.micros / 100_000),
            "FF2" => format!("{:02}", self.micros / 10_000),
            "FF3" | "MS" => format!("{:03}", self.micros / 1000),
            "FF4" => format!("{:04}", self.micros / 100),
            "FF5" => format!("{:05}", self.micros / 10),
            "FF6" | "US" => format!("{:06}", self.micros),
            "SSSS" | "SSSSS" => (self.hour * 3600 + self.minute * 60 + self.second).to_string(),
            "MM" => padded(self.month, 2, fill),
            "DDD" => fixed(self.yearday, 3, fill),
            "IDDD" => fixed(self.iso_year_day().1, 3, fill),
            "DD" => fixed(self.day, 2, fill),
            "D" => (self.weekday + 1).to_string(),
            "ID" => (if self.weekday == 0 { 7 } else { self.weekday }).to_string(),
            "WW" => fixed((self.yearday - 1) / 7 + 1, 2, fill),
            "IW" => fixed((self.iso_year_day().1 - 1) / 7 + 1, 2, fill),
            "Q" if self.month == 0 => String::new(),
            "Q" => ((self.month - 1) / 3 + 1).to_string(),
            "CC" => self.century(fill),
            "Y,YYY" => {
                let year = self.shown(self.year);
                format!("{},{:03}", year / 1000, year % 1000)
            }
            "YYYY" => padded(self.shown(self.year), 4, fill),
            "YYY" => padded(self.shown(self.year) % 1000, 3, fill),
            "YY" => padded(self.shown(self.year) % 100, 2, fill),
            "Y" => padded(self.shown(self.year) % 10, 1, fill),
            "IYYY" => padded(self.shown(self.iso_year_day().0), 4, fill),
            "IYY" => padded(self.shown(self.iso_year_day().0) % 1000, 3, fill),
            "IY" => padded(self.shown(self.iso_year_day().0) % 100, 2, fill),
            "I" => padded(self.shown(self.iso_year_day().0) % 10, 1, fill),
            "W" => ((self.day - 1) / 7 + 1).to_string(),
            "J" => (self.days + JULIAN_EPOCH).to_string(),
            _ => return Ok(None),
        }))
    }

    fn word(&self, word: &str, upper: &str, narrow: bool, fill: bool) -> String {
        match upper {
            "A.M." | "P.M." => cased_era(if self.afternoon() { "P.M." } else { "A.M." }, word),
            "AM" | "PM" => cased_era(if self.afternoon() { "PM" } else { "AM" }, word),
            "A.D." | "B.C." => cased_era(if self.year <= 0 { "B.C." } else { "A.D." }, word),
            "AD" | "BC" => cased_era(if self.year <= 0 { "BC" } else { "AD" }, word),
            "MONTH" => name(&cased(MONTHS[(self.month - 1) as usize], word), 9, narrow),
            "MON" => cased(&MONTHS[(self.month - 1) as usize][..3], word),
            "DAY" => name(&cased(DAYS[self.weekday as usize], word), 9, narrow),
            "DY" => cased(&DAYS[self.weekday as usize][..3], word),
            "RM" => self.roman(word, fill),
            "TZ" => {
                self.zone.as_ref().map_or_else(String::new, |(_, name)| cased_era(&name.to_uppercase(), word))
            }
            "TZH" => {
                let offset = self.offset();
                format!("{}{:02}", if offset < 0 { '-' } else { '+' }, offset.abs() / 3600)
            }
            "TZM" => format!("{:02}", self.offset().abs() % 3600 / 60),
            "OF" => self.offset_text(fill),
            _ => String::new(),
        }
    }

    fn afternoon(&self) -> bool {
        self.hour % 24 >= 12
    }

    fn offset(&self) -> i64 {
        self.zone.as_ref().map_or(0, |(seconds, _)| *seconds)
    }

    fn offset_text(&self, fill: bool) -> String {
        let offset = self.offset();
        let sign = if offset < 0 { '-' } else { '+' };
        let mut text = format!("{sign}{}", padded(offset.abs() / 3600, 2, fill));
        if offset.abs() % 3600 != 0 {
            text.push_str(&format!(":{:02}", offset.abs() % 3600 / 60));
        }
        text
    }

    /// The year as written: 1 BC for year 0, but an interval's years as they are.
    fn shown(&self, year: i64) -> i64 {
        if self.interval || year > 0 { year } else { 1 - year }
    }

    fn century(&self, fill: bool) -> String {
        let century = match self.year {
            year if self.interval => year / 100,
            year if year > 0 => (year - 1) / 100 + 1,
            year => year / 100 - 1,
        };
        if (-99..=99).contains(&century) { padded(century, 2, fill) } else { century.to_string() }
    }

    fn roman(&self, word: &str, fill: bool) -> String {
        if self.month == 0 && self.year == 0 {
            return String::new();
        }
        // An interval without months counts as the last one, a negative one from the end.
        let month = match self.month {
            0 if self.year >= 0 => 12,
            0 => 1,
            month if month < 0 => 13 + month,
            month => month,
        };
        name(&cased_era(ROMAN[(month - 1) as usize], word), 4, fill)
    }

    /// The ISO year and the day in it, from 1.
    fn iso_year_day(&self) -> (i64, i64) {
        let mut year = self.year + 1;
        while iso_year_start(year) > self.days {
            year -= 1;
        }
        (year, self.days - iso_year_start(year) + 1)
    }
}

/// The Monday of the week with January 4th, in days since 2000-01-01.
pub(super) fn iso_year_start(year: i64) -> i64 {
    let fourth = days_of_civil(year, 1, 4);
    fourth - (calendar::day_of_week(fourth) + 6) % 7
}

/// All capitals, or none where the keyword has none.
fn cased_era(text: &str, word: &str) -> String {
    if word.starts_with(|c: char| c.is_ascii_lowercase()) { text.to_lowercase() } else { text.to_owned() }
}

fn not_for_intervals() -> SqlError {
    SqlError::new(SqlState::INVALID_DATETIME_FORMAT, "invalid format specification for an interval value")
        .with_hint("Intervals are not tied to specific calendar dates.")
}
