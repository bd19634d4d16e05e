//! The loop of a node as a machine: fed with events, advanced step by step, no thread, no clock.
//!
//! One turn: events are stepped into their groups, what the groups want written is appended to the
//! log (`append`), made durable by one sync for all groups, reported back; what became committed is
//! applied to the engine as one batch (`apply`), leads are taken up (`lead`), and whoever waited is
//! answered. `open` brings a node back: engine, log and groups are compared and the log replayed.
//!
//! Order that must hold: log durable -> engine applied -> handler told -> proposer answered; and for
//! dropping log entries: engine durable -> log cut. An error of `advance` leaves memory and disk at
//! odds: the caller ends the process and starts again from the disk. The one exception is a full
//! device under the engine (see [`Driver::advance`]).
//!
//! The threads of a node (`crate::Node`) and the simulator both run this very machine.

mod append;
mod apply;
mod lead;
mod open;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use raft::eraftpb::Entry;
use storage::engine::{AnyEngine, RangeId, WriteBatch};
use storage::log::RaftLog;

use crate::group::{Group, Lease, Origin, SharedLog};
use crate::metrics::Counters;
use crate::transport::{Frame, Transport};
use crate::{Applied, Descriptor, Env, NodeId, ProposeError, RangeHandler, Result, Tso};

/// The ranges that this node holds.
pub(crate) type Descriptors = Arc<RwLock<BTreeMap<RangeId, Arc<Descriptor>>>>;

/// What happens to a driver from outside. `W` is what stands for the waiting proposer.
pub enum Event<W> {
    Propose {
        range: RangeId,
        batch: WriteBatch,
        waiter: W,
    },
    /// The timestamp oracle comes close to its limit.
    RaiseTsoLimit,
    /// A crash right now would leave each range applied up to this index.
    Durable(Vec<(RangeId, u64)>),
}

/// What the last call of `advance` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Entries were appended to the log; they are not durable yet.
    Appended,
    /// Everything appended is durable.
    Synced,
    /// The engine holds what became committed; answers wait to be taken.
    Applied,
    /// The device is full: what was to be appended is refused, nothing of it is in the log.
    Refused,
    /// Nothing is left to do.
    Idle,
}

/// Faults put in on purpose, to show that the tests see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlantedBug {
    /// The applied index reaches the engine in a batch of its own, ahead of the data.
    IndexApartFromData,
    /// The log is cut to what is applied instead of what the engine holds durably.
    CutToApplied,
    /// Proposers are answered when their entry is appended.
    AnswerBeforeSync,
}

/// What a driver is made of.
pub struct Parts {
    pub node: NodeId,
    pub engine: Arc<AnyEngine>,
    pub log: RaftLog,
    pub handler: Arc<dyn RangeHandler>,
    pub env: Arc<dyn Env>,
    pub tso: Arc<Tso>,
    pub transport: Box<dyn Transport>,
    /// Always `None` outside tests.
    pub planted: Option<PlantedBug>,
}

/// See the module.
pub struct Driver<W> {
    node: NodeId,
    engine: Arc<AnyEngine>,
    log: SharedLog,
    handler: Arc<dyn RangeHandler>,
    env: Arc<dyn Env>,
    tso: Arc<Tso>,
    transport: Box<dyn Transport>,
    groups: BTreeMap<RangeId, Group<W>>,
    descriptors: Descriptors,
    counters: Arc<Counters>,
    /// Groups that may have something to do.
    dirty: Vec<RangeId>,
    task: append::Task,
    /// Groups with something in what was appended last.
    written: Vec<RangeId>,
    sync_due: bool,
    commits: Vec<(RangeId, Entry)>,
    /// Batches found while applying was tried and the engine was full: not looked up twice.
    turn: Vec<apply::Command<W>>,
    answers: Vec<(W, Result<Applied, ProposeError>)>,
    /// How far the engine is durable, to be passed on to the log.
    durable: Vec<(RangeId, u64)>,
    /// Set while the log's device is full: proposals are refused until then.
    full_until: Option<Duration>,
    applied_bytes: u64,
    planted: Option<PlantedBug>,
}

impl<W> Driver<W> {
    /// Steps one event. Nothing is written before `advance`.
    pub fn step(&mut self, event: Event<W>) {
        match event {
            Event::Propose { range, batch, waiter } => self.propose(range, batch, Origin::Client(waiter)),
            Event::RaiseTsoLimit => self.raise_tso_limit(),
            Event::Durable(ranges) => self.durable = ranges,
        }
    }

    /// Does the next thing that is due. After an error the machine must be thrown away, except after
    /// `DiskFull`, which comes from the engine alone: `advance` may then be called again later.
    pub fn advance(&mut self) -> Result<Step> {
        if !self.durable.is_empty() {
            self.cut_log()?;
        }
        if self.sync_due {
            self.sync()?;
            return Ok(Step::Synced);
        }
        loop {
            self.collect();
            // Before the next append, so that all that is in the log is applied when one is refused.
            if !self.commits.is_empty() || !self.turn.is_empty() {
                self.apply()?;
                return Ok(Step::Applied);
            }
            if self.task.must_sync() {
                return self.append();
            }
            if self.dirty.is_empty() {
                return Ok(Step::Idle);
            }
        }
    }

    /// Takes the answers that are due.
    pub fn take_answers(&mut self) -> Vec<(W, Result<Applied, ProposeError>)> {
        std::mem::take(&mut self.answers)
    }

    /// Whether this node may serve every range it holds.
    pub fn leads_all(&self) -> bool {
        self.groups.values().all(|g| g.lease == Lease::Held)
    }

    /// Bytes applied since this was asked last.
    pub fn take_applied_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.applied_bytes)
    }

    /// Whether old log segments are kept only because the engine is not durable up to them.
    pub fn log_pressure(&self) -> bool {
        !self.log.lock().pressure().is_empty()
    }

    /// How far each range is applied.
    pub fn applied(&self) -> Vec<(RangeId, u64)> {
        self.groups.iter().map(|(range, g)| (*range, g.applied_index())).collect()
    }

    pub(crate) fn descriptors(&self) -> Descriptors {
        self.descriptors.clone()
    }

    pub(crate) fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    fn propose(&mut self, range: RangeId, batch: WriteBatch, origin: Origin<W>) {
        let client = matches!(origin, Origin::Client(_));
        let refused = if self.is_full() {
            Err((origin, ProposeError::DiskFull))
        } else {
            match self.groups.get_mut(&range) {
                Some(group) if !client || group.lease == Lease::Held => group.propose(batch, origin),
                _ => Err((origin, ProposeError::NotLeader)),
            }
        };
        match refused {
            Ok(()) => self.touch(range),
            Err((origin, error)) => self.answer(origin, Err(error)),
        }
    }

    fn answer(&mut self, origin: Origin<W>, result: Result<Applied, ProposeError>) {
        match origin {
            Origin::Client(waiter) => self.answers.push((waiter, result)),
            Origin::TsoLimit(_) if result.is_err() => self.tso.refused(),
            Origin::TsoLimit(_) | Origin::Opening { .. } => {}
        }
        if result.is_err() {
            Counters::add(&self.counters.refused, 1);
        }
    }

    /// Remembers that a group may have something to do.
    fn touch(&mut self, range: RangeId) {
        let Some(group) = self.groups.get_mut(&range) else { return };
        if !std::mem::replace(&mut group.queued, true) {
            self.dirty.push(range);
        }
    }

    fn is_full(&mut self) -> bool {
        let full = self.full_until.is_some_and(|until| self.env.mono() < until);
        if !full && self.full_until.take().is_some() {
            self.campaign_all();
        }
        full
    }

    fn send(&mut self, range: RangeId, messages: Vec<raft::eraftpb::Message>) {
        for message in messages {
            let to = NodeId(message.to);
            // A full queue drops the message; raft sends it again.
            let _ = self.transport.send(to, Frame { range, message });
        }
    }
}

fn share(log: RaftLog) -> SharedLog {
    Arc::new(Mutex::new(log))
}
