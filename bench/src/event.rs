//! Events in the shape of the topic `snowplow-enriched-good`, of about 3 KB, made up from a seed.
//!
//! As in real feeds the members of nested objects stand in another order in each event, and a few
//! texts hold escapes or letters beyond ASCII. Unlike there, what is absent is an absent key, never
//! an empty object or null: at those `sonic_rs::get_many` gives the whole event up.

use fastrand::Rng;
use std::fmt::Write;

const TYPES: [&str; 8] = [
    "page_view",
    "page_view",
    "product_view",
    "list_view",
    "add_to_cart",
    "remove_from_cart",
    "checkout_step",
    "transaction",
];
const TEXTS: [&str; 6] = [
    "New series",
    "Top this week",
    "You might also be interested in",
    "Kid shoes",
    "Sn\\u00f6wplow \\\"Classics\\\"",
    "Schuhe für alle",
];
const ZONES: [&str; 4] = [
    "Europe/Amsterdam",
    "America/New_York",
    "Asia/Tokyo",
    "Europe/Berlin",
];
const AGENTS: [&str; 3] = [
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/134.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like \
     Gecko) Version/18.3 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:136.0) Gecko/20100101 Firefox/136.0",
];

/// Appends event number `number`, without a line end.
pub fn write(out: &mut Vec<u8>, random: &mut Rng, number: u64) {
    out.extend_from_slice(event(random, number).as_bytes());
}

/// An object of these members, written in a random order.
fn object(random: &mut Rng, mut members: Vec<String>) -> String {
    random.shuffle(&mut members);
    format!("{{{}}}", members.join(","))
}

fn text(key: &str, value: impl std::fmt::Display) -> String {
    format!("\"{key}\":\"{value}\"")
}

fn plain(key: &str, value: impl std::fmt::Display) -> String {
    format!("\"{key}\":{value}")
}

fn pick<'a>(random: &mut Rng, from: &[&'a str]) -> &'a str {
    from[random.usize(..from.len())]
}

fn uuid(random: &mut Rng) -> String {
    let mut id = format!("{:032x}", random.u128(..));
    for at in [20, 16, 12, 8] {
        id.insert(at, '-');
    }
    id
}

fn time(random: &mut Rng, number: u64) -> String {
    let ms = number * 10 + random.u64(..10);
    let (hours, minutes, seconds) = (ms / 3_600_000 % 24, ms / 60_000 % 60, ms / 1_000 % 60);
    let mut time = format!("2025-03-26T{hours:02}:{minutes:02}:{seconds:02}");
    if !ms.is_multiple_of(1_000) {
        let fraction = format!("{:03}", ms % 1_000);
        let _ = write!(time, ".{}", fraction.trim_end_matches('0'));
    }
    time.push('Z');
    time
}

fn event(random: &mut Rng, number: u64) -> String {
    let kind = pick(random, &TYPES);
    let parts = [
        text("id", uuid(random)),
        text("type", kind),
        text("timestamp", time(random, number)),
        plain("payload", payload(random, kind)),
        plain("enrich", enrich(random, number)),
        plain("session", session(random, number)),
        plain("metadata", metadata(random, number)),
    ];
    format!("{{{}}}", parts.join(","))
}

fn payload(random: &mut Rng, kind: &str) -> String {
    let mut parts = Vec::new();
    match kind {
        "page_view" => {
            parts.push(text("page_title", pick(random, &TEXTS)));
            parts.push(text("page_url", url(random)));
        }
        "list_view" => {
            parts.push(text("list_name", pick(random, &TEXTS)));
        }
        "product_view" => parts.push(plain("product", product(random))),
        "add_to_cart" | "remove_from_cart" => {
            parts.push(plain("product", product(random)));
            let total = plain("total_value", price(random));
            parts.push(plain(
                "cart",
                object(random, vec![total, text("currency", "EUR")]),
            ));
        }
        "checkout_step" => {
            parts.push(plain(
                "checkout_step",
                format!("{{\"step\":{}}}", random.u8(1..5)),
            ));
        }
        _ => {
            let members = vec![
                text("transaction_id", uuid(random)),
                plain("revenue", price(random)),
                text("currency", "EUR"),
                plain("total_quantity", random.u8(1..9)),
            ];
            parts.push(plain("transaction", object(random, members)));
        }
    }
    if random.u8(..10) < 7 {
        let members = vec![
            text("id", uuid(random)),
            text("name", "Product list view"),
            text("data_product_id", uuid(random)),
            text("data_product_name", "E-commerce Web - Snowplow Shoes"),
        ];
        parts.push(plain("specification", object(random, members)));
    }
    format!("{{{}}}", parts.join(","))
}

fn product(random: &mut Rng) -> String {
    let members = vec![
        text("id", random.u16(1..500)),
        text("name", pick(random, &TEXTS)),
        text("category", pick(random, &TEXTS)),
        text("brand", pick(random, &["Snowplow", "Acme", "Umbra"])),
        plain("price", price(random)),
        text("currency", "EUR"),
        text("size", random.u8(20..48)),
        text("variant", "Black-White"),
        text("creative_id", "/shoe5.webp"),
    ];
    object(random, members)
}

fn price(random: &mut Rng) -> String {
    format!("{}.{:02}", random.u16(1..400), random.u8(..100))
}

fn url(random: &mut Rng) -> String {
    let mut url = format!("http://localhost:3000/product/{}", random.u16(..500));
    if random.bool() {
        url.push_str("?utm_source=google&utm_medium=cpc&utm_campaign=winter-sale-24");
    }
    url
}

fn enrich(random: &mut Rng, number: u64) -> String {
    let client = client(random, number);
    let performance = performance(random);
    let mut user = vec![
        text(
            "domain_userid",
            format!("{:08x}-68fb-4277-baeb-b6033403094a", random.u16(..10_000)),
        ),
        text("network_userid", uuid(random)),
        text(
            "ip_address",
            format!("192.168.{}.{}", random.u8(..), random.u8(..)),
        ),
    ];
    if random.bool() {
        user.push(text(
            "user_id",
            format!("shopper{}@example.com", random.u16(..10_000)),
        ));
    }
    let mut parts = vec![
        plain("client", client),
        plain("performance", performance),
        plain("user", object(random, user)),
        text("platform", "web"),
    ];
    if random.u8(..5) == 0 {
        let members = vec![
            text("mkt_medium", "cpc"),
            text("mkt_source", "google"),
            text("mkt_term", "winter sale"),
            text("mkt_campaign", "winter-sale-24"),
        ];
        parts.insert(3, plain("marketing", object(random, members)));
    }
    format!("{{{}}}", parts.join(","))
}

fn client(random: &mut Rng, number: u64) -> String {
    let browser = vec![
        plain("online", true),
        plain("webdriver", false),
        plain("cookiesEnabled", true),
        plain("deviceMemory", 8),
        plain("devicePixelRatio", 1),
        plain("hardwareConcurrency", random.u8(2..32)),
        plain("colorDepth", 24),
        text("documentLanguage", "en"),
        text("browserLanguage", "en-US"),
        text("viewport", format!("{}x1280", random.u16(900..2500))),
        text("documentSize", format!("2006x{}", random.u16(900..2500))),
        text("resolution", "3440x1440"),
        text("tabId", uuid(random)),
    ];
    let mut device = vec![
        text("created_tstamp", time(random, number)),
        text("sent_tstamp", time(random, number)),
        plain("screen_width", 3440),
        plain("screen_height", 1440),
    ];
    device.push(text("os_timezone", pick(random, &ZONES)));
    let page = vec![
        text("page_url", url(random)),
        text("page_referrer", url(random)),
        text("page_urlscheme", "http"),
        text("page_urlhost", "localhost"),
        text("page_urlpath", "/product/5"),
        plain("page_urlport", 3000),
    ];
    let parts = [
        text("useragent", pick(random, &AGENTS)),
        plain("browser", object(random, browser)),
        plain("device", object(random, device)),
        plain("page", object(random, page)),
    ];
    format!("{{{}}}", parts.join(","))
}

fn performance(random: &mut Rng) -> String {
    let mut members = vec![
        text("entryType", "navigation"),
        text("nextHopProtocol", "http/1.1"),
    ];
    for key in [
        "domInteractive",
        "loadEventEnd",
        "duration",
        "requestStart",
        "responseStart",
        "fetchStart",
        "domainLookupEnd",
        "domContentLoadedEventEnd",
        "connectStart",
        "connectEnd",
        "domComplete",
        "loadEventStart",
        "domainLookupStart",
        "responseEnd",
    ] {
        members.push(plain(key, random.f64() * 1_500.0));
    }
    for key in [
        "decodedBodySize",
        "encodedBodySize",
        "transferSize",
        "domContentLoadedEventStart",
    ] {
        members.push(plain(key, random.u16(..9_999)));
    }
    object(random, members)
}

fn session(random: &mut Rng, number: u64) -> String {
    let members = vec![
        text(
            "sessionId",
            format!("{:08x}-0f83-4a70-9eca-a415cf9ea52b", random.u16(..20_000)),
        ),
        plain("eventIndex", random.u8(1..90)),
        plain("sessionIndex", 3),
        text("previousSessionId", uuid(random)),
        text("storageMechanism", "COOKIE_1"),
        text("firstEventId", uuid(random)),
        text("firstEventTimestamp", time(random, number)),
        text("userId", uuid(random)),
    ];
    object(random, members)
}

fn metadata(random: &mut Rng, number: u64) -> String {
    let members = vec![
        text("event_version", "1-0-2"),
        text("event_format", "jsonschema"),
        text(
            "event_fingerprint",
            format!("{:032x}01599402", random.u128(..)),
        ),
        text("event_vendor", "com.snowplowanalytics.snowplow.ecommerce"),
        text("app_id", "next-js-ecommerce-example"),
        text("etl_tstamp", time(random, number)),
        text("collector_tstamp", time(random, number)),
        text("v_tracker", "js-4.3.1"),
        text("v_collector", "ssc-3.2.0-kinesissink"),
        text("v_etl", "snowplow-enrich-kinesis-5.0.0"),
        text("name_tracker", "sp"),
    ];
    object(random, members)
}
