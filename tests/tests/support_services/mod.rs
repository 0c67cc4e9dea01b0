//! A real Kafka broker and a real Redis server, by the scripts in tests/services.
//!
//! Each test file uses a part of it.
#![allow(dead_code)]

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use redis::Commands;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;
use tidewheel_tests::reference::Value;

/// No test waits longer for something that must come.
const PATIENCE: Duration = Duration::from_secs(120);

/// The longest record that the broker takes: a broken line may hold a string of 1 MiB.
const RECORD_BYTES_MAX: &str = "8388608";

/// What the broker needs and this machine has not; `None` when all is there.
fn missing() -> Option<&'static str> {
    let there = |program: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    };
    ["java", "mvn"].into_iter().find(|name| !there(name))
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("services")
        .join(name)
}

fn run(name: &str, args: &[&str]) {
    let output = Command::new(script(name))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {args:?}: {text}");
}

/// Two neighbouring ports that are free: Kafka's controller takes the one after the broker's.
fn free_port() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = first.local_addr().expect("address").port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

/// A folder that goes with this process, and the servers in it before.
// The process that cleans up outlives this one on purpose.
#[allow(clippy::zombie_processes)]
fn folder() -> PathBuf {
    let folder = tempfile::tempdir().expect("a folder").keep();
    let clean = "while kill -0 \"$1\" 2>/dev/null; do sleep 0.5; done; \
                 \"$2/kafka.sh\" kill \"$3/kafka\"; \"$2/redis.sh\" stop \"$3/redis\"; rm -rf \"$3\"";
    Command::new("setsid")
        .args(["sh", "-c", clean, "sh"])
        .arg(std::process::id().to_string())
        .arg(script(""))
        .arg(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("spawns");
    folder
}

/// Both servers, which end with this process.
pub(crate) struct Services {
    /// A folder for the test's own files.
    pub(crate) folder: PathBuf,
    kafka: u16,
    redis: u16,
}

impl Services {
    /// Starts both, where the machine has what they need; else says what it lacks.
    pub(crate) fn start_if_possible() -> Option<Self> {
        if let Some(program) = missing() {
            println!("SKIPPED: {program} is missing, and the Kafka broker needs it");
            return None;
        }
        Some(Self::start())
    }

    fn start() -> Self {
        // A port that was found free is nobody's until its server has it.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _one = ONE_AT_A_TIME.lock();
        let folder = folder();
        let place = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let (kafka, redis) = (free_port(), free_port());
        run("redis.sh", &["start", &redis.to_string(), &place("redis")]);
        run("kafka.sh", &["start", &kafka.to_string(), &place("kafka")]);
        Self {
            folder,
            kafka,
            redis,
        }
    }

    fn place(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    /// Makes the Redis server one that has on disk whatever it has acknowledged.
    pub(crate) fn save_redis(&self) {
        self.kill_redis();
        self.restart_redis(true);
    }

    /// `kill -9`.
    pub(crate) fn kill_redis(&self) {
        run("redis.sh", &["kill", &self.place("redis")]);
    }

    /// Starts the Redis server again, with its data or empty.
    pub(crate) fn restart_redis(&self, empty: bool) {
        let (port, place) = (self.redis.to_string(), self.place("redis"));
        if empty {
            std::fs::remove_dir_all(&place).expect("removes");
        }
        let saves = ["--appendonly", "yes", "--appendfsync", "always"];
        run(
            "redis.sh",
            &[&["start", &port, &place], &saves[..]].concat(),
        );
    }

    /// `kill -9`.
    pub(crate) fn kill_kafka(&self) {
        run("kafka.sh", &["kill", &self.place("kafka")]);
    }

    /// Starts the broker again, with its data.
    pub(crate) fn restart_kafka(&self) {
        let port = self.kafka.to_string();
        run("kafka.sh", &["start", &port, &self.place("kafka")]);
    }

    /// The broker's address.
    pub(crate) fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.kafka)
    }

    /// The Redis server's address.
    pub(crate) fn redis_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.redis)
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.brokers());
        config
    }

    /// Makes a topic of so many partitions and writes the records, each into its partition.
    pub(crate) fn fill(&self, topic: &str, partitions: u32, records: &[(u32, Vec<u8>)]) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().expect("a client");
        let count = i32::try_from(partitions).expect("few partitions");
        let new = NewTopic::new(topic, count, TopicReplication::Fixed(1))
            .set("max.message.bytes", RECORD_BYTES_MAX);
        let made = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(admin.create_topics([&new], &AdminOptions::new()));
        made.expect("creates")[0].as_ref().expect("creates");
        let of_now = records
            .iter()
            .map(|(partition, record)| (*partition, None, record));
        self.send(topic, of_now);
    }

    /// Writes records with their timestamps (milliseconds), each into its partition.
    pub(crate) fn append(&self, topic: &str, records: &[(u32, i64, Vec<u8>)]) {
        let timed = records.iter();
        self.send(
            topic,
            timed.map(|(partition, at, record)| (*partition, Some(*at), record)),
        );
    }

    /// Deletes a topic and makes it anew, with one partition.
    pub(crate) fn make_anew(&self, topic: &str, records: &[(u32, Vec<u8>)]) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().expect("a client");
        let gone = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(admin.delete_topics(&[topic], &AdminOptions::new()));
        gone.expect("asks")[0].as_ref().expect("deletes");
        let begin = std::time::Instant::now();
        loop {
            let metadata = admin.inner().fetch_metadata(Some(topic), PATIENCE);
            if metadata.expect("answers").topics()[0]
                .partitions()
                .is_empty()
            {
                break;
            }
            assert!(begin.elapsed() < PATIENCE, "the topic does not go");
            std::thread::sleep(Duration::from_millis(50));
        }
        self.fill(topic, 1, records);
    }

    // One request at a time keeps each partition's order, also when one is sent again.
    fn producer(&self, more: &[(&str, &str)]) -> BaseProducer {
        let mut config = self.client();
        config
            .set("message.max.bytes", RECORD_BYTES_MAX)
            .set("enable.idempotence", "true")
            .set("queue.buffering.max.messages", "1000000");
        more.iter().for_each(|(key, value)| {
            config.set(*key, *value);
        });
        config.create().expect("a producer")
    }

    /// A producer of transactions.
    pub(crate) fn transactions(&self, id: &str) -> Transactions {
        let producer = self.producer(&[("transactional.id", id)]);
        producer.init_transactions(PATIENCE).expect("initialises");
        Transactions(producer)
    }

    fn send<'a>(
        &self,
        topic: &str,
        records: impl Iterator<Item = (u32, Option<i64>, &'a Vec<u8>)>,
    ) {
        let producer = self.producer(&[]);
        produce(&producer, topic, records);
        producer.flush(PATIENCE).expect("flushes");
    }

    fn connection(&self) -> redis::Connection {
        redis::Client::open(self.redis_url())
            .expect("url")
            .get_connection()
            .expect("connects")
    }

    /// Empties the Redis server.
    pub(crate) fn flush_redis(&self) {
        redis::cmd("FLUSHALL")
            .exec(&mut self.connection())
            .expect("flushes");
    }

    /// All keys of the Redis server but Tidewheel's own: their values, and how many milliseconds
    /// they have to live (-1: for ever).
    pub(crate) fn redis_values(&self) -> (BTreeMap<String, Value>, BTreeMap<String, i64>) {
        let mut connection = self.connection();
        let names: Vec<String> = connection.keys("*").expect("keys");
        let mut values = BTreeMap::new();
        let mut ttls = BTreeMap::new();
        for key in names {
            if key.starts_with("tidewheel:") {
                continue;
            }
            let kind: String = redis::cmd("TYPE")
                .arg(&key)
                .query(&mut connection)
                .expect("type");
            let value = match kind.as_str() {
                "string" => Value::String(connection.get(&key).expect("string")),
                "hash" => Value::Hash(connection.hgetall(&key).expect("hash")),
                "zset" => {
                    let mut members: Vec<(String, f64)> =
                        connection.zrange_withscores(&key, 0, -1).expect("zset");
                    members.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
                    Value::SortedSet(members)
                }
                other => panic!("{key} is a {other}"),
            };
            ttls.insert(key.clone(), connection.pttl(&key).expect("ttl"));
            values.insert(key, value);
        }
        (values, ttls)
    }
}

fn produce<'a>(
    producer: &BaseProducer,
    topic: &str,
    records: impl Iterator<Item = (u32, Option<i64>, &'a Vec<u8>)>,
) {
    for (partition, at, record) in records {
        let mut record = BaseRecord::<(), [u8]>::to(topic)
            .partition(i32::try_from(partition).expect("few partitions"))
            .payload(record);
        record.timestamp = at;
        producer
            .send(record)
            .map_err(|(error, _)| error)
            .expect("sends");
        producer.poll(Duration::ZERO);
    }
}

/// Writes records in transactions.
pub(crate) struct Transactions(BaseProducer);

impl Transactions {
    /// Writes records with their timestamps (milliseconds), each into its partition: in one
    /// transaction, which is committed, or given up once they are there.
    pub(crate) fn transact(&self, topic: &str, records: &[(u32, i64, Vec<u8>)], commits: bool) {
        self.0.begin_transaction().expect("begins");
        let timed = records.iter();
        let timed = timed.map(|(partition, at, record)| (*partition, Some(*at), record));
        produce(&self.0, topic, timed);
        self.0.flush(PATIENCE).expect("flushes");
        if commits {
            self.0.commit_transaction(PATIENCE).expect("commits");
        } else {
            self.0.abort_transaction(PATIENCE).expect("aborts");
        }
    }
}
