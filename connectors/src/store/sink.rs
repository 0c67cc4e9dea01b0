//! The connector: tables of one store share its writer.

use super::op::Op;
use super::rows::{self, Rows};
use super::{NEVER, StoreError, StoreWriter, Value};
use crate::fsync::Fsync;
use crate::progress;
use crate::redis::config::Config;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use tidewheel_core::{
    ChangeBatch, Connector, ConnectorError, Env, Options, Progress, Sink, SinkError, SinkRequest,
    Source, SourceRequest, TableSpec,
};

type Shared = Arc<Mutex<StoreWriter>>;

/// `'connector' = 'store'`, sink only.
#[derive(Default)]
pub struct StoreConnector {
    /// The stores that are open, so that all tables of one share its writer.
    open: Mutex<BTreeMap<PathBuf, Weak<Mutex<StoreWriter>>>>,
}

impl StoreConnector {
    fn writer(&self, path: &Path, fsync: Fsync) -> Result<Shared, StoreError> {
        std::fs::create_dir_all(path).map_err(super::at(path))?;
        let path = path.canonicalize().map_err(super::at(path))?;
        let mut open = self.open.lock();
        if let Some(writer) = open.get(&path).and_then(Weak::upgrade) {
            return Ok(writer);
        }
        let writer = Arc::new(Mutex::new(StoreWriter::open(&path, fsync)?));
        open.insert(path, Arc::downgrade(&writer));
        Ok(writer)
    }
}

impl Connector for StoreConnector {
    fn name(&self) -> &'static str {
        "store"
    }

    fn sink_options(&self) -> &'static [&'static str] {
        &[
            "path", "fsync", "layout", "key", "member", "score", "ttl", "on-empty",
        ]
    }

    fn needs_format(&self) -> bool {
        false
    }

    fn check(&self, table: &TableSpec, as_sink: bool) -> Result<(), ConnectorError> {
        if !as_sink {
            return Err(no_source(table));
        }
        path(&table.options)?;
        Fsync::parse(&table.options)?;
        config(table).map(|_| ())
    }

    fn source(&self, request: &SourceRequest) -> Result<Box<dyn Source>, ConnectorError> {
        Err(no_source(&request.table))
    }

    fn sink(&self, request: &SinkRequest) -> Result<Box<dyn Sink>, ConnectorError> {
        let table = request.table.clone();
        let fsync = Fsync::parse(&table.options)?;
        let writer = self
            .writer(&path(&table.options)?, fsync)
            .map_err(|error| ConnectorError::option("path", error.to_string()))?;
        let (config, env) = (config(&table)?, request.env.clone());
        Ok(Box::new(StoreSink {
            table,
            config,
            env,
            writer,
            progress_key: progress::key(request),
            writes: 0,
        }))
    }
}

fn no_source(table: &TableSpec) -> ConnectorError {
    ConnectorError::option(
        "connector",
        format!(
            "the connector 'store' only writes; read '{}' from 'kafka', 'log' or 'file'",
            table.name
        ),
    )
}

fn path(options: &Options) -> Result<PathBuf, ConnectorError> {
    options
        .get("path")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .ok_or_else(|| {
            ConnectorError::new("the option 'path' is missing; write the folder of the store")
        })
}

/// What the table shares with the connector `redis`, whose own options do not count here.
pub(crate) fn config(table: &TableSpec) -> Result<Config, ConnectorError> {
    const SHARED: [&str; 6] = ["layout", "key", "member", "score", "ttl", "on-empty"];
    let shared = table
        .options
        .iter()
        .filter(|(name, _)| SHARED.contains(name));
    Config::parse(&TableSpec {
        options: shared.collect(),
        ..table.clone()
    })
}

/// Writes one table into a store.
struct StoreSink {
    table: TableSpec,
    config: Config,
    env: Arc<dyn Env>,
    writer: Shared,
    progress_key: String,
    writes: u64,
}

impl StoreSink {
    /// The progress that the store holds.
    fn known(&self, writer: &StoreWriter) -> Option<Progress> {
        match &writer.get(&self.progress_key, self.env.wall_ms())?.value {
            Value::Hash(fields) => {
                progress::parse(fields.iter().map(|(n, t)| (n.as_str(), t.as_str())))
            }
            _ => None,
        }
    }
}

impl Sink for StoreSink {
    fn write(&mut self, batch: &ChangeBatch, progress: &Progress) -> Result<(), SinkError> {
        let now_ms = self.env.wall_ms();
        let rows = Rows::new(&self.config, &self.table, batch, now_ms).map_err(SinkError::Fatal)?;
        let mut ops = Vec::new();
        for row in 0..batch.len() {
            rows.append(row, &mut ops);
        }
        let count = ops.len() as u64;
        let mut writer = self.writer.lock();
        // In one write with the values, so that neither is ever seen without the other.
        let known = self.known(&writer);
        let raised = progress::raised(known.as_ref(), progress);
        ops.extend(rows::progress(&self.progress_key, &raised));
        let written = writer.write(now_ms, ops);
        written.map_err(|error| sink_error(&error))?;
        drop(writer);
        self.writes += count;
        Ok(())
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.writer
            .lock()
            .flush()
            .map_err(|error| sink_error(&error))
    }

    fn writes(&self) -> u64 {
        self.writes
    }

    fn progress(&mut self) -> Result<Option<Progress>, SinkError> {
        Ok(self.known(&self.writer.lock()))
    }

    fn note(
        &mut self,
        keys: &[Vec<u8>],
        number: u64,
        drop_below: Option<u64>,
    ) -> Result<(), SinkError> {
        let (key, now_ms) = (progress::notes_key(&self.progress_key), self.env.wall_ms());
        let mut writer = self.writer.lock();
        let mut ops = Vec::new();
        if let (Some(below), Some(entry)) = (drop_below, writer.get(&key, now_ms))
            && let Value::Sorted(members) = &entry.value
        {
            let needless = members.iter().filter(|(_, score)| **score < below as f64);
            ops.extend(needless.map(|(member, _)| Op::SortedDelete {
                key: key.clone(),
                member: member.clone(),
            }));
        }
        ops.extend(keys.iter().map(|note| Op::SortedSet {
            key: key.clone(),
            member: progress::member(note),
            score: number as f64,
            expire_ms: NEVER,
        }));
        writer
            .write(now_ms, ops)
            .map_err(|error| sink_error(&error))
    }

    fn noted(&mut self) -> Result<Vec<Vec<u8>>, SinkError> {
        let (key, writer) = (progress::notes_key(&self.progress_key), self.writer.lock());
        let members = match writer.get(&key, self.env.wall_ms()).map(|e| &e.value) {
            Some(Value::Sorted(members)) => members,
            _ => return Ok(Vec::new()),
        };
        Ok(members
            .keys()
            .filter_map(|member| progress::note(member))
            .collect())
    }
}

fn sink_error(error: &StoreError) -> SinkError {
    let message = error.to_string();
    match error {
        StoreError::Io { .. } => SinkError::Retry(message),
        _ => SinkError::Fatal(message),
    }
}
