//! A file system in memory that fails as disks do, the same way for the same seed.
//!
//! Every file has its current bytes, its durable bytes and the changes between them; so has the
//! tree of names. [`SimVfs::power_cut`] decides change by change, at sectors of 512 bytes, what
//! reached the disk. Operations that change something are counted: a test runs once to learn the
//! count, then again with the power failing at each of them ([`Faults::crash_at`]).

mod disk;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{DirLock, Vfs, VfsFile};
use crate::Result;
use disk::{Change, Disk, Node, TreeChange};

/// What shall go wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The power fails in the middle of the operation with this number (see [`SimVfs::ops`]): it
    /// and every later call fail; then call [`SimVfs::power_cut`].
    pub crash_at: Option<u64>,
    /// The operation with this number fails with EIO, once. A sync that fails this way has lost an
    /// arbitrary part of what it should have written, for good.
    pub eio_at: Option<u64>,
    /// The read with this number fails with EIO, once.
    pub read_eio_at: Option<u64>,
    /// Bytes that all files together may hold before growth is refused with ENOSPC.
    pub space: Option<u64>,
}

/// What went wrong so far, for a test to show that it tested something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    /// Unsynced changes to files lost, whole.
    pub lost: u64,
    /// Unsynced writes of which only some sectors arrived.
    pub torn: u64,
    /// Changes to directories lost.
    pub lost_names: u64,
    /// Operations refused with EIO.
    pub eio: u64,
    /// Operations refused with ENOSPC.
    pub full: u64,
}

/// See the module's header. Clones share the disk.
#[derive(Clone)]
pub struct SimVfs {
    disk: Arc<Mutex<Disk>>,
}

impl SimVfs {
    /// An empty disk; the seed decides what later losses hit.
    pub fn new(seed: u64) -> SimVfs {
        SimVfs { disk: Arc::new(Mutex::new(Disk::new(seed))) }
    }

    /// Sets what shall go wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.disk.lock().faults = faults;
    }

    /// Operations so far that change something: create, remove, rename, make directory, write,
    /// resize, sync. The next one has the number `ops()`.
    pub fn ops(&self) -> u64 {
        self.disk.lock().ops
    }

    /// Reads so far.
    pub fn reads(&self) -> u64 {
        self.disk.lock().reads
    }

    /// What has gone wrong on this disk and on those that it was made from by power cuts.
    pub fn counts(&self) -> FaultCounts {
        self.disk.lock().counts
    }

    /// Whether [`Faults::crash_at`] has happened.
    pub fn crashed(&self) -> bool {
        self.disk.lock().dark
    }

    /// Turns the power off (open files answer errors from now on) and returns the disk as it comes
    /// back: synced changes are there; of the others any, all or none, at whole sectors.
    pub fn power_cut(&self) -> SimVfs {
        SimVfs { disk: Arc::new(Mutex::new(self.disk.lock().power_cut())) }
    }

    /// Flips the bits of `mask` in one byte, on the disk and in memory, behind everybody's back.
    /// Returns false when the file has no such byte.
    pub fn flip(&self, path: &Path, offset: u64, mask: u8) -> bool {
        self.disk.lock().flip(path, offset, mask)
    }

    /// Bytes held by all files.
    pub fn used(&self) -> u64 {
        self.disk.lock().used()
    }
}

impl Vfs for SimVfs {
    fn create(&self, path: &Path) -> Result<Box<dyn VfsFile>> {
        let inode = self.disk.lock().create(path)?;
        Ok(Box::new(SimFile { disk: self.disk.clone(), inode, path: path.to_path_buf() }))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn VfsFile>> {
        let inode = self.disk.lock().open(path)?;
        Ok(Box::new(SimFile { disk: self.disk.clone(), inode, path: path.to_path_buf() }))
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        let disk = self.disk.lock();
        disk.powered("look up", path)?;
        Ok(disk.node(path).is_some())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let mut disk = self.disk.lock();
        disk.file("remove", path)?;
        disk.change_tree("remove", path, TreeChange::Unlink { path: path.to_path_buf() })
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut disk = self.disk.lock();
        disk.file("rename", from)?;
        let change = TreeChange::Rename { from: from.to_path_buf(), to: to.to_path_buf() };
        disk.change_tree("rename", from, change)
    }

    fn create_dir_all(&self, path: &Path) -> Result<()> {
        let mut disk = self.disk.lock();
        let mut missing: Vec<PathBuf> = path.ancestors().map(Path::to_path_buf).collect();
        missing.retain(|p| disk.node(p).is_none());
        for path in missing.into_iter().rev() {
            let change = TreeChange::Link { path: path.clone(), node: Node::Dir };
            disk.change_tree("create directory", &path, change)?;
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        self.disk.lock().list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.disk.lock().sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> Result<DirLock> {
        self.disk.lock().take_lock(path)?;
        Ok(DirLock { _holder: Box::new(SimLock { disk: self.disk.clone(), path: path.to_path_buf() }) })
    }
}

struct SimLock {
    disk: Arc<Mutex<Disk>>,
    path: PathBuf,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.lock().locks.remove(&self.path);
    }
}

struct SimFile {
    disk: Arc<Mutex<Disk>>,
    inode: u64,
    path: PathBuf,
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.disk.lock().close(self.inode);
    }
}

impl VfsFile for SimFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.disk.lock().read(self.inode, &self.path, offset, buf)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        let change = Change::Write { offset, data: data.to_vec() };
        self.disk.lock().change_file("write", self.inode, &self.path, change)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.disk.lock().change_file("resize", self.inode, &self.path, Change::SetLen(len))
    }

    fn allocate(&self, len: u64) -> Result<()> {
        if len <= self.len()? {
            return Ok(());
        }
        self.disk.lock().change_file("allocate", self.inode, &self.path, Change::SetLen(len))
    }

    fn len(&self) -> Result<u64> {
        let disk = self.disk.lock();
        disk.powered("stat", &self.path)?;
        Ok(disk.inode(self.inode).current.len() as u64)
    }

    fn sync_data(&self) -> Result<()> {
        self.disk.lock().sync_file(self.inode, &self.path)
    }
}

#[cfg(test)]
mod tests;
