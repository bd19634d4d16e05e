//! The promise of the module, per kind and order: bytes sort as values, no key is a proper prefix
//! of another one, and what was written reads back.

use std::borrow::Cow;
use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;

fn orders() -> impl Iterator<Item = ColumnOrder> {
    let sorts = [SortOrder::Ascending, SortOrder::Descending];
    let nulls = [Nulls::First, Nulls::Last, Nulls::NotNull];
    sorts.into_iter().flat_map(move |sort| nulls.map(|nulls| ColumnOrder { sort, nulls }))
}

fn datum(kind: KeyKind) -> BoxedStrategy<KeyDatum<'static>> {
    match kind {
        KeyKind::Bool => any::<bool>().prop_map(KeyDatum::Bool).boxed(),
        KeyKind::I16 => any::<i16>().prop_map(KeyDatum::I16).boxed(),
        KeyKind::I32 => any::<i32>().prop_map(KeyDatum::I32).boxed(),
        KeyKind::I64 => any::<i64>().prop_map(KeyDatum::I64).boxed(),
        KeyKind::F32 => {
            let special =
                prop::sample::select(vec![0.0, -0.0, f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
            prop_oneof![any::<f32>(), special].prop_map(KeyDatum::F32).boxed()
        }
        KeyKind::F64 => {
            let special =
                prop::sample::select(vec![0.0, -0.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
            prop_oneof![any::<f64>(), special].prop_map(KeyDatum::F64).boxed()
        }
        KeyKind::U32 => any::<u32>().prop_map(KeyDatum::U32).boxed(),
        KeyKind::Text => "[\u{1}-\u{3}ab\u{10FFFF}]{0,5}".prop_map(|s| KeyDatum::Text(s.into())).boxed(),
        KeyKind::Bytes => {
            let byte = prop_oneof![Just(0u8), Just(1), Just(0xFF), any::<u8>()];
            prop::collection::vec(byte, 0..5).prop_map(|b| KeyDatum::Bytes(b.into())).boxed()
        }
        KeyKind::Uuid => any::<[u8; 16]>().prop_map(KeyDatum::Uuid).boxed(),
        KeyKind::Numeric => decimal().prop_map(KeyDatum::Numeric).boxed(),
        KeyKind::Interval => any::<i128>().prop_map(KeyDatum::Interval).boxed(),
        KeyKind::TimeTz => {
            let zone = any::<i32>();
            (0i64..3, zone).prop_map(|(utc_micros, zone)| KeyDatum::TimeTz { utc_micros, zone }).boxed()
        }
    }
}

fn decimal() -> impl Strategy<Value = DecimalParts<'static>> {
    use DecimalClass::*;
    let class =
        prop::sample::select(vec![NegInfinity, Negative, Negative, Zero, Positive, Positive, Infinity, NaN]);
    let digit = prop_oneof![Just(0u16), Just(1), Just(9999), 0u16..10_000];
    (class, -3i16..3, prop::collection::vec(digit, 1..4)).prop_map(|(class, weight, digits)| {
        let parts = DecimalParts { class, weight, digits: Cow::Owned(digits) };
        canonical_decimal(&parts)
    })
}

/// The one form a value has in a key.
fn canonical_decimal(v: &DecimalParts<'_>) -> DecimalParts<'static> {
    let mut digits = v.digits.to_vec();
    let mut weight = v.weight;
    while digits.last() == Some(&0) {
        digits.pop();
    }
    while digits.first() == Some(&0) {
        digits.remove(0);
        weight -= 1;
    }
    match v.class {
        DecimalClass::Negative | DecimalClass::Positive if digits.is_empty() => {
            DecimalParts::special(DecimalClass::Zero)
        }
        class @ (DecimalClass::Negative | DecimalClass::Positive) => {
            DecimalParts { class, weight, digits: Cow::Owned(digits) }
        }
        class => DecimalParts::special(class),
    }
}

/// Order of values, told without the encoding.
fn compare(a: &KeyDatum<'_>, b: &KeyDatum<'_>) -> Ordering {
    use KeyDatum::*;
    match (a, b) {
        (Bool(a), Bool(b)) => a.cmp(b),
        (I16(a), I16(b)) => a.cmp(b),
        (I32(a), I32(b)) => a.cmp(b),
        (I64(a), I64(b)) => a.cmp(b),
        (F32(a), F32(b)) => compare_floats(f64::from(*a), f64::from(*b)),
        (F64(a), F64(b)) => compare_floats(*a, *b),
        (U32(a), U32(b)) => a.cmp(b),
        (Text(a), Text(b)) => a.cmp(b),
        (Bytes(a), Bytes(b)) => a.cmp(b),
        (Uuid(a), Uuid(b)) => a.cmp(b),
        (Numeric(a), Numeric(b)) => compare_decimals(a, b),
        (Interval(a), Interval(b)) => a.cmp(b),
        (TimeTz { utc_micros: a, zone: za }, TimeTz { utc_micros: b, zone: zb }) => (a, za).cmp(&(b, zb)),
        _ => panic!("two kinds in one column"),
    }
}

fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn compare_decimals(a: &DecimalParts<'_>, b: &DecimalParts<'_>) -> Ordering {
    // Enough base-10000 places for the weights of `decimal`.
    let places = |v: &DecimalParts<'_>| {
        let mut out = [0u16; 16];
        v.digits.iter().enumerate().for_each(|(i, d)| out[(8 - i32::from(v.weight)) as usize + i] = *d);
        out
    };
    let magnitude = match a.class {
        DecimalClass::Positive => places(a).cmp(&places(b)),
        DecimalClass::Negative => places(b).cmp(&places(a)),
        _ => Ordering::Equal,
    };
    a.class.cmp(&b.class).then(magnitude)
}

fn encode(v: &KeyDatum<'_>, order: ColumnOrder) -> Vec<u8> {
    let mut writer = KeyWriter::new();
    writer.push(v, order).unwrap();
    writer.finish()
}

/// Equal up to what a key does not keep: the sign of zero and of NaN.
fn same(a: &KeyDatum<'_>, b: &KeyDatum<'_>) -> bool {
    a == b || (!matches!(a, KeyDatum::Null) && !matches!(b, KeyDatum::Null) && compare(a, b).is_eq())
}

fn check_pair(kind: KeyKind, a: &KeyDatum<'_>, b: &KeyDatum<'_>) {
    for order in orders() {
        let (ka, kb) = (encode(a, order), encode(b, order));
        let expected = match order.sort {
            SortOrder::Ascending => compare(a, b),
            SortOrder::Descending => compare(b, a),
        };
        assert_eq!(ka.cmp(&kb), expected, "{a:?} {b:?} {order:?}");
        assert!(ka == kb || !kb.starts_with(&ka), "{a:?} is a prefix of {b:?}, {order:?}");
        check_reads_back(kind, a, &ka, order);
        check_null(kind, &ka, order);
    }
}

fn check_reads_back(kind: KeyKind, v: &KeyDatum<'_>, key: &[u8], order: ColumnOrder) {
    let mut padded = key.to_vec();
    padded.extend_from_slice(b"\x00\xFFrest");
    let mut reader = KeyReader::new(&padded);
    let read = reader.read(kind, order).unwrap();
    assert!(same(v, &read), "{v:?} read back as {read:?}, {order:?}");
    assert_eq!(reader.rest(), b"\x00\xFFrest");
    let mut reader = KeyReader::new(&padded);
    reader.skip(kind, order).unwrap();
    assert_eq!(reader.rest(), b"\x00\xFFrest");
    for len in 0..key.len() {
        assert!(KeyReader::new(&key[..len]).read(kind, order).is_err(), "{key:?} cut to {len}");
    }
}

fn check_null(kind: KeyKind, key: &[u8], order: ColumnOrder) {
    if order.nulls == Nulls::NotNull {
        return;
    }
    let null = encode(&KeyDatum::Null, order);
    assert_eq!(&null[..] < key, order.nulls == Nulls::First);
    assert!(!key.starts_with(&null));
    assert_eq!(KeyReader::new(&null).read(kind, order).unwrap(), KeyDatum::Null);
}

/// Pairs of one kind, often equal or close.
fn pairs() -> impl Strategy<Value = (KeyKind, KeyDatum<'static>, KeyDatum<'static>)> {
    prop::sample::select(KeyKind::ALL.to_vec()).prop_flat_map(|kind| (Just(kind), datum(kind), datum(kind)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn bytes_sort_as_values((kind, a, b) in pairs()) {
        check_pair(kind, &a, &b);
        check_pair(kind, &a, &a);
    }

    #[test]
    fn any_bytes_are_read_or_refused(kind in prop::sample::select(KeyKind::ALL.to_vec()), bytes: Vec<u8>) {
        for order in orders() {
            // No panic; what is read must be what its own encoding reads as.
            if let Ok(v) = KeyReader::new(&bytes).read(kind, order)
                && !matches!(v, KeyDatum::Null)
            {
                check_reads_back(kind, &v, &encode(&v, order), order);
            }
        }
    }

    #[test]
    fn columns_compare_from_left_to_right((ka, a, b) in pairs(), (kb, c, d) in pairs()) {
        let order = ColumnOrder::ASC;
        let join = |x: &KeyDatum<'_>, y: &KeyDatum<'_>| [encode(x, order), encode(y, order)].concat();
        prop_assert_eq!(join(&a, &c).cmp(&join(&b, &d)), compare(&a, &b).then(compare(&c, &d)), "{:?} {:?}", ka, kb);
    }
}

#[test]
fn columns_are_the_documented_picture() {
    let (asc, desc) = (ColumnOrder::KEY, ColumnOrder::DESC);
    let numeric = |class, weight, digits: &'static [u16]| {
        KeyDatum::Numeric(DecimalParts { class, weight, digits: Cow::Borrowed(digits) })
    };
    let table: &[(KeyDatum<'_>, ColumnOrder, &[u8])] = &[
        (KeyDatum::Null, ColumnOrder::ASC, b"\x1B"),
        (KeyDatum::Null, desc, b"\x05"),
        (KeyDatum::Bool(true), asc, b"\x01"),
        (KeyDatum::Bool(true), desc, b"\x10\xFE"),
        (KeyDatum::I16(-1), asc, b"\x7F\xFF"),
        (KeyDatum::I32(1), asc, b"\x80\0\0\x01"),
        (KeyDatum::I64(i64::MIN), asc, b"\0\0\0\0\0\0\0\0"),
        (KeyDatum::U32(1), asc, b"\0\0\0\x01"),
        (KeyDatum::F32(-0.0), asc, b"\x80\0\0\0"),
        (KeyDatum::F64(f64::NAN), asc, b"\xFF\xF8\0\0\0\0\0\0"),
        (KeyDatum::F64(-1.0), asc, b"\x40\x0F\xFF\xFF\xFF\xFF\xFF\xFF"),
        (KeyDatum::Text("ab".into()), asc, b"ab\0"),
        (KeyDatum::Text("ab".into()), desc, b"\x10\x9E\x9D\xFF"),
        (KeyDatum::Bytes(b"a\0".into()), asc, b"a\0\xFF\0\x01"),
        (numeric(DecimalClass::Positive, 0, &[42]), asc, b"\x04\x80\0\0\x54"),
        (numeric(DecimalClass::Positive, 1, &[0, 1, 2, 0]), asc, b"\x04\x80\0\0\x03\0\x04"),
        (numeric(DecimalClass::Negative, 0, &[42]), asc, b"\x02\x7F\xFF\xFF\xAB"),
        (numeric(DecimalClass::Zero, 0, &[]), asc, b"\x03"),
        (KeyDatum::Interval(1), asc, b"\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"),
        (KeyDatum::TimeTz { utc_micros: 2, zone: -1 }, asc, b"\x80\0\0\0\0\0\0\x02\x7F\xFF\xFF\xFF"),
    ];
    for (v, order, bytes) in table {
        assert_eq!(encode(v, *order), *bytes, "{v:?} {order:?}");
    }
    assert!(KeyWriter::new().push_text("a\0b", asc).is_err());
    let huge = DecimalParts { class: DecimalClass::Positive, weight: 0, digits: Cow::Borrowed(&[10_000]) };
    assert!(KeyWriter::new().push_numeric(&huge, asc).is_err());
}
