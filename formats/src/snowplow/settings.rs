//! The options of the format.

use crate::json::RECORD_BYTES_MAX;
use tidewheel_core::{ConnectorError, Options};

/// Most bytes that a packed record may hold unless `snowplow-tsv.max-batch-bytes` says otherwise.
pub(crate) const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The options that the format knows.
pub(crate) const OPTIONS: &[&str] = &[
    "snowplow-tsv.type-errors",
    "snowplow-tsv.ignore-parse-errors",
    "snowplow-tsv.max-record-bytes",
    "snowplow-tsv.max-batch-bytes",
];

/// What the options say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// A value of a wrong type makes its event bad; else it is NULL.
    pub(crate) type_errors_are_bad: bool,
    /// Most bytes of an event.
    pub(crate) record_bytes_max: usize,
    /// Most bytes of the events in a packed record.
    pub(crate) batch_bytes_max: usize,
}

impl Settings {
    pub(crate) fn new(options: &Options) -> Result<Self, ConnectorError> {
        let ignore = options.boolean("snowplow-tsv.ignore-parse-errors")?;
        let default = if ignore == Some(false) {
            "bad-row"
        } else {
            "null"
        };
        let words = &["null", "bad-row"];
        let type_errors = options.word("snowplow-tsv.type-errors", words, default)?;
        Ok(Self {
            type_errors_are_bad: type_errors == "bad-row",
            record_bytes_max: size(options, "snowplow-tsv.max-record-bytes", RECORD_BYTES_MAX)?,
            batch_bytes_max: size(options, "snowplow-tsv.max-batch-bytes", BATCH_BYTES_MAX)?,
        })
    }
}

fn size(options: &Options, name: &str, default: usize) -> Result<usize, ConnectorError> {
    let Some(bytes) = options.bytes(name)? else {
        return Ok(default);
    };
    usize::try_from(bytes)
        .ok()
        .filter(|bytes| (1..=i32::MAX as usize).contains(bytes))
        .ok_or_else(|| ConnectorError::option(name, "write 1 to 2147483647 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_wrong_ones_refused() {
        let settings = |pairs: &[(&str, &str)]| Settings::new(&pairs.iter().copied().collect());
        let plain = settings(&[]).unwrap();
        assert!(!plain.type_errors_are_bad);
        assert_eq!(plain.batch_bytes_max, BATCH_BYTES_MAX);
        let bad = |pairs| settings(pairs).unwrap().type_errors_are_bad;
        assert!(bad(&[("snowplow-tsv.type-errors", "bad-row")]));
        assert!(bad(&[("snowplow-tsv.ignore-parse-errors", "false")]));
        let small = settings(&[("snowplow-tsv.max-batch-bytes", "2 kb")]).unwrap();
        assert_eq!(small.batch_bytes_max, 2048);
        for (name, value, advice) in [
            ("snowplow-tsv.type-errors", "zero", "null, bad-row"),
            ("snowplow-tsv.max-record-bytes", "0", "1 to"),
            ("snowplow-tsv.max-batch-bytes", "3 gb", "1 to"),
        ] {
            let message = settings(&[(name, value)]).unwrap_err().message;
            assert!(message.contains(advice), "{message}");
        }
    }
}
