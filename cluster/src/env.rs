//! The clock: the one door through which this crate sees time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What a node asks of the machine it runs on. A simulator answers with virtual time.
pub trait Env: Send + Sync + 'static {
    /// Time since an arbitrary point that never moves: for durations.
    fn mono(&self) -> Duration;
    /// Milliseconds since the Unix epoch. May jump either way; it labels timestamps and decides nothing.
    fn wall_millis(&self) -> u64;
}

/// The operating system's clocks.
#[derive(Debug)]
pub struct SystemEnv {
    start: Instant,
}

impl Default for SystemEnv {
    fn default() -> SystemEnv {
        SystemEnv { start: Instant::now() }
    }
}

impl Env for SystemEnv {
    fn mono(&self) -> Duration {
        self.start.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the wall clock's one door")]
    fn wall_millis(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}
