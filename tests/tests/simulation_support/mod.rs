//! What the simulation test is made of: a world in memory, queries with what they should give,
//! and rows.

#![allow(dead_code, clippy::unwrap_used, unreachable_pub)]

pub mod oracle;
pub mod sink;
pub mod statements;
pub mod storage;
pub mod world;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;
use world::{BEGIN, Record};

/// When the last row comes, seconds since the start.
pub const SCRIPT: i64 = 240;
/// Rows are late by at most this, milliseconds.
pub const DISORDER: i64 = 5_000;

#[derive(Debug, Clone)]
pub struct Row {
    pub k: Option<&'static str>,
    pub v: Option<i64>,
    pub s: Option<&'static str>,
    /// Microseconds.
    pub ts: i64,
}

/// Rows, and the records of each partition that hold them.
pub fn script(random: &mut fastrand::Rng) -> (Vec<Row>, Vec<VecDeque<Record>>) {
    let partitions = random.usize(1..5);
    let mut times = BTreeSet::new();
    let mut planned: Vec<(i64, i64, Row)> = Vec::new();
    let keys = ["a", "b", "c", "d", "e"];
    let keys = &keys[..random.usize(1..6)];
    let count = random.usize(20..250);
    let mut burst = random.i64(0..SCRIPT);
    for _ in 0..count {
        // Some lie there when the run begins; of the others many come at about the same time.
        let (at, ts) = match random.u8(0..8) {
            0 => {
                let ts = -random.i64(0..120_000);
                (0, ts)
            }
            1..4 => {
                let at = random.i64(0..SCRIPT * 1_000);
                (at, at - random.i64(0..DISORDER))
            }
            kind => {
                if kind == 4 {
                    burst = random.i64(0..SCRIPT);
                }
                let at = (burst * 1_000 + random.i64(0..2_000)).min(SCRIPT * 1_000);
                (at, at - random.i64(0..DISORDER))
            }
        };
        // No two rows at one time: ties are told apart by places that differ between runs.
        if !times.insert(ts) {
            continue;
        }
        let row = Row {
            k: (random.u8(0..20) > 0).then(|| keys[random.usize(0..keys.len())]),
            v: (random.u8(0..10) > 0).then(|| random.i64(-3..10)),
            s: (random.u8(0..6) > 0).then(|| ["p", "q", "r"][random.usize(0..3)]),
            ts: (BEGIN + ts) * 1_000,
        };
        planned.push((at, ts, row));
    }
    // What lies there at the beginning is in order.
    planned.sort_by_key(|(at, ts, _)| (*at, *ts));
    let mut records = vec![VecDeque::new(); partitions];
    for (at, _, row) in &planned {
        let mut time = String::new();
        tidewheel_core::text::write_time(&mut time, row.ts);
        let text = serde_json::json!({ "k": row.k, "v": row.v, "s": row.s, "ts": time });
        records[random.usize(0..partitions)].push_back(Record {
            at: Duration::from_millis(*at as u64),
            text: text.to_string(),
        });
    }
    (planned.into_iter().map(|(.., row)| row).collect(), records)
}
