CREATE TABLE events (
  id STRING,
  type STRING,
  `timestamp` TIMESTAMP(3),
  payload ROW<product ROW<id STRING, price DOUBLE, brand STRING>, cart ROW<total_value DOUBLE>>,
  enrich ROW<`user` ROW<user_id STRING>>,
  session ROW<sessionId STRING>,
  part INT METADATA FROM 'partition' VIRTUAL,
  user_key AS NULLIF(enrich.`user`.user_id, ''),
  WATERMARK FOR `timestamp` AS `timestamp` - INTERVAL '5' SECOND
) WITH ('connector' = 'kafka', 'topic' = 'events', 'format' = 'json',
        'properties.bootstrap.servers' = '${KAFKA_BROKERS:-localhost:19092}', 'dedup.key' = 'id');

CREATE TABLE counts (
  user_key STRING, views BIGINT, brands BIGINT, PRIMARY KEY (user_key) NOT ENFORCED
) WITH ('connector' = 'redis', 'url' = 'redis://localhost', 'layout' = 'hash',
        'key' = 'user:{user_key}', 'ttl' = '10 min');

CREATE TABLE per_window (
  user_key STRING, window_end TIMESTAMP(3), views BIGINT,
  PRIMARY KEY (user_key, window_end) NOT ENFORCED
) WITH ('connector' = 'print', 'allowed-lateness' = '1 min');

CREATE TABLE lines (user_key STRING, views BIGINT) WITH ('connector' = 'print');
