//! What stands under a key, as values of the table's columns.

use arrow::datatypes::DataType;
use serde_json::{Map, Number, Value};
use tidewheel_core::TableSpec;

/// What a sink holds for one key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Held {
    /// True when any of its keys is there.
    pub found: bool,
    /// The value columns; NULL where nothing stands. Empty for a sorted set.
    pub values: Map<String, Value>,
    /// The members of a sorted set and their scores, highest first; `None` for other layouts.
    pub members: Option<Vec<(String, f64)>>,
    /// The keys that were read, as they are named in the store.
    pub keys: Vec<String>,
    /// Milliseconds until the first of them expires; `None` when none does.
    pub ttl_ms: Option<i64>,
}

/// A lookup failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The table is none that can be read by key.
    #[error("{0}")]
    Table(String),
    /// The key does not fit the table.
    #[error("{0}")]
    Key(String),
    /// The store or server is away, or refuses.
    #[error("{0}")]
    Away(String),
}

impl Held {
    /// Nothing yet, every column NULL.
    pub(super) fn empty(table: &TableSpec, values: &[usize]) -> Self {
        let name = |column: &usize| (table.schema.field(*column).name().clone(), Value::Null);
        Self {
            values: values.iter().map(name).collect(),
            ..Self::default()
        }
    }

    /// Notes one column's text.
    pub(super) fn set(&mut self, table: &TableSpec, column: usize, text: &str) {
        let field = table.schema.field(column);
        let value = typed(field.data_type(), text);
        self.values.insert(field.name().clone(), value);
        self.found = true;
    }

    /// Notes all columns out of a JSON object.
    pub(super) fn set_json(&mut self, text: &str) {
        self.found = true;
        if let Ok(Value::Object(fields)) = serde_json::from_str(text) {
            for (name, value) in fields {
                self.values.insert(name, value);
            }
        }
    }

    /// Notes how long one of the keys has to live.
    pub(super) fn live(&mut self, ttl_ms: Option<i64>) {
        self.ttl_ms = match (self.ttl_ms, ttl_ms) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

/// A text as a value of the column's type; a text that does not read as one stays a text.
fn typed(data_type: &DataType, text: &str) -> Value {
    let as_text = || Value::String(text.to_owned());
    match data_type {
        DataType::Boolean => text.parse().map_or_else(|_| as_text(), Value::Bool),
        DataType::Float32 | DataType::Float64 => text
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map_or_else(as_text, Value::Number),
        data_type if data_type.is_integer() => text
            .parse::<i64>()
            .map(Value::from)
            .or_else(|_| text.parse::<u64>().map(Value::from))
            .unwrap_or_else(|_| as_text()),
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::Map(..)
        | DataType::Struct(_)
        | DataType::Decimal128(..) => serde_json::from_str(text).unwrap_or_else(|_| as_text()),
        _ => as_text(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_become_values_of_their_types() {
        for (data_type, text, wanted) in [
            (DataType::Int64, "7", json!(7)),
            (DataType::UInt64, "18446744073709551615", json!(u64::MAX)),
            (DataType::Float64, "0.0", json!(0.0)),
            (DataType::Boolean, "true", json!(true)),
            (DataType::Utf8, "7", json!("7")),
            (DataType::Int64, "x", json!("x")),
        ] {
            assert_eq!(typed(&data_type, text), wanted, "{data_type} {text}");
        }
    }
}
