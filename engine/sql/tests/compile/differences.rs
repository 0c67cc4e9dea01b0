//! Where a function means something else in Flink, `check` says so, at its place, and the query
//! still runs. Each is a row of the table in `docs/sql.md`.

use crate::common;
use tidewheel_core::diagnostic::Severity;

const TABLES: &str = include_str!("../tables.sql");

/// The expression, and a part of the warning.
const DIFFERENCES: &[(&str, &str)] = &[
    ("AVG(n)", "AVG of whole numbers"),
    ("SUM(i / 2)", "division of whole numbers"),
    ("MAX(CONCAT(s, 'x'))", "CONCAT leaves NULLs out"),
    ("MAX(GREATEST(n, 1))", "GREATEST and LEAST"),
    ("MAX(LEAST(n, 1))", "GREATEST and LEAST"),
    ("SUM(LOG(x))", "LOG(x) is to base 10"),
    (
        "MAX(REGEXP_REPLACE(s, 'a', 'b'))",
        "REGEXP_REPLACE replaces the first",
    ),
    ("MAX(SUBSTR(s, 0, 3))", "place 0 of SUBSTR"),
    ("MAX(SUBSTRING(s FROM 0 FOR 3))", "place 0 of SUBSTR"),
    ("MAX(TO_TIMESTAMP(s, '%Y'))", "TO_TIMESTAMP and TO_DATE"),
    ("MAX(FROM_UNIXTIME(n))", "FROM_UNIXTIME gives a TIMESTAMP"),
    ("MAX(SHA256(s))", "SHA256 and its like"),
    ("MAX(ENCODE(s, 'hex'))", "ENCODE and DECODE"),
    (
        "MAX(ARRAY_POSITION(MAKE_ARRAY(n), 1))",
        "ARRAY_POSITION gives NULL",
    ),
    ("MAX(EXTRACT(DOW FROM ts))", "EXTRACT(DOW"),
    ("MAX(CAST(ts AS STRING))", "a TIMESTAMP as text"),
];

/// Close to those, without a difference.
const SAME: &[&str] = &[
    "AVG(x)",
    "AVG(CAST(n AS DOUBLE))",
    "SUM(n / 2)",
    "SUM(x / 2)",
    "SUM(LN(x))",
    "SUM(LOG(2, x))",
    "MAX(REGEXP_REPLACE(s, 'a', 'b', 'g'))",
    "MAX(SUBSTR(s, 1, 3))",
    "MAX(TO_TIMESTAMP(s))",
    "MAX(DAYOFWEEK(ts))",
    "MAX(s || 'x')",
    "MAX(DATE_FORMAT(ts, 'yyyy-MM-dd'))",
    "MAX(UNIX_TIMESTAMP(s))",
];

fn warnings(call: &str) -> Vec<(String, String)> {
    let query = format!(
        "CREATE TABLE t (s STRING, n BIGINT, i INT, x DOUBLE, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) \
         WITH ('connector' = 'file', 'format' = 'json', 'path' = 'x');\n\
         CREATE VIEW v AS SELECT s, {call} AS r FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), \
         INTERVAL '1' MINUTE)) GROUP BY s, window_start, window_end;\n\
         CREATE TABLE o (s STRING, n BIGINT, PRIMARY KEY (s) NOT ENFORCED) \
         WITH ('connector' = 'print');\n\
         INSERT INTO o SELECT s, COUNT(r) FROM v GROUP BY s;"
    );
    let program = common::compiled(&[("tables.sql", TABLES), ("q.sql", &query)])
        .unwrap_or_else(|found| panic!("{call}\n{found}"));
    assert_eq!(program.queries.len(), 1, "{call}");
    program
        .warnings
        .0
        .into_iter()
        .filter(|warning| !warning.message.contains("kept for ever"))
        .map(|warning| {
            assert_eq!(warning.severity, Severity::Warning);
            assert!(warning.advice.is_some(), "{call}");
            let span = warning.span.unwrap_or_else(|| panic!("{call}: no place"));
            let (line, _) = span.line_column();
            assert_eq!(line, 2, "{call}: in the view's own text");
            (warning.message, span.text().to_owned())
        })
        .collect()
}

#[test]
fn differences_are_named_once_each() {
    for (call, part) in DIFFERENCES {
        let found = warnings(call);
        assert_eq!(found.len(), 1, "{call}: {found:?}");
        let (message, place) = &found[0];
        assert!(message.contains(part), "{call}: {message}");
        assert!(call.contains(place.as_str()), "{call}: at {place}");
    }
}

#[test]
fn what_means_the_same_is_not_named() {
    for call in SAME {
        assert_eq!(warnings(call), [], "{call}");
    }
}
