//! Counters of the loop, written by one thread and read by anyone.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What the loop has done since the node started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeMetrics {
    /// Turns that did something.
    pub turns: u64,
    /// `fdatasync` calls on the log.
    pub fsyncs: u64,
    /// Raft entries written to the log, empty ones included.
    pub entries: u64,
    /// Batches applied to the engine.
    pub batches: u64,
    /// Bytes of those batches.
    pub bytes: u64,
    /// Proposals refused: overload, a full device, no lead.
    pub refused: u64,
    /// Engine checkpoints.
    pub checkpoints: u64,
    /// Times of the loop, nanoseconds: whole turns, and the parts spent in sync and in apply.
    pub turn_nanos: u64,
    pub sync_nanos: u64,
    pub apply_nanos: u64,
    /// Bytes proposed and not yet applied.
    pub queued_bytes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) turns: AtomicU64,
    pub(crate) fsyncs: AtomicU64,
    pub(crate) entries: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) checkpoints: AtomicU64,
    pub(crate) turn_nanos: AtomicU64,
    pub(crate) sync_nanos: AtomicU64,
    pub(crate) apply_nanos: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Relaxed);
    }

    pub(crate) fn read(&self, queued_bytes: u64) -> NodeMetrics {
        let get = |c: &AtomicU64| c.load(Relaxed);
        NodeMetrics {
            turns: get(&self.turns),
            fsyncs: get(&self.fsyncs),
            entries: get(&self.entries),
            batches: get(&self.batches),
            bytes: get(&self.bytes),
            refused: get(&self.refused),
            checkpoints: get(&self.checkpoints),
            turn_nanos: get(&self.turn_nanos),
            sync_nanos: get(&self.sync_nanos),
            apply_nanos: get(&self.apply_nanos),
            queued_bytes,
        }
    }
}
