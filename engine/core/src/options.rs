//! The options of a table's WITH clause.

use std::collections::BTreeMap;
use std::time::Duration;

/// An option's value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("option '{option}': {message}")]
pub struct OptionError {
    /// The option.
    pub option: String,
    /// What is wrong with its value and what would do.
    pub message: String,
}

/// Names and values of options, `${NAME:-default}` replaced already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options(BTreeMap<String, String>);

impl Options {
    /// The value of an option.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value of an option, or `default`.
    #[must_use]
    pub fn get_or<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.get(name).unwrap_or(default)
    }

    /// Sets an option.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// Removes an option.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// All options, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The options whose names begin with `prefix`, the prefix cut off.
    pub fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> + 'a {
        self.iter()
            .filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value)))
    }

    /// A duration such as `500 ms`, `5 s`, `10 min`, `2 h`, `30 d`.
    ///
    /// # Errors
    /// The value is no duration.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>, OptionError> {
        self.parsed(
            name,
            parse_duration,
            "a duration such as '500 ms', '5 s', '10 min', '2 h'",
        )
    }

    /// A whole number, not negative.
    ///
    /// # Errors
    /// The value is no such number.
    pub fn number(&self, name: &str) -> Result<Option<u64>, OptionError> {
        self.parsed(
            name,
            |text| text.trim().parse().ok(),
            "a whole number such as '1000'",
        )
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// The value is neither.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, OptionError> {
        self.parsed(name, |text| text.trim().parse().ok(), "'true' or 'false'")
    }

    /// A size in bytes such as `65536`, `64 kb`, `16 mb`, `1 gb` (powers of 1024).
    ///
    /// # Errors
    /// The value is no size.
    pub fn bytes(&self, name: &str) -> Result<Option<u64>, OptionError> {
        self.parsed(name, parse_bytes, "a size such as '64 kb' or '16 mb'")
    }

    /// One of a few words.
    ///
    /// # Errors
    /// The value is none of them.
    pub fn word<'a>(
        &self,
        name: &str,
        words: &[&'a str],
        default: &'a str,
    ) -> Result<&'a str, OptionError> {
        let Some(value) = self.get(name) else {
            return Ok(default);
        };
        words
            .iter()
            .copied()
            .find(|word| *word == value)
            .ok_or_else(|| OptionError {
                option: name.to_owned(),
                message: format!("'{value}' is not known; write one of {}", words.join(", ")),
            })
    }

    fn parsed<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
        wanted: &str,
    ) -> Result<Option<T>, OptionError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        parse(value).map(Some).ok_or_else(|| OptionError {
            option: name.to_owned(),
            message: format!("'{value}' cannot be read; write {wanted}"),
        })
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Options {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// Reads `10 min`, `10min`, `1.5 s`; the units are those of Flink and their long forms.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let micros = match unit.as_str() {
        "us" | "µs" | "micro" | "micros" | "microsecond" | "microseconds" => 1.0,
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1e3,
        "s" | "sec" | "secs" | "second" | "seconds" => 1e6,
        "m" | "min" | "mins" | "minute" | "minutes" => 60e6,
        "h" | "hour" | "hours" => 3600e6,
        "d" | "day" | "days" => 86400e6,
        _ => return None,
    };
    let total = number * micros;
    (total.is_finite() && (0.0..1e18).contains(&total))
        .then(|| Duration::from_micros(total.round() as u64))
}

fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor = match unit.as_str() {
        "" | "b" | "bytes" => 1.0,
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1024.0 * 1024.0,
        "g" | "gb" | "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let total = number * factor;
    (0.0..1e18).contains(&total).then_some(total as u64)
}

fn split_unit(text: &str) -> Option<(f64, String)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim().to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_flink_writes_them() {
        for (text, ms) in [
            ("500 ms", 500),
            ("5 s", 5_000),
            ("10 min", 600_000),
            ("2h", 7_200_000),
            ("250", 250),
        ] {
            assert_eq!(
                parse_duration(text),
                Some(Duration::from_millis(ms)),
                "{text}"
            );
        }
        for text in ["", "ten min", "5 fortnights", "-1 s", "1e99 d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_wrong_value_says_what_to_write() {
        let options: Options = [("ttl", "soon")].into_iter().collect();
        let error = options.duration("ttl").expect_err("must fail");
        assert!(error.to_string().contains("'ttl'") && error.to_string().contains("'10 min'"));
        assert_eq!(options.duration("other"), Ok(None));
    }
}
