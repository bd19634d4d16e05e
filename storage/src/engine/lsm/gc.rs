//! Collecting old versions while RocksDB compacts.
//!
//! A version goes when this compaction has shown a newer version of the same key at or below the
//! safe point: no reader at or above the safe point can see it. Delete markers never go here: a
//! put below the marker may lie in a level outside this compaction and would come back to life.
//!
//! RocksDB calls the filter across a C boundary, so it must not panic: bytes it does not understand
//! are kept.

use std::ffi::CStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rocksdb::CompactionDecision;
use rocksdb::compaction_filter::CompactionFilter;
use rocksdb::compaction_filter_factory::{CompactionFilterContext, CompactionFilterFactory};

use crate::Ts;
use crate::mvcc::{self, Version};

/// Makes one filter a compaction, with the safe point of its start.
pub(super) struct VersionFilterFactory {
    pub(super) safe_point: Arc<AtomicU64>,
}

impl CompactionFilterFactory for VersionFilterFactory {
    type Filter = VersionFilter;

    fn create(&mut self, _context: CompactionFilterContext) -> VersionFilter {
        let safe_point = Ts(self.safe_point.load(Ordering::Relaxed));
        VersionFilter { safe_point, covered: None }
    }

    fn name(&self) -> &CStr {
        c"phantomdb.versions"
    }
}

/// Sees the keys of one compaction in order: per user key, newest version first.
pub(super) struct VersionFilter {
    safe_point: Ts,
    /// The user key whose newest version at or below the safe point has gone by.
    covered: Option<Vec<u8>>,
}

impl CompactionFilter for VersionFilter {
    fn filter(&mut self, _level: u32, key: &[u8], value: &[u8]) -> CompactionDecision {
        let Some((user_key, ts)) = super::super::versioned(key) else { return CompactionDecision::Keep };
        if self.covered.as_deref() == Some(user_key) {
            return match mvcc::read_version(value) {
                Ok(Version { row: Some(_), .. }) => CompactionDecision::Remove,
                _ => CompactionDecision::Keep,
            };
        }
        if ts <= self.safe_point {
            let covered = self.covered.get_or_insert_default();
            covered.clear();
            covered.extend_from_slice(user_key);
        }
        CompactionDecision::Keep
    }

    fn name(&self) -> &CStr {
        c"phantomdb.versions"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mvcc::TxnTag;

    #[test]
    fn only_covered_puts_go() {
        let mut filter = VersionFilter { safe_point: Ts(50), covered: None };
        let mut keep = |user: &[u8], ts, row: Option<&[u8]>| {
            let mut key = user.to_vec();
            mvcc::push_suffix(&mut key, Ts(ts));
            let mut value = vec![];
            mvcc::push_version(&mut value, Version { tag: TxnTag(1), row });
            matches!(filter.filter(0, &key, &value), CompactionDecision::Keep)
        };
        assert!(keep(b"\x03a", 70, Some(b"")), "above the safe point");
        assert!(keep(b"\x03a", 50, Some(b"")), "newest at the safe point");
        assert!(!keep(b"\x03a", 40, Some(b"")), "covered");
        assert!(keep(b"\x03a", 30, None), "a marker stays");
        assert!(!keep(b"\x03a", 20, Some(b"")));
        assert!(keep(b"\x03b", 10, None), "the next key starts anew");
        assert!(!keep(b"\x03b", 9, Some(b"")));
        assert!(keep(b"\x02b", 8, Some(b"")), "not a table key");
        assert!(keep(b"\x02b", 7, Some(b"")));
        let short = filter.filter(0, b"\x03", b"");
        assert!(matches!(short, CompactionDecision::Keep));
    }
}
