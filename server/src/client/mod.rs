//! The client of a server: `tidewheel queries …` and `tidewheel get`.
//!
//! Exit codes: 0 done; 1 the server failed; 2 wrong arguments or SQL; 3 there is no such thing;
//! 4 it does not go together with what is there (also: somebody changed it meanwhile);
//! 5 not allowed; 6 the server cannot be reached; 7 what it needs is away, or too much at once.

mod calls;
mod show;

use crate::cli::{GetArgs, QueriesCommand, ServerArgs};
use crate::config::Config;
use crate::config::settings::CLIENT_TOKEN;
use crate::error::CliError;
use crate::out;
use crate::serve::body::encoded;
use calls::Server;
use serde_json::{Value, json};
use std::path::Path;

fn server(args: &ServerArgs, config: &Config) -> Result<Server, CliError> {
    let url = args.server.as_deref();
    let url = url.unwrap_or_else(|| config.text("client.server"));
    let token = config.environment().get(CLIENT_TOKEN).cloned();
    Server::new(url, token)
}

/// The text of a file, and the name of a query out of the file's.
fn text(file: &Path, name: Option<&str>) -> Result<(String, String), CliError> {
    let stdin = file.as_os_str() == "-";
    let what = format!("cannot read {}", file.display());
    let text = if stdin {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.map_err(CliError::io(what))?;
    let name = match name {
        Some(name) => name.to_owned(),
        None if stdin => {
            return Err(CliError::Usage(
                "a query from standard input needs a name; write --name NAME".to_owned(),
            ));
        }
        None => file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    };
    Ok((name, text))
}

/// Manages queries.
///
/// # Errors
/// What the server says.
pub(crate) fn queries(
    command: &QueriesCommand,
    config: &Config,
    json: bool,
) -> Result<(), CliError> {
    match command {
        QueriesCommand::List { server: args } => {
            let list = server(args, config)?.get("/api/v1/queries")?;
            show::print(json, &list, show::list);
        }
        QueriesCommand::Show { name, server: args } => {
            let path = format!("/api/v1/queries/{}", encoded(name));
            let query = server(args, config)?.get(&path)?;
            show::print(json, &query, show::query);
        }
        QueriesCommand::Submit {
            file,
            name,
            replace,
            server: args,
        } => {
            let (name, sql) = text(file, name.as_deref())?;
            let server = server(args, config)?;
            let query = if *replace {
                server.replace(&name, &sql)?
            } else {
                server.post("/api/v1/queries", &json!({ "name": name, "sql": sql }))?
            };
            show::print(json, &query, show::submitted);
        }
        QueriesCommand::Validate {
            file,
            name,
            server: args,
        } => {
            let (name, sql) = text(file, name.as_deref())?;
            let body = json!({ "name": name, "sql": sql });
            let found = server(args, config)?.post("/api/v1/queries/validate", &body)?;
            show::print(json, &found, show::validated);
        }
        QueriesCommand::Preview {
            select,
            last,
            seconds,
            rows,
            server: args,
        } => {
            let sql = match std::fs::read_to_string(select) {
                Ok(text) => text,
                Err(_) => select.clone(),
            };
            let mut query = Vec::new();
            query.extend(last.iter().map(|last| format!("last={}", encoded(last))));
            query.extend(seconds.iter().map(|seconds| format!("seconds={seconds}")));
            query.extend(rows.iter().map(|rows| format!("rows={rows}")));
            let path = format!("/api/v1/queries/preview?{}", query.join("&"));
            let events = server(args, config)?.post_events(&path, &json!({ "sql": sql }))?;
            return show::events(events, json);
        }
        QueriesCommand::Pause { name, server: args } => {
            let path = format!("/api/v1/queries/{}/pause", encoded(name));
            let query = server(args, config)?.post(&path, &json!({}))?;
            show::print(json, &query, |_| {
                format!("{name} is paused; its state goes on")
            });
        }
        QueriesCommand::Resume { name, server: args } => {
            let path = format!("/api/v1/queries/{}/resume", encoded(name));
            let query = server(args, config)?.post(&path, &json!({}))?;
            show::print(json, &query, |_| format!("{name} writes again"));
        }
        QueriesCommand::Delete { name, server: args } => {
            let path = format!("/api/v1/queries/{}", encoded(name));
            server(args, config)?.delete(&path)?;
            show::print(json, &json!({ "deleted": name }), |_| {
                format!("{name} is gone")
            });
        }
        QueriesCommand::Watch {
            name,
            only,
            server: args,
        } => {
            let mut query = Vec::new();
            for pair in only {
                let (column, value) = pair.split_once('=').ok_or_else(|| {
                    CliError::Usage(format!("'{pair}' cannot be read; write COLUMN=VALUE"))
                })?;
                query.push(format!("{}={}", encoded(column), encoded(value)));
            }
            let path = format!(
                "/api/v1/queries/{}/changes?{}",
                encoded(name),
                query.join("&")
            );
            let events = server(args, config)?.get_events(&path)?;
            return show::events(events, json);
        }
    }
    Ok(())
}

/// Reads features.
///
/// # Errors
/// What the server says; exit code 3 where no key is known.
pub(crate) fn get(args: &GetArgs, config: &Config, json: bool) -> Result<(), CliError> {
    let server = server(&args.server, config)?;
    // Commas separate the parts of a key, and stay; everything else is written so that it arrives.
    let written = |key: &String| {
        let parts: Vec<String> = key.split(',').map(encoded).collect();
        parts.join(",")
    };
    let mut features: Vec<Value> = Vec::new();
    for key in &args.keys {
        if args.table == "-" {
            let path = format!("/api/v1/features?key={}", encoded(key));
            let mut list = server.get(&path)?;
            features.extend(
                list["features"]
                    .as_array_mut()
                    .map(std::mem::take)
                    .unwrap_or_default(),
            );
        } else {
            let path = format!("/api/v1/features/{}/{}", encoded(&args.table), written(key));
            features.push(server.get(&path)?);
        }
    }
    let found = features.iter().any(|feature| feature["found"] == true);
    let list = json!({ "features": features });
    if found || json {
        show::print(json, &list, show::features);
    }
    if found {
        return Ok(());
    }
    Err(CliError::Server {
        message: format!("nothing is known of {}", args.keys.join(", ")),
        problem: None,
        code: calls::CODE_NOT_FOUND,
    })
}

/// Prints a line; a reader that went away ends the program.
fn line(text: &str) {
    out::line(text);
}
