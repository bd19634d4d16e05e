//! Files of the operating system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{DirLock, Vfs, VfsFile, io_error};
use crate::{Error, Result};

/// The operating system's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealVfs;

impl RealVfs {
    /// The one there is.
    pub fn new() -> RealVfs {
        RealVfs
    }
}

struct RealFile {
    file: File,
    path: PathBuf,
}

impl RealFile {
    fn boxed(file: File, path: &Path) -> Box<dyn VfsFile> {
        Box::new(RealFile { file, path: path.to_path_buf() })
    }
}

impl Vfs for RealVfs {
    fn create(&self, path: &Path) -> Result<Box<dyn VfsFile>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path);
        Ok(RealFile::boxed(file.map_err(|e| io_error("create", path, e))?, path))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn VfsFile>> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        Ok(RealFile::boxed(file.map_err(|e| io_error("open", path, e))?, path))
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        path.try_exists().map_err(|e| io_error("look up", path, e))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        fs::remove_file(path).map_err(|e| io_error("remove", path, e))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to).map_err(|e| io_error("rename", from, e))
    }

    fn create_dir_all(&self, path: &Path) -> Result<()> {
        fs::create_dir_all(path).map_err(|e| io_error("create directory", path, e))
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        let failed = |e| io_error("list directory", dir, e);
        let mut names = vec![];
        for entry in fs::read_dir(dir).map_err(failed)? {
            // A name that is not UTF-8 is none of ours.
            names.extend(entry.map_err(failed)?.file_name().into_string().ok());
        }
        names.sort();
        Ok(names)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        // The parent of a relative name is the empty path; it means the current directory.
        let name = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        File::open(name).and_then(|d| d.sync_all()).map_err(|e| io_error("sync directory", dir, e))
    }

    fn lock(&self, path: &Path) -> Result<DirLock> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|e| io_error("open", path, e))?;
        match file.try_lock() {
            Ok(()) => Ok(DirLock { _holder: Box::new(file) }),
            Err(TryLockError::WouldBlock) => {
                Err(Error::InUse { path: path.parent().unwrap_or(path).to_path_buf() })
            }
            Err(TryLockError::Error(e)) => Err(io_error("lock", path, e)),
        }
    }
}

impl VfsFile for RealFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.file.read_at(&mut buf[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(io_error("read", &self.path, e)),
            }
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.file.write_all_at(data, offset).map_err(|e| io_error("write", &self.path, e))
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len).map_err(|e| io_error("resize", &self.path, e))
    }

    fn allocate(&self, len: u64) -> Result<()> {
        if len <= self.len()? {
            return Ok(());
        }
        match fallocate(&self.file, len) {
            // Not every file system can reserve; a longer file is then the next best thing.
            Err(e) if e.raw_os_error() == Some(libc::EOPNOTSUPP) => self.set_len(len),
            other => other.map_err(|e| io_error("allocate", &self.path, e)),
        }
    }

    fn len(&self) -> Result<u64> {
        Ok(self.file.metadata().map_err(|e| io_error("stat", &self.path, e))?.len())
    }

    fn sync_data(&self) -> Result<()> {
        self.file.sync_data().map_err(|e| io_error("fsync", &self.path, e))
    }
}

fn fallocate(file: &File, len: u64) -> io::Result<()> {
    let len = libc::off_t::try_from(len).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
    loop {
        // SAFETY: the descriptor is open for as long as `file` is borrowed; no memory is passed.
        if unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, len) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_read_back_and_names_follow() {
        let dir = tempfile::tempdir().unwrap();
        let vfs = RealVfs::new();
        let sub = dir.path().join("a/b");
        vfs.create_dir_all(&sub).unwrap();
        let file = vfs.create(&sub.join("x")).unwrap();
        file.write_at(3, b"abc").unwrap();
        file.allocate(4096).unwrap();
        file.allocate(10).unwrap();
        assert_eq!(file.len().unwrap(), 4096);
        file.set_len(5).unwrap();
        file.sync_data().unwrap();
        vfs.rename(&sub.join("x"), &sub.join("y")).unwrap();
        vfs.sync_dir(&sub).unwrap();
        assert_eq!(vfs.list(&sub).unwrap(), ["y"]);
        let mut buf = [9; 8];
        assert_eq!(vfs.open(&sub.join("y")).unwrap().read_at(0, &mut buf).unwrap(), 5);
        assert_eq!(&buf[..5], b"\0\0\0ab");
        assert!(matches!(vfs.open(&sub.join("x")), Err(Error::Io { op: "open", .. })));
        vfs.remove(&sub.join("y")).unwrap();
        assert!(!vfs.exists(&sub.join("y")).unwrap());
    }

    #[test]
    fn a_locked_directory_is_in_use_until_the_guard_drops() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("LOCK");
        let held = RealVfs.lock(&path).unwrap();
        match RealVfs.lock(&path) {
            Err(Error::InUse { path }) => assert_eq!(path, dir.path()),
            other => panic!("{other:?}"),
        }
        drop(held);
        RealVfs.lock(&path).unwrap();
    }

    #[test]
    fn a_full_device_says_so() {
        let full = RealVfs.open(Path::new("/dev/full")).unwrap();
        assert!(matches!(full.write_at(0, b"x"), Err(Error::DiskFull { op: "write", .. })));
    }
}
