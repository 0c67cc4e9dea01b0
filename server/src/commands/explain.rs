//! `tidewheel explain`.

use crate::cli::QueryArgs;
use crate::error::CliError;
use crate::load::{program, registry};
use crate::out;

/// Prints the streaming plan; as JSON, one object with the plan as text.
pub(crate) fn explain(args: &QueryArgs, json: bool) -> Result<(), CliError> {
    let program = program(args, &registry())?;
    let plan = tidewheel_sql::explain(&program);
    if json {
        let queries: Vec<_> = program.queries.iter().map(|query| &query.name).collect();
        let sources: Vec<_> = program
            .sources
            .iter()
            .map(|source| &source.spec.name)
            .collect();
        let plan = serde_json::json!({ "queries": queries, "sources": sources, "plan": plan });
        out::line(&plan.to_string());
    } else {
        out::print(&plan);
    }
    Ok(())
}
