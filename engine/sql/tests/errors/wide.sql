INSERT INTO counts SELECT a.user_key, 1, 2 FROM events a JOIN events b ON a.id = b.id;
INSERT INTO lines SELECT user_key, 1 FROM events UNION ALL SELECT user_key, 2 FROM events;
INSERT INTO lines SELECT user_key, 1 FROM events ORDER BY id LIMIT 10;
INSERT INTO lines SELECT user_key, 1 FROM events WHERE `timestamp` > now();
INSERT INTO counts SELECT user_key, COUNT(*), 1 FROM events GROUP BY TUMBLE(`timestamp`, INTERVAL '1' MINUTE), user_key;
INSERT INTO counts SELECT user_key, COUNT(*), 1 FROM events GROUP BY GROUPING SETS ((user_key), ());
INSERT INTO lines SELECT user_key, 1 FROM events WHERE `timestamp` > PROCTIME();
INSERT INTO lines SELECT user_key, 1 FROM events WHERE id IN (SELECT id FROM events);
SELECT 1;
