//! The transaction of a session as PostgreSQL's clients know it: none, implicit, a block, a failed
//! block; with savepoints, settings to undo and notifications to send.
//!
//! This is the state alone: `lifecycle` moves the store's transaction along with it.

use super::run::{Savepoint, TxnHandle};
use super::settings::Layers;
use crate::parse::Isolation;
use crate::{Result, SqlError, SqlState};
use std::sync::Arc;

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No transaction.
    Idle,
    /// A statement's own transaction, or one over a simple batch or a pipeline up to Sync.
    Implicit,
    /// Between BEGIN and COMMIT.
    Block,
    /// A block in which a statement failed.
    Failed,
}

/// `SET TRANSACTION`'s modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    pub isolation: Isolation,
    pub read_only: bool,
    pub deferrable: bool,
}

/// What the transaction does when it commits, beside its writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deferred {
    Notify { channel: Arc<str>, payload: Arc<str> },
    Listen(Arc<str>),
    Unlisten(Option<Arc<str>>),
}

/// A named savepoint and what returns with it.
pub struct NamedSavepoint {
    pub name: String,
    /// `None` while the store's transaction had not begun.
    pub mark: Option<Savepoint>,
    pub settings: Layers,
    pub deferred: usize,
    pub modes: Modes,
}

/// The transaction of one session.
pub struct SessionTxn {
    pub(super) phase: Phase,
    pub(super) handle: Option<TxnHandle>,
    pub(super) modes: Modes,
    pub(super) savepoints: Vec<NamedSavepoint>,
    /// Settings as they were when the transaction began.
    pub(super) undo: Option<Layers>,
    pub(super) deferred: Vec<Deferred>,
    /// Microseconds since 2000-01-01 UTC.
    pub(super) start: i64,
    /// A query ran: isolation and snapshot are fixed.
    pub(super) has_queried: bool,
}

impl Default for SessionTxn {
    fn default() -> SessionTxn {
        SessionTxn {
            phase: Phase::Idle,
            handle: None,
            modes: Modes { isolation: Isolation::ReadCommitted, read_only: false, deferrable: false },
            savepoints: Vec::new(),
            undo: None,
            deferred: Vec::new(),
            start: 0,
            has_queried: false,
        }
    }
}

impl SessionTxn {
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// ReadyForQuery's status: idle, in a block, in a failed one.
    pub fn status(&self) -> u8 {
        match self.phase {
            Phase::Idle | Phase::Implicit => b'I',
            Phase::Block => b'T',
            Phase::Failed => b'E',
        }
    }

    /// Whether portals and locks live on after the statement.
    pub fn in_block(&self) -> bool {
        matches!(self.phase, Phase::Block | Phase::Failed)
    }

    /// 25P02 in a failed block.
    pub fn check_not_failed(&self) -> Result<()> {
        if self.phase != Phase::Failed {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::IN_FAILED_SQL_TRANSACTION,
            "current transaction is aborted, commands ignored until end of transaction block",
        ))
    }

    /// 25P01 outside a block, for statements that make no sense there.
    pub fn require_block(&self, statement: &str) -> Result<()> {
        if self.in_block() {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::NO_ACTIVE_SQL_TRANSACTION,
            format!("{statement} can only be used in transaction blocks"),
        ))
    }

    /// 25001 inside one, for statements that cannot be undone.
    pub fn prevent_block(&self, statement: &str) -> Result<()> {
        if !self.in_block() {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::ACTIVE_SQL_TRANSACTION,
            format!("{statement} cannot run inside a transaction block"),
        ))
    }

    /// The newest savepoint of that name; 3B001 when there is none.
    pub fn find_savepoint(&self, name: &str) -> Result<usize> {
        self.savepoints.iter().rposition(|s| s.name == name).ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_SAVEPOINT_SPECIFICATION,
                format!("savepoint \"{name}\" does not exist"),
            )
        })
    }

    /// Queues what happens at commit; the same NOTIFY twice is sent once.
    pub fn defer(&mut self, deferred: Deferred) {
        let is_repeated = matches!(deferred, Deferred::Notify { .. }) && self.deferred.contains(&deferred);
        if !is_repeated {
            self.deferred.push(deferred);
        }
    }
}
