//! Row engines: ordered byte maps that apply replicated batches.
//!
//! The contract, kept by every implementation and tested by one conformance suite:
//! 1. A batch is atomic and visible when `apply` returns; it is not durable, and `apply` never syncs.
//! 2. After a crash an engine's state equals some prefix of the applied batches.
//! 3. `ApplyState` is written in the same atom as the data it belongs to; `persisted` reads it from
//!    what a crash right now would leave, and gates the truncation of the raft log.
//! 4. Readers never block the writer; a snapshot is consistent over both spaces and the apply state.

pub mod any;
pub mod batch;
pub mod lsm;
pub mod mem;

pub use any::{AnyEngine, AnyIter, AnySnapshot};
pub use batch::{BatchReader, Op, WriteBatch};

use crate::kvf::KvfReader;
use crate::vfs::Vfs;
use crate::{Result, Ts};

/// A range, and the raft group that replicates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RangeId(pub u64);

/// The two key spaces of a range. `Data` holds committed versions (`user key ‖ !ts`), `Intent`
/// holds provisional values and locks under the plain user key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Space {
    Data = 0,
    Intent = 1,
}

/// How far a range's log has been applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApplyState {
    /// Index of the last applied raft entry.
    pub applied: u64,
    /// Term of that entry.
    pub term: u64,
}

/// Whether a read may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadMode {
    /// Wait for the disk.
    Block,
    /// Answer `Error::WouldBlock` instead of waiting.
    CacheOnly,
}

/// Half-open span of keys `[lo, hi)`; an empty `hi` has no upper bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub lo: Vec<u8>,
    pub hi: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Forward,
    Reverse,
}

/// A value read from an engine.
pub type Value = bytes::Bytes;

pub trait Engine: Send + Sync + 'static {
    type Snap: Snapshot;

    /// Ranges that survived the restart.
    fn ranges(&self) -> Result<Vec<(RangeId, ApplyState)>>;
    /// Applies the batches of one turn of the apply loop as one atom: every range's effects and
    /// its new apply state.
    fn apply(&self, turn: &[(RangeId, &WriteBatch, ApplyState)]) -> Result<()>;
    /// A view of everything applied so far. Cheap; hold it for seconds at most.
    fn snapshot(&self) -> Self::Snap;
    /// The apply state a crash right now would leave.
    fn persisted(&self, range: RangeId) -> Result<Option<ApplyState>>;
    /// Makes everything applied so far durable, all ranges and spaces together. Blocks.
    fn checkpoint(&self) -> Result<()>;
    /// Adds the versions of a sorted export file to `range` in the data space (bulk load).
    fn ingest(&self, range: RangeId, file: &std::path::Path, state: ApplyState) -> Result<()>;
    /// Estimated bytes in a span of the data space.
    fn approx_bytes(&self, span: &Span) -> Result<u64>;
    /// Removes versions that no reader at or above `safe_point` can see.
    fn set_gc_safe_point(&self, safe_point: Ts);
    /// Bytes applied and not yet durable.
    fn dirty_bytes(&self) -> u64;
}

pub trait Snapshot: Clone + Send + Sync + 'static {
    type Iter: Iter;

    fn get(&self, space: Space, key: &[u8], mode: ReadMode) -> Result<Option<Value>>;
    /// The newest version of `user_key` with a timestamp at or below `ts`: the hot call.
    fn get_le_ts(&self, user_key: &[u8], ts: Ts, mode: ReadMode) -> Result<Option<(Ts, Value)>>;
    /// An iterator bounded by `span` of full engine keys (with version suffix in `Space::Data`).
    fn iter(&self, space: Space, span: &Span) -> Result<Self::Iter>;
    /// The apply state of a range in this view.
    fn state(&self, range: RangeId) -> Result<Option<ApplyState>>;
}

/// A cursor; unpositioned until the first seek. `key` and `value` are valid after a call that
/// returned `true`, until the next call.
pub trait Iter: Send {
    /// Positions at the first entry at or after `key`.
    fn seek_ge(&mut self, key: &[u8]) -> Result<bool>;
    /// Positions at the last entry before `key`.
    fn seek_lt(&mut self, key: &[u8]) -> Result<bool>;
    fn next(&mut self) -> Result<bool>;
    fn prev(&mut self) -> Result<bool>;
    fn key(&self) -> &[u8];
    fn value(&self) -> &[u8];
}

/// Splits an engine key that carries a version: a key of a table. Store-local and range-local keys
/// (first byte below 0x03) lie in the data space too but have no versions.
pub(crate) fn versioned(key: &[u8]) -> Option<(&[u8], Ts)> {
    let table = key.first().is_some_and(|&b| b >= crate::key::TABLE_BYTE);
    crate::mvcc::split(key).ok().filter(|_| table)
}

/// Hands every entry of a sorted export file to `take`, in order.
fn for_each_entry(
    vfs: &dyn Vfs,
    file: &std::path::Path,
    mut take: impl FnMut(&[u8], &[u8]) -> Result<()>,
) -> Result<()> {
    let reader = KvfReader::open(vfs, file)?;
    let mut cursor = reader.cursor();
    while cursor.advance()? {
        take(cursor.key(), cursor.value())?;
    }
    Ok(())
}
