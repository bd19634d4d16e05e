//! What callers hand to the log and get back.

use bytes::Bytes;

use crate::engine::RangeId;

/// What a raft entry carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EntryKind {
    Normal = 0,
    ConfChange = 1,
    ConfChangeV2 = 2,
}

/// One entry of a group's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    pub term: u64,
    /// From 1 on, without gaps.
    pub index: u64,
    pub kind: EntryKind,
    /// The command. The log keeps a reference while the entry is in its cache.
    pub data: Bytes,
}

/// What raft must remember besides entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    pub term: u64,
    /// Node voted for in `term`, 0 for none: raft's own encoding.
    pub vote: u64,
    pub commit: u64,
}

/// What the log knows of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupState {
    pub hard_state: HardState,
    /// The last conf state handed in, opaque to the log.
    pub conf_state: Bytes,
    /// Index and term of the last entry that was compacted or replaced by a snapshot.
    pub truncated: (u64, u64),
    /// Index of the last entry; equals `truncated.0` when there is none.
    pub last: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Item {
    Entries { group: RangeId, entries: Vec<LogEntry> },
    HardState { group: RangeId, state: HardState },
    ConfState { group: RangeId, state: Bytes },
    Compacted { group: RangeId, index: u64, term: u64 },
    Snapshot { group: RangeId, index: u64, term: u64 },
    Removed { group: RangeId },
}

/// Changes of many groups that become durable together or not at all, applied in order.
#[derive(Clone, Debug, Default)]
pub struct LogBatch {
    pub(super) items: Vec<Item>,
}

impl LogBatch {
    pub fn new() -> LogBatch {
        LogBatch::default()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Forgets all changes, keeps the memory.
    pub fn clear(&mut self) {
        self.items.clear();
    }

    /// Adds entries with consecutive indexes. The first may lie at or below the group's last
    /// index: it and all behind it are replaced (a raft log conflict).
    pub fn append(&mut self, group: RangeId, entries: &[LogEntry]) {
        if !entries.is_empty() {
            self.items.push(Item::Entries { group, entries: entries.to_vec() });
        }
    }

    /// Replaces the group's hard state.
    pub fn hard_state(&mut self, group: RangeId, state: HardState) {
        self.items.push(Item::HardState { group, state });
    }

    /// Replaces the group's conf state.
    pub fn conf_state(&mut self, group: RangeId, state: impl Into<Bytes>) {
        self.items.push(Item::ConfState { group, state: state.into() });
    }

    /// The group's state now comes from a snapshot at `index`: all its entries go. The engine must
    /// hold the snapshot durably before.
    pub fn install_snapshot(&mut self, group: RangeId, index: u64, term: u64) {
        self.items.push(Item::Snapshot { group, index, term });
    }

    /// Forgets the group. Its data must be durably gone, or harmless, before.
    pub fn remove_group(&mut self, group: RangeId) {
        self.items.push(Item::Removed { group });
    }
}

impl EntryKind {
    pub(super) fn from_byte(byte: u8) -> Option<EntryKind> {
        match byte {
            0 => Some(EntryKind::Normal),
            1 => Some(EntryKind::ConfChange),
            2 => Some(EntryKind::ConfChangeV2),
            _ => None,
        }
    }
}
