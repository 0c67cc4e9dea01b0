CREATE TABLE top (place BIGINT, product STRING, views BIGINT, PRIMARY KEY (place) NOT ENFORCED) WITH ('connector' = 'print');
INSERT INTO top SELECT place, product, views FROM (
  SELECT product, views, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY views DESC, product) AS place FROM (
    SELECT payload.product.id AS product, COUNT(*) AS views, window_start, window_end
    FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`timestamp`), INTERVAL '5' MINUTE)) GROUP BY payload.product.id, window_start, window_end))
WHERE place <= 3;
INSERT INTO counts (user_key, views) SELECT user_key, COUNT(*) FROM events GROUP BY user_key;
INSERT INTO counts (user_key, brands) SELECT user_key, CAST(payload.product.price AS BIGINT) FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY user_key ORDER BY `timestamp` DESC) AS n FROM events) WHERE n = 1;
