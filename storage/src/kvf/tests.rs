use std::path::Path;

use super::*;
use crate::vfs::{RealVfs, Vfs};
use crate::{Error, Result, mvcc};

fn entries(n: u32, value: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let entry = |i: u32| {
        let mut key = [&b"\x03table-"[..], &i.to_be_bytes()].concat();
        mvcc::push_suffix(&mut key, Ts(u64::from(i) + 10));
        (key, i.to_le_bytes().repeat(value / 4))
    };
    (0..n).map(entry).collect()
}

fn write(path: &Path, entries: &[(Vec<u8>, Vec<u8>)]) -> KvfSummary {
    let mut writer = KvfWriter::create(&RealVfs, path).unwrap();
    for (key, value) in entries {
        writer.add(key, value).unwrap();
    }
    writer.finish().unwrap()
}

fn read(path: &Path) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let reader = KvfReader::open(&RealVfs, path)?;
    let mut cursor = reader.cursor();
    let mut out = vec![];
    while cursor.advance()? {
        out.push((cursor.key().to_vec(), cursor.value().to_vec()));
    }
    Ok(out)
}

#[test]
fn a_file_is_the_documented_picture() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.kvf");
    let mut key = b"\x03ab".to_vec();
    // Bytes without a repetition, so that LZ4 gains nothing.
    mvcc::push_suffix(&mut key, Ts(!0x0102_0304_0506_0708));
    let mut next = b"\x03ac".to_vec();
    mvcc::push_suffix(&mut next, Ts(!0x1112_1314_1516_1718));
    write(&path, &[(key, b"v".to_vec()), (next, vec![])]);
    let mut expected = b"PHKVF\r\n\0\x01\0\0\0".to_vec();
    let seal = |out: &mut Vec<u8>, from: usize| {
        let sum = xxhash_rust::xxh3::xxh3_64(&out[from..]);
        out.extend_from_slice(&sum.to_le_bytes());
    };
    expected.extend_from_slice(b"\x1B\0\0\0\x1B\0\0\0\0");
    expected.extend_from_slice(b"\0\x0B\x01\x03ab\x01\x02\x03\x04\x05\x06\x07\x08v");
    expected.extend_from_slice(b"\x02\x09\0c\x11\x12\x13\x14\x15\x16\x17\x18");
    seal(&mut expected, 12);
    let index = expected.len();
    expected.extend_from_slice(b"\x0E\0\0\0\x0E\0\0\0\0\x0C\x02\x0B\x03ab\x01\x02\x03\x04\x05\x06\x07\x08");
    seal(&mut expected, index);
    let footer = expected.len();
    expected.extend_from_slice(&(index as u64).to_le_bytes());
    expected.extend_from_slice(&((footer - index) as u32).to_le_bytes());
    for n in [2u64, 1, !0x1112_1314_1516_1718, !0x0102_0304_0506_0708] {
        expected.extend_from_slice(&n.to_le_bytes());
    }
    seal(&mut expected, footer);
    expected.extend_from_slice(b"PHKVF\r\n\0");
    let found = std::fs::read(&path).unwrap();
    assert_eq!(found, expected);
}

#[test]
fn many_blocks_read_back_and_are_sought() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.kvf");
    let mut all = entries(20_000, 100);
    all.push((b"\x04".to_vec(), vec![9; 3 << 20]));
    let summary = write(&path, &all);
    assert_eq!((summary.entries, summary.versions), (20_001, Some((Ts(10), Ts(20_009)))));
    assert!(read(&path).unwrap() == all);
    let reader = KvfReader::open(&RealVfs, &path).unwrap();
    assert_eq!(reader.summary(), summary);
    let mut cursor = reader.cursor();
    for i in [0usize, 1, 7_777, 19_999, 20_000, 600, 601] {
        assert!(cursor.seek_ge(&all[i].0).unwrap());
        assert_eq!((cursor.key(), cursor.value()), (&all[i].0[..], &all[i].1[..]));
        let mut between = all[i].0.clone();
        between.push(0);
        assert_eq!(cursor.seek_ge(&between).unwrap(), i < 20_000);
        if i < 20_000 {
            assert_eq!(cursor.key(), &all[i + 1].0[..]);
        }
    }
}

#[test]
fn an_empty_file_has_no_entries() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.kvf");
    assert_eq!(write(&path, &[]).versions, None);
    assert!(read(&path).unwrap().is_empty());
    assert!(!KvfReader::open(&RealVfs, &path).unwrap().cursor().seek_ge(b"").unwrap());
}

#[test]
fn keys_out_of_order_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = KvfWriter::create(&RealVfs, &dir.path().join("run.kvf")).unwrap();
    writer.add(b"b", b"").unwrap();
    assert!(matches!(writer.add(b"b", b""), Err(Error::Malformed { .. })));
    assert!(matches!(writer.add(b"a", b""), Err(Error::Malformed { .. })));
    writer.add(b"c", b"").unwrap();
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.kvf");
    write(&path, &entries(6, 40));
    let good = std::fs::read(&path).unwrap();
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &bad).unwrap();
        let found = read(&path);
        let damage = matches!(found, Err(Error::Corruption { .. } | Error::NewerFormat { .. }));
        assert!(damage, "bit {bit}: {:?}", found.map(|e| e.len()));
    }
    for len in 0..good.len() {
        std::fs::write(&path, &good[..len]).unwrap();
        assert!(matches!(read(&path), Err(Error::Corruption { .. })), "cut to {len}");
    }
    let mut newer = good;
    newer[8] = 2;
    std::fs::write(&path, &newer).unwrap();
    assert!(matches!(read(&path), Err(Error::NewerFormat { found: 2, supported: 1, .. })));
    assert!(RealVfs.exists(&path).unwrap());
}
