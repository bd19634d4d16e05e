//! Moves a transaction's write buffer to its area, in proposals of bounded size.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::future::BoxFuture;
use rustc_hash::FxHashMap;
use storage::engine::{Space, WriteBatch};
use storage::mvcc::TxnTag;

use super::{Large, area};
use crate::backend::Refused;
use crate::buffer::Write;
use crate::db::pause;
use crate::participant::RANGE;
use crate::transaction::Require;
use crate::{Key, Result, Transaction, TxnDb};

/// Chunks on their way at once.
const PIPELINE: usize = 4;
const QUEUE_PAUSE: std::time::Duration = std::time::Duration::from_millis(5);

/// Spills everything that is buffered. The buffer keeps its writes until the area has them, so that
/// views that are read meanwhile miss nothing.
pub(crate) async fn spill(txn: &mut Transaction) -> Result<()> {
    let db = txn.db.clone();
    let large = match &txn.large {
        Some(large) => large.clone(),
        None => {
            let large = Large::new(db.backend.next_ts()?.0, txn.id, TxnTag(rand::random()));
            db.participant.large.add(large.clone());
            txn.large = Some(large.clone());
            large
        }
    };
    let required = txn.required_of_writes();
    let writes: Vec<(Key, Vec<Write>)> = {
        let buffer = txn.buffer.read();
        db.participant.metrics.spilled_bytes.add(buffer.bytes() as u64);
        large.include(buffer.iter().map(|(key, _)| key));
        buffer.iter().map(|(key, writes)| (key.clone(), writes.to_vec())).collect()
    };
    let mut pipeline = Pipeline::new(db.clone());
    let mut batch = WriteBatch::new();
    let mut value = Vec::new();
    for (key, writes) in &writes {
        for write in writes {
            value.clear();
            area::push_value(&mut value, write, required.get(key).copied());
            batch.put(Space::Intent, &area::key(RANGE, large.id, key, write.at), &value);
        }
        if batch.as_bytes().len() >= db.limits.chunk_bytes {
            pipeline.send(std::mem::take(&mut batch)).await?;
        }
    }
    if !batch.is_empty() {
        pipeline.send(batch).await?;
    }
    pipeline.drain().await?;
    large.spilled_up_to(txn.buffer.write().spilled());
    txn.release_spilled_locks(&required);
    Ok(())
}

/// Proposals in order, a few at a time.
pub(crate) struct Pipeline {
    db: Arc<TxnDb>,
    sent: VecDeque<(WriteBatch, BoxFuture<'static, Result<(), Refused>>)>,
}

impl Pipeline {
    pub(crate) fn new(db: Arc<TxnDb>) -> Pipeline {
        Pipeline { db, sent: VecDeque::new() }
    }

    pub(crate) async fn send(&mut self, batch: WriteBatch) -> Result<()> {
        if self.sent.len() >= PIPELINE {
            self.finish_oldest().await?;
        }
        let proposed = self.db.backend.propose(batch.clone());
        self.sent.push_back((batch, proposed));
        Ok(())
    }

    pub(crate) async fn drain(&mut self) -> Result<()> {
        while !self.sent.is_empty() {
            self.finish_oldest().await?;
        }
        Ok(())
    }

    async fn finish_oldest(&mut self) -> Result<()> {
        let Some((batch, proposed)) = self.sent.front_mut() else { return Ok(()) };
        loop {
            match (&mut *proposed).await {
                Ok(()) => break,
                Err(Refused::Busy) => {
                    pause(QUEUE_PAUSE).await;
                    *proposed = self.db.backend.propose(batch.clone());
                }
                Err(Refused::Not(error) | Refused::Unknown(error)) => return Err(error),
            }
        }
        self.sent.pop_front();
        Ok(())
    }
}

/// The required reads that travel with the spilled writes of their keys.
pub(crate) type RequiredByKey = FxHashMap<Key, Require>;
