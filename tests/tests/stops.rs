//! What becomes of queries that join while something ends. A stop ends, whatever is under way:
//! queries that read history, that have been told to join the live reading and have not yet, a
//! source or a sink that is away. A history that fails ends its query, and no other. The engine runs
//! on one thread, under a seed.
//!
//! `TIDEWHEEL_SEEDS=1000` runs so many seeds; `TIDEWHEEL_SEED=17` runs that one.

mod simulation_support;

use simulation_support::oracle::CURRENT;
use simulation_support::statements::{check_table, compiled, earlier};
use simulation_support::statements::{registry, run_seeds, seeds, statements};
use simulation_support::storage::SimulatedStorage;
use simulation_support::world::{Shared, SimulatedEnv};
use simulation_support::{Row, SCRIPT, script};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tidewheel_checkpoint::lease::Owner;
use tidewheel_checkpoint::{CheckpointStore, Lease, Storage};
use tidewheel_core::Env;
use tidewheel_runtime::checkpoint::checkpointer::CheckpointOptions;
use tidewheel_runtime::memory::MemoryLimit;
use tidewheel_runtime::status::QueryState;
use tidewheel_runtime::task::{Executor, Simulation};
use tidewheel_runtime::{Engine, RunOptions};
use tidewheel_sql::plan::Program;

/// What the process may use, bytes: far more than it does.
const MEMORY: u64 = 1 << 40;
/// A stop takes no longer, in the simulation's time.
const STOP_MAX: Duration = Duration::from_secs(60);

/// Runs for some time. True at the end.
fn runs_out(simulation: &Simulation, shared: &Shared, time: Duration) -> bool {
    let until = shared.now() + time;
    while shared.now() < until {
        if simulation.run(1_000, |wait| {
            shared.pass(wait.max(Duration::from_millis(10)));
        }) {
            return true;
        }
    }
    false
}

/// Some queries run, and more are to come.
struct World {
    shared: Arc<Shared>,
    rows: Vec<Row>,
    env: Arc<dyn Env>,
    /// What runs first.
    begun: Program,
    program: Program,
}

impl World {
    fn new(seed: u64) -> (fastrand::Rng, Self) {
        let mut random = fastrand::Rng::with_seed(seed);
        let (rows, records) = script(&mut random);
        let shared = Shared::new(random.u64(..), records);
        let registry = registry(&shared);
        let text = statements(false, 3_600);
        let mut begun = compiled("stops.sql", earlier(&text), &registry);
        begun.queries.truncate(5);
        let program = compiled("stops.sql", text, &registry);
        let world = Self {
            env: Arc::new(SimulatedEnv::new(&shared, registry)),
            shared,
            rows,
            begun,
            program,
        };
        (random, world)
    }

    fn start(&self, random: &mut fastrand::Rng) -> (Engine, Arc<Simulation>) {
        let used = Arc::clone(&self.shared);
        let options = RunOptions {
            shards: random.usize(1..4),
            memory: Some(MemoryLimit {
                bytes: MEMORY,
                used: Arc::new(move || Some(used.memory.load(Relaxed))),
            }),
            ..RunOptions::default()
        };
        let simulation = Arc::new(Simulation::new(random.u64(..)));
        let executor: Arc<dyn Executor> = Arc::clone(&simulation) as _;
        let engine = Engine::live(&self.env, executor, &options);
        engine.apply(&self.begun).expect("starts");
        (engine, simulation)
    }
}

fn stop_while_queries_join(seed: u64) {
    let (mut random, world) = World::new(seed);
    let (engine, simulation) = world.start(&mut random);
    let shared = &world.shared;
    let pass = |wait: Duration| shared.pass(wait.max(Duration::from_millis(10)));
    simulation.run(random.usize(0..50_000), pass);
    engine.apply(&world.program).expect("changes");
    // From the first steps of a history to after its end.
    let magnitude = random.u32(1..5);
    simulation.run(random.usize(0..10_usize.pow(magnitude)), pass);
    if random.u8(0..4) == 0 {
        // Memory is short from here on.
        shared.memory.store(MEMORY, Relaxed);
        simulation.run(random.usize(0..2_000), pass);
    }
    let away = random.bool();
    shared.away.store(away, Relaxed);
    simulation.run(random.usize(0..2_000), pass);
    if random.bool() {
        // Who has come goes again.
        engine.apply(&world.begun).expect("changes");
        simulation.run(random.usize(0..2_000), pass);
    }
    engine.stop();
    let ended = runs_out(&simulation, shared, STOP_MAX);
    let left = || simulation.names();
    assert!(
        ended || away,
        "a stop hangs although all is there: {:?}",
        left()
    );
    if !ended {
        engine.give_up();
        let ended = runs_out(&simulation, shared, STOP_MAX);
        assert!(
            ended,
            "it does not end although it was given up: {:?}",
            left()
        );
    }
    assert_eq!(engine.errors().len(), 0, "{:?}", engine.errors());
}

#[test]
fn a_stop_ends_while_queries_join() {
    let test = "a_stop_ends_while_queries_join";
    run_seeds("stops", test, 100, stop_while_queries_join);
}

/// How many queries have failed, and how many have joined.
static OUTCOMES: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

fn fail_while_queries_join(seed: u64) {
    let (mut random, world) = World::new(seed);
    let (engine, simulation) = world.start(&mut random);
    let shared = &world.shared;
    let pass = |wait: Duration| shared.pass(wait.max(Duration::from_millis(10)));
    simulation.run(random.usize(0..50_000), pass);
    shared.history_fails.store(random.u64(20..500), Relaxed);
    engine.apply(&world.program).expect("changes");
    let after = Duration::from_secs(SCRIPT as u64 + 30);
    let time = after.saturating_sub(shared.now());
    assert!(!runs_out(&simulation, shared, time));
    let mut failed = 0;
    for query in engine.queries() {
        match query.state {
            QueryState::Running => OUTCOMES[1].fetch_add(1, Relaxed),
            QueryState::Failed { message } => {
                assert!(message.contains("history"), "{message}");
                failed += 1;
                OUTCOMES[0].fetch_add(1, Relaxed)
            }
            other => panic!("{} is {other:?}", query.name),
        };
    }
    assert!(engine.errors().len() >= failed, "{:?}", engine.errors());
    engine.stop();
    let ended = runs_out(&simulation, shared, STOP_MAX);
    assert!(ended, "it does not end: {:?}", simulation.names());
    let frontier = engine.sources()[0].frontier_ms.expect("rows came") * 1_000;
    let statuses = engine.queries();
    for query in CURRENT {
        let status = statuses.iter().find(|status| status.table == query.table);
        if status.is_some_and(|status| status.state == QueryState::Running) {
            check_table(query, shared, &world.rows, frontier, "at the end");
        }
    }
}

#[test]
fn a_history_that_fails_ends_its_query_alone() {
    let test = "a_history_that_fails_ends_its_query_alone";
    run_seeds("stops", test, 30, fail_while_queries_join);
    if seeds(30).len() > 10 {
        let [failed, joined] = &OUTCOMES;
        assert!(failed.load(Relaxed) > 0 && joined.load(Relaxed) > 0);
    }
}

/// Who has not learned from a sink how far its values are, writes nothing: a stop need not wait.
#[test]
fn a_stop_waits_for_no_sink_to_which_nothing_will_be_written() {
    let mut random = fastrand::Rng::with_seed(1);
    let (_, records) = script(&mut random);
    let shared = Shared::new(1, records);
    let registry = registry(&shared);
    let program = compiled("stops.sql", statements(false, 3_600), &registry);
    let env: Arc<dyn Env> = Arc::new(SimulatedEnv::new(&shared, registry));
    let storage: Arc<dyn Storage> = Arc::new(SimulatedStorage::new(1, &shared.death));
    let start = |seed: u64| {
        let store = CheckpointStore::new(Arc::clone(&storage), "simulated");
        let lease = Lease::claim(&store, Owner::default()).expect("no faults");
        let options = RunOptions {
            checkpoints: Some(CheckpointOptions {
                interval: Duration::from_secs(10),
                ..CheckpointOptions::new(store, lease.expect("alone"))
            }),
            ..RunOptions::default()
        };
        let simulation = Arc::new(Simulation::new(seed));
        let executor: Arc<dyn Executor> = Arc::clone(&simulation) as _;
        let engine = Engine::start(&program, &env, executor, &options).expect("starts");
        (engine, simulation)
    };
    let (_engine, simulation) = start(1);
    assert!(!runs_out(&simulation, &shared, Duration::from_secs(60)));
    simulation.crash();
    let before = shared.visible("lifetime");
    assert!(!before.is_empty());
    let down = ("lifetime".to_owned(), Duration::from_secs(86_400));
    *shared.down.lock().expect("no panic") = Some(down);
    let (engine, simulation) = start(2);
    assert!(!runs_out(&simulation, &shared, Duration::from_secs(5)));
    engine.stop();
    assert!(runs_out(&simulation, &shared, STOP_MAX), "it waits");
    assert_eq!(shared.visible("lifetime"), before);
}
