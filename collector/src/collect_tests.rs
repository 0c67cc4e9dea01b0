//! Requests in, records out.
// `json!` makes values, which read better handed over than lent.
#![allow(clippy::needless_pass_by_value)]

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use tidewheel_core::snowplow::{ATOMIC, position};

const UA: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/134.0.0.0 Safari/537.36";
const NETWORK_ID: &str = "de30aa02-de2e-4cf0-bd9d-3bbd89d47e0c";
const NOW: i64 = 1_742_986_606_043;

fn collector() -> Collector {
    let rules = Rules {
        json: true,
        tsv: true,
        record_bytes: 990_000,
        payload_bytes: 1 << 20,
        internal_domains: vec!["pay.example".to_owned()],
        places: None,
    };
    Collector::new(rules, Arc::new(Metrics::default()))
}

fn arrival() -> Arrival<'static> {
    Arrival {
        collector_ms: NOW,
        path: "/com.snowplowanalytics.snowplow/tp2",
        user_agent: Some(UA),
        referer: Some("https://shop.example/from-header"),
        address: "203.0.113.9",
        network_userid: NETWORK_ID,
    }
}

fn entity(vendor: &str, name: &str, version: &str, data: Value) -> Value {
    json!({ "schema": format!("iglu:{vendor}/{name}/jsonschema/{version}"), "data": data })
}

fn shop(name: &str, data: Value) -> Value {
    entity(
        "com.snowplowanalytics.snowplow.ecommerce",
        name,
        "1-0-0",
        data,
    )
}

fn contexts(entities: &[Value]) -> String {
    entity(
        "com.snowplowanalytics.snowplow",
        "contexts",
        "1-0-0",
        json!(entities),
    )
    .to_string()
}

fn action(data: Value) -> String {
    let event = entity(
        "com.snowplowanalytics.snowplow.ecommerce",
        "snowplow_ecommerce_action",
        "1-0-2",
        data,
    );
    entity(
        "com.snowplowanalytics.snowplow",
        "unstruct_event",
        "1-0-0",
        event,
    )
    .to_string()
}

fn body(events: Value) -> Vec<u8> {
    json!({
        "schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
        "data": events,
    })
    .to_string()
    .into_bytes()
}

/// JSON, columns and bad rows of a batch.
fn read(batch: &Batch) -> (Vec<Value>, Vec<Vec<String>>, Vec<Value>) {
    let value = |(_, bytes): (&[u8], &[u8])| -> Value {
        assert!(!bytes.contains(&b'\n'), "one line");
        serde_json::from_slice(bytes).expect("JSON")
    };
    let row = |(_, bytes): (&[u8], &[u8])| -> Vec<String> {
        let text = std::str::from_utf8(bytes).expect("UTF-8");
        assert!(!text.contains(['\n', '\r']), "one line");
        text.split('\t').map(str::to_owned).collect()
    };
    let (json, tsv, bad): (Vec<_>, Vec<Vec<String>>, Vec<_>) = (
        batch.json.iter().map(value).collect(),
        batch.tsv.iter().map(row).collect(),
        batch.bad.iter().map(value).collect(),
    );
    assert_eq!(json.len(), tsv.len());
    assert!(tsv.iter().all(|row| row.len() == ATOMIC.len()));
    (json, tsv, bad)
}

fn posted(events: Value) -> (Vec<Value>, Vec<Vec<String>>, Vec<Value>) {
    let mut batch = Batch::default();
    collector().post("", &body(events), &arrival(), &mut batch);
    read(&batch)
}

/// One good event with these parameters besides the required ones.
fn one(params: Value) -> (Value, Vec<String>) {
    let mut event = json!({ "e": "ue", "p": "web", "tv": "js-4.6.0" });
    let all = event.as_object_mut().expect("object");
    all.extend(params.as_object().expect("object").clone());
    let (mut json, mut tsv, bad) = posted(json!([event]));
    assert_eq!(bad, Vec::<Value>::new());
    (json.remove(0), tsv.remove(0))
}

fn column<'r>(row: &'r [String], name: &str) -> &'r str {
    &row[position(name).expect(name)]
}

#[test]
fn a_page_view_has_the_topics_shape() {
    let (json, row) = one(json!({
        "e": "pv", "eid": "4ba8f147-05cf-48c6-b218-0def4f209181", "tna": "sp", "aid": "shop",
        "dtm": "1742986605045", "stm": "1742986605055", "uid": "a@example.com", "duid": "d-1",
        "sid": "c9727c0f-0f83-4a70-9eca-a415cf9ea52b", "vid": "3", "tz": "Europe/Berlin",
        "lang": "de", "res": "3440x1440", "vp": "2006x1280", "ds": "2006x1280", "cd": "24",
        "cookie": "1", "cs": "UTF-8", "page": "Home\t\"x\"", "refr": "https://www.google.com/?q=shoes",
        "url": "http://localhost:3000/?utm_source=google&utm_medium=cpc&utm_term=winter%20sale#top",
    }));
    assert_eq!(
        json["metadata"]["event_fingerprint"].as_str().map(str::len),
        Some(64)
    );
    let mut got = json;
    let metadata = got["metadata"].as_object_mut().expect("object");
    metadata.remove("event_fingerprint");
    metadata.remove("etl_tstamp");
    let page = json!({ "page_url": "http://localhost:3000/?utm_source=google&utm_medium=cpc&utm_term=winter%20sale#top",
        "page_title": "Home    \"x\"", "page_referrer": "https://www.google.com/?q=shoes" });
    assert_eq!(
        got,
        json!({
            "id": "4ba8f147-05cf-48c6-b218-0def4f209181", "type": "page_view",
            "timestamp": "2025-03-26T10:56:46.033Z",
            "payload": { "page_title": page["page_title"], "page_url": page["page_url"], "referrer": page["page_referrer"] },
            "enrich": {
                "client": {
                    "useragent": UA,
                    "browser": { "viewport": "2006x1280", "resolution": "3440x1440", "color_depth": "24",
                        "cookies_enabled": true, "language": "de" },
                    "device": { "created_tstamp": "2025-03-26T10:56:45.045Z", "sent_tstamp": "2025-03-26T10:56:45.055Z",
                        "screen_width": 3440, "screen_height": 1440, "os_timezone": "Europe/Berlin" },
                    "page": page,
                },
                "performance": {},
                "user": { "user_id": "a@example.com", "domain_userid": "d-1", "network_userid": NETWORK_ID,
                    "ip_address": "203.0.113.9" },
                "marketing": { "mkt_medium": "cpc", "mkt_source": "google", "mkt_term": "winter sale" },
                "referrer": { "medium": "search", "source": "Google", "term": "shoes" },
                "platform": "web",
            },
            "session": { "domain_sessionid": "c9727c0f-0f83-4a70-9eca-a415cf9ea52b", "domain_sessionidx": 3 },
            "metadata": {
                "event_version": "1-0-0", "event_format": "jsonschema",
                "event_vendor": "com.snowplowanalytics.snowplow", "app_id": "shop",
                "collector_tstamp": "2025-03-26T10:56:46.043Z", "v_tracker": "js-4.6.0",
                "v_collector": VERSION, "v_etl": VERSION, "name_tracker": "sp",
            },
        })
    );
    for (name, want) in [
        ("app_id", "shop"),
        ("platform", "web"),
        ("collector_tstamp", "2025-03-26 10:56:46.043"),
        ("dvce_created_tstamp", "2025-03-26 10:56:45.045"),
        ("dvce_sent_tstamp", "2025-03-26 10:56:45.055"),
        ("derived_tstamp", "2025-03-26 10:56:46.033"),
        ("true_tstamp", ""),
        ("event", "page_view"),
        ("event_name", "page_view"),
        ("page_title", "Home    \"x\""),
        ("page_urlhost", "localhost"),
        ("page_urlport", "3000"),
        ("page_urlpath", "/"),
        ("page_urlfragment", "top"),
        ("refr_urlhost", "www.google.com"),
        ("refr_medium", "search"),
        ("refr_term", "shoes"),
        ("br_cookies", "1"),
        ("doc_charset", "UTF-8"),
        ("contexts", ""),
        ("unstruct_event", ""),
        ("user_ipaddress", "203.0.113.9"),
        ("network_userid", NETWORK_ID),
    ] {
        assert_eq!(column(&row, name), want, "{name}");
    }
    let derived: Value = serde_json::from_str(column(&row, "derived_contexts")).expect("JSON");
    assert_eq!(
        derived["schema"],
        "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1"
    );
    assert_eq!(derived["data"][0]["data"]["useragentFamily"], "Chrome");
}

#[test]
fn every_ecommerce_action_has_its_payload() {
    let product =
        |id: &str| json!({ "id": id, "category": "shoes", "price": 129.99, "currency": "USD" });
    let (a, b) = (product("a"), product("b"));
    let cart = json!({ "total_value": 42.5, "currency": "USD" });
    let order = json!({ "transaction_id": "t", "revenue": 172.98, "currency": "USD", "payment_method": "card", "total_quantity": 2 });
    let step = json!({ "step": 2 });
    let promotion = json!({ "id": "p", "slot": "top" });
    let refund = json!({ "transaction_id": "t", "currency": "USD", "refund_amount": 5 });
    let error = json!({ "error_code": "E1", "error_type": "hard" });
    let entities = [
        shop("product", a.clone()),
        shop("product", b.clone()),
        shop("cart", cart.clone()),
        shop("transaction", order.clone()),
        shop("checkout_step", step.clone()),
        shop("promotion", promotion.clone()),
        shop("refund", refund.clone()),
        shop("transaction_error", error.clone()),
    ];
    for (kind, name, want) in [
        ("product_view", None, json!({ "product": a })),
        ("add_to_cart", None, json!({ "product": a, "cart": cart })),
        (
            "remove_from_cart",
            None,
            json!({ "product": a, "cart": cart }),
        ),
        (
            "list_view",
            Some("New"),
            json!({ "products": [a, b], "list_name": "New" }),
        ),
        (
            "list_click",
            None,
            json!({ "products": [a, b], "list_name": null }),
        ),
        ("promo_view", None, json!({ "promotion": promotion })),
        ("promo_click", None, json!({ "promotion": promotion })),
        (
            "checkout_step",
            None,
            json!({ "checkout_step": step, "cart": cart }),
        ),
        (
            "transaction",
            None,
            json!({ "products": [a, b], "transaction": order }),
        ),
        (
            "refund",
            None,
            json!({ "products": [a, b], "refund": refund }),
        ),
        (
            "trns_error",
            None,
            json!({ "transaction": order, "transaction_error": error }),
        ),
        ("other", None, json!({})),
    ] {
        let mut data = json!({ "type": kind });
        if let Some(name) = name {
            data["name"] = name.into();
        }
        let (json, row) = one(json!({ "ue_pr": action(data), "co": contexts(&entities) }));
        assert_eq!(json["type"], kind);
        assert_eq!(json["payload"], want, "{kind}");
        assert_eq!(json["metadata"]["event_version"], "1-0-2");
        assert_eq!(column(&row, "event_name"), "snowplow_ecommerce_action");
        assert_eq!(column(&row, "event"), "unstruct");
        let unstruct: Value = serde_json::from_str(column(&row, "unstruct_event")).expect("JSON");
        assert_eq!(unstruct["data"]["data"]["type"], kind);
        let written: Value = serde_json::from_str(column(&row, "contexts")).expect("JSON");
        assert_eq!(written["data"], json!(entities));
    }
    // Without the entities, the places are there and empty.
    for (kind, want) in [
        ("product_view", json!({ "product": {} })),
        ("add_to_cart", json!({ "product": {}, "cart": {} })),
        ("list_view", json!({ "products": [], "list_name": null })),
        ("checkout_step", json!({ "checkout_step": {}, "cart": {} })),
        ("promo_click", json!({ "promotion": {} })),
        ("transaction", json!({ "products": [], "transaction": {} })),
    ] {
        let (json, _) = one(json!({ "ue_pr": action(json!({ "type": kind })) }));
        assert_eq!(json["payload"], want, "{kind}");
    }
    for data in [
        json!({}),
        json!({ "type": null }),
        json!({ "type": 1 }),
        json!([]),
    ] {
        let (json, _) = one(json!({ "ue_pr": action(data) }));
        assert_eq!(json["type"], "unknown_ecommerce");
    }
}

#[test]
fn entities_of_the_tracker_have_their_places() {
    let session = json!({ "userId": "u", "sessionId": "s", "sessionIndex": 3, "eventIndex": 2 });
    let browser = json!({ "viewport": "1x2", "online": true, "deviceMemory": 8 });
    let performance = json!({ "duration": 1.5, "type": "navigate" });
    let specification = json!({ "id": "i", "name": "n" });
    let sp = "com.snowplowanalytics.snowplow";
    let entities = [
        entity(sp, "client_session", "1-0-2", session.clone()),
        entity(sp, "browser_context", "2-0-0", browser.clone()),
        entity(
            "org.w3",
            "PerformanceNavigationTiming",
            "1-0-0",
            performance.clone(),
        ),
        entity(sp, "event_specification", "1-0-2", specification.clone()),
        entity(sp, "web_page", "1-0-0", json!({ "id": "w" })),
        // Of another model, or no object: not these.
        entity(
            sp,
            "client_session",
            "2-0-0",
            json!({ "sessionId": "other" }),
        ),
        entity(
            "com.snowplowanalytics.snowplow.ecommerce",
            "cart",
            "1-0-0",
            json!([1]),
        ),
    ];
    let (json, _) = one(json!({ "e": "pp", "co": contexts(&entities), "sid": NETWORK_ID }));
    assert_eq!(json["session"], session);
    assert_eq!(json["enrich"]["client"]["browser"], browser);
    assert_eq!(json["enrich"]["performance"], performance);
    assert_eq!(json["payload"], json!({ "specification": specification }));
    let other = [entity(
        sp,
        "browser_context",
        "1-0-0",
        json!({ "viewport": "x" }),
    )];
    let (json, _) = one(json!({ "e": "pp", "co": contexts(&other) }));
    assert_eq!(json["enrich"]["client"]["browser"], json!({}));
    assert_eq!(json["session"], json!({}));
}

#[test]
fn other_events_keep_what_they_say() {
    let search = entity(
        "com.acme",
        "site_search",
        "1-0-1",
        json!({ "terms": ["a"] }),
    );
    let wrapped = entity(
        "com.snowplowanalytics.snowplow",
        "unstruct_event",
        "1-0-0",
        search.clone(),
    );
    let (json, row) = one(json!({ "ue_pr": wrapped.to_string() }));
    assert_eq!(json["type"], "unstruct");
    assert_eq!(json["payload"]["event"], search);
    assert_eq!(column(&row, "event_vendor"), "com.acme");
    assert_eq!(column(&row, "event_version"), "1-0-1");

    let (json, row) = one(json!({ "e": "se", "se_ca": "video", "se_ac": "play", "se_va": "1.50" }));
    assert_eq!(json["type"], "struct");
    assert_eq!(
        json["payload"]["se_data"],
        json!({ "category": "video", "action": "play", "value": "1.5" })
    );
    assert_eq!(
        (column(&row, "event_vendor"), column(&row, "event_name")),
        ("com.google.analytics", "event")
    );

    let (json, _) = one(json!({ "e": "tr", "tr_id": "t", "tr_tt": "20", "tr_cu": "EUR" }));
    assert_eq!(json["type"], "transaction");
    assert_eq!(
        json["payload"]["transaction"],
        json!({ "transaction_id": "t", "revenue": 20.0, "currency": "EUR" })
    );
    let (json, _) = one(json!({ "e": "ti", "ti_sk": "p", "ti_pr": "2.5", "ti_qu": "2" }));
    assert_eq!(
        json["payload"]["product"],
        json!({ "id": "p", "price": 2.5, "quantity": 2 })
    );
    let (json, _) = one(json!({ "e": "pp", "pp_miy": "0", "pp_may": "7" }));
    assert_eq!(
        (&json["type"], &json["payload"]),
        (&"page_ping".into(), &json!({}))
    );
    assert_eq!(json["enrich"]["marketing"], Value::Null);
}

#[test]
fn the_trackers_word_goes_before_the_requests() {
    let (json, row) = one(
        json!({ "e": "pv", "ua": "own", "ip": " 2001:DB8::1 ", "tnuid": "n", "url": "app://x", "cv": "c" }),
    );
    assert_eq!(json["enrich"]["client"]["useragent"], "own");
    assert_eq!(json["enrich"]["user"]["ip_address"], "2001:db8::1");
    assert_eq!(json["enrich"]["user"]["network_userid"], "n");
    assert_eq!(column(&row, "v_collector"), "c");
    assert_eq!(column(&row, "page_url"), "app://x");
    let (json, row) = one(json!({ "e": "pv", "ip": "nonsense" }));
    assert_eq!(json["enrich"]["user"]["ip_address"], "203.0.113.9");
    assert_eq!(column(&row, "page_url"), "https://shop.example/from-header");
    let (json, _) = one(json!({ "e": "pv", "ip": "unknown" }));
    assert_eq!(json["enrich"]["user"]["ip_address"], "unknown");
}

#[test]
fn a_query_overrides_the_bodies_events() {
    let mut batch = Batch::default();
    let events = json!([{ "e": "pv", "p": "web", "tv": "t", "uid": "body" }]);
    collector().post("uid=query&zz=1", &body(events), &arrival(), &mut batch);
    let (json, ..) = read(&batch);
    assert_eq!(json[0]["enrich"]["user"]["user_id"], "query");
}

#[test]
fn one_bad_event_leaves_the_others_alone() {
    let (json, _, bad) = posted(json!([
        { "e": "pv", "p": "web", "tv": "t", "uid": "a" },
        { "e": "pv", "p": "web", "tv": "t", "uid": 5 },
        { "e": "pv", "p": "fax", "tv": "t" },
        "text",
        { "e": "pv", "p": "web" },
        { "e": "ue", "p": "web", "tv": "t" },
        { "e": "ue", "p": "web", "tv": "t", "ue_pr": "{" },
        { "e": "pv", "p": "web", "tv": "t", "cx": "?" },
        { "e": "pv", "p": "web", "tv": "t", "uid": "b" },
    ]));
    let users: Vec<_> = json
        .iter()
        .map(|event| &event["enrich"]["user"]["user_id"])
        .collect();
    assert_eq!(users, ["a", "b"]);
    let reasons: Vec<_> = bad
        .iter()
        .filter_map(|row| row["failure"].as_str())
        .collect();
    assert_eq!(
        reasons,
        [
            "invalid_parameter",
            "invalid_parameter",
            "malformed_payload",
            "invalid_parameter",
            "invalid_parameter",
            "invalid_self_describing_json",
            "invalid_self_describing_json",
        ]
    );
    assert_eq!(
        bad[0]["payload"],
        r#"{"e":"pv","p":"web","tv":"t","uid":5}"#
    );
    assert_eq!(bad[1]["event"]["p"], "fax");
}

#[test]
fn sizes_are_bounded() {
    let mut small = collector();
    small.rules.record_bytes = 3_000;
    small.rules.payload_bytes = 20_000;
    let mut batch = Batch::default();
    let long = "x".repeat(1_900);
    let event = |title: &str| json!({ "e": "pv", "p": "web", "tv": "t", "page": title });
    small.post(
        "",
        &body(json!([event(&long), event("y")])),
        &arrival(),
        &mut batch,
    );
    let (json, _, bad) = read(&batch);
    assert_eq!((json.len(), bad.len()), (1, 1));
    assert_eq!(json[0]["payload"]["page_title"], "y");
    assert_eq!(bad[0]["failure"], "size_violation");
    let mut batch = Batch::default();
    let many: Vec<Value> = (0..20).map(|_| event(&long)).collect();
    small.post("", &body(json!(many)), &arrival(), &mut batch);
    let (json, _, bad) = read(&batch);
    assert_eq!((json.len(), bad.len()), (0, 1));
    assert_eq!(bad[0]["failure"], "size_violation");
}

#[test]
fn many_small_events_go_in_parts() {
    let events: Vec<Value> = (0..1_000)
        .map(|_| json!({ "e": "pv", "p": "web", "tv": "t" }))
        .collect();
    let body = body(json!(events));
    let (collector, arrival) = (collector(), arrival());
    let mut batch = Batch::default();
    let mut post = collector
        .open("", &body, &arrival, &mut batch)
        .expect("opens");
    let (mut parts, mut count) = (0, 0);
    loop {
        let more = collector.next(&mut post, &arrival, 10_000, &mut batch);
        assert!(batch.bytes() < 10_000 + 5_000);
        parts += 1;
        count += batch.json.len();
        batch = Batch::default();
        if !more {
            break;
        }
    }
    assert_eq!(count, 1_000);
    assert!(parts > 100);
}

#[test]
fn a_visitors_events_have_one_key() {
    let mut batch = Batch::default();
    let event = |duid: &str| json!({ "e": "pv", "p": "web", "tv": "t", "duid": duid });
    collector().post(
        "",
        &body(json!([event("a"), event("")])),
        &arrival(),
        &mut batch,
    );
    let keys: Vec<_> = batch.json.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [b"a", NETWORK_ID.as_bytes()]);
    let mut batch = Batch::default();
    let unknown = Arrival {
        network_userid: ANONYMOUS_USER,
        ..arrival()
    };
    collector().post(
        "",
        &body(json!([event(""), event("")])),
        &unknown,
        &mut batch,
    );
    let keys: Vec<_> = batch.json.iter().map(|(key, _)| key).collect();
    assert_ne!(
        keys[0], keys[1],
        "nobody is merged with all who are unknown"
    );
}

fn answered(batch: &Batch, at_least: usize) -> Result<(), TestCaseError> {
    let (json, _, bad) = read(batch);
    prop_assert!(json.len() + bad.len() >= at_least);
    let defects = bad
        .iter()
        .filter(|row| row["failure"] == "collector_defect")
        .count();
    prop_assert_eq!(defects, 0);
    Ok(())
}

/// A text that is close to what trackers send.
fn near() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        "\"",
        ":",
        ",",
        "\\",
        "\\u00",
        "\\ud800",
        "null",
        "1e999",
        "-",
        "schema",
        "data",
        "iglu:",
        "iglu:a/b/jsonschema/1-0-0",
        "com.snowplowanalytics.snowplow",
        "\u{0}",
        "é",
        "\t",
        "\n",
        "type",
    ]);
    prop::collection::vec(words, 0..20).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200), query in "\\PC{0,60}") {
        let mut batch = Batch::default();
        collector().post(&query, &bytes, &arrival(), &mut batch);
        answered(&batch, 1)?;
    }

    #[test]
    fn every_truncation_is_answered(cut in 0_usize..2_000) {
        let events = json!([{ "e": "ue", "p": "web", "tv": "t", "ue_pr": action(json!({ "type": "transaction" })),
            "co": contexts(&[shop("product", json!({ "id": "é" }))]) }]);
        let body = body(events);
        let mut batch = Batch::default();
        collector().post("", &body[..cut % (body.len() + 1)], &arrival(), &mut batch);
        answered(&batch, 1)?;
    }

    #[test]
    fn any_values_are_answered(
        values in prop::collection::vec((0..crate::params::PARAMS.len(), prop_oneof![near(), "\\PC{0,40}", "[0-9x.-]{0,12}"]), 0..12),
        kind in prop::sample::select(vec!["pv", "pp", "ue", "se", "tr", "ti", "xx"]),
        user_agent in "\\PC{0,80}",
        referer in prop_oneof![near(), "https?://[a-z.:/?&=%@\\[\\]]{0,60}"],
    ) {
        let mut event = json!({ "e": kind, "p": "web", "tv": "t" });
        for (at, value) in values {
            event[crate::params::PARAMS[at].0] = value.into();
        }
        let arrival = Arrival { user_agent: Some(&user_agent), referer: Some(&referer), ..arrival() };
        let mut batch = Batch::default();
        collector().post("", &body(json!([event])), &arrival, &mut batch);
        answered(&batch, 1)?;
    }

    #[test]
    fn any_entities_are_answered(co in near(), ue in near(), wrapped in any::<bool>()) {
        let wrap = |name: &str, text: &str| format!(
            r#"{{"schema":"iglu:com.snowplowanalytics.snowplow/{name}/jsonschema/1-0-0","data":{text}}}"#);
        let (co, ue) = if wrapped { (wrap("contexts", &co), wrap("unstruct_event", &ue)) } else { (co, ue) };
        let mut batch = Batch::default();
        let event = json!({ "e": "ue", "p": "web", "tv": "t", "co": co, "ue_pr": ue });
        collector().post("", &body(json!([event])), &arrival(), &mut batch);
        answered(&batch, 1)?;
    }

    #[test]
    fn any_query_is_answered(query in prop_oneof!["\\PC{0,200}", "(&?(e|ue_px|cx|url|res|nuid)=[a-zA-Z0-9%+_=-]{0,20}){0,8}"]) {
        let mut batch = Batch::default();
        collector().get(&query, &arrival(), &mut batch);
        answered(&batch, 1)?;
    }
}
