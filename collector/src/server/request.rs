//! One request and its answer.

use super::App;
use super::answer::{self, Answer};
use super::body::{self, Problem};
use super::route::{Route, route};
use crate::bad::{Evidence, Failure, Reason};
use crate::batch::Batch;
use crate::collect::Arrival;
use crate::identity::Identity;
use crate::metrics::Count;
use crate::sink::Away;
use crate::time;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, StatusCode};
use std::net::SocketAddr;

/// Records of at least so many bytes are handed to the sink before more events are read.
const PART_BYTES: usize = 64 << 10;
/// The most bytes of headers that go into events.
const HEADER_BYTES_MAX: usize = 16 << 10;

const ROBOTS: &[u8] = b"User-agent: *\nDisallow: /\n";
const AWAY: &str = "the events were not stored; send them again";
const BUSY: &str = "too much is under way; send it again";

/// Answers a request.
pub(super) async fn answer(app: &App, request: Request<Incoming>, peer: SocketAddr) -> Answer {
    let (parts, body) = request.into_parts();
    let route = route(&parts.method, parts.uri.path(), &app.settings);
    let mut answer = match route {
        Route::Post | Route::Unknown | Route::Pixel => events(app, &parts, body, route, peer).await,
        Route::Preflight => answer::preflight(),
        Route::Health => answer::ok(),
        Route::SinkHealth if app.sink.is_away() => answer::unavailable("the sink is away"),
        Route::SinkHealth => answer::ok(),
        Route::Robots => answer::text(StatusCode::OK, ROBOTS),
        Route::Metrics => answer::text(StatusCode::OK, app.metrics.text(app.sink.is_away())),
        Route::NotFound => answer::text(StatusCode::NOT_FOUND, "there is nothing here"),
        Route::NoMethod => answer::text(
            StatusCode::METHOD_NOT_ALLOWED,
            "events come by POST, or by GET in the query",
        ),
    };
    let count = match answer.status() {
        status if status.is_success() => Count::Accepted,
        StatusCode::PAYLOAD_TOO_LARGE => Count::TooLarge,
        StatusCode::REQUEST_TIMEOUT => Count::Incomplete,
        StatusCode::SERVICE_UNAVAILABLE => Count::Unavailable,
        _ => Count::NotFound,
    };
    app.metrics.count(count);
    answer::allow(&mut answer, &parts.headers, &app.settings.origins);
    answer
}

/// A header's text; one that is no UTF-8, or very long, says nothing.
fn header_of(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let value = headers.get(name)?.as_bytes();
    let text = std::str::from_utf8(value).ok()?;
    (!text.is_empty() && text.len() <= HEADER_BYTES_MAX).then_some(text)
}

async fn events(
    app: &App,
    parts: &Parts,
    body: Incoming,
    route: Route,
    peer: SocketAddr,
) -> Answer {
    if app.sink.is_away() {
        return answer::unavailable(AWAY);
    }
    let query = parts.uri.query().unwrap_or("");
    let identity = Identity::of(&parts.headers, query, peer, &app.settings);
    let arrival = Arrival {
        collector_ms: time::now(),
        path: parts.uri.path(),
        user_agent: header_of(&parts.headers, header::USER_AGENT),
        referer: header_of(&parts.headers, header::REFERER),
        address: &identity.address,
        network_userid: &identity.network_userid,
    };
    let is_get = parts.method != hyper::Method::POST;
    let stored = if is_get {
        pixel(app, query, route, &arrival).await
    } else {
        post(app, parts, query, body, route, &arrival).await
    };
    if let Err(answer) = stored {
        return answer;
    }
    let mut answer = if is_get {
        answer::pixel()
    } else {
        answer::ok()
    };
    if let Some(cookie) = &identity.cookie
        && let Ok(cookie) = HeaderValue::from_str(cookie)
    {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    answer
}

fn unknown_path() -> Failure {
    Failure::new(
        Reason::Path,
        "the path names no protocol that is spoken here",
    )
}

async fn store(app: &App, batch: Batch) -> Result<(), Answer> {
    let stored = app.sink.write(batch).await;
    stored.map_err(|Away| answer::unavailable(AWAY))
}

/// Takes the event of a query.
async fn pixel(app: &App, query: &str, route: Route, arrival: &Arrival<'_>) -> Result<(), Answer> {
    let mut batch = batch(arrival);
    if route == Route::Unknown {
        let evidence = Evidence::Bytes(query.as_bytes());
        app.collector
            .bad(&unknown_path(), arrival, evidence, &mut batch);
    } else {
        app.collector.get(query, arrival, &mut batch);
    }
    store(app, batch).await
}

fn batch(arrival: &Arrival<'_>) -> Batch {
    Batch {
        collector_ms: arrival.collector_ms,
        ..Batch::default()
    }
}

/// True for JSON in UTF-8, which is also what it is where nothing is said.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = header_of(headers, header::CONTENT_TYPE) else {
        return false;
    };
    let mut parts = kind.split(';').map(str::trim);
    let json = parts
        .next()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    json && parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    })
}

fn is_packed(headers: &HeaderMap) -> bool {
    header_of(headers, header::CONTENT_ENCODING).is_some_and(|encoding| {
        let encoding = encoding.trim();
        encoding.eq_ignore_ascii_case("gzip") || encoding.eq_ignore_ascii_case("x-gzip")
    })
}

/// Takes the events of a body.
async fn post(
    app: &App,
    parts: &Parts,
    query: &str,
    body: Incoming,
    route: Route,
    arrival: &Arrival<'_>,
) -> Result<(), Answer> {
    let refuse = |problem| match problem {
        Problem::TooLarge => answer::text(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
        Problem::Memory => answer::unavailable(BUSY),
        Problem::Incomplete | Problem::Packed => {
            let mut answer = answer::text(StatusCode::REQUEST_TIMEOUT, "the body did not come");
            answer
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
            answer
        }
    };
    let packed = is_packed(&parts.headers);
    let (came, _memory) = body::read(app, body, packed).await.map_err(refuse)?;
    let mut batch = batch(arrival);
    let unpacked: Result<Bytes, Failure> = if route == Route::Unknown {
        Err(unknown_path())
    } else if !is_json(&parts.headers) {
        let message = "the header Content-Type is not application/json in UTF-8";
        Err(Failure::new(Reason::ContentType, message))
    } else if packed {
        match body::unpack(&came, app.settings.limits.body_bytes) {
            Ok(bytes) => Ok(bytes),
            Err(Problem::Packed) => Err(Failure::new(Reason::Payload, "the body is no gzip")),
            Err(problem) => return Err(refuse(problem)),
        }
    } else {
        Ok(came.clone())
    };
    let payload = match unpacked {
        Ok(payload) => payload,
        Err(failure) => {
            app.collector
                .bad(&failure, arrival, Evidence::Bytes(&came), &mut batch);
            return store(app, batch).await;
        }
    };
    drop(came);
    let Some(mut events) = app.collector.open(query, &payload, arrival, &mut batch) else {
        return store(app, batch).await;
    };
    // Many small events may become far more bytes than they are: those go on in parts.
    let most = PART_BYTES.max(payload.len());
    loop {
        let more = app.collector.next(&mut events, arrival, most, &mut batch);
        store(app, std::mem::replace(&mut batch, self::batch(arrival))).await?;
        if !more {
            return Ok(());
        }
    }
}
