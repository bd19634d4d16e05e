//! Row locks: hints that make writers wait instead of failing. Validation at commit is the truth.
//!
//! `queue` is the lock of one key as a plain state machine: holders in PostgreSQL's four strengths and a
//! first-come-first-served queue; a released lock is granted to the head, not merely signalled. `table`
//! is the sharded table of all keys with the wait-for graph, which finds a deadlock when a transaction
//! begins to wait.

pub(crate) mod queue;
pub(crate) mod table;

pub(crate) use table::{Acquired, LockTable};

/// Strength of a row lock, weakest first.
///
/// See <https://www.postgresql.org/docs/15/explicit-locking.html#LOCKING-ROWS>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockMode {
    /// The row exists and keeps its key: what a foreign key needs of its parent.
    KeyShare,
    /// The row does not change.
    Share,
    /// The holder may change the row, but not its key.
    NoKeyUpdate,
    /// The holder may change or delete the row.
    Update,
}

impl LockMode {
    /// Whether two transactions cannot hold these together.
    pub fn conflicts(self, other: LockMode) -> bool {
        use LockMode::{KeyShare, NoKeyUpdate, Share, Update};
        match (self, other) {
            (Update, _) | (_, Update) => true,
            (KeyShare, _) | (_, KeyShare) => false,
            (Share, Share) => false,
            (NoKeyUpdate | Share, NoKeyUpdate | Share) => true,
        }
    }

    /// The weakest mode that gives the rights of both.
    pub fn join(self, other: LockMode) -> LockMode {
        self.max(other)
    }
}

/// What to do about a lock that another transaction holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitPolicy {
    /// Queue up; `None` waits without limit.
    Wait { timeout: Option<std::time::Duration> },
    /// `Error::LockNotAvailable`.
    NoWait,
    /// Leave the key out: its `Locked` says so.
    Skip,
}

/// A transaction, as the lock table and large transactions know it. Never reused in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TxnId(pub(crate) u64);
