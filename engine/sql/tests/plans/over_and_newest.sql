CREATE VIEW steps AS SELECT user_key, `timestamp`, payload,
  LAG(payload.product.id) OVER (PARTITION BY user_key ORDER BY `timestamp`) AS before,
  COUNT(*) OVER (PARTITION BY user_key ORDER BY `timestamp` RANGE BETWEEN INTERVAL '1' HOUR PRECEDING AND CURRENT ROW) AS n
FROM events;
INSERT INTO counts SELECT user_key, n, CHARACTER_LENGTH(before) FROM steps WHERE payload.cart.total_value > 1 EMIT ON CHANGE EVERY INTERVAL '10' SECOND;
