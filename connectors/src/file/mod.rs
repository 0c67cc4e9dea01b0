//! The connector `file`: JSON lines from and to files.
//!
//! As a source: `path` is a file, a folder (its files sorted by name, not its subfolders; hidden
//! ones are left out), a glob, or `-` for standard input. Each file is a partition, numbered in
//! that order; its offsets are byte positions in the uncompressed text. Files whose names end
//! with `.gz` or `.zst` are unpacked (option `compression` = `auto`, `none`, `gzip`, `zstd`).
//! `follow` = `true` keeps reading what is appended to plain files, and finds new files of a
//! folder or glob. A line longer than `line.max-bytes` is handed on cut to that length, so that
//! it shows as a bad row, and the rest of it is skipped.
//!
//! As a sink: `path` is a file, or `-` for standard output; folders above it are made. `mode` is
//! `overwrite` (default) or `append`. An append-only table writes its rows; a keyed one the
//! changelog of its rows, with a member `op` that is `upsert` or `delete` (where only the key
//! stands beside it). Each write is one flushed piece; packed files get one gzip member or zstd frame
//! a write, so that a file is readable whenever the program stops.
//!
//! With checkpoints a file is cut back to its length in the checkpoint before the first write, so
//! that each row stands there once. A file that is gone by then is begun anew, with a warning; one
//! that was cut or replaced is refused, and left as it is. Of a file that several queries
//! write, rows between their places may stand there twice. Pipes, devices and standard output
//! cannot be cut back: at least once.

mod lines;
mod output;
mod paths;
mod place;
mod sink;
mod source;
mod stream;

use output::Outputs;
use paths::Compression;
use std::sync::Arc;
use tidewheel_core::{
    Connector, ConnectorError, Registry, Sink, SinkRequest, Source, SourceRequest, TableSpec,
};

/// Adds the connector to a registry.
pub fn register(registry: &mut Registry) {
    registry.add_connector(Arc::new(FileConnector::default()));
}

/// The path that stands for standard input or output.
const STANDARD: &str = "-";

/// The connector `file`.
#[derive(Default)]
pub struct FileConnector {
    /// The files that sinks have open: two queries that write one table share its file.
    outputs: Arc<Outputs>,
}

impl Connector for FileConnector {
    fn name(&self) -> &'static str {
        "file"
    }

    fn source_options(&self) -> &'static [&'static str] {
        &["path", "compression", "follow", "line.max-bytes"]
    }

    fn sink_options(&self) -> &'static [&'static str] {
        &["path", "compression", "mode"]
    }

    fn check(&self, table: &TableSpec, as_sink: bool) -> Result<(), ConnectorError> {
        if as_sink {
            sink::check(table)
        } else {
            source::Settings::parse(table).map(|_| ())
        }
    }

    fn source(&self, request: &SourceRequest) -> Result<Box<dyn Source>, ConnectorError> {
        source::open(request)
    }

    fn sink(&self, request: &SinkRequest) -> Result<Box<dyn Sink>, ConnectorError> {
        sink::open(&self.outputs, request)
    }
}

/// The option `path`.
fn path_option(table: &TableSpec) -> Result<&str, ConnectorError> {
    match table.options.get("path") {
        None => Err(ConnectorError::new(format!(
            "the option 'path' is missing; name the file of the table '{}', or '-'",
            table.name
        ))),
        Some(path) if path.trim().is_empty() => Err(ConnectorError::option(
            "path",
            "the path is empty; name a file, or '-'",
        )),
        Some(path) => Ok(path),
    }
}

/// The option `compression`; `None` is by name.
fn compression_option(table: &TableSpec) -> Result<Option<Compression>, ConnectorError> {
    let word = table
        .options
        .word("compression", &["auto", "none", "gzip", "zstd"], "auto")?;
    Ok(match word {
        "none" => Some(Compression::None),
        "gzip" => Some(Compression::Gzip),
        "zstd" => Some(Compression::Zstd),
        _ => None,
    })
}
