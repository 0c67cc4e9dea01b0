-- Which categories a shopper browsed: names of lists and categories of products (see `category` in
-- events.sql). All three aggregates leave out NULL, so an event without a category counts nothing.

CREATE TABLE category_features_5m (
  user_key            STRING,
  top_category        STRING,
  unique_categories   BIGINT,
  category_view_count MAP<STRING, BIGINT>,
  PRIMARY KEY (user_key) NOT ENFORCED
) WITH ('connector' = 'redis', 'url' = '${REDIS_URL:-redis://localhost:6379}', 'layout' = 'string',
        'key' = 'user:{user_key}:{column}_5m', 'ttl' = '10 min', 'on-empty' = 'zero');

INSERT INTO category_features_5m
SELECT user_key, MODE(category), COUNT(DISTINCT category), HISTOGRAM(category)
FROM TABLE(HOP(TABLE shopper_events, DESCRIPTOR(`timestamp`), INTERVAL '30' SECOND, INTERVAL '5' MINUTE))
WHERE type IN ('list_view', 'product_view')
GROUP BY user_key, window_start, window_end;

CREATE TABLE category_features_1h (
  user_key            STRING,
  top_category        STRING,
  unique_categories   BIGINT,
  category_view_count MAP<STRING, BIGINT>,
  PRIMARY KEY (user_key) NOT ENFORCED
) WITH ('connector' = 'redis', 'url' = '${REDIS_URL:-redis://localhost:6379}', 'layout' = 'string',
        'key' = 'user:{user_key}:{column}_1h', 'ttl' = '10 min', 'on-empty' = 'zero');

INSERT INTO category_features_1h
SELECT user_key, MODE(category), COUNT(DISTINCT category), HISTOGRAM(category)
FROM TABLE(HOP(TABLE shopper_events, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE, INTERVAL '1' HOUR))
WHERE type IN ('list_view', 'product_view')
GROUP BY user_key, window_start, window_end;

CREATE TABLE category_features_24h (
  user_key            STRING,
  top_category        STRING,
  unique_categories   BIGINT,
  category_view_count MAP<STRING, BIGINT>,
  PRIMARY KEY (user_key) NOT ENFORCED
) WITH ('connector' = 'redis', 'url' = '${REDIS_URL:-redis://localhost:6379}', 'layout' = 'string',
        'key' = 'user:{user_key}:{column}_24h', 'ttl' = '10 min', 'on-empty' = 'zero');

INSERT INTO category_features_24h
SELECT user_key, MODE(category), COUNT(DISTINCT category), HISTOGRAM(category)
FROM TABLE(HOP(TABLE shopper_events, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE, INTERVAL '24' HOUR))
WHERE type IN ('list_view', 'product_view')
GROUP BY user_key, window_start, window_end;
