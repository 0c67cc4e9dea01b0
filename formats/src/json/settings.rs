//! The options of the format.

use super::decoder::RECORD_BYTES_MAX;
use tidewheel_core::{ConnectorError, Options};

/// What the options say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// A value of a wrong type makes its record bad; else it is NULL.
    pub(crate) type_errors_are_bad: bool,
    /// A record without a column's key is bad; else the column is NULL.
    pub(crate) fail_on_missing: bool,
    /// Most bytes of a record.
    pub(crate) record_bytes_max: usize,
}

/// The options that the format knows. Those of writing are read by sinks; what
/// `json.map-null-key.mode` chooses cannot occur.
pub(crate) const OPTIONS: &[&str] = &[
    "json.type-errors",
    "json.max-record-bytes",
    "json.ignore-parse-errors",
    "json.fail-on-missing-field",
    "json.timestamp-format.standard",
    "json.encode.decimal-as-plain-number",
    "json.encode.ignore-null-fields",
    "json.map-null-key.mode",
    "json.map-null-key.literal",
];

impl Settings {
    pub(crate) fn new(options: &Options) -> Result<Self, ConnectorError> {
        // Read so that a typing error is found; times are read in both forms anyway.
        options.word(
            "json.timestamp-format.standard",
            &["SQL", "ISO-8601"],
            "SQL",
        )?;
        let ignore = options.boolean("json.ignore-parse-errors")?;
        let fail_on_missing = options
            .boolean("json.fail-on-missing-field")?
            .unwrap_or(false);
        if fail_on_missing && ignore == Some(true) {
            return Err(ConnectorError::option(
                "json.fail-on-missing-field",
                "cannot be 'true' together with 'json.ignore-parse-errors'; write one of the two",
            ));
        }
        // In Flink 'false' stops the job at the first such value: a bad row comes nearest.
        let default = if ignore == Some(false) {
            "bad-row"
        } else {
            "null"
        };
        let type_errors = options.word("json.type-errors", &["null", "bad-row"], default)?;
        let record_bytes_max = match options.bytes("json.max-record-bytes")? {
            None => RECORD_BYTES_MAX,
            Some(bytes) => usize::try_from(bytes)
                .ok()
                .filter(|bytes| (1..=i32::MAX as usize).contains(bytes))
                .ok_or_else(|| {
                    ConnectorError::option("json.max-record-bytes", "write 1 to 2147483647 bytes")
                })?,
        };
        Ok(Self {
            type_errors_are_bad: type_errors == "bad-row",
            fail_on_missing,
            record_bytes_max,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::new(&pairs.iter().copied().collect()).map_err(|error| error.message)
    }

    #[test]
    fn options_of_flink_are_understood() {
        assert!(!settings(&[]).unwrap().type_errors_are_bad);
        let bad = |pairs| settings(pairs).unwrap().type_errors_are_bad;
        assert!(!bad(&[("json.ignore-parse-errors", "true")]));
        assert!(bad(&[("json.ignore-parse-errors", "false")]));
        assert!(bad(&[
            ("json.type-errors", "bad-row"),
            ("json.ignore-parse-errors", "true")
        ]));
        assert!(!bad(&[
            ("json.type-errors", "null"),
            ("json.ignore-parse-errors", "false")
        ]));
        assert!(
            settings(&[("json.fail-on-missing-field", "true")])
                .unwrap()
                .fail_on_missing
        );
    }

    #[test]
    fn wrong_options_are_refused_with_advice() {
        for (pairs, advice) in [
            (&[("json.type-errors", "zero")][..], "null, bad-row"),
            (
                &[("json.timestamp-format.standard", "RFC")],
                "SQL, ISO-8601",
            ),
            (&[("json.max-record-bytes", "0")], "1 to"),
            (
                &[
                    ("json.fail-on-missing-field", "true"),
                    ("json.ignore-parse-errors", "true"),
                ],
                "one of the two",
            ),
        ] {
            let message = settings(pairs).unwrap_err();
            assert!(message.contains(advice), "{message}");
        }
    }
}
