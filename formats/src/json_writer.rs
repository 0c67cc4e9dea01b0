//! Rows as JSON lines, for sinks that write text.

use arrow::array::{Array, RecordBatch};
use tidewheel_core::text::{write_json, write_json_string};

/// Writes rows of one shape as JSON objects, columns in their order.
///
/// ```
/// use arrow::array::{Int64Array, RecordBatch};
/// use std::sync::Arc;
/// use tidewheel_formats::JsonLineWriter;
///
/// let views = Arc::new(Int64Array::from(vec![3])) as _;
/// let batch = RecordBatch::try_from_iter([("views", views)]).unwrap();
/// let writer = JsonLineWriter::new(["views"]);
/// let mut line = String::new();
/// writer.write_row(&mut line, &batch, 0, &[("op", "upsert")]);
/// assert_eq!(line, "{\"views\":3,\"op\":\"upsert\"}");
/// ```
#[derive(Debug, Clone)]
pub struct JsonLineWriter {
    /// For each column, its name as `"name":`.
    keys: Vec<String>,
    ignore_nulls: bool,
}

impl JsonLineWriter {
    /// A writer for rows whose columns have these names, in this order.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let keys = names.into_iter().map(key).collect();
        Self {
            keys,
            ignore_nulls: false,
        }
    }

    /// Leaves NULLs out instead of writing `null` (`json.encode.ignore-null-fields`).
    #[must_use]
    pub fn ignore_nulls(mut self, ignore: bool) -> Self {
        self.ignore_nulls = ignore;
        self
    }

    /// Appends row `row` of `batch` as one JSON object without a line end, then the `extra` names
    /// and texts as members of it. Columns beyond the writer's names are left out.
    pub fn write_row(
        &self,
        out: &mut String,
        batch: &RecordBatch,
        row: usize,
        extra: &[(&str, &str)],
    ) {
        out.push('{');
        let mut separator = "";
        for (key, column) in self.keys.iter().zip(batch.columns()) {
            if self.ignore_nulls && column.is_null(row) {
                continue;
            }
            out.push_str(separator);
            out.push_str(key);
            write_json(out, column.as_ref(), row);
            separator = ",";
        }
        for (name, text) in extra {
            out.push_str(separator);
            out.push_str(&key(name));
            write_json_string(out, text);
            separator = ",";
        }
        out.push('}');
    }
}

fn key(name: &str) -> String {
    let mut key = String::with_capacity(name.len() + 3);
    write_json_string(&mut key, name);
    key.push(':');
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Float64Array, StringArray};
    use std::sync::Arc;

    fn batch() -> RecordBatch {
        let names: ArrayRef = Arc::new(StringArray::from(vec![Some("a\"b"), None]));
        let prices: ArrayRef = Arc::new(Float64Array::from(vec![Some(3.0), Some(f64::NAN)]));
        RecordBatch::try_from_iter([("the \"name\"", names), ("price", prices)]).unwrap()
    }

    fn line(writer: &JsonLineWriter, row: usize, extra: &[(&str, &str)]) -> String {
        let mut out = String::new();
        writer.write_row(&mut out, &batch(), row, extra);
        // Whatever is written must read as JSON.
        let _: serde_json::Value = serde_json::from_str(&out).unwrap();
        out
    }

    #[test]
    fn rows_are_objects_in_the_order_of_columns() {
        let writer = JsonLineWriter::new(["the \"name\"", "price"]);
        assert_eq!(
            line(&writer, 0, &[]),
            r#"{"the \"name\"":"a\"b","price":3.0}"#
        );
        assert_eq!(
            line(&writer, 1, &[("op", "delete")]),
            r#"{"the \"name\"":null,"price":null,"op":"delete"}"#
        );
    }

    #[test]
    fn nulls_can_be_left_out() {
        let writer = JsonLineWriter::new(["the \"name\""]).ignore_nulls(true);
        assert_eq!(line(&writer, 1, &[]), "{}");
        assert_eq!(line(&writer, 1, &[("op", "x")]), r#"{"op":"x"}"#);
    }
}
