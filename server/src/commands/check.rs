//! `tidewheel check`.

use crate::cli::QueryArgs;
use crate::error::{CliError, diagnostic_json};
use crate::load::{program, registry};
use crate::out;

/// Compiles, and prints warnings and what was found.
pub(crate) fn check(args: &QueryArgs, json: bool) -> Result<(), CliError> {
    let program = program(args, &registry())?;
    let (queries, sources) = (program.queries.len(), program.sources.len());
    if json {
        let warnings: Vec<_> = program.warnings.0.iter().map(diagnostic_json).collect();
        let found =
            serde_json::json!({ "queries": queries, "sources": sources, "warnings": warnings });
        out::line(&found.to_string());
        return Ok(());
    }
    if !program.warnings.0.is_empty() {
        eprintln!("{}", program.warnings);
    }
    let plural = |count: usize, one: &str, many: &str| {
        format!("{count} {}", if count == 1 { one } else { many })
    };
    out::line(&format!(
        "fine: {} over {}",
        plural(queries, "query", "queries"),
        plural(sources, "source table", "source tables")
    ));
    Ok(())
}
