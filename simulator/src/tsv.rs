//! Writes an event as one line of Snowplow's enriched TSV: the same visit as the JSON lines tell,
//! as its pipeline writes it before any transformer.

use crate::catalog::{CAMPAIGNS, Catalog, LISTS, Profile, ZONES};
use crate::event::{Breakage, Event, EventType, HUGE_STRING_BYTES, Kind, Page, untidy};
use crate::page::{HOST, write_path, write_promotion, write_query, write_title, write_url};
use crate::render::{
    ANONYMOUS, FALLBACK_BROWSERS, FALLBACK_SESSIONS, Renderer, purpose, session_key, type_name,
    write_product,
};
use crate::text::{id_bits, mix, write_hex, write_number};

/// Positions of the fields that a shop's events fill, as Snowplow's documentation numbers them.
mod at {
    pub(super) const APP_ID: usize = 0;
    pub(super) const PLATFORM: usize = 1;
    pub(super) const ETL_TSTAMP: usize = 2;
    pub(super) const COLLECTOR_TSTAMP: usize = 3;
    pub(super) const DVCE_CREATED_TSTAMP: usize = 4;
    pub(super) const EVENT: usize = 5;
    pub(super) const EVENT_ID: usize = 6;
    pub(super) const NAME_TRACKER: usize = 8;
    pub(super) const V_TRACKER: usize = 9;
    pub(super) const V_COLLECTOR: usize = 10;
    pub(super) const V_ETL: usize = 11;
    pub(super) const USER_ID: usize = 12;
    pub(super) const USER_IPADDRESS: usize = 13;
    pub(super) const DOMAIN_USERID: usize = 15;
    pub(super) const DOMAIN_SESSIONIDX: usize = 16;
    pub(super) const NETWORK_USERID: usize = 17;
    pub(super) const PAGE_URL: usize = 29;
    pub(super) const PAGE_TITLE: usize = 30;
    pub(super) const PAGE_REFERRER: usize = 31;
    pub(super) const PAGE_URLSCHEME: usize = 32;
    pub(super) const REFR_URLSCHEME: usize = 38;
    pub(super) const REFR_MEDIUM: usize = 44;
    pub(super) const MKT_MEDIUM: usize = 47;
    pub(super) const CONTEXTS: usize = 52;
    pub(super) const SE_CATEGORY: usize = 53;
    pub(super) const UNSTRUCT_EVENT: usize = 58;
    pub(super) const PP_XOFFSET_MIN: usize = 73;
    pub(super) const USERAGENT: usize = 77;
    pub(super) const BR_LANG: usize = 83;
    pub(super) const BR_COOKIES: usize = 93;
    pub(super) const OS_TIMEZONE: usize = 100;
    pub(super) const DVCE_SCREENWIDTH: usize = 103;
    pub(super) const DVCE_SENT_TSTAMP: usize = 119;
    pub(super) const DERIVED_CONTEXTS: usize = 122;
    pub(super) const DOMAIN_SESSIONID: usize = 123;
    pub(super) const DERIVED_TSTAMP: usize = 124;
    pub(super) const EVENT_VENDOR: usize = 125;
    pub(super) const LAST: usize = 130;
}

const CONTEXTS: &[u8] =
    b"{\"schema\":\"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1\",\"data\":[";
const UNSTRUCT: &[u8] =
    b"{\"schema\":\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\",\"data\":{\"schema\":\"iglu:";
const SHOP: &str = "com.snowplowanalytics.snowplow.ecommerce";
const CORE: &str = "com.snowplowanalytics.snowplow";

/// A line under construction: fields are written in their order, those between stay empty.
struct Line<'a> {
    out: &'a mut Vec<u8>,
    field: usize,
}

impl Line<'_> {
    /// Goes on to a field.
    fn to(&mut self, field: usize) -> &mut Vec<u8> {
        while self.field < field {
            self.out.push(b'\t');
            self.field += 1;
        }
        self.out
    }

    fn text(&mut self, field: usize, text: &[u8]) {
        self.to(field).extend_from_slice(text);
    }

    fn number(&mut self, field: usize, number: u32) {
        write_number(self.to(field), u64::from(number));
    }
}

impl Renderer {
    /// Appends the event's line, without a line end.
    pub(crate) fn write_tsv(&mut self, out: &mut Vec<u8>, event: &Event, catalog: &Catalog) {
        let start = out.len();
        let breakage = match event.kind {
            Kind::Broken(breakage) => Some(breakage),
            _ => None,
        };
        if breakage == Some(Breakage::Malformed) {
            out.extend_from_slice(b"this is no event\t");
            return self.event_id(out, event);
        }
        self.tsv_line(out, event, catalog, breakage);
        if breakage == Some(Breakage::Truncated) {
            let length = (out.len() - start) as u64;
            out.truncate(start + (1 + mix(event.seq) % (length - 1)) as usize);
        }
    }

    fn tsv_line(
        &mut self,
        out: &mut Vec<u8>,
        event: &Event,
        catalog: &Catalog,
        without: Option<Breakage>,
    ) {
        let profile = &catalog.profiles[usize::from(event.profile)];
        let mut line = Line { out, field: 0 };
        self.tsv_heads(&mut line, event, without);
        self.tsv_user(&mut line, event, without);
        tsv_page(&mut line, event, catalog, without);
        self.contexts(line.to(at::CONTEXTS), event, catalog, profile, without);
        if event.event_type == EventType::Struct {
            line.text(at::SE_CATEGORY, b"video\tplay\tproduct\t\t1.5");
            line.field += 4;
        }
        self.unstruct(line.to(at::UNSTRUCT_EVENT), event, without);
        if event.event_type == EventType::PagePing {
            line.text(at::PP_XOFFSET_MIN, b"0\t0\t0\t840");
            line.field += 3;
        }
        tsv_browser(&mut line, event, profile);
        let created = created(event);
        let sent = created + 10 + (event.arrival - event.time).max(0);
        self.times.write_plain(line.to(at::DVCE_SENT_TSTAMP), sent);
        if !event.from_server && !self.lean {
            derived_contexts(line.to(at::DERIVED_CONTEXTS), event);
        }
        let key = session_key(event);
        self.id(line.to(at::DOMAIN_SESSIONID), purpose::SESSION, key, 0);
        self.tsv_time(line.to(at::DERIVED_TSTAMP), event.time, without);
        let (vendor, name, version) = schema_of(event);
        for (offset, text) in [vendor, name, "jsonschema", version]
            .into_iter()
            .enumerate()
        {
            line.text(at::EVENT_VENDOR + offset, text.as_bytes());
        }
        let (high, low) = id_bits(self.seed, purpose::FINGERPRINT, key, u64::from(event.index));
        let out = line.to(at::EVENT_VENDOR + 4);
        write_hex(out, high, 16);
        write_hex(out, low, 16);
        line.to(at::LAST);
    }

    /// A time that a broken line may lack or garble.
    fn tsv_time(&mut self, out: &mut Vec<u8>, time: i64, without: Option<Breakage>) {
        match without {
            Some(Breakage::MissingTimestamp) => {}
            Some(Breakage::WrongTypes) => out.extend_from_slice(b"yesterday"),
            _ => self.times.write_plain(out, time),
        }
    }

    fn tsv_heads(&mut self, line: &mut Line<'_>, event: &Event, without: Option<Breakage>) {
        let collected = event.arrival.max(event.time) + 10;
        let enriched = collected + 500 + (mix(event.seq) % 2_000) as i64;
        line.text(at::APP_ID, b"shop");
        let platform: &[u8] = if event.from_server { b"srv" } else { b"web" };
        line.text(at::PLATFORM, platform);
        self.times.write_plain(line.to(at::ETL_TSTAMP), enriched);
        self.tsv_time(line.to(at::COLLECTOR_TSTAMP), collected, without);
        let created = created(event);
        self.times
            .write_plain(line.to(at::DVCE_CREATED_TSTAMP), created);
        line.text(
            at::EVENT,
            match event.event_type {
                EventType::PageView | EventType::PagePing | EventType::Struct => {
                    type_name(event.event_type)
                }
                _ => b"unstruct",
            },
        );
        let out = line.to(at::EVENT_ID);
        let start = out.len();
        self.event_id(out, event);
        if without == Some(Breakage::InvalidUtf8)
            && let Some(byte) = out.get_mut(start + 3)
        {
            *byte = 0xff;
        }
        line.text(at::NAME_TRACKER, b"sp");
        let tracker: &[u8] = if event.from_server {
            b"node-4.3.1"
        } else {
            b"js-4.3.1"
        };
        line.text(at::V_TRACKER, tracker);
        line.text(at::V_COLLECTOR, b"ssc-3.2.0-kafka");
        line.text(at::V_ETL, b"snowplow-enrich-kafka-5.0.0");
    }

    fn tsv_user(&mut self, line: &mut Line<'_>, event: &Event, without: Option<Breakage>) {
        let shopper = u64::from(event.shopper);
        let anonymous = mix(shopper ^ 0x61).is_multiple_of(ANONYMOUS);
        let named = event.logged_in && !anonymous;
        if named && without != Some(Breakage::NullUser) && event.untidy & untidy::EMPTY_USER == 0 {
            let out = line.to(at::USER_ID);
            out.extend_from_slice(b"shopper-");
            write_number(out, shopper + 1);
            out.extend_from_slice(b"@example.com");
        }
        if anonymous {
            line.text(at::USER_IPADDRESS, b"unknown");
        } else {
            let out = line.to(at::USER_IPADDRESS);
            out.extend_from_slice(if shopper.is_multiple_of(7) {
                b"2001:db8::"
            } else {
                b"203.0.113."
            });
            write_number(out, 1 + mix(shopper) % 200);
            let device = u64::from(event.device);
            self.id(
                line.to(at::DOMAIN_USERID),
                purpose::BROWSER,
                shopper,
                device,
            );
        }
        line.number(at::DOMAIN_SESSIONIDX, event.session);
        let out = line.to(at::NETWORK_USERID);
        if anonymous {
            out.extend_from_slice(b"00000000-0000-0000-0000-000000000000");
        } else {
            self.id(out, purpose::NETWORK, shopper, u64::from(event.device));
        }
    }

    /// The field `contexts`.
    fn contexts(
        &mut self,
        out: &mut Vec<u8>,
        event: &Event,
        catalog: &Catalog,
        profile: &Profile,
        without: Option<Breakage>,
    ) {
        let key = session_key(event);
        out.extend_from_slice(CONTEXTS);
        entity(out, CORE, "event_specification", "1-0-3", |out| {
            out.extend_from_slice(b"{\"id\":\"629c8220-9aa0-4784-8d41-d90f16f70dde\",\"name\":\"");
            out.extend_from_slice(type_name(event.event_type));
            out.extend_from_slice(b"\"}");
        });
        if !event.from_server {
            entity(out, CORE, "web_page", "1-0-0", |out| {
                out.extend_from_slice(b"{\"id\":\"");
                self.id(out, purpose::PAGE, key, u64::from(event.index >> 3));
                out.extend_from_slice(b"\"}");
            });
            if !self.lean && !mix(u64::from(event.shopper)).is_multiple_of(FALLBACK_BROWSERS) {
                entity(out, CORE, "browser_context", "2-0-0", |out| {
                    out.extend_from_slice(&profile.browser);
                    self.id(out, purpose::TAB, key, 0);
                    out.extend_from_slice(b"\"}");
                });
            }
            if !self.lean && !mix(u64::from(event.shopper) ^ 0x73).is_multiple_of(FALLBACK_SESSIONS)
            {
                entity(out, CORE, "client_session", "1-0-2", |out| {
                    out.push(b'{');
                    self.client_session(out, event);
                    out.push(b'}');
                });
            }
            if !self.lean && event.event_type == EventType::PageView {
                let at = mix(key ^ u64::from(event.index) >> 3) as usize;
                let timing = &catalog.performances[at % catalog.performances.len()];
                entity(
                    out,
                    "org.w3",
                    "PerformanceNavigationTiming",
                    "1-0-0",
                    |out| {
                        out.extend_from_slice(timing);
                    },
                );
            }
        }
        self.shop_entities(out, event, catalog, without);
        out.pop();
        out.extend_from_slice(b"]}");
    }

    /// The entities of the e-commerce plugin.
    fn shop_entities(
        &mut self,
        out: &mut Vec<u8>,
        event: &Event,
        catalog: &Catalog,
        without: Option<Breakage>,
    ) {
        // The JSON lines give these with their name before; here the name is in the schema.
        let unnamed = |out: &mut Vec<u8>, name: &str, write: &mut dyn FnMut(&mut Vec<u8>)| {
            let start = out.len();
            write(out);
            out.drain(start..start + name.len() + 3);
        };
        let product = |out: &mut Vec<u8>| {
            entity(out, SHOP, "product", "1-0-0", |out| {
                unnamed(out, "product", &mut |out| {
                    write_product(out, event, catalog);
                });
            });
        };
        match event.event_type {
            EventType::ProductView if without != Some(Breakage::ViewWithoutProduct) => product(out),
            EventType::AddToCart | EventType::RemoveFromCart => {
                product(out);
                if without != Some(Breakage::AddWithoutCart) {
                    entity(out, SHOP, "cart", "1-0-0", |out| {
                        out.push(b'{');
                        self.cart(out, event);
                        out.push(b'}');
                    });
                }
            }
            EventType::ListView | EventType::ListClick => {
                for_each_listed(event, catalog, |number, position| {
                    entity(out, SHOP, "product", "1-0-0", |out| {
                        out.extend_from_slice(&catalog.products[number].json);
                        out.extend_from_slice(b",\"position\":");
                        write_number(out, position);
                        out.push(b'}');
                    });
                });
            }
            EventType::PromoView | EventType::PromoClick => {
                entity(out, SHOP, "promotion", "1-0-0", |out| {
                    unnamed(out, "promotion", &mut |out| write_promotion(out, event));
                });
            }
            EventType::CheckoutStep if without != Some(Breakage::CheckoutWithoutStep) => {
                let strings = event.untidy & untidy::STRINGS != 0;
                let quote: &[u8] = if strings { b"\"" } else { b"" };
                entity(out, SHOP, "checkout_step", "1-0-0", |out| {
                    out.extend_from_slice(b"{\"step\":");
                    out.extend_from_slice(quote);
                    write_number(out, u64::from(event.step));
                    out.extend_from_slice(quote);
                    if event.step > 1 {
                        out.extend_from_slice(b",\"payment_method\":\"card\"");
                    }
                    out.push(b'}');
                });
            }
            EventType::Transaction | EventType::TransactionError | EventType::Refund => {
                if event.event_type != EventType::TransactionError {
                    entity(out, SHOP, "product", "1-0-0", |out| {
                        out.extend_from_slice(&catalog.products[event.product as usize].json);
                        out.extend_from_slice(b",\"quantity\":1}");
                    });
                }
                let name = if event.event_type == EventType::Refund {
                    "refund"
                } else {
                    "transaction"
                };
                entity(out, SHOP, name, "1-0-0", |out| self.order(out, event));
            }
            _ => {}
        }
    }

    /// The field `unstruct_event`.
    fn unstruct(&self, out: &mut Vec<u8>, event: &Event, without: Option<Breakage>) {
        let data: &[u8] = match event.event_type {
            EventType::PageView | EventType::PagePing | EventType::Struct => return,
            EventType::Unstruct => b"{\"terms\":[\"shoes\"],\"totalResults\":42}",
            _ => b"",
        };
        let (vendor, name, version) = schema_of(event);
        out.extend_from_slice(UNSTRUCT);
        write_schema(out, vendor, name, version);
        out.extend_from_slice(b"\",\"data\":");
        if data.is_empty() {
            out.extend_from_slice(b"{\"type\":\"");
            out.extend_from_slice(type_name(event.event_type));
            out.push(b'"');
            let list = matches!(event.event_type, EventType::ListView | EventType::ListClick);
            if list && without != Some(Breakage::ListWithoutName) {
                out.extend_from_slice(b",\"name\":");
                if event.untidy & untidy::NULL_LIST != 0 {
                    out.extend_from_slice(b"null");
                } else {
                    crate::text::write_json_string(out, list_name(event.list));
                }
            }
            out.push(b'}');
        } else {
            out.extend_from_slice(data);
        }
        out.extend_from_slice(b"}}");
    }
}

/// The device's clock is off by up to 2 s.
fn created(event: &Event) -> i64 {
    event.time - 10 - (mix(u64::from(event.shopper)) % 2_000) as i64
}

fn list_name(list: u8) -> &'static str {
    let list = usize::from(list);
    let category = |at: usize| {
        crate::catalog::CATEGORIES
            .get(at)
            .map_or("", |found| found.1)
    };
    match LISTS.get(list) {
        Some(name) => name,
        None => category(list - LISTS.len()),
    }
}

/// The products of a list, each with its position.
fn for_each_listed(event: &Event, catalog: &Catalog, mut each: impl FnMut(usize, u64)) {
    let view = event.event_type == EventType::ListView;
    let count = match (view, event.untidy & untidy::EMPTY_PRODUCT != 0) {
        (_, true) => 0,
        (true, false) => mix(session_key(event) ^ u64::from(event.index)) % 3,
        (false, false) => 1,
    };
    let mut number = event.product as usize;
    for position in 0..count {
        each(number, position + u64::from(event.position).max(1));
        number = (number * 31 + 7) % catalog.products.len();
    }
}

/// Vendor, name and version of the event's schema.
fn schema_of(event: &Event) -> (&'static str, &'static str, &'static str) {
    match event.event_type {
        EventType::PageView => (CORE, "page_view", "1-0-0"),
        EventType::PagePing => (CORE, "page_ping", "1-0-0"),
        EventType::Struct => ("com.google.analytics", "event", "1-0-0"),
        EventType::Unstruct => (CORE, "site_search", "1-0-0"),
        _ => (SHOP, "snowplow_ecommerce_action", "1-0-2"),
    }
}

fn write_schema(out: &mut Vec<u8>, vendor: &str, name: &str, version: &str) {
    for part in [vendor, "/", name, "/jsonschema/", version] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Appends an entity and a comma.
fn entity(
    out: &mut Vec<u8>,
    vendor: &str,
    name: &str,
    version: &str,
    data: impl FnOnce(&mut Vec<u8>),
) {
    out.extend_from_slice(b"{\"schema\":\"iglu:");
    write_schema(out, vendor, name, version);
    out.extend_from_slice(b"\",\"data\":");
    data(out);
    out.extend_from_slice(b"},");
}

/// What Enrich adds: here the family of the browser.
fn derived_contexts(out: &mut Vec<u8>, event: &Event) {
    out.extend_from_slice(CONTEXTS);
    entity(out, CORE, "ua_parser_context", "1-0-0", |out| {
        out.extend_from_slice(b"{\"useragentFamily\":\"Browser ");
        write_number(out, u64::from(event.profile));
        out.extend_from_slice(b"\",\"osFamily\":\"Other\"}");
    });
    out.pop();
    out.extend_from_slice(b"]}");
}

fn tsv_page(line: &mut Line<'_>, event: &Event, catalog: &Catalog, without: Option<Breakage>) {
    write_url(line.to(at::PAGE_URL), event.page);
    let out = line.to(at::PAGE_TITLE);
    write_title(out, event.page, catalog);
    if without == Some(Breakage::HugeString) {
        out.resize(out.len() + HUGE_STRING_BYTES, b'x');
    }
    let referred = event.referrer != Page::None;
    if referred {
        write_url(line.to(at::PAGE_REFERRER), event.referrer);
    }
    url_parts(line, at::PAGE_URLSCHEME, event.page);
    if referred {
        url_parts(line, at::REFR_URLSCHEME, event.referrer);
        line.text(at::REFR_MEDIUM, b"internal");
    }
    if let Page::Landing(campaign) = event.page {
        let [source, medium, campaign, term, content] = CAMPAIGNS[usize::from(campaign)];
        for (offset, text) in [medium, source, term, content, campaign]
            .into_iter()
            .enumerate()
        {
            line.text(at::MKT_MEDIUM + offset, text.as_bytes());
        }
    }
}

/// Scheme, host, port, path and query, from the field `first` on.
fn url_parts(line: &mut Line<'_>, first: usize, page: Page) {
    line.text(first, b"https");
    line.text(first + 1, HOST.strip_prefix(b"https://").unwrap_or(HOST));
    line.text(first + 2, b"443");
    write_path(line.to(first + 3), page);
    let out = line.to(first + 4);
    let start = out.len();
    write_query(out, page);
    if out.len() > start {
        out.remove(start);
    }
}

fn tsv_browser(line: &mut Line<'_>, event: &Event, profile: &Profile) {
    if event.from_server {
        line.text(at::USERAGENT, b"shop-server/1.0");
        return;
    }
    line.text(at::USERAGENT, profile.agent.as_bytes());
    line.text(at::BR_LANG, profile.language.as_bytes());
    line.text(at::BR_COOKIES, b"1");
    line.text(at::BR_COOKIES + 1, b"24");
    line.number(at::BR_COOKIES + 2, profile.width);
    line.number(at::BR_COOKIES + 3, profile.view_height);
    line.text(at::OS_TIMEZONE, ZONES[usize::from(event.zone)].as_bytes());
    line.number(at::DVCE_SCREENWIDTH, profile.width);
    line.number(at::DVCE_SCREENWIDTH + 1, profile.height);
    line.text(at::DVCE_SCREENWIDTH + 2, b"UTF-8");
    line.number(at::DVCE_SCREENWIDTH + 3, profile.width);
    line.number(at::DVCE_SCREENWIDTH + 4, profile.document_height);
}
