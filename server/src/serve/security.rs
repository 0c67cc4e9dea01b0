//! Who may do what: tokens, origins, and names of the host.

use super::App;
use super::problem::Problem;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Paths that anybody may read: for load balancers, and the description of the API.
const OPEN: &[&str] = &[
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/docs",
    "/docs/app.js",
    "/docs/style.css",
    "/",
    "/page/app.js",
    "/page/style.css",
    "/page/icon.svg",
];
/// Paths that are read although they are asked with POST.
const READ_BY_POST: &[&str] = &["/api/v1/queries/validate", "/api/v1/queries/preview"];

/// Who may do what.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    /// May read.
    pub read_token: Option<String>,
    /// May change queries, too.
    pub write_token: Option<String>,
    /// Names by which the host may be called; where it is empty, no name is checked.
    pub hosts: Vec<String>,
    /// Origins whose pages may call.
    pub origins: Vec<String>,
}

/// Reading or changing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    Read,
    Write,
}

impl Access {
    fn check_token(&self, headers: &HeaderMap, wanted: Right) -> Result<(), Problem> {
        if self.read_token.is_none() && self.write_token.is_none() {
            return Ok(());
        }
        let given = headers.get(header::AUTHORIZATION);
        let given = given
            .and_then(|value| value.to_str().ok())
            .and_then(|value| {
                let (scheme, token) = value.split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
            });
        let Some(given) = given else {
            return Err(unauthorized("send the header Authorization: Bearer TOKEN"));
        };
        let may_write = self
            .write_token
            .as_deref()
            .is_some_and(|token| same(token, given));
        let may_read = self
            .read_token
            .as_deref()
            .is_some_and(|token| same(token, given));
        match wanted {
            Right::Read if may_read || may_write => Ok(()),
            Right::Write if may_write => Ok(()),
            Right::Write if may_read => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                "The token may only read",
                "this needs the write token",
            )),
            _ => Err(unauthorized("the token is not known")),
        }
    }

    /// Checks a request.
    pub(crate) fn check(&self, request: &Request) -> Result<(), Problem> {
        let path = request.uri().path();
        self.check_browser(request.headers(), request.method())?;
        if OPEN.contains(&path) {
            return Ok(());
        }
        self.check_token(request.headers(), right(request.method(), path))
    }

    /// A page of another site must neither change queries nor read through a name that it made
    /// to point here (DNS rebinding).
    fn check_browser(&self, headers: &HeaderMap, method: &Method) -> Result<(), Problem> {
        let text = |name| {
            headers
                .get(name)
                .and_then(|v: &header::HeaderValue| v.to_str().ok())
        };
        let refused = |detail: String| {
            Problem::new(
                StatusCode::FORBIDDEN,
                "origin",
                "Not from this page",
                detail,
            )
        };
        let host = text(header::HOST).unwrap_or("");
        if !self.hosts.is_empty() && !host.is_empty() {
            let name = host_name(host);
            if !is_loopback_name(&name)
                && !self
                    .hosts
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(&name))
            {
                return Err(refused(format!(
                    "the server is not known as '{}'; call it localhost, or add the name to \
                     serve.hosts",
                    name.escape_debug()
                )));
            }
        }
        let reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
        if let Some(origin) = text(header::ORIGIN).filter(|_| !reads) {
            let own = origin
                .split_once("://")
                .is_some_and(|(_, of)| of.eq_ignore_ascii_case(host));
            if !own && !self.origins.iter().any(|known| known == origin) {
                return Err(refused(
                    "pages of that origin may not change anything; add it to cors.origins"
                        .to_owned(),
                ));
            }
        }
        Ok(())
    }
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "A token is needed",
        detail,
    )
    .with_header(header::WWW_AUTHENTICATE, "Bearer realm=\"tidewheel\"")
}

/// Compares in a time that does not tell how far two tokens agree.
fn same(known: &str, given: &str) -> bool {
    known.as_bytes().ct_eq(given.as_bytes()).into()
}

/// The name in `name:port` or `[address]:port`.
fn host_name(host: &str) -> String {
    let name = match host.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or(inner),
        None => host.split(':').next().unwrap_or(host),
    };
    name.to_ascii_lowercase()
}

fn is_loopback_name(name: &str) -> bool {
    name == "localhost"
        || name.ends_with(".localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn right(method: &Method, path: &str) -> Right {
    let reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
    if reads || READ_BY_POST.contains(&path) {
        Right::Read
    } else {
        Right::Write
    }
}

/// Checks every request.
pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match app.access.check(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        let pair = |(name, value): &(header::HeaderName, &str)| {
            (name.clone(), value.parse().expect("a value"))
        };
        pairs.iter().map(pair).collect()
    }

    fn bearer(token: &str) -> HeaderMap {
        headers(&[(header::AUTHORIZATION, &format!("Bearer {token}"))])
    }

    #[test]
    fn tokens_for_reading_and_for_writing() {
        let access = Access {
            read_token: Some("r".to_owned()),
            write_token: Some("w".to_owned()),
            ..Access::default()
        };
        let status = |headers: &HeaderMap, right| {
            access
                .check_token(headers, right)
                .map_err(|problem| problem.status)
        };
        assert_eq!(status(&bearer("r"), Right::Read), Ok(()));
        assert_eq!(status(&bearer("w"), Right::Read), Ok(()));
        assert_eq!(status(&bearer("w"), Right::Write), Ok(()));
        assert_eq!(status(&bearer("r"), Right::Write), Err(403));
        for wrong in [bearer("x"), bearer(""), bearer("rw"), HeaderMap::new()] {
            assert_eq!(status(&wrong, Right::Read), Err(401));
            assert_eq!(status(&wrong, Right::Write), Err(401));
        }
        let basic = headers(&[(header::AUTHORIZATION, "Basic r")]);
        assert_eq!(status(&basic, Right::Read), Err(401));
    }

    #[test]
    fn pages_of_other_sites_are_kept_out() {
        let access = Access {
            hosts: vec!["localhost".to_owned()],
            origins: vec!["https://shop.example".to_owned()],
            ..Access::default()
        };
        let check = |host: &str, origin: Option<&str>, method: Method| {
            let mut pairs = vec![(header::HOST, host)];
            pairs.extend(origin.map(|origin| (header::ORIGIN, origin)));
            access.check_browser(&headers(&pairs), &method).is_ok()
        };
        assert!(check("127.0.0.1:8080", None, Method::POST));
        assert!(check("[::1]:8080", None, Method::POST));
        assert!(check(
            "localhost:1",
            Some("http://localhost:1"),
            Method::POST
        ));
        assert!(check(
            "localhost:1",
            Some("https://shop.example"),
            Method::PUT
        ));
        assert!(!check(
            "localhost:1",
            Some("https://evil.example"),
            Method::POST
        ));
        assert!(!check("localhost:1", Some("null"), Method::POST));
        assert!(!check("evil.example:8080", None, Method::GET));
        assert!(
            check("localhost:1", Some("https://evil.example"), Method::GET),
            "CORS decides"
        );
    }

    #[test]
    fn what_is_asked_with_post_may_still_be_reading() {
        assert_eq!(
            right(&Method::POST, "/api/v1/queries/validate"),
            Right::Read
        );
        assert_eq!(right(&Method::POST, "/api/v1/queries"), Right::Write);
        assert_eq!(
            right(&Method::POST, "/api/v1/queries/x/pause"),
            Right::Write
        );
        assert_eq!(right(&Method::GET, "/api/v1/queries"), Right::Read);
        assert_eq!(right(&Method::DELETE, "/api/v1/queries/x"), Right::Write);
    }
}
