CREATE TABLE several (a STRING, b STRING, c STRING, d DOUBLE, e DOUBLE) WITH ('connector' = 'print');
INSERT INTO several SELECT type, type, CAST(type AS STRING), payload.product.price, price
FROM (SELECT *, type, payload.product.price FROM (SELECT id, type, payload.product.price, payload FROM events));
CREATE VIEW products AS SELECT id, payload.product.id, type AS t FROM events;
INSERT INTO several (a, b) SELECT id AS x, t AS x FROM products;
