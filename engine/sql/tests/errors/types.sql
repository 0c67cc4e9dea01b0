INSERT INTO lines SELECT user_key, SUM(user_key) FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`timestamp`), INTERVAL '5' MINUTE)) GROUP BY user_key, window_start, window_end;
INSERT INTO lines SELECT user_key, payload.product.price + session FROM events;
INSERT INTO lines SELECT user_key, type, COUNT(*) FROM events GROUP BY user_key;
