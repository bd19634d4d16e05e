//! Writing a sorted export file.

use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::block::{push_entry, push_frame};
use super::{BLOCK_BYTES, HEADER, KvfSummary, MAGIC, MAX_BLOCK, VERSION};
use crate::engine::{batch::put_varint, versioned};
use crate::vfs::{Vfs, VfsFile};
use crate::{Error, Result, Ts};

/// Bytes collected before a write to the file.
const WRITE_BYTES: usize = 1 << 20;

/// Writes one file; without `finish` the file stays unreadable.
pub struct KvfWriter {
    file: Box<dyn VfsFile>,
    path: PathBuf,
    /// Bytes not written yet; they belong at `written`.
    pending: Vec<u8>,
    written: u64,
    block: Vec<u8>,
    block_entries: u64,
    block_first: Vec<u8>,
    last: Vec<u8>,
    index: Vec<u8>,
    blocks: u64,
    entries: u64,
    least: Ts,
    greatest: Ts,
}

impl KvfWriter {
    /// Creates (or empties) the file.
    pub fn create(vfs: &dyn Vfs, path: &Path) -> Result<KvfWriter> {
        let mut pending = MAGIC.to_vec();
        pending.extend_from_slice(&VERSION.to_le_bytes());
        debug_assert_eq!(pending.len(), HEADER);
        Ok(KvfWriter {
            file: vfs.create(path)?,
            path: path.to_owned(),
            pending,
            written: 0,
            block: vec![],
            block_entries: 0,
            block_first: vec![],
            last: vec![],
            index: vec![],
            blocks: 0,
            entries: 0,
            least: Ts::MAX,
            greatest: Ts::ZERO,
        })
    }

    /// Adds an entry. Its key must lie above the one before.
    pub fn add(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if self.entries > 0 && key <= &self.last[..] {
            return Err(Error::Malformed { what: "sorted export file: keys out of order" });
        }
        if key.len().saturating_add(value.len()) > MAX_BLOCK - BLOCK_BYTES {
            return Err(Error::Malformed { what: "sorted export file: an entry is too long" });
        }
        let before: &[u8] = if self.block_entries == 0 { &[] } else { &self.last };
        push_entry(&mut self.block, before, key, value);
        if self.block_entries == 0 {
            self.block_first = key.to_vec();
        }
        self.block_entries += 1;
        self.entries += 1;
        self.last.clear();
        self.last.extend_from_slice(key);
        if let Some((_, ts)) = versioned(key) {
            self.least = self.least.min(ts);
            self.greatest = self.greatest.max(ts);
        }
        if self.block.len() >= BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    /// Writes the rest and makes the file's bytes durable; its name is the caller's business.
    pub fn finish(mut self) -> Result<KvfSummary> {
        if self.block_entries > 0 {
            self.end_block()?;
        }
        let index_at = self.written + self.pending.len() as u64;
        let frame = self.pending.len();
        push_frame(&mut self.pending, &self.index);
        let index_bytes = (self.pending.len() - frame) as u32;
        self.push_footer(index_at, index_bytes);
        self.write_pending()?;
        self.file.sync_data()?;
        let versions = (self.least <= self.greatest).then_some((self.least, self.greatest));
        Ok(KvfSummary { entries: self.entries, bytes: self.written, versions })
    }

    /// Bytes written or about to be, without the block in work.
    pub fn bytes(&self) -> u64 {
        self.written + self.pending.len() as u64
    }

    /// The file's name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn push_footer(&mut self, index_at: u64, index_bytes: u32) {
        let start = self.pending.len();
        self.pending.extend_from_slice(&index_at.to_le_bytes());
        self.pending.extend_from_slice(&index_bytes.to_le_bytes());
        for n in [self.entries, self.blocks, self.least.0, self.greatest.0] {
            self.pending.extend_from_slice(&n.to_le_bytes());
        }
        let sum = xxh3_64(&self.pending[start..]);
        self.pending.extend_from_slice(&sum.to_le_bytes());
        self.pending.extend_from_slice(MAGIC);
    }

    fn end_block(&mut self) -> Result<()> {
        put_varint(&mut self.index, self.written + self.pending.len() as u64);
        put_varint(&mut self.index, self.block_entries);
        put_varint(&mut self.index, self.block_first.len() as u64);
        self.index.extend_from_slice(&self.block_first);
        if self.index.len() > MAX_BLOCK {
            return Err(Error::Malformed { what: "sorted export file: too many blocks" });
        }
        push_frame(&mut self.pending, &self.block);
        self.block.clear();
        self.block_entries = 0;
        self.blocks += 1;
        if self.pending.len() >= WRITE_BYTES { self.write_pending() } else { Ok(()) }
    }

    fn write_pending(&mut self) -> Result<()> {
        self.file.write_at(self.written, &self.pending)?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }
}
