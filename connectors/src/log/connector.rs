//! The options of the connector.

use super::sink::LogSink;
use super::source::LogSource;
use super::{Fsync, LogConfig, SEGMENT_BYTES};
use crate::scan_options::specific_offsets;
use std::path::PathBuf;
use tidewheel_core::{
    Connector, ConnectorError, Options, Sink, SinkRequest, Source, SourceRequest, TableSpec,
};

/// `'connector' = 'log'`, source and sink.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogConnector;

/// Smallest segment that may be asked for: below, a segment would be its own file system's waste.
const SEGMENT_BYTES_MIN: u64 = 4096;

pub(super) const STARTUP_MODES: [&str; 3] =
    ["earliest-offset", "latest-offset", "specific-offsets"];
pub(super) const STARTUP_OFFSETS: &str = "scan.startup.specific-offsets";

impl Connector for LogConnector {
    fn name(&self) -> &'static str {
        "log"
    }

    fn source_options(&self) -> &'static [&'static str] {
        &[
            "path",
            "partitions",
            "scan.startup.mode",
            "scan.startup.specific-offsets",
            "scan.bounded.mode",
        ]
    }

    fn sink_options(&self) -> &'static [&'static str] {
        &[
            "path",
            "partitions",
            "fsync",
            "segment.bytes",
            "retention.bytes",
            "retention.ms",
        ]
    }

    fn check(&self, table: &TableSpec, as_sink: bool) -> Result<(), ConnectorError> {
        let options = &table.options;
        path(options)?;
        if as_sink {
            return config(options).map(|_| ());
        }
        partitions(options)?;
        is_bounded(options)?;
        if startup_mode(options)? == "specific-offsets" {
            specific_offsets(options, STARTUP_OFFSETS)?;
        }
        Ok(())
    }

    fn source(&self, request: &SourceRequest) -> Result<Box<dyn Source>, ConnectorError> {
        Ok(Box::new(LogSource::open(request)?))
    }

    fn sink(&self, request: &SinkRequest) -> Result<Box<dyn Sink>, ConnectorError> {
        Ok(Box::new(LogSink::open(request)?))
    }
}

pub(super) fn path(options: &Options) -> Result<PathBuf, ConnectorError> {
    options
        .get("path")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .ok_or_else(|| {
            ConnectorError::new("the option 'path' is missing; write the folder of the log")
        })
}

pub(super) fn partitions(options: &Options) -> Result<Option<u32>, ConnectorError> {
    let Some(number) = options.number("partitions")? else {
        return Ok(None);
    };
    u32::try_from(number)
        .ok()
        .filter(|count| (1..=super::PARTITIONS_MAX).contains(count))
        .map(Some)
        .ok_or_else(|| {
            let max = super::PARTITIONS_MAX;
            ConnectorError::option(
                "partitions",
                format!("'{number}' is not between 1 and {max}"),
            )
        })
}

pub(super) fn startup_mode(options: &Options) -> Result<&'static str, ConnectorError> {
    Ok(options.word("scan.startup.mode", &STARTUP_MODES, "earliest-offset")?)
}

pub(super) fn is_bounded(options: &Options) -> Result<bool, ConnectorError> {
    let modes = ["unbounded", "latest-offset"];
    Ok(options.word("scan.bounded.mode", &modes, "unbounded")? == "latest-offset")
}

pub(super) fn config(options: &Options) -> Result<LogConfig, ConnectorError> {
    let fsync = Fsync::parse(options)?;
    let segment_bytes = options.bytes("segment.bytes")?.unwrap_or(SEGMENT_BYTES);
    if segment_bytes < SEGMENT_BYTES_MIN {
        let message = format!("'{segment_bytes}' is too small; write {SEGMENT_BYTES_MIN} or more");
        return Err(ConnectorError::option("segment.bytes", message));
    }
    Ok(LogConfig {
        partitions: partitions(options)?,
        fsync,
        segment_bytes,
        retention_bytes: options.bytes("retention.bytes")?,
        retention: options.duration("retention.ms")?,
    })
}
