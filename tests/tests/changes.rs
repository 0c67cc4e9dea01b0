//! Changes of the running queries whose sinks are slow, renamed or paused: sinks of a connector
//! that stops where a test says so, over an embedded log.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use tidewheel_connectors::log::{LogConfig, LogWriter, Record};
use tidewheel_core::env::SystemEnv;
use tidewheel_core::{
    ChangeBatch, Connector, ConnectorError, Env, Progress, Registry, Sink, SinkError, SinkRequest,
    Source, SourceRequest, SourceText, TableSpec,
};
use tidewheel_runtime::status::QueryState;
use tidewheel_runtime::{RunOptions, Running};
use tidewheel_sql::plan::Program;

/// The longest wait for something that must come.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long something that must not come is waited for.
const LOOK: Duration = Duration::from_millis(300);

/// A door that sinks wait in front of.
#[derive(Default)]
struct Door {
    closed: Mutex<bool>,
    moved: Condvar,
}

impl Door {
    fn set(&self, closed: bool) {
        *self.closed.lock().expect("not poisoned") = closed;
        self.moved.notify_all();
    }

    fn pass(&self) {
        let mut closed = self.closed.lock().expect("not poisoned");
        while *closed {
            closed = self.moved.wait(closed).expect("not poisoned");
        }
    }
}

/// What the sinks of a table did: the number of the sink, and what.
type Deeds = Arc<Mutex<Vec<(usize, &'static str)>>>;

/// Sinks that say what they do, and wait at doors: `'open' = 'slow'` while opening, all while
/// writing.
#[derive(Clone)]
struct Watched {
    opening: Arc<Door>,
    writing: Arc<Door>,
    begun: Arc<Mutex<Sender<()>>>,
    count: Arc<Mutex<usize>>,
    deeds: Deeds,
}

struct WatchedSink {
    number: usize,
    writing: Arc<Door>,
    deeds: Deeds,
}

impl WatchedSink {
    fn tell(&self, deed: &'static str) {
        let mut deeds = self.deeds.lock().expect("not poisoned");
        deeds.push((self.number, deed));
    }
}

impl Connector for Watched {
    fn name(&self) -> &'static str {
        "watched"
    }

    fn sink_options(&self) -> &'static [&'static str] {
        &["open"]
    }

    fn needs_format(&self) -> bool {
        false
    }

    fn check(&self, _: &TableSpec, _: bool) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn source(&self, _: &SourceRequest) -> Result<Box<dyn Source>, ConnectorError> {
        Err(ConnectorError::new("it is no source"))
    }

    fn sink(&self, request: &SinkRequest) -> Result<Box<dyn Sink>, ConnectorError> {
        if request.table.options.get("open") == Some("slow") {
            let _ = self.begun.lock().expect("not poisoned").send(());
            self.opening.pass();
        }
        let mut count = self.count.lock().expect("not poisoned");
        *count += 1;
        Ok(Box::new(WatchedSink {
            number: *count - 1,
            writing: Arc::clone(&self.writing),
            deeds: Arc::clone(&self.deeds),
        }))
    }
}

impl Sink for WatchedSink {
    fn write(&mut self, _: &ChangeBatch, _: &Progress) -> Result<(), SinkError> {
        self.tell("begins to write");
        self.writing.pass();
        self.tell("has written");
        Ok(())
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.tell("closes");
        Ok(())
    }

    fn writes(&self) -> u64 {
        let deeds = self.deeds.lock().expect("not poisoned");
        let of_own = deeds
            .iter()
            .filter(|deed| **deed == (self.number, "has written"));
        of_own.count() as u64
    }
}

/// An engine over a log, and what its sinks do.
struct World {
    folder: tempfile::TempDir,
    registry: Registry,
    running: Running,
    watched: Watched,
    opening: Receiver<()>,
    log: LogWriter,
    events: u64,
}

impl World {
    fn new() -> Self {
        let (begun, opening) = channel();
        let watched = Watched {
            opening: Arc::default(),
            writing: Arc::default(),
            begun: Arc::new(Mutex::new(begun)),
            count: Arc::default(),
            deeds: Arc::default(),
        };
        let mut registry = tidewheel_connectors::registry();
        tidewheel_formats::register(&mut registry);
        registry.add_connector(Arc::new(watched.clone()));
        let env: Arc<dyn Env> = Arc::new(SystemEnv::new(registry.clone()));
        let options = RunOptions {
            shards: 2,
            decoders: 1,
            ..RunOptions::default()
        };
        let folder = tempfile::tempdir().expect("a folder");
        let log = LogWriter::open(&folder.path().join("log"), &LogConfig::default());
        Self {
            log: log.expect("a log"),
            running: Running::live(&env, &options),
            folder,
            registry,
            watched,
            opening,
            events: 0,
        }
    }

    fn compile(&self, queries: &[(&str, String)]) -> Program {
        let source = source(&self.folder.path().join("log"));
        let mut texts = vec![text("events", source)];
        texts.extend(queries.iter().map(|(name, sql)| text(name, sql.clone())));
        let context = tidewheel_sql::CompileContext::new(&self.registry);
        tidewheel_sql::compile(&texts, &context).unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn apply(&self, queries: &[(&str, String)]) {
        let program = self.compile(queries);
        self.running.engine.apply(&program).expect("applies");
    }

    fn append(&mut self) {
        self.events += 1;
        let value = format!(
            r#"{{"k":"a","at":"2026-01-01T00:00:{:02}Z"}}"#,
            self.events % 60
        );
        let record = Record {
            timestamp_ms: 1_767_225_600_000 + self.events as i64,
            key: None,
            value: Some(value.as_bytes()),
        };
        self.log.append(0, &[record]).expect("appends");
        self.log.flush().expect("flushes");
    }

    /// Waits until all that was appended is read.
    fn read(&self) {
        until("all is read", || {
            let sources = self.running.engine.sources();
            let read = sources.iter().map(|source| source.counters.rows_in).sum();
            self.events <= read
        });
    }

    fn deeds(&self) -> Vec<(usize, &'static str)> {
        self.watched.deeds.lock().expect("not poisoned").clone()
    }

    fn state(&self, name: &str) -> Option<QueryState> {
        let all = self.running.engine.queries();
        let found = all.into_iter().find(|query| query.name == name);
        found.map(|query| query.state)
    }

    fn end(self) {
        self.watched.opening.set(false);
        self.watched.writing.set(false);
        self.running.engine.stop();
        self.running.wait().expect("ends well");
    }
}

fn text(name: &str, text: String) -> Arc<SourceText> {
    Arc::new(SourceText {
        name: format!("{name}.sql"),
        text,
    })
}

fn source(log: &Path) -> String {
    format!(
        "CREATE TABLE e (k STRING, `at` TIMESTAMP(3), WATERMARK FOR `at` AS `at` - INTERVAL '5' SECOND)
         WITH ('connector' = 'log', 'path' = '{}', 'format' = 'json', 'scan.watermark.idle-timeout' = '1 h');",
        log.display()
    )
}

/// A query that counts, by windows or over all of time, into a table of its own.
fn count(table: &str, options: &str, windows: bool) -> String {
    let from = if windows {
        "TABLE(HOP(TABLE e, DESCRIPTOR(`at`), INTERVAL '30' SECOND, INTERVAL '5' MINUTE)) GROUP BY k, window_start, window_end"
    } else {
        "e GROUP BY k"
    };
    format!(
        "CREATE TABLE {table} (k STRING, n BIGINT, PRIMARY KEY (k) NOT ENFORCED)
         WITH ('connector' = 'watched'{options});
         INSERT INTO {table} SELECT k, COUNT(*) FROM {from};"
    )
}

fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !so() {
        assert!(begin.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_sink_that_is_slow_to_open_is_waited_for_by_nobody_else() {
    let mut world = World::new();
    world.append();
    let a = ("a", count("a_table", "", true));
    world.apply(std::slice::from_ref(&a));
    until("a's first write", || !world.deeds().is_empty());
    world.watched.opening.set(true);
    let slow = ("b", count("b_table", ", 'open' = 'slow'", true));
    let both = world.compile(&[a, slow]);
    let (engine, watched) = (&world.running.engine, &world.watched);
    std::thread::scope(|scope| {
        let applying = scope.spawn(|| engine.apply(&both));
        world.opening.recv_timeout(PATIENCE).expect("b is opened");
        let (done, is_done) = channel();
        scope.spawn(move || {
            assert_eq!(engine.queries().len(), 1);
            assert_eq!(engine.sources().len(), 1);
            engine.set_paused(BTreeSet::from(["a".to_owned()]));
            assert_eq!(engine.queries()[0].state, QueryState::Paused);
            assert!(engine.subscribe("a").is_some());
            done.send(()).expect("is waited for");
        });
        let waited = is_done.recv_timeout(PATIENCE);
        watched.opening.set(false);
        waited.expect("nobody waits for b's sink");
        let applied = applying.join().expect("no panic").expect("applies");
        assert_eq!(applied.added, ["b"]);
        assert_eq!(applied.unchanged, ["a"]);
    });
    assert_eq!(
        world.state("a"),
        Some(QueryState::Paused),
        "a pause outlives a change"
    );
    until("b", || world.state("b") == Some(QueryState::Running));
    world.end();
}

#[test]
fn who_writes_a_table_under_another_name_waits_for_the_one_before() {
    for windows in [true, false] {
        let mut world = World::new();
        world.append();
        world.apply(&[("old", count("t", "", windows))]);
        until("the first value", || {
            world.deeds().contains(&(0, "has written"))
        });
        world.watched.writing.set(true);
        world.append();
        let begun = (0, "begins to write");
        until("the old one's last write", || {
            world.deeds().last() == Some(&begun)
        });
        world.apply(&[("new", count("t", "", windows))]);
        world.append();
        world.read();
        until("history", || {
            world.state("new") == Some(QueryState::Running)
        });
        std::thread::sleep(LOOK);
        assert!(
            world.deeds().iter().all(|(sink, _)| *sink == 0),
            "{:?}",
            world.deeds()
        );
        // Gone, and named anew once more, before the first has ended.
        world.apply(&[]);
        world.apply(&[("third", count("t", "", windows))]);
        std::thread::sleep(LOOK);
        assert!(world.deeds().iter().all(|(sink, _)| *sink == 0));
        world.watched.writing.set(false);
        world.append();
        until("the third one's write", || {
            world.deeds().contains(&(2, "has written"))
        });
        let deeds = world.deeds();
        let numbers: Vec<usize> = deeds.iter().map(|(sink, _)| *sink).collect();
        assert!(numbers.is_sorted(), "{deeds:?}");
        world.end();
    }
}

#[test]
fn a_query_that_begins_paused_writes_nothing_till_it_may() {
    let mut world = World::new();
    world.append();
    let paused = BTreeSet::from(["q".to_owned()]);
    world.running.engine.set_paused(paused);
    world.apply(&[("q", count("q_table", "", true))]);
    world.append();
    world.read();
    assert_eq!(world.state("q"), Some(QueryState::Paused));
    std::thread::sleep(LOOK);
    assert_eq!(world.deeds(), []);
    world.running.engine.set_paused(BTreeSet::new());
    until("a write", || world.deeds().contains(&(0, "has written")));
    // Nor does it write at the end.
    let paused = BTreeSet::from(["q".to_owned()]);
    world.running.engine.set_paused(paused);
    until("rest", || world.deeds().last() == Some(&(0, "has written")));
    let before = world.deeds().len();
    world.append();
    world.read();
    let deeds = Arc::clone(&world.watched.deeds);
    world.end();
    let deeds = deeds.lock().expect("not poisoned");
    assert_eq!(deeds[before..], [(0, "closes")]);
}

/// Whoever is replaced is waited for by the new one, and ends only with it; at a stop neither may wait
/// for the other.
#[test]
fn a_stop_while_a_query_is_being_replaced_ends() {
    for round in 0..12 {
        let mut world = World::new();
        for _ in 0..50 {
            world.append();
        }
        world.apply(&[("q", count("t", "", true))]);
        until("the first value", || {
            world.deeds().contains(&(0, "has written"))
        });
        world.apply(&[("q", count("t", "", false))]);
        std::thread::sleep(Duration::from_millis(round));
        let (done, is_done) = channel();
        std::thread::spawn(move || {
            world.end();
            let _ = done.send(());
        });
        is_done.recv_timeout(PATIENCE).expect("it ends");
    }
}
