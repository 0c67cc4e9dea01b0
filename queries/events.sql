-- The shoppers' events: one JSON object a record, as Snowplow's enriched events reach the topic.
-- List only the fields that some query reads: nothing else of a record is decoded.

CREATE TABLE shopper_events (
  id          STRING,
  type        STRING,
  `timestamp` TIMESTAMP(3),
  payload     ROW<
    page_url      STRING,
    list_name     STRING,
    product       ROW<id STRING, category STRING, brand STRING, price DOUBLE>,
    cart          ROW<total_value DOUBLE>,
    checkout_step ROW<step INT>,
    `transaction` ROW<transaction_id STRING, revenue DOUBLE>>,
  enrich      ROW<
    client    ROW<useragent STRING, device ROW<os_timezone STRING>>,
    `user`    ROW<user_id STRING, domain_userid STRING, ip_address STRING>,
    marketing ROW<mkt_campaign STRING>,
    platform  STRING>,
  session     ROW<sessionId STRING, domain_sessionid STRING>,

  -- Who: the login where there is one, else the browser's id. NULL makes no key.
  user_key    AS COALESCE(NULLIF(enrich.`user`.user_id, ''), NULLIF(enrich.`user`.domain_userid, '')),
  session_id  AS COALESCE(NULLIF(session.sessionId, ''), NULLIF(session.domain_sessionid, '')),

  -- What: an empty string says nothing, so it is NULL.
  product_id  AS NULLIF(payload.product.id, ''),
  brand       AS NULLIF(payload.product.brand, ''),
  price       AS payload.product.price,
  category    AS CASE type
                   WHEN 'list_view'    THEN NULLIF(payload.list_name, '')
                   WHEN 'product_view' THEN NULLIF(payload.product.category, '')
                 END,
  cart_value  AS payload.cart.total_value,
  step        AS payload.checkout_step.step,
  -- Only `transaction` is an order: an event of a failed payment may carry an id as well.
  transaction_id AS CASE WHEN type = 'transaction' THEN NULLIF(payload.`transaction`.transaction_id, '') END,
  revenue     AS payload.`transaction`.revenue,

  -- From where: the address's country if a country database is given, else the browser's time zone.
  location    AS COALESCE(GEO_COUNTRY(enrich.`user`.ip_address), NULLIF(enrich.client.device.os_timezone, '')),
  device      AS DEVICE_CLASS(enrich.client.useragent),
  campaign    AS NULLIF(enrich.marketing.mkt_campaign, ''),
  platform    AS NULLIF(enrich.platform, ''),

  -- A row may come up to 5 s after a younger one without being late.
  WATERMARK FOR `timestamp` AS `timestamp` - INTERVAL '5' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = 'snowplow-enriched-good',
  'properties.bootstrap.servers' = '${KAFKA_BROKERS:-localhost:19092}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json',
  -- Snowplow delivers at least once: an id that comes again within 10 minutes is a repeat.
  'dedup.key' = 'id',
  'dedup.window' = '10 min',
  -- Rows without a readable time or JSON go to this table and stop nothing.
  'bad-rows.table' = 'bad_events'
);

CREATE TABLE bad_events (
  topic       STRING,
  `partition` INT,
  `offset`    BIGINT,
  reason      STRING,
  record      STRING
) WITH ('connector' = 'file', 'path' = '${BAD_EVENTS:-bad_events.jsonl}', 'format' = 'json');
