//! `tidewheel explain`.

use crate::cli::QueryArgs;
use crate::error::CliError;
use crate::load::{program, registry};

/// Prints the streaming plan.
pub(crate) fn explain(args: &QueryArgs) -> Result<(), CliError> {
    let program = program(args, &registry())?;
    print!("{}", tidewheel_sql::explain(&program));
    Ok(())
}
