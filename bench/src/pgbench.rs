//! Running pgbench and reading its report.

use std::path::Path;
use std::process::{Command, Output};

use clap::ValueEnum;
use serde::Serialize;
use sqllogic::wire::Target;

/// A built-in script of pgbench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Script {
    /// One SELECT by primary key.
    SelectOnly,
    /// The TPC-B-like transaction: three updates, a select, an insert.
    TpcbLike,
    /// The same without the two small, contended tables.
    SimpleUpdate,
}

/// How pgbench sends statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Query messages.
    Simple,
    /// Parse, Bind, Execute each time.
    Extended,
    /// Parsed once.
    Prepared,
}

/// One measurement's conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Cell {
    /// What runs.
    pub script: Script,
    /// In which messages.
    pub protocol: Protocol,
    /// On how many connections.
    pub clients: u32,
}

/// What pgbench reports of one run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Outcome {
    /// Transactions per second without the time to connect.
    pub tps: f64,
    /// Average latency in milliseconds.
    pub latency_ms: f64,
    /// Transactions done.
    pub transactions: u64,
    /// Transactions that failed (serialization or deadlock).
    pub failed: u64,
}

fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:<13} {:<8} {:>3}", name(self.script), name(self.protocol), self.clients)
    }
}

/// Fills the tables (with foreign keys).
pub fn initialize(program: &Path, target: &Target, scale: u32, steps: &str) -> Result<(), String> {
    let mut command = connect(program, target);
    command.args(["-i", "-q", "-I", steps, "-s", &scale.to_string()]).arg(&target.database);
    checked(&mut command).map(|_| ())
}

/// Runs one cell.
pub fn run(program: &Path, target: &Target, cell: Cell, seconds: u32) -> Result<Outcome, String> {
    let mut command = connect(program, target);
    let threads = cell.clients.min(2);
    command.args(["-n", "-b", &name(cell.script), "-M", &name(cell.protocol)]);
    command.args(["-c", &cell.clients.to_string(), "-j", &threads.to_string(), "-T", &seconds.to_string()]);
    let output = checked(command.arg(&target.database))?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse(&text).ok_or_else(|| format!("pgbench printed something unknown:\n{text}"))
}

fn connect(program: &Path, target: &Target) -> Command {
    let mut command = Command::new(program);
    command.args(["-h", &target.host, "-p", &target.port.to_string(), "-U", &target.user]);
    if let Some(password) = &target.password {
        command.env("PGPASSWORD", password);
    }
    command
}

/// pgbench goes on when a client is aborted, with exit code 2: that is a failed measurement too.
fn checked(command: &mut Command) -> Result<Output, String> {
    let output = command.output().map_err(|error| format!("starting pgbench: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(format!("pgbench: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}

fn parse(text: &str) -> Option<Outcome> {
    let after = |label: &str| {
        let line = text.lines().find(|line| line.starts_with(label))?;
        line[label.len()..].split([' ', '/', '(']).find(|word| !word.is_empty())
    };
    Some(Outcome {
        tps: after("tps =")?.parse().ok()?,
        latency_ms: after("latency average =")?.parse().ok()?,
        transactions: after("number of transactions actually processed:")?.parse().ok()?,
        failed: after("number of failed transactions:").map_or(Some(0), |word| word.parse().ok())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_report() {
        let text = "scaling factor: 1\nnumber of transactions actually processed: 1234\n\
            number of failed transactions: 2 (0.1%)\nlatency average = 0.811 ms\n\
            initial connection time = 3.2 ms\ntps = 1233.5 (without initial connection time)\n";
        let outcome = parse(text).expect("complete");
        assert_eq!((outcome.transactions, outcome.failed), (1234, 2));
        assert!((outcome.tps - 1233.5).abs() < 1e-9 && (outcome.latency_ms - 0.811).abs() < 1e-9);
        assert_eq!(parse("tps = 1"), None);
    }
}
