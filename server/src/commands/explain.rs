//! `tidewheel explain`.

use crate::cli::QueryArgs;
use crate::error::CliError;
use crate::load::{program, registry};
use crate::out;

/// Prints the streaming plan; as JSON, one object.
pub(crate) fn explain(args: &QueryArgs, json: bool) -> Result<(), CliError> {
    let program = program(args, &registry())?;
    if json {
        out::line(&tidewheel_sql::explain_json(&program).to_string());
    } else {
        out::print(&tidewheel_sql::explain(&program));
    }
    Ok(())
}
