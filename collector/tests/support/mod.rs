//! A collector over a real socket, with an embedded log in a folder of its own.
//!
//! Each test file uses a part of it.
#![allow(dead_code)]

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tidewheel_collector::collect::{Collector, Rules};
use tidewheel_collector::metrics::Metrics;
use tidewheel_collector::server::Server;
use tidewheel_collector::settings::Settings;
use tidewheel_collector::sink::{Place, Sink, Targets};
use tidewheel_connectors::log::{Batch, LogReader, Start};
use tokio::sync::watch;

/// No test waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running collector; it ends when it is dropped.
pub(crate) struct Running {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Holds `json`, `tsv` and `bad`.
    pub(crate) folder: tempfile::TempDir,
    stop: Option<watch::Sender<bool>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts one, its settings changed.
    pub(crate) fn start(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            listen: "127.0.0.1:0".parse().expect("an address"),
            paths: vec!["com.shop/events".to_owned()],
            ..Settings::default()
        };
        change(&mut settings);
        let folder = tempfile::tempdir().expect("a folder");
        let log = |name: &str| Some(Place::Log(folder.path().join(name)));
        let targets = Targets {
            json: log("json"),
            tsv: log("tsv"),
            bad: log("bad"),
            ..Targets::default()
        };
        let metrics = Arc::new(Metrics::default());
        let rules = Rules {
            json: true,
            tsv: true,
            record_bytes: settings.limits.record_bytes,
            payload_bytes: settings.limits.payload_bytes,
            internal_domains: Vec::new(),
            places: None,
        };
        let collector = Collector::new(rules, Arc::clone(&metrics));
        let sink = Sink::start(&targets, Arc::clone(&metrics)).expect("opens");
        let (stop, stopping) = watch::channel(false);
        let (told, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("threads");
            runtime.block_on(async {
                let server = Server::bind(settings).await.expect("binds");
                told.send(server.address()).expect("is awaited");
                server.run(collector, sink, metrics, stopping).await;
            });
        });
        Self {
            address: address.recv_timeout(PATIENCE).expect("it starts"),
            folder,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Asks it to end and waits for that.
    pub(crate) fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(true);
        }
        if let Some(thread) = self.thread.take() {
            thread.join().expect("ends without a panic");
        }
    }

    /// Opens a connection.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("sets");
        stream
    }

    /// Sends bytes on a connection of their own and reads the one answer.
    pub(crate) fn send(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        // A server that has answered already may not read on.
        let _ = stream.write_all(bytes);
        let head = bytes.starts_with(b"HEAD ");
        Answer::read(&mut stream, head).expect("an answer")
    }

    /// Asks with headers, each with its line end.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        self.send(format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").as_bytes())
    }

    /// Posts JSON.
    pub(crate) fn post(&self, path: &str, headers: &str, body: &[u8]) -> Answer {
        let length = body.len();
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json; charset=UTF-8\r\n\
             Content-Length: {length}\r\n{headers}\r\n"
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.send(&request)
    }

    /// The records of `json` or `bad`.
    pub(crate) fn rows(&self, log: &str) -> Vec<Value> {
        let rows = self.records(log).into_iter();
        rows.map(|row| serde_json::from_slice(&row).expect("JSON"))
            .collect()
    }

    /// All records of a log.
    pub(crate) fn records(&self, log: &str) -> Vec<Vec<u8>> {
        records(&self.folder.path().join(log))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// All records of a log.
pub(crate) fn records(log: &Path) -> Vec<Vec<u8>> {
    let mut reader = LogReader::open(log, 0, Start::Earliest).expect("opens");
    let mut rows = Vec::new();
    let mut batch = Batch::default();
    while reader.read(1 << 20, &mut batch).expect("reads") > 0 {
        for at in 0..batch.records.len() {
            rows.push(batch.value(at).expect("a value").to_vec());
        }
    }
    rows
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    head: String,
    /// Its body.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads one answer; `None` when the connection ends before it.
    pub(crate) fn read(stream: &mut TcpStream, without_body: bool) -> Option<Self> {
        let mut bytes = Vec::new();
        let mut one = [0];
        while !bytes.ends_with(b"\r\n\r\n") {
            if stream.read(&mut one).ok()? == 0 {
                return None;
            }
            bytes.push(one[0]);
        }
        let head = String::from_utf8(bytes).expect("text");
        let mut answer = Self {
            status: head.split(' ').nth(1)?.parse().ok()?,
            head,
            body: Vec::new(),
        };
        if !without_body {
            let length = answer
                .header("content-length")
                .map_or(0, |l| l.parse().expect("a number"));
            answer.body.resize(length, 0);
            stream.read_exact(&mut answer.body).ok()?;
        }
        Some(answer)
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1);
        let mut pairs = lines.filter_map(|line| line.split_once(": "));
        let found = pairs.find(|(have, _)| have.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }
}

/// A body of payload_data around events.
pub(crate) fn body(events: &Value) -> Vec<u8> {
    serde_json::json!({
        "schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
        "data": events,
    })
    .to_string()
    .into_bytes()
}
