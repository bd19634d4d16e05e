//! The commits under way, by key: a latch among writers, a signpost for readers.
//!
//! A commit owns one `CommitSlot` and publishes it under every key that it writes, in key order. The
//! entry is the key's latch: another writer of the key queues behind it, first come first served. Since
//! everybody latches in key order, latches never deadlock.
//!
//! The slot goes through three states: latching (its timestamp will be taken later, so it will lie above
//! every timestamp issued so far), stamping (a timestamp is being taken right now: a few atomic
//! operations, no lock, no wait), stamped. A reader at `S` therefore needs to wait only for a slot that
//! is stamped at or below `S`; while stamping it spins. The wait ends when the commit is applied or
//! given up.
//!
//! A stamped commit may wait for another commit of a key that it depends on, only if that one is stamped
//! below it: the waits run from larger to smaller timestamps, so they cannot form a cycle either.
//!
//! Locks: one short mutex a shard of keys; nothing else is locked while it is held, but the row cache's
//! shard in `finish`.

use std::collections::VecDeque;
use std::collections::hash_map::Entry as MapEntry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use storage::Ts;
use storage::engine::Span;
use tokio::sync::{Notify, oneshot};

use crate::key::{self, Coverage, Key, Padded};

const SHARDS: usize = 256;
const INDEXES: usize = 256;

const LATCHING: u64 = 0;
const STAMPING: u64 = 1;

/// One commit under way.
pub(crate) struct CommitSlot {
    stamp: AtomicU64,
    done: AtomicBool,
    ended: Notify,
}

impl CommitSlot {
    pub(crate) fn new() -> Arc<CommitSlot> {
        Arc::new(CommitSlot {
            stamp: AtomicU64::new(LATCHING),
            done: AtomicBool::new(false),
            ended: Notify::new(),
        })
    }

    /// From here until `stamp`, readers of the keys spin: take the timestamp and return.
    pub(crate) fn begin_stamping(&self) {
        self.stamp.store(STAMPING, SeqCst);
    }

    pub(crate) fn stamp(&self, ts: Ts) {
        debug_assert!(ts.0 > STAMPING, "the oracle starts far above");
        self.stamp.store(ts.0, SeqCst);
    }

    /// The commit goes back to the latching state: its timestamp was not used.
    pub(crate) fn unstamp(&self) {
        self.stamp.store(LATCHING, SeqCst);
    }

    /// The commit's timestamp; `None` if it will be taken in the future.
    pub(crate) fn ts(&self) -> Option<Ts> {
        let mut spins = 0u32;
        loop {
            match self.stamp.load(SeqCst) {
                LATCHING => return None,
                STAMPING if spins < 100 => std::hint::spin_loop(),
                STAMPING => std::thread::yield_now(),
                ts => return Some(Ts(ts)),
            }
            spins += 1;
        }
    }

    /// Whether a reader at `ts` has to know how this commit ends.
    pub(crate) fn matters_at(&self, ts: Ts) -> bool {
        // An ended commit may keep the latch of a key that it did not write for a moment longer.
        self.ts().is_some_and(|stamp| stamp <= ts) && !self.is_done()
    }

    /// Marks the commit as applied or given up and wakes who waits for it.
    pub(crate) fn end(&self) {
        self.done.store(true, SeqCst);
        self.ended.notify_waiters();
    }

    /// Whether the commit is applied or given up.
    pub(crate) fn is_done(&self) -> bool {
        self.done.load(SeqCst)
    }

    /// Returns when the commit is applied or given up.
    pub(crate) async fn ended(&self) {
        let ended = self.ended.notified();
        futures::pin_mut!(ended);
        ended.as_mut().enable();
        if !self.done.load(SeqCst) {
            ended.await;
        }
    }
}

struct Waiter {
    slot: Arc<CommitSlot>,
    granted: oneshot::Sender<()>,
}

struct Entry {
    slot: Arc<CommitSlot>,
    queue: VecDeque<Waiter>,
}

#[derive(Default)]
struct Shard {
    /// Entries in `keys`, so that a reader of an idle shard takes no lock.
    entries: AtomicUsize,
    keys: Mutex<FxHashMap<Key, Entry>>,
}

pub(crate) struct InFlight {
    shards: Box<[Padded<Shard>]>,
    /// Entries by index, so that a scan of an idle index looks at no shard.
    indexes: Box<[Padded<AtomicUsize>]>,
}

impl InFlight {
    pub(crate) fn new() -> InFlight {
        InFlight { shards: key::shards(SHARDS), indexes: key::shards(INDEXES) }
    }

    /// Publishes `slot` under `key`, or queues it: then the receiver fires when it is published.
    pub(crate) fn latch(&self, key: &Key, slot: &Arc<CommitSlot>) -> Option<oneshot::Receiver<()>> {
        let shard = self.shard(key);
        let mut keys = shard.keys.lock();
        match keys.entry(key.clone()) {
            MapEntry::Vacant(vacant) => {
                vacant.insert(Entry { slot: slot.clone(), queue: VecDeque::new() });
                shard.entries.fetch_add(1, SeqCst);
                self.index(key).fetch_add(1, SeqCst);
                None
            }
            MapEntry::Occupied(mut entry) => {
                let (granted, receiver) = oneshot::channel();
                entry.get_mut().queue.push_back(Waiter { slot: slot.clone(), granted });
                Some(receiver)
            }
        }
    }

    /// Takes `slot` away from `key`, whether it holds the latch or still waits for it.
    pub(crate) fn unlatch(&self, key: &Key, slot: &Arc<CommitSlot>) {
        let shard = self.shard(key);
        let mut keys = shard.keys.lock();
        let Some(entry) = keys.get_mut(key) else { return };
        if Arc::ptr_eq(&entry.slot, slot) {
            self.pass_on(shard, &mut keys, key);
        } else {
            entry.queue.retain(|waiter| !Arc::ptr_eq(&waiter.slot, slot));
        }
    }

    /// The version of `key` at `ts` has been applied. If a commit of this map wrote it, `publish` runs
    /// before the latch passes on, and the commit's slot is returned.
    pub(crate) fn finish(&self, key: &[u8], ts: Ts, publish: impl FnOnce()) -> Option<Arc<CommitSlot>> {
        let shard = self.shard(key);
        if shard.entries.load(SeqCst) == 0 {
            return None;
        }
        let mut keys = shard.keys.lock();
        let (held, entry) = keys.get_key_value(key)?;
        if entry.slot.stamp.load(SeqCst) != ts.0 {
            return None;
        }
        let (held, slot) = (held.clone(), entry.slot.clone());
        publish();
        self.pass_on(shard, &mut keys, &held);
        Some(slot)
    }

    /// A commit of `key` that a reader at `ts` has to wait for.
    pub(crate) fn blocker(&self, hash: u64, key: &[u8], ts: Ts) -> Option<Arc<CommitSlot>> {
        let shard = &self.shards[key::shard_of(hash, SHARDS)].0;
        if shard.entries.load(SeqCst) == 0 {
            return None;
        }
        let slot = shard.keys.lock().get(key)?.slot.clone();
        slot.matters_at(ts).then_some(slot)
    }

    /// The commit that holds the latch of `key`, whatever its timestamp.
    pub(crate) fn holder(&self, key: &[u8]) -> Option<Arc<CommitSlot>> {
        let shard = self.shard(key);
        if shard.entries.load(SeqCst) == 0 {
            return None;
        }
        shard.keys.lock().get(key).map(|entry| entry.slot.clone())
    }

    /// The commits of keys in `span` that a reader at `ts` has to wait for. Costs one load when no
    /// commit touches the index, a walk over all shards otherwise.
    pub(crate) fn blockers_in(&self, span: &Span, coverage: Coverage, ts: Ts) -> Vec<Arc<CommitSlot>> {
        let mut slots = self.slots_in(span, coverage);
        slots.retain(|slot| slot.matters_at(ts));
        slots
    }

    /// All commits that hold a latch in `span`.
    pub(crate) fn slots_in(&self, span: &Span, coverage: Coverage) -> Vec<Arc<CommitSlot>> {
        let mut slots: Vec<Arc<CommitSlot>> = Vec::new();
        if let Coverage::Index(prefix) = coverage
            && self.indexes[key::shard_of(prefix, INDEXES)].0.load(SeqCst) == 0
        {
            return slots;
        }
        for Padded(shard) in &self.shards {
            if shard.entries.load(SeqCst) == 0 {
                continue;
            }
            for (key, entry) in shard.keys.lock().iter() {
                if key::contains(span, key) && !slots.iter().any(|slot| Arc::ptr_eq(slot, &entry.slot)) {
                    slots.push(entry.slot.clone());
                }
            }
        }
        slots
    }

    /// Keys with a commit under way.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.entries.load(SeqCst)).sum()
    }

    /// Hands the latch to the first waiter that still waits, or removes the entry.
    fn pass_on(&self, shard: &Shard, keys: &mut FxHashMap<Key, Entry>, key: &Key) {
        let entry = keys.get_mut(key).expect("the caller found the entry under the same lock");
        while let Some(next) = entry.queue.pop_front() {
            entry.slot = next.slot;
            if next.granted.send(()).is_ok() {
                return;
            }
        }
        keys.remove(key);
        shard.entries.fetch_sub(1, SeqCst);
        self.index(key).fetch_sub(1, SeqCst);
    }

    fn shard(&self, key: &[u8]) -> &Shard {
        &self.shards[key::shard_of(key::hash(key), SHARDS)].0
    }

    fn index(&self, key: &[u8]) -> &AtomicUsize {
        &self.indexes[key::shard_of(key::hash(key::index_prefix(key)), INDEXES)].0
    }
}

/// The latches of one commit. Dropped, it gives up what it holds or waits for, unless `keep` was
/// called: then the application of the proposal releases them.
pub(crate) struct Latches<'a> {
    map: &'a InFlight,
    slot: Arc<CommitSlot>,
    /// In key order, without duplicates.
    keys: &'a [Key],
    /// Keys that are latched or waited for.
    touched: usize,
    kept: bool,
}

impl<'a> Latches<'a> {
    /// Latches all keys, in order; waits for other commits of the same keys.
    pub(crate) async fn acquire(map: &'a InFlight, slot: Arc<CommitSlot>, keys: &'a [Key]) -> Latches<'a> {
        debug_assert!(keys.is_sorted(), "latches are taken in key order");
        let mut latches = Latches { map, slot, keys, touched: 0, kept: false };
        for key in keys {
            latches.touched += 1;
            if let Some(granted) = map.latch(key, &latches.slot) {
                // The sender lives in the queue until the latch is ours: it cannot be dropped before.
                let _ = granted.await;
            }
        }
        latches
    }

    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Latches<'_> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        for key in &self.keys[..self.touched] {
            self.map.unlatch(key, &self.slot);
        }
        self.slot.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &'static str) -> Key {
        Key::from_static(text.as_bytes())
    }

    fn blocked(map: &InFlight, k: &Key, ts: u64) -> bool {
        map.blocker(key::hash(k), k, Ts(ts)).is_some()
    }

    #[test]
    fn a_reader_waits_only_for_a_commit_stamped_at_or_below_it() {
        let (map, k, slot) = (InFlight::new(), key("k"), CommitSlot::new());
        assert!(map.latch(&k, &slot).is_none());
        assert!(!blocked(&map, &k, 100), "a commit that latches will be later than any issued timestamp");
        slot.begin_stamping();
        slot.stamp(Ts(50));
        assert!(blocked(&map, &k, 50) && blocked(&map, &k, 51) && !blocked(&map, &k, 49));
        assert!(!blocked(&map, &key("other"), 51));
        assert!(map.finish(&k, Ts(49), || panic!("not this version")).is_none());
        assert!(map.finish(&k, Ts(50), || ()).is_some());
        assert!(!blocked(&map, &k, 51));
        assert_eq!(map.len(), 0);
    }

    #[test]
    fn latches_pass_on_first_come_first_served_and_skip_who_left() {
        let (map, k) = (InFlight::new(), key("k"));
        let slots: Vec<_> = (0..4).map(|_| CommitSlot::new()).collect();
        assert!(map.latch(&k, &slots[0]).is_none());
        let mut queue: Vec<_> = slots[1..].iter().map(|slot| map.latch(&k, slot).unwrap()).collect();
        map.unlatch(&k, &slots[2]);
        drop(queue.remove(1));
        map.unlatch(&k, &slots[0]);
        assert!(queue[0].try_recv().is_ok() && queue[1].try_recv().is_err());
        map.unlatch(&k, &slots[1]);
        assert!(queue[1].try_recv().is_ok());
        map.unlatch(&k, &slots[3]);
        assert_eq!(map.len(), 0);
    }

    #[test]
    fn a_scan_meets_commits_of_its_span_only() {
        let map = InFlight::new();
        let mut prefix = storage::key::table_prefix(7, 0);
        let span = storage::key::prefix_span(&prefix);
        prefix.push(b'x');
        let (inside, slot) = (Key::from(prefix), CommitSlot::new());
        slot.begin_stamping();
        slot.stamp(Ts(10));
        assert!(map.latch(&inside, &slot).is_none());
        assert_eq!(map.blockers_in(&span, key::coverage(&span), Ts(10)).len(), 1);
        assert_eq!(map.blockers_in(&span, key::coverage(&span), Ts(9)).len(), 0);
        let other = storage::key::prefix_span(&storage::key::table_prefix(8, 0));
        assert_eq!(map.blockers_in(&other, key::coverage(&other), Ts(10)).len(), 0);
        let all = Span { lo: vec![], hi: vec![] };
        assert_eq!(map.blockers_in(&all, key::coverage(&all), Ts(10)).len(), 1);
    }

    #[test]
    fn dropped_latches_free_their_keys() {
        let map = InFlight::new();
        let keys = [key("a"), key("b")];
        let latches = futures::executor::block_on(Latches::acquire(&map, CommitSlot::new(), &keys));
        assert_eq!(map.len(), 2);
        drop(latches);
        assert_eq!(map.len(), 0);
    }
}
