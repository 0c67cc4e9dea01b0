-- One HOP of 1 s by 24 h: the long one of a pair that should cost the same.
CREATE TABLE events (
  type STRING,
  `timestamp` TIMESTAMP(3),
  payload ROW<product ROW<price DOUBLE>>,
  enrich ROW<`user` ROW<user_id STRING, domain_userid STRING>>,
  user_key AS COALESCE(NULLIF(enrich.`user`.user_id, ''), enrich.`user`.domain_userid),
  WATERMARK FOR `timestamp` AS `timestamp` - INTERVAL '5' SECOND
) WITH ('connector' = 'file', 'path' = '${EVENTS:-events.jsonl}', 'format' = 'json');

CREATE TABLE values_by_user (user_key STRING, views BIGINT, mean DOUBLE, PRIMARY KEY (user_key) NOT ENFORCED)
WITH ('connector' = 'blackhole', 'on-empty' = 'zero');

INSERT INTO values_by_user
SELECT user_key, COUNT(*), AVG(payload.product.price)
FROM TABLE(HOP(TABLE events, DESCRIPTOR(`timestamp`), INTERVAL '1' SECOND, INTERVAL '24' HOUR))
GROUP BY user_key, window_start, window_end;
