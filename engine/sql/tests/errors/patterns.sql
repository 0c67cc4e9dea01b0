CREATE TABLE texts (k STRING, a STRING) WITH ('connector' = 'print');
INSERT INTO texts SELECT id, DATE_FORMAT(`timestamp`, 'YYYY-ww') FROM events;
INSERT INTO texts SELECT id, JSON_VALUE(type, 'a.b') FROM events;
INSERT INTO texts SELECT id, CAST(TIMESTAMPDIFF(EON, `timestamp`, `timestamp`) AS STRING) FROM events;
INSERT INTO texts SELECT id, CAST(UNIX_TIMESTAMP() AS STRING) FROM events;
SET 'list.max-size' = 'many';
