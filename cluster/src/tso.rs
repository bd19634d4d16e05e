//! The timestamp oracle of this node: one atomic below a replicated limit.
//!
//! A timestamp is given out only below a limit that the meta group has stored; a restart begins at
//! the stored limit, so that no value is ever given twice or out of order, whatever the clocks say.
//! The wall clock only moves the physical part along while the limit leaves room. When little room
//! is left the oracle asks the loop once for a higher limit; at the limit callers wait.
//!
//! An idle node stores no limits: after a pause the first values follow the last one given (the
//! physical part lags) until the limit that they ask for is stored, a moment later.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use storage::Ts;

use crate::limits::{TSO_AHEAD, TSO_PATIENCE, TSO_ROOM};
use crate::{Env, Error, Result};

/// How often a waiting caller looks again by itself.
const RECHECK: Duration = Duration::from_millis(20);

/// Gives out strictly increasing timestamps.
pub struct Tso {
    env: Arc<dyn Env>,
    /// Newest value given out.
    last: AtomicU64,
    /// Values stay below it; zero while this node may give out none.
    limit: AtomicU64,
    /// A higher limit has been asked for and is on its way.
    asked: AtomicBool,
    ask: Box<dyn Fn() + Send + Sync>,
    waiting: Mutex<()>,
    raised: Condvar,
}

impl Tso {
    /// An oracle that is closed; `ask` is called when it needs a higher limit and must not block.
    pub fn new(env: Arc<dyn Env>, ask: Box<dyn Fn() + Send + Sync>) -> Tso {
        Tso {
            env,
            last: AtomicU64::new(0),
            limit: AtomicU64::new(0),
            asked: AtomicBool::new(false),
            ask,
            waiting: Mutex::new(()),
            raised: Condvar::new(),
        }
    }

    /// The newest timestamp given out: at or above every commit that has been acknowledged.
    pub fn current(&self) -> Ts {
        Ts(self.last.load(SeqCst))
    }

    /// A timestamp above every one given out before. Waits (on the calling thread) only when the limit
    /// is reached, which takes a log that has not answered for about two seconds.
    pub fn next(&self) -> Result<Ts> {
        if let Some(ts) = self.try_next()? {
            return Ok(ts);
        }
        let deadline = self.env.mono() + TSO_PATIENCE;
        let mut waiting = self.waiting.lock();
        loop {
            if let Some(ts) = self.try_next()? {
                return Ok(ts);
            }
            if self.env.mono() >= deadline {
                return Err(Error::TimestampsExhausted);
            }
            self.raised.wait_for(&mut waiting, RECHECK);
        }
    }

    /// As `next`, but `None` at the limit.
    pub fn try_next(&self) -> Result<Option<Ts>> {
        let wall = Ts::from_millis(self.env.wall_millis()).0;
        loop {
            let last = self.last.load(SeqCst);
            let limit = self.limit.load(SeqCst);
            if limit == 0 {
                return Err(Error::NotReady);
            }
            let ts = following(last, limit, wall);
            if limit.saturating_sub(wall) <= reserve() || limit.saturating_sub(ts) <= span(TSO_ROOM) / 2 {
                self.ask_once();
            }
            if ts >= limit {
                return Ok(None);
            }
            if self.last.compare_exchange(last, ts, SeqCst, SeqCst).is_ok() {
                return Ok(Some(Ts(ts)));
            }
        }
    }

    /// The limit to store next: ahead of the clock, and with some room above what was given out. The
    /// room is small, so that restarts in a row do not drive the physical part away from the clock.
    /// Never below the limit that is in force, or a restart would begin below what was given out: the
    /// clock may have gone back since the limit was asked for.
    pub fn wanted_limit(&self) -> Ts {
        self.limit_above(self.last.load(SeqCst)).max(Ts(self.limit.load(SeqCst)))
    }

    /// The first limit of a lead that found `stored`.
    pub(crate) fn first_limit(&self, stored: Ts) -> Ts {
        self.limit_above(stored.0)
    }

    fn limit_above(&self, given: u64) -> Ts {
        let clock = Ts::from_millis(self.env.wall_millis()).0.saturating_add(span(TSO_AHEAD));
        Ts(clock.max(given.saturating_add(span(TSO_ROOM))))
    }

    /// Begins after a restart or a new lead: every value below `stored` may have been given out.
    pub(crate) fn open(&self, stored: Ts, limit: Ts) {
        self.last.fetch_max(stored.prev().0, SeqCst);
        self.raise(limit);
    }

    /// `limit` is durable.
    pub(crate) fn raise(&self, limit: Ts) {
        self.limit.fetch_max(limit.0, SeqCst);
        self.asked.store(false, SeqCst);
        drop(self.waiting.lock());
        self.raised.notify_all();
    }

    /// A limit that was asked for will not come; the next caller asks again.
    pub(crate) fn refused(&self) {
        self.asked.store(false, SeqCst);
    }

    /// Gives out nothing any more: the meta group is led elsewhere, or the node stops.
    pub(crate) fn close(&self) {
        self.limit.store(0, SeqCst);
        drop(self.waiting.lock());
        self.raised.notify_all();
    }

    fn ask_once(&self) {
        if !self.asked.swap(true, SeqCst) {
            (self.ask)();
        }
    }
}

/// The value after `last`. It follows the clock only while more than the reserve is left below the
/// limit, so that a clock ahead of the limit cannot use up what is left in one step.
fn following(last: u64, limit: u64, wall: u64) -> u64 {
    let next = last.saturating_add(1);
    if wall.saturating_add(reserve()) < limit { next.max(wall) } else { next }
}

/// Time between the clock and the limit at which a higher one is asked for.
fn reserve() -> u64 {
    span(TSO_AHEAD / 2)
}

fn span(duration: Duration) -> u64 {
    Ts::from_millis(u64::try_from(duration.as_millis()).unwrap_or(0)).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    struct Fixed(AtomicU64);

    impl Env for Fixed {
        fn mono(&self) -> Duration {
            Duration::from_millis(self.0.load(SeqCst))
        }
        fn wall_millis(&self) -> u64 {
            self.0.load(SeqCst)
        }
    }

    fn oracle(wall: u64) -> (Arc<Fixed>, Arc<AtomicUsize>, Tso) {
        let env = Arc::new(Fixed(AtomicU64::new(wall)));
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let ask = Box::new(move || {
            count.fetch_add(1, SeqCst);
        });
        (env.clone(), asked, Tso::new(env, ask))
    }

    #[test]
    fn values_increase_stay_below_the_limit_and_ask_once() {
        let (env, asked, tso) = oracle(1_000);
        assert!(tso.next().is_err(), "closed until the meta group leads");
        tso.open(Ts::from_millis(500), Ts::from_millis(3_000));
        assert_eq!(tso.current(), Ts::from_millis(500).prev());
        let first = tso.next().unwrap();
        assert_eq!(first.millis(), 1_000);
        assert_eq!(asked.load(SeqCst), 0);

        env.0.store(60_000, SeqCst);
        let after_pause = tso.next().unwrap();
        assert_eq!(after_pause, first.next().unwrap(), "a clock beyond the limit moves nothing");
        assert!(tso.next().unwrap() > after_pause);
        assert_eq!(asked.load(SeqCst), 1, "asked once, not per call");

        let limit = tso.wanted_limit();
        assert_eq!(limit.millis(), 62_000);
        tso.raise(limit);
        assert_eq!(tso.next().unwrap().millis(), 60_000);

        env.0.store(10, SeqCst);
        assert_eq!(tso.wanted_limit(), limit, "a stored limit never goes back");
        let before = tso.current();
        assert_eq!(tso.next().unwrap(), before.next().unwrap(), "a clock that jumps back moves nothing");
    }

    #[test]
    fn restarts_in_a_row_stay_near_the_clock() {
        let mut stored = Ts::from_millis(1_000);
        for _ in 0..100 {
            let (_, asked, tso) = oracle(1_000);
            let limit = tso.first_limit(stored);
            assert!(limit > stored);
            tso.open(stored, limit);
            assert!(tso.next().unwrap() >= stored);
            assert_eq!(asked.load(SeqCst), 0, "a fresh limit leaves room");
            stored = limit;
        }
        assert!(stored.millis() < 1_000 + 2_000 + 100 * 100, "{stored}");
    }

    #[test]
    fn at_the_limit_nothing_is_given() {
        let (_, asked, tso) = oracle(1_000);
        tso.open(Ts(10), Ts(12));
        assert_eq!(tso.try_next().unwrap(), Some(Ts(10)));
        assert_eq!(tso.try_next().unwrap(), Some(Ts(11)));
        assert_eq!(tso.try_next().unwrap(), None);
        assert_eq!(asked.load(SeqCst), 1);
        tso.close();
        assert!(tso.try_next().is_err());
    }
}
