//! Writes an event as one line of JSON.

use crate::catalog::{Catalog, ZONES};
use crate::event::{Breakage, Event, EventType, HUGE_STRING_BYTES, Kind, Page, untidy};
use crate::page::{write_path, write_promotion, write_title, write_url};
use crate::text::{TimeWriter, id_bits, mix, write_cents, write_hex, write_number, write_uuid};
use crate::{LineFormat, Shape, SimulatorConfig};
use std::io::Write;

/// What an id is for: no two purposes share one.
pub(crate) mod purpose {
    pub(crate) const EVENT: u64 = 1;
    pub(crate) const BROKEN: u64 = 2;
    pub(crate) const SESSION: u64 = 3;
    pub(crate) const BROWSER: u64 = 4;
    pub(crate) const NETWORK: u64 = 5;
    pub(crate) const TAB: u64 = 6;
    pub(crate) const FINGERPRINT: u64 = 7;
    pub(crate) const ORDER: u64 = 8;
    pub(crate) const PAGE: u64 = 9;
}

/// One in so many shoppers has a tracker that sends no client session.
pub(crate) const FALLBACK_SESSIONS: u64 = 32;
/// One in so many shoppers has a tracker that sends no browser context.
pub(crate) const FALLBACK_BROWSERS: u64 = 24;
/// One in so many shoppers sends no id at all.
pub(crate) const ANONYMOUS: u64 = 100;

/// Writes lines.
pub(crate) struct Renderer {
    pub(crate) seed: u64,
    older: bool,
    tsv: bool,
    pub(crate) lean: bool,
    pub(crate) times: TimeWriter,
}

impl Renderer {
    pub(crate) fn new(config: &SimulatorConfig) -> Self {
        Self {
            seed: config.seed,
            tsv: config.format == LineFormat::Tsv,
            lean: config.lean,
            older: config.shape == Shape::Older,
            times: TimeWriter::new(),
        }
    }

    /// Appends the event's line, without a line end.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, event: &Event, catalog: &Catalog) {
        if self.tsv {
            return self.write_tsv(out, event, catalog);
        }
        let start = out.len();
        let Kind::Broken(breakage) = event.kind else {
            return self.line(out, event, catalog, None);
        };
        match breakage {
            Breakage::Malformed => {
                out.extend_from_slice(b"this is no JSON {\"id\":\"");
                self.event_id(out, event);
            }
            Breakage::Truncated => {
                self.line(out, event, catalog, None);
                let length = (out.len() - start) as u64;
                out.truncate(start + (1 + mix(event.seq) % (length - 1)) as usize);
            }
            Breakage::WrongTypes => {
                out.extend_from_slice(b"{\"id\":");
                write_number(out, event.seq);
                out.extend_from_slice(b",\"type\":[\"product_view\"],\"timestamp\":{\"at\":true},\"payload\":\"none\",\"enrich\":[],\"session\":7}");
            }
            Breakage::InvalidUtf8 => {
                self.line(out, event, catalog, None);
                // Within the id, which every line has at the same place.
                out[start + 10] = 0xff;
            }
            Breakage::HugeString => {
                self.line(out, event, catalog, None);
                out.truncate(out.len() - 1);
                out.extend_from_slice(b",\"extra\":\"");
                out.resize(out.len() + HUGE_STRING_BYTES, b'x');
                out.extend_from_slice(b"\"}");
            }
            other => self.line(out, event, catalog, Some(other)),
        }
    }

    pub(crate) fn id(&self, out: &mut Vec<u8>, purpose: u64, a: u64, b: u64) {
        write_uuid(out, id_bits(self.seed, purpose, a, b));
    }

    pub(crate) fn event_id(&self, out: &mut Vec<u8>, event: &Event) {
        if matches!(event.kind, Kind::Broken(_) | Kind::Future) {
            self.id(out, purpose::BROKEN, event.seq, 0);
        } else {
            self.id(
                out,
                purpose::EVENT,
                session_key(event),
                u64::from(event.index),
            );
        }
    }

    fn line(
        &mut self,
        out: &mut Vec<u8>,
        event: &Event,
        catalog: &Catalog,
        without: Option<Breakage>,
    ) {
        out.extend_from_slice(b"{\"id\":\"");
        self.event_id(out, event);
        out.extend_from_slice(b"\",\"type\":\"");
        out.extend_from_slice(type_name(event.event_type));
        if without != Some(Breakage::MissingTimestamp) {
            out.extend_from_slice(b"\",\"timestamp\":\"");
            self.times.write(out, event.time);
        }
        out.extend_from_slice(b"\",\"payload\":{");
        self.payload(out, event, catalog, without);
        out.extend_from_slice(b"},\"enrich\":{\"client\":{");
        self.client(out, event, catalog);
        out.extend_from_slice(b"},\"performance\":");
        let at = mix(session_key(event) ^ u64::from(event.index) >> 3) as usize;
        if event.from_server {
            out.extend_from_slice(b"{}");
        } else {
            out.extend_from_slice(&catalog.performances[at % catalog.performances.len()]);
        }
        out.extend_from_slice(b",\"user\":{");
        self.user(out, event, without);
        out.extend_from_slice(b"},\"marketing\":");
        match event.page {
            Page::Landing(campaign) => {
                out.extend_from_slice(&catalog.marketing[usize::from(campaign)]);
            }
            _ => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(if event.from_server {
            b",\"platform\":\"srv\"},\"session\":{"
        } else {
            b",\"platform\":\"web\"},\"session\":{"
        });
        self.session(out, event);
        out.extend_from_slice(b"},\"metadata\":{");
        self.metadata(out, event);
        out.extend_from_slice(b"}}");
    }

    fn payload(
        &mut self,
        out: &mut Vec<u8>,
        event: &Event,
        catalog: &Catalog,
        without: Option<Breakage>,
    ) {
        let mut comma = true;
        match event.event_type {
            EventType::PageView => {
                out.extend_from_slice(b"\"page_title\":\"");
                write_title(out, event.page, catalog);
                out.extend_from_slice(b"\",\"page_url\":\"");
                write_url(out, event.page);
                if event.referrer != Page::None {
                    out.extend_from_slice(b"\",\"referrer\":\"");
                    write_url(out, event.referrer);
                }
                out.push(b'"');
            }
            EventType::ListView | EventType::ListClick => {
                self.list(out, event, catalog, without);
            }
            EventType::ProductView if without == Some(Breakage::ViewWithoutProduct) => comma = false,
            EventType::ProductView => write_product(out, event, catalog),
            EventType::AddToCart | EventType::RemoveFromCart => {
                write_product(out, event, catalog);
                if without != Some(Breakage::AddWithoutCart) {
                    out.extend_from_slice(b",\"cart\":{");
                    self.cart(out, event);
                    out.push(b'}');
                }
            }
            EventType::PromoView | EventType::PromoClick => write_promotion(out, event),
            EventType::CheckoutStep => {
                if without != Some(Breakage::CheckoutWithoutStep) {
                    out.extend_from_slice(b"\"checkout_step\":{\"step\":");
                    let quote: &[u8] = if event.untidy & untidy::STRINGS != 0 { b"\"" } else { b"" };
                    out.extend_from_slice(quote);
                    write_number(out, u64::from(event.step));
                    out.extend_from_slice(quote);
                    out.extend_from_slice(if event.step > 1 { b",\"payment_method\":\"card\"}," } else { b"}," });
                }
                out.extend_from_slice(b"\"cart\":{}");
            }
            EventType::Transaction if self.older => comma = false,
            EventType::Transaction => self.transaction(out, event, catalog),
            EventType::Struct => out.extend_from_slice(
                b"\"se_data\":{\"category\":\"video\",\"action\":\"play\",\"label\":\"product\",\"value\":\"1.5\"}",
            ),
            _ => comma = false,
        }
        if comma {
            out.push(b',');
        }
        out.extend_from_slice(
            b"\"specification\":{\"id\":\"629c8220-9aa0-4784-8d41-d90f16f70dde\",\"name\":\"",
        );
        out.extend_from_slice(type_name(event.event_type));
        out.extend_from_slice(b"\",\"data_product_id\":\"5dd51653-7605-4a3e-9208-2a9ba20b39aa\",\"data_product_name\":\"E-commerce Web - Shop\"}");
    }

    fn list(
        &mut self,
        out: &mut Vec<u8>,
        event: &Event,
        catalog: &Catalog,
        without: Option<Breakage>,
    ) {
        let view = event.event_type == EventType::ListView;
        if self.older {
            // The older transformer has the first product only, and none for a view.
            if view {
                out.extend_from_slice(b"\"product\":{}");
            } else {
                write_product(out, event, catalog);
            }
        } else {
            out.extend_from_slice(b"\"products\":[");
            let count = match (view, event.untidy & untidy::EMPTY_PRODUCT != 0) {
                (_, true) => 0,
                (true, false) => mix(session_key(event) ^ u64::from(event.index)) % 3,
                (false, false) => 1,
            };
            let mut number = event.product as usize;
            for position in 0..count {
                if position > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(&catalog.products[number].json);
                out.extend_from_slice(b",\"position\":");
                write_number(out, position + u64::from(event.position).max(1));
                out.push(b'}');
                number = (number * 31 + 7) % catalog.products.len();
            }
            out.push(b']');
        }
        if without != Some(Breakage::ListWithoutName) {
            out.extend_from_slice(b",\"list_name\":");
            if event.untidy & untidy::NULL_LIST != 0 {
                out.extend_from_slice(b"null");
            } else {
                out.extend_from_slice(&catalog.lists[usize::from(event.list)]);
            }
        }
    }

    pub(crate) fn cart(&mut self, out: &mut Vec<u8>, event: &Event) {
        if event.untidy & untidy::EMPTY_CART != 0 {
            return;
        }
        out.extend_from_slice(b"\"total_value\":");
        let quote: &[u8] = if event.untidy & untidy::STRINGS != 0 {
            b"\""
        } else {
            b""
        };
        out.extend_from_slice(quote);
        if self.older {
            // The total before the action, summed without rounding.
            let before = i64::from(event.cart_cents) - i64::from(event.change_cents);
            let _ = write!(out, "{}", before.max(0) as f64 * 0.01);
        } else {
            write_cents(out, u64::from(event.cart_cents));
        }
        out.extend_from_slice(quote);
        out.extend_from_slice(b",\"currency\":\"USD\"");
    }

    fn transaction(&mut self, out: &mut Vec<u8>, event: &Event, catalog: &Catalog) {
        out.extend_from_slice(b"\"products\":[");
        out.extend_from_slice(&catalog.products[event.product as usize].json);
        out.extend_from_slice(b",\"quantity\":1}],\"transaction\":");
        self.order(out, event);
    }

    /// The transaction itself.
    pub(crate) fn order(&mut self, out: &mut Vec<u8>, event: &Event) {
        out.extend_from_slice(b"{\"transaction_id\":\"");
        let first = event.index - u32::from(event.position);
        self.id(out, purpose::ORDER, session_key(event), u64::from(first));
        out.extend_from_slice(b"\",\"revenue\":");
        let quote: &[u8] = if event.untidy & untidy::STRINGS != 0 {
            b"\""
        } else {
            b""
        };
        out.extend_from_slice(quote);
        write_cents(out, u64::from(event.cart_cents));
        out.extend_from_slice(quote);
        out.extend_from_slice(
            b",\"currency\":\"USD\",\"payment_method\":\"card\",\"total_quantity\":",
        );
        write_number(out, u64::from(event.quantity));
        out.extend_from_slice(b",\"tax\":");
        write_cents(out, u64::from(event.cart_cents) / 5);
        out.extend_from_slice(b",\"shipping\":4.95,\"credit_order\":false}");
    }

    fn client(&mut self, out: &mut Vec<u8>, event: &Event, catalog: &Catalog) {
        let profile = &catalog.profiles[usize::from(event.profile)];
        if event.from_server {
            out.extend_from_slice(b"\"useragent\":\"shop-server/1.0\",\"browser\":{},\"device\":{");
        } else {
            if mix(u64::from(event.shopper)).is_multiple_of(FALLBACK_BROWSERS) {
                out.extend_from_slice(&profile.head_fallback);
            } else {
                out.extend_from_slice(&profile.head);
                self.id(out, purpose::TAB, session_key(event), 0);
                out.extend_from_slice(b"\"}");
            }
            out.extend_from_slice(b",\"device\":{");
        }
        // The device's clock is off by up to 2 s, in both times alike.
        let created = event.time - 10 - (mix(u64::from(event.shopper)) % 2_000) as i64;
        out.extend_from_slice(b"\"created_tstamp\":\"");
        self.times.write(out, created);
        out.extend_from_slice(b"\",\"sent_tstamp\":\"");
        self.times
            .write(out, created + 10 + (event.arrival - event.time).max(0));
        out.extend_from_slice(b"\"");
        if !event.from_server {
            out.push(b',');
            out.extend_from_slice(&profile.screen);
            out.extend_from_slice(b"\"os_timezone\":\"");
            out.extend_from_slice(ZONES[usize::from(event.zone)].as_bytes());
            out.push(b'"');
        }
        out.extend_from_slice(b"},\"page\":{\"page_url\":\"");
        write_url(out, event.page);
        out.extend_from_slice(b"\",\"page_title\":\"");
        write_title(out, event.page, catalog);
        if event.referrer != Page::None {
            out.extend_from_slice(b"\",\"page_referrer\":\"");
            write_url(out, event.referrer);
        }
        if self.older {
            out.extend_from_slice(b"\",\"page_urlscheme\":\"https\",\"page_urlhost\":\"shop.example.com\",\"page_urlport\":443,\"page_urlpath\":\"");
            write_path(out, event.page);
        }
        out.extend_from_slice(b"\"}");
    }

    fn user(&mut self, out: &mut Vec<u8>, event: &Event, without: Option<Breakage>) {
        let shopper = u64::from(event.shopper);
        let anonymous = mix(shopper ^ 0x61).is_multiple_of(ANONYMOUS);
        if without == Some(Breakage::NullUser) {
            out.extend_from_slice(b"\"user_id\":null,");
        } else if event.untidy & untidy::EMPTY_USER != 0 {
            out.extend_from_slice(b"\"user_id\":\"\",");
        } else if event.logged_in && !anonymous {
            out.extend_from_slice(b"\"user_id\":\"shopper-");
            write_number(out, shopper + 1);
            out.extend_from_slice(b"@example.com\",");
        }
        if anonymous {
            out.extend_from_slice(b"\"network_userid\":\"00000000-0000-0000-0000-000000000000\",\"ip_address\":\"unknown\"");
            return;
        }
        out.extend_from_slice(b"\"domain_userid\":\"");
        self.id(out, purpose::BROWSER, shopper, u64::from(event.device));
        out.extend_from_slice(b"\",\"network_userid\":\"");
        self.id(out, purpose::NETWORK, shopper, u64::from(event.device));
        // Addresses that are set aside for documentation.
        out.extend_from_slice(if shopper.is_multiple_of(7) {
            b"\",\"ip_address\":\"2001:db8::"
        } else {
            b"\",\"ip_address\":\"203.0.113."
        });
        write_number(out, 1 + mix(shopper) % 200);
        out.push(b'"');
    }

    fn session(&mut self, out: &mut Vec<u8>, event: &Event) {
        let key = session_key(event);
        if event.from_server
            || mix(u64::from(event.shopper) ^ 0x73).is_multiple_of(FALLBACK_SESSIONS)
        {
            out.extend_from_slice(b"\"domain_sessionid\":\"");
            self.id(out, purpose::SESSION, key, 0);
            out.extend_from_slice(b"\",\"domain_sessionidx\":");
            write_number(out, u64::from(event.session));
            return;
        }
        self.client_session(out, event);
    }

    /// The members of the tracker's client session.
    pub(crate) fn client_session(&mut self, out: &mut Vec<u8>, event: &Event) {
        let key = session_key(event);
        out.extend_from_slice(b"\"userId\":\"");
        self.id(
            out,
            purpose::BROWSER,
            u64::from(event.shopper),
            u64::from(event.device),
        );
        out.extend_from_slice(b"\",\"sessionId\":\"");
        self.id(out, purpose::SESSION, key, 0);
        out.extend_from_slice(b"\",\"sessionIndex\":");
        write_number(out, u64::from(event.session));
        out.extend_from_slice(b",\"eventIndex\":");
        write_number(out, u64::from(event.index));
        out.extend_from_slice(b",\"previousSessionId\":");
        if event.session > 1 {
            out.push(b'"');
            self.id(out, purpose::SESSION, key - 1, 0);
            out.push(b'"');
        } else {
            out.extend_from_slice(b"null");
        }
        out.extend_from_slice(b",\"firstEventId\":\"");
        self.id(out, purpose::EVENT, key, 1);
        out.extend_from_slice(b"\",\"firstEventTimestamp\":\"");
        self.times.write(out, event.session_start);
        out.extend_from_slice(b"\",\"storageMechanism\":\"COOKIE_1\"");
    }

    fn metadata(&mut self, out: &mut Vec<u8>, event: &Event) {
        let plain = matches!(event.event_type, EventType::PageView | EventType::PagePing);
        out.extend_from_slice(if plain {
            b"\"event_version\":\"1-0-0\",\"event_format\":\"jsonschema\",\"event_fingerprint\":\""
        } else {
            b"\"event_version\":\"1-0-2\",\"event_format\":\"jsonschema\",\"event_fingerprint\":\""
        });
        let (high, low) = id_bits(
            self.seed,
            purpose::FINGERPRINT,
            session_key(event),
            u64::from(event.index),
        );
        write_hex(out, high, 16);
        write_hex(out, low, 16);
        write_hex(out, high ^ low, 8);
        out.extend_from_slice(if plain {
            b"\",\"event_vendor\":\"com.snowplowanalytics.snowplow\",\"app_id\":\"shop\",\"etl_tstamp\":\"" as &[u8]
        } else {
            b"\",\"event_vendor\":\"com.snowplowanalytics.snowplow.ecommerce\",\"app_id\":\"shop\",\"etl_tstamp\":\""
        });
        let collected = event.arrival.max(event.time) + 10;
        self.times
            .write(out, collected + 500 + (mix(event.seq) % 2_000) as i64);
        out.extend_from_slice(b"\",\"collector_tstamp\":\"");
        self.times.write(out, collected);
        out.extend_from_slice(if event.from_server {
            b"\",\"v_tracker\":\"node-4.3.1\",\"v_collector\":\"ssc-3.2.0-kafka\",\"v_etl\":\"snowplow-enrich-kafka-5.0.0\",\"name_tracker\":\"sp\"" as &[u8]
        } else {
            b"\",\"v_tracker\":\"js-4.3.1\",\"v_collector\":\"ssc-3.2.0-kafka\",\"v_etl\":\"snowplow-enrich-kafka-5.0.0\",\"name_tracker\":\"sp\""
        });
    }
}

/// The shopper's session as one number; the session before it is one less.
pub(crate) fn session_key(event: &Event) -> u64 {
    u64::from(event.shopper) << 32 | u64::from(event.session)
}

pub(crate) fn type_name(event_type: EventType) -> &'static [u8] {
    match event_type {
        EventType::PageView => b"page_view",
        EventType::PagePing => b"page_ping",
        EventType::ListView => b"list_view",
        EventType::ListClick => b"list_click",
        EventType::ProductView => b"product_view",
        EventType::AddToCart => b"add_to_cart",
        EventType::RemoveFromCart => b"remove_from_cart",
        EventType::PromoView => b"promo_view",
        EventType::PromoClick => b"promo_click",
        EventType::CheckoutStep => b"checkout_step",
        EventType::Transaction => b"transaction",
        EventType::TransactionError => b"trns_error",
        EventType::Refund => b"refund",
        EventType::Unstruct => b"unstruct",
        EventType::Struct => b"struct",
    }
}

pub(crate) fn write_product(out: &mut Vec<u8>, event: &Event, catalog: &Catalog) {
    if event.untidy & untidy::EMPTY_PRODUCT != 0 {
        out.extend_from_slice(b"\"product\":{}");
        return;
    }
    let product = &catalog.products[event.product as usize];
    let strings = event.untidy & untidy::STRINGS != 0;
    out.extend_from_slice(b"\"product\":");
    out.extend_from_slice(if strings {
        &product.json_strings
    } else {
        &product.json
    });
    if event.position > 0 {
        out.extend_from_slice(b",\"position\":");
        write_number(out, u64::from(event.position));
    }
    out.push(b'}');
}
