//! The event as JSON, in the shape of the topic `snowplow-enriched-good`.
//!
//! Entities are copied as they came. Beyond that shape stand `payload.transaction` with the
//! amounts of an order, `payload.event` for self-describing events that are not of e-commerce,
//! `enrich.referrer` and `enrich.geo`.

use crate::bad::text as json_text;
use crate::columns as column;
use crate::event::Event;
use crate::iglu::{Entity, write_line};
use crate::time::write_rfc3339;
use serde::Deserialize;
use std::borrow::Cow;

const SNOWPLOW: &str = "com.snowplowanalytics.snowplow";
const ECOMMERCE: &str = "com.snowplowanalytics.snowplow.ecommerce";
const ACTION: &str = "snowplow_ecommerce_action";

/// An object that is being written.
struct Object<'o> {
    out: &'o mut Vec<u8>,
    comma: bool,
}

impl<'o> Object<'o> {
    fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, comma: false }
    }

    fn end(self) {
        self.out.push(b'}');
    }

    /// Writes a name, which needs no escaping; the value follows.
    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if self.comma {
            self.out.push(b',');
        }
        self.comma = true;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    fn text(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            json_text(self.name(name), value);
        }
    }

    /// A text that is JSON already.
    fn json(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            write_line(self.name(name), value);
        }
    }

    fn time(&mut self, name: &str, time: Option<i64>) {
        if let Some(time) = time {
            let out = self.name(name);
            out.push(b'"');
            write_rfc3339(out, time);
            out.push(b'"');
        }
    }

    fn object(&mut self, name: &str, write: impl FnOnce(&mut Object<'_>)) {
        let mut inner = Object::begin(self.name(name));
        write(&mut inner);
        inner.end();
    }
}

/// The entities that the shape has a place for; of each kind the first one.
#[derive(Default)]
struct Found<'a> {
    products: Vec<&'a str>,
    cart: Option<&'a str>,
    transaction: Option<&'a str>,
    transaction_error: Option<&'a str>,
    refund: Option<&'a str>,
    checkout_step: Option<&'a str>,
    promotion: Option<&'a str>,
    session: Option<&'a str>,
    browser: Option<&'a str>,
    performance: Option<&'a str>,
    specification: Option<&'a str>,
}

impl<'a> Found<'a> {
    fn of(entities: &'a [Entity<'a>]) -> Self {
        let mut found = Self::default();
        for entity in entities.iter().filter(|entity| entity.is_object()) {
            let schema = entity.schema();
            let place = match (schema.vendor, schema.name, schema.model()) {
                (ECOMMERCE, "product", "1") => {
                    found.products.push(entity.data);
                    continue;
                }
                (ECOMMERCE, "cart", "1") => &mut found.cart,
                (ECOMMERCE, "transaction", "1") => &mut found.transaction,
                (ECOMMERCE, "transaction_error", "1") => &mut found.transaction_error,
                (ECOMMERCE, "refund", "1") => &mut found.refund,
                (ECOMMERCE, "checkout_step", "1") => &mut found.checkout_step,
                (ECOMMERCE, "promotion", "1") => &mut found.promotion,
                (SNOWPLOW, "client_session", "1") => &mut found.session,
                (SNOWPLOW, "browser_context", "2") => &mut found.browser,
                (SNOWPLOW, "event_specification", "1") => &mut found.specification,
                ("org.w3", "PerformanceNavigationTiming", "1") => &mut found.performance,
                _ => continue,
            };
            place.get_or_insert(entity.data);
        }
        found
    }
}

/// What an e-commerce event says of itself.
#[derive(Default, Deserialize)]
struct Action<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
}

impl<'a> Action<'a> {
    /// `None` where the event is not of e-commerce.
    fn of(event: &'a Event<'_>) -> Option<Self> {
        let unstruct = event.unstruct.as_ref()?;
        let schema = unstruct.schema();
        let is_action = (schema.vendor, schema.name, schema.model()) == (ECOMMERCE, ACTION, "1");
        // What does not read as one is an action of no known type.
        is_action.then(|| serde_json::from_str(unstruct.data).unwrap_or_default())
    }
}

/// Appends an event, without a line end.
pub fn write(out: &mut Vec<u8>, event: &Event<'_>) {
    let found = Found::of(&event.entities);
    let action = Action::of(event);
    let columns = &event.columns;
    let kind = match &action {
        Some(action) => action.kind.as_deref().unwrap_or("unknown_ecommerce"),
        None => columns.get(column::EVENT).unwrap_or("unknown"),
    };
    let mut all = Object::begin(out);
    all.text("id", columns.get(column::EVENT_ID));
    all.text("type", Some(kind));
    all.time("timestamp", Some(event.times.derived()));
    all.object("payload", |payload| {
        match &action {
            Some(action) => ecommerce(payload, kind, action, &found),
            None => plain(payload, event, kind),
        }
        payload.json("specification", found.specification);
    });
    all.object("enrich", |enrich| write_enrich(enrich, event, &found));
    match found.session {
        Some(session) => all.json("session", Some(session)),
        None => all.object("session", |session| {
            session.text("domain_sessionid", columns.get(column::DOMAIN_SESSIONID));
            session.json("domain_sessionidx", columns.get(column::DOMAIN_SESSIONIDX));
        }),
    }
    all.object("metadata", |metadata| {
        metadata.text("event_version", columns.get(column::EVENT_VERSION));
        metadata.text("event_format", columns.get(column::EVENT_FORMAT));
        metadata.text("event_fingerprint", columns.get(column::EVENT_FINGERPRINT));
        metadata.text("event_vendor", columns.get(column::EVENT_VENDOR));
        metadata.text("app_id", columns.get(column::APP_ID));
        metadata.time("etl_tstamp", Some(event.times.etl));
        metadata.time("collector_tstamp", Some(event.times.collector));
        metadata.text("v_tracker", columns.get(column::V_TRACKER));
        metadata.text("v_collector", columns.get(column::V_COLLECTOR));
        metadata.text("v_etl", columns.get(column::V_ETL));
        metadata.text("name_tracker", columns.get(column::NAME_TRACKER));
    });
    all.end();
}

/// An entity that the shape always has.
fn or_empty(data: Option<&str>) -> Option<&str> {
    data.or(Some("{}"))
}

/// The payload of an e-commerce event.
fn ecommerce(payload: &mut Object<'_>, kind: &str, action: &Action<'_>, found: &Found<'_>) {
    let product = found.products.first().copied();
    let products = |payload: &mut Object<'_>| {
        let out = payload.name("products");
        out.push(b'[');
        for (at, product) in found.products.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_line(out, product);
        }
        out.push(b']');
    };
    match kind {
        "product_view" => {
            payload.json("product", or_empty(product));
        }
        "add_to_cart" | "remove_from_cart" => {
            payload.json("product", or_empty(product));
            payload.json("cart", or_empty(found.cart));
        }
        "list_view" | "list_click" => {
            products(payload);
            match action.name.as_deref() {
                Some(name) => payload.text("list_name", Some(name)),
                None => payload.json("list_name", Some("null")),
            }
        }
        "checkout_step" => {
            payload.json("checkout_step", or_empty(found.checkout_step));
            payload.json("cart", or_empty(found.cart));
        }
        "promo_view" | "promo_click" => {
            payload.json("promotion", or_empty(found.promotion));
        }
        "transaction" => {
            products(payload);
            payload.json("transaction", or_empty(found.transaction));
        }
        "refund" => {
            products(payload);
            payload.json("refund", or_empty(found.refund));
        }
        "trns_error" => {
            payload.json("transaction", or_empty(found.transaction));
            payload.json("transaction_error", or_empty(found.transaction_error));
        }
        _ => {}
    }
}

/// The payload of all other events.
fn plain(payload: &mut Object<'_>, event: &Event<'_>, kind: &str) {
    let get = |at| event.columns.get(at);
    match kind {
        "page_view" => {
            payload.text("page_title", get(column::PAGE_TITLE));
            payload.text("page_url", get(column::PAGE_URL));
            payload.text("referrer", get(column::PAGE_REFERRER));
        }
        "struct" => payload.object("se_data", |data| {
            data.text("category", get(column::SE_CATEGORY));
            data.text("action", get(column::SE_ACTION));
            data.text("label", get(column::SE_LABEL));
            data.text("property", get(column::SE_PROPERTY));
            data.text("value", get(column::SE_VALUE));
        }),
        // Orders of older trackers, by the names that the e-commerce entities have.
        "transaction" => payload.object("transaction", |order| {
            order.text("transaction_id", get(column::TR_ORDERID));
            order.json("revenue", get(column::TR_TOTAL));
            order.text("currency", get(column::TR_CURRENCY));
            order.json("tax", get(column::TR_TAX));
            order.json("shipping", get(column::TR_SHIPPING));
        }),
        "transaction_item" => payload.object("product", |product| {
            product.text("id", get(column::TI_SKU));
            product.text("name", get(column::TI_NAME));
            product.text("category", get(column::TI_CATEGORY));
            product.json("price", get(column::TI_PRICE));
            product.json("quantity", get(column::TI_QUANTITY));
            product.text("currency", get(column::TI_CURRENCY));
        }),
        _ => {
            if let Some(unstruct) = &event.unstruct {
                unstruct.write(payload.name("event"));
            }
        }
    }
}

fn write_enrich(enrich: &mut Object<'_>, event: &Event<'_>, found: &Found<'_>) {
    let get = |at| event.columns.get(at);
    enrich.object("client", |client| {
        client.text("useragent", get(column::USERAGENT));
        match found.browser {
            Some(browser) => client.json("browser", Some(browser)),
            None => client.object("browser", |browser| fallback_browser(browser, event)),
        }
        client.object("device", |device| {
            device.time("created_tstamp", event.times.created);
            device.time("sent_tstamp", event.times.sent);
            device.json("screen_width", get(column::DVCE_SCREENWIDTH));
            device.json("screen_height", get(column::DVCE_SCREENHEIGHT));
            device.text("os_timezone", get(column::OS_TIMEZONE));
        });
        client.object("page", |page| {
            page.text("page_url", get(column::PAGE_URL));
            page.text("page_title", get(column::PAGE_TITLE));
            page.text("page_referrer", get(column::PAGE_REFERRER));
        });
    });
    enrich.json("performance", Some(found.performance.unwrap_or("{}")));
    enrich.object("user", |user| {
        user.text("user_id", get(column::USER_ID));
        user.text("domain_userid", get(column::DOMAIN_USERID));
        user.text("network_userid", get(column::NETWORK_USERID));
        user.text("ip_address", get(column::USER_IPADDRESS));
    });
    marketing(enrich, event);
    if let Some(medium) = get(column::REFR_MEDIUM) {
        enrich.object("referrer", |referrer| {
            referrer.text("medium", Some(medium));
            referrer.text("source", get(column::REFR_SOURCE));
            referrer.text("term", get(column::REFR_TERM));
        });
    }
    if let Some(country) = get(column::GEO_COUNTRY) {
        enrich.object("geo", |geo| {
            geo.text("country", Some(country));
            geo.text("region", get(column::GEO_REGION));
            geo.text("city", get(column::GEO_CITY));
            geo.json("latitude", get(column::GEO_LATITUDE));
            geo.json("longitude", get(column::GEO_LONGITUDE));
            geo.text("timezone", get(column::GEO_TIMEZONE));
        });
    }
    enrich.text("platform", get(column::PLATFORM));
}

/// What the event's own columns tell, where the tracker sends no browser_context.
fn fallback_browser(browser: &mut Object<'_>, event: &Event<'_>) {
    let get = |at| event.columns.get(at);
    let mut size = |name: &str, width, height| {
        if let (Some(width), Some(height)) = (get(width), get(height)) {
            browser.text(name, Some(&format!("{width}x{height}")));
        }
    };
    size("viewport", column::BR_VIEWWIDTH, column::BR_VIEWHEIGHT);
    size(
        "resolution",
        column::DVCE_SCREENWIDTH,
        column::DVCE_SCREENHEIGHT,
    );
    browser.text("color_depth", get(column::BR_COLORDEPTH));
    let cookies = get(column::BR_COOKIES).map(|text| if text == "1" { "true" } else { "false" });
    browser.json("cookies_enabled", cookies);
    browser.text("language", get(column::BR_LANG));
}

fn marketing(enrich: &mut Object<'_>, event: &Event<'_>) {
    const FIELDS: [(&str, usize); 7] = [
        ("mkt_medium", column::MKT_MEDIUM),
        ("mkt_source", column::MKT_SOURCE),
        ("mkt_term", column::MKT_TERM),
        ("mkt_content", column::MKT_CONTENT),
        ("mkt_campaign", column::MKT_CAMPAIGN),
        ("mkt_clickid", column::MKT_CLICKID),
        ("mkt_network", column::MKT_NETWORK),
    ];
    let there = FIELDS
        .iter()
        .any(|(_, at)| event.columns.get(*at).is_some());
    if !there {
        return enrich.json("marketing", Some("null"));
    }
    enrich.object("marketing", |marketing| {
        for (name, at) in FIELDS {
            marketing.text(name, event.columns.get(at));
        }
    });
}
