//! What can go wrong in a node, by who has to act.

use storage::engine::RangeId;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a node does not start, or a timestamp is not given out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The log could not be made durable: the process must end.
    #[error(transparent)]
    Sync(#[from] storage::log::SyncFailed),
    /// The raft library refused its own stored state.
    #[error("raft group {}: {what}", range.0)]
    Raft { range: RangeId, what: String },
    /// Log and engine of a range do not belong together.
    #[error("raft group {}: {what}; restore the node from its replicas or a backup", range.0)]
    Mismatch { range: RangeId, what: String },
    /// An entry or descriptor was written by a newer version of the program.
    #[error("raft group {} holds a command of version {found}, this version of phantomdb knows {supported}", range.0)]
    NewerCommand { range: RangeId, found: u8, supported: u8 },
    /// The operating system gave no thread.
    #[error("could not start thread \"{name}\": {source}")]
    Thread {
        name: &'static str,
        #[source]
        source: std::io::Error,
    },
    /// This node does not lead the group that answers this, or not yet.
    #[error("range is not ready")]
    NotReady,
    /// The limit of the timestamp oracle could not be moved on for a long time: the disk hangs.
    #[error("timestamp oracle has run out of timestamps and the log does not answer")]
    TimestampsExhausted,
    #[error("node is shutting down")]
    ShuttingDown,
    /// A proposal of the node's own (an id allocation) was refused.
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

impl Error {
    /// Whether the same call can succeed later without anyone acting.
    pub fn retry(&self) -> bool {
        match self {
            Error::NotReady | Error::TimestampsExhausted => true,
            Error::Storage(e) => e.retry(),
            Error::Propose(e) => e.retry(),
            _ => false,
        }
    }
}

/// Why a batch was not replicated. Only `Unknown` leaves the outcome open; after every other
/// variant the batch has not been and will not be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// This node does not lead the range.
    #[error("not the leader of the range")]
    NotLeader,
    /// More than [`MAX_QUEUED_BYTES`](crate::limits::MAX_QUEUED_BYTES) wait to be written.
    #[error("too many bytes wait for the raft log")]
    Overloaded,
    /// The batch alone is above [`MAX_BATCH_BYTES`](crate::limits::MAX_BATCH_BYTES).
    #[error("write batch is larger than a raft entry may be")]
    TooLarge,
    /// The device of the raft log is full.
    #[error("no space left on device for the raft log")]
    DiskFull,
    #[error("node is shutting down")]
    ShuttingDown,
    /// The node stopped or lost the lead while the batch was on its way: it may be applied or not.
    #[error("outcome of the proposal is unknown")]
    Unknown,
}

impl ProposeError {
    /// Whether the same proposal can succeed later without anyone acting.
    pub fn retry(self) -> bool {
        matches!(self, ProposeError::NotLeader | ProposeError::Overloaded)
    }
}
