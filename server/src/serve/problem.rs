//! Errors as problem+json (RFC 9457), those of SQL with their places.

use crate::catalogue::ChangeError;
use crate::catalogue::resolve::query_of;
use crate::tables::{masked_sql, masked_text};
use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tidewheel_connectors::lookup::LookupError;
use tidewheel_core::diagnostic::Severity;
use tidewheel_core::{Diagnostic, Diagnostics};
use utoipa::ToSchema;

/// What went wrong, as `application/problem+json`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// The kind of problem: a path below `/docs`.
    #[serde(rename = "type")]
    #[schema(example = "/docs#invalid-sql")]
    pub kind: String,
    /// The kind of problem in words.
    #[schema(example = "The SQL is wrong")]
    pub title: String,
    /// The HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// What is wrong here, and what to do.
    pub detail: String,
    /// Everything that is wrong with the SQL, each with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<SqlError>,
    /// The queries that stand in the way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<String>,
    #[serde(skip)]
    headers: Vec<(HeaderName, String)>,
}

/// One thing that is wrong with the SQL, or worth knowing.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct SqlError {
    /// `error` or `warning`.
    #[schema(example = "error")]
    pub severity: String,
    /// What is wrong.
    #[schema(example = "there is no column 'brnd'")]
    pub message: String,
    /// What to write instead.
    #[schema(example = "did you mean 'brand'?")]
    pub advice: Option<String>,
    /// The file, or the name the query would have.
    #[schema(example = "brand.sql")]
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<usize>,
    /// The column in characters, from 1.
    pub column: Option<usize>,
    /// The text at fault.
    pub text: Option<String>,
    /// The line with the text at fault underlined.
    pub excerpt: Option<String>,
}

impl SqlError {
    /// Of a diagnostic; secrets in its texts are masked.
    pub(crate) fn new(diagnostic: &Diagnostic) -> Self {
        let place = diagnostic
            .span
            .as_ref()
            .map(|span| (span, span.line_column()));
        let text = place.as_ref().map(|(span, _)| masked_sql(span.text()));
        let excerpt = place.as_ref().map(|_| {
            let shown = diagnostic.to_string();
            let lines = shown.lines().filter(|line| {
                let gutter = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
                gutter.starts_with('|') && gutter.len() > 1
            });
            masked_sql(&lines.collect::<Vec<_>>().join("\n"))
        });
        Self {
            severity: match diagnostic.severity {
                Severity::Error => "error".to_owned(),
                Severity::Warning => "warning".to_owned(),
            },
            message: masked_text(&diagnostic.message),
            advice: diagnostic.advice.as_deref().map(masked_text),
            file: place.as_ref().map(|(span, _)| span.source.name.clone()),
            line: place.as_ref().map(|(_, (line, _))| *line),
            column: place.as_ref().map(|(_, (_, column))| *column),
            text,
            excerpt,
        }
    }

    /// Of all diagnostics.
    pub(crate) fn all(diagnostics: &[Diagnostic]) -> Vec<Self> {
        diagnostics.iter().map(Self::new).collect()
    }
}

impl Problem {
    /// A problem of a kind.
    pub(crate) fn new(
        status: StatusCode,
        kind: &str,
        title: &str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            kind: format!("/docs#{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: masked_text(&detail.into()),
            errors: Vec::new(),
            queries: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// The same with a header.
    pub(crate) fn with_header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// 400: the request cannot be read.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-request",
            "The request cannot be read",
            detail,
        )
    }

    /// 404.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "There is no such thing",
            detail,
        )
    }

    /// 404 for a query.
    pub(crate) fn no_query(name: &str) -> Self {
        Self::not_found(format!(
            "there is no query '{}'; GET /api/v1/queries lists all",
            name.escape_debug()
        ))
    }

    /// 409.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "conflict",
            "That does not go together",
            detail,
        )
    }

    /// 422 for something else than SQL.
    pub(crate) fn unfit(detail: impl Into<String>) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::new(status, "unfit", "The value cannot be used", detail)
    }

    /// 422 for SQL.
    pub(crate) fn sql(found: &Diagnostics) -> Self {
        let count = found
            .0
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .count();
        let noun = if count == 1 { "error" } else { "errors" };
        let first = found.0.iter().find(|d| d.severity == Severity::Error);
        let detail = match first {
            Some(first) => format!("{count} {noun}; the first: {}", first.message),
            None => format!("{count} {noun}"),
        };
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let mut problem = Self::new(status, "invalid-sql", "The SQL is wrong", detail);
        problem.errors = SqlError::all(&found.0);
        problem
    }

    /// 429: too much at once.
    pub(crate) fn too_many(detail: impl Into<String>) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::new(status, "too-many", "Too much at once", detail)
            .with_header(header::RETRY_AFTER, "1")
    }

    /// 503: what is needed is away.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "unavailable", "What is needed is away", detail)
            .with_header(header::RETRY_AFTER, "2")
    }

    /// 500.
    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::new(status, "internal", "A defect of Tidewheel", detail)
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Name(why) => Self::unfit(why),
            ChangeError::Exists => Self::conflict(
                "a query of that name is there; PUT replaces it, another name adds one",
            ),
            ChangeError::NotFound => {
                Self::not_found("there is no such query; GET /api/v1/queries lists all")
            }
            ChangeError::ReadOnly => Self::new(
                StatusCode::FORBIDDEN,
                "read-only",
                "The folder is served read-only",
                "the server runs with --read-only; change the file in the folder instead",
            ),
            ChangeError::Full(most) => Self::conflict(format!(
                "the catalogue holds {most} queries, its limit (limits.queries); remove one first"
            )),
            ChangeError::Sql(found) => Self::sql(&found),
            ChangeError::Breaks(queries, found) => {
                let mut problem = Self::conflict(format!(
                    "other queries would not run any more: {}; change or remove them first",
                    queries.join(", ")
                ));
                // One error says enough of each: all of a query may hang on one table.
                let first = |query: &String| {
                    let of = |one: &&Diagnostic| query_of(one) == Some(query.as_str());
                    found.0.iter().find(of)
                };
                problem.errors = queries
                    .iter()
                    .filter_map(first)
                    .map(SqlError::new)
                    .collect();
                problem.queries = queries;
                problem
            }
            ChangeError::Changed(tag) => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "changed",
                "The query is another one by now",
                "somebody changed it since you read it; read it again and send its new ETag",
            )
            .with_header(header::ETAG, tag),
            ChangeError::Forbidden(why) => Self::new(
                StatusCode::FORBIDDEN,
                "not-allowed",
                "The SQL reaches what it may not",
                why.join("; "),
            ),
            ChangeError::Engine(error) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "cannot-run",
                "The engine cannot run it",
                error.to_string(),
            ),
            ChangeError::Disk(error) => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "disk",
                "The file cannot be written",
                format!("{error}; check the folder's permissions and space"),
            ),
        }
    }
}

impl From<LookupError> for Problem {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Table(why) => Self::unfit(why),
            LookupError::Key(why) => Self::bad_request(why),
            other => Self::unavailable(other.to_string()),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(detail = self.detail, "a request failed");
        }
        let headers = self.headers.clone();
        let mut response = (status, Json(self)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}
