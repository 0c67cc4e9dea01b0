//! The service over a live flow: changes as they are written, pauses, metrics, and the client.

mod support_service;

use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use support_service::{Flow, Service, Start, binary, folder, root, run, views};

fn live() -> (Flow, Service) {
    live_with(&[])
}

fn live_with(flags: &[&str]) -> (Flow, Service) {
    let folder = folder();
    let flow = Flow::start(folder.path());
    std::fs::write(
        folder.path().join("queries/seen.sql"),
        views("seen", "product_view"),
    )
    .expect("writes");
    let service = Start::default()
        .with(&["--from", "log:log"])
        .with(flags)
        .serve(&folder);
    (flow, service)
}

fn writes(service: &Service, statement: &str) -> u64 {
    let stats = service
        .get(&format!("/api/v1/queries/{statement}/stats"))
        .json();
    stats["statements"][0]["writes"].as_u64().expect("a count")
}

#[test]
fn changes_are_seen_as_they_are_written() {
    let (_flow, service) = live();
    let mut events = service.events("/api/v1/queries/seen/changes");
    let (kind, hello) = events.next().expect("an event");
    assert_eq!(
        (kind.as_str(), &hello["query"]),
        ("listening", &Value::from("seen"))
    );
    let (kind, change) = events.next().expect("an event");
    assert_eq!(kind, "change");
    assert_eq!(
        (&change["op"], &change["table"]),
        (&Value::from("upsert"), &Value::from("seen"))
    );
    let user = change["row"]["user_key"]
        .as_str()
        .expect("a user")
        .to_owned();
    let views = change["row"]["views"].as_i64().expect("a number");
    // What was seen as a change stands in the sink, or something newer.
    let feature = service.get(&format!("/api/v1/features/seen/{user}")).json();
    assert!(
        feature["values"]["views"].as_i64().expect("a number") >= views,
        "{feature}"
    );
    let only = service.events(&format!("/api/v1/queries/seen/changes?user_key={user}"));
    let changes = only.filter(|(kind, _)| kind == "change").take(2);
    let mut last = views;
    for (_, change) in changes {
        assert_eq!(change["row"]["user_key"], user.as_str());
        let views = change["row"]["views"].as_i64().expect("a number");
        assert!(views > last, "{views} after {last}");
        last = views;
    }
}

#[test]
fn previews_and_single_selects_show_results_and_write_nothing() {
    let (_flow, service) = live();
    let folder = Arc::clone(&service.folder);
    let preview = |query: &str, sql: &str| {
        let path = format!("/api/v1/queries/preview?{query}");
        service.send(
            "POST",
            &path,
            &[("accept", "text/event-stream")],
            Some(sql.as_bytes()),
        )
    };
    let sql = "SELECT user_key, COUNT(*) AS n FROM shopper_events GROUP BY user_key";
    let shown = preview("rows=3&last=1%20min", sql);
    assert_eq!(shown.status, 200, "{}", shown.text);
    assert!(
        shown
            .header("content-type")
            .starts_with("text/event-stream")
    );
    assert!(shown.text.starts_with("event: columns\n"), "{}", shown.text);
    assert_eq!(
        shown.text.matches("event: row").count(),
        3,
        "{}",
        shown.text
    );
    assert!(
        shown.text.contains("{\"reason\":\"rows\",\"rows\":3}"),
        "{}",
        shown.text
    );
    let ended = preview(
        "seconds=1",
        "SELECT type FROM shopper_events WHERE type = 'no such type'",
    );
    assert!(ended.text.contains("\"reason\":\"time\""), "{}", ended.text);
    let wrong = preview("", "SELECT typ FROM shopper_events");
    assert_eq!(
        (wrong.status, &wrong.json()["errors"][0]["column"]),
        (422, &Value::from(8))
    );

    let sql = "SELECT type, COUNT(*) AS n FROM shopper_events GROUP BY type";
    let table = run(folder.path(), &["sql", sql, "--from", "log:log"]);
    let text = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(
        text.contains("page_view") && text.contains(" rows"),
        "{text}"
    );
    support_service::simulate(folder.path(), 50);
    let lines = run(
        folder.path(),
        &[
            "--json",
            "sql",
            "SELECT id FROM shopper_events",
            "--from",
            "file:events.jsonl",
        ],
    );
    let text = String::from_utf8_lossy(&lines.stdout).into_owned();
    assert!(text.lines().count() > 40 && text.lines().all(|line| line.starts_with("{\"id\":")));
    let rows = [
        "sql",
        "SELECT id FROM shopper_events",
        "--from",
        "log:log",
        "--follow",
        "--limit",
        "2",
    ];
    let followed = run(folder.path(), &rows);
    assert_eq!(String::from_utf8_lossy(&followed.stdout).lines().count(), 2);
    let names: BTreeSet<String> = std::fs::read_dir(folder.path())
        .expect("lists")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let wanted = ["events.jsonl", "log", "queries", "store"].map(str::to_owned);
    assert_eq!(names, BTreeSet::from(wanted), "nothing else was written");
}

#[test]
fn a_paused_query_writes_nothing_and_others_go_on() {
    let (_flow, service) = live();
    let made = views("pages", "page_view");
    let made = service.send(
        "POST",
        "/api/v1/queries?name=pages",
        &[],
        Some(made.as_bytes()),
    );
    assert_eq!(made.status, 201, "{}", made.text);
    service.until("writes", |service| {
        writes(service, "pages") > 0 && writes(service, "seen") > 0
    });
    assert_eq!(
        service
            .send("POST", "/api/v1/queries/pages/pause", &[], None)
            .status,
        200
    );
    assert_eq!(service.state("pages"), "paused");
    // What was on its way to the sink may still be written: two counts that agree are its end.
    let mut before = (writes(&service, "pages"), writes(&service, "seen"));
    service.until("an end of writes", |service| {
        service.until("others' writes", |service| {
            writes(service, "seen") > before.1 + 20
        });
        let now = (writes(service, "pages"), writes(service, "seen"));
        let same = now.0 == before.0;
        before = now;
        same
    });
    service.until("others' writes", |service| {
        writes(service, "seen") > before.1 + 100
    });
    assert_eq!(
        writes(&service, "pages"),
        before.0,
        "nothing is written while it is paused"
    );
    assert_eq!(
        service
            .send("POST", "/api/v1/queries/pages/resume", &[], None)
            .status,
        200
    );
    service.until("writes again", |service| {
        writes(service, "pages") > before.0
    });
}

#[test]
fn live_changes_disturb_no_other_query() {
    let (_flow, service) = live();
    service.until("writes", |service| writes(service, "seen") > 0);
    let counts = |service: &Service| {
        let table = service.get("/api/v1/tables/shopper_events").json();
        (
            table["source"]["rows"].as_u64().expect("rows"),
            writes(service, "seen"),
        )
    };
    let before = counts(&service);
    for round in 0..3 {
        let text = views("more", "page_view").replace("COUNT(*)", &format!("COUNT(*) + {round}"));
        let answer = if round == 0 {
            service.send(
                "POST",
                "/api/v1/queries?name=more",
                &[],
                Some(text.as_bytes()),
            )
        } else {
            let headers = [("if-match", "*")];
            service.send(
                "PUT",
                "/api/v1/queries/more",
                &headers,
                Some(text.as_bytes()),
            )
        };
        assert!([200, 201].contains(&answer.status), "{}", answer.text);
    }
    assert_eq!(
        service
            .send("DELETE", "/api/v1/queries/more", &[], None)
            .status,
        204
    );
    let after = counts(&service);
    // Counters of a query that was restarted would begin again at 0.
    assert!(
        after.0 >= before.0 && after.1 >= before.1,
        "{before:?} then {after:?}"
    );
    service.until("more writes", |service| writes(service, "seen") > after.1);
}

/// Every name of a metric in a text: words that begin as ours or the process' do.
fn metric_names(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_name(c))
        .filter(|word| {
            (word.starts_with("tidewheel_") || word.starts_with("process_")) && word.len() > 12
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn dashboards_and_alerts_name_metrics_that_are_there() {
    let (_flow, service) = live_with(&["--checkpoints", "state"]);
    let shop = std::fs::read_to_string(root().join("queries/shop.sql")).expect("reads");
    let shop = shop.replace(
        "'connector' = 'redis'",
        "'connector' = 'store', 'path' = 'store'",
    );
    let shop = shop.replace("'url' = '${REDIS_URL:-redis://localhost:6379}', ", "");
    std::fs::write(service.file("shop"), shop).expect("writes");
    service.until("the shop", |service| {
        let metrics = service.get("/metrics").text;
        let shown = |column: &&str| {
            let labels = format!("{{table=\"shop_now\",key=\"now\",column=\"{column}\"}}");
            metrics.contains(&format!("tidewheel_feature_value{labels}"))
        };
        // All that the shop's dashboard shows.
        let columns = ["events", "visitors", "views", "adds", "orders", "revenue"];
        columns.iter().all(shown)
            && metrics.contains("tidewheel_query_freshness_seconds_count{query=\"shop\"")
    });
    let metrics = service.get("/metrics");
    assert!(
        metrics
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    assert!(metrics.text.ends_with("# EOF\n"));
    let there: BTreeSet<&str> = metrics
        .text
        .lines()
        // What a log does not have is described and has no sample.
        .map(|line| line.strip_prefix("# TYPE ").unwrap_or(line))
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(['{', ' ']).next().expect("a name"))
        .collect();
    let mut named = 0;
    for file in [
        "infra/grafana/dashboards/engine.json",
        "infra/grafana/dashboards/shop.json",
        "infra/prometheus/alerts.yml",
        "docs/rest.md",
    ] {
        let text = std::fs::read_to_string(root().join(file)).expect("reads");
        for name in metric_names(&text) {
            named += 1;
            let is_there =
                there.contains(name.as_str()) || there.contains(format!("{name}_count").as_str());
            assert!(
                is_there,
                "{file} names {name}, which /metrics does not have"
            );
        }
    }
    assert!(named > 40, "only {named} names were found");
}

#[test]
fn the_client_does_it_all_and_its_exit_codes_tell() {
    let (_flow, service) = live();
    let folder = Arc::clone(&service.folder);
    let client = |arguments: &[&str]| {
        let mut all = arguments.to_vec();
        if !arguments.contains(&"--server") {
            all.extend(["--server", &service.url]);
        }
        let output = run(folder.path(), &all);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().expect("a code"), text, errors)
    };
    let place = |name: &str| folder.path().join(name);
    std::fs::write(place("pages.sql"), views("pages", "page_view")).expect("writes");
    std::fs::write(
        place("wrong.sql"),
        views("w", "x").replace("COUNT(", "CONT("),
    )
    .expect("writes");
    for (arguments, code, says) in [
        (vec!["queries", "list"], 0, "seen"),
        (vec!["queries", "show", "seen"], 0, "INSERT INTO seen"),
        (vec!["queries", "show", "none"], 3, "no query 'none'"),
        (vec!["queries", "validate", "pages.sql"], 0, "fine"),
        (vec!["queries", "validate", "wrong.sql"], 2, "wrong.sql:3:"),
        (vec!["queries", "submit", "pages.sql"], 0, "pages"),
        (
            vec!["queries", "submit", "pages.sql"],
            4,
            "of that name is there",
        ),
        (
            vec!["queries", "submit", "pages.sql", "--replace"],
            0,
            "pages",
        ),
        (vec!["queries", "submit", "wrong.sql"], 2, "^^^^"),
        (vec!["queries", "submit", "absent.sql"], 1, "absent.sql"),
        (vec!["queries", "pause", "pages"], 0, "paused"),
        (vec!["queries", "resume", "pages"], 0, "writes again"),
        (vec!["queries", "delete", "events"], 4, "pages, seen"),
        (vec!["queries", "delete", "pages"], 0, "gone"),
        (vec!["queries", "delete", "pages"], 3, "no such query"),
        (vec!["get", "seen", "nobody"], 3, "nothing is known"),
        (vec!["get", "none", "x"], 3, "no query writes"),
        (
            vec!["queries", "list", "--server", "http://127.0.0.1:1"],
            6,
            "cannot reach",
        ),
        (vec!["queries", "list", "--server", "ftp://x"], 2, "no URL"),
    ] {
        let (got, text, errors) = client(&arguments);
        assert_eq!(got, code, "{arguments:?}: {text}{errors}");
        assert!(
            format!("{text}{errors}").contains(says),
            "{arguments:?}: {text}{errors}"
        );
        assert!(
            !text.contains('\u{1b}') && !errors.contains('\u{1b}'),
            "no colours in pipes"
        );
    }
    let (code, text, _) = client(&["--json", "queries", "list"]);
    let list: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        (code, list["queries"].as_array().map(Vec::len)),
        (0, Some(2))
    );
    let (_, _, errors) = client(&["--json", "queries", "show", "none"]);
    let problem: Value = serde_json::from_str(&errors).expect("JSON");
    assert_eq!(problem["status"], 404);
    let user = service
        .events("/api/v1/queries/seen/changes")
        .find(|(kind, _)| kind == "change");
    let user = user.expect("a change").1["row"]["user_key"]
        .as_str()
        .expect("a user")
        .to_owned();
    let (code, text, _) = client(&["get", "seen", &user]);
    assert_eq!(code, 0);
    assert!(text.contains(&user) && text.contains("views"), "{text}");
}

#[test]
fn settings_say_where_they_come_from() {
    let folder = folder();
    std::fs::write(
        folder.path().join("tidewheel.toml"),
        "[serve]\nlisten = \"127.0.0.1:7777\"\n[set]\n\"t.password\" = \"hidden\"\n",
    )
    .expect("writes");
    let output = Command::new(binary())
        .args(["--json", "config"])
        .env("TIDEWHEEL_LISTENERS", "9")
        .current_dir(folder.path())
        .output()
        .expect("runs");
    let all: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let find = |name: &str| {
        let mut all = all.as_array().expect("a list").iter();
        all.find(|one| one["setting"] == name).expect(name).clone()
    };
    assert_eq!(find("serve.listen")["value"], "127.0.0.1:7777");
    assert_eq!(find("serve.listen")["from"], "tidewheel.toml");
    assert_eq!(find("limits.listeners")["from"], "TIDEWHEEL_LISTENERS");
    assert_eq!(find("serve.folder")["from"], "default");
    assert_eq!(find("set.t.password")["value"], "***");
    std::fs::write(
        folder.path().join("tidewheel.toml"),
        "[serve]\nlissen = 1\n",
    )
    .expect("writes");
    let wrong = run(folder.path(), &["config"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("did you mean 'serve.listen'?"));
}
