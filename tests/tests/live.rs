//! Queries come and go while events flow, on threads, over an embedded log: each query that runs
//! in the end must hold what a run of it alone over the whole log computes.

mod support_live;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support_live::{Running1, SHAPES, compile, environment, values, write};
use tidewheel_core::Env;
use tidewheel_runtime::status::QueryState;
use tidewheel_runtime::{RunOptions, Running};

/// How long the engine may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(120);

/// Stops the writer, also when the test fails.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits until all events are read and every query follows its source.
fn rest(running: &Running, queries: &[Running1], written: u64) {
    let begin = Instant::now();
    loop {
        let statuses = running.engine.queries();
        let sources = running.engine.sources();
        let read: u64 = sources.iter().map(|source| source.counters.rows_in).sum();
        let following = statuses
            .iter()
            .all(|status| status.state == QueryState::Running);
        let behind = sources.iter().any(|source| source.behind);
        if following
            && statuses.len() == queries.len()
            && !behind
            && (read >= written || queries.is_empty())
        {
            return;
        }
        assert!(
            begin.elapsed() < PATIENCE,
            "not at rest: {read} of {written} read, {statuses:?}, {:?}",
            running.engine.errors()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Watches how long the values of each running query stand still, until told to stop: the
/// longest time without an acknowledged change, while events flow, and whose it was.
fn watch(running: &Running, env: &Arc<dyn Env>, stop: &AtomicBool) -> (i64, String) {
    let mut longest = (0, String::new());
    while !stop.load(Ordering::Relaxed) {
        let now = env.wall_ms();
        for status in running.engine.queries() {
            // One that begins or is replaced has not changed anything yet.
            if let (QueryState::Running, Some(last)) = (status.state, status.last_change_ms)
                && now - last > longest.0
            {
                longest = (now - last, status.name);
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    longest
}

fn run(seed: u64, changes: usize, shards: usize) {
    let folder = tempfile::tempdir().expect("folder");
    let (log, store) = (folder.path().join("log"), folder.path().join("store"));
    let env = environment();
    let options = RunOptions {
        shards,
        decoders: 2,
        ..RunOptions::default()
    };
    let running = Running::live(&env, &options);
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut queries: Vec<Running1> = Vec::new();
    let stall = std::thread::scope(|scope| {
        scope.spawn(|| write(&log, seed, &stop, &written));
        let stops = StopOnDrop(&stop);
        let watching = scope.spawn(|| watch(&running, &env, &stop));
        let begin = Instant::now();
        while written.load(Ordering::Relaxed) == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        for change in 0..changes as u64 {
            let shape = random.usize(..SHAPES.len());
            match random.u8(..4) {
                0 if queries.len() > 2 => {
                    queries.swap_remove(random.usize(..queries.len()));
                }
                1 if !queries.is_empty() => {
                    let at = random.usize(..queries.len());
                    queries[at] = (queries[at].0.clone(), shape, change);
                }
                _ if queries.len() < 8 => queries.push((format!("q{change}"), shape, change)),
                _ => {}
            }
            let program = compile(&log, &store, &queries, false);
            running.engine.apply(&program).expect("applies");
            std::thread::sleep(Duration::from_millis(random.u64(..60)));
        }
        let seconds = begin.elapsed().as_secs_f64();
        drop(stops);
        let (ms, name) = watching.join().expect("no panic");
        let rate = written.load(Ordering::Relaxed) as f64 / seconds;
        format!("at {rate:.0} events/s; longest time without a change {ms} ms ({name})")
    });
    let written = written.load(Ordering::Relaxed);
    // What one run over everything computes.
    let reference = folder.path().join("reference");
    let whole = Running::start(&compile(&log, &reference, &queries, true), &env, &options);
    let whole = whole.expect("starts");
    let groups: usize = whole.engine.sources().iter().map(|s| s.key_groups).sum();
    whole.wait().expect("ends");
    let want = values(&reference, &queries, &env);
    assert!(!want.is_empty());
    rest(&running, &queries, written);
    let begin = Instant::now();
    loop {
        let got = values(&store, &queries, &env);
        if got == want {
            break;
        }
        if begin.elapsed() > PATIENCE / 4 {
            let differ = |key: &&String| got.get(*key) != want.get(*key);
            let keys: std::collections::BTreeSet<&String> = got.keys().chain(want.keys()).collect();
            let wrong: Vec<_> = keys.iter().copied().filter(differ).collect();
            let shown = wrong
                .iter()
                .take(12)
                .map(|key| (key, got.get(*key), want.get(*key)));
            panic!(
                "seed {seed}: {} of {} values differ (live, whole): {:#?}\nqueries {queries:?}",
                wrong.len(),
                want.len(),
                shown.collect::<Vec<_>>()
            );
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // However they came, they share what they would share had they begun together.
    let shared: usize = running.engine.sources().iter().map(|s| s.key_groups).sum();
    assert_eq!(shared, groups, "seed {seed}: {queries:?}");
    running.engine.stop();
    running.wait().expect("ends well");
    println!(
        "seed {seed}: {changes} changes, {written} events, {} values alike, {stall}",
        want.len()
    );
}

#[test]
fn queries_come_and_go_while_events_flow() {
    let changes = std::env::var("LIVE_CHANGES")
        .ok()
        .and_then(|text| text.parse().ok());
    let seeds = std::env::var("LIVE_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok());
    for seed in 0..seeds.unwrap_or(2) {
        run(seed, changes.unwrap_or(40), 1 + seed as usize % 3);
    }
}
