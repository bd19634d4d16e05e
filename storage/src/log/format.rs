//! Bytes of segments: see the tables in the header of [`super`].

use std::ops::Range;

use bytes::Bytes;

use super::batch::{EntryKind, GroupState, HardState, Item};
use super::index::Slot;
use crate::engine::RangeId;
use crate::engine::batch::{get_varint, put_varint};

pub(super) const VERSION: u32 = 1;
pub(super) const HEADER: usize = 64;
/// Bytes of a record in front of its payload.
pub(super) const RECORD: usize = 25;
/// The largest payload: raft proposals end at 32 MiB, a batch merges what queued during one sync.
pub(super) const MAX_PAYLOAD: usize = 1 << 30;
/// Bytes of the checksum in front of an entry's data.
pub(super) const ENTRY_CRC: usize = 4;

const MAGIC: [u8; 8] = *b"PHRAFTLG";
const HEADER_CRC: usize = 60;

const ENTRIES: u8 = 1;
const HARD_STATE: u8 = 2;
const CONF_STATE: u8 = 3;
const COMPACTED: u8 = 4;
const SNAPSHOT: u8 = 5;
const REMOVED: u8 = 6;
const OLDEST: u8 = 7;
const GROUP_STATE: u8 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) segment: u64,
    pub(super) first_seq: u64,
    pub(super) durable_seq: u64,
    pub(super) oldest: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// All zeros, or no bytes at all: the header never reached the disk.
    Empty,
    Bad,
    Newer(u32),
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let fields = [self.segment, self.first_seq, self.durable_seq, self.oldest];
        for (place, field) in out[16..48].chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        let crc = crc32c::crc32c(&out[..HEADER_CRC]);
        out[HEADER_CRC..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Header, HeaderError> {
        let Some(bytes) = bytes.get(..HEADER) else { return Err(HeaderError::Empty) };
        if bytes.iter().all(|b| *b == 0) {
            return Err(HeaderError::Empty);
        }
        if bytes[..8] != MAGIC || u32_at(bytes, HEADER_CRC) != crc32c::crc32c(&bytes[..HEADER_CRC]) {
            return Err(HeaderError::Bad);
        }
        match u32_at(bytes, 8) {
            VERSION => Ok(Header {
                segment: u64_at(bytes, 16),
                first_seq: u64_at(bytes, 24),
                durable_seq: u64_at(bytes, 32),
                oldest: u64_at(bytes, 40),
            }),
            0 => Err(HeaderError::Bad),
            newer => Err(HeaderError::Newer(newer)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum RecordKind {
    Batch = 1,
    Dump = 2,
    Seal = 3,
}

/// A valid record inside the bytes of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) seq: u64,
    pub(super) durable_seq: u64,
    pub(super) kind: RecordKind,
    /// Place of the payload in the segment.
    pub(super) payload: Range<usize>,
}

/// Leaves room for a record's head; the payload follows, then [`finish_record`].
pub(super) fn begin_record(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.resize(start + RECORD, 0);
    start
}

/// Fills in the head of the record at `start`, whose payload reaches to the end of `out`.
pub(super) fn finish_record(
    out: &mut [u8],
    start: usize,
    segment: u64,
    seq: u64,
    durable_seq: u64,
    kind: RecordKind,
) {
    let record = &mut out[start..];
    let len = u32::try_from(record.len() - RECORD).expect("the payload was checked against MAX_PAYLOAD");
    record[4..8].copy_from_slice(&len.to_le_bytes());
    record[8..16].copy_from_slice(&seq.to_le_bytes());
    record[16..24].copy_from_slice(&durable_seq.to_le_bytes());
    record[24] = kind as u8;
    let crc = record_crc(segment, &record[4..]);
    record[..4].copy_from_slice(&crc.to_le_bytes());
}

/// The record at `at`, if there is a valid one of this segment.
pub(super) fn read_record(bytes: &[u8], at: usize, segment: u64) -> Option<Record> {
    let rest = bytes.get(at..)?;
    if rest.len() < RECORD {
        return None;
    }
    let kind = match rest[24] {
        1 => RecordKind::Batch,
        2 => RecordKind::Dump,
        3 => RecordKind::Seal,
        _ => return None,
    };
    let len = u32_at(rest, 4) as usize;
    let (seq, durable_seq) = (u64_at(rest, 8), u64_at(rest, 16));
    if len > MAX_PAYLOAD || len > rest.len() - RECORD || durable_seq >= seq {
        return None;
    }
    if u32_at(rest, 0) != record_crc(segment, &rest[4..RECORD + len]) {
        return None;
    }
    let payload = at + RECORD..at + RECORD + len;
    Some(Record { seq, durable_seq, kind, payload })
}

fn record_crc(segment: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&segment.to_le_bytes()), bytes)
}

/// Checksum of one entry, bound to its place in the group's log.
pub(super) fn entry_crc(group: RangeId, index: u64, term: u64, kind: EntryKind, data: &[u8]) -> u32 {
    let mut head = [0; 25];
    for (place, field) in head.chunks_exact_mut(8).zip([group.0, index, term]) {
        place.copy_from_slice(&field.to_le_bytes());
    }
    head[24] = kind as u8;
    crc32c::crc32c_append(crc32c::crc32c(&head), data)
}

/// Appends an item; for entries also one slot each to `slots`, with `base` the file offset of the
/// first byte of `out`.
pub(super) fn put_item(out: &mut Vec<u8>, item: &Item, segment: u64, base: u64, slots: &mut Vec<Slot>) {
    match item {
        Item::Entries { group, entries } => {
            let first = entries.first().map_or(0, |e| e.index);
            put_numbers(out, ENTRIES, &[group.0, first, entries.len() as u64]);
            for entry in entries {
                out.push(entry.kind as u8);
                put_varint(out, entry.term);
                put_varint(out, entry.data.len() as u64);
                slots.push(Slot {
                    segment,
                    offset: base + out.len() as u64,
                    len: entry.data.len(),
                    term: entry.term,
                    kind: entry.kind,
                    data: Some(entry.data.clone()),
                });
                let crc = entry_crc(*group, entry.index, entry.term, entry.kind, &entry.data);
                out.extend_from_slice(&crc.to_le_bytes());
                out.extend_from_slice(&entry.data);
            }
        }
        Item::HardState { group, state } => {
            put_numbers(out, HARD_STATE, &[group.0, state.term, state.vote, state.commit]);
        }
        Item::ConfState { group, state } => {
            put_numbers(out, CONF_STATE, &[group.0, state.len() as u64]);
            out.extend_from_slice(state);
        }
        Item::Compacted { group, index, term } => put_numbers(out, COMPACTED, &[group.0, *index, *term]),
        Item::Snapshot { group, index, term } => put_numbers(out, SNAPSHOT, &[group.0, *index, *term]),
        Item::Removed { group } => put_numbers(out, REMOVED, &[group.0]),
    }
}

pub(super) fn put_oldest(out: &mut Vec<u8>, oldest: u64) {
    put_numbers(out, OLDEST, &[oldest]);
}

pub(super) fn put_group_state(out: &mut Vec<u8>, group: RangeId, state: &GroupState) {
    let HardState { term, vote, commit } = state.hard_state;
    let (index, truncated_term) = state.truncated;
    let conf = state.conf_state.len() as u64;
    put_numbers(out, GROUP_STATE, &[group.0, term, vote, commit, index, truncated_term, state.last, conf]);
    out.extend_from_slice(&state.conf_state);
}

fn put_numbers(out: &mut Vec<u8>, tag: u8, numbers: &[u64]) {
    out.push(tag);
    numbers.iter().for_each(|n| put_varint(out, *n));
}

/// An item as read back: entries only as places.
#[derive(Debug, PartialEq)]
pub(super) enum Stored {
    Entries { group: RangeId, first: u64, slots: Vec<Slot> },
    HardState { group: RangeId, state: HardState },
    ConfState { group: RangeId, state: Bytes },
    Compacted { group: RangeId, index: u64, term: u64 },
    Snapshot { group: RangeId, index: u64, term: u64 },
    Removed { group: RangeId },
    Oldest(u64),
    GroupState { group: RangeId, state: GroupState },
}

/// Decodes the items of a record; `None` when the payload does not decode.
pub(super) fn read_items(bytes: &[u8], payload: Range<usize>, segment: u64) -> Option<Vec<Stored>> {
    let mut reader = Reader { rest: bytes.get(payload.clone())?, end: payload.end, segment };
    let mut items = vec![];
    while !reader.rest.is_empty() {
        items.push(reader.item()?);
    }
    Some(items)
}

struct Reader<'a> {
    rest: &'a [u8],
    /// Offset in the segment where `rest` ends.
    end: usize,
    segment: u64,
}

impl<'a> Reader<'a> {
    fn item(&mut self) -> Option<Stored> {
        let tag = self.byte()?;
        if tag == OLDEST {
            return Some(Stored::Oldest(self.number()?));
        }
        let group = RangeId(self.number()?);
        Some(match tag {
            ENTRIES => self.entries(group)?,
            HARD_STATE => Stored::HardState { group, state: self.hard_state()? },
            CONF_STATE => Stored::ConfState { group, state: self.bytes()? },
            COMPACTED => Stored::Compacted { group, index: self.number()?, term: self.number()? },
            SNAPSHOT => Stored::Snapshot { group, index: self.number()?, term: self.number()? },
            REMOVED => Stored::Removed { group },
            GROUP_STATE => Stored::GroupState { group, state: self.group_state()? },
            _ => return None,
        })
    }

    fn entries(&mut self, group: RangeId) -> Option<Stored> {
        let (first, count) = (self.number()?, self.number()?);
        let mut slots = vec![];
        for _ in 0..count {
            let kind = EntryKind::from_byte(self.byte()?)?;
            let term = self.number()?;
            let len = usize::try_from(self.number()?).ok()?;
            let offset = (self.end - self.rest.len()) as u64;
            self.take(len.checked_add(ENTRY_CRC)?)?;
            slots.push(Slot { segment: self.segment, offset, len, term, kind, data: None });
        }
        Some(Stored::Entries { group, first, slots })
    }

    fn group_state(&mut self) -> Option<GroupState> {
        let hard_state = self.hard_state()?;
        let truncated = (self.number()?, self.number()?);
        let last = self.number()?;
        Some(GroupState { hard_state, truncated, last, conf_state: self.bytes()? })
    }

    fn hard_state(&mut self) -> Option<HardState> {
        Some(HardState { term: self.number()?, vote: self.number()?, commit: self.number()? })
    }

    fn bytes(&mut self) -> Option<Bytes> {
        let len = usize::try_from(self.number()?).ok()?;
        Some(Bytes::copy_from_slice(self.take(len)?))
    }

    fn number(&mut self) -> Option<u64> {
        get_varint(&mut self.rest)
    }

    fn byte(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests;
