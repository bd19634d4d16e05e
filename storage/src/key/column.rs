//! The physical kinds a key column can have, and how each is written.
//!
//! | kind | ascending bytes |
//! |---|---|
//! | not-null marker | `05` null that sorts first · `10` a value follows · `1B` null that sorts last; absent for `Nulls::NotNull` columns |
//! | `Bool` | `00` false · `01` true |
//! | `I16` `I32` `I64` `Interval` (i128) | big-endian, sign bit flipped |
//! | `U32` | big-endian |
//! | `F32` `F64` | big-endian bits; negative: all bits inverted, else sign bit flipped. -0 is +0, every NaN is one NaN above +infinity |
//! | `Text` | bytes · `00` (text holds no `00`) |
//! | `Bytes` | `00` becomes `00 FF`, end is `00 01` |
//! | `Uuid` | 16 bytes |
//! | `Numeric` | class byte `01` -infinity, `02` negative, `03` zero, `04` positive, `05` infinity, `06` NaN; negative and positive go on with weight (i16, sign flipped) and base-10000 digits as u16 `2d+1`, the last `2d`; all bytes after a negative class are inverted |
//! | `TimeTz` | microseconds in UTC as `I64` · zone as `I32` |
//!
//! A descending column inverts every byte of the value, never the marker.

use std::borrow::Cow;

/// The physical kind of a key column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    Bool,
    I16,
    I32,
    I64,
    F32,
    F64,
    U32,
    /// UTF-8 without a zero byte, ordered by bytes.
    Text,
    Bytes,
    Uuid,
    Numeric,
    /// Normalised microseconds (a month is 30 days).
    Interval,
    TimeTz,
}

impl KeyKind {
    /// Every kind, for tests and tables.
    pub const ALL: [KeyKind; 13] = [
        KeyKind::Bool,
        KeyKind::I16,
        KeyKind::I32,
        KeyKind::I64,
        KeyKind::F32,
        KeyKind::F64,
        KeyKind::U32,
        KeyKind::Text,
        KeyKind::Bytes,
        KeyKind::Uuid,
        KeyKind::Numeric,
        KeyKind::Interval,
        KeyKind::TimeTz,
    ];
}

/// Direction of one key column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SortOrder {
    #[default]
    Ascending,
    Descending,
}

/// Where the nulls of a key column sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Nulls {
    First,
    Last,
    /// The column is never null and carries no marker byte (primary keys).
    #[default]
    NotNull,
}

/// How one key column is ordered. The default is an ascending NOT NULL column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ColumnOrder {
    pub sort: SortOrder,
    pub nulls: Nulls,
}

impl ColumnOrder {
    /// Ascending, never null: a primary key column.
    pub const KEY: ColumnOrder = ColumnOrder { sort: SortOrder::Ascending, nulls: Nulls::NotNull };
    /// PostgreSQL's default for an index column: ascending, nulls last.
    pub const ASC: ColumnOrder = ColumnOrder { sort: SortOrder::Ascending, nulls: Nulls::Last };
    /// PostgreSQL's `DESC`: descending, nulls first.
    pub const DESC: ColumnOrder = ColumnOrder { sort: SortOrder::Descending, nulls: Nulls::First };
}

pub(super) const NULL_FIRST: u8 = 0x05;
pub(super) const NOT_NULL: u8 = 0x10;
pub(super) const NULL_LAST: u8 = 0x1B;

/// Sign and special values of a numeric, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum DecimalClass {
    NegInfinity = 1,
    Negative = 2,
    Zero = 3,
    Positive = 4,
    Infinity = 5,
    NaN = 6,
}

/// A numeric as a key holds it: the sum of `digits[i] * 10000^(weight - i)`. The scale is not kept.
/// `weight` and `digits` mean nothing unless the class is `Negative` or `Positive`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecimalParts<'a> {
    pub class: DecimalClass,
    pub weight: i16,
    /// Each below 10000; zeros at both ends are dropped when written.
    pub digits: Cow<'a, [u16]>,
}

impl DecimalParts<'_> {
    /// A value that is all class: zero, an infinity or NaN.
    pub fn special(class: DecimalClass) -> DecimalParts<'static> {
        DecimalParts { class, weight: 0, digits: Cow::Borrowed(&[]) }
    }
}

/// One column value, for code that works on any kind.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyDatum<'a> {
    Null,
    Bool(bool),
    I16(i16),
    I32(i32),
    I64(i64),
    F32(f32),
    F64(f64),
    U32(u32),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    Uuid([u8; 16]),
    Numeric(DecimalParts<'a>),
    Interval(i128),
    TimeTz { utc_micros: i64, zone: i32 },
}
