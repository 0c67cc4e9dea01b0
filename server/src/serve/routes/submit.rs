//! Paths that take SQL.

use super::super::body::{SqlBody, Submitted, encoded, query_values};
use super::super::problem::{Problem, SqlError};
use super::super::{App, blocking, changing, idempotency, preview as previews};
use super::queries::{QueryBody, reply, tag_matches};
use super::replies::{Any, Changing, Named, Sql, Tagged};
use crate::catalogue::file_of;
use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;
use tidewheel_sql::plan::Program;
use utoipa::ToSchema;

/// The name that a text has in errors while nobody has given it one.
const UNNAMED: &str = "query";

/// What a text would do.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Validated {
    /// Always true: what is wrong is answered with 422.
    pub valid: bool,
    /// What is worth knowing.
    pub warnings: Vec<SqlError>,
    /// The names that its INSERTs would have.
    pub statements: Vec<String>,
    /// The streaming plan, as text.
    pub plan: String,
}

/// Add a query
///
/// Compiles, runs, and writes the file. The body is JSON, or the SQL itself (then the name is in
/// `?name=`), as `curl --data-binary @file.sql` sends it.
#[utoipa::path(
    post, path = "/api/v1/queries", tag = "queries", operation_id = "createQuery",
    params(
        ("name" = Option<String>, Query, description = "The name, where the body is SQL"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key again gets the same answer and adds nothing")
    ),
    request_body(content(
        (Submitted = "application/json"),
        (String = "text/plain", example = "CREATE TABLE …; INSERT INTO …;")
    )),
    responses(
        (status = 201, body = QueryBody, description = "It runs, and its file is written",
         headers(("Location" = String, description = "Its path"), ("ETag" = String, description = "Its tag"))),
        Any, Sql, Changing
    )
)]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: SqlBody,
) -> Result<Response, Problem> {
    let key = idempotency::key(&headers)?;
    let SqlBody { name, sql } = body;
    let name = name.ok_or_else(|| {
        Problem::bad_request("the query has no name; send \"name\" in the JSON, or ?name=…")
    })?;
    let request = (name.clone(), sql.clone());
    let work = {
        let (app, name, sql) = (Arc::clone(&app), name.clone(), sql.clone());
        async move {
            let catalogue = Arc::clone(&app.catalogue);
            changing(&app, move || catalogue.create(&name, &sql))
                .await?
                .map_err(Problem::from)
        }
    };
    let again = match key {
        Some(key) => {
            let is_there = || {
                let view = app.catalogue.view();
                let file = view.files.get(&name);
                file.is_some_and(|file| file.text.as_deref() == Some(sql.as_str()))
            };
            app.answers.once(key, request, is_there, work).await?
        }
        None => {
            work.await?;
            false
        }
    };
    let mut response = reply(&app, &name, StatusCode::CREATED)?;
    let location = format!("/api/v1/queries/{}", encoded(&name));
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if again {
        let yes = HeaderValue::from_static("true");
        response.headers_mut().insert("idempotency-replayed", yes);
    }
    Ok(response)
}

/// Replace a query
///
/// If-Match says which text is replaced: the tag of the one that you have read, or `*` for any.
#[utoipa::path(
    put, path = "/api/v1/queries/{name}", tag = "queries", operation_id = "replaceQuery",
    params(
        ("name" = String, Path, description = "The query"),
        ("If-Match" = Option<String>, Header, description = "The tag of the text to replace, or *; needed")
    ),
    request_body(content((Submitted = "application/json"), (String = "text/plain"))),
    responses(
        (status = 200, body = QueryBody, description = "The new text runs, and is in the file"),
        (status = 428, body = Problem, content_type = "application/problem+json", description = "If-Match is missing"),
        Any, Named, Sql, Changing, Tagged
    )
)]
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: SqlBody,
) -> Result<Response, Problem> {
    if body.name.is_some_and(|given| given != name) {
        return Err(Problem::bad_request(
            "the name in the body is not the one in the address; a query is not renamed",
        ));
    }
    if !app.catalogue.view().files.contains_key(&name) {
        return Err(Problem::no_query(&name));
    }
    if !headers.contains_key(header::IF_MATCH) {
        return Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "if-match",
            "If-Match is needed",
            "send the ETag of the text that you replace as If-Match, or If-Match: *",
        ));
    }
    let of_app = Arc::clone(&app);
    changing(&of_app, move || {
        let expected = |tag: &str| tag_matches(&headers, header::IF_MATCH, tag) == Some(true);
        app.catalogue.replace(&name, &body.sql, expected)?;
        reply(&app, &name, StatusCode::OK)
    })
    .await?
}

/// Check a text
///
/// Compiles it beside all others, or in place of the query of that name; runs nothing.
#[utoipa::path(
    post, path = "/api/v1/queries/validate", tag = "queries", operation_id = "validateQuery",
    params(("name" = Option<String>, Query, description = "The query that it would be, or replace")),
    request_body(content((Submitted = "application/json"), (String = "text/plain"))),
    responses(
        (status = 200, body = Validated, description = "It would run"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Other queries would not run any more"),
        Any, Sql
    )
)]
pub(super) async fn validate(
    State(app): State<Arc<App>>,
    body: SqlBody,
) -> Result<Json<Validated>, Problem> {
    blocking(move || {
        let name = body.name.unwrap_or_else(|| UNNAMED.to_owned());
        crate::catalogue::names::check(&name).map_err(Problem::unfit)?;
        let program = app.catalogue.validate(&name, &body.sql)?;
        let plan =
            crate::tables::masked_text(&tidewheel_sql::explain(&own_queries(&program, &name)));
        let of_file = |d: &&tidewheel_core::Diagnostic| {
            crate::catalogue::resolve::query_of(d).is_none_or(|file| file == name)
        };
        let warnings = program.warnings.0.iter().filter(of_file);
        let queries = program
            .queries
            .iter()
            .filter(|query| file_of(&query.name) == name);
        Ok(Json(Validated {
            valid: true,
            warnings: warnings.map(SqlError::new).collect(),
            statements: queries.map(|query| query.name.clone()).collect(),
            plan,
        }))
    })
    .await?
}

/// The program with one file's queries only.
pub(super) fn own_queries(program: &Program, name: &str) -> Program {
    let mut own = program.clone();
    own.queries.retain(|query| file_of(&query.name) == name);
    own
}

/// Results of a SELECT, as they come
///
/// Server-sent events: `columns`, then `row` for each change, then `end` with the reason. Nothing
/// is written. `last` reads that much of the past first.
#[utoipa::path(
    post, path = "/api/v1/queries/preview", tag = "queries", operation_id = "previewQuery",
    params(
        ("last" = Option<String>, Query, description = "How far back to begin, such as `10 min`; without it, at the end"),
        ("seconds" = Option<u64>, Query, description = "End after that many seconds"),
        ("rows" = Option<u64>, Query, description = "End after that many rows")
    ),
    request_body(content((Submitted = "application/json"), (String = "text/plain", example = "SELECT user_key, COUNT(*) FROM shopper_events GROUP BY user_key"))),
    responses(
        (status = 200, content_type = "text/event-stream", body = String, description = "The events"),
        Any, Sql
    )
)]
pub(super) async fn preview(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    body: SqlBody,
) -> Result<Response, Problem> {
    let query = query.unwrap_or_default();
    let value = |name: &str| query_values(&query, name).pop();
    let number = |name: &str| -> Result<Option<u64>, Problem> {
        let Some(text) = value(name) else {
            return Ok(None);
        };
        let number = text.parse().ok().filter(|number| *number > 0);
        number.map(Some).ok_or_else(|| {
            Problem::bad_request(format!("'{name}' must be a whole number from 1 on"))
        })
    };
    let last =
        match value("last") {
            None => None,
            Some(text) => Some(tidewheel_core::options::parse_duration(&text).ok_or_else(
                || Problem::bad_request("'last' must be a duration such as '10 min' or '2 h'"),
            )?),
        };
    let asked = previews::Asked {
        sql: body.sql,
        last,
        seconds: number("seconds")?,
        rows: number("rows")?,
    };
    Ok(previews::stream(&app, asked).await?.into_response())
}
