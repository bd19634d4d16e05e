//! Comparing a restarted server with what the clients know.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;
use sqllogic::wire::{Target, Wire, WireError};

use super::{ACCOUNTS, ANSWER_LIMIT, Memory, Open, START_BALANCE};

/// Accounts whose ledger lines are also read through the index, each time.
const INDEX_PROBES: usize = 8;

/// What was found. Empty `faults` is the only good result.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Each broken promise in a sentence.
    pub faults: Vec<String>,
    /// Open commits that turned out to be there.
    pub open_kept: u64,
    /// Lines in the ledger.
    pub lines: usize,
}

struct Line {
    worker: usize,
    seq: i64,
    src: i64,
    dst: i64,
    amount: i64,
}

/// Checks every promise and settles the open commits in `memory`.
pub fn verify(target: &Target, memory: &mut Memory) -> Result<Verdict, WireError> {
    let mut wire = Wire::connect(target, ANSWER_LIMIT)?;
    let mut verdict = Verdict::default();
    let counters = pairs(&mut wire, "SELECT id, n FROM bank_counter")?;
    let lines = ledger(&mut wire)?;
    let balances = pairs(&mut wire, "SELECT id, balance FROM bank_account")?;
    verdict.lines = lines.len();
    check_counters(&counters, memory, &mut verdict);
    check_ledger(&lines, memory, &mut verdict);
    check_balances(&balances, &lines, &mut verdict);
    check_index(&mut wire, &lines, &mut verdict)?;
    memory.workers.iter_mut().for_each(|worker| worker.open = None);
    Ok(verdict)
}

/// Deletes the verified ledger and sets the balances back, in one transaction, so that long runs stay small.
pub fn forget_ledger(target: &Target, memory: &mut Memory) -> Result<(), WireError> {
    let mut wire = Wire::connect(target, ANSWER_LIMIT)?;
    wire.simple("BEGIN")?;
    wire.simple("DELETE FROM bank_ledger")?;
    wire.simple(&format!("UPDATE bank_account SET balance = {START_BALANCE}"))?;
    wire.simple("COMMIT")?;
    memory.workers.iter_mut().for_each(|worker| worker.forgotten = worker.seq);
    Ok(())
}

fn check_counters(counters: &BTreeMap<i64, i64>, memory: &mut Memory, verdict: &mut Verdict) {
    for (id, worker) in memory.workers.iter_mut().enumerate() {
        let open = i64::from(worker.open == Some(Open::Counter));
        let known = worker.counter;
        let found = counters.get(&(id as i64)).copied();
        match found {
            Some(found) if found == known => {}
            Some(found) if open == 1 && found == known + 1 => {
                worker.counter = found;
                verdict.open_kept += 1;
            }
            _ => {
                verdict.faults.push(format!("counter {id}: {found:?}, acknowledged {known}, open {open}"));
                worker.counter = found.unwrap_or(known);
            }
        }
    }
}

fn check_ledger(lines: &[Line], memory: &mut Memory, verdict: &mut Verdict) {
    let mut found: BTreeMap<usize, BTreeSet<i64>> = BTreeMap::new();
    for line in lines {
        if !found.entry(line.worker).or_default().insert(line.seq) {
            verdict.faults.push(format!("ledger: line {}/{} twice", line.worker, line.seq));
        }
    }
    for (id, worker) in memory.workers.iter_mut().enumerate() {
        let seqs = found.remove(&id).unwrap_or_default();
        let missing = (worker.forgotten + 1..=worker.seq).filter(|seq| !seqs.contains(seq)).count();
        if missing > 0 {
            verdict.faults.push(format!("ledger of worker {id}: {missing} acknowledged lines are gone"));
        }
        let beyond: Vec<i64> = seqs.iter().copied().filter(|seq| *seq > worker.seq).collect();
        let back = seqs.iter().filter(|seq| **seq <= worker.forgotten).count();
        match beyond[..] {
            [] => {}
            [only] if only == worker.seq + 1 && worker.open == Some(Open::Transfer) => {
                worker.seq = only;
                verdict.open_kept += 1;
            }
            _ => verdict.faults.push(format!("ledger of worker {id}: lines {beyond:?} were never committed")),
        }
        if back > 0 {
            verdict.faults.push(format!("ledger of worker {id}: {back} deleted lines are back"));
        }
    }
    if let Some(id) = found.keys().next() {
        verdict.faults.push(format!("ledger: unknown worker {id}"));
    }
}

fn check_balances(balances: &BTreeMap<i64, i64>, lines: &[Line], verdict: &mut Verdict) {
    let mut expected: BTreeMap<i64, i64> = (0..ACCOUNTS).map(|id| (id, START_BALANCE)).collect();
    for line in lines {
        *expected.entry(line.src).or_default() -= line.amount;
        *expected.entry(line.dst).or_default() += line.amount;
    }
    let total: i64 = balances.values().sum();
    if total != ACCOUNTS * START_BALANCE {
        verdict.faults.push(format!("the total is {total}, not {}", ACCOUNTS * START_BALANCE));
    }
    let wrong = expected.iter().filter(|(id, balance)| balances.get(id) != Some(balance)).count();
    if wrong > 0 || balances.len() != expected.len() {
        verdict.faults.push(format!("{wrong} of {} balances differ from the ledger", balances.len()));
    }
}

fn check_index(wire: &mut Wire, lines: &[Line], verdict: &mut Verdict) -> Result<(), WireError> {
    let mut rng = rand::rng();
    for _ in 0..INDEX_PROBES {
        let src = rng.random_range(0..ACCOUNTS);
        let by_table: BTreeSet<(i64, i64)> =
            lines.iter().filter(|line| line.src == src).map(|line| (line.worker as i64, line.seq)).collect();
        let rows = numbers(wire, &format!("SELECT worker, seq FROM bank_ledger WHERE src = {src}"))?;
        let by_index: BTreeSet<(i64, i64)> = rows.iter().map(|row| (row[0], row[1])).collect();
        if by_index != by_table || rows.len() != by_table.len() {
            verdict.faults.push(format!(
                "index on src = {src}: {} lines, {} in the table",
                rows.len(),
                by_table.len()
            ));
        }
    }
    Ok(())
}

fn ledger(wire: &mut Wire) -> Result<Vec<Line>, WireError> {
    let rows = numbers(wire, "SELECT worker, seq, src, dst, amount FROM bank_ledger")?;
    let line = |row: Vec<i64>| Line {
        worker: usize::try_from(row[0]).unwrap_or(usize::MAX),
        seq: row[1],
        src: row[2],
        dst: row[3],
        amount: row[4],
    };
    Ok(rows.into_iter().map(line).collect())
}

fn pairs(wire: &mut Wire, sql: &str) -> Result<BTreeMap<i64, i64>, WireError> {
    Ok(numbers(wire, sql)?.into_iter().map(|row| (row[0], row[1])).collect())
}

/// Rows of integers, each as wide as its column list.
fn numbers(wire: &mut Wire, sql: &str) -> Result<Vec<Vec<i64>>, WireError> {
    let answer = wire.simple(sql)?.pop().unwrap_or_default();
    let width = answer.columns.as_ref().map_or(0, Vec::len);
    let wrong = || WireError::Protocol(format!("{sql}: a row that is not {width} integers"));
    let number =
        |value: &Option<String>| value.as_deref().and_then(|text| text.parse().ok()).ok_or_else(wrong);
    let row = |row: &Vec<Option<String>>| {
        if row.len() != width || width == 0 {
            return Err(wrong());
        }
        row.iter().map(number).collect()
    };
    answer.rows.iter().map(row).collect()
}
