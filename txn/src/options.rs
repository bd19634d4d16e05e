//! Isolation levels, access modes and the bounds of this crate.

use std::time::Duration;

/// How a transaction sees others. SERIALIZABLE is not built: callers refuse it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// A snapshot a statement.
    #[default]
    ReadCommitted,
    /// One snapshot, and no write over a version it does not see (snapshot isolation).
    RepeatableRead,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Access {
    #[default]
    ReadWrite,
    ReadOnly,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TxnOptions {
    pub isolation: Isolation,
    pub access: Access,
}

/// The bounds of this crate.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of the hot row cache; 0 turns it off.
    pub cache_bytes: usize,
    /// Bytes of a transaction's write buffer before it spills to the range.
    pub buffer_bytes: usize,
    /// Bytes of one proposal of a spill or of its resolution.
    pub chunk_bytes: usize,
    /// Age at which old versions may be removed, unless a transaction still reads them.
    pub gc_ttl: Duration,
    /// A scan that runs longer takes a new engine snapshot (at the same timestamp).
    pub scan_reopen: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            cache_bytes: 64 << 20,
            buffer_bytes: 64 << 20,
            chunk_bytes: 2 << 20,
            gc_ttl: Duration::from_secs(600),
            scan_reopen: Duration::from_secs(5),
        }
    }
}
