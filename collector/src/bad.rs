//! Bad rows: what came and is no sound event, with the reason, as JSON.

use crate::params::Params;
use crate::time::write_rfc3339;
use std::fmt;

/// The most bytes of a request's text that a bad row repeats.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// Why an event, or a whole request, is bad. The names are what a bad row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The path names no protocol that is spoken here.
    Path,
    /// The body's kind is not JSON.
    ContentType,
    /// The body does not unpack, is no JSON, or no payload_data.
    Payload,
    /// The payload, or what becomes of an event, is too large.
    Size,
    /// A parameter is missing, unknown or not as it must be.
    Parameter,
    /// Entities or a self-describing event do not read.
    SelfDescribing,
    /// The collector has a defect that this event meets.
    Defect,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Path,
        Self::ContentType,
        Self::Payload,
        Self::Size,
        Self::Parameter,
        Self::SelfDescribing,
        Self::Defect,
    ];

    /// The name in bad rows and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Path => "unknown_path",
            Self::ContentType => "content_type",
            Self::Payload => "malformed_payload",
            Self::Size => "size_violation",
            Self::Parameter => "invalid_parameter",
            Self::SelfDescribing => "invalid_self_describing_json",
            Self::Defect => "collector_defect",
        }
    }
}

/// An event is bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind.
    pub reason: Reason,
    /// What is wrong, for people. It repeats no value: values may be personal.
    pub message: String,
}

impl Failure {
    /// A failure of a kind.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.name(), self.message)
    }
}

/// What is known of a bad event.
#[derive(Debug, Clone, Copy)]
pub enum Evidence<'a> {
    /// What came, as bytes.
    Bytes(&'a [u8]),
    /// The parameters that were read.
    Params(&'a Params<'a>),
}

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// When it came, in milliseconds since the epoch.
    pub collector_ms: i64,
    /// Its path.
    pub path: &'a str,
    /// Its user agent.
    pub user_agent: Option<&'a str>,
}

/// Appends a bad row, without a line end.
pub fn write(out: &mut Vec<u8>, failure: &Failure, origin: &Origin<'_>, evidence: Evidence<'_>) {
    out.extend_from_slice(b"{\"collector_tstamp\":\"");
    write_rfc3339(out, origin.collector_ms);
    out.extend_from_slice(b"\",\"failure\":");
    text(out, failure.reason.name());
    out.extend_from_slice(b",\"message\":");
    text(out, &failure.message);
    out.extend_from_slice(b",\"path\":");
    text(out, &cut(origin.path.as_bytes()));
    if let Some(user_agent) = origin.user_agent {
        out.extend_from_slice(b",\"useragent\":");
        text(out, &cut(user_agent.as_bytes()));
    }
    match evidence {
        Evidence::Bytes(bytes) => {
            out.extend_from_slice(b",\"payload\":");
            text(out, &cut(bytes));
            out.extend_from_slice(format!(",\"payload_bytes\":{}}}", bytes.len()).as_bytes());
        }
        Evidence::Params(params) => {
            out.extend_from_slice(b",\"event\":{");
            let mut room = PAYLOAD_BYTES_MAX;
            for (at, (_, name, value)) in params.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                text(out, name);
                out.push(b':');
                let part = cut_to(value.as_bytes(), room);
                room -= part.len().min(room);
                text(out, &part);
            }
            out.extend_from_slice(b"}}");
        }
    }
}

fn cut(bytes: &[u8]) -> String {
    cut_to(bytes, PAYLOAD_BYTES_MAX)
}

/// The first bytes, as text; what is no UTF-8 is replaced.
fn cut_to(bytes: &[u8], most: usize) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(most)]).into_owned()
}

/// Appends a text as a JSON string.
pub(crate) fn text(out: &mut Vec<u8>, value: &str) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Param;
    use serde_json::Value;

    const ORIGIN: Origin<'_> = Origin {
        collector_ms: 0,
        path: "/i",
        user_agent: Some("a \"b\""),
    };

    fn row_of(evidence: Evidence<'_>) -> Value {
        let mut out = Vec::new();
        let failure = Failure::new(Reason::Parameter, "e is missing");
        write(&mut out, &failure, &ORIGIN, evidence);
        assert!(!out.contains(&b'\n'));
        serde_json::from_slice(&out).expect("JSON")
    }

    #[test]
    fn a_row_holds_reason_place_and_evidence() {
        let mut params = Params::default();
        params.set(Param::Uid, "é\n".into());
        let row = row_of(Evidence::Params(&params));
        assert_eq!(row["failure"], "invalid_parameter");
        assert_eq!(row["message"], "e is missing");
        assert_eq!(row["collector_tstamp"], "1970-01-01T00:00:00Z");
        assert_eq!(row["path"], "/i");
        assert_eq!(row["useragent"], "a \"b\"");
        assert_eq!(row["event"], serde_json::json!({ "uid": "é\n" }));
    }

    #[test]
    fn bytes_are_cut_and_made_text() {
        let of_bytes = |bytes: &[u8]| row_of(Evidence::Bytes(bytes));
        let row = of_bytes(b"\xff\x00a");
        assert_eq!(row["payload"], "\u{fffd}\u{0}a");
        assert_eq!(row["payload_bytes"], 3);
        let long = "é".repeat(PAYLOAD_BYTES_MAX);
        let row = of_bytes(long.as_bytes());
        assert_eq!(row["payload_bytes"], 2 * PAYLOAD_BYTES_MAX);
        assert!(row["payload"].as_str().expect("text").len() <= PAYLOAD_BYTES_MAX + 3);
        let mut params = Params::default();
        params.set(Param::Uid, "x".repeat(PAYLOAD_BYTES_MAX).into());
        params.set(Param::Url, "y".into());
        let row = row_of(Evidence::Params(&params));
        assert_eq!(row["event"]["url"], "");
    }
}
