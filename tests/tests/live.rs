//! Queries come and go while events flow, on threads, over an embedded log: each query that runs
//! in the end must hold what a run of it alone over the whole log computes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tidewheel_connectors::log::{LogConfig, LogWriter, Record};
use tidewheel_connectors::store::{StoreReader, Value};
use tidewheel_core::env::SystemEnv;
use tidewheel_core::{Env, SourceText};
use tidewheel_runtime::status::QueryState;
use tidewheel_runtime::{RunOptions, Running};
use tidewheel_simulator::{Simulator, SimulatorConfig};
use tidewheel_sql::plan::Program;

/// How long the engine may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(120);

const PARTITIONS: u32 = 3;

/// What a query may be; `{t}` is its table.
const SHAPES: &[&str] = &[
    "SELECT user_key, COUNT(*), SUM(payload.product.price) FROM TABLE(HOP(TABLE e, DESCRIPTOR(`timestamp`), INTERVAL '30' SECOND, INTERVAL '5' MINUTE)) GROUP BY user_key, window_start, window_end",
    "SELECT user_key, COUNT(DISTINCT payload.product.id), AVG(payload.product.price) FROM TABLE(HOP(TABLE e, DESCRIPTOR(`timestamp`), INTERVAL '10' SECOND, INTERVAL '20' MINUTE)) WHERE type = 'product_view' GROUP BY user_key, window_start, window_end",
    "SELECT user_key, COUNT(*), MAX(payload.product.price) FROM TABLE(TUMBLE(TABLE e, DESCRIPTOR(`timestamp`), INTERVAL '10' MINUTE)) GROUP BY user_key, window_start, window_end",
    "SELECT user_key, COUNT(*), MIN(payload.cart.total_value) FROM TABLE(SESSION(TABLE e PARTITION BY user_key, DESCRIPTOR(`timestamp`), INTERVAL '2' MINUTE)) GROUP BY user_key, window_start, window_end",
    "SELECT user_key, COUNT(*), SUM(payload.product.price) FROM e GROUP BY user_key",
    "SELECT user_key, COUNT(*) FILTER (WHERE changed), CAST(NULL AS DOUBLE) FROM (SELECT user_key, p <> LAG(p) OVER (PARTITION BY user_key ORDER BY `timestamp`) AS changed FROM (SELECT user_key, payload.product.id AS p, `timestamp` FROM e WHERE type = 'product_view')) GROUP BY user_key",
    "SELECT payload.product.category, COUNT(*), SUM(payload.product.price) FROM TABLE(HOP(TABLE e, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE, INTERVAL '10' MINUTE)) WHERE payload.product.category IS NOT NULL GROUP BY payload.product.category, window_start, window_end",
    "SELECT user_key, COUNT(*), CAST(NULL AS DOUBLE) FROM TABLE(CUMULATE(TABLE e, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE, INTERVAL '15' MINUTE)) WHERE type = 'page_view' GROUP BY user_key, window_start, window_end",
];

/// One query: its name, which of [`SHAPES`], and a number of its own for its keys.
type Running1 = (String, usize, u64);

fn source(log: &Path, bounded: bool) -> String {
    let mode = if bounded {
        "'latest-offset'"
    } else {
        "'unbounded'"
    };
    format!(
        "CREATE TABLE e (id STRING, type STRING, `timestamp` TIMESTAMP(3),
           payload ROW<product ROW<id STRING, category STRING, price DOUBLE>, cart ROW<total_value DOUBLE>>,
           enrich ROW<`user` ROW<user_id STRING, domain_userid STRING>>,
           user_key AS COALESCE(NULLIF(enrich.`user`.user_id, ''), NULLIF(enrich.`user`.domain_userid, '')),
           WATERMARK FOR `timestamp` AS `timestamp` - INTERVAL '5' SECOND)
         WITH ('connector' = 'log', 'path' = '{}', 'format' = 'json', 'scan.bounded.mode' = {mode},
               'scan.watermark.idle-timeout' = '1 h', 'dedup.key' = 'id', 'dedup.window' = '10 min');",
        log.display()
    )
}

fn query(store: &Path, (name, shape, number): &Running1) -> String {
    format!(
        "CREATE TABLE {name}_table (k STRING, n BIGINT, v DOUBLE, PRIMARY KEY (k) NOT ENFORCED)
         WITH ('connector' = 'store', 'path' = '{}', 'layout' = 'string', 'key' = '{name}.{number}:{{k}}:{{column}}',
               'on-empty' = 'delete');
         INSERT INTO {name}_table {};",
        store.display(),
        SHAPES[*shape]
    )
}

fn compile(log: &Path, store: &Path, queries: &[Running1], bounded: bool) -> Program {
    let mut registry = tidewheel_connectors::registry();
    tidewheel_formats::register(&mut registry);
    let mut texts = vec![Arc::new(SourceText {
        name: "events.sql".into(),
        text: source(log, bounded),
    })];
    for one in queries {
        texts.push(Arc::new(SourceText {
            name: format!("{}.sql", one.0),
            text: query(store, one),
        }));
    }
    let context = tidewheel_sql::CompileContext::new(&registry);
    tidewheel_sql::compile(&texts, &context).unwrap_or_else(|errors| panic!("{errors}"))
}

fn environment() -> Arc<dyn Env> {
    let mut registry = tidewheel_connectors::registry();
    tidewheel_formats::register(&mut registry);
    Arc::new(SystemEnv::new(registry))
}

/// The values whose keys begin with one of the queries' names.
fn values(store: &Path, queries: &[Running1], env: &Arc<dyn Env>) -> BTreeMap<String, String> {
    let Ok(store) = StoreReader::open(store) else {
        return BTreeMap::new();
    };
    let prefixes: Vec<String> = queries
        .iter()
        .map(|(name, _, n)| format!("{name}.{n}:"))
        .collect();
    store
        .iter(env.wall_ms())
        .filter(|(key, _)| {
            prefixes
                .iter()
                .any(|prefix| key.starts_with(prefix.as_str()))
        })
        .map(|(key, entry)| {
            let Value::Text(text) = &entry.value else {
                panic!("{key} is no text");
            };
            (key.to_owned(), text.clone())
        })
        .collect()
}

/// Appends events until told to stop. Returns how many.
fn write(log: &Path, seed: u64, stop: &AtomicBool, written: &AtomicU64) {
    let config = LogConfig {
        partitions: Some(PARTITIONS),
        ..LogConfig::default()
    };
    let mut writer = LogWriter::open(log, &config).expect("log");
    let mut simulator = Simulator::new(SimulatorConfig {
        seed,
        shoppers: 400,
        events_per_second: 8.0,
        disorder_ms: 3_000,
        repeat: 0.02,
        ..SimulatorConfig::default()
    })
    .expect("config");
    let mut line = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..50 {
            line.clear();
            let event = simulator.write_next(&mut line);
            while line.last() == Some(&b'\n') {
                line.pop();
            }
            let record = Record {
                timestamp_ms: event.arrival_ms,
                key: None,
                value: Some(&line),
            };
            let partition = event.shopper % PARTITIONS;
            writer.append(partition, &[record]).expect("appends");
            written.fetch_add(1, Ordering::Relaxed);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    writer.flush().expect("flushes");
}

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
