// Snowbridge's transform: an event as Snowplow's SDKs write it in JSON (each column that is not empty,
// and each entity as a column) becomes the record that queries/events.sql reads. Undefined fields
// vanish; `list_name` and `marketing` are null where there is none.

var SNOWPLOW = "com_snowplowanalytics_snowplow_";
var ECOMMERCE = SNOWPLOW + "ecommerce_";

/** All entities of a name, perhaps none. */
function entities(event, name) {
  var found = event["contexts_" + name];
  return Array.isArray(found) ? found : [];
}

/** The first entity of a name, or an empty object. */
function entity(event, name) {
  return entities(event, name)[0] || {};
}

/** An object with the fields that have a value; undefined if none has. */
function some(fields) {
  for (var name in fields) {
    if (fields[name] !== undefined && fields[name] !== null) return fields;
  }
  return undefined;
}

function size(width, height) {
  return width === undefined || height === undefined ? undefined : width + "x" + height;
}

/** The e-commerce action's type where there is one, else the event's own kind. */
function typeOf(event, action) {
  if (action) return action.type || "unknown_ecommerce";
  return event.event || "unknown";
}

function payloadOf(event, type, action) {
  var payload = {};
  var product = function () { return entity(event, ECOMMERCE + "product_1"); };
  var cart = function () { return entity(event, ECOMMERCE + "cart_1"); };
  switch (type) {
    case "page_view":
      payload.page_title = event.page_title;
      payload.page_url = event.page_url;
      payload.referrer = event.page_referrer;
      break;
    case "product_view":
      payload.product = product();
      break;
    case "add_to_cart":
    case "remove_from_cart":
      payload.product = product();
      payload.cart = cart();
      break;
    case "list_view":
    case "list_click":
      payload.products = entities(event, ECOMMERCE + "product_1");
      payload.list_name = action && action.name !== undefined ? action.name : null;
      break;
    case "checkout_step":
      payload.checkout_step = entity(event, ECOMMERCE + "checkout_step_1");
      payload.cart = cart();
      break;
    case "promo_view":
    case "promo_click":
      payload.promotion = entity(event, ECOMMERCE + "promotion_1");
      break;
    case "transaction":
    case "trns_error":
      payload.transaction = entity(event, ECOMMERCE + "transaction_1");
      break;
    case "refund":
      payload.refund = entity(event, ECOMMERCE + "refund_1");
      break;
  }
  payload.se_data = some({
    category: event.se_category,
    action: event.se_action,
    label: event.se_label,
    property: event.se_property,
    value: event.se_value === undefined ? undefined : String(event.se_value),
  });
  var specification = entity(event, SNOWPLOW + "event_specification_1");
  payload.specification = some({
    id: specification.id,
    name: specification.name,
    data_product_id: specification.data_product_id,
    data_product_name: specification.data_product_name,
  });
  return payload;
}

function browserOf(event) {
  var context = entities(event, SNOWPLOW + "browser_context_2")[0];
  if (context) return context;
  return {
    viewport: size(event.br_viewwidth, event.br_viewheight),
    resolution: size(event.dvce_screenwidth, event.dvce_screenheight),
    color_depth: event.br_colordepth,
    cookies_enabled: event.br_cookies,
    language: event.br_lang,
  };
}

function enrichOf(event) {
  return {
    client: {
      useragent: event.useragent,
      browser: browserOf(event),
      device: {
        created_tstamp: event.dvce_created_tstamp,
        sent_tstamp: event.dvce_sent_tstamp,
        screen_width: event.dvce_screenwidth,
        screen_height: event.dvce_screenheight,
        os_timezone: event.os_timezone,
      },
      page: { page_url: event.page_url, page_title: event.page_title, page_referrer: event.page_referrer },
    },
    performance: entity(event, "org_w3_performance_navigation_timing_1"),
    user: {
      user_id: event.user_id,
      domain_userid: event.domain_userid,
      network_userid: event.network_userid,
      ip_address: event.user_ipaddress,
    },
    marketing: some({
      mkt_medium: event.mkt_medium,
      mkt_source: event.mkt_source,
      mkt_term: event.mkt_term,
      mkt_content: event.mkt_content,
      mkt_campaign: event.mkt_campaign,
      mkt_clickid: event.mkt_clickid,
      mkt_network: event.mkt_network,
    }) || null,
    platform: event.platform,
  };
}

function sessionOf(event) {
  var session = entities(event, SNOWPLOW + "client_session_1")[0];
  return session || { domain_sessionid: event.domain_sessionid, domain_sessionidx: event.domain_sessionidx };
}

function metadataOf(event) {
  return {
    event_version: event.event_version,
    event_format: event.event_format,
    event_fingerprint: event.event_fingerprint,
    event_vendor: event.event_vendor,
    app_id: event.app_id,
    etl_tstamp: event.etl_tstamp,
    collector_tstamp: event.collector_tstamp,
    v_tracker: event.v_tracker,
    v_collector: event.v_collector,
    v_etl: event.v_etl,
    name_tracker: event.name_tracker,
  };
}

function convert(event) {
  var action = event["unstruct_event_" + ECOMMERCE + "snowplow_ecommerce_action_1"];
  var type = typeOf(event, action);
  return {
    id: event.event_id,
    type: type,
    timestamp: event.derived_tstamp || event.collector_tstamp,
    payload: payloadOf(event, type, action),
    enrich: enrichOf(event),
    session: sessionOf(event),
    metadata: metadataOf(event),
  };
}

/** What Snowbridge calls with each record. One shopper's events stay in one partition, in order. */
function main(input) {
  var event = typeof input.Data === "string" ? JSON.parse(input.Data) : input.Data;
  return {
    Data: JSON.stringify(convert(event)),
    PartitionKey: event.domain_userid || event.network_userid || input.PartitionKey,
  };
}
