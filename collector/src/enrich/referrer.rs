//! Where a visitor came from, by a small table of our own.

use super::location::Location;
use crate::columns::{self as column, Columns};
use crate::payload::{form_decode, pairs};

/// The longest term of a search that is kept, in bytes; what lies behind is cut off.
const TERM_MAX: usize = 1_000;

const SEARCH: &str = "search";
const SOCIAL: &str = "social";
const EMAIL: &str = "email";
const CHATBOT: &str = "chatbot";

/// A host (with what lies below it; one that ends in a dot with any ending), the kind of site, its
/// name, and the parameters that hold a search's term. The first match counts.
const SITES: &[(&str, &str, &str, &[&str])] = &[
    ("mail.google.", EMAIL, "Gmail", &[]),
    ("gemini.google.com", CHATBOT, "Gemini", &[]),
    ("com.google.android.gm", EMAIL, "Gmail", &[]),
    (
        "com.google.android.googlequicksearchbox",
        SEARCH,
        "Google",
        &[],
    ),
    ("google.", SEARCH, "Google", &["q"]),
    ("copilot.microsoft.com", CHATBOT, "Microsoft Copilot", &[]),
    ("bing.com", SEARCH, "Bing", &["q"]),
    ("duckduckgo.com", SEARCH, "DuckDuckGo", &["q"]),
    ("mail.yahoo.", EMAIL, "Yahoo! Mail", &[]),
    ("yahoo.", SEARCH, "Yahoo!", &["p", "q"]),
    ("mail.yandex.", EMAIL, "Yandex Mail", &[]),
    ("yandex.", SEARCH, "Yandex", &["text"]),
    ("ya.ru", SEARCH, "Yandex", &["text"]),
    ("baidu.com", SEARCH, "Baidu", &["wd", "word"]),
    ("ecosia.org", SEARCH, "Ecosia", &["q"]),
    ("qwant.com", SEARCH, "Qwant", &["q"]),
    ("startpage.com", SEARCH, "Startpage", &["query", "q"]),
    ("search.brave.com", SEARCH, "Brave", &["q"]),
    ("kagi.com", SEARCH, "Kagi", &["q"]),
    ("naver.com", SEARCH, "Naver", &["query"]),
    ("seznam.cz", SEARCH, "Seznam", &["q"]),
    ("sogou.com", SEARCH, "Sogou", &["query"]),
    ("ask.com", SEARCH, "Ask", &["q"]),
    ("facebook.com", SOCIAL, "Facebook", &[]),
    ("fb.com", SOCIAL, "Facebook", &[]),
    ("instagram.com", SOCIAL, "Instagram", &[]),
    ("threads.net", SOCIAL, "Threads", &[]),
    ("threads.com", SOCIAL, "Threads", &[]),
    ("twitter.com", SOCIAL, "X", &[]),
    ("x.com", SOCIAL, "X", &[]),
    ("t.co", SOCIAL, "X", &[]),
    ("linkedin.com", SOCIAL, "LinkedIn", &[]),
    ("lnkd.in", SOCIAL, "LinkedIn", &[]),
    ("pinterest.", SOCIAL, "Pinterest", &[]),
    ("reddit.com", SOCIAL, "Reddit", &[]),
    ("youtube.com", SOCIAL, "YouTube", &[]),
    ("youtu.be", SOCIAL, "YouTube", &[]),
    ("tiktok.com", SOCIAL, "TikTok", &[]),
    ("bsky.app", SOCIAL, "Bluesky", &[]),
    ("mastodon.social", SOCIAL, "Mastodon", &[]),
    ("tumblr.com", SOCIAL, "Tumblr", &[]),
    ("snapchat.com", SOCIAL, "Snapchat", &[]),
    ("quora.com", SOCIAL, "Quora", &[]),
    ("news.ycombinator.com", SOCIAL, "Hacker News", &[]),
    ("vk.com", SOCIAL, "VK", &[]),
    ("whatsapp.com", SOCIAL, "WhatsApp", &[]),
    ("t.me", SOCIAL, "Telegram", &[]),
    ("outlook.live.com", EMAIL, "Outlook", &[]),
    ("outlook.office.com", EMAIL, "Outlook", &[]),
    ("outlook.office365.com", EMAIL, "Outlook", &[]),
    ("mail.proton.me", EMAIL, "Proton Mail", &[]),
    ("chatgpt.com", CHATBOT, "ChatGPT", &[]),
    ("chat.openai.com", CHATBOT, "ChatGPT", &[]),
    ("claude.ai", CHATBOT, "Claude", &[]),
    ("perplexity.ai", CHATBOT, "Perplexity", &[]),
    ("chat.mistral.ai", CHATBOT, "Mistral", &[]),
    ("chat.deepseek.com", CHATBOT, "DeepSeek", &[]),
];

/// True when `host` is `site` or lies below it.
fn is_below(host: &str, site: &str) -> bool {
    let Some(start) = host.len().checked_sub(site.len()) else {
        return false;
    };
    let (Some(before), Some(end)) = (host.get(..start), host.get(start..)) else {
        return false;
    };
    end.eq_ignore_ascii_case(site) && (before.is_empty() || before.ends_with('.'))
}

/// True when `host` is `site`, which ends in a dot, with one more label or two short ones such as
/// `co.uk`, or lies below that.
fn has_name(host: &str, site: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let at = if host.starts_with(site) {
        Some(0)
    } else {
        host.find(&format!(".{site}")).map(|dot| dot + 1)
    };
    let Some(ending) = at.and_then(|at| host.get(at + site.len()..)) else {
        return false;
    };
    match ending.split_once('.') {
        None => !ending.is_empty(),
        Some((second, country)) => second.len() <= 3 && country.len() == 2,
    }
}

/// Sets medium, source and term.
pub fn set(
    columns: &mut Columns<'_>,
    page: Option<&Location<'_>>,
    from: &Location<'_>,
    internal: &[String],
) {
    let same = page.is_some_and(|page| page.host.eq_ignore_ascii_case(from.host));
    if same || internal.iter().any(|domain| is_below(from.host, domain)) {
        return columns.set(column::REFR_MEDIUM, "internal");
    }
    let site = SITES.iter().find(|(site, ..)| {
        if site.ends_with('.') {
            has_name(from.host, site)
        } else {
            is_below(from.host, site)
        }
    });
    let Some((_, medium, source, terms)) = site else {
        return columns.set(column::REFR_MEDIUM, "unknown");
    };
    columns.set(column::REFR_MEDIUM, *medium);
    columns.set(column::REFR_SOURCE, *source);
    let term = terms.iter().find_map(|name| {
        let (_, value) = pairs(from.query).find(|(param, _)| param == name)?;
        form_decode(value).ok().filter(|term| !term.is_empty())
    });
    if let Some(term) = term {
        let end = term.floor_char_boundary(TERM_MAX);
        columns.set(column::REFR_TERM, term[..end].to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::super::location::split;
    use super::*;

    fn read(page: &str, from: &str) -> (String, String, String) {
        let mut columns = Columns::default();
        let internal = ["pay.example".to_owned()];
        let from = split(from).expect(from);
        set(&mut columns, split(page).as_ref(), &from, &internal);
        let text = |at| columns.text(at).to_owned();
        (
            text(column::REFR_MEDIUM),
            text(column::REFR_SOURCE),
            text(column::REFR_TERM),
        )
    }

    #[test]
    fn referrers_have_medium_source_and_term() {
        for (from, medium, source, term) in [
            (
                "https://www.google.com/search?q=red+shoes&x=1",
                "search",
                "Google",
                "red shoes",
            ),
            ("https://google.co.uk/?q=%C3%A9", "search", "Google", "é"),
            ("https://www.google.de/", "search", "Google", ""),
            ("android-app://com.google.android.gm/", "email", "Gmail", ""),
            ("https://mail.google.com/mail/u/0", "email", "Gmail", ""),
            ("https://gemini.google.com/app", "chatbot", "Gemini", ""),
            (
                "https://de.search.yahoo.com/search?p=a",
                "search",
                "Yahoo!",
                "a",
            ),
            ("https://www.baidu.com/s?word=b", "search", "Baidu", "b"),
            ("https://WWW.Bing.com/search?q=c", "search", "Bing", "c"),
            ("https://l.facebook.com/l.php?u=x", "social", "Facebook", ""),
            ("https://t.co/abc", "social", "X", ""),
            ("https://chatgpt.com/", "chatbot", "ChatGPT", ""),
            ("https://outlook.live.com/mail", "email", "Outlook", ""),
            ("https://blog.example/", "unknown", "", ""),
            ("https://not.co/", "unknown", "", ""),
            ("https://google.com.evil.example/", "unknown", "", ""),
            ("https://evilbing.com/", "unknown", "", ""),
            ("https://google./", "unknown", "", ""),
            ("https://Shop.example:8443/a", "internal", "", ""),
            ("https://www.pay.example/a", "internal", "", ""),
            ("https://éé/", "unknown", "", ""),
        ] {
            let got = read("https://shop.example/", from);
            assert_eq!(
                (&*got.0, &*got.1, &*got.2),
                (medium, source, term),
                "{from}"
            );
        }
    }

    #[test]
    fn every_site_is_reached_by_its_own_host() {
        for (site, medium, source, _) in SITES {
            let host = if site.ends_with('.') {
                format!("{site}com")
            } else {
                (*site).to_owned()
            };
            let got = read("", &format!("https://{host}/"));
            assert_eq!((&*got.0, &*got.1), (*medium, *source), "{site}");
        }
    }

    #[test]
    fn a_long_term_is_cut_between_characters() {
        let (_, _, term) = read("", &format!("https://bing.com/?q={}", "é".repeat(999)));
        assert_eq!(term.len(), TERM_MAX);
    }
}
