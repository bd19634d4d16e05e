//! Timestamps of the oracle: 46 bits of milliseconds since the Unix epoch, then 18 bits of counter.

use std::fmt;

/// Bits of the counter below the milliseconds.
pub const COUNTER_BITS: u32 = 18;

/// A timestamp handed out by the timestamp oracle. `Ts::ZERO` lies before every commit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ts(pub u64);

impl Ts {
    pub const ZERO: Ts = Ts(0);
    pub const MAX: Ts = Ts(u64::MAX);

    /// The first timestamp of a millisecond since the Unix epoch.
    pub fn from_millis(millis: u64) -> Ts {
        Ts(millis << COUNTER_BITS)
    }

    /// Milliseconds since the Unix epoch.
    pub fn millis(self) -> u64 {
        self.0 >> COUNTER_BITS
    }

    /// The next timestamp; `None` after the last one.
    pub fn next(self) -> Option<Ts> {
        self.0.checked_add(1).map(Ts)
    }

    /// The timestamp just before this one, `Ts::ZERO` at the start.
    pub fn prev(self) -> Ts {
        Ts(self.0.saturating_sub(1))
    }
}

impl fmt::Debug for Ts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.millis(), self.0 & ((1 << COUNTER_BITS) - 1))
    }
}

impl fmt::Display for Ts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
