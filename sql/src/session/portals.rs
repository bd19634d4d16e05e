//! Portals: a statement with its parameters, on its way. Cursors of SQL's DECLARE are portals too.

use super::cursor::Cursor;
use super::run::{Execution, Plan};
use super::statements::Prepared;
use crate::plan::OutputColumn;
use crate::types::Datum;
use crate::{Result, SqlError, SqlState};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::sync::Arc;

/// Portals one session may hold open.
const MAX_PORTALS: usize = 10_000;

/// Result formats as Bind gave them: none (all text), one for all, or one a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Formats(pub SmallVec<[Format; 8]>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Binary,
}

impl Formats {
    pub fn binary() -> Formats {
        Formats(smallvec::smallvec![Format::Binary])
    }

    /// The format of a column; `check` has made sure that there is one.
    pub fn of(&self, column: usize) -> Format {
        match self.0.as_slice() {
            [] => Format::Text,
            [all] => *all,
            each => each.get(column).copied().unwrap_or(Format::Text),
        }
    }

    /// 08P01 when Bind gave a number of formats that does not fit the columns.
    pub fn check(&self, columns: usize) -> Result<()> {
        if self.0.len() > 1 && self.0.len() != columns {
            return Err(SqlError::new(
                SqlState::PROTOCOL_VIOLATION,
                format!("bind message has {} result formats but query has {columns} columns", self.0.len()),
            ));
        }
        Ok(())
    }
}

/// What a portal still has to do.
pub enum PortalState {
    /// Not begun: the plan and its parameters.
    Ready {
        plan: Arc<Plan>,
        params: Vec<Datum>,
    },
    /// Under way, with rows handed out so far.
    Running(Box<Execution>),
    /// A statement of the session's own.
    Session,
    /// A COPY, which the front end drives.
    Copy(Arc<crate::copy::CopyPlan>),
    /// Rows that are already there, what is left of them, and the tag at the end.
    Rows {
        rows: std::vec::IntoIter<Vec<Datum>>,
        tag: String,
    },
    /// A cursor of SQL's DECLARE.
    Cursor(Box<Cursor>),
    /// A FETCH or MOVE from a cursor that only moves forward.
    Fetch(Box<Fetch>),
    /// An empty query string.
    Empty,
    Done,
}

/// A FETCH on its way: how much of it is left.
pub struct Fetch {
    pub cursor: String,
    pub skip: u64,
    pub take: Option<u64>,
    pub sent: u64,
    pub move_only: bool,
}

/// A portal.
pub struct Portal {
    pub prepared: Arc<Prepared>,
    pub columns: Option<Arc<[OutputColumn]>>,
    pub formats: Formats,
    pub state: PortalState,
    /// Survives the end of its transaction (WITH HOLD).
    pub hold: bool,
    /// Savepoints that were open when it was made: rolling back to one of those before drops it.
    pub depth: usize,
}

/// The portals of one session.
#[derive(Default)]
pub struct Portals {
    unnamed: Option<Portal>,
    named: FxHashMap<Box<str>, Portal>,
}

impl Portals {
    /// 34000 when there is none of that name.
    pub fn get(&self, name: &str) -> Result<&Portal> {
        let found = if name.is_empty() { self.unnamed.as_ref() } else { self.named.get(name) };
        found.ok_or_else(|| no_portal(name))
    }

    /// Takes a portal out to run it; `put` brings it back.
    pub fn take(&mut self, name: &str) -> Result<Portal> {
        let found = if name.is_empty() { self.unnamed.take() } else { self.named.remove(name) };
        found.ok_or_else(|| no_portal(name))
    }

    /// Takes a cursor, by the words SQL uses.
    pub fn take_cursor(&mut self, name: &str) -> Result<Portal> {
        self.named.remove(name).ok_or_else(|| no_cursor_error(name))
    }

    pub fn put(&mut self, name: &str, portal: Portal) {
        if name.is_empty() {
            self.unnamed = Some(portal);
        } else {
            self.named.insert(name.into(), portal);
        }
    }

    /// 42P03 when the name is taken; the unnamed portal is replaced.
    pub fn check_free(&self, name: &str) -> Result<()> {
        if !name.is_empty() && self.named.contains_key(name) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_CURSOR,
                format!("cursor \"{name}\" already exists"),
            ));
        }
        if self.named.len() >= MAX_PORTALS {
            return Err(SqlError::new(
                SqlState::CONFIGURATION_LIMIT_EXCEEDED,
                format!("a session can hold at most {MAX_PORTALS} portals"),
            ));
        }
        Ok(())
    }

    /// Removes a portal; says whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        if name.is_empty() { self.unnamed.take().is_some() } else { self.named.remove(name).is_some() }
    }

    pub fn remove_named(&mut self) {
        self.named.clear();
    }

    /// The transaction ended: portals go, but for those that hold.
    pub fn end_transaction(&mut self) {
        self.unnamed = None;
        if !self.named.is_empty() {
            self.named.retain(|_, portal| portal.hold);
        }
    }

    /// A part of the transaction was undone: portals made at `depth` savepoints or deeper go.
    pub fn undo_to(&mut self, depth: usize) {
        let goes = |portal: &Portal| portal.depth >= depth;
        if self.unnamed.as_ref().is_some_and(goes) {
            self.unnamed = None;
        }
        self.named.retain(|_, portal| !goes(portal));
    }

    /// A savepoint was released: its portals belong to the one around it.
    pub fn lift_to(&mut self, depth: usize) {
        for portal in self.named.values_mut().chain(self.unnamed.as_mut()) {
            portal.depth = portal.depth.min(depth);
        }
    }

    /// Portals that must be filled before their transaction commits.
    pub fn holding(&self) -> Vec<Box<str>> {
        self.named.iter().filter(|(_, portal)| portal.hold).map(|(name, _)| name.clone()).collect()
    }
}

fn no_portal(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}

pub(super) fn no_cursor_error(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("cursor \"{name}\" does not exist"))
}
