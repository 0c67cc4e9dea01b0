//! SET statements: what they set, and for which queries.

use crate::compile::CompileContext;
use crate::parser::Statement;
use crate::suggest::{listed, nearest};
use std::time::Duration;
use tidewheel_core::options::parse_duration;
use tidewheel_core::{Diagnostic, Diagnostics};

/// Settings of SET statements.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Settings {
    /// `table.exec.state.ttl`.
    pub state_ttl: Option<Duration>,
    /// `list.max-size`.
    pub list_cap: Option<usize>,
}

/// Settings that the engine takes over from Flink, and those that mean nothing here.
const STATE_TTL: &str = "table.exec.state.ttl";
const LIST_CAP: &str = "list.max-size";
const SETTINGS_USED: &[&str] = &[STATE_TTL, LIST_CAP];
const SETTINGS_IGNORED: &[&str] = &[
    "table.",
    "execution.",
    "pipeline.",
    "parallelism.",
    "state.",
    "sql-client.",
    "restart-strategy",
];

impl Settings {
    /// The settings of each file. A SET is for the queries of its file; in a file without
    /// queries it is for those of all files that do not set the same themselves.
    pub(crate) fn of_files(
        statements: &[Vec<Statement>],
        context: &CompileContext<'_>,
        found: &mut Diagnostics,
    ) -> Vec<Self> {
        let mut shared = Self::default();
        let default = context.defaults.get(STATE_TTL);
        shared.state_ttl = default.and_then(|value| parse_duration(value));
        let default = context.defaults.get(LIST_CAP);
        shared.list_cap = default.and_then(|value| positive(value));
        let mut own = Vec::with_capacity(statements.len());
        for statements in statements {
            let read = Self::read(statements, found);
            if !statements.iter().any(|s| matches!(s, Statement::Insert(_))) {
                shared.state_ttl = read.state_ttl.or(shared.state_ttl);
                shared.list_cap = read.list_cap.or(shared.list_cap);
            }
            own.push(read);
        }
        for settings in &mut own {
            let state_ttl = settings.state_ttl.or(shared.state_ttl);
            settings.state_ttl = state_ttl.filter(|ttl| !ttl.is_zero());
            settings.list_cap = settings.list_cap.or(shared.list_cap);
        }
        own
    }

    /// The settings of one file; of two of the same the last one holds.
    fn read(statements: &[Statement], found: &mut Diagnostics) -> Self {
        let mut settings = Self::default();
        for statement in statements {
            let Statement::Set(key, value) = statement else {
                continue;
            };
            let name = key.value.as_str();
            let near = nearest(name, SETTINGS_USED.iter().copied());
            let mut wrong = |what: &str, advice: &str| {
                let message = format!("'{}' is no {what}", value.value);
                let error = Diagnostic::error(message, Some(value.span.clone()));
                found.push(error.with_advice(advice));
            };
            if name == STATE_TTL {
                settings.state_ttl = parse_duration(&value.value);
                if settings.state_ttl.is_none() {
                    wrong("duration", "write '1 h' or '7 d'");
                }
            } else if name == LIST_CAP {
                settings.list_cap = positive(&value.value);
                if settings.list_cap.is_none() {
                    wrong("length of a list", "write a whole number above 0");
                }
            } else if near.is_none() && SETTINGS_IGNORED.iter().any(|p| name.starts_with(p)) {
                found.push(
                    Diagnostic::warning(
                        format!("the setting '{name}' has no effect here"),
                        Some(key.span.clone()),
                    )
                    .with_advice("options of tables stand in WITH (…)"),
                );
            } else {
                let advice = match near {
                    Some(near) => format!("did you mean '{near}'?"),
                    None => format!("the settings are {}", listed(SETTINGS_USED.iter().copied())),
                };
                found.push(
                    Diagnostic::error(
                        format!("there is no setting '{name}'"),
                        Some(key.span.clone()),
                    )
                    .with_advice(advice),
                );
            }
        }
        settings
    }
}

fn positive(text: &str) -> Option<usize> {
    text.trim().parse().ok().filter(|n| *n > 0)
}
