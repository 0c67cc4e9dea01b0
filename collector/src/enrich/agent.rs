//! What a user agent tells, as two entities: `ua_parser_context`, and the few fields of
//! `yauaa_context` that can be told by plain rules. Names and versions are woothee's.

use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;
use woothee::parser::{Parser, WootheeResult};

/// How many user agents are remembered. When there are more, all are forgotten: real traffic has
/// few, and what sends made-up ones must not fill the memory.
pub const REMEMBERED_MAX: usize = 4_096;

/// What woothee says where it knows nothing.
const UNKNOWN: &str = "UNKNOWN";

/// Reads user agents, each once.
#[derive(Debug, Default)]
pub struct Agents {
    known: RwLock<HashMap<Box<str>, Arc<str>>>,
}

impl Agents {
    /// The entities of a user agent: a list's JSON without the brackets.
    #[must_use]
    pub fn entities(&self, user_agent: &str) -> Arc<str> {
        if let Some(known) = self.known.read().get(user_agent) {
            return Arc::clone(known);
        }
        let read: Arc<str> = describe(user_agent).into();
        let mut known = self.known.write();
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(user_agent.into(), Arc::clone(&read));
        read
    }
}

fn known(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty() && *text != UNKNOWN)
}

fn os_family(os: &str) -> &str {
    match os {
        "Mac OSX" => "Mac OS X",
        "iPhone" | "iPad" | "iPod" => "iOS",
        "ChromeOS" => "Chrome OS",
        os if os.starts_with("Windows Phone") => "Windows Phone",
        os if os.starts_with("Windows") => "Windows",
        os => known(os).unwrap_or("Other"),
    }
}

/// Kind of device and of its operating system, in YAUAA's words.
fn classes(user_agent: &str, found: &WootheeResult<'_>) -> (&'static str, &'static str) {
    let holds = |part: &str| user_agent.contains(part);
    match found.category {
        "crawler" => ("Robot", "Cloud"),
        "appliance" if holds("PlayStation") || holds("Nintendo") || holds("Xbox") => {
            ("Game Console", "Game Console")
        }
        "appliance" => ("TV", "Embedded"),
        "mobilephone" => ("Phone", "Mobile"),
        _ if holds("iPad") || holds("Tablet") => ("Tablet", "Mobile"),
        "smartphone" if holds("Android") && !holds("Mobile") => ("Tablet", "Mobile"),
        "smartphone" => ("Phone", "Mobile"),
        "pc" => ("Desktop", "Desktop"),
        _ => ("Unknown", "Unknown"),
    }
}

fn agent_class(found: &WootheeResult<'_>) -> &'static str {
    match found.category {
        "crawler" => "Robot",
        _ if known(found.name).is_some() => "Browser",
        _ => "Unknown",
    }
}

/// The numbers of a version, at most `most`.
fn numbers(version: &str, most: usize) -> impl Iterator<Item = &str> {
    version
        .split(['.', '_'])
        .filter(|n| !n.is_empty())
        .take(most)
}

fn describe(user_agent: &str) -> String {
    let found = Parser::new().parse(user_agent).unwrap_or_default();
    let version = known(found.version).unwrap_or("");
    // For Windows the name of the system holds it.
    let os_version = match found.os.strip_prefix("Windows ") {
        Some(version) => version,
        None => known(&found.os_version).unwrap_or(""),
    };
    let browser = known(found.name).unwrap_or("Other");
    let os = os_family(found.os);
    let (device_class, os_class) = classes(user_agent, &found);
    let device = match found.os {
        "iPhone" | "iPad" | "iPod" => found.os,
        "Mac OSX" => "Mac",
        _ if found.category == "crawler" => "Spider",
        _ => "Other",
    };
    let mut uap = serde_json::Map::new();
    let mut put = |name: &str, value: &str| uap.insert(name.to_owned(), value.into());
    put("useragentFamily", browser);
    put("osFamily", os);
    put("deviceFamily", device);
    let places = ["useragentMajor", "useragentMinor", "useragentPatch"];
    for (name, number) in places.iter().zip(numbers(version, 3)) {
        put(name, number);
    }
    let places = ["osMajor", "osMinor", "osPatch", "osPatchMinor"];
    for (name, number) in places.iter().zip(numbers(os_version, 4)) {
        put(name, number);
    }
    put(
        "useragentVersion",
        format!("{browser} {version}").trim_end(),
    );
    put("osVersion", format!("{os} {os_version}").trim_end());

    let mut yauaa = serde_json::Map::new();
    let mut put = |name: &str, value: &str| {
        if !value.is_empty() {
            yauaa.insert(name.to_owned(), value.into());
        }
    };
    put("deviceClass", device_class);
    put("operatingSystemClass", os_class);
    put("operatingSystemName", os);
    put("operatingSystemVersion", os_version);
    put("agentClass", agent_class(&found));
    put("agentName", browser);
    put("agentVersion", version);
    format!(
        "{{\"schema\":\"iglu:com.snowplowanalytics.snowplow/ua_parser_context/jsonschema/1-0-0\",\"data\":{}}},\
         {{\"schema\":\"iglu:nl.basjes/yauaa_context/jsonschema/1-0-4\",\"data\":{}}}",
        serde_json::Value::Object(uap),
        serde_json::Value::Object(yauaa)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn read(user_agent: &str) -> (Value, Value) {
        let text = format!("[{}]", Agents::default().entities(user_agent));
        let entities: Value = serde_json::from_str(&text).expect("JSON");
        (entities[0]["data"].clone(), entities[1]["data"].clone())
    }

    #[test]
    fn user_agents_are_described() {
        let mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/134.0.0.0 Safari/537.36";
        let (uap, yauaa) = read(mac);
        assert_eq!(uap["useragentFamily"], "Chrome");
        assert_eq!(uap["useragentMajor"], "134");
        assert_eq!(uap["useragentVersion"], "Chrome 134.0.0.0");
        assert_eq!(
            (&uap["osFamily"], &uap["osMajor"], &uap["osPatch"]),
            (&"Mac OS X".into(), &"10".into(), &"7".into())
        );
        assert_eq!(uap["deviceFamily"], "Mac");
        assert_eq!(yauaa["deviceClass"], "Desktop");
        for (user_agent, os, device, class) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:136.0) Gecko/20100101 Firefox/136.0",
                "Windows",
                "Desktop",
                "Desktop",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Mobile/15E148 Safari/604.1",
                "iOS",
                "Phone",
                "Mobile",
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1",
                "iOS",
                "Tablet",
                "Mobile",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/134.0.0.0 Mobile Safari/537.36",
                "Android",
                "Phone",
                "Mobile",
            ),
            (
                "Mozilla/5.0 (Linux; Android 13; SM-X200) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/134.0.0.0 Safari/537.36",
                "Android",
                "Tablet",
                "Mobile",
            ),
            (
                "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
                "Other",
                "Robot",
                "Cloud",
            ),
            (
                "Mozilla/5.0 (PlayStation 4 3.11) AppleWebKit/537.73 (KHTML, like Gecko)",
                "PlayStation 4",
                "Game Console",
                "Game Console",
            ),
            ("nonsense", "Other", "Unknown", "Unknown"),
        ] {
            let (uap, yauaa) = read(user_agent);
            assert_eq!(uap["osFamily"], os, "{user_agent}");
            assert_eq!(yauaa["deviceClass"], device, "{user_agent}");
            assert_eq!(yauaa["operatingSystemClass"], class, "{user_agent}");
        }
    }

    #[test]
    fn made_up_user_agents_do_not_fill_the_memory() {
        let agents = Agents::default();
        for number in 0..REMEMBERED_MAX + 10 {
            let _ = agents.entities(&number.to_string());
        }
        assert!(agents.known.read().len() <= REMEMBERED_MAX);
    }

    proptest! {
        #[test]
        fn any_text_gives_entities(text in "\\PC{0,80}", tail in "[A-Za-z/;() .0-9_]{0,80}") {
            read(&text);
            read(&format!("Mozilla/5.0 (Windows {tail}"));
            read(&format!("Mozilla/5.0 ({tail} Mac OS X 10_{tail}) Version/{tail} Safari/{tail}"));
        }
    }
}
