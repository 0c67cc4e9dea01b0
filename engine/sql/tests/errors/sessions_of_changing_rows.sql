CREATE VIEW per_minute AS
SELECT user_key, window_time AS ts, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE)) GROUP BY user_key, window_start, window_end, window_time;
INSERT INTO counts
SELECT user_key, COUNT(*), SUM(n)
FROM TABLE(SESSION(TABLE per_minute PARTITION BY user_key, DESCRIPTOR(ts), INTERVAL '10' MINUTE)) GROUP BY user_key, window_start, window_end;
