//! The page at `/`, its links, and the names that the service answers to.

mod support_service;

use std::fs;
use support_service::{Start, folder, run, simulate, views};

fn prepared() -> std::sync::Arc<tempfile::TempDir> {
    let folder = folder();
    simulate(folder.path(), 100);
    fs::write(
        folder.path().join("queries/seen.sql"),
        views("seen", "product_view"),
    )
    .expect("writes");
    folder
}

fn start() -> Start {
    Start::default().with(&["--from", "file:events.jsonl"])
}

#[test]
fn the_page_is_there_for_whoever_has_no_token_yet() {
    let service = start()
        .env("TIDEWHEEL_WRITE_TOKEN", "writer-token")
        .env(
            "TIDEWHEEL_LINKS",
            "Shop=http://localhost:3000, Its \"boards\"=https://g.example/?a=1&b=<2>",
        )
        .serve(&prepared());
    let page = service.get("/");
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    // Nothing of it comes from elsewhere, and no text of a link can become markup.
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'none'; script-src 'self';")
    );
    assert!(
        page.text
            .contains("<a href=\"http://localhost:3000\">Shop</a>")
    );
    assert!(
        page.text.contains(
            "<a href=\"https://g.example/?a=1&amp;b=&lt;2&gt;\">Its &quot;boards&quot;</a>"
        )
    );
    assert!(!page.text.contains("<2>"));
    for line in page.text.lines() {
        for attribute in ["src=\"", "href=\"/page"] {
            let Some((_, rest)) = line.split_once(attribute) else {
                continue;
            };
            let path = rest.split('"').next().expect("text");
            let path = if attribute.starts_with("href") {
                format!("/page{path}")
            } else {
                path.to_owned()
            };
            assert_eq!(service.get(&path).status, 200, "{path}");
        }
    }
    // What it shows needs the token.
    for path in ["/api/v1/queries", "/metrics", "/api/v1/features?key=x"] {
        assert_eq!(service.get(path).status, 401, "{path}");
    }
}

#[test]
fn a_link_that_is_none_is_refused_at_the_start() {
    let folder = prepared();
    for wrong in ["Grafana", "x=javascript:alert(1)", "=http://x"] {
        let config = folder.path().join("links.toml");
        fs::write(&config, format!("[page]\nlinks = [{wrong:?}]\n")).expect("writes");
        let refused = run(
            folder.path(),
            &[
                "--config",
                "links.toml",
                "serve",
                "queries",
                "--listen",
                "127.0.0.1:0",
            ],
        );
        let says = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{says}");
        assert!(
            says.contains("page.links") && says.contains(wrong),
            "{says}"
        );
    }
}

#[test]
fn named_hosts_hold_on_other_addresses_too() {
    let ask = |service: &support_service::Service, host: &str| {
        service
            .send("GET", "/api/v1/queries", &[("host", host)], None)
            .status
    };
    let named = start()
        .with(&["--insecure"])
        .env("TIDEWHEEL_HOSTS", "tidewheel")
        .serve_on(&prepared(), "0.0.0.0:0");
    assert_eq!(ask(&named, "tidewheel:8080"), 200);
    assert_eq!(ask(&named, "localhost:8080"), 200);
    assert_eq!(ask(&named, "evil.example"), 403);
    let any = start()
        .with(&["--insecure"])
        .serve_on(&prepared(), "0.0.0.0:0");
    assert_eq!(ask(&any, "features.internal"), 200);
}
