//! The engine on one thread, its tasks in an order that a seed chooses, over a source and a sink
//! in memory, with a clock that only the test moves. Rows come interleaved over partitions, out
//! of order, in bursts and after outages; the sink fails, is away, and loses everything. What
//! stands in the sink is compared with a naive evaluation, and for windows that have closed with
//! DataFusion's batch run.
//!
//! `TIDEWHEEL_SEEDS=5000` runs so many seeds; `TIDEWHEEL_SEED=17` runs that one.

mod simulation_support;

use simulation_support::oracle::{CURRENT, by_key, count_and_max, inside, last_hop};
use simulation_support::statements::{
    PER_WINDOW, TTL_SECONDS, batch, check_current, compiled, registry, run_seeds, statements,
    written,
};
use simulation_support::world::{BEGIN, Record, Shared, SimulatedEnv};
use simulation_support::{SCRIPT, script};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tidewheel_core::Env;
use tidewheel_runtime::task::{Executor, Simulation};
use tidewheel_runtime::{Engine, RunOptions};

/// Far more than a run takes.
const STEPS_MAX: usize = 20_000_000;

fn run(seed: u64, bounded: bool) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (rows, records) = script(&mut random);
    let shared = Shared::new(random.u64(..), records);
    let registry = registry(&shared);
    let text = statements(bounded, TTL_SECONDS);
    let program = compiled("simulation.sql", text, &registry);
    let env: Arc<dyn Env> = Arc::new(SimulatedEnv::new(&shared, registry));
    let options = RunOptions {
        shards: random.usize(1..4),
        decoders: random.usize(1..3),
        chunk_bytes: 1 << 20,
        ..RunOptions::default()
    };
    let simulation = Arc::new(Simulation::new(random.u64(..)));
    let executor: Arc<dyn Executor> = Arc::clone(&simulation) as _;
    let engine = Engine::start(&program, &env, executor, &options).expect("starts");
    shared.faults.store(random.u64(0..80), Relaxed);
    // The source is away for a while, and once more after the last row, for longer than values
    // live that nobody renews.
    let outage = random.u64(60..120);
    let outage = outage..outage + random.u64(0..60);
    let last_outage = 300..300 + 5 * TTL_SECONDS as u64;
    if bounded && random.bool() {
        // One sink is away far beyond the end of the input: what the others wrote has to stand until
        // it has written too.
        let until = Duration::from_secs(random.u64(300..400));
        let table = ["last_hop", "now_and_then"][random.usize(0..2)].to_owned();
        *shared.down.lock().expect("no panic") = Some((table, until));
    }
    let mut checks: Vec<u64> = vec![262, 281, 299, 315, 340, 399, 411];
    let all = rows.len() as u64;
    let mut before = None;
    let done = simulation.run(STEPS_MAX, |wait| {
        shared.pass(wait.max(Duration::from_millis(random.u64(1..80))));
        let now = shared.now().as_secs();
        if now >= SCRIPT as u64 {
            shared.faults.store(0, Relaxed);
        }
        let away = outage.contains(&now) || (!bounded && last_outage.contains(&now));
        shared.away.store(away, Relaxed);
        let frontier = engine.sources()[0].frontier_ms.map(|ms| ms * 1_000);
        let told = std::mem::replace(&mut before, frontier);
        if let (Some(frontier), Some(told)) = (frontier, told)
            && !bounded
            && checks.first().is_some_and(|check| *check <= now)
            // A shard may not have heard of the last tick yet: another moment, if that matters.
            && CURRENT.iter().all(|q| (q.expected)(&rows, frontier) == (q.expected)(&rows, told))
        {
            let second = checks.remove(0);
            assert_eq!(engine.summary().rows_in, all);
            check_current(&shared, &rows, frontier, &format!("after {second} s"));
        }
        if !bounded && now > 420 {
            engine.stop();
        }
    });
    assert!(done, "it does not end");
    assert_eq!(engine.errors().len(), 0, "{:?}", engine.errors());
    let summary = engine.summary();
    assert_eq!((summary.rows_in, summary.late, summary.bad), (all, 0, 0));
    if !bounded {
        assert!(checks.is_empty());
        return;
    }
    let frontier = rows.iter().map(|row| row.ts).max().unwrap_or(0);
    check_current(&shared, &rows, frontier, "at the end");
    let last = by_key(&inside(&rows, last_hop(10, 30, frontier)), count_and_max);
    assert_eq!(shared.visible("last_hop"), last, "the last closed window");
    let all = by_key(&rows, count_and_max);
    assert_eq!(shared.visible("now_and_then"), all, "EMIT ON CHANGE EVERY");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    for query in PER_WINDOW {
        let expected = batch(query, &rows, &runtime);
        assert_eq!(written(query, &shared), expected, "{}", query.table);
    }
}

fn run_all(test: &str, bounded: bool, default: u64) {
    run_seeds("simulation", test, default, |seed| run(seed, bounded));
}

#[test]
fn a_bounded_input_ends_as_a_batch_would() {
    run_all("a_bounded_input_ends_as_a_batch_would", true, 12);
}

#[test]
fn live_values_are_right_while_time_runs_and_while_it_stands_still() {
    run_all(
        "live_values_are_right_while_time_runs_and_while_it_stands_still",
        false,
        12,
    );
}

/// An inner window stays open for late rows as long as the outer one can hold them; so what it said
/// before has to be known that long, or it counts twice.
#[test]
fn a_late_row_of_an_inner_window_replaces_what_the_outer_one_had_of_it() {
    // The times of rows after the start, and when they come, seconds.
    let rows = [(5, 10), (200, 200), (400, 400), (30, 410), (420, 420)];
    let record = |(ts, at): (i64, u64)| {
        let mut time = String::new();
        tidewheel_core::text::write_time(&mut time, (BEGIN + ts * 1_000) * 1_000);
        let text = serde_json::json!({ "k": "a", "v": ts, "ts": time }).to_string();
        let at = Duration::from_secs(at);
        Record { at, text }
    };
    let shared = Shared::new(1, vec![rows.into_iter().map(record).collect()]);
    let registry = registry(&shared);
    let text = "CREATE TABLE events (k STRING, v BIGINT, ts TIMESTAMP(3), \
         WATERMARK FOR ts AS ts) WITH ('connector' = 'memory', 'format' = 'json');\n\
         CREATE VIEW minutes AS SELECT k, window_time AS ts, COUNT(*) AS n, SUM(v) AS v \
         FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) \
         GROUP BY k, window_start, window_end, window_time;\n\
         CREATE TABLE hour (k STRING, minutes BIGINT, n BIGINT, v BIGINT, \
         PRIMARY KEY (k) NOT ENFORCED) WITH ('connector' = 'memory');\n\
         INSERT INTO hour SELECT k, COUNT(*), SUM(n), SUM(v) \
         FROM TABLE(HOP(TABLE minutes, DESCRIPTOR(ts), INTERVAL '1' MINUTE, INTERVAL '1' HOUR)) \
         GROUP BY k, window_start, window_end;\n\
         CREATE TABLE everyone (a STRING, minutes BIGINT, n BIGINT, v BIGINT, \
         PRIMARY KEY (a) NOT ENFORCED) WITH ('connector' = 'memory');\n\
         INSERT INTO everyone SELECT 'all', COUNT(*), SUM(n), SUM(v) \
         FROM TABLE(HOP(TABLE minutes, DESCRIPTOR(ts), INTERVAL '1' MINUTE, INTERVAL '1' HOUR)) \
         GROUP BY window_start, window_end;";
    let program = compiled("late.sql", text.to_owned(), &registry);
    let env: Arc<dyn Env> = Arc::new(SimulatedEnv::new(&shared, registry));
    let simulation = Arc::new(Simulation::new(1));
    let executor: Arc<dyn Executor> = Arc::clone(&simulation) as _;
    let engine = Engine::start(&program, &env, executor, &RunOptions::default()).expect("starts");
    let done = simulation.run(STEPS_MAX, |wait| {
        shared.pass(wait.max(Duration::from_millis(20)));
        if shared.now() > Duration::from_secs(430) {
            engine.stop();
        }
    });
    assert!(done && engine.errors().is_empty(), "{:?}", engine.errors());
    let of = |values: [(&str, &str); 3]| {
        let text = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        values.map(text).into_iter().collect()
    };
    // Minutes 0, 3, 6 and 7; the first one has the late row.
    let values = of([("minutes", "4"), ("n", "5"), ("v", "1055")]);
    for (table, key) in [("hour", "a"), ("everyone", "all")] {
        assert_eq!(shared.visible(table).get(key), Some(&values), "{table}");
    }
}
