-- What a shopper looked at: counts, prices and brands over 5 minutes and 1 hour.
--
-- Each feature is one key in Redis, such as user:42:product_view_count_5m. {column} in 'key' stands
-- for the column's name. A value is written when it changes: by an event, or by one leaving the window.

CREATE TABLE product_features_5m (
  user_key           STRING,
  product_view_count BIGINT,
  return_view_count  MAP<STRING, BIGINT>,
  price_range_viewed STRING,
  avg_viewed_price   DOUBLE,
  PRIMARY KEY (user_key) NOT ENFORCED
) WITH ('connector' = 'redis', 'url' = '${REDIS_URL:-redis://localhost:6379}', 'layout' = 'string',
        'key' = 'user:{user_key}:{column}_5m', 'ttl' = '10 min', 'on-empty' = 'zero');

INSERT INTO product_features_5m (user_key, product_view_count, return_view_count, price_range_viewed)
SELECT
  user_key,
  COUNT(DISTINCT product_id),
  HISTOGRAM(product_id),
  CONCAT(DOUBLE_TEXT(COALESCE(MIN(price), 0.0)), '-', DOUBLE_TEXT(COALESCE(MAX(price), 0.0)))
FROM TABLE(HOP(TABLE shopper_events, DESCRIPTOR(`timestamp`), INTERVAL '30' SECOND, INTERVAL '5' MINUTE))
WHERE type = 'product_view'
GROUP BY user_key, window_start, window_end;

-- The mean over products, not over views: first one price for each product (the first that was seen
-- in the window), then their mean. An INSERT that names its columns leaves the others alone.
INSERT INTO product_features_5m (user_key, avg_viewed_price)
SELECT user_key, COALESCE(AVG(first_price), 0.0)
FROM (
  SELECT user_key, product_id, window_start, window_end, FIRST_VALUE(price) IGNORE NULLS AS first_price
  FROM TABLE(HOP(TABLE shopper_events, DESCRIPTOR(`timestamp`), INTERVAL '30' SECOND, INTERVAL '5' MINUTE))
  WHERE type = 'product_view' AND product_id IS NOT NULL
  GROUP BY user_key, product_id, window_start, window_end
)
GROUP BY user_key, window_start, window_end;

CREATE TABLE product_features_1h (
  user_key           STRING,
  product_view_count BIGINT,
  return_view_count  MAP<STRING, BIGINT>,
  price_range_viewed STRING,
  avg_viewed_price   DOUBLE,
  PRIMARY KEY (user_key) NOT ENFORCED
) WITH ('connector' = 'redis', 'url' = '${REDIS_URL:-redis://localhost:6379}', 'layout' = 'string',
        'key' = 'user:{user_key}:{column}_1h', 'ttl' = '10 min', 'on-empty' = 'zero');

INSERT INTO product_features_1h (user_key, product_view_count, return_view_count, price_range_viewed)
SELECT
  user_key,
  COUNT(DISTINCT product_id),
  HISTOGRAM(product_id),
  CONCAT(DOUBLE_TEXT(COALESCE(MIN(price), 0.0)), '-', DOUBLE_TEXT(COALESCE(MAX(price), 0.0)))
FROM TABLE(HOP(TABLE shopper_events, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE, INTERVAL '1' HOUR))
WHERE type = 'product_view'
GROUP BY user_key, window_start, window_end;

INSERT INTO product_features_1h (user_key, avg_viewed_price)
SELECT user_key, COALESCE(AVG(first_price), 0.0)
FROM (
  SELECT user_key, product_id, window_start, window_end, FIRST_VALUE(price) IGNORE NULLS AS first_price
  FROM TABLE(HOP(TABLE shopper_events, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE, INTERVAL '1' HOUR))
  WHERE type = 'product_view' AND product_id IS NOT NULL
  GROUP BY user_key, product_id, window_start, window_end
)
GROUP BY user_key, window_start, window_end;

-- The brand seen most often; of several, the one seen latest. For a window of 15 minutes, copy the
-- next eight lines and change 5m and '5' MINUTE.

CREATE TABLE product_brand_5m (user_key STRING, most_viewed_brand STRING, PRIMARY KEY (user_key) NOT ENFORCED)
WITH ('connector' = 'redis', 'url' = '${REDIS_URL:-redis://localhost:6379}', 'layout' = 'string',
      'key' = 'user:{user_key}:{column}_5m', 'ttl' = '10 min', 'on-empty' = 'zero');
INSERT INTO product_brand_5m
SELECT user_key, MODE(brand)
FROM TABLE(HOP(TABLE shopper_events, DESCRIPTOR(`timestamp`), INTERVAL '30' SECOND, INTERVAL '5' MINUTE))
WHERE type = 'product_view' GROUP BY user_key, window_start, window_end;

CREATE TABLE product_brand_1h (user_key STRING, most_viewed_brand STRING, PRIMARY KEY (user_key) NOT ENFORCED)
WITH ('connector' = 'redis', 'url' = '${REDIS_URL:-redis://localhost:6379}', 'layout' = 'string',
      'key' = 'user:{user_key}:{column}_1h', 'ttl' = '10 min', 'on-empty' = 'zero');
INSERT INTO product_brand_1h
SELECT user_key, MODE(brand)
FROM TABLE(HOP(TABLE shopper_events, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE, INTERVAL '1' HOUR))
WHERE type = 'product_view' GROUP BY user_key, window_start, window_end;
