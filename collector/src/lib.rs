//! The Snowplow collector: takes events from trackers over HTTP, enriches them, and writes them as
//! topic JSON, as enriched TSV, or both. It acknowledges a request when its events are held.
//!
//! The way of an event: [`payload`] reads the request into parameters, [`mapping`] turns them into
//! the columns of [`tidewheel_core::snowplow::ATOMIC`], [`enrich`] adds what can be derived,
//! [`topic`] and [`tsv`] write it. [`Collector`] is all of this without a socket or a clock;
//! [`sink`] holds the records, [`server`] speaks HTTP.
//!
//! Whatever a client sends, it gets an answer: what is no sound event becomes a bad row ([`bad`]).

pub mod bad;
pub mod batch;
pub mod collect;
pub mod columns;
pub mod enrich;
pub mod event;
pub mod identity;
pub mod iglu;
pub mod mapping;
pub mod metrics;
pub mod params;
pub mod payload;
pub mod server;
pub mod settings;
pub mod sink;
pub mod time;
pub mod topic;
pub mod tsv;

pub use batch::Batch;
pub use collect::{Arrival, Collector};
pub use settings::Settings;
pub use sink::Place;
