//! Opening a log: find the segments that count, tell a torn tail from corruption, replay.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::{self, HEADER, Header, HeaderError, RECORD, Record, RecordKind, Stored};
use super::index::Index;
use super::segment::{self, Segment};
use super::writer::{LogOptions, RaftLog};
use crate::vfs::{Vfs, VfsFile};
use crate::{Error, Result};

pub(super) fn open(vfs: Arc<dyn Vfs>, dir: &Path, options: LogOptions) -> Result<RaftLog> {
    vfs.create_dir_all(dir)?;
    if let Some(parent) = dir.parent() {
        vfs.sync_dir(parent)?;
    }
    let mut numbers = segment_numbers(&*vfs, dir)?;
    let Some(newest) = newest(&*vfs, dir, &mut numbers)? else {
        return begin(vfs, dir, options);
    };
    newest.make_durable()?;
    vfs.sync_dir(dir)?;
    let oldest = oldest_needed(&newest)?;
    let kept = keep(&*vfs, dir, &numbers, oldest)?;
    replay(vfs, dir, options, &kept, newest, oldest)
}

/// A segment in memory.
struct Image {
    number: u64,
    path: PathBuf,
    file: Box<dyn VfsFile>,
    bytes: Vec<u8>,
    header: Header,
}

/// The newest segment, scanned.
struct Newest {
    image: Image,
    records: Vec<Record>,
    /// Where the last record ends.
    end: usize,
    /// Bytes behind the last record that are not zero: what a crash left of a batch.
    torn: bool,
}

impl Image {
    fn read(vfs: &dyn Vfs, dir: &Path, number: u64) -> Result<(PathBuf, Box<dyn VfsFile>, Vec<u8>)> {
        let path = segment::path(dir, number);
        let file = vfs.open(&path)?;
        let len = usize::try_from(file.len()?).map_err(|_| Error::Malformed { what: "file length" })?;
        let mut bytes = vec![0; len];
        if file.read_at(0, &mut bytes)? < len {
            return Err(segment::corrupt(&path, 0, "the file ends before its length"));
        }
        Ok((path, file, bytes))
    }

    fn corrupt(&self, offset: usize, what: &str) -> Error {
        segment::corrupt(&self.path, offset as u64, what)
    }

    /// The valid records from the start, with consecutive numbers, below `limit`, and where they end.
    fn records(&self, limit: u64) -> (Vec<Record>, usize) {
        let mut records = vec![];
        let (mut at, mut seq) = (HEADER, self.header.first_seq);
        while seq < limit {
            let Some(record) = format::read_record(&self.bytes, at, self.number) else { break };
            let kind_fits = (record.kind == RecordKind::Dump) == (at == HEADER);
            if record.seq != seq || !kind_fits {
                break;
            }
            (at, seq) = (record.payload.end, seq + 1);
            records.push(record);
        }
        (records, at)
    }

    /// A valid record behind `at` that says that `seq` is durable.
    fn declared_durable(&self, at: usize, seq: u64) -> Option<usize> {
        let last = self.bytes.len().saturating_sub(RECORD);
        let declares = |at: &usize| {
            format::read_record(&self.bytes, *at, self.number).is_some_and(|r| r.durable_seq >= seq)
        };
        (at..=last).find(declares)
    }
}

impl Newest {
    /// Makes durable what is accepted. After a kill it may be in the page cache only; after a failed
    /// fsync the cache may even call it clean, so what no record calls durable is written again.
    fn make_durable(&self) -> Result<()> {
        let image = &self.image;
        let durable = self.records.iter().map(|r| r.durable_seq).fold(image.header.durable_seq, u64::max);
        let sure = (durable + 1).saturating_sub(image.header.first_seq) as usize;
        let start = sure.checked_sub(1).map_or(0, |last| self.records[last].payload.end);
        image.file.write_at(start as u64, &image.bytes[start..self.end])?;
        image.file.sync_data()
    }
}

fn segment_numbers(vfs: &dyn Vfs, dir: &Path) -> Result<Vec<u64>> {
    let mut numbers: Vec<u64> = vfs.list(dir)?.iter().filter_map(|name| segment::number(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The newest segment that counts. One that was being made when the power failed is deleted; the
/// one before it was complete by then.
fn newest(vfs: &dyn Vfs, dir: &Path, numbers: &mut Vec<u64>) -> Result<Option<Newest>> {
    let Some(&number) = numbers.last() else { return Ok(None) };
    if let Some(newest) = scan_newest(vfs, dir, number)? {
        return Ok(Some(newest));
    }
    let path = segment::path(dir, number);
    numbers.pop();
    let before = match numbers.last() {
        None if number == 1 => None,
        Some(&before) if before == number - 1 => Some(before),
        _ => return Err(segment::corrupt(&path, 0, "no valid record, and the segment before is missing")),
    };
    let Some(before) = before else {
        remove(vfs, dir, &path)?;
        return Ok(None);
    };
    let Some(newest) = scan_newest(vfs, dir, before)? else {
        return Err(segment::corrupt(
            &segment::path(dir, before),
            0,
            "no valid record in a complete segment",
        ));
    };
    remove(vfs, dir, &path)?;
    Ok(Some(newest))
}

fn remove(vfs: &dyn Vfs, dir: &Path, path: &Path) -> Result<()> {
    vfs.remove(path)?;
    vfs.sync_dir(dir)
}

/// Reads a segment as the newest one; `None` when it never came into use.
fn scan_newest(vfs: &dyn Vfs, dir: &Path, number: u64) -> Result<Option<Newest>> {
    let (path, file, bytes) = Image::read(vfs, dir, number)?;
    let header = match Header::decode(&bytes) {
        Ok(header) => header,
        Err(HeaderError::Newer(found)) => {
            return Err(Error::NewerFormat { path, found, supported: format::VERSION });
        }
        // A sector is written whole, so a damaged header was a good one before.
        Err(HeaderError::Bad) => return Err(segment::corrupt(&path, 0, "the segment header is damaged")),
        Err(HeaderError::Empty) => {
            let header = Header { segment: number, first_seq: 1, durable_seq: 0, oldest: 0 };
            let image = Image { number, path, file, bytes, header };
            // A record that knows of durable ones was written after a durable header, or with it in
            // one sector.
            return match image.declared_durable(0, 1) {
                Some(_) => Err(image.corrupt(0, "the segment header is gone")),
                None => Ok(None),
            };
        }
    };
    let image = Image { number, path, file, bytes, header };
    if header.segment != number {
        return Err(image.corrupt(16, "the header names another segment"));
    }
    let (records, end) = image.records(u64::MAX);
    let seq = header.first_seq + records.len() as u64;
    let known = records.iter().map(|r| r.durable_seq).fold(header.durable_seq, u64::max);
    if known >= seq || image.declared_durable(end, seq).is_some() {
        return Err(image.corrupt(end, &format!("record {seq} was durable and does not read back")));
    }
    if records.is_empty() {
        return Ok(None);
    }
    let torn = image.bytes[end..].iter().any(|b| *b != 0);
    Ok(Some(Newest { image, records, end, torn }))
}

fn oldest_needed(newest: &Newest) -> Result<u64> {
    let image = &newest.image;
    let mut oldest = image.header.oldest;
    for record in &newest.records {
        for item in items(image, record)? {
            if let Stored::Oldest(segment) = item {
                oldest = oldest.max(segment);
            }
        }
    }
    Ok(oldest)
}

fn items(image: &Image, record: &Record) -> Result<Vec<Stored>> {
    let items = format::read_items(&image.bytes, record.payload.clone(), image.number);
    items.ok_or_else(|| image.corrupt(record.payload.start, "a record with an unknown item"))
}

/// Deletes segments that nobody needs and checks that all others are there.
fn keep(vfs: &dyn Vfs, dir: &Path, numbers: &[u64], oldest: u64) -> Result<Vec<u64>> {
    let (dead, kept): (Vec<u64>, Vec<u64>) = numbers.iter().partition(|n| **n < oldest);
    for number in dead {
        vfs.remove(&segment::path(dir, number))?;
    }
    let newest = kept.last().copied().unwrap_or(oldest);
    if let Some(missing) = (oldest..=newest).find(|n| !kept.contains(n)) {
        return Err(segment::corrupt(&segment::path(dir, missing), 0, "the segment is missing"));
    }
    Ok(kept)
}

fn replay(
    vfs: Arc<dyn Vfs>,
    dir: &Path,
    options: LogOptions,
    kept: &[u64],
    newest: Newest,
    oldest: u64,
) -> Result<RaftLog> {
    let mut index = Index::new(options.cache_bytes);
    let mut segments = VecDeque::new();
    let mut next_seq = None;
    let mut images = kept.iter().filter(|n| **n != newest.image.number).peekable();
    while let Some(&number) = images.next() {
        let following = match images.peek() {
            Some(&&next) => header_of(&*vfs, dir, next)?,
            None => newest.image.header,
        };
        let image = complete(&*vfs, dir, number)?;
        let (records, end) = image.records(following.first_seq);
        let seq = image.header.first_seq + records.len() as u64;
        if seq != following.first_seq {
            return Err(image.corrupt(end, &format!("record {seq} was durable and does not read back")));
        }
        apply(&mut index, &image, &records, &mut next_seq)?;
        segments.push_back(image.into_segment(end));
    }
    let Newest { image, records, end, torn } = newest;
    apply(&mut index, &image, &records, &mut next_seq)?;
    if let Some(group) = index.incomplete() {
        return Err(image.corrupt(0, &format!("entries of group {} are missing", group.0)));
    }
    segments.push_back(image.into_segment(end));
    let next_seq = next_seq.unwrap_or(1);
    let mut log = assemble(vfs, dir, options, index, segments);
    (log.next_seq, log.durable_seq) = (next_seq, next_seq - 1);
    log.sealed = records.last().is_some_and(|r| r.kind != RecordKind::Batch);
    log.oldest = oldest;
    if torn {
        log.leave_torn_segment()?;
    }
    Ok(log)
}

impl Image {
    fn into_segment(self, end: usize) -> Segment {
        let Image { number, path, file, bytes, .. } = self;
        Segment { number, path, file, end: end as u64, allocated: bytes.len() as u64 }
    }
}

fn header_of(vfs: &dyn Vfs, dir: &Path, number: u64) -> Result<Header> {
    let path = segment::path(dir, number);
    let mut bytes = [0; HEADER];
    vfs.open(&path)?.read_at(0, &mut bytes)?;
    checked_header(&path, &bytes, number)
}

/// Reads a segment that is not the newest one.
fn complete(vfs: &dyn Vfs, dir: &Path, number: u64) -> Result<Image> {
    let (path, file, bytes) = Image::read(vfs, dir, number)?;
    let header = checked_header(&path, &bytes, number)?;
    Ok(Image { number, path, file, bytes, header })
}

fn checked_header(path: &Path, bytes: &[u8], number: u64) -> Result<Header> {
    match Header::decode(bytes) {
        Ok(header) if header.segment == number => Ok(header),
        Err(HeaderError::Newer(found)) => {
            Err(Error::NewerFormat { path: path.to_path_buf(), found, supported: format::VERSION })
        }
        _ => Err(segment::corrupt(path, 0, "the segment header is damaged")),
    }
}

/// Replays a segment's records; the first dump sets all states, later ones must agree.
fn apply(index: &mut Index, image: &Image, records: &[Record], next_seq: &mut Option<u64>) -> Result<()> {
    let first_seq = image.header.first_seq;
    if next_seq.is_some_and(|next| next != first_seq) {
        return Err(image.corrupt(24, "the segment does not follow the one before"));
    }
    for record in records {
        let at = record.payload.start;
        let items = items(image, record)?;
        match record.kind {
            RecordKind::Dump if next_seq.is_none() => load(index, image, at, items)?,
            RecordKind::Dump => compare(index, image, at, items)?,
            RecordKind::Batch | RecordKind::Seal => {
                let replayed = items.into_iter().try_for_each(|item| index.replay(item));
                replayed.map_err(|what| image.corrupt(at, &format!("{what} out of order")))?;
            }
        }
        *next_seq = Some(record.seq + 1);
    }
    Ok(())
}

fn load(index: &mut Index, image: &Image, at: usize, items: Vec<Stored>) -> Result<()> {
    for item in items {
        let Stored::GroupState { group, state } = item else {
            return Err(image.corrupt(at, "a dump with something else than group states"));
        };
        index.load(group, state);
    }
    Ok(())
}

fn compare(index: &Index, image: &Image, at: usize, items: Vec<Stored>) -> Result<()> {
    let agree = items.len() == index.groups.len()
        && items.iter().all(|item| match item {
            Stored::GroupState { group, state } => index.groups.get(group).is_some_and(|g| g.state == *state),
            _ => false,
        });
    if agree { Ok(()) } else { Err(image.corrupt(at, "the dump contradicts the segments before")) }
}

fn begin(vfs: Arc<dyn Vfs>, dir: &Path, options: LogOptions) -> Result<RaftLog> {
    let mut log = assemble(vfs, dir, options, Index::new(options.cache_bytes), VecDeque::new());
    let mut segment = log.new_segment(1)?;
    log.start_segment(&mut segment)?;
    log.segments.push_back(segment);
    Ok(log)
}

fn assemble(
    vfs: Arc<dyn Vfs>,
    dir: &Path,
    options: LogOptions,
    index: Index,
    segments: VecDeque<Segment>,
) -> RaftLog {
    RaftLog {
        vfs,
        dir: dir.to_path_buf(),
        options,
        index,
        segments,
        waiting: vec![],
        next_seq: 1,
        durable_seq: 0,
        sealed: true,
        oldest: 1,
        broken: false,
        syncs: 0,
        written_bytes: 0,
    }
}

impl RaftLog {
    /// Goes on in a new segment, so that the remains of a torn record are never read as records.
    fn leave_torn_segment(&mut self) -> Result<()> {
        let mut segment = self.new_segment(self.newest().number + 1)?;
        self.start_segment(&mut segment)?;
        self.segments.push_back(segment);
        Ok(())
    }
}
