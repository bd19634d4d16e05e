//! Taking up the lead of a range.
//!
//! 1. The group wins its election and commits the first entry of its term: everything older is
//!    applied (`begin_lead`).
//! 2. What a served range needs is replicated: its descriptor if it is new; in the meta group also
//!    the node's registration and a limit for the timestamp oracle (`opened` when applied).
//! 3. With a timestamp taken after that as floor, the range is served (`grant_floors`).

use std::sync::Arc;

use storage::Ts;
use storage::engine::{Engine as _, RangeId, WriteBatch};

use super::Driver;
use crate::group::{Lease, Origin, TsoOpening};
use crate::keys::{self, META};
use crate::{Descriptor, Error, ProposeError, Result};

impl<W> Driver<W> {
    /// Asks every group that does not lead to stand for election.
    pub fn campaign_all(&mut self) {
        let ranges: Vec<_> = self.groups.keys().copied().collect();
        for range in ranges {
            let group = self.groups.get_mut(&range).expect("a key of the map");
            if !group.leads() && group.campaign().is_err() {
                tracing::warn!(range = range.0, "raft refused to campaign");
            }
            self.touch(range);
        }
    }

    /// Stores a higher limit for the timestamp oracle.
    pub(super) fn raise_tso_limit(&mut self) {
        let limit = self.tso.wanted_limit();
        let mut batch = WriteBatch::new();
        keys::put(&mut batch, keys::tso_limit(), &limit.0.to_be_bytes());
        self.propose(META, batch, Origin::TsoLimit(limit));
    }

    pub(super) fn begin_lead(&mut self, range: RangeId) -> Result<()> {
        let group = self.groups.get_mut(&range).expect("a group began to lead");
        if group.lease != Lease::None {
            return Ok(()); // a group that came back after a full device never lost its lease
        }
        group.lease = Lease::Opening;
        let mut batch = self.missing_descriptor(range)?;
        let mut tso = None;
        if range == META {
            let stored = self.stored_limit()?;
            let limit = self.tso.first_limit(stored);
            keys::put(&mut batch, keys::node(self.node), &[]);
            keys::put(&mut batch, keys::tso_limit(), &limit.0.to_be_bytes());
            tso = Some(TsoOpening { stored, limit });
        }
        if batch.is_empty() {
            return self.opened(range);
        }
        self.propose(range, batch, Origin::Opening { tso });
        Ok(())
    }

    /// What step 2 needed is applied.
    pub(super) fn opened(&mut self, range: RangeId) -> Result<()> {
        let stored = keys::get(&self.engine.snapshot(), &keys::descriptor(range))?;
        let stored = stored.ok_or(storage::Error::Malformed { what: "range without descriptor" })?;
        self.descriptors.write().insert(range, Arc::new(Descriptor::decode(&stored)?));
        let group = self.groups.get_mut(&range).expect("the group was just opened");
        group.lease = Lease::AwaitsFloor;
        Ok(())
    }

    /// Serves the ranges that wait for nothing but a timestamp.
    pub(super) fn grant_floors(&mut self) -> Result<()> {
        for (range, group) in &mut self.groups {
            if group.lease != Lease::AwaitsFloor {
                continue;
            }
            match self.tso.try_next() {
                Ok(Some(floor)) => {
                    group.lease = Lease::Held;
                    self.handler.lease_gained(*range, floor);
                }
                Ok(None) | Err(Error::NotReady) => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Ends the lease of a group that no longer leads: nobody who waits learns the outcome here.
    pub(super) fn check_lead(&mut self, range: RangeId) {
        let Some(group) = self.groups.get_mut(&range) else { return };
        if group.leads() || group.lease == Lease::None {
            return;
        }
        let held = std::mem::replace(&mut group.lease, Lease::None) == Lease::Held;
        let origins: Vec<_> = group.abandon().collect();
        if range == META {
            self.tso.close();
        }
        if held {
            self.handler.lease_lost(range);
        }
        for origin in origins {
            self.answer(origin, Err(ProposeError::Unknown));
        }
    }

    fn stored_limit(&self) -> Result<Ts> {
        Ok(Ts(keys::get_u64(&self.engine.snapshot(), &keys::tso_limit())?.unwrap_or(0)))
    }

    fn missing_descriptor(&self, range: RangeId) -> Result<WriteBatch> {
        let mut batch = WriteBatch::new();
        if keys::get(&self.engine.snapshot(), &keys::descriptor(range))?.is_none() {
            let first = Descriptor::first(range, keys::first_span(range), self.node);
            keys::put(&mut batch, keys::descriptor(range), &first.encode());
        }
        Ok(batch)
    }
}
