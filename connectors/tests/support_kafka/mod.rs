//! A real Kafka broker for the tests of one binary, by tests/services/kafka.sh.

// Each test binary uses a part of it.
#![allow(dead_code)]

use arrow::datatypes::Schema;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use tidewheel_connectors::kafka::{KafkaConnector, KafkaWriter};
use tidewheel_core::env::SystemEnv;
use tidewheel_core::{
    Connector, Framing, Options, RawChunk, Registry, Source, SourceError, SourceEvent,
    SourceRequest, TableSpec,
};

/// No test waits longer for something that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A running broker.
pub(crate) struct Broker {
    pub(crate) port: u16,
    folder: PathBuf,
}

fn script() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/services/kafka.sh")
}

/// Two neighbouring ports that are free: the broker's and its controller's.
fn free_port() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = first.local_addr().expect("address").port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

impl Broker {
    /// The broker of this test binary, started at the first call and ended with the process.
    pub(crate) fn shared() -> &'static Self {
        static BROKER: OnceLock<Broker> = OnceLock::new();
        BROKER.get_or_init(|| {
            let broker = Self::new();
            broker.start();
            broker
        })
    }

    /// A broker that is not started yet.
    // The process that cleans up outlives this one on purpose.
    #[allow(clippy::zombie_processes)]
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("tempdir").keep();
        // Statics are not dropped, so a process of its own cleans up.
        let clean = "while kill -0 \"$1\" 2>/dev/null; do sleep 0.5; done; \"$2\" kill \"$3\"; \
                     rm -rf \"$3\"";
        Command::new("setsid")
            .args(["sh", "-c", clean, "sh"])
            .arg(std::process::id().to_string())
            .arg(script())
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("spawns");
        Self {
            port: free_port(),
            folder,
        }
    }

    fn run(&self, args: &[&str]) {
        let output = Command::new(script())
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kafka.sh {args:?}: {text}");
    }

    pub(crate) fn start(&self) {
        self.run(&[
            "start",
            &self.port.to_string(),
            &self.folder.to_string_lossy(),
        ]);
    }

    pub(crate) fn stop(&self) {
        self.run(&["stop", &self.folder.to_string_lossy()]);
    }

    pub(crate) fn kill(&self) {
        self.run(&["kill", &self.folder.to_string_lossy()]);
    }

    pub(crate) fn servers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.servers());
        config
    }

    pub(crate) fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().expect("an admin client")
    }

    pub(crate) fn create_topic(&self, name: &str, partitions: i32) {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let result = block_on(self.admin().create_topics([&topic], &AdminOptions::new()));
        result.expect("creates")[0].as_ref().expect("creates");
    }

    pub(crate) fn options(&self, topic: &str, more: &[(&str, &str)]) -> Options {
        let mut options: Options = more.iter().copied().collect();
        options.set("properties.bootstrap.servers", self.servers());
        options.set("topic", topic);
        options
    }

    pub(crate) fn writer(&self, topic: &str) -> KafkaWriter {
        KafkaWriter::open(&self.options(topic, &[])).expect("opens")
    }

    /// Writes values into one partition.
    pub(crate) fn write(
        &self,
        topic: &str,
        partition: u32,
        values: impl IntoIterator<Item = String>,
    ) {
        let mut writer = self.writer(topic);
        for value in values {
            writer
                .send(Some(partition), None, Some(value.as_bytes()), None)
                .expect("sends");
        }
        writer.flush(PATIENCE).expect("flushes");
    }

    pub(crate) fn request(&self, topic: &str, more: &[(&str, &str)]) -> SourceRequest {
        SourceRequest {
            table: TableSpec {
                name: "t".into(),
                schema: Arc::new(Schema::empty()),
                primary_key: vec![],
                options: self.options(topic, more),
            },
            start: BTreeMap::new(),
            from_ms: None,
            metadata: vec![],
            env: Arc::new(SystemEnv::new(Registry::default())),
        }
    }

    pub(crate) fn read(&self, topic: &str, more: &[(&str, &str)]) -> Reading {
        Reading::open(&self.request(topic, more))
    }
}

/// A source and what it has said.
pub(crate) struct Reading {
    pub(crate) source: Box<dyn Source>,
    pub(crate) chunks: Vec<RawChunk>,
    /// By partition: offsets and texts of the records, in the order they came.
    pub(crate) records: BTreeMap<u32, Vec<(u64, String)>>,
    pub(crate) next: BTreeMap<u32, u64>,
    pub(crate) at_end: BTreeMap<u32, usize>,
    pub(crate) finished: Vec<u32>,
    pub(crate) added: Vec<u32>,
    pub(crate) away: Vec<String>,
}

impl Reading {
    pub(crate) fn open(request: &SourceRequest) -> Self {
        Self {
            source: KafkaConnector.source(request).expect("opens"),
            chunks: vec![],
            records: BTreeMap::new(),
            next: BTreeMap::new(),
            at_end: BTreeMap::new(),
            finished: vec![],
            added: vec![],
            away: vec![],
        }
    }

    /// Takes the next event.
    pub(crate) fn step(&mut self) -> Result<(), SourceError> {
        match self.source.poll(1 << 20, Duration::from_millis(50))? {
            SourceEvent::Records(chunk) => {
                let Framing::Records { ranges, offsets } = &chunk.framing else {
                    panic!("records expected")
                };
                let records = self.records.entry(chunk.partition).or_default();
                for ((start, end), offset) in ranges.iter().zip(offsets) {
                    let bytes = &chunk.data[*start as usize..*end as usize];
                    records.push((*offset, String::from_utf8_lossy(bytes).into_owned()));
                }
                self.next.insert(chunk.partition, chunk.next_offset);
                self.chunks.push(chunk);
            }
            SourceEvent::AtEnd { partition, .. } => *self.at_end.entry(partition).or_default() += 1,
            SourceEvent::Finished { partition } => self.finished.push(partition),
            SourceEvent::Added { partition } => self.added.push(partition),
            SourceEvent::Away { reason } => self.away.push(reason),
            SourceEvent::Nothing => {}
        }
        Ok(())
    }

    /// Reads until something holds, which must be some time.
    pub(crate) fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !holds(self) {
            self.step().expect("reads");
            assert!(begin.elapsed() < PATIENCE, "{what} did not come");
        }
    }

    /// Reads until the source fails, and says why.
    pub(crate) fn until_error(&mut self) -> String {
        let begin = Instant::now();
        loop {
            if let Err(error) = self.step() {
                return error.to_string();
            }
            assert!(begin.elapsed() < PATIENCE, "no error came");
        }
    }

    /// Reads a bounded source to its end.
    pub(crate) fn until_finished(&mut self) {
        let count = self.source.partitions().len();
        self.until("the end", |reading| reading.finished.len() == count);
    }

    pub(crate) fn values(&self, partition: u32) -> Vec<&str> {
        let records = self
            .records
            .get(&partition)
            .map(Vec::as_slice)
            .unwrap_or_default();
        records.iter().map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.records.values().map(Vec::len).sum()
    }
}

/// Texts `prefix0`, `prefix1`, ….
pub(crate) fn texts(prefix: &str, range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|i| format!("{prefix}{i}")).collect()
}

/// Waits for a future on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
