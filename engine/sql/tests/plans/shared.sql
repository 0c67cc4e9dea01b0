SET 'list.max-size' = '50';
CREATE TABLE shared (k STRING, a BIGINT, b BIGINT, c BIGINT, d BIGINT, e ARRAY<STRING>, PRIMARY KEY (k) NOT ENFORCED) WITH ('connector' = 'blackhole', 'state-ttl' = '1 d');
INSERT INTO shared (k, a) SELECT user_key, COUNT(*) FROM TABLE(HOP(TABLE events, DESCRIPTOR(`timestamp`), INTERVAL '30' SECOND, INTERVAL '5' MINUTE)) GROUP BY user_key, window_start, window_end;
INSERT INTO shared (k, b) SELECT user_key, COUNT(*) FILTER (WHERE payload.product.price > 10.5 AND type = 'a') FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE)) GROUP BY user_key, window_start, window_end;
INSERT INTO shared (k, c) SELECT user_key, COUNT(*) FROM events GROUP BY user_key;
INSERT INTO shared (k, d) SELECT type, COUNT(*) FROM TABLE(SESSION(TABLE events PARTITION BY type, DESCRIPTOR(`timestamp`), INTERVAL '10' SECOND)) WHERE payload.product.price > 1 GROUP BY type, window_start, window_end;
INSERT INTO shared (k, e) SELECT user_key, ARRAY_AGG(type) FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE)) GROUP BY user_key, window_start, window_end;
