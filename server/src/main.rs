//! `tidewheel`: live features from SQL.

mod cli;
mod commands;
mod error;
mod load;
mod progress;
mod redirect;
mod signal;

use clap::Parser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    init_logging(&cli);
    match commands::execute(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.print(cli.json);
            error.exit_code()
        }
    }
}

/// Logs go to stderr: for people on a terminal, as JSON with `--json`.
fn init_logging(cli: &cli::Cli) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("TIDEWHEEL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if cli.json {
        builder.json().init();
    } else {
        builder.with_target(false).init();
    }
}
