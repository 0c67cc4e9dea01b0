//! One module a command.

mod check;
mod checkpoints;
mod collect;
mod config;
mod explain;
mod features;
mod replay;
mod run;
mod serve;
mod simulate;
mod sql;

use crate::cli::{Cli, Command};
use crate::client;
use crate::config::Config;
use crate::error::CliError;

/// The settings: the file, the environment, the flags of the command.
pub(crate) fn config_of(cli: &Cli) -> Result<Config, CliError> {
    let mut flags: Vec<(&'static str, &str, String)> = Vec::new();
    if let Command::Serve(args) = &cli.command {
        flags.extend(serve::flags(args));
    }
    if let Command::Collect(args) = &cli.command {
        flags.extend(collect::flags(args));
    }
    if let Command::Run(args) = &cli.command {
        flags.extend(args.checkpoints.flags());
        flags.extend(args.memory.flags());
    }
    if let Command::Checkpoints(command) = &cli.command {
        flags.extend(checkpoints::flags(command));
    }
    if cli.quiet {
        flags.push(("log.level", "--quiet", "error".to_owned()));
    }
    Config::load(cli.config.as_deref(), std::env::vars().collect(), &flags)
}

/// Runs the command.
pub(crate) fn execute(cli: &Cli, config: &Config) -> Result<(), CliError> {
    match &cli.command {
        Command::Run(args) => run::run(args, config, cli.json, cli.quiet),
        Command::Check(args) => check::check(args, cli.json),
        Command::Explain(args) => explain::explain(args, cli.json),
        Command::Simulate(args) => simulate::simulate(args),
        Command::Features(args) => features::features(args, cli.json),
        Command::Serve(args) => serve::serve(args, config, cli.json),
        Command::Collect(_) => collect::collect(config, cli.json),
        Command::Queries(command) => client::queries(command, config, cli.json),
        Command::Get(args) => client::get(args, config, cli.json),
        Command::Sql(args) => sql::sql(args, cli.json),
        Command::Config(args) => config::config(args, config, cli.json),
        Command::Checkpoints(command) => checkpoints::checkpoints(command, config, cli.json),
        Command::Replay(args) => replay::replay(args, cli.json),
    }
}
