//! `sqllogic [--url URL] [--protocol simple|extended|both] [--override] PATH..`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use sqllogic::runner::Protocol;
use sqllogic::suite::{self, Mode};
use sqllogic::wire::Target;

/// Runs sqllogictest suites against a server that speaks PostgreSQL's protocol.
#[derive(Parser)]
struct Options {
    /// The server, as postgres://user@host:port/database.
    #[arg(long, env = "DATABASE_URL", default_value = "postgres://postgres@127.0.0.1:5432/postgres")]
    url: Target,
    /// The messages that carry statements.
    #[arg(long, value_enum, default_value = "both")]
    protocol: ProtocolChoice,
    /// Write the server's answers into the files instead of comparing (for PostgreSQL 15, the judge).
    #[arg(long)]
    r#override: bool,
    /// Suite files, or directories with `.slt` files.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProtocolChoice {
    Simple,
    Extended,
    Both,
}

impl ProtocolChoice {
    fn protocols(self) -> &'static [Protocol] {
        match self {
            ProtocolChoice::Simple => &[Protocol::Simple],
            ProtocolChoice::Extended => &[Protocol::Extended],
            ProtocolChoice::Both => &[Protocol::Simple, Protocol::Extended],
        }
    }
}

#[expect(clippy::print_stdout, reason = "the report of a command line tool")]
fn main() -> ExitCode {
    let options = Options::parse();
    let mut failed = 0;
    let mut records = 0;
    let began = Instant::now();
    for file in collect(&options.paths) {
        for protocol in options.protocol.protocols() {
            records += suite::records(&file).unwrap_or(0);
            match run_one(&options, &file, *protocol) {
                Ok(()) => println!("ok    {protocol:?} {}", file.display()),
                Err(error) => {
                    failed += 1;
                    println!("FAIL  {protocol:?} {}\n{error}", file.display());
                }
            }
        }
    }
    println!("{records} records, {failed} failed files, {:.1} s", began.elapsed().as_secs_f64());
    if failed == 0 && records > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_one(options: &Options, file: &Path, protocol: Protocol) -> Result<(), String> {
    let mode = if options.r#override { Mode::Override } else { Mode::Check };
    suite::run(&options.url, protocol, mode, file)
}

fn collect(paths: &[PathBuf]) -> Vec<PathBuf> {
    let found = |path: &PathBuf| {
        suite::files(path).unwrap_or_else(|error| {
            eprintln!("{}: {error}", path.display());
            Vec::new()
        })
    };
    paths.iter().flat_map(found).collect()
}
