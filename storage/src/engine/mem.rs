//! The engine in memory: the oracle of every test, and the engine of the simulator.
//!
//! State is an `Image` of persistent trees (`tree`): a snapshot copies three pointers, a writer
//! copies the nodes on its path. Nothing reaches a disk; instead the engine keeps the image of the
//! last checkpoint, and `crash` goes back to it, as an engine on disk would.

mod tree;

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{
    ApplyState, Direction, Engine, Iter, Op, RangeId, ReadMode, Snapshot, Space, Span, Value, WriteBatch,
};
use crate::mvcc::{self, SUFFIX};
use crate::vfs::{RealVfs, Vfs};
use crate::{Result, Ts};
use tree::Tree;

/// Everything the engine holds at one moment.
#[derive(Clone, Default)]
struct Image {
    spaces: [Tree; 2],
    states: std::collections::BTreeMap<RangeId, ApplyState>,
}

#[derive(Default)]
struct State {
    live: Image,
    durable: Image,
    /// Bytes applied since the last checkpoint.
    dirty: u64,
}

/// See the module header. Clones share one engine.
#[derive(Clone)]
pub struct MemEngine {
    state: Arc<Mutex<State>>,
    /// Where files to ingest are read.
    vfs: Arc<dyn Vfs>,
}

impl Default for MemEngine {
    fn default() -> MemEngine {
        MemEngine::on(Arc::new(RealVfs))
    }
}

impl MemEngine {
    pub fn new() -> MemEngine {
        MemEngine::default()
    }

    /// An engine that ingests files of `vfs`.
    pub fn on(vfs: Arc<dyn Vfs>) -> MemEngine {
        MemEngine { state: Arc::default(), vfs }
    }

    /// Loses everything applied since the last checkpoint. Snapshots taken before stay as they are.
    pub fn crash(&self) {
        let mut state = self.state.lock();
        state.live = state.durable.clone();
        state.dirty = 0;
    }
}

impl Engine for MemEngine {
    type Snap = MemSnapshot;

    fn ranges(&self) -> Result<Vec<(RangeId, ApplyState)>> {
        let state = self.state.lock();
        Ok(state.live.states.iter().map(|(range, applied)| (*range, *applied)).collect())
    }

    fn apply(&self, turn: &[(RangeId, &WriteBatch, ApplyState)]) -> Result<()> {
        let mut state = self.state.lock();
        for (range, batch, applied) in turn {
            batch.iter().for_each(|op| state.live.apply(op));
            state.live.states.insert(*range, *applied);
            state.dirty += batch.as_bytes().len() as u64;
        }
        Ok(())
    }

    fn snapshot(&self) -> MemSnapshot {
        MemSnapshot { image: Arc::new(self.state.lock().live.clone()) }
    }

    fn persisted(&self, range: RangeId) -> Result<Option<ApplyState>> {
        Ok(self.state.lock().durable.states.get(&range).copied())
    }

    fn checkpoint(&self) -> Result<()> {
        let mut state = self.state.lock();
        state.durable = state.live.clone();
        state.dirty = 0;
        Ok(())
    }

    fn ingest(&self, range: RangeId, file: &Path, applied: ApplyState) -> Result<()> {
        let mut batch = WriteBatch::new();
        super::for_each_entry(&*self.vfs, file, |key, value| {
            batch.put(Space::Data, key, value);
            Ok(())
        })?;
        self.apply(&[(range, &batch, applied)])
    }

    fn approx_bytes(&self, span: &Span) -> Result<u64> {
        let mut iter = self.snapshot().iter(Space::Data, span)?;
        let mut bytes = 0;
        let mut more = iter.seek_ge(&span.lo)?;
        while more {
            bytes += (iter.key().len() + iter.value().len()) as u64;
            more = iter.next()?;
        }
        Ok(bytes)
    }

    fn set_gc_safe_point(&self, safe_point: Ts) {
        self.state.lock().live.collect_garbage(safe_point);
    }

    fn dirty_bytes(&self) -> u64 {
        self.state.lock().dirty
    }
}

impl Image {
    fn apply(&mut self, op: Op<'_>) {
        match op {
            Op::Put { space, key, value } => {
                self.spaces[space as usize]
                    .insert(Value::copy_from_slice(key), Value::copy_from_slice(value));
            }
            Op::Delete { space, key } => self.spaces[space as usize].remove(key),
            Op::DeleteRange { space, lo, hi } => self.spaces[space as usize].remove_range(lo, hi),
        }
    }

    /// Drops versions of table keys that have a newer version at or below the safe point. Delete
    /// markers stay, as in the engine on disk.
    fn collect_garbage(&mut self, safe_point: Ts) {
        let data = &mut self.spaces[Space::Data as usize];
        let mut doomed = vec![];
        let mut kept: Option<Value> = None;
        let mut at = data.first_ge(&[]);
        while let Some((key, _)) = at {
            if let Some((user, ts)) = super::versioned(key) {
                let covered = kept.as_ref().is_some_and(|k| k[..k.len() - SUFFIX] == *user);
                if covered {
                    doomed.push(key.clone());
                } else if ts <= safe_point {
                    kept = Some(key.clone());
                }
            }
            at = data.first_gt(key);
        }
        doomed.iter().for_each(|key| data.remove(key));
    }
}

/// A frozen image.
#[derive(Clone)]
pub struct MemSnapshot {
    image: Arc<Image>,
}

impl Snapshot for MemSnapshot {
    type Iter = MemIter;

    fn get(&self, space: Space, key: &[u8], _mode: ReadMode) -> Result<Option<Value>> {
        let found = self.image.spaces[space as usize].first_ge(key);
        Ok(found.filter(|(found, _)| *found == key).map(|(_, value)| value.clone()))
    }

    fn get_le_ts(&self, user_key: &[u8], ts: Ts, _mode: ReadMode) -> Result<Option<(Ts, Value)>> {
        let mut key = Vec::with_capacity(user_key.len() + SUFFIX);
        key.extend_from_slice(user_key);
        mvcc::push_suffix(&mut key, ts);
        let Some((found, value)) = self.image.spaces[Space::Data as usize].first_ge(&key) else {
            return Ok(None);
        };
        if found.len() != key.len() || !found.starts_with(user_key) {
            return Ok(None);
        }
        let (_, found_ts) = mvcc::split(found)?;
        Ok(Some((found_ts, value.clone())))
    }

    fn iter(&self, space: Space, span: &Span) -> Result<MemIter> {
        Ok(MemIter { tree: self.image.spaces[space as usize].clone(), span: span.clone(), at: None })
    }

    fn state(&self, range: RangeId) -> Result<Option<ApplyState>> {
        Ok(self.image.states.get(&range).copied())
    }
}

/// A cursor over a frozen tree.
pub struct MemIter {
    tree: Tree,
    span: Span,
    at: Option<(Value, Value)>,
}

impl MemIter {
    /// Takes the entry if it lies within the span.
    fn land(&mut self, direction: Direction, found: Option<(Value, Value)>) -> Result<bool> {
        let span = &self.span;
        self.at = found.filter(|(key, _)| match direction {
            Direction::Forward => span.hi.is_empty() || key[..] < span.hi[..],
            Direction::Reverse => key[..] >= span.lo[..],
        });
        Ok(self.at.is_some())
    }
}

impl Iter for MemIter {
    fn seek_ge(&mut self, key: &[u8]) -> Result<bool> {
        let from = key.max(&self.span.lo);
        let found = self.tree.first_ge(from).map(|(k, v)| (k.clone(), v.clone()));
        self.land(Direction::Forward, found)
    }

    fn seek_lt(&mut self, key: &[u8]) -> Result<bool> {
        let bound = if self.span.hi.is_empty() { key } else { key.min(&self.span.hi) };
        let found = self.tree.last_lt(bound).map(|(k, v)| (k.clone(), v.clone()));
        self.land(Direction::Reverse, found)
    }

    fn next(&mut self) -> Result<bool> {
        let Some((at, _)) = &self.at else { return Ok(false) };
        let found = self.tree.first_gt(at).map(|(k, v)| (k.clone(), v.clone()));
        self.land(Direction::Forward, found)
    }

    fn prev(&mut self) -> Result<bool> {
        let Some((at, _)) = &self.at else { return Ok(false) };
        let found = self.tree.last_lt(at).map(|(k, v)| (k.clone(), v.clone()));
        self.land(Direction::Reverse, found)
    }

    fn key(&self) -> &[u8] {
        self.at.as_ref().map_or(&[], |(key, _)| key)
    }

    fn value(&self) -> &[u8] {
        self.at.as_ref().map_or(&[], |(_, value)| value)
    }
}
