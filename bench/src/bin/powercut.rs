//! `powercut`: power cuts of the real binary under load. Unsynced data is lost, acknowledged commits must not be.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use bench::launch::phantomdb::Phantomdb;
use bench::load::{self, Memory};
use bench::powercut::{Rig, Syncs};
use clap::Parser;
use rand::{Rng, SeedableRng, rngs::StdRng};

/// Cuts after which the negative control must have failed.
const CONTROL_CUTS: u32 = 10;
/// The ledger is emptied beyond this many lines.
const LEDGER_LIMIT: usize = 20_000;

/// Power cuts under a bank and a counter load.
#[derive(Parser)]
struct Options {
    /// PhantomDB's binary.
    #[arg(long)]
    binary: PathBuf,
    /// Power cuts.
    #[arg(long, default_value_t = 1000)]
    cuts: u32,
    /// Connections.
    #[arg(long, default_value_t = 6)]
    workers: usize,
    /// Longest time under load before a cut, in milliseconds.
    #[arg(long, default_value_t = 1500)]
    max_ms: u64,
    /// What a sync costs under the shim, in microseconds.
    #[arg(long, default_value_t = 300)]
    sync_us: u32,
    /// Seed of what is lost at each cut. (The load itself is not replayed: it runs in real threads.)
    #[arg(long)]
    seed: Option<u64>,
    /// Afterwards, the same with fsync and fdatasync that lie: this must lose commits, or the rig proves nothing.
    #[arg(long)]
    negative_control: bool,
    /// Where the data directory is made; it stays there if a cut fails.
    #[arg(long, default_value = "/var/tmp")]
    work_dir: PathBuf,
}

#[expect(clippy::print_stdout, reason = "the report of a command line tool")]
fn main() -> ExitCode {
    let options = Options::parse();
    let seed = options.seed.unwrap_or_else(|| rand::rng().random());
    println!("powercut: seed {seed}");
    if let Err(error) =
        in_own_place(&options, "honest", |place| cuts(&options, place, Syncs::Honest, options.cuts, seed))
    {
        eprintln!("powercut: FAILED: {error}");
        return ExitCode::FAILURE;
    }
    if options.negative_control && !control_fails(&options, seed) {
        eprintln!("powercut: FAILED: lying syncs were not noticed within {CONTROL_CUTS} cuts");
        return ExitCode::FAILURE;
    }
    println!("powercut: passed");
    ExitCode::SUCCESS
}

#[expect(clippy::print_stdout, reason = "the report of a command line tool")]
fn control_fails(options: &Options, seed: u64) -> bool {
    let outcome =
        in_own_place(options, "control", |place| cuts(options, place, Syncs::Lying, CONTROL_CUTS, seed));
    match outcome {
        Ok(()) => false,
        Err(error) => {
            println!(
                "negative control (fsync and fdatasync lie) fails as it must: {}",
                error.lines().next().unwrap_or("")
            );
            true
        }
    }
}

fn in_own_place(
    options: &Options,
    name: &str,
    run: impl Fn(&Path) -> Result<(), String>,
) -> Result<(), String> {
    let place =
        tempfile::Builder::new().prefix(&format!("phantomdb-powercut-{name}-")).tempdir_in(&options.work_dir);
    let place = place.map_err(|error| format!("{}: {error}", options.work_dir.display()))?;
    run(place.path()).map_err(|error| match name {
        "control" => error,
        _ => format!("{error}\nthe data is in {}", place.keep().display()),
    })
}

#[expect(clippy::print_stdout, reason = "the report of a command line tool")]
fn cuts(options: &Options, place: &Path, syncs: Syncs, count: u32, seed: u64) -> Result<(), String> {
    let rig = Rig::new(place, "data")?;
    let mut node = Phantomdb::new(&options.binary, &rig.directory);
    node.environment = rig.environment(syncs, options.sync_us);
    let mut memory = Memory::new(options.workers);
    let (mut acknowledged, mut open, mut writes, mut names, mut survived) =
        (0u64, 0u64, 0usize, 0usize, 0usize);
    let began = Instant::now();
    for cut in 1..=count + 1 {
        let mut rng = StdRng::seed_from_u64(seed.wrapping_add(u64::from(cut)));
        let mut server = node.start().map_err(|error| format!("cut {cut}: {error}"))?;
        server
            .wait_ready(Duration::from_secs(60))
            .map_err(|error| format!("restart before cut {cut}: {error}"))?;
        if cut == 1 {
            load::setup(&server.target, options.workers)
                .map_err(|error| format!("making the tables: {error}"))?;
        }
        let verdict =
            load::verify(&server.target, &mut memory).map_err(|error| format!("cut {cut}: {error}"))?;
        if !verdict.faults.is_empty() {
            return Err(format!("after cut {}: {}", cut - 1, verdict.faults.join("\n  ")));
        }
        if verdict.lines > LEDGER_LIMIT {
            load::forget_ledger(&server.target, &mut memory).map_err(|error| error.to_string())?;
        }
        if cut > count {
            server.kill();
            break;
        }
        let stop = AtomicBool::new(false);
        let target = server.target.clone();
        let time = Duration::from_millis(rng.random_range(20..=options.max_ms.max(21)));
        let tally = std::thread::scope(|scope| {
            let running = load::start(scope, &stop, &target, &mut memory);
            std::thread::sleep(time);
            server.kill();
            running.finish()
        })?;
        acknowledged += tally.acknowledged;
        open += tally.open;
        let loss = rig.cut(&mut rng)?;
        writes += loss.writes;
        names += loss.names;
        survived += loss.survived;
        if cut % 50 == 0 {
            println!("cut {cut}: {acknowledged} commits acknowledged");
        }
    }
    if acknowledged < u64::from(count) || writes == 0 {
        return Err(format!("{acknowledged} commits and {writes} lost writes: this run proves nothing"));
    }
    println!(
        "{count} power cuts, {acknowledged} commits acknowledged, {open} open, lost: {writes} writes and {names} names, {survived} unsynced changes survived, {:.0} s",
        began.elapsed().as_secs_f64()
    );
    Ok(())
}
