//! Bringing a node back: engine and log are compared, what the engine has lost is replayed from the
//! log, and only then is a group opened, so that raft never sees an engine behind its commit index.

use std::collections::BTreeMap;
use std::sync::Arc;

use protobuf::Message as _;
use raft::eraftpb::ConfState;
use storage::engine::{ApplyState, Engine as _, RangeId, Snapshot as _, WriteBatch};
use storage::log::{GroupState, HardState, LogBatch, LogEntry};

use super::{Driver, Parts, append, share};
use crate::group::{Group, GroupLog};
use crate::keys::{FIRST_DATA, META};
use crate::limits::REPLAY_CHUNK_BYTES;
use crate::{Error, Result, command};

impl<W> Driver<W> {
    /// Opens what is on the disk, or makes the first two groups on an empty one. Reads the whole
    /// unapplied log. Nothing is led before [`Driver::campaign_all`] and some turns.
    pub fn open(parts: Parts) -> Result<Driver<W>> {
        let Parts { node, engine, log, handler, env, tso, transport, planted } = parts;
        let mut driver = Driver {
            node,
            engine,
            log: share(log),
            handler,
            env,
            tso,
            transport,
            groups: BTreeMap::new(),
            descriptors: Default::default(),
            counters: Default::default(),
            dirty: vec![],
            task: append::Task::default(),
            written: vec![],
            sync_due: false,
            commits: vec![],
            turn: vec![],
            answers: vec![],
            durable: vec![],
            full_until: None,
            applied_bytes: 0,
            planted,
        };
        if driver.log.lock().groups().is_empty() {
            driver.bootstrap()?;
        }
        driver.check_engine()?;
        let ranges = driver.log.lock().groups();
        for range in ranges {
            let applied = driver.replay(range)?;
            let group = driver.open_group(range, applied)?;
            driver.groups.insert(range, group);
        }
        Ok(driver)
    }

    pub(super) fn open_group(&self, range: RangeId, applied: u64) -> Result<Group<W>> {
        let state = self.group_state(range)?;
        let log = GroupLog::open(range, Arc::clone(&self.log), &state, applied)?;
        Group::open(self.node, log, applied)
    }

    /// One voter, nothing in the log: the groups every node begins with.
    fn bootstrap(&mut self) -> Result<()> {
        let voters = ConfState { voters: vec![self.node.0], ..ConfState::default() };
        let voters = voters
            .write_to_bytes()
            .map_err(|e| Error::Raft { range: META, what: format!("configuration does not encode: {e}") })?;
        let mut batch = LogBatch::new();
        for range in [META, FIRST_DATA] {
            batch.hard_state(range, HardState { term: 0, vote: 0, commit: 0 });
            batch.conf_state(range, voters.clone());
        }
        let mut log = self.log.lock();
        log.append(&batch)?;
        log.sync()?;
        Ok(())
    }

    /// Every range of the engine must have its group: a log that is gone takes its ranges with it.
    fn check_engine(&self) -> Result<()> {
        for (range, _) in self.engine.ranges()? {
            if self.log.lock().state(range).is_none() {
                let what = "the data directory holds its data but not its raft log".to_owned();
                return Err(Error::Mismatch { range, what });
            }
        }
        Ok(())
    }

    /// Applies what was committed and did not survive in the engine; answers the applied index.
    fn replay(&mut self, range: RangeId) -> Result<u64> {
        let state = self.group_state(range)?;
        let held = self.engine.snapshot().state(range)?.unwrap_or_default().applied;
        if held > state.last {
            let what = format!("the engine holds entry {held}, the raft log ends at {}", state.last);
            return Err(Error::Mismatch { range, what });
        }
        if held < state.truncated.0 {
            let what =
                format!("the engine holds entry {held}, the raft log begins after {}", state.truncated.0);
            return Err(Error::Mismatch { range, what });
        }
        let mut applied = held;
        while applied < state.hard_state.commit {
            let (low, high) = (applied + 1, state.hard_state.commit + 1);
            let entries = self.log.lock().entries(range, low, high, REPLAY_CHUNK_BYTES)?;
            if entries.first().is_none_or(|e| e.index != low) {
                let what = format!("entry {low} is missing from the raft log");
                return Err(Error::Mismatch { range, what });
            }
            applied = self.replay_chunk(range, &entries)?;
        }
        tracing::info!(range = range.0, from = held, to = applied, "replayed");
        Ok(applied)
    }

    fn replay_chunk(&self, range: RangeId, entries: &[LogEntry]) -> Result<u64> {
        let batches =
            entries.iter().map(|e| command::decode(range, &e.data)).collect::<Result<Vec<WriteBatch>>>()?;
        let states = entries.iter().map(|e| ApplyState { applied: e.index, term: e.term });
        let turn: Vec<_> = batches.iter().zip(states).map(|(batch, state)| (range, batch, state)).collect();
        self.engine.apply(&turn)?;
        Ok(entries.last().map_or(0, |e| e.index))
    }

    fn group_state(&self, range: RangeId) -> Result<GroupState> {
        let what = "its raft group is not in the log".to_owned();
        self.log.lock().state(range).cloned().ok_or(Error::Mismatch { range, what })
    }
}
