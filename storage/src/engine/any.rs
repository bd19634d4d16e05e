//! The engine the upper crates hold: one of the implementations, chosen by an enum.
//!
//! An enum and not `dyn`: the hot calls are a match and a direct call.

use std::path::Path;

use super::lsm::{LsmEngine, LsmIter, LsmSnapshot};
use super::mem::{MemEngine, MemIter, MemSnapshot};
use super::{ApplyState, Engine, Iter, RangeId, ReadMode, Snapshot, Space, Span, Value, WriteBatch};
use crate::{Result, Ts};

/// Any engine.
pub enum AnyEngine {
    Lsm(LsmEngine),
    Mem(MemEngine),
}

/// A snapshot of any engine.
#[derive(Clone)]
pub enum AnySnapshot {
    Lsm(LsmSnapshot),
    Mem(MemSnapshot),
}

/// A cursor of any engine.
pub enum AnyIter {
    Lsm(LsmIter),
    Mem(MemIter),
}

impl From<MemEngine> for AnyEngine {
    fn from(engine: MemEngine) -> AnyEngine {
        AnyEngine::Mem(engine)
    }
}

impl From<LsmEngine> for AnyEngine {
    fn from(engine: LsmEngine) -> AnyEngine {
        AnyEngine::Lsm(engine)
    }
}

impl Engine for AnyEngine {
    type Snap = AnySnapshot;

    fn ranges(&self) -> Result<Vec<(RangeId, ApplyState)>> {
        match self {
            AnyEngine::Lsm(engine) => engine.ranges(),
            AnyEngine::Mem(engine) => engine.ranges(),
        }
    }

    fn apply(&self, turn: &[(RangeId, &WriteBatch, ApplyState)]) -> Result<()> {
        match self {
            AnyEngine::Lsm(engine) => engine.apply(turn),
            AnyEngine::Mem(engine) => engine.apply(turn),
        }
    }

    fn snapshot(&self) -> AnySnapshot {
        match self {
            AnyEngine::Lsm(engine) => AnySnapshot::Lsm(engine.snapshot()),
            AnyEngine::Mem(engine) => AnySnapshot::Mem(engine.snapshot()),
        }
    }

    fn persisted(&self, range: RangeId) -> Result<Option<ApplyState>> {
        match self {
            AnyEngine::Lsm(engine) => engine.persisted(range),
            AnyEngine::Mem(engine) => engine.persisted(range),
        }
    }

    fn checkpoint(&self) -> Result<()> {
        match self {
            AnyEngine::Lsm(engine) => engine.checkpoint(),
            AnyEngine::Mem(engine) => engine.checkpoint(),
        }
    }

    fn ingest(&self, range: RangeId, file: &Path, state: ApplyState) -> Result<()> {
        match self {
            AnyEngine::Lsm(engine) => engine.ingest(range, file, state),
            AnyEngine::Mem(engine) => engine.ingest(range, file, state),
        }
    }

    fn approx_bytes(&self, span: &Span) -> Result<u64> {
        match self {
            AnyEngine::Lsm(engine) => engine.approx_bytes(span),
            AnyEngine::Mem(engine) => engine.approx_bytes(span),
        }
    }

    fn set_gc_safe_point(&self, safe_point: Ts) {
        match self {
            AnyEngine::Lsm(engine) => engine.set_gc_safe_point(safe_point),
            AnyEngine::Mem(engine) => engine.set_gc_safe_point(safe_point),
        }
    }

    fn dirty_bytes(&self) -> u64 {
        match self {
            AnyEngine::Lsm(engine) => engine.dirty_bytes(),
            AnyEngine::Mem(engine) => engine.dirty_bytes(),
        }
    }
}

impl Snapshot for AnySnapshot {
    type Iter = AnyIter;

    fn get(&self, space: Space, key: &[u8], mode: ReadMode) -> Result<Option<Value>> {
        match self {
            AnySnapshot::Lsm(snapshot) => snapshot.get(space, key, mode),
            AnySnapshot::Mem(snapshot) => snapshot.get(space, key, mode),
        }
    }

    fn get_le_ts(&self, user_key: &[u8], ts: Ts, mode: ReadMode) -> Result<Option<(Ts, Value)>> {
        match self {
            AnySnapshot::Lsm(snapshot) => snapshot.get_le_ts(user_key, ts, mode),
            AnySnapshot::Mem(snapshot) => snapshot.get_le_ts(user_key, ts, mode),
        }
    }

    fn iter(&self, space: Space, span: &Span) -> Result<AnyIter> {
        match self {
            AnySnapshot::Lsm(snapshot) => Ok(AnyIter::Lsm(snapshot.iter(space, span)?)),
            AnySnapshot::Mem(snapshot) => Ok(AnyIter::Mem(snapshot.iter(space, span)?)),
        }
    }

    fn state(&self, range: RangeId) -> Result<Option<ApplyState>> {
        match self {
            AnySnapshot::Lsm(snapshot) => snapshot.state(range),
            AnySnapshot::Mem(snapshot) => snapshot.state(range),
        }
    }
}

impl Iter for AnyIter {
    fn seek_ge(&mut self, key: &[u8]) -> Result<bool> {
        match self {
            AnyIter::Lsm(iter) => iter.seek_ge(key),
            AnyIter::Mem(iter) => iter.seek_ge(key),
        }
    }

    fn seek_lt(&mut self, key: &[u8]) -> Result<bool> {
        match self {
            AnyIter::Lsm(iter) => iter.seek_lt(key),
            AnyIter::Mem(iter) => iter.seek_lt(key),
        }
    }

    fn next(&mut self) -> Result<bool> {
        match self {
            AnyIter::Lsm(iter) => iter.next(),
            AnyIter::Mem(iter) => iter.next(),
        }
    }

    fn prev(&mut self) -> Result<bool> {
        match self {
            AnyIter::Lsm(iter) => iter.prev(),
            AnyIter::Mem(iter) => iter.prev(),
        }
    }

    fn key(&self) -> &[u8] {
        match self {
            AnyIter::Lsm(iter) => iter.key(),
            AnyIter::Mem(iter) => iter.key(),
        }
    }

    fn value(&self) -> &[u8] {
        match self {
            AnyIter::Lsm(iter) => iter.value(),
            AnyIter::Mem(iter) => iter.value(),
        }
    }
}
