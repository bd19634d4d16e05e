//! Settings of a session (PostgreSQL's GUCs): one table of definitions, values in layers.
//!
//! - `definition`: the table: name, type, unit, bounds, default, who may change it and when.
//! - `value`: text to canonical value and back (units, booleans, enums), with PostgreSQL's messages.
//! - `check`: the settings whose values mean something to this server, and those it must refuse.
//! - `live`: the picture of settings in typed form that the hot paths read.
//!
//! A session's values are two copy-on-write layers: what stays after COMMIT, and what `SET LOCAL`
//! put over it until the transaction ends. A savepoint or a transaction's start keeps both handles,
//! so undoing is putting them back.

mod check;
mod definition;
mod live;
mod value;

pub use check::normal_time_zone;
pub use definition::{Context, Definition, Kind, REPORTED, SettingId, definitions, find};
pub use live::{Live, NoticeLevel};

/// PostgreSQL's spelling of booleans.
pub fn boolean(text: &str) -> Option<bool> {
    value::parse_bool(text)
}

use crate::{Result, SqlError, SqlState};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Where a change comes from: it decides which settings may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The startup packet, `options`, ALTER ROLE … SET.
    Startup { superuser: bool },
    /// SET, `set_config`.
    Session { superuser: bool },
    /// The server itself: everything may change.
    Server,
}

/// Values that differ from the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Values {
    known: BTreeMap<SettingId, String>,
    /// `prefix.name` settings that the server does not know.
    custom: BTreeMap<String, String>,
}

/// Both layers of a session's values; cloning is two reference counts.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    session: Arc<Values>,
    local: Arc<Values>,
}

/// The settings of one session.
#[derive(Default, Clone, Debug)]
pub struct Settings {
    /// Values that RESET goes back to: defaults, the server's configuration, startup options.
    base: Arc<Values>,
    layers: Layers,
    live: Live,
    /// Reported settings that may have changed since `take_reports`.
    changed: Vec<SettingId>,
    /// What the client was told last.
    told: BTreeMap<SettingId, String>,
    pictured: Option<Arc<HashMap<String, String>>>,
}

impl Settings {
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// Sets a value that RESET returns to.
    pub fn set_base(&mut self, name: &str, value: &str, source: Source) -> Result<()> {
        match find(name) {
            Some(id) => {
                let definition = id.definition();
                definition.may_change(source)?;
                let value = check::accept(definition, value)?;
                Arc::make_mut(&mut self.base).known.insert(id, value);
            }
            None => {
                check_custom_name(name)?;
                Arc::make_mut(&mut self.base).custom.insert(name.to_lowercase(), value.to_owned());
            }
        }
        self.refresh(find(name));
        Ok(())
    }

    /// SET and `set_config`; `None` is DEFAULT.
    pub fn set(&mut self, name: &str, value: Option<&str>, local: bool, source: Source) -> Result<()> {
        let Some(id) = find(name) else {
            check_custom_name(name)?;
            self.set_custom(&name.to_lowercase(), value, local);
            self.changed_custom();
            return Ok(());
        };
        let definition = id.definition();
        definition.may_change(source)?;
        let value = match value {
            Some(text) => check::accept(definition, text)?,
            None => self.base_value(id).to_owned(),
        };
        if local {
            Arc::make_mut(&mut self.layers.local).known.insert(id, value);
        } else {
            if self.layers.local.known.contains_key(&id) {
                Arc::make_mut(&mut self.layers.local).known.remove(&id);
            }
            Arc::make_mut(&mut self.layers.session).known.insert(id, value);
        }
        self.refresh(Some(id));
        Ok(())
    }

    /// The value as SHOW prints it once it is set; refuses what SET refuses.
    pub fn preview(name: &str, value: &str, source: Source) -> Result<String> {
        let Some(id) = find(name) else {
            check_custom_name(name)?;
            return Ok(value.to_owned());
        };
        let definition = id.definition();
        definition.may_change(source)?;
        Ok(definition.display(&check::accept(definition, value)?))
    }

    fn set_custom(&mut self, name: &str, value: Option<&str>, local: bool) {
        let value = value
            .map(str::to_owned)
            .unwrap_or_else(|| self.base.custom.get(name).cloned().unwrap_or_default());
        if local {
            Arc::make_mut(&mut self.layers.local).custom.insert(name.to_owned(), value);
        } else {
            Arc::make_mut(&mut self.layers.local).custom.remove(name);
            Arc::make_mut(&mut self.layers.session).custom.insert(name.to_owned(), value);
        }
    }

    /// RESET ALL: every setting a user may change goes back to its base value.
    pub fn reset_all(&mut self) {
        let keep = [find("role"), find("session_authorization"), find("transaction_isolation")];
        let kept: BTreeMap<SettingId, String> =
            self.layers.session.known.iter().filter(|(id, _)| keep.contains(&Some(**id))).map(own).collect();
        let touched: Vec<SettingId> =
            self.layers.session.known.keys().chain(self.layers.local.known.keys()).copied().collect();
        self.layers = Layers {
            session: Arc::new(Values { known: kept, custom: BTreeMap::new() }),
            local: Arc::default(),
        };
        touched.into_iter().for_each(|id| self.refresh(Some(id)));
        self.changed_custom();
    }

    /// The value as SHOW prints it.
    pub fn show(&self, name: &str) -> Result<String> {
        let lower = name.to_lowercase();
        match find(&lower) {
            Some(id) => Ok(id.definition().display(self.value(id))),
            None => {
                let layers = [&self.layers.local, &self.layers.session, &self.base];
                layers.iter().find_map(|l| l.custom.get(&lower)).cloned().ok_or_else(|| unknown(name))
            }
        }
    }

    /// The canonical value, numbers in the setting's unit.
    pub fn value(&self, id: SettingId) -> &str {
        let layers = [&self.layers.local, &self.layers.session];
        match layers.iter().find_map(|l| l.known.get(&id)) {
            Some(value) => value,
            None => self.base_value(id),
        }
    }

    fn base_value(&self, id: SettingId) -> &str {
        self.base.known.get(&id).map_or(id.definition().default, String::as_str)
    }

    /// Handles to put back later.
    pub fn layers(&self) -> Layers {
        self.layers.clone()
    }

    /// Puts back the values of an earlier `layers()`: ROLLBACK TO.
    pub fn restore(&mut self, layers: Layers) {
        let old = std::mem::replace(&mut self.layers, layers);
        self.refresh_differences(&old);
    }

    /// The transaction ended: what SET LOCAL put goes; with `undo`, what SET changed in it too.
    pub fn end_transaction(&mut self, undo: Option<Layers>) {
        if undo.is_none() && self.layers.local.known.is_empty() && self.layers.local.custom.is_empty() {
            return;
        }
        let session = undo.map_or_else(|| self.layers.session.clone(), |layers| layers.session);
        let old = std::mem::replace(&mut self.layers, Layers { session, local: Arc::default() });
        self.refresh_differences(&old);
    }

    fn refresh_differences(&mut self, old: &Layers) {
        let same = Arc::ptr_eq(&old.session, &self.layers.session)
            && (Arc::ptr_eq(&old.local, &self.layers.local) || old.local == self.layers.local);
        if same {
            return;
        }
        let all = [&old.session, &old.local, &self.layers.session, &self.layers.local];
        let mut ids: Vec<SettingId> = all.iter().flat_map(|v| v.known.keys().copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().for_each(|id| self.refresh(Some(id)));
        self.changed_custom();
    }

    /// A picture taken before does not hold any more.
    fn changed_custom(&mut self) {
        self.pictured = None;
        self.live.version += 1;
    }

    /// Brings what is derived from a value in line with it.
    fn refresh(&mut self, id: Option<SettingId>) {
        self.pictured = None;
        let Some(id) = id else { return };
        let value = self.value(id).to_owned();
        self.live.apply(id.definition(), &value);
        if REPORTED.contains(&id.definition().name) && !self.changed.contains(&id) {
            self.changed.push(id);
        }
    }

    /// Settings to report to the client (name, value), once each: those with another value than the
    /// client was told last.
    pub fn take_reports(&mut self) -> Vec<(&'static str, String)> {
        let mut reports = Vec::new();
        for id in std::mem::take(&mut self.changed) {
            let value = id.definition().display(self.value(id));
            if self.told.get(&id) != Some(&value) {
                self.told.insert(id, value.clone());
                reports.push((id.definition().name, value));
            }
        }
        reports
    }

    /// Every reported setting, for a client that knows none yet.
    pub fn all_reports(&mut self) -> Vec<(&'static str, String)> {
        self.changed = REPORTED.iter().filter_map(|name| find(name)).collect();
        self.told.clear();
        self.take_reports()
    }

    pub fn has_reports(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Every setting by lower-case name, as SHOW prints it.
    pub fn picture(&mut self) -> Arc<HashMap<String, String>> {
        if let Some(map) = &self.pictured {
            return map.clone();
        }
        let mut map: HashMap<String, String> = HashMap::with_capacity(400);
        for (id, definition) in definitions() {
            map.insert(definition.name.to_lowercase(), definition.display(self.value(id)));
        }
        for layer in [&self.base, &self.layers.session, &self.layers.local] {
            map.extend(layer.custom.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
        let map = Arc::new(map);
        self.pictured = Some(map.clone());
        map
    }

    /// Names and values for SHOW ALL, in order, without the settings PostgreSQL hides there.
    pub fn all(&self) -> Vec<(String, String)> {
        const HIDDEN: [&str; 4] = ["role", "session_authorization", "is_superuser", "seed"];
        let mut rows: Vec<(String, String)> = definitions()
            .filter(|(_, d)| !HIDDEN.contains(&d.name))
            .map(|(id, d)| (d.name.to_owned(), d.display(self.value(id))))
            .collect();
        let mut custom: BTreeMap<&String, &String> = BTreeMap::new();
        for layer in [&self.base, &self.layers.session, &self.layers.local] {
            custom.extend(&layer.custom);
        }
        rows.extend(custom.into_iter().map(|(k, v)| (k.clone(), v.clone())));
        rows.sort_by_key(|(name, _)| name.to_lowercase());
        rows
    }
}

fn own((id, value): (&SettingId, &String)) -> (SettingId, String) {
    (*id, value.clone())
}

fn unknown(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
}

/// A setting nobody knows may be set when its name has a prefix: `app.user_id`.
fn check_custom_name(name: &str) -> Result<()> {
    let Some((prefix, rest)) = name.split_once('.') else { return Err(unknown(name)) };
    let part_is_valid = |part: &str| {
        let mut chars = part.chars();
        chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
            && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '$')
    };
    if part_is_valid(prefix) && rest.split('.').all(part_is_valid) {
        return Ok(());
    }
    Err(SqlError::new(SqlState::INVALID_NAME, format!("invalid configuration parameter name \"{name}\""))
        .with_detail("Custom parameter names must be two or more simple identifiers separated by dots."))
}

#[cfg(test)]
mod tests;
