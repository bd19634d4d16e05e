//! Reading the shim's journal. The format is in the header of `powercut/shim.c`.

use std::fs;
use std::path::{Path, PathBuf};

const MAGIC: u32 = 0x5043_5554;
/// Bytes of a record before its paths.
const HEAD: usize = 56;

/// One change, or one sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Inode of the file, or of the directory that holds the name.
    pub object: u64,
    /// What happened.
    pub change: Change,
}

/// What happened, with what is needed to undo it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Bytes at `offset`; the file had `size` bytes, and `old` in that place.
    Write { offset: u64, size: u64, extent: u64, old: Vec<u8> },
    /// A new length; the file had `size` bytes, and `old` from `to` on.
    Resize { to: u64, size: u64, old: Vec<u8> },
    /// Everything on this object before is durable.
    Sync,
    /// A new name.
    Create(PathBuf),
    /// `from` became `to`; what was at `to` waits in `overwritten`.
    Rename { from: PathBuf, to: PathBuf, overwritten: Option<PathBuf> },
    /// A deleted name; the file waits in `trash`.
    Unlink { path: PathBuf, trash: PathBuf },
    /// A new directory.
    Mkdir(PathBuf),
    /// A removed directory.
    Rmdir(PathBuf),
}

/// Reads a journal; a missing file is an empty one, and a torn last record belongs to a change that was not made.
pub fn read(path: &Path) -> Result<Vec<Record>, String> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let mut rest = &bytes[..];
    let mut records = Vec::new();
    while let Some((record, tail)) = next(rest)? {
        records.push(record);
        rest = tail;
    }
    Ok(records)
}

fn next(bytes: &[u8]) -> Result<Option<(Record, &[u8])>, String> {
    let Some(head) = bytes.get(..HEAD) else { return Ok(None) };
    let u32_at = |at: usize| u32::from_ne_bytes(head[at..at + 4].try_into().expect("four bytes of the head"));
    let u64_at =
        |at: usize| u64::from_ne_bytes(head[at..at + 8].try_into().expect("eight bytes of the head"));
    if u32_at(0) != MAGIC {
        return Err("the journal is damaged: the shim and this reader disagree".into());
    }
    let (path1, path2, data) = (u32_at(40) as usize, u32_at(44) as usize, u64_at(48) as usize);
    let Some(body) = bytes.get(HEAD..HEAD + path1 + path2 + data) else { return Ok(None) };
    let first = path(&body[..path1]);
    let second = path(&body[path1..path1 + path2]);
    let old = body[path1 + path2..].to_vec();
    let (offset, size) = (u64_at(16), u64_at(24));
    let change = match u32_at(4) {
        1 => Change::Write { offset, size, extent: u64_at(32), old },
        2 => Change::Resize { to: offset, size, old },
        3 => Change::Sync,
        4 => Change::Create(first),
        5 => Change::Rename { from: first, to: second, overwritten: (!old.is_empty()).then(|| path(&old)) },
        6 => Change::Unlink { path: first, trash: second },
        7 => Change::Mkdir(first),
        8 => Change::Rmdir(first),
        kind => return Err(format!("the journal holds a record of kind {kind}")),
    };
    Ok(Some((Record { object: u64_at(8), change }, &bytes[HEAD + path1 + path2 + data..])))
}

fn path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}
