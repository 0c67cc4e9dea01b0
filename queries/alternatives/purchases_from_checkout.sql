-- Orders of the last 24 hours for a topic whose transactions carry no amounts: run this in place of
-- purchases.sql. It writes the same keys, by inference: the step 2 of a checkout is an order if the
-- shopper changed the cart since the last step 2. What the cart holds after that change is its value.
-- This store sends the total from before the change, so the product's price is added or taken off.

CREATE TABLE purchase_features_24h (
  user_key        STRING,
  orders_count    BIGINT,
  order_value     DOUBLE,
  avg_order_value DOUBLE,
  PRIMARY KEY (user_key) NOT ENFORCED
) WITH ('connector' = 'redis', 'url' = '${REDIS_URL:-redis://localhost:6379}', 'layout' = 'string',
        'key' = 'user:{user_key}:{column}_24h', 'ttl' = '10 min', 'on-empty' = 'zero');

CREATE VIEW cart_and_checkout AS
SELECT
  user_key,
  `timestamp`,
  type,
  CASE type
    WHEN 'add_to_cart'      THEN COALESCE(cart_value, 0.0) + COALESCE(price, 0.0)
    WHEN 'remove_from_cart' THEN COALESCE(cart_value, 0.0) - COALESCE(price, 0.0)
  END AS value_after
FROM shopper_events
WHERE type IN ('add_to_cart', 'remove_from_cart') OR (type = 'checkout_step' AND step = 2);

-- Beside each event, the value of the one before it: NULL where that was a checkout too, or nothing.
CREATE VIEW cart_before AS
SELECT
  user_key,
  `timestamp`,
  type,
  LAG(value_after) OVER (PARTITION BY user_key ORDER BY `timestamp`) AS value_before
FROM cart_and_checkout;

CREATE VIEW inferred_orders AS
SELECT user_key, `timestamp`, value_before AS order_value
FROM cart_before
WHERE type = 'checkout_step' AND value_before IS NOT NULL;

INSERT INTO purchase_features_24h
SELECT
  user_key,
  COUNT(*),
  COALESCE(SUM(order_value), 0.0),
  COALESCE(ROUND_HALF_EVEN(SUM(order_value) / COUNT(*), 2), 0.0)
FROM TABLE(HOP(TABLE inferred_orders, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE, INTERVAL '24' HOUR))
GROUP BY user_key, window_start, window_end;
