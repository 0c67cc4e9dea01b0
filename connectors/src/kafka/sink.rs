//! Writing an append-only table into a topic.

use super::writer::{KafkaWriter, KafkaWriterError};
use crate::json_row::write_row;
use std::time::Duration;
use tidewheel_core::{
    ChangeBatch, ConnectorError, Progress, Sink, SinkError, SinkRequest, TableSpec,
};

/// How long a batch may take to be acknowledged.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Checks the table apart from its topic and properties.
pub(super) fn check(table: &TableSpec) -> Result<(), ConnectorError> {
    if !table.is_append_only() {
        return Err(ConnectorError::new(format!(
            "the table '{}' has a PRIMARY KEY, which the connector 'kafka' cannot write yet; \
             remove it to append each change, or write to 'redis', 'store' or 'file'",
            table.name
        )));
    }
    let name = "sink.delivery-guarantee";
    if table.options.get(name) == Some("exactly-once") {
        return Err(ConnectorError::option(
            name,
            "'exactly-once' is not known here; write 'at-least-once'",
        ));
    }
    table
        .options
        .word(name, &["at-least-once", "none"], "at-least-once")?;
    Ok(())
}

/// Each row one record of JSON.
pub(super) struct KafkaSink {
    table: TableSpec,
    writer: KafkaWriter,
    writes: u64,
}

impl KafkaSink {
    pub(super) fn open(request: &SinkRequest) -> Result<Self, ConnectorError> {
        check(&request.table)?;
        let writer = KafkaWriter::open(&request.table.options)?;
        Ok(Self {
            table: request.table.clone(),
            writer,
            writes: 0,
        })
    }

    fn send(&mut self, batch: &ChangeBatch) -> Result<(), KafkaWriterError> {
        let mut text = String::new();
        for row in 0..batch.len() {
            text.clear();
            write_row(&mut text, &self.table, batch, row);
            self.writer.send(None, None, Some(text.as_bytes()), None)?;
        }
        self.writer.flush(WRITE_TIMEOUT)
    }
}

impl Sink for KafkaSink {
    fn write(&mut self, batch: &ChangeBatch, _progress: &Progress) -> Result<(), SinkError> {
        if let Err(error) = self.send(batch) {
            self.writer.forget();
            let message = error.to_string();
            let wrap = if error.retry {
                SinkError::Retry
            } else {
                SinkError::Fatal
            };
            return Err(wrap(message));
        }
        self.writes += batch.len() as u64;
        Ok(())
    }

    fn writes(&self) -> u64 {
        self.writes
    }
}
