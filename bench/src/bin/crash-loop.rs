//! `crash-loop`: kill -9 under load, restart, compare with every acknowledged commit; again and again.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use bench::launch::Server;
use bench::launch::phantomdb::Phantomdb;
use bench::launch::postgres::Postgres;
use bench::load::{self, Memory, Tally};
use clap::Parser;
use rand::Rng;

/// The ledger is emptied (and that is verified too) beyond this many lines.
const LEDGER_LIMIT: usize = 20_000;

/// kill -9 rounds under a bank and a counter load.
#[derive(Parser)]
struct Options {
    /// PhantomDB's binary; without it PostgreSQL 15 is put through the same (to try the rig itself).
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Rounds.
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// Connections.
    #[arg(long, default_value_t = 8)]
    workers: usize,
    /// Shortest and longest time under load in a round, in milliseconds.
    #[arg(long, default_value_t = 200)]
    min_ms: u64,
    /// See `--min-ms`.
    #[arg(long, default_value_t = 2000)]
    max_ms: u64,
    /// The longest that a restart may take, from the start of the process to the first answer.
    #[arg(long, default_value_t = 10_000)]
    restart_limit_ms: u64,
    /// Where the data directory is made; it stays there if a round fails.
    #[arg(long, default_value = "/var/tmp")]
    work_dir: PathBuf,
}

/// What is started each round.
enum Kind {
    Phantomdb(Phantomdb),
    Postgres(Postgres),
}

impl Kind {
    fn start(&self) -> Result<Server, String> {
        match self {
            Kind::Phantomdb(node) => node.start(),
            Kind::Postgres(postgres) => postgres.start(),
        }
        .map_err(|error| error.to_string())
    }
}

#[expect(clippy::print_stdout, reason = "the report of a command line tool")]
fn main() -> ExitCode {
    let options = Options::parse();
    let place = match tempfile::Builder::new().prefix("phantomdb-crash-").tempdir_in(&options.work_dir) {
        Ok(place) => place,
        Err(error) => {
            eprintln!("crash-loop: {}: {error}", options.work_dir.display());
            return ExitCode::FAILURE;
        }
    };
    match run(&options, place.path()) {
        Ok(()) => {
            println!("crash-loop: passed");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("crash-loop: FAILED: {error}\nthe data is in {}", place.keep().display());
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the report of a command line tool")]
fn run(options: &Options, place: &Path) -> Result<(), String> {
    let kind = prepare(options, place)?;
    let mut memory = Memory::new(options.workers);
    let mut sum = Tally::default();
    let (mut kept, mut slowest) = (0, Duration::ZERO);
    let began = Instant::now();
    for round in 1..=options.rounds {
        let starting = Instant::now();
        let mut server = kind.start()?;
        server.wait_ready(Duration::from_secs(60)).map_err(|error| format!("round {round}: {error}"))?;
        let restart = starting.elapsed();
        slowest = slowest.max(restart);
        if restart > Duration::from_millis(options.restart_limit_ms) {
            return Err(format!("round {round}: the restart took {restart:?}"));
        }
        if round == 1 {
            load::setup(&server.target, options.workers)
                .map_err(|error| format!("making the tables: {error}"))?;
        }
        kept += check(&server, &mut memory, round)?;
        let tally = loaded_until_killed(options, &mut server, &mut memory)?;
        sum.acknowledged += tally.acknowledged;
        sum.retried += tally.retried;
        sum.open += tally.open;
        if round % 10 == 0 || round == options.rounds {
            println!("round {round}: {} commits acknowledged, slowest restart {slowest:?}", sum.acknowledged);
        }
    }
    let mut server = kind.start()?;
    server.wait_ready(Duration::from_secs(60)).map_err(|error| error.to_string())?;
    kept += check(&server, &mut memory, options.rounds)?;
    if sum.acknowledged < u64::from(options.rounds) {
        return Err(format!("only {} commits were acknowledged: this run proves nothing", sum.acknowledged));
    }
    println!(
        "{} rounds, {} commits acknowledged, {} retried, {} open at a kill of which {kept} were kept, slowest restart {} ms, {:.0} s",
        options.rounds,
        sum.acknowledged,
        sum.retried,
        sum.open,
        slowest.as_millis(),
        began.elapsed().as_secs_f64(),
    );
    Ok(())
}

fn prepare(options: &Options, place: &Path) -> Result<Kind, String> {
    if let Some(binary) = &options.binary {
        return Ok(Kind::Phantomdb(Phantomdb::new(binary, &place.join("data"))));
    }
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o755))
        .map_err(|error| error.to_string())?;
    let programs = Postgres::find().ok_or("give --binary, or install PostgreSQL 15 to try the rig on it")?;
    let postgres = Postgres::new(&programs, &place.join("data"));
    postgres.init().map_err(|error| error.to_string())?;
    Ok(Kind::Postgres(postgres))
}

fn check(server: &Server, memory: &mut Memory, round: u32) -> Result<u64, String> {
    let verdict =
        load::verify(&server.target, memory).map_err(|error| format!("round {round}: checking: {error}"))?;
    if !verdict.faults.is_empty() {
        return Err(format!("round {round}:\n  {}", verdict.faults.join("\n  ")));
    }
    if verdict.lines > LEDGER_LIMIT {
        load::forget_ledger(&server.target, memory)
            .map_err(|error| format!("emptying the ledger: {error}"))?;
    }
    Ok(verdict.open_kept)
}

fn loaded_until_killed(options: &Options, server: &mut Server, memory: &mut Memory) -> Result<Tally, String> {
    let stop = AtomicBool::new(false);
    let target = server.target.clone();
    let time = Duration::from_millis(rand::rng().random_range(options.min_ms..=options.max_ms));
    std::thread::scope(|scope| {
        let running = load::start(scope, &stop, &target, memory);
        std::thread::sleep(time);
        server.kill();
        running.finish()
    })
}
