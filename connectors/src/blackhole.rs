//! The connector `blackhole`: takes every row, counts it, and keeps nothing.

use std::sync::Arc;
use tidewheel_core::{
    ChangeBatch, Connector, ConnectorError, Progress, Registry, Sink, SinkError, SinkRequest,
    Source, SourceRequest, TableSpec,
};

/// Adds the connector to a registry.
pub fn register(registry: &mut Registry) {
    registry.add_connector(Arc::new(BlackholeConnector));
}

/// The connector `blackhole`.
#[derive(Debug, Default)]
pub struct BlackholeConnector;

/// Counts rows.
struct BlackholeSink {
    writes: u64,
}

impl Connector for BlackholeConnector {
    fn name(&self) -> &'static str {
        "blackhole"
    }

    fn needs_format(&self) -> bool {
        false
    }

    fn check(&self, table: &TableSpec, as_sink: bool) -> Result<(), ConnectorError> {
        if as_sink {
            Ok(())
        } else {
            Err(no_source(table))
        }
    }

    fn source(&self, request: &SourceRequest) -> Result<Box<dyn Source>, ConnectorError> {
        Err(no_source(&request.table))
    }

    fn sink(&self, _request: &SinkRequest) -> Result<Box<dyn Sink>, ConnectorError> {
        Ok(Box::new(BlackholeSink { writes: 0 }))
    }
}

impl Sink for BlackholeSink {
    fn write(&mut self, batch: &ChangeBatch, _progress: &Progress) -> Result<(), SinkError> {
        self.writes += batch.len() as u64;
        Ok(())
    }

    fn writes(&self) -> u64 {
        self.writes
    }
}

fn no_source(table: &TableSpec) -> ConnectorError {
    ConnectorError::option(
        "connector",
        format!(
            "the connector 'blackhole' only takes rows; read '{}' from 'kafka', 'log' or 'file'",
            table.name
        ),
    )
}
