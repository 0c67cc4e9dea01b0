//! Who may do what, and what is never shown.

mod support_service;

use serde_json::json;
use std::fs;
use support_service::{Service, Start, folder, run, simulate, views};

const SECRET: &str = "hunter2-never-shown";

fn with_tokens() -> Start {
    Start::default()
        .with(&["--from", "file:events.jsonl"])
        .env("TIDEWHEEL_READ_TOKEN", "reader-token")
        .env("TIDEWHEEL_WRITE_TOKEN", "writer-token")
}

fn prepared() -> std::sync::Arc<tempfile::TempDir> {
    let folder = folder();
    simulate(folder.path(), 200);
    fs::write(
        folder.path().join("queries/seen.sql"),
        views("seen", "product_view"),
    )
    .expect("writes");
    folder
}

fn status(service: &Service, method: &str, path: &str, token: Option<&str>) -> u16 {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<(&str, &str)> = bearer
        .iter()
        .map(|bearer| ("authorization", bearer.as_str()))
        .collect();
    let body: Option<&[u8]> = (method == "POST" || method == "PUT").then_some(b"nonsense");
    service.send(method, path, &headers, body).status
}

#[test]
fn a_token_for_reading_and_one_for_changing() {
    let service = with_tokens().serve(&prepared());
    let routes = [
        ("GET", "/api/v1/queries", false),
        ("GET", "/api/v1/queries/seen", false),
        ("GET", "/api/v1/queries/seen/plan", false),
        ("GET", "/api/v1/queries/seen/stats", false),
        ("GET", "/api/v1/tables", false),
        ("GET", "/api/v1/features/seen/x", false),
        ("GET", "/metrics", false),
        ("POST", "/api/v1/queries/validate", false),
        ("POST", "/api/v1/queries/preview", false),
        ("POST", "/api/v1/queries?name=x", true),
        ("PUT", "/api/v1/queries/seen", true),
        ("DELETE", "/api/v1/queries/none", true),
        ("POST", "/api/v1/queries/none/pause", true),
        ("POST", "/api/v1/queries/none/resume", true),
    ];
    for (method, path, changes) in routes {
        assert_eq!(status(&service, method, path, None), 401, "{method} {path}");
        assert_eq!(
            status(&service, method, path, Some("wrong")),
            401,
            "{method} {path}"
        );
        assert_eq!(status(&service, method, path, Some("reader-token2")), 401);
        let reading = status(&service, method, path, Some("reader-token"));
        assert_eq!(
            reading == 403,
            changes,
            "{method} {path} with the read token: {reading}"
        );
        let writing = status(&service, method, path, Some("writer-token"));
        assert!(![401, 403].contains(&writing), "{method} {path}: {writing}");
    }
    for path in ["/healthz", "/readyz", "/docs", "/openapi.json"] {
        assert_eq!(status(&service, "GET", path, None), 200, "{path}");
    }
    let refused = service.get("/metrics");
    assert!(refused.header("www-authenticate").starts_with("Bearer"));
}

#[test]
fn other_machines_need_a_token() {
    let folder = prepared();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let refused = run(folder.path(), &["serve", "queries", "--listen", address]);
        let says = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{says}");
        assert!(
            says.contains("TIDEWHEEL_WRITE_TOKEN") && says.contains("--insecure"),
            "{says}"
        );
    }
    let insecure = Start::default()
        .with(&["--from", "file:events.jsonl", "--insecure"])
        .serve_on(&folder, "0.0.0.0:0");
    assert_eq!(insecure.get("/api/v1/queries").status, 200);
    assert!(insecure.log().contains("--insecure"));
}

#[test]
fn elsewhere_than_on_loopback_sql_reaches_only_what_the_folder_reaches() {
    let folder = prepared();
    let service = with_tokens().serve_on(&folder, "0.0.0.0:0");
    let create = |sql: &str| {
        let headers = [("authorization", "Bearer writer-token")];
        service.send(
            "POST",
            "/api/v1/queries?name=more",
            &headers,
            Some(sql.as_bytes()),
        )
    };
    let fine = views("more", "page_view");
    for (sql, says) in [
        (
            fine.replace("'path' = 'store'", "'path' = '/tmp/elsewhere/store'"),
            "allow.paths",
        ),
        (
            fine.replace("'path' = 'store'", "'path' = '../store'"),
            "allow.paths",
        ),
        (
            fine.replace("'path' = 'store'", "'path' = '${PATH}'"),
            "allow.environment",
        ),
        (
            fine.replace(
                "'store', 'path' = 'store'",
                "'redis', 'url' = 'redis://10.0.0.1'",
            ),
            "allow.hosts",
        ),
    ] {
        let refused = create(&sql);
        assert_eq!(refused.status, 403, "{sql}: {}", refused.text);
        assert!(refused.text.contains(says), "{}", refused.text);
        assert!(!service.file("more").exists());
    }
    assert_eq!(create(&fine).status, 201);
    assert!(!std::path::Path::new("/tmp/elsewhere").exists());
}

#[test]
fn options_that_run_commands_are_never_taken_from_the_api() {
    let service = Start::default()
        .with(&["--into", "store:store"])
        .serve(&prepared());
    let sql = "CREATE TABLE other (a STRING) WITH ('connector' = 'kafka', 'topic' = 't', \
               'properties.bootstrap.servers' = 'localhost:1', 'format' = 'json', \
               'properties.sasl.kerberos.kinit.cmd' = 'touch /tmp/x');\n\
               CREATE TABLE o (a STRING) WITH ('connector' = 'blackhole');\n\
               INSERT INTO o SELECT a FROM other;";
    let refused = service.send("POST", "/api/v1/queries?name=o", &[], Some(sql.as_bytes()));
    assert_eq!(refused.status, 403, "{}", refused.text);
    assert!(refused.text.contains("kinit"), "{}", refused.text);
}

#[test]
fn secrets_are_never_shown() {
    let folder = prepared();
    let service = Start::default()
        .with(&[
            "--set",
            "shopper_events.connector=file",
            "--set",
            "shopper_events.path=events.jsonl",
        ])
        .env("REDIS_PASSWORD", SECRET)
        .serve(&folder);
    // Port 1 refuses, so that errors of the connection are shown too.
    let sql = format!(
        "CREATE TABLE r (user_key STRING, views BIGINT, PRIMARY KEY (user_key) NOT ENFORCED)\n\
         WITH ('connector' = 'redis', 'url' = 'redis://u:{SECRET}@127.0.0.1:1',\n\
         'password' = '{SECRET}', 'key' = 'r:{{user_key}}');\n\
         INSERT INTO r SELECT user_key, COUNT(*) FROM shopper_events GROUP BY user_key;"
    );
    let made = service.send("POST", "/api/v1/queries?name=r", &[], Some(sql.as_bytes()));
    assert_eq!(made.status, 201, "{}", made.text);
    let from_environment = sql.replace(&format!("'{SECRET}'"), "'${REDIS_PASSWORD}'");
    let again = from_environment
        .replace("TABLE r ", "TABLE r2 ")
        .replace("INTO r ", "INTO r2 ");
    let wrong = again
        .replace("COUNT(*)", "COUNT(nothing)")
        .replace("'key'", "'kee'");
    let mut shown = vec![made.text];
    service.until("the sink's absence", |service| {
        !service.get("/healthz").json()["away"]
            .as_array()
            .expect("a list")
            .is_empty()
    });
    for (method, path, body) in [
        ("GET", "/api/v1/queries", None),
        ("GET", "/api/v1/queries/r", None),
        ("GET", "/api/v1/queries/r/plan", None),
        ("GET", "/api/v1/queries/r/stats", None),
        ("GET", "/api/v1/tables", None),
        ("GET", "/api/v1/tables/r", None),
        ("GET", "/api/v1/features/r/x", None),
        ("GET", "/api/v1/features?key=x", None),
        ("GET", "/healthz", None),
        ("GET", "/metrics", None),
        ("POST", "/api/v1/queries/validate", Some(again.as_str())),
        (
            "POST",
            "/api/v1/queries/validate?name=w",
            Some(wrong.as_str()),
        ),
        ("POST", "/api/v1/queries?name=w", Some(wrong.as_str())),
    ] {
        shown.push(
            service
                .send(method, path, &[], body.map(str::as_bytes))
                .text,
        );
    }
    let masked = service.get("/api/v1/queries/r").json();
    let text = masked["sql"].as_str().expect("text");
    assert!(
        text.contains("redis://***@127.0.0.1:1") && text.contains("'password' = '***'"),
        "{text}"
    );
    // What was read masked must not overwrite the secret.
    let back = service.send(
        "PUT",
        "/api/v1/queries/r",
        &[("if-match", "*")],
        Some(text.as_bytes()),
    );
    assert_eq!(back.status, 422, "{}", back.text);
    for name in ["tidewheel config", "queries list", "queries show r"] {
        let mut arguments: Vec<&str> = name.trim_start_matches("tidewheel ").split(' ').collect();
        if arguments[0] == "queries" {
            arguments.extend(["--server", &service.url]);
        }
        let output = run(service.folder.path(), &arguments);
        shown.push(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    shown.push(service.log());
    for text in shown {
        assert!(!text.contains(SECRET), "{text}");
    }
    let log = service.log();
    let said = log.lines().filter(|line| line.contains("is away")).count();
    assert_eq!(said, 1, "once for the place, not for each try:\n{log}");
}

#[test]
fn pages_of_other_origins_only_where_configured() {
    let service = Start::default()
        .with(&["--from", "file:events.jsonl"])
        .env("TIDEWHEEL_CORS_ORIGINS", "https://ops.example")
        .serve(&prepared());
    let ask = |origin: &str| service.send("GET", "/api/v1/queries", &[("origin", origin)], None);
    assert_eq!(
        ask("https://ops.example").header("access-control-allow-origin"),
        "https://ops.example"
    );
    assert_eq!(
        ask("https://evil.example").header("access-control-allow-origin"),
        ""
    );
    let change = |origin: &str| {
        service
            .send(
                "POST",
                "/api/v1/queries/seen/pause",
                &[("origin", origin)],
                Some(b""),
            )
            .status
    };
    assert_eq!(change("https://ops.example"), 200);
    assert_eq!(change("https://evil.example"), 403);
    assert_eq!(
        service
            .get("/api/v1/queries")
            .header("access-control-allow-origin"),
        ""
    );
    let body = json!({ "name": "x", "sql": "nonsense" });
    assert_eq!(service.post_json("/api/v1/queries", &body).status, 422);
}
