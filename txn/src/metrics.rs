//! Counters of this crate; a page of metrics reads them, nothing here decides by them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Live counters.
        #[derive(Default)]
        pub(crate) struct Metrics { $(pub(crate) $name: Counter),* }

        /// Counters since the start of the process.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct TxnMetrics { $($(#[$doc])* pub $name: u64),* }

        impl Metrics {
            pub(crate) fn read(&self) -> TxnMetrics {
                TxnMetrics { $($name: self.$name.0.load(Relaxed)),* }
            }
        }
    };
}

/// One counter on a cache line of its own.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }
}

counters! {
    /// Transactions that committed writes.
    commits,
    /// Transactions that wrote and were rolled back, or refused at commit.
    aborts,
    /// Commits refused because something they depend on had changed.
    conflicts,
    /// Commits refused by a key that had to be new.
    duplicates,
    /// Lock requests that had to wait.
    lock_waits,
    deadlocks,
    /// Point reads that missed the row cache.
    cache_misses,
    /// Reads that waited for a commit under way.
    read_waits,
    /// Bytes of write buffers moved to the range before commit.
    spilled_bytes,
    /// Large transactions committed by their record.
    large_commits,
}
