//! The parts of a URL. They stay as they stand: nothing is decoded or brought into a usual form.

use crate::columns::Columns;

/// A URL's parts. Source of the split: RFC 3986, appendix B.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location<'a> {
    /// Before `://`.
    pub scheme: &'a str,
    /// Without user and port.
    pub host: &'a str,
    /// As given, else 443 for https and 80 for all others.
    pub port: u16,
    /// From the first slash on; may be empty.
    pub path: &'a str,
    /// After `?`.
    pub query: &'a str,
    /// After `#`.
    pub fragment: &'a str,
}

/// Splits a URL; `None` where it is no absolute one with a host.
#[must_use]
pub fn split(url: &str) -> Option<Location<'_>> {
    let url = url.trim_matches(' ');
    let (scheme, rest) = url.split_once("://")?;
    let sound = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !sound {
        return None;
    }
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let (host, port) = match authority.rfind(':') {
        // A colon within brackets belongs to an address.
        Some(colon) if !authority[colon..].contains(']') => {
            (&authority[..colon], &authority[colon + 1..])
        }
        _ => (authority, ""),
    };
    let usual = if scheme.eq_ignore_ascii_case("https") {
        443
    } else {
        80
    };
    let port = if port.is_empty() {
        usual
    } else {
        port.parse().ok()?
    };
    (!host.is_empty()).then_some(Location {
        scheme,
        host,
        port,
        path,
        query,
        fragment,
    })
}

/// Sets the six columns of a URL, which lie side by side from its scheme on.
pub fn set(columns: &mut Columns<'_>, first: usize, location: &Location<'_>) {
    let port = location.port.to_string();
    let texts = [
        location.scheme,
        location.host,
        &port,
        location.path,
        location.query,
        location.fragment,
    ];
    for (at, text) in texts.into_iter().enumerate() {
        if !text.is_empty() {
            columns.set(first + at, text.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(url: &str) -> Option<(&str, &str, u16, &str, &str, &str)> {
        let l = split(url)?;
        Some((l.scheme, l.host, l.port, l.path, l.query, l.fragment))
    }

    #[test]
    fn urls_are_split_as_they_stand() {
        for (url, want) in [
            (
                "https://shop.example/a%20b?q=%C3%A9&r#x?y",
                Some(("https", "shop.example", 443, "/a%20b", "q=%C3%A9&r", "x?y")),
            ),
            ("http://u:p@h:8080", Some(("http", "h", 8080, "", "", ""))),
            (
                "http://[::1]:3000/a",
                Some(("http", "[::1]", 3000, "/a", "", "")),
            ),
            (
                "http://[::1]/a:b",
                Some(("http", "[::1]", 80, "/a:b", "", "")),
            ),
            (
                "http://h?a=http://b/c@d",
                Some(("http", "h", 80, "", "a=http://b/c@d", "")),
            ),
            (
                "android-app://com.google",
                Some(("android-app", "com.google", 80, "", "", "")),
            ),
            ("http://h:", Some(("http", "h", 80, "", "", ""))),
            ("http://ü/é", Some(("http", "ü", 80, "/é", "", ""))),
            ("", None),
            ("about:blank", None),
            ("/a/b", None),
            ("http://", None),
            ("http://:80", None),
            ("http://h:x", None),
            ("http://h:65536", None),
            ("1a://h", None),
            ("file:///etc", None),
        ] {
            assert_eq!(parts(url), want, "{url}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_split_or_refused(text in "\\PC*", tail in "[:/?#@\\[\\]a-z0-9]{0,30}") {
            let _ = split(&text);
            let url = format!("http://{tail}");
            if let Some(location) = split(&url) {
                prop_assert!(url.contains(location.host) && !location.host.is_empty());
                prop_assert!(!location.query.contains('#') && !location.path.contains(['?', '#']));
            }
        }
    }
}
