//! The service over real HTTP: every route as it is documented.

mod support_service;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use support_service::{Service, Start, folder, run, simulate, views};

/// A service over a file of events, with one query.
fn service() -> Service {
    let folder = folder();
    simulate(folder.path(), 2_000);
    std::fs::write(
        folder.path().join("queries/seen.sql"),
        views("seen", "product_view"),
    )
    .expect("writes");
    Start::default()
        .with(&["--from", "file:events.jsonl"])
        .serve(&folder)
}

/// A user that the store knows.
fn some_user(service: &Service) -> String {
    let output = run(
        service.folder.path(),
        &["features", "store", "seen:", "--json", "--limit", "1"],
    );
    let line: Value = serde_json::from_slice(&output.stdout).expect("one line");
    let key = line["key"].as_str().expect("a key");
    key.strip_prefix("seen:").expect("the prefix").to_owned()
}

#[test]
fn every_documented_path_answers_as_documented() {
    let service = service();
    let openapi = service.get("/openapi.json").json();
    assert!(
        openapi["openapi"]
            .as_str()
            .expect("a version")
            .starts_with("3.1")
    );
    let paths: BTreeSet<&str> = openapi["paths"]
        .as_object()
        .expect("paths")
        .keys()
        .map(String::as_str)
        .collect();
    let wanted = [
        "/api/v1/checkpoints",
        "/api/v1/features",
        "/api/v1/features/{table}",
        "/api/v1/features/{table}/{key}",
        "/api/v1/queries",
        "/api/v1/queries/preview",
        "/api/v1/queries/validate",
        "/api/v1/queries/{name}",
        "/api/v1/queries/{name}/changes",
        "/api/v1/queries/{name}/pause",
        "/api/v1/queries/{name}/plan",
        "/api/v1/queries/{name}/resume",
        "/api/v1/queries/{name}/stats",
        "/api/v1/tables",
        "/api/v1/tables/{name}",
        "/healthz",
        "/metrics",
        "/openapi.json",
        "/readyz",
    ];
    assert_eq!(paths, wanted.into_iter().collect());
    service.until("ready", |service| service.get("/readyz").status == 200);
    for (path, member) in [
        ("/api/v1/queries", "queries"),
        ("/api/v1/queries/seen", "statements"),
        ("/api/v1/queries/seen/plan", "plan"),
        ("/api/v1/queries/seen/stats", "statements"),
        ("/api/v1/tables", "tables"),
        ("/api/v1/tables/shopper_events", "columns"),
        ("/api/v1/tables/seen", "feature_key"),
        ("/api/v1/features?key=x", "features"),
        ("/api/v1/features/seen?keys=a,b", "features"),
        ("/api/v1/features/seen/nobody", "found"),
        ("/healthz", "status"),
        ("/readyz", "ready"),
    ] {
        let answer = service.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert_eq!(answer.header("content-type"), "application/json", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(
            !answer.json()[member].is_null(),
            "{path} lacks {member}: {}",
            answer.text
        );
        let head = service.send("HEAD", path, &[], None);
        assert_eq!((head.status, head.text.as_str()), (200, ""), "HEAD {path}");
    }
    assert_eq!(service.get("/").status, 200);
    for path in ["/docs", "/docs/app.js", "/docs/style.css"] {
        let page = service.get(path);
        assert_eq!(page.status, 200);
        assert!(
            page.header("content-security-policy")
                .contains("default-src 'none'")
        );
        let elsewhere = page.text.contains("https://") || page.text.contains("http://");
        assert!(!elsewhere, "{path} names another host");
    }
}

#[test]
fn a_query_lives_from_its_first_text_to_its_end() {
    let service = service();
    let text = views("carts", "add_to_cart");
    let made = service.send(
        "POST",
        "/api/v1/queries?name=carts",
        &[("content-type", "application/x-www-form-urlencoded")],
        Some(text.as_bytes()),
    );
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.header("location"), "/api/v1/queries/carts");
    let tag = made.header("etag").to_owned();
    assert_eq!(
        std::fs::read_to_string(service.file("carts")).expect("a file"),
        text
    );
    assert_eq!(made.json()["statements"][0]["writes"], "carts");

    let path = "/api/v1/queries/carts";
    let read = service.get(path);
    assert_eq!(
        (read.header("etag"), &read.json()["sql"]),
        (tag.as_str(), &json!(text))
    );
    let same = service.send("GET", path, &[("if-none-match", &tag)], None);
    assert_eq!((same.status, same.text.as_str()), (304, ""));

    let again = service.post_json("/api/v1/queries", &json!({ "name": "carts", "sql": text }));
    assert_eq!(again.status, 409, "{}", again.text);

    let other = views("carts", "remove_from_cart");
    let put = |headers: &[(&str, &str)]| service.send("PUT", path, headers, Some(other.as_bytes()));
    assert_eq!(put(&[]).status, 428);
    let changed = put(&[("if-match", "\"0\"")]);
    assert_eq!(
        (changed.status, changed.header("etag")),
        (412, tag.as_str())
    );
    let replaced = put(&[("if-match", &tag)]);
    assert_eq!(replaced.status, 200, "{}", replaced.text);
    assert_ne!(replaced.header("etag"), tag);
    assert_eq!(
        std::fs::read_to_string(service.file("carts")).expect("a file"),
        other
    );
    assert_eq!(put(&[("if-match", "*")]).status, 200);

    let stale = service.send("DELETE", path, &[("if-match", &tag)], None);
    assert_eq!(stale.status, 412);
    assert_eq!(service.send("DELETE", path, &[], None).status, 204);
    assert!(!service.file("carts").exists());
    assert_eq!(service.get(path).status, 404);
    assert_eq!(service.send("DELETE", path, &[], None).status, 404);
}

#[test]
fn the_same_idempotency_key_adds_a_query_once() {
    let service = service();
    let send = |key: &str, name: &str| {
        let body = json!({ "name": name, "sql": views(name, "page_view") }).to_string();
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        service.send("POST", "/api/v1/queries", &headers, Some(body.as_bytes()))
    };
    let first = send("k1", "pages");
    assert_eq!(first.status, 201, "{}", first.text);
    let again = send("k1", "pages");
    assert_eq!(
        (again.status, again.header("idempotency-replayed")),
        (201, "true")
    );
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(send("k1", "other").status, 422);
    assert_eq!(send("k2", "pages").status, 409);
    assert_eq!(send("", "x").status, 400);
}

#[test]
fn what_others_use_is_not_removed() {
    let service = service();
    let refused = service.send("DELETE", "/api/v1/queries/events", &[], None);
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert_eq!(refused.json()["queries"], json!(["seen"]));
    assert!(service.file("events").exists());
    let writer = views("seen", "page_view");
    let second = service.send(
        "POST",
        "/api/v1/queries?name=zweit",
        &[],
        Some(writer.as_bytes()),
    );
    assert!(
        [409, 422].contains(&second.status),
        "a column has one writer: {}",
        second.text
    );
}

#[test]
fn features_are_read_by_key() {
    let service = service();
    service.until("a value", |service| {
        let output = run(
            service.folder.path(),
            &["features", "store", "seen:", "--json"],
        );
        output.stdout.iter().filter(|byte| **byte == b'\n').count() > 2
    });
    let user = some_user(&service);
    let one = service.get(&format!("/api/v1/features/seen/{user}")).json();
    assert_eq!(one["found"], true);
    assert_eq!(one["key"], json!({ "user_key": user }));
    assert!(one["values"]["views"].as_i64().expect("a number") > 0);
    let nobody = service.get("/api/v1/features/seen/a%2Fb%20c").json();
    assert_eq!(nobody["key"], json!({ "user_key": "a/b c" }));
    assert_eq!(
        (&nobody["found"], &nobody["values"]["views"]),
        (&json!(false), &Value::Null)
    );
    for path in [
        format!("/api/v1/features/seen?keys=nobody,{user}"),
        format!("/api/v1/features/seen?keys=nobody&keys={user}"),
    ] {
        let many = service.get(&path).json();
        assert_eq!(many["features"][0]["found"], false);
        assert_eq!(many["features"][1], one, "{path}");
    }
    let all = service.get(&format!("/api/v1/features?key={user}")).json();
    assert_eq!(all["features"], json!([one]));
    let other = service
        .get(&format!("/api/v1/features?key={user}&column=session_id"))
        .json();
    assert_eq!(other["features"], json!([]));
    let keys = vec!["k"; 1_001].join(",");
    assert_eq!(
        service
            .get(&format!("/api/v1/features/seen?keys={keys}"))
            .status,
        400
    );
}

#[test]
fn read_only_changes_no_file() {
    let folder = folder();
    std::fs::write(
        folder.path().join("queries/seen.sql"),
        views("seen", "product_view"),
    )
    .expect("writes");
    simulate(folder.path(), 200);
    let service = Start::default()
        .with(&["--from", "file:events.jsonl", "--read-only"])
        .serve(&folder);
    let text = views("more", "page_view");
    let body = Some(text.as_bytes());
    let answers = [
        service.send("POST", "/api/v1/queries?name=more", &[], body),
        service.send("PUT", "/api/v1/queries/seen", &[("if-match", "*")], body),
        service.send("DELETE", "/api/v1/queries/seen", &[], None),
    ];
    for answer in answers {
        assert_eq!(answer.status, 403, "{}", answer.text);
        assert!(answer.text.contains("read-only"));
    }
    assert_eq!(
        service
            .send("POST", "/api/v1/queries/validate", &[], body)
            .status,
        200
    );
    let files = std::fs::read_dir(folder.path().join("queries")).expect("lists");
    assert_eq!(files.count(), 2);
}
