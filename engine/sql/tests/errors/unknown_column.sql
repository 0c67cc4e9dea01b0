INSERT INTO counts SELECT user_key, COUNT(payload.prodct.id), 0
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE))
WHERE typ = 'product_view' GROUP BY user_key, window_start, window_end;
