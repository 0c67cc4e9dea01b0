//! Flink's functions over times.

use super::calendar::Civil;
use super::java_pattern::Pattern;
use super::scalar::{Function, Kind, integer_at, rows_of, text_at, time_at};
use arrow::array::{ArrayRef, Int32Array, Int64Array, StringViewArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::logical_expr::ScalarUDF;
use std::collections::HashMap;
use std::sync::Arc;

const MILLIS: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

/// DATE_FORMAT(ts, pattern): a time as text by Java's pattern; NULL for a pattern that is not
/// valid.
pub(super) fn date_format() -> ScalarUDF {
    let kinds = [Kind::Time, Kind::Text];
    Function::new("date_format", &kinds, 0, DataType::Utf8View, |args| {
        let mut patterns = Patterns::default();
        let texts = (0..rows_of(args)).map(|row| {
            let (time, pattern) = (time_at(&args[0], row)?, text_at(&args[1], row)?);
            Some(patterns.get(pattern)?.format(time))
        });
        Arc::new(texts.collect::<StringViewArray>()) as ArrayRef
    })
    .udf()
}

/// UNIX_TIMESTAMP(s[, pattern]): seconds since the epoch of a text in UTC; NULL where it does not
/// fit the pattern (`yyyy-MM-dd HH:mm:ss` unless given).
pub(super) fn unix_timestamp() -> ScalarUDF {
    let kinds = [Kind::Text, Kind::Text];
    Function::new("unix_timestamp", &kinds, 1, DataType::Int64, |args| {
        let mut patterns = Patterns::default();
        let seconds = (0..rows_of(args)).map(|row| {
            let text = text_at(&args[0], row)?;
            let pattern = match args.get(1) {
                Some(pattern) => text_at(pattern, row)?,
                None => "yyyy-MM-dd HH:mm:ss",
            };
            Some(patterns.get(pattern)?.parse(text)?.div_euclid(1_000_000))
        });
        Arc::new(seconds.collect::<Int64Array>()) as ArrayRef
    })
    .udf()
}

/// TO_TIMESTAMP_LTZ(n[, precision]): the time that is n seconds (precision 0) or milliseconds
/// (3, also unless given) after the epoch; NULL for another precision.
pub(super) fn to_timestamp_ltz() -> ScalarUDF {
    let kinds = [Kind::Integer, Kind::Integer];
    Function::new("to_timestamp_ltz", &kinds, 1, MILLIS, |args| {
        let times = (0..rows_of(args)).map(|row| {
            let value = integer_at(&args[0], row)?;
            match args.get(1).map_or(Some(3), |p| integer_at(p, row))? {
                0 => value.checked_mul(1_000),
                3 => Some(value),
                _ => None,
            }
        });
        Arc::new(times.collect::<TimestampMillisecondArray>()) as ArrayRef
    })
    .udf()
}

/// TIMESTAMPDIFF(unit, a, b): whole units from a to b; NULL for an unknown unit.
pub(super) fn timestampdiff() -> ScalarUDF {
    let kinds = [Kind::Text, Kind::Time, Kind::Time];
    Function::new("timestampdiff", &kinds, 0, DataType::Int32, |args| {
        let differences = (0..rows_of(args)).map(|row| {
            let unit = Unit::of(text_at(&args[0], row)?)?;
            let (a, b) = (time_at(&args[1], row)?, time_at(&args[2], row)?);
            let difference = match unit {
                Unit::Micros(length) => b.checked_sub(a)? / length,
                Unit::Months(count) => Civil::of(a).months_until(Civil::of(b)) / count,
            };
            i32::try_from(difference).ok()
        });
        Arc::new(differences.collect::<Int32Array>()) as ArrayRef
    })
    .udf()
}

/// TIMESTAMPADD(unit, n, ts): n units later; NULL for an unknown unit.
pub(super) fn timestampadd() -> ScalarUDF {
    let kinds = [Kind::Text, Kind::Integer, Kind::Time];
    Function::new("timestampadd", &kinds, 0, MILLIS, |args| {
        let times = (0..rows_of(args)).map(|row| {
            let unit = Unit::of(text_at(&args[0], row)?)?;
            let (count, time) = (integer_at(&args[1], row)?, time_at(&args[2], row)?);
            let micros = match unit {
                Unit::Micros(length) => time.checked_add(count.checked_mul(length)?)?,
                Unit::Months(months) => Civil::of(time)
                    .plus_months(count.checked_mul(months)?)?
                    .to_micros()?,
            };
            Some(micros.div_euclid(1_000))
        });
        Arc::new(times.collect::<TimestampMillisecondArray>()) as ArrayRef
    })
    .udf()
}

/// A unit of TIMESTAMPDIFF and TIMESTAMPADD.
#[derive(Debug, Clone, Copy)]
enum Unit {
    Micros(i64),
    Months(i64),
}

impl Unit {
    fn of(name: &str) -> Option<Self> {
        let name = name.to_ascii_uppercase();
        Some(match name.strip_prefix("SQL_TSI_").unwrap_or(&name) {
            "MILLISECOND" => Self::Micros(1_000),
            "SECOND" => Self::Micros(1_000_000),
            "MINUTE" => Self::Micros(60_000_000),
            "HOUR" => Self::Micros(3_600_000_000),
            "DAY" => Self::Micros(86_400_000_000),
            "WEEK" => Self::Micros(7 * 86_400_000_000),
            "MONTH" => Self::Months(1),
            "QUARTER" => Self::Months(3),
            "YEAR" => Self::Months(12),
            _ => return None,
        })
    }
}

/// Whether TIMESTAMPDIFF and TIMESTAMPADD know a unit.
pub(crate) fn is_unit(name: &str) -> bool {
    Unit::of(name).is_some()
}

#[derive(Default)]
struct Patterns<'a>(HashMap<&'a str, Option<Pattern>>);

impl<'a> Patterns<'a> {
    fn get(&mut self, pattern: &'a str) -> Option<&Pattern> {
        self.0
            .entry(pattern)
            .or_insert_with(|| Pattern::new(pattern).ok())
            .as_ref()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::scalar::call;
    use super::*;
    use datafusion::common::ScalarValue;

    fn time(text: &str) -> ScalarValue {
        let pattern = Pattern::new("yyyy-MM-dd HH:mm:ss").unwrap();
        ScalarValue::TimestampMicrosecond(pattern.parse(text), None)
    }

    #[test]
    fn times_become_text_and_texts_become_seconds() {
        let args = [time("2024-03-01 09:05:07"), "dd.MM.yy HH:mm".into()];
        assert_eq!(
            call(&date_format(), &args).unwrap(),
            ScalarValue::Utf8View(Some("01.03.24 09:05".into()))
        );
        for (args, want) in [
            (vec!["1970-01-02 00:00:01".into()], Some(86_401)),
            (vec!["1969-12-31 23:59:59".into()], Some(-1)),
            (vec!["02/01/1970".into(), "dd/MM/yyyy".into()], Some(86_400)),
            (vec!["tomorrow".into()], None),
            (vec!["1970".into(), "YYYY".into()], None),
        ] {
            assert_eq!(
                call(&unix_timestamp(), &args).unwrap(),
                ScalarValue::Int64(want),
                "{args:?}"
            );
        }
    }

    #[test]
    fn numbers_become_times_by_their_precision() {
        let long = |n| ScalarValue::Int64(Some(n));
        for (args, want) in [
            // The example of Flink's documentation: 1000 with precision 0.
            (vec![long(1_000), long(0)], Some(1_000_000)),
            (vec![long(1_000), long(3)], Some(1_000)),
            (vec![long(1_000)], Some(1_000)),
            (vec![long(1_000), long(6)], None),
            (vec![long(i64::MAX), long(0)], None),
        ] {
            assert_eq!(
                call(&to_timestamp_ltz(), &args).unwrap(),
                ScalarValue::TimestampMillisecond(want, None),
                "{args:?}"
            );
        }
    }

    #[test]
    fn differences_and_sums_by_unit() {
        for (unit, from, to, want) in [
            // The example of Flink's documentation.
            ("DAY", "2003-01-02 10:00:00", "2003-01-03 10:00:00", Some(1)),
            ("DAY", "2003-01-03 10:00:00", "2003-01-02 10:00:01", Some(0)),
            (
                "second",
                "2003-01-03 10:00:00",
                "2003-01-03 09:59:00",
                Some(-60),
            ),
            (
                "MONTH",
                "2003-01-31 10:00:00",
                "2003-03-01 10:00:00",
                Some(1),
            ),
            (
                "YEAR",
                "2003-03-01 10:00:00",
                "2005-03-01 10:00:00",
                Some(2),
            ),
            ("EON", "2003-03-01 10:00:00", "2005-03-01 10:00:00", None),
        ] {
            let args = [unit.into(), time(from), time(to)];
            let got = call(&timestampdiff(), &args).unwrap();
            assert_eq!(got, ScalarValue::Int32(want), "{unit}");
        }
        for (unit, count, want) in [
            // The example of Flink's documentation: a week after 2003-01-02.
            ("WEEK", 1, "2003-01-09 00:00:00"),
            ("MONTH", -2, "2002-11-02 00:00:00"),
            ("MINUTE", 90, "2003-01-02 01:30:00"),
        ] {
            let count = ScalarValue::Int64(Some(count));
            let args = [unit.into(), count, time("2003-01-02 00:00:00")];
            let got = call(&timestampadd(), &args).unwrap();
            assert_eq!(got, time(want).cast_to(&MILLIS).unwrap(), "{unit}");
        }
    }
}
