//! How values read as text in keys and values: integers plain; doubles in their shortest form
//! with at least one decimal and no exponent; times RFC 3339 with milliseconds and Z; lists,
//! maps and rows as JSON with minimal escapes and no spaces, map keys sorted by bytes.

use arrow::array::{Array, AsArray, cast::as_boolean_array};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use std::fmt::Write;

/// Appends the text of `array[row]` and returns true; a NULL appends nothing and returns false.
/// A NaN or infinite number counts as NULL.
pub fn write_value(out: &mut String, array: &dyn Array, row: usize) -> bool {
    match array.data_type() {
        DataType::Utf8 if array.is_valid(row) => out.push_str(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 if array.is_valid(row) => {
            out.push_str(array.as_string::<i64>().value(row));
        }
        DataType::Utf8View if array.is_valid(row) => {
            out.push_str(array.as_string_view().value(row));
        }
        _ => return write_json_inner(out, array, row, false),
    }
    true
}

/// Appends `array[row]` as JSON; a NULL (or NaN) is `null`. Times are quoted.
pub fn write_json(out: &mut String, array: &dyn Array, row: usize) {
    if !write_json_inner(out, array, row, true) {
        out.push_str("null");
    }
}

/// Appends a JSON string with minimal escapes.
pub fn write_json_string(out: &mut String, text: &str) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[plain..at]);
        if escape.is_empty() {
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(escape);
        }
        plain = at + 1;
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

/// Appends a double in its shortest form with at least one decimal and no exponent. Returns
/// false, and appends nothing, for NaN and infinities. Minus zero reads `0.0`.
pub fn write_double(out: &mut String, value: f64) -> bool {
    if !value.is_finite() {
        return false;
    }
    let value = if value == 0.0 { 0.0 } else { value };
    let start = out.len();
    let _ = write!(out, "{value}");
    if !out[start..].contains('.') {
        out.push_str(".0");
    }
    true
}

/// Appends a time as RFC 3339 with milliseconds and Z.
pub fn write_time(out: &mut String, micros: i64) {
    let days = micros.div_euclid(86_400_000_000);
    let of_day = micros.rem_euclid(86_400_000_000);
    write_date(out, days);
    let ms = of_day / 1_000;
    let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
    let _ = write!(
        out,
        "T{hours:02}:{minutes:02}:{:02}.{:03}Z",
        ms / 1_000 % 60,
        ms % 1_000
    );
}

/// Days since the epoch to a date, after Howard Hinnant, "chrono-compatible low-level date
/// algorithms" (2013).
fn write_date(out: &mut String, days: i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    let _ = write!(out, "{year:04}-{month:02}-{day:02}");
}

fn write_json_inner(out: &mut String, array: &dyn Array, row: usize, quote: bool) -> bool {
    if array.is_null(row) || array.data_type() == &DataType::Null {
        return false;
    }
    macro_rules! plain {
        ($type:ty) => {{
            let _ = write!(out, "{}", array.as_primitive::<$type>().value(row));
            true
        }};
    }
    match array.data_type() {
        DataType::Boolean => {
            out.push_str(if as_boolean_array(array).value(row) {
                "true"
            } else {
                "false"
            });
            true
        }
        DataType::Int8 => plain!(Int8Type),
        DataType::Int16 => plain!(Int16Type),
        DataType::Int32 => plain!(Int32Type),
        DataType::Int64 => plain!(Int64Type),
        DataType::UInt8 => plain!(UInt8Type),
        DataType::UInt16 => plain!(UInt16Type),
        DataType::UInt32 => plain!(UInt32Type),
        DataType::UInt64 => plain!(UInt64Type),
        DataType::Float32 => {
            // Through its own shortest text, so that 0.1 does not read 0.10000000149011612.
            let value = array.as_primitive::<Float32Type>().value(row);
            write_double(out, value.to_string().parse().unwrap_or(f64::NAN))
        }
        DataType::Float64 => write_double(out, array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, _) => {
            out.push_str(&array.as_primitive::<Decimal128Type>().value_as_string(row));
            true
        }
        DataType::Utf8 => {
            write_json_string(out, array.as_string::<i32>().value(row));
            true
        }
        DataType::LargeUtf8 => {
            write_json_string(out, array.as_string::<i64>().value(row));
            true
        }
        DataType::Utf8View => {
            write_json_string(out, array.as_string_view().value(row));
            true
        }
        DataType::Timestamp(unit, _) => {
            let micros = match unit {
                TimeUnit::Second => array
                    .as_primitive::<TimestampSecondType>()
                    .value(row)
                    .saturating_mul(1_000_000),
                TimeUnit::Millisecond => array
                    .as_primitive::<TimestampMillisecondType>()
                    .value(row)
                    .saturating_mul(1_000),
                TimeUnit::Microsecond => {
                    array.as_primitive::<TimestampMicrosecondType>().value(row)
                }
                TimeUnit::Nanosecond => array
                    .as_primitive::<TimestampNanosecondType>()
                    .value(row)
                    .div_euclid(1_000),
            };
            quoted(out, quote, |out| write_time(out, micros));
            true
        }
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().value(row);
            quoted(out, quote, |out| write_date(out, i64::from(days)));
            true
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            write_list(out, items.as_ref());
            true
        }
        DataType::LargeList(_) => {
            let items = array.as_list::<i64>().value(row);
            write_list(out, items.as_ref());
            true
        }
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let mut sorted: Vec<(String, usize)> = (0..entries.len())
                .map(|i| {
                    let mut key = String::new();
                    write_value(&mut key, keys.as_ref(), i);
                    (key, i)
                })
                .collect();
            sorted.sort();
            out.push('{');
            for (at, (key, i)) in sorted.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_json_string(out, key);
                out.push(':');
                write_json(out, values.as_ref(), *i);
            }
            out.push('}');
            true
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct();
            out.push('{');
            for (at, field) in fields.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_json_string(out, field.name());
                out.push(':');
                write_json(out, columns.column(at).as_ref(), row);
            }
            out.push('}');
            true
        }
        _ => match arrow::util::display::array_value_to_string(array, row) {
            Ok(text) => {
                if quote {
                    write_json_string(out, &text);
                } else {
                    out.push_str(&text);
                }
                true
            }
            Err(_) => false,
        },
    }
}

fn quoted(out: &mut String, quote: bool, write: impl FnOnce(&mut String)) {
    if quote {
        out.push('"');
    }
    write(out);
    if quote {
        out.push('"');
    }
}

fn write_list(out: &mut String, items: &dyn Array) {
    out.push('[');
    for i in 0..items.len() {
        if i > 0 {
            out.push(',');
        }
        write_json(out, items, i);
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, StringArray, TimestampMillisecondArray};

    fn text(array: &dyn Array) -> Option<String> {
        let mut out = String::new();
        write_value(&mut out, array, 0).then_some(out)
    }

    #[test]
    fn doubles_have_a_decimal_and_no_exponent() {
        for (value, want) in [
            (129.99, "129.99"),
            (0.0, "0.0"),
            (-0.0, "0.0"),
            (12.5, "12.5"),
            (3.0, "3.0"),
            (1e21, "1000000000000000000000.0"),
            (1e-7, "0.0000001"),
        ] {
            assert_eq!(
                text(&Float64Array::from(vec![value])).as_deref(),
                Some(want)
            );
        }
        assert_eq!(text(&Float64Array::from(vec![f64::NAN])), None);
    }

    #[test]
    fn times_have_milliseconds_and_z() {
        for (ms, want) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_742_986_606_700, "2025-03-26T10:56:46.700Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        ] {
            assert_eq!(
                text(&TimestampMillisecondArray::from(vec![ms])).as_deref(),
                Some(want)
            );
        }
    }

    #[test]
    fn strings_stand_as_they_are_and_are_escaped_in_json() {
        let array = StringArray::from(vec!["a\"b\\\n\u{1}ü"]);
        assert_eq!(text(&array).as_deref(), Some("a\"b\\\n\u{1}ü"));
        let mut json = String::new();
        write_json(&mut json, &array, 0);
        assert_eq!(json, "\"a\\\"b\\\\\\n\\u0001ü\"");
    }
}
