-- A field on both sides of OVER, in SELECT and in a WHERE around it.
CREATE VIEW moves AS SELECT user_key, `timestamp`, payload,
  payload.product.id <> LAG(payload.product.id) OVER (PARTITION BY user_key ORDER BY `timestamp`) AS other,
  payload.cart.total_value - LAG(payload.cart.total_value, 2) OVER (PARTITION BY user_key ORDER BY `timestamp`) AS more
FROM events;
