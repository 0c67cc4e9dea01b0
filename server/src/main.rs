//! `tidewheel`: live features from SQL.

mod catalogue;
mod checkpoints;
mod cli;
mod client;
mod commands;
mod config;
mod error;
mod load;
mod logging;
mod memory;
mod out;
mod progress;
mod redirect;
mod select;
mod serve;
mod signal;
mod tables;

use clap::Parser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let result = commands::config_of(&cli).and_then(|config| {
        logging::init(&cli, &config)?;
        commands::execute(&cli, &config)
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.print(cli.json);
            error.exit_code()
        }
    }
}
