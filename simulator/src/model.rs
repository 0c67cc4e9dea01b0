//! How shoppers behave: which event comes next.

use crate::catalog::{
    CAMPAIGNS, CATEGORIES, COMMON_PROFILES, Catalog, LIST_NEW, LIST_RELATED, LIST_SEARCH, LIST_TOP,
    LISTS, PROFILES, PROMOTIONS, SEARCHES, ZONES,
};
use crate::event::{Event, EventType, Kind, Page, untidy};
use crate::text::mix;
use crate::{Shape, SimulatorConfig};
use fastrand::Rng;

/// A tracker begins a new session after so long without an event.
const SESSION_GAP_MS: i64 = 30 * 60_000;
/// Seconds between two steps of a shopper, on average, where there are shoppers enough.
const THINK_SECONDS: f64 = 4.0;
const CART_MAX: usize = 6;
/// Time that one step's events span at most.
const BURST_MS: i64 = 3;

#[derive(Clone)]
struct Shopper {
    last: i64,
    session_start: i64,
    session: u32,
    index: u32,
    cart: [u32; CART_MAX],
    in_cart: u8,
    page: Page,
    referrer: Page,
    profile: u8,
    zone: u8,
    device: u8,
    logged_in: bool,
    present: bool,
}

/// The shop's visitors.
pub(crate) struct Model {
    rng: Rng,
    shoppers: Vec<Shopper>,
    /// Who is in the shop.
    present: Vec<u32>,
    /// Now, in microseconds of event time.
    clock: i64,
    /// Between two events, in nanoseconds, on average.
    interval: u64,
    untidy: u64,
    older: bool,
    products: u32,
    /// The events of the step being handed out.
    burst: Vec<Event>,
    given: usize,
    /// Lines since the clock was moved last.
    pub(crate) lines: u64,
}

/// A fraction as a threshold for 32 random bits.
pub(crate) fn threshold(fraction: f64) -> u64 {
    (fraction * 4_294_967_296.0) as u64
}

impl Model {
    pub(crate) fn new(config: &SimulatorConfig) -> Self {
        let mut rng = Rng::with_seed(mix(config.seed));
        let wanted =
            (config.events_per_second * THINK_SECONDS).min(f64::from(config.shoppers)) as u32;
        let count = wanted.clamp(1, (config.shoppers / 3).max(1));
        let mut shoppers: Vec<Shopper> = (0..config.shoppers)
            .map(|number| Shopper {
                last: i64::MIN / 2,
                session_start: 0,
                session: 0,
                index: 0,
                cart: [0; CART_MAX],
                in_cart: 0,
                page: Page::None,
                referrer: Page::None,
                profile: 0,
                zone: (mix(config.seed ^ u64::from(number)) % ZONES.len() as u64) as u8,
                device: 0,
                logged_in: false,
                present: false,
            })
            .collect();
        let mut present: Vec<u32> = (0..config.shoppers).collect();
        for at in 0..count as usize {
            present.swap(at, rng.usize(at..config.shoppers as usize));
        }
        present.truncate(count as usize);
        for shopper in &present {
            shoppers[*shopper as usize].present = true;
        }
        Self {
            rng,
            shoppers,
            present,
            clock: config.start_ms * 1_000,
            interval: (1e9 / config.events_per_second) as u64,
            untidy: threshold(config.untidy),
            older: config.shape == Shape::Older,
            products: config.products,
            burst: Vec::with_capacity(16),
            given: 0,
            lines: 0,
        }
    }

    /// Now, in milliseconds of event time: no event to come is before it, save the rest of the
    /// step being handed out.
    pub(crate) fn now(&self) -> i64 {
        match (self.burst.get(self.given), self.burst.last()) {
            (Some(next), _) => next.time,
            (None, Some(last)) => last.time.max(self.clock.div_euclid(1_000)),
            (None, None) => self.clock.div_euclid(1_000),
        }
    }

    /// The next event.
    pub(crate) fn next(&mut self, catalog: &Catalog) -> Event {
        while self.given >= self.burst.len() {
            self.step(catalog);
        }
        let event = self.burst[self.given];
        self.given += 1;
        event
    }

    fn step(&mut self, catalog: &Catalog) {
        let newest = self.burst.last().map_or(i64::MIN, |event| event.time);
        let passed = self.interval.saturating_mul(self.lines);
        let jitter = self.rng.u64(128..384);
        self.clock += (u128::from(passed) * u128::from(jitter) / 256_000) as i64;
        self.clock = self.clock.max(newest.saturating_mul(1_000));
        self.lines = 0;
        self.burst.clear();
        self.given = 0;

        let slot = self.rng.usize(0..self.present.len());
        let number = self.present[slot];
        let now = self.clock.div_euclid(1_000);
        if self.shoppers[number as usize].page == Page::None {
            self.arrive(number, now);
        } else if self.rng.u8(0..24) == 0 {
            self.leave(slot);
            return self.step(catalog);
        } else {
            self.act(number, now, catalog);
        }
        // The events of one step are sent within a few milliseconds, as a page's load does it.
        let spread = (passed / 1_000_000).min(BURST_MS as u64) as i64;
        for (at, event) in self.burst.iter_mut().enumerate() {
            event.time = now + (at as i64 / 2).min(spread);
        }
        let last = self.burst.last().map_or(now, |event| event.time);
        self.shoppers[number as usize].last = last;
    }

    /// The shopper goes, and one who is not in the shop may come in the same moment.
    fn leave(&mut self, slot: usize) {
        let number = self.present[slot] as usize;
        self.shoppers[number].page = Page::None;
        for _ in 0..8 {
            let other = self.rng.usize(0..self.shoppers.len());
            if !self.shoppers[other].present {
                self.shoppers[number].present = false;
                self.shoppers[other].present = true;
                self.present[slot] = other as u32;
                return;
            }
        }
    }

    fn arrive(&mut self, number: u32, now: i64) {
        let fresh_anyway = self.rng.bool();
        let rare = self.rng.u8(0..50) == 0;
        let common = self.rng.u8(0..COMMON_PROFILES);
        let moved = self.rng.u8(0..40) == 0;
        let campaign = self.rng.u8(0..3 * CAMPAIGNS.len() as u8);
        let shopper = &mut self.shoppers[number as usize];
        if fresh_anyway || now - shopper.last > SESSION_GAP_MS {
            shopper.session += 1;
            shopper.index = 0;
            shopper.session_start = now;
            // Two devices: each has a browser of its own.
            shopper.device = common & 1;
            let own = mix(u64::from(number) << 1 | u64::from(shopper.device));
            shopper.profile = (own % u64::from(COMMON_PROFILES)) as u8;
            if rare {
                shopper.profile = COMMON_PROFILES + common % (PROFILES - COMMON_PROFILES);
            }
            if moved {
                shopper.zone = (shopper.zone + 1 + common) % ZONES.len() as u8;
            }
            shopper.logged_in = own >> 32 & 7 == 0;
        }
        let page = if campaign < CAMPAIGNS.len() as u8 {
            Page::Landing(campaign)
        } else {
            Page::Home
        };
        self.visit(number, page);
        self.list(number, LIST_TOP);
        self.list(number, LIST_NEW);
        self.push(number, EventType::PromoView);
    }

    fn act(&mut self, number: u32, now: i64, catalog: &Catalog) {
        let choice = self.rng.u8(0..100);
        let shopper = &mut self.shoppers[number as usize];
        if now - shopper.last > SESSION_GAP_MS {
            shopper.session += 1;
            shopper.index = 0;
            shopper.session_start = now;
        }
        let (page, has_cart) = (shopper.page, shopper.in_cart > 0);
        match (page, choice) {
            // Time spent on a page.
            (_, 0..14) => self.push(number, EventType::PagePing),
            (_, 14) => {
                // A travelling shopper, or another browser under the same session.
                let other = self.rng.u8(0..COMMON_PROFILES);
                let zones = ZONES.len() as u8;
                let shopper = &mut self.shoppers[number as usize];
                if other & 1 == 0 {
                    shopper.zone = (shopper.zone + 1) % zones;
                } else {
                    shopper.profile = other;
                }
                self.push(number, EventType::PagePing);
            }
            (_, 15) => self.push(number, EventType::Struct),
            (_, 16..22) => self.search(number),
            (Page::Home | Page::Landing(_), 22..34) => {
                self.push(number, EventType::PromoClick);
                self.look_at(number, catalog);
            }
            (Page::Product(_), 22..42) => self.add(number, catalog),
            (Page::Product(_), 42..58) if has_cart => self.cart_page(number),
            (Page::Cart, 22..42) if has_cart => self.remove(number, catalog),
            (Page::Cart, 42..90) if has_cart => self.check_out(number),
            (Page::SignIn, 22..90) => {
                self.shoppers[number as usize].logged_in = true;
                self.visit(number, Page::Home);
                self.list(number, LIST_TOP);
                self.list(number, LIST_NEW);
                if has_cart {
                    self.cart_page(number);
                }
            }
            (Page::Payment, 22..25) => self.push(number, EventType::TransactionError),
            (Page::Payment, 45..95) if has_cart => self.buy(number, catalog),
            (Page::Thanks, 22..25) => self.push(number, EventType::Refund),
            (_, 25..45) => {
                let category = self.rng.u8(0..CATEGORIES.len() as u8);
                self.visit(number, Page::Category(category));
                self.list(number, LISTS.len() as u8 + category);
            }
            _ => {
                self.click(number);
                self.look_at(number, catalog);
            }
        }
    }

    fn visit(&mut self, number: u32, page: Page) {
        let shopper = &mut self.shoppers[number as usize];
        shopper.referrer = shopper.page;
        shopper.page = page;
        self.push(number, EventType::PageView);
    }

    fn list(&mut self, number: u32, list: u8) {
        let product = self.rng.u32(0..self.products);
        let event = self.event(number, EventType::ListView);
        self.burst.push(Event {
            list,
            product,
            ..event
        });
    }

    fn click(&mut self, number: u32) {
        let list = self.rng.u8(0..LISTS.len() as u8 + CATEGORIES.len() as u8);
        let position = self.rng.u8(1..9);
        let product = self.popular();
        let event = self.event(number, EventType::ListClick);
        self.burst.push(Event {
            list,
            position,
            product,
            ..event
        });
    }

    fn look_at(&mut self, number: u32, catalog: &Catalog) {
        let product = match self.burst.last() {
            Some(event) if event.event_type == EventType::ListClick => event.product,
            _ => self.popular(),
        };
        self.visit(number, Page::Product(product));
        let event = self.event(number, EventType::ProductView);
        let list = LISTS.len() as u8 + catalog.products[product as usize].category;
        self.burst.push(Event {
            product,
            list,
            ..event
        });
        self.list(number, LIST_RELATED);
    }

    /// Few products are seen often: the smaller of two draws, twice.
    fn popular(&mut self) -> u32 {
        let mut draw = || {
            self.rng
                .u32(0..self.products)
                .min(self.rng.u32(0..self.products))
        };
        draw().min(draw())
    }

    fn search(&mut self, number: u32) {
        let term = self.rng.u8(0..SEARCHES.len() as u8);
        self.visit(number, Page::Search(term));
        self.push(number, EventType::Unstruct);
        self.list(number, LIST_SEARCH);
    }

    fn add(&mut self, number: u32, catalog: &Catalog) {
        let shopper = &mut self.shoppers[number as usize];
        let Page::Product(product) = shopper.page else {
            return;
        };
        if usize::from(shopper.in_cart) >= CART_MAX {
            return self.cart_page(number);
        }
        shopper.cart[usize::from(shopper.in_cart)] = product;
        shopper.in_cart += 1;
        self.cart_event(number, EventType::AddToCart, product, catalog);
    }

    fn remove(&mut self, number: u32, catalog: &Catalog) {
        let at = self.rng.u8(0..CART_MAX as u8);
        let shopper = &mut self.shoppers[number as usize];
        let at = usize::from(at % shopper.in_cart.max(1));
        let product = shopper.cart[at];
        shopper.in_cart = shopper.in_cart.saturating_sub(1);
        shopper.cart[at] = shopper.cart[usize::from(shopper.in_cart)];
        self.cart_event(number, EventType::RemoveFromCart, product, catalog);
    }

    fn cart_event(&mut self, number: u32, event_type: EventType, product: u32, catalog: &Catalog) {
        let cents = catalog.products[product as usize].cents as i32;
        let change_cents = if event_type == EventType::AddToCart {
            cents
        } else {
            -cents
        };
        let cart_cents = self.cart_cents(number, catalog);
        let event = self.event(number, event_type);
        self.burst.push(Event {
            product,
            change_cents,
            cart_cents,
            ..event
        });
    }

    fn cart_cents(&self, number: u32, catalog: &Catalog) -> u32 {
        let shopper = &self.shoppers[number as usize];
        let items = &shopper.cart[..usize::from(shopper.in_cart)];
        items
            .iter()
            .map(|product| catalog.products[*product as usize].cents)
            .sum()
    }

    fn cart_page(&mut self, number: u32) {
        self.visit(number, Page::Cart);
        self.checkout_step(number, 1);
        self.list(number, LIST_RELATED);
    }

    fn check_out(&mut self, number: u32) {
        if !self.shoppers[number as usize].logged_in && self.rng.u8(0..4) > 0 {
            return self.visit(number, Page::SignIn);
        }
        self.checkout_step(number, 2);
        self.visit(number, Page::Payment);
        self.checkout_step(number, 3);
    }

    fn checkout_step(&mut self, number: u32, step: u8) {
        let event = self.event(number, EventType::CheckoutStep);
        self.burst.push(Event { step, ..event });
    }

    fn buy(&mut self, number: u32, catalog: &Catalog) {
        // Half of the shops' transactions are sent by the server, which knows no client session.
        let from_server = !self.older && self.rng.bool();
        let cart_cents = self.cart_cents(number, catalog);
        let shopper = &self.shoppers[number as usize];
        let (product, quantity) = (shopper.cart[0], shopper.in_cart);
        let event = self.event(number, EventType::Transaction);
        self.burst.push(Event {
            product,
            quantity,
            cart_cents,
            from_server,
            ..event
        });
        if self.rng.u8(0..8) == 0 {
            // The thank-you page sends the order once more, as an event of its own, with tax.
            let event = self.event(number, EventType::Transaction);
            let cart_cents = cart_cents + cart_cents / 5;
            self.burst.push(Event {
                product,
                quantity,
                cart_cents,
                position: 1,
                ..event
            });
        }
        self.shoppers[number as usize].in_cart = 0;
        self.visit(number, Page::Thanks);
    }

    fn push(&mut self, number: u32, event_type: EventType) {
        let event = self.event(number, event_type);
        self.burst.push(event);
    }

    fn event(&mut self, number: u32, event_type: EventType) -> Event {
        let promotion = self.rng.u8(0..PROMOTIONS.len() as u8);
        let untidy = if u64::from(self.rng.u32(..)) < self.untidy {
            [
                untidy::EMPTY_PRODUCT,
                untidy::EMPTY_CART,
                untidy::STRINGS,
                untidy::NULL_LIST,
                untidy::EMPTY_USER,
            ][self.rng.usize(0..5)]
        } else {
            0
        };
        let shopper = &mut self.shoppers[number as usize];
        shopper.index += 1;
        Event {
            time: 0,
            arrival: 0,
            seq: 0,
            session_start: shopper.session_start,
            kind: Kind::Regular,
            event_type,
            page: shopper.page,
            referrer: shopper.referrer,
            shopper: number,
            session: shopper.session,
            index: shopper.index,
            product: 0,
            cart_cents: 0,
            change_cents: 0,
            quantity: 1,
            list: 0,
            position: 0,
            step: 0,
            promotion,
            profile: shopper.profile,
            zone: shopper.zone,
            device: shopper.device,
            logged_in: shopper.logged_in,
            from_server: false,
            untidy,
        }
    }
}
