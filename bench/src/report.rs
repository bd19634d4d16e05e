//! From single runs to medians, ratios, a table and JSON.

use std::fmt::Write;

use serde::Serialize;

use crate::pgbench::Cell;

/// One run of one cell on one server.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Run {
    /// Transactions per second.
    pub tps: f64,
    /// Average latency in milliseconds.
    pub latency_ms: f64,
    /// Server processor time per transaction in microseconds, the whole process tree.
    pub cpu_us: f64,
    /// Transactions that failed.
    pub failed: u64,
}

/// Both servers in one cell. The first is the one that ratios are about.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Conditions.
    #[serde(flatten)]
    pub cell: Cell,
    /// Runs of the server under test.
    pub subject: Vec<Run>,
    /// Runs of its peer.
    pub peer: Vec<Run>,
    /// Median tps of the subject divided by that of the peer: more is better.
    pub tps_ratio: f64,
    /// Median server CPU per transaction of the subject divided by that of the peer: less is better.
    pub cpu_ratio: f64,
}

impl Row {
    /// Medians and ratios of alternating runs.
    pub fn new(cell: Cell, subject: Vec<Run>, peer: Vec<Run>) -> Row {
        let tps_ratio = median(&subject, |run| run.tps) / median(&peer, |run| run.tps);
        let cpu_ratio = median(&subject, |run| run.cpu_us) / median(&peer, |run| run.cpu_us);
        Row { cell, subject, peer, tps_ratio, cpu_ratio }
    }
}

/// The median of a field; of an even count the mean of the middle two. Not a number if there are no runs.
pub fn median(runs: &[Run], field: impl Fn(&Run) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(field).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// A table for people.
pub fn table(subject: &str, peer: &str, rows: &[Row]) -> String {
    let mut out = format!(
        "{:<26} | {subject:>10} {peer:>10} {:>6} | {:>9} {:>9} {:>6} | {:>8} {:>8} | failed\n",
        "script protocol clients", "tps", "cpu us", "cpu us", "cpu", "lat ms", "lat ms"
    );
    for row in rows {
        let (a, b) = (&row.subject, &row.peer);
        let failed: u64 = a.iter().chain(b).map(|run| run.failed).sum();
        writeln!(
            out,
            "{:<26} | {:>10.0} {:>10.0} {:>5.2}x | {:>9.1} {:>9.1} {:>5.2}x | {:>8.3} {:>8.3} | {failed}",
            row.cell.to_string(),
            median(a, |run| run.tps),
            median(b, |run| run.tps),
            row.tps_ratio,
            median(a, |run| run.cpu_us),
            median(b, |run| run.cpu_us),
            row.cpu_ratio,
            median(a, |run| run.latency_ms),
            median(b, |run| run.latency_ms),
        )
        .expect("writing to a string cannot fail");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(tps: f64) -> Run {
        Run { tps, latency_ms: 1.0, cpu_us: 10.0, failed: 0 }
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[run(3.0), run(1.0), run(2.0)], |run| run.tps), 2.0);
        assert_eq!(median(&[run(4.0), run(1.0)], |run| run.tps), 2.5);
        assert!(median(&[], |run| run.tps).is_nan());
    }
}
