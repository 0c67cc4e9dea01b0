//! The shipped queries over simulated and recorded events, key by key against a naive reading of
//! what each feature means, and the same again with order, chunks, shards and files changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidewheel_connectors::log::{LogConfig, LogWriter, Record};
use tidewheel_connectors::store::{StoreReader, Value as StoreValue};
use tidewheel_core::env::SystemEnv;
use tidewheel_core::{Env, SourceText};
use tidewheel_runtime::{RunOptions, Running, Summary};
use tidewheel_simulator::{LineFormat, Shape, Simulator, SimulatorConfig};
use tidewheel_tests::reference::{Features, Orders, Settings, Value, features, normalise};

/// One run of a folder of queries over files into an embedded store.
struct Run<'a> {
    queries: &'a [PathBuf],
    input: &'a str,
    options: RunOptions,
}

fn queries_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../queries")
}

fn shipped() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(queries_folder())
        .expect("queries")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    files
}

impl Run<'_> {
    fn go(&self) -> (BTreeMap<String, Value>, Summary) {
        let folder = tempfile::tempdir().expect("folder");
        let store = folder.path().join("store");
        let mut registry = tidewheel_connectors::registry();
        tidewheel_formats::register(&mut registry);
        let texts: Vec<Arc<SourceText>> = self
            .queries
            .iter()
            .map(|path| {
                let text = std::fs::read_to_string(path).expect("sql");
                Arc::new(SourceText {
                    name: path.display().to_string(),
                    text,
                })
            })
            .collect();
        let mut context = tidewheel_sql::CompileContext::new(&registry);
        let bad = folder.path().join("bad.jsonl").display().to_string();
        context.environment.insert("BAD_EVENTS".to_owned(), bad);
        let set = |table: &str, option: &str, value: &str| {
            (table.to_owned(), option.to_owned(), value.to_owned())
        };
        // A folder is a log, read to its end.
        let (connector, path) = match self.input.strip_prefix("log:") {
            Some(folder) => ("log", folder),
            None => ("file", self.input),
        };
        if connector == "log" {
            let bounded = ("scan.bounded.mode", "latest-offset");
            context
                .sets
                .push(set(tidewheel_sql::ALL_SOURCES, bounded.0, bounded.1));
        }
        context.sets.extend([
            set(tidewheel_sql::ALL_SOURCES, "connector", connector),
            set(tidewheel_sql::ALL_SOURCES, "path", path),
            set(tidewheel_sql::ALL_SINKS, "connector", "store"),
            set(
                tidewheel_sql::ALL_SINKS,
                "path",
                &store.display().to_string(),
            ),
        ]);
        let program =
            tidewheel_sql::compile(&texts, &context).unwrap_or_else(|errors| panic!("{errors}"));
        let env: Arc<dyn Env> = Arc::new(SystemEnv::new(registry.clone()));
        let running = Running::start(&program, &env, &self.options).expect("starts");
        let summary = running.wait().expect("ends well");
        (read_store(&store, env.wall_ms()), summary)
    }
}

fn read_store(path: &Path, now_ms: i64) -> BTreeMap<String, Value> {
    let store = StoreReader::open(path).expect("store");
    store
        .iter(now_ms)
        .filter(|(key, _)| !key.starts_with("tidewheel:"))
        .map(|(key, entry)| {
            let value = match &entry.value {
                StoreValue::Text(text) => Value::String(text.clone()),
                StoreValue::Hash(fields) => Value::Hash(fields.clone()),
                StoreValue::Sorted(_) => {
                    let mut members: Vec<(String, f64)> = entry
                        .value
                        .by_score()
                        .into_iter()
                        .map(|(member, score)| (member.to_owned(), score))
                        .collect();
                    members.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
                    Value::SortedSet(members)
                }
            };
            (key.to_owned(), value)
        })
        .collect()
}

/// Lines as the reference takes them, in the order in which the files are read.
fn reference(lines: &[(u32, u64, Vec<u8>)], orders: Orders) -> Features {
    let lines: Vec<(u32, u64, &[u8])> = lines
        .iter()
        .map(|(p, o, line)| (*p, *o, line.as_slice()))
        .collect();
    let settings = Settings {
        latest: Some(SystemEnv::new(tidewheel_core::Registry::default()).wall_ms() + 60_000),
        dedup_window: Some(600_000),
        orders,
        ..Settings::default()
    };
    features(&lines, &settings)
}

/// Equal, but for the last place of a double: the reference reads numbers through serde_json,
/// which may miss by one unit in it.
fn same(got: &Value, wanted: &Value) -> bool {
    let close = |got: &str, wanted: &str| {
        got == wanted
            || match (got.parse::<f64>(), wanted.parse::<f64>()) {
                (Ok(got), Ok(wanted)) => (got - wanted).abs() <= wanted.abs() * 4e-16,
                _ => false,
            }
    };
    match (got, wanted) {
        (Value::String(got), Value::String(wanted)) => close(got, wanted),
        (Value::Hash(got), Value::Hash(wanted)) => {
            got.len() == wanted.len()
                && got
                    .iter()
                    .zip(wanted)
                    .all(|(g, w)| g.0 == w.0 && close(g.1, w.1))
        }
        _ => got == wanted,
    }
}

fn compare(got: BTreeMap<String, Value>, wanted: &Features, what: &str) {
    let (got, wanted) = (normalise(got), normalise(wanted.values.clone()));
    let mut differences = Vec::new();
    for (key, value) in &wanted {
        if !got.get(key).is_some_and(|got| same(got, value)) {
            differences.push(format!("{key}: wanted {value:?}, got {:?}", got.get(key)));
        }
    }
    for key in got.keys().filter(|key| !wanted.contains_key(*key)) {
        differences.push(format!("{key}: wanted nothing, got {:?}", got[key]));
    }
    let shown: Vec<&str> = differences.iter().take(25).map(String::as_str).collect();
    assert!(
        differences.is_empty(),
        "{what}: {} of {} keys differ\n{}",
        differences.len(),
        wanted.len(),
        shown.join("\n")
    );
}

/// Offsets of a file's lines: byte positions.
fn with_offsets(partition: u32, lines: &[Vec<u8>]) -> Vec<(u32, u64, Vec<u8>)> {
    let mut offset = 0;
    lines
        .iter()
        .map(|line| {
            let at = offset;
            offset += line.len() as u64 + 1;
            (partition, at, line.clone())
        })
        .collect()
}

fn write_lines(path: &Path, lines: &[Vec<u8>]) {
    let mut text = Vec::new();
    for line in lines {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    std::fs::write(path, text).expect("write");
}

fn simulated(config: SimulatorConfig, count: usize) -> Vec<Vec<u8>> {
    Simulator::new(config)
        .expect("config")
        .take(count)
        .map(|event| event.json)
        .collect()
}

fn options(shards: usize, decoders: usize, chunk_bytes: usize) -> RunOptions {
    RunOptions {
        shards,
        decoders,
        chunk_bytes,
        ..RunOptions::default()
    }
}

#[test]
fn an_hour_of_shoppers_reads_as_the_catalogue_says() {
    let lines = simulated(
        SimulatorConfig {
            seed: 11,
            shoppers: 60,
            events_per_second: 1.5,
            disorder_ms: 4_000,
            repeat: 0.02,
            broken: 0.02,
            future: 0.005,
            untidy: 0.1,
            ..SimulatorConfig::default()
        },
        6_000,
    );
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("events.jsonl");
    write_lines(&path, &lines);
    let wanted = reference(&with_offsets(0, &lines), Orders::Transactions);
    assert!(
        wanted.values.len() > 500,
        "only {} keys",
        wanted.values.len()
    );
    for (shards, decoders, chunk) in [(1, 1, 1 << 20), (2, 2, 64 << 10), (3, 2, 3_000)] {
        let input = path.display().to_string();
        let run = Run {
            queries: &shipped(),
            input: &input,
            options: options(shards, decoders, chunk),
        };
        let (got, summary) = run.go();
        compare(got, &wanted, &format!("{shards} shards, chunks of {chunk}"));
        assert_eq!(summary.rows_in as usize, wanted.counts.lines);
        assert_eq!((summary.bad + summary.future) as usize, wanted.counts.bad);
        assert_eq!(summary.future as usize, wanted.counts.future);
    }
}

#[test]
fn current_values_do_not_depend_on_the_order_of_arrival() {
    // No repeats: which of two comes first is what dedup goes by. Sessions may not be late.
    let lines = simulated(
        SimulatorConfig {
            seed: 5,
            shoppers: 25,
            events_per_second: 3.0,
            untidy: 0.1,
            ..SimulatorConfig::default()
        },
        2_500,
    );
    let mut random = fastrand::Rng::with_seed(3);
    for round in 0..3 {
        let mut shuffled: Vec<(u32, u64, Vec<u8>)> = with_offsets(0, &lines);
        random.shuffle(&mut shuffled);
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("events.jsonl");
        let lines: Vec<Vec<u8>> = shuffled.into_iter().map(|(.., line)| line).collect();
        write_lines(&path, &lines);
        // Ties of time go by the offset, which the shuffle has changed.
        let wanted = reference(&with_offsets(0, &lines), Orders::Transactions);
        let run = Run {
            queries: &shipped(),
            input: &path.display().to_string(),
            options: options(1 + round, 2, 50_000),
        };
        let (got, _) = run.go();
        let of_windows = |values: BTreeMap<String, Value>| -> BTreeMap<String, Value> {
            // Rows that come late change per-window rows and sessions, as they should.
            values
                .into_iter()
                .filter(|(key, _)| {
                    key.starts_with("user:") || key == "shop:now" || key == "shop:trending"
                })
                .collect()
        };
        let wanted = Features {
            values: of_windows(wanted.values.clone()),
            ..Features::default()
        };
        compare(of_windows(got), &wanted, &format!("shuffle {round}"));
    }
}

#[test]
fn recorded_visits_of_the_older_shape_give_orders_by_inference() {
    let alternative = queries_folder().join("alternatives/purchases_from_checkout.sql");
    let mut files: Vec<PathBuf> = shipped()
        .into_iter()
        .filter(|path| !path.ends_with("purchases.sql"))
        .collect();
    files.push(alternative);
    let mut inputs = vec![simulated(
        SimulatorConfig {
            seed: 8,
            shoppers: 40,
            events_per_second: 2.0,
            shape: Shape::Older,
            untidy: 0.05,
            ..SimulatorConfig::default()
        },
        4_000,
    )];
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let sample = std::env::var_os("TIDEWHEEL_SAMPLE").map(PathBuf::from);
    for path in [Some(data.join("visit.jsonl")), sample]
        .into_iter()
        .flatten()
    {
        if let Ok(text) = std::fs::read(&path) {
            inputs.push(
                text.split(|byte| *byte == b'\n')
                    .filter(|line| !line.is_empty())
                    .map(<[u8]>::to_vec)
                    .collect(),
            );
        }
    }
    for lines in inputs {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("events.jsonl");
        write_lines(&path, &lines);
        let wanted = reference(&with_offsets(0, &lines), Orders::Checkout);
        let input = path.display().to_string();
        let run = Run {
            queries: &files,
            input: &input,
            options: options(2, 2, 20_000),
        };
        let (got, _) = run.go();
        compare(got, &wanted, "the older shape");
    }
}

/// Events as Enrich packs them: some to a record, by zstd.
fn packed(lines: &[Vec<u8>]) -> Vec<u8> {
    let mut plain = vec![1, 1];
    for line in lines {
        plain.extend((line.len() as u32).to_be_bytes());
        plain.extend(line);
    }
    zstd::encode_all(plain.as_slice(), 1).expect("packs")
}

#[test]
fn the_same_visits_as_json_and_as_enriched_tsv_have_the_same_features() {
    let config = SimulatorConfig {
        seed: 21,
        shoppers: 60,
        events_per_second: 1.5,
        disorder_ms: 4_000,
        repeat: 0.02,
        broken: 0.02,
        late: 0.01,
        future: 0.005,
        untidy: 0.1,
        ..SimulatorConfig::default()
    };
    let tsv = SimulatorConfig {
        format: LineFormat::Tsv,
        ..config
    };
    let folder = tempfile::tempdir().expect("folder");
    let (json, tsv) = (simulated(config, 6_000), simulated(tsv, 6_000));
    let path = |name: &str| folder.path().join(name);
    write_lines(&path("events.jsonl"), &json);
    write_lines(&path("events.tsv"), &tsv);
    // As records of a topic, plain and packed ones by turns.
    let mut log = LogWriter::open(&path("log"), &LogConfig::default()).expect("log");
    for (turn, lines) in tsv.chunks(37).enumerate() {
        let records = if turn % 3 == 0 {
            lines.to_vec()
        } else {
            vec![packed(lines)]
        };
        for record in &records {
            let record = Record {
                timestamp_ms: 0,
                key: None,
                value: Some(record),
            };
            log.append(0, &[record]).expect("appends");
        }
    }
    log.flush().expect("flushes");
    let mut from_tsv: Vec<PathBuf> = shipped()
        .into_iter()
        .filter(|path| !path.ends_with("events.sql"))
        .collect();
    from_tsv.push(queries_folder().join("alternatives/events_from_tsv.sql"));
    let run = |queries: &[PathBuf], input: &str, options| {
        Run {
            queries,
            input,
            options,
        }
        .go()
    };
    let shown = |name: &str| path(name).display().to_string();
    let (wanted, of_json) = run(&shipped(), &shown("events.jsonl"), options(2, 2, 1 << 20));
    assert!(wanted.len() > 500, "only {} keys", wanted.len());
    let wanted = Features {
        values: wanted,
        ..Features::default()
    };
    let log = format!("log:{}", shown("log"));
    for (input, shards, chunk) in [
        (shown("events.tsv"), 2, 1 << 20),
        (shown("events.tsv"), 3, 6_000),
        (log.clone(), 1, 1 << 20),
        (log, 2, 10_000),
    ] {
        let (got, of_tsv) = run(&from_tsv, &input, options(shards, 2, chunk));
        compare(
            got,
            &wanted,
            &format!("{input}, {shards} shards, chunks of {chunk}"),
        );
        let counts = |summary: &Summary| {
            let of_time = (summary.repeats, summary.late, summary.future);
            (summary.rows_in, summary.bad, of_time, summary.keyless)
        };
        assert_eq!(counts(&of_tsv), counts(&of_json));
    }
}
