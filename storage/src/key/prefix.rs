//! The prefix that all keys of an index share, and spans over prefixes.

use crate::engine::Span;
use crate::{Error, Result};

/// First byte of the keys of tables in the LSM engine.
pub const TABLE_BYTE: u8 = 0x03;

/// Largest value of an `ouv` in one byte.
const ONE_BYTE_MAX: u8 = 0xEF;

/// The table and index a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TablePrefix {
    /// Storage id of the table: a rewrite of the table takes a new one.
    pub sid: u64,
    /// 0 is the primary index, which holds the rows.
    pub index_no: u32,
}

/// The first bytes of every key of an index.
pub fn table_prefix(sid: u64, index_no: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(20);
    push_table_prefix(&mut out, sid, index_no);
    out
}

pub(super) fn push_table_prefix(out: &mut Vec<u8>, sid: u64, index_no: u32) {
    out.push(TABLE_BYTE);
    push_ouv(out, sid);
    push_ouv(out, u64::from(index_no));
}

/// Splits a table key into its index and the column bytes (a version suffix, if any, stays on them).
pub fn split_table_prefix(key: &[u8]) -> Result<(TablePrefix, &[u8])> {
    let malformed = Error::Malformed { what: "table key" };
    let parse = || {
        let mut rest = key.strip_prefix(&[TABLE_BYTE])?;
        let sid = read_ouv(&mut rest)?;
        let index_no = u32::try_from(read_ouv(&mut rest)?).ok()?;
        Some((TablePrefix { sid, index_no }, rest))
    };
    parse().ok_or(malformed)
}

/// The smallest key above every key that starts with `prefix`; empty when there is none.
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let keep = prefix.iter().rposition(|&b| b != 0xFF).map_or(0, |at| at + 1);
    let mut end = prefix[..keep].to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

/// The span of all keys that start with `prefix`.
pub fn prefix_span(prefix: &[u8]) -> Span {
    Span { lo: prefix.to_vec(), hi: prefix_end(prefix) }
}

fn push_ouv(out: &mut Vec<u8>, n: u64) {
    if n <= u64::from(ONE_BYTE_MAX) {
        out.push(n as u8);
        return;
    }
    let skip = n.leading_zeros() as usize / 8;
    out.push(ONE_BYTE_MAX + (8 - skip) as u8);
    out.extend_from_slice(&n.to_be_bytes()[skip..]);
}

fn read_ouv(rest: &mut &[u8]) -> Option<u64> {
    let (&first, tail) = rest.split_first()?;
    *rest = tail;
    if first <= ONE_BYTE_MAX {
        return Some(u64::from(first));
    }
    let len = usize::from(first - ONE_BYTE_MAX);
    let (bytes, tail) = tail.split_at_checked(len).filter(|_| len <= 8)?;
    *rest = tail;
    let n = bytes.iter().fold(0, |n, &b| n << 8 | u64::from(b));
    let shortest = n > u64::from(ONE_BYTE_MAX) && bytes[0] != 0;
    shortest.then_some(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_the_documented_picture() {
        assert_eq!(table_prefix(7, 0), [3, 7, 0]);
        assert_eq!(table_prefix(0xEF, 0xF0), [3, 0xEF, 0xF0, 0xF0]);
        assert_eq!(table_prefix(0x1_2345, 1), [3, 0xF2, 1, 0x23, 0x45, 1]);
    }

    #[test]
    fn prefixes_sort_as_their_numbers_and_read_back() {
        let numbers = [0, 1, 0xEF, 0xF0, 0xFF, 0x100, 0xFFFF, 0x1_0000, u64::from(u32::MAX), u64::MAX];
        let keys: Vec<_> = numbers.iter().map(|&n| table_prefix(n, 3)).collect();
        assert!(keys.is_sorted());
        for (n, key) in numbers.iter().zip(&keys) {
            let (prefix, rest) = split_table_prefix(key).unwrap();
            assert_eq!((prefix.sid, prefix.index_no, rest), (*n, 3, &[][..]));
        }
        for bad in [
            &[][..],
            &[4, 1, 1],
            &[3],
            &[3, 1],
            &[3, 0xF0, 1, 0],
            &[3, 0xF1, 0, 0xF5, 0],
            &[3, 0xFF],
            &[3, 0xF8],
        ] {
            assert!(split_table_prefix(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_prefix_ends_below_its_successor() {
        assert_eq!(prefix_end(&[1, 2]), [1, 3]);
        assert_eq!(prefix_end(&[1, 0xFF, 0xFF]), [2]);
        assert_eq!(prefix_end(&[0xFF]), [0u8; 0]);
    }
}
