//! Checkpoints as operators see them, over real HTTP: the health answer, the API, the metrics; who
//! writes and who stands by.

mod support_service;

use serde_json::Value;
use std::sync::Arc;
use support_service::{Flow, Service, Start, folder, views};
use tempfile::TempDir;

fn prepared() -> (Flow, Arc<TempDir>) {
    let folder = folder();
    let flow = Flow::start(folder.path());
    let seen = views("seen", "product_view");
    std::fs::write(folder.path().join("queries/seen.sql"), seen).expect("writes");
    (flow, folder)
}

fn serve(folder: &Arc<TempDir>) -> Service {
    let flags = ["--from", "log:log", "--checkpoints", "state"];
    Start::default()
        .with(&flags)
        .with(&["--checkpoint-interval", "200 ms"])
        .serve(folder)
}

fn checkpoints(service: &Service) -> Value {
    service.get("/api/v1/checkpoints").json()["checkpoints"].clone()
}

/// The value of a metric without further labels than those of its name.
fn metric(service: &Service, name: &str) -> Option<f64> {
    let text = service.get("/metrics").text;
    let line = text.lines().find(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(' '))
    })?;
    line.rsplit(' ').next().and_then(|value| value.parse().ok())
}

fn at(service: &Service, name: &str) -> f64 {
    metric(service, name).unwrap_or_else(|| panic!("no {name}: {}", service.get("/metrics").text))
}

fn written(service: &Service) -> u64 {
    checkpoints(service)["written"].as_u64().expect("a count")
}

#[test]
fn checkpoints_and_a_restore_are_shown() {
    let (_flow, folder) = prepared();
    let first = serve(&folder);
    assert!(checkpoints(&first)["restored"].is_null());
    first.until("checkpoints of rows", |service| {
        written(service) > 2 && checkpoints(service)["state_bytes"].as_u64() > Some(0)
    });
    let shown = checkpoints(&first);
    assert_eq!(shown["pipeline"], "tidewheel");
    assert_eq!((&shown["epoch"], &shown["failed"]), (&1.into(), &0.into()));
    assert!(shown["last"].as_str().expect("a name").starts_with("1-"));
    assert!(shown["written_bytes"].as_u64() > Some(0), "{shown}");
    let health = first.get("/healthz").json();
    assert_eq!(health["checkpoints"]["role"], "owner", "{health}");
    assert_eq!(health["status"], "ok", "{health}");
    // Younger than the service, since more than one was written since its start.
    let started = at(&first, "process_start_time_seconds");
    assert!(at(&first, "tidewheel_checkpoint_last_timestamp_seconds") > started);
    let age = at(&first, "tidewheel_checkpoint_age_seconds");
    assert!(age >= 0.0 && health["checkpoints"]["age_seconds"].as_f64() >= Some(0.0));
    assert!(at(&first, "tidewheel_checkpoint_writes_total") > 2.0);
    assert_eq!(at(&first, "tidewheel_checkpoint_failures_total"), 0.0);
    assert_eq!(at(&first, "tidewheel_checkpoint_owner"), 1.0);
    assert!(at(&first, "tidewheel_checkpoint_state_bytes") > 0.0);
    for phase in ["gather", "write"] {
        let name = format!("tidewheel_checkpoint_duration_seconds{{phase=\"{phase}\"}}");
        assert!(at(&first, &name) >= 0.0);
    }
    assert_eq!(
        metric(&first, "tidewheel_checkpoint_recovery_seconds"),
        None
    );
    let least = checkpoints(&first)["last"]
        .as_str()
        .expect("a name")
        .to_owned();
    // Killed, not stopped.
    drop(first);

    let second = serve(&folder);
    second.until("the first value", |service| {
        !checkpoints(service)["recovery_seconds"].is_null()
    });
    let shown = checkpoints(&second);
    let number = |name: &str| -> u64 {
        let number = name.strip_prefix("1-").expect("of the first epoch");
        number.parse().expect("a number")
    };
    let restored = shown["restored"].as_str().expect("a name").to_owned();
    assert!(number(&restored) >= number(&least), "{shown}");
    assert_eq!(shown["epoch"], 2);
    assert!(shown["restore_seconds"].as_f64() >= Some(0.0), "{shown}");
    assert!(at(&second, "tidewheel_checkpoint_recovery_seconds") >= 0.0);
    let info = format!("tidewheel_checkpoint_restored_info{{checkpoint=\"{restored}\"}}");
    assert_eq!(at(&second, &info), 1.0);
}

#[test]
fn a_store_that_is_away_is_told_of_until_it_is_back() {
    let (_flow, folder) = prepared();
    let service = serve(&folder);
    service.until("a checkpoint", |service| written(service) > 0);
    let state = folder.path().join("state");
    let moved = folder.path().join("elsewhere");
    std::fs::rename(&state, &moved).expect("moves");
    std::fs::write(&state, "no folder").expect("writes");
    service.until("a failure", |service| {
        service.get("/healthz").json()["checkpoints"]["error"].is_string()
    });
    let health = service.get("/healthz").json();
    assert_eq!(health["status"], "degraded", "{health}");
    assert_eq!(at(&service, "tidewheel_checkpoint_failing"), 1.0);
    assert!(at(&service, "tidewheel_checkpoint_failures_total") > 0.0);
    let (age, last) = (
        checkpoints(&service)["age_seconds"]
            .as_f64()
            .expect("an age"),
        checkpoints(&service)["last"].clone(),
    );
    service.until("an older one", |service| {
        let now = checkpoints(service);
        now["last"] == last && now["age_seconds"].as_f64() > Some(age)
    });
    std::fs::remove_file(&state).expect("removes");
    std::fs::rename(&moved, &state).expect("moves");
    service.until("a new one", |service| {
        let now = checkpoints(service);
        now["last"] != last && now["error"].is_null()
    });
    assert_eq!(at(&service, "tidewheel_checkpoint_failing"), 0.0);
    assert_eq!(service.get("/healthz").json()["status"], "ok");
}

#[test]
fn a_standby_says_so_and_takes_over() {
    let (_flow, folder) = prepared();
    let first = serve(&folder);
    first.until("a checkpoint", |service| written(service) > 0);
    let second = serve(&folder);
    let health = second.get("/healthz").json();
    assert_eq!(health["status"], "ok", "{health}");
    assert_eq!(health["checkpoints"]["role"], "standby", "{health}");
    let owner = health["checkpoints"]["owner"].as_str().expect("a name");
    assert!(owner.contains(':'), "{owner}");
    let ready = second.get("/readyz");
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["standby"], true);
    for path in ["/", "/api/v1/queries", "/api/v1/features/seen/x"] {
        let answer = second.get(path);
        assert_eq!(answer.status, 503, "{path}: {}", answer.text);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert!(answer.text.contains(owner), "{}", answer.text);
    }
    assert_eq!(at(&second, "tidewheel_checkpoint_owner"), 0.0);
    assert_eq!(at(&first, "tidewheel_checkpoint_owner"), 1.0);
    drop(first);
    second.until("a takeover", |service| {
        service.get("/readyz").status == 200 && written(service) > 0
    });
    assert_eq!(
        second.get("/healthz").json()["checkpoints"]["role"],
        "owner"
    );
    assert_eq!(at(&second, "tidewheel_checkpoint_owner"), 1.0);
    assert_eq!(checkpoints(&second)["epoch"], 2);
    assert!(checkpoints(&second)["restored"].is_string());
    second.stop();
}

#[test]
fn a_standby_asks_for_the_token_and_ends_when_it_is_told_to() {
    let (_flow, folder) = prepared();
    let first = serve(&folder);
    first.until("a checkpoint", |service| written(service) > 0);
    let second = Start::default()
        .with(&["--from", "log:log", "--checkpoints", "state"])
        .env("TIDEWHEEL_READ_TOKEN", "reader-token")
        .serve(&folder);
    assert_eq!(second.get("/healthz").status, 200);
    assert_eq!(second.get("/metrics").status, 401);
    let bearer = [("authorization", "Bearer reader-token")];
    assert_eq!(second.send("GET", "/metrics", &bearer, None).status, 200);
    second.stop();
    assert_eq!(first.get("/readyz").status, 200);
}

#[test]
fn without_checkpoints_there_is_nothing_to_tell() {
    let (_flow, folder) = prepared();
    let service = Start::default().with(&["--from", "log:log"]).serve(&folder);
    assert!(service.get("/api/v1/checkpoints").json()["checkpoints"].is_null());
    assert!(service.get("/healthz").json()["checkpoints"].is_null());
    assert_eq!(metric(&service, "tidewheel_checkpoint_age_seconds"), None);
}
