//! The description of the API, and a page to read and try it.

use super::super::App;
use super::replies::Any;
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;

const PAGE: &str = include_str!("../pages/docs.html");
const SCRIPT: &str = include_str!("../pages/app.js");
const STYLE: &str = include_str!("../pages/style.css");
/// Nothing of another host is loaded, and nothing runs that is not ours.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The description of the API
#[utoipa::path(
    get, path = "/openapi.json", tag = "service", operation_id = "openapi", security(()),
    responses((status = 200, body = Object, description = "OpenAPI 3.1"), Any)
)]
pub(super) async fn openapi(State(app): State<Arc<App>>) -> Response {
    page(&app.openapi, "application/json")
}

/// A page, or something that it loads.
pub(super) fn page(text: &str, kind: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text.to_owned()).into_response()
}

/// The pages, which the description leaves out.
pub(super) fn pages() -> Router<Arc<App>> {
    Router::new()
        .route(
            "/docs",
            get(|| async { page(PAGE, "text/html; charset=utf-8") }),
        )
        .route(
            "/docs/app.js",
            get(|| async { page(SCRIPT, "text/javascript; charset=utf-8") }),
        )
        .route(
            "/docs/style.css",
            get(|| async { page(STYLE, "text/css; charset=utf-8") }),
        )
}
