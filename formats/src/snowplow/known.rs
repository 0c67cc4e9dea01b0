//! The columns of schemas that every shop has: the e-commerce plugin's event and entities, and what
//! the browser tracker adds by itself.
//!
//! Source: the schemas of Iglu Central, Snowplow's public registry.

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use std::sync::Arc;

/// Types of fields, in the order of a schema's own words.
#[derive(Clone, Copy)]
enum Type {
    Text,
    Int,
    Number,
    Flag,
    Time,
    Texts,
}

use Type::{Flag, Int, Number, Text, Texts, Time};

type Columns = &'static [(&'static str, &'static [(&'static str, Type)])];

/// Self-describing events: a ROW each.
#[rustfmt::skip]
const EVENTS: Columns = &[
    ("unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1", &[
        ("type", Text), ("name", Text),
    ]),
    ("unstruct_event_com_snowplowanalytics_snowplow_link_click_1", &[
        ("elementId", Text), ("elementClasses", Texts), ("elementTarget", Text),
        ("targetUrl", Text), ("elementContent", Text),
    ]),
    ("unstruct_event_com_snowplowanalytics_snowplow_site_search_1", &[
        ("terms", Texts), ("totalResults", Int), ("pageResults", Int),
    ]),
];

/// Entities: an ARRAY of ROWs each.
#[rustfmt::skip]
const ENTITIES: Columns = &[
    ("contexts_com_snowplowanalytics_snowplow_ecommerce_product_1", &[
        ("id", Text), ("name", Text), ("category", Text), ("price", Number),
        ("list_price", Number), ("quantity", Int), ("size", Text), ("variant", Text),
        ("brand", Text), ("inventory_status", Text), ("position", Int), ("currency", Text),
        ("creative_id", Text),
    ]),
    ("contexts_com_snowplowanalytics_snowplow_ecommerce_cart_1", &[
        ("cart_id", Text), ("total_value", Number), ("currency", Text),
    ]),
    ("contexts_com_snowplowanalytics_snowplow_ecommerce_transaction_1", &[
        ("transaction_id", Text), ("revenue", Number), ("currency", Text),
        ("payment_method", Text), ("total_quantity", Int), ("tax", Number),
        ("shipping", Number), ("discount_code", Text), ("discount_amount", Number),
        ("credit_order", Flag),
    ]),
    ("contexts_com_snowplowanalytics_snowplow_ecommerce_checkout_step_1", &[
        ("step", Int), ("shipping_postcode", Text), ("billing_postcode", Text),
        ("shipping_full_address", Text), ("billing_full_address", Text),
        ("delivery_provider", Text), ("delivery_method", Text), ("coupon_code", Text),
        ("account_type", Text), ("payment_method", Text), ("proof_of_payment", Text),
        ("marketing_opt_in", Flag),
    ]),
    ("contexts_com_snowplowanalytics_snowplow_ecommerce_promotion_1", &[
        ("id", Text), ("name", Text), ("product_ids", Texts), ("position", Int),
        ("creative_id", Text), ("type", Text), ("slot", Text),
    ]),
    ("contexts_com_snowplowanalytics_snowplow_ecommerce_refund_1", &[
        ("transaction_id", Text), ("currency", Text), ("refund_amount", Number),
        ("refund_reason", Text),
    ]),
    ("contexts_com_snowplowanalytics_snowplow_ecommerce_transaction_error_1", &[
        ("error_code", Text), ("error_shortcode", Text), ("error_description", Text),
        ("error_type", Text), ("resolution", Text),
    ]),
    ("contexts_com_snowplowanalytics_snowplow_ecommerce_user_1", &[
        ("id", Text), ("is_guest", Flag), ("email", Text),
    ]),
    ("contexts_com_snowplowanalytics_snowplow_ecommerce_page_1", &[
        ("type", Text), ("language", Text), ("locale", Text),
    ]),
    ("contexts_com_snowplowanalytics_snowplow_web_page_1", &[("id", Text)]),
    ("contexts_com_snowplowanalytics_snowplow_client_session_1", &[
        ("userId", Text), ("sessionId", Text), ("sessionIndex", Int), ("eventIndex", Int),
        ("previousSessionId", Text), ("firstEventId", Text), ("firstEventTimestamp", Time),
        ("storageMechanism", Text),
    ]),
    ("contexts_com_snowplowanalytics_snowplow_browser_context_2", BROWSER),
    ("contexts_com_snowplowanalytics_snowplow_browser_context_1", BROWSER),
    ("contexts_com_snowplowanalytics_snowplow_event_specification_1", &[
        ("id", Text), ("name", Text), ("data_product_id", Text), ("data_product_name", Text),
    ]),
    ("contexts_com_snowplowanalytics_snowplow_ua_parser_context_1", &[
        ("useragentFamily", Text), ("useragentMajor", Text), ("useragentMinor", Text),
        ("useragentPatch", Text), ("useragentVersion", Text), ("osFamily", Text),
        ("osMajor", Text), ("osMinor", Text), ("osPatch", Text), ("osPatchMinor", Text),
        ("osVersion", Text), ("deviceFamily", Text),
    ]),
    ("contexts_nl_basjes_yauaa_context_1", &[
        ("deviceClass", Text), ("deviceName", Text), ("deviceBrand", Text),
        ("operatingSystemClass", Text), ("operatingSystemName", Text),
        ("operatingSystemVersion", Text), ("agentClass", Text), ("agentName", Text),
        ("agentVersion", Text),
    ]),
];

#[rustfmt::skip]
const BROWSER: &[(&str, Type)] = &[
    ("viewport", Text), ("documentSize", Text), ("resolution", Text), ("colorDepth", Int),
    ("devicePixelRatio", Number), ("deviceMemory", Number), ("hardwareConcurrency", Int),
    ("cookiesEnabled", Flag), ("online", Flag), ("webdriver", Flag), ("browserLanguage", Text),
    ("documentLanguage", Text), ("tabId", Text),
];

/// The columns of all of them.
pub(crate) fn columns() -> impl Iterator<Item = FieldRef> {
    let events = EVENTS.iter().map(|(name, fields)| (name, row(fields)));
    let entities = ENTITIES
        .iter()
        .map(|(name, fields)| (name, DataType::new_list(row(fields), true)));
    events
        .chain(entities)
        .map(|(name, data_type)| Arc::new(Field::new(*name, data_type, true)))
}

fn row(fields: &[(&str, Type)]) -> DataType {
    let fields = fields
        .iter()
        .map(|(name, kind)| Field::new(*name, data_type(*kind), true));
    DataType::Struct(fields.collect())
}

fn data_type(kind: Type) -> DataType {
    match kind {
        Text => DataType::Utf8View,
        Int => DataType::Int32,
        Number => DataType::Float64,
        Flag => DataType::Boolean,
        Time => DataType::Timestamp(TimeUnit::Millisecond, None),
        Texts => DataType::new_list(DataType::Utf8View, true),
    }
}
