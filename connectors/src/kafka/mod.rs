//! The connector `kafka`.
//!
//! **Source.** One topic, its partitions assigned by hand, offsets kept by the caller: no group
//! is joined and nothing is committed.
//!
//! - `topic`, and `properties.*` for librdkafka (`properties.bootstrap.servers`, …). Names of the
//!   Java client are taken over where there is a counterpart.
//! - `scan.startup.mode`: `earliest-offset`, `latest-offset`, `group-offsets`, `timestamp` (with
//!   `scan.startup.timestamp-millis`) or `specific-offsets` (with `scan.startup.specific-offsets`
//!   = `partition:0,offset:42;…`). Default: `group-offsets` where `properties.group.id` is given,
//!   as in Flink, else `earliest-offset`. Where the group has committed nothing,
//!   `properties.auto.offset.reset` decides, `earliest` by default.
//! - `scan.bounded.mode`: `unbounded` (default), `latest-offset`, `group-offsets`, `timestamp` (with
//!   `scan.bounded.timestamp-millis`) or `specific-offsets` (with
//!   `scan.bounded.specific-offsets`; partitions not named end at their newest record).
//! - `scan.topic-partition-discovery.interval` (5 min; 0 never looks): new partitions are read
//!   from their beginning.
//! - `scan.on-reset`: what to do where the place to go on from is not there any more, since its
//!   records were deleted before they were read, or the topic was made anew. `fail` (default)
//!   ends the table's queries and says what is lost; `earliest` goes on with the oldest record that
//!   is left, `latest` behind the newest; both log a warning and count what is passed over.
//! - `scan.reset-check.interval` (1 min; 0 never): how often it is looked at whether the topic is
//!   still the one that was read, which a client is not told when it is made anew and has grown past
//!   the reader's place.
//! - `scan.topic-missing-timeout` (30 s): how long the topic may be missing.
//!
//! **Sink.** Append-only tables, each row a record of JSON, at least once: a batch that is
//! written again after a failure may stand there twice, and so may what was written after the
//! checkpoint that a run goes on from.
//!
//! Records of transactions that were aborted or are still open are not read, unless
//! `properties.isolation.level` says so.

mod chunk;
mod connector;
mod context;
mod mark;
mod options;
mod places;
mod properties;
mod sink;
mod source;
mod writer;

pub use connector::KafkaConnector;
pub use writer::{KafkaWriter, KafkaWriterError};

use std::sync::Arc;
use tidewheel_core::Registry;

/// Adds the connector to a registry.
pub fn register(registry: &mut Registry) {
    registry.add_connector(Arc::new(KafkaConnector));
}
