-- The shoppers' events from Snowplow's own topic: the enriched TSV that Enrich writes, with no Snowbridge
-- between. Run this in place of events.sql: it gives every query the columns that they read.
--
-- The 131 fields of an event and the entities of Snowplow's e-commerce plugin are columns without being
-- declared, see docs/connectors.md. Entities are declared here all the same, with the fields that some
-- query reads: nothing else of them is decoded.

CREATE TABLE shopper_events (
  contexts_com_snowplowanalytics_snowplow_client_session_1          ARRAY<ROW<sessionId STRING>>,
  contexts_com_snowplowanalytics_snowplow_ecommerce_product_1       ARRAY<ROW<id STRING, category STRING, brand STRING, price DOUBLE>>,
  contexts_com_snowplowanalytics_snowplow_ecommerce_cart_1          ARRAY<ROW<total_value DOUBLE>>,
  contexts_com_snowplowanalytics_snowplow_ecommerce_checkout_step_1 ARRAY<ROW<step INT>>,
  contexts_com_snowplowanalytics_snowplow_ecommerce_transaction_1   ARRAY<ROW<transaction_id STRING, revenue DOUBLE>>,

  id          AS event_id,
  -- The plugin's action, else what the tracker calls the event.
  type        AS CASE
                   WHEN event_vendor = 'com.snowplowanalytics.snowplow.ecommerce' AND event_name = 'snowplow_ecommerce_action'
                   THEN COALESCE(unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1.type,
                                 'unknown_ecommerce')
                   ELSE COALESCE(event, 'unknown')
                 END,
  `timestamp` AS COALESCE(derived_tstamp, collector_tstamp),

  -- Who: the login where there is one, else the browser's id. NULL makes no key.
  user_key    AS COALESCE(user_id, domain_userid),
  session_id  AS COALESCE(NULLIF(contexts_com_snowplowanalytics_snowplow_client_session_1[1].sessionId, ''), domain_sessionid),

  -- What. A list's products are no views, so only these three actions have a product.
  product_id  AS CASE WHEN unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1.type
                           IN ('product_view', 'add_to_cart', 'remove_from_cart')
                      THEN NULLIF(contexts_com_snowplowanalytics_snowplow_ecommerce_product_1[1].id, '') END,
  brand       AS CASE WHEN unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1.type
                           IN ('product_view', 'add_to_cart', 'remove_from_cart')
                      THEN NULLIF(contexts_com_snowplowanalytics_snowplow_ecommerce_product_1[1].brand, '') END,
  price       AS CASE WHEN unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1.type
                           IN ('product_view', 'add_to_cart', 'remove_from_cart')
                      THEN contexts_com_snowplowanalytics_snowplow_ecommerce_product_1[1].price END,
  category    AS CASE unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1.type
                   WHEN 'list_view'
                   THEN NULLIF(unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1.name, '')
                   WHEN 'product_view'
                   THEN NULLIF(contexts_com_snowplowanalytics_snowplow_ecommerce_product_1[1].category, '')
                 END,
  cart_value  AS contexts_com_snowplowanalytics_snowplow_ecommerce_cart_1[1].total_value,
  step        AS contexts_com_snowplowanalytics_snowplow_ecommerce_checkout_step_1[1].step,
  -- Only `transaction` is an order: an event of a failed payment carries one as well.
  transaction_id AS CASE WHEN unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1.type = 'transaction'
                         THEN NULLIF(contexts_com_snowplowanalytics_snowplow_ecommerce_transaction_1[1].transaction_id, '') END,
  revenue     AS CASE WHEN unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1.type = 'transaction'
                      THEN contexts_com_snowplowanalytics_snowplow_ecommerce_transaction_1[1].revenue END,

  -- From where: what Enrich's address look-up found, else the browser's time zone.
  location    AS COALESCE(geo_country, GEO_COUNTRY(user_ipaddress), os_timezone),
  device      AS DEVICE_CLASS(useragent),
  campaign    AS mkt_campaign,

  -- The topic's nested names, for queries that read them.
  payload     AS NAMED_STRUCT(
                   'page_url', CASE WHEN event = 'page_view' THEN page_url END,
                   'list_name', unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1.name,
                   'product', contexts_com_snowplowanalytics_snowplow_ecommerce_product_1[1],
                   'cart', contexts_com_snowplowanalytics_snowplow_ecommerce_cart_1[1],
                   'checkout_step', contexts_com_snowplowanalytics_snowplow_ecommerce_checkout_step_1[1],
                   'transaction', contexts_com_snowplowanalytics_snowplow_ecommerce_transaction_1[1]),
  enrich      AS NAMED_STRUCT(
                   'client', NAMED_STRUCT('useragent', useragent, 'device', NAMED_STRUCT('os_timezone', os_timezone)),
                   'user', NAMED_STRUCT('user_id', user_id, 'domain_userid', domain_userid, 'ip_address', user_ipaddress),
                   'marketing', NAMED_STRUCT('mkt_campaign', mkt_campaign),
                   'platform', platform),

  -- A row may come up to 5 s after a younger one without being late.
  WATERMARK FOR `timestamp` AS `timestamp` - INTERVAL '5' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = 'snowplow-enriched',
  'properties.bootstrap.servers' = '${KAFKA_BROKERS:-localhost:19092}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'snowplow-tsv',
  -- Snowplow delivers at least once: an id that comes again within 10 minutes is a repeat.
  'dedup.key' = 'id',
  'dedup.window' = '10 min',
  -- Rows without a readable time, or that are no event, go to this table and stop nothing.
  'bad-rows.table' = 'bad_events'
);

CREATE TABLE bad_events (
  topic       STRING,
  `partition` INT,
  `offset`    BIGINT,
  reason      STRING,
  record      STRING
) WITH ('connector' = 'file', 'path' = '${BAD_EVENTS:-bad_events.jsonl}', 'format' = 'json');
