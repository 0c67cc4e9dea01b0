//! Functions over text.

use super::scalar::{Function, Kind, double_at, integer_at, rows_of, text_at};
use arrow::array::{ArrayRef, StringViewArray};
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;
use regex::Regex;
use std::collections::HashMap;
use std::sync::Arc;
use tidewheel_core::text::write_double;

/// DOUBLE_TEXT(x): a double as sinks write it; NULL for NaN and infinities.
pub(super) fn double_text() -> ScalarUDF {
    Function::new(
        "double_text",
        &[Kind::Double],
        0,
        DataType::Utf8View,
        |args| {
            texts((0..rows_of(args)).map(|row| {
                let mut text = String::new();
                write_double(&mut text, double_at(&args[0], row)?).then_some(text)
            }))
        },
    )
    .udf()
}

/// URL_DECODE(s): `%xx` to bytes and `+` to a blank; NULL where that is not valid.
pub(super) fn url_decode() -> ScalarUDF {
    Function::new("url_decode", &[Kind::Text], 0, DataType::Utf8View, |args| {
        texts((0..rows_of(args)).map(|row| decode_url(text_at(&args[0], row)?)))
    })
    .udf()
}

/// REGEXP_EXTRACT(s, pattern[, group]): what the group (default 0, the whole) of the first match
/// holds; NULL without a match, a group or a valid pattern.
pub(super) fn regexp_extract() -> ScalarUDF {
    let kinds = [Kind::Text, Kind::Text, Kind::Integer];
    Function::new("regexp_extract", &kinds, 1, DataType::Utf8View, |args| {
        let mut patterns: HashMap<&str, Option<Regex>> = HashMap::new();
        texts((0..rows_of(args)).map(|row| {
            let (text, pattern) = (text_at(&args[0], row)?, text_at(&args[1], row)?);
            let group = args
                .get(2)
                .map_or(Some(0), |group| integer_at(group, row))?;
            let pattern = patterns
                .entry(pattern)
                .or_insert_with(|| Regex::new(pattern).ok());
            let captures = pattern.as_ref()?.captures(text)?;
            Some(
                captures
                    .get(usize::try_from(group).ok()?)?
                    .as_str()
                    .to_owned(),
            )
        }))
    })
    .udf()
}

/// SPLIT_INDEX(s, separator, index): the part with that number, from 0; NULL beyond the last.
pub(super) fn split_index() -> ScalarUDF {
    let kinds = [Kind::Text, Kind::Text, Kind::Integer];
    Function::new("split_index", &kinds, 0, DataType::Utf8View, |args| {
        texts((0..rows_of(args)).map(|row| {
            let (text, separator) = (text_at(&args[0], row)?, text_at(&args[1], row)?);
            let index = usize::try_from(integer_at(&args[2], row)?).ok()?;
            // As Flink: empty text has no parts, an empty separator stands for blanks.
            let part = match (text, separator) {
                ("", _) => None,
                (_, "") => text.split(char::is_whitespace).nth(index),
                _ => text.split(separator).nth(index),
            };
            part.map(str::to_owned)
        }))
    })
    .udf()
}

fn texts(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.collect::<StringViewArray>())
}

fn decode_url(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::super::scalar::call;
    use super::*;
    use datafusion::common::ScalarValue;

    fn text(function: &ScalarUDF, args: &[ScalarValue]) -> Option<String> {
        match call(function, args).unwrap() {
            ScalarValue::Utf8View(text) => text,
            other => panic!("{other:?} is no text"),
        }
    }

    #[test]
    fn doubles_read_as_sinks_write_them() {
        for (x, want) in [
            (Some(129.99), Some("129.99")),
            (Some(3.0), Some("3.0")),
            (Some(-0.0), Some("0.0")),
            (Some(f64::NAN), None),
            (Some(f64::INFINITY), None),
            (None, None),
        ] {
            let got = text(&double_text(), &[ScalarValue::Float64(x)]);
            assert_eq!(got.as_deref(), want);
        }
    }

    #[test]
    fn urls_are_decoded_or_null() {
        for (given, want) in [
            ("a%20b+c", Some("a b c")),
            ("%C3%BC", Some("ü")),
            ("100%", None),
            ("%2", None),
            ("%zz", None),
            ("%+1", None),
            ("%FF", None),
            ("", Some("")),
        ] {
            let got = text(&url_decode(), &[ScalarValue::from(given)]);
            assert_eq!(got.as_deref(), want, "{given}");
        }
    }

    #[test]
    fn patterns_are_extracted_by_group() {
        for (given, pattern, group, want) in [
            ("foothebar", "foo(.*?)(bar)", 2, Some("bar")),
            ("foothebar", "foo(.*?)(bar)", 0, Some("foothebar")),
            ("foothebar", "x", 0, None),
            ("foothebar", "foo", 1, None),
            ("foothebar", "foo", -1, None),
            ("foothebar", "(", 0, None),
        ] {
            let args = [
                given.into(),
                pattern.into(),
                ScalarValue::Int64(Some(group)),
            ];
            assert_eq!(
                text(&regexp_extract(), &args).as_deref(),
                want,
                "{pattern} {group}"
            );
        }
        let args = ["a1".into(), "[0-9]".into()];
        assert_eq!(text(&regexp_extract(), &args).as_deref(), Some("1"));
    }

    #[test]
    fn parts_are_numbered_from_zero() {
        for (given, separator, index, want) in [
            ("a,b,,c", ",", 0, Some("a")),
            ("a,b,,c", ",", 2, Some("")),
            ("a,b,,c", ",", 4, None),
            ("a,b", ",", -1, None),
            ("a::b", "::", 1, Some("b")),
            ("", ",", 0, None),
            ("a b", "", 1, Some("b")),
        ] {
            let args = [
                given.into(),
                separator.into(),
                ScalarValue::Int64(Some(index)),
            ];
            assert_eq!(
                text(&split_index(), &args).as_deref(),
                want,
                "{given} {index}"
            );
        }
    }
}
