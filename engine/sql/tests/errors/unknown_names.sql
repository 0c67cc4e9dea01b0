INSERT INTO conts SELECT user_key, 1, 2 FROM events;
INSERT INTO counts SELECT user_key, 1, 2 FROM evnts;
INSERT INTO counts (user_key, view) SELECT user_key, 1 FROM events;
INSERT INTO counts SELECT user_key, COUTN(id), 1 FROM events GROUP BY user_key;
