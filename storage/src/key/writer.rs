//! Values to key bytes.

use super::column::{NOT_NULL, NULL_FIRST, NULL_LAST};
use super::prefix::push_table_prefix;
use super::{ColumnOrder, DecimalClass, DecimalParts, KeyDatum, Nulls, SortOrder};
use crate::{Error, Result};

/// Builds one key, column after column. `clear` keeps the memory for the next key.
#[derive(Clone, Debug, Default)]
pub struct KeyWriter {
    bytes: Vec<u8>,
}

impl KeyWriter {
    /// An empty key.
    pub fn new() -> KeyWriter {
        KeyWriter::default()
    }

    /// A key that starts with the prefix of an index.
    pub fn table(sid: u64, index_no: u32) -> KeyWriter {
        let mut bytes = Vec::with_capacity(32);
        push_table_prefix(&mut bytes, sid, index_no);
        KeyWriter { bytes }
    }

    /// A key that goes on after `bytes`.
    pub fn after(bytes: Vec<u8>) -> KeyWriter {
        KeyWriter { bytes }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// Cuts the key back to `len` bytes, such as its prefix.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// Appends a null. The column must allow nulls; that a NOT NULL column gets one is a bug above.
    pub fn push_null(&mut self, order: ColumnOrder) {
        match order.nulls {
            Nulls::First => self.bytes.push(NULL_FIRST),
            Nulls::Last => self.bytes.push(NULL_LAST),
            Nulls::NotNull => panic!("a NOT NULL key column is null"),
        }
    }

    pub fn push_bool(&mut self, v: bool, order: ColumnOrder) {
        self.fixed([u8::from(v)], order);
    }

    pub fn push_i16(&mut self, v: i16, order: ColumnOrder) {
        self.fixed((v as u16 ^ 1 << 15).to_be_bytes(), order);
    }

    pub fn push_i32(&mut self, v: i32, order: ColumnOrder) {
        self.fixed((v as u32 ^ 1 << 31).to_be_bytes(), order);
    }

    pub fn push_i64(&mut self, v: i64, order: ColumnOrder) {
        self.fixed((v as u64 ^ 1 << 63).to_be_bytes(), order);
    }

    pub fn push_u32(&mut self, v: u32, order: ColumnOrder) {
        self.fixed(v.to_be_bytes(), order);
    }

    /// -0 becomes +0, every NaN becomes one that sorts above +infinity.
    pub fn push_f32(&mut self, v: f32, order: ColumnOrder) {
        let bits = if v.is_nan() { f32::NAN.to_bits() & !(1 << 31) } else { (v + 0.0).to_bits() };
        let ordered = if bits >> 31 == 1 { !bits } else { bits ^ 1 << 31 };
        self.fixed(ordered.to_be_bytes(), order);
    }

    /// As `push_f32`.
    pub fn push_f64(&mut self, v: f64, order: ColumnOrder) {
        let bits = if v.is_nan() { f64::NAN.to_bits() & !(1 << 63) } else { (v + 0.0).to_bits() };
        let ordered = if bits >> 63 == 1 { !bits } else { bits ^ 1 << 63 };
        self.fixed(ordered.to_be_bytes(), order);
    }

    pub fn push_uuid(&mut self, v: [u8; 16], order: ColumnOrder) {
        self.fixed(v, order);
    }

    /// Normalised microseconds of an interval.
    pub fn push_interval(&mut self, v: i128, order: ColumnOrder) {
        self.fixed((v as u128 ^ 1 << 127).to_be_bytes(), order);
    }

    /// `utc_micros` is the time of day in UTC, `zone` breaks ties as PostgreSQL does.
    pub fn push_timetz(&mut self, utc_micros: i64, zone: i32, order: ColumnOrder) {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&(utc_micros as u64 ^ 1 << 63).to_be_bytes());
        bytes[8..].copy_from_slice(&(zone as u32 ^ 1 << 31).to_be_bytes());
        self.fixed(bytes, order);
    }

    /// Refuses a zero byte, which PostgreSQL's text cannot hold and which ends the column.
    pub fn push_text(&mut self, v: &str, order: ColumnOrder) -> Result<()> {
        if v.as_bytes().contains(&0) {
            return Err(Error::Malformed { what: "text with a zero byte" });
        }
        self.datum(order, |out| {
            out.extend_from_slice(v.as_bytes());
            out.push(0);
        });
        Ok(())
    }

    pub fn push_bytes(&mut self, v: &[u8], order: ColumnOrder) {
        self.datum(order, |out| {
            for (i, run) in v.split(|&b| b == 0).enumerate() {
                if i > 0 {
                    out.extend_from_slice(&[0x00, 0xFF]);
                }
                out.extend_from_slice(run);
            }
            out.extend_from_slice(&[0x00, 0x01]);
        });
    }

    /// Fails on a digit above 9999 or a weight out of range.
    pub fn push_numeric(&mut self, v: &DecimalParts<'_>, order: ColumnOrder) -> Result<()> {
        let parts = normalise(v)?;
        self.datum(order, |out| push_decimal(out, parts));
        Ok(())
    }

    /// Appends any value; its variant must be the column's kind.
    pub fn push(&mut self, v: &KeyDatum<'_>, order: ColumnOrder) -> Result<()> {
        match v {
            KeyDatum::Null => self.push_null(order),
            KeyDatum::Bool(v) => self.push_bool(*v, order),
            KeyDatum::I16(v) => self.push_i16(*v, order),
            KeyDatum::I32(v) => self.push_i32(*v, order),
            KeyDatum::I64(v) => self.push_i64(*v, order),
            KeyDatum::F32(v) => self.push_f32(*v, order),
            KeyDatum::F64(v) => self.push_f64(*v, order),
            KeyDatum::U32(v) => self.push_u32(*v, order),
            KeyDatum::Text(v) => self.push_text(v, order)?,
            KeyDatum::Bytes(v) => self.push_bytes(v, order),
            KeyDatum::Uuid(v) => self.push_uuid(*v, order),
            KeyDatum::Numeric(v) => self.push_numeric(v, order)?,
            KeyDatum::Interval(v) => self.push_interval(*v, order),
            KeyDatum::TimeTz { utc_micros, zone } => self.push_timetz(*utc_micros, *zone, order),
        }
        Ok(())
    }

    fn marker(&mut self, order: ColumnOrder) {
        if order.nulls != Nulls::NotNull {
            self.bytes.push(NOT_NULL);
        }
    }

    fn fixed<const N: usize>(&mut self, mut bytes: [u8; N], order: ColumnOrder) {
        self.marker(order);
        if order.sort == SortOrder::Descending {
            bytes.iter_mut().for_each(|b| *b = !*b);
        }
        self.bytes.extend_from_slice(&bytes);
    }

    fn datum(&mut self, order: ColumnOrder, write: impl FnOnce(&mut Vec<u8>)) {
        self.marker(order);
        let start = self.bytes.len();
        write(&mut self.bytes);
        if order.sort == SortOrder::Descending {
            self.bytes[start..].iter_mut().for_each(|b| *b = !*b);
        }
    }
}

/// Class, weight and digits with no zero at either end.
fn normalise<'a>(v: &'a DecimalParts<'_>) -> Result<(DecimalClass, i16, &'a [u16])> {
    let malformed = Error::Malformed { what: "numeric key" };
    if !matches!(v.class, DecimalClass::Negative | DecimalClass::Positive) {
        return Ok((v.class, 0, &[]));
    }
    if v.digits.iter().any(|&d| d > 9999) {
        return Err(malformed);
    }
    let Some(first) = v.digits.iter().position(|&d| d != 0) else {
        return Ok((DecimalClass::Zero, 0, &[]));
    };
    let end = v.digits.iter().rposition(|&d| d != 0).map_or(0, |at| at + 1);
    let shift = i16::try_from(first).ok();
    let weight = shift.and_then(|n| v.weight.checked_sub(n)).ok_or(malformed)?;
    Ok((v.class, weight, &v.digits[first..end]))
}

fn push_decimal(out: &mut Vec<u8>, (class, weight, digits): (DecimalClass, i16, &[u16])) {
    out.push(class as u8);
    let Some((last, init)) = digits.split_last() else { return };
    let start = out.len();
    out.extend_from_slice(&(weight as u16 ^ 1 << 15).to_be_bytes());
    for digit in init {
        out.extend_from_slice(&(2 * digit + 1).to_be_bytes());
    }
    out.extend_from_slice(&(2 * last).to_be_bytes());
    if class == DecimalClass::Negative {
        out[start..].iter_mut().for_each(|b| *b = !*b);
    }
}
