//! What the benchmarks share.

pub mod event;

/// What the shopper features read.
pub const PATHS: [&str; 21] = [
    "id",
    "type",
    "timestamp",
    "payload.product.id",
    "payload.product.category",
    "payload.product.price",
    "payload.product.brand",
    "payload.cart.total_value",
    "payload.checkout_step.step",
    "payload.list_name",
    "payload.page_url",
    "payload.transaction.transaction_id",
    "payload.transaction.revenue",
    "enrich.user.user_id",
    "enrich.user.domain_userid",
    "enrich.client.useragent",
    "enrich.client.device.os_timezone",
    "enrich.marketing.mkt_campaign",
    "enrich.platform",
    "session.sessionId",
    "session.domain_sessionid",
];
