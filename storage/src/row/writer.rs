//! Columns to row bytes.

use super::{HAS_NULL, Layout, MAX_ROW, PhysKind, WIDE};
use crate::{Error, Result};

/// Builds rows of one layout; reusable. A column that is not set is null. Setting a column with a
/// value of another kind, or a column the layout does not have, is a bug above and panics.
#[derive(Clone, Debug)]
pub struct RowWriter<'l> {
    layout: &'l Layout,
    /// Bit set: null.
    nulls: Vec<u8>,
    fixed: Vec<u8>,
    /// Start and end in `arena` of each variable column.
    variable: Vec<(usize, usize)>,
    arena: Vec<u8>,
}

impl<'l> RowWriter<'l> {
    pub fn new(layout: &'l Layout) -> RowWriter<'l> {
        let mut writer = RowWriter {
            layout,
            nulls: vec![0; layout.bitmap_bytes()],
            fixed: vec![0; layout.fixed_bytes()],
            variable: vec![(0, 0); layout.variable_columns()],
            arena: vec![],
        };
        writer.clear();
        writer
    }

    pub fn set_null(&mut self, i: usize) {
        let slot = self.layout.slot(i);
        self.nulls[i / 8] |= 1 << (i % 8);
        match slot.kind.size() {
            Some(size) => self.fixed[slot.at..slot.at + size].fill(0),
            None => self.variable[slot.at] = (0, 0),
        }
    }

    pub fn set_bool(&mut self, i: usize, v: bool) {
        self.set(i, PhysKind::Bool, [u8::from(v)]);
    }

    pub fn set_i16(&mut self, i: usize, v: i16) {
        self.set(i, PhysKind::I16, v.to_le_bytes());
    }

    pub fn set_i32(&mut self, i: usize, v: i32) {
        self.set(i, PhysKind::I32, v.to_le_bytes());
    }

    pub fn set_i64(&mut self, i: usize, v: i64) {
        self.set(i, PhysKind::I64, v.to_le_bytes());
    }

    pub fn set_f32(&mut self, i: usize, v: f32) {
        self.set(i, PhysKind::F32, v.to_le_bytes());
    }

    pub fn set_f64(&mut self, i: usize, v: f64) {
        self.set(i, PhysKind::F64, v.to_le_bytes());
    }

    pub fn set_u32(&mut self, i: usize, v: u32) {
        self.set(i, PhysKind::U32, v.to_le_bytes());
    }

    pub fn set_uuid(&mut self, i: usize, v: [u8; 16]) {
        self.set(i, PhysKind::Uuid, v);
    }

    pub fn set_i128(&mut self, i: usize, v: i128) {
        self.set(i, PhysKind::I128, v.to_le_bytes());
    }

    pub fn set_interval(&mut self, i: usize, months: i32, days: i32, micros: i64) {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&months.to_le_bytes());
        bytes[4..8].copy_from_slice(&days.to_le_bytes());
        bytes[8..].copy_from_slice(&micros.to_le_bytes());
        self.set(i, PhysKind::Fixed16, bytes);
    }

    pub fn set_bytes(&mut self, i: usize, v: &[u8]) {
        self.set_bytes_with(i, |out| out.extend_from_slice(v));
    }

    /// Sets a variable column to what `write` appends.
    pub fn set_bytes_with(&mut self, i: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let at = self.not_null(i, PhysKind::Bytes);
        let start = self.arena.len();
        write(&mut self.arena);
        self.variable[at] = (start, self.arena.len());
    }

    /// Appends the row to `out` and starts the next one, all null. Fails, appending nothing, on a
    /// row longer than `MAX_ROW`.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let bytes: usize = self.variable.iter().map(|(start, end)| end - start).sum();
        if bytes + self.fixed.len() > MAX_ROW {
            self.clear();
            return Err(Error::Malformed { what: "row: it is longer than 64 MiB" });
        }
        let has_null = self.nulls.iter().any(|&b| b != 0);
        let wide = bytes > usize::from(u16::MAX);
        out.extend_from_slice(&self.layout.id().to_le_bytes());
        out.push(if has_null { HAS_NULL } else { 0 } | if wide { WIDE } else { 0 });
        if has_null {
            out.extend_from_slice(&self.nulls);
        }
        out.extend_from_slice(&self.fixed);
        self.push_variable(wide, out);
        self.clear();
        Ok(())
    }

    fn push_variable(&self, wide: bool, out: &mut Vec<u8>) {
        let mut total = 0;
        for (start, end) in &self.variable {
            total += end - start;
            match wide {
                true => out.extend_from_slice(&(total as u32).to_le_bytes()),
                false => out.extend_from_slice(&(total as u16).to_le_bytes()),
            }
        }
        for &(start, end) in &self.variable {
            out.extend_from_slice(&self.arena[start..end]);
        }
    }

    fn clear(&mut self) {
        self.nulls.fill(0);
        (0..self.layout.len()).for_each(|i| self.nulls[i / 8] |= 1 << (i % 8));
        self.fixed.fill(0);
        self.variable.fill((0, 0));
        self.arena.clear();
    }

    fn set<const N: usize>(&mut self, i: usize, kind: PhysKind, bytes: [u8; N]) {
        let at = self.not_null(i, kind);
        self.fixed[at..at + N].copy_from_slice(&bytes);
    }

    fn not_null(&mut self, i: usize, kind: PhysKind) -> usize {
        let slot = self.layout.slot(i);
        assert!(slot.kind == kind, "column {i} of a row is {:?}, not {kind:?}", slot.kind);
        self.nulls[i / 8] &= !(1 << (i % 8));
        slot.at
    }
}
