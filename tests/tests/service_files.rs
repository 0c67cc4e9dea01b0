//! The folder and the API are one catalogue: files that are edited, and restarts.

mod support_service;

use std::fs;
use std::time::Duration;
use std::time::Instant;
use support_service::{Service, Start, folder, simulate, views};

const FROM: [&str; 2] = ["--from", "file:events.jsonl"];
/// A change of a file must be running after that long; generous where the machine is busy.
const SEEN_WITHIN: Duration = Duration::from_secs(20);

fn service() -> Service {
    let folder = folder();
    simulate(folder.path(), 500);
    fs::write(
        folder.path().join("queries/seen.sql"),
        views("seen", "product_view"),
    )
    .expect("writes");
    Start::default().with(&FROM).serve(&folder)
}

fn errors(service: &Service, name: &str) -> usize {
    let query = service.get(&format!("/api/v1/queries/{name}")).json();
    query["errors"].as_array().map_or(0, Vec::len)
}

#[test]
fn files_that_come_change_and_go_are_followed() {
    let service = service();
    let begin = Instant::now();
    fs::write(service.file("carts"), views("carts", "add_to_cart")).expect("writes");
    service.until("the new file", |service| {
        service.state("carts") == "running"
    });
    assert!(begin.elapsed() < SEEN_WITHIN);

    let other = views("carts", "remove_from_cart");
    fs::write(service.file("carts"), &other).expect("writes");
    let tag_of = |service: &Service| {
        service
            .get("/api/v1/queries/carts")
            .header("etag")
            .to_owned()
    };
    service.until("the edit", |service| {
        service.get("/api/v1/queries/carts").json()["sql"] == other.as_str()
    });
    let tag = tag_of(&service);

    // As editors do it: aside first, then in its place.
    let aside = service.file("carts").with_extension("sql~");
    fs::write(&aside, views("carts", "add_to_cart")).expect("writes");
    fs::rename(&aside, service.file("carts")).expect("renames");
    service.until("the rename", |service| tag_of(service) != tag);

    fs::remove_file(service.file("carts")).expect("removes");
    service.until("the end", |service| service.state("carts").is_empty());
    assert_eq!(service.state("seen"), "running");
}

#[test]
fn a_broken_file_leaves_the_version_before_running() {
    let service = service();
    let good = views("seen", "product_view");
    for broken in [
        good.replace("COUNT(*)", "COUNT(nothing)"),
        "not SQL at all".to_owned(),
        String::new(),
    ] {
        fs::write(service.file("seen"), &broken).expect("writes");
        service.until("the error", |service| errors(service, "seen") > 0);
        let query = service.get("/api/v1/queries/seen").json();
        assert_eq!(query["state"], "running", "{query}");
        assert_eq!(query["runs_version_before"], true);
        let health = service.get("/healthz").json();
        assert_eq!(health["broken"], serde_json::json!(["seen"]));
        let metrics = service.get("/metrics").text;
        assert!(metrics.contains("tidewheel_catalogue_file_broken{file=\"seen\"} 1"));
        // Others can be added meanwhile.
        let more = views("more", "page_view");
        let made = service.send(
            "POST",
            "/api/v1/queries?name=more",
            &[],
            Some(more.as_bytes()),
        );
        assert_eq!(made.status, 201, "{}", made.text);
        assert_eq!(
            service
                .send("DELETE", "/api/v1/queries/more", &[], None)
                .status,
            204
        );
        fs::write(service.file("seen"), &good).expect("writes");
        service.until("the cure", |service| errors(service, "seen") == 0);
    }
    let log = service.log();
    assert!(
        log.contains("there is no column 'nothing'") && log.contains("seen.sql:3:"),
        "{log}"
    );
    service.until("health", |service| {
        service.get("/healthz").json()["status"] == "ok"
    });
}

#[test]
fn a_table_that_others_need_is_not_lost_with_its_file() {
    let service = service();
    let events = fs::read_to_string(service.file("events")).expect("reads");
    fs::remove_file(service.file("events")).expect("removes");
    service.until("the error", |service| errors(service, "events") > 0);
    assert_eq!(service.state("seen"), "running");
    let query = service.get("/api/v1/queries/events").json();
    let message = query["errors"][0]["message"].as_str().expect("text");
    assert!(message.contains("would break seen"), "{message}");
    fs::write(service.file("events"), events).expect("writes");
    service.until("the cure", |service| errors(service, "events") == 0);
}

#[test]
fn a_file_that_waits_for_another_runs_once_that_is_there() {
    let folder = folder();
    simulate(folder.path(), 200);
    let events = fs::read_to_string(folder.path().join("queries/events.sql")).expect("reads");
    fs::write(
        folder.path().join("queries/seen.sql"),
        views("seen", "product_view"),
    )
    .expect("writes");
    fs::remove_file(folder.path().join("queries/events.sql")).expect("removes");
    let service = Start::default().with(&FROM).serve(&folder);
    assert_eq!(service.state("seen"), "broken");
    let made = service.send(
        "POST",
        "/api/v1/queries?name=events",
        &[],
        Some(events.as_bytes()),
    );
    assert_eq!(made.status, 201, "{}", made.text);
    service.until("the other", |service| service.state("seen") == "running");
}

#[test]
fn a_paused_query_writes_nothing_after_a_restart() {
    let service = service();
    let pause = service.send("POST", "/api/v1/queries/seen/pause", &[], None);
    assert_eq!(pause.status, 200);
    let folder = std::sync::Arc::clone(&service.folder);
    service.stop();
    fs::remove_dir_all(folder.path().join("store")).expect("removes");

    let service = Start::default().with(&FROM).serve(&folder);
    assert_eq!(service.state("seen"), "paused");
    service.until("all rows", |service| {
        let metrics = service.get("/metrics").text;
        metrics.contains("tidewheel_source_rows_total{table=\"shopper_events\"} 500")
    });
    let stats = service.get("/api/v1/queries/seen/stats").json();
    assert_eq!(stats["statements"][0]["writes"], 0, "{stats}");
    service.stop();
    let held = support_service::run(folder.path(), &["features", "store", "seen:", "--json"]);
    let held = String::from_utf8_lossy(&held.stdout).into_owned();
    assert_eq!(held, "", "nothing was written at the end either");
}

#[test]
fn a_repeated_request_is_known_after_a_restart() {
    let service = service();
    let carts = views("carts", "add_to_cart");
    let send = |service: &Service, key: &str, sql: &str| {
        let headers = [("idempotency-key", key)];
        let path = "/api/v1/queries?name=carts";
        service.send("POST", path, &headers, Some(sql.as_bytes()))
    };
    assert_eq!(send(&service, "one", &carts).status, 201);
    let folder = std::sync::Arc::clone(&service.folder);
    service.stop();

    let service = Start::default().with(&FROM).serve(&folder);
    let again = send(&service, "one", &carts);
    let replayed = again.header("idempotency-replayed");
    assert_eq!((again.status, replayed), (201, "true"), "{}", again.text);
    assert_eq!(send(&service, "two", &carts).status, 409);
    let other = views("carts", "page_view");
    assert_eq!(send(&service, "one", &other).status, 422);
    service.stop();

    // The service ended after the file was written, before that was noted.
    let path = folder.path().join("queries/.tidewheel/answers.json");
    let noted = fs::read_to_string(&path).expect("reads");
    assert!(noted.contains("\"done\":true"), "{noted}");
    fs::write(&path, noted.replace("true", "false")).expect("writes");
    let service = Start::default().with(&FROM).serve(&folder);
    assert_eq!(send(&service, "one", &carts).status, 201);
    // The same, before the file was written.
    fs::write(&path, noted.replace("true", "false")).expect("writes");
    fs::remove_file(service.file("carts")).expect("removes");
    service.stop();
    let service = Start::default().with(&FROM).serve(&folder);
    let made = send(&service, "one", &carts);
    assert_eq!(
        (made.status, made.header("idempotency-replayed")),
        (201, "")
    );
    assert!(service.file("carts").exists());
}

#[test]
fn a_folder_that_is_gone_costs_no_query() {
    let service = service();
    let queries = service.folder.path().join("queries");
    let aside = service.folder.path().join("aside");
    fs::rename(&queries, &aside).expect("renames");
    service.until("the health page", |service| {
        let health = service.get("/healthz").json();
        health["status"] == "degraded" && health["away"].to_string().contains("is gone")
    });
    let more = views("more", "page_view");
    let path = "/api/v1/queries?name=more";
    let made = service.send("POST", path, &[], Some(more.as_bytes()));
    assert_eq!(made.status, 507, "{}", made.text);
    let removed = service.send("DELETE", "/api/v1/queries/seen", &[], None);
    assert_eq!(removed.status, 507, "{}", removed.text);
    let paused = service.send("POST", "/api/v1/queries/seen/pause", &[], None);
    assert_eq!(paused.status, 200, "{}", paused.text);
    assert!(!queries.exists(), "nothing makes it anew");
    assert_eq!(service.state("seen"), "paused");
    fs::rename(&aside, &queries).expect("renames");
    service.until("health", |service| {
        service.get("/healthz").json()["status"] == "ok"
    });
    let made = service.send("POST", path, &[], Some(more.as_bytes()));
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(service.state("seen"), "paused");
}

#[test]
fn an_edit_that_nobody_has_seen_yet_is_not_overwritten() {
    let service = service();
    let path = "/api/v1/queries/seen";
    for round in 0..5 {
        let read = service.get(path);
        let (tag, sql) = (read.header("etag").to_owned(), read.json()["sql"].clone());
        let edited = format!("{}-- {round}\n", sql.as_str().expect("a text"));
        fs::write(service.file("seen"), &edited).expect("writes");
        let text = views("seen", "add_to_cart");
        let headers = [("if-match", tag.as_str())];
        let put = service.send("PUT", path, &headers, Some(text.as_bytes()));
        assert_eq!(put.status, 412, "{}", put.text);
        let removed = service.send("DELETE", path, &headers, None);
        assert_eq!(removed.status, 412, "{}", removed.text);
        let there = fs::read_to_string(service.file("seen")).expect("reads");
        assert_eq!(there, edited);
        assert_eq!(service.get(path).json()["sql"], edited.as_str());
    }
}

#[test]
fn a_restart_ends_in_the_same_state() {
    let service = service();
    let carts = views("carts", "add_to_cart");
    let made = service.send(
        "POST",
        "/api/v1/queries?name=carts",
        &[],
        Some(carts.as_bytes()),
    );
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(
        service
            .send("POST", "/api/v1/queries/carts/pause", &[], None)
            .status,
        200
    );
    assert_eq!(service.state("carts"), "paused");
    fs::write(service.file("broken"), "nonsense").expect("writes");
    service.until("the error", |service| service.state("broken") == "broken");
    let states = |service: &Service| {
        let list = service.get("/api/v1/queries").json();
        let queries = list["queries"].as_array().expect("a list").clone();
        let pair = |query: &serde_json::Value| {
            (
                query["name"].to_string(),
                query["state"].to_string(),
                query["etag"].to_string(),
            )
        };
        queries.iter().map(pair).collect::<Vec<_>>()
    };
    let before = states(&service);
    let folder = std::sync::Arc::clone(&service.folder);
    service.stop();

    let service = Start::default().with(&FROM).serve(&folder);
    assert_eq!(states(&service), before);
    assert_eq!(before.len(), 4);
    assert!(service.log().contains("nonsense") || service.log().contains("broken.sql:1:1"));
    assert_eq!(
        service
            .send("POST", "/api/v1/queries/carts/resume", &[], None)
            .status,
        200
    );
    assert_eq!(service.state("carts"), "running");
}
