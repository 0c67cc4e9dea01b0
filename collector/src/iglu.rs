//! Self-describing JSON: a schema's address beside data.

use crate::bad::{Failure, Reason};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The deepest nesting that is passed on; readers of the topic have bounds of their own.
pub const NESTING_MAX: usize = 64;

/// What entities are wrapped in.
const CONTEXTS: (&str, &str) = ("com.snowplowanalytics.snowplow", "contexts");
/// What a self-describing event is wrapped in.
const UNSTRUCT_EVENT: (&str, &str) = ("com.snowplowanalytics.snowplow", "unstruct_event");

/// The parts of `iglu:vendor/name/format/version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema<'a> {
    /// Who defines it.
    pub vendor: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Always `jsonschema` so far.
    pub format: &'a str,
    /// MODEL-REVISION-ADDITION.
    pub version: &'a str,
}

impl<'a> Schema<'a> {
    /// Reads an address; `None` where it is none.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let schema = Self::split(text)?;
        let word = |text: &str, others: &[u8]| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
        };
        let mut numbers = schema.version.split('-');
        let number = |number: Option<&str>| {
            number.is_some_and(|number| {
                !number.is_empty()
                    && number.len() <= 9
                    && number.bytes().all(|byte| byte.is_ascii_digit())
            })
        };
        let sound = word(schema.vendor, b"-_.")
            && word(schema.name, b"-_")
            && word(schema.format, b"-_")
            && number(numbers.next())
            && number(numbers.next())
            && number(numbers.next())
            && numbers.next().is_none();
        sound.then_some(schema)
    }

    /// The four parts as they stand.
    fn split(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix("iglu:")?.split('/');
        let schema = Self {
            vendor: parts.next()?,
            name: parts.next()?,
            format: parts.next()?,
            version: parts.next()?,
        };
        parts.next().is_none().then_some(schema)
    }

    /// The first number of the version.
    #[must_use]
    pub fn model(&self) -> &'a str {
        self.version.split('-').next().unwrap_or("")
    }

    fn is(&self, (vendor, name): (&str, &str)) -> bool {
        self.vendor == vendor && self.name == name && self.model() == "1"
    }
}

/// A schema's address and data as they came: sound JSON of bounded depth.
#[derive(Debug, Clone)]
pub struct Entity<'a> {
    address: Cow<'a, str>,
    /// The data's JSON.
    pub data: &'a str,
}

impl Entity<'_> {
    /// The parts of the address.
    #[must_use]
    pub fn schema(&self) -> Schema<'_> {
        // It was looked at when the entity was read.
        Schema::split(&self.address).unwrap_or(Schema {
            vendor: "",
            name: "",
            format: "",
            version: "",
        })
    }

    /// True when the data is an object.
    #[must_use]
    pub fn is_object(&self) -> bool {
        self.data.starts_with('{')
    }

    /// Appends `{"schema":…,"data":…}` on one line.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"schema\":\"");
        // An address holds nothing that would need escaping.
        out.extend_from_slice(self.address.as_bytes());
        out.extend_from_slice(b"\",\"data\":");
        write_line(out, self.data);
        out.push(b'}');
    }
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    schema: Cow<'a, str>,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct RawContexts<'a> {
    #[serde(borrow)]
    schema: Cow<'a, str>,
    #[serde(borrow)]
    data: Vec<Raw<'a>>,
}

#[derive(Deserialize)]
struct RawEvent<'a> {
    #[serde(borrow)]
    schema: Cow<'a, str>,
    #[serde(borrow)]
    data: Raw<'a>,
}

fn wrong(what: &str, why: impl std::fmt::Display) -> Failure {
    Failure::new(Reason::SelfDescribing, format!("{what}: {why}"))
}

/// Where a text does not read, without repeating it.
fn place(error: &serde_json::Error) -> String {
    format!("not as it must be at column {}", error.column())
}

fn wrapped(what: &str, address: &str, want: (&str, &str)) -> Result<(), Failure> {
    match Schema::parse(address) {
        Some(schema) if schema.is(want) => Ok(()),
        _ => Err(wrong(
            what,
            format!(
                "its schema is not iglu:{}/{}/jsonschema/1-*-*",
                want.0, want.1
            ),
        )),
    }
}

fn entity<'a>(what: &str, raw: Raw<'a>) -> Result<Entity<'a>, Failure> {
    if Schema::parse(&raw.schema).is_none() {
        return Err(wrong(
            what,
            "a schema's address is not iglu:vendor/name/format/1-0-0",
        ));
    }
    let data = raw.data.get();
    if is_too_deep(data) {
        return Err(wrong(what, format!("it nests deeper than {NESTING_MAX}")));
    }
    Ok(Entity {
        address: raw.schema,
        data,
    })
}

/// Reads the entities that an event carries.
///
/// # Errors
/// It is no sound `contexts`.
pub fn contexts(text: &str) -> Result<Vec<Entity<'_>>, Failure> {
    let raw: RawContexts<'_> =
        serde_json::from_str(text).map_err(|error| wrong("contexts", place(&error)))?;
    wrapped("contexts", &raw.schema, CONTEXTS)?;
    let entities = raw.data.into_iter();
    entities.map(|raw| entity("contexts", raw)).collect()
}

/// Reads a self-describing event.
///
/// # Errors
/// It is no sound `unstruct_event`.
pub fn unstruct_event(text: &str) -> Result<Entity<'_>, Failure> {
    let raw: RawEvent<'_> =
        serde_json::from_str(text).map_err(|error| wrong("unstruct_event", place(&error)))?;
    wrapped("unstruct_event", &raw.schema, UNSTRUCT_EVENT)?;
    entity("unstruct_event", raw.data)
}

/// True when sound JSON nests deeper than [`NESTING_MAX`].
fn is_too_deep(json: &str) -> bool {
    let opening = memchr::memchr2_iter(b'{', b'[', json.as_bytes()).take(NESTING_MAX + 1);
    if opening.count() <= NESTING_MAX {
        return false;
    }
    let (mut depth, mut deepest) = (0_usize, 0);
    walk(json, |byte| match byte {
        b'{' | b'[' => {
            depth += 1;
            deepest = deepest.max(depth);
        }
        b'}' | b']' => depth = depth.saturating_sub(1),
        _ => {}
    });
    deepest > NESTING_MAX
}

/// Calls for each byte of sound JSON that is not within a string, quotes included.
fn walk(json: &str, mut call: impl FnMut(u8)) {
    let (mut inside, mut escaped) = (false, false);
    for byte in json.bytes() {
        if inside {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => inside = false,
                _ => {}
            }
        } else {
            inside = byte == b'"';
            call(byte);
        }
    }
}

/// Appends sound JSON without the line ends and tabs between its parts. Within strings there are
/// none: JSON has them escaped.
pub fn write_line(out: &mut Vec<u8>, json: &str) {
    let bytes = json.as_bytes();
    if memchr::memchr3(b'\n', b'\r', b'\t', bytes).is_none() {
        return out.extend_from_slice(bytes);
    }
    let parts = bytes.split(|byte| matches!(byte, b'\n' | b'\r' | b'\t'));
    parts.for_each(|part| out.extend_from_slice(part));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_strictly() {
        let address = "iglu:com.acme-x/a_b-C/jsonschema/1-0-12";
        let schema = Schema::parse(address).expect("an address");
        assert_eq!((schema.vendor, schema.name), ("com.acme-x", "a_b-C"));
        assert_eq!((schema.model(), schema.version), ("1", "1-0-12"));
        for wrong in [
            "",
            "iglu:",
            "com.acme/a/jsonschema/1-0-0",
            "iglu:com.acme/a/jsonschema/1-0",
            "iglu:com.acme/a/jsonschema/1-0-0-0",
            "iglu:com.acme/a/jsonschema/1-0-x",
            "iglu:com.acme/a/jsonschema/1-0-0/b",
            "iglu:/a/jsonschema/1-0-0",
            "iglu:com.acme/a\"/jsonschema/1-0-0",
            "iglu:com acme/a/jsonschema/1-0-0",
            "iglu:com.acme/a/jsonschema/1--0",
        ] {
            assert_eq!(Schema::parse(wrong), None, "{wrong}");
        }
    }

    fn nested(depth: usize) -> String {
        format!(
            r#"{{"schema":"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0","data":{{"schema":"iglu:a/b/jsonschema/1-0-0","data":{}{}}}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        )
    }

    #[test]
    fn nesting_is_bounded_whatever_the_depth() {
        assert!(unstruct_event(&nested(NESTING_MAX)).is_ok());
        for depth in [NESTING_MAX + 1, 1_000, 200_000] {
            let failure = unstruct_event(&nested(depth)).expect_err("too deep");
            assert_eq!(failure.reason, Reason::SelfDescribing);
        }
        // Many brackets one after another, or within strings, are not deep.
        let flat = format!("[{}[]]", "[],".repeat(NESTING_MAX * 2));
        assert!(!is_too_deep(&flat));
        let text = format!("[\"\\\"{}\"]", "[".repeat(NESTING_MAX * 2));
        assert!(!is_too_deep(&text));
    }

    #[test]
    fn entities_keep_their_data_as_it_came() {
        let text = "{\"data\":[{\"data\":{\"a\" : 1.50,\n\t\"b\":\"x\\ty\"},\"schema\":\"iglu:a/b/jsonschema/1-0-0\"}],\
                    \"schema\":\"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0\"}";
        let entities = contexts(text).expect("reads");
        let mut out = Vec::new();
        entities[0].write(&mut out);
        assert_eq!(
            String::from_utf8_lossy(&out),
            r#"{"schema":"iglu:a/b/jsonschema/1-0-0","data":{"a" : 1.50,"b":"x\ty"}}"#
        );
        assert!(entities[0].is_object());
    }

    #[test]
    fn what_is_no_contexts_says_so() {
        for wrong in [
            "",
            "null",
            "[]",
            "{}",
            "{\"schema\":\"x\",\"data\":[]}",
            r#"{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/2-0-0","data":[]}"#,
            r#"{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0","data":{}}"#,
            r#"{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0","data":[{"schema":"b","data":{}}]}"#,
            r#"{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0","data":[{"schema":"iglu:a/b/jsonschema/1-0-0"}]}"#,
        ] {
            assert!(contexts(wrong).is_err(), "{wrong}");
        }
        let none = r#"{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1","data":[]}"#;
        assert!(contexts(none).expect("reads").is_empty());
    }
}
