//! A deterministic simulator of a shop's visitors, as Snowplow's enriched events in JSON or
//! TSV.
//!
//! - Shoppers come in sessions: they browse lists, view products, search, fill carts, log in
//!   midway, check out and buy. They have several devices, campaigns and time zones.
//! - The same settings give the same lines, byte for byte.
//! - Event time is simulated: the caller paces, by [`Written::arrival_ms`].
//! - Disorder, repeats, late, future and broken lines come by option.
//!
//! It is not a load generator: it opens no file and no socket, and reads no clock.
//!
//! ```
//! use tidewheel_simulator::{Simulator, SimulatorConfig};
//!
//! let mut simulator = Simulator::new(SimulatorConfig { seed: 7, ..Default::default() })?;
//! let mut lines = Vec::new();
//! for _ in 0..10 {
//!     simulator.write_next(&mut lines);
//!     lines.push(b'\n');
//! }
//! # Ok::<(), tidewheel_simulator::ConfigError>(())
//! ```

mod catalog;
mod config;
mod event;
mod model;
mod page;
mod render;
mod text;
mod tsv;

pub use config::{COUNT_MAX, ConfigError, LineFormat, RATE_MAX, Shape, SimulatorConfig};
pub use event::{Breakage, HUGE_STRING_BYTES, Kind};

use catalog::Catalog;
use event::{Event, EventType};
use model::{Model, threshold};
use render::Renderer;
use std::collections::BinaryHeap;
use text::mix;

/// A repeat is drawn from so many events before it.
const REPEATABLE: usize = 256;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimEvent {
    /// When it arrives, milliseconds since the epoch; never before the line before it.
    pub arrival_ms: i64,
    /// The line, without a line end: JSON, unless [`SimulatorConfig::format`] says TSV.
    pub json: Vec<u8>,
    /// What it is.
    pub kind: Kind,
}

/// What [`Simulator::write_next`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// When the line arrives, milliseconds since the epoch; never before the line before it.
    pub arrival_ms: i64,
    /// Its event time, milliseconds since the epoch.
    pub time_ms: i64,
    /// What it is.
    pub kind: Kind,
    /// The shopper's number, from 0: a key for partitioning.
    pub shopper: u32,
}

/// An endless stream of lines.
pub struct Simulator {
    config: SimulatorConfig,
    catalog: Catalog,
    model: Model,
    renderer: Renderer,
    rng: fastrand::Rng,
    /// Thresholds for broken, repeated, future and late lines, each added to the one before.
    classes: [u64; 4],
    /// Events on their way, where some arrive later than others.
    waiting: Option<BinaryHeap<Event>>,
    recent: Vec<Event>,
    recent_at: usize,
    seq: u64,
}

impl Simulator {
    /// Begins a simulation.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn new(config: SimulatorConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let mut sum = 0.0;
        let classes = [config.broken, config.repeat, config.future, config.late].map(|fraction| {
            sum += fraction;
            threshold(sum)
        });
        let delays = config.disorder_ms > 0 || config.repeat > 0.0 || config.late > 0.0;
        Ok(Self {
            catalog: Catalog::new(config.seed, config.products),
            model: Model::new(&config),
            renderer: Renderer::new(&config),
            rng: fastrand::Rng::with_seed(mix(config.seed ^ 0x6c69_6e65)),
            classes,
            waiting: delays.then(BinaryHeap::new),
            recent: Vec::with_capacity(REPEATABLE),
            recent_at: 0,
            seq: 0,
            config,
        })
    }

    /// Appends the next line to `out`, without a line end. Nothing is allocated but what `out`
    /// (and, with disorder, the queue of events on their way) must grow by.
    pub fn write_next(&mut self, out: &mut Vec<u8>) -> Written {
        let event = self.next_event();
        self.renderer.write(out, &event, &self.catalog);
        Written {
            arrival_ms: event.arrival,
            time_ms: event.time,
            kind: event.kind,
            shopper: event.shopper,
        }
    }

    fn next_event(&mut self) -> Event {
        loop {
            let now = self.model.now();
            if let Some(waiting) = &mut self.waiting
                && let Some(event) = waiting.peek_mut()
                && event.arrival <= now
            {
                return std::collections::binary_heap::PeekMut::pop(event);
            }
            let event = self.generate(now);
            match &mut self.waiting {
                Some(waiting) => waiting.push(event),
                None => return event,
            }
        }
    }

    /// Makes the next line; its arrival is never before `now`.
    fn generate(&mut self, now: i64) -> Event {
        self.model.lines += 1;
        self.seq += 1;
        let draw = u64::from(self.rng.u32(..));
        let [broken, repeat, future, late] = self.classes;
        // The first line is always an event: the others are made after one.
        if draw < future && !self.recent.is_empty() {
            let recent = self.recent[self.rng.usize(0..self.recent.len())];
            let newest = self.newest(now);
            return if draw < broken {
                self.broken(newest)
            } else if draw < repeat {
                let delay = i64::from(self.rng.u32(0..=self.config.repeat_ms));
                let arrival = now.max(recent.arrival) + delay;
                Event {
                    kind: Kind::Repeat,
                    arrival,
                    seq: self.seq,
                    ..recent
                }
            } else {
                let time = now + self.config.future_ms;
                Event {
                    kind: Kind::Future,
                    time,
                    ..newest
                }
            };
        }
        let mut event = self.model.next(&self.catalog);
        event.seq = self.seq;
        event.arrival = event.time.max(now);
        if self.config.disorder_ms > 0 {
            event.arrival += i64::from(self.rng.u32(0..=self.config.disorder_ms));
        }
        if (future..late).contains(&draw) {
            event.kind = Kind::Late;
            let most = self.config.late_ms;
            event.arrival = event.time.max(now)
                + i64::from(self.config.disorder_ms)
                + i64::from(self.rng.u32(most / 2..=most));
        }
        if self.recent.len() < REPEATABLE {
            self.recent.push(event);
        } else {
            self.recent[self.recent_at] = event;
            self.recent_at = (self.recent_at + 1) % REPEATABLE;
        }
        event
    }

    /// The newest event, as if it were sent once more now.
    fn newest(&self, now: i64) -> Event {
        let at = (self.recent_at + self.recent.len() - 1) % self.recent.len();
        let event = self.recent[at];
        Event {
            time: now,
            arrival: now,
            seq: self.seq,
            ..event
        }
    }

    fn broken(&mut self, event: Event) -> Event {
        let breakage = Breakage::ALL[self.rng.usize(0..Breakage::ALL.len())];
        let event_type = match breakage {
            Breakage::AddWithoutCart => EventType::AddToCart,
            Breakage::CheckoutWithoutStep => EventType::CheckoutStep,
            Breakage::ListWithoutName => EventType::ListView,
            Breakage::ViewWithoutProduct => EventType::ProductView,
            _ => event.event_type,
        };
        Event {
            kind: Kind::Broken(breakage),
            event_type,
            ..event
        }
    }
}

impl Iterator for Simulator {
    type Item = SimEvent;

    fn next(&mut self) -> Option<SimEvent> {
        let mut json = Vec::with_capacity(4096);
        let written = self.write_next(&mut json);
        Some(SimEvent {
            arrival_ms: written.arrival_ms,
            json,
            kind: written.kind,
        })
    }
}
