//! Reading a sorted export file: no byte is answered before its block's checksum was checked.

use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::block::{FRAME, read_entry, read_frame};
use super::{FOOTER, HEADER, KvfSummary, MAGIC, MAX_BLOCK, VERSION};
use crate::engine::batch::get_varint;
use crate::vfs::{Vfs, VfsFile};
use crate::{Error, Result, Ts};

/// Where a block lies.
struct BlockPlace {
    offset: u64,
    len: usize,
    entries: u64,
    first_key: Vec<u8>,
}

/// An open file with its index in memory.
pub struct KvfReader {
    file: Box<dyn VfsFile>,
    path: PathBuf,
    index: Vec<BlockPlace>,
    summary: KvfSummary,
}

/// The footer's fields.
struct Footer {
    index_at: u64,
    index_bytes: u32,
    entries: u64,
    blocks: u64,
    least: Ts,
    greatest: Ts,
}

impl KvfReader {
    /// Opens a finished file and checks header, footer and index.
    pub fn open(vfs: &dyn Vfs, path: &Path) -> Result<KvfReader> {
        let file = vfs.open(path)?;
        let bytes = file.len()?;
        let versions = None;
        let summary = KvfSummary { entries: 0, bytes, versions };
        let mut reader = KvfReader { file, path: path.to_owned(), index: vec![], summary };
        reader.check_header()?;
        let footer = reader.read_footer()?;
        reader.index = reader.read_index(&footer)?;
        reader.summary.entries = footer.entries;
        reader.summary.versions =
            (footer.least <= footer.greatest).then_some((footer.least, footer.greatest));
        Ok(reader)
    }

    pub fn summary(&self) -> KvfSummary {
        self.summary
    }

    /// A cursor in front of the first entry.
    pub fn cursor(&self) -> KvfCursor<'_> {
        KvfCursor { reader: self, block: vec![], at: 0, left: 0, next_block: 0, key: vec![], value: (0, 0) }
    }

    fn check_header(&self) -> Result<()> {
        let header = self.read(0, HEADER)?;
        let (magic, version) = header.split_at(MAGIC.len());
        let found = u32::from_le_bytes(version.try_into().expect("four bytes"));
        if magic != MAGIC || found == 0 {
            return Err(self.corruption("it is not a sorted export file"));
        }
        if found > VERSION {
            return Err(Error::NewerFormat { path: self.path.clone(), found, supported: VERSION });
        }
        Ok(())
    }

    fn read_footer(&self) -> Result<Footer> {
        let at = self.summary.bytes.checked_sub(FOOTER as u64).filter(|at| *at >= HEADER as u64);
        let at = at.ok_or_else(|| self.corruption("it is cut short"))?;
        let bytes = self.read(at, FOOTER)?;
        let (body, tail) = bytes.split_at(FOOTER - 16);
        let (sum, magic) = tail.split_at(8);
        if magic != MAGIC || xxh3_64(body).to_le_bytes() != sum {
            return Err(self.corruption("the footer is damaged or missing"));
        }
        let long = |at: usize| u64::from_le_bytes(body[at..at + 8].try_into().expect("eight bytes"));
        let index_bytes = u32::from_le_bytes(body[8..12].try_into().expect("four bytes"));
        let footer = Footer {
            index_at: long(0),
            index_bytes,
            entries: long(12),
            blocks: long(20),
            least: Ts(long(28)),
            greatest: Ts(long(36)),
        };
        let ends = footer.index_at.checked_add(u64::from(index_bytes));
        if ends != Some(at) || footer.index_at < HEADER as u64 || index_bytes as usize > MAX_BLOCK + FRAME {
            return Err(self.corruption("the footer does not fit the file"));
        }
        Ok(footer)
    }

    fn read_index(&self, footer: &Footer) -> Result<Vec<BlockPlace>> {
        let frame = self.read(footer.index_at, footer.index_bytes as usize)?;
        let raw = read_frame(&frame).map_err(|what| self.corruption(what))?;
        let mut index = parse_index(&raw).ok_or_else(|| self.corruption("the index does not decode"))?;
        let mut end = footer.index_at;
        for block in index.iter_mut().rev() {
            let len = end.checked_sub(block.offset).and_then(|len| usize::try_from(len).ok());
            block.len = len.filter(|len| (FRAME..=MAX_BLOCK + FRAME).contains(len)).unwrap_or(0);
            if block.len == 0 {
                return Err(self.corruption("the index does not fit the file"));
            }
            end = block.offset;
        }
        let entries = index.iter().try_fold(0u64, |sum, block| sum.checked_add(block.entries));
        if end != HEADER as u64 && !index.is_empty()
            || index.len() as u64 != footer.blocks
            || entries != Some(footer.entries)
        {
            return Err(self.corruption("the index does not fit the footer"));
        }
        Ok(index)
    }

    fn read_block(&self, i: usize) -> Result<Vec<u8>> {
        let place = &self.index[i];
        let frame = self.read(place.offset, place.len)?;
        read_frame(&frame).map_err(|what| self.corruption(what))
    }

    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        if self.file.read_at(offset, &mut bytes)? < len {
            return Err(self.corruption("it is cut short"));
        }
        Ok(bytes)
    }

    fn corruption(&self, what: &str) -> Error {
        Error::Corruption { path: self.path.clone(), what: what.to_owned() }
    }
}

/// Blocks of an index, their lengths still unknown.
fn parse_index(mut rest: &[u8]) -> Option<Vec<BlockPlace>> {
    let mut index = vec![];
    while !rest.is_empty() {
        let offset = get_varint(&mut rest)?;
        let entries = get_varint(&mut rest)?;
        let len = usize::try_from(get_varint(&mut rest)?).ok()?;
        let (first_key, tail) = rest.split_at_checked(len)?;
        index.push(BlockPlace { offset, len: 0, entries, first_key: first_key.to_vec() });
        rest = tail;
    }
    Some(index)
}

/// Walks the entries in order. `key` and `value` are valid after a call that answered `true`.
pub struct KvfCursor<'r> {
    reader: &'r KvfReader,
    block: Vec<u8>,
    /// Offset in `block` of the next entry.
    at: usize,
    /// Entries of the block not read yet.
    left: u64,
    next_block: usize,
    key: Vec<u8>,
    value: (usize, usize),
}

impl KvfCursor<'_> {
    /// Moves to the next entry; `false` at the end.
    pub fn advance(&mut self) -> Result<bool> {
        while self.left == 0 {
            if self.at != self.block.len() {
                return Err(self.reader.corruption("a block holds more than its entries"));
            }
            if self.next_block == self.reader.index.len() {
                return Ok(false);
            }
            self.load(self.next_block)?;
        }
        let mut rest = &self.block[self.at..];
        let value = read_entry(&mut rest, &mut self.key).map(<[u8]>::len);
        let len = value.ok_or_else(|| self.reader.corruption("an entry does not decode"))?;
        self.at = self.block.len() - rest.len();
        self.value = (self.at - len, self.at);
        self.left -= 1;
        Ok(true)
    }

    /// Moves to the first entry at or after `key`.
    pub fn seek_ge(&mut self, key: &[u8]) -> Result<bool> {
        let after = self.reader.index.partition_point(|block| &block.first_key[..] <= key);
        self.at = 0;
        self.left = 0;
        self.block.clear();
        self.next_block = after.saturating_sub(1);
        while self.advance()? {
            if &self.key[..] >= key {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub fn key(&self) -> &[u8] {
        &self.key
    }

    pub fn value(&self) -> &[u8] {
        &self.block[self.value.0..self.value.1]
    }

    fn load(&mut self, i: usize) -> Result<()> {
        self.block = self.reader.read_block(i)?;
        self.at = 0;
        self.left = self.reader.index[i].entries;
        self.next_block = i + 1;
        self.key.clear();
        Ok(())
    }
}
