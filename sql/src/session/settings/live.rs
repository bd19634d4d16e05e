//! The typed picture of the settings that the server itself reads.

use super::definition::Definition;
use crate::parse::Isolation;
use crate::session::info::{ByteaOutput, DateOrder, DateStyle, IntervalStyle, OutputFormat};
use jiff::tz::{Offset, TimeZone};
use std::time::Duration;

/// Kept in step with the values by `apply`; reading a field costs nothing.
#[derive(Clone, Debug)]
pub struct Live {
    pub format: OutputFormat,
    /// `None`: no limit, as for all the timeouts here.
    pub statement_timeout: Option<Duration>,
    pub lock_timeout: Option<Duration>,
    pub idle_in_transaction_session_timeout: Option<Duration>,
    pub idle_session_timeout: Option<Duration>,
    pub default_isolation: Isolation,
    pub default_read_only: bool,
    pub default_deferrable: bool,
    /// Schema names as written, `$user` included.
    pub search_path: Vec<String>,
    pub notice_level: NoticeLevel,
    /// Counts changes of anything here, so that pictures derived from it know when they are old.
    pub version: u64,
}

/// `client_min_messages`: what the client wants to see, ascending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoticeLevel {
    Debug,
    Log,
    Notice,
    Warning,
    Error,
}

impl Default for Live {
    fn default() -> Live {
        Live {
            format: OutputFormat::default(),
            statement_timeout: None,
            lock_timeout: None,
            idle_in_transaction_session_timeout: None,
            idle_session_timeout: None,
            default_isolation: Isolation::ReadCommitted,
            default_read_only: false,
            default_deferrable: false,
            search_path: vec!["$user".to_owned(), "public".to_owned()],
            notice_level: NoticeLevel::Notice,
            version: 0,
        }
    }
}

impl Live {
    /// Takes over a changed, already accepted value.
    pub(super) fn apply(&mut self, definition: &Definition, value: &str) {
        self.version += 1;
        match definition.name {
            "DateStyle" => self.date_style(value),
            "TimeZone" => self.format.time_zone = time_zone(value).unwrap_or(TimeZone::UTC),
            "IntervalStyle" => {
                self.format.interval_style = match value {
                    "postgres_verbose" => IntervalStyle::PostgresVerbose,
                    "sql_standard" => IntervalStyle::SqlStandard,
                    "iso_8601" => IntervalStyle::Iso8601,
                    _ => IntervalStyle::Postgres,
                }
            }
            "bytea_output" => {
                self.format.bytea_output =
                    if value == "escape" { ByteaOutput::Escape } else { ByteaOutput::Hex }
            }
            "extra_float_digits" => self.format.extra_float_digits = value.parse().unwrap_or(1),
            "statement_timeout" => self.statement_timeout = millis(value),
            "lock_timeout" => self.lock_timeout = millis(value),
            "idle_in_transaction_session_timeout" => self.idle_in_transaction_session_timeout = millis(value),
            "idle_session_timeout" => self.idle_session_timeout = millis(value),
            "default_transaction_isolation" => self.default_isolation = isolation(value),
            "default_transaction_read_only" => self.default_read_only = value == "on",
            "default_transaction_deferrable" => self.default_deferrable = value == "on",
            "search_path" => self.search_path = split_identifiers(value).unwrap_or_default(),
            "client_min_messages" => self.notice_level = notice_level(value),
            _ => {}
        }
    }

    fn date_style(&mut self, value: &str) {
        let (style, order) = value.split_once(", ").unwrap_or((value, ""));
        self.format.date_style = match style {
            "SQL" => DateStyle::Sql,
            "Postgres" => DateStyle::Postgres,
            "German" => DateStyle::German,
            _ => DateStyle::Iso,
        };
        self.format.date_order = match order {
            "DMY" => DateOrder::Dmy,
            "YMD" => DateOrder::Ymd,
            _ => DateOrder::Mdy,
        };
    }
}

fn millis(value: &str) -> Option<Duration> {
    value.parse().ok().filter(|ms| *ms > 0).map(Duration::from_millis)
}

pub(crate) fn isolation(value: &str) -> Isolation {
    match value {
        "serializable" => Isolation::Serializable,
        "repeatable read" => Isolation::RepeatableRead,
        "read uncommitted" => Isolation::ReadUncommitted,
        _ => Isolation::ReadCommitted,
    }
}

fn notice_level(value: &str) -> NoticeLevel {
    match value {
        "log" => NoticeLevel::Log,
        "notice" => NoticeLevel::Notice,
        "warning" => NoticeLevel::Warning,
        "error" => NoticeLevel::Error,
        _ => NoticeLevel::Debug,
    }
}

/// The zone of a name the TimeZone setting accepts; `None`: not a zone.
pub(super) fn time_zone(name: &str) -> Option<TimeZone> {
    if name.eq_ignore_ascii_case("utc") || name.eq_ignore_ascii_case("gmt") || name == "Z" {
        return Some(TimeZone::UTC);
    }
    if let Ok(zone) = TimeZone::get(name) {
        return Some(zone);
    }
    posix_offset(name).or_else(|| TimeZone::posix(name).ok())
}

/// `UTC+3`, `<+03>-03`, `+05:30`: an offset with POSIX's sign (west is positive).
fn posix_offset(name: &str) -> Option<TimeZone> {
    let rest = match name.strip_prefix('<') {
        Some(quoted) => &quoted[quoted.find('>')? + 1..],
        None => name.trim_start_matches(|c: char| c.is_ascii_alphabetic()),
    };
    let sign = match rest.as_bytes().first()? {
        b'-' => 1,
        b'+' => -1,
        b if b.is_ascii_digit() => -1,
        _ => return None,
    };
    let digits = rest.trim_start_matches(['+', '-']);
    let mut parts = digits.split(':').map(|part| part.parse::<i32>().ok());
    let hours = parts.next()??;
    let minutes = parts.next().unwrap_or(Some(0))?;
    if hours > 24 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok().map(TimeZone::fixed)
}

/// A comma-separated list of identifiers, quoted ones kept as they are, others folded to lower
/// case; `None`: malformed.
pub(crate) fn split_identifiers(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text.trim();
    if rest.is_empty() {
        return Some(names);
    }
    loop {
        let (name, after) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted_identifier(quoted)?
        } else {
            let end = rest.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(rest.len());
            if end == 0 {
                return None;
            }
            (rest[..end].to_lowercase(), &rest[end..])
        };
        names.push(name);
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None if rest.is_empty() => return Some(names),
            None => return None,
        }
    }
}

fn quoted_identifier(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '"' {
            name.push(c);
        } else if chars.peek().is_some_and(|(_, next)| *next == '"') {
            chars.next();
            name.push('"');
        } else {
            return Some((name, &text[at + 1..]));
        }
    }
    None
}
