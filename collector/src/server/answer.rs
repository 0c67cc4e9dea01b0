//! Answers.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

pub(super) type Answer = Response<Full<Bytes>>;

/// A transparent picture of one pixel. Source: the GIF89a specification.
pub(super) const PIXEL: &[u8; 43] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff\
    \x21\xf9\x04\x01\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b";

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const ALLOW_ORIGIN: HeaderName = header::ACCESS_CONTROL_ALLOW_ORIGIN;
/// Seconds that a browser keeps what a preflight said.
const PREFLIGHT_AGE: &str = "3600";

/// A text.
pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, TEXT);
    answer
}

/// What a POST gets.
pub(super) fn ok() -> Answer {
    text(StatusCode::OK, &b"ok"[..])
}

/// What an image's request gets. The library leaves the body out of the answer to a HEAD.
pub(super) fn pixel() -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_static(PIXEL)));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/gif"));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-store, must-revalidate"),
    );
    answer
}

/// What a browser asks before it posts.
pub(super) fn preflight() -> Answer {
    let mut answer = Response::new(Full::new(Bytes::new()));
    let headers = answer.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("Content-Type, SP-Anonymous"),
    );
    headers.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from_static(PREFLIGHT_AGE),
    );
    answer
}

/// The sink is away, or memory is used up: come again.
pub(super) fn unavailable(why: &'static str) -> Answer {
    let mut answer = text(StatusCode::SERVICE_UNAVAILABLE, why);
    let headers = answer.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// Lets the page that asked read the answer, where its origin may.
pub(super) fn allow(answer: &mut Answer, asked: &HeaderMap, origins: &[String]) {
    let headers = answer.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    let any = HeaderValue::from_static("*");
    let origin = match asked.get(header::ORIGIN) {
        Some(origin) if origins.is_empty() => origin.clone(),
        Some(origin)
            if origins
                .iter()
                .any(|may| may.as_bytes() == origin.as_bytes()) =>
        {
            origin.clone()
        }
        None if origins.is_empty() => any,
        _ => return,
    };
    headers.insert(ALLOW_ORIGIN, origin);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
}
