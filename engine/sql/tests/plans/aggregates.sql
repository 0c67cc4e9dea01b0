CREATE TABLE wide (k STRING, a DOUBLE, b DOUBLE, c ARRAY<STRING>, d MAP<STRING, BIGINT>, e STRING, f BIGINT, g TIMESTAMP(3), h DOUBLE,
  PRIMARY KEY (k) NOT ENFORCED) WITH ('connector' = 'print', 'on-empty' = 'zero');
INSERT INTO wide
SELECT user_key, MEDIAN(payload.product.price), approx_percentile_cont(0.9) WITHIN GROUP (ORDER BY payload.product.price), LIST_DISTINCT(type, 5), HISTOGRAM(type), MAX_BY(type, `timestamp`),
  COUNT_CHANGES(type), window_end, STDDEV(payload.product.price)
FROM TABLE(CUMULATE(TABLE events, DESCRIPTOR(`timestamp`), INTERVAL '1' MINUTE, INTERVAL '1' HOUR))
GROUP BY user_key, window_start, window_end EMIT ON WINDOW CLOSE;
