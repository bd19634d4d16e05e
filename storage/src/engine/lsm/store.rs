//! The RocksDB database in its directory.
//!
//! Beside RocksDB's own files lies `FORMAT`: the line `phantomdb lsm <version>`. Family `meta` maps
//! the range id (u64, big-endian) to `applied · term`, two little-endian u64.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, FlushOptions, IngestExternalFileOptions, IteratorMode, Options,
    Range, ReadOptions, ReadTier, SstFileWriter, WriteBatch, WriteOptions,
};

use super::super::{ApplyState, RangeId, Space, Span};
use super::options::LsmOptions;
use crate::vfs::{self, RealVfs, Vfs};
use crate::{Error, Result};

const FORMAT_FILE: &str = "FORMAT";
const FORMAT_PREFIX: &str = "phantomdb lsm ";
/// Newest format this program reads and writes.
const FORMAT_VERSION: u32 = 1;

/// A column family.
#[derive(Clone, Copy)]
pub(super) enum Family {
    Data,
    Intent,
    Meta,
}

impl Family {
    const ALL: [Family; 3] = [Family::Data, Family::Intent, Family::Meta];

    fn name(self) -> &'static str {
        match self {
            Family::Data => "data",
            Family::Intent => "intent",
            Family::Meta => "meta",
        }
    }
}

/// Files on their way into the database; what an ended process left is removed at open.
const TABLE_PREFIX: &str = "ingest-";

/// The open database.
pub(super) struct Store {
    db: DB,
    dir: PathBuf,
    /// Options of the data family: files to ingest are built with the same filters.
    data: Options,
    /// Numbers the files built for ingestion.
    tables: AtomicU64,
}

impl Store {
    pub(super) fn open(dir: &Path, options: &LsmOptions, safe_point: &Arc<AtomicU64>) -> Result<Store> {
        check_format(dir)?;
        let families = options.build(safe_point);
        let data = families.data.clone();
        let descriptors = [
            ColumnFamilyDescriptor::new("default", families.unused),
            ColumnFamilyDescriptor::new(Family::Data.name(), families.data),
            ColumnFamilyDescriptor::new(Family::Intent.name(), families.intent),
            ColumnFamilyDescriptor::new(Family::Meta.name(), families.meta),
        ];
        let db = DB::open_cf_descriptors(&families.db, dir, descriptors);
        let db = db.map_err(|e| super::error(dir, "open", e))?;
        // After the open: RocksDB's lock keeps a second process from getting here.
        remove_tables(dir)?;
        Ok(Store { db, dir: dir.to_owned(), data, tables: AtomicU64::new(0) })
    }

    pub(super) fn db(&self) -> &DB {
        &self.db
    }

    pub(super) fn family(&self, family: Family) -> &ColumnFamily {
        self.db.cf_handle(family.name()).expect("open made the family")
    }

    pub(super) fn error(&self, op: &'static str, e: rocksdb::Error) -> Error {
        super::error(&self.dir, op, e)
    }

    /// Writes a batch without a log and without waiting for the disk.
    pub(super) fn write(&self, batch: WriteBatch) -> Result<()> {
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.db.write_opt(batch, &options).map_err(|e| self.error("write", e))
    }

    /// Makes everything written durable. All families in one call: only then is the flush atomic.
    pub(super) fn flush(&self) -> Result<()> {
        let mut options = FlushOptions::default();
        options.set_wait(true);
        let families = Family::ALL.map(|family| self.family(family));
        self.db.flush_cfs_opt(&families, &options).map_err(|e| self.error("flush", e))
    }

    /// Reads past the memtables: what the files hold.
    pub(super) fn persisted(&self, range: RangeId) -> Result<Option<ApplyState>> {
        let mut options = ReadOptions::default();
        options.set_read_tier(ReadTier::Persisted);
        let key = range_key(range);
        let found = self.db.get_pinned_cf_opt(self.family(Family::Meta), key, &options);
        let Some(value) = found.map_err(|e| self.error("read", e))? else { return Ok(None) };
        decode_entry(self, &key, &value).map(|(_, state)| Some(state))
    }

    /// Turns a sorted export file into a table file that `ingest` moves into the database; `None`
    /// for a file without entries.
    pub(super) fn build_table(&self, file: &Path) -> Result<Option<PathBuf>> {
        let number = self.tables.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(format!("{TABLE_PREFIX}{number}"));
        let mut writer = SstFileWriter::create(&self.data);
        writer.open(&path).map_err(|e| self.error("create", e))?;
        let mut entries = 0u64;
        super::super::for_each_entry(&RealVfs, file, |key, value| {
            entries += 1;
            writer.put(key, value).map_err(|e| self.error("write", e))
        })?;
        if entries == 0 {
            return Ok(None);
        }
        writer.finish().map_err(|e| self.error("write", e))?;
        Ok(Some(path))
    }

    /// Moves a table file into the data family; durable when it returns.
    pub(super) fn ingest(&self, table: PathBuf) -> Result<()> {
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        let ingested = self.db.ingest_external_file_cf_opts(self.family(Family::Data), &options, vec![table]);
        ingested.map_err(|e| self.error("ingest", e))
    }

    pub(super) fn last_key(&self, space: Space) -> Result<Option<Vec<u8>>> {
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        let mut iter = self.db.iterator_cf_opt(self.family(space.into()), options, IteratorMode::End);
        let last = iter.next().transpose().map_err(|e| self.error("read", e))?;
        Ok(last.map(|(key, _)| key.into_vec()))
    }

    pub(super) fn compact(&self) {
        self.db.compact_range_cf(self.family(Family::Data), None::<&[u8]>, None::<&[u8]>);
    }

    pub(super) fn memtable_bytes(&self) -> u64 {
        let bytes = |family| {
            let name = "rocksdb.cur-size-all-mem-tables";
            self.db.property_int_value_cf(self.family(family), name).ok().flatten().unwrap_or(0)
        };
        Family::ALL.into_iter().map(bytes).sum()
    }

    /// Bytes of a span in files; what is in memtables is not seen.
    pub(super) fn approx_file_bytes(&self, span: &Span) -> Result<u64> {
        let end = match span.hi.is_empty() {
            false => Some(span.hi.clone()),
            true => self.last_key(Space::Data)?,
        };
        let Some(end) = end.filter(|end| *end > span.lo) else { return Ok(0) };
        let range = Range::new(&span.lo, &end);
        Ok(self.db.get_approximate_sizes_cf(self.family(Family::Data), &[range]).iter().sum())
    }
}

/// Reads FORMAT, or writes it into a directory without a database.
fn check_format(dir: &Path) -> Result<()> {
    let vfs = RealVfs;
    let path = dir.join(FORMAT_FILE);
    let corruption = |what: &str| Error::Corruption { path: path.clone(), what: what.to_owned() };
    if !vfs.exists(&path)? {
        if vfs.exists(&dir.join("CURRENT"))? {
            return Err(corruption("the file is missing beside a database"));
        }
        return write_format(&vfs, dir, &path);
    }
    let bytes = vfs::read_file(&vfs, &path)?;
    let text = std::str::from_utf8(&bytes).ok();
    let version = text.and_then(|text| text.strip_prefix(FORMAT_PREFIX)?.strip_suffix('\n')?.parse().ok());
    match version {
        Some(FORMAT_VERSION) => Ok(()),
        Some(found) if found > FORMAT_VERSION => {
            Err(Error::NewerFormat { path, found, supported: FORMAT_VERSION })
        }
        _ => Err(corruption("it does not name a format")),
    }
}

/// The file is durable before RocksDB makes its first one.
fn write_format(vfs: &dyn Vfs, dir: &Path, path: &Path) -> Result<()> {
    vfs.create_dir_all(dir)?;
    let temporary = dir.join("FORMAT.tmp");
    let file = vfs.create(&temporary)?;
    file.write_at(0, format!("{FORMAT_PREFIX}{FORMAT_VERSION}\n").as_bytes())?;
    file.sync_data()?;
    vfs.rename(&temporary, path)?;
    vfs.sync_dir(dir)
}

/// Removes table files that were never ingested.
fn remove_tables(dir: &Path) -> Result<()> {
    let vfs = RealVfs;
    for name in vfs.list(dir)?.iter().filter(|name| name.starts_with(TABLE_PREFIX)) {
        vfs.remove(&dir.join(name))?;
    }
    Ok(())
}

pub(super) fn range_key(range: RangeId) -> [u8; 8] {
    range.0.to_be_bytes()
}

pub(super) fn encode_state(state: ApplyState) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&state.applied.to_le_bytes());
    bytes[8..].copy_from_slice(&state.term.to_le_bytes());
    bytes
}

/// Reads an entry of family `meta`.
pub(super) fn decode_entry(store: &Store, key: &[u8], value: &[u8]) -> Result<(RangeId, ApplyState)> {
    let decode = || {
        let range = u64::from_be_bytes(key.try_into().ok()?);
        let (applied, term) = value.split_first_chunk::<8>()?;
        let state = ApplyState {
            applied: u64::from_le_bytes(*applied),
            term: u64::from_le_bytes(term.try_into().ok()?),
        };
        Some((RangeId(range), state))
    };
    decode().ok_or_else(|| Error::Corruption { path: store.dir.clone(), what: "apply state".to_owned() })
}
