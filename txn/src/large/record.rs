//! The record of a committed large transaction.
//!
//! Bytes, integers little-endian u64: commit timestamp · tag · number of rolled back stretches · from, to
//! of each · then the first and the last key of each index that it wrote, each as length and bytes.

use storage::engine::{AnySnapshot, Direction, RangeId, Space, Span, WriteBatch};
use storage::mvcc::{TxnTag, Version, push_suffix, push_version};
use storage::{Error, Result, Ts};

use super::Extent;
use crate::cursor::Cursor;
use crate::key::{index_prefix, prefix_end};

const RECORDS: u8 = cluster::keys::UPPER_TAGS;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) ts: Ts,
    pub(crate) tag: TxnTag,
    pub(crate) extent: Extent,
}

/// The engine key of a record: its one version lies at `Ts::ZERO`.
pub(crate) fn engine_key(range: RangeId, id: u64) -> Vec<u8> {
    let mut key = cluster::keys::range_local(range, RECORDS);
    key.extend_from_slice(&id.to_be_bytes());
    push_suffix(&mut key, Ts::ZERO);
    key
}

/// The transaction whose record a user key names.
pub(crate) fn owner(range: RangeId, user_key: &[u8]) -> Option<u64> {
    let rest = user_key.strip_prefix(&cluster::keys::range_local(range, RECORDS)[..])?;
    Some(u64::from_be_bytes(rest.try_into().ok()?))
}

pub(crate) fn put(batch: &mut WriteBatch, range: RangeId, id: u64, record: &Record) {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&record.ts.0.to_le_bytes());
    bytes.extend_from_slice(&record.tag.0.to_le_bytes());
    bytes.extend_from_slice(&(record.extent.rolled_back.len() as u64).to_le_bytes());
    for (from, to) in &record.extent.rolled_back {
        bytes.extend_from_slice(&from.to_le_bytes());
        bytes.extend_from_slice(&to.to_le_bytes());
    }
    for (first, last) in record.extent.bounds.values() {
        for key in [first, last] {
            bytes.extend_from_slice(&(key.len() as u64).to_le_bytes());
            bytes.extend_from_slice(key);
        }
    }
    let mut value = Vec::new();
    push_version(&mut value, Version { tag: record.tag, row: Some(&bytes) });
    batch.put(Space::Data, &engine_key(range, id), &value);
}

pub(crate) fn read(bytes: &[u8]) -> Result<Record> {
    parse(bytes).ok_or(Error::Malformed { what: "record of a large transaction" })
}

fn parse(bytes: &[u8]) -> Option<Record> {
    let mut rest = bytes;
    let mut number = || {
        let (head, tail) = rest.split_first_chunk::<8>()?;
        rest = tail;
        Some(u64::from_le_bytes(*head))
    };
    let (ts, tag, stretches) = (number()?, number()?, number()?);
    let mut extent = Extent::default();
    for _ in 0..stretches {
        extent.rolled_back.push((number()?, number()?));
    }
    while !rest.is_empty() {
        let (first, last) = (take_key(&mut rest)?, take_key(&mut rest)?);
        extent.bounds.insert(index_prefix(&first).to_vec(), (first, last));
    }
    Some(Record { ts: Ts(ts), tag: TxnTag(tag), extent })
}

fn take_key(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let (head, tail) = rest.split_first_chunk::<8>()?;
    let key = tail.get(..usize::try_from(u64::from_le_bytes(*head)).ok()?)?;
    *rest = &tail[key.len()..];
    Some(key.to_vec())
}

/// All records of a range.
pub(crate) fn all(snapshot: &AnySnapshot, range: RangeId) -> Result<Vec<(u64, Record)>> {
    let lo = cluster::keys::range_local(range, RECORDS);
    let span = Span { hi: prefix_end(&lo), lo };
    let mut cursor = Cursor::open(snapshot, &span, Direction::Forward, Ts::MAX, None)?;
    let mut records = Vec::new();
    while let Some((key, _, row)) = cursor.current()? {
        if let (Some(id), Some(row)) = (owner(range, key), row) {
            records.push((id, read(row)?));
        }
        cursor.advance()?;
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_cut_bytes_do_not() {
        let mut extent = Extent { rolled_back: vec![(3, 9)], ..Extent::default() };
        extent.include(b"a");
        extent.include(b"abc");
        let record = Record { ts: Ts(77), tag: TxnTag(5), extent };
        let mut batch = WriteBatch::new();
        put(&mut batch, RangeId(2), 42, &record);
        let storage::engine::Op::Put { key, value, .. } = batch.iter().next().unwrap() else { panic!() };
        assert_eq!(owner(RangeId(2), storage::mvcc::split(key).unwrap().0), Some(42));
        let row = storage::mvcc::read_version(value).unwrap().row.unwrap();
        assert_eq!(read(row).unwrap(), record);
        for cut in 1..row.len() {
            let short = read(&row[..row.len() - cut]);
            assert!(short.is_err() || short.unwrap() != record);
        }
    }
}
