//! The connector `redis`: a keyed table as Redis keys, hashes, JSON texts or sorted sets.
//!
//! Options: `url`, `layout` (`string`, `hash`, `json`, `sorted-set`), `key` (a template over the
//! PRIMARY KEY's columns and `{column}`), `member` and `score` (sorted sets), `ttl`, `on-empty`
//! (used by the engine), `username`, `password`, `tls.ca-file`, `tls.insecure`,
//! `connect.timeout`, `response.timeout`, `batch.max-bytes`.
//!
//! - Values are absolute, never increments, so a batch may be written again.
//! - **Progress.** Before values are written, how far the input was read is written and
//!   acknowledged under the key `tidewheel:progress:<table>`, or
//!   `tidewheel:progress:<pipeline>:<query>` where checkpoints are taken: a hash with a field
//!   `offset:<source>:<partition>` for each partition (the next offset to be read) and a field
//!   `frontier` (microseconds since the epoch). With checkpoints no field ever goes back. The
//!   account needs access to that key.
//! - **Notes.** Beside the progress of a query over other values, `<its key>#keys` holds the keys that
//!   got a value since the oldest checkpoint: a sorted set of them (in hexadecimal digits, after
//!   a check of eight bytes) by the number under which each was noted. They are written and
//!   acknowledged before the values.
//! - **One owner.** With checkpoints, connections are named `tidewheel:<pipeline>:<epoch>`. A new
//!   owner raises the key `tidewheel:epoch:<pipeline>` to its epoch, then ends the connections
//!   of owners before it (`CLIENT LIST`, `CLIENT KILL`), then writes. Whoever finds a higher epoch
//!   there, when it connects or writes progress, stops for good. The account needs
//!   `~tidewheel:epoch:* ~tidewheel:progress:* +script|load +evalsha +get +set +hget +hset +hgetall
//!   +exists +zadd +zrange +zremrangebyscore`; without `+info +client|setname +client|id +client|list +client|kill` it works, and
//!   says that a flush of the owner before that is under way may still land.
//! - **A server that lost its data** is seen by its `run_id` after a reconnect, and by the
//!   progress key's absence; both answer [`tidewheel_core::SinkError::Rewrite`].
//! - **A pipeline that timed out here and still runs there** is ended with `CLIENT KILL` before
//!   anything else is written, where the account may do that. A server that does not answer that
//!   either is not written to until it does.
//! - **Shared hashes.** Tables may share a hash or a sorted set: only the own fields are
//!   touched, and a ttl is never shortened. That takes a script of four lines, so that no crash
//!   leaves a key without its ttl; with `ttl` the account needs
//!   `+evalsha +script|load +pttl +pexpire`.
//! - A JSON text is written whole. A table with this layout wants one query that owns all its
//!   columns; those the query does not own are left out.
//!
//! It is not: a client for Redis Cluster.

pub(crate) mod config;
mod failure;
mod fence;
mod layout;
mod link;
mod resp;
mod sink;
pub(crate) mod template;

use config::Config;
use std::sync::Arc;
use tidewheel_core::{
    Connector, ConnectorError, Registry, Sink, SinkRequest, Source, SourceRequest, TableSpec,
};

/// Adds the connector to a registry.
pub fn register(registry: &mut Registry) {
    registry.add_connector(Arc::new(RedisConnector));
}

/// Start of the key under which a table's progress is kept; the table's name follows.
pub const PROGRESS_KEY_PREFIX: &str = "tidewheel:progress:";

/// The connector `redis`.
#[derive(Debug, Default)]
pub struct RedisConnector;

impl Connector for RedisConnector {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn sink_options(&self) -> &'static [&'static str] {
        config::OPTIONS
    }

    fn needs_format(&self) -> bool {
        false
    }

    fn secret_options(&self) -> &'static [&'static str] {
        // A URL may hold a password.
        &["password", "url"]
    }

    fn check(&self, table: &TableSpec, as_sink: bool) -> Result<(), ConnectorError> {
        if as_sink {
            Config::parse(table).map(|_| ())
        } else {
            Err(no_source(table))
        }
    }

    fn source(&self, request: &SourceRequest) -> Result<Box<dyn Source>, ConnectorError> {
        Err(no_source(&request.table))
    }

    fn sink(&self, request: &SinkRequest) -> Result<Box<dyn Sink>, ConnectorError> {
        Ok(Box::new(sink::RedisSink::open(request)?))
    }
}

fn no_source(table: &TableSpec) -> ConnectorError {
    ConnectorError::option(
        "connector",
        format!(
            "the connector 'redis' only writes; read '{}' from 'kafka', 'log' or 'file'",
            table.name
        ),
    )
}
