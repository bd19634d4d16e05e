//! Text input of dates and times: fields are cut first (`split`), then given their meaning.

use super::calendar::{self, Civil, MICROS_PER_DAY, MICROS_PER_SECOND, days_in_month};
use super::zone;
use crate::session::info::DateOrder;
use crate::types::datum::TimeTz;
use crate::types::io::{Io, invalid_syntax};
use crate::{Result, SqlError, SqlState};
use jiff::tz::TimeZone;

/// Longest text that is read; PostgreSQL's limit is of the same size.
const MAX_LEN: usize = 128;

/// Why a text is no date or time.
#[derive(Debug)]
enum Fault {
    Format,
    /// A field outside its range; month or day, where another DateStyle might help.
    Range {
        order: bool,
    },
    Displacement,
    Zone(String),
}

impl Fault {
    fn error(self, text: &str, ty: &str) -> SqlError {
        match self {
            Fault::Format => SqlError::new(
                SqlState::INVALID_DATETIME_FORMAT,
                invalid_syntax(ty, text).message().to_owned(),
            ),
            Fault::Range { order } => {
                let error = SqlError::new(
                    SqlState::DATETIME_FIELD_OVERFLOW,
                    format!("date/time field value out of range: \"{text}\""),
                );
                if order {
                    error.with_hint("Perhaps you need a different \"datestyle\" setting.")
                } else {
                    error
                }
            }
            Fault::Displacement => SqlError::new(
                SqlState::INVALID_TIME_ZONE_DISPLACEMENT_VALUE,
                format!("time zone displacement out of range: \"{text}\""),
            ),
            Fault::Zone(name) => SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("time zone \"{name}\" not recognized"),
            ),
        }
    }
}

const RANGE: Fault = Fault::Range { order: false };

#[derive(Clone, Debug, PartialEq)]
enum Field {
    Number(String),
    Time(String),
    Date(String),
    Word(String),
    /// A sign and digits.
    Zone(String),
    /// A sign and a word: `-infinity`.
    Signed(String),
}

/// Cuts a text into fields, in lower case.
fn split(text: &str) -> Result<Vec<Field>, Fault> {
    if text.len() > MAX_LEN || !text.is_ascii() {
        return Err(Fault::Format);
    }
    let lower = text.to_ascii_lowercase();
    let bytes = lower.as_bytes();
    let mut fields = Vec::new();
    let mut at = 0;
    let run = |mut at: usize, accept: &dyn Fn(u8) -> bool| {
        while at < bytes.len() && accept(bytes[at]) {
            at += 1;
        }
        at
    };
    let digit = |b: u8| b.is_ascii_digit();
    while at < bytes.len() {
        let start = at;
        match bytes[at] {
            b if b.is_ascii_whitespace() || b == 0x0b => at += 1,
            b'0'..=b'9' => {
                at = run(at, &digit);
                let next = bytes.get(at).copied().unwrap_or(b' ');
                if next == b':' {
                    at = run(at, &|b| digit(b) || b == b':' || b == b'.');
                    fields.push(Field::Time(lower[start..at].to_owned()));
                } else if matches!(next, b'-' | b'/' | b'.') {
                    let numeric = bytes.get(at + 1).is_some_and(|b| digit(*b));
                    let mut is_date = true;
                    if numeric || next == b'.' && bytes.get(at + 1).is_none_or(|b| !b.is_ascii_alphanumeric())
                    {
                        at = run(at + 1, &digit);
                        is_date = next != b'.';
                        if bytes.get(at) == Some(&next) {
                            is_date = true;
                            at = run(at, &|b| digit(b) || b == next);
                        }
                    } else {
                        at = run(at, &|b| b.is_ascii_alphanumeric() || b == next);
                    }
                    let field = lower[start..at].to_owned();
                    fields.push(if is_date { Field::Date(field) } else { Field::Number(field) });
                } else {
                    fields.push(Field::Number(lower[start..at].to_owned()));
                }
            }
            b'.' => {
                at = run(at + 1, &digit);
                fields.push(Field::Number(lower[start..at].to_owned()));
            }
            b if b.is_ascii_alphabetic() => {
                at = run(at, &|b| b.is_ascii_alphabetic());
                let next = bytes.get(at).copied().unwrap_or(b' ');
                let is_date = matches!(next, b'-' | b'/' | b'.')
                    || ((next == b'+' || digit(next)) && !is_keyword(&lower[start..at]));
                if is_date {
                    at = run(at, &|b| {
                        b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'/' | b'_' | b'.' | b':')
                    });
                    fields.push(Field::Date(lower[start..at].to_owned()));
                } else {
                    fields.push(Field::Word(lower[start..at].to_owned()));
                }
            }
            b'+' | b'-' => {
                let sign = bytes[at];
                at = run(at + 1, &|b| b.is_ascii_whitespace());
                let body = at;
                match bytes.get(at) {
                    Some(b) if digit(*b) => {
                        at = run(at, &|b| digit(b) || matches!(b, b':' | b'.' | b'-'));
                        fields.push(Field::Zone(format!("{}{}", char::from(sign), &lower[body..at])));
                    }
                    Some(b) if b.is_ascii_alphabetic() => {
                        at = run(at, &|b| b.is_ascii_alphabetic());
                        fields.push(Field::Signed(format!("{}{}", char::from(sign), &lower[body..at])));
                    }
                    _ => return Err(Fault::Format),
                }
            }
            b if b.is_ascii_punctuation() => at += 1,
            _ => return Err(Fault::Format),
        }
    }
    Ok(fields)
}

pub(super) fn month_named(word: &str) -> Option<i64> {
    let names = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let short = word.get(..3).filter(|_| word.len() == 3 || word == "sept");
    names
        .iter()
        .position(|name| *name == word || short.is_some_and(|short| &name[..3] == short))
        .map(|at| at as i64 + 1)
}

fn is_weekday(word: &str) -> bool {
    let names = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
    names.iter().any(|name| *name == word || &name[..3] == word)
        || matches!(word, "tues" | "wednes" | "weds" | "thur" | "thurs")
}

fn is_keyword(word: &str) -> bool {
    month_named(word).is_some()
        || is_weekday(word)
        || matches!(
            word,
            "t" | "at"
                | "on"
                | "bc"
                | "ad"
                | "am"
                | "pm"
                | "j"
                | "jd"
                | "julian"
                | "y"
                | "m"
                | "d"
                | "h"
                | "mm"
                | "s"
                | "dst"
                | "allballs"
                | "epoch"
                | "now"
                | "today"
                | "tomorrow"
                | "yesterday"
                | "infinity"
        )
}

/// Where a time stands against UTC.
#[derive(Clone, Debug)]
enum ZoneField {
    /// Seconds east.
    Offset(i32),
    Named(TimeZone),
}

/// What the fields of a text said.
#[derive(Default)]
struct Fields {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    /// Day of the year.
    ordinal: Option<i64>,
    julian: Option<i64>,
    /// Microseconds since midnight.
    time: Option<i64>,
    zone: Option<ZoneField>,
    special: Option<Special>,
    text_month: bool,
    two_digits: bool,
    bc: bool,
    pm: Option<bool>,
    after_t: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Special {
    Infinity,
    NegInfinity,
    Epoch,
    Now,
    Today,
    Tomorrow,
    Yesterday,
}

impl Fields {
    fn read(text: &str, order: DateOrder) -> Result<Fields, Fault> {
        let mut fields = Fields::default();
        let parts = split(text)?;
        if parts.is_empty() {
            return Err(Fault::Format);
        }
        for (at, part) in parts.iter().enumerate() {
            fields.take(part, &parts[..at], order)?;
        }
        if fields.after_t && fields.time.is_none() {
            return Err(Fault::Format);
        }
        fields.finish()?;
        Ok(fields)
    }

    fn has_date(&self) -> bool {
        self.julian.is_some()
            || (self.year.is_some() && self.ordinal.is_some())
            || (self.year.is_some() && self.month.is_some() && self.day.is_some())
    }

    fn take(&mut self, field: &Field, before: &[Field], order: DateOrder) -> Result<(), Fault> {
        match field {
            Field::Time(text) => self.take_time(text),
            Field::Zone(text) => self.take_offset(text),
            Field::Signed(text) if text == "-infinity" => self.set_special(Special::NegInfinity),
            Field::Signed(text) if text == "+infinity" => self.set_special(Special::Infinity),
            Field::Signed(_) => Err(Fault::Format),
            Field::Date(text)
                if text.starts_with(|c: char| c.is_ascii_alphabetic()) && self.has_date_words(text) =>
            {
                self.take_zone_name(text)
            }
            Field::Date(text) if self.has_date() => self.take_time_after_date(text),
            Field::Date(text) => self.take_date(text, order),
            Field::Number(text) => {
                if matches!(before.last(), Some(Field::Word(word)) if matches!(word.as_str(), "j" | "jd" | "julian"))
                {
                    return self.take_julian(text);
                }
                self.take_number(text, order)
            }
            Field::Word(word) => self.take_word(word),
        }
    }

    /// Whether a field that starts with a letter is a zone's name rather than a month's date.
    fn has_date_words(&self, text: &str) -> bool {
        let word: String = text.chars().take_while(char::is_ascii_alphabetic).collect();
        month_named(&word).is_none()
    }

    fn set_special(&mut self, special: Special) -> Result<(), Fault> {
        if self.special.is_some() || self.has_date() {
            return Err(Fault::Format);
        }
        self.special = Some(special);
        Ok(())
    }

    /// `yyyymmdd.` followed by a zone or time digits: `2001-02-03-04`.
    fn take_time_after_date(&mut self, text: &str) -> Result<(), Fault> {
        match text.split_once('-') {
            Some((time, zone)) if self.time.is_none() => {
                self.take_packed_time(time)?;
                self.take_offset(&format!("-{zone}"))
            }
            _ => Err(Fault::Format),
        }
    }

    fn take_julian(&mut self, text: &str) -> Result<(), Fault> {
        let (days, fraction) = text.split_once('.').unwrap_or((text, ""));
        self.julian = Some(days.parse().map_err(|_| RANGE)?);
        if !fraction.is_empty() {
            let part: f64 = format!("0.{fraction}").parse().map_err(|_| Fault::Format)?;
            self.time = Some((part * MICROS_PER_DAY as f64).round() as i64);
        }
        Ok(())
    }

    fn take_word(&mut self, word: &str) -> Result<(), Fault> {
        if let Some(month) = month_named(word) {
            // A number taken for the month was the day.
            if let (Some(number), false) = (self.month, self.text_month) {
                if self.day.is_some() {
                    return Err(Fault::Format);
                }
                self.day = Some(number);
            } else if self.month.is_some() {
                return Err(Fault::Format);
            }
            self.month = Some(month);
            self.text_month = true;
            return Ok(());
        }
        if is_weekday(word) {
            return Ok(());
        }
        match word {
            "bc" => self.bc = true,
            "ad" | "at" | "on" | "j" | "jd" | "julian" => {}
            "am" => self.pm = Some(false),
            "pm" => self.pm = Some(true),
            "t" => {
                if !self.has_date() {
                    return Err(Fault::Format);
                }
                self.after_t = true;
            }
            "allballs" => {
                self.time = Some(0);
                self.zone = Some(ZoneField::Offset(0));
            }
            "epoch" => return self.set_special(Special::Epoch),
            "now" => return self.set_special(Special::Now),
            "today" => return self.set_special(Special::Today),
            "tomorrow" => return self.set_special(Special::Tomorrow),
            "yesterday" => return self.set_special(Special::Yesterday),
            "infinity" => return self.set_special(Special::Infinity),
            "dst" => match &mut self.zone {
                Some(ZoneField::Offset(offset)) => *offset += 3600,
                _ => return Err(Fault::Format),
            },
            _ => return self.take_zone_name(word),
        }
        Ok(())
    }

    fn take_zone_name(&mut self, word: &str) -> Result<(), Fault> {
        if self.zone.is_some() {
            return Err(Fault::Format);
        }
        self.zone = Some(match zone::abbreviation(word) {
            Some(offset) => ZoneField::Offset(offset),
            None => match zone::lookup(word) {
                Some(zone) => ZoneField::Named(zone),
                None if word.contains('/') => return Err(Fault::Zone(word.to_owned())),
                None => return Err(Fault::Format),
            },
        });
        Ok(())
    }

    /// `hh:mm[:ss[.ffffff]]`.
    fn take_time(&mut self, text: &str) -> Result<(), Fault> {
        if self.time.is_some() {
            return Err(Fault::Format);
        }
        let parts: Vec<_> = text.split(':').collect();
        let number = |part: &str| part.parse::<i64>().map_err(|_| Fault::Format);
        let (hour, minute, seconds) = match parts[..] {
            // `mm:ss.fff` has a fraction in the second place.
            [minute, seconds] if seconds.contains('.') => (0, number(minute)?, seconds),
            [hour, minute] => (number(hour)?, number(minute)?, "0"),
            [hour, minute, seconds] => (number(hour)?, number(minute)?, seconds),
            _ => return Err(Fault::Format),
        };
        let (second, micros) = seconds_of(seconds)?;
        self.set_time(hour, minute, second, micros)
    }

    fn set_time(&mut self, hour: i64, minute: i64, second: i64, micros: i64) -> Result<(), Fault> {
        let time = Civil { hour, minute, second, micros, ..Civil::default() }.time_micros();
        let whole_day = hour == 24 && minute == 0 && second == 0 && micros == 0;
        if !(0..24).contains(&hour) && !whole_day || !(0..60).contains(&minute) || !(0..=60).contains(&second)
        {
            return Err(RANGE);
        }
        self.time = Some(time);
        Ok(())
    }

    /// `hhmm`, `hhmmss`, with a fraction.
    fn take_packed_time(&mut self, text: &str) -> Result<(), Fault> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let (_, micros) = seconds_of(&format!("0.{fraction}"))?;
        let number = |range: std::ops::Range<usize>| whole[range].parse::<i64>().map_err(|_| Fault::Format);
        match whole.len() {
            2 if self.after_t => self.set_time(number(0..2)?, 0, 0, micros),
            4 => self.set_time(number(0..2)?, number(2..4)?, 0, micros),
            6 => self.set_time(number(0..2)?, number(2..4)?, number(4..6)?, micros),
            _ => Err(Fault::Format),
        }
    }

    /// `+hh`, `+hhmm`, `+hh:mm[:ss]`.
    fn take_offset(&mut self, text: &str) -> Result<(), Fault> {
        if self.time.is_none() && self.special.is_none() && !self.has_date() {
            return Err(Fault::Format);
        }
        let negative = text.starts_with('-');
        let body = &text[1..];
        let number = |part: &str| part.parse::<i32>().map_err(|_| Fault::Format);
        let parts: Vec<_> = body.split(':').collect();
        let (hours, minutes, seconds) = match parts[..] {
            [h] if h.len() > 4 => (
                number(&h[..h.len() - 4])?,
                number(&h[h.len() - 4..h.len() - 2])?,
                number(&h[h.len() - 2..])?,
            ),
            [h] if h.len() > 2 => (number(&h[..h.len() - 2])?, number(&h[h.len() - 2..])?, 0),
            [h] => (number(h)?, 0, 0),
            [h, m] => (number(h)?, number(m)?, 0),
            [h, m, s] => (number(h)?, number(m)?, number(s)?),
            _ => return Err(Fault::Format),
        };
        if !(0..16).contains(&hours) || !(0..60).contains(&minutes) || !(0..60).contains(&seconds) {
            return Err(Fault::Displacement);
        }
        let size = hours * 3600 + minutes * 60 + seconds;
        // A POSIX zone's sign counts westwards, an offset's eastwards.
        let east = if negative { -size } else { size };
        match &mut self.zone {
            None => self.zone = Some(ZoneField::Offset(east)),
            Some(ZoneField::Offset(0)) => self.zone = Some(ZoneField::Offset(-east)),
            Some(_) => return Err(Fault::Format),
        }
        Ok(())
    }

    /// Numbers and a month's name with separators between.
    fn take_date(&mut self, text: &str, order: DateOrder) -> Result<(), Fault> {
        let parts: Vec<_> =
            text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|p| !p.is_empty()).collect();
        if parts.len() > 3 {
            return Err(Fault::Format);
        }
        for part in &parts {
            if part.starts_with(|c: char| c.is_ascii_alphabetic()) {
                let month = month_named(part).ok_or(Fault::Format)?;
                if self.month.replace(month).is_some() {
                    return Err(Fault::Format);
                }
                self.text_month = true;
            }
        }
        for part in parts.iter().filter(|part| part.starts_with(|c: char| c.is_ascii_digit())) {
            if !part.bytes().all(|b| b.is_ascii_digit()) || self.has_date() {
                return Err(Fault::Format);
            }
            self.date_number(part, order)?;
        }
        if self.has_date() { Ok(()) } else { Err(Fault::Format) }
    }

    fn take_number(&mut self, text: &str, order: DateOrder) -> Result<(), Fault> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        if self.has_date() {
            return if self.time.is_none() { self.take_packed_time(text) } else { Err(Fault::Format) };
        }
        if let Some(fraction) = fraction {
            // `yyyy.ddd`: the day of a year.
            if whole.len() == 4 && fraction.len() == 3 && self.year.is_none() {
                self.year = whole.parse().ok();
                self.ordinal = fraction.parse().ok();
                return Ok(());
            }
            return Err(Fault::Format);
        }
        let untouched = self.year.is_none() && self.month.is_none() && self.day.is_none();
        if whole.len() >= 6 && untouched && (whole.len() != 7 || self.time.is_some()) {
            // [yy]yymmdd
            let cut = whole.len() - 4;
            self.two_digits = cut == 2;
            self.year = Some(whole[..cut].parse().map_err(|_| RANGE)?);
            self.month = whole[cut..cut + 2].parse().ok();
            self.day = whole[cut + 2..].parse().ok();
            return Ok(());
        }
        if whole.len() == 7 && untouched {
            // yyyyddd
            self.year = whole[..4].parse().ok();
            self.ordinal = whole[4..].parse().ok();
            return Ok(());
        }
        self.date_number(whole, order)
    }

    /// A number of a date, by what is already there and the date order.
    fn date_number(&mut self, text: &str, order: DateOrder) -> Result<(), Fault> {
        let value: i64 = text.parse().map_err(|_| RANGE)?;
        let long = text.len() >= 3;
        if text.len() == 3 && self.year.is_some() && self.month.is_none() && (1..=366).contains(&value) {
            self.ordinal = Some(value);
            return Ok(());
        }
        let set_year = |fields: &mut Fields| {
            fields.year = Some(value);
            fields.two_digits = text.len() <= 2;
        };
        match (self.year.is_some(), self.month.is_some(), self.day.is_some()) {
            (false, false, false) if long || order == DateOrder::Ymd => set_year(self),
            (false, false, false) if order == DateOrder::Dmy => self.day = Some(value),
            (false, false, false) => self.month = Some(value),
            (true, false, false) => self.month = Some(value),
            (false, true, false) if self.text_month && (long || order == DateOrder::Ymd) => set_year(self),
            (false, true, false) => self.day = Some(value),
            (true, true, false) if self.text_month && long && self.two_digits => {
                // dd-mon-yyyy under YMD: what was taken for the year was the day.
                self.day = self.year.take();
                set_year(self);
            }
            (true, true, false) => self.day = Some(value),
            (false, false, true) => self.month = Some(value),
            (false, true, true) => set_year(self),
            (true, false, true) => self.month = Some(value),
            (true, true, true) => return Err(Fault::Format),
        }
        Ok(())
    }

    /// Checks and completes the fields.
    fn finish(&mut self) -> Result<(), Fault> {
        if let Some(year) = self.year {
            let full = match year {
                _ if self.bc && year <= 0 => return Err(RANGE),
                year if self.bc => 1 - year,
                year if self.two_digits && year < 70 => year + 2000,
                year if self.two_digits && year < 100 => year + 1900,
                0 => return Err(RANGE),
                year => year,
            };
            if full > 6_000_000 {
                return Err(RANGE);
            }
            self.year = Some(full);
        } else if self.bc && self.julian.is_none() {
            return Err(RANGE);
        }
        if let (Some(pm), Some(time)) = (self.pm, self.time) {
            let hour = time / calendar::MICROS_PER_HOUR;
            if hour > 12 || (hour == 12 && time > 13 * calendar::MICROS_PER_HOUR) {
                return Err(RANGE);
            }
            if pm && hour != 12 {
                self.time = Some(time + MICROS_PER_DAY / 2);
            } else if !pm && hour == 12 {
                self.time = Some(time - MICROS_PER_DAY / 2);
            }
        }
        if let (Some(year), Some(ordinal)) = (self.year, self.ordinal) {
            if !(1..=365 + i64::from(calendar::is_leap(year))).contains(&ordinal) {
                return Err(RANGE);
            }
            let (_, month, day) = calendar::civil_of_days(calendar::days_of_civil(year, 1, 1) + ordinal - 1);
            (self.month, self.day) = (Some(month), Some(day));
        }
        if self.month.is_some_and(|month| !(1..=12).contains(&month))
            || self.day.is_some_and(|day| !(1..=31).contains(&day))
        {
            return Err(Fault::Range { order: true });
        }
        if let (Some(year), Some(month), Some(day)) = (self.year, self.month, self.day)
            && day > days_in_month(year, month)
        {
            return Err(RANGE);
        }
        Ok(())
    }

    /// Days since 2000-01-01 of the date; `None` without a whole one.
    fn days(&self) -> Option<i64> {
        if let Some(julian) = self.julian {
            return Some(julian - calendar::JULIAN_EPOCH);
        }
        Some(calendar::days_of_civil(self.year?, self.month?, self.day?))
    }
}

/// Whole seconds and microseconds, rounded.
fn seconds_of(text: &str) -> Result<(i64, i64), Fault> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let second = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| Fault::Format)? };
    if fraction.is_empty() {
        return Ok((second, 0));
    }
    let part: f64 = format!("0.{fraction}").parse().map_err(|_| Fault::Format)?;
    Ok((second, (part * 1e6).round_ties_even() as i64))
}

/// Now in microseconds since 2000-01-01 UTC.
fn now(io: &Io<'_>) -> i64 {
    io.now.unwrap_or_else(|| jiff::Timestamp::now().as_microsecond() - calendar::UNIX_EPOCH_MICROS)
}

/// A date and time: infinity, or local microseconds with the zone that the text names.
enum Moment {
    NegInfinity,
    Infinity,
    /// UTC microseconds.
    Instant(i64),
    Local(i64, Option<ZoneField>),
}

fn moment(io: &Io<'_>, text: &str, ty: &str) -> Result<Moment> {
    let fields = Fields::read(text, io.fmt.date_order).map_err(|fault| fault.error(text, ty))?;
    let time = fields.time.unwrap_or(0);
    let today = || zone::to_local(&io.fmt.time_zone, now(io)).div_euclid(MICROS_PER_DAY);
    let days = match fields.special {
        Some(Special::Infinity) => return Ok(Moment::Infinity),
        Some(Special::NegInfinity) => return Ok(Moment::NegInfinity),
        Some(Special::Epoch) => return Ok(Moment::Instant(-calendar::UNIX_EPOCH_MICROS)),
        Some(Special::Now) => return Ok(Moment::Instant(now(io))),
        Some(Special::Today) => today(),
        Some(Special::Tomorrow) => today() + 1,
        Some(Special::Yesterday) => today() - 1,
        None => fields.days().ok_or_else(|| Fault::Format.error(text, ty))?,
    };
    let local = days.checked_mul(MICROS_PER_DAY).and_then(|days| days.checked_add(time));
    let local = local.ok_or_else(|| timestamp_range(text))?;
    Ok(Moment::Local(local, fields.zone))
}

fn timestamp_range(text: &str) -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("timestamp out of range: \"{text}\""))
}

pub(crate) fn timestamp_in(io: &Io<'_>, text: &str) -> Result<i64> {
    let micros = match moment(io, text, "timestamp")? {
        Moment::NegInfinity => return Ok(i64::MIN),
        Moment::Infinity => return Ok(i64::MAX),
        // The epoch is a local time here, `now` the session's.
        Moment::Instant(micros) if micros == -calendar::UNIX_EPOCH_MICROS => micros,
        Moment::Instant(micros) => zone::to_local(&io.fmt.time_zone, micros),
        Moment::Local(micros, _) => micros,
    };
    if calendar::timestamp_is_valid(micros) { Ok(micros) } else { Err(timestamp_range(text)) }
}

pub(crate) fn timestamptz_in(io: &Io<'_>, text: &str) -> Result<i64> {
    let (local, named) = match moment(io, text, "timestamp with time zone")? {
        Moment::NegInfinity => return Ok(i64::MIN),
        Moment::Infinity => return Ok(i64::MAX),
        Moment::Instant(micros) => return Ok(micros),
        Moment::Local(local, named) => (local, named),
    };
    if !calendar::timestamp_is_valid(local) {
        return Err(timestamp_range(text));
    }
    let micros = match named {
        Some(ZoneField::Offset(east)) => Some(local - i64::from(east) * MICROS_PER_SECOND),
        Some(ZoneField::Named(named)) => zone::to_utc(&named, local),
        None => zone::to_utc(&io.fmt.time_zone, local),
    };
    micros.filter(|micros| calendar::timestamp_is_valid(*micros)).ok_or_else(|| timestamp_range(text))
}

/// A date's range is wider than a timestamp's, so it does not pass through microseconds.
pub(crate) fn date_in(io: &Io<'_>, text: &str) -> Result<i32> {
    let fields = Fields::read(text, io.fmt.date_order).map_err(|fault| fault.error(text, "date"))?;
    let today = || zone::to_local(&io.fmt.time_zone, now(io)).div_euclid(MICROS_PER_DAY);
    let days = match fields.special {
        Some(Special::NegInfinity) => return Ok(i32::MIN),
        Some(Special::Infinity) => return Ok(i32::MAX),
        Some(Special::Epoch) => -calendar::UNIX_EPOCH_DAYS,
        Some(Special::Now | Special::Today) => today(),
        Some(Special::Tomorrow) => today() + 1,
        Some(Special::Yesterday) => today() - 1,
        None => fields.days().ok_or_else(|| Fault::Format.error(text, "date"))?,
    };
    if calendar::date_is_valid(days) {
        return Ok(days as i32);
    }
    Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("date out of range: \"{text}\"")))
}

/// Time of day and zone; the date, where there is one, only decides a named zone's offset.
fn time_fields(io: &Io<'_>, text: &str, ty: &str) -> Result<(i64, Option<i64>, Option<ZoneField>)> {
    let read = |text: &str| Fields::read(text, io.fmt.date_order);
    let fields = match read(text) {
        Ok(fields) if fields.time.is_some() || fields.special.is_some() => fields,
        // A bare number is a packed time: read it behind a date.
        Ok(_) | Err(Fault::Format | Fault::Range { .. }) => {
            let packed = text.trim().strip_prefix(['t', 'T']).unwrap_or(text.trim());
            let digits = packed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(packed.len());
            if digits == 0 || packed[..digits].contains(':') {
                read(text).map_err(|fault| fault.error(text, ty))?;
                return Err(Fault::Format.error(text, ty));
            }
            let fields = read(&format!("20000101T{packed}")).map_err(|fault| fault.error(text, ty))?;
            let time = fields.time.ok_or_else(|| Fault::Format.error(text, ty))?;
            return Ok((time, None, fields.zone));
        }
        Err(fault) => return Err(fault.error(text, ty)),
    };
    match (fields.time, fields.special) {
        (Some(time), _) => Ok((time, fields.days(), fields.zone)),
        (None, Some(Special::Now)) => {
            let local = zone::to_local(&io.fmt.time_zone, now(io));
            Ok((local.rem_euclid(MICROS_PER_DAY), Some(local.div_euclid(MICROS_PER_DAY)), None))
        }
        _ => Err(Fault::Format.error(text, ty)),
    }
}

pub(crate) fn time_in(io: &Io<'_>, text: &str) -> Result<i64> {
    let (time, days, zone) = time_fields(io, text, "time")?;
    if matches!(zone, Some(ZoneField::Named(_))) && days.is_none() {
        return Err(Fault::Format.error(text, "time"));
    }
    Ok(time)
}

pub(crate) fn timetz_in(io: &Io<'_>, text: &str) -> Result<TimeTz> {
    let ty = "time with time zone";
    let (micros, days, named) = time_fields(io, text, ty)?;
    let local = |days: i64| days * MICROS_PER_DAY + micros;
    let east = match (named, days) {
        (Some(ZoneField::Offset(east)), _) => east,
        (Some(ZoneField::Named(zone)), Some(days)) => zone::offset_of_local(&zone, local(days)),
        (Some(ZoneField::Named(_)), None) => return Err(Fault::Format.error(text, ty)),
        (None, days) => {
            let today = || zone::to_local(&io.fmt.time_zone, now(io)).div_euclid(MICROS_PER_DAY);
            zone::offset_of_local(&io.fmt.time_zone, local(days.unwrap_or_else(today)))
        }
    };
    Ok(TimeTz { micros, zone: -east })
}
