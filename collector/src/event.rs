//! One enriched event.

use crate::bad::{Failure, Reason};
use crate::columns::Columns;
use crate::iglu::Entity;
use crate::params::{Param, Params};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::borrow::Cow;
use std::sync::Arc;

/// The times of an event, in milliseconds since the epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// When the collector got it.
    pub collector: i64,
    /// When the collector wrote it.
    pub etl: i64,
    /// When it happened, by the device's clock.
    pub created: Option<i64>,
    /// When it was sent, by the device's clock.
    pub sent: Option<i64>,
    /// When it happened, as the tracker insists.
    pub truth: Option<i64>,
    /// When the visitor left the site before, by a clock of that time.
    pub left: Option<i64>,
}

impl Times {
    /// When it happened, as well as can be told: as the tracker insists, else the collector's
    /// clock less the time that the event waited to be sent, else the collector's clock.
    #[must_use]
    pub fn derived(&self) -> i64 {
        match (self.truth, self.created, self.sent) {
            (Some(truth), _, _) => truth,
            (None, Some(created), Some(sent)) if created < sent => {
                self.collector.saturating_sub(sent - created)
            }
            _ => self.collector,
        }
    }
}

/// An event with all that is known of it.
#[derive(Debug, Default)]
pub struct Event<'a> {
    /// Columns that are neither times nor JSON.
    pub columns: Columns<'a>,
    /// Its times.
    pub times: Times,
    /// What the tracker says about it.
    pub entities: Vec<Entity<'a>>,
    /// What it is, where it describes itself.
    pub unstruct: Option<Entity<'a>>,
    /// Entities that were derived, as a list's JSON without the brackets.
    pub derived: Option<Arc<str>>,
}

/// The texts of an event's JSON, which entities borrow from.
#[derive(Debug, Default)]
pub struct Attached<'a> {
    /// Of `co` or `cx`.
    pub contexts: Option<Cow<'a, str>>,
    /// Of `ue_pr` or `ue_px`.
    pub unstruct: Option<Cow<'a, str>>,
}

impl<'a> Attached<'a> {
    /// Takes the texts out of the parameters. Plain ones go before encoded ones.
    ///
    /// # Errors
    /// An encoded one is not base64 of UTF-8.
    pub fn of(params: &'a Params<'_>) -> Result<Self, Failure> {
        let either = |plain, encoded, name| match (params.get(plain), params.get(encoded)) {
            (Some(text), _) => Ok(Some(Cow::Borrowed(text))),
            (None, Some(text)) => decode(text, name).map(|text| Some(Cow::Owned(text))),
            (None, None) => Ok(None),
        };
        Ok(Self {
            contexts: either(Param::Co, Param::Cx, "cx")?,
            unstruct: either(Param::UePr, Param::UePx, "ue_px")?,
        })
    }
}

/// Either alphabet, padded or not: trackers differ.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn decode(text: &str, name: &str) -> Result<String, Failure> {
    let standard: Vec<u8> = text
        .trim_end_matches('=')
        .bytes()
        .map(|byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            // What a plus sign becomes in a query.
            b' ' => b'+',
            other => other,
        })
        .collect();
    let bytes = LENIENT.decode(&standard).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| {
            let message = format!("'{name}' is not base64 of UTF-8");
            Failure::new(Reason::SelfDescribing, message)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derived_time_takes_out_the_wait() {
        let times = |created, sent, truth| Times {
            collector: 10_000,
            created,
            sent,
            truth,
            ..Times::default()
        };
        for (created, sent, truth, want) in [
            (None, None, None, 10_000),
            (Some(1_000), None, None, 10_000),
            (Some(1_000), Some(3_000), None, 8_000),
            (Some(3_000), Some(3_000), None, 10_000),
            (Some(5_000), Some(3_000), None, 10_000),
            (Some(1_000), Some(3_000), Some(7), 7),
            (
                Some(crate::time::FIRST),
                Some(crate::time::LAST),
                None,
                10_000 - (crate::time::LAST - crate::time::FIRST),
            ),
        ] {
            assert_eq!(times(created, sent, truth).derived(), want);
        }
    }

    #[test]
    fn base64_is_read_in_all_its_forms() {
        for text in [
            "eyJhIjoifn4_In0",
            "eyJhIjoifn4/In0=",
            "eyJhIjoifn4_In0=",
            "eyJhIjoifn4_In0===",
        ] {
            assert_eq!(decode(text, "cx").expect(text), "{\"a\":\"~~?\"}");
        }
        assert_eq!(decode("Pj4 ", "cx").expect("reads"), ">>>");
        for wrong in ["e", "****", "_w", "eyJh\u{0}"] {
            assert!(decode(wrong, "cx").is_err(), "{wrong}");
        }
    }

    #[test]
    fn plain_goes_before_encoded() {
        let mut params = Params::default();
        params.set(Param::Cx, "****".into());
        assert!(Attached::of(&params).is_err());
        params.set(Param::Co, "{}".into());
        let attached = Attached::of(&params).expect("reads");
        assert_eq!(attached.contexts.as_deref(), Some("{}"));
        assert_eq!(attached.unstruct, None);
    }
}
