//! The service over real HTTP: requests that are broken, wrong or too much.

mod support_service;

use serde_json::json;
use support_service::{Service, Start, folder, simulate, views};

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

#[test]
fn broken_requests_get_a_problem_that_says_what_to_do() {
    let service = service();
    let json = ("content-type", "application/json");
    let long = "x".repeat(2 << 20);
    let sql = "/api/v1/queries?name=n";
    type Case<'a> = (
        &'a str,
        &'a str,
        Vec<(&'a str, &'a str)>,
        Option<&'a [u8]>,
        u16,
        &'a str,
    );
    let cases: Vec<Case<'_>> = vec![
        ("GET", "/nothing", vec![], None, 404, "/docs"),
        (
            "GET",
            "/api/v1/queries/none",
            vec![],
            None,
            404,
            "lists all",
        ),
        (
            "GET",
            "/api/v1/queries/none/plan",
            vec![],
            None,
            404,
            "lists all",
        ),
        (
            "GET",
            "/api/v1/queries/none/stats",
            vec![],
            None,
            404,
            "lists all",
        ),
        (
            "GET",
            "/api/v1/queries/none/changes",
            vec![],
            None,
            404,
            "lists all",
        ),
        (
            "POST",
            "/api/v1/queries/none/pause",
            vec![],
            Some(b""),
            404,
            "lists all",
        ),
        (
            "GET",
            "/api/v1/queries/events/changes",
            vec![],
            None,
            409,
            "none of its queries",
        ),
        ("GET", "/api/v1/tables/none", vec![], None, 404, "lists all"),
        (
            "GET",
            "/api/v1/features/none/k",
            vec![],
            None,
            404,
            "lists all",
        ),
        (
            "GET",
            "/api/v1/features/shopper_events/k",
            vec![],
            None,
            404,
            "no query writes",
        ),
        ("GET", "/api/v1/features/seen", vec![], None, 400, "?keys="),
        ("GET", "/api/v1/features", vec![], None, 400, "?key="),
        ("PATCH", "/api/v1/queries/seen", vec![], None, 405, "Allow"),
        ("BREW", "/healthz", vec![], None, 405, "Allow"),
        (
            "GET",
            "/api/v1/queries",
            vec![("accept", "text/html")],
            None,
            406,
            "application/json",
        ),
        (
            "GET",
            "/api/v1/queries/seen/changes",
            vec![("accept", "application/json")],
            None,
            406,
            "text/event-stream",
        ),
        (
            "POST",
            sql,
            vec![("content-type", "image/png")],
            Some(b"x"),
            415,
            "text/plain",
        ),
        (
            "POST",
            sql,
            vec![],
            Some(long.as_bytes()),
            413,
            "limits.request-bytes",
        ),
        ("POST", sql, vec![], Some(b""), 422, "empty"),
        ("POST", sql, vec![], Some(b"SELEC 1"), 422, "error"),
        ("POST", sql, vec![], Some(b"SELECT\0"), 422, "NUL"),
        ("POST", sql, vec![], Some(b"\xff\xfe"), 400, "UTF-8"),
        (
            "POST",
            "/api/v1/queries",
            vec![],
            Some(b"SET 'a' = 'b';"),
            400,
            "?name=",
        ),
        (
            "POST",
            "/api/v1/queries",
            vec![json],
            Some(b"{"),
            400,
            "the body is not",
        ),
        (
            "POST",
            "/api/v1/queries",
            vec![json],
            Some(b"{\"sql\":1}"),
            400,
            "the body is not",
        ),
        (
            "POST",
            "/api/v1/queries",
            vec![json],
            Some(b"{\"name\":\"n\",\"sql\":\"x\",\"z\":1}"),
            400,
            "unknown field",
        ),
        (
            "POST",
            "/api/v1/queries?name=a",
            vec![json],
            Some(b"{\"name\":\"b\",\"sql\":\"x\"}"),
            400,
            "differ",
        ),
        (
            "POST",
            "/api/v1/queries?name=..%2Fx",
            vec![],
            Some(b"SET 'pipeline.name' = 'b';"),
            422,
            "letters",
        ),
        (
            "POST",
            "/api/v1/queries?name=validate",
            vec![],
            Some(b"SET 'pipeline.name' = 'b';"),
            422,
            "word of the API",
        ),
        (
            "PUT",
            "/api/v1/queries/none",
            vec![("if-match", "*")],
            Some(b"x"),
            404,
            "lists all",
        ),
        (
            "PUT",
            "/api/v1/queries/seen",
            vec![("if-match", "*")],
            Some(b"nonsense"),
            422,
            "error",
        ),
        (
            "POST",
            "/api/v1/queries/preview?last=soon",
            vec![],
            Some(b"SELECT 1"),
            400,
            "duration",
        ),
        (
            "POST",
            "/api/v1/queries/preview?rows=0",
            vec![],
            Some(b"SELECT 1"),
            400,
            "whole number",
        ),
        (
            "POST",
            "/api/v1/queries/preview",
            vec![],
            Some(b"nonsense"),
            422,
            "error",
        ),
        (
            "GET",
            "/healthz",
            vec![("host", "evil.example")],
            None,
            403,
            "serve.hosts",
        ),
        (
            "POST",
            "/api/v1/queries/seen/pause",
            vec![("origin", "https://evil.example")],
            Some(b""),
            403,
            "cors.origins",
        ),
    ];
    for (method, path, headers, body, status, says) in cases {
        let answer = service.send(method, path, &headers, body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        assert_eq!(
            answer.header("content-type"),
            "application/problem+json",
            "{method} {path}"
        );
        let problem = answer.json();
        assert_eq!(problem["status"], status);
        let kind = problem["type"].as_str().expect("a type");
        let page = service.get("/docs").text;
        let anchor = kind.strip_prefix("/docs#").expect("described in /docs");
        assert!(
            page.contains(&format!("id=\"{anchor}\"")),
            "{kind} is not described"
        );
        assert!(
            answer.text.contains(says),
            "{method} {path} does not say '{says}': {}",
            answer.text
        );
    }
    assert_eq!(
        service.send("PATCH", "/healthz", &[], None).header("allow"),
        "GET,HEAD"
    );
    assert_eq!(
        service.state("seen"),
        "running",
        "and nothing of it did harm"
    );
}

#[test]
fn sql_errors_have_their_place_and_advice() {
    let service = service();
    let text = views("t", "product_view").replace("user_key, COUNT", "user_kee, COUNT");
    for path in [
        "/api/v1/queries?name=wrong",
        "/api/v1/queries/validate?name=wrong",
    ] {
        let answer = service.send("POST", path, &[], Some(text.as_bytes()));
        assert_eq!(answer.status, 422);
        let error = &answer.json()["errors"][0];
        assert_eq!(error["file"], "wrong.sql");
        assert_eq!(
            (&error["line"], &error["column"]),
            (&json!(3), &json!(22)),
            "{error}"
        );
        assert_eq!(error["text"], "user_kee");
        assert_eq!(error["advice"], "did you mean 'user_key'?");
        assert!(
            error["excerpt"]
                .as_str()
                .expect("text")
                .contains("^^^^^^^^")
        );
    }
    assert!(!service.file("wrong").exists());
    let fine = service.send(
        "POST",
        "/api/v1/queries/validate",
        &[],
        Some(views("t", "product_view").as_bytes()),
    );
    assert_eq!(fine.status, 200, "{}", fine.text);
    assert_eq!(fine.json()["valid"], true);
    assert!(
        fine.json()["plan"]
            .as_str()
            .expect("text")
            .contains("shopper_events")
    );
    assert_eq!(service.state("query"), "", "and nothing was added");
}

#[test]
fn bounds_hold() {
    let folder = folder();
    simulate(folder.path(), 200);
    std::fs::write(
        folder.path().join("queries/seen.sql"),
        views("seen", "product_view"),
    )
    .expect("writes");
    let service = Start::default()
        .with(&["--from", "file:events.jsonl"])
        .env("TIDEWHEEL_LISTENERS", "1")
        .env("TIDEWHEEL_QUERIES", "2")
        .env("TIDEWHEEL_REQUEST_BYTES", "1 kb")
        .serve(&folder);
    let mut first = service.events("/api/v1/queries/seen/changes");
    assert_eq!(first.next().expect("an event").0, "listening");
    let second = service.get("/api/v1/queries/seen/changes");
    assert_eq!((second.status, second.header("retry-after")), (429, "1"));
    let more = views("more", "page_view");
    let full = service.send(
        "POST",
        "/api/v1/queries?name=more",
        &[],
        Some(more.as_bytes()),
    );
    assert_eq!(full.status, 409, "{}", full.text);
    assert!(full.text.contains("limits.queries"));
    let large = vec![b' '; 2048];
    assert_eq!(
        service
            .send("POST", "/api/v1/queries", &[], Some(&large))
            .status,
        413
    );
    drop(first);
    service.until("a free place", |service| {
        let metrics = service.get("/metrics").text;
        metrics.contains("tidewheel_http_listeners 0")
    });
}
