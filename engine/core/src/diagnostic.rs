//! Errors in SQL files: where, what, and what to write instead.

use std::fmt;
use std::sync::Arc;

/// A file's name and text, shared by all spans in it.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceText {
    /// The name to show: a path, `<stdin>`, or a query's name.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// A stretch of a source text, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The text it is in.
    pub source: Arc<SourceText>,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The text the span covers.
    #[must_use]
    pub fn text(&self) -> &str {
        self.source.text.get(self.start..self.end).unwrap_or("")
    }

    /// Line and column of the start, both from 1; columns count characters.
    #[must_use]
    pub fn line_column(&self) -> (usize, usize) {
        let before = self
            .source
            .text
            .get(..self.start)
            .unwrap_or(&self.source.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        (line, column)
    }
}

/// How bad a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The statement cannot run.
    Error,
    /// It runs, but perhaps not as meant.
    Warning,
}

/// One thing that is wrong, or worth knowing, in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong, lower case, without a full stop.
    pub message: String,
    /// Where; `None` where no text is at fault.
    pub span: Option<Span>,
    /// What to write instead.
    pub advice: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(message: impl Into<String>, span: Option<Span>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            span,
            advice: None,
        }
    }

    /// A warning at a place.
    pub fn warning(message: impl Into<String>, span: Option<Span>) -> Self {
        Self {
            severity: Severity::Warning,
            message: message.into(),
            span,
            advice: None,
        }
    }

    /// The same with advice.
    #[must_use]
    pub fn with_advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{word}: {}", self.message)?;
        if let Some(span) = &self.span {
            let (line, column) = span.line_column();
            writeln!(f, "  --> {}:{line}:{column}", span.source.name)?;
            let text = span.source.text.lines().nth(line - 1).unwrap_or("");
            // A tab counts as one character in both lines, so the underline stays in place.
            let text = text.replace('\t', " ");
            let left = text.chars().count().saturating_sub(column - 1).max(1);
            let width = span
                .text()
                .lines()
                .next()
                .unwrap_or("")
                .chars()
                .count()
                .clamp(1, left);
            let gutter = line.to_string().len();
            writeln!(f, "{:gutter$} |", "")?;
            writeln!(f, "{line} | {text}")?;
            writeln!(
                f,
                "{:gutter$} | {}{}",
                "",
                " ".repeat(column - 1),
                "^".repeat(width)
            )?;
        }
        if let Some(advice) = &self.advice {
            writeln!(f, "  help: {advice}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

/// All that is wrong with a folder of statements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// True when at least one is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|d| d.severity == Severity::Error)
    }

    /// Sorts by file and place, and removes repeats.
    pub fn sort(&mut self) {
        self.0.sort_by_key(|d| {
            d.span
                .as_ref()
                .map(|s| (s.source.name.clone(), s.start, d.severity))
        });
        self.0.dedup();
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_excerpt_is_underlined_where_the_span_is() {
        let source = Arc::new(SourceText {
            name: "a.sql".into(),
            text: "SELECT\n  größe, pric FROM t".into(),
        });
        let start = source.text.find("pric").expect("there");
        let span = Span {
            source,
            start,
            end: start + 4,
        };
        let shown = Diagnostic::error("no column 'pric'", Some(span))
            .with_advice("did you mean 'price'?")
            .to_string();
        assert_eq!(
            shown,
            "error: no column 'pric'\n  --> a.sql:2:10\n  |\n2 |   größe, pric FROM t\n  \
             |          ^^^^\n  help: did you mean 'price'?\n"
        );
    }
}
