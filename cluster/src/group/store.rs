//! The log of one group as raft reads it: the tail that is not applied yet from memory, the rest
//! from the node's log.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use protobuf::Message as _;
use raft::eraftpb::{ConfState, Entry, EntryType, HardState, Snapshot};
use raft::{GetEntriesContext, RaftState, Storage, StorageError};
use storage::engine::RangeId;
use storage::log::{EntryKind, GroupState, LogEntry, RaftLog};

use crate::Result;

/// The node's log. Only the loop thread locks it, so that the lock is never waited for.
pub(crate) type SharedLog = Arc<Mutex<RaftLog>>;

pub(crate) struct GroupLog {
    range: RangeId,
    log: SharedLog,
    hard_state: HardState,
    conf_state: ConfState,
    /// Index and term of the last entry that is gone.
    truncated: (u64, u64),
    /// Index and term of the newest entry.
    last: (u64, u64),
    /// The newest entries without a gap, at least all that are not applied since the group was opened.
    tail: VecDeque<Entry>,
}

impl GroupLog {
    /// Reads the group's state. `applied` lies at or below what was committed: an engine can hold an
    /// entry whose commit had not been written down when the power went.
    pub(crate) fn open(range: RangeId, log: SharedLog, state: &GroupState, applied: u64) -> Result<GroupLog> {
        let conf_state = ConfState::parse_from_bytes(&state.conf_state)
            .map_err(|_| storage::Error::Malformed { what: "raft configuration" })?;
        let hard_state = HardState {
            term: state.hard_state.term,
            vote: state.hard_state.vote,
            commit: state.hard_state.commit.max(applied).max(state.truncated.0),
            ..HardState::default()
        };
        let last_term = if state.last == state.truncated.0 {
            state.truncated.1
        } else {
            log.lock().term(range, state.last)?.unwrap_or_default()
        };
        Ok(GroupLog {
            range,
            log,
            hard_state,
            conf_state,
            truncated: state.truncated,
            last: (state.last, last_term),
            tail: VecDeque::new(),
        })
    }

    pub(super) fn range(&self) -> RangeId {
        self.range
    }

    /// Takes entries on their way to the disk; they replace what stood at their indexes.
    pub(super) fn extend(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        while self.tail.back().is_some_and(|e| e.index >= first.index) {
            self.tail.pop_back();
        }
        self.tail.extend(entries.iter().cloned());
        self.last = self.tail.back().map_or(self.last, |e| (e.index, e.term));
    }

    pub(super) fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    /// Entries up to `index` need not stay in memory.
    pub(super) fn forget_to(&mut self, index: u64) {
        while self.tail.front().is_some_and(|e| e.index <= index) {
            self.tail.pop_front();
        }
    }

    pub(super) fn set_truncated(&mut self, truncated: (u64, u64)) {
        self.truncated = truncated;
    }

    fn in_tail(&self, low: u64, high: u64, max: u64) -> Option<Vec<Entry>> {
        let first = self.tail.front()?.index;
        let skip = usize::try_from(low.checked_sub(first)?).ok()?;
        let count = usize::try_from(high.saturating_sub(low)).ok()?;
        let mut entries: Vec<Entry> = self.tail.iter().skip(skip).take(count).cloned().collect();
        raft::util::limit_size(&mut entries, Some(max));
        Some(entries)
    }
}

impl Storage for GroupLog {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState { hard_state: self.hard_state.clone(), conf_state: self.conf_state.clone() })
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.truncated.0 {
            return Err(StorageError::Compacted.into());
        }
        let max = max_size.into().unwrap_or(u64::MAX);
        if let Some(entries) = self.in_tail(low, high, max) {
            return Ok(entries);
        }
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let entries = self.log.lock().entries(self.range, low, high, max).map_err(unreadable)?;
        Ok(entries.into_iter().map(to_raft).collect())
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == self.last.0 {
            return Ok(self.last.1);
        }
        if index == self.truncated.0 {
            return Ok(self.truncated.1);
        }
        if index < self.truncated.0 {
            return Err(StorageError::Compacted.into());
        }
        if let Some(at) = self.tail.front().and_then(|first| index.checked_sub(first.index)) {
            let entry = usize::try_from(at).ok().and_then(|at| self.tail.get(at));
            return entry.map(|e| e.term).ok_or_else(|| StorageError::Unavailable.into());
        }
        let term = self.log.lock().term(self.range, index).map_err(unreadable)?;
        term.ok_or_else(|| StorageError::Unavailable.into())
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.truncated.0 + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last.0)
    }

    fn snapshot(&self, _: u64, _: u64) -> raft::Result<Snapshot> {
        Err(StorageError::SnapshotTemporarilyUnavailable.into())
    }
}

fn unreadable(error: storage::Error) -> raft::Error {
    StorageError::Other(Box::new(error)).into()
}

fn to_raft(entry: LogEntry) -> Entry {
    let entry_type = match entry.kind {
        EntryKind::Normal => EntryType::EntryNormal,
        EntryKind::ConfChange => EntryType::EntryConfChange,
        EntryKind::ConfChangeV2 => EntryType::EntryConfChangeV2,
    };
    Entry { entry_type, term: entry.term, index: entry.index, data: entry.data, ..Entry::default() }
}

pub(crate) fn from_raft(entry: Entry) -> LogEntry {
    let kind = match entry.entry_type {
        EntryType::EntryNormal => EntryKind::Normal,
        EntryType::EntryConfChange => EntryKind::ConfChange,
        EntryType::EntryConfChangeV2 => EntryKind::ConfChangeV2,
    };
    LogEntry { term: entry.term, index: entry.index, kind, data: entry.data }
}
