//! What the engine must hold: the accepted commands of each range, in order.

use std::collections::BTreeMap;

use cluster::keys::{FIRST_DATA, META};
use storage::Ts;
use storage::engine::{AnyEngine, Engine, RangeId, ReadMode, Snapshot, Space, WriteBatch};

/// Keys a command may write besides the mark.
pub(crate) const KEYS: u64 = 12;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Open,
    Answered,
    Refused,
}

#[derive(Clone, Debug)]
struct Command {
    id: u64,
    key: u64,
    deletes: bool,
    fate: Fate,
}

/// Every command proposed and not known to be lost.
#[derive(Default)]
pub(crate) struct Model {
    commands: BTreeMap<RangeId, Vec<Command>>,
    next_id: u64,
    newest: Ts,
}

fn name(range: RangeId, key: u64) -> Vec<u8> {
    format!("{}/k{key:02}", range.0).into_bytes()
}

fn mark(range: RangeId) -> Vec<u8> {
    format!("{}/mark", range.0).into_bytes()
}

impl Model {
    /// A command that writes its id under the range's mark, and writes or deletes one key.
    pub(crate) fn propose(
        &mut self,
        range: RangeId,
        key: u64,
        deletes: bool,
        pad: usize,
    ) -> (u64, WriteBatch) {
        self.next_id += 1;
        let id = self.next_id;
        let mut value = id.to_be_bytes().to_vec();
        let mut batch = WriteBatch::new();
        batch.put(Space::Intent, &mark(range), &value);
        value.resize(8 + pad, 7);
        if deletes {
            batch.delete(Space::Intent, &name(range, key));
        } else {
            batch.put(Space::Intent, &name(range, key), &value);
        }
        self.commands.entry(range).or_default().push(Command { id, key, deletes, fate: Fate::Open });
        (id, batch)
    }

    pub(crate) fn answered(&mut self, range: RangeId, id: u64) {
        self.set(range, id, Fate::Answered);
    }

    /// Refused for sure: it must never be seen.
    pub(crate) fn refused(&mut self, range: RangeId, id: u64) {
        self.set(range, id, Fate::Refused);
    }

    fn set(&mut self, range: RangeId, id: u64, fate: Fate) {
        let commands = self.commands.entry(range).or_default();
        if let Some(command) = commands.iter_mut().rev().find(|c| c.id == id) {
            command.fate = fate;
        }
    }

    /// A timestamp was given out.
    pub(crate) fn timestamp(&mut self, ts: Ts) -> Result<(), String> {
        if ts <= self.newest {
            return Err(format!("timestamp {ts} after {}", self.newest));
        }
        self.newest = ts;
        Ok(())
    }

    /// A lease begins at `floor`.
    pub(crate) fn floor(&mut self, floor: Ts) -> Result<(), String> {
        self.timestamp(floor).map_err(|e| format!("lease floor: {e}"))
    }

    /// Compares the engine after a recovery and answers how many commands had no answer. Those behind
    /// what the engine holds are lost for good; the others have become durable and must stay.
    pub(crate) fn recovered(&mut self, engine: &AnyEngine) -> Result<u64, String> {
        let mut unknown = 0;
        for range in [META, FIRST_DATA] {
            let held = read_id(engine, &mark(range))?.unwrap_or(0);
            let commands = self.commands.entry(range).or_default();
            if let Some(lost) = commands.iter().find(|c| c.id > held && c.fate == Fate::Answered) {
                return Err(format!(
                    "range {}: answered command {} is lost, engine holds {held}",
                    range.0, lost.id
                ));
            }
            if commands.iter().any(|c| c.id == held && c.fate == Fate::Refused) {
                return Err(format!("range {}: refused command {held} was applied", range.0));
            }
            unknown += commands.iter().filter(|c| c.fate == Fate::Open).count() as u64;
            commands.retain(|c| c.id <= held && c.fate != Fate::Refused);
            commands.iter_mut().for_each(|c| c.fate = Fate::Answered);
            compare(engine, range, commands)?;
        }
        Ok(unknown)
    }
}

/// The effect of the commands in order is what the engine holds.
fn compare(engine: &AnyEngine, range: RangeId, commands: &[Command]) -> Result<(), String> {
    let mut expected = BTreeMap::new();
    for command in commands {
        let id = (!command.deletes).then_some(command.id);
        expected.insert(command.key, id);
    }
    for key in 0..KEYS {
        let held = read_id(engine, &name(range, key))?;
        let wanted = expected.get(&key).copied().flatten();
        if held != wanted {
            return Err(format!("range {}: key {key} holds {held:?}, the log says {wanted:?}", range.0));
        }
    }
    Ok(())
}

fn read_id(engine: &AnyEngine, key: &[u8]) -> Result<Option<u64>, String> {
    let value = engine.snapshot().get(Space::Intent, key, ReadMode::Block).map_err(|e| e.to_string())?;
    let id = value.map(|v| v[..8].try_into().expect("values begin with an id"));
    Ok(id.map(u64::from_be_bytes))
}
