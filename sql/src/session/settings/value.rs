//! Text to a setting's canonical value, and the form SHOW prints.

use super::definition::{Definition, Kind};
use crate::{Result, SqlError, SqlState};

/// Units of one family with their size in the family's smallest step, largest first.
const MEMORY: [(&str, i64); 5] =
    [("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10), ("B", 1)];
const TIME: [(&str, i64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("min", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// The unit family of a setting, and its own unit in the family's smallest step.
fn family(unit: &str) -> Option<(&'static [(&'static str, i64)], i64)> {
    let digits = unit.bytes().take_while(u8::is_ascii_digit).count();
    let (count, word) = unit.split_at(digits);
    let count: i64 = if count.is_empty() { 1 } else { count.parse().ok()? };
    [&MEMORY[..], &TIME[..]].into_iter().find_map(|family| {
        let (_, size) = family.iter().find(|(name, _)| *name == word)?;
        Some((family, size * count))
    })
}

fn invalid(definition: &Definition, text: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("invalid value for parameter \"{}\": \"{text}\"", definition.name),
    )
}

/// Checks and normalises a value by its setting's type alone.
pub(super) fn canonical(definition: &Definition, text: &str) -> Result<String> {
    match &definition.kind {
        Kind::String => Ok(text.to_owned()),
        Kind::Bool => parse_bool(text).map(|on| if on { "on" } else { "off" }.to_owned()).ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("parameter \"{}\" requires a Boolean value", definition.name),
            )
        }),
        Kind::Enum(values) => enumerated(definition, values, text),
        Kind::Integer { min, max } => integer(definition, text, *min, *max),
        Kind::Real { min, max } => real(definition, text, *min, *max),
    }
}

/// PostgreSQL's booleans: unambiguous prefixes of true, false, yes, no, on, off; 1 and 0.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    let prefix_of = |word: &str, least: usize| lower.len() >= least && word.starts_with(lower.as_str());
    if lower == "1" || prefix_of("true", 1) || prefix_of("yes", 1) || prefix_of("on", 2) {
        Some(true)
    } else if lower == "0" || prefix_of("false", 1) || prefix_of("no", 1) || prefix_of("off", 2) {
        Some(false)
    } else {
        None
    }
}

/// An enum setting that also takes booleans (`constraint_exclusion`, `synchronous_commit`) lists
/// `on` and `off` among its values; other spellings of those are accepted there.
fn enumerated(definition: &Definition, values: &[&'static str], text: &str) -> Result<String> {
    if let Some(value) = values.iter().find(|v| v.eq_ignore_ascii_case(text)) {
        return Ok((*value).to_owned());
    }
    if let Some(on) = parse_bool(text) {
        let word = if on { "on" } else { "off" };
        if values.contains(&word) {
            return Ok(word.to_owned());
        }
    }
    Err(invalid(definition, text).with_hint(format!("Available values: {}.", values.join(", "))))
}

fn number_and_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let end = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
        return Some((i64::from_str_radix(&hex[..end], 16).ok()? as f64, hex[end..].trim_start()));
    }
    let bytes = text.as_bytes();
    let mut end = 0;
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    if matches!(bytes.first(), Some(b'+' | b'-')) {
        end = 1;
    }
    end = digits(end);
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let after = digits(end + 1 + sign);
        if after > end + 1 + sign {
            end = after;
        }
    }
    Some((text[..end].parse().ok()?, text[end..].trim_start()))
}

/// The number in the setting's own unit.
fn in_own_unit(definition: &Definition, text: &str) -> Result<f64> {
    let (number, unit) = number_and_unit(text).ok_or_else(|| invalid(definition, text))?;
    if unit.is_empty() {
        return Ok(number);
    }
    let Some((units, own)) = family(definition.unit) else { return Err(invalid(definition, text)) };
    let Some((_, size)) = units.iter().find(|(name, _)| *name == unit) else {
        let hint = if units[0].0 == "TB" {
            "Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\"."
        } else {
            "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\"."
        };
        return Err(invalid(definition, text).with_hint(hint));
    };
    Ok(number * (*size as f64) / own as f64)
}

fn outside(definition: &Definition, shown: String, min: String, max: String) -> SqlError {
    let space = if definition.unit.is_empty() { "" } else { " " };
    let (unit, name) = (definition.unit, definition.name);
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("{shown}{space}{unit} is outside the valid range for parameter \"{name}\" ({min} .. {max})"),
    )
}

fn integer(definition: &Definition, text: &str, min: i64, max: i64) -> Result<String> {
    let value = in_own_unit(definition, text)?.round_ties_even();
    if !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value) {
        return Err(invalid(definition, text).with_hint("Value exceeds integer range."));
    }
    let value = value as i64;
    if !(min..=max).contains(&value) {
        return Err(outside(definition, value.to_string(), min.to_string(), max.to_string()));
    }
    Ok(value.to_string())
}

fn real(definition: &Definition, text: &str, min: f64, max: f64) -> Result<String> {
    let value = in_own_unit(definition, text)?;
    if !(min..=max).contains(&value) {
        return Err(outside(definition, value.to_string(), min.to_string(), max.to_string()));
    }
    Ok(value.to_string())
}

impl Definition {
    /// A canonical value as SHOW prints it: numbers in the largest unit that divides them.
    pub fn display(&self, value: &str) -> String {
        if !matches!(self.kind, Kind::Integer { .. }) || self.unit.is_empty() {
            return value.to_owned();
        }
        let (Ok(number), Some((units, own))) = (value.parse::<i64>(), family(self.unit)) else {
            return value.to_owned();
        };
        if number <= 0 {
            return value.to_owned();
        }
        let Some(total) = number.checked_mul(own) else { return value.to_owned() };
        match units.iter().find(|(_, size)| total % size == 0) {
            Some((name, size)) => format!("{}{name}", total / size),
            None => value.to_owned(),
        }
    }
}
