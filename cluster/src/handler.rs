//! The way up: what the layer above learns from the loop.

use storage::Ts;
use storage::engine::{RangeId, WriteBatch};

/// Implemented by the layer that evaluates requests above a range.
///
/// Every call comes from the loop thread, in log order for one range: an implementation must not
/// wait for a disk, a proposal or a lock that is held across either.
pub trait RangeHandler: Send + Sync + 'static {
    /// The engine holds `batch`, the effects of entry `index`; its proposer has not been woken yet.
    /// Called for every batch that is applied while this node holds the lease of `range`, own or not;
    /// never during replay, which is over before `lease_gained`.
    fn applied(&self, range: RangeId, index: u64, batch: &WriteBatch);
    /// This node may serve `range`: everything committed before is applied. Reads may have been
    /// served elsewhere up to `floor`, so that no write may take a timestamp at or below it.
    fn lease_gained(&self, range: RangeId, floor: Ts);
    /// This node may no longer serve `range`; what it kept for it in memory is void.
    fn lease_lost(&self, range: RangeId);
}

/// Hears nothing: for tools and tests that only replicate.
#[derive(Debug, Default)]
pub struct NoHandler;

impl RangeHandler for NoHandler {
    fn applied(&self, _: RangeId, _: u64, _: &WriteBatch) {}
    fn lease_gained(&self, _: RangeId, _: Ts) {}
    fn lease_lost(&self, _: RangeId) {}
}
