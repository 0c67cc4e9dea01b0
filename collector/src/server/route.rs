//! Paths.

use crate::settings::{Settings, TRACKER_PATH};
use hyper::Method;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// Events in the body.
    Post,
    /// An event in the query.
    Pixel,
    /// Something that looks like events and is in no protocol that is spoken here.
    Unknown,
    /// Whether a page may send events.
    Preflight,
    Health,
    SinkHealth,
    Robots,
    Metrics,
    NotFound,
    /// The path is there, the method is not.
    NoMethod,
}

/// An older name of the same protocol.
const FORMER_PATH: &str = "com.snowplowanalytics.snowplow/tp1";

/// Finds what a path asks for.
pub(super) fn route(method: &Method, path: &str, settings: &Settings) -> Route {
    if method == Method::OPTIONS {
        return Route::Preflight;
    }
    let reads = method == Method::GET || method == Method::HEAD;
    let read = |route| if reads { route } else { Route::NoMethod };
    let inner = path.strip_prefix('/').unwrap_or(path);
    match inner {
        "health" => return read(Route::Health),
        "sink-health" => return read(Route::SinkHealth),
        "robots.txt" => return read(Route::Robots),
        "metrics" => return read(Route::Metrics),
        "i" | "ice.png" => return read(Route::Pixel),
        // A redirect to wherever a query says serves those who deceive: there is none.
        "r/tp2" => return Route::NotFound,
        _ => {}
    }
    let mut parts = inner.split('/');
    let two = parts
        .by_ref()
        .take(2)
        .filter(|part| !part.is_empty())
        .count()
        == 2;
    if !two || parts.next().is_some() {
        return Route::NotFound;
    }
    let spoken = inner == TRACKER_PATH || settings.paths.iter().any(|custom| custom == inner);
    match *method {
        Method::POST if spoken => Route::Post,
        Method::GET | Method::HEAD if spoken || inner == FORMER_PATH => Route::Pixel,
        Method::POST | Method::GET | Method::HEAD => Route::Unknown,
        _ => Route::NoMethod,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_its_route() {
        let settings = Settings {
            paths: vec!["com.shop/events".to_owned()],
            ..Settings::default()
        };
        let (get, post, head) = (Method::GET, Method::POST, Method::HEAD);
        for (method, path, want) in [
            (&post, "/com.snowplowanalytics.snowplow/tp2", Route::Post),
            (&get, "/com.snowplowanalytics.snowplow/tp2", Route::Pixel),
            (&get, "/com.snowplowanalytics.snowplow/tp1", Route::Pixel),
            (&post, "/com.snowplowanalytics.snowplow/tp1", Route::Unknown),
            (&post, "/com.shop/events", Route::Post),
            (&get, "/com.shop/events", Route::Pixel),
            (&post, "/com.snowplowanalytics.iglu/v1", Route::Unknown),
            (&get, "/wp-admin/setup.php", Route::Unknown),
            (&get, "/i", Route::Pixel),
            (&head, "/i", Route::Pixel),
            (&head, "/ice.png", Route::Pixel),
            (&post, "/i", Route::NoMethod),
            (&get, "/health", Route::Health),
            (&get, "/sink-health", Route::SinkHealth),
            (&get, "/robots.txt", Route::Robots),
            (&get, "/metrics", Route::Metrics),
            (&post, "/health", Route::NoMethod),
            (&Method::DELETE, "/a/b", Route::NoMethod),
            (&Method::OPTIONS, "/anything/at/all", Route::Preflight),
            (&get, "/r/tp2", Route::NotFound),
            (&get, "/", Route::NotFound),
            (&get, "", Route::NotFound),
            (&get, "/a", Route::NotFound),
            (&get, "/a/", Route::NotFound),
            (&get, "//b", Route::NotFound),
            (&get, "/a/b/c", Route::NotFound),
            (&get, "/a/b/", Route::NotFound),
            (&get, "/crossdomain.xml", Route::NotFound),
        ] {
            assert_eq!(route(method, path, &settings), want, "{method} {path}");
        }
    }
}
