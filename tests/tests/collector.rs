//! `tidewheel collect` as a program: its flags, its end, and real trackers against it.

mod support_service;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use support_service::{binary, root, run};

/// A running collector.
struct Collecting {
    child: Child,
    address: String,
}

impl Collecting {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(binary())
            .args(["collect", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("reads");
        let address = line.trim().strip_prefix("listening on http://");
        let address = address.unwrap_or_else(|| panic!("{line}")).to_owned();
        Self { child, address }
    }

    /// Sends a request on a connection of its own and returns the answer's first line.
    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("connects");
        stream.write_all(request.as_bytes()).expect("sends");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("reads");
        line.trim().to_owned()
    }

    fn get(&self, path: &str) -> String {
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        ))
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_collects_into_a_log_that_queries_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = ["--out", "log:events", "--bad", "bad.jsonl"];
    let collecting = Collecting::start(folder.path(), &arguments);
    for user in ["a", "b", "a"] {
        let path = format!(
            "/i?e=pv&p=web&duid={user}&url=http%3A%2F%2Fshop%2Fsearch%3Fq%3Dx&sid=c9727c0f-0f83-4a70-9eca-a415cf9ea52b"
        );
        assert_eq!(collecting.get(&path), "HTTP/1.1 200 OK");
    }
    assert_eq!(collecting.get("/i?e=nonsense"), "HTTP/1.1 200 OK");
    // Killed in the middle: what was acknowledged is there.
    drop(collecting);
    let bad = std::fs::read_to_string(folder.path().join("bad.jsonl")).expect("reads");
    assert!(
        bad.contains("\"failure\":\"invalid_parameter\"") && bad.lines().count() == 1,
        "{bad}"
    );
    let queries = root().join("queries/events.sql");
    let select = "SELECT user_key, session_id, platform, payload.page_url FROM shopper_events";
    let tables = queries.display().to_string();
    let output = run(
        folder.path(),
        &[
            "--json",
            "sql",
            select,
            "--tables",
            &tables,
            "--from",
            "log:events",
        ],
    );
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    // The third is no repeat: each event has an id of its own.
    for (part, count) in [
        ("http://shop/search?q=x", 3),
        ("\"a\"", 2),
        ("\"b\"", 1),
        ("\"web\"", 3),
    ] {
        assert_eq!(text.matches(part).count(), count, "{part}: {text}");
    }
}

#[test]
fn it_ends_cleanly_when_asked_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut collecting = Collecting::start(folder.path(), &["--out", "events.jsonl"]);
    assert_eq!(collecting.get("/i?e=pv&p=web"), "HTTP/1.1 200 OK");
    let pid = collecting.child.id().to_string();
    let killed = Command::new("kill")
        .args(["-TERM", &pid])
        .status()
        .expect("runs");
    assert!(killed.success());
    assert!(collecting.child.wait().expect("ends").success());
    let mut text = String::new();
    std::fs::File::open(folder.path().join("events.jsonl"))
        .and_then(|mut file| file.read_to_string(&mut text))
        .expect("reads");
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn wrong_flags_say_what_to_write() {
    let folder = tempfile::tempdir().expect("a folder");
    for (arguments, wanted) in [
        (&[][..], "--out log:DIR"),
        (&["--out", "kafka:localhost:9092"], "kafka:BROKERS/TOPIC"),
        (&["--out", "log:"], "log:DIR"),
        (&["--out", "-", "--format", "both"], "--tsv-out"),
        (&["--out", "-", "--tsv-out", "x"], "--format both"),
        (&["--out", "-", "--format", "xml"], "json, tsv, both"),
        (&["--out", "-", "--path", "one"], "VENDOR/VERSION"),
        (&["--out", "-", "--listen", "nowhere"], "127.0.0.1:9090"),
        (&["--out", "-", "--geo", "none.mmdb"], "none.mmdb"),
        (&["--out", "-", "--kafka-property", "x"], "NAME=VALUE"),
        (&["--out", "-", "--cookie-domain", "a;b"], "no domain"),
        (
            &["--out", "-", "--fsync", "maybe"],
            "always, interval, never",
        ),
    ] {
        let mut all = vec!["collect"];
        all.extend(arguments);
        let output = run(folder.path(), &all);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(wanted), "{arguments:?}: {error}");
    }
}

#[test]
fn secrets_of_kafka_are_not_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(binary())
        .args(["--json", "config"])
        .env(
            "TIDEWHEEL_COLLECT_KAFKA_PROPERTIES",
            "sasl.username=me,sasl.password=hunter2",
        )
        .current_dir(folder.path())
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("sasl.username=me") && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn real_trackers_are_understood() {
    let wanted =
        std::env::var("TIDEWHEEL_SERVICES").is_ok_and(|value| !value.is_empty() && value != "0");
    if !wanted {
        eprintln!("skipped: TIDEWHEEL_SERVICES is not set");
        return;
    }
    let on_path = |program: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    };
    let clients = [("python", "python3"), ("browser", "npm"), ("rust", "cargo")];
    for (client, needs) in clients {
        if !on_path(needs) {
            eprintln!("skipped: {client}, for want of {needs}");
            continue;
        }
        let output = Command::new(root().join("tests/services/trackers.sh"))
            .arg(binary())
            .arg(client)
            .stdin(Stdio::null())
            .output()
            .expect("runs");
        let error = String::from_utf8_lossy(&output.stderr);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{client}: {text}{error}");
    }
}
