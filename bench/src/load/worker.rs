//! One client of the load.

use std::sync::atomic::{AtomicBool, Ordering};

use rand::Rng;
use sqllogic::wire::{Target, Wire, WireError};

use super::{ACCOUNTS, ANSWER_LIMIT, Open, Tally, Worker};

/// SQLSTATEs after which a client tries again.
const TRY_AGAIN: [&str; 3] = ["40001", "40P01", "55P03"];
/// SQLSTATE classes of a server that goes away (shutdown, connection exceptions).
const GOING: [&str; 2] = ["57P0", "08"];

/// How one action ended.
enum End {
    Done,
    Again,
    /// The server is gone; the commit was not sent, or was and is open.
    Gone {
        commit_sent: bool,
    },
}

/// Works until told to stop or until the server goes.
pub(super) fn run(
    id: usize,
    state: &mut Worker,
    target: &Target,
    stop: &AtomicBool,
) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let Ok(mut wire) = Wire::connect(target, ANSWER_LIMIT) else { return Ok(tally) };
    let mut rng = rand::rng();
    while !stop.load(Ordering::SeqCst) {
        let kind = if rng.random_bool(0.5) { Open::Counter } else { Open::Transfer };
        let end = match kind {
            Open::Counter => count(id, &mut wire),
            Open::Transfer => transfer(id, state.seq + 1, &mut wire, &mut rng),
        };
        match end.map_err(|error| format!("worker {id}: {kind:?}: {error}"))? {
            End::Again => tally.retried += 1,
            End::Done => {
                tally.acknowledged += 1;
                match kind {
                    Open::Counter => state.counter += 1,
                    Open::Transfer => state.seq += 1,
                }
            }
            End::Gone { commit_sent } => {
                if commit_sent {
                    state.open = Some(kind);
                    tally.open += 1;
                }
                break;
            }
        }
    }
    Ok(tally)
}

fn count(id: usize, wire: &mut Wire) -> Result<End, String> {
    let sql = format!("UPDATE bank_counter SET n = n + 1 WHERE id = {id}");
    match wire.simple(&sql) {
        Ok(answers) if answers.iter().any(|answer| answer.tag == "UPDATE 1") => Ok(End::Done),
        Ok(answers) => {
            Err(format!("{sql}: answered {:?}", answers.iter().map(|a| &a.tag).collect::<Vec<_>>()))
        }
        Err(error) => ended(error, true),
    }
}

fn transfer(id: usize, seq: i64, wire: &mut Wire, rng: &mut impl Rng) -> Result<End, String> {
    let src = rng.random_range(0..ACCOUNTS);
    let dst = (src + rng.random_range(1..ACCOUNTS)) % ACCOUNTS;
    let amount = rng.random_range(1..20);
    let steps = [
        "BEGIN".to_owned(),
        format!("UPDATE bank_account SET balance = balance - {amount} WHERE id = {src}"),
        format!("UPDATE bank_account SET balance = balance + {amount} WHERE id = {dst}"),
        format!("INSERT INTO bank_ledger VALUES ({id}, {seq}, {src}, {dst}, {amount})"),
    ];
    for step in &steps {
        if let Err(error) = wire.simple(step) {
            return again_after_rollback(ended(error, false)?, wire);
        }
    }
    match wire.simple("COMMIT") {
        Ok(answers) if answers.iter().any(|answer| answer.tag == "COMMIT") => Ok(End::Done),
        Ok(_) => Err("COMMIT was answered with something else".into()),
        Err(error) => again_after_rollback(ended(error, true)?, wire),
    }
}

fn again_after_rollback(end: End, wire: &mut Wire) -> Result<End, String> {
    if !matches!(end, End::Again) {
        return Ok(end);
    }
    match wire.simple("ROLLBACK") {
        Ok(_) => Ok(End::Again),
        Err(error) => ended(error, false),
    }
}

fn ended(error: WireError, commit_sent: bool) -> Result<End, String> {
    match error.sqlstate() {
        Some(code) if TRY_AGAIN.contains(&code) => Ok(End::Again),
        Some(code) if GOING.iter().any(|class| code.starts_with(class)) => Ok(End::Gone { commit_sent }),
        Some(_) => Err(error.to_string()),
        None if is_timeout(&error) => Err(format!("no answer within {ANSWER_LIMIT:?}")),
        None => Ok(End::Gone { commit_sent }),
    }
}

fn is_timeout(error: &WireError) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    matches!(error, WireError::Io(error) if matches!(error.kind(), WouldBlock | TimedOut))
}
