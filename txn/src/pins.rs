//! Which snapshots are being read, so that garbage collection leaves their versions.
//!
//! Sharded: a pin locks one of a few small maps, chosen by a counter of the thread that pins.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use storage::Ts;

use crate::key::Padded;

const SHARDS: usize = 16;

type Shard = Padded<Mutex<BTreeMap<Ts, usize>>>;

#[derive(Default)]
pub(crate) struct Pins {
    shards: Arc<[Shard; SHARDS]>,
}

/// Keeps the versions of one snapshot until dropped.
pub(crate) struct Pin {
    shards: Arc<[Shard; SHARDS]>,
    at: usize,
    ts: Ts,
}

thread_local! {
    static NEXT: Cell<usize> = const { Cell::new(0) };
}

impl Pins {
    pub(crate) fn pin(&self, ts: Ts) -> Pin {
        let at = NEXT.with(|next| next.replace(next.get().wrapping_add(1))) % SHARDS;
        *self.shards[at].0.lock().entry(ts).or_default() += 1;
        Pin { shards: self.shards.clone(), at, ts }
    }

    /// The oldest pinned snapshot.
    pub(crate) fn oldest(&self) -> Option<Ts> {
        self.shards.iter().filter_map(|shard| shard.0.lock().keys().next().copied()).min()
    }
}

impl Pin {
    pub(crate) fn ts(&self) -> Ts {
        self.ts
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut shard = self.shards[self.at].0.lock();
        if let Some(count) = shard.get_mut(&self.ts) {
            *count -= 1;
            if *count == 0 {
                shard.remove(&self.ts);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_pin_counts_until_its_last_holder_is_gone() {
        let pins = Pins::default();
        let (a, b, c) = (pins.pin(Ts(5)), pins.pin(Ts(5)), pins.pin(Ts(9)));
        drop(a);
        assert_eq!(pins.oldest(), Some(Ts(5)));
        drop(b);
        assert_eq!(pins.oldest(), Some(Ts(9)));
        drop(c);
        assert_eq!(pins.oldest(), None);
    }
}
