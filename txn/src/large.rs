//! Transactions that outgrow their write buffer: they spill to the range and commit by one record.
//!
//! | entry | space | key | value |
//! |---|---|---|---|
//! | spilled write | `Intent` | `0x02 · range · 0x81 · txn id u64 BE · user key · !position u64 BE` | see `area` |
//! | record | `Data`, at `Ts::ZERO` | `0x02 · range · 0x80 · txn id u64 BE` | see `record` |
//!
//! 1. Spilled writes lie in an area of their own: nobody but their transaction sees them, whatever
//!    happens to it. An area without a record is removed when the node starts.
//! 2. Until the end of its transaction an area is also the row locks of its keys: who locks one of them
//!    waits for the transaction (`crate::transaction`). So the locks in memory are given back.
//! 3. Commit (`commit`): fence writers off the keys, validate them, take a timestamp, propose the
//!    record. When it is applied, all the writes are committed at that timestamp, at once.
//! 4. From then on readers look into the area too, until the resolver (`resolve`) has moved the writes
//!    to the data space, in chunks, and removed area and record in one batch. Moving a write twice
//!    changes nothing, so a restart begins again.
//!
//! A read costs one load more while no large transaction exists.

pub(crate) mod area;
pub(crate) mod commit;
pub(crate) mod record;
pub(crate) mod resolve;
pub(crate) mod spill;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};

use parking_lot::RwLock;
use storage::Ts;
use storage::engine::{AnySnapshot, Span};
use storage::mvcc::TxnTag;

use crate::buffer::{Position, Write};
use crate::key;
use crate::lock::TxnId;
use crate::participant::RANGE;
use crate::participant::cache::Newest;
use crate::participant::inflight::CommitSlot;
use crate::{Result, TxnDb};

/// One large transaction, from its first spill to the end of its resolution.
pub(crate) struct Large {
    /// Unique over restarts: a timestamp.
    pub(crate) id: u64,
    pub(crate) owner: TxnId,
    pub(crate) tag: TxnTag,
    /// Ends when the transaction is committed or given up.
    pub(crate) slot: Arc<CommitSlot>,
    /// Writers of its keys have to stay off.
    fenced: AtomicBool,
    /// The commit timestamp once the record is applied, else 0.
    committed: AtomicU64,
    extent: RwLock<Extent>,
    /// The first position after each spill: what lies on both sides did not know of each other.
    spills: RwLock<Vec<Position>>,
}

/// Where the writes of a large transaction lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// First and last key by index.
    pub(crate) bounds: BTreeMap<Vec<u8>, (Vec<u8>, Vec<u8>)>,
    /// Positions `[from, to)` that were rolled back to a savepoint.
    pub(crate) rolled_back: Vec<(u64, u64)>,
}

impl Extent {
    fn include(&mut self, key: &[u8]) {
        match self.bounds.get_mut(key::index_prefix(key)) {
            None => {
                self.bounds.insert(key::index_prefix(key).to_vec(), (key.to_vec(), key.to_vec()));
            }
            Some((first, last)) => {
                if key < &first[..] {
                    *first = key.to_vec();
                }
                if key > &last[..] {
                    *last = key.to_vec();
                }
            }
        }
    }

    fn covers(&self, key: &[u8]) -> bool {
        let bounds = self.bounds.get(key::index_prefix(key));
        bounds.is_some_and(|(first, last)| key >= &first[..] && key <= &last[..])
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let behind = |last: &Vec<u8>| [&last[..], &[0]].concat();
        self.bounds.values().map(|(first, last)| Span { lo: first.clone(), hi: behind(last) }).collect()
    }

    /// Whether a write at this position counts.
    pub(crate) fn keeps(&self, at: Position) -> bool {
        !self.rolled_back.iter().any(|(from, to)| (*from..*to).contains(&at.0))
    }
}

impl Large {
    pub(crate) fn new(id: u64, owner: TxnId, tag: TxnTag) -> Arc<Large> {
        Arc::new(Large {
            id,
            owner,
            tag,
            slot: CommitSlot::new(),
            fenced: AtomicBool::new(false),
            committed: AtomicU64::new(0),
            extent: RwLock::default(),
            spills: RwLock::default(),
        })
    }

    /// One that a record says is committed.
    pub(crate) fn restored(id: u64, tag: TxnTag, ts: Ts, extent: Extent) -> Arc<Large> {
        let large = Large::new(id, TxnId(0), tag);
        *large.extent.write() = extent;
        large.slot.stamp(ts);
        large.committed.store(ts.0, SeqCst);
        large.slot.end();
        large
    }

    pub(crate) fn covers(&self, key: &[u8]) -> bool {
        self.extent.read().covers(key)
    }

    pub(crate) fn touches(&self, span: &Span) -> bool {
        self.extent
            .read()
            .spans()
            .iter()
            .any(|own| (span.hi.is_empty() || own.lo < span.hi) && (own.hi.is_empty() || span.lo < own.hi))
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.extent.read().spans()
    }

    pub(crate) fn extent(&self) -> Extent {
        self.extent.read().clone()
    }

    pub(crate) fn roll_back(&self, from: Position, to: Position) {
        self.extent.write().rolled_back.push((from.0, to.0));
    }

    pub(crate) fn keeps(&self, at: Position) -> bool {
        self.extent.read().keeps(at)
    }

    /// When it was committed; `None` before.
    pub(crate) fn committed(&self) -> Option<Ts> {
        match self.committed.load(SeqCst) {
            0 => None,
            ts => Some(Ts(ts)),
        }
    }

    /// Keeps writers off; a writer that latched before is found in the in-flight map.
    pub(crate) fn fence(&self) {
        self.fenced.store(true, SeqCst);
    }

    pub(crate) fn include(&self, keys: impl Iterator<Item = impl AsRef<[u8]>>) {
        let mut extent = self.extent.write();
        keys.for_each(|key| extent.include(key.as_ref()));
    }

    pub(crate) fn spilled_up_to(&self, end: Position) {
        self.spills.write().push(end);
    }

    /// Whether a spill lies between two writes.
    pub(crate) fn spilled_between(&self, before: Position, after: Position) -> bool {
        self.spills.read().iter().any(|end| before < *end && *end <= after)
    }

    fn is_fenced(&self) -> bool {
        self.fenced.load(SeqCst) && !self.slot.is_done()
    }
}

/// The large transactions of a range. Readers load a counter; only if it is not zero they lock the
/// list, for as long as it takes to copy it.
#[derive(Default)]
pub(crate) struct LargeTxns {
    count: AtomicUsize,
    list: RwLock<Vec<Arc<Large>>>,
}

impl LargeTxns {
    pub(crate) fn add(&self, large: Arc<Large>) {
        let mut list = self.list.write();
        list.push(large);
        self.count.store(list.len(), SeqCst);
    }

    pub(crate) fn remove(&self, id: u64) {
        let mut list = self.list.write();
        list.retain(|large| large.id != id);
        self.count.store(list.len(), SeqCst);
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(SeqCst)
    }

    pub(crate) fn find(&self, id: u64) -> Option<Arc<Large>> {
        self.all().into_iter().find(|large| large.id == id)
    }

    /// All of them; no allocation when there is none.
    pub(crate) fn all(&self) -> Vec<Arc<Large>> {
        if self.count.load(SeqCst) == 0 { vec![] } else { self.list.read().clone() }
    }

    /// Those that are committed and not resolved, and whose writes `ts` sees.
    pub(crate) fn unresolved(&self, ts: Ts) -> Vec<Arc<Large>> {
        let mut all = self.all();
        all.retain(|large| large.committed().is_some_and(|at| at <= ts));
        all
    }

    /// A commit under way that a reader of `key` at `ts` has to wait for.
    pub(crate) fn blocker(&self, key: &[u8], ts: Ts) -> Option<Arc<Large>> {
        self.all().into_iter().find(|large| large.blocks_at(ts) && large.covers(key))
    }

    pub(crate) fn blockers_in(&self, span: &Span, ts: Ts) -> Vec<Arc<Large>> {
        let mut all = self.all();
        all.retain(|large| large.blocks_at(ts) && large.touches(span));
        all
    }

    /// Those whose keys nobody may commit now.
    pub(crate) fn fenced(&self) -> Vec<Arc<Large>> {
        let mut all = self.all();
        all.retain(|large| large.is_fenced());
        all
    }

    /// Those of others that are not at their end.
    pub(crate) fn open_but(&self, owner: TxnId) -> Vec<Arc<Large>> {
        let mut all = self.all();
        all.retain(|large| large.owner != owner && !large.slot.is_done());
        all
    }

    /// The record of a large transaction has been applied.
    pub(crate) fn commit_applied(&self, id: u64, ts: Ts, forget: impl FnOnce(&[Span])) {
        if let Some(large) = self.find(id) {
            // First the timestamp: a reader that fills the cache after `forget` has read the area.
            large.committed.store(ts.0, SeqCst);
            forget(&large.spans());
        }
    }
}

/// The newer of `known` and what unresolved transactions committed for `key` at or below `ts`.
pub(crate) fn newest(
    unresolved: &[Arc<Large>],
    snapshot: &AnySnapshot,
    key: &[u8],
    ts: Ts,
    mut known: Newest,
) -> Result<Newest> {
    for large in unresolved {
        let Some(at) = large.committed().filter(|at| *at <= ts && *at > known.ts) else { continue };
        if !large.covers(key) {
            continue;
        }
        let keeps = |position| large.keeps(position);
        let found = area::get(snapshot, RANGE, large.id, key, Position(u64::MAX), keeps)?;
        if let Some(write) = found {
            known = Newest { ts: at, tag: large.tag, row: write.row };
        }
    }
    Ok(known)
}

impl Large {
    /// What the transaction itself sees of its spilled writes.
    pub(crate) fn read(&self, db: &TxnDb, key: &[u8], limit: Position) -> Result<Option<Write>> {
        if !self.covers(key) {
            return Ok(None);
        }
        let keeps = |position| self.keeps(position);
        Ok(area::get(&db.backend.snapshot(), RANGE, self.id, key, limit, keeps)?)
    }

    fn blocks_at(&self, ts: Ts) -> bool {
        self.slot.matters_at(ts)
    }
}
