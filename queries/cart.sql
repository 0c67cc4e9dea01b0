-- What a shopper did to the cart. FILTER chooses the rows that one column counts; WHERE chooses the
-- rows that make a key, so a shopper with only a removal has cart_add_count 0. The cart's value is
-- that of the newest event, by event time.

CREATE TABLE cart_features_5m (
  user_key              STRING,
  cart_add_count        BIGINT,
  cart_remove_count     BIGINT,
  cart_update_frequency BIGINT,
  cart_value            DOUBLE,
  PRIMARY KEY (user_key) NOT ENFORCED
) WITH ('connector' = 'redis', 'url' = '${REDIS_URL:-redis://localhost:6379}', 'layout' = 'string',
        'key' = 'user:{user_key}:{column}_5m', 'ttl' = '10 min', 'on-empty' = 'zero');

INSERT INTO cart_features_5m
SELECT
  user_key,
  COUNT(*) FILTER (WHERE type = 'add_to_cart'),
  COUNT(*) FILTER (WHERE type = 'remove_from_cart'),
  COUNT(*),
  LAST_VALUE(cart_value)
FROM TABLE(HOP(TABLE shopper_events, DESCRIPTOR(`timestamp`), INTERVAL '30' SECOND, INTERVAL '5' MINUTE))
WHERE type IN ('add_to_cart', 'remove_from_cart')
GROUP BY user_key, window_start, window_end;

CREATE TABLE cart_features_1h (
  user_key              STRING,
  cart_add_count        BIGINT,
  cart_remove_count     BIGINT,
  cart_update_frequency BIGINT,
  cart_value            DOUBLE,
  PRIMARY KEY (user_key) NOT ENFORCED
) WITH ('connector' = 'redis', 'url' = '${REDIS_URL:-redis://localhost:6379}', 'layout' = 'string',
        'key' = 'user:{user_key}:{column}_1h', 'ttl' = '10 min', 'on-empty' = 'zero');

INSERT INTO cart_features_1h
SELECT
  user_key,
  COUNT(*) FILTER (WHERE type = 'add_to_cart'),
  COUNT(*) FILTER (WHERE type = 'remove_from_cart'),
  COUNT(*),
  LAST_VALUE(cart_value)
FROM TABLE(HOP(TABLE shopper_events, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE, INTERVAL '1' HOUR))
WHERE type IN ('add_to_cart', 'remove_from_cart')
GROUP BY user_key, window_start, window_end;
