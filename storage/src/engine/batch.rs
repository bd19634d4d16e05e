//! The effects of one replicated command, as bytes: what a raft entry carries and an engine applies.
//!
//! Format, ops in order until the end of the buffer; integers are LEB128 varints:
//!
//! | field | bytes | meaning |
//! |---|---|---|
//! | op | 1 | 0 put, 1 delete, 2 delete range; bit 7 set: space `Intent`, clear: `Data` |
//! | key length, key | varint, n | full engine key, or the lower bound of a delete range |
//! | value length, value | varint, n | put: the value; delete range: the upper bound; absent for delete |

use super::Space;
use crate::{Error, Result};

const PUT: u8 = 0;
const DELETE: u8 = 1;
const DELETE_RANGE: u8 = 2;
const INTENT_BIT: u8 = 0x80;

/// One effect, borrowed from its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    Put {
        space: Space,
        key: &'a [u8],
        value: &'a [u8],
    },
    Delete {
        space: Space,
        key: &'a [u8],
    },
    /// Removes `[lo, hi)` physically.
    DeleteRange {
        space: Space,
        lo: &'a [u8],
        hi: &'a [u8],
    },
}

/// A growing batch. `as_bytes` is the wire form; `from_bytes` checks it once, so that reading a
/// batch never fails afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteBatch {
    bytes: Vec<u8>,
    len: usize,
}

impl WriteBatch {
    pub fn new() -> WriteBatch {
        WriteBatch::default()
    }

    pub fn with_capacity(bytes: usize) -> WriteBatch {
        WriteBatch { bytes: Vec::with_capacity(bytes), len: 0 }
    }

    /// Checks the wire form.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<WriteBatch> {
        let mut len = 0;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            read_op(&mut rest).ok_or(Error::Malformed { what: "write batch" })?;
            len += 1;
        }
        Ok(WriteBatch { bytes, len })
    }

    pub fn put(&mut self, space: Space, key: &[u8], value: &[u8]) {
        self.op(PUT, space, key);
        self.slice(value);
    }

    pub fn delete(&mut self, space: Space, key: &[u8]) {
        self.op(DELETE, space, key);
    }

    pub fn delete_range(&mut self, space: Space, lo: &[u8], hi: &[u8]) {
        self.op(DELETE_RANGE, space, lo);
        self.slice(hi);
    }

    pub fn iter(&self) -> BatchReader<'_> {
        BatchReader { rest: &self.bytes }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of effects.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn op(&mut self, op: u8, space: Space, key: &[u8]) {
        let bit = match space {
            Space::Data => 0,
            Space::Intent => INTENT_BIT,
        };
        self.bytes.push(op | bit);
        self.slice(key);
        self.len += 1;
    }

    fn slice(&mut self, bytes: &[u8]) {
        put_varint(&mut self.bytes, bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }
}

/// Walks the effects of a checked batch in order.
pub struct BatchReader<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for BatchReader<'a> {
    type Item = Op<'a>;

    fn next(&mut self) -> Option<Op<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        Some(read_op(&mut self.rest).expect("the batch was checked when it was made"))
    }
}

fn read_op<'a>(rest: &mut &'a [u8]) -> Option<Op<'a>> {
    let (&tag, tail) = rest.split_first()?;
    *rest = tail;
    let space = if tag & INTENT_BIT == 0 { Space::Data } else { Space::Intent };
    let key = read_slice(rest)?;
    match tag & !INTENT_BIT {
        PUT => Some(Op::Put { space, key, value: read_slice(rest)? }),
        DELETE => Some(Op::Delete { space, key }),
        DELETE_RANGE => Some(Op::DeleteRange { space, lo: key, hi: read_slice(rest)? }),
        _ => None,
    }
}

fn read_slice<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(get_varint(rest)?).ok()?;
    if len > rest.len() {
        return None;
    }
    let (slice, tail) = rest.split_at(len);
    *rest = tail;
    Some(slice)
}

/// Appends an LEB128 varint.
pub fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Reads an LEB128 varint and advances `rest`; `None` when it is cut short or too long.
pub fn get_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for (i, &b) in rest.iter().enumerate().take(10) {
        n |= u64::from(b & 0x7f).checked_shl(7 * i as u32)?;
        if b & 0x80 == 0 {
            *rest = &rest[i + 1..];
            return Some(n);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_the_documented_picture() {
        let mut batch = WriteBatch::new();
        batch.put(Space::Data, b"k", b"val");
        batch.delete(Space::Intent, b"k2");
        batch.delete_range(Space::Data, b"a", b"b");
        assert_eq!(batch.as_bytes(), b"\x00\x01k\x03val\x81\x02k2\x02\x01a\x01b");
        let again = WriteBatch::from_bytes(batch.as_bytes().to_vec()).unwrap();
        assert_eq!(again.iter().collect::<Vec<_>>(), batch.iter().collect::<Vec<_>>());
        assert_eq!(again.len(), 3);
    }

    #[test]
    fn cut_or_unknown_bytes_are_refused() {
        for bytes in [
            &b"\x00"[..],
            b"\x00\x05k",
            b"\x00\x01k",
            b"\x07\x01k",
            b"\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert!(WriteBatch::from_bytes(bytes.to_vec()).is_err(), "{bytes:?}");
        }
    }
}
