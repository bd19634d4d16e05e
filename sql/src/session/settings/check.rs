//! Settings whose text has a grammar of its own, and settings that may only keep some values
//! because another value would change answers in a way this server does not do.

use super::definition::Definition;
use super::value::canonical;
use crate::{Result, SqlError, SqlState};

/// The values a setting may take here; anything else is refused with 0A000.
const ONLY: [(&str, &[&str]); 10] = [
    ("standard_conforming_strings", &["on"]),
    ("session_replication_role", &["origin"]),
    ("transform_null_equals", &["off"]),
    ("array_nulls", &["on"]),
    ("default_tablespace", &["", "pg_default"]),
    ("temp_tablespaces", &["", "pg_default"]),
    ("default_table_access_method", &["heap", "lsm"]),
    ("lc_monetary", &["C", "POSIX"]),
    ("lc_numeric", &["C", "POSIX"]),
    ("lc_time", &["C", "POSIX"]),
];

/// The longest application_name, as NAMEDATALEN cuts it.
const NAME_BYTES: usize = 63;

/// The canonical form of a value that the server accepts for a setting.
pub(super) fn accept(definition: &Definition, text: &str) -> Result<String> {
    let value = canonical(definition, text)?;
    if let Some((_, allowed)) = ONLY.iter().find(|(name, _)| *name == definition.name)
        && !allowed.contains(&value.as_str())
    {
        return Err(SqlError::not_built(format!("{} = {value}", definition.name)));
    }
    match definition.name {
        "DateStyle" => date_style(&value),
        "TimeZone" => normal_time_zone(&value),
        "client_encoding" => encoding(&value),
        "application_name" => Ok(printable(&value)),
        "default_transaction_isolation" => isolation(value),
        _ => Ok(value),
    }
}

fn invalid(name: &str, text: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("invalid value for parameter \"{name}\": \"{text}\""),
    )
}

fn isolation(value: String) -> Result<String> {
    if value == "serializable" {
        return Err(SqlError::not_built("transaction isolation level SERIALIZABLE"));
    }
    Ok(value)
}

/// Letters, digits and punctuation of ASCII; other bytes become `?` as PostgreSQL writes them.
fn printable(text: &str) -> String {
    text.bytes()
        .take(NAME_BYTES)
        .map(|b| if (0x20..0x7f).contains(&b) { char::from(b) } else { '?' })
        .collect()
}

/// `style, order` in any order, either alone; the other half is filled in as PostgreSQL does.
fn date_style(text: &str) -> Result<String> {
    let (mut style, mut order) = (None, None);
    for word in text.split(',').map(|w| w.trim().to_ascii_lowercase()) {
        match word.as_str() {
            "iso" => style = Some("ISO"),
            "sql" => style = Some("SQL"),
            w if w.starts_with("postgres") => style = Some("Postgres"),
            "german" => {
                style = Some("German");
                order = order.or(Some("DMY"));
            }
            "ymd" => order = Some("YMD"),
            "dmy" => order = Some("DMY"),
            w if w.starts_with("euro") => order = Some("DMY"),
            "mdy" | "us" => order = Some("MDY"),
            w if w.starts_with("noneuro") => order = Some("MDY"),
            "default" => (style, order) = (style.or(Some("ISO")), order.or(Some("MDY"))),
            other => {
                return Err(
                    invalid("DateStyle", text).with_detail(format!("Unrecognized key word: \"{other}\"."))
                );
            }
        }
    }
    Ok(format!("{}, {}", style.unwrap_or("ISO"), order.unwrap_or("MDY")))
}

/// The name of a time zone in its own spelling: IANA names in any case, `UTC`, offsets in hours
/// (ISO sign, as SET TIME ZONE takes them) and POSIX forms such as `UTC+3`.
pub fn normal_time_zone(text: &str) -> Result<String> {
    let trimmed = text.trim();
    if let Ok(hours) = trimmed.parse::<f64>() {
        return offset_zone((hours * 3600.0).round() as i64).ok_or_else(|| invalid("TimeZone", text));
    }
    if super::live::time_zone(trimmed).is_none() {
        return Err(invalid("TimeZone", text));
    }
    match jiff::tz::TimeZone::get(trimmed) {
        Ok(zone) => Ok(zone.iana_name().unwrap_or(trimmed).to_owned()),
        Err(_) => Ok(trimmed.to_owned()),
    }
}

/// PostgreSQL's name for a zone given in hours: `<+03>-03`, POSIX sign after the name.
fn offset_zone(seconds: i64) -> Option<String> {
    const LIMIT: i64 = 168 * 3600;
    if seconds.abs() >= LIMIT {
        return None;
    }
    let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() % 3600 / 60);
    let minutes = if minutes == 0 { String::new() } else { format!(":{minutes:02}") };
    let (shown, posix) = if seconds < 0 { ('-', '+') } else { ('+', '-') };
    Some(format!("<{shown}{hours:02}{minutes}>{posix}{hours:02}{minutes}"))
}

/// Encodings a client may speak: everything is UTF-8 on the wire and in the database.
fn encoding(text: &str) -> Result<String> {
    let plain: String =
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    match plain.as_str() {
        "utf8" | "unicode" => Ok("UTF8".to_owned()),
        // Bytes pass unchanged; what arrives must still be valid in the database's encoding.
        "sqlascii" => Ok("SQL_ASCII".to_owned()),
        "latin1" | "iso88591" | "latin9" | "latin2" | "win1252" | "win1251" | "win1250" | "win" | "koi8r"
        | "koi8" | "eucjp" | "sjis" | "big5" | "gbk" | "euckr" | "euccn" | "gb18030" => {
            Err(SqlError::not_built(format!("client encoding {text}")))
        }
        _ => Err(invalid("client_encoding", text)),
    }
}
