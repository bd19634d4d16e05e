use proptest::prelude::*;

use super::*;
use crate::Error;

/// One of each kind, variable columns between fixed ones.
fn layout() -> Layout {
    use PhysKind::*;
    Layout::new(0x0201, [I32, Bytes, Bool, I64, Bytes, I16, F32, F64, U32, Uuid, I128, Fixed16, Bytes])
}

#[test]
fn a_row_is_the_documented_picture() {
    let layout = Layout::new(0x0102, [PhysKind::I32, PhysKind::Bytes, PhysKind::Bool, PhysKind::Bytes]);
    let mut writer = RowWriter::new(&layout);
    let mut row = vec![];
    writer.set_bytes(3, b"xyz");
    writer.set_i32(0, 0x0A0B0C0D);
    writer.set_bytes(1, b"ab");
    writer.set_bool(2, true);
    writer.finish(&mut row).unwrap();
    assert_eq!(row, b"\x02\x01\x00\x0D\x0C\x0B\x0A\x01\x02\x00\x05\x00abxyz");

    row.clear();
    writer.set_i32(0, 1);
    writer.set_bytes(3, b"z");
    writer.finish(&mut row).unwrap();
    assert_eq!(row, b"\x02\x01\x01\x06\x01\x00\x00\x00\x00\x00\x00\x01\x00z");
    let reader = RowReader::new(&layout, &row).unwrap();
    let presence: Vec<_> = (0..5).map(|i| reader.presence(i)).collect();
    use Presence::*;
    assert_eq!(presence, [Value, Null, Null, Value, Missing]);
    assert_eq!((reader.i32(0), reader.bytes(1), reader.bytes(3)), (1, &b""[..], &b"z"[..]));
}

#[test]
fn a_long_row_has_wide_offsets() {
    let layout = Layout::new(1, [PhysKind::Bytes, PhysKind::Bytes]);
    let mut writer = RowWriter::new(&layout);
    for len in [65_535, 65_536, 1 << 20] {
        let mut row = vec![];
        writer.set_bytes(0, &vec![7; len]);
        writer.set_bytes(1, b"");
        writer.finish(&mut row).unwrap();
        assert_eq!(row[2], if len > 65_535 { 2 } else { 0 });
        let reader = RowReader::new(&layout, &row).unwrap();
        assert_eq!((reader.bytes(0).len(), reader.bytes(1)), (len, &b""[..]));
    }
    writer.set_bytes(0, &vec![7; MAX_ROW + 1]);
    let mut row = vec![];
    assert!(matches!(writer.finish(&mut row), Err(Error::Malformed { .. })));
    assert!(row.is_empty());
}

#[test]
fn damaged_rows_are_refused_not_read() {
    let layout = layout();
    let mut row = vec![];
    let mut writer = RowWriter::new(&layout);
    writer.set_bytes(1, b"some text");
    writer.set_bytes(12, b"more");
    writer.finish(&mut row).unwrap();
    for len in 0..row.len() {
        assert!(RowReader::new(&layout, &row[..len]).is_err(), "cut to {len}");
    }
    let mut longer = row.clone();
    longer.push(0);
    assert!(RowReader::new(&layout, &longer).is_err());
    for (at, bit) in (0..row.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut bad = row.clone();
        bad[at] ^= 1 << bit;
        if let Ok(reader) = RowReader::new(&layout, &bad) {
            // A flip inside a value is another value; it must not reach outside the row.
            assert!([1, 4, 12].iter().all(|&i| reader.bytes(i).len() <= bad.len()));
        }
    }
    let other = Layout::new(7, [PhysKind::I32]);
    assert!(RowReader::new(&other, &row).is_err());
}

proptest! {
    #[test]
    fn every_kind_reads_back(
        fixed in any::<(i32, bool, i64, i16, u32, i128)>(),
        floats in any::<(f32, f64)>(),
        uuid in any::<[u8; 16]>(),
        interval in any::<(i32, i32, i64)>(),
        texts in any::<[Vec<u8>; 3]>(),
        nulls in any::<[bool; 13]>(),
    ) {
        let layout = layout();
        let mut writer = RowWriter::new(&layout);
        writer.set_i32(0, fixed.0);
        writer.set_bool(2, fixed.1);
        writer.set_i64(3, fixed.2);
        writer.set_i16(5, fixed.3);
        writer.set_f32(6, floats.0);
        writer.set_f64(7, floats.1);
        writer.set_u32(8, fixed.4);
        writer.set_uuid(9, uuid);
        writer.set_i128(10, fixed.5);
        writer.set_interval(11, interval.0, interval.1, interval.2);
        for (i, text) in [1, 4, 12].into_iter().zip(&texts) {
            writer.set_bytes(i, text);
        }
        for (i, _) in nulls.iter().enumerate().filter(|(_, null)| **null) {
            writer.set_null(i);
        }
        let mut row = vec![];
        writer.finish(&mut row).unwrap();
        let r = RowReader::new(&layout, &row).unwrap();
        prop_assert_eq!(layout_id(&row).unwrap(), layout.id());
        let or = |i: usize, same: bool, zero: bool| if nulls[i] { zero } else { same };
        for (i, null) in nulls.iter().enumerate() {
            prop_assert_eq!(r.is_null(i), *null);
        }
        prop_assert!(or(0, r.i32(0) == fixed.0, r.i32(0) == 0));
        prop_assert!(or(2, r.bool(2) == fixed.1, !r.bool(2)));
        prop_assert!(or(3, r.i64(3) == fixed.2, r.i64(3) == 0));
        prop_assert!(or(5, r.i16(5) == fixed.3, r.i16(5) == 0));
        prop_assert!(or(6, r.f32(6).to_bits() == floats.0.to_bits(), r.f32(6) == 0.0));
        prop_assert!(or(7, r.f64(7).to_bits() == floats.1.to_bits(), r.f64(7) == 0.0));
        prop_assert!(or(8, r.u32(8) == fixed.4, r.u32(8) == 0));
        prop_assert!(or(9, r.uuid(9) == uuid, r.uuid(9) == [0; 16]));
        prop_assert!(or(10, r.i128(10) == fixed.5, r.i128(10) == 0));
        prop_assert!(or(11, r.interval(11) == interval, r.interval(11) == (0, 0, 0)));
        for (i, text) in [1, 4, 12].into_iter().zip(&texts) {
            prop_assert!(or(i, r.bytes(i) == &text[..], r.bytes(i).is_empty()));
        }
    }
}
