//! One row a window, and the last closed window, against the oracle: rows are judged one by one
//! by the watermark before them; sessions are the connected rows.

#![allow(clippy::unwrap_used)]

mod window_support;

use std::collections::BTreeSet;
use tidewheel_core::time::{END_OF_TIME, NO_TIME};
use tidewheel_kernel::change::RowState;
use tidewheel_kernel::spec::{Emit, SetSpec, WINDOW_TIME_GAP, WindowKind, WindowSpec};
use tidewheel_kernel::window::{SetId, WindowOperator};
use window_support::oracle::{Oracle, Shown};
use window_support::*;

struct Reader {
    shown: Shown,
    slots: SlotCheck,
    late: BTreeSet<u64>,
}

fn take(
    operator: &mut WindowOperator,
    set: SetId,
    max: usize,
    spec: &SetSpec,
    reader: &mut Reader,
) -> bool {
    let Some(changes) = operator.take_changes(set, max, true) else {
        return false;
    };
    assert!(!changes.slots.is_empty() && changes.slots.len() <= max);
    let one_a_key = matches!(spec.emit, Emit::Current | Emit::LastClosed);
    if !one_a_key {
        assert!(changes.window_end.is_sorted());
    }
    for row in 0..changes.slots.len() {
        let key = key_of(&changes, row);
        reader.slots.seen(changes.slots[row], key);
        let place = if one_a_key {
            (key, 0, 0)
        } else {
            (key, changes.window_start[row], changes.window_end[row])
        };
        match changes.states[row] {
            RowState::Live => {
                let before = reader.shown.insert(place, values_of(&changes, row));
                if let Emit::Final { .. } = spec.emit {
                    assert!(before.is_none(), "emitted twice: {place:?}");
                }
            }
            RowState::Empty => {
                assert!(
                    reader.shown.remove(&place).is_some(),
                    "empty without having been live"
                );
            }
        }
    }
    let freed = operator.take_freed(set);
    reader.slots.freed(&freed);
    true
}

fn run_case(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let with_sessions = random.bool();
    let retracting = !with_sessions && random.u32(0..4) == 0;
    let shards = random.u32(1..3);
    let sets: Vec<SetSpec> = (0..random.usize(1..4))
        .map(|_| {
            let allowed_lateness = [0, 0, random.i64(1..30)][random.usize(0..3)] * UNIT;
            let gap = random.i64(1..15) * UNIT;
            let window = if with_sessions {
                WindowSpec {
                    kind: WindowKind::Session { gap },
                    offset: 0,
                }
            } else {
                random_window(&mut random)
            };
            let emit = match random.u32(0..5) {
                0 if with_sessions => Emit::Current,
                0 | 1 => Emit::LastClosed,
                2 => Emit::Final { allowed_lateness },
                3 => Emit::EveryChange { allowed_lateness },
                _ => Emit::Closed { allowed_lateness },
            };
            SetSpec {
                filter: [None, None, Some(1)][random.usize(0..3)],
                window,
                emit,
                aggregates: aggregates(retracting),
                retracting,
            }
        })
        .collect();
    let mut operators: Vec<WindowOperator> = (0..shards)
        .map(|_| WindowOperator::new(encoder(), sets.clone()))
        .collect();
    let mut oracles: Vec<Oracle> = sets.iter().cloned().map(Oracle::new).collect();
    let mut readers: Vec<Vec<Reader>> = (0..shards)
        .map(|_| {
            sets.iter()
                .map(|_| Reader {
                    shown: Shown::new(),
                    slots: SlotCheck::default(),
                    late: BTreeSet::new(),
                })
                .collect()
        })
        .collect();
    let keys = random.u32(1..4);
    let origin = random.i64(-500..500) * UNIT;
    let disorder = [0, 3, 20, 100][random.usize(0..4)] * UNIT;
    let bound = random.i64(0..10) * UNIT;
    let pace = [1, 3, 30][random.usize(0..3)];
    let (mut head, mut watermark) = (origin, NO_TIME);
    let mut count = 0;
    let mut alive: Vec<Row> = Vec::new();
    for step in 0..random.usize(1..20) {
        let mut batch: Vec<Row> = Vec::new();
        for _ in 0..random.usize(0..25) {
            head += random.i64(0..pace + 1) * UNIT;
            let back = random.i64(0..disorder / UNIT + 1) * UNIT;
            let mut row = Row {
                time: head - back,
                seq: count,
                key: random.u32(0..keys),
                value: random.i64(-100..100),
                flags: [random.bool(), random.bool(), random.bool()],
                watermark,
                retract: false,
            };
            if retracting && !alive.is_empty() && random.u32(0..3) == 0 {
                // A changelog takes back what is there, while its windows are open.
                let at = random.usize(0..alive.len());
                let known = alive.swap_remove(at);
                if known.time > watermark.saturating_add(WINDOW_TIME_GAP) {
                    row = Row {
                        retract: true,
                        watermark,
                        ..known
                    };
                }
            } else if retracting && row.time > watermark.saturating_add(WINDOW_TIME_GAP) {
                alive.push(row.clone());
            }
            count += 1;
            batch.push(row);
            watermark = watermark.max(head - bound);
        }
        let prepared = Batch::new(&batch, shards);
        for (shard, operator) in operators.iter_mut().enumerate() {
            for late in operator.process(&prepared.input(shard, retracting)) {
                let seqs = late.rows.iter().map(|&row| batch[row as usize].seq);
                readers[shard][late.set.0 as usize].late.extend(seqs);
            }
        }
        for oracle in &mut oracles {
            for row in &batch {
                oracle.add(row);
            }
        }
        if random.u32(0..6) == 0 && watermark != NO_TIME {
            let longest = [5, 100, 1000][random.usize(0..3)];
            head += random.i64(0..longest) * UNIT;
            watermark = watermark.max(head - bound);
        }
        let full = random.u32(0..3) > 0;
        for (shard, operator) in operators.iter_mut().enumerate() {
            loop {
                for (number, reader) in readers[shard].iter_mut().enumerate() {
                    if random.u32(0..4) == 0 {
                        take(
                            operator,
                            SetId(number as u32),
                            random.usize(1..4),
                            &sets[number],
                            reader,
                        );
                    }
                }
                if !operator.advance(head, watermark, random.usize(1..50)) {
                    break;
                }
            }
            if full {
                for (number, reader) in readers[shard].iter_mut().enumerate() {
                    let max = random.usize(1..40);
                    while take(operator, SetId(number as u32), max, &sets[number], reader) {}
                }
            }
        }
        for (number, oracle) in oracles.iter_mut().enumerate() {
            let late: BTreeSet<u64> = readers
                .iter()
                .flat_map(|readers| readers[number].late.clone())
                .collect();
            if !retracting {
                assert_eq!(
                    late, oracle.late,
                    "seed {seed} step {step} set {number} late rows"
                );
            }
            if full && watermark != NO_TIME {
                let shown: Shown = readers
                    .iter()
                    .flat_map(|readers| readers[number].shown.clone())
                    .collect();
                let wanted = oracle.shown(head, watermark);
                let spec = (&sets[number].window, sets[number].emit, sets[number].filter);
                assert_eq!(
                    shown, wanted,
                    "seed {seed} step {step} set {number} {spec:?} at {watermark}"
                );
            }
        }
    }
    if seed.is_multiple_of(2) {
        at_the_end(
            seed,
            &sets,
            &mut operators,
            &mut oracles,
            &mut readers,
            head,
        );
        return;
    }
    for (shard, operator) in operators.iter_mut().enumerate() {
        let end = head + 10_000 * UNIT;
        loop {
            let more = operator.advance(end, end, 100);
            let mut any = false;
            for (number, reader) in readers[shard].iter_mut().enumerate() {
                any |= take(operator, SetId(number as u32), 7, &sets[number], reader);
            }
            if !more && !any {
                break;
            }
        }
        let stats = operator.stats();
        assert_eq!((stats.keys, stats.slices), (0, 0), "seed {seed} {sets:?}");
    }
}

/// The end of the input closes every window: the last that closes is the last that holds the
/// frontier, and its value stands.
fn at_the_end(
    seed: u64,
    sets: &[SetSpec],
    operators: &mut [WindowOperator],
    oracles: &mut [Oracle],
    readers: &mut [Vec<Reader>],
    head: i64,
) {
    for (shard, operator) in operators.iter_mut().enumerate() {
        loop {
            let more = operator.advance(head, END_OF_TIME, 20);
            let mut any = false;
            for (number, reader) in readers[shard].iter_mut().enumerate() {
                any |= take(operator, SetId(number as u32), 7, &sets[number], reader);
            }
            if !more && !any {
                break;
            }
        }
    }
    for (number, oracle) in oracles.iter_mut().enumerate() {
        let shown: Shown = readers
            .iter()
            .flat_map(|readers| readers[number].shown.clone())
            .collect();
        let spec = &sets[number];
        let wanted = match (spec.emit, spec.window.kind) {
            (Emit::LastClosed, kind) if !matches!(kind, WindowKind::Session { .. }) => {
                let mut time = head;
                let last = loop {
                    match windows_of(&spec.window, time).iter().map(|w| w.1).max() {
                        Some(end) => break end,
                        None => time -= UNIT,
                    }
                };
                oracle.shown(head, last - WINDOW_TIME_GAP)
            }
            _ => oracle.shown(head, head + 10_000 * UNIT),
        };
        let what = (&spec.window, spec.emit, spec.filter);
        assert_eq!(
            shown, wanted,
            "seed {seed} set {number} {what:?} at the end"
        );
    }
}

#[test]
fn closed_windows_are_those_of_the_definition() {
    let cases: u64 = std::env::var("WINDOW_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(400);
    for seed in 0..cases {
        run_case(seed);
    }
}
