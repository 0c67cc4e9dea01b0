//! `tidewheel run`.

use crate::checkpoints;
use crate::cli::RunArgs;
use crate::config::Config;
use crate::error::CliError;
use crate::load::{program, registry};
use crate::memory;
use crate::out;
use crate::progress::{Progress, summary_text};
use crate::serve::observed::{Taps, observed};
use crate::signal::Stop;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidewheel_core::Env;
use tidewheel_core::env::SystemEnv;
use tidewheel_runtime::{RunOptions, Running};

/// How often progress is shown and signals are looked at.
const TICK: Duration = Duration::from_millis(50);
/// How often it is asked whether all is done.
const DONE_TICK: Duration = Duration::from_millis(5);

/// Runs until the inputs end, or a signal.
pub(crate) fn run(
    args: &RunArgs,
    config: &Config,
    json: bool,
    quiet: bool,
) -> Result<(), CliError> {
    let registry = registry();
    let program = program(&args.queries, &registry)?;
    if program.queries.is_empty() {
        return Err(CliError::Usage(
            "there is no INSERT INTO … SELECT to run".to_owned(),
        ));
    }
    if !program.warnings.0.is_empty() && !quiet && !json {
        eprintln!("{}", program.warnings);
    }
    let stop = Stop::listen();
    let taps = Arc::new(Taps::default());
    taps.note_side_tables(&program);
    let env: Arc<dyn Env> = Arc::new(SystemEnv::new(observed(&registry, &taps)));
    let mut options = RunOptions::default();
    if let Some(shards) = args.shards {
        options.shards = shards.into();
    }
    if let Some(decoders) = args.decoders {
        options.decoders = decoders.into();
    }
    options.memory = memory::limit(config);
    options.checkpoints = checkpoints::begin(config, || stop.count() > 0, |_| {})?;
    let running = Running::start(&program, &env, &options)?;
    let mut progress = Progress::new(quiet || json);
    let mut stopped = 0;
    while !running.is_finished() {
        let asked = stop.count();
        if asked > stopped {
            stopped = asked;
            if asked == 1 {
                running.engine.stop();
            } else {
                running.engine.give_up();
            }
        }
        if !running.engine.errors().is_empty() {
            running.engine.give_up();
        }
        progress.show(&running.engine.summary(), running.engine.is_bounded());
        let shown = Instant::now();
        while shown.elapsed() < TICK && !running.is_finished() {
            std::thread::sleep(DONE_TICK);
        }
    }
    let took = progress.finish();
    let summary = match running.wait() {
        // Whoever read what was printed has gone, as `head` does: that is no failure.
        Err(error) if error.to_string().contains("Broken pipe") => return Ok(()),
        result => result?,
    };
    if json {
        let mut value = serde_json::to_value(&summary).unwrap_or_default();
        value["seconds"] = took.as_secs_f64().into();
        out::line(&value.to_string());
    } else if !quiet {
        eprintln!("{}", summary_text(&summary, took));
    }
    Ok(())
}
