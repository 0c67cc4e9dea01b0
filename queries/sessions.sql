-- What happened in a session: events of one session id, each at most 30 minutes after the one before.
-- A session that is over keeps its last values until the ttl: 'on-empty' = 'keep'.

-- Only these four types make a session. They are chosen before SESSION(…) sees the rows: a page ping
-- would keep it open otherwise.
CREATE VIEW session_events AS
SELECT session_id, `timestamp`, type, payload.page_url AS page_url, campaign, device, platform
FROM shopper_events
WHERE type IN ('page_view', 'product_view', 'add_to_cart', 'remove_from_cart');

CREATE TABLE session_features (
  session_id                 STRING,
  session_duration           BIGINT,
  session_page_count         BIGINT,
  session_bounce             BOOLEAN,
  session_marketing_campaign STRING,
  session_cart_ratio         DOUBLE,
  session_search_count       BIGINT,
  shopper_device_types       ARRAY<STRING>,
  shopper_latest_platform    STRING,
  PRIMARY KEY (session_id) NOT ENFORCED
) WITH ('connector' = 'redis', 'url' = '${REDIS_URL:-redis://localhost:6379}', 'layout' = 'string',
        'key' = 'session:{session_id}:{column}', 'ttl' = '10 min', 'on-empty' = 'keep');

INSERT INTO session_features
SELECT
  session_id,
  -- Milliseconds from the first event to the last.
  CAST(ROUND((EXTRACT(EPOCH FROM MAX(`timestamp`)) - EXTRACT(EPOCH FROM MIN(`timestamp`))) * 1000) AS BIGINT),
  COUNT(*) FILTER (WHERE type = 'page_view'),
  COUNT(*) FILTER (WHERE type = 'page_view') < 2,
  FIRST_VALUE(campaign) IGNORE NULLS,
  -- Adds for each product view. The cast keeps it from being a division of whole numbers.
  COALESCE(
    CAST(COUNT(*) FILTER (WHERE type = 'add_to_cart') AS DOUBLE)
      / NULLIF(COUNT(*) FILTER (WHERE type = 'product_view'), 0),
    0.0),
  COUNT(*) FILTER (WHERE type = 'page_view' AND page_url LIKE '%/search?q=%'),
  LIST_DISTINCT(device),
  LAST_VALUE(platform)
FROM TABLE(SESSION(TABLE session_events PARTITION BY session_id, DESCRIPTOR(`timestamp`), INTERVAL '30' MINUTE))
GROUP BY session_id, window_start, window_end;
