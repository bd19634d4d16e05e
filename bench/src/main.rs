//! `bench`: pgbench on PhantomDB and PostgreSQL 15, in turns, on this machine. See bench/README.md.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bench::cpu;
use bench::launch::phantomdb::Phantomdb;
use bench::launch::postgres::Postgres;
use bench::launch::{LaunchError, Server};
use bench::pgbench::{self, Cell, Protocol, Script};
use bench::report::{self, Row, Run};
use clap::Parser;
use serde::Serialize;
use sqllogic::wire::{Target, Wire, WireError};

/// pgbench on PhantomDB and PostgreSQL 15 in turns: medians, ratios, server CPU per transaction.
#[derive(Parser)]
struct Options {
    /// PhantomDB's binary; without it PostgreSQL runs against PostgreSQL (shows the noise of this machine).
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Directory of PostgreSQL 15's server programs.
    #[arg(long)]
    pg_bin: Option<PathBuf>,
    /// Seconds of each run.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Runs of each cell on each server; the median counts.
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// pgbench's scale: 100,000 accounts each.
    #[arg(long, default_value_t = 20)]
    scale: u32,
    /// Numbers of connections.
    #[arg(long, value_delimiter = ',', default_value = "1,8,32")]
    clients: Vec<u32>,
    /// Built-in scripts.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "select-only,tpcb-like,simple-update")]
    scripts: Vec<Script>,
    /// Protocols.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "simple,extended,prepared")]
    protocols: Vec<Protocol>,
    /// PostgreSQL's shared_buffers.
    #[arg(long, default_value = "2GB")]
    shared_buffers: String,
    /// More arguments for `phantomdb start`, e.g. `--memory=4GiB`.
    #[arg(long, value_delimiter = ' ', allow_hyphen_values = true)]
    start_args: Vec<String>,
    /// Where data directories are made; a real disk, not tmpfs, if commits are to be compared.
    #[arg(long, default_value = "/var/tmp")]
    work_dir: PathBuf,
    /// Where the JSON goes.
    #[arg(long, default_value = "bench-result.json")]
    json: PathBuf,
}

#[derive(Serialize)]
struct Document<'a> {
    subject: &'a str,
    peer: &'a str,
    scale: u32,
    seconds: u32,
    runs: u32,
    cores: usize,
    rows: &'a [Row],
    balances: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the report of a command line tool")]
fn run(options: &Options) -> Result<(), String> {
    let programs =
        options.pg_bin.clone().or_else(Postgres::find).ok_or(
            "PostgreSQL 15's server programs are not installed (Debian: apt-get install postgresql-15)",
        )?;
    let place = tempfile::Builder::new().prefix("phantomdb-bench-").tempdir_in(&options.work_dir);
    let place = place.map_err(|error| format!("{}: {error}", options.work_dir.display()))?;
    open_to_others(place.path())?;
    let subject = start_subject(options, &programs, place.path()).map_err(|error| error.to_string())?;
    let peer =
        start_postgres(options, &programs, &place.path().join("peer")).map_err(|error| error.to_string())?;
    let subject_name = if options.binary.is_some() { "phantomdb" } else { "postgres-2" };
    let program = programs.join("pgbench");
    for server in [&subject, &peer] {
        pgbench::initialize(&program, &server.target, options.scale, "dtgpf")?;
    }
    statement(&peer.target, "VACUUM ANALYZE")?;

    let mut rows = Vec::new();
    println!("{}", report::table(subject_name, "postgres", &[]).trim_end());
    for cell in cells(options) {
        let row = measure(options, &program, cell, &subject, &peer)?;
        let table = report::table(subject_name, "postgres", std::slice::from_ref(&row));
        println!("{}", table.lines().last().unwrap_or_default());
        rows.push(row);
    }
    let balances = vec![balance_check(&subject.target)?, balance_check(&peer.target)?];
    println!("balances: {subject_name} {}, postgres {}", balances[0], balances[1]);
    let document = Document {
        subject: subject_name,
        peer: "postgres",
        scale: options.scale,
        seconds: options.seconds,
        runs: options.runs,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        rows: &rows,
        balances,
    };
    let json = serde_json::to_string_pretty(&document).map_err(|error| error.to_string())?;
    std::fs::write(&options.json, json).map_err(|error| format!("{}: {error}", options.json.display()))?;
    println!("written: {}", options.json.display());
    Ok(())
}

fn cells(options: &Options) -> Vec<Cell> {
    let mut cells = Vec::new();
    for script in &options.scripts {
        for protocol in &options.protocols {
            for clients in &options.clients {
                cells.push(Cell { script: *script, protocol: *protocol, clients: *clients });
            }
        }
    }
    cells
}

/// Runs a cell on both servers in turns; who goes first alternates too, so that neither has the warmer disk.
fn measure(
    options: &Options,
    program: &Path,
    cell: Cell,
    subject: &Server,
    peer: &Server,
) -> Result<Row, String> {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for turn in 0..options.runs {
        let mut sides = [(subject, &mut first), (peer, &mut second)];
        if turn % 2 == 1 {
            sides.reverse();
        }
        for (server, runs) in sides {
            runs.push(one_run(program, server, cell, options.seconds)?);
        }
    }
    Ok(Row::new(cell, first, second))
}

fn one_run(program: &Path, server: &Server, cell: Cell, seconds: u32) -> Result<Run, String> {
    let before = cpu::of_tree(server.pid());
    let outcome = pgbench::run(program, &server.target, cell, seconds)?;
    let used = cpu::of_tree(server.pid()).saturating_sub(before);
    Ok(Run {
        tps: outcome.tps,
        latency_ms: outcome.latency_ms,
        cpu_us: used.as_secs_f64() * 1e6 / outcome.transactions.max(1) as f64,
        failed: outcome.failed,
    })
}

fn start_subject(options: &Options, programs: &Path, place: &Path) -> Result<Server, LaunchError> {
    let Some(binary) = &options.binary else {
        return start_postgres(options, programs, &place.join("subject"));
    };
    let mut node = Phantomdb::new(binary, &place.join("phantomdb"));
    node.arguments.clone_from(&options.start_args);
    let mut server = node.start()?;
    server.wait_ready(Duration::from_secs(60))?;
    Ok(server)
}

fn start_postgres(options: &Options, programs: &Path, data_dir: &Path) -> Result<Server, LaunchError> {
    let mut postgres = Postgres::new(programs, data_dir);
    postgres.settings = vec![
        format!("shared_buffers={}", options.shared_buffers),
        "max_wal_size=8GB".into(),
        "checkpoint_timeout=15min".into(),
        "fsync=on".into(),
    ];
    postgres.init()?;
    let mut server = postgres.start()?;
    server.wait_ready(Duration::from_secs(60))?;
    Ok(server)
}

/// PostgreSQL runs as another user and has to reach its directory.
fn open_to_others(place: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o755)).map_err(|error| error.to_string())
}

/// simple-update leaves tellers and branches alone, so the sums agree in pairs.
fn balance_check(target: &Target) -> Result<String, String> {
    let sum = |column: &str, table: &str| {
        statement(target, &format!("SELECT coalesce(sum({column}), 0) FROM {table}"))
    };
    let (accounts, history) = (sum("abalance", "pgbench_accounts")?, sum("delta", "pgbench_history")?);
    let (tellers, branches) = (sum("tbalance", "pgbench_tellers")?, sum("bbalance", "pgbench_branches")?);
    if accounts == history && tellers == branches {
        return Ok("consistent".into());
    }
    Err(format!(
        "balances differ: accounts {accounts}, history {history}, tellers {tellers}, branches {branches}"
    ))
}

fn statement(target: &Target, sql: &str) -> Result<String, String> {
    let run = || -> Result<String, WireError> {
        let mut wire = Wire::connect(target, Duration::from_secs(600))?;
        let answers = wire.simple(sql)?;
        Ok(answers.first().and_then(|answer| answer.single()).unwrap_or_default().to_owned())
    };
    run().map_err(|error| format!("{sql}: {error}"))
}
