//! Configuration: one file of settings, the environment over it, the command line over both.

pub(crate) mod settings;
mod show;

pub(crate) use show::{Shown, example, show};

use crate::error::CliError;
use settings::{Kind, SET_SECTION, SETTINGS, Setting};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tidewheel_core::Options;

/// Where a value comes from; later ones win.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody said otherwise.
    Default,
    /// The file of settings.
    File,
    /// This environment variable.
    Environment(&'static str),
    /// This flag.
    Flag(String),
}

/// What is in force.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    values: BTreeMap<&'static str, (String, Origin)>,
    /// Options of tables from the file: TABLE.OPTION and value.
    sets: Vec<(String, String)>,
    /// The file that was read.
    file: Option<PathBuf>,
    environment: BTreeMap<String, String>,
}

impl Config {
    /// Reads the file that `path`, or the environment, names (else `tidewheel.toml` where it is),
    /// then the environment, then `flags`: setting, flag, value.
    ///
    /// # Errors
    /// The file cannot be read, names what is no setting, or a value is of the wrong kind.
    pub(crate) fn load(
        path: Option<&Path>,
        environment: BTreeMap<String, String>,
        flags: &[(&'static str, &str, String)],
    ) -> Result<Self, CliError> {
        let mut config = Self {
            values: SETTINGS
                .iter()
                .map(|setting| (setting.key, (setting.default.to_owned(), Origin::Default)))
                .collect(),
            sets: Vec::new(),
            file: None,
            environment,
        };
        let named = path.map(Path::to_owned).or_else(|| {
            let named = config.environment.get(settings::CONFIG_FILE)?;
            (!named.is_empty()).then(|| PathBuf::from(named))
        });
        match named {
            Some(path) => config.read_file(&path)?,
            None if Path::new(settings::CONFIG_DEFAULT).is_file() => {
                config.read_file(Path::new(settings::CONFIG_DEFAULT))?;
            }
            None => {}
        }
        for setting in SETTINGS {
            if let Some(value) = config.environment.get(setting.env).cloned() {
                let origin = Origin::Environment(setting.env);
                config.set(setting, value, origin, setting.env)?;
            }
        }
        for (key, flag, value) in flags {
            if let Some(setting) = settings::find(key) {
                config.set(
                    setting,
                    value.clone(),
                    Origin::Flag((*flag).to_owned()),
                    flag,
                )?;
            }
        }
        Ok(config)
    }

    fn read_file(&mut self, path: &Path) -> Result<(), CliError> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(CliError::io(format!("cannot read the settings {shown}")))?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            CliError::Usage(format!("{shown} is no TOML: {}", error.to_string().trim()))
        })?;
        for (section, value) in table {
            let toml::Value::Table(entries) = value else {
                return Err(CliError::Usage(format!(
                    "{shown}: '{section}' stands outside of a section; write it below [serve], \
                     [limits] or another (tidewheel config --example shows all)"
                )));
            };
            for (name, value) in entries {
                let wrong = || {
                    CliError::Usage(format!(
                        "{shown}: the value of '{section}.{name}' must be a text, a number, \
                         true, false or a list of texts"
                    ))
                };
                if section == SET_SECTION {
                    self.add_sets(&name, &value).ok_or_else(wrong)?;
                    continue;
                }
                let key = format!("{section}.{name}");
                let setting = settings::find(&key).ok_or_else(|| unknown(path, &key))?;
                let text = plain(&value).ok_or_else(wrong)?;
                self.set(setting, text, Origin::File, &format!("{shown}: {key}"))?;
            }
        }
        self.file = Some(path.to_owned());
        Ok(())
    }

    /// `[set]` holds `"table.option" = value`, or `table.option = value`, which TOML nests.
    fn add_sets(&mut self, name: &str, value: &toml::Value) -> Option<()> {
        if let toml::Value::Table(inner) = value {
            for (option, value) in inner {
                self.add_sets(&format!("{name}.{option}"), value)?;
            }
        } else {
            self.sets.push((name.to_owned(), plain(value)?));
        }
        Some(())
    }

    fn set(
        &mut self,
        setting: &Setting,
        value: String,
        origin: Origin,
        place: &str,
    ) -> Result<(), CliError> {
        check(setting, &value).map_err(|wanted| {
            CliError::Usage(format!("{place}: '{value}' cannot be used; write {wanted}"))
        })?;
        self.values.insert(setting.key, (value, origin));
        Ok(())
    }

    /// The text of a setting.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.values.get(key).map_or("", |(value, _)| value)
    }

    /// Where a setting's value comes from.
    pub(crate) fn origin(&self, key: &str) -> &Origin {
        self.values
            .get(key)
            .map_or(&Origin::Default, |(_, origin)| origin)
    }

    /// A flag.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.text(key) == "true"
    }

    /// A number, if one is given.
    pub(crate) fn number(&self, key: &str) -> Option<usize> {
        self.text(key).trim().parse().ok()
    }

    /// A number with a default; at least 1.
    pub(crate) fn count(&self, key: &str) -> usize {
        self.number(key).unwrap_or(1).max(1)
    }

    /// A duration.
    pub(crate) fn duration(&self, key: &str) -> Duration {
        tidewheel_core::options::parse_duration(self.text(key)).unwrap_or_default()
    }

    /// A size in bytes.
    pub(crate) fn bytes(&self, key: &str) -> usize {
        bytes(self.text(key)).map_or(0, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    /// A list; `None` where nobody gave one.
    pub(crate) fn given_list(&self, key: &str) -> Option<Vec<String>> {
        (self.origin(key) != &Origin::Default).then(|| self.list(key))
    }

    /// A list.
    pub(crate) fn list(&self, key: &str) -> Vec<String> {
        let text = self.text(key).split(',').map(str::trim);
        text.filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// The options of tables from the file, as for `--set`.
    pub(crate) fn sets(&self) -> Vec<String> {
        let pair = |(name, value): &(String, String)| format!("{name}={value}");
        self.sets.iter().map(pair).collect()
    }

    /// The environment.
    pub(crate) fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// The file that was read.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// A token: from its variable, else from the file that a setting names.
    ///
    /// # Errors
    /// The file cannot be read, or the token is empty.
    pub(crate) fn token(&self, variable: &str, key: &str) -> Result<Option<String>, CliError> {
        let (token, place) = match self.environment.get(variable) {
            Some(token) => (token.clone(), variable.to_owned()),
            None if self.text(key).is_empty() => return Ok(None),
            None => {
                let path = self.text(key);
                let read = std::fs::read_to_string(path);
                let text = read.map_err(CliError::io(format!("cannot read the token {path}")))?;
                (text, path.to_owned())
            }
        };
        let token = token.trim().to_owned();
        if token.is_empty() {
            return Err(CliError::Usage(format!(
                "{place} holds an empty token; write one of 16 random bytes or more, or remove it"
            )));
        }
        Ok(Some(token))
    }
}

fn unknown(path: &Path, key: &str) -> CliError {
    let close = SETTINGS
        .iter()
        .map(|setting| (distance(setting.key, key), setting.key))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    let advice = match close {
        Some((_, near)) => format!("did you mean '{near}'?"),
        None => "tidewheel config lists all".to_owned(),
    };
    CliError::Usage(format!(
        "{}: there is no setting '{key}'; {advice}",
        path.display()
    ))
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn plain(value: &toml::Value) -> Option<String> {
    Some(match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::Boolean(flag) => flag.to_string(),
        toml::Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().filter(|text| !text.contains(',')))
            .collect::<Option<Vec<_>>>()?
            .join(","),
        toml::Value::Datetime(_) | toml::Value::Table(_) => return None,
    })
}

fn bytes(text: &str) -> Option<u64> {
    let options: Options = [("size", text)].into_iter().collect();
    options.bytes("size").ok().flatten()
}

/// What should be written where a value is of the wrong kind.
fn check(setting: &Setting, value: &str) -> Result<(), String> {
    let fine = match setting.kind {
        Kind::Text | Kind::List => true,
        Kind::Flag => value == "true" || value == "false",
        Kind::Number => value.is_empty() || value.parse::<u32>().is_ok_and(|number| number > 0),
        Kind::Duration => tidewheel_core::options::parse_duration(value)
            .is_some_and(|duration| !duration.is_zero()),
        Kind::Bytes if value.is_empty() => setting.default.is_empty(),
        Kind::Bytes => bytes(value).is_some_and(|bytes| bytes > 0),
        Kind::Word(words) => words.contains(&value),
    };
    if fine {
        return Ok(());
    }
    Err(match setting.kind {
        Kind::Flag => "true or false".to_owned(),
        Kind::Number => "a whole number from 1 on".to_owned(),
        Kind::Duration => "a duration such as '30 s' or '5 min'".to_owned(),
        Kind::Bytes => "a size such as '64 kb' or '1 mb'".to_owned(),
        Kind::Word(words) => format!("one of {}", words.join(", ")),
        Kind::Text | Kind::List => "a text".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("writes");
        file
    }

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let file = file("[serve]\nlisten = \"a:1\"\npoll = \"2 s\"\n[limits]\nlisteners = 7\n");
        let config = Config::load(
            Some(file.path()),
            environment(&[("TIDEWHEEL_LISTEN", "b:2"), ("TIDEWHEEL_POLL", "3 s")]),
            &[("serve.listen", "--listen", "c:3".to_owned())],
        )
        .expect("reads");
        assert_eq!(config.text("serve.listen"), "c:3");
        assert_eq!(
            config.origin("serve.listen"),
            &Origin::Flag("--listen".to_owned())
        );
        assert_eq!(config.duration("serve.poll"), Duration::from_secs(3));
        assert_eq!(config.count("limits.listeners"), 7);
        assert_eq!(config.origin("limits.listeners"), &Origin::File);
        assert_eq!(config.bytes("limits.request-bytes"), 1024 * 1024);
        assert_eq!(config.origin("limits.request-bytes"), &Origin::Default);
    }

    #[test]
    fn lists_and_options_of_tables() {
        let file = file(
            "[cors]\norigins = [\"https://a\", \"https://b\"]\n\
             [set]\n\"t.path\" = \"x\"\nt.properties.q = 5\n",
        );
        let config = Config::load(Some(file.path()), BTreeMap::new(), &[]).expect("reads");
        assert_eq!(config.list("cors.origins"), ["https://a", "https://b"]);
        assert_eq!(config.given_list("allow.hosts"), None);
        let mut sets = config.sets();
        sets.sort();
        assert_eq!(sets, ["t.path=x", "t.properties.q=5"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, wanted) in [
            ("[serve]\nlissen = \"x\"", "did you mean 'serve.listen'?"),
            ("[serve]\npoll = \"soon\"", "a duration such as"),
            ("[limits]\nlisteners = -1", "a whole number"),
            ("listen = \"x\"", "outside of a section"),
            ("[serve", "no TOML"),
        ] {
            let file = file(text);
            let error = Config::load(Some(file.path()), BTreeMap::new(), &[]).expect_err("wrong");
            assert!(error.to_string().contains(wanted), "{text}: {error}");
        }
        let error = Config::load(None, environment(&[("TIDEWHEEL_POLL", "soon")]), &[]);
        assert!(
            error
                .expect_err("wrong")
                .to_string()
                .contains("TIDEWHEEL_POLL")
        );
    }

    #[test]
    fn defaults_are_of_their_own_kind() {
        for setting in SETTINGS {
            if !setting.default.is_empty() {
                assert_eq!(check(setting, setting.default), Ok(()), "{}", setting.key);
            }
        }
    }
}
