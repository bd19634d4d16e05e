//! Golden scripts: sessions side by side, one command a line, the answer behind `=>`.
//!
//! `tests/golden/*.txt`. A line is `session command arguments`; a command that waits answers `waits`
//! and its answer appears behind the line that ended the wait. Run with `REGENERATE=1` to write the
//! answers anew, then read the diff.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::TestNode;
use crate::{
    Direction, Error, Isolation, Key, KvBlock, Limits, LockMode, SavepointId, Span, Transaction, TxnDb,
    TxnOptions, WaitPolicy,
};

type Running = BoxFuture<'static, (Option<Transaction>, String)>;

#[derive(Default)]
struct Session {
    txn: Option<Transaction>,
    running: Option<Running>,
    savepoints: BTreeMap<String, SavepointId>,
}

struct Stage {
    node: Arc<TestNode>,
    db: Arc<TxnDb>,
    sessions: BTreeMap<String, Session>,
}

#[test]
fn the_scripts_answer_as_written() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for cache_bytes in [1 << 20, 0] {
            let played = play(&text, cache_bytes);
            if std::env::var_os("REGENERATE").is_some() {
                std::fs::write(&path, &played).unwrap();
            } else {
                assert_eq!(played, text, "{} with a cache of {cache_bytes}", path.display());
            }
        }
        seen += 1;
    }
    assert!(seen >= 5, "the scripts are there");
}

fn play(text: &str, cache_bytes: usize) -> String {
    let (node, db) = TestNode::start(&Limits { cache_bytes, ..Limits::default() });
    let mut stage = Stage { node, db, sessions: BTreeMap::new() };
    let mut out = String::new();
    for line in text.lines().filter(|line| !line.starts_with("=>") && !line.starts_with("   =>")) {
        writeln!(out, "{line}").unwrap();
        if !line.starts_with('#') && !line.is_empty() {
            stage.line(line, &mut out);
        }
    }
    out
}

impl Stage {
    fn line(&mut self, line: &str, out: &mut String) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["node", "hold"] => self.node.hold(true),
            ["node", "apply"] => self.node.hold(false),
            ["node", "refuse"] => assert!(self.node.refuse_next(), "nothing is held"),
            ["node", "forget_locks"] => self.node.participant.locks.forget_all(),
            [name, ref command @ ..] => {
                let session = self.sessions.entry(name.to_string()).or_default();
                assert!(session.running.is_none(), "{name} still waits: {line}");
                session.begin(&self.db, command);
                if !session.poll(name, true, out) {
                    writeln!(out, "=> waits").unwrap();
                }
            }
            [] => {}
        }
        let mut moved = true;
        while moved {
            moved = false;
            for (name, session) in &mut self.sessions {
                moved |= session.running.is_some() && session.poll(name, false, out);
            }
        }
    }
}

impl Session {
    /// Polls the running command; writes its answer if it has one.
    fn poll(&mut self, name: &str, own_line: bool, out: &mut String) -> bool {
        let Some(running) = &mut self.running else { return true };
        let Some((txn, answer)) = running.now_or_never() else { return false };
        self.txn = txn;
        self.running = None;
        if own_line {
            writeln!(out, "=> {answer}").unwrap();
        } else {
            writeln!(out, "   => {name} {answer}").unwrap();
        }
        true
    }

    fn begin(&mut self, db: &Arc<TxnDb>, command: &[&str]) {
        let mut txn = self.txn.take();
        match *command {
            ["begin", level] => {
                let isolation = match level {
                    "rr" => Isolation::RepeatableRead,
                    _ => Isolation::ReadCommitted,
                };
                txn = Some(db.begin(TxnOptions { isolation, ..TxnOptions::default() }));
            }
            ["savepoint", name] => {
                let id = txn.as_mut().expect("in a transaction").savepoint();
                self.savepoints.insert(name.into(), id);
            }
            ["rollback_to", name] => {
                txn.as_mut().expect("in a transaction").rollback_to(self.savepoints[name]).unwrap();
            }
            ["release", name] => {
                txn.as_mut().expect("in a transaction").release(self.savepoints[name]).unwrap();
            }
            _ => {
                let txn = txn.expect("in a transaction");
                let command: Vec<String> = command.iter().map(|word| word.to_string()).collect();
                self.running = Some(run(txn, command).boxed());
                return;
            }
        }
        self.txn = txn;
        self.running = Some(std::future::ready((self.txn.take(), "ok".to_string())).boxed());
    }
}

async fn run(mut txn: Transaction, command: Vec<String>) -> (Option<Transaction>, String) {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let answer = match words[..] {
        ["commit"] => {
            let answer = match txn.commit().await {
                Ok(_) => "committed".into(),
                Err(error) => describe(&error),
            };
            return (None, answer);
        }
        ["rollback"] => {
            txn.rollback();
            return (None, "rolled back".into());
        }
        ["get", key] => {
            txn.start_statement();
            show(txn.view().get(key.as_bytes()).await)
        }
        ["again", key] => show(txn.view().get(key.as_bytes()).await),
        ["latest", key] => show(txn.get_latest(key.as_bytes()).await),
        ["scan", lo, hi] => scan(&mut txn, lo, hi, Direction::Forward).await,
        ["scan", lo, hi, "back"] => scan(&mut txn, lo, hi, Direction::Reverse).await,
        ["lock", key, mode] => lock(&mut txn, key, mode, WaitPolicy::Wait { timeout: None }).await,
        ["lock", key, mode, "nowait"] => lock(&mut txn, key, mode, WaitPolicy::NoWait).await,
        ["lock", key, mode, "skip"] => lock(&mut txn, key, mode, WaitPolicy::Skip).await,
        ["put", key, row] => {
            txn.put(word(key), word(row));
            "ok".into()
        }
        ["insert", key, row] => {
            txn.insert(word(key), word(row), 1);
            "ok".into()
        }
        ["delete", key] => {
            txn.delete(word(key));
            "ok".into()
        }
        ["require_span", lo, hi] => {
            let ts = txn.statement_ts();
            txn.require_span(span(lo, hi), ts);
            "ok".into()
        }
        _ => panic!("no such command: {words:?}"),
    };
    (Some(txn), answer)
}

async fn lock(txn: &mut Transaction, key: &str, mode: &str, wait: WaitPolicy) -> String {
    txn.start_statement();
    let mode = match mode {
        "key_share" => LockMode::KeyShare,
        "share" => LockMode::Share,
        "no_key" => LockMode::NoKeyUpdate,
        _ => LockMode::Update,
    };
    match txn.lock(&[word(key)], mode, wait).await {
        Err(error) => describe(&error),
        Ok(locked) if locked[0].skipped => "skipped".into(),
        Ok(mut locked) => {
            let changed = if locked[0].changed_since_snapshot { " (changed)" } else { "" };
            format!("locked {}{changed}", show(Ok(locked.remove(0).newest)))
        }
    }
}

async fn scan(txn: &mut Transaction, lo: &str, hi: &str, direction: Direction) -> String {
    txn.start_statement();
    let mut scan = txn.view().scan(span(lo, hi), direction);
    let (mut block, mut rows) = (KvBlock::new(), vec![]);
    while scan.next_block(2, 1 << 20, &mut block).await.unwrap() {
        for (key, row) in block.iter() {
            rows.push(format!("{}={}", String::from_utf8_lossy(key), String::from_utf8_lossy(row)));
        }
    }
    rows.join(" ")
}

fn span(lo: &str, hi: &str) -> Span {
    Span { lo: lo.as_bytes().to_vec(), hi: hi.as_bytes().to_vec() }
}

fn word(text: &str) -> Key {
    Key::copy_from_slice(text.as_bytes())
}

fn show(row: crate::Result<Option<bytes::Bytes>>) -> String {
    match row {
        Ok(Some(row)) => String::from_utf8_lossy(&row).into_owned(),
        Ok(None) => "nothing".into(),
        Err(error) => describe(&error),
    }
}

fn describe(error: &Error) -> String {
    match error {
        Error::WriteConflict { key } => format!("write conflict on {}", String::from_utf8_lossy(key)),
        Error::DuplicateKey { key, constraint } => {
            format!("duplicate key {} of constraint {constraint}", String::from_utf8_lossy(key))
        }
        other => other.to_string(),
    }
}
