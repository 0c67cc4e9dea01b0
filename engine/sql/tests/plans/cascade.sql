CREATE VIEW minutes AS SELECT user_key, window_start AS ws, window_end AS we, window_time AS t, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE)) GROUP BY user_key, window_start, window_end, window_time;
INSERT INTO counts SELECT user_key, MAX(n), SUM(n)
FROM TABLE(HOP(TABLE minutes, DESCRIPTOR(t), INTERVAL '1' MINUTE, INTERVAL '1' HOUR)) GROUP BY user_key, window_start, window_end;
INSERT INTO per_window SELECT user_key, we, SUM(n) FROM minutes GROUP BY user_key, ws, we;
