//! The bounds of this crate.

use std::time::Duration;

/// Bytes of one proposed batch. Larger transactions spill and commit by reference.
pub const MAX_BATCH_BYTES: usize = 32 << 20;
/// Bytes of batches proposed and not yet applied, a node. Above it proposals are refused; a single
/// batch is always let in when nothing else waits.
pub const MAX_QUEUED_BYTES: usize = 32 << 20;
/// Events taken from the mailbox in one turn: bounds the latency of the first one.
pub const MAX_TURN_EVENTS: usize = 4096;
/// Bytes of proposals taken in one turn: bounds the log record and the engine batch.
pub const MAX_TURN_BYTES: usize = 8 << 20;
/// Committed entries handed out at once: bounds the memory of one engine batch.
pub const MAX_COMMITTED_BYTES: u64 = 8 << 20;
/// Entries read from the log at once when it is replayed.
pub const REPLAY_CHUNK_BYTES: usize = 4 << 20;
/// Applied bytes after which the engine is checkpointed: bounds replay after a crash to about a
/// second, and the log to a few segments.
pub const CHECKPOINT_BYTES: u64 = 128 << 20;
/// A checkpoint is made at least this often while there is something to make durable, so that a
/// quiet node restarts without replay.
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);
/// How far ahead the limit of the timestamp oracle is stored.
pub const TSO_AHEAD: Duration = Duration::from_secs(2);
/// Room for values above the last one that a stored limit leaves at least: 26 million.
pub const TSO_ROOM: Duration = Duration::from_millis(100);
/// How long a caller waits for a timestamp while the limit cannot be moved on.
pub const TSO_PATIENCE: Duration = Duration::from_secs(10);
/// Pause before an engine that reports a full device is tried again.
pub const ENGINE_FULL_PAUSE: Duration = Duration::from_millis(200);
/// How long proposals are refused after the log's device was full, before it is tried again.
pub const LOG_FULL_PAUSE: Duration = Duration::from_millis(200);
/// Quiet time after which the last record of the log is sealed.
pub const SEAL_AFTER: Duration = Duration::from_millis(20);
