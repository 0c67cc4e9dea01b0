//! Keys of a Redis server.

use super::{Held, LookupError, MEMBERS_MAX, Place};
use crate::redis::config::{Config, Layout};
use parking_lot::Mutex;
use redis::{Client, Connection, RedisError, RedisResult, TlsCertificates, Value};
use std::time::Duration;
use tidewheel_core::TableSpec;

/// Connections that are kept for the next lookup.
const IDLE_CONNECTIONS_MAX: usize = 8;
/// The longest that a lookup waits for a connection or a reply.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Connections to one server.
pub(super) struct Pool {
    client: Client,
    place: String,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    pub(super) fn new(config: &Config) -> Result<Self, LookupError> {
        let info = config.connection.clone();
        let place = info.addr().to_string();
        let wrong = |message: String| LookupError::Table(message);
        let client = match &config.ca_file {
            None => Client::open(info).map_err(|error| wrong(error.to_string()))?,
            Some(path) => {
                let root = std::fs::read(path)
                    .map_err(|error| wrong(format!("cannot read '{path}': {error}")))?;
                let certificates = TlsCertificates {
                    client_tls: None,
                    root_cert: Some(root),
                };
                Client::build_with_tls(info, certificates)
                    .map_err(|error| wrong(error.to_string()))?
            }
        };
        Ok(Self {
            client,
            place,
            idle: Mutex::new(Vec::new()),
        })
    }

    fn connect(&self) -> RedisResult<Connection> {
        let connection = self.client.get_connection_with_timeout(TIMEOUT)?;
        connection.set_read_timeout(Some(TIMEOUT))?;
        connection.set_write_timeout(Some(TIMEOUT))?;
        Ok(connection)
    }

    fn query(&self, pipeline: &redis::Pipeline) -> RedisResult<Vec<Value>> {
        // A connection that lay idle may have been closed by the server: then once more.
        let idle = self.idle.lock().pop();
        if let Some(mut connection) = idle {
            match pipeline.query(&mut connection) {
                Err(error) if error.is_unrecoverable_error() => {}
                answer => {
                    self.keep(connection);
                    return answer;
                }
            }
        }
        let mut connection = self.connect()?;
        let answer = pipeline.query(&mut connection);
        if answer.is_ok() {
            self.keep(connection);
        }
        answer
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_CONNECTIONS_MAX {
            idle.push(connection);
        }
    }

    pub(super) fn get(
        &self,
        table: &TableSpec,
        place: &Place,
        keys: &[Vec<String>],
    ) -> Result<Vec<Held>, LookupError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<_> = keys.iter().map(|key| place.keys(table, key)).collect();
        let mut pipeline = redis::pipe();
        for (name, _) in names.iter().flatten() {
            match place.layout {
                Layout::String | Layout::Json => pipeline.cmd("GET").arg(name),
                Layout::Hash => {
                    pipeline.cmd("HMGET").arg(name);
                    for column in &place.values {
                        pipeline.arg(table.schema.field(*column).name());
                    }
                    &mut pipeline
                }
                Layout::SortedSet { .. } => pipeline
                    .cmd("ZREVRANGE")
                    .arg(name)
                    .arg(0)
                    .arg(MEMBERS_MAX - 1)
                    .arg("WITHSCORES"),
            };
            pipeline.cmd("PTTL").arg(name);
        }
        let away = |error: &RedisError| {
            LookupError::Away(format!("cannot read Redis at {}: {error}", self.place))
        };
        let mut replies = self
            .query(&pipeline)
            .map_err(|error| away(&error))?
            .into_iter();
        let mut all = Vec::with_capacity(keys.len());
        for row in names {
            let mut held = Held::empty(table, &place.values);
            for (name, column) in row {
                let value = replies.next().unwrap_or(Value::Nil);
                let ttl: i64 = replies
                    .next()
                    .map_or(-1, |reply| redis::from_redis_value(reply).unwrap_or(-1));
                held.live((ttl >= 0).then_some(ttl));
                note(&mut held, table, place, column, value).map_err(|error| away(&error))?;
                held.keys.push(name);
            }
            all.push(held);
        }
        Ok(all)
    }
}

fn note(
    held: &mut Held,
    table: &TableSpec,
    place: &Place,
    column: Option<usize>,
    reply: Value,
) -> RedisResult<()> {
    match place.layout {
        Layout::String => {
            let text: Option<String> = redis::from_redis_value(reply)?;
            if let (Some(text), Some(column)) = (text, column) {
                held.set(table, column, &text);
            }
        }
        Layout::Json => {
            let text: Option<String> = redis::from_redis_value(reply)?;
            if let Some(text) = text {
                held.set_json(&text);
            }
        }
        Layout::Hash => {
            let texts: Vec<Option<String>> = redis::from_redis_value(reply)?;
            for (column, text) in place.values.iter().zip(texts) {
                if let Some(text) = text {
                    held.set(table, *column, &text);
                }
            }
        }
        Layout::SortedSet { .. } => {
            let members: Vec<(String, f64)> = redis::from_redis_value(reply)?;
            held.values.clear();
            held.found |= !members.is_empty();
            held.members = Some(members);
        }
    }
    Ok(())
}
