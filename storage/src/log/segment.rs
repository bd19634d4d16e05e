//! One file of the log.

use std::path::{Path, PathBuf};

use super::format::{HEADER, Header};
use crate::vfs::{Vfs, VfsFile};
use crate::{Error, Result};

pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) file: Box<dyn VfsFile>,
    /// End of the last record written.
    pub(super) end: u64,
    /// Bytes reserved on the disk.
    pub(super) allocated: u64,
}

impl Segment {
    /// Creates the file and reserves its space. Nothing in it counts yet: when this fails the
    /// segment before stays the newest.
    pub(super) fn reserve(vfs: &dyn Vfs, dir: &Path, number: u64, bytes: u64) -> Result<Segment> {
        let path = path(dir, number);
        let file = vfs.create(&path)?;
        if let Err(error) = file.allocate(bytes) {
            // An empty newest segment is ignored by the next open, so a failure here is harmless.
            if let Err(error) = vfs.remove(&path) {
                tracing::warn!(%error, "could not remove an unused raft log segment");
            }
            return Err(error);
        }
        Ok(Segment { number, path, file, end: HEADER as u64, allocated: bytes })
    }

    /// Writes header and first record and makes them durable, the name too: from now on this is
    /// the newest segment.
    pub(super) fn begin(&mut self, vfs: &dyn Vfs, dir: &Path, header: &Header, dump: &[u8]) -> Result<()> {
        let mut bytes = header.encode().to_vec();
        bytes.extend_from_slice(dump);
        self.file.write_at(0, &bytes)?;
        self.file.sync_data()?;
        vfs.sync_dir(dir)?;
        self.end = bytes.len() as u64;
        Ok(())
    }

    /// Bytes of data at `offset`; short data is corruption, since only written places are asked for.
    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        if self.file.read_at(offset, buf)? < buf.len() {
            return Err(self.corrupt(offset, "the file ends too early"));
        }
        Ok(())
    }

    pub(super) fn corrupt(&self, offset: u64, what: &str) -> Error {
        corrupt(&self.path, offset, what)
    }
}

pub(super) fn corrupt(path: &Path, offset: u64, what: &str) -> Error {
    Error::Corruption { path: path.to_path_buf(), what: format!("raft log, offset {offset}: {what}") }
}

pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}.log"))
}

/// The number in a segment's file name.
pub(super) fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    if digits.len() != 16 || digits.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}
