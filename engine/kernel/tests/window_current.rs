//! Current values of TUMBLE, HOP and CUMULATE against the oracle: random windows, sets, order,
//! batches, shards, frontier jumps and retractions.

#![allow(clippy::unwrap_used)]

mod window_support;

use tidewheel_core::time::NO_TIME;
use tidewheel_kernel::change::RowState;
use tidewheel_kernel::spec::{Emit, SetSpec};
use tidewheel_kernel::window::{SetId, WindowOperator};
use window_support::oracle::{Current as Shown, current_values as expected};
use window_support::*;

struct Reader {
    shown: Shown,
    slots: SlotCheck,
}

fn take(
    operator: &mut WindowOperator,
    set: SetId,
    max: usize,
    all: bool,
    reader: &mut Reader,
) -> bool {
    let Some(changes) = operator.take_changes(set, max, all) else {
        return false;
    };
    assert!(!changes.slots.is_empty() && changes.slots.len() <= max);
    for row in 0..changes.slots.len() {
        let key = key_of(&changes, row);
        reader.slots.seen(changes.slots[row], key);
        match changes.states[row] {
            RowState::Live => {
                reader
                    .shown
                    .insert(key, (values_of(&changes, row), changes.empty_at[row]));
            }
            RowState::Empty => {
                assert!(
                    reader.shown.remove(&key).is_some(),
                    "empty without having been live"
                );
                assert_eq!(values_of(&changes, row)[0], Some(0));
            }
        }
    }
    let freed = operator.take_freed(set);
    reader.slots.freed(&freed);
    true
}

fn run_case(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let retracting = random.u32(0..4) == 0;
    let shards = random.u32(1..4);
    let sets: Vec<SetSpec> = (0..random.usize(1..5))
        .map(|_| SetSpec {
            filter: [None, None, Some(1), Some(2)][random.usize(0..4)],
            window: random_window(&mut random),
            emit: Emit::Current,
            aggregates: aggregates(retracting),
            retracting,
        })
        .collect();
    let mut operators: Vec<WindowOperator> = (0..shards)
        .map(|_| WindowOperator::new(encoder(), sets.clone()))
        .collect();
    let mut readers: Vec<Vec<Reader>> = (0..shards)
        .map(|_| {
            sets.iter()
                .map(|_| Reader {
                    shown: Shown::new(),
                    slots: SlotCheck::default(),
                })
                .collect()
        })
        .collect();
    let mut rows: Vec<Row> = Vec::new();
    let keys = random.u32(1..6);
    let origin = random.i64(-2_000..2_000) * UNIT;
    let disorder = [0, 5, 50, 500][random.usize(0..4)] * UNIT;
    // Rows may lie beyond the frontier: it can be another table's.
    let behind = if random.u32(0..3) == 0 {
        random.i64(0..40) * UNIT
    } else {
        0
    };
    let pace = [1, 3, 30][random.usize(0..3)];
    let mut head = origin;
    let mut frontier = NO_TIME;
    for step in 0..random.usize(1..25) {
        let mut batch: Vec<Row> = Vec::new();
        for _ in 0..random.usize(0..30) {
            head += random.i64(0..pace + 1) * UNIT;
            let seq = (rows.len() + batch.len()) as u64;
            let known = if retracting && random.u32(0..3) == 0 {
                // Take back a row that is there.
                let alive: Vec<Row> = rows
                    .iter()
                    .chain(&batch)
                    .filter(|row| !row.retract)
                    .filter(|row| {
                        !rows
                            .iter()
                            .chain(&batch)
                            .any(|o| o.retract && o.seq == row.seq)
                    })
                    .cloned()
                    .collect();
                (!alive.is_empty()).then(|| alive[random.usize(0..alive.len())].clone())
            } else {
                None
            };
            batch.push(match known {
                Some(row) => Row {
                    retract: true,
                    ..row
                },
                None => Row {
                    time: head
                        - if disorder > 0 {
                            random.i64(0..disorder + 1) / UNIT * UNIT
                        } else {
                            0
                        },
                    seq,
                    key: random.u32(0..keys),
                    value: random.i64(-100..100),
                    flags: [random.bool(), random.u32(0..4) == 0, random.bool()],
                    watermark: NO_TIME,
                    retract: false,
                },
            });
        }
        let prepared = Batch::new(&batch, shards);
        for (shard, operator) in operators.iter_mut().enumerate() {
            let late = operator.process(&prepared.input(shard, retracting));
            assert!(late.is_empty());
        }
        rows.extend(batch);
        if !rows.is_empty() {
            frontier = frontier.max(head - behind);
        }
        if random.u32(0..5) == 0 && frontier != NO_TIME {
            // A tick.
            let longest = [5, 100, 1000][random.usize(0..3)];
            head += random.i64(0..longest) * UNIT;
            frontier = head - behind;
        }
        let full = random.u32(0..3) > 0 || step == 0;
        for (shard, operator) in operators.iter_mut().enumerate() {
            let early = random.u32(0..6) == 0;
            for (number, reader) in readers[shard].iter_mut().enumerate() {
                let set = SetId(number as u32);
                if early {
                    take(operator, set, random.usize(1..4), random.bool(), reader);
                }
            }
            loop {
                let more = operator.advance(frontier, NO_TIME, random.usize(1..50));
                for (number, reader) in readers[shard].iter_mut().enumerate() {
                    if random.u32(0..3) == 0 {
                        take(
                            operator,
                            SetId(number as u32),
                            random.usize(1..4),
                            random.bool(),
                            reader,
                        );
                    }
                }
                if !more {
                    break;
                }
            }
            if full {
                for (number, reader) in readers[shard].iter_mut().enumerate() {
                    while take(
                        operator,
                        SetId(number as u32),
                        random.usize(1..40),
                        true,
                        reader,
                    ) {}
                }
            }
        }
        if !full {
            continue;
        }
        for (number, spec) in sets.iter().enumerate() {
            let mut shown = Shown::new();
            for readers in &readers {
                shown.extend(readers[number].shown.clone());
            }
            let wanted = expected(&rows, spec, frontier);
            assert_eq!(
                shown, wanted,
                "seed {seed} step {step} set {number} {spec:?} at {frontier}"
            );
        }
    }
    // Once all windows have run empty, nothing is left.
    for (shard, operator) in operators.iter_mut().enumerate() {
        while operator.advance(head + 10_000 * UNIT, NO_TIME, 100) {}
        for (number, reader) in readers[shard].iter_mut().enumerate() {
            while take(operator, SetId(number as u32), 7, true, reader) {}
            assert!(reader.shown.is_empty());
        }
        let stats = operator.stats();
        assert_eq!((stats.keys, stats.slices), (0, 0), "seed {seed}");
    }
}

#[test]
fn current_values_are_those_of_the_definition() {
    let cases: u64 = std::env::var("WINDOW_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(300);
    for seed in 0..cases {
        run_case(seed);
    }
}
