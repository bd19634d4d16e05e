//! `large-txn`: transactions far beyond a buffer commit, roll back and survive kill -9 as a whole, in bounded memory.
//!
//! Three statements, each inside BEGIN: an UPDATE of `--update-rows`, an INSERT .. SELECT and a COPY of
//! `--insert-rows`. Each is rolled back, killed in its middle, and committed (and then killed): after each the table is
//! wholly as before or wholly as after.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bench::launch::phantomdb::Phantomdb;
use bench::launch::postgres::Postgres;
use bench::launch::{LaunchError, Server};
use clap::Parser;
use sqllogic::wire::{Target, Wire, WireError, frontend};

/// Times that a PostgreSQL is started again after a kill, half a second apart.
const POSTGRES_ATTEMPTS: u32 = 60;
/// Rows of one CopyData message.
const COPY_CHUNK: u64 = 1000;
/// The longest that one statement may take.
const PATIENCE: Duration = Duration::from_secs(1800);

/// Large transactions: commit, rollback, kill -9.
#[derive(Parser)]
struct Options {
    /// PhantomDB's binary; without it PostgreSQL 15 (to try the rig itself).
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Rows of the UPDATE.
    #[arg(long, default_value_t = 2_000_000)]
    update_rows: u64,
    /// Rows of the INSERT .. SELECT and of the COPY.
    #[arg(long, default_value_t = 6_000_000)]
    insert_rows: u64,
    /// What `phantomdb start --memory` gets.
    #[arg(long, default_value = "1GiB")]
    memory: String,
    /// Resident memory that the server may reach, in MiB: the budget and what lies outside of it (code, stacks).
    #[arg(long, default_value_t = 1536)]
    resident_limit_mib: u64,
    /// Where the data directory is made.
    #[arg(long, default_value = "/var/tmp")]
    work_dir: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Update,
    InsertSelect,
    Copy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Rollback,
    KilledInTheMiddle,
    CommittedThenKilled,
}

enum Node {
    Phantomdb(Phantomdb),
    Postgres(Postgres),
}

impl Node {
    fn start(&self) -> Result<Server, String> {
        match self {
            Node::Phantomdb(node) => ready(node.start()),
            // The backends of a killed postmaster finish their statement first and keep the next one from starting.
            Node::Postgres(postgres) => (0..POSTGRES_ATTEMPTS)
                .find_map(|_| {
                    std::thread::sleep(Duration::from_millis(500));
                    ready(postgres.start()).ok()
                })
                .ok_or_else(|| "PostgreSQL did not start again".to_owned()),
        }
    }
}

fn ready(started: Result<Server, LaunchError>) -> Result<Server, String> {
    let mut server = started.map_err(|error| error.to_string())?;
    server.wait_ready(Duration::from_secs(120)).map_err(|error| error.to_string())?;
    Ok(server)
}

#[expect(clippy::print_stdout, reason = "the report of a command line tool")]
fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => {
            println!("large-txn: passed");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("large-txn: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the report of a command line tool")]
fn run(options: &Options) -> Result<(), String> {
    let place = tempfile::Builder::new().prefix("phantomdb-large-").tempdir_in(&options.work_dir);
    let place = place.map_err(|error| format!("{}: {error}", options.work_dir.display()))?;
    let node = prepare(options, place.path())?;
    let mut server = node.start()?;
    fill(&server.target, options)?;
    for kind in [Kind::Update, Kind::InsertSelect, Kind::Copy] {
        for ending in [Ending::Rollback, Ending::KilledInTheMiddle, Ending::CommittedThenKilled] {
            let began = Instant::now();
            let before = state(&server.target)?;
            // Open until the server is killed: a closed connection would end the transaction in an orderly way.
            let connection = attempt(&server.target, options, kind, ending)?;
            let resident = resident_peak_mib(server.pid());
            if ending != Ending::Rollback {
                server.kill();
                server = node.start()?;
            }
            drop(connection);
            let expected =
                if ending == Ending::CommittedThenKilled { after(options, kind, before) } else { before };
            let found = state(&server.target)?;
            println!(
                "{kind:?} {ending:?}: {found:?}, {:.1} s, resident {resident} MiB",
                began.elapsed().as_secs_f64()
            );
            if found != expected {
                return Err(format!("{kind:?} {ending:?}: expected {expected:?}"));
            }
            if matches!(node, Node::Phantomdb(_)) && resident > options.resident_limit_mib {
                return Err(format!(
                    "{kind:?}: {resident} MiB resident, the limit is {}",
                    options.resident_limit_mib
                ));
            }
        }
    }
    Ok(())
}

fn prepare(options: &Options, place: &Path) -> Result<Node, String> {
    if let Some(binary) = &options.binary {
        let mut node = Phantomdb::new(binary, &place.join("data"));
        node.arguments = vec!["--memory".into(), options.memory.clone()];
        return Ok(Node::Phantomdb(node));
    }
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o755))
        .map_err(|error| error.to_string())?;
    let programs = Postgres::find().ok_or("give --binary, or install PostgreSQL 15 to try the rig on it")?;
    let postgres = Postgres::new(&programs, &place.join("data"));
    postgres.init().map_err(|error| error.to_string())?;
    Ok(Node::Postgres(postgres))
}

/// Rows of both tables and the sum of the updated column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    updated_rows: u64,
    updated_sum: u64,
    inserted_rows: u64,
}

fn state(target: &Target) -> Result<State, String> {
    let number = |sql: &str| -> Result<u64, String> {
        let text = || -> Result<String, WireError> {
            let answers = Wire::connect(target, PATIENCE)?.simple(sql)?;
            Ok(answers.first().and_then(|answer| answer.single()).unwrap_or_default().to_owned())
        };
        let text = text().map_err(|error| format!("{sql}: {error}"))?;
        text.parse().map_err(|_| format!("{sql}: answered {text:?}"))
    };
    Ok(State {
        updated_rows: number("SELECT count(*) FROM large_update")?,
        updated_sum: number("SELECT sum(v) FROM large_update")?,
        inserted_rows: number("SELECT count(*) FROM large_insert")?,
    })
}

fn after(options: &Options, kind: Kind, before: State) -> State {
    match kind {
        Kind::Update => State { updated_sum: before.updated_sum + before.updated_rows, ..before },
        Kind::InsertSelect | Kind::Copy => {
            State { inserted_rows: before.inserted_rows + options.insert_rows, ..before }
        }
    }
}

fn fill(target: &Target, options: &Options) -> Result<(), String> {
    let run = || -> Result<(), WireError> {
        let mut wire = Wire::connect(target, PATIENCE)?;
        wire.simple("CREATE TABLE large_update (id bigint PRIMARY KEY, v bigint NOT NULL, filler text)")?;
        wire.simple("CREATE TABLE large_insert (id bigint PRIMARY KEY, filler text)")?;
        copy(
            &mut wire,
            "COPY large_update FROM STDIN",
            0,
            options.update_rows,
            "1\tsome bytes to be carried",
            None,
        )?;
        Ok(())
    };
    run().map_err(|error| format!("filling the tables: {error}"))
}

/// COPYs rows `from..from + count`; with `stop_at` it stops there and leaves the statement open.
fn copy(
    wire: &mut Wire,
    sql: &str,
    from: u64,
    count: u64,
    rest: &str,
    stop_at: Option<u64>,
) -> Result<(), WireError> {
    wire.send(&frontend::query(sql))?;
    let message = wire.receive()?;
    if message.tag == b'E' {
        return Err(WireError::Db(Box::new(message.error()?)));
    }
    let end = from + stop_at.unwrap_or(count);
    let mut next = from;
    while next < end {
        let upto = (next + COPY_CHUNK).min(end);
        let rows: String = (next..upto).map(|id| format!("{id}\t{rest}\n")).collect();
        wire.send(&frontend::copy_data(rows.as_bytes()))?;
        next = upto;
    }
    if stop_at.is_some() {
        return Ok(());
    }
    wire.send(&frontend::copy_done())?;
    wire.answers().map(|_| ())
}

fn attempt(target: &Target, options: &Options, kind: Kind, ending: Ending) -> Result<Wire, String> {
    let run = |wire: &mut Wire| -> Result<(), WireError> {
        wire.simple("BEGIN")?;
        if ending == Ending::KilledInTheMiddle {
            return begin_only(wire, options, kind);
        }
        let rows = options.insert_rows;
        match kind {
            Kind::Update => drop(wire.simple("UPDATE large_update SET v = v + 1")?),
            Kind::InsertSelect => drop(wire.simple(&insert_select(rows))?),
            Kind::Copy => copy(wire, "COPY large_insert FROM STDIN", rows, rows, "copied", None)?,
        }
        wire.simple(if ending == Ending::Rollback { "ROLLBACK" } else { "COMMIT" })?;
        Ok(())
    };
    let mut wire = Wire::connect(target, PATIENCE).map_err(|error| error.to_string())?;
    run(&mut wire).map_err(|error| format!("{kind:?} {ending:?}: {error}"))?;
    Ok(wire)
}

fn insert_select(rows: u64) -> String {
    format!("INSERT INTO large_insert SELECT g, 'selected' FROM generate_series(0, {}) g", rows - 1)
}

/// Sends the statement and gives it some time; the answer is not awaited, the kill comes next.
fn begin_only(wire: &mut Wire, options: &Options, kind: Kind) -> Result<(), WireError> {
    let rows = options.insert_rows;
    match kind {
        Kind::Update => wire.send(&frontend::query("UPDATE large_update SET v = v + 1"))?,
        Kind::InsertSelect => wire.send(&frontend::query(&insert_select(rows)))?,
        Kind::Copy => copy(wire, "COPY large_insert FROM STDIN", rows, rows, "copied", Some(rows / 2))?,
    }
    std::thread::sleep(Duration::from_millis((rows / 4000).clamp(50, 5000)));
    Ok(())
}

/// The highest resident size of the first process, from `VmHWM`.
fn resident_peak_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}
