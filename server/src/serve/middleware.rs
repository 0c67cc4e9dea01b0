//! Around every request: kinds of answers, bounds, counts, and what becomes of a defect.

use super::App;
use super::problem::Problem;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

/// What a path answers with, as a type and a subtype; `None` for pages, which take what comes.
fn answers_with(path: &str, method: &Method) -> Option<&'static [(&'static str, &'static str)]> {
    const JSON: &[(&str, &str)] = &[("application", "json"), ("application", "problem+json")];
    const EVENTS: &[(&str, &str)] = &[("text", "event-stream")];
    const METRICS: &[(&str, &str)] = &[("application", "openmetrics-text"), ("text", "plain")];
    let is_preview = path == "/api/v1/queries/preview" && method == Method::POST;
    if path == "/" || path.starts_with("/docs") || path.starts_with("/page/") {
        None
    } else if path == "/metrics" {
        Some(METRICS)
    } else if is_preview || (path.starts_with("/api/v1/queries/") && path.ends_with("/changes")) {
        Some(EVENTS)
    } else {
        Some(JSON)
    }
}

/// True when one of the ranges of an Accept header covers one of the kinds.
fn accepts(accept: &str, kinds: &[(&str, &str)]) -> bool {
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or("").to_ascii_lowercase();
        let refused = parts.any(|part| {
            let quality = part.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok());
            quality.is_some_and(|quality| quality <= 0.0)
        });
        let (main, sub) = kind.split_once('/').unwrap_or((&kind, "*"));
        !refused
            && kinds.iter().any(|(wanted_main, wanted_sub)| {
                (main == "*" || main == *wanted_main) && (sub == "*" || sub == *wanted_sub)
            })
    })
}

/// 406 where the caller does not take what the path answers with.
pub(crate) async fn negotiate(request: Request, next: Next) -> Response {
    let kinds = answers_with(request.uri().path(), request.method());
    let accept = request.headers().get_all(header::ACCEPT).iter();
    let accept: Vec<&str> = accept.filter_map(|value| value.to_str().ok()).collect();
    if let Some(kinds) = kinds
        && !accept.is_empty()
        && !accepts(&accept.join(","), kinds)
    {
        let kinds = kinds.iter().map(|(main, sub)| format!("{main}/{sub}"));
        return Problem::new(
            StatusCode::NOT_ACCEPTABLE,
            "not-acceptable",
            "There is no answer of that kind",
            format!(
                "this answers with {}",
                kinds.collect::<Vec<_>>().join(" or ")
            ),
        )
        .into_response();
    }
    next.run(request).await
}

/// Bounds the requests at the same time and the time of each.
pub(crate) async fn bound(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Ok(_place) = app.requests.try_acquire() else {
        let detail = "the server answers as many requests as it may (limits.requests)";
        return Problem::too_many(detail).into_response();
    };
    match tokio::time::timeout(app.limits.request_time, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            "The request took too long",
            "its body did not come, or the work was not done in time (limits.request-time)",
        )
        .into_response(),
    }
}

/// The route that a path belongs to, as a label: few, whatever is asked for.
fn route_of(path: &str) -> &'static str {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts.as_slice() {
        ["healthz"] => "/healthz",
        ["readyz"] => "/readyz",
        ["metrics"] => "/metrics",
        ["openapi.json"] => "/openapi.json",
        ["docs", ..] => "/docs",
        [""] | ["page", ..] => "/",
        ["api", "v1", "queries"] => "/api/v1/queries",
        ["api", "v1", "queries", "validate"] => "/api/v1/queries/validate",
        ["api", "v1", "queries", "preview"] => "/api/v1/queries/preview",
        ["api", "v1", "queries", _] => "/api/v1/queries/{name}",
        ["api", "v1", "queries", _, "pause"] => "/api/v1/queries/{name}/pause",
        ["api", "v1", "queries", _, "resume"] => "/api/v1/queries/{name}/resume",
        ["api", "v1", "queries", _, "plan"] => "/api/v1/queries/{name}/plan",
        ["api", "v1", "queries", _, "changes"] => "/api/v1/queries/{name}/changes",
        ["api", "v1", "queries", _, "stats"] => "/api/v1/queries/{name}/stats",
        ["api", "v1", "tables"] => "/api/v1/tables",
        ["api", "v1", "tables", _] => "/api/v1/tables/{name}",
        ["api", "v1", "features"] => "/api/v1/features",
        ["api", "v1", "features", _] => "/api/v1/features/{table}",
        ["api", "v1", "features", _, _] => "/api/v1/features/{table}/{key}",
        _ => "none",
    }
}

/// Counts requests, and sets the headers that all answers have.
pub(crate) async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let route = route_of(request.uri().path()).to_owned();
    let method = request.method().clone();
    let mut response = next.run(request).await;
    let took = begin.elapsed();
    let status = response.status();
    app.http.count(&method, &route, status.as_u16(), took);
    tracing::debug!(%method, route, status = status.as_u16(), ?took, "answered");
    let headers = response.headers_mut();
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// 404 for paths that are none.
pub(crate) async fn no_path(uri: Uri) -> Problem {
    Problem::not_found(format!(
        "there is nothing at '{}'; /docs describes all paths",
        uri.path().escape_debug()
    ))
}

/// 405 for methods that a path does not have.
pub(crate) async fn no_method(method: Method, uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "The path does not have this method",
        format!(
            "{method} does nothing at {}; the header Allow names what does",
            uri.path().escape_debug()
        ),
    )
}

/// 500 for a defect; what is known of it stands in the log only.
#[allow(clippy::needless_pass_by_value, reason = "the layer hands it over")]
pub(crate) fn defect(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("unknown");
    tracing::error!(panic = text, "a request met a defect");
    Problem::internal("the log says more; please report it").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_is_read_as_http_has_it() {
        let json = answers_with("/api/v1/queries", &Method::GET).expect("has a kind");
        for fine in [
            "*/*",
            "application/*",
            "text/html, application/json;q=0.5",
            "application/problem+json",
        ] {
            assert!(accepts(fine, json), "{fine}");
        }
        for wrong in ["text/html", "application/json;q=0", "image/*", ""] {
            assert!(!accepts(wrong, json), "{wrong}");
        }
        let events = answers_with("/api/v1/queries/a/changes", &Method::GET).expect("has a kind");
        assert!(accepts("text/event-stream", events) && !accepts("application/json", events));
        assert_eq!(answers_with("/docs/app.js", &Method::GET), None);
    }
}
