//! The columns of an event, by name.

use std::borrow::Cow;
use tidewheel_core::snowplow::ATOMIC;

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// The place of a column, found while compiling: a name that is none does not compile.
const fn place(name: &str) -> usize {
    let mut at = 0;
    while !same(ATOMIC[at].name, name) {
        at += 1;
    }
    at
}

macro_rules! columns {
    ($($constant:ident $name:literal,)*) => {
        $(
            #[doc = concat!("The place of `", $name, "`.")]
            pub const $constant: usize = place($name);
        )*
    };
}

columns! {
    APP_ID "app_id", PLATFORM "platform", ETL_TSTAMP "etl_tstamp",
    COLLECTOR_TSTAMP "collector_tstamp", DVCE_CREATED_TSTAMP "dvce_created_tstamp", EVENT "event",
    EVENT_ID "event_id", TXN_ID "txn_id", NAME_TRACKER "name_tracker", V_TRACKER "v_tracker",
    V_COLLECTOR "v_collector", V_ETL "v_etl", USER_ID "user_id", USER_IPADDRESS "user_ipaddress",
    USER_FINGERPRINT "user_fingerprint", DOMAIN_USERID "domain_userid",
    DOMAIN_SESSIONIDX "domain_sessionidx", NETWORK_USERID "network_userid",
    GEO_COUNTRY "geo_country", GEO_REGION "geo_region", GEO_CITY "geo_city",
    GEO_ZIPCODE "geo_zipcode", GEO_LATITUDE "geo_latitude", GEO_LONGITUDE "geo_longitude",
    GEO_REGION_NAME "geo_region_name", PAGE_URL "page_url", PAGE_TITLE "page_title",
    PAGE_REFERRER "page_referrer", PAGE_URLSCHEME "page_urlscheme", PAGE_URLHOST "page_urlhost",
    PAGE_URLPORT "page_urlport", PAGE_URLPATH "page_urlpath", PAGE_URLQUERY "page_urlquery",
    PAGE_URLFRAGMENT "page_urlfragment", REFR_URLSCHEME "refr_urlscheme",
    REFR_URLHOST "refr_urlhost", REFR_URLPORT "refr_urlport", REFR_URLPATH "refr_urlpath",
    REFR_URLQUERY "refr_urlquery", REFR_URLFRAGMENT "refr_urlfragment", REFR_MEDIUM "refr_medium",
    REFR_SOURCE "refr_source", REFR_TERM "refr_term", MKT_MEDIUM "mkt_medium",
    MKT_SOURCE "mkt_source", MKT_TERM "mkt_term", MKT_CONTENT "mkt_content",
    MKT_CAMPAIGN "mkt_campaign", CONTEXTS "contexts", SE_CATEGORY "se_category",
    SE_ACTION "se_action", SE_LABEL "se_label", SE_PROPERTY "se_property", SE_VALUE "se_value",
    UNSTRUCT_EVENT "unstruct_event", TR_ORDERID "tr_orderid", TR_AFFILIATION "tr_affiliation",
    TR_TOTAL "tr_total", TR_TAX "tr_tax", TR_SHIPPING "tr_shipping", TR_CITY "tr_city",
    TR_STATE "tr_state", TR_COUNTRY "tr_country", TI_ORDERID "ti_orderid", TI_SKU "ti_sku",
    TI_NAME "ti_name", TI_CATEGORY "ti_category", TI_PRICE "ti_price", TI_QUANTITY "ti_quantity",
    PP_XOFFSET_MIN "pp_xoffset_min", PP_XOFFSET_MAX "pp_xoffset_max",
    PP_YOFFSET_MIN "pp_yoffset_min", PP_YOFFSET_MAX "pp_yoffset_max", USERAGENT "useragent",
    BR_LANG "br_lang", BR_FEATURES_PDF "br_features_pdf", BR_FEATURES_FLASH "br_features_flash",
    BR_FEATURES_JAVA "br_features_java", BR_FEATURES_DIRECTOR "br_features_director",
    BR_FEATURES_QUICKTIME "br_features_quicktime",
    BR_FEATURES_REALPLAYER "br_features_realplayer",
    BR_FEATURES_WINDOWSMEDIA "br_features_windowsmedia", BR_FEATURES_GEARS "br_features_gears",
    BR_FEATURES_SILVERLIGHT "br_features_silverlight", BR_COOKIES "br_cookies",
    BR_COLORDEPTH "br_colordepth", BR_VIEWWIDTH "br_viewwidth", BR_VIEWHEIGHT "br_viewheight",
    OS_TIMEZONE "os_timezone", DVCE_SCREENWIDTH "dvce_screenwidth",
    DVCE_SCREENHEIGHT "dvce_screenheight", DOC_CHARSET "doc_charset", DOC_WIDTH "doc_width",
    DOC_HEIGHT "doc_height", TR_CURRENCY "tr_currency", TI_CURRENCY "ti_currency",
    GEO_TIMEZONE "geo_timezone", MKT_CLICKID "mkt_clickid", MKT_NETWORK "mkt_network",
    DVCE_SENT_TSTAMP "dvce_sent_tstamp", REFR_DOMAIN_USERID "refr_domain_userid",
    REFR_DVCE_TSTAMP "refr_dvce_tstamp", DERIVED_CONTEXTS "derived_contexts",
    DOMAIN_SESSIONID "domain_sessionid", DERIVED_TSTAMP "derived_tstamp",
    EVENT_VENDOR "event_vendor", EVENT_NAME "event_name", EVENT_FORMAT "event_format",
    EVENT_VERSION "event_version", EVENT_FINGERPRINT "event_fingerprint",
    TRUE_TSTAMP "true_tstamp",
}

/// The texts of an event's columns; an empty text is no value. Times and JSON are kept elsewhere.
#[derive(Debug)]
pub struct Columns<'a> {
    values: [Cow<'a, str>; ATOMIC.len()],
}

impl Default for Columns<'_> {
    fn default() -> Self {
        const EMPTY: Cow<'_, str> = Cow::Borrowed("");
        Self {
            values: [EMPTY; ATOMIC.len()],
        }
    }
}

impl<'a> Columns<'a> {
    /// A column's text; empty where there is none.
    #[must_use]
    pub fn text(&self, column: usize) -> &str {
        self.values.get(column).map_or("", |value| value)
    }

    /// A column's text where it is not empty.
    #[must_use]
    pub fn get(&self, column: usize) -> Option<&str> {
        Some(self.text(column)).filter(|text| !text.is_empty())
    }

    /// Sets a column. Tabs become four spaces and other control characters go, so that a record
    /// of tab-separated values stays one.
    pub fn set(&mut self, column: usize, value: impl Into<Cow<'a, str>>) {
        let value = value.into();
        // Without an early end, so that many bytes are looked at together.
        let controls = |any, byte: &u8| any | byte.is_ascii_control();
        let value = if value.as_bytes().iter().fold(false, controls) {
            Cow::Owned(without_controls(&value))
        } else {
            value
        };
        if let Some(place) = self.values.get_mut(column) {
            *place = value;
        }
    }
}

fn without_controls(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => clean.push_str("    "),
            other if other.is_ascii_control() => {}
            other => clean.push(other),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_event_model() {
        assert_eq!((APP_ID, CONTEXTS, TRUE_TSTAMP), (0, 52, 130));
        assert_eq!(
            (USERAGENT, REFR_DVCE_TSTAMP, DERIVED_CONTEXTS),
            (77, 121, 122)
        );
    }

    #[test]
    fn control_characters_do_not_reach_a_record() {
        let mut columns = Columns::default();
        columns.set(PAGE_TITLE, "a\tb\nc\r\u{0}d\u{7f}é");
        assert_eq!(columns.get(PAGE_TITLE), Some("a    bcdé"));
        assert_eq!(columns.get(PAGE_URL), None);
    }
}
