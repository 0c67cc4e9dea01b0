//! The plan as JSON, and the tables of a catalogue.

use crate::common;
use std::sync::Arc;
use tidewheel_core::SourceText;
use tidewheel_sql::{CompileContext, TableKind, catalog_tables};

const TABLES: &str = include_str!("../tables.sql");
const SHARED: &str = include_str!("../plans/shared.sql");

#[test]
fn the_plan_as_json_holds_what_is_shared() {
    let program = common::compiled(&[("tables.sql", TABLES), ("shared.sql", SHARED)])
        .unwrap_or_else(|found| panic!("{found}"));
    let plan = tidewheel_sql::explain_json(&program);
    let source = &plan["sources"][0];
    assert_eq!(source["table"], "events");
    assert_eq!(source["queries"].as_array().unwrap().len(), 5);
    assert_eq!(source["reads"][0]["name"], "enrich.user.user_id");
    assert_eq!(source["reads"][0]["type"], "STRING");
    let slices = &source["key_groups"][0]["slices"][0];
    assert_eq!(slices["every"], "30 s");
    assert_eq!(slices["windows"].as_array().unwrap().len(), 2);
    let query = &plan["queries"][3];
    assert_eq!(query["name"], "shared#4");
    assert_eq!(query["file"], "shared.sql");
    let operators = query["operators"].as_array().unwrap();
    let names: Vec<&str> = operators
        .iter()
        .map(|operator| operator["operator"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["project", "filter", "window", "scan"]);
    // Nothing of the engine's own names or of the order of its columns.
    let text = plan.to_string();
    for internal in [
        "@",
        "\\u0000",
        "event_time",
        "\"expr\"",
        "Utf8",
        "MonthDayNano",
    ] {
        let shown = text.replace("\"event_time\":", "");
        assert!(!shown.contains(internal), "{internal} in {text}");
    }
}

#[test]
fn tables_are_listed_with_masked_secrets_though_a_file_is_wrong() {
    let file = |name: &str, text: &str| {
        Arc::new(SourceText {
            name: name.to_owned(),
            text: text.to_owned(),
        })
    };
    let files = [
        file("tables.sql", TABLES),
        file(
            "q.sql",
            "CREATE TABLE o (k STRING, n BIGINT, PRIMARY KEY (k) NOT ENFORCED) WITH ('connector' = \
             'redis', 'url' = 'redis://me:hidden@${HOST}:1/0', 'layout' = 'hash', 'key' = '{k}');\n\
             CREATE VIEW v AS SELECT user_key, payload.product.price * 2 AS double FROM events;\n\
             INSERT INTO o SELECT user_key, COUNT(*) FROM events GROUP BY user_key;",
        ),
        file(
            "wrong.sql",
            "CREATE VIEW w AS SELECT nothing FROM events; SELEC",
        ),
    ];
    let registry = common::registry();
    let mut context = CompileContext::new(&registry);
    context.environment = [("HOST".to_owned(), "h".to_owned())].into();
    let tables = catalog_tables(&files, &context);
    let named = |name: &str| tables.iter().find(|table| table.name == name).unwrap();
    let o = named("o");
    assert_eq!((o.kind, o.file.as_str()), (TableKind::Sink, "q.sql"));
    assert_eq!(o.primary_key, ["k"]);
    assert_eq!(o.options["url"], "redis://***@h:1/0");
    let events = named("events");
    assert_eq!(events.kind, TableKind::Source);
    let last = events.columns.last().unwrap();
    assert_eq!(
        (last.name.as_str(), last.data_type.as_str()),
        ("user_key", "STRING")
    );
    let v = named("v");
    assert_eq!(v.kind, TableKind::View);
    assert_eq!(
        (v.columns[1].name.as_str(), v.columns[1].data_type.as_str()),
        ("double", "DOUBLE")
    );
    assert_eq!(named("w").columns, []);
    let json = serde_json::to_string(&tables).unwrap();
    assert!(!json.contains("hidden"), "{json}");
}
