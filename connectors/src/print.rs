//! The connector `print`: rows as text for the eye, one line a row, on standard output.
//!
//! Options: `standard-error` (`true` for standard error), `print-identifier` (the text before
//! each line; the table's name by default). A deleted row shows its key and `(deleted)`.

use std::io::Write;
use std::sync::Arc;
use tidewheel_core::text::{write_json_string, write_value};
use tidewheel_core::{
    ChangeBatch, Connector, ConnectorError, Op, Progress, Registry, Sink, SinkError, SinkRequest,
    Source, SourceRequest, TableSpec,
};

/// Adds the connector to a registry.
pub fn register(registry: &mut Registry) {
    registry.add_connector(Arc::new(PrintConnector));
}

/// The connector `print`.
#[derive(Debug, Default)]
pub struct PrintConnector;

struct PrintSink {
    table: TableSpec,
    identifier: String,
    to_stderr: bool,
    text: String,
    writes: u64,
}

impl Connector for PrintConnector {
    fn name(&self) -> &'static str {
        "print"
    }

    fn sink_options(&self) -> &'static [&'static str] {
        &["standard-error", "print-identifier"]
    }

    fn needs_format(&self) -> bool {
        false
    }

    fn check(&self, table: &TableSpec, as_sink: bool) -> Result<(), ConnectorError> {
        if !as_sink {
            return Err(no_source(table));
        }
        table.options.boolean("standard-error")?;
        Ok(())
    }

    fn source(&self, request: &SourceRequest) -> Result<Box<dyn Source>, ConnectorError> {
        Err(no_source(&request.table))
    }

    fn sink(&self, request: &SinkRequest) -> Result<Box<dyn Sink>, ConnectorError> {
        let table = request.table.clone();
        let identifier = table
            .options
            .get_or("print-identifier", &table.name)
            .to_owned();
        let to_stderr = table.options.boolean("standard-error")?.unwrap_or(false);
        Ok(Box::new(PrintSink {
            table,
            identifier,
            to_stderr,
            text: String::new(),
            writes: 0,
        }))
    }
}

impl Sink for PrintSink {
    fn write(&mut self, batch: &ChangeBatch, _progress: &Progress) -> Result<(), SinkError> {
        self.text.clear();
        for row in 0..batch.len() {
            append_line(&mut self.text, &self.identifier, &self.table, batch, row);
        }
        let bytes = self.text.as_bytes();
        let result = if self.to_stderr {
            std::io::stderr().lock().write_all(bytes)
        } else {
            let mut out = std::io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        };
        // Part of the lines may be out; to print them again would be wrong.
        result.map_err(|error| SinkError::Fatal(format!("cannot print: {error}")))?;
        self.writes += batch.len() as u64;
        Ok(())
    }

    fn writes(&self) -> u64 {
        self.writes
    }
}

/// Appends `table> key=… value=…` or `table> key=… (deleted)`, and a line end.
fn append_line(
    out: &mut String,
    identifier: &str,
    table: &TableSpec,
    batch: &ChangeBatch,
    row: usize,
) {
    out.push_str(identifier);
    out.push('>');
    let deleted = batch.ops.get(row) == Some(&Op::Delete);
    let mut value = String::new();
    for (at, index) in batch.columns.iter().enumerate() {
        if deleted && !table.primary_key.contains(index) {
            continue;
        }
        let Some(field) = table.schema.fields().get(*index) else {
            continue;
        };
        out.push(' ');
        out.push_str(field.name());
        out.push('=');
        value.clear();
        if !write_value(&mut value, batch.rows.column(at).as_ref(), row) {
            out.push_str("NULL");
        } else if is_plain(&value) {
            out.push_str(&value);
        } else {
            write_json_string(out, &value);
        }
    }
    if deleted {
        out.push_str(" (deleted)");
    }
    out.push('\n');
}

/// True when a value can be read without quotes. Control characters must not reach a terminal.
fn is_plain(value: &str) -> bool {
    let text = |c: char| !c.is_whitespace() && !c.is_control() && c != '"' && c != '=';
    let json = value.starts_with(['{', '[']) && !value.contains(char::is_control);
    json || (!value.is_empty() && value != "NULL" && value.chars().all(text))
}

fn no_source(table: &TableSpec) -> ConnectorError {
    ConnectorError::option(
        "connector",
        format!(
            "the connector 'print' only writes; read '{}' from 'kafka', 'log' or 'file'",
            table.name
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, RecordBatch, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    #[test]
    fn a_row_is_a_line_and_control_characters_are_escaped() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("user", DataType::Utf8, true),
            Field::new("views", DataType::Int64, true),
            Field::new("brand", DataType::Utf8, true),
        ]));
        let table = TableSpec {
            name: "t".into(),
            schema: Arc::clone(&schema),
            primary_key: vec![0],
            options: [("connector", "print")].into_iter().collect(),
        };
        let rows = RecordBatch::try_new(
            schema,
            vec![
                Arc::new(StringArray::from(vec!["u1", "u2\u{1b}[2J"])),
                Arc::new(Int64Array::from(vec![Some(3), None])),
                Arc::new(StringArray::from(vec![Some("a b"), None])),
            ],
        )
        .expect("rows");
        let batch = ChangeBatch {
            rows,
            columns: vec![0, 1, 2],
            ops: vec![Op::Upsert, Op::Delete],
            live_ms: vec![0; 2],
            changed: vec![u64::MAX; 2],
            urgent: true,
        };
        let mut out = String::new();
        append_line(&mut out, "t", &table, &batch, 0);
        append_line(&mut out, "t", &table, &batch, 1);
        assert_eq!(
            out,
            "t> user=u1 views=3 brand=\"a b\"\nt> user=\"u2\\u001b[2J\" (deleted)\n"
        );
    }
}
