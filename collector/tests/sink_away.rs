//! A sink that goes away and comes back.

mod support;

use serde_json::json;
use std::fs;
use std::time::{Duration, Instant};
use support::{Running, body};

const TP2: &str = "/com.snowplowanalytics.snowplow/tp2";
const PATIENCE: Duration = Duration::from_secs(60);

fn until(mut what: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !what() {
        assert!(begin.elapsed() < PATIENCE, "it does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn nothing_is_acknowledged_that_the_log_does_not_hold() {
    let running = Running::start(|_| {});
    let event = |user: &str| body(&json!([{ "e": "pv", "p": "web", "tv": "t", "uid": user }]));
    assert_eq!(running.post(TP2, "", &event("a")).status, 200);

    // The log goes, and something else stands in its place.
    let log = running.folder.path().join("json");
    fs::remove_dir_all(&log).expect("removes");
    fs::write(&log, "not a folder").expect("writes");
    let first = running.post(TP2, "", &event("b"));
    assert_eq!(first.status, 503, "{first:?}");
    assert_eq!(first.header("retry-after"), Some("1"));
    assert_eq!(running.ask("GET", "/sink-health", "").status, 503);
    assert_eq!(running.ask("GET", "/health", "").status, 200);
    assert_eq!(running.ask("GET", "/i?e=pv&p=web", "").status, 503);

    // It comes back by itself, without any event.
    fs::remove_file(&log).expect("removes");
    until(|| running.ask("GET", "/sink-health", "").status == 200);
    assert_eq!(running.post(TP2, "", &event("b")).status, 200);
    let users: Vec<_> = running
        .rows("json")
        .iter()
        .map(|row| row["enrich"]["user"]["user_id"].clone())
        .collect();
    assert_eq!(users, ["b"]);
}
