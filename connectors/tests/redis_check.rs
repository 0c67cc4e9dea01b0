//! What a Redis table is refused for, without a server.

#[path = "support/tables.rs"]
mod tables;

use arrow::datatypes::DataType::{Float64, Int64, Utf8};
use tables::{check, table};
use tidewheel_core::TableSpec;

const OK: &[(&str, &str)] = &[("connector", "redis"), ("key", "u:{user_key}:{column}")];

fn with(more: &[(&str, &str)]) -> TableSpec {
    let columns = [("user_key", Utf8), ("views", Int64), ("price", Float64)];
    let mut spec = table(&columns, 1, OK);
    for (name, value) in more {
        spec.options.set(*name, *value);
    }
    spec
}

fn refused(spec: &TableSpec, option: Option<&str>, part: &str) {
    let error = check(spec, true).expect_err(part);
    assert_eq!(error.option.as_deref(), option, "{error}");
    assert!(error.message.contains(part), "'{part}' is not in: {error}");
}

#[test]
fn options_are_checked_one_by_one() {
    check(&with(&[]), true).expect("the table is good");
    let good = [
        ("ttl", "10 min"),
        ("on-empty", "zero"),
        ("url", "rediss://u:p@host:1/2"),
    ];
    check(&with(&good), true).expect("the table is good");
    for (option, value, part) in [
        (
            "key",
            "u:{user}:{column}",
            "'{user}' in 'u:{user}:{column}' is no PRIMARY KEY column",
        ),
        ("key", "u:{views}:{column}", "{user_key}, {column}"),
        ("key", "u:{user_key}", "add {column}"),
        ("key", "u:{user_key", "not closed"),
        ("ttl", "soon", "'10 min'"),
        ("ttl", "0 s", "leave the option out"),
        ("on-empty", "nil", "delete, zero, keep"),
        ("layout", "list", "string, hash, json, sorted-set"),
        (
            "url",
            "http://localhost",
            "redis://user:password@host:6379/0",
        ),
        ("url", "redis://localhost/zero", "cannot be read"),
        ("batch.max-bytes", "12", "'1 kb'"),
        ("response.timeout", "0 s", "'10 s'"),
        ("member", "views", "'sorted-set'"),
        ("tls.insecure", "true", "rediss://"),
    ] {
        refused(&with(&[(option, value)]), Some(option), part);
    }
    let secret = with(&[("url", "redis://u:hush@:1:2")]);
    let error = check(&secret, true).expect_err("no URL");
    assert!(
        !error.message.contains("hush"),
        "a password must not show: {error}"
    );
}

#[test]
fn keys_must_tell_rows_apart() {
    let columns = [("user_key", Utf8), ("day", Utf8), ("views", Int64)];
    let options = [
        ("connector", "redis"),
        ("layout", "hash"),
        ("key", "u:{user_key}"),
    ];
    refused(&table(&columns, 2, &options), Some("key"), "add {day}");
    let options = [
        ("connector", "redis"),
        ("layout", "hash"),
        ("key", "shop:now"),
    ];
    check(&table(&columns, 2, &options), true).expect("a constant key is one row");
    let options = [
        ("connector", "redis"),
        ("layout", "hash"),
        ("key", "{user_key}:{column}"),
    ];
    refused(
        &table(&columns, 1, &options),
        Some("key"),
        "belongs to 'layout' = 'string'",
    );
    refused(&table(&columns, 0, OK), None, "PRIMARY KEY");
    refused(&table(&columns[..1], 1, OK), None, "value column");
    let mut no_key = with(&[]);
    no_key.options.remove("key");
    refused(&no_key, None, "'key' is missing");
}

#[test]
fn sorted_sets_need_a_member_and_a_score() {
    let columns = [("id", Utf8), ("views", Int64), ("name", Utf8)];
    let base = [
        ("connector", "redis"),
        ("layout", "sorted-set"),
        ("key", "top"),
    ];
    let set = |columns: &[(&str, arrow::datatypes::DataType)], more: &[(&str, &str)]| {
        let mut spec = table(columns, 1, &base);
        for (name, value) in more {
            spec.options.set(*name, *value);
        }
        spec
    };
    let good = [("member", "id"), ("score", "views")];
    check(&set(&columns[..2], &good), true).expect("the table is good");
    refused(&set(&columns[..2], &[("member", "id")]), None, "'score'");
    refused(&set(&columns[..2], &[("score", "views")]), None, "'member'");
    refused(
        &set(&columns[..2], &[("member", "x"), ("score", "views")]),
        Some("member"),
        "id, views",
    );
    let swapped = [("member", "views"), ("score", "views")];
    refused(&set(&columns[..2], &swapped), Some("member"), "PRIMARY KEY");
    let text = [("member", "id"), ("score", "name")];
    refused(&set(&columns, &text), Some("score"), "Utf8");
    refused(
        &set(&columns, &good),
        None,
        "remove the other value columns",
    );
}

#[test]
fn redis_is_no_source() {
    let error = check(&with(&[]), false).expect_err("no source");
    assert!(error.message.contains("'kafka'"), "{error}");
}
