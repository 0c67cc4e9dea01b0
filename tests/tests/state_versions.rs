//! Checkpoints with the state of every kind of operator, each written by the program of one version of
//! the format and kept for ever: every later program goes on from them as if it had written them.
//!
//! `fixtures/state/v<version>` holds the queries, the records of all partitions, what the sinks had
//! appended, and the store's objects. It was written once, by
//! `cargo test --release --workspace --test state_versions -- --ignored`, which refuses to write
//! it again.

mod simulation_support;

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use serde_json::{Value, json};
use simulation_support::oracle::CURRENT;
use simulation_support::statements::{
    PER_WINDOW, batch, check_table, compiled, registry, statements, written,
};
use simulation_support::storage::SimulatedStorage;
use simulation_support::world::{BEGIN, Record, Shared, SimulatedEnv};
use simulation_support::{Row, script};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tidewheel_checkpoint::lease::Owner;
use tidewheel_checkpoint::{CheckpointStore, Lease, Storage, envelope};
use tidewheel_core::Env;
use tidewheel_runtime::checkpoint::checkpointer::CheckpointOptions;
use tidewheel_runtime::status::QueryState;
use tidewheel_runtime::task::{Executor, Simulation};
use tidewheel_runtime::{Engine, RunOptions};

/// When the state was saved, since the script's start.
const SAVED_AT: Duration = Duration::from_secs(155);
/// Far more than a run takes.
const STEPS_MAX: usize = 20_000_000;

fn folder(version: u16) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/state/v{version}"))
}

/// An engine over a world that a seed does not decide.
fn start(
    text: &str,
    shared: &Arc<Shared>,
    storage: &Arc<SimulatedStorage>,
    shards: usize,
) -> (Engine, Arc<Simulation>) {
    let registry = registry(shared);
    let program = compiled("state.sql", text.to_owned(), &registry);
    let env: Arc<dyn Env> = Arc::new(SimulatedEnv::new(shared, registry));
    let store = CheckpointStore::new(Arc::clone(storage) as Arc<dyn Storage>, "simulated");
    let lease = Lease::claim(&store, Owner::default()).expect("no faults");
    let options = RunOptions {
        shards,
        checkpoints: Some(CheckpointOptions {
            interval: Duration::from_secs(10),
            ..CheckpointOptions::new(store, lease.expect("alone"))
        }),
        ..RunOptions::default()
    };
    let simulation = Arc::new(Simulation::new(1));
    let executor: Arc<dyn Executor> = Arc::clone(&simulation) as _;
    let engine = Engine::start(&program, &env, executor, &options).expect("starts");
    (engine, simulation)
}

/// Runs until `until`, or to the end of the input: then true.
fn run(shared: &Shared, simulation: &Simulation, until: Duration) -> bool {
    for _ in 0..STEPS_MAX / 100 {
        let pass = |wait: Duration| shared.pass(wait.max(Duration::from_millis(20)));
        if simulation.run(100, pass) {
            return true;
        }
        if shared.now() >= until {
            return false;
        }
    }
    panic!("it does not end");
}

#[test]
#[ignore = "writes the fixtures, once"]
fn write_the_state() {
    let folder = folder(envelope::VERSION);
    assert!(!folder.exists(), "it is kept as it is for ever");
    let scripts = (0..).map(|seed| script(&mut fastrand::Rng::with_seed(seed)).1);
    let mut partitions = scripts
        .filter(|partitions| partitions.len() == 3)
        .find(|partitions| partitions.iter().map(VecDeque::len).sum::<usize>() > 100)
        .expect("there is one");
    let mut lines = Vec::new();
    let last = partitions.len() - 1;
    for (number, partition) in partitions.clone().into_iter().enumerate() {
        for (at, record) in partition.into_iter().enumerate() {
            if at % 8 == 0 && number < last {
                // It comes again, soon or after the state was saved.
                let repeat = Record {
                    at: record.at + Duration::from_secs(if at % 16 == 0 { 2 } else { 60 }),
                    ..record
                };
                partitions[last].push_back(repeat);
            }
        }
    }
    partitions[last]
        .make_contiguous()
        .sort_by_key(|record| record.at);
    for (number, partition) in partitions.iter().enumerate() {
        for Record { at, text } in partition {
            let at = at.as_millis() as u64;
            lines.push(json!({ "partition": number, "at": at, "text": text }).to_string());
        }
    }
    let text = statements(true, 3_600);
    let shared = Shared::new(1, partitions);
    let storage = Arc::new(SimulatedStorage::new(1, &shared.death));
    let (engine, simulation) = start(&text, &shared, &storage, 2);
    assert!(
        !run(&shared, &simulation, SAVED_AT),
        "there is more to read"
    );
    let written = engine.checkpoints().expect("they are on").written;
    assert!(
        written > 4,
        "several, so that there are increments: {written}"
    );
    let store = CheckpointStore::new(Arc::clone(&storage) as Arc<dyn Storage>, "simulated");
    store.retain(1).expect("no faults");
    std::fs::create_dir_all(&folder).expect("a folder");
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).expect(name);
    write("queries.sql", text.as_bytes());
    write("records.jsonl", (lines.join("\n") + "\n").as_bytes());
    let appended = shared.appended.lock().expect("no panic");
    write(
        "appended.json",
        serde_json::to_string_pretty(&*appended)
            .expect("JSON")
            .as_bytes(),
    );
    for (name, bytes) in &*storage.inner.objects.lock() {
        let (_, name) = name.split_once('/').expect("the pipeline's folder");
        if name.starts_with("data-") || name.starts_with("manifest-") {
            write(name, bytes);
        }
    }
    simulation.crash();
}

/// The records of all partitions, and their rows, each once.
fn records(lines: &str) -> (Vec<VecDeque<Record>>, Vec<Row>) {
    let (mut partitions, mut rows) = (Vec::new(), BTreeMap::new());
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let partition = line["partition"].as_u64().expect("a number") as usize;
        let text = line["text"].as_str().expect("text").to_owned();
        let at = Duration::from_millis(line["at"].as_u64().expect("a number"));
        partitions.resize(partitions.len().max(partition + 1), VecDeque::new());
        let record: Value = serde_json::from_str(&text).expect("JSON");
        // Few and short, and for as long as the test runs.
        let word = |name: &str| record[name].as_str().map(|text| &*text.to_owned().leak());
        let ts = string_to_timestamp_nanos(word("ts").expect("a time")).expect("a time") / 1_000;
        let (k, v, s) = (word("k"), record["v"].as_i64(), word("s"));
        rows.insert(ts, Row { k, v, s, ts });
        partitions[partition].push_back(Record { at, text });
    }
    (partitions, rows.into_values().collect())
}

fn goes_on(version: u16, shards: usize) {
    let folder = folder(version);
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect(name);
    let text = read("queries.sql");
    let (partitions, rows) = records(&read("records.jsonl"));
    let shared = Shared::new(1, partitions);
    *shared.appended.lock().expect("no panic") =
        serde_json::from_str(&read("appended.json")).expect("JSON");
    let storage = Arc::new(SimulatedStorage::new(1, &shared.death));
    for entry in std::fs::read_dir(&folder).expect("a folder") {
        let path = entry.expect("a file").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("UTF-8");
        if name.starts_with("data-") || name.starts_with("manifest-") {
            let bytes = std::fs::read(&path).expect("an object");
            let mut objects = storage.inner.objects.lock();
            objects.insert(format!("simulated/{name}"), bytes);
        }
    }
    shared.pass(SAVED_AT);
    let (engine, simulation) = start(&text, &shared, &storage, shards);
    let restored = engine.checkpoints().and_then(|status| status.restored);
    assert!(restored.is_some(), "the newest is used");
    for query in engine.queries() {
        let begins_anew = matches!(query.state, QueryState::CatchingUp { .. });
        assert!(!begins_anew, "{} has its state", query.name);
    }
    assert!(run(&shared, &simulation, Duration::MAX));
    assert_eq!(engine.errors().len(), 0, "{:?}", engine.errors());
    let summary = engine.summary();
    assert!(summary.rows_in < rows.len() as u64, "not all is read again");
    let frontier = rows.iter().map(|row| row.ts).max().unwrap_or(BEGIN);
    let has = |table: &str| text.contains(&format!("INSERT INTO {table} "));
    for query in CURRENT.iter().filter(|query| has(query.table)) {
        check_table(query, &shared, &rows, frontier, "at the end");
    }
    let mut saved_at = String::new();
    let micros = BEGIN * 1_000 + SAVED_AT.as_micros() as i64;
    tidewheel_core::text::write_time(&mut saved_at, micros);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    for query in PER_WINDOW.iter().filter(|query| has(query.table)) {
        let mut expected = batch(query, &rows, &runtime);
        if !query.key.is_empty() {
            // The sink has no row of before: those of windows that had closed are not written again.
            let found = written(query, &shared);
            expected.retain(|row| {
                found.contains(row) || *row.split('|').nth(2).expect("an end") > *saved_at
            });
        }
        assert_eq!(written(query, &shared), expected, "{}", query.table);
    }
}

#[test]
fn it_goes_on_from_version_1() {
    (1..4).for_each(|shards| goes_on(1, shards));
}

#[test]
fn it_goes_on_from_version_2() {
    (1..4).for_each(|shards| goes_on(2, shards));
}
