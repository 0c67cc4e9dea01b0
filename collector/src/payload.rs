//! Requests to parameters: the query of a GET, the JSON of a POST.

use crate::bad::{Failure, Reason};
use crate::iglu::Schema;
use crate::params::{Name, Params, find};
use percent_encoding::percent_decode;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The parameter that a cross-site proxy or pixel may add: the network user's id.
const NUID: &str = "nuid";

/// One part of a query, decoded: `+` is a space, and what is percent-encoded is UTF-8.
///
/// # Errors
/// It is no UTF-8.
pub fn form_decode(text: &str) -> Result<Cow<'_, str>, std::str::Utf8Error> {
    if !text.contains('+') {
        return percent_decode(text.as_bytes()).decode_utf8();
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8()?;
    Ok(Cow::Owned(decoded.into_owned()))
}

/// Names and values of a query, as they stand.
pub fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((part, "")))
}

/// Reads the parameters of a query. Names that are none are passed over: proxies add some.
///
/// # Errors
/// A value is no UTF-8.
pub fn query(query: &str) -> Result<Params<'_>, Failure> {
    let mut params = Params::default();
    for (name, value) in pairs(query) {
        if let Name::Known(param) = find(name) {
            let value = form_decode(value)
                .map_err(|_| Failure::new(Reason::Parameter, format!("'{name}' is not UTF-8")))?;
            params.set(param, value);
        }
    }
    Ok(params)
}

/// The network user's id that a query names.
#[must_use]
pub fn query_nuid(query: &str) -> Option<Cow<'_, str>> {
    let (_, value) = pairs(query).find(|(name, _)| *name == NUID)?;
    form_decode(value).ok().filter(|value| !value.is_empty())
}

/// What a POST's body is: its schema's address, and its events as `D` reads them.
#[derive(serde::Deserialize)]
struct Envelope<'a, D> {
    #[serde(borrow)]
    schema: Cow<'a, str>,
    data: D,
}

/// True for the address of payload_data.
fn is_payload_data(address: &str) -> bool {
    Schema::parse(address).is_some_and(|schema| {
        schema.vendor == "com.snowplowanalytics.snowplow"
            && schema.name == "payload_data"
            && schema.version.starts_with("1-0-")
    })
}

/// How many events are read in one go: as many as a browser's tracker sends together, and few
/// enough that what they take is little beside the body.
const TOGETHER_MAX: usize = 64;

/// Reads the events of a POST in one pass over the body. `None` where there are many, or where
/// anything is not as it must be; [`events`] and [`event`] then say what.
#[must_use]
pub fn sound_events(body: &[u8]) -> Option<Vec<Params<'_>>> {
    let body = std::str::from_utf8(body).ok()?;
    let envelope: Envelope<'_, Sound<'_>> = serde_json::from_str(body).ok()?;
    let events = envelope.data.0;
    (is_payload_data(&envelope.schema) && !events.is_empty()).then_some(events)
}

/// Events of which none has anything wrong.
struct Sound<'a>(Vec<Params<'a>>);

impl<'de> Deserialize<'de> for Sound<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(SoundVisitor)
    }
}

struct SoundVisitor;

impl<'de> Visitor<'de> for SoundVisitor {
    type Value = Sound<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        use serde::de::Error as _;
        let mut events = Vec::new();
        while let Some(read) = seq.next_element::<Read<'de>>()? {
            if read.wrong.is_some() || events.len() == TOGETHER_MAX {
                return Err(A::Error::custom("not in one go"));
            }
            events.push(read.params);
        }
        Ok(Sound(events))
    }
}

/// The JSON of a POST's events, each as it stands.
///
/// # Errors
/// The body is no JSON, no payload_data, or holds no event.
pub fn events(body: &[u8]) -> Result<Vec<&RawValue>, Failure> {
    let wrong = |message: String| Failure::new(Reason::Payload, message);
    let envelope: Envelope<'_, Vec<&RawValue>> = serde_json::from_slice(body).map_err(|error| {
        wrong(format!(
            "the body is not {{schema, data: [events]}}: line {}, column {}",
            error.line(),
            error.column()
        ))
    })?;
    if !is_payload_data(&envelope.schema) {
        return Err(wrong(
            "its schema is not iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-*"
                .to_owned(),
        ));
    }
    if envelope.data.is_empty() {
        return Err(wrong("it holds no event".to_owned()));
    }
    Ok(envelope.data)
}

/// Reads one event of a POST. As payload_data has it, every value is a string and every name one
/// of the protocol's.
///
/// # Errors
/// It is no object, or holds what payload_data does not have.
pub fn event(json: &RawValue) -> Result<Params<'_>, Failure> {
    let read: Read<'_> = serde_json::from_str(json.get()).map_err(|error| {
        let message = format!("the event is no object of texts: column {}", error.column());
        Failure::new(Reason::Payload, message)
    })?;
    match read.wrong {
        None => Ok(read.params),
        Some(message) => Err(Failure::new(Reason::Parameter, message)),
    }
}

struct Read<'a> {
    params: Params<'a>,
    wrong: Option<String>,
}

impl<'de> Deserialize<'de> for Read<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ReadVisitor)
    }
}

struct ReadVisitor;

impl<'de> Visitor<'de> for ReadVisitor {
    type Value = Read<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut params = Params::default();
        let mut wrong: Option<String> = None;
        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            let name = name.unwrap_or_default();
            let Text(value) = map.next_value()?;
            match (find(&name), value) {
                (Name::Known(param), Some(value)) => params.set(param, value),
                (Name::Ignored, Some(_)) => {}
                (Name::Unknown, _) => {
                    wrong.get_or_insert_with(|| format!("'{}' is no parameter", short(&name)));
                }
                (_, None) => {
                    wrong.get_or_insert_with(|| format!("'{}' is no text", short(&name)));
                }
            }
        }
        Ok(Read { params, wrong })
    }
}

/// The most characters of a name that a message repeats.
const NAME_SHOWN: usize = 64;

fn short(name: &str) -> String {
    name.chars().take(NAME_SHOWN).collect()
}

/// A JSON text, borrowed where it can be; `None` for what is another value.
struct Text<'a>(Option<Cow<'a, str>>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(text))))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Param;

    fn read(json: &str) -> Result<Params<'static>, Failure> {
        let raw: Box<RawValue> = serde_json::from_str(json).expect("JSON");
        event(Box::leak(raw))
    }

    #[test]
    fn queries_are_read_as_forms() {
        let params = query("e=pv&page=a+b%20%C3%A9&url=&e=pp&zz=1&=x&&uid").expect("reads");
        assert_eq!(params.get(Param::E), Some("pp"));
        assert_eq!(params.get(Param::Page), Some("a b é"));
        assert_eq!(params.get(Param::Url), None);
        assert_eq!(params.get(Param::Uid), None);
        let failure = query("e=pv&uid=%ff").expect_err("no UTF-8");
        assert_eq!(failure.message, "'uid' is not UTF-8");
        // A sign that is no encoding stands for itself.
        assert_eq!(
            query("uid=100%").expect("reads").get(Param::Uid),
            Some("100%")
        );
        assert_eq!(query_nuid("a=b&nuid=x%20y").as_deref(), Some("x y"));
        assert_eq!(query_nuid("nuid="), None);
    }

    #[test]
    fn events_are_objects_of_texts() {
        let params =
            read(r#"{"e":"pv","tv":"x","page":"a\nb","ad_ba":"1","e":"pp"}"#).expect("reads");
        assert_eq!(params.get(Param::E), Some("pp"));
        assert_eq!(params.get(Param::Page), Some("a\nb"));
        for (wrong, message) in [
            (r#"{"e":1}"#, "'e' is no text"),
            (r#"{"e":1.5}"#, "'e' is no text"),
            (r#"{"e":-1}"#, "'e' is no text"),
            (r#"{"e":null}"#, "'e' is no text"),
            (r#"{"e":true}"#, "'e' is no text"),
            (r#"{"e":[[{"a":1}]]}"#, "'e' is no text"),
            (r#"{"e":{"a":[]}}"#, "'e' is no text"),
            (r#"{"e":"pv","nope":"1"}"#, "'nope' is no parameter"),
        ] {
            assert_eq!(read(wrong).expect_err(wrong).message, message, "{wrong}");
        }
        for wrong in ["[]", "1", "null", "\"e\"", "{\"e\":1e999}"] {
            assert_eq!(
                read(wrong).expect_err(wrong).reason,
                Reason::Payload,
                "{wrong}"
            );
        }
    }

    #[test]
    fn bodies_are_payload_data() {
        let body = |schema: &str, data: &str| format!(r#"{{"schema":"{schema}","data":{data}}}"#);
        let good = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4";
        let text = body(good, r#"[{"e":"pv"}, {"e":"pp"}]"#);
        let got = events(text.as_bytes()).expect("reads");
        assert_eq!(got[1].get(), r#"{"e":"pp"}"#);
        for wrong in [
            String::new(),
            "[]".to_owned(),
            body(good, "[]"),
            body(good, "{}"),
            body("iglu:com.acme/payload_data/jsonschema/1-0-4", "[{}]"),
            body(
                "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/2-0-0",
                "[{}]",
            ),
            body(good, "[{}]")[..20].to_owned(),
            body(good, "[{}]") + "x",
        ] {
            assert_eq!(
                events(wrong.as_bytes()).expect_err(&wrong).reason,
                Reason::Payload
            );
        }
        assert!(events(b"\xff\xfe{").is_err());
    }

    type Pairs = Vec<(&'static str, String)>;

    fn pairs_of(params: &Params<'_>) -> Pairs {
        let pairs = params.iter();
        pairs
            .map(|(_, name, value)| (name, value.to_owned()))
            .collect()
    }

    /// Names and values of all events, or nothing where anything is wrong with one.
    fn apart(body: &[u8]) -> Option<Vec<Pairs>> {
        let raw = events(body).ok()?;
        let read: Result<Vec<_>, _> = raw.into_iter().map(event).collect();
        Some(read.ok()?.iter().map(pairs_of).collect())
    }

    fn together(body: &[u8]) -> Option<Vec<Pairs>> {
        Some(sound_events(body)?.iter().map(pairs_of).collect())
    }

    #[test]
    fn many_events_are_not_read_in_one_go() {
        let body = |count: usize| {
            let events = vec![r#"{"e":"pv"}"#; count].join(",");
            format!(
                r#"{{"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4","data":[{events}]}}"#
            )
        };
        let (few, many) = (body(TOGETHER_MAX), body(TOGETHER_MAX + 1));
        assert_eq!(
            sound_events(few.as_bytes()).map(|events| events.len()),
            Some(TOGETHER_MAX)
        );
        assert!(sound_events(many.as_bytes()).is_none());
        assert!(events(many.as_bytes()).is_ok());
    }

    proptest::proptest! {
        /// Events read in one go are those that are read one by one, and they are read in one go
        /// exactly where nothing is wrong with any.
        #[test]
        fn in_one_go_is_as_one_by_one(
            events in proptest::collection::vec(proptest::collection::vec((
                proptest::sample::select(vec!["e", "uid", "co", "ad_x", "mac", "nope", "é\"\n"]),
                proptest::sample::select(vec!["\"pv\"", "\"a\\n\\u00e9\\\"\"", "\"\"", "1", "null", "{\"a\":[]}", "\"\\ud800\"", "x"]),
            ), 0..4), 0..4),
            schema in proptest::sample::select(vec![
                "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
                "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/2-0-0",
            ]),
            cut in 0_usize..200,
        ) {
            let object = |pairs: &Vec<(&str, &str)>| {
                let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{}:{value}", serde_json::json!(name))).collect();
                format!("{{{}}}", pairs.join(","))
            };
            let events: Vec<String> = events.iter().map(object).collect();
            let body = format!(r#"{{"data":[{}],"more":0,"schema":"{schema}"}}"#, events.join(", "));
            let all = body.as_bytes();
            proptest::prop_assert_eq!(together(all), apart(all));
            // Most cuts are beyond the end of these short bodies, so that whole ones are seen too.
            let part = all.get(..cut).unwrap_or(all);
            proptest::prop_assert_eq!(together(part), apart(part));
        }
    }
}
