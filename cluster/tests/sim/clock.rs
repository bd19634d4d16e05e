//! Virtual time.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cluster::Env;

/// Clocks that move only when the run moves them.
pub(crate) struct Clock {
    mono_micros: AtomicU64,
    wall_millis: AtomicU64,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock { mono_micros: AtomicU64::new(0), wall_millis: AtomicU64::new(1_700_000_000_000) }
    }

    /// Lets time pass on both clocks.
    pub(crate) fn pass(&self, micros: u64) {
        let before = self.mono_micros.fetch_add(micros, SeqCst);
        let millis = (before + micros) / 1000 - before / 1000;
        self.wall_millis.fetch_add(millis, SeqCst);
    }

    /// Sets the wall clock off by some hours.
    pub(crate) fn jump(&self, millis: i64) {
        let now = self.wall_millis.load(SeqCst);
        self.wall_millis.store(now.saturating_add_signed(millis), SeqCst);
    }
}

impl Env for Clock {
    fn mono(&self) -> Duration {
        Duration::from_micros(self.mono_micros.load(SeqCst))
    }

    fn wall_millis(&self) -> u64 {
        self.wall_millis.load(SeqCst)
    }
}
