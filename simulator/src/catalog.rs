//! What the shop and its visitors' browsers consist of, with the unchanging parts of the JSON
//! rendered once.

use crate::text::{mix, write_cents, write_json_string, write_number};

pub(crate) const CATEGORIES: [(&str, &str); 12] = [
    ("running", "Running shoes"),
    ("trail", "Trail shoes"),
    ("kids", "Kid shoes"),
    ("sandals", "Sandals"),
    ("boots", "Boots"),
    ("socks", "Socks"),
    ("bags", "Bags & belts"),
    ("jackets", "Jackets"),
    ("cafe", "Après-ski"),
    ("boards", "Boards 12\""),
    ("care", "Care"),
    ("gifts", "Gifts"),
];

/// Lists that are no categories; a list's number is an index into these, then the categories.
pub(crate) const LISTS: [&str; 4] = [
    "Top this week",
    "New series",
    "You might also be interested in",
    "Search results",
];
pub(crate) const LIST_TOP: u8 = 0;
pub(crate) const LIST_NEW: u8 = 1;
pub(crate) const LIST_RELATED: u8 = 2;
pub(crate) const LIST_SEARCH: u8 = 3;

pub(crate) const BRANDS: [&str; 9] = [
    "Brand A", "Brand B", "Brand C", "Brand D", "Brand E", "Brand F", "Brand G", "Brand H",
    "Brand Ü",
];

pub(crate) const SEARCHES: [&str; 6] = [
    "running+shoes",
    "red%20boots",
    "size+42",
    "gift",
    "wool+socks",
    "caf%C3%A9",
];

/// source, medium, campaign, term, content.
pub(crate) const CAMPAIGNS: [[&str; 5]; 5] = [
    [
        "google",
        "cpc",
        "search-ads-winter-sale",
        "winter sale",
        "ad_variant_1",
    ],
    [
        "google",
        "cpc",
        "search-ads-brand",
        "running shoes",
        "ad_variant_2",
    ],
    ["newsletter", "email", "weekly-newsletter", "", "hero"],
    [
        "social",
        "paid-social",
        "spring-collection",
        "",
        "video_15s",
    ],
    ["affiliate", "referral", "partner-2026", "", "banner_728x90"],
];

pub(crate) const ZONES: [&str; 10] = [
    "Europe/Amsterdam",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Madrid",
    "America/New_York",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Australia/Sydney",
];

pub(crate) const PROMOTIONS: [(&str, &str, &str); 3] = [
    ("promo_123", "promo_offers_weekly", "home_hero"),
    ("promo_124", "promo_free_shipping", "top_bar"),
    ("promo_125", "promo_clearance", "sidebar"),
];

/// user agent, screen width, screen height, cores, memory, pixel ratio × 100. The last has no
/// user agent at all.
const BROWSERS: [(&str, u32, u32, u32, u32, u32); 11] = [
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/134.0.0.0 Safari/537.36",
        3440,
        1440,
        10,
        8,
        100,
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/133.0.0.0 Safari/537.36 Edg/133.0.0.0",
        1920,
        1080,
        8,
        8,
        125,
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64; rv:135.0) Gecko/20100101 Firefox/135.0",
        2560,
        1440,
        16,
        8,
        100,
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Safari/605.1.15",
        1728,
        1117,
        8,
        8,
        200,
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Mobile/15E148 Safari/604.1",
        393,
        852,
        6,
        4,
        300,
    ),
    (
        "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/134.0.0.0 Mobile Safari/537.36",
        412,
        915,
        8,
        8,
        263,
    ),
    (
        "Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36",
        384,
        832,
        8,
        8,
        281,
    ),
    (
        "Mozilla/5.0 (iPad; CPU OS 18_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Mobile/15E148 Safari/604.1",
        820,
        1180,
        8,
        4,
        200,
    ),
    (
        "Mozilla/5.0 (SMART-TV; Linux; Tizen 8.0) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/5.0 Chrome/120.0.0.0 TV Safari/537.36",
        1920,
        1080,
        4,
        2,
        100,
    ),
    (
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        1024,
        1024,
        4,
        4,
        100,
    ),
    ("", 1280, 720, 4, 4, 100),
];

/// The profiles before this one are what people use; the rest is rare.
pub(crate) const COMMON_PROFILES: u8 = 8;
pub(crate) const PROFILES: u8 = BROWSERS.len() as u8;
const LANGUAGES: [&str; 5] = ["en-US", "en-GB", "de-DE", "nl-NL", "es-ES"];
const PERFORMANCES: u64 = 64;

/// The unchanging parts of one browser's `enrich.client`.
pub(crate) struct Profile {
    /// The user agent; empty where the browser sends none.
    pub(crate) agent: &'static str,
    pub(crate) language: &'static str,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) view_height: u32,
    pub(crate) document_height: u32,
    /// The browser's context, from `{` up to the tab's id.
    pub(crate) browser: Vec<u8>,
    /// From `"useragent"` up to the tab's id.
    pub(crate) head: Vec<u8>,
    /// The same where the tracker does not send the browser's context.
    pub(crate) head_fallback: Vec<u8>,
    /// `"screen_width":…,"screen_height":…,`
    pub(crate) screen: Vec<u8>,
}

/// A product, with its JSON up to the closing brace.
pub(crate) struct Product {
    pub(crate) cents: u32,
    pub(crate) category: u8,
    pub(crate) name: String,
    /// Its numbers as numbers.
    pub(crate) json: Vec<u8>,
    /// Its numbers as strings.
    pub(crate) json_strings: Vec<u8>,
}

/// All of it.
pub(crate) struct Catalog {
    pub(crate) products: Vec<Product>,
    pub(crate) profiles: Vec<Profile>,
    /// Values of `enrich.performance`.
    pub(crate) performances: Vec<Vec<u8>>,
    /// Names of lists as JSON strings.
    pub(crate) lists: Vec<Vec<u8>>,
    /// Values of `enrich.marketing`.
    pub(crate) marketing: Vec<Vec<u8>>,
}

impl Catalog {
    pub(crate) fn new(seed: u64, products: u32) -> Self {
        Self {
            products: (0..products).map(|number| product(seed, number)).collect(),
            profiles: BROWSERS
                .iter()
                .enumerate()
                .map(|(at, browser)| profile(at, *browser))
                .collect(),
            performances: (0..PERFORMANCES)
                .map(|at| performance(mix(seed ^ at)))
                .collect(),
            lists: LISTS
                .iter()
                .copied()
                .chain(CATEGORIES.iter().map(|(_, name)| *name))
                .map(|name| {
                    let mut json = Vec::new();
                    write_json_string(&mut json, name);
                    json
                })
                .collect(),
            marketing: CAMPAIGNS
                .iter()
                .map(|campaign| marketing(*campaign))
                .collect(),
        }
    }
}

fn product(seed: u64, number: u32) -> Product {
    let bits = mix(seed ^ mix(u64::from(number) ^ 0x7072_6f64));
    let category = (bits % CATEGORIES.len() as u64) as u8;
    let brand = BRANDS[(bits >> 8) as usize % BRANDS.len()];
    let cents = match (bits >> 20) % 4 {
        0 => 1_999 + (bits >> 24) as u32 % 60 * 100,
        1 => 4_250 + (bits >> 24) as u32 % 40 * 50,
        2 => 9_000 + (bits >> 24) as u32 % 80 * 100,
        _ => 99 + (bits >> 24) as u32 % 19_900,
    };
    let name = format!(
        "{} {}",
        ["Flex", "Glide", "Summit", "City"][(bits >> 48) as usize % 4],
        number + 1
    );
    let render = |strings: bool| {
        let mut json = Vec::with_capacity(320);
        let quote: &[u8] = if strings { b"\"" } else { b"" };
        json.extend_from_slice(b"{\"id\":\"");
        write_number(&mut json, u64::from(number) + 1);
        json.extend_from_slice(b"\",\"name\":");
        write_json_string(&mut json, &name);
        json.extend_from_slice(b",\"category\":");
        write_json_string(&mut json, CATEGORIES[usize::from(category)].1);
        json.extend_from_slice(b",\"price\":");
        json.extend_from_slice(quote);
        write_cents(&mut json, u64::from(cents));
        json.extend_from_slice(quote);
        json.extend_from_slice(b",\"list_price\":");
        json.extend_from_slice(quote);
        write_cents(&mut json, u64::from(cents) + 1_000);
        json.extend_from_slice(quote);
        json.extend_from_slice(b",\"currency\":\"USD\",\"brand\":");
        write_json_string(&mut json, brand);
        json.extend_from_slice(b",\"variant\":\"Black-White\",\"size\":\"");
        write_number(&mut json, 28 + (bits >> 40) % 20);
        json.extend_from_slice(b"\",\"inventory_status\":\"in_stock\",\"creative_id\":\"/images/");
        write_number(&mut json, u64::from(number) + 1);
        json.extend_from_slice(b".webp\"");
        json
    };
    Product {
        cents,
        category,
        json: render(false),
        json_strings: render(true),
        name,
    }
}

fn profile(at: usize, browser: (&'static str, u32, u32, u32, u32, u32)) -> Profile {
    let (agent, width, height, cores, memory, ratio) = browser;
    let language = LANGUAGES[at % LANGUAGES.len()];
    let view_height = height - height / 8;
    let user_agent = if agent.is_empty() {
        String::new()
    } else {
        format!("\"useragent\":\"{agent}\",")
    };
    let mut ratio_text = Vec::new();
    write_cents(&mut ratio_text, u64::from(ratio));
    let ratio = String::from_utf8_lossy(&ratio_text).into_owned();
    let document_height = view_height + 1_200;
    let browser = format!(
        "{{\"viewport\":\"{width}x{view_height}\",\"documentSize\":\"{width}x{document_height}\",\
             \"resolution\":\"{width}x{height}\",\"colorDepth\":24,\"devicePixelRatio\":{ratio},\
             \"cookiesEnabled\":true,\"online\":true,\"browserLanguage\":\"{language}\",\
             \"documentLanguage\":\"en\",\"webdriver\":false,\"deviceMemory\":{memory},\
             \"hardwareConcurrency\":{cores},\"tabId\":\""
    );
    Profile {
        agent,
        language,
        width,
        height,
        view_height,
        document_height,
        head: format!("{user_agent}\"browser\":{browser}").into_bytes(),
        browser: browser.into_bytes(),
        head_fallback: format!(
            "{user_agent}\"browser\":{{\"viewport\":\"{width}x{view_height}\",\"resolution\":\"{width}x{height}\",\
             \"color_depth\":\"24\",\"cookies_enabled\":true,\"language\":\"{language}\"}}"
        )
        .into_bytes(),
        screen: format!("\"screen_width\":{width},\"screen_height\":{height},").into_bytes(),
    }
}

/// A page's navigation timing: whole and fractional milliseconds side by side.
fn performance(bits: u64) -> Vec<u8> {
    let start = bits % 40;
    let response = start + 20 + (bits >> 8) % 800;
    let dom = response + 40 + (bits >> 20) % 1_500;
    let load = dom + (bits >> 32) % 400;
    let tail = ["", ".5", ".40000003576279", ".199999988079071"][(bits >> 44) as usize % 4];
    let other = ["", ".300000011920929"][(bits >> 46) as usize % 2];
    format!(
        "{{\"entryType\":\"navigation\",\"type\":\"navigate\",\"nextHopProtocol\":\"h2\",\
         \"fetchStart\":{start}{tail},\"domainLookupStart\":{start}{tail},\"domainLookupEnd\":{}{tail},\
         \"connectStart\":{}{tail},\"secureConnectionStart\":{}{tail},\"connectEnd\":{}{tail},\
         \"requestStart\":{}{tail},\"responseStart\":{response}{other},\"responseEnd\":{}{other},\
         \"domInteractive\":{dom}{other},\"domContentLoadedEventStart\":{dom},\
         \"domContentLoadedEventEnd\":{}{tail},\"domComplete\":{load}{tail},\"loadEventStart\":{load}{tail},\
         \"loadEventEnd\":{}{tail},\"duration\":{}{tail},\"redirectCount\":0,\"transferSize\":{},\
         \"encodedBodySize\":{},\"decodedBodySize\":{}}}",
        start + 2,
        start + 2,
        start + 3,
        start + 3,
        start + 4,
        response + 2,
        dom + 1,
        load + 1,
        load + 1,
        2_133 + (bits >> 50) % 9_000,
        1_833 + (bits >> 50) % 9_000,
        4_970 + (bits >> 50) % 20_000,
    )
    .into_bytes()
}

fn marketing([source, medium, campaign, term, content]: [&str; 5]) -> Vec<u8> {
    let term = if term.is_empty() {
        String::new()
    } else {
        format!("\"mkt_term\":\"{term}\",")
    };
    format!(
        "{{\"mkt_medium\":\"{medium}\",\"mkt_source\":\"{source}\",{term}\
         \"mkt_content\":\"{content}\",\"mkt_campaign\":\"{campaign}\"}}"
    )
    .into_bytes()
}
