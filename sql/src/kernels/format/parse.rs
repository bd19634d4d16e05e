//! `to_timestamp` and `to_date`: a date read by template, then put together from its fields.

use super::datetime::{DAYS, MONTHS, ROMAN, iso_year_start};
use super::pattern::{Node, date_template};
use crate::kernels::{CallContext, args};
use crate::types::Datum;
use crate::types::datetime::calendar::{self, Civil, JULIAN_EPOCH, MICROS_PER_SECOND, days_of_civil};
use crate::types::datetime::zone;
use crate::{Result, SqlError, SqlState};

const FM_HINT: &str = "If your source string is not fixed-width, try using the \"FM\" modifier.";

pub(super) fn to_date(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let text = args::text(&args[0])?;
    let (civil, _) = read(text, args::text(&args[1])?)?;
    let days = civil.days();
    if !calendar::date_is_valid(days) {
        return Err(SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date out of range: \"{text}\""),
        ));
    }
    Ok(Datum::Date(days as i32))
}

pub(super) fn to_timestamp(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (civil, offset) = read(args::text(&args[0])?, args::text(&args[1])?)?;
    let micros = civil.timestamp().and_then(|local| match offset {
        Some(seconds) => {
            Some(local - seconds * MICROS_PER_SECOND).filter(|m| calendar::timestamp_is_valid(*m))
        }
        None => zone::to_utc(&cx.fmt.time_zone, local),
    });
    let range = || SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range");
    micros.map(Datum::Timestamp).ok_or_else(range)
}

/// What the template found. A field that was not read is 0, as in PostgreSQL.
#[derive(Default)]
struct Found {
    /// Gregorian, ISO week date; `None`: no date field yet.
    iso: Option<bool>,
    clock12: bool,
    afternoon: i64,
    hour: i64,
    minute: i64,
    second: i64,
    seconds: i64,
    millis: i64,
    micros: i64,
    weekday: i64,
    day: i64,
    yearday: i64,
    month: i64,
    year: i64,
    /// Digits of the year's keyword.
    year_size: usize,
    before_christ: i64,
    century: i64,
    julian: i64,
    week: i64,
    month_week: i64,
    zone_sign: i64,
    zone_hour: i64,
    zone_minute: i64,
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message)
}

fn overflow(text: &str) -> SqlError {
    SqlError::new(
        SqlState::DATETIME_FIELD_OVERFLOW,
        format!("date/time field value out of range: \"{text}\""),
    )
}

/// The local date and time, and the offset in seconds when the text has one.
fn read(text: &str, template: &str) -> Result<(Civil, Option<i64>)> {
    let nodes = date_template(template);
    let mut scanner = Scanner { whole: text, rest: text, fixed: false, skipped: 0, found: Found::default() };
    for (at, node) in nodes.iter().enumerate() {
        if scanner.rest.is_empty() {
            break;
        }
        scanner.node(at == 0, node, nodes.get(at + 1))?;
    }
    let offset = scanner.found.offset(text)?;
    Ok((scanner.found.civil(text)?, offset))
}

struct Scanner<'t> {
    whole: &'t str,
    rest: &'t str,
    /// After FX.
    fixed: bool,
    /// Characters skipped beyond those that the template has.
    skipped: i64,
    found: Found,
}

/// One keyword and what its reading depends on.
struct Field<'n> {
    word: &'n str,
    upper: String,
    /// It takes as many digits as there are.
    greedy: bool,
}

fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

/// Whether a keyword reads digits.
fn is_digits(word: &str) -> bool {
    let upper = word.to_ascii_uppercase();
    !matches!(
        upper.as_str(),
        "A.D."
            | "A.M."
            | "AD"
            | "AM"
            | "B.C."
            | "BC"
            | "DAY"
            | "DY"
            | "FX"
            | "MONTH"
            | "MON"
            | "OF"
            | "P.M."
            | "PM"
            | "RM"
            | "TZ"
            | "TZH"
    )
}

impl Scanner<'_> {
    fn skip_spaces(&mut self) {
        let tail = self.rest.trim_start_matches(is_space);
        self.skipped += (self.rest.len() - tail.len()) as i64;
        self.rest = tail;
    }

    fn skip(&mut self) {
        let mut chars = self.rest.chars();
        chars.next();
        self.rest = chars.as_str();
    }

    fn node(&mut self, first: bool, node: &Node, next: Option<&Node>) -> Result<()> {
        if !self.fixed && (first || matches!(node, Node::Key { .. })) {
            self.skip_spaces();
        }
        match node {
            Node::Space(_) | Node::Separator(_) if !self.fixed => {
                self.skipped -= 1;
                if self.rest.starts_with(|c: char| is_space(c) || c.is_ascii_punctuation()) {
                    self.skip();
                    self.skipped += 1;
                }
            }
            Node::Literal(_) if !self.fixed && self.skipped > 0 => self.skipped -= 1,
            Node::Space(_) | Node::Separator(_) | Node::Literal(_) => self.skip(),
            Node::Key { word, fill, ordinal, .. } => {
                let separated = match next {
                    _ if ordinal.is_some() => true,
                    None => true,
                    Some(Node::Key { word, .. }) => !is_digits(word),
                    Some(Node::Literal(c) | Node::Separator(c) | Node::Space(c)) => !c.is_ascii_digit(),
                };
                let field = Field { word, upper: word.to_ascii_uppercase(), greedy: *fill || separated };
                self.set_mode(&field.upper)?;
                self.field(&field)?;
                if ordinal.is_some() {
                    self.skip();
                    self.skip();
                }
                if !self.fixed {
                    self.skipped = 0;
                    self.skip_spaces();
                }
            }
        }
        Ok(())
    }

    /// ISO week dates and others do not mix.
    fn set_mode(&mut self, upper: &str) -> Result<()> {
        let iso = match upper {
            "IDDD" | "ID" | "IW" | "IYYY" | "IYY" | "IY" | "I" => true,
            "DDD" | "DD" | "DAY" | "DY" | "D" | "MM" | "MONTH" | "MON" | "RM" | "WW" | "W" | "Y,YYY"
            | "YYYY" | "YYY" | "YY" | "Y" => false,
            _ => return Ok(()),
        };
        if self.found.iso.is_some_and(|before| before != iso) {
            return Err(invalid("invalid combination of date conventions")
                .with_hint("Do not mix Gregorian and ISO week date conventions in a formatting template."));
        }
        self.found.iso = Some(iso);
        Ok(())
    }

    /// A flat match over the keywords.
    fn field(&mut self, f: &Field<'_>) -> Result<()> {
        match f.upper.as_str() {
            "FX" => self.fixed = true,
            "A.M." | "P.M." | "AM" | "PM" => {
                let dotted = f.upper.contains('.');
                let words = if dotted { ["a.m.", "p.m."] } else { ["am", "pm"] };
                let value = self.word(f, &words)?;
                set(&mut self.found.afternoon, value, f)?;
                self.found.clock12 = true;
            }
            "HH" | "HH12" => {
                self.integer(f, 2, |found| &mut found.hour)?;
                self.found.clock12 = true;
            }
            "HH24" => drop(self.integer(f, 2, |found| &mut found.hour)?),
            "MI" => drop(self.integer(f, 2, |found| &mut found.minute)?),
            "SS" => drop(self.integer(f, 2, |found| &mut found.second)?),
            "MS" => {
                let digits = self.integer(f, 3, |found| &mut found.millis)?;
                self.found.millis *= 10i64.pow(3usize.saturating_sub(digits) as u32);
            }
            "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                let most = f.upper.strip_prefix("FF").map_or(6, |n| n.parse().unwrap_or(6));
                let digits = self.integer(f, most, |found| &mut found.micros)?;
                self.found.micros *= 10i64.pow(6usize.saturating_sub(digits) as u32);
            }
            "SSSS" | "SSSSS" => drop(self.integer(f, f.word.len(), |found| &mut found.seconds)?),
            "TZ" | "OF" => {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("formatting field \"{}\" is only supported in to_char", f.word),
                ));
            }
            "TZH" => {
                self.zone_sign();
                self.integer(f, 2, |found| &mut found.zone_hour)?;
            }
            "TZM" => {
                if self.found.zone_sign == 0 {
                    self.found.zone_sign = 1;
                }
                self.integer(f, 2, |found| &mut found.zone_minute)?;
            }
            _ => self.date_field(f)?,
        }
        Ok(())
    }

    fn date_field(&mut self, f: &Field<'_>) -> Result<()> {
        match f.upper.as_str() {
            "A.D." | "B.C." | "AD" | "BC" => {
                let dotted = f.upper.contains('.');
                let words = if dotted { ["a.d.", "b.c."] } else { ["ad", "bc"] };
                let value = self.word(f, &words)?;
                set(&mut self.found.before_christ, value, f)?;
            }
            "MONTH" | "MON" | "DAY" | "DY" | "RM" => self.name(f)?,
            "MM" => drop(self.integer(f, 2, |found| &mut found.month)?),
            "DDD" | "IDDD" => drop(self.integer(f, 3, |found| &mut found.yearday)?),
            "DD" => drop(self.integer(f, 2, |found| &mut found.day)?),
            "D" => drop(self.integer(f, 1, |found| &mut found.weekday)?),
            "ID" => {
                self.integer(f, 1, |found| &mut found.weekday)?;
                self.found.weekday = if self.found.weekday >= 7 { 1 } else { self.found.weekday + 1 };
            }
            "WW" | "IW" => drop(self.integer(f, 2, |found| &mut found.week)?),
            "Q" => drop(self.digits(f, 1)?),
            "CC" => drop(self.integer(f, 2, |found| &mut found.century)?),
            "W" => drop(self.integer(f, 1, |found| &mut found.month_week)?),
            "J" => drop(self.integer(f, 1, |found| &mut found.julian)?),
            "Y,YYY" => {
                let year = self.thousands_year()?;
                set(&mut self.found.year, year, f)?;
                self.found.year_size = 4;
            }
            _ => {
                let size = f.word.len();
                let (value, digits) = self.digits(f, size)?;
                let year = if size < 4 && digits < 4 { near_2020(value) } else { value };
                set(&mut self.found.year, year, f)?;
                self.found.year_size = size;
            }
        }
        Ok(())
    }

    fn name(&mut self, f: &Field<'_>) -> Result<()> {
        let short = |names: &[&'static str]| names.iter().map(|n| &n[..3]).collect::<Vec<_>>();
        match f.upper.as_str() {
            "MONTH" => {
                let value = self.word(f, &MONTHS)? + 1;
                set(&mut self.found.month, value, f)
            }
            "MON" => {
                let value = self.word(f, &short(&MONTHS))? + 1;
                set(&mut self.found.month, value, f)
            }
            "RM" => {
                // Longest first: XII before XI before X.
                let mut numerals = ROMAN;
                numerals.reverse();
                let value = 12 - self.word(f, &numerals)?;
                set(&mut self.found.month, value, f)
            }
            "DAY" => {
                let value = self.word(f, &DAYS)? + 1;
                set(&mut self.found.weekday, value, f)
            }
            _ => {
                let value = self.word(f, &short(&DAYS))? + 1;
                set(&mut self.found.weekday, value, f)
            }
        }
    }

    fn zone_sign(&mut self) {
        let before = self.whole[..self.whole.len() - self.rest.len()].chars().next_back();
        self.found.zone_sign = match self.rest.chars().next() {
            Some(sign @ ('+' | '-' | ' ')) => {
                self.skip();
                if sign == '-' { -1 } else { 1 }
            }
            _ if self.skipped > 0 && before == Some('-') => -1,
            _ => 1,
        };
    }

    /// One of some words, in any case; its position.
    fn word(&mut self, f: &Field<'_>, words: &[&str]) -> Result<i64> {
        let matches =
            |word: &&str| self.rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
        match words.iter().position(matches) {
            Some(at) => {
                self.rest = &self.rest[words[at].len()..];
                Ok(at as i64)
            }
            None => {
                let value = self.rest.split(is_space).next().unwrap_or_default();
                Err(invalid(format!("invalid value \"{value}\" for \"{}\"", f.word))
                    .with_detail("The given value did not match any of the allowed values for this field."))
            }
        }
    }

    fn integer(&mut self, f: &Field<'_>, width: usize, slot: fn(&mut Found) -> &mut i64) -> Result<usize> {
        let (value, digits) = self.digits(f, width)?;
        set(slot(&mut self.found), value, f)?;
        Ok(digits)
    }

    /// An integer and the number of characters read.
    fn digits(&mut self, f: &Field<'_>, width: usize) -> Result<(i64, usize)> {
        let start = self.rest;
        let trimmed = start.trim_start_matches(is_space);
        let head: String = trimmed.chars().take(width).collect();
        let number = if f.greedy { leading_integer(start) } else { self.exact(f, width, trimmed, &head)? };
        if number.is_empty() {
            return Err(invalid(format!("invalid value \"{head}\" for \"{}\"", f.word))
                .with_detail("Value must be an integer."));
        }
        let digits = number.trim_start_matches(is_space);
        let value = digits.strip_prefix('+').unwrap_or(digits).parse::<i32>().map_err(|_| {
            SqlError::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("value for \"{}\" in source string is out of range", f.word),
            )
            .with_detail(format!("Value must be in the range {} to {}.", i32::MIN, i32::MAX))
        })?;
        let base = if f.greedy { start } else { trimmed };
        self.rest = &base[number.len()..];
        Ok((value.into(), start.len() - self.rest.len()))
    }

    /// Exactly `width` digits; what there is of them when there are none.
    fn exact<'s>(&self, f: &Field<'_>, width: usize, trimmed: &'s str, head: &str) -> Result<&'s str> {
        let have = head.len();
        if have < width {
            let detail = format!("Field requires {width} characters, but only {have} remain.");
            let message = format!("source string too short for \"{}\" formatting field", f.word);
            return Err(invalid(message).with_detail(detail).with_hint(FM_HINT));
        }
        let number = leading_integer(&trimmed[..have]);
        if !number.is_empty() && number.len() < width {
            let parsed = number.len();
            let detail = format!("Field requires {width} characters, but only {parsed} could be parsed.");
            let message = format!("invalid value \"{head}\" for \"{}\"", f.word);
            return Err(invalid(message).with_detail(detail).with_hint(FM_HINT));
        }
        Ok(number)
    }

    /// `1,234`.
    fn thousands_year(&mut self) -> Result<i64> {
        let wrong = || invalid("invalid input string for \"Y,YYY\"");
        let (millennia, rest) = self.rest.split_once(',').ok_or_else(wrong)?;
        let years: String = rest.chars().take(3).take_while(char::is_ascii_digit).collect();
        let value = millennia.trim().parse::<i32>().ok().zip(years.parse::<i32>().ok());
        let (millennia, parsed) = value.ok_or_else(wrong)?;
        self.rest = &rest[years.len()..];
        Ok(i64::from(millennia) * 1000 + i64::from(parsed))
    }
}

/// The integer at the start, blanks and sign before it included; empty: there is none.
fn leading_integer(text: &str) -> &str {
    let trimmed = text.trim_start_matches(is_space);
    let unsigned = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    let digits = unsigned.len() - unsigned.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if digits == 0 {
        return "";
    }
    &text[..text.len() - unsigned.len() + digits]
}

/// Stores a field, which may be given twice but not with two values.
fn set(slot: &mut i64, value: i64, f: &Field<'_>) -> Result<()> {
    if *slot != 0 && *slot != value {
        return Err(invalid(format!("conflicting values for \"{}\" field in formatting string", f.word))
            .with_detail("This value contradicts a previous setting for the same field type."));
    }
    *slot = value;
    Ok(())
}

/// A year of one to three digits as the one nearest to 2020.
fn near_2020(year: i64) -> i64 {
    match year {
        ..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        _ => year,
    }
}

impl Found {
    fn offset(&self, text: &str) -> Result<Option<i64>> {
        if self.zone_sign == 0 {
            return Ok(None);
        }
        if !(0..=15).contains(&self.zone_hour) || !(0..60).contains(&self.zone_minute) {
            return Err(overflow(text));
        }
        Ok(Some(self.zone_sign * (self.zone_hour * 3600 + self.zone_minute * 60)))
    }

    fn civil(&self, text: &str) -> Result<Civil> {
        let (hour, minute, second) = self.time()?;
        let mut year = self.full_year().unwrap_or(0);
        let (mut month, mut day) = (1, 1);
        let take = |days: i64| calendar::civil_of_days(days);
        if self.julian != 0 {
            (year, month, day) = take(self.julian - JULIAN_EPOCH);
        }
        let mut yearday = self.yearday;
        if self.week != 0 {
            if self.iso == Some(true) {
                // Monday first; a weekday counts from Sunday as 1.
                let weekday = if self.weekday == 0 { 0 } else { (self.weekday + 5) % 7 };
                (year, month, day) = take(iso_year_start(year) + (self.week - 1) * 7 + weekday);
            } else {
                yearday = (self.week - 1) * 7 + 1;
            }
        }
        if self.month_week != 0 {
            day = (self.month_week - 1) * 7 + 1;
        }
        if self.day != 0 {
            day = self.day;
        }
        if self.month != 0 {
            month = self.month;
        }
        if yearday != 0 && (month <= 1 || day <= 1) {
            if year == 0 && self.before_christ == 0 {
                return Err(invalid("cannot calculate day of year without year information"));
            }
            let most = if calendar::is_leap(year) { 366 } else { 365 };
            if self.iso != Some(true) && yearday > most {
                return Err(overflow(text));
            }
            let start = if self.iso == Some(true) { iso_year_start(year) } else { days_of_civil(year, 1, 1) };
            (year, month, day) = take(start + yearday - 1);
        }
        let real_day = (1..=12).contains(&month) && (1..=calendar::days_in_month(year, month)).contains(&day);
        let real_time = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
        let micros = self.millis * 1000 + self.micros;
        if !real_day || !real_time || !(0..MICROS_PER_SECOND).contains(&micros) {
            return Err(overflow(text));
        }
        Ok(Civil { year, month, day, hour, minute, second, micros })
    }

    fn time(&self) -> Result<(i64, i64, i64)> {
        let (mut hour, mut minute, mut second) =
            (self.seconds / 3600, self.seconds / 60 % 60, self.seconds % 60);
        for (slot, value) in [(&mut hour, self.hour), (&mut minute, self.minute), (&mut second, self.second)]
        {
            if value != 0 {
                *slot = value;
            }
        }
        if self.clock12 {
            if !(1..=12).contains(&hour) {
                return Err(invalid(format!("hour \"{hour}\" is invalid for the 12-hour clock"))
                    .with_hint("Use the 24-hour clock, or give an hour between 1 and 12."));
            }
            hour = hour % 12 + if self.afternoon != 0 { 12 } else { 0 };
        }
        Ok((hour, minute, second))
    }

    /// The year, with 0 for 1 BC.
    fn full_year(&self) -> Option<i64> {
        let century = if self.before_christ != 0 { -self.century } else { self.century };
        match (self.year, century) {
            (0, 0) => None,
            (0, century) => Some(if century >= 0 { (century - 1) * 100 + 1 } else { century * 100 + 1 }),
            (year, century) if century != 0 && self.year_size <= 2 => {
                Some(match (year % 100, century >= 0) {
                    (0, true) => century * 100,
                    (0, false) => century * 100 + 1,
                    (year, true) => year + (century - 1) * 100,
                    (year, false) => (century + 1) * 100 - year + 1,
                })
            }
            (year, _) => {
                let year = if self.before_christ != 0 { -year } else { year };
                Some(if year < 0 { year + 1 } else { year })
            }
        }
    }
}
