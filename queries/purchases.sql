-- Orders of the last 24 hours. A transaction may be sent more than once under other event ids, so the
-- inner query makes one row of each transaction, with the revenue that its first event named.
--
-- For a topic whose transactions carry no amounts, run alternatives/purchases_from_checkout.sql instead.

CREATE TABLE purchase_features_24h (
  user_key        STRING,
  orders_count    BIGINT,
  order_value     DOUBLE,
  avg_order_value DOUBLE,
  PRIMARY KEY (user_key) NOT ENFORCED
) WITH ('connector' = 'redis', 'url' = '${REDIS_URL:-redis://localhost:6379}', 'layout' = 'string',
        'key' = 'user:{user_key}:{column}_24h', 'ttl' = '10 min', 'on-empty' = 'zero');

INSERT INTO purchase_features_24h
SELECT
  user_key,
  COUNT(*),
  COALESCE(SUM(first_revenue), 0.0),
  COALESCE(ROUND_HALF_EVEN(SUM(first_revenue) / COUNT(*), 2), 0.0)
FROM (
  SELECT user_key, transaction_id, window_start, window_end, FIRST_VALUE(revenue) AS first_revenue
  FROM TABLE(HOP(TABLE shopper_events, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE, INTERVAL '24' HOUR))
  WHERE type = 'transaction' AND transaction_id IS NOT NULL
  GROUP BY user_key, transaction_id, window_start, window_end
)
GROUP BY user_key, window_start, window_end;
