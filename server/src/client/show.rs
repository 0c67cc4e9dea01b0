//! Answers for people.

use super::calls::Events;
use super::line;
use crate::error::CliError;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

/// The widest text of a cell.
const CELL_WIDTH: usize = 60;

/// Prints an answer: as it came for scripts, else as `text` shows it.
pub(super) fn print(json: bool, answer: &Value, text: impl Fn(&Value) -> String) {
    if json {
        line(&answer.to_string());
    } else {
        line(&text(answer));
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.iter().copied());
    table
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => "NULL".to_owned(),
        other => other.to_string(),
    };
    if text.chars().count() <= CELL_WIDTH {
        return text;
    }
    text.chars().take(CELL_WIDTH - 1).chain(['…']).collect()
}

fn joined<'a>(values: impl Iterator<Item = &'a Value>) -> String {
    let mut all: Vec<String> = values.map(text).collect();
    all.sort();
    all.dedup();
    all.join(", ")
}

/// All queries.
pub(super) fn list(answer: &Value) -> String {
    let mut table = table(&["QUERY", "STATE", "STATEMENTS", "WRITES", "ERRORS"]);
    for query in items(&answer["queries"]) {
        let statements = items(&query["statements"]).count();
        let writes = joined(items(&query["statements"]).map(|one| &one["writes"]));
        let errors = items(&query["errors"]).count();
        let note = match (errors, query["runs_version_before"] == true) {
            (0, _) => String::new(),
            (count, true) => format!("{count}, the version before runs"),
            (count, false) => count.to_string(),
        };
        let progress = items(&query["statements"])
            .filter_map(|one| one["progress"]["done"].as_f64())
            .fold(None, |least: Option<f64>, done| {
                Some(least.map_or(done, |l| l.min(done)))
            });
        let state = match progress {
            Some(done) => format!("{} {:.0} %", text(&query["state"]), done * 100.0),
            None => text(&query["state"]),
        };
        table.add_row([
            text(&query["name"]),
            state,
            statements.to_string(),
            writes,
            note,
        ]);
    }
    if table.is_empty() {
        return "no queries; tidewheel queries submit FILE adds one".to_owned();
    }
    table.trim_fmt()
}

/// One query.
pub(super) fn query(answer: &Value) -> String {
    let mut out = format!("{}: {}", text(&answer["name"]), text(&answer["state"]));
    if answer["runs_version_before"] == true {
        out.push_str(" (the version before runs)");
    }
    out.push('\n');
    for one in items(&answer["statements"]) {
        out.push_str(&format!(
            "  {} {}: {} -> {}\n",
            text(&one["name"]),
            text(&one["state"]),
            joined(items(&one["reads"])),
            text(&one["writes"])
        ));
        for name in ["message", "sink_away"] {
            if let Some(why) = one[name].as_str() {
                out.push_str(&format!("    {why}\n"));
            }
        }
    }
    out.push_str(&errors(answer));
    out.push('\n');
    out.push_str(answer["sql"].as_str().unwrap_or("").trim_end());
    out
}

/// What became of a submitted query.
pub(super) fn submitted(answer: &Value) -> String {
    let statements = items(&answer["statements"]).count();
    format!(
        "{}: {}, {statements} {} into {}",
        text(&answer["name"]),
        text(&answer["state"]),
        if statements == 1 {
            "statement"
        } else {
            "statements"
        },
        joined(items(&answer["statements"]).map(|one| &one["writes"]))
    )
}

/// What a checked text would do.
pub(super) fn validated(answer: &Value) -> String {
    let mut out = String::new();
    for warning in items(&answer["warnings"]) {
        out.push_str(&diagnostic(warning));
    }
    out.push_str(answer["plan"].as_str().unwrap_or("").trim_end());
    out.push_str("\nfine");
    out
}

/// Features, one value a line.
pub(super) fn features(answer: &Value) -> String {
    let mut table = table(&["TABLE", "KEY", "FEATURE", "VALUE"]);
    for feature in items(&answer["features"]) {
        let name = text(&feature["table"]);
        let parts = feature["key"].as_object().into_iter().flatten();
        let key: Vec<String> = parts.map(|(_, value)| text(value)).collect();
        let key = key.join(",");
        if feature["found"] != true {
            table.add_row([name, key, "(nothing)".to_owned(), String::new()]);
            continue;
        }
        for (column, value) in feature["values"].as_object().into_iter().flatten() {
            table.add_row([name.clone(), key.clone(), column.clone(), text(value)]);
        }
        for member in items(&feature["members"]) {
            let score = text(&member["score"]);
            table.add_row([name.clone(), key.clone(), text(&member["member"]), score]);
        }
    }
    table.trim_fmt()
}

fn diagnostic(error: &Value) -> String {
    let mut out = format!(
        "{}: {}\n",
        text(&error["severity"]),
        error["message"].as_str().unwrap_or("")
    );
    if let Some(file) = error["file"].as_str() {
        out.push_str(&format!(
            "  --> {file}:{}:{}\n",
            error["line"], error["column"]
        ));
    }
    for excerpt in error["excerpt"].as_str().unwrap_or("").lines() {
        out.push_str(&format!("{excerpt}\n"));
    }
    if let Some(advice) = error["advice"].as_str() {
        out.push_str(&format!("  help: {advice}\n"));
    }
    out
}

fn errors(answer: &Value) -> String {
    items(&answer["errors"]).map(diagnostic).collect()
}

/// A problem as text: what, where, and what to do.
pub(super) fn problem(problem: &Value) -> String {
    let title = problem["title"].as_str().unwrap_or("the server refused");
    let detail = problem["detail"].as_str().unwrap_or("");
    let errors = errors(problem);
    if errors.is_empty() {
        format!("{title}: {detail}")
    } else {
        format!("{title}: {detail}\n\n{}", errors.trim_end())
    }
}

/// Prints events as they come: a line each.
///
/// # Errors
/// The stream ended with one.
pub(super) fn events(events: Events, json: bool) -> Result<(), CliError> {
    for (kind, data) in events {
        let value: Value = serde_json::from_str(&data).unwrap_or_default();
        if kind == "end" {
            if let Some(message) = value["message"].as_str() {
                return Err(CliError::Other(message.to_owned()));
            }
            return Ok(());
        }
        if kind != "row" && kind != "change" {
            continue;
        }
        if json {
            line(&data);
        } else {
            line(&row(&value));
        }
    }
    Ok(())
}

fn row(value: &Value) -> String {
    let fields = value["row"].as_object().into_iter().flatten();
    let fields: Vec<String> = fields
        .map(|(name, value)| format!("{name}={}", text(value)))
        .collect();
    let sign = if value["op"] == "delete" { "-" } else { "+" };
    match value["table"].as_str() {
        Some(table) => format!("{sign} {table} {}", fields.join(" ")),
        None => format!("{sign} {}", fields.join(" ")),
    }
}
