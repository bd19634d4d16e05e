//! Commit of a large transaction: one record makes all spilled writes visible at one timestamp.
//!
//! 1. Spill what is left in the buffer.
//! 2. Fence the keys: a commit that latches one of them from now on finds the fence and steps back. Then
//!    wait for those that latched before. (Writer: latch, then look for fences. Here: fence, then look
//!    for latches. All SeqCst, so one of the two sees the other.)
//! 3. Validate every write: nothing about these keys can change any more. Readers go on: the slot has
//!    no timestamp yet.
//! 4. Take the timestamp above every read served so far, validate the required reads of other keys at
//!    it, propose the record. Readers at or above the timestamp wait from here, for one raft round.
//!
//! Waits: small commits wait for a fence only without latches, so step 2 ends; step 4 waits only for
//! commits with smaller timestamps.

use std::sync::Arc;

use storage::Ts;
use storage::engine::{Direction, Snapshot, WriteBatch};

use super::record::Record;
use super::{Large, area, record, resolve, spill};
use crate::buffer::{Expect, Write};
use crate::commit::{check_write, validate_reads};
use crate::db::off_thread;
use crate::key;
use crate::large::area::{AreaCursor, Spilled};
use crate::large::spill::Pipeline;
use crate::participant::cache::Newest;
use crate::participant::{RANGE, decode};
use crate::transaction::Require;
use crate::{Isolation, Key, Result, Transaction, TxnDb};

pub(crate) async fn commit(txn: &mut Transaction) -> Result<Ts> {
    spill::spill(txn).await?;
    let db = txn.db.clone();
    let large = txn.large.clone().expect("spilled just now");
    let _one_at_a_time = db.participant.large_commit.lock().await;
    fence(&db, &large).await;
    let snapshot = (txn.options.isolation == Isolation::RepeatableRead).then(|| txn.statement_ts());
    let (validated, checked) = (db.clone(), large.clone());
    off_thread(move || validate(&validated, &checked, snapshot)).await?;
    let ts = stamp(&db, &large)?;
    let required = txn.take_required();
    validate_reads(&db, &large.slot, &required, &std::mem::take(&mut txn.required_spans), ts).await?;
    let mut batch = WriteBatch::new();
    record::put(&mut batch, RANGE, large.id, &Record { ts, tag: large.tag, extent: large.extent() });
    // From here the transaction is not given up by dropping it: the record decides.
    txn.large = None;
    let deciding = Deciding { db: db.clone(), large: large.clone() };
    let mut pipeline = Pipeline::new(db.clone());
    pipeline.send(batch).await?;
    pipeline.drain().await?;
    drop(deciding);
    db.participant.metrics.large_commits.add(1);
    Ok(ts)
}

/// The record is on its way. However the wait for it ends, the background finishes the transaction: it
/// resolves what is committed and removes what is not.
struct Deciding {
    db: Arc<TxnDb>,
    large: Arc<Large>,
}

impl Drop for Deciding {
    fn drop(&mut self) {
        resolve::finish_later(&self.db, &self.large);
    }
}

async fn fence(db: &Arc<TxnDb>, large: &Large) {
    large.fence();
    for span in large.spans() {
        for commit in db.participant.inflight.slots_in(&span, key::coverage(&span)) {
            commit.ended().await;
        }
    }
}

/// Step 3.
fn validate(db: &TxnDb, large: &Large, isolation: Option<Ts>) -> Result<()> {
    let unresolved = db.participant.large.unresolved(Ts::MAX);
    let snapshot = db.backend.snapshot();
    for span in large.spans() {
        let mut area = AreaCursor::open(&snapshot, RANGE, large.id, &span, Direction::Forward, None)?;
        while let Some((key, writes)) = area.current() {
            if let Some((write, require)) = net_write(large, writes) {
                let newest = match snapshot.get_le_ts(key, Ts::MAX, storage::engine::ReadMode::Block)? {
                    Some((ts, value)) => decode(ts, &value)?,
                    None => Newest::NEVER,
                };
                let newest = super::newest(&unresolved, &snapshot, key, Ts::MAX, newest)?;
                check_write(&Key::copy_from_slice(key), &newest, &write, require, isolation)?;
            }
            area.advance()?;
        }
    }
    Ok(())
}

/// What several spilled writes of a key come to: the newest row, the expectation that the first one
/// brought, and all required reads together. A second spill did not see what the first one held.
pub(crate) fn net_write(large: &Large, writes: &[Spilled]) -> Option<(Write, Option<Require>)> {
    let kept = || writes.iter().filter(|spilled| large.keeps(spilled.write.at));
    let newest = kept().next()?;
    let mut write = newest.write.clone();
    let mut oldest_first: Vec<&Spilled> = kept().collect();
    oldest_first.reverse();
    write.expect = oldest_first[0].write.expect;
    for pair in oldest_first.windows(2) {
        let (before, after) = (&pair[0].write, &pair[1].write);
        let unaware = large.spilled_between(before.at, after.at);
        match after.expect {
            Expect::Never { .. } => write.expect = after.expect,
            Expect::Absent { constraint } if before.row.is_some() && unaware => {
                write.expect = Expect::Never { constraint };
            }
            _ => {}
        }
    }
    let require = kept().filter_map(|spilled| spilled.require).reduce(Require::and);
    Some((write, require))
}

fn stamp(db: &TxnDb, large: &Large) -> Result<Ts> {
    large.slot.begin_stamping();
    loop {
        let ts = db.backend.next_ts().inspect_err(|_| large.slot.unstamp())?;
        if db.participant.highwater.highest() < ts {
            large.slot.stamp(ts);
            return Ok(ts);
        }
    }
}

/// Whether a fence covers one of these keys exactly: the commit that answers has to end first.
pub(crate) fn fenced(db: &TxnDb, keys: &[Key]) -> Result<Option<Arc<Large>>> {
    for large in db.participant.large.fenced() {
        let mut covered = keys.iter().filter(|key| large.covers(key)).peekable();
        if covered.peek().is_none() {
            continue;
        }
        let snapshot = db.backend.snapshot();
        for key in covered {
            if area::holds(&snapshot, RANGE, large.id, key)? {
                return Ok(Some(large));
            }
        }
    }
    Ok(None)
}
