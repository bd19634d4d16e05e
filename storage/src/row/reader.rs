//! Row bytes to columns.

use super::{HAS_NULL, HEADER, Layout, PhysKind, WIDE};
use crate::{Error, Result};

const MALFORMED: Error = Error::Malformed { what: "row" };

/// The layout a row was written with: look it up, then make a `RowReader`.
pub fn layout_id(row: &[u8]) -> Result<u16> {
    row.first_chunk().map(|b| u16::from_le_bytes(*b)).ok_or(MALFORMED)
}

/// What a row holds for a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Value,
    Null,
    /// The row's layout is older than the column.
    Missing,
}

/// Reads single columns of a row. The bytes are checked once, in `new`; a typed read of a column
/// that is null answers zero or no bytes, and a read of a wrong kind is a bug above and panics.
#[derive(Clone, Copy, Debug)]
pub struct RowReader<'a> {
    layout: &'a Layout,
    nulls: &'a [u8],
    fixed: &'a [u8],
    ends: Ends<'a>,
    variable: &'a [u8],
}

/// End offsets of the variable columns.
#[derive(Clone, Copy, Debug)]
enum Ends<'a> {
    Narrow(&'a [[u8; 2]]),
    Wide(&'a [[u8; 4]]),
}

impl Ends<'_> {
    fn get(&self, i: usize) -> usize {
        match self {
            Ends::Narrow(ends) => usize::from(u16::from_le_bytes(ends[i])),
            Ends::Wide(ends) => u32::from_le_bytes(ends[i]) as usize,
        }
    }
}

impl<'a> RowReader<'a> {
    /// Fails unless `row` is a whole row of `layout`.
    pub fn new(layout: &'a Layout, row: &'a [u8]) -> Result<RowReader<'a>> {
        RowReader::parse(layout, row).ok_or(MALFORMED)
    }

    fn parse(layout: &'a Layout, row: &'a [u8]) -> Option<RowReader<'a>> {
        let (header, rest) = row.split_first_chunk::<HEADER>()?;
        let flags = header[2];
        if layout_id(header).ok()? != layout.id() || flags & !(HAS_NULL | WIDE) != 0 {
            return None;
        }
        let bitmap = if flags & HAS_NULL == 0 { 0 } else { layout.bitmap_bytes() };
        let (nulls, rest) = rest.split_at_checked(bitmap)?;
        let (fixed, rest) = rest.split_at_checked(layout.fixed_bytes())?;
        let count = layout.variable_columns();
        let width = if flags & WIDE == 0 { 2 } else { 4 };
        let (ends, variable) = rest.split_at_checked(count * width)?;
        let ends = match flags & WIDE {
            0 => Ends::Narrow(ends.as_chunks().0),
            _ => Ends::Wide(ends.as_chunks().0),
        };
        let mut last = 0;
        for i in 0..count {
            let end = ends.get(i);
            if end < last {
                return None;
            }
            last = end;
        }
        (last == variable.len()).then_some(RowReader { layout, nulls, fixed, ends, variable })
    }

    pub fn layout(&self) -> &'a Layout {
        self.layout
    }

    pub fn presence(&self, i: usize) -> Presence {
        if i >= self.layout.len() {
            Presence::Missing
        } else if self.is_null(i) {
            Presence::Null
        } else {
            Presence::Value
        }
    }

    /// Whether column `i` of the layout is null.
    pub fn is_null(&self, i: usize) -> bool {
        self.nulls.get(i / 8).is_some_and(|b| b >> (i % 8) & 1 == 1)
    }

    pub fn bool(&self, i: usize) -> bool {
        self.fixed::<1>(i, PhysKind::Bool) != [0]
    }

    pub fn i16(&self, i: usize) -> i16 {
        i16::from_le_bytes(self.fixed(i, PhysKind::I16))
    }

    pub fn i32(&self, i: usize) -> i32 {
        i32::from_le_bytes(self.fixed(i, PhysKind::I32))
    }

    pub fn i64(&self, i: usize) -> i64 {
        i64::from_le_bytes(self.fixed(i, PhysKind::I64))
    }

    pub fn f32(&self, i: usize) -> f32 {
        f32::from_le_bytes(self.fixed(i, PhysKind::F32))
    }

    pub fn f64(&self, i: usize) -> f64 {
        f64::from_le_bytes(self.fixed(i, PhysKind::F64))
    }

    pub fn u32(&self, i: usize) -> u32 {
        u32::from_le_bytes(self.fixed(i, PhysKind::U32))
    }

    pub fn uuid(&self, i: usize) -> [u8; 16] {
        self.fixed(i, PhysKind::Uuid)
    }

    pub fn i128(&self, i: usize) -> i128 {
        i128::from_le_bytes(self.fixed(i, PhysKind::I128))
    }

    /// Months, days, microseconds.
    pub fn interval(&self, i: usize) -> (i32, i32, i64) {
        let bytes: [u8; 16] = self.fixed(i, PhysKind::Fixed16);
        let word = |at: usize| i32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let micros = i64::from_le_bytes(bytes[8..].try_into().expect("eight bytes"));
        (word(0), word(4), micros)
    }

    pub fn bytes(&self, i: usize) -> &'a [u8] {
        let at = self.slot(i, PhysKind::Bytes);
        let start = if at == 0 { 0 } else { self.ends.get(at - 1) };
        &self.variable[start..self.ends.get(at)]
    }

    fn fixed<const N: usize>(&self, i: usize, kind: PhysKind) -> [u8; N] {
        let at = self.slot(i, kind);
        self.fixed[at..at + N].try_into().expect("a slice of N bytes")
    }

    fn slot(&self, i: usize, kind: PhysKind) -> usize {
        let slot = self.layout.slot(i);
        assert!(slot.kind == kind, "column {i} of a row is {:?}, not {kind:?}", slot.kind);
        slot.at
    }
}
