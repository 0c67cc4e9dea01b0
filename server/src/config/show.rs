//! What is in force, for people and scripts.

use super::settings::{CLIENT_TOKEN, Kind, READ_TOKEN, SETTINGS, WRITE_TOKEN};
use super::{Config, Origin};
use serde_json::{Value, json};

/// One line of the table: setting, value, where it comes from.
pub(crate) struct Shown {
    /// Section and name.
    pub key: String,
    /// Its value; a token is never shown.
    pub value: String,
    /// Where it comes from.
    pub from: String,
}

/// All settings in force.
pub(crate) fn show(config: &Config) -> Vec<Shown> {
    let file = config.file().map(|path| path.display().to_string());
    let file = file.unwrap_or_default();
    let mut shown: Vec<Shown> = SETTINGS
        .iter()
        .map(|setting| Shown {
            key: setting.key.to_owned(),
            value: masked(setting.key, config.text(setting.key)),
            from: match config.origin(setting.key) {
                Origin::Default => "default".to_owned(),
                Origin::File => file.clone(),
                Origin::Environment(name) => (*name).to_owned(),
                Origin::Flag(flag) => flag.clone(),
            },
        })
        .collect();
    shown.extend(config.sets().into_iter().filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = crate::tables::masked_option(name, value);
        Some(Shown {
            key: format!("set.{name}"),
            value,
            from: file.clone(),
        })
    }));
    for variable in [READ_TOKEN, WRITE_TOKEN, CLIENT_TOKEN] {
        if config.environment().contains_key(variable) {
            shown.push(Shown {
                key: variable.to_owned(),
                value: "(given, not shown)".to_owned(),
                from: variable.to_owned(),
            });
        }
    }
    shown
}

/// A setting's value without the secrets that it may hold.
fn masked(key: &str, value: &str) -> String {
    if key != "collect.kafka-properties" {
        return value.to_owned();
    }
    let pairs = value.split(',').map(|pair| match pair.split_once('=') {
        Some((name, value)) => {
            let name = name.trim();
            let option = format!("collect.properties.{name}");
            format!("{name}={}", crate::tables::masked_option(&option, value))
        }
        None => pair.to_owned(),
    });
    pairs.collect::<Vec<_>>().join(",")
}

impl Shown {
    /// The line for scripts.
    pub(crate) fn json(&self) -> Value {
        json!({ "setting": self.key, "value": self.value, "from": self.from })
    }
}

/// A file of settings with every default in it and what it means.
pub(crate) fn example() -> String {
    let mut out = String::from(
        "# Settings of tidewheel. What is commented out shows the default.\n\
         # The environment wins over this file, flags win over both.\n",
    );
    let mut section = "";
    for setting in SETTINGS {
        let (of, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        if of != section {
            section = of;
            out.push_str(&format!("\n[{section}]\n"));
        }
        let value = match setting.kind {
            Kind::Flag => setting.default.to_owned(),
            Kind::Number if setting.default.is_empty() => "4".to_owned(),
            Kind::Number => setting.default.to_owned(),
            Kind::List => {
                let items = setting.default.split(',').filter(|item| !item.is_empty());
                let items: Vec<String> = items.map(|item| format!("\"{item}\"")).collect();
                format!("[{}]", items.join(", "))
            }
            _ => format!("\"{}\"", setting.default),
        };
        out.push_str(&format!(
            "# {} ({})\n# {name} = {value}\n",
            setting.help, setting.env
        ));
    }
    out.push_str(
        "\n# Options of tables, as --set: TABLE.OPTION = value.\n[set]\n\
         # shopper_events.topic = \"my-events\"\n",
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_example_reads_as_the_defaults_once_its_comments_are_taken_off() {
        let text: String = example()
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.contains(" = ") && !rest.ends_with('.') => format!("{rest}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), &text).expect("writes");
        let config = Config::load(Some(file.path()), BTreeMap::new(), &[]).expect(&text);
        for setting in SETTINGS {
            assert_eq!(config.origin(setting.key), &Origin::File, "{}", setting.key);
        }
        assert_eq!(config.sets(), ["shopper_events.topic=my-events"]);
    }
}
