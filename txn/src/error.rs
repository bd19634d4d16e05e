//! What can go wrong in a transaction: who has to act is told by the variant.

use crate::Key;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One edge of a deadlock: who waits for whom. The labels are what the session set with
/// `Transaction::set_label` (the process number that the client knows).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadlockEdge {
    pub waiter: u64,
    pub holder: u64,
    /// The key that is waited for; empty when the wait is for a whole large transaction.
    pub key: Key,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another transaction committed a version that this one did not see. Run the transaction again.
    #[error("concurrent change of a row")]
    WriteConflict { key: Key },
    /// A key that had to be new exists. `constraint` is the tag that `Transaction::insert` was given.
    #[error("duplicate key")]
    DuplicateKey { key: Key, constraint: u32 },
    /// Waiting would close a cycle; the first edge is the transaction that gets this error.
    #[error("deadlock detected")]
    Deadlock { cycle: Vec<DeadlockEdge> },
    /// The lock was not granted within the time the caller gave.
    #[error("lock wait timed out")]
    LockTimeout { key: Key },
    /// `WaitPolicy::NoWait` met a lock.
    #[error("lock not available")]
    LockNotAvailable { key: Key },
    /// Versions that the snapshot needs may be gone.
    #[error("snapshot too old")]
    SnapshotTooOld,
    /// A transaction that began as read only was asked to commit writes.
    #[error("write in a read-only transaction")]
    ReadOnly,
    /// The savepoint was released or rolled back before.
    #[error("no such savepoint")]
    NoSuchSavepoint,
    /// The node stopped, or lost the lead, while the commit was on its way: it may have happened.
    #[error("outcome of the commit is unknown")]
    OutcomeUnknown,
    #[error("disk full")]
    DiskFull,
    #[error("out of memory")]
    OutOfMemory,
    #[error(transparent)]
    Storage(storage::Error),
    /// The range did not take the proposal, or no timestamp could be had.
    #[error("range: {0}")]
    Cluster(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Whether the same transaction, run again, can succeed without anyone acting.
    pub fn retry(&self) -> bool {
        match self {
            Error::WriteConflict { .. } | Error::Deadlock { .. } | Error::Cluster(_) => true,
            Error::Storage(source) => source.retry(),
            _ => false,
        }
    }
}

impl From<storage::Error> for Error {
    fn from(source: storage::Error) -> Error {
        match source {
            storage::Error::DiskFull { .. } => Error::DiskFull,
            other => Error::Storage(other),
        }
    }
}
