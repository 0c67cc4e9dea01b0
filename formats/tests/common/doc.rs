//! Random documents, written in many ways, and a naive reading of them.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Field, TimeUnit};
use fastrand::Rng;
use serde_json::Value;
use std::sync::Arc;

/// A document; numbers keep their text.
#[derive(Debug, Clone)]
pub(crate) enum Doc {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Doc>),
    Object(Vec<(String, Doc)>),
}

pub(crate) const KEYS: [&str; 9] = [
    "a",
    "b",
    "c",
    "",
    "ü",
    "k\"q\\",
    "long_key_one",
    "long_key_two",
    "page_url",
];
const TEXTS: [&str; 16] = [
    "",
    "x",
    "plain text of some length, beyond sixty-four bytes, so that it spans two blocks at least",
    "\"}]{[,:",
    "\\",
    "\\\\\"",
    "line\nbreak\ttab\u{1}",
    "Schuhe für alle 😀",
    "12",
    " -7.50 ",
    "1e400",
    "true",
    "FALSE",
    "NaN",
    "2025-03-26T10:56:46.7Z",
    "Infinity",
];
const NUMBERS: [&str; 16] = [
    "0",
    "-0",
    "1",
    "-12",
    "127",
    "128",
    "3.0",
    "2.5",
    "1e3",
    "129.99",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "1e308",
    "123456789012345678901234567890",
    "0.1000000000000000055511151231257827021181583404541015625",
];

/// A random object.
pub(crate) fn object(random: &mut Rng, depth: u32) -> Doc {
    let count = random.usize(..6);
    let member = |random: &mut Rng| {
        (
            KEYS[random.usize(..KEYS.len())].to_owned(),
            value(random, depth),
        )
    };
    Doc::Object((0..count).map(|_| member(random)).collect())
}

fn value(random: &mut Rng, depth: u32) -> Doc {
    match random.u8(..if depth == 0 { 8 } else { 14 }) {
        0 => Doc::Null,
        1 => Doc::Bool(random.bool()),
        2..5 => Doc::Number(NUMBERS[random.usize(..NUMBERS.len())].to_owned()),
        5..8 => Doc::Text(TEXTS[random.usize(..TEXTS.len())].to_owned()),
        8..10 => {
            let count = random.usize(..5);
            Doc::List((0..count).map(|_| value(random, depth - 1)).collect())
        }
        _ => object(random, depth - 1),
    }
}

/// A random path of one to three keys.
pub(crate) fn path(random: &mut Rng) -> Vec<String> {
    (0..random.usize(1..4))
        .map(|_| KEYS[random.usize(..KEYS.len())].to_owned())
        .collect()
}

/// A random type.
pub(crate) fn data_type(random: &mut Rng, depth: u32) -> DataType {
    match random.u8(..if depth == 0 { 13 } else { 18 }) {
        0 => DataType::Utf8,
        1 => DataType::LargeUtf8,
        2 | 3 => DataType::Utf8View,
        4 => DataType::Boolean,
        5 => DataType::Int64,
        6 => DataType::Int8,
        7 => DataType::UInt16,
        8 => DataType::Int32,
        9 | 10 => DataType::Float64,
        11 => DataType::Float32,
        12 => DataType::Timestamp(TimeUnit::Millisecond, None),
        13 | 14 => DataType::new_list(data_type(random, depth - 1), random.bool()),
        15 => {
            let value = Field::new("value", data_type(random, depth - 1), true);
            let key = Field::new("key", DataType::Utf8, false);
            let entries = DataType::Struct(vec![key, value].into());
            DataType::Map(Arc::new(Field::new("entries", entries, false)), false)
        }
        _ => {
            let fields: Vec<Field> = (0..random.usize(1..4))
                .map(|at| {
                    Field::new(
                        KEYS[at * 2],
                        data_type(random, depth - 1),
                        random.u8(..4) > 0,
                    )
                })
                .collect();
            DataType::Struct(fields.into())
        }
    }
}

/// Writes a document with white space and escapes where chance puts them.
pub(crate) fn write(doc: &Doc, random: &mut Rng, out: &mut String) {
    match doc {
        Doc::Null => out.push_str("null"),
        Doc::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Doc::Number(text) => out.push_str(text),
        Doc::Text(text) => write_text(text, random, out),
        Doc::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                space(random, out);
                write(item, random, out);
                space(random, out);
            }
            out.push(']');
        }
        Doc::Object(members) => {
            out.push('{');
            space(random, out);
            for (at, (key, value)) in members.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                    space(random, out);
                }
                write_text(key, random, out);
                space(random, out);
                out.push(':');
                space(random, out);
                write(value, random, out);
                space(random, out);
            }
            out.push('}');
        }
    }
}

fn space(random: &mut Rng, out: &mut String) {
    while random.u8(..8) == 0 {
        out.push([' ', '\t', '\r', ' '][random.usize(..4)]);
    }
}

fn write_text(text: &str, random: &mut Rng, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            _ if random.u8(..12) == 0 => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => out.push_str(&format!("\\u{:04X}", control as u32)),
            other => out.push(other),
        }
    }
    out.push('"');
}

/// The value at a path; of a key that comes twice the last.
pub(crate) fn find<'a>(doc: &'a Doc, path: &[String]) -> Option<&'a Doc> {
    let Some((first, rest)) = path.split_first() else {
        return Some(doc);
    };
    let Doc::Object(members) = doc else {
        return None;
    };
    let (_, inner) = members.iter().rev().find(|(key, _)| key == first)?;
    find(inner, rest)
}

/// A document from what serde_json made of one.
pub(crate) fn from_value(value: &Value) -> Doc {
    match value {
        Value::Null => Doc::Null,
        Value::Bool(value) => Doc::Bool(*value),
        Value::Number(number) => Doc::Number(number.to_string()),
        Value::String(text) => Doc::Text(text.clone()),
        Value::Array(items) => Doc::List(items.iter().map(from_value).collect()),
        Value::Object(members) => Doc::Object(
            members
                .iter()
                .map(|(key, value)| (key.clone(), from_value(value)))
                .collect(),
        ),
    }
}

fn to_value(doc: &Doc) -> Value {
    let mut text = String::new();
    // Of no consequence: the text is parsed again.
    write(doc, &mut Rng::with_seed(0), &mut text);
    serde_json::from_str(&text).unwrap()
}

/// What a column should hold for a value, as JSON; texts of objects and arrays are parsed.
pub(crate) fn expected(doc: Option<&Doc>, data_type: &DataType) -> Value {
    let Some(doc) = doc else { return Value::Null };
    let number = match doc {
        Doc::Number(text) => Some(text.as_str()),
        Doc::Text(text) => Some(text.trim()),
        _ => None,
    };
    match (data_type, doc) {
        (_, Doc::Null) => Value::Null,
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, _) => match doc {
            Doc::Text(text) => Value::from(text.clone()),
            Doc::Number(text) => Value::from(text.clone()),
            Doc::Bool(value) => Value::from(value.to_string()),
            _ => to_value(doc),
        },
        (DataType::Boolean, Doc::Bool(value)) => Value::from(*value),
        (DataType::Boolean, _) => match number.map(str::to_lowercase).as_deref() {
            Some("true" | "1") => Value::from(true),
            Some("false" | "0") => Value::from(false),
            _ => Value::Null,
        },
        (DataType::Float64, _) => number
            .and_then(|text| text.parse::<f64>().ok())
            .filter(|value| value.is_finite())
            .map_or(Value::Null, |value| Value::from(value + 0.0)),
        (DataType::Float32, _) => number
            .and_then(|text| text.parse::<f32>().ok())
            .filter(|value| value.is_finite())
            .map_or(Value::Null, |value| {
                Value::from(value.to_string().parse::<f64>().unwrap())
            }),
        (DataType::Timestamp(_, _), Doc::Number(text)) => match whole(text) {
            Some(ms) if (0..i128::from(i32::MAX)).contains(&ms) => {
                Value::from(format!("1970-01-{:02}T", 1 + ms / 86_400_000))
            }
            Some(ms) if i64::try_from(ms).is_ok() => Value::from("another year"),
            _ => Value::Null,
        },
        (DataType::Timestamp(_, _), Doc::Text(text)) if text.starts_with("2025") => {
            Value::from("2025-03-26T10:56:46.700Z")
        }
        (DataType::List(field), Doc::List(items)) => {
            let items: Vec<_> = items
                .iter()
                .map(|item| expected(Some(item), field.data_type()))
                .collect();
            if !field.is_nullable() && items.contains(&Value::Null) {
                return Value::Null;
            }
            Value::from(items)
        }
        (DataType::Struct(fields), Doc::Object(_)) => {
            let mut row = serde_json::Map::new();
            for field in fields {
                let value = expected(find(doc, &[field.name().clone()]), field.data_type());
                if !field.is_nullable() && value.is_null() {
                    return Value::Null;
                }
                row.insert(field.name().clone(), value);
            }
            Value::from(row)
        }
        (DataType::Map(entries, _), Doc::Object(members)) => {
            let DataType::Struct(fields) = entries.data_type() else {
                return Value::Null;
            };
            let mut map = serde_json::Map::new();
            for (key, value) in members {
                map.insert(key.clone(), expected(Some(value), fields[1].data_type()));
            }
            Value::from(map)
        }
        (kind, _) => {
            let (low, high) = match kind {
                DataType::Int8 => (i128::from(i8::MIN), i128::from(i8::MAX)),
                DataType::UInt16 => (0, i128::from(u16::MAX)),
                DataType::Int32 => (i128::from(i32::MIN), i128::from(i32::MAX)),
                DataType::Int64 => (i128::from(i64::MIN), i128::from(i64::MAX)),
                _ => return Value::Null,
            };
            match number.and_then(whole) {
                Some(value) if (low..=high).contains(&value) => Value::from(value as i64),
                _ => Value::Null,
            }
        }
    }
}

fn whole(text: &str) -> Option<i128> {
    if let Ok(value) = text.parse::<i128>() {
        return Some(value);
    }
    let value: f64 = text.parse().ok()?;
    (value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i128)
}

/// What a column holds, in the form of [`expected`].
pub(crate) fn actual(array: &ArrayRef, row: usize, doc: Option<&Doc>) -> Value {
    let mut text = String::new();
    tidewheel_core::text::write_json(&mut text, array.as_ref(), row);
    let value: Value = serde_json::from_str(&text).unwrap();
    parse_texts(value, doc, array.data_type())
}

/// Parses the texts that stand for objects and arrays.
fn parse_texts(value: Value, doc: Option<&Doc>, data_type: &DataType) -> Value {
    match (value, doc, data_type) {
        (
            Value::String(text),
            Some(Doc::Object(_) | Doc::List(_)),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View,
        ) => serde_json::from_str(&text).unwrap(),
        (Value::String(text), Some(Doc::Number(_)), DataType::Timestamp(_, _)) => {
            // The day is enough here.
            let day = text.get(..11).unwrap_or_default();
            Value::from(if day.starts_with("1970-01") {
                day
            } else {
                "another year"
            })
        }
        (Value::Array(items), Some(Doc::List(docs)), DataType::List(field)) => items
            .into_iter()
            .zip(docs)
            .map(|(item, doc)| parse_texts(item, Some(doc), field.data_type()))
            .collect(),
        (Value::Object(row), Some(doc), DataType::Struct(fields)) => Value::from(
            row.into_iter()
                .map(|(key, value)| {
                    let kind = fields.iter().find(|field| *field.name() == key).unwrap();
                    let inner = find(doc, std::slice::from_ref(&key));
                    let value = parse_texts(value, inner, kind.data_type());
                    (key, value)
                })
                .collect::<serde_json::Map<_, _>>(),
        ),
        (Value::Object(map), Some(doc), DataType::Map(entries, _)) => {
            let DataType::Struct(fields) = entries.data_type() else {
                return Value::Null;
            };
            Value::from(
                map.into_iter()
                    .map(|(key, value)| {
                        let inner = find(doc, std::slice::from_ref(&key));
                        let value = parse_texts(value, inner, fields[1].data_type());
                        (key, value)
                    })
                    .collect::<serde_json::Map<_, _>>(),
            )
        }
        (value, _, _) => value,
    }
}

/// Equal, but for the last digits of doubles: serde_json's own reading is not exact.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) if x != y => {
            let (x, y) = (x.as_f64().unwrap(), y.as_f64().unwrap());
            (x - y).abs() <= x.abs() * 1e-14
        }
        (Value::Array(x), Value::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y))
        }
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len()
                && x.iter()
                    .all(|(key, x)| y.get(key).is_some_and(|y| same(x, y)))
        }
        _ => a == b,
    }
}
