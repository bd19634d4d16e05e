//! The raft log of all groups of a node: the only write-ahead log there is.
//!
//! The way of a write: [`RaftLog::append`] encodes a [`LogBatch`] as one record into memory,
//! [`RaftLog::sync`] writes all waiting records and makes them durable with one `fdatasync` for all
//! groups. Later [`RaftLog::compact`] lets go of entries that the engine holds durably; a segment
//! in which no group has a live entry is deleted, oldest first.
//! `batch` is what callers hand in, `format` the bytes, `index` what is known in memory (entry
//! positions, states, cached tail), `segment` one file, `recover` the opening, `writer` the rest.
//!
//! # Format, version 1 (integers little-endian; `v` is an LEB128 varint)
//!
//! Files `<segment number, 16 hex digits>.log`, contiguous numbers, space preallocated with zeros.
//! A segment begins with a header of 64 bytes:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic `PHRAFTLG` |
//! | 8 | 4 | format version; header length and checksum place stay the same in all versions |
//! | 12 | 4 | zero |
//! | 16 | 8 | segment number |
//! | 24 | 8 | seq of the first record |
//! | 32 | 8 | highest seq known durable when the segment was made |
//! | 40 | 8 | oldest segment needed; those before it may be gone |
//! | 48 | 12 | zero |
//! | 60 | 4 | crc32c of bytes 0..60 |
//!
//! then records without gaps, the first of kind dump, until zeros:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | crc32c of the segment number (8 bytes), then of bytes 4..25+n |
//! | 4 | 4 | n, length of the payload |
//! | 8 | 8 | seq: 1, 2, 3 .. over all segments |
//! | 16 | 8 | highest seq known durable when the record was made, below its own |
//! | 24 | 1 | kind: 1 batch, 2 dump of all group states, 3 seal (no payload) |
//! | 25 | n | payload: items until its end |
//!
//! | tag | item | fields |
//! |---|---|---|
//! | 1 | entries | group v, first index v, count v, then each: kind u8 (0 normal, 1 conf change, 2 conf change v2), term v, length v, crc32c u32 of group, index, term (8 bytes each), kind and data, then data |
//! | 2 | hard state | group v, term v, vote v, commit v |
//! | 3 | conf state | group v, length v, bytes |
//! | 4 | compacted | group v, index v, term v of the last entry let go |
//! | 5 | snapshot installed | group v, index v, term v; all entries are gone |
//! | 6 | group removed | group v |
//! | 7 | oldest segment needed | segment v |
//! | 8 | group state (in dumps only) | group v, term v, vote v, commit v, truncated index v, its term v, last index v, length v, conf state |
//!
//! # Torn tail or corruption
//!
//! One record is one batch, atomic over its groups. All segments but the newest are wholly durable:
//! a bad record there is corruption. In the newest, a bad record is corruption when some valid
//! record behind it says that it was durable; else it is the torn tail of the last, unacknowledged
//! write, and is left out: a new segment begins after it. [`RaftLog::seal`], called once a node falls
//! idle, says so for the last batch. A newest segment without a valid first record was being made
//! when the power failed, and is made anew. Corruption is an error with file and offset; nothing is
//! repaired silently.

mod batch;
mod format;
mod index;
mod recover;
mod segment;
#[cfg(test)]
mod tests;
mod writer;

pub use batch::{EntryKind, GroupState, HardState, LogBatch, LogEntry};
pub use writer::{LogOptions, LogStats, RaftLog, SyncFailed};
