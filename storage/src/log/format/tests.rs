use super::*;
use crate::log::{LogBatch, LogEntry};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn the_header_is_the_documented_picture() {
    let header = Header { segment: 3, first_seq: 17, durable_seq: 16, oldest: 2 };
    let bytes = header.encode();
    assert_eq!(
        hex(&bytes[..60]),
        "50485241\
         46544c47\
         01000000\
         00000000\
         0300000000000000\
         1100000000000000\
         1000000000000000\
         0200000000000000\
         000000000000000000000000"
    );
    assert_eq!(bytes[60..], crc32c::crc32c(&bytes[..60]).to_le_bytes());
    assert_eq!(Header::decode(&bytes), Ok(header));
    assert_eq!(Header::decode(&[0; HEADER]), Err(HeaderError::Empty));
    assert_eq!(Header::decode(&bytes[..HEADER - 1]), Err(HeaderError::Empty));
    for bit in 0..HEADER * 8 {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Header::decode(&flipped), Err(HeaderError::Bad), "bit {bit}");
    }
    let mut newer = bytes;
    newer[8] = 2;
    let crc = crc32c::crc32c(&newer[..60]);
    newer[60..].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(Header::decode(&newer), Err(HeaderError::Newer(2)));
}

/// One record with every item, as bytes of segment 7.
fn fixture() -> (Vec<u8>, Vec<Slot>) {
    let group = RangeId(300);
    let entry =
        |index, kind, data: &'static [u8]| LogEntry { term: 5, index, kind, data: Bytes::from_static(data) };
    let mut batch = LogBatch::new();
    batch.append(group, &[entry(8, EntryKind::Normal, b"abc"), entry(9, EntryKind::ConfChangeV2, b"")]);
    batch.hard_state(group, HardState { term: 5, vote: 1, commit: 9 });
    batch.conf_state(group, &b"cs"[..]);
    batch.install_snapshot(RangeId(2), 40, 4);
    batch.remove_group(RangeId(1));
    batch.items.push(Item::Compacted { group, index: 8, term: 5 });
    let (mut out, mut slots) = (vec![], vec![]);
    let start = begin_record(&mut out);
    for item in &batch.items {
        put_item(&mut out, item, 7, 0, &mut slots);
    }
    put_oldest(&mut out, 6);
    let conf_state = Bytes::from_static(b"cs");
    let state = GroupState {
        hard_state: HardState { term: 5, vote: 1, commit: 9 },
        conf_state,
        truncated: (8, 5),
        last: 9,
    };
    put_group_state(&mut out, group, &state);
    finish_record(&mut out, start, 7, 17, 16, RecordKind::Batch);
    (out, slots)
}

#[test]
fn a_record_is_the_documented_picture() {
    let (bytes, _) = fixture();
    let crc = |index, kind, data: &[u8]| hex(&entry_crc(RangeId(300), index, 5, kind, data).to_le_bytes());
    let payload = [
        "01ac020802".to_owned(),
        format!("000503{}616263", crc(8, EntryKind::Normal, b"abc")),
        format!("020500{}", crc(9, EntryKind::ConfChangeV2, b"")),
        "02ac02050109".to_owned(),
        "03ac02026373".to_owned(),
        "05022804".to_owned(),
        "0601".to_owned(),
        "04ac020805".to_owned(),
        "0706".to_owned(),
        "08ac02050109080509026373".to_owned(),
    ]
    .concat();
    let len = hex(&(payload.len() as u32 / 2).to_le_bytes());
    assert_eq!(hex(&bytes[4..]), format!("{len}11000000000000001000000000000000{:02x}{payload}", 1));
    let crc = crc32c::crc32c_append(crc32c::crc32c(&7u64.to_le_bytes()), &bytes[4..]);
    assert_eq!(bytes[..4], crc.to_le_bytes());
    // The checksum of an entry covers group, index, term, kind and data, in this order.
    let mut covered = vec![];
    [300u64, 8, 5].iter().for_each(|n| covered.extend_from_slice(&n.to_le_bytes()));
    covered.extend_from_slice(b"\0abc");
    assert_eq!(entry_crc(RangeId(300), 8, 5, EntryKind::Normal, b"abc"), crc32c::crc32c(&covered));
}

#[test]
fn a_record_reads_back_only_whole_and_only_in_its_segment() {
    let (bytes, slots) = fixture();
    let record = read_record(&bytes, 0, 7).unwrap();
    assert_eq!((record.seq, record.durable_seq, record.kind), (17, 16, RecordKind::Batch));
    let items = read_items(&bytes, record.payload.clone(), 7).unwrap();
    let places: Vec<Slot> = slots.into_iter().map(|s| Slot { data: None, ..s }).collect();
    assert_eq!(items[0], Stored::Entries { group: RangeId(300), first: 8, slots: places });
    assert_eq!(items.len(), 8);
    assert_eq!(read_record(&bytes, 0, 8), None);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(read_record(&flipped, 0, 7), None, "bit {bit}");
    }
    for len in 0..bytes.len() {
        assert_eq!(read_record(&bytes[..len], 0, 7), None, "{len} bytes");
    }
    assert_eq!(read_items(b"\x09\x01", 0..2, 7), None);
    assert_eq!(read_items(b"\x01\x01\x01\xff\xff\xff\xff\x0f", 0..8, 7), None);
}
