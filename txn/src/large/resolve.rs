//! Ends large transactions in the background: moves what is committed to the data space, removes what
//! is not.

use std::sync::Arc;

use futures::executor::block_on;
use storage::Ts;
use storage::engine::{Direction, Iter, Snapshot, Space, WriteBatch};
use storage::mvcc::{self, Version};

use super::area::AreaCursor;
use super::commit::net_write;
use super::spill::Pipeline;
use super::{Large, area, record};
use crate::participant::RANGE;
use crate::{Result, TxnDb};

/// Puts the end of a transaction onto the background: called when its record has been decided, or when
/// it is given up.
pub(crate) fn finish_later(db: &Arc<TxnDb>, large: &Arc<Large>) {
    let (db, large) = (db.clone(), large.clone());
    let backend = db.backend.clone();
    backend.spawn(Box::new(move || {
        if let Err(error) = finish(&db, &large) {
            tracing::warn!(%error, id = large.id, "a large transaction will be resolved at the next start");
        }
    }));
}

fn finish(db: &Arc<TxnDb>, large: &Arc<Large>) -> Result<()> {
    // A barrier: proposals are applied in order, so behind this one the record is there, or never.
    let mut barrier = WriteBatch::new();
    barrier.delete(Space::Intent, &area::span(RANGE, large.id).lo);
    block_on(send(db, barrier))?;
    match large.committed() {
        Some(ts) => resolve(db, large, ts),
        None => {
            give_up(db, large);
            block_on(send(db, removal(large.id)))
        }
    }
}

/// Nobody waits for the transaction any more; its area means nothing.
pub(crate) fn give_up(db: &TxnDb, large: &Large) {
    db.participant.large.remove(large.id);
    large.slot.end();
}

fn resolve(db: &Arc<TxnDb>, large: &Arc<Large>, ts: Ts) -> Result<()> {
    for span in large.spans() {
        let mut after: Option<Vec<u8>> = None;
        loop {
            // A snapshot a chunk: holding one for the whole walk would pin files.
            let (batch, more) = chunk(db, large, &span, ts, &mut after)?;
            if !batch.is_empty() {
                block_on(send(db, batch))?;
            }
            if !more {
                break;
            }
        }
    }
    let mut batch = removal(large.id);
    batch.delete(Space::Data, &record::engine_key(RANGE, large.id));
    block_on(send(db, batch))?;
    db.participant.large.remove(large.id);
    Ok(())
}

/// The next versions behind `after`, up to the limit of a chunk; whether there may be more.
fn chunk(
    db: &TxnDb,
    large: &Large,
    span: &storage::engine::Span,
    ts: Ts,
    after: &mut Option<Vec<u8>>,
) -> Result<(WriteBatch, bool)> {
    let snapshot = db.backend.snapshot();
    let mut area = AreaCursor::open(&snapshot, RANGE, large.id, span, Direction::Forward, after.as_deref())?;
    let mut batch = WriteBatch::new();
    let (mut version_key, mut value) = (Vec::new(), Vec::new());
    while let Some((key, writes)) = area.current() {
        let net = net_write(large, writes).map(|(write, _)| write);
        if let Some(write) = net.filter(|write| !write.is_nothing()) {
            version_key.clear();
            version_key.extend_from_slice(key);
            mvcc::push_suffix(&mut version_key, ts);
            value.clear();
            mvcc::push_version(&mut value, Version { tag: large.tag, row: write.row.as_deref() });
            batch.put(Space::Data, &version_key, &value);
        }
        *after = Some(key.to_vec());
        if batch.as_bytes().len() >= db.limits.chunk_bytes {
            return Ok((batch, true));
        }
        area.advance()?;
    }
    Ok((batch, false))
}

fn removal(id: u64) -> WriteBatch {
    let span = area::span(RANGE, id);
    let mut batch = WriteBatch::new();
    batch.delete_range(Space::Intent, &span.lo, &span.hi);
    batch
}

async fn send(db: &Arc<TxnDb>, batch: WriteBatch) -> Result<()> {
    let mut pipeline = Pipeline::new(db.clone());
    pipeline.send(batch).await?;
    pipeline.drain().await
}

/// What large transactions left behind when the node stopped: committed ones are resolved, the areas
/// of others are removed. Returns when reads are right; the work goes on in the background.
pub(crate) fn recover(db: &Arc<TxnDb>) -> Result<()> {
    let snapshot = db.backend.snapshot();
    let mut committed = Vec::new();
    for (id, record) in record::all(&snapshot, RANGE)? {
        let large = Large::restored(id, record.tag, record.ts, record.extent);
        db.participant.large.add(large.clone());
        finish_later(db, &large);
        committed.push(id);
    }
    let span = area::all(RANGE);
    let mut iter = snapshot.iter(Space::Intent, &span)?;
    let mut valid = iter.seek_ge(&span.lo)?;
    while valid {
        let Some(id) = area::owner(RANGE, iter.key()) else { break };
        if !committed.contains(&id) {
            let db = db.clone();
            let backend = db.backend.clone();
            backend.spawn(Box::new(move || {
                if let Err(error) = block_on(send(&db, removal(id))) {
                    tracing::warn!(%error, id, "the area of a lost transaction stays until the next start");
                }
            }));
        }
        valid = iter.seek_ge(&area::span(RANGE, id).hi)?;
    }
    Ok(())
}
