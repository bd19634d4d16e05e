//! Sequences: one row each, moved forward by transactions of their own, so that a value is never
//! given twice and a rollback leaves a gap, as in PostgreSQL.

use crate::catalog::SequenceDescriptor;
use crate::catalog::store::sequence_key;
use crate::exec::txn_error;
use crate::{Oid, Result, SqlError, SqlState};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Mutex as AsyncMutex;
use txn::{LockMode, TxnDb, TxnOptions, WaitPolicy};

/// Values a node reserves at once, as PostgreSQL logs 32 ahead.
const AHEAD: i64 = 32;

/// Values of one sequence that this node may give without asking.
#[derive(Clone, Copy, Debug, Default)]
struct Cached {
    next: i64,
    left: i64,
}

/// The stored state of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceState {
    pub last: i64,
    pub called: bool,
}

impl SequenceState {
    /// Before the first `nextval`.
    pub fn fresh(start: i64) -> SequenceState {
        SequenceState { last: start, called: false }
    }

    pub fn encode(self) -> Vec<u8> {
        let mut bytes = self.last.to_le_bytes().to_vec();
        bytes.push(u8::from(self.called));
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<SequenceState> {
        let malformed = || SqlError::new(SqlState::DATA_CORRUPTED, "malformed sequence row");
        let last = bytes.first_chunk().map(|b| i64::from_le_bytes(*b)).ok_or_else(malformed)?;
        let called = *bytes.get(8).ok_or_else(malformed)? != 0;
        Ok(SequenceState { last, called })
    }
}

/// The node's reserved values by sequence.
#[derive(Default)]
pub struct Sequences {
    cached: Mutex<HashMap<Oid, Arc<AsyncMutex<Cached>>>>,
}

impl Sequences {
    /// `nextval`.
    pub async fn next(&self, db: &Arc<TxnDb>, sequence: &SequenceDescriptor) -> Result<i64> {
        let values = self.take(db, sequence, 1).await?;
        values.first().copied().ok_or_else(|| SqlError::internal("sequence without value"))
    }

    /// `nextval`, as often as `count` says.
    pub async fn take(
        &self,
        db: &Arc<TxnDb>,
        sequence: &SequenceDescriptor,
        count: usize,
    ) -> Result<Vec<i64>> {
        let cached = self.cached.lock().entry(sequence.oid).or_default().clone();
        let mut cached = cached.lock().await;
        let mut values = Vec::with_capacity(count);
        while values.len() < count {
            if cached.left == 0 {
                let (next, left) = self.reserve(db, sequence, (count - values.len()) as i64).await?;
                *cached = Cached { next, left };
            }
            values.push(cached.next);
            cached.left -= 1;
            cached.next = cached.next.saturating_add(sequence.increment);
        }
        Ok(values)
    }

    /// `setval`: the cached rest is dropped.
    pub async fn set(
        &self,
        db: &Arc<TxnDb>,
        sequence: &SequenceDescriptor,
        state: SequenceState,
    ) -> Result<()> {
        check_bounds(sequence, state.last)?;
        let cached = self.cached.lock().entry(sequence.oid).or_default().clone();
        let mut cached = cached.lock().await;
        update(db, sequence.oid, |_| Ok((state, ()))).await?;
        *cached = Cached::default();
        Ok(())
    }

    /// Forgets the node's values: the sequence was dropped or altered.
    pub fn forget(&self, sequence: Oid) {
        self.cached.lock().remove(&sequence);
    }

    /// Takes a block of about `want` values or more; its first value and how many there are.
    async fn reserve(&self, db: &Arc<TxnDb>, sequence: &SequenceDescriptor, want: i64) -> Result<(i64, i64)> {
        update(db, sequence.oid, |state| {
            let state = state.unwrap_or(SequenceState::fresh(sequence.start));
            let first = first_value(sequence, state)?;
            let count = block_size(sequence, first, want);
            let last = first + (count - 1) * sequence.increment;
            Ok((SequenceState { last, called: true }, (first, count)))
        })
        .await
    }
}

/// 22003 for a value that `setval` may not set.
pub(crate) fn check_bounds(sequence: &SequenceDescriptor, value: i64) -> Result<()> {
    if (sequence.min..=sequence.max).contains(&value) {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!(
            "setval: value {value} is out of bounds for sequence \"{}\" ({}..{})",
            sequence.name, sequence.min, sequence.max
        ),
    ))
}

/// The value after `state`; 2200H where the sequence ends and does not cycle.
fn first_value(sequence: &SequenceDescriptor, state: SequenceState) -> Result<i64> {
    if !state.called {
        return Ok(state.last);
    }
    let next =
        state.last.checked_add(sequence.increment).filter(|v| (sequence.min..=sequence.max).contains(v));
    match next {
        Some(value) => Ok(value),
        None if sequence.cycle => Ok(if sequence.increment > 0 { sequence.min } else { sequence.max }),
        None => {
            let (word, bound) =
                if sequence.increment > 0 { ("maximum", sequence.max) } else { ("minimum", sequence.min) };
            Err(SqlError::new(
                SqlState::SEQUENCE_GENERATOR_LIMIT_EXCEEDED,
                format!("nextval: reached {word} value of sequence \"{}\" ({bound})", sequence.name),
            ))
        }
    }
}

/// How many values from `first` on stay inside the bounds, up to what is worth reserving.
fn block_size(sequence: &SequenceDescriptor, first: i64, want: i64) -> i64 {
    let room = if sequence.increment > 0 {
        i128::from(sequence.max) - i128::from(first)
    } else {
        i128::from(first) - i128::from(sequence.min)
    };
    let steps = room / i128::from(sequence.increment.unsigned_abs()) + 1;
    steps.min(i128::from(sequence.cache.max(AHEAD).max(want))) as i64
}

/// Changes a sequence's row in a transaction of its own.
async fn update<T>(
    db: &Arc<TxnDb>,
    sequence: Oid,
    change: impl FnOnce(Option<SequenceState>) -> Result<(SequenceState, T)>,
) -> Result<T> {
    let key = txn::Key::from(sequence_key(sequence));
    let mut txn = db.begin(TxnOptions::default());
    txn.start_statement();
    let locked = txn
        .lock(std::slice::from_ref(&key), LockMode::Update, WaitPolicy::Wait { timeout: None })
        .await
        .map_err(txn_error)?;
    let newest = locked.first().and_then(|l| l.newest.as_ref());
    let (state, answer) = change(newest.map(|value| SequenceState::decode(value)).transpose()?)?;
    txn.put(key, state.encode().into());
    txn.commit().await.map_err(txn_error)?;
    Ok(answer)
}
