INSERT INTO counts SELECT user_key, COUNT(*), 1
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`timestamp`), INTERVAL '5' MINUTE)) GROUP BY user_key, type, window_start, window_end;
INSERT INTO counts SELECT user_key, AVG(payload.product.price), 1
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`timestamp`), INTERVAL '5' MINUTE)) GROUP BY user_key, window_start, window_end;
INSERT INTO lines SELECT user_key, COUNT(*) FROM events GROUP BY user_key;
INSERT INTO counts (user_key, views) SELECT user_key, 1 FROM events;
INSERT INTO counts (user_key, views) SELECT user_key, 2 FROM events;
INSERT INTO counts (views) SELECT 2 FROM events;
INSERT INTO counts SELECT user_key, 2 FROM events;
