//! Id allocators: named counters in the meta group.

use std::ops::Range;

use storage::engine::{Engine as _, WriteBatch};
use tokio::sync::Mutex;

use super::Node;
use crate::keys::{self, META};
use crate::{Error, Result};

/// Serialises allocations: each reads what the one before has replicated.
#[derive(Default)]
pub(super) struct Allocators {
    turn: Mutex<()>,
}

impl Allocators {
    pub(super) async fn allocate(
        &self,
        node: &Node,
        name: &str,
        first: u64,
        count: u64,
    ) -> Result<Range<u64>> {
        let _turn = self.turn.lock().await;
        let key = keys::allocator(name);
        let stored = keys::get_u64(&node.engine().snapshot(), &key)?;
        let begin = stored.unwrap_or(first).max(first);
        let exhausted = Error::Storage(storage::Error::Malformed { what: "id allocator: no ids are left" });
        let end = begin.checked_add(count).ok_or(exhausted)?;
        let mut batch = WriteBatch::new();
        keys::put(&mut batch, key, &end.to_be_bytes());
        node.propose(META, batch).await?;
        Ok(begin..end)
    }
}
