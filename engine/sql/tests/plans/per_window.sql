INSERT INTO per_window SELECT user_key, window_end, COUNT(*)
FROM TUMBLE(DATA => TABLE events, TIMECOL => DESCRIPTOR(`timestamp`), SIZE => INTERVAL '90' SECOND, OFFSET => INTERVAL '1:30' MINUTE TO SECOND)
GROUP BY user_key, window_start, window_end HAVING COUNT(*) > 2;
INSERT INTO lines SELECT user_key, COUNT(*) FILTER (WHERE part = 1)
FROM TABLE(SESSION(TABLE events PARTITION BY user_key, DESCRIPTOR(`timestamp`), INTERVAL '30 minutes'))
GROUP BY user_key, window_start, window_end;
