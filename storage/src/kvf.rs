//! The sorted export file: keys in order with their values, checked block by block. Bulk loads,
//! snapshots of ranges and spilled runs are such files.
//!
//! | part | bytes | meaning |
//! |---|---|---|
//! | magic | 8 | `PHKVF\r\n\0` |
//! | version | u32 | 1 |
//! | blocks | | frames of entries |
//! | index | | one frame: per block the varints offset and entries, then first key (varint length, bytes) |
//! | footer | 44 + 16 | index offset u64 · index bytes u32 (frame and all) · entries u64 · blocks u64 · least ts u64 · greatest ts u64 · xxh3 of these u64 · magic |
//!
//! A frame is `stored length u32 · raw length u32 · codec u8 (0 raw, 1 LZ4) · stored bytes · xxh3 u64` of
//! everything before. An entry in a block is `varint bytes shared with the key before · varint more key
//! bytes · varint value length · key bytes · value`. The timestamps cover keys of tables, which carry
//! a version; without any, least is the greatest u64 and greatest is 0. Integers are little-endian.

mod block;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::{KvfCursor, KvfReader};
pub use writer::KvfWriter;

use crate::Ts;

const MAGIC: &[u8; 8] = b"PHKVF\r\n\0";
const VERSION: u32 = 1;
const HEADER: usize = 12;
const FOOTER: usize = 44 + 16;
/// A block is closed when its entries reach this many bytes.
const BLOCK_BYTES: usize = 64 << 10;
/// No block is longer: one entry at most goes over `BLOCK_BYTES`, and rows end at 64 MiB.
const MAX_BLOCK: usize = 128 << 20;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvfSummary {
    pub entries: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Least and greatest timestamp of its versions; `None` when no key carries one.
    pub versions: Option<(Ts, Ts)>,
}
