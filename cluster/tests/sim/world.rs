//! One run: a node that lives, breaks and comes back, as its seed says.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use cluster::driver::{Driver, Event, Parts, PlantedBug, Step};
use cluster::keys::{FIRST_DATA, META};
use cluster::{Error, LocalTransport, NodeId, ProposeError, RangeHandler, Tso};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use storage::Ts;
use storage::engine::mem::MemEngine;
use storage::engine::{AnyEngine, Engine, RangeId, WriteBatch};
use storage::log::{LogOptions, RaftLog};
use storage::vfs::{Faults, SimVfs};

use crate::clock::Clock;
use crate::model::{KEYS, Model};

/// Things that happen in one run.
const ACTIONS: u32 = 600;
/// Recoveries that may break in a row before one is left in peace.
const BROKEN_RECOVERIES: u32 = 4;

/// What a run has seen.
#[derive(Clone, Copy, Default)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) commits: u64,
    pub(crate) refused: u64,
    pub(crate) unknown: u64,
    pub(crate) timestamps: u64,
    pub(crate) cuts: u64,
    pub(crate) errors: u64,
    pub(crate) broken_recoveries: u64,
    pub(crate) checkpoints: u64,
    pub(crate) lost: u64,
    pub(crate) torn: u64,
    pub(crate) full: u64,
    pub(crate) trace: u64,
}

impl Report {
    pub(crate) fn add(&mut self, other: &Report) {
        self.commits += other.commits;
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.timestamps += other.timestamps;
        self.cuts += other.cuts;
        self.errors += other.errors;
        self.broken_recoveries += other.broken_recoveries;
        self.checkpoints += other.checkpoints;
        self.lost += other.lost;
        self.torn += other.torn;
        self.full += other.full;
        self.trace ^= other.trace;
    }

    /// Runs that never meet a fault prove nothing.
    pub(crate) fn assert_covers(&self) {
        let hit = [self.refused, self.unknown, self.cuts, self.errors, self.broken_recoveries];
        assert!(hit.iter().all(|n| *n > 0) && self.lost > 0 && self.torn > 0 && self.full > 0, "{self}");
        assert!(self.commits > self.refused + self.unknown, "too few commits: {self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {} commits {} aborts {} unknown {} timestamps {} power-cuts {} io-errors {} \
             broken-recoveries {} checkpoints {} lost-writes {} torn-writes {} disk-full {} trace {:016x}",
            self.seed,
            self.commits,
            self.refused,
            self.unknown,
            self.timestamps,
            self.cuts,
            self.errors,
            self.broken_recoveries,
            self.checkpoints,
            self.lost,
            self.torn,
            self.full,
            self.trace
        )
    }
}

/// Notes what the driver says upwards.
#[derive(Default)]
struct Heard {
    applied: BTreeSet<(RangeId, u64)>,
    floors: Vec<Ts>,
}

#[derive(Default)]
struct Handler(Mutex<Heard>);

impl RangeHandler for Handler {
    fn applied(&self, range: RangeId, index: u64, _: &WriteBatch) {
        self.0.lock().applied.insert((range, index));
    }
    fn lease_gained(&self, _: RangeId, floor: Ts) {
        self.0.lock().floors.push(floor);
    }
    fn lease_lost(&self, _: RangeId) {}
}

/// The node while it lives.
struct Life {
    driver: Driver<(RangeId, u64)>,
    tso: Arc<Tso>,
    handler: Arc<Handler>,
    /// The oracle has asked for a higher limit.
    asked: Arc<Mutex<bool>>,
    /// A checkpoint has been made whose outcome has not reached the driver.
    durable: Option<Vec<(RangeId, u64)>>,
}

struct World {
    rng: StdRng,
    clock: Arc<Clock>,
    vfs: SimVfs,
    mem: MemEngine,
    engine: Arc<AnyEngine>,
    model: Model,
    faults: Faults,
    planted: Option<PlantedBug>,
    report: Report,
}

/// Runs a seed; `Err` tells which promise was broken.
pub(crate) fn run(seed: u64, planted: Option<PlantedBug>) -> Result<Report, String> {
    let mem = MemEngine::new();
    let mut world = World {
        rng: StdRng::seed_from_u64(seed),
        clock: Arc::new(Clock::new()),
        vfs: SimVfs::new(seed),
        engine: Arc::new(AnyEngine::from(mem.clone())),
        mem,
        model: Model::default(),
        faults: Faults::default(),
        planted,
        report: Report { seed, trace: 0xcbf2_9ce4_8422_2325, ..Report::default() },
    };
    let mut life = world.recover()?;
    for _ in 0..ACTIONS {
        life = world.act(life)?;
    }
    world.set_faults(Faults::default());
    world.crash(true);
    world.recover()?;
    let counts = world.vfs.counts();
    let Report { lost, torn, full, .. } = &mut world.report;
    (*lost, *torn, *full) = (counts.lost, counts.torn, counts.full);
    Ok(world.report)
}

impl World {
    /// FNV-1a over what happens.
    fn trace(&mut self, what: &[u64]) {
        for byte in what.iter().flat_map(|n| n.to_le_bytes()) {
            self.report.trace = (self.report.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
        self.vfs.set_faults(faults);
    }

    /// One thing happens; the life may end in it and another begin.
    fn act(&mut self, mut life: Life) -> Result<Life, String> {
        let micros = self.rng.random_range(1..3000);
        self.clock.pass(micros);
        let action = self.rng.random_range(0..100_u32);
        self.trace(&[u64::from(action)]);
        match action {
            0..30 => self.propose(&mut life),
            30..60 => return self.advance(life, 1),
            60..72 => return self.advance(life, u32::MAX),
            72..80 => self.take_timestamps(&mut life)?,
            80..84 => self.checkpoint(&mut life)?,
            84..88 => life.durable.take().into_iter().for_each(|d| life.driver.step(Event::Durable(d))),
            88..91 => self.disturb(),
            91..93 => self.clock.jump(self.rng.random_range(-7_200_000..7_200_000)),
            93..95 => self.clock.pass(5_000_000),
            95..97 => return self.seal(life),
            97..98 => {
                drop(life);
                self.crash(false);
                return self.recover();
            }
            _ => {
                drop(life);
                self.crash(true);
                return self.recover();
            }
        }
        Ok(life)
    }

    fn propose(&mut self, life: &mut Life) {
        for _ in 0..self.rng.random_range(1..6) {
            let range = if self.rng.random_bool(0.2) { META } else { FIRST_DATA };
            let pad = if self.rng.random_bool(0.1) { self.rng.random_range(0..20_000) } else { 90 };
            let (key, deletes) = (self.rng.random_range(0..KEYS), self.rng.random_bool(0.1));
            let (id, batch) = self.model.propose(range, key, deletes, pad);
            life.driver.step(Event::Propose { range, batch, waiter: (range, id) });
        }
    }

    /// Advances up to `steps` steps; an error ends the process.
    fn advance(&mut self, mut life: Life, steps: u32) -> Result<Life, String> {
        if std::mem::take(&mut *life.asked.lock()) {
            life.driver.step(Event::RaiseTsoLimit);
        }
        for _ in 0..steps {
            let step = life.driver.advance();
            self.take_answers(&mut life)?;
            match step {
                Ok(Step::Idle) => break,
                Ok(step) => self.trace(&[step as u64]),
                Err(error) => return self.fail(life, &error),
            }
        }
        Ok(life)
    }

    fn seal(&mut self, mut life: Life) -> Result<Life, String> {
        match life.driver.seal() {
            Ok(()) => Ok(life),
            Err(error) => self.fail(life, &error),
        }
    }

    /// The process ends over an error that was put in; any other is a fault of the machine.
    fn fail(&mut self, life: Life, error: &Error) -> Result<Life, String> {
        drop(life);
        self.excuse(error)?;
        let power = self.vfs.crashed() || self.rng.random_bool(0.5);
        self.crash(power);
        self.recover()
    }

    fn excuse(&mut self, error: &Error) -> Result<(), String> {
        let put_in = self.vfs.crashed() || self.faults.eio_at.is_some() || self.faults.read_eio_at.is_some();
        if !put_in {
            return Err(format!("stopped without a fault: {error}"));
        }
        self.report.errors += 1;
        Ok(())
    }

    fn take_answers(&mut self, life: &mut Life) -> Result<(), String> {
        for ((range, id), answer) in life.driver.take_answers() {
            match answer {
                Ok(applied) => {
                    let heard = life.handler.0.lock().applied.contains(&(range, applied.index));
                    if !heard && self.planted.is_none() {
                        return Err(format!("command {id} answered before the handler heard of it"));
                    }
                    self.model.answered(range, id);
                    self.report.commits += 1;
                    self.trace(&[id, applied.index]);
                }
                Err(ProposeError::Unknown) => return Err("a one-voter group lost its lead".to_owned()),
                Err(_) => {
                    self.model.refused(range, id);
                    self.report.refused += 1;
                    self.trace(&[id]);
                }
            }
        }
        Ok(())
    }

    fn take_timestamps(&mut self, life: &mut Life) -> Result<(), String> {
        for _ in 0..self.rng.random_range(1..20) {
            match life.tso.try_next() {
                Ok(Some(ts)) => {
                    self.model.timestamp(ts)?;
                    self.report.timestamps += 1;
                    self.trace(&[ts.0]);
                }
                Ok(None) => break,
                Err(error) => return Err(format!("no timestamp while the meta group is led: {error}")),
            }
        }
        Ok(())
    }

    fn checkpoint(&mut self, life: &mut Life) -> Result<(), String> {
        self.engine.checkpoint().map_err(|e| e.to_string())?;
        self.report.checkpoints += 1;
        let ranges = self.engine.ranges().map_err(|e| e.to_string())?;
        let durable = ranges.iter().filter_map(|(range, _)| {
            let state = self.engine.persisted(*range).expect("memory does not fail")?;
            Some((*range, state.applied))
        });
        life.durable = Some(durable.collect());
        Ok(())
    }

    /// Something will go wrong soon, or a full disk has room again.
    fn disturb(&mut self) {
        let soon = self.rng.random_range(0..12);
        let faults = match self.rng.random_range(0..4) {
            0 => Faults { crash_at: Some(self.vfs.ops() + soon), ..Faults::default() },
            1 => Faults { eio_at: Some(self.vfs.ops() + soon), ..Faults::default() },
            2 => Faults { space: Some(self.vfs.used() + soon * 512), ..Faults::default() },
            _ => Faults::default(),
        };
        self.set_faults(faults);
    }

    /// The process is gone, and with `power` what the disk had not made durable. The engine is back at
    /// its last checkpoint either way.
    fn crash(&mut self, power: bool) {
        self.mem.crash();
        if power || self.vfs.crashed() {
            self.vfs = self.vfs.power_cut();
            self.report.cuts += 1;
        }
        // Some recoveries meet faults too.
        let soon = self.rng.random_range(0..8);
        let faults = match self.rng.random_range(0..4) {
            0 => Faults { crash_at: Some(self.vfs.ops() + soon), ..Faults::default() },
            _ => Faults::default(),
        };
        self.set_faults(faults);
    }

    /// Opens, replays, leads, and compares what came back.
    fn recover(&mut self) -> Result<Life, String> {
        for _ in 0..BROKEN_RECOVERIES {
            match self.try_recover() {
                Ok(life) => return self.check(life),
                Err(error) => {
                    self.excuse(&error)?;
                    self.report.broken_recoveries += 1;
                    self.crash(true);
                }
            }
        }
        self.set_faults(Faults::default());
        let life = self.try_recover().map_err(|e| format!("does not recover: {e}"))?;
        self.check(life)
    }

    fn try_recover(&mut self) -> Result<Life, Error> {
        let options = LogOptions { segment_bytes: 64 << 10, cache_bytes: 16 << 10, max_bytes: 256 << 10 };
        let log = RaftLog::open(Arc::new(self.vfs.clone()), Path::new("/log"), options)?;
        let asked = Arc::new(Mutex::new(false));
        let bell = Arc::clone(&asked);
        let tso = Arc::new(Tso::new(self.clock.clone(), Box::new(move || *bell.lock() = true)));
        let handler = Arc::new(Handler::default());
        let mut driver = Driver::open(Parts {
            node: NodeId(1),
            engine: Arc::clone(&self.engine),
            log,
            handler: handler.clone(),
            env: self.clock.clone(),
            tso: Arc::clone(&tso),
            transport: Box::new(LocalTransport),
            planted: self.planted,
        })?;
        driver.campaign_all();
        while driver.advance()? != Step::Idle {}
        if !driver.leads_all() {
            return Err(Error::NotReady);
        }
        Ok(Life { driver, tso, handler, asked, durable: None })
    }

    fn check(&mut self, life: Life) -> Result<Life, String> {
        self.report.unknown += self.model.recovered(&self.engine)?;
        for floor in &life.handler.0.lock().floors {
            self.model.floor(*floor)?;
        }
        let applied: Vec<u64> = life.driver.applied().into_iter().map(|(_, index)| index).collect();
        self.trace(&applied);
        Ok(life)
    }
}
