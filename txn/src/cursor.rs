//! Walks the versions of a span and shows, key by key, the one that a snapshot sees.
//!
//! Engine keys are `user key · !ts`, newest first. Going forward the first version at or below the
//! snapshot is the one; going backward the versions come oldest first and the last one at or below it
//! counts. Keys with many versions are crossed by a seek instead of step by step.

use storage::engine::{AnyIter, AnySnapshot, Direction, Iter, Snapshot, Space, Span};
use storage::mvcc;
use storage::{Error, Result, Ts};

use crate::key;

/// Versions of one key that are stepped over before seeking.
const STEPS: usize = 8;

/// A cursor over the keys of a span that have a version at or below a timestamp, delete markers too.
pub(crate) struct Cursor {
    iter: AnyIter,
    span: Span,
    direction: Direction,
    ts: Ts,
    /// The engine iterator stands on an entry.
    valid: bool,
    /// This cursor stands on a key.
    here: bool,
    key: Vec<u8>,
    key_ts: Ts,
    /// Backward only: forward the value is read in place.
    value: Vec<u8>,
    seek: Vec<u8>,
}

impl Cursor {
    /// Positions at the first key of `span` in `direction`, or the first one after `after`.
    pub(crate) fn open(
        snapshot: &AnySnapshot,
        span: &Span,
        direction: Direction,
        ts: Ts,
        after: Option<&[u8]>,
    ) -> Result<Cursor> {
        let iter = snapshot.iter(Space::Data, &engine_span(span))?;
        let mut cursor = Cursor {
            iter,
            span: span.clone(),
            direction,
            ts,
            valid: false,
            here: false,
            key: Vec::new(),
            key_ts: Ts::ZERO,
            value: Vec::new(),
            seek: Vec::new(),
        };
        cursor.start(after)?;
        cursor.settle()?;
        Ok(cursor)
    }

    /// Key, commit timestamp and row (`None`: deleted) of the current position.
    pub(crate) fn current(&self) -> Result<Option<(&[u8], Ts, Option<&[u8]>)>> {
        if !self.here {
            return Ok(None);
        }
        let value = match self.direction {
            Direction::Forward => self.iter.value(),
            Direction::Reverse => &self.value,
        };
        Ok(Some((&self.key, self.key_ts, mvcc::read_version(value)?.row)))
    }

    /// The current key; `None` at the end.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.here.then_some(&self.key[..])
    }

    pub(crate) fn advance(&mut self) -> Result<()> {
        if self.here && self.direction == Direction::Forward {
            self.skip_older()?;
        }
        self.settle()
    }

    fn start(&mut self, after: Option<&[u8]>) -> Result<()> {
        self.valid = match (self.direction, after) {
            (Direction::Forward, None) => self.iter.seek_ge(&self.span.lo)?,
            (Direction::Forward, Some(after)) => {
                self.key.clear();
                self.key.extend_from_slice(after);
                self.valid = true;
                self.seek_past()?;
                self.valid
            }
            (Direction::Reverse, Some(after)) => self.iter.seek_lt(after)?,
            (Direction::Reverse, None) if self.span.hi.is_empty() => self.seek_last()?,
            (Direction::Reverse, None) => self.iter.seek_lt(&engine_span(&self.span).hi)?,
        };
        Ok(())
    }

    /// The last entry of a span without an upper bound: no key begins with this many 0xFF.
    fn seek_last(&mut self) -> Result<bool> {
        self.iter.seek_lt(&[0xFF; 64])
    }

    /// Moves to the first visible version at or after the iterator's position.
    fn settle(&mut self) -> Result<()> {
        self.here = match self.direction {
            Direction::Forward => self.settle_forward()?,
            Direction::Reverse => self.settle_backward()?,
        };
        Ok(())
    }

    fn settle_forward(&mut self) -> Result<bool> {
        let mut steps = 0;
        while self.valid {
            let (user, ts) = split(self.iter.key())?;
            if !self.span.hi.is_empty() && user >= &self.span.hi[..] {
                return Ok(false);
            }
            if ts <= self.ts && user >= &self.span.lo[..] {
                self.key.clear();
                self.key.extend_from_slice(user);
                self.key_ts = ts;
                return Ok(true);
            }
            steps += 1;
            if steps % STEPS == 0 && ts > self.ts {
                self.seek.clear();
                self.seek.extend_from_slice(user);
                mvcc::push_suffix(&mut self.seek, self.ts);
                self.valid = self.iter.seek_ge(&self.seek)?;
            } else {
                self.valid = self.iter.next()?;
            }
        }
        Ok(false)
    }

    /// Leaves the versions of the current key behind.
    fn skip_older(&mut self) -> Result<()> {
        for _ in 0..STEPS {
            self.valid = self.iter.next()?;
            if !self.valid || split(self.iter.key())?.0 != &self.key[..] {
                return Ok(());
            }
        }
        self.seek_past()
    }

    /// Seeks the first entry behind all versions of `self.key`.
    fn seek_past(&mut self) -> Result<()> {
        self.seek.clear();
        self.seek.extend_from_slice(&self.key);
        mvcc::push_suffix(&mut self.seek, Ts::ZERO);
        self.valid = self.iter.seek_ge(&self.seek)?;
        if self.valid && self.iter.key() == &self.seek[..] {
            self.valid = self.iter.next()?;
        }
        Ok(())
    }

    fn settle_backward(&mut self) -> Result<bool> {
        while self.valid {
            let (user, _) = split(self.iter.key())?;
            if user < &self.span.lo[..] {
                return Ok(false);
            }
            let inside = key::contains(&self.span, user);
            self.key.clear();
            self.key.extend_from_slice(user);
            if self.collect_backward()? && inside {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Walks the versions of `self.key` from old to new, keeps the visible one, and leaves the
    /// iterator on the key before.
    fn collect_backward(&mut self) -> Result<bool> {
        let mut found = false;
        for _ in 0..STEPS {
            let (user, ts) = split(self.iter.key())?;
            if user != &self.key[..] {
                return Ok(found);
            }
            if ts > self.ts {
                self.valid = self.iter.seek_lt(&self.key)?;
                return Ok(found);
            }
            found = true;
            self.keep(ts);
            self.valid = self.iter.prev()?;
            if !self.valid {
                return Ok(found);
            }
        }
        self.seek.clear();
        self.seek.extend_from_slice(&self.key);
        mvcc::push_suffix(&mut self.seek, self.ts);
        if self.iter.seek_ge(&self.seek)? {
            let (user, ts) = split(self.iter.key())?;
            if user == &self.key[..] {
                found = true;
                self.keep(ts);
            }
        }
        self.valid = self.iter.seek_lt(&self.key)?;
        Ok(found)
    }

    fn keep(&mut self, ts: Ts) {
        self.key_ts = ts;
        self.value.clear();
        self.value.extend_from_slice(self.iter.value());
    }
}

fn split(key: &[u8]) -> Result<(&[u8], Ts), Error> {
    mvcc::split(key)
}

/// The span of engine keys that holds all versions of a span's user keys; a few more may lie in it.
///
/// A user key that is a proper prefix of `hi` is below it, but its versions need not be: the one such
/// bound that occurs is `key · 00`, the end of a span that includes `key`.
fn engine_span(span: &Span) -> Span {
    let hi = match span.hi.split_last() {
        Some((0, key)) => {
            let mut hi = key.to_vec();
            hi.extend_from_slice(&[0xFF; mvcc::SUFFIX + 1]);
            hi
        }
        _ => span.hi.clone(),
    };
    Span { lo: span.lo.clone(), hi }
}
