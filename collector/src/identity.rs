//! Who sends a request: the network user, the address, and what the cookie becomes.

use crate::collect::{ANONYMOUS_ADDRESS, ANONYMOUS_USER};
use crate::mapping::NETWORK_USERID_MAX;
use crate::payload::query_nuid;
use crate::settings::Settings;
use hyper::header::{self, HeaderMap, HeaderName};
use std::net::{IpAddr, SocketAddr};
use uuid::Uuid;

/// The cookie's name.
pub const COOKIE: &str = "sp";
/// With it a visitor asks to stay unknown.
pub const ANONYMOUS: HeaderName = HeaderName::from_static("sp-anonymous");

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Who sends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The network user's id.
    pub network_userid: String,
    /// The address.
    pub address: String,
    /// The value of the header Set-Cookie.
    pub cookie: Option<String>,
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

impl Identity {
    /// Reads it from a request's headers and query.
    #[must_use]
    pub fn of(headers: &HeaderMap, query: &str, peer: SocketAddr, settings: &Settings) -> Self {
        let secure = settings.trust_proxy
            && text(headers, &FORWARDED_PROTO)
                .is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"));
        if headers.contains_key(&ANONYMOUS) {
            // What an earlier visit has left goes.
            let has_cookie = cookie_of(headers).is_some();
            return Self {
                network_userid: ANONYMOUS_USER.to_owned(),
                address: ANONYMOUS_ADDRESS.to_owned(),
                cookie: has_cookie.then(|| set_cookie("", 0, secure, settings)),
            };
        }
        let network_userid = query_nuid(query)
            .filter(|id| id.len() <= NETWORK_USERID_MAX)
            .map(|id| id.into_owned())
            .or_else(|| cookie_of(headers).map(str::to_owned))
            .unwrap_or_else(|| Uuid::new_v4().to_string());
        let forwarded = settings.trust_proxy.then(|| forwarded(headers)).flatten();
        let age = settings.cookie_age.as_secs();
        // An id from the query that no cookie can hold is not kept.
        let plain = network_userid.bytes().all(is_cookie_byte);
        let cookie = (age > 0 && plain).then(|| set_cookie(&network_userid, age, secure, settings));
        Self {
            network_userid,
            address: forwarded.unwrap_or(peer.ip()).to_canonical().to_string(),
            cookie,
        }
    }
}

/// A byte that a cookie's value may hold. Source: RFC 6265, section 4.1.1.
fn is_cookie_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

/// The id in the cookie.
fn cookie_of(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter();
    let texts = all.filter_map(|value| value.to_str().ok());
    let mut pairs = texts
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.split_once('='));
    let (_, id) = pairs.find(|(name, _)| name.trim() == COOKIE)?;
    let id = id.trim();
    let sound = !id.is_empty() && id.len() <= NETWORK_USERID_MAX && id.bytes().all(is_cookie_byte);
    sound.then_some(id)
}

fn set_cookie(id: &str, age: u64, secure: bool, settings: &Settings) -> String {
    let domain = settings.cookie_domain.as_ref();
    let domain = domain.map_or_else(String::new, |domain| format!("; Domain={domain}"));
    // A browser takes SameSite=None over https only.
    let site = if secure {
        "; Secure; SameSite=None"
    } else {
        "; SameSite=Lax"
    };
    format!("{COOKIE}={id}; Max-Age={age}; Path=/; HttpOnly{domain}{site}")
}

/// The visitor's address as a proxy tells it.
fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let first = text(headers, &FORWARDED_FOR).and_then(|list| address(list.split(',').next()?));
    let real = || text(headers, &REAL_IP).and_then(address);
    // Source: RFC 7239, section 4.
    let standard = || {
        let elements = text(headers, &header::FORWARDED)?.split([',', ';']);
        let mut pairs = elements.filter_map(|pair| pair.split_once('='));
        let (_, node) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
        address(node.trim().trim_matches('"'))
    };
    first.or_else(real).or_else(standard)
}

/// An address with or without brackets and port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Some(socket.ip());
    }
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const ID: &str = "de30aa02-de2e-4cf0-bd9d-3bbd89d47e0c";

    fn of(
        headers: &[(&'static str, &str)],
        query: &str,
        change: impl FnOnce(&mut Settings),
    ) -> Identity {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a value"));
        }
        let mut settings = Settings::default();
        change(&mut settings);
        let peer = "[::ffff:10.0.0.9]:5000".parse().expect("an address");
        Identity::of(&map, query, peer, &settings)
    }

    #[test]
    fn the_query_goes_before_the_cookie_and_the_cookie_before_a_new_id() {
        let cookie = format!("a=b; sp={ID}; c");
        let got = of(&[("cookie", &cookie)], "e=pv&nuid=x", |_| {});
        assert_eq!(got.network_userid, "x");
        let got = of(&[("cookie", "z=1"), ("cookie", &cookie)], "", |_| {});
        assert_eq!(got.network_userid, ID);
        for none in ["", "sp=", "xsp=1", "sp=\"q\"", "sp=a b"] {
            let got = of(&[("cookie", none)], "", |_| {});
            assert!(Uuid::try_parse(&got.network_userid).is_ok(), "{none}");
        }
        let long = format!("nuid={}", "x".repeat(NETWORK_USERID_MAX + 1));
        assert!(Uuid::try_parse(&of(&[], &long, |_| {}).network_userid).is_ok());
    }

    #[test]
    fn the_cookie_is_what_a_browser_takes() {
        let cookie = format!("sp={ID}");
        let got = of(&[("cookie", &cookie)], "", |_| {});
        assert_eq!(
            got.cookie.expect("set"),
            format!("sp={ID}; Max-Age=31536000; Path=/; HttpOnly; SameSite=Lax")
        );
        let got = of(
            &[("cookie", &cookie), ("x-forwarded-proto", "https")],
            "",
            |settings| {
                settings.trust_proxy = true;
                settings.cookie_domain = Some("shop.example".to_owned());
            },
        );
        assert_eq!(
            got.cookie.expect("set"),
            format!(
                "sp={ID}; Max-Age=31536000; Path=/; HttpOnly; Domain=shop.example; Secure; SameSite=None"
            )
        );
        // Without the option the header says nothing.
        let got = of(&[("x-forwarded-proto", "https")], "", |_| {});
        assert!(got.cookie.expect("set").ends_with("SameSite=Lax"));
        assert_eq!(
            of(&[], "", |settings| settings.cookie_age = Duration::ZERO).cookie,
            None
        );
        // What would end the header's value is not set.
        assert_eq!(of(&[], "nuid=a%3b%20b%0d%0a", |_| {}).cookie, None);
    }

    #[test]
    fn who_asks_stays_unknown() {
        let cookie = format!("sp={ID}");
        let trust = |settings: &mut Settings| settings.trust_proxy = true;
        let headers = [
            ("sp-anonymous", "*"),
            ("cookie", &*cookie),
            ("x-forwarded-for", "1.2.3.4"),
        ];
        let got = of(&headers, "nuid=x", trust);
        assert_eq!(got.network_userid, "00000000-0000-0000-0000-000000000000");
        assert_eq!(got.address, "unknown");
        assert!(got.cookie.expect("expired").starts_with("sp=; Max-Age=0;"));
        assert_eq!(of(&[("sp-anonymous", "*")], "", |_| {}).cookie, None);
    }

    #[test]
    fn proxies_are_believed_only_when_asked_to() {
        let address = |headers: &[(&'static str, &str)], trust: bool| {
            of(headers, "", |settings| settings.trust_proxy = trust).address
        };
        assert_eq!(
            address(&[("x-forwarded-for", "1.2.3.4")], false),
            "10.0.0.9"
        );
        for (headers, want) in [
            (vec![("x-forwarded-for", "1.2.3.4, 5.6.7.8")], "1.2.3.4"),
            (vec![("x-forwarded-for", "1.2.3.4:99")], "1.2.3.4"),
            (vec![("x-forwarded-for", "[2001:db8::1]:99")], "2001:db8::1"),
            (vec![("x-forwarded-for", "[2001:db8::1]")], "2001:db8::1"),
            (vec![("x-forwarded-for", "rubbish")], "10.0.0.9"),
            (vec![("x-forwarded-for", "")], "10.0.0.9"),
            (vec![("x-real-ip", "4.3.2.1")], "4.3.2.1"),
            (
                vec![(
                    "forwarded",
                    "proto=http; For=\"[2001:db8::2]:1\", for=9.9.9.9",
                )],
                "2001:db8::2",
            ),
            (vec![("forwarded", "for=_hidden")], "10.0.0.9"),
        ] {
            assert_eq!(address(&headers, true), want, "{headers:?}");
        }
    }
}
