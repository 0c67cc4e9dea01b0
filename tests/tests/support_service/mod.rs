//! The built binary, serving a folder, and requests to it over real HTTP.
//!
//! Each test file uses a part of it.
#![allow(dead_code)]

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use ureq::http::{HeaderMap, Request};

/// No test waits longer for something that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The binary, built once by the cargo that runs the tests: a dependency on it would compile it
/// as a library, which it is not.
pub(crate) fn binary() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // One that is built already, as up.sh takes it.
        if let Some(binary) = std::env::var_os("TIDEWHEEL_BINARY") {
            return PathBuf::from(binary);
        }
        let exe = std::env::current_exe().expect("a path");
        let profile = exe.parent().and_then(Path::parent).expect("target/release");
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let mut build = Command::new(cargo);
        // What cargo says of this test is not so of the binary: build scripts that look at it would
        // run again, and all that depends on them.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                build.env_remove(&name);
            }
        }
        let built = build
            .args(["build", "--release", "-p", "tidewheel", "--target-dir"])
            .arg(profile.parent().expect("target"))
            .current_dir(root())
            .status()
            .expect("cargo runs");
        assert!(built.success(), "the binary does not build");
        profile.join("tidewheel")
    })
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs the binary to its end.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(binary())
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("runs")
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }
}

/// A service in a folder of its own, which ends with it.
pub(crate) struct Service {
    child: Child,
    pub(crate) url: String,
    pub(crate) folder: Arc<tempfile::TempDir>,
    log: Arc<Mutex<String>>,
}

/// How a service is started.
#[derive(Default)]
pub(crate) struct Start {
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
}

impl Start {
    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|a| (*a).to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Serves the folder's `queries` on a free port of loopback.
    pub(crate) fn serve(self, folder: &Arc<tempfile::TempDir>) -> Service {
        self.serve_on(folder, "127.0.0.1:0")
    }

    pub(crate) fn serve_on(self, folder: &Arc<tempfile::TempDir>, listen: &str) -> Service {
        let mut child = Command::new(binary())
            .args([
                "serve",
                "queries",
                "--listen",
                listen,
                "--shards",
                "1",
                "--decoders",
                "1",
            ])
            .args(&self.arguments)
            .envs(self.environment)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let log = Arc::new(Mutex::new(String::new()));
        let (errors, copy) = (child.stderr.take().expect("piped"), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                let mut log = copy.lock().expect("not poisoned");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut first = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        out.read_line(&mut first).expect("reads");
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let url = first
            .split_whitespace()
            .find(|word| word.starts_with("http://"))
            .unwrap_or_else(|| {
                let _ = child.wait();
                panic!(
                    "it did not start: {first}{}",
                    log.lock().expect("not poisoned")
                )
            })
            .replace("0.0.0.0", "127.0.0.1");
        Service {
            child,
            url,
            folder: Arc::clone(folder),
            log,
        }
    }
}

impl Service {
    /// A request with a body as it is.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Answer {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .allow_non_standard_methods(true)
            .timeout_global(Some(PATIENCE))
            .build()
            .new_agent();
        let once = || {
            let mut request = Request::builder()
                .method(method)
                .uri(format!("{}{path}", self.url));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            match body {
                Some(body) => agent.run(request.body(body).expect("a request")),
                None => agent.run(request.body(()).expect("a request")),
            }
        };
        let mut response = once();
        // A body that is refused before all of it was sent: the answer may go with the connection.
        for _ in 0..20 {
            match &response {
                Err(ureq::Error::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                    response = once();
                }
                _ => break,
            }
        }
        let mut response = response.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.body_mut().read_to_string().expect("text"),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    pub(crate) fn post_json(&self, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.send("POST", path, &headers, Some(body.to_string().as_bytes()))
    }

    /// Opens a stream of events.
    pub(crate) fn events(&self, path: &str) -> impl Iterator<Item = (String, Value)> + use<> {
        let response = ureq::get(format!("{}{path}", self.url))
            .call()
            .expect("a stream");
        let mut reader = BufReader::new(response.into_body().into_reader());
        std::iter::from_fn(move || next_event(&mut reader))
    }

    /// The state of a query; empty where there is none.
    pub(crate) fn state(&self, name: &str) -> String {
        let answer = self.get(&format!("/api/v1/queries/{name}"));
        if answer.status == 404 {
            return String::new();
        }
        answer.json()["state"].as_str().unwrap_or("").to_owned()
    }

    /// Waits until the ends of all of a table's partitions have been seen.
    pub(crate) fn until_ends(&self, table: &str, partitions: usize) {
        self.until("the topic's ends", |service| {
            let table = service.get(&format!("/api/v1/tables/{table}")).json();
            let known = table["source"]["partitions"].as_array().cloned();
            let known = known.unwrap_or_default();
            known.len() == partitions && known.iter().all(|p| p["at_end"] == true)
        });
    }

    /// Waits until something is so.
    pub(crate) fn until(&self, what: &str, mut so: impl FnMut(&Self) -> bool) {
        let begin = Instant::now();
        while !so(self) {
            assert!(
                begin.elapsed() < PATIENCE,
                "{what} did not come; log:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("not poisoned").clone()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder
            .path()
            .join("queries")
            .join(format!("{name}.sql"))
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as an operator would, and waits.
    pub(crate) fn stop(mut self) {
        let pid = self.child.id().to_string();
        let killed = Command::new("kill").arg(pid).status().expect("kill runs");
        assert!(killed.success());
        let ended = self.child.wait().expect("ends");
        assert!(ended.success(), "it ended with {ended}:\n{}", self.log());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next_event(reader: &mut impl BufRead) -> Option<(String, Value)> {
    let (mut kind, mut data) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if let Some(text) = line.strip_prefix("event:") {
            text.trim().clone_into(&mut kind);
        } else if let Some(text) = line.strip_prefix("data:") {
            data.push_str(text.trim());
        } else if line.is_empty() && !data.is_empty() {
            return Some((kind, serde_json::from_str(&data).expect("JSON")));
        }
    }
}

/// A folder with the declared source of simulated events, and those events in a file.
pub(crate) fn folder() -> Arc<tempfile::TempDir> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("queries")).expect("makes");
    let events = std::fs::read_to_string(root().join("queries/events.sql")).expect("reads");
    std::fs::write(folder.path().join("queries/events.sql"), events).expect("writes");
    Arc::new(folder)
}

/// Writes simulated events into the folder's `events.jsonl`.
pub(crate) fn simulate(folder: &Path, events: u32) {
    let count = events.to_string();
    let arguments = [
        "simulate",
        "--events",
        &count,
        "--shoppers",
        "20",
        "--per-second",
        "50",
        "--out",
        "events.jsonl",
    ];
    let done = run(folder, &arguments);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// A simulator that writes into the folder's log until it is dropped.
pub(crate) struct Flow(Child);

impl Flow {
    /// Starts it, and waits until the log is there.
    pub(crate) fn start(folder: &Path) -> Self {
        let arguments = "simulate --rate 200 --shoppers 10 --out log:log";
        let child = Command::new(binary())
            .args(arguments.split(' '))
            .current_dir(folder)
            .stdin(Stdio::null())
            .spawn()
            .expect("starts");
        let flow = Self(child);
        while !folder.join("log").exists() {
            std::thread::sleep(Duration::from_millis(20));
        }
        flow
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A query that counts by shopper into a store.
pub(crate) fn views(table: &str, condition: &str) -> String {
    format!(
        "CREATE TABLE {table} (user_key STRING, views BIGINT, PRIMARY KEY (user_key) NOT ENFORCED)\n\
         WITH ('connector' = 'store', 'path' = 'store', 'key' = '{table}:{{user_key}}');\n\
         INSERT INTO {table} SELECT user_key, COUNT(*) FROM shopper_events\n\
         WHERE type = '{condition}' GROUP BY user_key;\n"
    )
}
