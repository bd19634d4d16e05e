//! A value of any type, cheap to clone. Which type it is stands beside it (`TypeRef`): one variant
//! serves every type of the same representation.

use crate::Oid;
use bytes::Bytes;
use smol_str::SmolStr;
use std::sync::Arc;

/// One SQL value.
#[derive(Clone, Debug)]
pub enum Datum {
    Null,
    Bool(bool),
    Int2(i16),
    Int4(i32),
    Int8(i64),
    Float4(f32),
    Float8(f64),
    /// `oid` and the `reg…` types, `xid`, `cid`.
    Oid(Oid),
    Numeric(Numeric),
    /// `text`, `varchar`, `bpchar` (blank-padded to its length), `name`, `"char"`, `json`, `xml`,
    /// enum labels, `unknown` literals.
    Text(SmolStr),
    /// `bytea`; also the canonical bytes of `jsonb`.
    Bytes(Bytes),
    /// Days since 2000-01-01; `i32::MIN`/`MAX` are -infinity/infinity.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    TimeTz(TimeTz),
    /// `timestamp` and `timestamptz`: microseconds since 2000-01-01 (UTC for `timestamptz`);
    /// `i64::MIN`/`MAX` are -infinity/infinity.
    Timestamp(i64),
    Interval(Interval),
    Uuid([u8; 16]),
    /// Arrays, `oidvector` and `int2vector`.
    Array(Arc<ArrayValue>),
    /// A row: the fields in order, with their types.
    Record(Arc<Vec<(Oid, Datum)>>),
}

/// `time with time zone`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeTz {
    /// Microseconds since midnight, local.
    pub micros: i64,
    /// Seconds west of UTC, PostgreSQL's sign.
    pub zone: i32,
}

/// `interval`: three fields that do not convert into each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Interval {
    pub months: i32,
    pub days: i32,
    pub micros: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumericSign {
    Positive,
    Negative,
    NaN,
    Infinity,
    NegInfinity,
}

/// PostgreSQL's `numeric`: base-10000 digits, most significant first, no leading or trailing zero
/// digits; the value is Σ digit[i] · 10000^(weight − i). Zero has no digits and weight 0.
#[derive(Clone, Debug)]
pub struct Numeric {
    pub sign: NumericSign,
    /// Exponent (base 10000) of the first digit.
    pub weight: i32,
    /// Decimal digits shown after the point.
    pub scale: u16,
    pub digits: smallvec::SmallVec<[u16; 8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrayDim {
    pub len: i32,
    pub lower: i32,
}

/// A PostgreSQL array: row-major elements under up to six dimensions; none for the empty array.
#[derive(Clone, Debug)]
pub struct ArrayValue {
    pub element: Oid,
    pub dims: smallvec::SmallVec<[ArrayDim; 1]>,
    pub items: Vec<Datum>,
}

impl ArrayValue {
    /// A one-dimensional array from 1.
    pub fn of(element: Oid, items: Vec<Datum>) -> ArrayValue {
        let mut dims = smallvec::SmallVec::new();
        if !items.is_empty() {
            dims.push(ArrayDim { len: items.len() as i32, lower: 1 });
        }
        ArrayValue { element, dims, items }
    }
}

impl Datum {
    pub fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }

    pub fn text(s: impl AsRef<str>) -> Datum {
        Datum::Text(SmolStr::new(s.as_ref()))
    }

    pub fn array(element: Oid, items: Vec<Datum>) -> Datum {
        Datum::Array(Arc::new(ArrayValue::of(element, items)))
    }
}
