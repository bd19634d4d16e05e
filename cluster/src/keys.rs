//! Keys of the replicated state that belongs to ranges themselves, in the data space.
//!
//! | key | holds |
//! |---|---|
//! | `0x02 · range u64 BE · 0x00` | the range's descriptor |
//! | `0x02 · range u64 BE · 0x80..` | left to the layer above (transaction records) |
//! | `0x02 · 1 u64 BE · 0x10` | limit of the timestamp oracle, u64 BE |
//! | `0x02 · 1 u64 BE · 0x11 · name` | next id of an allocator, u64 BE |
//! | `0x02 · 1 u64 BE · 0x12 · node u64 BE` | a registered node |
//!
//! Each is stored as the one version at `Ts::ZERO` (`storage::mvcc`), written in place: replicated
//! state that is not multi-version, under a key that engines can treat like any other.

use storage::engine::{AnySnapshot, RangeId, ReadMode, Snapshot, Space, Span, WriteBatch};
use storage::mvcc::{TxnTag, Version, push_suffix, push_version, read_version};
use storage::{Result, Ts};

use crate::NodeId;

/// The group of the node registry, the id allocators and the timestamp oracle.
pub const META: RangeId = RangeId(1);
/// The first range of table data.
pub const FIRST_DATA: RangeId = RangeId(2);

const STORE_LOCAL: u8 = 0x01;
const RANGE_LOCAL: u8 = 0x02;
const TABLES: u8 = 0x03;

const DESCRIPTOR: u8 = 0x00;
const TSO_LIMIT: u8 = 0x10;
const ALLOCATOR: u8 = 0x11;
const NODE: u8 = 0x12;
/// First tag byte of range-local keys that the layer above names.
pub const UPPER_TAGS: u8 = 0x80;

/// A key that belongs to `range` itself and travels with it; layers above use tags from `UPPER_TAGS`.
pub fn range_local(range: RangeId, tag: u8) -> Vec<u8> {
    let mut key = Vec::with_capacity(18);
    key.push(RANGE_LOCAL);
    key.extend_from_slice(&range.0.to_be_bytes());
    key.push(tag);
    key
}

pub(crate) fn descriptor(range: RangeId) -> Vec<u8> {
    range_local(range, DESCRIPTOR)
}

pub(crate) fn tso_limit() -> Vec<u8> {
    range_local(META, TSO_LIMIT)
}

pub(crate) fn allocator(name: &str) -> Vec<u8> {
    let mut key = range_local(META, ALLOCATOR);
    key.extend_from_slice(name.as_bytes());
    key
}

pub(crate) fn node(id: NodeId) -> Vec<u8> {
    let mut key = range_local(META, NODE);
    key.extend_from_slice(&id.0.to_be_bytes());
    key
}

/// The range that a range-local key belongs to; `None` for other keys.
pub fn owner(key: &[u8]) -> Option<RangeId> {
    let rest = key.strip_prefix(&[RANGE_LOCAL])?;
    Some(RangeId(u64::from_be_bytes(*rest.first_chunk()?)))
}

/// The span of keys that a range is born with, besides its range-local ones.
pub(crate) fn first_span(range: RangeId) -> Span {
    if range == META {
        Span { lo: vec![STORE_LOCAL], hi: vec![RANGE_LOCAL] }
    } else {
        Span { lo: vec![TABLES], hi: vec![] }
    }
}

/// Writes the single version of a key of this module.
pub(crate) fn put(batch: &mut WriteBatch, mut key: Vec<u8>, value: &[u8]) {
    push_suffix(&mut key, Ts::ZERO);
    let mut version = Vec::with_capacity(value.len() + storage::mvcc::HEADER);
    push_version(&mut version, Version { tag: TxnTag(0), row: Some(value) });
    batch.put(Space::Data, &key, &version);
}

/// Reads the single version of a key of this module.
pub(crate) fn get(snapshot: &AnySnapshot, key: &[u8]) -> Result<Option<Vec<u8>>> {
    match snapshot.get_le_ts(key, Ts::MAX, ReadMode::Block)? {
        Some((_, value)) => Ok(read_version(&value)?.row.map(<[u8]>::to_vec)),
        None => Ok(None),
    }
}

/// Reads a stored u64.
pub(crate) fn get_u64(snapshot: &AnySnapshot, key: &[u8]) -> Result<Option<u64>> {
    let Some(bytes) = get(snapshot, key)? else { return Ok(None) };
    let bytes = bytes.try_into().map_err(|_| storage::Error::Malformed { what: "stored counter" })?;
    Ok(Some(u64::from_be_bytes(bytes)))
}
