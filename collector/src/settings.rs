//! How a collector is set up.

use std::net::SocketAddr;
use std::time::Duration;

/// The path that trackers post to.
pub const TRACKER_PATH: &str = "com.snowplowanalytics.snowplow/tp2";

/// Bounds. What reaches one is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The largest body, compressed or not; more is answered with 413.
    pub body_bytes: usize,
    /// The largest payload that is read; more is a bad row.
    pub payload_bytes: usize,
    /// The largest record that is written; more is a bad row.
    pub record_bytes: usize,
    /// The largest head of a request, at least 8 kB; more is answered with 431.
    pub head_bytes: usize,
    /// Connections that are open at the same time; more wait.
    pub connections: usize,
    /// The longest a body may take; then comes 408.
    pub request_time: Duration,
    /// The longest a connection may wait for its next request, or take to send its head.
    pub idle_time: Duration,
    /// Memory for the bodies of requests and what they become; where it is used up comes 503.
    pub memory_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 2 << 20,
            payload_bytes: 1 << 20,
            // A broker's usual bound of 1,000,000 counts its own framing too.
            record_bytes: 990_000,
            head_bytes: 64 << 10,
            connections: 900,
            request_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(20),
            memory_bytes: 256 << 20,
        }
    }
}

/// How a collector speaks HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Threads that answer; at least 1.
    pub threads: usize,
    /// Origins whose pages may send events; empty for all.
    pub origins: Vec<String>,
    /// Paths `vendor/version` that mean [`TRACKER_PATH`]; see [`custom_path`].
    pub paths: Vec<String>,
    /// Believe X-Forwarded-For, X-Real-IP, Forwarded and X-Forwarded-Proto: only behind a proxy
    /// that sets them.
    pub trust_proxy: bool,
    /// How long the cookie `sp` is kept; zero for no cookie.
    pub cookie_age: Duration,
    /// The cookie's domain; without it, the collector's host alone.
    pub cookie_domain: Option<String>,
    /// Bounds.
    pub limits: Limits,
}

/// Where a collector listens, where nothing is said.
pub const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9090);

/// How long the cookie is kept, where nothing is said.
pub const COOKIE_AGE: Duration = Duration::from_secs(365 * 86_400);

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: LISTEN,
            threads: 1,
            origins: Vec::new(),
            paths: Vec::new(),
            trust_proxy: false,
            cookie_age: COOKIE_AGE,
            cookie_domain: None,
            limits: Limits::default(),
        }
    }
}

/// Reads `vendor/version`, or `vendor/version=` with [`TRACKER_PATH`] behind it, and returns the
/// first path.
///
/// # Errors
/// It is neither, or its second half is no path that is understood.
pub fn custom_path(text: &str) -> Result<String, String> {
    let (from, to) = text.split_once('=').unwrap_or((text, TRACKER_PATH));
    let clean = |path: &str| path.trim_matches('/').to_owned();
    let (from, to) = (clean(from), clean(to));
    let two = |path: &str| {
        let mut parts = path.split('/');
        let sound = |part: Option<&str>| part.is_some_and(|part| !part.is_empty());
        sound(parts.next()) && sound(parts.next()) && parts.next().is_none()
    };
    if !two(&from) {
        return Err(format!(
            "'{text}' has no two parts; write VENDOR/VERSION, such as com.shop/events"
        ));
    }
    if to != TRACKER_PATH {
        return Err(format!(
            "'{to}' is not understood; write {from}={TRACKER_PATH}"
        ));
    }
    Ok(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_two_parts() {
        for text in [
            "com.shop/events",
            "/com.shop/events/",
            "com.shop/events=com.snowplowanalytics.snowplow/tp2",
        ] {
            assert_eq!(custom_path(text).expect(text), "com.shop/events");
        }
        for wrong in [
            "",
            "a",
            "a/b/c",
            "/a//",
            "a/b=",
            "a/b=c",
            "a/b=com.acme/v1",
            "=a/b",
        ] {
            assert!(custom_path(wrong).is_err(), "{wrong}");
        }
    }
}
