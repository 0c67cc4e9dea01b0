//! What SQL that came over the API may reach: hosts, files, and variables of the environment.
//!
//! On loopback everything, since who calls has the machine anyway; elsewhere what the settings
//! `allow.*` name, or by default what the files of the folder reach already. Options that load
//! code or run commands are never taken from the API.

use super::resolve::Texts;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use tidewheel_core::{Options, TableSpec};

/// Options of tables that run commands or load code, where a connector passes them on.
const NEVER: &[&str] = &[
    "properties.plugin.library.paths",
    "properties.sasl.kerberos.kinit.cmd",
    "properties.ssl.engine.location",
    "properties.ssl.providers",
];
/// Options that hold hosts, separated by commas.
const HOSTS: &[&str] = &[
    "url",
    "properties.bootstrap.servers",
    "properties.metadata.broker.list",
    "properties.sasl.oauthbearer.token.endpoint.url",
];

/// What may be reached, of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// Everything.
    All,
    /// What the settings name.
    These(Vec<String>),
    /// What the folder's files reach.
    Catalogue,
}

impl Allowed {
    /// From a setting: `given` where somebody wrote one.
    pub(crate) fn new(given: Option<Vec<String>>, loopback: bool) -> Self {
        match given {
            Some(list) if list.iter().any(|item| item == "*") => Self::All,
            Some(list) => Self::These(list),
            None if loopback => Self::All,
            None => Self::Catalogue,
        }
    }
}

/// The rules.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// Hosts.
    pub hosts: Allowed,
    /// Files and folders.
    pub paths: Allowed,
    /// Variables of `${NAME}`.
    pub environment: Allowed,
}

/// What some tables reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Places {
    /// Host names, without ports.
    pub hosts: BTreeSet<String>,
    /// Files and folders.
    pub paths: BTreeSet<PathBuf>,
    /// Options that are never allowed.
    pub never: BTreeSet<String>,
}

impl Places {
    /// What a table's options reach.
    pub(crate) fn add(&mut self, table: &TableSpec) {
        for (name, value) in table.options.iter() {
            if NEVER.contains(&name) {
                self.never.insert(name.to_owned());
            } else if HOSTS.contains(&name) {
                for part in value.split(',').filter(|part| !part.trim().is_empty()) {
                    match host(part.trim()) {
                        Place::Host(host) => drop(self.hosts.insert(host)),
                        Place::Path(path) => drop(self.paths.insert(path)),
                    }
                }
            } else if is_path(name) && value != "-" {
                self.paths.insert(cleaned(Path::new(value)));
            }
        }
        if reaches_default_redis(&table.options) {
            self.hosts.insert("localhost".to_owned());
        }
    }
}

fn reaches_default_redis(options: &Options) -> bool {
    options.get("connector") == Some("redis") && options.get("url").is_none()
}

fn is_path(option: &str) -> bool {
    option == "path"
        || option.ends_with(".path")
        || option.ends_with("-file")
        || option.ends_with(".location")
}

enum Place {
    Host(String),
    Path(PathBuf),
}

/// The host of `scheme://user:password@host:port/…` or `host:port`, or a socket's path.
fn host(text: &str) -> Place {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => (String::new(), text),
    };
    if scheme.contains("unix") || (scheme.is_empty() && rest.starts_with('/')) {
        let path = rest.split('?').next().unwrap_or(rest);
        return Place::Path(cleaned(Path::new(path)));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    let host = match authority.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or(inner),
        None => authority.split(':').next().unwrap_or(authority),
    };
    Place::Host(host.to_ascii_lowercase())
}

/// The absolute path without `.` and `..`, links on the way resolved as far as it exists.
fn cleaned(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
        if let Ok(real) = plain.canonicalize() {
            plain = real;
        }
    }
    plain
}

impl Policy {
    /// Checks a text before it is compiled: some options do their harm when they are read.
    ///
    /// # Errors
    /// What is not allowed, one sentence each.
    pub(crate) fn check_text(text: &str) -> Result<(), Vec<String>> {
        let names = NEVER
            .iter()
            .map(|name| name.trim_start_matches("properties."));
        let wrong: Vec<String> = names
            .filter(|name| text.contains(*name))
            .map(never)
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// Checks what the tables of a query reach. `own` is what the folder's files reach.
    ///
    /// # Errors
    /// What is not allowed, one sentence each.
    pub(crate) fn check(
        &self,
        text: &str,
        asked: &Places,
        own: &Places,
        running: &Texts,
    ) -> Result<(), Vec<String>> {
        let mut wrong = Vec::new();
        for option in &asked.never {
            wrong.push(never(option));
        }
        for host in &asked.hosts {
            let fine = match &self.hosts {
                Allowed::All => true,
                Allowed::These(list) => list.iter().any(|one| one.eq_ignore_ascii_case(host)),
                Allowed::Catalogue => own.hosts.contains(host),
            };
            if !fine {
                wrong.push(format!(
                    "the host '{host}' is not on the list; the setting allow.hosts names those \
                     that SQL from the API may reach"
                ));
            }
        }
        for path in &asked.paths {
            let fine = match &self.paths {
                Allowed::All => true,
                Allowed::These(list) => list
                    .iter()
                    .any(|one| path.starts_with(cleaned(Path::new(one)))),
                Allowed::Catalogue => own.paths.iter().any(|one| {
                    path == one
                        || one
                            .parent()
                            .is_some_and(|folder| path.parent() == Some(folder))
                }),
            };
            if !fine {
                wrong.push(format!(
                    "the path '{}' is not on the list; the setting allow.paths names those that \
                     SQL from the API may reach",
                    path.display()
                ));
            }
        }
        for name in variables(text) {
            let fine = match &self.environment {
                Allowed::All => true,
                Allowed::These(list) => list.contains(&name),
                Allowed::Catalogue => running
                    .values()
                    .any(|source| variables(&source.text).contains(&name)),
            };
            if !fine {
                wrong.push(format!(
                    "the variable '{name}' is not on the list; the setting allow.environment \
                     names those that SQL from the API may use"
                ));
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

fn never(option: &str) -> String {
    format!("the option '{option}' cannot be set over the API; write it into a file of the folder")
}

/// The names in `${NAME}` and `${NAME:-default}`, wherever they stand in the text.
pub(crate) fn variables(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for part in text.split("${").skip(1) {
        let name: String = part
            .trim_start()
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        if !name.is_empty() {
            names.insert(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::Schema;
    use std::sync::Arc;

    fn table(options: &[(&str, &str)]) -> TableSpec {
        TableSpec {
            name: "t".to_owned(),
            schema: Arc::new(Schema::empty()),
            primary_key: Vec::new(),
            options: options.iter().copied().collect(),
        }
    }

    fn places(options: &[(&str, &str)]) -> Places {
        let mut places = Places::default();
        places.add(&table(options));
        places
    }

    #[test]
    fn hosts_are_found_in_every_way_to_write_them() {
        for (value, wanted) in [
            ("redis://user:p@ss:w@Cache.local:6379/0", "cache.local"),
            ("redis://h", "h"),
            ("rediss://[::1]:6379", "::1"),
            ("h:9092", "h"),
            ("SASL_SSL://k1:9092", "k1"),
        ] {
            let found = places(&[("connector", "redis"), ("url", value)]);
            assert_eq!(found.hosts.iter().collect::<Vec<_>>(), [wanted], "{value}");
        }
        let found = places(&[("properties.bootstrap.servers", "a:1, b:2")]);
        assert_eq!(found.hosts.len(), 2);
        let found = places(&[
            ("connector", "redis"),
            ("url", "redis+unix:///run/r.sock?db=1"),
        ]);
        assert_eq!(
            found.paths.iter().collect::<Vec<_>>(),
            [Path::new("/run/r.sock")]
        );
        assert_eq!(
            places(&[("connector", "redis")]).hosts.len(),
            1,
            "the default counts"
        );
    }

    fn closed() -> Policy {
        Policy {
            hosts: Allowed::Catalogue,
            paths: Allowed::Catalogue,
            environment: Allowed::Catalogue,
        }
    }

    #[test]
    fn elsewhere_than_on_loopback_only_what_the_folder_reaches() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        let own = places(&[("path", &at("out/a.jsonl")), ("url", "redis://cache")]);
        let running: Texts = [(
            "a".to_owned(),
            super::super::resolve::source("a", "'${HOME_A}'"),
        )]
        .into_iter()
        .collect();
        let check = |options: &[(&str, &str)], text: &str| {
            closed().check(text, &places(options), &own, &running)
        };
        assert!(check(&[("path", &at("out/b.jsonl"))], "${HOME_A:-x}").is_ok());
        assert!(check(&[("url", "redis://cache:7000")], "").is_ok());
        for (options, text) in [
            (vec![("path", "/etc/passwd".to_owned())], ""),
            (vec![("path", at("out/../secret.jsonl"))], ""),
            (vec![("url", "redis://other".to_owned())], ""),
            (
                vec![("properties.ssl.ca.location", "/etc/x".to_owned())],
                "",
            ),
            (
                vec![("properties.plugin.library.paths", "x".to_owned())],
                "",
            ),
            (vec![], "'${AWS_SECRET}'"),
        ] {
            let options: Vec<_> = options.iter().map(|(n, v)| (*n, v.as_str())).collect();
            assert!(check(&options, text).is_err(), "{options:?} {text}");
        }
    }

    #[test]
    fn links_do_not_lead_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("in");
        std::fs::create_dir(&inside).expect("makes");
        std::os::unix::fs::symlink("/etc", inside.join("link")).expect("links");
        let policy = Policy {
            paths: Allowed::These(vec![inside.display().to_string()]),
            ..closed()
        };
        let check = |path: PathBuf| {
            let asked = places(&[("path", &path.display().to_string())]);
            policy.check("", &asked, &Places::default(), &Texts::new())
        };
        assert!(check(inside.join("new/file.jsonl")).is_ok());
        assert!(check(inside.join("link/passwd")).is_err());
        assert!(check(inside.join("../other")).is_err());
    }

    #[test]
    fn commands_and_code_are_never_taken_from_the_api() {
        let open = Policy {
            hosts: Allowed::All,
            paths: Allowed::All,
            environment: Allowed::All,
        };
        let asked = places(&[("properties.sasl.kerberos.kinit.cmd", "rm -rf /")]);
        assert!(Policy::check_text("WITH ('properties.plugin.library.paths' = 'x')").is_err());
        assert!(Policy::check_text("WITH ('properties.ssl.ca.location' = 'x')").is_ok());
        assert!(
            open.check("", &asked, &Places::default(), &Texts::new())
                .is_err()
        );
    }
}
