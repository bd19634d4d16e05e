//! `pg_settings`: what the session's settings are, with PostgreSQL's descriptions.

use super::definition::File;
use super::value::{flag, name, optional, texts};
use super::{CatalogCx, Row};
use crate::Result;
use crate::types::Datum;

/// Suffixes of values, in the smallest unit of their kind (bytes, microseconds).
const UNITS: &[(&str, f64)] = &[
    ("kB", 1024.0),
    ("MB", 1_048_576.0),
    ("GB", 1_073_741_824.0),
    ("TB", 1_099_511_627_776.0),
    ("8kB", 8192.0),
    ("B", 1.0),
    ("us", 1.0),
    ("ms", 1e3),
    ("s", 1e6),
    ("min", 6e7),
    ("h", 3.6e9),
    ("d", 8.64e10),
];

fn size(unit: &str) -> Option<f64> {
    UNITS.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size)
}

/// A value that is shown with a unit (`128MB`) as a number of the setting's own unit.
fn in_base_unit(shown: &str, unit: &str) -> String {
    let end = shown.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(shown.len());
    let (number, suffix) = shown.split_at(end);
    match (number.trim().parse::<f64>(), size(suffix), size(unit)) {
        (Ok(number), Some(shown), Some(base)) => (number * shown / base).to_string(),
        _ => shown.to_owned(),
    }
}

/// The settings that the session knows. Where a value came from is not kept: it is `default` while
/// it equals the built-in one, `session` otherwise.
pub(super) fn rows(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let file = File::open("pg_settings");
    let mut known = std::collections::HashSet::new();
    let mut rows = Vec::new();
    for row in file.rows() {
        let field = |column| file.column(column).and_then(|at| row.get(at));
        let text = |column| optional(field(column));
        let setting = file.text(&row, "name");
        let Some(shown) = cx.session.settings.get(&setting.to_lowercase()) else { continue };
        known.insert(setting.to_lowercase());
        let value = match field("unit") {
            Some(unit) => in_base_unit(shown, &unit),
            None => shown.clone(),
        };
        let boot = field("boot_val");
        let source = if boot.as_deref() == Some(value.as_str()) { "default" } else { "session" };
        let enums = field("enumvals").map(|list| {
            let inner = list.trim_start_matches('{').trim_end_matches('}').to_owned();
            texts(inner.split(',').map(|item| item.trim_matches('"')))
        });
        rows.push(vec![
            name(setting),
            name(&value),
            text("unit"),
            text("category"),
            text("short_desc"),
            text("extra_desc"),
            text("context"),
            text("vartype"),
            name(source),
            text("min_val"),
            text("max_val"),
            enums.unwrap_or(Datum::Null),
            text("boot_val"),
            text("boot_val"),
            Datum::Null,
            Datum::Null,
            flag(false),
        ]);
    }
    let mut custom: Vec<_> = cx.session.settings.iter().filter(|(name, _)| !known.contains(*name)).collect();
    custom.sort();
    for (setting, value) in custom {
        let null = || Datum::Null;
        rows.push(vec![
            name(setting),
            name(value),
            null(),
            name("Customized Options"),
            null(),
            null(),
            name("user"),
            name("string"),
            name("session"),
            null(),
            null(),
            null(),
            null(),
            null(),
            null(),
            null(),
            flag(false),
        ]);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbers_of_the_setting_s_unit() {
        assert_eq!(in_base_unit("128MB", "8kB"), "16384");
        assert_eq!(in_base_unit("5min", "s"), "300");
        assert_eq!(in_base_unit("1s", "ms"), "1000");
        assert_eq!(in_base_unit("0", "ms"), "0");
        assert_eq!(in_base_unit("-1", "kB"), "-1");
    }
}
