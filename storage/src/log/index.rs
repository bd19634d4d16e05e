//! What the log knows in memory: each group's state, where its entries lie, and the newest entries
//! themselves within a budget of bytes.
//!
//! Entries of one group lie in segments that never decrease with the index: a replaced suffix is
//! always written later. So a group pins the segment of its first entry and all newer ones.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::batch::{EntryKind, GroupState, Item};
use super::format::Stored;
use crate::engine::RangeId;

/// Where one entry lies.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slot {
    pub(super) segment: u64,
    /// File offset of the entry's checksum; its data follows.
    pub(super) offset: u64,
    pub(super) len: usize,
    pub(super) term: u64,
    pub(super) kind: EntryKind,
    /// The data while it is in the cache.
    pub(super) data: Option<Bytes>,
}

pub(super) struct Group {
    pub(super) state: GroupState,
    /// Index of `slots[0]`. Above `state.truncated.0 + 1` only while the log is being replayed.
    pub(super) first: u64,
    slots: VecDeque<Slot>,
}

#[derive(Default)]
pub(super) struct Index {
    pub(super) groups: BTreeMap<RangeId, Group>,
    /// Live entries in each segment; segments without any have no row.
    live: BTreeMap<u64, u64>,
    cache: Cache,
}

/// The cached data in order of writing; rows whose entry is gone are skipped.
#[derive(Default)]
struct Cache {
    budget: usize,
    bytes: usize,
    entries: usize,
    order: VecDeque<(RangeId, u64, u64, u64)>,
}

impl Default for Group {
    /// A group without entries; the first one will have index 1.
    fn default() -> Group {
        Group { state: GroupState::default(), first: 1, slots: VecDeque::new() }
    }
}

impl Group {
    pub(super) fn slot(&self, index: u64) -> Option<&Slot> {
        self.slots.get(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }

    pub(super) fn first_segment(&self) -> Option<u64> {
        self.slots.front().map(|slot| slot.segment)
    }

    /// Term of an entry, or of the last one let go.
    pub(super) fn term(&self, index: u64) -> Option<u64> {
        if index == self.state.truncated.0 {
            return Some(self.state.truncated.1);
        }
        self.slot(index).map(|slot| slot.term)
    }
}

impl Index {
    pub(super) fn new(cache_budget: usize) -> Index {
        Index { cache: Cache { budget: cache_budget, ..Cache::default() }, ..Index::default() }
    }

    pub(super) fn cached_bytes(&self) -> usize {
        self.cache.bytes
    }

    /// The oldest segment with a live entry.
    pub(super) fn oldest_live(&self) -> Option<u64> {
        self.live.first_key_value().map(|(segment, _)| *segment)
    }

    /// Why the items cannot be applied one after the other, if so. Changes nothing.
    pub(super) fn check(&self, items: &[Item]) -> Result<(), &'static str> {
        // (group, truncated, last) as it will be after the items so far.
        let mut seen: Vec<(RangeId, u64, u64)> = vec![];
        for item in items {
            let group = match item {
                Item::Entries { group, .. }
                | Item::HardState { group, .. }
                | Item::ConfState { group, .. }
                | Item::Compacted { group, .. }
                | Item::Snapshot { group, .. }
                | Item::Removed { group } => *group,
            };
            let at = seen.iter().rposition(|row| row.0 == group).unwrap_or_else(|| {
                let state = self.groups.get(&group).map(|g| &g.state);
                seen.push((group, state.map_or(0, |s| s.truncated.0), state.map_or(0, |s| s.last)));
                seen.len() - 1
            });
            let (_, truncated, last) = &mut seen[at];
            match item {
                Item::Entries { entries, .. } => {
                    let first = entries.first().map_or(0, |e| e.index);
                    check_first(first, *truncated, *last)?;
                    if entries.iter().zip(first..).any(|(e, index)| e.index != index) {
                        return Err("indexes of raft entries");
                    }
                    *last = first + entries.len() as u64 - 1;
                }
                Item::Compacted { index, .. } => *truncated = *index,
                Item::Snapshot { index, .. } => (*truncated, *last) = (*index, *index),
                Item::Removed { .. } => (*truncated, *last) = (0, 0),
                Item::HardState { .. } | Item::ConfState { .. } => {}
            }
        }
        Ok(())
    }

    /// Applies a checked item of the caller; `slots` yields one slot for each of its entries.
    pub(super) fn apply(&mut self, item: &Item, slots: &mut impl Iterator<Item = Slot>) {
        match item {
            Item::Entries { group, entries } => {
                let first = entries.first().map_or(0, |e| e.index);
                self.put_entries(*group, first, slots.take(entries.len()));
            }
            Item::HardState { group, state } => self.group(*group).state.hard_state = *state,
            Item::ConfState { group, state } => self.group(*group).state.conf_state = state.clone(),
            Item::Compacted { group, index, term } => self.compact(*group, *index, *term),
            Item::Snapshot { group, index, term } => self.install(*group, *index, *term),
            Item::Removed { group } => self.remove(*group),
        }
    }

    /// Applies an item read back from a segment; an error says what contradicts the items before.
    pub(super) fn replay(&mut self, item: Stored) -> Result<(), &'static str> {
        match item {
            Stored::Entries { group, first, slots } => {
                let state = &self.group(group).state;
                check_first(first, state.truncated.0, state.last)?;
                self.put_entries(group, first, slots.into_iter());
            }
            Stored::HardState { group, state } => self.group(group).state.hard_state = state,
            Stored::ConfState { group, state } => self.group(group).state.conf_state = state,
            Stored::Compacted { group, index, term } => self.compact(group, index, term),
            Stored::Snapshot { group, index, term } => self.install(group, index, term),
            Stored::Removed { group } => self.remove(group),
            Stored::Oldest(_) => {}
            Stored::GroupState { .. } => return Err("a group state outside of a dump"),
        }
        Ok(())
    }

    /// Takes over a group's state from the dump that the replay begins with.
    pub(super) fn load(&mut self, group: RangeId, state: GroupState) {
        let first = state.last + 1;
        self.groups.insert(group, Group { state, first, slots: VecDeque::new() });
    }

    /// A group of which entries are missing after the replay.
    pub(super) fn incomplete(&self) -> Option<RangeId> {
        let missing = |group: &Group| group.first != group.state.truncated.0 + 1;
        self.groups.iter().find(|(_, group)| missing(group)).map(|(id, _)| *id)
    }

    fn group(&mut self, group: RangeId) -> &mut Group {
        self.groups.entry(group).or_default()
    }

    fn put_entries(&mut self, id: RangeId, first: u64, slots: impl Iterator<Item = Slot>) {
        self.cut_suffix(id, first);
        let group = self.groups.get_mut(&id).expect("cut_suffix made the group");
        for slot in slots {
            *self.live.entry(slot.segment).or_default() += 1;
            group.state.last += 1;
            if slot.data.is_some() {
                self.cache.add(id, group.state.last, &slot);
            }
            group.slots.push_back(slot);
        }
        self.evict();
    }

    /// Drops the entries from `index` on.
    fn cut_suffix(&mut self, id: RangeId, index: u64) {
        let group = self.groups.entry(id).or_default();
        let keep = usize::try_from(index.saturating_sub(group.first)).unwrap_or(usize::MAX);
        for slot in group.slots.drain(keep.min(group.slots.len())..) {
            drop_slot(&mut self.live, &mut self.cache, &slot);
        }
        group.first = group.first.min(index);
        group.state.last = index - 1;
    }

    fn compact(&mut self, id: RangeId, index: u64, term: u64) {
        let group = self.groups.entry(id).or_default();
        let gone = usize::try_from((index + 1).saturating_sub(group.first)).unwrap_or(usize::MAX);
        let gone = gone.min(group.slots.len());
        for slot in group.slots.drain(..gone) {
            drop_slot(&mut self.live, &mut self.cache, &slot);
        }
        group.first += gone as u64;
        group.state.truncated = (index, term);
    }

    fn install(&mut self, id: RangeId, index: u64, term: u64) {
        self.drop_entries(id);
        let group = self.group(id);
        group.state.truncated = (index, term);
        group.state.last = index;
        group.first = index + 1;
    }

    fn remove(&mut self, id: RangeId) {
        self.drop_entries(id);
        self.groups.remove(&id);
    }

    fn drop_entries(&mut self, id: RangeId) {
        let group = self.groups.entry(id).or_default();
        for slot in group.slots.drain(..) {
            drop_slot(&mut self.live, &mut self.cache, &slot);
        }
    }

    fn evict(&mut self) {
        while self.cache.bytes > self.cache.budget {
            let Some((id, index, segment, offset)) = self.cache.order.pop_front() else { break };
            let Some(group) = self.groups.get_mut(&id) else { continue };
            let Some(at) = index.checked_sub(group.first) else { continue };
            let Some(slot) = group.slots.get_mut(at as usize) else { continue };
            if (slot.segment, slot.offset) == (segment, offset) && slot.data.take().is_some() {
                self.cache.subtract(slot.len);
            }
        }
        // Rows of entries that are gone go once they are the majority, so each is moved O(1) times.
        if self.cache.order.len() > 2 * self.cache.entries + 1024 {
            let groups = &self.groups;
            self.cache.order.retain(|(id, index, segment, offset)| {
                let slot = groups.get(id).and_then(|group| group.slot(*index));
                slot.is_some_and(|s| (s.segment, s.offset) == (*segment, *offset) && s.data.is_some())
            });
        }
    }
}

impl Cache {
    fn add(&mut self, id: RangeId, index: u64, slot: &Slot) {
        self.bytes += slot.len;
        self.entries += 1;
        self.order.push_back((id, index, slot.segment, slot.offset));
    }

    fn subtract(&mut self, len: usize) {
        self.bytes -= len;
        self.entries -= 1;
    }
}

fn check_first(first: u64, truncated: u64, last: u64) -> Result<(), &'static str> {
    if first <= truncated || first > last + 1 {
        return Err("first index of raft entries");
    }
    Ok(())
}

fn drop_slot(live: &mut BTreeMap<u64, u64>, cache: &mut Cache, slot: &Slot) {
    if slot.data.is_some() {
        cache.subtract(slot.len);
    }
    let count = live.get_mut(&slot.segment).expect("a live entry is counted in its segment");
    *count -= 1;
    if *count == 0 {
        live.remove(&slot.segment);
    }
}
