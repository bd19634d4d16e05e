//! Values without an Arrow type of their own, as bytes of a BinaryView column.
//!
//! The form lives only inside one running query. A tag byte, then:
//! | tag | value | bytes (little endian) |
//! |---|---|---|
//! | 0 | null | |
//! | 1 | bool | u8 |
//! | 2, 3, 4 | int2, int4, int8 | 2, 4, 8 |
//! | 5, 6 | float4, float8 | bits |
//! | 7 | oid | u32 |
//! | 8 | numeric | sign u8, weight i32, scale u16, count u32, digits u16 |
//! | 9, 10 | text, bytes | length u32, bytes |
//! | 11 | date | i32 |
//! | 12, 14 | time, timestamp | i64 |
//! | 13 | timetz | i64, i32 |
//! | 15 | interval | i32, i32, i64 |
//! | 16 | uuid | 16 |
//! | 17 | array | element u32, dimensions u8, (len i32, lower i32) each, count u32, items |
//! | 18 | record | count u32, (type u32, value) each |

use crate::types::{ArrayDim, ArrayValue, Datum, Interval, Numeric, NumericSign, TimeTz};
use crate::{Oid, Result, SqlError};
use std::sync::Arc;

const SIGNS: [NumericSign; 5] = [
    NumericSign::Positive,
    NumericSign::Negative,
    NumericSign::NaN,
    NumericSign::Infinity,
    NumericSign::NegInfinity,
];

/// Appends a value. A flat match over the kinds of value.
pub(super) fn encode(value: &Datum, out: &mut Vec<u8>) {
    match value {
        Datum::Null => out.push(0),
        Datum::Bool(v) => out.extend([1, u8::from(*v)]),
        Datum::Int2(v) => fixed(out, 2, &v.to_le_bytes()),
        Datum::Int4(v) => fixed(out, 3, &v.to_le_bytes()),
        Datum::Int8(v) => fixed(out, 4, &v.to_le_bytes()),
        Datum::Float4(v) => fixed(out, 5, &v.to_bits().to_le_bytes()),
        Datum::Float8(v) => fixed(out, 6, &v.to_bits().to_le_bytes()),
        Datum::Oid(v) => fixed(out, 7, &v.0.to_le_bytes()),
        Datum::Numeric(v) => encode_numeric(v, out),
        Datum::Text(v) => counted(out, 9, v.as_bytes()),
        Datum::Bytes(v) => counted(out, 10, v),
        Datum::Date(v) => fixed(out, 11, &v.to_le_bytes()),
        Datum::Time(v) => fixed(out, 12, &v.to_le_bytes()),
        Datum::TimeTz(v) => {
            fixed(out, 13, &v.micros.to_le_bytes());
            out.extend(v.zone.to_le_bytes());
        }
        Datum::Timestamp(v) => fixed(out, 14, &v.to_le_bytes()),
        Datum::Interval(v) => {
            fixed(out, 15, &v.months.to_le_bytes());
            out.extend(v.days.to_le_bytes());
            out.extend(v.micros.to_le_bytes());
        }
        Datum::Uuid(v) => fixed(out, 16, v),
        Datum::Array(v) => encode_array(v, out),
        Datum::Record(fields) => {
            fixed(out, 18, &(fields.len() as u32).to_le_bytes());
            for (ty, field) in fields.iter() {
                out.extend(ty.0.to_le_bytes());
                encode(field, out);
            }
        }
    }
}

fn fixed(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

fn counted(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    fixed(out, tag, &(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn encode_numeric(v: &Numeric, out: &mut Vec<u8>) {
    let sign = SIGNS.iter().position(|s| *s == v.sign).unwrap_or_default();
    out.extend([8, sign as u8]);
    out.extend(v.weight.to_le_bytes());
    out.extend(v.scale.to_le_bytes());
    out.extend((v.digits.len() as u32).to_le_bytes());
    v.digits.iter().for_each(|d| out.extend(d.to_le_bytes()));
}

fn encode_array(v: &ArrayValue, out: &mut Vec<u8>) {
    fixed(out, 17, &v.element.0.to_le_bytes());
    out.push(v.dims.len() as u8);
    for dim in &v.dims {
        out.extend(dim.len.to_le_bytes());
        out.extend(dim.lower.to_le_bytes());
    }
    out.extend((v.items.len() as u32).to_le_bytes());
    v.items.iter().for_each(|item| encode(item, out));
}

/// Reads one value back.
pub(super) fn decode(bytes: &[u8]) -> Result<Datum> {
    Reader { rest: bytes }.value()
}

struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    fn take(&mut self, len: usize) -> Result<&'b [u8]> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or_else(broken)?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| broken())
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn counted(&mut self) -> Result<&'b [u8]> {
        let len = self.u32()? as usize;
        self.take(len)
    }

    /// A flat match over the tags.
    fn value(&mut self) -> Result<Datum> {
        Ok(match self.u8()? {
            0 => Datum::Null,
            1 => Datum::Bool(self.u8()? != 0),
            2 => Datum::Int2(i16::from_le_bytes(self.array()?)),
            3 => Datum::Int4(self.i32()?),
            4 => Datum::Int8(self.i64()?),
            5 => Datum::Float4(f32::from_bits(self.u32()?)),
            6 => Datum::Float8(f64::from_bits(u64::from_le_bytes(self.array()?))),
            7 => Datum::Oid(Oid(self.u32()?)),
            8 => Datum::Numeric(self.numeric()?),
            9 => Datum::text(std::str::from_utf8(self.counted()?).map_err(|_| broken())?),
            10 => Datum::Bytes(bytes::Bytes::copy_from_slice(self.counted()?)),
            11 => Datum::Date(self.i32()?),
            12 => Datum::Time(self.i64()?),
            13 => Datum::TimeTz(TimeTz { micros: self.i64()?, zone: self.i32()? }),
            14 => Datum::Timestamp(self.i64()?),
            15 => Datum::Interval(Interval { months: self.i32()?, days: self.i32()?, micros: self.i64()? }),
            16 => Datum::Uuid(self.array()?),
            17 => Datum::Array(Arc::new(self.array_value()?)),
            18 => {
                let count = self.u32()?;
                let fields = (0..count).map(|_| Ok((Oid(self.u32()?), self.value()?)));
                Datum::Record(Arc::new(fields.collect::<Result<_>>()?))
            }
            _ => return Err(broken()),
        })
    }

    fn numeric(&mut self) -> Result<Numeric> {
        let sign = *SIGNS.get(usize::from(self.u8()?)).ok_or_else(broken)?;
        let weight = self.i32()?;
        let scale = u16::from_le_bytes(self.array()?);
        let count = self.u32()? as usize;
        let digits =
            self.take(count * 2)?.chunks_exact(2).map(|d| u16::from_le_bytes([d[0], d[1]])).collect();
        Ok(Numeric { sign, weight, scale, digits })
    }

    fn array_value(&mut self) -> Result<ArrayValue> {
        let element = Oid(self.u32()?);
        let dimensions = self.u8()?;
        let dims = (0..dimensions).map(|_| Ok(ArrayDim { len: self.i32()?, lower: self.i32()? }));
        let dims = dims.collect::<Result<_>>()?;
        let count = self.u32()?;
        let items = (0..count).map(|_| self.value()).collect::<Result<_>>()?;
        Ok(ArrayValue { element, dims, items })
    }
}

fn broken() -> SqlError {
    SqlError::internal("broken value in a running query")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_went() {
        let numeric = Numeric {
            sign: NumericSign::Negative,
            weight: 1,
            scale: 3,
            digits: smallvec::smallvec![12, 3400, 5000],
        };
        let values = [
            Datum::Null,
            Datum::Numeric(numeric),
            Datum::text("grün"),
            Datum::Interval(Interval { months: -1, days: 2, micros: 3 }),
            Datum::array(Oid::INT4, vec![Datum::Int4(1), Datum::Null, Datum::Int4(-7)]),
            Datum::Record(Arc::new(vec![(Oid::TEXT, Datum::text("x")), (Oid::BOOL, Datum::Bool(true))])),
        ];
        for value in values {
            let mut bytes = vec![];
            encode(&value, &mut bytes);
            assert_eq!(format!("{:?}", decode(&bytes).unwrap()), format!("{value:?}"));
            assert!(bytes.len() == 1 || decode(&bytes[..bytes.len() - 1]).is_err());
        }
    }
}
