INSERT INTO lines SELECT payload.prodct.id, 1 FROM events;
CREATE VIEW a AS SELECT * FROM b;
CREATE VIEW b AS SELECT * FROM a;
INSERT INTO lines SELECT user_key, 1 FROM a;
INSERT INTO counts SELECT user_key, COUNT(*), 1 FROM events GROUP BY user_key EMIT ON WINDOW CLOSE;
