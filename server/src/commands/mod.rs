//! One module a command.

mod check;
mod explain;
mod features;
mod run;
mod simulate;

use crate::cli::{Cli, Command};
use crate::error::CliError;

/// Runs the command.
pub(crate) fn execute(cli: &Cli) -> Result<(), CliError> {
    match &cli.command {
        Command::Run(args) => run::run(args, cli.json),
        Command::Check(args) => check::check(args, cli.json),
        Command::Explain(args) => explain::explain(args),
        Command::Simulate(args) => simulate::simulate(args),
        Command::Features(args) => features::features(args, cli.json),
    }
}
