//! From the groups to the log: what they want written, in one record and one sync for all.

use std::collections::BTreeMap;

use raft::eraftpb::{Entry, HardState};
use storage::engine::RangeId;
use storage::log::{HardState as LogHardState, LogBatch, LogEntry};

use super::{Driver, PlantedBug, Step};
use crate::group::{Lease, from_raft};
use crate::limits::LOG_FULL_PAUSE;
use crate::metrics::Counters;
use crate::{Applied, ProposeError, Result};

/// What is to be written for the groups. A moved commit index alone waits here for the next record:
/// losing it costs nothing, since whoever leads commits those entries again.
#[derive(Default)]
pub(super) struct Task {
    entries: Vec<(RangeId, Vec<LogEntry>)>,
    hard_states: BTreeMap<RangeId, HardState>,
    must_sync: bool,
}

impl Task {
    pub(super) fn must_sync(&self) -> bool {
        self.must_sync
    }

    fn add(&mut self, range: RangeId, entries: Vec<Entry>, hard_state: Option<HardState>, must_sync: bool) {
        if !entries.is_empty() {
            self.entries.push((range, entries.into_iter().map(from_raft).collect()));
        }
        if let Some(hard_state) = hard_state {
            self.hard_states.insert(range, hard_state);
        }
        self.must_sync |= must_sync;
    }

    fn count(&self) -> u64 {
        self.entries.iter().map(|(_, e)| e.len() as u64).sum()
    }

    fn to_batch(&self) -> LogBatch {
        let mut batch = LogBatch::new();
        for (range, entries) in &self.entries {
            batch.append(*range, entries);
        }
        for (range, hs) in &self.hard_states {
            batch.hard_state(*range, LogHardState { term: hs.term, vote: hs.vote, commit: hs.commit });
        }
        batch
    }
}

impl<W> Driver<W> {
    /// Moves what the dirty groups want done into the task and the commits; a group with more than
    /// one helping of commits stays dirty.
    pub(super) fn collect(&mut self) {
        for range in std::mem::take(&mut self.dirty) {
            let Some(group) = self.groups.get_mut(&range) else { continue };
            group.queued = false;
            let collected = group.collect();
            if group.has_more() {
                self.touch(range);
            }
            if let Some(collected) = collected {
                self.task.add(range, collected.entries, collected.hard_state, collected.must_sync);
                self.commits.extend(collected.committed.into_iter().map(|entry| (range, entry)));
                self.send(range, collected.messages);
            }
            self.check_lead(range);
        }
    }

    /// Appends the task. A full device refuses all of it and leaves the log as it was.
    pub(super) fn append(&mut self) -> Result<Step> {
        let batch = self.task.to_batch();
        let appended = self.log.lock().append(&batch);
        match appended {
            Ok(()) => {}
            Err(storage::Error::DiskFull { .. }) => {
                self.refuse_task()?;
                return Ok(Step::Refused);
            }
            Err(e) => return Err(e.into()),
        }
        Counters::add(&self.counters.entries, self.task.count());
        let task = std::mem::take(&mut self.task);
        self.written =
            task.entries.iter().map(|(range, _)| *range).chain(task.hard_states.into_keys()).collect();
        self.sync_due = true;
        if self.planted == Some(PlantedBug::AnswerBeforeSync) {
            self.answer_early();
        }
        Ok(Step::Appended)
    }

    pub(super) fn sync(&mut self) -> Result<()> {
        let begin = self.env.mono();
        self.log.lock().sync()?;
        Counters::add(&self.counters.fsyncs, 1);
        Counters::add(&self.counters.sync_nanos, nanos(self.env.mono().saturating_sub(begin)));
        self.sync_due = false;
        for range in std::mem::take(&mut self.written) {
            if let Some(group) = self.groups.get_mut(&range) {
                group.persisted();
                self.touch(range);
            }
        }
        Ok(())
    }

    /// Writes what waits only for company: the commit indexes at shutdown.
    pub fn flush(&mut self) -> Result<()> {
        if !self.task.hard_states.is_empty() {
            self.append()?;
            self.sync()?;
        }
        Ok(())
    }

    /// Whether the last record could still pass for a torn tail: see [`Driver::seal`].
    pub fn wants_seal(&self) -> bool {
        self.log.lock().wants_seal()
    }

    /// Marks the end of the log, so that damage to its last record is told from a torn write. To be
    /// called when nothing has come for a moment, and at a clean end.
    pub fn seal(&mut self) -> Result<()> {
        Ok(self.log.lock().seal()?)
    }

    /// Nothing of the task is in the log: its groups go back to what is, all of which is applied, so
    /// that nobody who waits for them will be. They are led again after a pause.
    fn refuse_task(&mut self) -> Result<()> {
        let task = std::mem::take(&mut self.task);
        self.full_until = Some(self.env.mono() + LOG_FULL_PAUSE);
        let ranges = task.entries.iter().map(|(range, _)| *range).chain(task.hard_states.into_keys());
        for range in ranges.collect::<std::collections::BTreeSet<_>>() {
            let Some(group) = self.groups.get_mut(&range) else { continue };
            let applied = group.applied_index();
            let lease = group.lease;
            let origins: Vec<_> = group.abandon().collect();
            for origin in origins {
                self.answer(origin, Err(ProposeError::DiskFull));
            }
            let mut group = self.open_group(range, applied)?;
            // No other node can lead a group of one voter: what was held is still held.
            group.lease = if lease == Lease::Held { lease } else { Lease::None };
            group.queued = self.dirty.contains(&range);
            self.groups.insert(range, group);
        }
        Ok(())
    }

    /// Entries that the engine holds durably need not stay in the log. Files go with the next sync, which
    /// therefore is due: a full device may let no other record in. Without room for the record that says
    /// so they stay until the next checkpoint.
    pub(super) fn cut_log(&mut self) -> Result<()> {
        for (range, durable) in std::mem::take(&mut self.durable) {
            let Some(group) = self.groups.get_mut(&range) else { continue };
            let to = match self.planted {
                Some(PlantedBug::CutToApplied) => group.applied_index(),
                _ => durable,
            };
            let mut log = self.log.lock();
            match log.compact(range, to) {
                Err(storage::Error::DiskFull { .. }) => continue,
                other => other?,
            }
            if let Some(state) = log.state(range) {
                group.compacted(state.truncated);
            }
        }
        self.sync_due = true;
        Ok(())
    }

    /// The planted fault: answers before the sync.
    fn answer_early(&mut self) {
        let Driver { groups, answers, .. } = self;
        for (range, group) in groups {
            answers.extend(
                group.take_clients().into_iter().map(|(index, w)| (w, Ok(Applied { range: *range, index }))),
            );
        }
    }
}

pub(super) fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
