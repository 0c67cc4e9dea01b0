-- The same six fields of each enriched event, as features of a user over five minutes.
CREATE TABLE events (
  WATERMARK FOR derived_tstamp AS derived_tstamp - INTERVAL '5' SECOND
) WITH ('connector' = 'file', 'path' = '${EVENTS:-events.tsv}', 'format' = 'snowplow-tsv');

CREATE TABLE values_by_user (
  domain_userid STRING, carts BIGINT, views BIGINT, visits INT, PRIMARY KEY (domain_userid) NOT ENFORCED
) WITH ('connector' = 'blackhole', 'on-empty' = 'zero');

INSERT INTO values_by_user
SELECT domain_userid,
       COUNT(*) FILTER (WHERE page_urlpath = '/cart'),
       COUNT(*) FILTER (WHERE event_name = 'page_view' AND app_id = 'shop'),
       MAX(domain_sessionidx)
FROM TABLE(HOP(TABLE events, DESCRIPTOR(derived_tstamp), INTERVAL '30' SECOND, INTERVAL '5' MINUTE))
GROUP BY domain_userid, window_start, window_end;
