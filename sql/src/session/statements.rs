//! Prepared statements: one name space for the protocol's Parse and SQL's PREPARE.

use super::run::{self, Plan};
use crate::parse::Statement;
use crate::parse::fingerprint::Fingerprint;
use crate::plan::OutputColumn;
use crate::{Oid, Result, SqlError, SqlState};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Statements one session may keep; a client that leaks them gets 53400 before the node runs dry.
const MAX_STATEMENTS: usize = 100_000;

/// A statement that was analysed, with what a client may ask of it.
pub struct Prepared {
    /// `None`: an empty query string.
    pub statement: Option<Statement>,
    /// `None` for what the session answers itself.
    pub plan: Option<Arc<Plan>>,
    /// A COPY's plan.
    pub copy: Option<Arc<crate::copy::CopyPlan>>,
    pub params: Vec<Oid>,
    /// `None`: no result set.
    pub columns: Option<Arc<[OutputColumn]>>,
    /// Types the client declared (0: to be inferred), for planning again after a schema change.
    pub declared: Vec<Oid>,
    /// Prepared by SQL's PREPARE.
    pub from_sql: bool,
}

/// Plans of plain statements by their fingerprint, for the simple protocol.
#[derive(Default)]
pub(super) struct Alike {
    plans: FxHashMap<String, Arc<Prepared>>,
    /// The settings under which they were planned (search path, role, …).
    settings: u64,
}

/// Plans that one session keeps by fingerprint; a session that sends more kinds starts anew.
const MAX_ALIKE: usize = 512;

impl Alike {
    pub(super) fn get(&mut self, found: &Fingerprint, settings: u64) -> Option<Arc<Prepared>> {
        if self.settings != settings {
            self.plans.clear();
            self.settings = settings;
        }
        self.plans.get(&found.key()).cloned()
    }

    pub(super) fn put(&mut self, found: &Fingerprint, settings: u64, prepared: Arc<Prepared>) {
        if self.plans.len() >= MAX_ALIKE {
            self.plans.clear();
        }
        self.settings = settings;
        self.plans.insert(found.key(), prepared);
    }

    pub(super) fn forget(&mut self, found: &Fingerprint) {
        self.plans.remove(&found.key());
    }
}

/// The statements of one session.
#[derive(Default)]
pub struct Statements {
    unnamed: Option<Arc<Prepared>>,
    named: FxHashMap<Box<str>, Arc<Prepared>>,
}

impl Statements {
    /// 26000 when there is none of that name.
    pub fn get(&self, name: &str) -> Result<&Arc<Prepared>> {
        let found = if name.is_empty() { self.unnamed.as_ref() } else { self.named.get(name) };
        found.ok_or_else(|| no_statement(name))
    }

    /// 42P05 when the name is taken; the unnamed statement is replaced.
    pub fn check_free(&self, name: &str) -> Result<()> {
        if !name.is_empty() && self.named.contains_key(name) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_PREPARED_STATEMENT,
                format!("prepared statement \"{name}\" already exists"),
            ));
        }
        if self.named.len() >= MAX_STATEMENTS {
            return Err(SqlError::new(
                SqlState::CONFIGURATION_LIMIT_EXCEEDED,
                format!("a session can keep at most {MAX_STATEMENTS} prepared statements"),
            ));
        }
        Ok(())
    }

    pub fn put(&mut self, name: &str, prepared: Arc<Prepared>) {
        if name.is_empty() {
            self.unnamed = Some(prepared);
        } else {
            self.named.insert(name.into(), prepared);
        }
    }

    pub fn clear_unnamed(&mut self) {
        self.unnamed = None;
    }

    /// Removes a statement; says whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        if name.is_empty() { self.unnamed.take().is_some() } else { self.named.remove(name).is_some() }
    }

    pub fn remove_named(&mut self) {
        self.named.clear();
    }

    /// DISCARD PLANS: statements stay, their plans are made again.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<Prepared>)> {
        self.named.iter().map(|(name, prepared)| (&**name, prepared))
    }
}

pub(super) fn no_statement(name: &str) -> SqlError {
    if name.is_empty() {
        SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, "unnamed prepared statement does not exist")
    } else {
        SqlError::new(
            SqlState::INVALID_SQL_STATEMENT_NAME,
            format!("prepared statement \"{name}\" does not exist"),
        )
    }
}

impl Prepared {
    /// A statement over an empty query string.
    pub fn empty(declared: Vec<Oid>) -> Prepared {
        Prepared {
            statement: None,
            plan: None,
            copy: None,
            params: declared.clone(),
            columns: None,
            declared,
            from_sql: false,
        }
    }

    /// A planned statement.
    pub fn planned(statement: Statement, plan: Arc<Plan>, declared: Vec<Oid>) -> Prepared {
        Prepared {
            params: plan.params.clone(),
            columns: run::columns(&plan),
            statement: Some(statement),
            plan: Some(plan),
            copy: None,
            declared,
            from_sql: false,
        }
    }
}
