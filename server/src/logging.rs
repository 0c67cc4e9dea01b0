//! Logs: to standard error; for people on a terminal, else JSON for the service.

use crate::cli::{Cli, Command};
use crate::config::Config;
use crate::error::CliError;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// The level of commands that are no service, where nobody said otherwise.
const QUIET_LEVEL: &str = "warn";
/// The engine says for each query and each try that a sink is away; the observer of sinks says it
/// once for each place, and when it is back.
const SAID_ONCE: &str = "tidewheel_runtime::sink=error";

/// Begins logging.
///
/// # Errors
/// The level cannot be read.
pub(crate) fn init(cli: &Cli, config: &Config) -> Result<(), CliError> {
    let serves = matches!(cli.command, Command::Serve(_) | Command::Collect(_));
    let level = config.text("log.level");
    let given = config.origin("log.level") != &crate::config::Origin::Default;
    let level = if serves || given { level } else { QUIET_LEVEL };
    let filter = EnvFilter::try_new(format!("{SAID_ONCE},{level}")).map_err(|error| {
        CliError::Usage(format!(
            "log.level '{level}' cannot be read: {error}; write error, warn, info, debug or trace"
        ))
    })?;
    let terminal = std::io::stderr().is_terminal();
    let json = match config.text("log.format") {
        "json" => true,
        "human" => false,
        _ => cli.json || (serves && !terminal),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(terminal)
        .with_writer(std::io::stderr);
    if json {
        builder.json().flatten_event(true).init();
    } else {
        builder.with_target(false).init();
    }
    Ok(())
}
