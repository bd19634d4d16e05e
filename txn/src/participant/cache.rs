//! The hot row cache: key -> its newest committed version (or that it has none).
//!
//! Exactness. Claim: while a reader at `S` that has passed the in-flight check looks up a key, an entry
//! found for it is the newest version with a timestamp at or below `S`, provided the entry's own
//! timestamp is at or below `S`. Why:
//! 1. An entry is written by the application of a commit (`publish`: its version is newer than every
//!    other one of the key, as validation under the key's latch made sure) or by a reader that read the
//!    key's newest version from an engine snapshot (`fill`).
//! 2. `publish` runs before the commit leaves the in-flight map. A reader at or above the commit's
//!    timestamp waits for that, so it never meets an entry that is older than a version it must see.
//! 3. A fill could be late: its snapshot was taken before a commit that has been published (and perhaps
//!    evicted) since. So a reader takes a `Ticket` before its snapshot, every publication advances the
//!    generation that the ticket carries, and a fill with a ticket of an older generation is dropped.
//! 4. A large transaction that commits by its record calls `forget`, which advances all generations and
//!    drops every entry of its spans, before it leaves its fence.
//!
//! The budget is held by two generations of entries a shard: hits in the old one move to the young one,
//! and when the young one has half of the shard's bytes the old one is dropped as a whole.
//!
//! Locks: one short mutex a shard. Generation counters are atomics.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use storage::Ts;
use storage::engine::Span;
use storage::engine::Value;
use storage::mvcc::TxnTag;

use crate::key::{self, Key, Padded};

const SHARDS: usize = 256;
const GENERATIONS: usize = 4096;
/// Bytes that an entry costs beside its key and row: map slot, two handles, allocation headers.
const ENTRY_OVERHEAD: usize = 160;

/// The newest committed version of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Newest {
    /// `Ts::ZERO` if the key never had a version.
    pub(crate) ts: Ts,
    pub(crate) tag: TxnTag,
    /// `None`: deleted, or never there.
    pub(crate) row: Option<Value>,
}

impl Newest {
    pub(crate) const NEVER: Newest = Newest { ts: Ts::ZERO, tag: TxnTag(0), row: None };
}

/// Proves, when it is handed back with a fill, that the key did not change in between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket(u64);

#[derive(Default)]
struct Shard {
    young: FxHashMap<Key, Newest>,
    old: FxHashMap<Key, Newest>,
    young_bytes: usize,
}

pub(crate) struct RowCache {
    shards: Box<[Padded<Mutex<Shard>>]>,
    generations: Box<[AtomicU64]>,
    /// Bytes of one generation of one shard; 0 turns the cache off.
    budget: AtomicUsize,
}

impl RowCache {
    pub(crate) fn new(bytes: usize) -> RowCache {
        RowCache {
            shards: key::shards(SHARDS),
            generations: (0..GENERATIONS).map(|_| AtomicU64::new(0)).collect(),
            budget: AtomicUsize::new(bytes / SHARDS / 2),
        }
    }

    pub(crate) fn get(&self, hash: u64, key: &[u8]) -> Option<Newest> {
        let mut shard = self.shard(hash).lock();
        if let Some(found) = shard.young.get(key) {
            return Some(found.clone());
        }
        let (key, found) = shard.old.remove_entry(key)?;
        let answer = found.clone();
        self.insert(&mut shard, key, found);
        Some(answer)
    }

    pub(crate) fn ticket(&self, hash: u64) -> Ticket {
        Ticket(self.generation(hash).load(SeqCst))
    }

    /// Remembers what a reader found, unless the key may have changed since its ticket.
    pub(crate) fn fill(&self, hash: u64, key: &[u8], ticket: Ticket, newest: &Newest) {
        let mut shard = self.shard(hash).lock();
        // Under the shard's lock: a publication advances the generation before it takes this lock.
        if self.generation(hash).load(SeqCst) == ticket.0 && !shard.holds(key) {
            self.insert(&mut shard, Key::copy_from_slice(key), newest.clone());
        }
    }

    /// The newest version of a key has been applied by a commit of the in-flight map.
    pub(crate) fn publish(&self, key: &[u8], newest: impl FnOnce() -> Newest, add: bool) {
        let hash = key::hash(key);
        self.generation(hash).fetch_add(1, SeqCst);
        let mut shard = self.shard(hash).lock();
        let known = shard.remove(key);
        if add || known.is_some() {
            let newest = newest();
            debug_assert!(known.as_ref().is_none_or(|(_, was)| was.ts < newest.ts));
            let key = known.map_or_else(|| Key::copy_from_slice(key), |(key, _)| key);
            self.insert(&mut shard, key, newest);
        }
    }

    /// A version of the key has been applied that need not be the newest one: forget the key.
    pub(crate) fn invalidate(&self, key: &[u8]) {
        let hash = key::hash(key);
        self.generation(hash).fetch_add(1, SeqCst);
        self.shard(hash).lock().remove(key);
    }

    /// Forgets every key of the spans. Walks the whole cache.
    pub(crate) fn forget(&self, spans: &[Span]) {
        for generation in &self.generations {
            generation.fetch_add(1, SeqCst);
        }
        let keep = |key: &Key| !spans.iter().any(|span| key::contains(span, key));
        for Padded(shard) in &self.shards {
            let mut shard = shard.lock();
            shard.young.retain(|key, _| keep(key));
            shard.old.retain(|key, _| keep(key));
            shard.young_bytes = shard.young.iter().map(|(key, newest)| cost(key, newest)).sum();
        }
    }

    fn insert(&self, shard: &mut Shard, key: Key, newest: Newest) {
        let budget = self.budget.load(SeqCst);
        if budget == 0 {
            return;
        }
        shard.young_bytes += cost(&key, &newest);
        shard.young.insert(key, newest);
        if shard.young_bytes > budget {
            shard.old = std::mem::take(&mut shard.young);
            shard.young_bytes = 0;
        }
    }

    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        &self.shards[key::shard_of(hash, SHARDS)].0
    }

    fn generation(&self, hash: u64) -> &AtomicU64 {
        &self.generations[key::shard_of(hash, GENERATIONS)]
    }
}

impl Shard {
    fn holds(&self, key: &[u8]) -> bool {
        self.young.contains_key(key) || self.old.contains_key(key)
    }

    fn remove(&mut self, key: &[u8]) -> Option<(Key, Newest)> {
        if let Some((key, newest)) = self.young.remove_entry(key) {
            self.young_bytes -= cost(&key, &newest);
            return Some((key, newest));
        }
        self.old.remove_entry(key)
    }
}

fn cost(key: &Key, newest: &Newest) -> usize {
    ENTRY_OVERHEAD + key.len() + newest.row.as_ref().map_or(0, |row| row.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(ts: u64) -> Newest {
        Newest { ts: Ts(ts), tag: TxnTag(ts), row: Some(Value::from(ts.to_string())) }
    }

    fn key(n: u32) -> Key {
        Key::from(n.to_be_bytes().to_vec())
    }

    #[test]
    fn a_late_fill_never_hides_a_newer_commit() {
        let cache = RowCache::new(1 << 20);
        let (k, h) = (key(1), key::hash(&key(1)));
        let ticket = cache.ticket(h);
        cache.publish(&k, || version(7), true);
        cache.invalidate(&k);
        cache.fill(h, &k, ticket, &version(5));
        assert_eq!(cache.get(h, &k), None, "the fill's snapshot is older than the publication");
        cache.fill(h, &k, cache.ticket(h), &version(7));
        assert_eq!(cache.get(h, &k), Some(version(7)));
        let ticket = cache.ticket(h);
        cache.forget(&[Span { lo: vec![], hi: vec![] }]);
        cache.fill(h, &k, ticket, &version(7));
        assert_eq!(cache.get(h, &k), None);
    }

    #[test]
    fn a_publication_replaces_and_a_large_one_only_refreshes() {
        let cache = RowCache::new(1 << 20);
        let (k, h) = (key(1), key::hash(&key(1)));
        cache.publish(&k, || version(3), false);
        assert_eq!(cache.get(h, &k), None);
        cache.publish(&k, || version(4), true);
        cache.publish(&k, || version(5), false);
        assert_eq!(cache.get(h, &k), Some(version(5)));
    }

    #[test]
    fn bytes_stay_within_the_budget_and_hot_keys_stay() {
        let cache = RowCache::new(1 << 20);
        let (hot, h) = (key(u32::MAX), key::hash(&key(u32::MAX)));
        cache.publish(&hot, || version(1), true);
        for n in 0..50_000 {
            cache.publish(&key(n), || version(2), true);
            assert!(cache.get(h, &hot).is_some());
        }
        let bytes: usize = cache
            .shards
            .iter()
            .map(|shard| {
                let shard = shard.0.lock();
                shard.young.iter().chain(&shard.old).map(|(key, newest)| cost(key, newest)).sum::<usize>()
            })
            .sum();
        assert!(bytes <= (1 << 20) + SHARDS * 512, "{bytes}");
    }

    #[test]
    fn without_a_budget_nothing_is_kept() {
        let cache = RowCache::new(0);
        cache.publish(&key(1), || version(1), true);
        assert_eq!(cache.get(key::hash(&key(1)), &key(1)), None);
    }
}
