//! The whole way with real servers: simulated events through Kafka and all shipped queries into
//! Redis, where every key must hold what the reference says.

mod support_service;
mod support_services;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use support_services::Services;
use tidewheel_core::env::SystemEnv;
use tidewheel_core::{Env, SourceText};
use tidewheel_runtime::{RunOptions, Running, Summary};
use tidewheel_simulator::{SimEvent, Simulator, SimulatorConfig};
use tidewheel_sql::CompileContext;
use tidewheel_tests::reference::{Features, Line, Settings, Value, features, normalise};

const TOPIC: &str = "snowplow-enriched-good";
/// Partitions of today's events; the one after them is a day behind.
const PARTITIONS: u32 = 4;
const EVENTS: usize = 6_000;
const EVENTS_BEHIND: usize = 1_500;
const START_MS: i64 = 1_748_772_000_000; // 2025-06-01T10:00:00Z
const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;
/// `scan.max-ahead` of the table.
const MAX_AHEAD_MS: i64 = MINUTE_MS;
/// Differences that a failure shows.
const SHOWN: usize = 40;

/// Events of some 40 minutes, with all that a topic may hold but late rows: disorder stays within
/// the watermark's 5 s.
fn simulated(start_ms: i64) -> Simulator {
    Simulator::new(SimulatorConfig {
        seed: 11,
        shoppers: 300,
        products: 60,
        start_ms,
        events_per_second: 2.5,
        disorder_ms: 4_900,
        repeat: 0.03,
        repeat_ms: 30_000,
        future: 0.01,
        broken: 0.03,
        untidy: 0.05,
        ..SimulatorConfig::default()
    })
    .expect("settings")
}

/// Records with their partitions, in the order of arrival.
fn records() -> Vec<(u32, Vec<u8>)> {
    let mut records = Vec::new();
    // The same shoppers and sessions a day ago: the windows of 24 hours begin amid these events.
    for event in simulated(START_MS - DAY_MS + 35 * MINUTE_MS).take(EVENTS_BEHIND) {
        let mut line = event.json;
        // Other events, so other ids.
        if line.starts_with(b"{\"id\":\"") && line.len() > 7 {
            line[7] = b'y';
        }
        records.push((PARTITIONS, line));
    }
    let today: Vec<SimEvent> = simulated(START_MS).take(EVENTS).collect();
    // Events of one millisecond count in the order of partition and offset. Which copy of an event
    // stays is open where the copies lie in several partitions, so events that share their time
    // with another lie in one.
    let mut ids = BTreeMap::<String, BTreeSet<String>>::new();
    for event in &today {
        let (time, id) = time_and_id(&event.json);
        ids.entry(time).or_default().insert(id);
    }
    let mut random = fastrand::Rng::with_seed(5);
    for event in today {
        let (time, _) = time_and_id(&event.json);
        let mut partition = random.u32(0..PARTITIONS);
        if !time.is_empty() && ids.get(&time).is_some_and(|ids| ids.len() > 1) {
            partition = time.bytes().map(u32::from).sum::<u32>() % PARTITIONS;
        }
        records.push((partition, event.json));
    }
    records
}

fn time_and_id(line: &[u8]) -> (String, String) {
    let json: serde_json::Value = serde_json::from_slice(line).unwrap_or_default();
    let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
    (text("timestamp"), text("id"))
}

fn expected(records: &[(u32, Vec<u8>)]) -> Features {
    let mut offsets = BTreeMap::<u32, u64>::new();
    let lines: Vec<Line<'_>> = records
        .iter()
        .map(|(partition, line)| {
            let offset = offsets.entry(*partition).or_default();
            *offset += 1;
            (*partition, *offset - 1, line.as_slice())
        })
        .collect();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    let settings = Settings {
        latest: Some(i64::try_from(now.as_millis()).expect("a time") + MAX_AHEAD_MS),
        ..Settings::default()
    };
    features(&lines, &settings)
}

/// All shipped queries, from the servers' topic into the servers' Redis.
fn run(services: &Services, bad_events: &Path, options: &RunOptions) -> Summary {
    let mut registry = tidewheel_connectors::registry();
    tidewheel_formats::register(&mut registry);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../queries");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("queries")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    let texts: Vec<Arc<SourceText>> = files
        .iter()
        .map(|path| {
            Arc::new(SourceText {
                name: path.display().to_string(),
                text: std::fs::read_to_string(path).expect("reads"),
            })
        })
        .collect();
    let mut context = CompileContext::new(&registry);
    context.environment = BTreeMap::from([
        ("KAFKA_BROKERS".to_owned(), services.brokers()),
        ("REDIS_URL".to_owned(), services.redis_url()),
        ("BAD_EVENTS".to_owned(), bad_events.display().to_string()),
    ]);
    context.sets = vec![(
        "shopper_events".to_owned(),
        "scan.bounded.mode".to_owned(),
        "latest-offset".to_owned(),
    )];
    let program =
        tidewheel_sql::compile(&texts, &context).unwrap_or_else(|found| panic!("{found}"));
    let env: Arc<dyn Env> = Arc::new(SystemEnv::new(registry));
    let running = Running::start(&program, &env, options).expect("starts");
    running.wait().expect("runs")
}

/// Every difference of two sets of keys, hash fields apart.
fn differences(wanted: &BTreeMap<String, Value>, found: &BTreeMap<String, Value>) -> Vec<String> {
    let keys: BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
    keys.into_iter()
        .filter(|key| wanted.get(*key) != found.get(*key))
        .map(|key| {
            let (wanted, found) = (wanted.get(key), found.get(key));
            format!("{key}\n  expected {wanted:?}\n  found    {found:?}")
        })
        .collect()
}

/// The most milliseconds that a key may have to live: from now until its window runs empty, and
/// its table's ttl after that.
fn ttl_max(key: &str) -> i64 {
    let (window, ttl) = match key {
        _ if key.starts_with("shop:2") => (MINUTE_MS, 2 * DAY_MS),
        _ if key.ends_with(":last_seen") => (30 * DAY_MS, 30 * DAY_MS),
        _ if key.starts_with("session:") => (30 * MINUTE_MS, 10 * MINUTE_MS),
        _ if key.ends_with("_24h") => (DAY_MS, 10 * MINUTE_MS),
        _ if key.ends_with("_1h") => (60 * MINUTE_MS, 10 * MINUTE_MS),
        "shop:now" => (MINUTE_MS, 10 * MINUTE_MS),
        _ => (5 * MINUTE_MS, 10 * MINUTE_MS),
    };
    window + ttl
}

/// How many keys of each kind there are: the text after the last colon, or the whole `shop` key.
fn kinds<'a>(keys: impl Iterator<Item = &'a String>) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for key in keys {
        let kind = if key.starts_with("shop:2") {
            "shop:{minute}"
        } else if key.starts_with("shop:") {
            key
        } else {
            key.rsplit(':').next().unwrap_or(key)
        };
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
    kinds
}

#[test]
fn every_key_in_redis_is_what_the_reference_says() {
    let Some(services) = Services::start_if_possible() else {
        return;
    };
    let records = records();
    services.fill(TOPIC, PARTITIONS + 1, &records);
    let expected = expected(&records);
    let counts = expected.counts;
    println!("reference: {counts:?}, frontier {:?}", expected.frontier);
    assert_eq!(counts.late, 0, "the order of arrival must not matter");
    assert!(counts.repeats > 50 && counts.future > 20 && counts.bad > counts.future + 20);
    let wanted = normalise(expected.values);
    let kinds_wanted = kinds(wanted.keys());
    println!("{} keys: {kinds_wanted:?}", wanted.len());
    assert!(kinds_wanted.len() > 40, "every feature must occur");

    let variants = [
        (2, 2, 256 * 1024),
        (1, 1, 16 * 1024),
        (3, 2, 4 * 1024 * 1024),
    ];
    let mut failures = Vec::new();
    for (at, (shards, decoders, chunk_bytes)) in variants.into_iter().enumerate() {
        services.flush_redis();
        let bad_events = services.folder.join(format!("bad_events_{at}.jsonl"));
        let options = RunOptions {
            shards,
            decoders,
            chunk_bytes,
            ..RunOptions::default()
        };
        let summary = run(&services, &bad_events, &options);
        println!("{options:?}: {summary:?}");
        let (found, ttls) = services.redis_values();
        assert!(!found.is_empty(), "Redis holds nothing");

        let mut wrong = differences(&wanted, &normalise(found));
        println!("{options:?}: {} keys differ", wrong.len());
        let eternal = ttls.iter().filter(|(_, ttl)| **ttl < 0);
        let eternal = kinds(eternal.map(|(key, _)| key));
        if !eternal.is_empty() {
            wrong.insert(0, format!("without a ttl: {eternal:?}"));
        }
        let long = ttls.iter().filter(|(key, ttl)| **ttl > ttl_max(key));
        let long: Vec<String> = long
            .map(|(key, ttl)| format!("{key} by {} ms", ttl - ttl_max(key)))
            .collect();
        if !long.is_empty() {
            let shown = long.len().min(8);
            let first = long[..shown].join(", ");
            wrong.insert(0, format!("{} with too long a ttl: {first}", long.len()));
        }
        for (name, wanted, found) in [
            ("records", records.len(), summary.rows_in),
            ("bad rows", counts.bad - counts.future, summary.bad),
            ("future rows", counts.future, summary.future),
            ("repeats", counts.repeats, summary.repeats),
            ("late rows", 0, summary.late),
            ("failed rows", 0, summary.failed_rows),
        ] {
            if u64::try_from(wanted) != Ok(found) {
                wrong.push(format!("{name}\n  expected {wanted}\n  found    {found}"));
            }
        }
        let written = std::fs::read_to_string(&bad_events).expect("bad_events");
        if written.lines().count() != counts.bad {
            let count = written.lines().count();
            wrong.push(format!("bad_events holds {count} rows, not {}", counts.bad));
        }
        if !wrong.is_empty() {
            let shown = wrong.len().min(SHOWN);
            failures.push(format!(
                "{options:?}: {} differences\n{}",
                wrong.len(),
                wrong[..shown].join("\n")
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Kills that the test deals out; `TIDEWHEEL_KILLS` says another number.
const KILLS: usize = 12;

/// The binary over the servers' topic, with checkpoints.
fn start(services: &Services, checkpoints: &Path) -> Child {
    Command::new(support_service::binary())
        .args(["run", "queries", "--quiet"])
        .args(["--set", "shopper_events.scan.bounded.mode=latest-offset"])
        .args(["--checkpoint-interval", "100 ms", "--checkpoints"])
        .arg(checkpoints)
        .env("KAFKA_BROKERS", services.brokers())
        .env("REDIS_URL", services.redis_url())
        .env("BAD_EVENTS", services.folder.join("bad_when_killed.jsonl"))
        .current_dir(support_service::root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("starts")
}

/// What happens at some instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// `kill -9` of Tidewheel, which starts again.
    Process,
    /// `kill -9` of Redis, which comes back after a while, with its data or without.
    Redis { empty: bool },
    /// `kill -9` of the broker, which comes back after a while.
    Kafka,
}

impl Fault {
    /// Does it. The child is one that lives afterwards.
    fn happen(self, services: &Services, checkpoints: &Path, child: &mut Child, away: Duration) {
        match self {
            Self::Process => {
                child.kill().expect("kills");
                child.wait().expect("waits");
                *child = start(services, checkpoints);
            }
            Self::Redis { empty } => {
                services.kill_redis();
                std::thread::sleep(away);
                services.restart_redis(empty);
            }
            Self::Kafka => {
                services.kill_kafka();
                std::thread::sleep(away);
                services.restart_kafka();
            }
        }
    }
}

/// Runs the shipped queries over the topic, again and again until all faults have happened, each
/// in the middle of a run. After each run Redis holds what the reference says of keys that `counts`
/// chooses.
fn run_with_faults(services: &Services, faults: &[Fault], counts: fn(&str) -> bool) {
    let mut wanted = normalise(expected(&records()).values);
    wanted.retain(|key, _| counts(key));
    let seed = std::env::var("TIDEWHEEL_SEED").map_or_else(
        |_| fastrand::u64(..),
        |text| text.parse().expect("a number"),
    );
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut happened, mut round) = (0, 0);
    let mut emptied_too_late = false;
    while happened < faults.len() || emptied_too_late {
        round += 1;
        services.flush_redis();
        let checkpoints = services.folder.join(format!("checkpoints_{seed}_{round}"));
        let mut child = start(services, &checkpoints);
        let mut begin = Instant::now();
        emptied_too_late = false;
        while let Some(fault) = faults.get(happened) {
            let wait = Duration::from_millis(random.u64(1..1_500));
            while begin.elapsed() < wait && child.try_wait().expect("waits").is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            if child.try_wait().expect("waits").is_some() {
                break;
            }
            let away = Duration::from_millis(random.u64(0..1_500));
            fault.happen(services, &checkpoints, &mut child, away);
            happened += 1;
            // It may have written its last value just before; then nobody is left to write again.
            let has_ended = child.try_wait().expect("waits").is_some();
            emptied_too_late = has_ended && *fault == Fault::Redis { empty: true };
            begin = Instant::now();
        }
        let status = child.wait().expect("waits");
        assert!(status.success(), "seed {seed}: it ends with {status}");
        let took = begin.elapsed();
        if emptied_too_late {
            continue;
        }
        let (found, _) = services.redis_values();
        let mut found = normalise(found);
        found.retain(|key, _| counts(key));
        let wrong = differences(&wanted, &found);
        println!("{happened} faults by round {round}; it ended {took:?} after the last one");
        let shown = wrong.len().min(SHOWN);
        assert!(
            wrong.is_empty(),
            "seed {seed}, round {round}: {} of {} keys differ\n{}",
            wrong.len(),
            wanted.len(),
            wrong[..shown].join("\n")
        );
    }
}

/// A filled topic, and a Redis that has on disk whatever it has acknowledged.
fn services() -> Option<Services> {
    let services = Services::start_if_possible()?;
    services.save_redis();
    services.fill(TOPIC, PARTITIONS + 1, &records());
    Some(services)
}

fn kills() -> usize {
    let wish = std::env::var("TIDEWHEEL_KILLS").ok();
    wish.map_or(KILLS, |text| text.parse().expect("a number"))
}

/// `kill -9` at random instants: what stands in Redis in the end is as if nothing had happened.
#[test]
fn killed_at_any_instant_it_ends_as_the_reference_says() {
    let Some(services) = services() else {
        return;
    };
    run_with_faults(&services, &vec![Fault::Process; kills()], |_| true);
}

/// The same where Redis and the broker are killed as well.
#[test]
fn killed_together_with_redis_and_the_broker_it_ends_as_the_reference_says() {
    let Some(services) = services() else {
        return;
    };
    let faults = |count: usize, empty: bool| -> Vec<Fault> {
        let fault = |number| match number % 4 {
            1 => Fault::Redis { empty },
            3 if !empty => Fault::Kafka,
            _ => Fault::Process,
        };
        (0..count).map(fault).collect()
    };
    run_with_faults(&services, &faults(kills() / 2, false), |_| true);
    // A Redis that comes back empty is given what is live: not the rows of windows that have
    // closed, and not what was kept of sessions that are over.
    let is_live = |key: &str| !key.starts_with("shop:2") && !key.starts_with("session:");
    run_with_faults(&services, &faults(kills() / 2, true), is_live);
}
