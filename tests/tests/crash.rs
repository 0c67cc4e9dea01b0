//! The engine on one thread, under a seed, crashes again and again: all tasks are dropped at some
//! step, and a new engine, with another number of shards, goes on from the checkpoint store and
//! from what stands in the sinks. The store fails, tears what it writes and is away; the sinks
//! fail and are away; the clock jumps. At the end everything equals a run without a crash, rows
//! of append-only tables are there once, and on the way nothing went back. So it is where queries
//! come and change meanwhile, at any instant between checkpoints and while the process is down.
//!
//! `TIDEWHEEL_SEEDS=10000` runs so many seeds; `TIDEWHEEL_SEED=17` runs that one.

mod simulation_support;

use simulation_support::oracle::{by_key, count_and_max};
use simulation_support::statements::{PER_WINDOW, TTL_SECONDS, batch, check_current, statements};
use simulation_support::statements::{compiled, earlier, registry, run_seeds, seeds, written};
use simulation_support::storage::SimulatedStorage;
use simulation_support::world::{Record, Shared, SimulatedEnv};
use simulation_support::{Row, SCRIPT, script};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tidewheel_checkpoint::lease::Owner;
use tidewheel_checkpoint::{CheckpointStore, Lease, Manifest, Storage};
use tidewheel_core::Env;
use tidewheel_runtime::checkpoint::checkpointer::CheckpointOptions;
use tidewheel_runtime::status::QueryState;
use tidewheel_runtime::task::{Executor, Simulation};
use tidewheel_runtime::{Engine, RunOptions};
use tidewheel_sql::plan::{Program, Query};

/// After so many steps it is looked whether the process has died.
const SLICE: usize = 1_000;
/// No JSON.
const BROKEN: &str = "{\"k\":";
/// Far more than a run takes.
const STEPS_MAX: usize = 20_000_000;

/// How far a clock is beside the true time, milliseconds.
fn clock_error(random: &mut fastrand::Rng) -> i64 {
    random.i64(-20_000..20_000)
}

/// Checkpoints that held increments of queries' own state, and of a source's.
static INCREMENTS: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An input with an end.
    Bounded,
    /// One without, and the same queries all the time.
    Live,
    /// One without, and queries that come and change.
    Changing,
    /// The same, but only while the process is down.
    Edited,
    /// An input with an end, and queries that come and change while the process is down.
    EditedBounded,
}

impl Kind {
    fn is_bounded(self) -> bool {
        matches!(self, Self::Bounded | Self::EditedBounded)
    }

    fn is_edited(self) -> bool {
        matches!(self, Self::Edited | Self::EditedBounded)
    }
}

/// How far a query has come that begins later than others, or changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Version {
    Absent,
    Earlier,
    Final,
}

/// What one seed decides.
struct World {
    random: fastrand::Rng,
    shared: Arc<Shared>,
    storage: Arc<SimulatedStorage>,
    program: Program,
    /// The program before its queries were changed.
    earlier: Program,
    /// By query, which version runs.
    versions: Vec<Version>,
    env: Arc<dyn Env>,
    kind: Kind,
    /// When the last record comes.
    last: Duration,
}

impl World {
    fn new(seed: u64, kind: Kind) -> (Self, Vec<Row>) {
        let mut random = fastrand::Rng::with_seed(seed);
        let (rows, mut records) = script(&mut random);
        repeat_some(&mut random, &mut records);
        break_some(&mut random, &mut records);
        let all = records.iter().flatten().map(|record| record.at);
        let last = all.max().unwrap_or_default();
        let shared = Shared::new(random.u64(..), records);
        let registry = registry(&shared);
        let ttl = if random.bool() { TTL_SECONDS } else { 3_600 };
        let text = statements(kind.is_bounded(), ttl);
        let earlier = compiled("crash.sql", earlier(&text), &registry);
        let program = compiled("crash.sql", text, &registry);
        let changes = kind == Kind::Changing || kind.is_edited();
        let version = |query: &Query| match random.u8(0..4) {
            // What was appended of a query that no checkpoint has would be there twice.
            _ if !changes || query.sink.is_append_only() => Version::Final,
            0..2 => Version::Absent,
            2 => Version::Earlier,
            _ => Version::Final,
        };
        let mut versions: Vec<Version> = program.queries.iter().map(version).collect();
        if kind.is_edited() {
            // A run without queries has ended.
            versions[0] = Version::Final;
        }
        let env: Arc<dyn Env> = Arc::new(SimulatedEnv::new(&shared, registry));
        let storage = Arc::new(SimulatedStorage::new(random.u64(..), &shared.death));
        let world = Self {
            random,
            shared,
            storage,
            program,
            earlier,
            versions,
            env,
            kind,
            last,
        };
        (world, rows)
    }

    /// The queries that are there by now, in their versions.
    fn current(&self) -> Program {
        let mut program = self.program.clone();
        let versions = self.versions.iter().zip(&self.program.queries);
        let earlier = self.earlier.queries.iter();
        let now = versions
            .zip(earlier)
            .filter_map(|((version, last), first)| {
                assert_eq!(last.name, first.name);
                match version {
                    Version::Absent => None,
                    Version::Earlier => Some(first.clone()),
                    Version::Final => Some(last.clone()),
                }
            });
        program.queries = now.collect();
        program
    }

    /// All queries are there in their last versions.
    fn is_final(&self) -> bool {
        self.versions
            .iter()
            .all(|version| *version == Version::Final)
    }

    /// Some queries come, or change. True if any did.
    fn change(&mut self, all: bool) -> bool {
        let before = self.versions.clone();
        for version in &mut self.versions {
            *version = match (all, self.random.u8(0..6)) {
                (true, _) | (false, 0) => Version::Final,
                (false, 1) => (*version).max(Version::Earlier),
                _ => *version,
            };
        }
        self.versions != before
    }

    /// No more rows come soon.
    fn is_late(&self) -> bool {
        self.shared.now() + Duration::from_secs(20) >= self.last
    }

    /// The names of some queries.
    fn some_names(&mut self) -> BTreeSet<String> {
        let queries = self.program.queries.iter();
        let names = queries.map(|query| query.name.clone());
        names.filter(|_| self.random.u8(0..3) == 0).collect()
    }

    /// A new process, perhaps the last one.
    fn start(&mut self, is_last: bool) -> (Engine, Arc<Simulation>) {
        self.storage.faults.store(0, Relaxed);
        self.shared.death.chance.store(0, Relaxed);
        self.shared.death.dead.store(false, Relaxed);
        let hidden = self.random.u8(0..6) == 0;
        self.shared.hidden.store(hidden, Relaxed);
        let storage: Arc<dyn Storage> = Arc::clone(&self.storage) as _;
        let store = CheckpointStore::new(storage, "simulated");
        let lease = Lease::claim(&store, Owner::default()).expect("no faults");
        let lease = lease.expect("alone");
        let options = RunOptions {
            shards: self.random.usize(1..4),
            decoders: self.random.usize(1..3),
            chunk_bytes: 1 << 20,
            checkpoints: Some(CheckpointOptions {
                interval: Duration::from_millis(self.random.u64(100..15_000)),
                keep: 2,
                ..CheckpointOptions::new(store, lease)
            }),
            ..RunOptions::default()
        };
        let simulation = Arc::new(Simulation::new(self.random.u64(..)));
        let executor: Arc<dyn Executor> = Arc::clone(&simulation) as _;
        let engine = if self.kind == Kind::Changing {
            if self.random.bool() {
                // Somebody has edited files while nothing ran.
                self.change(false);
            }
            let engine = Engine::live(&self.env, executor, &options);
            engine.apply(&self.current()).expect("starts");
            engine
        } else if self.kind.is_edited() {
            self.change(is_last);
            Engine::start(&self.current(), &self.env, executor, &options).expect("starts")
        } else {
            Engine::start(&self.program, &self.env, executor, &options).expect("starts")
        };
        if !self.is_late() && self.random.u8(0..4) == 0 {
            engine.set_paused(self.some_names());
        }
        self.storage.faults.store(self.random.u64(0..300), Relaxed);
        // What is read again comes in other batches.
        let chunk = [1, 12, 1_000][self.random.usize(0..3)];
        self.shared.chunk.store(chunk, Relaxed);
        let error = clock_error(&mut self.random);
        self.shared.clock_error_ms.store(error, Relaxed);
        (engine, simulation)
    }

    /// Lets the process die at some step that is seen outside: between progress, notes and values,
    /// between data and manifest, in the middle of an object.
    fn let_die(&mut self) {
        let chance = if self.random.bool() {
            self.random.u64(1..6)
        } else {
            0
        };
        self.shared.death.chance.store(chance, Relaxed);
    }

    /// Runs on after a stop, to the end or for a while.
    fn drain(&mut self, simulation: &Simulation) {
        let mut random = self.random.fork();
        let steps = random.usize(0..100_000);
        simulation.run(steps, |wait| {
            let wait = wait.max(Duration::from_millis(random.u64(1..80)));
            self.shared.pass(wait);
        });
    }

    /// Runs for some steps, to the process's death or to the end. True at the end.
    fn run(&mut self, engine: &Engine, simulation: &Simulation, steps: usize) -> bool {
        let mut random = self.random.fork();
        let shared = Arc::clone(&self.shared);
        let storage = Arc::clone(&self.storage);
        let kind = self.kind;
        let mut left = steps;
        let mut ends_at = None;
        let is_final = self.is_final();
        loop {
            let slice = left.min(SLICE);
            let over = shared.now().as_secs() >= SCRIPT as u64;
            if kind == Kind::Changing && (over || random.u8(0..4) == 0) && self.change(over) {
                engine.apply(&self.current()).expect("a sound program");
            }
            if self.is_late() {
                engine.set_paused(BTreeSet::new());
            }
            let done = simulation.run(slice, |wait| {
                shared.pass(wait.max(Duration::from_millis(random.u64(1..80))));
                let now = shared.now().as_secs();
                if random.u32(0..2_000) == 0 {
                    // Somebody has set the clock.
                    let error = clock_error(&mut random);
                    shared.clock_error_ms.store(error, Relaxed);
                }
                if now >= SCRIPT as u64 || random.u32(0..200) == 0 {
                    shared.hidden.store(false, Relaxed);
                }
                if now >= SCRIPT as u64 {
                    shared.faults.store(0, Relaxed);
                    storage.faults.store(0, Relaxed);
                }
                let ends = !kind.is_bounded() && (kind != Kind::Edited || is_final);
                if ends && now > 420 && is_caught_up(engine) {
                    // Some time for sinks to say how far they are, and for the last changes: who has
                    // not begun to write at a stop does not any more.
                    let ends_at = *ends_at.get_or_insert(now + 30);
                    if now > ends_at {
                        engine.stop();
                    }
                }
            });
            left -= slice;
            let dead = shared.death.dead.load(Relaxed);
            if done || dead || left == 0 {
                return done && !dead;
            }
        }
    }
}

/// Sends some records again, somewhere and soon after.
fn repeat_some(random: &mut fastrand::Rng, partitions: &mut [VecDeque<Record>]) {
    for _ in 0..random.usize(0..20) {
        let from = &partitions[random.usize(0..partitions.len())];
        if from.is_empty() {
            continue;
        }
        let mut record = from[random.usize(0..from.len())].clone();
        let later = record.at + Duration::from_millis(random.u64(0..60_000));
        record.at = later.min(Duration::from_secs(SCRIPT as u64));
        let into = random.usize(0..partitions.len());
        let place = partitions[into].partition_point(|other| other.at <= record.at);
        partitions[into].insert(place, record);
    }
}

/// Puts records between the others that nobody can read.
fn break_some(random: &mut fastrand::Rng, partitions: &mut [VecDeque<Record>]) {
    for _ in 0..random.usize(0..20) {
        let at = random.usize(0..partitions.len());
        let records = &mut partitions[at];
        if !records.is_empty() {
            let place = random.usize(0..records.len());
            let record = Record {
                text: BROKEN.to_owned(),
                ..records[place].clone()
            };
            records.insert(place, record);
        }
    }
}

/// Every record that nobody can read is told of. After a crash some are told of twice.
fn check_broken(shared: &Shared) {
    let partitions = shared.partitions.lock().expect("no panic");
    let mut expected = BTreeSet::new();
    for (number, records) in partitions.iter().enumerate() {
        let broken = records.iter().enumerate().filter(|(_, r)| r.text == BROKEN);
        expected.extend(broken.map(|(offset, _)| (number as i64, offset as i64)));
    }
    let appended = shared.appended.lock().expect("no panic");
    let told = appended.get("broken").into_iter().flatten().map(|line| {
        let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let of = |name: &str| row[name].as_i64().expect("a number");
        (of("partition"), of("offset"))
    });
    assert_eq!(told.collect::<BTreeSet<_>>(), expected, "broken records");
}

/// No query reads history.
fn is_caught_up(engine: &Engine) -> bool {
    let reads = |state: &QueryState| matches!(state, QueryState::CatchingUp { .. });
    !engine.queries().iter().any(|query| reads(&query.state))
}

fn run(seed: u64, kind: Kind) {
    let (mut world, rows) = World::new(seed, kind);
    world.shared.faults.store(world.random.u64(0..80), Relaxed);
    let mut crashes = world.random.u32(1..8);
    if let Ok(given) = std::env::var("TIDEWHEEL_CRASHES") {
        crashes = given.parse().expect("a number");
    }
    let (engine, simulation) = loop {
        let (engine, simulation) = world.start(crashes == 0);
        // From the first steps of a start to long quiet runs.
        let magnitude = world.random.u32(1..6);
        let steps = world.random.usize(0..10_usize.pow(magnitude));
        if crashes > 0 {
            world.let_die();
        }
        let done = world.run(&engine, &simulation, steps);
        if crashes == 0 || done && (!kind.is_edited() || world.is_final()) {
            break (engine, simulation);
        }
        crashes -= 1;
        if world.random.u8(0..3) == 0 && !world.shared.death.dead.load(Relaxed) {
            // Somebody stops it, and may not wait for it.
            engine.stop();
            world.drain(&simulation);
        }
        world.shared.death.dead.store(true, Relaxed);
        if std::env::var_os("TIDEWHEEL_TRACE").is_some() {
            eprintln!(
                "crash after {steps} steps at {:?}: {:?}",
                world.shared.now(),
                engine.checkpoints()
            );
        }
        assert_eq!(engine.errors().len(), 0, "{:?}", engine.errors());
        simulation.crash();
        if world.random.bool() {
            // Nobody starts it again for a while.
            let away = Duration::from_millis(world.random.u64(0..20_000));
            world.shared.pass(away);
        }
        if world.storage.is_empty() {
            // A run that no checkpoint was taken of begins anew, with new files.
            world.shared.appended.lock().expect("no panic").clear();
        }
    };
    count_increments(&world.storage);
    world.shared.death.chance.store(0, Relaxed);
    world.shared.death.dead.store(false, Relaxed);
    assert!(
        world.run(&engine, &simulation, STEPS_MAX),
        "it does not end"
    );
    assert_eq!(engine.errors().len(), 0, "{:?}", engine.errors());
    let shared = &world.shared;
    let summary = engine.summary();
    assert_eq!(summary.late, 0);
    check_broken(shared);
    let frontier = if kind.is_bounded() {
        rows.iter().map(|row| row.ts).max().unwrap_or(0)
    } else {
        let reached = engine.sources()[0].frontier_ms.expect("rows came");
        reached * 1_000
    };
    if std::env::var_os("TIDEWHEEL_TRACE").is_some() {
        eprintln!("ends at {:?}, wall {}", shared.now(), shared.wall_ms());
        eprintln!("{:?}", shared.tables.lock().expect("fine").get("hop_now"));
    }
    check_current(shared, &rows, frontier, "at the end");
    if kind.is_bounded() {
        let all = by_key(&rows, count_and_max);
        assert_eq!(shared.visible("now_and_then"), all, "EMIT ON CHANGE EVERY");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        for query in PER_WINDOW {
            let expected = batch(query, &rows, &runtime);
            assert_eq!(written(query, shared), expected, "{}", query.table);
        }
    }
}

fn count_increments(storage: &SimulatedStorage) {
    let objects = storage.inner.objects.lock();
    for (_, object) in objects
        .iter()
        .filter(|(name, _)| name.contains("manifest-"))
    {
        let Ok(text) =
            tidewheel_checkpoint::envelope::open(tidewheel_checkpoint::Kind::Manifest, object)
        else {
            continue;
        };
        let manifest: Manifest = serde_json::from_slice(text).expect("a manifest");
        let mut queries = manifest.sources.iter().flat_map(|source| &source.queries);
        let of_queries = queries.any(|query| !query.before.is_empty());
        let of_sources = manifest
            .sources
            .iter()
            .any(|source| !source.scan_before.is_empty());
        INCREMENTS[0].fetch_add(usize::from(of_queries), Relaxed);
        INCREMENTS[1].fetch_add(usize::from(of_sources), Relaxed);
    }
}

fn run_all(test: &str, kind: Kind, default: u64) {
    run_seeds("crash", test, default, |seed| run(seed, kind));
    if seeds(default).len() > 10 {
        for count in &INCREMENTS {
            assert!(count.load(Relaxed) > 0, "nothing was saved by increments");
        }
    }
}

#[test]
fn a_bounded_input_ends_as_if_nothing_had_crashed() {
    run_all(
        "a_bounded_input_ends_as_if_nothing_had_crashed",
        Kind::Bounded,
        40,
    );
}

#[test]
fn live_values_end_as_if_nothing_had_crashed() {
    run_all("live_values_end_as_if_nothing_had_crashed", Kind::Live, 40);
}

#[test]
fn changed_queries_end_as_if_nothing_had_crashed() {
    run_all(
        "changed_queries_end_as_if_nothing_had_crashed",
        Kind::Changing,
        40,
    );
}

#[test]
fn live_queries_edited_between_runs_end_as_if_nothing_had_crashed() {
    run_all(
        "live_queries_edited_between_runs_end_as_if_nothing_had_crashed",
        Kind::Edited,
        40,
    );
}

#[test]
fn queries_edited_between_runs_of_a_bounded_input_end_as_if_nothing_had_crashed() {
    run_all(
        "queries_edited_between_runs_of_a_bounded_input_end_as_if_nothing_had_crashed",
        Kind::EditedBounded,
        40,
    );
}
