//! The door to files: everything but RocksDB's own access goes through [`Vfs`].
//!
//! `real` is the operating system; `sim` keeps files in memory and loses, tears and refuses what a
//! real disk may lose, tear and refuse, repeatable from a seed.
//!
//! What callers may rely on, in both:
//! 1. Written bytes are durable after [`VfsFile::sync_data`] returned `Ok`, nothing before.
//! 2. A name (created, renamed, removed) is durable after [`Vfs::sync_dir`] of its directory.
//! 3. After a failed `sync_data` nothing is known about the file's unsynced bytes, and a later
//!    success says nothing about them: the caller must give up, not try again.

mod real;
mod sim;

use std::path::Path;

use crate::{Error, Result};

pub use real::RealVfs;
pub use sim::{FaultCounts, Faults, SimVfs};

/// A file system.
pub trait Vfs: Send + Sync + 'static {
    /// Creates a file for reading and writing, or empties the one that is there.
    fn create(&self, path: &Path) -> Result<Box<dyn VfsFile>>;
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> Result<Box<dyn VfsFile>>;
    /// Whether a file or directory of that name is there.
    fn exists(&self, path: &Path) -> Result<bool>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> Result<()>;
    /// Renames a file, replacing `to` in one step.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Creates a directory and its missing parents; one that is there already is fine.
    fn create_dir_all(&self, path: &Path) -> Result<()>;
    /// Names of the entries of a directory, sorted.
    fn list(&self, dir: &Path) -> Result<Vec<String>>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> Result<()>;
    /// Takes the exclusive lock file `path` (created when missing) until the guard drops or the
    /// process ends; [`Error::InUse`] when another holder has it.
    fn lock(&self, path: &Path) -> Result<DirLock>;
}

/// An open file; positions are explicit, so readers share it.
pub trait VfsFile: Send + Sync {
    /// Fills `buf` from `offset` and returns how much there was: less than `buf` only at the end.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize>;
    /// Writes all of `data`; the file grows as needed, a gap reads as zeros.
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()>;
    /// Cuts the file, or grows it with zeros.
    fn set_len(&self, len: u64) -> Result<()>;
    /// Grows the file to `len` with its space reserved: later writes below `len` do not meet
    /// [`Error::DiskFull`] on file systems that can promise this. Never cuts.
    fn allocate(&self, len: u64) -> Result<()>;
    /// Length in bytes.
    fn len(&self) -> Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Waits until every byte written so far, and the length, is durable. See rule 3 above for
    /// what an error means.
    fn sync_data(&self) -> Result<()>;
}

/// Holds a lock file; dropping it lets go.
pub struct DirLock {
    _holder: Box<dyn std::any::Any + Send + Sync>,
}

impl std::fmt::Debug for DirLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DirLock")
    }
}

/// Reads a whole file into memory.
pub fn read_file(vfs: &dyn Vfs, path: &Path) -> Result<Vec<u8>> {
    let file = vfs.open(path)?;
    let len = usize::try_from(file.len()?).map_err(|_| Error::Malformed { what: "file length" })?;
    let mut bytes = vec![0; len];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

fn io_error(op: &'static str, path: &Path, source: std::io::Error) -> Error {
    let path = path.to_path_buf();
    match source.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => Error::DiskFull { op, path },
        _ => Error::Io { op, path, source },
    }
}
