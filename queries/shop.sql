-- The shop as a whole: one hash for each minute, one for the minute that runs, and the ten products
-- seen most.

CREATE VIEW shop_activity AS
SELECT
  window_start,
  window_end,
  COUNT(*) AS events,
  COUNT(DISTINCT user_key) AS visitors,
  COUNT(*) FILTER (WHERE type = 'product_view') AS views,
  COUNT(*) FILTER (WHERE type = 'add_to_cart') AS adds
FROM TABLE(TUMBLE(TABLE shopper_events, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end;

-- One row for each transaction first, then their sum. All other events fall into the group whose
-- transaction_id is NULL: it keeps a minute without orders at 0.
CREATE VIEW shop_orders AS
SELECT
  window_start,
  window_end,
  COUNT(transaction_id) AS orders,
  COALESCE(SUM(first_revenue) FILTER (WHERE transaction_id IS NOT NULL), 0.0) AS revenue
FROM (
  SELECT transaction_id, window_start, window_end, FIRST_VALUE(revenue) AS first_revenue
  FROM TABLE(TUMBLE(TABLE shopper_events, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE))
  GROUP BY transaction_id, window_start, window_end
)
GROUP BY window_start, window_end;

-- The key holds window_start, so every minute has its own row. EMIT ON CHANGE shows it while it runs,
-- not only when it is over.
CREATE TABLE shop_minutes (
  window_start TIMESTAMP(3),
  events       BIGINT,
  visitors     BIGINT,
  views        BIGINT,
  adds         BIGINT,
  orders       BIGINT,
  revenue      DOUBLE,
  PRIMARY KEY (window_start) NOT ENFORCED
) WITH ('connector' = 'redis', 'url' = '${REDIS_URL:-redis://localhost:6379}', 'layout' = 'hash',
        'key' = 'shop:{window_start}', 'ttl' = '2 d', 'on-empty' = 'zero');

INSERT INTO shop_minutes (window_start, events, visitors, views, adds)
SELECT window_start, events, visitors, views, adds FROM shop_activity
EMIT ON CHANGE;

INSERT INTO shop_minutes (window_start, orders, revenue)
SELECT window_start, orders, revenue FROM shop_orders
EMIT ON CHANGE;

-- The key holds no window: one row, always the minute that runs.
CREATE TABLE shop_now (
  shop     STRING,
  events   BIGINT,
  visitors BIGINT,
  views    BIGINT,
  adds     BIGINT,
  orders   BIGINT,
  revenue  DOUBLE,
  PRIMARY KEY (shop) NOT ENFORCED
) WITH ('connector' = 'redis', 'url' = '${REDIS_URL:-redis://localhost:6379}', 'layout' = 'hash',
        'key' = 'shop:{shop}', 'ttl' = '10 min', 'on-empty' = 'zero');

INSERT INTO shop_now (shop, events, visitors, views, adds)
SELECT 'now', events, visitors, views, adds FROM shop_activity;

INSERT INTO shop_now (shop, orders, revenue)
SELECT 'now', orders, revenue FROM shop_orders;

CREATE TABLE shop_trending (
  shop       STRING,
  product_id STRING,
  views      BIGINT,
  PRIMARY KEY (shop, product_id) NOT ENFORCED
) WITH ('connector' = 'redis', 'url' = '${REDIS_URL:-redis://localhost:6379}', 'layout' = 'sorted-set',
        'key' = 'shop:{shop}', 'member' = 'product_id', 'score' = 'views', 'ttl' = '10 min', 'on-empty' = 'delete');

INSERT INTO shop_trending
SELECT 'trending', product_id, views
FROM (
  SELECT
    product_id,
    views,
    ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY views DESC, product_id) AS place
  FROM (
    SELECT product_id, window_start, window_end, COUNT(*) AS views
    FROM TABLE(HOP(TABLE shopper_events, DESCRIPTOR(`timestamp`), INTERVAL '30' SECOND, INTERVAL '5' MINUTE))
    WHERE type = 'product_view' AND product_id IS NOT NULL
    GROUP BY product_id, window_start, window_end
  )
)
WHERE place <= 10;
