-- Six of the 131 fields of each enriched event, every row handed on.
CREATE TABLE events (
  WATERMARK FOR derived_tstamp AS derived_tstamp - INTERVAL '5' SECOND
) WITH ('connector' = 'file', 'path' = '${EVENTS:-events.tsv}', 'format' = 'snowplow-tsv');

CREATE TABLE rows_out (
  app_id STRING, event_name STRING, domain_userid STRING, page_urlpath STRING, domain_sessionidx INT,
  derived_tstamp TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO rows_out
SELECT app_id, event_name, domain_userid, page_urlpath, domain_sessionidx, derived_tstamp FROM events;
