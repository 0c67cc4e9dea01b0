-- The shopper as a whole: every event counts here, whatever its type.

CREATE TABLE shopper_features_24h (
  user_key               STRING,
  shopper_locations      ARRAY<STRING>,
  shopper_region_changes BIGINT,
  promotions_clicked     BIGINT,
  PRIMARY KEY (user_key) NOT ENFORCED
) WITH ('connector' = 'redis', 'url' = '${REDIS_URL:-redis://localhost:6379}', 'layout' = 'string',
        'key' = 'user:{user_key}:{column}_24h', 'ttl' = '10 min', 'on-empty' = 'zero');

-- COUNT_CHANGES compares each location with the one before it in event time; NULLs are passed over.
INSERT INTO shopper_features_24h
SELECT
  user_key,
  LIST_DISTINCT(location),
  COUNT_CHANGES(location),
  COUNT(*) FILTER (WHERE type = 'promo_click')
FROM TABLE(HOP(TABLE shopper_events, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE, INTERVAL '24' HOUR))
GROUP BY user_key, window_start, window_end;

CREATE TABLE shopper_features_1h (
  user_key               STRING,
  checkout_furthest_step INT,
  PRIMARY KEY (user_key) NOT ENFORCED
) WITH ('connector' = 'redis', 'url' = '${REDIS_URL:-redis://localhost:6379}', 'layout' = 'string',
        'key' = 'user:{user_key}:{column}_1h', 'ttl' = '10 min', 'on-empty' = 'zero');

INSERT INTO shopper_features_1h
SELECT user_key, MAX(step) FILTER (WHERE type = 'checkout_step')
FROM TABLE(HOP(TABLE shopper_events, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE, INTERVAL '1' HOUR))
GROUP BY user_key, window_start, window_end;

-- Without a window a value is for life. 'state-ttl' ends that: 30 days after a shopper's newest event
-- the key is forgotten.
CREATE TABLE shopper_last_seen (
  user_key  STRING,
  last_seen TIMESTAMP(3),
  PRIMARY KEY (user_key) NOT ENFORCED
) WITH ('connector' = 'redis', 'url' = '${REDIS_URL:-redis://localhost:6379}', 'layout' = 'string',
        'key' = 'user:{user_key}:{column}', 'ttl' = '30 d', 'state-ttl' = '30 d', 'on-empty' = 'delete');

INSERT INTO shopper_last_seen
SELECT user_key, MAX(`timestamp`)
FROM shopper_events
GROUP BY user_key;
