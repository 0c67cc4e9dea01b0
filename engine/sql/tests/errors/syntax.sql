INSERT INTO lines SELECT user_key, FROM WHERE x;
CREATE TABLE t (a STRNG) WITH ('connector' = 'print');
CREATE TABLE u (a STRING) WITH ('conector' = 'print');
CREATE TABLE v (a STRING, a INT) WITH ('connector' = 'kafka', 'topc' = 'x', 'format' = 'jsn');
CREATE TABLE w (a STRING, PRIMARY KEY (b) NOT ENFORCED) WITH ('connector' = 'redis', 'layot' = 'hash');
CREATE TABLE counts (a STRING) WITH ('connector' = 'print');
CREATE FUNCTION f AS 'x';
SET 'table.exec.state.tll' = '1 d';
