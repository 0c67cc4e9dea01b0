CREATE VIEW bad_view AS
SELECT user_key, ROUND(pric, 2) AS price, CAST('x' AS INT) AS n FROM events;
CREATE VIEW open_view AS
SELECT user_key, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE)) GROUP BY user_key;
INSERT INTO lines SELECT user_key, n FROM bad_view;
INSERT INTO lines SELECT user_key, n FROM open_view;
INSERT INTO lines SELECT usr, NOFUNC(type) + CAST('x' AS INT) FROM events WHERE payload.product.prise > 1 AND typ = 'a';
INSERT INTO counts SELECT type, session, payload.cart FROM events;
INSERT INTO lines SELECT user_key, CAST(payload.product.price AS DECIMAL(60, 2)) FROM events;
INSERT INTO lines SELECT user_key, CAST('12 apples' AS BIGINT) FROM events;
