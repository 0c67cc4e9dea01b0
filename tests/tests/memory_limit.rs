//! `--memory-limit`: more keys than fit. Reading pauses and says so, the process stays below the limit,
//! and with more memory it goes on where it stood.

mod support_service;

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use support_service::{Service, Start, run};
use tempfile::TempDir;

const KEYS: u64 = 3_000_000;
const LIMIT: u64 = 512 * 1024 * 1024;

const COLUMNS: &str = "user_key STRING, `timestamp` TIMESTAMP(3)";

/// A log of rows within half a minute, each of a key of its own.
fn fill(folder: &Path) {
    let mut lines = String::new();
    for key in 0..KEYS {
        let second = key as f64 * 29.0 / KEYS as f64;
        writeln!(
            lines,
            "{{\"user_key\":\"user-{key:07}\",\"timestamp\":\"2025-06-01T10:00:{second:06.3}\"}}"
        )
        .expect("writes");
    }
    fs::write(folder.join("lines.jsonl"), lines).expect("writes");
    let append = format!(
        "CREATE TABLE lines ({COLUMNS}) WITH ('connector' = 'file', 'path' = 'lines.jsonl', 'format' = 'json');\n\
         CREATE TABLE log ({COLUMNS}) WITH ('connector' = 'log', 'path' = 'log', 'format' = 'json');\n\
         INSERT INTO log SELECT user_key, `timestamp` FROM lines;\n"
    );
    fs::write(folder.join("append.sql"), append).expect("writes");
    let done = run(folder, &["run", "append.sql", "--quiet"]);
    let errors = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{errors}");
    fs::create_dir(folder.join("queries")).expect("makes");
    let query = format!(
        "CREATE TABLE events ({COLUMNS}, WATERMARK FOR `timestamp` AS `timestamp` - INTERVAL '5' SECOND)\n\
         WITH ('connector' = 'log', 'path' = 'log', 'format' = 'json');\n\
         CREATE TABLE users (user_key STRING, n BIGINT, PRIMARY KEY (user_key) NOT ENFORCED)\n\
         WITH ('connector' = 'blackhole');\n\
         INSERT INTO users SELECT user_key, COUNT(*)\n\
         FROM TABLE(HOP(TABLE events, DESCRIPTOR(`timestamp`), INTERVAL '30' SECOND, INTERVAL '5' MINUTE))\n\
         GROUP BY user_key, window_start, window_end;\n"
    );
    fs::write(folder.join("queries/users.sql"), query).expect("writes");
}

fn serve(folder: &Arc<TempDir>, flags: &[&str]) -> Service {
    Start::default()
        .with(&["--checkpoints", "state", "--checkpoint-interval", "1 s"])
        .with(flags)
        .serve(folder)
}

fn keys(service: &Service) -> u64 {
    let stats = service.get("/api/v1/queries/users/stats").json();
    stats["statements"][0]["keys"].as_u64().unwrap_or(0)
}

fn written(service: &Service) -> u64 {
    let checkpoints = service.get("/api/v1/checkpoints").json();
    checkpoints["checkpoints"]["written"]
        .as_u64()
        .expect("a count")
}

/// The most memory that a process had.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("reads");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.expect("a number") * 1024
}

#[test]
fn more_keys_than_fit_are_told_and_nothing_is_lost() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    fill(folder.path());
    let limited = serve(&folder, &["--memory-limit", &LIMIT.to_string()]);
    limited.until("the limit", |service| {
        service.get("/healthz").json()["memory"]["full"] == true
    });
    // It stays so, since the state does not get smaller; checkpoints go on.
    let before = written(&limited);
    limited.until("checkpoints", |service| written(service) > before + 3);
    let health = limited.get("/healthz").json();
    assert_eq!(health["status"], "degraded", "{health}");
    assert_eq!(health["memory"]["full"], true, "{health}");
    let why = health["away"][0]["reason"].as_str().unwrap_or_default();
    assert!(
        why.contains("the memory limit of 512 MB is reached"),
        "{health}"
    );
    let metrics = limited.get("/metrics").text;
    assert!(metrics.contains("\ntidewheel_memory_full 1.0"), "{metrics}");
    let held = keys(&limited);
    assert!(held > 0 && held < KEYS, "{held} keys");
    let peak = peak(limited.pid());
    println!(
        "{held} keys of {KEYS}, at most {} MiB of {}",
        peak >> 20,
        LIMIT >> 20
    );
    assert!(peak <= LIMIT, "{peak} bytes");
    drop(limited);

    let free = serve(&folder, &["--memory-limit", "16 gb"]);
    free.until("all keys", |service| keys(service) == KEYS);
    assert!(free.get("/api/v1/checkpoints").json()["checkpoints"]["restored"].is_string());
    assert_eq!(free.get("/healthz").json()["status"], "ok");
}
