//! Options of a WITH clause: environment, command line, names and values.

use crate::compile::CompileContext;
use crate::parser::cursor::Name;
use crate::parser::ddl::CreateTable;
use crate::suggest::{listed, nearest};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidewheel_core::{ConnectorError, Diagnostic, Diagnostics, Format, OptionError, Options};

/// Options of the engine itself on tables that are read.
pub(crate) const SOURCE_OPTIONS: &[&str] = &[
    "dedup.key",
    "dedup.window",
    "order.by",
    "scan.max-ahead",
    "scan.watermark.idle-timeout",
    "scan.watermark.alignment.max-drift",
    "bad-rows",
    "bad-rows.table",
    "late-rows.table",
];
/// Options of the engine itself on tables that are written.
pub(crate) const SINK_OPTIONS: &[&str] = &["on-empty", "allowed-lateness", "state-ttl", "ttl"];
const COMMON_OPTIONS: &[&str] = &["connector", "format"];

/// The options of a table after environment and command line, and what is wrong with them.
pub(crate) fn resolve(
    table: &CreateTable,
    context: &CompileContext<'_>,
    errors: &mut Diagnostics,
) -> Options {
    let mut options = Options::default();
    for (key, value) in &table.options {
        match substitute(&value.value, &context.environment) {
            Ok(text) => options.set(&key.value, text),
            Err(error) => errors.push(
                Diagnostic::error(error, Some(value.span.clone()))
                    .with_advice("write ${NAME:-default}, or set the variable"),
            ),
        }
    }
    let declared = options.clone();
    let mut set: BTreeSet<String> = BTreeSet::new();
    for (of, option, value) in &context.sets {
        if *of == table.name.value {
            options.set(option, value);
            set.insert(option.clone());
        }
    }
    if declared.get("connector") != options.get("connector") {
        forget_old_connector(&declared, &mut options, &set, context);
    }
    check_names(table, &options, context, errors);
    options
}

/// Replaces `${NAME:-default}` and `${NAME}`.
pub(crate) fn substitute(
    text: &str,
    environment: &BTreeMap<String, String>,
) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find("${") {
        out.push_str(rest.get(..begin).unwrap_or(""));
        let inner = rest.get(begin + 2..).unwrap_or("");
        let Some(end) = inner.find('}') else {
            return Err("'${' has no '}'".to_owned());
        };
        let body = inner.get(..end).unwrap_or("");
        let (name, default) = match body.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (body, None),
        };
        // As in a shell, `:-` also stands in for a variable that is empty.
        let value = environment.get(name).map(String::as_str);
        match (
            value.filter(|v| default.is_none() || !v.is_empty()),
            default,
        ) {
            (Some(value), _) => out.push_str(value),
            (None, Some(default)) => out.push_str(default),
            (None, None) => return Err(format!("the environment variable '{name}' is not set")),
        }
        rest = inner.get(end + 1..).unwrap_or("");
    }
    out.push_str(rest);
    Ok(out)
}

/// Where `--set` changed the connector, what only the old one knows is left out.
fn forget_old_connector(
    declared: &Options,
    options: &mut Options,
    set: &BTreeSet<String>,
    context: &CompileContext<'_>,
) {
    let old = known_names(declared, context);
    let new = known_names(options, context);
    let names: Vec<String> = declared.iter().map(|(name, _)| name.to_owned()).collect();
    for name in names {
        if !set.contains(&name) && is_known(&name, &old) && !is_known(&name, &new) {
            options.remove(&name);
        }
    }
}

/// The format that a table is read and written by, where its connector needs one.
pub(crate) fn format_of(
    options: &Options,
    context: &CompileContext<'_>,
) -> Option<Arc<dyn Format>> {
    let connector = context.registry.for_table(options).ok()?;
    let name = options.get("format").filter(|_| connector.needs_format())?;
    context.registry.format(name).cloned()
}

fn known_names(options: &Options, context: &CompileContext<'_>) -> Vec<&'static str> {
    let mut known: Vec<&'static str> = Vec::new();
    let mut needs_format = true;
    if let Ok(connector) = context.registry.for_table(options) {
        known.extend(connector.source_options());
        known.extend(connector.sink_options());
        needs_format = connector.needs_format();
    }
    if needs_format
        && let Some(format) = options
            .get("format")
            .and_then(|f| context.registry.format(f))
    {
        known.extend(format.options());
    }
    known.extend(SOURCE_OPTIONS);
    known.extend(SINK_OPTIONS);
    known.extend(COMMON_OPTIONS);
    known
}

fn is_known(name: &str, known: &[&str]) -> bool {
    known
        .iter()
        .any(|k| *k == name || (k.ends_with('.') && name.starts_with(k)))
}

fn check_names(
    table: &CreateTable,
    options: &Options,
    context: &CompileContext<'_>,
    errors: &mut Diagnostics,
) {
    if let Err(error) = context.registry.for_table(options) {
        let name = options.get("connector").unwrap_or("");
        let near = nearest(name, context.registry.connector_names());
        let mut diagnostic = connector_error(table, &error);
        let slip = table
            .options
            .iter()
            .find(|(key, _)| nearest(&key.value, ["connector"]).is_some());
        if let (None, Some((key, _))) = (options.get("connector"), slip) {
            diagnostic.span = Some(key.span.clone());
            diagnostic = diagnostic.with_advice("did you mean 'connector'?");
        }
        errors.push(match near {
            Some(near) => diagnostic.with_advice(format!("did you mean '{near}'?")),
            None => diagnostic,
        });
        return;
    }
    if let Some(format) = options.get("format")
        && context.registry.format(format).is_none()
    {
        let names = context.registry.format_names();
        let advice = match nearest(format, names.iter().copied()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("the formats are {}", listed(names.iter().copied())),
        };
        let error = ConnectorError::option("format", format!("there is no format '{format}'"));
        errors.push(connector_error(table, &error).with_advice(advice));
        return;
    }
    let known = known_names(options, context);
    for (name, _) in options.iter() {
        if is_known(name, &known) {
            continue;
        }
        let advice = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => {
                let mut names = known.clone();
                names.sort_unstable();
                names.dedup();
                format!("the options of this table are {}", listed(names))
            }
        };
        let error = ConnectorError::option(name, format!("there is no option '{name}'"));
        errors.push(connector_error(table, &error).with_advice(advice));
    }
}

/// The place of an option: its value where `value`, else its name; the table's name where it is
/// not written out.
fn option_place(table: &CreateTable, option: &str, value: bool) -> tidewheel_core::Span {
    let found: Option<&(Name, Name)> = table.options.iter().find(|(key, _)| key.value == option);
    match found {
        Some((key, written)) => if value { &written.span } else { &key.span }.clone(),
        None => table.name.span.clone(),
    }
}

/// A connector's refusal at its place.
pub(crate) fn connector_error(table: &CreateTable, error: &ConnectorError) -> Diagnostic {
    let unknown = error.message.starts_with("there is no option");
    let span = match &error.option {
        Some(option) => option_place(table, option, !unknown),
        None => table.name.span.clone(),
    };
    Diagnostic::error(
        format!("table '{}': {}", table.name.value, error.message),
        Some(span),
    )
}

/// A wrong value at its place.
pub(crate) fn option_error(table: &CreateTable, error: &OptionError) -> Diagnostic {
    let span = option_place(table, &error.option, true);
    Diagnostic::error(format!("table '{}': {error}", table.name.value), Some(span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_and_defaults_stand_in() {
        let environment: BTreeMap<String, String> = [
            ("HOST".to_owned(), "h1".to_owned()),
            ("EMPTY".to_owned(), String::new()),
        ]
        .into();
        let run = |text: &str| substitute(text, &environment);
        assert_eq!(
            run("redis://${HOST}:${PORT:-6379}/"),
            Ok("redis://h1:6379/".into())
        );
        assert_eq!(run("${HOST:-x}${EMPTY:-y}${EMPTY}"), Ok("h1y".into()));
        assert_eq!(
            run("user:{user_key}:{column}"),
            Ok("user:{user_key}:{column}".into())
        );
        assert!(run("${MISSING}").is_err_and(|e| e.contains("MISSING")));
        assert!(run("${HOST").is_err());
    }
}
