//! The queries, and a naive evaluation of each: windows by their definition, over all rows.

use super::Row;
use std::collections::{BTreeMap, BTreeSet};

const SECOND: i64 = 1_000_000;

/// By key, then by column, as text; NULL is absent.
pub type Table = BTreeMap<String, BTreeMap<String, String>>;

/// A query of one row a key.
pub struct Current {
    pub table: &'static str,
    pub columns: &'static str,
    pub options: &'static str,
    pub select: &'static str,
    /// The values at a frontier, microseconds.
    pub expected: fn(&[Row], i64) -> Table,
    /// The row that means the same as none.
    pub nothing: &'static [(&'static str, &'static str)],
}

pub const CURRENT: &[Current] = &[
    Current {
        table: "hop_now",
        columns: "k STRING, c BIGINT, sv BIGINT, mn BIGINT, mx BIGINT, d BIGINT",
        options: "'on-empty' = 'delete'",
        select: "SELECT k, COUNT(*), SUM(v), MIN(v), MAX(v), COUNT(DISTINCT s) \
                 FROM TABLE(HOP(TABLE events, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '60' SECOND)) \
                 GROUP BY k, window_start, window_end",
        expected: |rows, now| {
            by_key(&inside(rows, hop(10, 60, now)), |rows| {
                let v: Vec<i64> = rows.iter().filter_map(|row| row.v).collect();
                let s: BTreeSet<_> = rows.iter().filter_map(|row| row.s).collect();
                let sum = (!v.is_empty()).then(|| v.iter().sum());
                vec![
                    ("c", Some(rows.len() as i64)),
                    ("sv", sum),
                    ("mn", v.iter().min().copied()),
                    ("mx", v.iter().max().copied()),
                    ("d", Some(s.len() as i64)),
                ]
            })
        },
        nothing: &[],
    },
    Current {
        table: "hop_zero",
        columns: "k STRING, c BIGINT, sv BIGINT",
        options: "'on-empty' = 'zero'",
        select: "SELECT k, COUNT(*), COALESCE(SUM(v), 0) \
                 FROM TABLE(HOP(TABLE events, DESCRIPTOR(ts), INTERVAL '7' SECOND, INTERVAL '30' SECOND)) \
                 WHERE v > 2 GROUP BY k, window_start, window_end",
        expected: |rows, now| {
            let some: Vec<Row> = rows.iter().filter(|row| row.v > Some(2)).cloned().collect();
            by_key(&inside(&some, hop(7, 30, now)), |rows| {
                let sum = rows.iter().filter_map(|row| row.v).sum();
                vec![("c", Some(rows.len() as i64)), ("sv", Some(sum))]
            })
        },
        nothing: &[("c", "0"), ("sv", "0")],
    },
    Current {
        table: "tumble_having",
        columns: "k STRING, c BIGINT",
        options: "'on-empty' = 'delete'",
        select: "SELECT k, COUNT(*) \
                 FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(ts), INTERVAL '30' SECOND)) \
                 GROUP BY k, window_start, window_end HAVING COUNT(*) > 1",
        expected: |rows, now| {
            let mut table = by_key(&inside(rows, hop(30, 30, now)), |rows| {
                vec![("c", Some(rows.len() as i64))]
            });
            table.retain(|_, row| row["c"] != "1");
            table
        },
        nothing: &[],
    },
    Current {
        table: "cumulate_now",
        columns: "k STRING, c BIGINT, mx BIGINT",
        options: "'on-empty' = 'delete'",
        select: "SELECT k, COUNT(*), MAX(v) \
                 FROM TABLE(CUMULATE(TABLE events, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '60' SECOND)) \
                 GROUP BY k, window_start, window_end",
        expected: |rows, now| {
            let start = now.div_euclid(60 * SECOND) * 60 * SECOND;
            let end = start + ((now - start) / (10 * SECOND) + 1) * 10 * SECOND;
            by_key(&inside(rows, (start, end)), count_and_max)
        },
        nothing: &[],
    },
    Current {
        table: "session_now",
        columns: "k STRING, c BIGINT, mx BIGINT",
        options: "'on-empty' = 'delete'",
        select: "SELECT k, COUNT(*), MAX(v) \
                 FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(ts), INTERVAL '15' SECOND)) \
                 GROUP BY k, window_start, window_end",
        expected: |rows, now| {
            let mut newest: Vec<Row> = Vec::new();
            for rows in keys(rows).values() {
                let sessions = rows.chunk_by(|a, b| b.ts - a.ts <= 15 * SECOND);
                let last = sessions.last().unwrap();
                if now < last.last().unwrap().ts + 15 * SECOND {
                    newest.extend(last.iter().map(|row| (*row).clone()));
                }
            }
            by_key(&newest, count_and_max)
        },
        nothing: &[],
    },
    Current {
        table: "lifetime",
        columns: "k STRING, c BIGINT, mx BIGINT",
        options: "'on-empty' = 'delete', 'state-ttl' = '1 h'",
        select: "SELECT k, COUNT(*), MAX(v) FROM events GROUP BY k",
        expected: |rows, _| by_key(rows, count_and_max),
        nothing: &[],
    },
    Current {
        table: "newest_row",
        columns: "k STRING, v BIGINT, s STRING",
        options: "'on-empty' = 'delete', 'state-ttl' = '1 h'",
        select: "SELECT k, v, s FROM events",
        expected: |rows, _| {
            let newest = keys(rows).into_iter().map(|(key, rows)| {
                let row = rows.last().unwrap();
                let v = row.v.map(|v| ("v".to_owned(), v.to_string()));
                let s = row.s.map(|s| ("s".to_owned(), s.to_owned()));
                (key.to_owned(), v.into_iter().chain(s).collect())
            });
            newest.collect()
        },
        nothing: &[],
    },
    Current {
        table: "row_before",
        columns: "k STRING, v BIGINT, p BIGINT",
        options: "'on-empty' = 'delete', 'state-ttl' = '1 h'",
        select: "SELECT k, v, LAG(v) OVER (PARTITION BY k ORDER BY ts) FROM events",
        expected: |rows, _| {
            by_key(rows, |rows| {
                let newest = rows.len() - 1;
                let before = newest.checked_sub(1).and_then(|at| rows[at].v);
                vec![("v", rows[newest].v), ("p", before)]
            })
        },
        nothing: &[],
    },
    Current {
        table: "after_others",
        columns: "k STRING, n BIGINT, c BIGINT, m BIGINT",
        options: "'on-empty' = 'delete', 'state-ttl' = '1 h'",
        select: "SELECT s, COUNT(*), COUNT(p), SUM(p) FROM ( \
                   SELECT s, LAG(v) OVER (PARTITION BY k ORDER BY ts) AS p FROM events) \
                 GROUP BY s",
        expected: |rows, _| {
            let mut rows = rows.to_vec();
            rows.sort_by_key(|row| row.ts);
            let mut before: BTreeMap<Option<&str>, Option<i64>> = BTreeMap::new();
            for row in &mut rows {
                row.v = before.insert(row.k, row.v).flatten();
                row.k = row.s;
            }
            by_key(&rows, |rows| {
                let p: Vec<i64> = rows.iter().filter_map(|row| row.v).collect();
                let sum = (!p.is_empty()).then(|| p.iter().sum());
                let count = |count: usize| Some(count as i64);
                vec![("n", count(rows.len())), ("c", count(p.len())), ("m", sum)]
            })
        },
        nothing: &[],
    },
    Current {
        table: "window_on_window",
        columns: "k STRING, c BIGINT, n BIGINT",
        options: "'on-empty' = 'delete'",
        select: "SELECT k, SUM(c), COUNT(*) FROM ( \
                   SELECT k, s, window_start, window_end, COUNT(*) AS c \
                   FROM TABLE(HOP(TABLE events, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '40' SECOND)) \
                   GROUP BY k, s, window_start, window_end) \
                 GROUP BY k, window_start, window_end",
        expected: |rows, now| sums_of_counts(&inside(rows, hop(10, 40, now))),
        nothing: &[],
    },
    Current {
        table: "windows_in_window",
        columns: "k STRING, n BIGINT, c BIGINT, m BIGINT",
        options: "'on-empty' = 'delete'",
        select: "SELECT k, COUNT(*), SUM(n), MAX(v) \
                 FROM TABLE(HOP(TABLE parts, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '40' SECOND)) \
                 GROUP BY k, window_start, window_end",
        expected: |rows, now| {
            by_key(&inside(rows, hop(10, 40, now)), |rows| {
                let parts: BTreeSet<i64> = rows
                    .iter()
                    .map(|row| row.ts.div_euclid(5 * SECOND))
                    .collect();
                let count = |count: usize| Some(count as i64);
                let most = rows.iter().filter_map(|row| row.v).max();
                vec![
                    ("n", count(parts.len())),
                    ("c", count(rows.len())),
                    ("m", most),
                ]
            })
        },
        nothing: &[],
    },
    Current {
        table: "first_two",
        columns: "k STRING, c BIGINT",
        options: "'on-empty' = 'delete'",
        select: "SELECT k, c FROM ( \
                   SELECT k, c, ROW_NUMBER() OVER \
                     (PARTITION BY window_start, window_end ORDER BY c DESC, k) AS place FROM ( \
                     SELECT k, window_start, window_end, COUNT(*) AS c \
                     FROM TABLE(HOP(TABLE events, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '60' SECOND)) \
                     WHERE k IS NOT NULL GROUP BY k, window_start, window_end)) \
                 WHERE place <= 2",
        expected: |rows, now| {
            let rows = inside(rows, hop(10, 60, now));
            let mut counts: Vec<(usize, &str)> = keys(&rows)
                .iter()
                .map(|(key, rows)| (rows.len(), *key))
                .collect();
            counts.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
            counts.truncate(2);
            let row = |(count, key): (usize, &str)| {
                let values = BTreeMap::from([("c".to_owned(), count.to_string())]);
                (key.to_owned(), values)
            };
            counts.into_iter().map(row).collect()
        },
        nothing: &[],
    },
    Current {
        table: "everything",
        columns: "k STRING, c BIGINT, n BIGINT",
        options: "'on-empty' = 'delete'",
        select: "SELECT 'all', COUNT(*), COUNT(DISTINCT k) \
                 FROM TABLE(HOP(TABLE events, DESCRIPTOR(ts), INTERVAL '20' SECOND, INTERVAL '60' SECOND)) \
                 GROUP BY window_start, window_end",
        expected: |rows, now| {
            let rows = inside(rows, hop(20, 60, now));
            let known: BTreeSet<_> = rows.iter().filter_map(|row| row.k).collect();
            let all: Vec<Row> = rows
                .iter()
                .map(|row| Row {
                    k: Some("all"),
                    ..row.clone()
                })
                .collect();
            by_key(&all, |rows| {
                vec![
                    ("c", Some(rows.len() as i64)),
                    ("n", Some(known.len() as i64)),
                ]
            })
        },
        nothing: &[],
    },
    Current {
        table: "all_rows",
        columns: "k STRING, c BIGINT",
        options: "'on-empty' = 'delete', 'state-ttl' = '1 h'",
        select: "SELECT 'all', SUM(c) FROM ( \
                   SELECT k, COUNT(*) AS c FROM events GROUP BY k)",
        expected: |rows, _| {
            let count = |rows: &[Row]| BTreeMap::from([("c".to_owned(), rows.len().to_string())]);
            Table::from([("all".to_owned(), count(rows))])
        },
        nothing: &[],
    },
    // Groups over short windows come and go between a checkpoint and a crash.
    Current {
        table: "short_sums",
        columns: "k STRING, c BIGINT, n BIGINT",
        options: "'on-empty' = 'zero'",
        select: "SELECT k, SUM(c), COUNT(*) FROM ( \
                   SELECT k, s, window_start, window_end, COUNT(*) AS c \
                   FROM TABLE(HOP(TABLE events, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '3' SECOND)) \
                   GROUP BY k, s, window_start, window_end) \
                 GROUP BY k, window_start, window_end",
        expected: |rows, now| sums_of_counts(&inside(rows, hop(1, 3, now))),
        nothing: &[("n", "0")],
    },
    // The groups are values: which ones there were depends on every row and on every moment.
    Current {
        table: "keys_by_count",
        columns: "k STRING, n BIGINT",
        options: "'on-empty' = 'delete'",
        select: "SELECT CAST(c AS STRING), COUNT(*) FROM ( \
                   SELECT k, window_start, window_end, COUNT(*) AS c \
                   FROM TABLE(HOP(TABLE events, DESCRIPTOR(ts), INTERVAL '2' SECOND, INTERVAL '8' SECOND)) \
                   WHERE k IS NOT NULL GROUP BY k, window_start, window_end) \
                 GROUP BY c, window_start, window_end",
        expected: |rows, now| {
            let rows = inside(rows, hop(2, 8, now));
            let mut table = Table::new();
            let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
            for rows in keys(&rows).values() {
                *counts.entry(rows.len()).or_default() += 1;
            }
            for (count, keys) in counts {
                let values = BTreeMap::from([("n".to_owned(), keys.to_string())]);
                table.insert(count.to_string(), values);
            }
            table
        },
        nothing: &[],
    },
    Current {
        table: "first_now",
        columns: "k STRING, c BIGINT",
        options: "'on-empty' = 'delete'",
        select: "SELECT k, c FROM ( \
                   SELECT k, c, ROW_NUMBER() OVER \
                     (PARTITION BY window_start, window_end ORDER BY c DESC, k) AS place FROM ( \
                     SELECT k, window_start, window_end, COUNT(*) AS c \
                     FROM TABLE(HOP(TABLE events, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '4' SECOND)) \
                     WHERE k IS NOT NULL GROUP BY k, window_start, window_end)) \
                 WHERE place <= 1",
        expected: |rows, now| {
            let rows = inside(rows, hop(1, 4, now));
            let keys = keys(&rows).into_iter();
            let first = keys.max_by(|a, b| a.1.len().cmp(&b.1.len()).then(b.0.cmp(a.0)));
            let row = |(key, rows): (&str, Vec<&Row>)| {
                let values = BTreeMap::from([("c".to_owned(), rows.len().to_string())]);
                (key.to_owned(), values)
            };
            first.into_iter().map(row).collect()
        },
        nothing: &[],
    },
];

/// The window of a HOP whose end is the first after `now`.
pub fn hop(slide: i64, size: i64, now: i64) -> (i64, i64) {
    let (slide, size) = (slide * SECOND, size * SECOND);
    let start = (now - size).div_euclid(slide) * slide + slide;
    (start, start + size)
}

/// The last window of a HOP that starts at or before `now`.
pub fn last_hop(slide: i64, size: i64, now: i64) -> (i64, i64) {
    let start = now.div_euclid(slide * SECOND) * slide * SECOND;
    (start, start + size * SECOND)
}

pub fn inside(rows: &[Row], (start, end): (i64, i64)) -> Vec<Row> {
    let within = |row: &&Row| start <= row.ts && row.ts < end;
    rows.iter().filter(within).cloned().collect()
}

/// By key, the rows and their distinct `s`: what sums and counts over groups of each come to.
fn sums_of_counts(rows: &[Row]) -> Table {
    by_key(rows, |rows| {
        let s: BTreeSet<_> = rows.iter().map(|row| row.s).collect();
        vec![("c", Some(rows.len() as i64)), ("n", Some(s.len() as i64))]
    })
}

fn keys(rows: &[Row]) -> BTreeMap<&'static str, Vec<&Row>> {
    let mut keys: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        if let Some(key) = row.k {
            keys.entry(key).or_default().push(row);
        }
    }
    keys.values_mut()
        .for_each(|rows| rows.sort_by_key(|row| row.ts));
    keys
}

pub fn count_and_max(rows: &[&Row]) -> Vec<(&'static str, Option<i64>)> {
    let max = rows.iter().filter_map(|row| row.v).max();
    vec![("c", Some(rows.len() as i64)), ("mx", max)]
}

pub fn by_key(rows: &[Row], values: impl Fn(&[&Row]) -> Vec<(&'static str, Option<i64>)>) -> Table {
    let row = |(key, rows): (&str, Vec<&Row>)| {
        let named = values(&rows).into_iter();
        let named = named.filter_map(|(name, v)| Some((name.to_owned(), v?.to_string())));
        (key.to_owned(), named.collect())
    };
    keys(rows).into_iter().map(row).collect()
}
