//! The columns of Snowplow's enriched events, as its pipeline writes them to its own topic: tab-separated, without
//! header or quoting, in this order.
//!
//! Source: the canonical event model in Snowplow's documentation, "Enriched TSV format".

/// How a field's text reads. An empty text is no value, whatever the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text as it stands.
    String,
    /// A decimal integer.
    Int,
    /// A decimal number, with or without an exponent.
    Double,
    /// `1` or `0`.
    Boolean,
    /// UTC, `yyyy-MM-dd HH:mm:ss`, with or without a fraction.
    Timestamp,
    /// A JSON object: entities or the self-describing event, each beside its schema.
    Json,
}

/// One column of an enriched event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name, as the SDKs give it.
    pub name: &'static str,
    /// How its text reads.
    pub kind: Kind,
}

impl Field {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind }
    }
}

/// All columns, in the order of the record's fields.
#[rustfmt::skip]
pub const ATOMIC: [Field; 131] = [
    Field::new("app_id", Kind::String),
    Field::new("platform", Kind::String),
    Field::new("etl_tstamp", Kind::Timestamp),
    Field::new("collector_tstamp", Kind::Timestamp),
    Field::new("dvce_created_tstamp", Kind::Timestamp),
    Field::new("event", Kind::String),
    Field::new("event_id", Kind::String),
    Field::new("txn_id", Kind::Int),
    Field::new("name_tracker", Kind::String),
    Field::new("v_tracker", Kind::String),
    Field::new("v_collector", Kind::String),
    Field::new("v_etl", Kind::String),
    Field::new("user_id", Kind::String),
    Field::new("user_ipaddress", Kind::String),
    Field::new("user_fingerprint", Kind::String),
    Field::new("domain_userid", Kind::String),
    Field::new("domain_sessionidx", Kind::Int),
    Field::new("network_userid", Kind::String),
    Field::new("geo_country", Kind::String),
    Field::new("geo_region", Kind::String),
    Field::new("geo_city", Kind::String),
    Field::new("geo_zipcode", Kind::String),
    Field::new("geo_latitude", Kind::Double),
    Field::new("geo_longitude", Kind::Double),
    Field::new("geo_region_name", Kind::String),
    Field::new("ip_isp", Kind::String),
    Field::new("ip_organization", Kind::String),
    Field::new("ip_domain", Kind::String),
    Field::new("ip_netspeed", Kind::String),
    Field::new("page_url", Kind::String),
    Field::new("page_title", Kind::String),
    Field::new("page_referrer", Kind::String),
    Field::new("page_urlscheme", Kind::String),
    Field::new("page_urlhost", Kind::String),
    Field::new("page_urlport", Kind::Int),
    Field::new("page_urlpath", Kind::String),
    Field::new("page_urlquery", Kind::String),
    Field::new("page_urlfragment", Kind::String),
    Field::new("refr_urlscheme", Kind::String),
    Field::new("refr_urlhost", Kind::String),
    Field::new("refr_urlport", Kind::Int),
    Field::new("refr_urlpath", Kind::String),
    Field::new("refr_urlquery", Kind::String),
    Field::new("refr_urlfragment", Kind::String),
    Field::new("refr_medium", Kind::String),
    Field::new("refr_source", Kind::String),
    Field::new("refr_term", Kind::String),
    Field::new("mkt_medium", Kind::String),
    Field::new("mkt_source", Kind::String),
    Field::new("mkt_term", Kind::String),
    Field::new("mkt_content", Kind::String),
    Field::new("mkt_campaign", Kind::String),
    Field::new("contexts", Kind::Json),
    Field::new("se_category", Kind::String),
    Field::new("se_action", Kind::String),
    Field::new("se_label", Kind::String),
    Field::new("se_property", Kind::String),
    Field::new("se_value", Kind::Double),
    Field::new("unstruct_event", Kind::Json),
    Field::new("tr_orderid", Kind::String),
    Field::new("tr_affiliation", Kind::String),
    Field::new("tr_total", Kind::Double),
    Field::new("tr_tax", Kind::Double),
    Field::new("tr_shipping", Kind::Double),
    Field::new("tr_city", Kind::String),
    Field::new("tr_state", Kind::String),
    Field::new("tr_country", Kind::String),
    Field::new("ti_orderid", Kind::String),
    Field::new("ti_sku", Kind::String),
    Field::new("ti_name", Kind::String),
    Field::new("ti_category", Kind::String),
    Field::new("ti_price", Kind::Double),
    Field::new("ti_quantity", Kind::Int),
    Field::new("pp_xoffset_min", Kind::Int),
    Field::new("pp_xoffset_max", Kind::Int),
    Field::new("pp_yoffset_min", Kind::Int),
    Field::new("pp_yoffset_max", Kind::Int),
    Field::new("useragent", Kind::String),
    Field::new("br_name", Kind::String),
    Field::new("br_family", Kind::String),
    Field::new("br_version", Kind::String),
    Field::new("br_type", Kind::String),
    Field::new("br_renderengine", Kind::String),
    Field::new("br_lang", Kind::String),
    Field::new("br_features_pdf", Kind::Boolean),
    Field::new("br_features_flash", Kind::Boolean),
    Field::new("br_features_java", Kind::Boolean),
    Field::new("br_features_director", Kind::Boolean),
    Field::new("br_features_quicktime", Kind::Boolean),
    Field::new("br_features_realplayer", Kind::Boolean),
    Field::new("br_features_windowsmedia", Kind::Boolean),
    Field::new("br_features_gears", Kind::Boolean),
    Field::new("br_features_silverlight", Kind::Boolean),
    Field::new("br_cookies", Kind::Boolean),
    Field::new("br_colordepth", Kind::String),
    Field::new("br_viewwidth", Kind::Int),
    Field::new("br_viewheight", Kind::Int),
    Field::new("os_name", Kind::String),
    Field::new("os_family", Kind::String),
    Field::new("os_manufacturer", Kind::String),
    Field::new("os_timezone", Kind::String),
    Field::new("dvce_type", Kind::String),
    Field::new("dvce_ismobile", Kind::Boolean),
    Field::new("dvce_screenwidth", Kind::Int),
    Field::new("dvce_screenheight", Kind::Int),
    Field::new("doc_charset", Kind::String),
    Field::new("doc_width", Kind::Int),
    Field::new("doc_height", Kind::Int),
    Field::new("tr_currency", Kind::String),
    Field::new("tr_total_base", Kind::Double),
    Field::new("tr_tax_base", Kind::Double),
    Field::new("tr_shipping_base", Kind::Double),
    Field::new("ti_currency", Kind::String),
    Field::new("ti_price_base", Kind::Double),
    Field::new("base_currency", Kind::String),
    Field::new("geo_timezone", Kind::String),
    Field::new("mkt_clickid", Kind::String),
    Field::new("mkt_network", Kind::String),
    Field::new("etl_tags", Kind::String),
    Field::new("dvce_sent_tstamp", Kind::Timestamp),
    Field::new("refr_domain_userid", Kind::String),
    Field::new("refr_dvce_tstamp", Kind::Timestamp),
    Field::new("derived_contexts", Kind::Json),
    Field::new("domain_sessionid", Kind::String),
    Field::new("derived_tstamp", Kind::Timestamp),
    Field::new("event_vendor", Kind::String),
    Field::new("event_name", Kind::String),
    Field::new("event_format", Kind::String),
    Field::new("event_version", Kind::String),
    Field::new("event_fingerprint", Kind::String),
    Field::new("true_tstamp", Kind::Timestamp),
];

/// The place of a column in the record, from 0.
///
/// `None`: an enriched event has no such column.
#[must_use]
pub fn position(name: &str) -> Option<usize> {
    ATOMIC.iter().position(|field| field.name == name)
}

#[cfg(test)]
mod tests {
    use super::{ATOMIC, Kind, position};
    use std::collections::HashSet;

    #[test]
    fn every_column_stands_once_at_its_documented_place() {
        let names: HashSet<&str> = ATOMIC.iter().map(|field| field.name).collect();
        assert_eq!(names.len(), ATOMIC.len());
        let places = [
            ("app_id", 0),
            ("event_id", 6),
            ("page_url", 29),
            ("contexts", 52),
            ("unstruct_event", 58),
            ("useragent", 77),
            ("refr_dvce_tstamp", 121),
            ("derived_contexts", 122),
            ("derived_tstamp", 124),
            ("true_tstamp", 130),
        ];
        for (name, place) in places {
            assert_eq!(position(name), Some(place), "{name}");
        }
        assert_eq!(position("event_fingerprints"), None);
    }

    #[test]
    fn kinds_are_those_of_the_documentation() {
        let count = |kind| ATOMIC.iter().filter(|field| field.kind == kind).count();
        assert_eq!(count(Kind::Json), 3);
        assert_eq!(count(Kind::Timestamp), 7);
        assert_eq!(count(Kind::Boolean), 11);
        assert_eq!(count(Kind::Double), 11);
    }
}
