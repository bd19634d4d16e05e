//! The log as its owner uses it: append, sync, read, compact.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::batch::{GroupState, Item, LogBatch, LogEntry};
use super::format::{self, ENTRY_CRC, Header, RECORD, RecordKind};
use super::index::{Group, Index, Slot};
use super::recover;
use super::segment::Segment;
use crate::engine::RangeId;
use crate::vfs::Vfs;
use crate::{Error, Result};

/// Space is reserved in steps of this part of a segment when one grows past its size.
const GROWTH_PART: u64 = 16;

/// Part of a segment that batches of entries leave to compaction: on a full disk it is compaction
/// that makes room, and its records need some.
const SPARE_PART: u64 = 64;

/// How the log uses disk and memory.
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// Bytes of a segment; a segment takes the records that wait when it fills up, so it may end
    /// larger. Smaller segments are let go sooner, larger ones are created less often.
    pub segment_bytes: u64,
    /// Bytes of entry data kept in memory for readers.
    pub cache_bytes: usize,
    /// Bytes of all segments above which [`RaftLog::pressure`] names the groups that hold the
    /// oldest ones. Bounds disk use and the time of a restart.
    pub max_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions { segment_bytes: 16 << 20, cache_bytes: 32 << 20, max_bytes: 512 << 20 }
    }
}

/// Acknowledged writes may be lost if the process goes on: it must end at once, and replay the log
/// when it starts again. A second sync that succeeds would prove nothing, so none is tried: every
/// later `append`, `compact`, `sync` and `seal` of this log fails.
#[derive(Debug, thiserror::Error)]
#[error("the raft log could not be made durable, the process must end: {0}")]
pub struct SyncFailed(#[source] pub Error);

impl From<SyncFailed> for Error {
    fn from(failed: SyncFailed) -> Error {
        failed.0
    }
}

/// Figures of the log at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Segments on the disk.
    pub segments: u64,
    /// Bytes reserved by them.
    pub bytes: u64,
    /// Number of the newest segment.
    pub newest_segment: u64,
    /// End of the records written to it.
    pub newest_end: u64,
    /// Bytes of entry data in memory.
    pub cached_bytes: u64,
    /// Calls of fdatasync on segments since the log was opened.
    pub syncs: u64,
    /// Bytes of records written since the log was opened.
    pub written_bytes: u64,
}

/// The log of all groups. One thread owns it.
pub struct RaftLog {
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) dir: PathBuf,
    pub(super) options: LogOptions,
    pub(super) index: Index,
    /// Oldest first; the last one is written to. Never empty.
    pub(super) segments: VecDeque<Segment>,
    /// Records that belong at the end of the newest segment and are not written yet.
    pub(super) waiting: Vec<u8>,
    pub(super) next_seq: u64,
    pub(super) durable_seq: u64,
    /// Some durable record says that every batch is durable.
    pub(super) sealed: bool,
    /// The oldest segment needed, as the newest record about it says.
    pub(super) oldest: u64,
    /// A sync failed.
    pub(super) broken: bool,
    pub(super) syncs: u64,
    pub(super) written_bytes: u64,
}

impl RaftLog {
    /// Opens the log in `dir`, or begins one. Reads every segment; what it accepts is durable when
    /// it returns. [`Error::Corruption`] names file and offset when durable data does not read back;
    /// the node must then not take part with this log.
    pub fn open(vfs: Arc<dyn Vfs>, dir: &Path, options: LogOptions) -> Result<RaftLog> {
        recover::open(vfs, dir, options)
    }

    /// All groups, ascending.
    pub fn groups(&self) -> Vec<RangeId> {
        self.index.groups.keys().copied().collect()
    }

    /// A group's state with every append so far, synced or not.
    pub fn state(&self, group: RangeId) -> Option<&GroupState> {
        self.index.groups.get(&group).map(|g| &g.state)
    }

    /// Highest record number made durable.
    pub fn durable_seq(&self) -> u64 {
        self.durable_seq
    }

    /// Figures for metrics and tests.
    pub fn stats(&self) -> LogStats {
        let newest = self.newest();
        LogStats {
            segments: self.segments.len() as u64,
            bytes: self.segments.iter().map(|s| s.allocated).sum(),
            newest_segment: newest.number,
            newest_end: newest.end,
            cached_bytes: self.index.cached_bytes() as u64,
            syncs: self.syncs,
            written_bytes: self.written_bytes,
        }
    }

    /// Adds a batch, to be made durable by the next [`RaftLog::sync`] as a whole. Readers see it
    /// at once. On an error nothing has changed: [`Error::DiskFull`] when its space could not be
    /// reserved, [`Error::Malformed`] when it does not fit the log (indexes with a gap, or at or
    /// below a compacted one) or exceeds 1 GiB.
    pub fn append(&mut self, batch: &LogBatch) -> Result<()> {
        self.usable()?;
        if batch.is_empty() {
            return Ok(());
        }
        self.index.check(&batch.items).map_err(|what| Error::Malformed { what })?;
        let (segment, base) = (self.newest().number, self.newest().end);
        let start = format::begin_record(&mut self.waiting);
        let mut slots = vec![];
        for item in &batch.items {
            format::put_item(&mut self.waiting, item, segment, base, &mut slots);
        }
        let frees =
            batch.items.iter().all(|item| matches!(item, Item::Compacted { .. } | Item::Removed { .. }));
        self.fits(start, if frees { 0 } else { self.options.segment_bytes / SPARE_PART })?;
        self.finish_record(start, RecordKind::Batch);
        let mut slots = slots.into_iter();
        batch.items.iter().for_each(|item| self.index.apply(item, &mut slots));
        Ok(())
    }

    /// Makes everything appended so far durable: one write, one fdatasync (a few more when the
    /// segment is full and the next one begins). Does nothing when nothing waits.
    pub fn sync(&mut self) -> Result<(), SyncFailed> {
        self.guarded(|log| {
            log.note_dead_segments();
            if log.waiting.is_empty() {
                return Ok(());
            }
            log.flush()?;
            log.delete_dead_segments();
            if log.newest().end >= log.options.segment_bytes { log.begin_next_segment() } else { Ok(()) }
        })
    }

    /// Syncs, then writes the record that tells a later open that the last batch was durable, so
    /// that damage to it cannot pass for a torn tail. To be called when the node falls idle (within
    /// 50 ms of the last sync) and at shutdown; does nothing when the log is sealed already, or when
    /// a full disk has no place for the seal.
    pub fn seal(&mut self) -> Result<(), SyncFailed> {
        self.sync()?;
        if self.sealed {
            return Ok(());
        }
        self.guarded(|log| {
            let start = format::begin_record(&mut log.waiting);
            match log.fits(start, 0) {
                Err(Error::DiskFull { .. }) => return Ok(()),
                other => other?,
            }
            log.finish_record(start, RecordKind::Seal);
            log.flush()?;
            log.sealed = true;
            Ok(())
        })
    }

    /// Whether the last batch still lacks its seal.
    pub fn wants_seal(&self) -> bool {
        !self.sealed
    }

    /// The entries `lo..hi` of a group, from `lo` on as many as fit `max_bytes` of data, but at least
    /// one. [`Error::Malformed`] when one of them was compacted or does not exist: compare with
    /// [`RaftLog::state`] before. May read the disk.
    pub fn entries(&self, group: RangeId, lo: u64, hi: u64, max_bytes: usize) -> Result<Vec<LogEntry>> {
        let missing = || Error::Malformed { what: "range of raft entries" };
        let known = self.index.groups.get(&group).ok_or_else(missing)?;
        if lo < known.first || hi > known.state.last + 1 {
            return Err(missing());
        }
        let mut entries = vec![];
        let mut bytes = 0usize;
        for index in lo..hi {
            let slot = known.slot(index).ok_or_else(missing)?;
            bytes = bytes.saturating_add(slot.len);
            if bytes > max_bytes && !entries.is_empty() {
                break;
            }
            let data = self.data(group, index, slot)?;
            entries.push(LogEntry { term: slot.term, index, kind: slot.kind, data });
        }
        Ok(entries)
    }

    /// The term of an entry, or of the last compacted one; `None` for others.
    pub fn term(&self, group: RangeId, index: u64) -> Result<Option<u64>> {
        Ok(self.index.groups.get(&group).and_then(|known| known.term(index)))
    }

    /// Lets entries up to and including `to_index` go. The engine must hold their effects durably.
    /// Files go once a later sync has made this durable. Going back is no error and does nothing.
    pub fn compact(&mut self, group: RangeId, to_index: u64) -> Result<()> {
        let Some(known) = self.index.groups.get(&group) else {
            return Err(Error::Malformed { what: "raft group to compact" });
        };
        if to_index <= known.state.truncated.0 {
            return Ok(());
        }
        let term = known.term(to_index).ok_or(Error::Malformed { what: "raft index to compact to" })?;
        self.append(&LogBatch { items: vec![Item::Compacted { group, index: to_index, term }] })
    }

    /// Groups whose entries keep the log above its size: checkpoint their engine, then compact.
    pub fn pressure(&self) -> Vec<RangeId> {
        let mut bytes = 0;
        let within = |s: &&Segment| {
            bytes += s.allocated;
            bytes <= self.options.max_bytes
        };
        let kept = self.segments.iter().rev().take_while(within).count().max(1);
        let cutoff = self.newest().number + 1 - kept as u64;
        let pins = |group: &Group| group.first_segment().is_some_and(|segment| segment < cutoff);
        self.index.groups.iter().filter(|(_, group)| pins(group)).map(|(id, _)| *id).collect()
    }

    pub(super) fn newest(&self) -> &Segment {
        self.segments.back().expect("a log has at least one segment")
    }

    fn newest_mut(&mut self) -> &mut Segment {
        self.segments.back_mut().expect("a log has at least one segment")
    }

    fn usable(&self) -> Result<()> {
        if !self.broken {
            return Ok(());
        }
        let source = std::io::Error::other("an earlier fsync of the raft log failed");
        Err(Error::Io { op: "append to", path: self.newest().path.clone(), source })
    }

    /// Runs a step that must not fail; after an error the log refuses everything.
    fn guarded(&mut self, step: impl FnOnce(&mut RaftLog) -> Result<()>) -> Result<(), SyncFailed> {
        self.usable().map_err(SyncFailed)?;
        step(self).map_err(|error| {
            self.broken = true;
            SyncFailed(error)
        })
    }

    /// Checks the size of the record begun at `start` and reserves its space, with `spare` bytes
    /// behind it. Takes the record back when it does not fit.
    fn fits(&mut self, start: usize, spare: u64) -> Result<()> {
        let fits = self.reserve(self.waiting.len() - start - RECORD, spare);
        if fits.is_err() {
            self.waiting.truncate(start);
        }
        fits
    }

    fn reserve(&mut self, payload: usize, spare: u64) -> Result<()> {
        if payload > format::MAX_PAYLOAD {
            return Err(Error::Malformed { what: "raft log batch: larger than 1 GiB" });
        }
        let end = self.newest().end + self.waiting.len() as u64 + spare;
        let step = (self.options.segment_bytes / GROWTH_PART).max(1);
        let newest = self.newest_mut();
        if end > newest.allocated {
            let allocated = end.next_multiple_of(step);
            newest.file.allocate(allocated)?;
            newest.allocated = allocated;
        }
        Ok(())
    }

    fn finish_record(&mut self, start: usize, kind: RecordKind) {
        let segment = self.newest().number;
        format::finish_record(&mut self.waiting, start, segment, self.next_seq, self.durable_seq, kind);
        self.next_seq += 1;
    }

    fn flush(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let newest = self.newest_mut();
        newest.file.write_at(newest.end, &waiting)?;
        newest.file.sync_data()?;
        newest.end += waiting.len() as u64;
        self.durable_seq = self.next_seq - 1;
        self.sealed = false;
        self.syncs += 1;
        self.written_bytes += waiting.len() as u64;
        // Keeps the memory for the next turn, unless a giant went through.
        if waiting.capacity() <= 4 << 20 {
            self.waiting = waiting;
            self.waiting.clear();
        }
        Ok(())
    }

    /// Adds a record about segments that no group needs any more; they go after the sync.
    fn note_dead_segments(&mut self) {
        let newest = self.newest().number;
        let oldest = self.index.oldest_live().unwrap_or(newest).min(newest);
        if oldest > self.oldest {
            let start = format::begin_record(&mut self.waiting);
            format::put_oldest(&mut self.waiting, oldest);
            // Without room for the record the segments stay until there is some.
            if self.fits(start, 0).is_ok() {
                self.finish_record(start, RecordKind::Batch);
                self.oldest = oldest;
            }
        }
    }

    /// Deletes segments whose end is on record. One that cannot be deleted is left to the next open.
    fn delete_dead_segments(&mut self) {
        while self.segments.front().is_some_and(|s| s.number < self.oldest) {
            let Some(dead) = self.segments.pop_front() else { break };
            if let Err(error) = self.vfs.remove(&dead.path) {
                tracing::warn!(%error, "could not delete a raft log segment");
            }
        }
    }

    /// Begins the next segment. Everything before must be durable. A full disk is no error: the
    /// newest segment then goes on growing, and the next sync tries again.
    pub(super) fn begin_next_segment(&mut self) -> Result<()> {
        let number = self.newest().number + 1;
        match self.new_segment(number) {
            Err(Error::DiskFull { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(mut segment) => {
                self.start_segment(&mut segment)?;
                self.segments.push_back(segment);
                Ok(())
            }
        }
    }

    pub(super) fn new_segment(&self, number: u64) -> Result<Segment> {
        Segment::reserve(&*self.vfs, &self.dir, number, self.options.segment_bytes)
    }

    /// Writes a new segment's header and the dump of all states.
    pub(super) fn start_segment(&mut self, segment: &mut Segment) -> Result<()> {
        let mut dump = vec![];
        format::begin_record(&mut dump);
        for (id, group) in &self.index.groups {
            format::put_group_state(&mut dump, *id, &group.state);
        }
        let (seq, durable_seq) = (self.next_seq, self.durable_seq);
        format::finish_record(&mut dump, 0, segment.number, seq, durable_seq, RecordKind::Dump);
        let header = Header { segment: segment.number, first_seq: seq, durable_seq, oldest: self.oldest };
        segment.begin(&*self.vfs, &self.dir, &header, &dump)?;
        segment.allocated = segment.allocated.max(segment.end);
        self.next_seq += 1;
        self.durable_seq = seq;
        self.sealed = true;
        self.syncs += 1;
        self.written_bytes += segment.end;
        Ok(())
    }

    fn data(&self, group: RangeId, index: u64, slot: &Slot) -> Result<Bytes> {
        if let Some(data) = &slot.data {
            return Ok(data.clone());
        }
        let oldest = self.segments.front().map_or(0, |s| s.number);
        let segment = (slot.segment.checked_sub(oldest)).and_then(|at| self.segments.get(at as usize));
        let segment = segment.expect("a segment with a live entry is not deleted");
        let mut bytes = vec![0; ENTRY_CRC + slot.len];
        if slot.segment == self.newest().number && slot.offset >= segment.end {
            let from = (slot.offset - segment.end) as usize;
            bytes.copy_from_slice(&self.waiting[from..from + ENTRY_CRC + slot.len]);
        } else {
            segment.read(slot.offset, &mut bytes)?;
        }
        let data = Bytes::from(bytes);
        let stored = u32::from_le_bytes(data[..ENTRY_CRC].try_into().expect("four bytes"));
        let data = data.slice(ENTRY_CRC..);
        if stored != format::entry_crc(group, index, slot.term, slot.kind, &data) {
            return Err(segment.corrupt(slot.offset, "the checksum of an entry does not match"));
        }
        Ok(data)
    }
}
