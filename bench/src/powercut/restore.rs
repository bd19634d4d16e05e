//! What a power cut leaves: everything synced, and of each file and directory some prefix of its unsynced changes.
//!
//! Each file and each directory chooses for itself, so that changes to different files are lost out of order: half of
//! them lose all that is unsynced, the others keep a random number of changes, the last one torn at 512 bytes. (Within
//! one file later writes never survive earlier lost ones; that is milder than a disk may be, and is written in the
//! README of this crate.)

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rand::Rng;

use super::journal::{Change, Record};

/// A disk writes this much at once or not at all.
const SECTOR: u64 = 512;

/// What was taken back.
#[derive(Debug, Default, Clone, Copy)]
pub struct Loss {
    /// Writes and truncations undone, torn ones included.
    pub writes: usize,
    /// Names undone.
    pub names: usize,
    /// Unsynced changes that survived.
    pub survived: usize,
}

/// Takes unsynced changes back, in reverse order: first bytes (by inode, wherever the file is now), then names.
pub fn restore(records: &[Record], places: &[&Path], rng: &mut impl Rng) -> Result<Loss, String> {
    let mut loss = Loss::default();
    let fates = decide(records, rng, &mut loss);
    let files = by_inode(places);
    for (record, fate) in records.iter().zip(&fates).rev() {
        undo_bytes(record, *fate, &files, &mut loss, rng)?;
    }
    for (record, fate) in records.iter().zip(&fates).rev() {
        if *fate != Fate::Kept {
            undo_name(&record.change, &mut loss)?;
        }
    }
    Ok(loss)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Torn,
    Lost,
}

fn decide(records: &[Record], rng: &mut impl Rng, loss: &mut Loss) -> Vec<Fate> {
    // Ordered, so that a seed decides the same way each time.
    let mut unsynced: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (at, record) in records.iter().enumerate() {
        match record.change {
            Change::Sync => drop(unsynced.remove(&record.object)),
            _ => unsynced.entry(record.object).or_default().push(at),
        }
    }
    let mut fates = vec![Fate::Kept; records.len()];
    for changes in unsynced.values() {
        let keep = if rng.random_bool(0.5) { 0 } else { rng.random_range(0..=changes.len()) };
        loss.survived += keep;
        for (place, at) in changes.iter().enumerate().skip(keep) {
            fates[*at] = if place == keep && rng.random_bool(0.3) { Fate::Torn } else { Fate::Lost };
        }
    }
    fates
}

fn by_inode(places: &[&Path]) -> HashMap<u64, PathBuf> {
    let mut found = HashMap::new();
    let mut open: Vec<PathBuf> = places.iter().map(|place| place.to_path_buf()).collect();
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => open.push(entry.path()),
                Ok(metadata) => drop(found.insert(metadata.ino(), entry.path())),
                Err(_) => {}
            }
        }
    }
    found
}

fn undo_bytes(
    record: &Record,
    fate: Fate,
    files: &HashMap<u64, PathBuf>,
    loss: &mut Loss,
    rng: &mut impl Rng,
) -> Result<(), String> {
    let (offset, size, old) = match &record.change {
        Change::Write { offset, size, old, .. } => (*offset, *size, old),
        Change::Resize { to, size, old } => (*to, *size, old),
        _ => return Ok(()),
    };
    // A file that is nowhere was deleted with its name before the shim saw it: nothing of it can come back.
    let (Fate::Lost | Fate::Torn, Some(path)) = (fate, files.get(&record.object)) else { return Ok(()) };
    loss.writes += 1;
    let extent = match &record.change {
        Change::Write { extent, .. } => *extent,
        _ => 0,
    };
    // A torn write keeps its first sectors: only the rest is taken back.
    let kept = if fate == Fate::Torn { torn_at(offset, extent, rng) } else { 0 };
    let undo = || -> std::io::Result<()> {
        let file = File::options().write(true).open(path)?;
        file.set_len(size.max(if kept > 0 { offset + kept } else { 0 }))?;
        if let Some(rest) = old.get(usize::try_from(kept).unwrap_or(usize::MAX)..) {
            file.write_all_at(rest, offset + kept)?;
        }
        Ok(())
    };
    undo().map_err(|error| format!("undoing a write to {}: {error}", path.display()))
}

/// How many bytes of a torn write reached the disk: up to a sector's border inside it, 0 if there is none.
fn torn_at(offset: u64, extent: u64, rng: &mut impl Rng) -> u64 {
    let first = offset / SECTOR + 1;
    let last = (offset + extent) / SECTOR;
    if first > last { 0 } else { (rng.random_range(first..=last) * SECTOR - offset).min(extent) }
}

fn undo_name(change: &Change, loss: &mut Loss) -> Result<(), String> {
    let done = match change {
        Change::Create(path) => tolerate_missing(fs::remove_file(path)),
        Change::Rename { from, to, overwritten } => tolerate_missing(fs::rename(to, from)).and_then(|()| {
            overwritten.as_ref().map_or(Ok(()), |kept| tolerate_missing(fs::rename(kept, to)))
        }),
        Change::Unlink { path, trash } => tolerate_missing(fs::rename(trash, path)),
        Change::Mkdir(path) => tolerate_missing(fs::remove_dir_all(path)),
        Change::Rmdir(path) => fs::create_dir_all(path),
        Change::Write { .. } | Change::Resize { .. } | Change::Sync => return Ok(()),
    };
    loss.names += 1;
    done.map_err(|error| format!("undoing {change:?}: {error}"))
}

/// The change had been noted and not yet made when the process was killed, or went with its directory.
fn tolerate_missing(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
