//! The paths of the API, one module a resource.

pub(super) mod checkpoints;
mod documentation;
mod features;
pub(super) mod health;
mod page;
mod queries;
mod replies;
mod stats;
mod submit;
mod tables;

use super::{App, middleware, security};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{from_fn, from_fn_with_state};
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What the description says of the whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tidewheel",
        description = "Queries over event streams, and the features they keep current.",
        license(name = "Apache 2.0", identifier = "Apache-2.0")
    ),
    security((), ("token" = [])),
    tags(
        (name = "queries", description = "The SQL files of the folder, and how they run."),
        (name = "tables", description = "What queries read and write."),
        (name = "features", description = "What sinks hold, by key."),
        (name = "service", description = "Health, metrics, and this description.")
    )
)]
struct Description;

fn paths() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(queries::list, submit::create))
        .routes(routes!(submit::validate))
        .routes(routes!(submit::preview))
        .routes(routes!(queries::read, submit::replace, queries::delete))
        .routes(routes!(queries::pause))
        .routes(routes!(queries::resume))
        .routes(routes!(stats::plan))
        .routes(routes!(stats::changes))
        .routes(routes!(stats::stats))
        .routes(routes!(tables::list))
        .routes(routes!(tables::read))
        .routes(routes!(features::all_tables))
        .routes(routes!(features::many_keys))
        .routes(routes!(features::one_key))
        .routes(routes!(checkpoints::read))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .routes(routes!(documentation::openapi))
}

/// The description of the API (OpenAPI 3.1) as JSON.
pub(super) fn openapi() -> String {
    let (_, mut openapi) = paths().split_for_parts();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let components = openapi.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    openapi.info.version = env!("CARGO_PKG_VERSION").to_owned();
    openapi.to_pretty_json().unwrap_or_default()
}

/// Everything that is answered.
pub(super) fn router(app: &Arc<App>) -> Router {
    let (router, _) = paths().split_for_parts();
    router
        .merge(documentation::pages())
        .merge(page::pages())
        .fallback(middleware::no_path)
        .method_not_allowed_fallback(middleware::no_method)
        .layer(DefaultBodyLimit::max(app.limits.request_bytes))
        .layer(from_fn(middleware::negotiate))
        .layer(from_fn_with_state(Arc::clone(app), middleware::bound))
        .layer(from_fn_with_state(Arc::clone(app), security::guard))
        .layer(CatchPanicLayer::custom(middleware::defect))
        .layer(cors(&app.access.origins))
        .layer(CompressionLayer::new())
        .layer(from_fn_with_state(Arc::clone(app), middleware::count))
        .with_state(Arc::clone(app))
}

/// Off, unless origins are configured.
fn cors(origins: &[String]) -> CorsLayer {
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|o| o.parse().ok()).collect();
    if origins.is_empty() {
        return CorsLayer::new();
    }
    let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE];
    let idempotency = HeaderName::from_static("idempotency-key");
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods(methods)
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            idempotency,
        ])
        .expose_headers([header::ETAG, header::LOCATION, header::RETRY_AFTER])
}
