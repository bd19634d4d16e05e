//! Order, equality and hash of values, as the default btree and hash classes have them. Text
//! compares by bytes (collation C).

use super::datetime::interval;
use super::io::TypeLookup;
use super::json::Json;
use super::{ArrayValue, Datum, jsonb};
use crate::Oid;
use crate::registry::Registry;
use rustc_hash::FxHasher;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// btree order of two values of a type; nulls last. Enums need `compare_with`: without their
/// labels' order they compare by label.
pub fn compare(ty: Oid, a: &Datum, b: &Datum) -> Ordering {
    compare_with(&super::BuiltinTypes, ty, a, b)
}

/// As `compare`, with the types that are defined at run time.
pub fn compare_with(lookup: &dyn TypeLookup, ty: Oid, a: &Datum, b: &Datum) -> Ordering {
    match (a, b) {
        (Datum::Null, Datum::Null) => Ordering::Equal,
        (Datum::Null, _) => Ordering::Greater,
        (_, Datum::Null) => Ordering::Less,
        (Datum::Int4(a), Datum::Int4(b)) => a.cmp(b),
        (Datum::Int8(a), Datum::Int8(b)) => a.cmp(b),
        (Datum::Text(a), Datum::Text(b)) => compare_text(lookup, ty, a, b),
        (Datum::Bool(a), Datum::Bool(b)) => a.cmp(b),
        (Datum::Numeric(a), Datum::Numeric(b)) => a.compare(b),
        (Datum::Bytes(a), Datum::Bytes(b)) if ty == Oid::JSONB => {
            jsonb::compare(&jsonb::decode(a), &jsonb::decode(b))
        }
        (Datum::Bytes(a), Datum::Bytes(b)) => a.cmp(b),
        (Datum::Date(a), Datum::Date(b)) => a.cmp(b),
        (Datum::Time(a), Datum::Time(b)) | (Datum::Timestamp(a), Datum::Timestamp(b)) => a.cmp(b),
        (Datum::TimeTz(a), Datum::TimeTz(b)) => {
            // By the instant, then by zone.
            let utc = |t: &super::TimeTz| t.micros + i64::from(t.zone) * 1_000_000;
            utc(a).cmp(&utc(b)).then(a.zone.cmp(&b.zone))
        }
        (Datum::Interval(a), Datum::Interval(b)) => interval::sort_key(a).cmp(&interval::sort_key(b)),
        (Datum::Uuid(a), Datum::Uuid(b)) => a.cmp(b),
        (Datum::Oid(a), Datum::Oid(b)) => a.cmp(b),
        (Datum::Array(a), Datum::Array(b)) => compare_arrays(lookup, a, b),
        (Datum::Record(a), Datum::Record(b)) => {
            let fields = a.iter().zip(b.iter()).map(|((ty, a), (_, b))| compare_with(lookup, *ty, a, b));
            first_difference(fields).then(a.len().cmp(&b.len()))
        }
        _ => match (integer(a), integer(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => compare_floats(a, b),
        },
    }
}

fn first_difference(mut orders: impl Iterator<Item = Ordering>) -> Ordering {
    orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// The value of any integer type, `oid` included.
pub fn integer(value: &Datum) -> Option<i64> {
    match value {
        Datum::Int2(value) => Some(i64::from(*value)),
        Datum::Int4(value) => Some(i64::from(*value)),
        Datum::Int8(value) => Some(*value),
        Datum::Oid(value) => Some(i64::from(value.0)),
        _ => None,
    }
}

fn float(value: &Datum) -> Option<f64> {
    match value {
        Datum::Float4(value) => Some(f64::from(*value)),
        Datum::Float8(value) => Some(*value),
        _ => None,
    }
}

/// NaN equals NaN and is above everything; -0 equals 0.
pub fn float_order(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Values of different representations never meet but by a bug; they order by representation.
fn compare_floats(a: &Datum, b: &Datum) -> Ordering {
    match (float(a), float(b)) {
        (Some(a), Some(b)) => float_order(a, b),
        _ => variant(a).cmp(&variant(b)),
    }
}

fn variant(value: &Datum) -> u8 {
    match value {
        Datum::Null => 0,
        Datum::Bool(_) => 1,
        Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_) | Datum::Oid(_) => 2,
        Datum::Float4(_) | Datum::Float8(_) => 3,
        Datum::Numeric(_) => 4,
        Datum::Text(_) => 5,
        Datum::Bytes(_) => 6,
        Datum::Date(_) => 7,
        Datum::Time(_) => 8,
        Datum::TimeTz(_) => 9,
        Datum::Timestamp(_) => 10,
        Datum::Interval(_) => 11,
        Datum::Uuid(_) => 12,
        Datum::Array(_) => 13,
        Datum::Record(_) => 14,
    }
}

fn compare_text(lookup: &dyn TypeLookup, ty: Oid, a: &str, b: &str) -> Ordering {
    match ty {
        Oid::BPCHAR => trim_blanks(a).as_bytes().cmp(trim_blanks(b).as_bytes()),
        Oid::CHAR => super::text::char_byte(a).cmp(&super::text::char_byte(b)),
        ty if ty >= Oid::FIRST_USER => match lookup.enum_labels(ty) {
            Some(labels) => {
                let rank = |label: &str| labels.iter().position(|l| l == label);
                rank(a).cmp(&rank(b))
            }
            None => a.as_bytes().cmp(b.as_bytes()),
        },
        _ => a.as_bytes().cmp(b.as_bytes()),
    }
}

/// A bpchar without its padding.
pub fn trim_blanks(text: &str) -> &str {
    text.trim_end_matches(' ')
}

/// Elements first, then their number, dimensions and bounds.
fn compare_arrays(lookup: &dyn TypeLookup, a: &ArrayValue, b: &ArrayValue) -> Ordering {
    let items = a.items.iter().zip(&b.items).map(|(x, y)| compare_with(lookup, a.element, x, y));
    first_difference(items)
        .then_with(|| a.items.len().cmp(&b.items.len()))
        .then_with(|| a.dims.len().cmp(&b.dims.len()))
        .then_with(|| {
            first_difference(
                a.dims
                    .iter()
                    .zip(&b.dims)
                    .map(|(x, y)| x.len.cmp(&y.len))
                    .chain(a.dims.iter().zip(&b.dims).map(|(x, y)| x.lower.cmp(&y.lower))),
            )
        })
}

/// Whether two values of a type are equal; nulls are equal to each other.
pub fn equal(ty: Oid, a: &Datum, b: &Datum) -> bool {
    match (a, b) {
        (Datum::Text(a), Datum::Text(b)) if ty != Oid::BPCHAR => a == b,
        _ => compare(ty, a, b).is_eq(),
    }
}

/// Equal values of a type hash alike, across the integer types and the float types too.
pub fn hash(ty: Oid, value: &Datum) -> u64 {
    let mut hasher = FxHasher::default();
    hash_into(ty, value, &mut hasher);
    hasher.finish()
}

fn hash_into(ty: Oid, value: &Datum, state: &mut FxHasher) {
    if let Some(value) = integer(value) {
        return value.hash(state);
    }
    if let Some(value) = float(value) {
        let canonical = if value == 0.0 { 0.0 } else { value };
        return if value.is_nan() { f64::NAN.to_bits().hash(state) } else { canonical.to_bits().hash(state) };
    }
    match value {
        Datum::Bool(value) => value.hash(state),
        Datum::Numeric(value) => {
            (value.sign as u8, value.weight).hash(state);
            value.digits.as_slice().hash(state);
        }
        Datum::Text(value) if ty == Oid::BPCHAR => trim_blanks(value).hash(state),
        Datum::Text(value) => value.as_str().hash(state),
        Datum::Bytes(value) if ty == Oid::JSONB => hash_json(&jsonb::decode(value), state),
        Datum::Bytes(value) => value.hash(state),
        Datum::Date(value) => value.hash(state),
        Datum::Time(value) | Datum::Timestamp(value) => value.hash(state),
        Datum::TimeTz(value) => (value.micros, value.zone).hash(state),
        Datum::Interval(value) => interval::sort_key(value).hash(state),
        Datum::Uuid(value) => value.hash(state),
        Datum::Array(array) => {
            array.items.iter().for_each(|item| hash_into(array.element, item, state));
        }
        Datum::Record(fields) => fields.iter().for_each(|(ty, value)| hash_into(*ty, value, state)),
        _ => 0u8.hash(state),
    }
}

fn hash_json(value: &Json, state: &mut FxHasher) {
    match value {
        Json::Null => 0u8.hash(state),
        Json::Bool(value) => value.hash(state),
        Json::Number(value) => hash_into(Oid::NUMERIC, &Datum::Numeric(value.clone()), state),
        Json::String(text) => text.hash(state),
        Json::Array(items) => items.iter().for_each(|item| hash_json(item, state)),
        Json::Object(members) => {
            for (key, value) in members {
                key.hash(state);
                hash_json(value, state);
            }
        }
    }
}

/// Whether the type has a btree order at all (`json`, `xml`, `point`, … have none).
pub fn is_ordered(ty: Oid) -> bool {
    Registry::get().default_btree_opclass(ty).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_hash_alike() {
        let numeric = |text| Datum::Numeric(crate::types::Numeric::parse(text).unwrap());
        for (ty, a, b) in [
            (Oid::NUMERIC, numeric("1.0"), numeric("1.000")),
            (Oid::NUMERIC, numeric("0"), numeric("-0.00")),
            (Oid::FLOAT8, Datum::Float8(0.0), Datum::Float8(-0.0)),
            (Oid::FLOAT8, Datum::Float8(f64::NAN), Datum::Float8(-f64::NAN)),
            (Oid::INT8, Datum::Int4(7), Datum::Int8(7)),
            (Oid::BPCHAR, Datum::text("a  "), Datum::text("a")),
            (
                Oid::INTERVAL,
                Datum::Interval(crate::types::Interval { months: 1, ..Default::default() }),
                Datum::Interval(crate::types::Interval { days: 30, ..Default::default() }),
            ),
        ] {
            assert!(equal(ty, &a, &b), "{a:?} {b:?}");
            assert_eq!(hash(ty, &a), hash(ty, &b), "{a:?} {b:?}");
        }
    }

    #[test]
    fn orders_nulls_nan_and_arrays() {
        let array = |items: &[i32]| Datum::array(Oid::INT4, items.iter().map(|i| Datum::Int4(*i)).collect());
        assert!(compare(Oid::INT4, &Datum::Int4(1), &Datum::Null).is_lt());
        assert!(compare(Oid::FLOAT8, &Datum::Float8(f64::INFINITY), &Datum::Float8(f64::NAN)).is_lt());
        assert!(compare(Oid::INT4_ARRAY, &array(&[1, 2]), &array(&[1, 2, 0])).is_lt());
        assert!(compare(Oid::INT4_ARRAY, &array(&[2]), &array(&[1, 2])).is_gt());
        assert!(compare(Oid::TEXT, &Datum::text("B"), &Datum::text("a")).is_lt());
    }
}
