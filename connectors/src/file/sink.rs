//! Writes a table's rows or changes as JSON lines.

use super::output::{Begin, Output, Outputs};
use super::place::Place;
use super::{compression_option, path_option};
use crate::json_row::write_row;
use parking_lot::Mutex;
use std::sync::Arc;
use tidewheel_core::{
    ChangeBatch, ConnectorError, Progress, Sink, SinkError, SinkRequest, TableSpec,
};

struct FileSink {
    table: TableSpec,
    output: Arc<Mutex<Output>>,
    text: String,
    writes: u64,
}

/// Checks the options of a file that is written.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn check(table: &TableSpec) -> Result<(), ConnectorError> {
    path_option(table)?;
    compression_option(table)?;
    is_append(table)?;
    // The changelog adds a member of its own.
    if !table.is_append_only() && table.schema.index_of("op").is_ok() {
        return Err(ConnectorError::new(format!(
            "the table '{}' has a column 'op', which the file's changelog adds itself; \
             give the column another name",
            table.name
        )));
    }
    Ok(())
}

fn is_append(table: &TableSpec) -> Result<bool, ConnectorError> {
    Ok(table
        .options
        .word("mode", &["overwrite", "append"], "overwrite")?
        == "append")
}

/// Opens the file of a table.
///
/// # Errors
/// An option is wrong, or the file cannot be made.
pub(super) fn open(
    outputs: &Outputs,
    request: &SinkRequest,
) -> Result<Box<dyn Sink>, ConnectorError> {
    let table = &request.table;
    check(table)?;
    let resume = Place::from_bytes(request.resume.as_deref().unwrap_or_default())
        .map_err(|message| ConnectorError::option("path", message))?;
    let begin = Begin {
        append: is_append(table)? || request.keep,
        resume,
        later: request.owner.is_some(),
    };
    let output = outputs
        .open(path_option(table)?, compression_option(table)?, &begin)
        .map_err(|message| ConnectorError::option("path", message))?;
    let table = table.clone();
    Ok(Box::new(FileSink {
        table,
        output,
        text: String::new(),
        writes: 0,
    }))
}

impl Sink for FileSink {
    fn write(&mut self, batch: &ChangeBatch, _progress: &Progress) -> Result<(), SinkError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.text.clear();
        for row in 0..batch.len() {
            write_row(&mut self.text, &self.table, batch, row);
            self.text.push('\n');
        }
        self.output.lock().write(self.text.as_bytes())?;
        self.writes += batch.len() as u64;
        Ok(())
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.output.lock().sync()
    }

    fn writes(&self) -> u64 {
        self.writes
    }

    fn position(&mut self) -> Result<Vec<u8>, SinkError> {
        self.output.lock().position()
    }
}
