//! JSON_VALUE and JSON_EXISTS: a simple path into a JSON text.

use super::scalar::{Function, Kind, rows_of, text_at};
use arrow::array::{ArrayRef, BooleanArray, StringViewArray};
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// A path such as `$.a['b c'][0]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

impl JsonPath {
    /// Reads a path: `$`, then `.name`, `['name']`, `["name"]` or `[0]`, with `lax` or `strict`
    /// before it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn new(path: &str) -> Result<Self, String> {
        let path = path.trim();
        let path = path
            .strip_prefix("lax ")
            .or_else(|| path.strip_prefix("strict "))
            .unwrap_or(path)
            .trim_start();
        let mut rest = path
            .strip_prefix('$')
            .ok_or_else(|| "a path begins with '$'".to_owned())?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            // `$.['a']` is written as well as `$['a']`.
            let after_dot = rest.strip_prefix('.').unwrap_or(rest);
            if let Some(inside) = after_dot.strip_prefix('[') {
                let (step, after) = bracket(inside)?;
                steps.push(step);
                rest = after;
                continue;
            }
            if after_dot.len() == rest.len() {
                return Err(format!("expected '.' or '[' before '{rest}'"));
            }
            let end = after_dot.find(['.', '[']).unwrap_or(after_dot.len());
            let (name, after) = after_dot.split_at(end);
            if name.is_empty() || name.contains(['*', '?', '(', ' ']) {
                return Err(format!("'{name}' is no name of a field"));
            }
            steps.push(Step::Name(name.to_owned()));
            rest = after;
        }
        Ok(Self(steps))
    }

    fn find<'a>(&self, root: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(root, |value, step| match step {
            Step::Name(name) => value.get(name),
            Step::Index(index) => value.get(index),
        })
    }
}

fn bracket(inside: &str) -> Result<(Step, &str), String> {
    let open = || "a '[' of the path is not closed".to_owned();
    let quote = inside.chars().next().filter(|c| matches!(c, '\'' | '"'));
    if let Some(quote) = quote {
        let inside = inside.get(1..).unwrap_or("");
        let (name, after) = inside.split_once(quote).ok_or_else(open)?;
        let after = after.strip_prefix(']').ok_or_else(open)?;
        return Ok((Step::Name(name.to_owned()), after));
    }
    let (index, after) = inside.split_once(']').ok_or_else(open)?;
    let index = index
        .trim()
        .parse()
        .map_err(|_| format!("'[{index}]' is no place in a list: write a number from 0"))?;
    Ok((Step::Index(index), after))
}

/// JSON_VALUE(json, path): the text, number or truth value at the path, as text; NULL where
/// there is none, or the JSON or the path is not valid.
pub(super) fn json_value() -> ScalarUDF {
    let kinds = [Kind::Text, Kind::Text];
    Function::new("json_value", &kinds, 0, DataType::Utf8View, |args| {
        let found = each(args, |value| match value? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        });
        let found: StringViewArray = found.into_iter().map(Option::flatten).collect();
        Arc::new(found) as ArrayRef
    })
    .udf()
}

/// JSON_EXISTS(json, path): whether there is something at the path, NULL included.
pub(super) fn json_exists() -> ScalarUDF {
    let kinds = [Kind::Text, Kind::Text];
    Function::new("json_exists", &kinds, 0, DataType::Boolean, |args| {
        let found = each(args, |value| value.is_some());
        Arc::new(found.into_iter().collect::<BooleanArray>()) as ArrayRef
    })
    .udf()
}

/// The result of each row; `None` where an argument is NULL or the path is not valid.
fn each<T>(args: &[ArrayRef], result: impl Fn(Option<&Value>) -> T) -> Vec<Option<T>> {
    let mut paths: HashMap<&str, Option<JsonPath>> = HashMap::new();
    (0..rows_of(args))
        .map(|row| {
            let (text, path) = (text_at(&args[0], row)?, text_at(&args[1], row)?);
            let path = paths
                .entry(path)
                .or_insert_with(|| JsonPath::new(path).ok())
                .as_ref()?;
            let root: Option<Value> = serde_json::from_str(text).ok();
            Some(result(root.as_ref().and_then(|root| path.find(root))))
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::scalar::call;
    use super::*;
    use datafusion::common::ScalarValue;

    #[test]
    fn values_of_flinks_documentation() {
        for (json, path, want) in [
            (r#"{"a": true}"#, "$.a", Some("true")),
            (
                r#"{"a.b": [0.998,0.996]}"#,
                r#"$.["a.b"][0]"#,
                Some("0.998"),
            ),
            (
                r#"{"contains blank": "right"}"#,
                "strict $.['contains blank']",
                Some("right"),
            ),
            (r#"{"a": true}"#, "lax $.b", None),
            (r#"{"a": [{"b": "x"}]}"#, "$.a[0].b", Some("x")),
            (r#"{"a": [{"b": 1}]}"#, "$.a[1].b", None),
            (r#"{"a": {"b": 1}}"#, "$.a", None),
            (r#"{"a": null}"#, "$.a", None),
            ("not JSON", "$.a", None),
            ("\"x\"", "$", Some("x")),
            (r#"{"a": 1}"#, "a", None),
        ] {
            let args = [ScalarValue::from(json), ScalarValue::from(path)];
            let got = call(&json_value(), &args).unwrap();
            assert_eq!(
                got,
                ScalarValue::Utf8View(want.map(str::to_owned)),
                "{path}"
            );
        }
    }

    #[test]
    fn existence_of_flinks_documentation() {
        for (json, path, want) in [
            (r#"{"a": true}"#, "$.a", Some(true)),
            (r#"{"a": true}"#, "$.b", Some(false)),
            (r#"{"a": [{ "b": 1 }]}"#, "$.a[0].b", Some(true)),
            (r#"{"a": null}"#, "$.a", Some(true)),
            ("{", "$.a", Some(false)),
        ] {
            let args = [ScalarValue::from(json), ScalarValue::from(path)];
            let got = call(&json_exists(), &args).unwrap();
            assert_eq!(got, ScalarValue::Boolean(want), "{path}");
        }
    }

    #[test]
    fn paths_that_are_not_simple_are_refused() {
        for wrong in [
            "",
            "a",
            "$a",
            "$.",
            "$.*",
            "$[",
            "$[x]",
            "$['a",
            "$.a[?(@.b)]",
        ] {
            assert!(JsonPath::new(wrong).is_err(), "{wrong}");
        }
    }
}
