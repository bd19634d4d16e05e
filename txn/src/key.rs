//! User keys as this crate sees them: ordered bytes, a hash, and the index they belong to.
//!
//! A key of an index begins with the first byte of its engine (0x03, 0x04), the table's storage id and
//! the index number, both as order-preserving varints. Nothing else of a key is looked at here. No key
//! is a proper prefix of another one.

use std::hash::Hasher;

use rustc_hash::FxHasher;
use storage::engine::Span;

/// A user key without version suffix.
pub type Key = bytes::Bytes;

/// The first key byte of range-local state; users' keys lie above.
pub(crate) const LOCAL_BYTE: u8 = 0x02;

pub(crate) fn hash(key: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(key);
    hasher.finish()
}

/// The part of a hash that chooses a shard: bits that a hash map inside of the shard does not use.
pub(crate) fn shard_of(hash: u64, shards: usize) -> usize {
    (hash >> 44) as usize & (shards - 1)
}

/// The prefix that all keys of one index share; the first byte alone for keys of another shape.
pub(crate) fn index_prefix(key: &[u8]) -> &[u8] {
    let varint = |at: usize| {
        let first = *key.get(at)?;
        let end = at + 1 + usize::from(first.saturating_sub(0xEF));
        (end <= key.len()).then_some(end)
    };
    match key.first() {
        Some(0x03 | 0x04) => &key[..varint(1).and_then(varint).unwrap_or(1)],
        Some(_) => &key[..1],
        None => key,
    }
}

/// The smallest key above every key that begins with `prefix`; empty when there is none.
pub(crate) fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let keep = prefix.iter().rposition(|&b| b != 0xFF).map_or(0, |at| at + 1);
    let mut end = prefix[..keep].to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

/// Whether a key lies in a span.
pub(crate) fn contains(span: &Span, key: &[u8]) -> bool {
    key >= &span.lo[..] && (span.hi.is_empty() || key < &span.hi[..])
}

/// What part of the key space a span touches, as coarse as the fences need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coverage {
    /// Keys of one index only: the hash of its prefix.
    Index(u64),
    /// Anything.
    All,
}

/// An empty span (`lo >= hi`) may answer either.
pub(crate) fn coverage(span: &Span) -> Coverage {
    let prefix = index_prefix(&span.lo);
    if prefix.len() < 3 || span.hi.is_empty() || span.hi > prefix_end(prefix) {
        return Coverage::All;
    }
    Coverage::Index(hash(prefix))
}

/// Keeps neighbours in an array out of each other's cache line.
#[repr(align(128))]
#[derive(Default)]
pub(crate) struct Padded<T>(pub(crate) T);

/// An array of padded shards; `n` is a power of two.
pub(crate) fn shards<T: Default>(n: usize) -> Box<[Padded<T>]> {
    assert!(n.is_power_of_two(), "a shard is chosen by masking");
    (0..n).map(|_| Padded::default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_inside_one_index_is_told_from_a_wider_one() {
        let key = |sid: u64, rest: &[u8]| {
            let mut k = storage::key::table_prefix(sid, 0);
            k.extend_from_slice(rest);
            k
        };
        for sid in [1, 0xEF, 0xF0, 70_000] {
            let prefix = storage::key::table_prefix(sid, 0);
            assert_eq!(index_prefix(&key(sid, b"abc")), prefix);
            let whole = Span { lo: prefix.clone(), hi: prefix_end(&prefix) };
            let part = Span { lo: key(sid, b"a"), hi: key(sid, b"b") };
            assert_eq!(coverage(&whole), Coverage::Index(hash(&prefix)));
            assert_eq!(coverage(&part), coverage(&whole));
            let wide = Span { lo: key(sid, b"a"), hi: key(sid + 1, b"b") };
            assert_eq!(coverage(&wide), Coverage::All);
            assert_eq!(coverage(&Span { lo: prefix, hi: vec![] }), Coverage::All);
        }
        assert_eq!(coverage(&Span { lo: vec![3], hi: vec![4] }), Coverage::All);
    }
}
