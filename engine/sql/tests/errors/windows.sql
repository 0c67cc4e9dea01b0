INSERT INTO lines SELECT user_key, COUNT(*)
FROM TABLE(HOP(TABLE events, DESCRIPTOR(`timestamp`), INTERVAL '5' MINUTE, INTERVAL '30' SECOND)) GROUP BY user_key, window_start, window_end;
INSERT INTO lines SELECT user_key, COUNT(*)
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`timestmp`), INTERVAL '5' MINUTE)) GROUP BY user_key, window_start, window_end;
INSERT INTO lines SELECT user_key, COUNT(*)
FROM TABLE(TUMBLE(TABLE events, `timestamp`, INTERVAL '5' MINUTE)) GROUP BY user_key, window_start, window_end;
INSERT INTO lines SELECT user_key, COUNT(*)
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`timestamp`), INTERVAL '1' MONTH)) GROUP BY user_key, window_start, window_end;
INSERT INTO lines SELECT user_key, COUNT(*)
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`timestamp`), INTERVAL '5' MINUTE)) GROUP BY user_key;
INSERT INTO lines SELECT user_key, 1
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`timestamp`), INTERVAL '5' MINUTE));
INSERT INTO lines SELECT user_key, COUNT(*)
FROM TABLE(SESSION(TABLE events PARTITION BY id, DESCRIPTOR(`timestamp`), INTERVAL '5' MINUTE)) GROUP BY user_key, window_start, window_end;
INSERT INTO lines SELECT user_key, COUNT(*)
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(id), INTERVAL '5' MINUTE)) GROUP BY user_key, window_start, window_end;
