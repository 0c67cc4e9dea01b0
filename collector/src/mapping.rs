//! Parameters to columns, and what makes an event bad.

use crate::bad::{Failure, Reason};
use crate::columns::{self as column, Columns};
use crate::event::Times;
use crate::params::{Param, Params};
use crate::time::parse_millis;
use std::borrow::Cow;
use uuid::Uuid;

/// How a parameter's text reads.
#[derive(Debug, Clone, Copy)]
enum Rule {
    /// As it stands.
    Text,
    /// At most so many UTF-16 units.
    Capped(usize),
    /// A whole number.
    Int,
    /// A number.
    Double,
    /// `1` or `0`.
    Flag,
    /// A UUID, in lower case.
    Id,
}

use Rule::{Capped, Double, Flag, Id, Int, Text};

/// What goes into a column of its own. Of two parameters for a column, the later one here wins.
#[rustfmt::skip]
const RULES: &[(Param, usize, Rule)] = &[
    (Param::Aid, column::APP_ID, Text),
    (Param::Tid, column::TXN_ID, Int),
    (Param::Tna, column::NAME_TRACKER, Text),
    (Param::Tv, column::V_TRACKER, Text),
    (Param::Cv, column::V_COLLECTOR, Text),
    (Param::Uid, column::USER_ID, Capped(255)),
    (Param::Fp, column::USER_FINGERPRINT, Text),
    (Param::Duid, column::DOMAIN_USERID, Text),
    (Param::Vid, column::DOMAIN_SESSIONIDX, Int),
    (Param::Sid, column::DOMAIN_SESSIONID, Id),
    (Param::Nuid, column::NETWORK_USERID, Capped(NETWORK_USERID_MAX)),
    (Param::Tnuid, column::NETWORK_USERID, Capped(NETWORK_USERID_MAX)),
    (Param::Url, column::PAGE_URL, Capped(URL_MAX)),
    (Param::Page, column::PAGE_TITLE, Capped(2_000)),
    (Param::Refr, column::PAGE_REFERRER, Capped(URL_MAX)),
    (Param::EvCa, column::SE_CATEGORY, Text),
    (Param::EvAc, column::SE_ACTION, Text),
    (Param::EvLa, column::SE_LABEL, Text),
    (Param::EvPr, column::SE_PROPERTY, Text),
    (Param::EvVa, column::SE_VALUE, Double),
    (Param::SeCa, column::SE_CATEGORY, Text),
    (Param::SeAc, column::SE_ACTION, Text),
    (Param::SeLa, column::SE_LABEL, Text),
    (Param::SePr, column::SE_PROPERTY, Text),
    (Param::SeVa, column::SE_VALUE, Double),
    (Param::TrId, column::TR_ORDERID, Text),
    (Param::TrAf, column::TR_AFFILIATION, Text),
    (Param::TrTt, column::TR_TOTAL, Double),
    (Param::TrTx, column::TR_TAX, Double),
    (Param::TrSh, column::TR_SHIPPING, Double),
    (Param::TrCi, column::TR_CITY, Text),
    (Param::TrSt, column::TR_STATE, Text),
    (Param::TrCo, column::TR_COUNTRY, Text),
    (Param::TrCu, column::TR_CURRENCY, Text),
    (Param::TiId, column::TI_ORDERID, Text),
    (Param::TiSk, column::TI_SKU, Text),
    (Param::TiNa, column::TI_NAME, Text),
    (Param::TiNm, column::TI_NAME, Text),
    (Param::TiCa, column::TI_CATEGORY, Text),
    (Param::TiPr, column::TI_PRICE, Double),
    (Param::TiQu, column::TI_QUANTITY, Int),
    (Param::TiCu, column::TI_CURRENCY, Text),
    (Param::PpMix, column::PP_XOFFSET_MIN, Int),
    (Param::PpMax, column::PP_XOFFSET_MAX, Int),
    (Param::PpMiy, column::PP_YOFFSET_MIN, Int),
    (Param::PpMay, column::PP_YOFFSET_MAX, Int),
    (Param::Ua, column::USERAGENT, Capped(USERAGENT_MAX)),
    (Param::Lang, column::BR_LANG, Text),
    (Param::FPdf, column::BR_FEATURES_PDF, Flag),
    (Param::FFla, column::BR_FEATURES_FLASH, Flag),
    (Param::FJava, column::BR_FEATURES_JAVA, Flag),
    (Param::FDir, column::BR_FEATURES_DIRECTOR, Flag),
    (Param::FQt, column::BR_FEATURES_QUICKTIME, Flag),
    (Param::FRealp, column::BR_FEATURES_REALPLAYER, Flag),
    (Param::FWma, column::BR_FEATURES_WINDOWSMEDIA, Flag),
    (Param::FGears, column::BR_FEATURES_GEARS, Flag),
    (Param::FAg, column::BR_FEATURES_SILVERLIGHT, Flag),
    (Param::Cookie, column::BR_COOKIES, Flag),
    (Param::Cd, column::BR_COLORDEPTH, Text),
    (Param::Tz, column::OS_TIMEZONE, Text),
    (Param::Cs, column::DOC_CHARSET, Text),
];

/// Widths and heights in one parameter.
const PAIRS: &[(Param, usize, usize)] = &[
    (
        Param::Res,
        column::DVCE_SCREENWIDTH,
        column::DVCE_SCREENHEIGHT,
    ),
    (Param::Vp, column::BR_VIEWWIDTH, column::BR_VIEWHEIGHT),
    (Param::Ds, column::DOC_WIDTH, column::DOC_HEIGHT),
];

/// The longest page_url and page_referrer, in UTF-16 units.
pub const URL_MAX: usize = 10_000;
/// The longest useragent, in UTF-16 units.
pub const USERAGENT_MAX: usize = 1_000;
/// The longest network_userid, in UTF-16 units.
pub const NETWORK_USERID_MAX: usize = 128;

/// The platforms that a tracker may name.
const PLATFORMS: [&str; 9] = [
    "web", "mob", "pc", "srv", "app", "tv", "cnsl", "iot", "headset",
];

/// A kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A page was viewed.
    PageView,
    /// A page is still open.
    PagePing,
    /// An event that describes itself.
    Unstruct,
    /// An event of a category, an action and three more values.
    Struct,
    /// An order, of trackers before the e-commerce entities.
    Transaction,
    /// An order's line, of the same.
    TransactionItem,
}

impl Kind {
    /// The kind that parameter `e` names.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        Some(match text {
            "pv" => Self::PageView,
            "pp" => Self::PagePing,
            "ue" => Self::Unstruct,
            "se" => Self::Struct,
            "tr" => Self::Transaction,
            "ti" => Self::TransactionItem,
            _ => return None,
        })
    }

    /// The column `event`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PageView => "page_view",
            Self::PagePing => "page_ping",
            Self::Unstruct => "unstruct",
            Self::Struct => "struct",
            Self::Transaction => "transaction",
            Self::TransactionItem => "transaction_item",
        }
    }

    /// Vendor and name of what does not describe itself.
    #[must_use]
    pub fn vendor_and_name(self) -> (&'static str, &'static str) {
        match self {
            Self::Struct => ("com.google.analytics", "event"),
            other => ("com.snowplowanalytics.snowplow", other.name()),
        }
    }
}

fn wrong(name: &str, why: &str) -> Failure {
    Failure::new(Reason::Parameter, format!("'{name}' {why}"))
}

/// Fails when a text has more UTF-16 units than its column may.
///
/// # Errors
/// The failure names the parameter or column.
pub fn within(name: &str, text: &str, most: usize) -> Result<(), Failure> {
    // A byte is never more than one unit.
    if text.len() > most && text.encode_utf16().count() > most {
        return Err(wrong(name, &format!("is longer than {most} characters")));
    }
    Ok(())
}

/// A whole number of 32 bits; a fraction is cut off.
fn int(text: &str) -> Option<i32> {
    text.parse().ok().or_else(|| {
        let number: f64 = text.parse().ok()?;
        let fits = number > f64::from(i32::MIN) - 1.0 && number < f64::from(i32::MAX) + 1.0;
        fits.then_some(number as i32)
    })
}

fn double(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn value<'a>(name: &str, text: &'a str, rule: Rule) -> Result<Cow<'a, str>, Failure> {
    Ok(match rule {
        Text => Cow::Borrowed(text),
        Capped(most) => {
            within(name, text, most)?;
            Cow::Borrowed(text)
        }
        Int => {
            let number = int(text).ok_or_else(|| wrong(name, "is no whole number"))?;
            Cow::Owned(number.to_string())
        }
        Double => {
            let number = double(text).ok_or_else(|| wrong(name, "is no number"))?;
            Cow::Owned(ryu::Buffer::new().format_finite(number).to_owned())
        }
        Flag => match text {
            "1" => Cow::Borrowed("1"),
            "0" => Cow::Borrowed("0"),
            _ => return Err(wrong(name, "is neither 1 nor 0")),
        },
        Id => uuid(text).ok_or_else(|| wrong(name, "is no UUID"))?,
    })
}

/// A UUID in its usual form, in lower case.
fn uuid(text: &str) -> Option<Cow<'_, str>> {
    // Other forms (without hyphens, in braces) are none of the protocol's.
    let sound = text.len() == 36 && Uuid::try_parse(text).is_ok();
    if !sound {
        return None;
    }
    Some(if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    })
}

fn pair(text: &str) -> Option<(i32, i32)> {
    let (width, height) = text.split_once('x')?;
    Some((int(width)?, int(height)?))
}

/// Sets the columns that have a parameter of their own, and returns the event's kind. The event
/// gets an id where it has none.
///
/// # Errors
/// The kind or the platform is missing or unknown, or a value is not as it must be.
pub fn map<'a>(params: &'a Params<'_>, columns: &mut Columns<'a>) -> Result<Kind, Failure> {
    let kind = params
        .get(Param::E)
        .ok_or_else(|| wrong("e", "is missing"))?;
    let kind = Kind::of(kind).ok_or_else(|| wrong("e", "is no kind of event"))?;
    columns.set(column::EVENT, kind.name());
    if let Some(platform) = params.get(Param::P) {
        if !PLATFORMS.contains(&platform) {
            return Err(wrong("p", "is no platform"));
        }
        columns.set(column::PLATFORM, platform);
    }
    let id = match params.get(Param::Eid) {
        Some(text) => uuid(text).ok_or_else(|| wrong("eid", "is no UUID"))?,
        None => Cow::Owned(Uuid::new_v4().to_string()),
    };
    columns.set(column::EVENT_ID, id);
    for (param, column, rule) in RULES {
        if let Some(text) = params.get(*param) {
            columns.set(*column, value(name_of(*param), text, *rule)?);
        }
    }
    for (param, width, height) in PAIRS {
        if let Some(text) = params.get(*param) {
            let (w, h) = pair(text).ok_or_else(|| wrong(name_of(*param), "is no WIDTHxHEIGHT"))?;
            columns.set(*width, w.to_string());
            columns.set(*height, h.to_string());
        }
    }
    Ok(kind)
}

fn name_of(param: Param) -> &'static str {
    crate::params::PARAMS
        .get(param as usize)
        .map_or("", |(name, _)| name)
}

/// The times that a tracker gives.
///
/// # Errors
/// One is no time.
pub fn times(params: &Params<'_>, collector: i64, etl: i64) -> Result<Times, Failure> {
    let time = |param| {
        let text = params.get(param);
        let read = |text| parse_millis(text).ok_or_else(|| wrong(name_of(param), "is no time"));
        text.map(read).transpose()
    };
    Ok(Times {
        collector,
        etl,
        created: time(Param::Dtm)?,
        sent: time(Param::Stm)?,
        truth: time(Param::Ttm)?,
        left: None,
    })
}

/// What payload_data asks of every event of a POST.
///
/// # Errors
/// One of its three parameters is missing.
pub fn require(params: &Params<'_>) -> Result<(), Failure> {
    for param in [Param::Tv, Param::P, Param::E] {
        if params.get(param).is_none() {
            return Err(wrong(name_of(param), "is missing"));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "mapping_tests.rs"]
mod tests;
