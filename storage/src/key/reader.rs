//! Key bytes to values.

use std::borrow::Cow;

use super::column::{NOT_NULL, NULL_FIRST, NULL_LAST};
use super::{ColumnOrder, DecimalClass, DecimalParts, KeyDatum, KeyKind, Nulls, SortOrder};
use crate::{Error, Result};

const MALFORMED: Error = Error::Malformed { what: "key" };

/// Reads the columns of a key in order, mirroring `KeyWriter`. Every `read_*` answers `None` for a
/// null and fails on bytes that the writer cannot have written. Start it after the table prefix
/// (`split_table_prefix`) and before the version suffix (`mvcc::split`).
#[derive(Clone, Debug)]
pub struct KeyReader<'a> {
    rest: &'a [u8],
}

impl<'a> KeyReader<'a> {
    pub fn new(columns: &'a [u8]) -> KeyReader<'a> {
        KeyReader { rest: columns }
    }

    /// The bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn read_bool(&mut self, order: ColumnOrder) -> Result<Option<bool>> {
        match self.fixed::<1>(order)? {
            None => Ok(None),
            Some([0]) => Ok(Some(false)),
            Some([1]) => Ok(Some(true)),
            Some(_) => Err(MALFORMED),
        }
    }

    pub fn read_i16(&mut self, order: ColumnOrder) -> Result<Option<i16>> {
        Ok(self.fixed(order)?.map(|b| (u16::from_be_bytes(b) ^ 1 << 15) as i16))
    }

    pub fn read_i32(&mut self, order: ColumnOrder) -> Result<Option<i32>> {
        Ok(self.fixed(order)?.map(|b| (u32::from_be_bytes(b) ^ 1 << 31) as i32))
    }

    pub fn read_i64(&mut self, order: ColumnOrder) -> Result<Option<i64>> {
        Ok(self.fixed(order)?.map(|b| (u64::from_be_bytes(b) ^ 1 << 63) as i64))
    }

    pub fn read_u32(&mut self, order: ColumnOrder) -> Result<Option<u32>> {
        Ok(self.fixed(order)?.map(u32::from_be_bytes))
    }

    pub fn read_f32(&mut self, order: ColumnOrder) -> Result<Option<f32>> {
        Ok(self.fixed(order)?.map(|b| {
            let n = u32::from_be_bytes(b);
            f32::from_bits(if n >> 31 == 1 { n ^ 1 << 31 } else { !n })
        }))
    }

    pub fn read_f64(&mut self, order: ColumnOrder) -> Result<Option<f64>> {
        Ok(self.fixed(order)?.map(|b| {
            let n = u64::from_be_bytes(b);
            f64::from_bits(if n >> 63 == 1 { n ^ 1 << 63 } else { !n })
        }))
    }

    pub fn read_uuid(&mut self, order: ColumnOrder) -> Result<Option<[u8; 16]>> {
        self.fixed(order)
    }

    pub fn read_interval(&mut self, order: ColumnOrder) -> Result<Option<i128>> {
        Ok(self.fixed(order)?.map(|b| (u128::from_be_bytes(b) ^ 1 << 127) as i128))
    }

    /// Microseconds in UTC and zone.
    pub fn read_timetz(&mut self, order: ColumnOrder) -> Result<Option<(i64, i32)>> {
        let Some(bytes) = self.fixed::<12>(order)? else { return Ok(None) };
        let (utc, zone) = bytes.split_at(8);
        let utc = u64::from_be_bytes(utc.try_into().expect("eight of twelve bytes")) ^ 1 << 63;
        let zone = u32::from_be_bytes(zone.try_into().expect("four of twelve bytes")) ^ 1 << 31;
        Ok(Some((utc as i64, zone as i32)))
    }

    /// A slice of the key unless the column is descending.
    pub fn read_text(&mut self, order: ColumnOrder) -> Result<Option<Cow<'a, str>>> {
        if self.null(order)? {
            return Ok(None);
        }
        let end = mask(order);
        let len = self.rest.iter().position(|&b| b == end).ok_or(MALFORMED)?;
        let bytes = self.take(len)?;
        self.take(1)?;
        let text = match order.sort {
            SortOrder::Ascending => std::str::from_utf8(bytes).map(Cow::Borrowed).ok(),
            SortOrder::Descending => String::from_utf8(inverted(bytes)).map(Cow::Owned).ok(),
        };
        text.map(Some).ok_or(MALFORMED)
    }

    /// A slice of the key unless the column is descending or holds a zero byte.
    pub fn read_bytes(&mut self, order: ColumnOrder) -> Result<Option<Cow<'a, [u8]>>> {
        if self.null(order)? {
            return Ok(None);
        }
        let mask = mask(order);
        let mut owned: Option<Vec<u8>> = None;
        loop {
            let len = self.rest.iter().position(|&b| b == mask).ok_or(MALFORMED)?;
            let run = self.take(len)?;
            let [_, tag] = self.array::<2>()?;
            let more = match tag ^ mask {
                0x01 => false,
                0xFF => true,
                _ => return Err(MALFORMED),
            };
            if !more && owned.is_none() && order.sort == SortOrder::Ascending {
                return Ok(Some(Cow::Borrowed(run)));
            }
            let out = owned.get_or_insert_default();
            out.extend(run.iter().map(|b| b ^ mask));
            if !more {
                return Ok(owned.map(Cow::Owned));
            }
            out.push(0);
        }
    }

    pub fn read_numeric(&mut self, order: ColumnOrder) -> Result<Option<DecimalParts<'static>>> {
        if self.null(order)? {
            return Ok(None);
        }
        let mask = mask(order);
        let [class] = self.array::<1>()?;
        let class = match class ^ mask {
            1 => DecimalClass::NegInfinity,
            2 => DecimalClass::Negative,
            3 => DecimalClass::Zero,
            4 => DecimalClass::Positive,
            5 => DecimalClass::Infinity,
            6 => DecimalClass::NaN,
            _ => return Err(MALFORMED),
        };
        let mask = match class {
            DecimalClass::Positive => mask,
            DecimalClass::Negative => !mask,
            _ => return Ok(Some(DecimalParts::special(class))),
        };
        let mut word = || -> Result<u16> { Ok(u16::from_be_bytes(self.array::<2>()?.map(|b| b ^ mask))) };
        let weight = (word()? ^ 1 << 15) as i16;
        let mut digits = Vec::new();
        loop {
            let n = word()?;
            if n / 2 > 9999 {
                return Err(MALFORMED);
            }
            digits.push(n / 2);
            if n % 2 == 0 {
                return Ok(Some(DecimalParts { class, weight, digits: Cow::Owned(digits) }));
            }
        }
    }

    /// Reads a column of any kind.
    pub fn read(&mut self, kind: KeyKind, order: ColumnOrder) -> Result<KeyDatum<'a>> {
        let datum = match kind {
            KeyKind::Bool => self.read_bool(order)?.map(KeyDatum::Bool),
            KeyKind::I16 => self.read_i16(order)?.map(KeyDatum::I16),
            KeyKind::I32 => self.read_i32(order)?.map(KeyDatum::I32),
            KeyKind::I64 => self.read_i64(order)?.map(KeyDatum::I64),
            KeyKind::F32 => self.read_f32(order)?.map(KeyDatum::F32),
            KeyKind::F64 => self.read_f64(order)?.map(KeyDatum::F64),
            KeyKind::U32 => self.read_u32(order)?.map(KeyDatum::U32),
            KeyKind::Text => self.read_text(order)?.map(KeyDatum::Text),
            KeyKind::Bytes => self.read_bytes(order)?.map(KeyDatum::Bytes),
            KeyKind::Uuid => self.read_uuid(order)?.map(KeyDatum::Uuid),
            KeyKind::Numeric => self.read_numeric(order)?.map(KeyDatum::Numeric),
            KeyKind::Interval => self.read_interval(order)?.map(KeyDatum::Interval),
            KeyKind::TimeTz => {
                self.read_timetz(order)?.map(|(utc_micros, zone)| KeyDatum::TimeTz { utc_micros, zone })
            }
        };
        Ok(datum.unwrap_or(KeyDatum::Null))
    }

    /// Passes over a column without decoding it.
    pub fn skip(&mut self, kind: KeyKind, order: ColumnOrder) -> Result<()> {
        let fixed = match kind {
            KeyKind::Bool => 1,
            KeyKind::I16 => 2,
            KeyKind::I32 | KeyKind::F32 | KeyKind::U32 => 4,
            KeyKind::I64 | KeyKind::F64 => 8,
            KeyKind::TimeTz => 12,
            KeyKind::Uuid | KeyKind::Interval => 16,
            KeyKind::Text | KeyKind::Bytes | KeyKind::Numeric => return self.read(kind, order).map(drop),
        };
        if !self.null(order)? {
            self.take(fixed)?;
        }
        Ok(())
    }

    /// Reads the marker: whether the column is null.
    fn null(&mut self, order: ColumnOrder) -> Result<bool> {
        if order.nulls == Nulls::NotNull {
            return Ok(false);
        }
        let [marker] = self.array::<1>()?;
        match (marker, order.nulls) {
            (NOT_NULL, _) => Ok(false),
            (NULL_FIRST, Nulls::First) | (NULL_LAST, Nulls::Last) => Ok(true),
            _ => Err(MALFORMED),
        }
    }

    fn fixed<const N: usize>(&mut self, order: ColumnOrder) -> Result<Option<[u8; N]>> {
        if self.null(order)? {
            return Ok(None);
        }
        let mask = mask(order);
        Ok(Some(self.array::<N>()?.map(|b| b ^ mask)))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(MALFORMED)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(MALFORMED)?;
        self.rest = rest;
        Ok(bytes)
    }
}

/// What every byte of a value was combined with.
fn mask(order: ColumnOrder) -> u8 {
    match order.sort {
        SortOrder::Ascending => 0x00,
        SortOrder::Descending => 0xFF,
    }
}

fn inverted(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|b| !b).collect()
}
