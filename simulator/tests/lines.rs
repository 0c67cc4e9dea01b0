//! What the simulator promises: the same lines for the same settings, the documented shape, and
//! the fractions that were asked for.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tidewheel_simulator::{
    Breakage, ConfigError, Kind, Shape, SimEvent, Simulator, SimulatorConfig,
};

const START: i64 = 1_767_225_600_000;

fn config() -> SimulatorConfig {
    SimulatorConfig {
        shoppers: 500,
        products: 100,
        ..Default::default()
    }
}

fn lines(config: SimulatorConfig, count: usize) -> Vec<SimEvent> {
    Simulator::new(config).expect("valid").take(count).collect()
}

fn parsed(event: &SimEvent) -> Value {
    serde_json::from_slice(&event.json)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&event.json)))
}

/// FNV-1a.
fn hash(events: &[SimEvent]) -> u64 {
    events
        .iter()
        .flat_map(|event| event.json.iter().chain(b"\n"))
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

/// Reads the time as the topic has it, without the simulator's own code.
fn time(text: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().expect("digits");
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut days: i64 = (1970..year).map(|year| 365 + i64::from(leap(year))).sum();
    let lengths = [
        31,
        28 + i64::from(leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    days += lengths[..month as usize - 1].iter().sum::<i64>() + day - 1;
    let fraction = text[19..].trim_start_matches('.').trim_end_matches('Z');
    assert!(
        !fraction.ends_with('0') && fraction.len() <= 3,
        "trailing zeros in {text}"
    );
    let ms = format!("{fraction:0<3}").parse::<i64>().expect("digits");
    ((days * 24 + number(11..13)) * 60 + number(14..16)) * 60_000 + number(17..19) * 1_000 + ms
}

#[test]
fn the_same_settings_give_the_same_lines_for_ever() {
    let everything = SimulatorConfig {
        seed: 42,
        disorder_ms: 3_000,
        repeat: 0.02,
        late: 0.01,
        future: 0.01,
        broken: 0.02,
        untidy: 0.05,
        ..config()
    };
    let older = SimulatorConfig {
        shape: Shape::Older,
        ..config()
    };
    let hashes =
        [config(), everything.clone(), older].map(|settings| hash(&lines(settings, 10_000)));
    assert_eq!(
        hashes, GOLDEN,
        "a change of the lines must be meant: every benchmark changes with it"
    );
    let other = SimulatorConfig {
        seed: 43,
        ..everything
    };
    assert_ne!(hash(&lines(other, 10_000)), GOLDEN[1]);
}

/// Of 10,000 lines: plain, with everything, older.
const GOLDEN: [u64; 3] = [
    11434995024782133018,
    11534172083904858933,
    4252674936403543806,
];

#[test]
fn lines_can_be_written_into_one_buffer() {
    let mut one = Simulator::new(config()).expect("valid");
    let mut buffer = Vec::new();
    for event in lines(config(), 1_000) {
        let start = buffer.len();
        let written = one.write_next(&mut buffer);
        assert_eq!(buffer[start..], event.json);
        assert_eq!(
            (written.arrival_ms, written.kind),
            (event.arrival_ms, event.kind)
        );
        assert!(!event.json.contains(&b'\n'));
        assert_eq!(
            time(parsed(&event)["timestamp"].as_str().expect("time")),
            written.time_ms
        );
    }
}

#[test]
fn lines_are_about_as_long_as_real_ones() {
    for shape in [Shape::Today, Shape::Older] {
        let events = lines(SimulatorConfig { shape, ..config() }, 20_000);
        let mean = events.iter().map(|event| event.json.len()).sum::<usize>() / events.len();
        assert!((2_700..2_950).contains(&mean), "{shape:?}: {mean}");
    }
}

#[test]
fn every_line_has_the_documented_shape() {
    let mut types = BTreeMap::<String, usize>::new();
    for event in lines(
        SimulatorConfig {
            untidy: 0.0,
            ..config()
        },
        60_000,
    ) {
        let line = parsed(&event);
        let text = |path: &str| line.pointer(path).and_then(Value::as_str);
        let has = |path: &str| line.pointer(path).is_some();
        let event_type = text("/type").expect("type").to_owned();
        for path in [
            "/id",
            "/enrich/client/device/created_tstamp",
            "/enrich/client/page/page_url",
            "/enrich/user/network_userid",
            "/enrich/user/ip_address",
            "/enrich/platform",
            "/metadata/event_fingerprint",
            "/metadata/etl_tstamp",
            "/payload/specification/id",
        ] {
            assert!(text(path).is_some(), "{event_type} without {path}: {line}");
        }
        assert!(has("/enrich/performance") && has("/enrich/marketing"));
        assert!(
            text("/session/sessionId")
                .or(text("/session/domain_sessionid"))
                .is_some()
        );
        let wanted: &[&str] = match event_type.as_str() {
            "page_view" => &["/payload/page_title", "/payload/page_url"],
            "list_view" => &["/payload/products", "/payload/list_name"],
            "list_click" => &["/payload/products/0/id", "/payload/list_name"],
            "product_view" => &["/payload/product/price", "/payload/product/brand"],
            "add_to_cart" | "remove_from_cart" => {
                &["/payload/product/id", "/payload/cart/total_value"]
            }
            "checkout_step" => &["/payload/checkout_step/step", "/payload/cart"],
            "promo_view" | "promo_click" => &["/payload/promotion/id"],
            "transaction" => &[
                "/payload/transaction/transaction_id",
                "/payload/transaction/revenue",
            ],
            "struct" => &["/payload/se_data/category"],
            "page_ping" | "unstruct" | "refund" | "trns_error" => &[],
            other => panic!("unknown type {other}"),
        };
        for path in wanted {
            assert!(has(path), "{event_type} without {path}: {line}");
        }
        *types.entry(event_type).or_default() += 1;
    }
    assert_eq!(types.len(), 15, "{types:?}");
    assert!(
        types["transaction"] > 200 && types["remove_from_cart"] > 200,
        "{types:?}"
    );
}

#[test]
fn the_older_shape_has_no_amounts_and_no_product_lists() {
    for event in lines(
        SimulatorConfig {
            shape: Shape::Older,
            ..config()
        },
        20_000,
    ) {
        let line = parsed(&event);
        assert!(line.pointer("/payload/products").is_none());
        assert!(line.pointer("/payload/transaction").is_none());
        assert!(line.pointer("/enrich/client/page/page_urlpath").is_some());
        match line["type"].as_str() {
            Some("list_view") => assert_eq!(line["payload"]["product"], serde_json::json!({})),
            Some("list_click") if line["payload"]["product"] != serde_json::json!({}) => {
                assert!(line["payload"]["product"]["id"].is_string());
            }
            _ => {}
        }
    }
}

#[test]
fn a_cart_follows_its_adds_and_removals() {
    let mut carts = HashMap::<String, i64>::new();
    let mut changes = 0;
    for event in lines(
        SimulatorConfig {
            untidy: 0.0,
            ..config()
        },
        60_000,
    ) {
        let line = parsed(&event);
        let Some(session) = line["session"]["sessionId"].as_str() else {
            continue;
        };
        let cents = |value: &Value| (value.as_f64().expect("number") * 100.0).round() as i64;
        let sign = match line["type"].as_str() {
            Some("add_to_cart") => 1,
            Some("remove_from_cart") => -1,
            _ => continue,
        };
        let total = cents(&line["payload"]["cart"]["total_value"]);
        // A cart outlives its session, and an order empties it: only what follows can be checked.
        let price = cents(&line["payload"]["product"]["price"]);
        if let Some(before) = carts.insert(session.to_owned(), total)
            && before + sign * price == total
        {
            changes += 1;
        }
        assert!(total >= 0 && (sign < 0 || total >= price));
    }
    assert!(changes > 500, "{changes}");
}

#[test]
fn shoppers_log_in_midway_and_some_have_no_id() {
    let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
    let (mut fallback, mut nobody, mut servers) = (0, 0, 0);
    for event in lines(config(), 60_000) {
        let line = parsed(&event);
        let session = line["session"]["sessionId"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        fallback += usize::from(session.is_empty());
        servers += usize::from(line["enrich"]["platform"] == "srv");
        match (
            line["enrich"]["user"]["user_id"].as_str(),
            line["enrich"]["user"]["domain_userid"].as_str(),
        ) {
            (Some(user), _) if !user.is_empty() => after.insert(session),
            (_, Some(_)) => before.insert(session),
            _ => {
                nobody += 1;
                false
            }
        };
    }
    assert!(before.intersection(&after).count() > 50);
    assert!(
        fallback > 500 && nobody > 100 && servers > 50,
        "{fallback} {nobody} {servers}"
    );
}

#[test]
fn sessions_are_of_several_kinds() {
    let mut sessions = HashMap::<String, [BTreeSet<String>; 3]>::new();
    let mut searches = 0;
    for event in lines(config(), 60_000) {
        let line = parsed(&event);
        let Some(session) = line["session"]["sessionId"].as_str() else {
            continue;
        };
        let seen = sessions.entry(session.to_owned()).or_default();
        let mut note = |at: usize, path: &str| {
            if let Some(value) = line.pointer(path).and_then(Value::as_str) {
                seen[at].insert(value.to_owned());
            }
        };
        note(0, "/enrich/client/useragent");
        note(1, "/enrich/client/device/os_timezone");
        note(2, "/enrich/marketing/mkt_campaign");
        let url = line
            .pointer("/payload/page_url")
            .and_then(Value::as_str)
            .unwrap_or_default();
        searches += usize::from(url.contains("/search?q="));
    }
    let with = |at: usize, count: usize| {
        sessions
            .values()
            .filter(|seen| seen[at].len() >= count)
            .count()
    };
    assert!(sessions.len() > 500, "{}", sessions.len());
    assert!(with(0, 2) > 20 && with(1, 2) > 20 && with(2, 1) > 100 && searches > 500);
    assert!(with(2, 1) < sessions.len());
}

#[test]
fn without_options_lines_are_in_order_at_the_rate() {
    for rate in [1.0, 50.0, 20_000.0] {
        let settings = SimulatorConfig {
            events_per_second: rate,
            untidy: 0.0,
            ..config()
        };
        let events = lines(settings, 20_000);
        let mut newest = START;
        for event in &events {
            let time = time(parsed(event)["timestamp"].as_str().expect("time"));
            assert!(
                time >= newest && event.arrival_ms == time,
                "{time} {newest}"
            );
            newest = time;
        }
        let seconds = (newest - START) as f64 / 1_000.0;
        let measured = events.len() as f64 / seconds;
        assert!(
            (0.9..1.1).contains(&(measured / rate)),
            "{measured} for {rate}"
        );
    }
}

#[test]
fn disorder_keeps_within_its_bound_and_loses_nothing() {
    let settings = SimulatorConfig {
        disorder_ms: 4_000,
        ..config()
    };
    let mut seen = BTreeSet::new();
    let (mut newest, mut inversions, mut last) = (i64::MIN, 0, i64::MIN);
    for event in lines(settings, 20_000) {
        let line = parsed(&event);
        let time = time(line["timestamp"].as_str().expect("time"));
        assert!((0..=4_000).contains(&(event.arrival_ms - time)));
        assert!(event.arrival_ms >= last);
        inversions += usize::from(time < newest);
        newest = newest.max(time);
        last = event.arrival_ms;
        assert!(seen.insert(line["id"].as_str().expect("id").to_owned()));
    }
    assert!(inversions > 5_000, "{inversions}");
}

#[test]
fn fractions_are_what_was_asked_for() {
    let settings = SimulatorConfig {
        repeat: 0.05,
        late: 0.04,
        future: 0.03,
        broken: 0.02,
        disorder_ms: 500,
        late_ms: 60_000,
        repeat_ms: 5_000,
        events_per_second: 20.0,
        ..config()
    };
    let events = lines(settings, 50_000);
    let mut counts = HashMap::<&str, usize>::new();
    let mut ids = HashMap::<String, String>::new();
    for event in &events {
        let name = match event.kind {
            Kind::Regular => "regular",
            Kind::Repeat => "repeat",
            Kind::Late => "late",
            Kind::Future => "future",
            Kind::Broken(_) => "broken",
        };
        *counts.entry(name).or_default() += 1;
        if matches!(event.kind, Kind::Broken(_)) {
            continue;
        }
        let line = parsed(event);
        let id = line["id"].as_str().expect("id").to_owned();
        let stamp = line["timestamp"].as_str().expect("time").to_owned();
        let delay = event.arrival_ms - time(&stamp);
        match event.kind {
            Kind::Repeat => assert_eq!(ids.get(&id), Some(&stamp), "a repeat of what never came"),
            _ => assert_eq!(ids.insert(id, stamp), None, "an id twice"),
        }
        match event.kind {
            Kind::Late => assert!((30_500..=60_500).contains(&delay), "{delay}"),
            Kind::Future => assert!(delay < -3_000_000_000_000, "{delay}"),
            Kind::Regular => assert!((0..=500).contains(&delay), "{delay}"),
            _ => {}
        }
    }
    for (name, want) in [
        ("repeat", 0.05),
        ("late", 0.04),
        ("future", 0.03),
        ("broken", 0.02),
        ("regular", 0.86),
    ] {
        let share = counts[name] as f64 / events.len() as f64;
        assert!((share - want).abs() < 0.006, "{name}: {share}");
    }
}

#[test]
fn broken_lines_are_broken_in_every_way() {
    let settings = SimulatorConfig {
        broken: 0.2,
        ..config()
    };
    let mut seen = HashMap::<Breakage, usize>::new();
    for event in lines(settings, 3_000) {
        let Kind::Broken(breakage) = event.kind else {
            continue;
        };
        *seen.entry(breakage).or_default() += 1;
        let line = serde_json::from_slice::<Value>(&event.json);
        match breakage {
            Breakage::Malformed | Breakage::Truncated | Breakage::InvalidUtf8 => {
                assert!(line.is_err(), "{breakage:?}");
                continue;
            }
            _ => {}
        }
        let line = line.unwrap_or_else(|error| panic!("{breakage:?}: {error}"));
        assert_eq!(
            breakage.is_row(),
            line["timestamp"].is_string() && event.json.len() < 10_000,
            "{breakage:?}"
        );
        let absent = |path: &str| line.pointer(path).is_none();
        match breakage {
            Breakage::MissingTimestamp => assert!(absent("/timestamp")),
            Breakage::AddWithoutCart => {
                assert!(line["type"] == "add_to_cart" && absent("/payload/cart"));
            }
            Breakage::CheckoutWithoutStep => {
                assert!(line["type"] == "checkout_step" && absent("/payload/checkout_step"));
            }
            Breakage::ListWithoutName => {
                assert!(line["type"] == "list_view" && absent("/payload/list_name"));
            }
            Breakage::ViewWithoutProduct => {
                assert!(line["type"] == "product_view" && absent("/payload/product"));
            }
            Breakage::NullUser => {
                assert_eq!(line.pointer("/enrich/user/user_id"), Some(&Value::Null));
            }
            Breakage::HugeString => assert!(event.json.len() > 1024 * 1024),
            Breakage::WrongTypes => assert!(line["payload"].is_string()),
            Breakage::Malformed | Breakage::Truncated | Breakage::InvalidUtf8 => {}
        }
    }
    assert_eq!(seen.len(), Breakage::ALL.len(), "{seen:?}");
}

#[test]
fn untidy_lines_hold_each_inconsistency() {
    let mut seen = BTreeSet::new();
    for event in lines(
        SimulatorConfig {
            untidy: 0.3,
            ..config()
        },
        20_000,
    ) {
        let line = parsed(&event);
        let at = |path: &str| line.pointer(path);
        let empty = Some(&serde_json::json!({})).cloned();
        let is_empty = |path: &str| at(path).cloned() == empty;
        for (name, found) in [
            ("product {}", is_empty("/payload/product")),
            (
                "cart {}",
                line["type"] == "add_to_cart" && is_empty("/payload/cart"),
            ),
            (
                "price as a string",
                at("/payload/product/price").is_some_and(Value::is_string),
            ),
            (
                "total as a string",
                at("/payload/cart/total_value").is_some_and(Value::is_string),
            ),
            (
                "null list",
                at("/payload/list_name").is_some_and(Value::is_null),
            ),
            (
                "no products",
                at("/payload/products") == Some(&serde_json::json!([])),
            ),
            (
                "empty user",
                at("/enrich/user/user_id").is_some_and(|user| user == ""),
            ),
        ] {
            if found {
                seen.insert(name);
            }
        }
    }
    assert_eq!(seen.len(), 7, "{seen:?}");
}

#[test]
fn wrong_settings_are_refused() {
    let zero = SimulatorConfig {
        shoppers: 0,
        ..config()
    };
    assert_eq!(
        Simulator::new(zero).err(),
        Some(ConfigError::Zero("shoppers"))
    );
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let settings = SimulatorConfig {
            events_per_second: rate,
            ..config()
        };
        assert!(
            matches!(Simulator::new(settings).err(), Some(ConfigError::Rate(_))),
            "{rate}"
        );
    }
    let over = SimulatorConfig {
        late: 0.6,
        repeat: 0.6,
        ..config()
    };
    assert!(matches!(
        Simulator::new(over).err(),
        Some(ConfigError::Fractions(_))
    ));
    let negative = SimulatorConfig {
        broken: -0.1,
        ..config()
    };
    assert!(matches!(
        Simulator::new(negative).err(),
        Some(ConfigError::Fraction("broken", _))
    ));
    let before = SimulatorConfig {
        start_ms: -1,
        ..config()
    };
    assert!(matches!(
        Simulator::new(before).err(),
        Some(ConfigError::Time("start"))
    ));
}

#[test]
fn the_smallest_shop_works() {
    let settings = SimulatorConfig {
        shoppers: 1,
        products: 1,
        broken: 0.1,
        repeat: 0.1,
        ..Default::default()
    };
    assert_eq!(lines(settings, 5_000).len(), 5_000);
}
