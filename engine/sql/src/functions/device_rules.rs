//! The rules of DEVICE_CLASS, in the order in which they are tried; the first that is met counts.
//!
//! The order matters, since user agents name what they pretend to be: robots come first, for they
//! carry a browser's text; televisions before Android, which many run; tablets before phones, for
//! an Android tablet is one whose text lacks "mobile"; phones before computers, for they name
//! "Mac OS X" or "Linux" too.

use super::device::DeviceClass::{self, Desktop, Mobile, Robot, Tablet, Tv};

/// A rule.
pub(super) struct Rule {
    /// What it says of a user agent that meets it.
    pub(super) class: DeviceClass,
    /// The user agent, in lower case, holds all of these.
    pub(super) holds: &'static [&'static str],
    /// And none of these.
    pub(super) lacks: &'static [&'static str],
    /// A user agent that meets this rule and none before it.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "read by the test that walks through the table")
    )]
    pub(super) example: &'static str,
}

const fn rule(
    class: DeviceClass,
    holds: &'static [&'static str],
    lacks: &'static [&'static str],
    example: &'static str,
) -> Rule {
    Rule {
        class,
        holds,
        lacks,
        example,
    }
}

/// The rules.
pub(super) static RULES: &[Rule] = &[
    // Crawlers, monitors, previews, libraries. "cubot" is a maker of phones.
    rule(
        Robot,
        &["bot"],
        &["cubot"],
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    ),
    rule(
        Robot,
        &["crawler"],
        &[],
        "Mozilla/5.0 (compatible; ExampleCrawler/1.0)",
    ),
    rule(
        Robot,
        &["spider"],
        &[],
        "Mozilla/5.0 (compatible; Baiduspider/2.0)",
    ),
    rule(
        Robot,
        &["slurp"],
        &[],
        "Mozilla/5.0 (compatible; Yahoo! Slurp)",
    ),
    rule(
        Robot,
        &["facebookexternalhit"],
        &[],
        "facebookexternalhit/1.1",
    ),
    rule(
        Robot,
        &["headless"],
        &[],
        "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/120.0.0.0",
    ),
    rule(
        Robot,
        &["lighthouse"],
        &[],
        "Mozilla/5.0 (Macintosh) Chrome/120.0.0.0 Chrome-Lighthouse",
    ),
    rule(
        Robot,
        &["phantomjs"],
        &[],
        "Mozilla/5.0 (Unknown; Linux x86_64) PhantomJS/2.1.1",
    ),
    rule(Robot, &["curl/"], &[], "curl/8.5.0"),
    rule(Robot, &["wget/"], &[], "Wget/1.21.4"),
    rule(Robot, &["python-"], &[], "python-requests/2.31.0"),
    rule(Robot, &["okhttp"], &[], "okhttp/4.12.0"),
    rule(Robot, &["go-http-client"], &[], "Go-http-client/2.0"),
    rule(Robot, &["java/"], &[], "Java/17.0.9"),
    rule(
        Robot,
        &["apache-httpclient"],
        &[],
        "Apache-HttpClient/4.5.14 (Java 17)",
    ),
    // Televisions, boxes and consoles.
    rule(
        Tv,
        &["smart-tv"],
        &[],
        "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36 TV Safari/537.36",
    ),
    rule(
        Tv,
        &["smarttv"],
        &[],
        "Mozilla/5.0 (Linux; SmartTV) AppleWebKit/537.36",
    ),
    rule(
        Tv,
        &["hbbtv"],
        &[],
        "Mozilla/5.0 (Linux armv7l) HbbTV/1.5.1",
    ),
    rule(Tv, &["appletv"], &[], "AppleTV11,1/16.1"),
    rule(
        Tv,
        &["apple tv"],
        &[],
        "AppleCoreMedia/1.0.0 (Apple TV; U; CPU OS 16_1)",
    ),
    rule(
        Tv,
        &["googletv"],
        &[],
        "Mozilla/5.0 (X11; GoogleTV) AppleWebKit/534.24",
    ),
    rule(
        Tv,
        &["android tv"],
        &[],
        "Mozilla/5.0 (Linux; Android TV 12) AppleWebKit/537.36",
    ),
    rule(
        Tv,
        &["netcast"],
        &[],
        "Mozilla/5.0 (Linux; NetCast; U) AppleWebKit/537.31",
    ),
    rule(
        Tv,
        &["web0s"],
        &[],
        "Mozilla/5.0 (Web0S; Linux/SmartT) AppleWebKit/537.36",
    ),
    rule(
        Tv,
        &["webos.tv"],
        &[],
        "Mozilla/5.0 (Linux) WebAppManager WEBOS.TV",
    ),
    rule(Tv, &["roku"], &[], "Roku/DVP-12.0 (12.0.0.4182)"),
    rule(
        Tv,
        &["crkey"],
        &[],
        "Mozilla/5.0 (X11; Linux armv7l) AppleWebKit/537.36 CrKey/1.56",
    ),
    rule(
        Tv,
        &["bravia"],
        &[],
        "Mozilla/5.0 (Linux; Android 10; BRAVIA 4K) AppleWebKit/537.36",
    ),
    // Fire TV sticks name their model so; Fire tablets name theirs KF….
    rule(
        Tv,
        &["; aft"],
        &[],
        "Mozilla/5.0 (Linux; Android 9; AFTMM) AppleWebKit/537.36",
    ),
    rule(
        Tv,
        &["playstation"],
        &[],
        "Mozilla/5.0 (PlayStation; PlayStation 5/2.26)",
    ),
    rule(
        Tv,
        &["xbox"],
        &[],
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox One)",
    ),
    rule(
        Tv,
        &["nintendo"],
        &[],
        "Mozilla/5.0 (Nintendo Switch; WifiWebAuthApplet)",
    ),
    // Tablets. From iPadOS 13 on an iPad calls itself a Macintosh, and cannot be told from one.
    rule(
        Tablet,
        &["ipad"],
        &[],
        "Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    ),
    rule(
        Tablet,
        &["tablet"],
        &["tablet pc"],
        "Mozilla/5.0 (Android 13; Tablet; rv:120.0)",
    ),
    rule(
        Tablet,
        &["kindle"],
        &[],
        "Mozilla/5.0 (Linux; U; en-us; Kindle/3.0)",
    ),
    rule(
        Tablet,
        &["silk/"],
        &["mobile"],
        "Mozilla/5.0 (Linux; KFTRWI) Silk/118.3.1",
    ),
    rule(
        Tablet,
        &["playbook"],
        &[],
        "Mozilla/5.0 (PlayBook; U; RIM OS 2.1.0; en-US)",
    ),
    rule(
        Tablet,
        &["android"],
        &["mobile"],
        "Mozilla/5.0 (Linux; Android 13; SM-X906C) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36",
    ),
    // Phones.
    rule(
        Mobile,
        &["iphone"],
        &[],
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15",
    ),
    rule(
        Mobile,
        &["ipod"],
        &[],
        "Mozilla/5.0 (iPod touch; CPU OS 12_5 like Mac OS X)",
    ),
    rule(
        Mobile,
        &["android"],
        &[],
        "Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/120.0.0.0 Mobile Safari/537.36",
    ),
    rule(
        Mobile,
        &["windows phone"],
        &[],
        "Mozilla/5.0 (Windows Phone 10.0; Lumia 950)",
    ),
    rule(Mobile, &["blackberry"], &[], "BlackBerry9700/5.0.0.862"),
    rule(
        Mobile,
        &["bb10"],
        &[],
        "Mozilla/5.0 (BB10; Touch) AppleWebKit/537.10+",
    ),
    rule(
        Mobile,
        &["opera mini"],
        &[],
        "Opera/9.80 (J2ME/MIDP; Opera Mini/7.1; U; en)",
    ),
    rule(
        Mobile,
        &["kaios"],
        &[],
        "Mozilla/5.0 (KAIOS; rv:48.0) KAIOS/2.5",
    ),
    rule(
        Mobile,
        &["mobile"],
        &[],
        "Mozilla/5.0 (Mobile; rv:26.0) Gecko/26.0 Firefox/26.0",
    ),
    // Computers.
    rule(
        Desktop,
        &["windows nt"],
        &[],
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/120.0.0.0",
    ),
    rule(
        Desktop,
        &["macintosh"],
        &[],
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Safari/605.1.15",
    ),
    rule(
        Desktop,
        &["mac os x"],
        &[],
        "Mozilla/5.0 (Mac OS X 14.1) Gecko/20100101",
    ),
    rule(
        Desktop,
        &["cros "],
        &[],
        "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) Chrome/120.0.0.0",
    ),
    rule(
        Desktop,
        &["x11"],
        &[],
        "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:120.0) Firefox/120.0",
    ),
    rule(
        Desktop,
        &["linux"],
        &[],
        "Mozilla/5.0 (Wayland; Linux x86_64) Firefox/120.0",
    ),
    rule(
        Desktop,
        &["windows"],
        &[],
        "Mozilla/4.0 (compatible; MSIE 6.0; Windows 98)",
    ),
];
