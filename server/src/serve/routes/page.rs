//! The page at `/`: what runs, how fresh it is, and a key's features live.

use super::super::App;
use super::documentation::page;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use std::sync::Arc;

const PAGE: &str = include_str!("../page/index.html");
const SCRIPT: &str = include_str!("../page/app.js");
const STYLE: &str = include_str!("../page/style.css");
const ICON: &str = include_str!("../page/icon.svg");
/// Where the page has room for the links of `page.links`.
const LINKS: &str = "<!--links-->";

/// Text as it may stand in an element or attribute of HTML.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// The page with links to the service's neighbours.
fn with_links(links: &[(String, String)]) -> String {
    let items: String = links
        .iter()
        .map(|(name, url)| {
            let (name, url) = (escaped(name), escaped(url));
            format!("<li><a href=\"{url}\">{name}</a></li>\n  ")
        })
        .collect();
    PAGE.replace(LINKS, items.trim_end())
}

async fn index(State(app): State<Arc<App>>) -> Response {
    page(&with_links(&app.links), "text/html; charset=utf-8")
}

/// The page and what it loads; the description of the API leaves them out.
pub(super) fn pages() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(index))
        .route(
            "/page/app.js",
            get(|| async { page(SCRIPT, "text/javascript; charset=utf-8") }),
        )
        .route(
            "/page/style.css",
            get(|| async { page(STYLE, "text/css; charset=utf-8") }),
        )
        .route(
            "/page/icon.svg",
            get(|| async { page(ICON, "image/svg+xml") }),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_cannot_become_markup() {
        let links = [("A \"<b>\"".to_owned(), "http://x/?a='&b".to_owned())];
        let html = with_links(&links);
        assert!(html.contains("<a href=\"http://x/?a=&#39;&amp;b\">A &quot;&lt;b&gt;&quot;</a>"));
        assert!(!html.contains(LINKS));
    }
}
