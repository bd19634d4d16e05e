//! How high reads have been served: no commit may land at or below a read that could have seen it.
//!
//! A floor (the timestamp at which the lease began), point buckets by key hash, and one bucket an index
//! for scans. Buckets only make a commit's timestamp later than needed, never earlier. There is no lock
//! here: every bucket is an atomic of its own, and a read that finds its bucket high enough writes
//! nothing.
//!
//! Order (all SeqCst): a reader raises the mark, then looks at the in-flight map; a writer publishes in
//! the in-flight map, then reads the mark. So of a reader and a writer of one key at least one sees the
//! other. A reader that only loads a mark that is already high enough relies on the raise that some
//! earlier reader did: it lies before its load in the one order of all SeqCst operations.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use storage::Ts;

use crate::key::{self, Coverage, Padded};

const POINTS: usize = 4096;
const INDEXES: usize = 256;

pub(crate) struct HighWater {
    floor: Padded<AtomicU64>,
    points: Box<[AtomicU64]>,
    indexes: Box<[Padded<AtomicU64>]>,
}

impl HighWater {
    pub(crate) fn new() -> HighWater {
        HighWater {
            floor: Padded::default(),
            points: (0..POINTS).map(|_| AtomicU64::new(0)).collect(),
            indexes: key::shards(INDEXES),
        }
    }

    /// A read of the key with this hash is about to be served at `ts`.
    pub(crate) fn raise_key(&self, hash: u64, ts: Ts) {
        raise(&self.points[key::shard_of(hash, POINTS)], ts);
    }

    /// A scan is about to be served at `ts`.
    pub(crate) fn raise_span(&self, coverage: Coverage, ts: Ts) {
        match coverage {
            Coverage::Index(prefix) => raise(&self.indexes[key::shard_of(prefix, INDEXES)].0, ts),
            Coverage::All => self.raise_floor(ts),
        }
    }

    pub(crate) fn raise_floor(&self, ts: Ts) {
        raise(&self.floor.0, ts);
    }

    /// A commit of this key must be later than this.
    pub(crate) fn of(&self, hash: u64, prefix_hash: u64) -> Ts {
        let point = self.points[key::shard_of(hash, POINTS)].load(SeqCst);
        let index = self.indexes[key::shard_of(prefix_hash, INDEXES)].0.load(SeqCst);
        Ts(point.max(index).max(self.floor.0.load(SeqCst)))
    }

    /// A commit of any key must be later than this.
    pub(crate) fn highest(&self) -> Ts {
        let points = self.points.iter().map(|p| p.load(SeqCst)).max().unwrap_or(0);
        let indexes = self.indexes.iter().map(|p| p.0.load(SeqCst)).max().unwrap_or(0);
        Ts(points.max(indexes).max(self.floor.0.load(SeqCst)))
    }
}

fn raise(mark: &AtomicU64, ts: Ts) {
    if mark.load(SeqCst) < ts.0 {
        mark.fetch_max(ts.0, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_read_raises_the_mark_of_the_keys_it_covers() {
        let marks = HighWater::new();
        let (a, index) = (key::hash(b"a"), key::hash(b"index"));
        assert_eq!(marks.of(a, index), Ts(0));
        marks.raise_key(a, Ts(5));
        marks.raise_key(a, Ts(3));
        assert_eq!(marks.of(a, index), Ts(5));
        marks.raise_span(Coverage::Index(index), Ts(7));
        assert_eq!(marks.of(a, index), Ts(7));
        marks.raise_span(Coverage::All, Ts(9));
        assert_eq!(marks.of(key::hash(b"elsewhere"), key::hash(b"other")), Ts(9));
        assert_eq!(marks.highest(), Ts(9));
    }
}
