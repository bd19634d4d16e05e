//! The raft library logs through `slog`; everything goes on to `tracing`.

use slog::{Drain, Level, Logger, Never, OwnedKVList, Record, o};
use storage::engine::RangeId;

struct Forward {
    range: RangeId,
}

impl Drain for Forward {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), Never> {
        let range = self.range.0;
        match record.level() {
            Level::Critical | Level::Error => tracing::error!(range, "raft: {}", record.msg()),
            Level::Warning => tracing::warn!(range, "raft: {}", record.msg()),
            Level::Info | Level::Debug => tracing::debug!(range, "raft: {}", record.msg()),
            Level::Trace => tracing::trace!(range, "raft: {}", record.msg()),
        }
        Ok(())
    }
}

/// A logger for the group of `range`.
pub(super) fn forward(range: RangeId) -> Logger {
    Logger::root(Forward { range }, o!())
}
