//! Replicated counters: OIDs and row ids, handed out from blocks that a small transaction of its own
//! reserves. A value is never given twice; a restart skips the rest of a block.

use crate::catalog::store::counter_key;
use crate::exec::txn_error;
use crate::{Result, SqlError};
use std::collections::HashMap;
use tokio::sync::Mutex;
use txn::{LockMode, TxnDb, TxnOptions, WaitPolicy};

/// Values reserved at first, and at most, by one transaction: blocks double while they run out.
const FIRST_BLOCK: u64 = 32;
const LARGEST_BLOCK: u64 = 65_536;

/// The unused rest of a reserved block.
#[derive(Clone, Copy, Debug)]
struct Block {
    next: u64,
    end: u64,
    size: u64,
}

/// The node's blocks by counter name.
#[derive(Default)]
pub struct Counters {
    // Held across the reservation on purpose: one reservation at a time is enough.
    blocks: Mutex<HashMap<&'static str, Block>>,
}

impl Counters {
    /// The next value of a counter that begins at `start`.
    pub async fn next(&self, db: &std::sync::Arc<TxnDb>, name: &'static str, start: u64) -> Result<u64> {
        let mut blocks = self.blocks.lock().await;
        let block = blocks.entry(name).or_insert(Block { next: 0, end: 0, size: FIRST_BLOCK / 2 });
        if block.next == block.end {
            let size = (block.size * 2).min(LARGEST_BLOCK);
            let first = reserve(db, name, start, size).await?;
            *block = Block { next: first, end: first + size, size };
        }
        block.next += 1;
        Ok(block.next - 1)
    }
}

/// Moves a counter's row forward by `count`; the first value of the block.
async fn reserve(db: &std::sync::Arc<TxnDb>, name: &str, start: u64, count: u64) -> Result<u64> {
    let key = txn::Key::from(counter_key(name)?);
    let mut txn = db.begin(TxnOptions::default());
    txn.start_statement();
    let locked = txn
        .lock(std::slice::from_ref(&key), LockMode::Update, WaitPolicy::Wait { timeout: None })
        .await
        .map_err(txn_error)?;
    let next = match locked.first().and_then(|l| l.newest.as_ref()) {
        Some(value) => value
            .first_chunk()
            .map(|bytes| u64::from_le_bytes(*bytes))
            .ok_or_else(|| SqlError::internal("malformed counter"))?,
        None => start,
    };
    txn.put(key, (next + count).to_le_bytes().to_vec().into());
    txn.commit().await.map_err(txn_error)?;
    Ok(next)
}
