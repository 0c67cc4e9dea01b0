//! What the command line says when something fails.

use std::process::ExitCode;
use tidewheel_core::Diagnostics;
use tidewheel_runtime::EngineError;

/// A command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The SQL is wrong.
    #[error("{0}")]
    Sql(Diagnostics),
    /// The arguments are wrong.
    #[error("{0}")]
    Usage(String),
    /// The engine could not start, or stopped.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// A file or stream failed.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's answer.
        error: std::io::Error,
    },
    /// A server refused, or cannot be reached.
    #[error("{message}")]
    Server {
        /// What it says.
        message: String,
        /// The problem as it sent it, for scripts.
        problem: Option<serde_json::Value>,
        /// The exit code.
        code: u8,
    },
    /// Something else failed.
    #[error("{0}")]
    Other(String),
}

impl CliError {
    /// Prints the error to stderr.
    pub(crate) fn print(&self, json: bool) {
        match self {
            Self::Sql(diagnostics) if json => {
                let list: Vec<_> = diagnostics.0.iter().map(diagnostic_json).collect();
                eprintln!("{}", serde_json::json!({ "errors": list }));
            }
            Self::Sql(diagnostics) => {
                let count = diagnostics
                    .0
                    .iter()
                    .filter(|d| d.severity == tidewheel_core::diagnostic::Severity::Error)
                    .count();
                let noun = if count == 1 { "error" } else { "errors" };
                eprintln!("{diagnostics}\n{count} {noun}");
            }
            Self::Server {
                problem: Some(problem),
                ..
            } if json => eprintln!("{problem}"),
            other if json => {
                eprintln!(
                    "{}",
                    serde_json::json!({ "errors": [{ "message": other.to_string() }] })
                );
            }
            other => eprintln!("error: {other}"),
        }
    }

    /// 2 for wrong arguments or SQL; what a server said has codes of its own (see `client`); 1 for
    /// everything else.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Sql(_) | Self::Usage(_) => ExitCode::from(2),
            Self::Server { code, .. } => ExitCode::from(*code),
            Self::Engine(_) | Self::Io { .. } | Self::Other(_) => ExitCode::from(1),
        }
    }

    /// An I/O error with what was tried.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |error| Self::Io { what, error }
    }
}

/// A diagnostic for scripts.
pub(crate) fn diagnostic_json(diagnostic: &tidewheel_core::Diagnostic) -> serde_json::Value {
    let place = diagnostic.span.as_ref().map(|span| {
        let (line, column) = span.line_column();
        (
            span.source.name.clone(),
            line,
            column,
            span.text().to_owned(),
        )
    });
    serde_json::json!({
        "severity": match diagnostic.severity {
            tidewheel_core::diagnostic::Severity::Error => "error",
            tidewheel_core::diagnostic::Severity::Warning => "warning",
        },
        "message": diagnostic.message,
        "advice": diagnostic.advice,
        "file": place.as_ref().map(|p| p.0.clone()),
        "line": place.as_ref().map(|p| p.1),
        "column": place.as_ref().map(|p| p.2),
        "text": place.as_ref().map(|p| p.3.clone()),
    })
}
