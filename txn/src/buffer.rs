//! The write buffer of a transaction: what it wrote, in key order, with enough history for savepoints
//! and for statements that must not see their own writes.
//!
//! Every write has a position, a number that only grows. A view of the buffer is a limit: it sees the
//! newest write of each key below that position. So a statement's view is one number, a savepoint is one
//! number, and rolling back removes the writes at or above one. Positions are never used twice: an old
//! view of writes that were rolled back sees nothing of what came later.
//!
//! A write replaces the key's last one in place if no view or savepoint lies between the two; otherwise
//! both stay.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use smallvec::SmallVec;
use storage::engine::{Direction, Span};

use crate::Key;

/// Bytes that a write costs beside its key and row.
const WRITE_OVERHEAD: usize = 96;

/// A place in the sequence of a transaction's writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Position(pub(crate) u64);

/// One write of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) at: Position,
    /// `None` deletes.
    pub(crate) row: Option<Bytes>,
    pub(crate) expect: Expect,
}

impl Write {
    /// Inserted and deleted by the same transaction: there is nothing to mark as deleted.
    pub(crate) fn is_nothing(&self) -> bool {
        self.row.is_none() && matches!(self.expect, Expect::Absent { .. })
    }
}

/// What must hold of a key's committed state when the write commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Nothing beyond the isolation level and the required reads.
    Any,
    /// No live row; the tag names the constraint that fails otherwise.
    Absent { constraint: u32 },
    /// The transaction inserted a key over its own live row: it cannot commit.
    Never { constraint: u32 },
}

#[derive(Debug, Default)]
pub(crate) struct Buffer {
    keys: BTreeMap<Key, SmallVec<[Write; 1]>>,
    /// The position of the next write.
    next: u64,
    /// Writes below this position are visible to somebody and stay as they are.
    frozen: Position,
    bytes: usize,
    /// Positions of the open savepoints, ascending.
    savepoints: Vec<Position>,
    /// Keys written since the oldest open savepoint, with their positions, ascending.
    log: Vec<(Position, Key)>,
    /// How often all writes have moved elsewhere.
    generation: u64,
}

impl Buffer {
    pub(crate) fn put(&mut self, key: Key, row: Bytes) {
        let expect = self.expectation(&key);
        self.write(key, Some(row), expect);
    }

    pub(crate) fn delete(&mut self, key: Key) {
        let expect = self.expectation(&key);
        self.write(key, None, expect);
    }

    /// Puts a row whose key must be new. Over an own delete it is an ordinary put: the delete has
    /// brought its own expectation.
    pub(crate) fn insert(&mut self, key: Key, row: Bytes, constraint: u32) {
        let expect = match self.newest(&key) {
            None => Expect::Absent { constraint },
            Some(Write { row: None, expect, .. }) => *expect,
            Some(Write { row: Some(_), .. }) => Expect::Never { constraint },
        };
        self.write(key, Some(row), expect);
    }

    /// The limit of a view that sees everything written so far.
    pub(crate) fn freeze(&mut self) -> Position {
        self.frozen = Position(self.next);
        self.frozen
    }

    /// Opens a savepoint at the current position.
    pub(crate) fn savepoint(&mut self) -> Position {
        let at = self.freeze();
        self.savepoints.push(at);
        // Two savepoints at one position could not be told apart.
        self.next += 1;
        at
    }

    /// Drops the savepoint and those inside of it; their writes stay.
    pub(crate) fn release(&mut self, savepoint: Position) {
        self.savepoints.retain(|open| *open < savepoint);
        if self.savepoints.is_empty() {
            self.log = Vec::new();
        }
    }

    /// Removes every write since the savepoint, which stays open; those inside of it are dropped.
    pub(crate) fn rollback_to(&mut self, savepoint: Position) {
        self.savepoints.retain(|open| *open <= savepoint);
        let from = self.log.partition_point(|(at, _)| *at < savepoint);
        for (_, key) in self.log.split_off(from) {
            self.truncate(&key, savepoint);
        }
        self.freeze();
    }

    /// The newest write of `key` below `limit`.
    pub(crate) fn get(&self, key: &[u8], limit: Position) -> Option<&Write> {
        self.keys.get(key)?.iter().rev().find(|write| write.at < limit)
    }

    /// The newest write of `key`.
    pub(crate) fn newest(&self, key: &[u8]) -> Option<&Write> {
        self.keys.get(key)?.last()
    }

    /// The next `n` keys of `span` in `direction`, after `after` if there is one, that have a write
    /// below `limit`.
    pub(crate) fn page(
        &self,
        span: &Span,
        direction: Direction,
        after: Option<&Key>,
        limit: Position,
        n: usize,
    ) -> Vec<(Key, Option<Bytes>)> {
        let lo: Bound<&[u8]> = match (after, direction) {
            (Some(after), Direction::Forward) => Bound::Excluded(after),
            _ => Bound::Included(&span.lo),
        };
        let hi: Bound<&[u8]> = match (after, direction) {
            (Some(after), Direction::Reverse) => Bound::Excluded(after),
            _ if span.hi.is_empty() => Bound::Unbounded,
            _ => Bound::Excluded(&span.hi),
        };
        if is_empty(lo, hi) {
            return vec![];
        }
        let visible = |(key, writes): (&Key, &SmallVec<[Write; 1]>)| {
            let write = writes.iter().rev().find(|write| write.at < limit)?;
            Some((key.clone(), write.row.clone()))
        };
        let range = self.keys.range::<[u8], _>((lo, hi));
        match direction {
            Direction::Forward => range.filter_map(visible).take(n).collect(),
            Direction::Reverse => range.rev().filter_map(visible).take(n).collect(),
        }
    }

    /// Every key with all its writes, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &[Write])> {
        self.keys.iter().map(|(key, writes)| (key, &writes[..]))
    }

    /// Removes all writes; positions go on.
    pub(crate) fn take(&mut self) -> BTreeMap<Key, SmallVec<[Write; 1]>> {
        self.bytes = 0;
        self.log = Vec::new();
        std::mem::take(&mut self.keys)
    }

    /// All writes are in the area of a large transaction now. Answers the position of the next one.
    pub(crate) fn spilled(&mut self) -> Position {
        self.take();
        self.generation += 1;
        self.freeze()
    }

    /// Changes when writes have moved to an area.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn position(&self) -> Position {
        Position(self.next)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn expectation(&self, key: &[u8]) -> Expect {
        self.newest(key).map_or(Expect::Any, |write| write.expect)
    }

    fn write(&mut self, key: Key, row: Option<Bytes>, expect: Expect) {
        let write = Write { at: Position(self.next), row, expect };
        self.next += 1;
        if !self.savepoints.is_empty() {
            self.log.push((write.at, key.clone()));
        }
        self.bytes += cost(&key, &write);
        let writes = self.keys.entry(key.clone()).or_default();
        if writes.last().is_some_and(|last| last.at >= self.frozen) {
            let last = writes.pop().expect("just seen");
            self.bytes -= cost(&key, &last);
        }
        writes.push(write);
    }

    fn truncate(&mut self, key: &Key, from: Position) {
        let Some(writes) = self.keys.get_mut(key) else { return };
        let dropped = writes.iter().filter(|write| write.at >= from).map(|write| cost(key, write));
        self.bytes -= dropped.sum::<usize>();
        writes.retain(|write| write.at < from);
        if writes.is_empty() {
            self.keys.remove(key);
        }
    }
}

/// `BTreeMap::range` panics on these.
fn is_empty(lo: Bound<&[u8]>, hi: Bound<&[u8]>) -> bool {
    match (lo, hi) {
        (Bound::Excluded(lo) | Bound::Included(lo), Bound::Excluded(hi)) => lo >= hi,
        _ => false,
    }
}

fn cost(key: &Key, write: &Write) -> usize {
    WRITE_OVERHEAD + key.len() + write.row.as_ref().map_or(0, |row| row.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::copy_from_slice(text.as_bytes())
    }

    fn see(buffer: &Buffer, k: &str, limit: Position) -> String {
        match buffer.get(k.as_bytes(), limit) {
            None => "-".into(),
            Some(Write { row: None, .. }) => "deleted".into(),
            Some(Write { row: Some(row), .. }) => String::from_utf8_lossy(row).into_owned(),
        }
    }

    #[test]
    fn a_statement_sees_the_writes_before_it_and_not_its_own() {
        let mut buffer = Buffer::default();
        buffer.put(key("a"), "1".into());
        let first = buffer.freeze();
        buffer.put(key("a"), "2".into());
        buffer.delete(key("b"));
        assert_eq!((see(&buffer, "a", first), see(&buffer, "b", first)), ("1".into(), "-".into()));
        let second = buffer.freeze();
        assert_eq!((see(&buffer, "a", second), see(&buffer, "b", second)), ("2".into(), "deleted".into()));
        assert_eq!(see(&buffer, "a", first), "1");
    }

    #[test]
    fn rewriting_a_row_in_one_statement_keeps_one_copy() {
        let mut buffer = Buffer::default();
        buffer.put(key("a"), "1".into());
        let bytes = buffer.bytes();
        for _ in 0..100 {
            buffer.put(key("a"), "2".into());
        }
        assert_eq!(buffer.bytes(), bytes);
        assert_eq!(buffer.iter().next().unwrap().1.len(), 1);
    }

    #[test]
    fn rolling_back_restores_what_the_savepoint_saw() {
        let mut buffer = Buffer::default();
        buffer.put(key("a"), "1".into());
        let outer = buffer.savepoint();
        buffer.put(key("a"), "2".into());
        let inner = buffer.savepoint();
        buffer.put(key("b"), "3".into());
        buffer.delete(key("a"));
        let all = buffer.freeze();
        buffer.rollback_to(inner);
        assert_eq!((see(&buffer, "a", all), see(&buffer, "b", all)), ("2".into(), "-".into()));
        buffer.put(key("c"), "4".into());
        assert_eq!(see(&buffer, "c", all), "-", "an old view sees nothing that came later");
        buffer.rollback_to(outer);
        let all = buffer.freeze();
        assert_eq!((see(&buffer, "a", all), see(&buffer, "c", all)), ("1".into(), "-".into()));
        buffer.release(outer);
        buffer.put(key("a"), "5".into());
        assert_eq!(buffer.log.len(), 0);
        assert_eq!(buffer.keys.len(), 1);
    }

    #[test]
    fn bytes_are_given_back() {
        let mut buffer = Buffer::default();
        let start = buffer.savepoint();
        for n in 0..10 {
            buffer.put(key(&n.to_string()), "row".into());
            buffer.freeze();
            buffer.put(key("same"), "row".into());
        }
        assert!(buffer.bytes() > 0);
        buffer.rollback_to(start);
        assert_eq!((buffer.bytes(), buffer.keys.len()), (0, 0));
    }

    #[test]
    fn an_insert_remembers_what_it_expects() {
        let mut buffer = Buffer::default();
        buffer.insert(key("new"), "1".into(), 7);
        buffer.delete(key("new"));
        buffer.insert(key("new"), "2".into(), 8);
        assert_eq!(buffer.newest(b"new").unwrap().expect, Expect::Absent { constraint: 7 });
        buffer.delete(key("old"));
        buffer.insert(key("old"), "1".into(), 7);
        assert_eq!(buffer.newest(b"old").unwrap().expect, Expect::Any);
        buffer.insert(key("old"), "2".into(), 9);
        assert_eq!(buffer.newest(b"old").unwrap().expect, Expect::Never { constraint: 9 });
    }

    #[test]
    fn pages_run_both_ways_and_keep_to_the_span() {
        let mut buffer = Buffer::default();
        for k in ["a", "b", "c", "d"] {
            buffer.put(key(k), k.to_uppercase().into());
        }
        let limit = buffer.freeze();
        buffer.put(key("bb"), "later".into());
        let span = Span { lo: b"b".to_vec(), hi: b"d".to_vec() };
        let keys = |direction, after: Option<&Key>, n| {
            let page = buffer.page(&span, direction, after, limit, n);
            page.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect::<String>()
        };
        assert_eq!(keys(Direction::Forward, None, 9), "bc");
        assert_eq!(keys(Direction::Reverse, None, 9), "cb");
        assert_eq!(keys(Direction::Forward, Some(&key("b")), 9), "c");
        assert_eq!(keys(Direction::Reverse, Some(&key("b")), 9), "");
        assert_eq!(keys(Direction::Forward, None, 1), "b");
        let empty = Span { lo: b"x".to_vec(), hi: b"b".to_vec() };
        assert!(buffer.page(&empty, Direction::Forward, None, limit, 9).is_empty());
    }
}
