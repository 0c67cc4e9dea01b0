//! Writing a table into a log: each row one record of JSON.

use super::{LogError, LogWriter, Record, connector};
use crate::json_row::{write_key, write_row};
use std::sync::Arc;
use tidewheel_core::{
    ChangeBatch, ConnectorError, Env, Progress, Sink, SinkError, SinkRequest, TableSpec,
};

/// Appends rows. A batch that is written again after a failure may stand there twice.
pub(super) struct LogSink {
    table: TableSpec,
    env: Arc<dyn Env>,
    writer: LogWriter,
    writes: u64,
}

impl LogSink {
    pub(super) fn open(request: &SinkRequest) -> Result<Self, ConnectorError> {
        let options = &request.table.options;
        let path = connector::path(options)?;
        let writer = LogWriter::open(&path, &connector::config(options)?)
            .map_err(|error| ConnectorError::option("path", error.to_string()))?;
        let (table, env) = (request.table.clone(), request.env.clone());
        Ok(Self {
            table,
            env,
            writer,
            writes: 0,
        })
    }
}

impl Sink for LogSink {
    fn write(&mut self, batch: &ChangeBatch, _progress: &Progress) -> Result<(), SinkError> {
        let mut text = String::new();
        // For each partition the records' keys and values, as ranges of `text`.
        let mut rows = vec![Vec::new(); self.writer.partitions() as usize];
        for row in 0..batch.len() {
            let start = text.len();
            let has_key = write_key(&mut text, &self.table, batch, row);
            let value = text.len();
            write_row(&mut text, &self.table, batch, row);
            let partition = if has_key {
                self.writer.partition_of(&text.as_bytes()[start..value])
            } else {
                (self.writes.wrapping_add(row as u64) % u64::from(self.writer.partitions())) as u32
            };
            rows[partition as usize].push((has_key.then_some(start..value), value..text.len()));
        }
        let timestamp_ms = self.env.wall_ms();
        for (partition, rows) in rows
            .into_iter()
            .enumerate()
            .filter(|(_, rows)| !rows.is_empty())
        {
            let text = text.as_bytes();
            let records: Vec<Record<'_>> = rows
                .into_iter()
                .map(|(key, value)| Record {
                    timestamp_ms,
                    key: key.map(|range| &text[range]),
                    value: Some(&text[value]),
                })
                .collect();
            self.writer
                .append(partition as u32, &records)
                .map_err(|error| sink_error(&error))?;
        }
        self.writes += batch.len() as u64;
        Ok(())
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.writer.flush().map_err(|error| sink_error(&error))
    }

    fn writes(&self) -> u64 {
        self.writes
    }
}

fn sink_error(error: &LogError) -> SinkError {
    let message = error.to_string();
    match error {
        LogError::Io { .. } => SinkError::Retry(message),
        _ => SinkError::Fatal(message),
    }
}
