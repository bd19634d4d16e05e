use std::path::Path;
use std::sync::Arc;

use super::format::{HEADER, Header};
use super::*;
use crate::engine::RangeId;
use crate::vfs::{Faults, RealVfs, SimVfs, Vfs, read_file};
use crate::{Error, Result};

const DIR: &str = "log";
const A: RangeId = RangeId(1);
const B: RangeId = RangeId(2);

fn open(vfs: &SimVfs, options: LogOptions) -> Result<RaftLog> {
    RaftLog::open(Arc::new(vfs.clone()), Path::new(DIR), options)
}

fn small() -> LogOptions {
    LogOptions { segment_bytes: 4096, cache_bytes: 300, max_bytes: 20_000 }
}

fn entry(index: u64, len: usize) -> LogEntry {
    LogEntry { term: 1, index, kind: EntryKind::Normal, data: vec![index as u8; len].into() }
}

fn put(log: &mut RaftLog, group: RangeId, index: u64, len: usize) -> Result<()> {
    let mut batch = LogBatch::new();
    batch.append(group, &[entry(index, len)]);
    log.append(&batch)
}

#[test]
fn entries_come_from_memory_the_waiting_record_and_the_disk() {
    let vfs = SimVfs::new(1);
    let mut log = open(&vfs, small()).unwrap();
    for index in 1..=20 {
        put(&mut log, A, index, 100).unwrap();
    }
    let all = |log: &RaftLog| log.entries(A, 1, 21, usize::MAX).unwrap();
    let expected: Vec<LogEntry> = (1..=20).map(|index| entry(index, 100)).collect();
    assert_eq!(all(&log), expected, "before the sync");
    log.sync().unwrap();
    assert!(log.stats().cached_bytes <= 300);
    assert_eq!(all(&log), expected);
    assert_eq!(log.entries(A, 3, 21, 250).unwrap(), expected[2..4], "as many as fit");
    assert_eq!(log.entries(A, 3, 21, 0).unwrap(), expected[2..3], "but one");
    assert_eq!(log.entries(A, 3, 3, 0).unwrap(), []);
    assert!(log.entries(A, 20, 22, 9999).is_err() && log.entries(B, 1, 2, 1).is_err());
    assert_eq!(
        (log.term(A, 0).unwrap(), log.term(A, 20).unwrap(), log.term(A, 21).unwrap()),
        (Some(0), Some(1), None)
    );
}

#[test]
fn a_damaged_entry_is_not_handed_out() {
    let vfs = SimVfs::new(1);
    let mut log = open(&vfs, LogOptions { cache_bytes: 0, ..small() }).unwrap();
    put(&mut log, A, 1, 100).unwrap();
    log.sync().unwrap();
    let at = log.stats().newest_end - 5;
    vfs.flip(Path::new("log/0000000000000001.log"), at, 1);
    assert!(matches!(log.entries(A, 1, 2, 999), Err(Error::Corruption { .. })));
}

#[test]
fn batches_that_do_not_fit_change_nothing() {
    let vfs = SimVfs::new(1);
    let mut log = open(&vfs, small()).unwrap();
    put(&mut log, A, 1, 10).unwrap();
    put(&mut log, A, 2, 10).unwrap();
    log.compact(A, 1).unwrap();
    for index in [0, 1, 4] {
        let mut batch = LogBatch::new();
        batch.hard_state(B, HardState { term: 9, vote: 9, commit: 9 });
        batch.append(A, &[entry(index, 10)]);
        assert!(matches!(log.append(&batch), Err(Error::Malformed { .. })), "index {index}");
    }
    let mut gap = LogBatch::new();
    gap.append(A, &[entry(3, 1), entry(5, 1)]);
    assert!(log.append(&gap).is_err() && log.compact(A, 3).is_err() && log.compact(B, 1).is_err());
    assert_eq!(log.groups(), [A]);
    assert_eq!(log.state(A).unwrap().last, 2);
    log.sync().unwrap();
    assert_eq!(open(&vfs, small()).unwrap().state(A), log.state(A));
}

#[test]
fn an_fsync_error_is_fatal_for_the_log() {
    let vfs = SimVfs::new(1);
    let mut log = open(&vfs, small()).unwrap();
    put(&mut log, A, 1, 10).unwrap();
    // The write is the next operation, the sync the one after it.
    vfs.set_faults(Faults { eio_at: Some(vfs.ops() + 1), ..Faults::default() });
    let SyncFailed(cause) = log.sync().unwrap_err();
    assert!(matches!(&cause, Error::Io { op: "fsync", .. }), "{cause}");
    assert!(!cause.retry());
    // The disk works again, yet nobody may believe it.
    assert!(put(&mut log, A, 2, 10).is_err() && log.compact(A, 1).is_err());
    assert!(log.sync().is_err() && log.seal().is_err());
    assert_eq!(log.durable_seq(), 1, "only the first dump is durable");
}

#[test]
fn dead_segments_go_after_the_sync_and_pressure_names_who_pins() {
    let vfs = SimVfs::new(1);
    let mut log = open(&vfs, small()).unwrap();
    put(&mut log, B, 1, 10).unwrap();
    for index in 1..=60 {
        put(&mut log, A, index, 1000).unwrap();
        log.sync().unwrap();
    }
    let full = log.stats();
    assert!(full.segments > 10 && full.bytes > 20_000);
    assert_eq!(log.pressure(), [A, B]);
    log.compact(A, 60).unwrap();
    log.sync().unwrap();
    assert_eq!(log.stats().segments, full.segments, "the first segment holds an entry of B");
    assert_eq!(log.pressure(), [B]);
    log.compact(B, 1).unwrap();
    assert_eq!(log.stats().segments, full.segments, "nothing goes before the sync");
    log.sync().unwrap();
    assert_eq!((log.stats().segments, log.pressure()), (1, vec![]));
    assert_eq!(vfs.list(Path::new(DIR)).unwrap().len(), 1);
    let again = open(&vfs, small()).unwrap();
    assert_eq!((again.state(A), again.state(B)), (log.state(A), log.state(B)));
}

#[test]
fn a_full_disk_refuses_batches_and_compaction_makes_room() {
    let vfs = SimVfs::new(1);
    let mut log = open(&vfs, small()).unwrap();
    vfs.set_faults(Faults { space: Some(20_000), ..Faults::default() });
    let mut last = 0;
    let full = loop {
        match put(&mut log, A, last + 1, 700) {
            Ok(()) => last += 1,
            Err(error) => break error,
        }
        log.sync().unwrap();
    };
    assert!(matches!(full, Error::DiskFull { .. }) && last > 10, "{full} after {last}");
    assert_eq!(log.state(A).unwrap().last, last);
    log.compact(A, last).unwrap();
    log.sync().unwrap();
    put(&mut log, A, last + 1, 700).unwrap();
    log.seal().unwrap();
    let again = open(&vfs, small()).unwrap();
    assert_eq!(again.entries(A, last + 1, last + 2, 999).unwrap(), [entry(last + 1, 700)]);
}

#[test]
fn a_sealed_log_refuses_damage_to_its_last_batch_and_an_unsealed_one_cuts_it() {
    for sealed in [true, false] {
        let vfs = SimVfs::new(1);
        let mut log = open(&vfs, small()).unwrap();
        put(&mut log, A, 1, 10).unwrap();
        log.sync().unwrap();
        let before = log.stats().newest_end;
        put(&mut log, A, 2, 10).unwrap();
        log.sync().unwrap();
        assert!(log.wants_seal());
        if sealed {
            log.seal().unwrap();
            assert!(!log.wants_seal());
        }
        vfs.flip(Path::new("log/0000000000000001.log"), before + 30, 1);
        match open(&vfs, small()) {
            Err(Error::Corruption { path, what }) => {
                assert!(sealed, "{what}");
                assert_eq!(path, Path::new("log/0000000000000001.log"));
                assert!(what.contains(&format!("offset {before}")), "{what}");
            }
            Ok(log) => assert!(!sealed && log.state(A).unwrap().last == 1),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn records_behind_a_torn_one_never_come_back() {
    let vfs = SimVfs::new(1);
    let mut log = open(&vfs, small()).unwrap();
    put(&mut log, A, 1, 10).unwrap();
    log.sync().unwrap();
    let torn = log.stats().newest_end;
    put(&mut log, A, 2, 10).unwrap();
    put(&mut log, A, 3, 10).unwrap();
    log.sync().unwrap();
    drop(log);
    // Of the last write the first record did not reach the disk, the second one did.
    vfs.flip(Path::new("log/0000000000000001.log"), torn, 1);
    let mut log = open(&vfs, small()).unwrap();
    assert_eq!(log.state(A).unwrap().last, 1);
    // As long as the lost one, so that it would end where the old second one begins.
    put(&mut log, A, 2, 10).unwrap();
    log.sync().unwrap();
    let again = open(&vfs, small()).unwrap();
    assert_eq!(again.state(A).unwrap().last, 2);
    assert_eq!(again.entries(A, 1, 3, 99).unwrap(), [entry(1, 10), entry(2, 10)]);
}

#[test]
fn a_newer_format_and_a_missing_segment_are_refused() {
    let vfs = SimVfs::new(1);
    let mut log = open(&vfs, small()).unwrap();
    for index in 1..=20 {
        put(&mut log, A, index, 1000).unwrap();
        log.sync().unwrap();
    }
    let newest = super::segment::path(Path::new(DIR), log.stats().newest_segment);
    drop(log);
    let bytes = read_file(&vfs, &newest).unwrap();
    let mut newer = bytes[..HEADER].to_vec();
    newer[8] = 2;
    let crc = crc32c::crc32c(&newer[..60]);
    newer[60..].copy_from_slice(&crc.to_le_bytes());
    vfs.open(&newest).unwrap().write_at(0, &newer).unwrap();
    assert!(matches!(open(&vfs, small()), Err(Error::NewerFormat { found: 2, supported: 1, .. })));
    vfs.open(&newest).unwrap().write_at(0, &bytes[..HEADER]).unwrap();
    open(&vfs, small()).unwrap();
    vfs.remove(Path::new("log/0000000000000002.log")).unwrap();
    match open(&vfs, small()) {
        Err(Error::Corruption { path, .. }) => assert!(path.ends_with("0000000000000002.log")),
        other => panic!("{:?}", other.map(|log| log.stats())),
    }
}

/// The log as version 1 wrote it: a file of this format must stay readable.
#[test]
fn a_segment_of_version_1_opens() {
    let mut bytes = Header { segment: 1, first_seq: 1, durable_seq: 0, oldest: 1 }.encode().to_vec();
    // Dump without groups, seq 1; then seq 2: entry 1 of group 1 ("hi"), hard state; both by hand.
    let record = |seq: u8, durable: u8, kind: u8, payload: &[u8]| {
        let mut body = vec![payload.len() as u8, 0, 0, 0, seq, 0, 0, 0, 0, 0, 0, 0];
        body.extend_from_slice(&[durable, 0, 0, 0, 0, 0, 0, 0, kind]);
        body.extend_from_slice(payload);
        let crc = crc32c::crc32c_append(crc32c::crc32c(&[1, 0, 0, 0, 0, 0, 0, 0]), &body);
        [&crc.to_le_bytes()[..], &body].concat()
    };
    bytes.extend(record(1, 0, 2, &[]));
    let mut covered = [0u8; 27];
    (covered[0], covered[8], covered[16]) = (1, 1, 3);
    covered[25..].copy_from_slice(b"hi");
    let crc = crc32c::crc32c(&covered).to_le_bytes();
    let payload = [&[1, 1, 1, 1, 0, 3, 2][..], &crc, b"hi", &[2, 1, 3, 1, 1]].concat();
    bytes.extend(record(2, 1, 1, &payload));
    bytes.resize(4096, 0);
    let vfs = SimVfs::new(1);
    vfs.create_dir_all(Path::new(DIR)).unwrap();
    vfs.create(Path::new("log/0000000000000001.log")).unwrap().write_at(0, &bytes).unwrap();
    let log = open(&vfs, small()).unwrap();
    assert_eq!(log.state(A).unwrap().hard_state, HardState { term: 3, vote: 1, commit: 1 });
    let entries = log.entries(A, 1, 2, 99).unwrap();
    assert_eq!((entries[0].term, &entries[0].data[..]), (3, &b"hi"[..]));
}

#[test]
fn the_same_log_on_a_real_disk() {
    let dir = tempfile::tempdir().unwrap();
    let open = || RaftLog::open(Arc::new(RealVfs), &dir.path().join("log"), small()).unwrap();
    let mut log = open();
    for index in 1..=30 {
        put(&mut log, A, index, 500).unwrap();
        put(&mut log, B, index, 5).unwrap();
        log.sync().unwrap();
    }
    log.compact(A, 25).unwrap();
    log.compact(B, 29).unwrap();
    log.seal().unwrap();
    drop(log);
    let log = open();
    assert_eq!(
        log.entries(A, 26, 31, usize::MAX).unwrap(),
        (26..=30).map(|i| entry(i, 500)).collect::<Vec<_>>()
    );
    assert_eq!(log.entries(B, 30, 31, 1).unwrap(), [entry(30, 5)]);
    assert!(log.stats().segments < 5);
}
