//! One raft group on this node: the raft state machine, who waits for its entries, and its lease.
//!
//! A group is a pure machine. `propose` and `campaign` step it; `collect` moves what it wants done
//! (entries to write, hard state, committed entries) into the driver's task; `persisted` and
//! `applied` tell it that the driver has done so. It is never ticked: with one voter nothing is
//! timed, and a group that nobody speaks to costs nothing.

mod logger;
mod store;

use std::collections::VecDeque;

use raft::eraftpb::{Entry, HardState, Message};
use raft::{Config, RawNode, StateRole};
use storage::Ts;
use storage::engine::{RangeId, WriteBatch};

use crate::limits::{MAX_BATCH_BYTES, MAX_COMMITTED_BYTES, MAX_QUEUED_BYTES};
use crate::{Error, NodeId, ProposeError, Result, command};

pub(crate) use store::{GroupLog, SharedLog, from_raft};

/// Ticks are required by the library's configuration; nothing ticks.
const ELECTION_TICKS: usize = 10;
/// Append messages in flight to one follower.
const MAX_INFLIGHT: usize = 64;
const MAX_APPEND_BYTES: u64 = 1 << 20;

/// Who waits for an entry of this group.
#[derive(Debug)]
pub(crate) enum Origin<W> {
    /// A caller of `propose`.
    Client(W),
    /// The loop itself moves the limit of the timestamp oracle to this value.
    TsoLimit(Ts),
    /// The loop itself makes the range ready to be led.
    Opening { tso: Option<TsoOpening> },
}

/// How the timestamp oracle begins with a new lead of the meta group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TsoOpening {
    /// The limit found in the engine: everything below may have been given out.
    pub(crate) stored: Ts,
    /// The limit that is replicated with the opening.
    pub(crate) limit: Ts,
}

/// A proposal on its way through the log. The batch stays at hand so that applying it needs no
/// second decoding.
pub(crate) struct Waiting<W> {
    pub(crate) index: u64,
    term: u64,
    pub(crate) batch: WriteBatch,
    pub(crate) origin: Origin<W>,
}

/// How far this node has come with leading the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lease {
    /// Not leader, or the first entry of the term is not applied yet.
    None,
    /// Everything before this lead is applied; the descriptor (and for the meta group the limit of
    /// the timestamp oracle) is on its way.
    Opening,
    /// Only the floor from the timestamp oracle is missing.
    AwaitsFloor,
    Held,
}

pub(crate) struct Group<W> {
    pub(crate) range: RangeId,
    pub(crate) lease: Lease,
    /// The driver has the group on its list of those with something to do.
    pub(crate) queued: bool,
    raw: RawNode<GroupLog>,
    waiting: VecDeque<Waiting<W>>,
    /// Newest ready that is written and not yet reported as persisted.
    unpersisted: Option<u64>,
}

/// What `collect` found to do for a group.
#[derive(Default)]
pub(crate) struct Collected {
    pub(crate) entries: Vec<Entry>,
    pub(crate) hard_state: Option<HardState>,
    pub(crate) must_sync: bool,
    pub(crate) committed: Vec<Entry>,
    pub(crate) messages: Vec<Message>,
}

impl<W> Group<W> {
    /// A group whose engine has applied everything up to `applied`, which must lie in the log.
    pub(crate) fn open(node: NodeId, log: GroupLog, applied: u64) -> Result<Group<W>> {
        let range = log.range();
        let config = Config {
            id: node.0,
            election_tick: ELECTION_TICKS,
            heartbeat_tick: 1,
            applied,
            max_size_per_msg: MAX_APPEND_BYTES,
            max_inflight_msgs: MAX_INFLIGHT,
            pre_vote: true,
            check_quorum: false,
            max_uncommitted_size: 2 * (MAX_QUEUED_BYTES as u64 + MAX_BATCH_BYTES as u64),
            max_committed_size_per_ready: MAX_COMMITTED_BYTES,
            ..Config::default()
        };
        let raw = RawNode::new(&config, log, &logger::forward(range))
            .map_err(|e| Error::Raft { range, what: e.to_string() })?;
        Ok(Group {
            range,
            lease: Lease::None,
            queued: false,
            raw,
            waiting: VecDeque::new(),
            unpersisted: None,
        })
    }

    pub(crate) fn leads(&self) -> bool {
        self.raw.raft.state == StateRole::Leader
    }

    pub(crate) fn campaign(&mut self) -> Result<()> {
        self.raw.campaign().map_err(|e| Error::Raft { range: self.range, what: e.to_string() })
    }

    /// Puts a batch into the log; gives the origin back when the group takes none.
    pub(crate) fn propose(
        &mut self,
        batch: WriteBatch,
        origin: Origin<W>,
    ) -> Result<(), (Origin<W>, ProposeError)> {
        if !self.leads() {
            return Err((origin, ProposeError::NotLeader));
        }
        if self.raw.propose(Vec::new(), command::encode(&batch)).is_err() {
            return Err((origin, ProposeError::Overloaded));
        }
        let index = self.raw.raft.raft_log.last_index();
        self.waiting.push_back(Waiting { index, term: self.raw.raft.term, batch, origin });
        Ok(())
    }

    /// Takes what raft wants done. Entries are readable through the group's log from here on.
    pub(crate) fn collect(&mut self) -> Option<Collected> {
        if !self.raw.has_ready() {
            return None;
        }
        let mut ready = self.raw.ready();
        let mut messages = ready.take_messages();
        messages.append(&mut ready.take_persisted_messages());
        let collected = Collected {
            hard_state: ready.hs().cloned(),
            must_sync: ready.must_sync(),
            committed: ready.take_committed_entries(),
            entries: ready.take_entries(),
            messages,
        };
        self.unpersisted = Some(ready.number());
        self.raw.mut_store().extend(&collected.entries);
        if let Some(hard_state) = &collected.hard_state {
            self.raw.mut_store().set_hard_state(hard_state.clone());
        }
        self.raw.advance_append_async(ready);
        Some(collected)
    }

    /// Everything collected so far is durable.
    pub(crate) fn persisted(&mut self) {
        if let Some(number) = self.unpersisted.take() {
            self.raw.on_persist_ready(number);
        }
    }

    /// Who waits for `entry`, if it was proposed here. Whoever waits for an entry that can no longer
    /// come (another term took its place) comes out in `lost`.
    pub(crate) fn waiting_for(&mut self, entry: &Entry, lost: &mut Vec<Origin<W>>) -> Option<Waiting<W>> {
        while let Some(first) = self.waiting.front() {
            if first.index > entry.index {
                return None;
            }
            let first = self.waiting.pop_front().expect("the front was just looked at");
            if first.index == entry.index && first.term == entry.term {
                return Some(first);
            }
            lost.push(first.origin);
        }
        None
    }

    /// Whether `collect` would find more.
    pub(crate) fn has_more(&self) -> bool {
        self.raw.has_ready()
    }

    /// Gives up everyone who waits: the lead is gone.
    pub(crate) fn abandon(&mut self) -> impl Iterator<Item = Origin<W>> + use<'_, W> {
        self.waiting.drain(..).map(|w| w.origin)
    }

    /// The engine holds everything up to `index`.
    pub(crate) fn applied(&mut self, index: u64) {
        self.raw.advance_apply_to(index);
        self.raw.mut_store().forget_to(index);
    }

    /// Whether `entry` is the one raft made when this lead began.
    pub(crate) fn begins_lead(&self, entry: &Entry) -> bool {
        entry.data.is_empty() && self.leads() && entry.term == self.raw.raft.term
    }

    /// The log has dropped entries.
    pub(crate) fn compacted(&mut self, truncated: (u64, u64)) {
        self.raw.mut_store().set_truncated(truncated);
    }

    /// The clients among those who wait, who are then forgotten: for a planted fault.
    pub(crate) fn take_clients(&mut self) -> Vec<(u64, W)> {
        let mut clients = vec![];
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting.origin {
                Origin::Client(waiter) => clients.push((waiting.index, waiter)),
                _ => self.waiting.push_back(waiting),
            }
        }
        clients
    }

    pub(crate) fn applied_index(&self) -> u64 {
        self.raw.raft.raft_log.applied
    }
}
