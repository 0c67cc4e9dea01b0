//! The reference against numbers worked out by hand.

use super::{Features, Line, Orders, Settings, Value, features, normalise, text};
use serde_json::json;
use std::collections::BTreeMap;

const VISIT: &[u8] = include_bytes!("../../data/visit.jsonl");
const BROWSER: &str = "user:b0000000-0000-4000-8000-000000000001";
const USER: &str = "user:shopper-1@example.com";
const SESSION: &str = "session:5e000000-0000-4000-8000-000000000001";

fn lines(text: &[u8]) -> Vec<Line<'_>> {
    text.split(|byte| *byte == b'\n')
        .enumerate()
        .map(|(at, line)| (0, at as u64, line))
        .collect()
}

/// An event of shopper `u` in session `s` at a second of 2026-02-03T10:00:00Z.
fn event(seconds: f64, event_type: &str, payload: impl Into<serde_json::Value>) -> String {
    let payload = payload.into();
    let ms = 1_770_112_800_000 + (seconds * 1_000.0).round() as i64;
    json!({
        "id": format!("{event_type}-{ms}-{payload}"),
        "type": event_type,
        "timestamp": text::time(ms),
        "payload": payload,
        "enrich": {"user": {"user_id": "u"}, "platform": "web"},
        "session": {"sessionId": "s"},
    })
    .to_string()
}

fn run(events: &[String]) -> Features {
    run_with(events, &Settings::default())
}

fn run_with(events: &[String], settings: &Settings) -> Features {
    let lines: Vec<Line<'_>> = events
        .iter()
        .enumerate()
        .map(|(at, line)| (0, at as u64, line.as_bytes()))
        .collect();
    features(&lines, settings)
}

fn text_of<'a>(found: &'a Features, key: &str) -> Option<&'a str> {
    match found.values.get(key) {
        Some(Value::String(text)) => Some(text),
        None => None,
        other => panic!("{key}: {other:?}"),
    }
}

fn check(found: &Features, prefix: &str, wanted: &[(&str, &str)]) {
    for (name, value) in wanted {
        assert_eq!(
            text_of(found, &format!("{prefix}:{name}")),
            Some(*value),
            "{prefix}:{name}"
        );
    }
}

fn field<'a>(found: &'a Features, key: &str, name: &str) -> &'a str {
    match found.values.get(key) {
        Some(Value::Hash(fields)) => fields.get(name).expect("field"),
        other => panic!("{key}: {other:?}"),
    }
}

fn product(id: &str, price: impl Into<serde_json::Value>, brand: &str) -> serde_json::Value {
    json!({"product": {"id": id, "price": price.into(), "brand": brand, "category": "shoes"}})
}

#[test]
fn a_visit_by_hand() {
    let settings = Settings {
        orders: Orders::Checkout,
        ..Settings::default()
    };
    let found = features(&lines(VISIT), &settings);
    assert_eq!(
        found.frontier.map(text::time).as_deref(),
        Some("2026-02-03T09:04:20.000Z")
    );
    let counts = found.counts;
    assert_eq!(
        (counts.lines, counts.bad, counts.repeats, counts.late),
        (20, 1, 1, 0)
    );

    for w in ["5m", "1h"] {
        for (name, value) in [
            ("product_view_count", "2"),
            ("avg_viewed_price", "86.375"),
            ("return_view_count", r#"{"5":1,"7":1}"#),
            ("price_range_viewed", "42.5-130.25"),
            ("most_viewed_brand", "Brand B"),
            ("top_category", "Trail shoes"),
            ("unique_categories", "4"),
            (
                "category_view_count",
                r#"{"Kid shoes":1,"New series":1,"Top this week":1,"Trail shoes":1}"#,
            ),
            ("cart_add_count", "1"),
            ("cart_remove_count", "0"),
            ("cart_update_frequency", "1"),
            ("cart_value", "0.0"),
        ] {
            check(&found, BROWSER, &[(&format!("{name}_{w}"), value)]);
        }
        for (name, value) in [
            ("product_view_count", Some("0")),
            ("avg_viewed_price", Some("0.0")),
            ("return_view_count", Some("{}")),
            ("price_range_viewed", Some("0.0-0.0")),
            ("most_viewed_brand", None),
            ("top_category", None),
            ("unique_categories", Some("0")),
            ("category_view_count", Some("{}")),
            ("cart_add_count", Some("1")),
            ("cart_remove_count", Some("1")),
            ("cart_update_frequency", Some("2")),
            ("cart_value", Some("10.0")),
        ] {
            assert_eq!(
                text_of(&found, &format!("{USER}:{name}_{w}")),
                value,
                "{name}"
            );
        }
    }
    check(
        &found,
        BROWSER,
        &[
            ("shopper_locations_24h", r#"["Europe/Amsterdam"]"#),
            ("shopper_region_changes_24h", "0"),
            ("promotions_clicked_24h", "0"),
            ("checkout_furthest_step_1h", "1"),
            ("last_seen", "2026-02-03T09:02:50.000Z"),
            ("top_category_24h", "Trail shoes"),
        ],
    );
    check(
        &found,
        USER,
        &[
            (
                "shopper_locations_24h",
                r#"["Europe/Amsterdam","Europe/Berlin"]"#,
            ),
            ("shopper_region_changes_24h", "2"),
            ("promotions_clicked_24h", "1"),
            ("checkout_furthest_step_1h", "2"),
            ("last_seen", "2026-02-03T09:04:20.000Z"),
            // 200.5 - 130.25 at the first step 2, nothing at the second, 10 + nothing at the third.
            ("orders_count_24h", "2"),
            ("order_value_24h", "80.25"),
            ("avg_order_value_24h", "40.12"),
        ],
    );
    assert_eq!(
        text_of(&found, &format!("{BROWSER}:orders_count_24h")),
        None
    );
    check(
        &found,
        SESSION,
        &[
            ("session_duration", "239500"),
            ("session_page_count", "5"),
            ("session_bounce", "false"),
            ("session_marketing_campaign", "spring-newsletter"),
            ("session_cart_ratio", "0.6666666666666666"),
            ("session_search_count", "1"),
            ("shopper_device_types", r#"["Desktop","Mobile"]"#),
            ("shopper_latest_platform", "web"),
        ],
    );
    for (minute, events, views, adds) in [
        ("00", "3", "0", "0"),
        ("01", "2", "1", "0"),
        ("02", "4", "1", "1"),
        ("03", "6", "1", "0"),
    ] {
        let key = format!("shop:2026-02-03T09:{minute}:00.000Z");
        assert_eq!(field(&found, &key, "events"), events, "{key}");
        assert_eq!(field(&found, &key, "visitors"), "1", "{key}");
        assert_eq!(field(&found, &key, "views"), views, "{key}");
        assert_eq!(field(&found, &key, "adds"), adds, "{key}");
        assert_eq!(field(&found, &key, "revenue"), "0.0", "{key}");
    }
    assert_eq!(field(&found, "shop:now", "events"), "3");
    assert_eq!(
        found.values.get("shop:trending"),
        Some(&Value::SortedSet(vec![
            ("5".to_owned(), 1.0),
            ("7".to_owned(), 1.0)
        ]))
    );
}

#[test]
fn the_order_of_lines_does_not_matter_without_late_rows() {
    let mut shuffled = lines(VISIT);
    let want = features(&shuffled, &Settings::default()).values;
    // The repeat is the same line as its original: either may stay.
    shuffled.retain(|(_, at, _)| *at != 16);
    for seed in 0..20 {
        let mut rng = fastrand::Rng::with_seed(seed);
        rng.shuffle(&mut shuffled);
        let mut found = features(&shuffled, &Settings::default());
        let late = found.counts.late;
        found.values.retain(|key, _| !key.starts_with("shop:2026"));
        let mut want = want.clone();
        want.retain(|key, _| !key.starts_with("shop:2026"));
        assert_eq!(found.values, want, "seed {seed}, {late} late");
    }
}

#[test]
fn the_current_window_is_the_one_that_closes_next() {
    // At 10:05:10 the window is [10:00:30, 10:05:30): its first millisecond counts, what is before
    // it does not.
    let views = |seconds: f64| event(seconds, "product_view", product("p", 1.0, "b"));
    let found = run(&[
        views(29.999),
        views(30.0),
        event(310.0, "page_ping", json!({})),
    ]);
    check(&found, "user:u", &[("return_view_count_5m", r#"{"p":1}"#)]);
    check(&found, "user:u", &[("return_view_count_1h", r#"{"p":2}"#)]);
    // A frontier on a window's end belongs to the next one.
    let found = run(&[
        views(30.0),
        views(59.999),
        event(330.0, "page_ping", json!({})),
    ]);
    assert_eq!(text_of(&found, "user:u:return_view_count_5m"), None);
    let found = run(&[
        views(30.0),
        views(60.0),
        event(330.0, "page_ping", json!({})),
    ]);
    check(&found, "user:u", &[("return_view_count_5m", r#"{"p":1}"#)]);
}

#[test]
fn the_first_price_of_each_product_is_its_price() {
    let found = run(&[
        event(1.0, "product_view", product("a", json!(null), "x")),
        event(3.0, "product_view", product("a", 30.0, "x")),
        event(2.0, "product_view", product("a", "10", "y")),
        event(4.0, "product_view", product("b", 20.5, "y")),
        event(5.0, "product_view", product("c", "NaN", "z")),
    ]);
    check(
        &found,
        "user:u",
        &[
            ("avg_viewed_price_5m", "15.25"),
            ("price_range_viewed_5m", "10.0-30.0"),
            ("product_view_count_5m", "3"),
            ("most_viewed_brand_5m", "y"),
        ],
    );
}

#[test]
fn orders_are_distinct_transactions_at_their_first_revenue() {
    let order = |seconds: f64, id: &str, revenue: serde_json::Value| {
        event(
            seconds,
            "transaction",
            json!({"transaction": {"transaction_id": id, "revenue": revenue}}),
        )
    };
    let found = run(&[
        order(3.0, "o1", json!(99)),
        order(1.0, "o1", json!("10.25")),
        order(2.0, "o2", json!(15)),
        order(4.0, "", json!(1000)),
        event(
            5.0,
            "trns_error",
            json!({"transaction": {"transaction_id": "o3", "revenue": 7}}),
        ),
    ]);
    check(
        &found,
        "user:u",
        &[
            ("orders_count_24h", "2"),
            ("order_value_24h", "25.25"),
            ("avg_order_value_24h", "12.62"),
        ],
    );
    assert_eq!(field(&found, "shop:now", "orders"), "2");
    assert_eq!(field(&found, "shop:now", "revenue"), "25.25");
}

#[test]
fn a_session_ends_after_more_than_its_gap() {
    let page = |seconds: f64| event(seconds, "page_view", json!({"page_url": "/"}));
    let found = run(&[page(0.0), page(1_800.0)]);
    check(
        &found,
        "session:s",
        &[("session_duration", "1800000"), ("session_bounce", "false")],
    );
    let found = run(&[page(0.0), page(1_800.001)]);
    check(
        &found,
        "session:s",
        &[("session_duration", "0"), ("session_bounce", "true")],
    );
    // Page pings are no part of a session.
    let found = run(&[
        page(0.0),
        event(900.0, "page_ping", json!({})),
        page(2_000.0),
    ]);
    check(&found, "session:s", &[("session_page_count", "1")]);
}

#[test]
fn a_late_row_joins_a_session_only_if_that_is_open_then() {
    let page = |seconds: f64| event(seconds, "page_view", json!({"page_url": "/"}));
    let other =
        |seconds: f64| event(seconds, "page_view", json!({"a": 1})).replace("\"s\"", "\"t\"");
    // The watermark is at 3,599.999 s. A session that ends at 3,600 s is closed then.
    let found = run(&[page(0.0), other(3_604.999), page(1_800.0)]);
    check(
        &found,
        "session:s",
        &[("session_page_count", "1"), ("session_duration", "0")],
    );
    assert_eq!(
        found.counts.late, 2,
        "one for the session, one for the minute"
    );
    let found = run(&[page(0.0), other(3_604.998), page(1_800.0)]);
    check(&found, "session:s", &[("session_page_count", "2")]);
    assert_eq!(found.counts.late, 1, "one for the minute");
}

#[test]
fn repeats_bad_rows_and_future_rows_count_nothing() {
    let add = |seconds: f64| event(seconds, "add_to_cart", json!({"cart": {"total_value": 5}}));
    let settings = Settings {
        latest: Some(1_770_112_800_000 + 100_000),
        ..Settings::default()
    };
    let no_time = add(1.0).replace("timestamp", "time");
    let found = run_with(
        &[add(1.0), add(1.0), no_time, add(101.0), "[]".to_owned()],
        &settings,
    );
    let counts = found.counts;
    assert_eq!((counts.repeats, counts.bad, counts.future), (1, 3, 1));
    check(
        &found,
        "user:u",
        &[("cart_add_count_5m", "1"), ("cart_value_5m", "5.0")],
    );
    // Once the watermark has passed its time and the window, an id is new again.
    let later = event(607.0, "page_ping", json!({}));
    let found = run(&[add(1.0), later, add(1.0)]);
    assert_eq!(found.counts.repeats, 0);
    let earlier = event(606.0, "page_ping", json!({}));
    let found = run(&[add(1.0), earlier, add(1.0)]);
    assert_eq!(found.counts.repeats, 1);
}

#[test]
fn trending_has_ten_products_and_ties_by_bytes() {
    let mut events = Vec::new();
    for (at, id) in ["9", "10", "b", "a", "ä", "Z", "11", "12", "13", "14", "15"]
        .iter()
        .enumerate()
    {
        events.push(event(at as f64, "product_view", product(id, 1, "x")));
    }
    events.push(event(20.0, "product_view", product("b", 1, "x")));
    let found = run(&events);
    let Some(Value::SortedSet(members)) = found.values.get("shop:trending") else {
        panic!()
    };
    let ids: Vec<&str> = members.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(
        ids,
        ["b", "10", "11", "12", "13", "14", "15", "9", "Z", "a"]
    );
}

#[test]
fn zeros_mean_the_same_as_absent_keys_but_for_sessions() {
    let string = |text: &str| Value::String(text.to_owned());
    let hash = |fields: &[(&str, &str)]| {
        Value::Hash(
            fields
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect(),
        )
    };
    let values = BTreeMap::from([
        ("user:u:cart_add_count_5m".to_owned(), string("0")),
        ("user:u:return_view_count_5m".to_owned(), string("{}")),
        ("user:u:cart_remove_count_5m".to_owned(), string("10")),
        ("session:s:session_duration".to_owned(), string("0")),
        (
            "shop:now".to_owned(),
            hash(&[("events", "0"), ("revenue", "0.0")]),
        ),
        (
            "shop:t".to_owned(),
            hash(&[("events", "1"), ("revenue", "0.0")]),
        ),
        ("shop:trending".to_owned(), Value::SortedSet(Vec::new())),
    ]);
    let left = normalise(values);
    assert_eq!(
        left.keys().collect::<Vec<_>>(),
        [
            "session:s:session_duration",
            "shop:t",
            "user:u:cart_remove_count_5m"
        ]
    );
    assert_eq!(left.get("shop:t"), Some(&hash(&[("events", "1")])));
}

#[test]
fn arithmetic_is_exact() {
    assert_eq!(text::sum(&[0.1; 10]), 1.0);
    assert_eq!(text::sum(&[1e8, 0.1, -1e8]), 0.1);
    for (value, want) in [
        (0.125, 0.12),
        (0.375, 0.38),
        (12.625, 12.62),
        (2.675, 2.67),
        (1.005, 1.0),
        (40.125, 40.12),
        (12.5, 12.5),
    ] {
        assert_eq!(text::round_half_even(value), want, "{value}");
    }
    for (value, want) in [
        (0.0, "0.0"),
        (-0.0, "0.0"),
        (129.99, "129.99"),
        (1e21, "1000000000000000000000.0"),
    ] {
        assert_eq!(text::double(value), want);
    }
}

#[test]
fn times_are_read_in_every_form() {
    for (text, want) in [
        ("2025-03-26T10:57:56.7Z", "2025-03-26T10:57:56.700Z"),
        ("2025-03-26T10:57:56Z", "2025-03-26T10:57:56.000Z"),
        ("2024-02-29 10:57:56.123456", "2024-02-29T10:57:56.123Z"),
        ("2025-03-26T10:57:56.17+02:00", "2025-03-26T08:57:56.170Z"),
        ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
    ] {
        assert_eq!(
            super::row::time(text).map(text::time).as_deref(),
            Some(want),
            "{text}"
        );
    }
    for text in [
        "",
        "yesterday",
        "2025-13-01T00:00:00Z",
        "2025-02-29T00:00:00Z",
        "2025-01-01T24:00:00Z",
    ] {
        assert_eq!(super::row::time(text), None, "{text}");
    }
}

/// The recording of a checkout that comes with the older topic, worked out by hand. It is not
/// part of the repository: `TIDEWHEEL_SAMPLE` names its file.
#[test]
fn the_sample_by_hand() {
    let Some(path) = std::env::var_os("TIDEWHEEL_SAMPLE") else {
        return;
    };
    let bytes = std::fs::read(path).expect("TIDEWHEEL_SAMPLE names a file");
    let settings = Settings {
        orders: Orders::Checkout,
        ..Settings::default()
    };
    let found = features(&lines(&bytes), &settings);
    assert_eq!(
        found.frontier.map(text::time).as_deref(),
        Some("2025-03-26T10:58:53.451Z")
    );
    assert_eq!(
        (found.counts.lines, found.counts.bad, found.counts.late),
        (26, 0, 0)
    );

    let browser = "user:67430c52-68fb-4277-baeb-b6033403094a";
    check(
        &found,
        browser,
        &[
            ("product_view_count_5m", "1"),
            ("avg_viewed_price_1h", "42.99"),
            ("return_view_count_5m", r#"{"5":1}"#),
            ("price_range_viewed_5m", "42.99-42.99"),
            ("most_viewed_brand_5m", "Snowplow"),
            ("top_category_5m", "You might also be interested in"),
            ("unique_categories_24h", "4"),
            ("cart_add_count_5m", "1"),
            ("cart_value_5m", "0.0"),
            ("checkout_furthest_step_1h", "1"),
            ("shopper_locations_24h", r#"["Europe/Amsterdam"]"#),
            ("last_seen", "2025-03-26T10:57:56.700Z"),
        ],
    );
    let users: std::collections::BTreeSet<&str> = found
        .values
        .keys()
        .filter_map(|key| key.strip_suffix(":last_seen"))
        .collect();
    assert_eq!(users.len(), 2, "{users:?}");
    let user = users
        .iter()
        .find(|user| **user != browser)
        .expect("the login");
    check(
        &found,
        user,
        &[
            ("top_category_5m", "New series"),
            (
                "category_view_count_1h",
                r#"{"New series":2,"Top this week":2,"You might also be interested in":1}"#,
            ),
            ("checkout_furthest_step_1h", "2"),
            ("last_seen", "2025-03-26T10:58:53.451Z"),
        ],
    );
    // The cart was filled before the login, so it was another user's.
    assert!(found.values.keys().all(|key| !key.contains("order")));
    check(
        &found,
        "session:c9727c0f-0f83-4a70-9eca-a415cf9ea52b",
        &[
            ("session_duration", "127417"),
            ("session_page_count", "8"),
            ("session_bounce", "false"),
            ("session_marketing_campaign", "google-ads-winter-sale-24"),
            ("session_cart_ratio", "1.0"),
            ("session_search_count", "0"),
            ("shopper_device_types", r#"["Desktop"]"#),
            ("shopper_latest_platform", "web"),
        ],
    );
    for (minute, events) in [("56", "4"), ("57", "9"), ("58", "13")] {
        let key = format!("shop:2025-03-26T10:{minute}:00.000Z");
        assert_eq!(
            (
                field(&found, &key, "events"),
                field(&found, &key, "visitors")
            ),
            (events, "1")
        );
    }
}
