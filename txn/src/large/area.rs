//! The area of a large transaction: its spilled writes, in key order, newest first.
//!
//! Value of a write:
//!
//! | bytes | meaning |
//! |---|---|
//! | 1 | 0 deletes, 1 puts a row |
//! | 1 | expectation: 0 any, 1 absent, 2 never |
//! | 4 | constraint tag, little-endian |
//! | 8 | required read, little-endian: timestamp of `Unchanged`, all ones none, all ones but the last bit `Alive` |
//! | n | the row |

use bytes::Bytes;
use storage::engine::{AnyIter, AnySnapshot, Direction, Iter, RangeId, Snapshot, Space, Span};
use storage::{Error, Result, Ts};

use crate::buffer::{Expect, Position, Write};
use crate::key::prefix_end;
use crate::transaction::Require;

const AREAS: u8 = cluster::keys::UPPER_TAGS + 1;
const HEADER: usize = 14;
const NO_REQUIRE: u64 = u64::MAX;
const ALIVE: u64 = u64::MAX - 1;
const POSITION: usize = 8;

/// The span of all areas of a range.
pub(crate) fn all(range: RangeId) -> Span {
    let lo = cluster::keys::range_local(range, AREAS);
    Span { hi: prefix_end(&lo), lo }
}

/// The span of one area.
pub(crate) fn span(range: RangeId, id: u64) -> Span {
    let lo = prefix(range, id);
    Span { hi: prefix_end(&lo), lo }
}

fn prefix(range: RangeId, id: u64) -> Vec<u8> {
    let mut key = cluster::keys::range_local(range, AREAS);
    key.extend_from_slice(&id.to_be_bytes());
    key
}

/// The transaction that a key of some area belongs to.
pub(crate) fn owner(range: RangeId, key: &[u8]) -> Option<u64> {
    let rest = key.strip_prefix(&all(range).lo[..])?;
    Some(u64::from_be_bytes(rest.get(..8)?.try_into().ok()?))
}

pub(crate) fn key(range: RangeId, id: u64, user_key: &[u8], at: Position) -> Vec<u8> {
    let mut key = prefix(range, id);
    key.extend_from_slice(user_key);
    key.extend_from_slice(&(!at.0).to_be_bytes());
    key
}

pub(crate) fn push_value(out: &mut Vec<u8>, write: &Write, require: Option<Require>) {
    out.push(u8::from(write.row.is_some()));
    let (expect, constraint) = match write.expect {
        Expect::Any => (0, 0),
        Expect::Absent { constraint } => (1, constraint),
        Expect::Never { constraint } => (2, constraint),
    };
    out.push(expect);
    out.extend_from_slice(&constraint.to_le_bytes());
    let require = match require {
        None => NO_REQUIRE,
        Some(Require::Alive) => ALIVE,
        Some(Require::Unchanged(ts)) => ts.0.min(ALIVE - 1),
    };
    out.extend_from_slice(&require.to_le_bytes());
    out.extend_from_slice(write.row.as_deref().unwrap_or_default());
}

/// A spilled write, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spilled {
    pub(crate) write: Write,
    pub(crate) require: Option<Require>,
}

fn read(at: Position, value: &[u8]) -> Result<Spilled> {
    let malformed = Error::Malformed { what: "spilled write" };
    if value.len() < HEADER {
        return Err(malformed);
    }
    let constraint = u32::from_le_bytes(value[2..6].try_into().expect("four bytes"));
    let expect = match value[1] {
        0 => Expect::Any,
        1 => Expect::Absent { constraint },
        2 => Expect::Never { constraint },
        _ => return Err(malformed),
    };
    let require = match u64::from_le_bytes(value[6..HEADER].try_into().expect("eight bytes")) {
        NO_REQUIRE => None,
        ALIVE => Some(Require::Alive),
        ts => Some(Require::Unchanged(Ts(ts))),
    };
    let row = (value[0] == 1).then(|| Bytes::copy_from_slice(&value[HEADER..]));
    Ok(Spilled { write: Write { at, row, expect }, require })
}

/// The newest write of a key below `limit` that `keeps` accepts.
pub(crate) fn get(
    snapshot: &AnySnapshot,
    range: RangeId,
    id: u64,
    user_key: &[u8],
    limit: Position,
    keeps: impl Fn(Position) -> bool,
) -> Result<Option<Write>> {
    let lo = key(range, id, user_key, Position(limit.0.saturating_sub(1)));
    let mut hi = prefix(range, id);
    hi.extend_from_slice(user_key);
    hi.extend_from_slice(&[0xFF; POSITION + 1]);
    let mut iter = snapshot.iter(Space::Intent, &Span { lo: lo.clone(), hi })?;
    let mut valid = iter.seek_ge(&lo)?;
    let skip = prefix(range, id).len();
    while valid {
        let (found, at) = split(iter.key(), skip)?;
        if found != user_key {
            return Ok(None);
        }
        if keeps(at) {
            return Ok(Some(read(at, iter.value())?.write));
        }
        valid = iter.next()?;
    }
    Ok(None)
}

/// Whether the area has any write of a key.
pub(crate) fn holds(snapshot: &AnySnapshot, range: RangeId, id: u64, user_key: &[u8]) -> Result<bool> {
    Ok(get(snapshot, range, id, user_key, Position(u64::MAX), |_| true)?.is_some())
}

fn split(key: &[u8], skip: usize) -> Result<(&[u8], Position)> {
    let malformed = Error::Malformed { what: "key of a spilled write" };
    let end = key.len().checked_sub(POSITION).filter(|end| *end >= skip).ok_or(malformed)?;
    let at = u64::from_be_bytes(key[end..].try_into().expect("eight bytes"));
    Ok((&key[skip..end], Position(!at)))
}

/// Walks the keys of an area, each with all of its writes.
pub(crate) struct AreaCursor {
    iter: AnyIter,
    span: Span,
    direction: Direction,
    valid: bool,
    skip: usize,
    here: Option<(Vec<u8>, Vec<Spilled>)>,
}

impl AreaCursor {
    /// Positions at the first key of `span` (of user keys) in `direction`, or behind `after`.
    pub(crate) fn open(
        snapshot: &AnySnapshot,
        range: RangeId,
        id: u64,
        span: &Span,
        direction: Direction,
        after: Option<&[u8]>,
    ) -> Result<AreaCursor> {
        let prefix = prefix(range, id);
        let under = |bound: &[u8]| [&prefix[..], bound].concat();
        // A key that is the bound less its zero byte has its writes above the bound: see `cursor`.
        let inside = |bound: &[u8]| match bound.split_last() {
            Some((0, key)) => [&prefix[..], key, &[0xFF; POSITION + 1]].concat(),
            _ => under(bound),
        };
        let lo = match (after, direction) {
            (Some(after), Direction::Forward) => [&prefix[..], after, &[0xFF; POSITION + 1]].concat(),
            _ => under(&span.lo),
        };
        let hi = match (after, direction) {
            (Some(after), Direction::Reverse) => under(after),
            _ if span.hi.is_empty() => prefix_end(&prefix),
            _ => inside(&span.hi),
        };
        let mut iter = snapshot.iter(Space::Intent, &Span { lo: lo.clone(), hi: hi.clone() })?;
        let valid = match direction {
            _ if lo >= hi => false,
            Direction::Forward => iter.seek_ge(&lo)?,
            Direction::Reverse => iter.seek_lt(&hi)?,
        };
        let skip = prefix.len();
        let mut cursor = AreaCursor { iter, span: span.clone(), direction, valid, skip, here: None };
        cursor.advance()?;
        Ok(cursor)
    }

    /// The current key and its writes, newest first.
    pub(crate) fn current(&self) -> Option<(&[u8], &[Spilled])> {
        self.here.as_ref().map(|(key, writes)| (&key[..], &writes[..]))
    }

    pub(crate) fn advance(&mut self) -> Result<()> {
        self.here = None;
        while self.valid {
            let (found, at) = split(self.iter.key(), self.skip)?;
            match &mut self.here {
                // The engine's bounds are a little wider than the span.
                None if !crate::key::contains(&self.span, found) => {}
                None => self.here = Some((found.to_vec(), vec![read(at, self.iter.value())?])),
                Some((key, writes)) if key == found => writes.push(read(at, self.iter.value())?),
                Some(_) => break,
            }
            self.valid = match self.direction {
                Direction::Forward => self.iter.next()?,
                Direction::Reverse => self.iter.prev()?,
            };
        }
        if let (Direction::Reverse, Some((_, writes))) = (self.direction, &mut self.here) {
            writes.reverse();
        }
        Ok(())
    }
}
