INSERT INTO counts
SELECT user_key, COUNT(DISTINCT payload.product.id), COUNT(DISTINCT payload.product.brand)
FROM TABLE(HOP(TABLE events, DESCRIPTOR(`timestamp`), INTERVAL '30' SECOND, INTERVAL '5' MINUTE))
WHERE type = 'product_view'
GROUP BY user_key, window_start, window_end;
