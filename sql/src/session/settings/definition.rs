//! The table of settings, read once from `postgres15.tsv` (generated from PostgreSQL 15's
//! `pg_settings`, with this server's defaults).

use super::Source;
use crate::{Result, SqlError, SqlState};
use std::collections::HashMap;
use std::sync::LazyLock;

/// A setting's place in the table, which is sorted by lower-case name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SettingId(u16);

impl SettingId {
    pub fn definition(self) -> &'static Definition {
        &TABLE.rows[usize::from(self.0)]
    }
}

/// What values a setting takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Bool,
    Integer { min: i64, max: i64 },
    Real { min: f64, max: f64 },
    String,
    Enum(Vec<&'static str>),
}

/// When a setting may change (PostgreSQL's contexts).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    Internal,
    Postmaster,
    Sighup,
    SuperuserBackend,
    Backend,
    Superuser,
    User,
}

/// One row of the table.
#[derive(Clone, Debug)]
pub struct Definition {
    pub name: &'static str,
    pub kind: Kind,
    /// The unit of a bare number: `ms`, `kB`, `8kB`, …; empty: none.
    pub unit: &'static str,
    pub context: Context,
    /// In canonical form, numbers in `unit`.
    pub default: &'static str,
}

/// Settings whose changes the client is told (ParameterStatus), in the order of the first report.
pub const REPORTED: [&str; 13] = [
    "application_name",
    "client_encoding",
    "DateStyle",
    "default_transaction_read_only",
    "in_hot_standby",
    "integer_datetimes",
    "IntervalStyle",
    "is_superuser",
    "server_encoding",
    "server_version",
    "session_authorization",
    "standard_conforming_strings",
    "TimeZone",
];

struct Table {
    rows: Vec<Definition>,
    by_name: HashMap<String, SettingId>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let text = include_str!("postgres15.tsv");
    let rows: Vec<Definition> = text.lines().filter(|l| !l.starts_with('#')).map(parse_row).collect();
    let by_name = rows
        .iter()
        .enumerate()
        .map(|(i, row)| (row.name.to_lowercase(), SettingId(u16::try_from(i).expect("a few hundred rows"))))
        .collect();
    Table { rows, by_name }
});

fn parse_row(line: &'static str) -> Definition {
    let mut fields = line.split('\t');
    let mut field = || fields.next().unwrap_or("");
    let (name, kind, unit, context, default) = (field(), field(), field(), field(), field());
    let (min, max, values) = (field(), field(), field());
    let kind = match kind {
        "bool" => Kind::Bool,
        "integer" => Kind::Integer { min: min.parse().unwrap_or(0), max: max.parse().unwrap_or(i64::MAX) },
        "real" => Kind::Real { min: min.parse().unwrap_or(0.0), max: max.parse().unwrap_or(f64::MAX) },
        "enum" => Kind::Enum(values.split(',').collect()),
        _ => Kind::String,
    };
    let context = match context {
        "internal" => Context::Internal,
        "postmaster" => Context::Postmaster,
        "sighup" => Context::Sighup,
        "superuser-backend" => Context::SuperuserBackend,
        "backend" => Context::Backend,
        "superuser" => Context::Superuser,
        _ => Context::User,
    };
    Definition { name, kind, unit, context, default }
}

/// Every setting, by lower-case name.
pub fn definitions() -> impl Iterator<Item = (SettingId, &'static Definition)> {
    TABLE.rows.iter().enumerate().map(|(i, row)| (SettingId(i as u16), row))
}

/// The setting of that name, whatever its case.
pub fn find(name: &str) -> Option<SettingId> {
    match TABLE.by_name.get(name) {
        Some(id) => Some(*id),
        None => TABLE.by_name.get(&name.to_lowercase()).copied(),
    }
}

impl Definition {
    /// Whether `source` may change this setting now.
    pub fn may_change(&self, source: Source) -> Result<()> {
        let name = self.name;
        let fixed = |text: String| Err(SqlError::new(SqlState::CANT_CHANGE_RUNTIME_PARAM, text));
        let superuser = match source {
            Source::Server => return Ok(()),
            Source::Startup { superuser } | Source::Session { superuser } => superuser,
        };
        let at_start = matches!(source, Source::Startup { .. });
        match self.context {
            Context::Internal => fixed(format!("parameter \"{name}\" cannot be changed")),
            Context::Postmaster => {
                fixed(format!("parameter \"{name}\" cannot be changed without restarting the server"))
            }
            Context::Sighup => fixed(format!("parameter \"{name}\" cannot be changed now")),
            Context::Backend | Context::SuperuserBackend if !at_start => {
                fixed(format!("parameter \"{name}\" cannot be set after connection start"))
            }
            Context::SuperuserBackend | Context::Superuser if !superuser => Err(SqlError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied to set parameter \"{name}\""),
            )),
            _ => Ok(()),
        }
    }
}
