//! From the log to the engine: committed entries as one batch, then the handler, then the answers.

use raft::eraftpb::{Entry, EntryType};
use storage::engine::{ApplyState, Engine as _, RangeId, WriteBatch};

use super::append::nanos;
use super::{Driver, PlantedBug};
use crate::group::{Lease, Origin};
use crate::metrics::Counters;
use crate::{Applied, Error, Result, command};

/// A committed entry, ready to be applied.
pub(super) struct Command<W> {
    range: RangeId,
    state: ApplyState,
    batch: WriteBatch,
    origin: Option<Origin<W>>,
    begins_lead: bool,
}

impl<W> Driver<W> {
    /// Applies everything committed. When the engine's device is full nothing has happened and the
    /// call may be repeated.
    pub(super) fn apply(&mut self) -> Result<()> {
        for (range, entry) in std::mem::take(&mut self.commits) {
            let command = self.command(range, &entry)?;
            self.turn.push(command);
        }
        let begin = self.env.mono();
        self.write()?;
        Counters::add(&self.counters.apply_nanos, nanos(self.env.mono().saturating_sub(begin)));
        for command in std::mem::take(&mut self.turn) {
            self.applied_command(command)?;
        }
        self.grant_floors()
    }

    fn write(&self) -> Result<()> {
        if self.planted == Some(PlantedBug::IndexApartFromData) {
            return self.write_apart();
        }
        let turn: Vec<_> = self.turn.iter().map(|c| (c.range, &c.batch, c.state)).collect();
        Ok(self.engine.apply(&turn)?)
    }

    /// Who waits for the entry, or its own bytes.
    fn command(&mut self, range: RangeId, entry: &Entry) -> Result<Command<W>> {
        if entry.entry_type != EntryType::EntryNormal {
            let what = format!("entry {} changes the replicas, which this version cannot", entry.index);
            return Err(Error::Mismatch { range, what });
        }
        let group = self.groups.get_mut(&range).expect("commits come from a group of this node");
        let mut lost = vec![];
        let waiting = group.waiting_for(entry, &mut lost);
        let begins_lead = group.begins_lead(entry);
        for origin in lost {
            self.answer(origin, Err(crate::ProposeError::Unknown));
        }
        let (batch, origin) = match waiting {
            Some(waiting) => (waiting.batch, Some(waiting.origin)),
            None => (command::decode(range, &entry.data)?, None),
        };
        let state = ApplyState { applied: entry.index, term: entry.term };
        Ok(Command { range, state, batch, origin, begins_lead })
    }

    fn applied_command(&mut self, command: Command<W>) -> Result<()> {
        let Command { range, state, batch, origin, begins_lead } = command;
        let group = self.groups.get_mut(&range).expect("commits come from a group of this node");
        group.applied(state.applied);
        let held = group.lease == Lease::Held;
        self.touch(range);
        if !batch.is_empty() {
            self.applied_bytes += batch.as_bytes().len() as u64;
            Counters::add(&self.counters.batches, 1);
            Counters::add(&self.counters.bytes, batch.as_bytes().len() as u64);
            if held {
                self.handler.applied(range, state.applied, &batch);
            }
        }
        if begins_lead {
            self.begin_lead(range)?;
        }
        match origin {
            Some(Origin::TsoLimit(limit)) => self.tso.raise(limit),
            Some(Origin::Opening { tso }) => {
                if let Some(opening) = tso {
                    self.tso.open(opening.stored, opening.limit);
                }
                self.opened(range)?;
            }
            Some(client) => self.answer(client, Ok(Applied { range, index: state.applied })),
            None => {}
        }
        Ok(())
    }

    /// The planted fault: index first, data after it.
    fn write_apart(&self) -> Result<()> {
        let nothing = WriteBatch::new();
        let states: Vec<_> = self.turn.iter().map(|c| (c.range, &nothing, c.state)).collect();
        self.engine.apply(&states)?;
        // Stands for the checkpoint thread, which may come at any moment.
        if self.env.mono().as_millis().is_multiple_of(4) {
            self.engine.checkpoint()?;
        }
        let data: Vec<_> = self.turn.iter().map(|c| (c.range, &c.batch, c.state)).collect();
        Ok(self.engine.apply(&data)?)
    }
}
