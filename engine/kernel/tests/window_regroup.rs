//! GROUP BY without a window function: over changelogs, with state-ttl, and with a window's end.

#![allow(clippy::unwrap_used)]

mod save_through;
mod window_support;

use save_through::Saves;
use std::collections::BTreeMap;
use tidewheel_core::time::NO_TIME;
use tidewheel_kernel::change::RowState;
use tidewheel_kernel::regroup::{RegroupOperator, RegroupSpec};
use tidewheel_kernel::share::Share;
use tidewheel_kernel::spec::Emit;
use window_support::*;

fn spec(retracting: bool) -> RegroupSpec {
    RegroupSpec {
        filter: Some(1),
        aggregates: aggregates(retracting),
        retracting,
        state_ttl: None,
        window_start: None,
        window_end: None,
        emit: Emit::Current,
    }
}

fn row(random: &mut fastrand::Rng, time: i64, seq: u64) -> Row {
    Row {
        time,
        seq,
        key: random.u32(0..8),
        value: random.i64(-100..100),
        flags: [random.u32(0..4) > 0, random.bool(), random.bool()],
        watermark: NO_TIME,
        retract: false,
    }
}

fn take(operator: &mut RegroupOperator, max: usize, shown: &mut BTreeMap<u32, Values>) -> bool {
    let Some(changes) = operator.take_changes(max, true) else {
        return false;
    };
    for at in 0..changes.slots.len() {
        let key = key_of(&changes, at);
        match changes.states[at] {
            RowState::Live => {
                shown.insert(key, values_of(&changes, at));
            }
            RowState::Empty => {
                assert!(
                    shown.remove(&key).is_some(),
                    "empty without having been live"
                );
            }
        }
    }
    operator.take_freed();
    true
}

#[test]
fn groups_over_a_changelog_are_those_of_the_rows_left() {
    for seed in 0..500 {
        let mut random = fastrand::Rng::with_seed(seed);
        let new = || RegroupOperator::new(encoder(), spec(true));
        let mut operator = new();
        let mut saves = Saves::new(seed, true);
        let mut rows: Vec<Row> = Vec::new();
        let mut alive: Vec<Row> = Vec::new();
        let mut shown = BTreeMap::new();
        for _ in 0..random.usize(1..30) {
            let mut batch = Vec::new();
            for _ in 0..random.usize(0..20) {
                let back = !alive.is_empty() && random.u32(0..5) < 2;
                batch.push(if back {
                    let known = alive.swap_remove(random.usize(0..alive.len()));
                    Row {
                        retract: true,
                        ..known
                    }
                } else {
                    let new = row(&mut random, 0, (rows.len() + batch.len()) as u64);
                    alive.push(new.clone());
                    new
                });
            }
            saves.step(&mut operator, new);
            operator.process(&Batch::new(&batch, 1).input(0, true));
            saves.step(&mut operator, new);
            rows.extend(batch);
            if random.bool() {
                take(&mut operator, random.usize(1..5), &mut shown);
            }
            if random.bool() {
                while take(&mut operator, random.usize(1..50), &mut shown) {}
                let mut wanted: BTreeMap<u32, Vec<&Row>> = BTreeMap::new();
                for row in rows.iter().filter(|row| row.flags[0]) {
                    wanted.entry(row.key).or_default().push(row);
                }
                let wanted: BTreeMap<u32, Values> = wanted
                    .into_iter()
                    .filter_map(|(key, rows)| Some((key, values(&rows, true)?)))
                    .collect();
                assert_eq!(shown, wanted, "seed {seed}");
                assert_eq!(operator.stats().keys, wanted.len() as u64);
            }
        }
        assert_eq!(operator.stats().unknown_retractions, 0);
    }
}

#[test]
fn a_lifetime_group_starts_anew_after_its_ttl() {
    let ttl = 50 * UNIT;
    for seed in 0..500 {
        let mut random = fastrand::Rng::with_seed(seed);
        let new = || {
            let state_ttl = Some(ttl);
            let spec = RegroupSpec {
                state_ttl,
                ..spec(false)
            };
            RegroupOperator::new(encoder(), spec)
        };
        let mut operator = new();
        // What time alone did may be told again after saves of changes.
        let mut saves = Saves::new(seed, false);
        let mut lives: BTreeMap<u32, Vec<Row>> = BTreeMap::new();
        let mut shown = BTreeMap::new();
        let mut time = 0;
        let mut seq = 0;
        for _ in 0..random.usize(1..30) {
            let mut batch = Vec::new();
            for _ in 0..random.usize(0..6) {
                time += random.i64(0..30) * UNIT;
                seq += 1;
                let new = row(&mut random, time, seq);
                if new.flags[0] {
                    let life = lives.entry(new.key).or_default();
                    if life.last().is_some_and(|last| last.time + ttl <= time) {
                        life.clear();
                    }
                    life.push(new.clone());
                }
                batch.push(new);
            }
            operator.process(&Batch::new(&batch, 1).input(0, false));
            time += random.i64(0..40) * UNIT;
            saves.step(&mut operator, new);
            operator.advance(time, NO_TIME, 1);
            saves.step(&mut operator, new);
            while operator.advance(time, NO_TIME, random.usize(1..5)) {}
            while take(&mut operator, random.usize(1..5), &mut shown) {}
            lives.retain(|_, life| life.last().unwrap().time + ttl > time);
            let wanted: BTreeMap<u32, Values> = lives
                .iter()
                .map(|(&key, life)| {
                    (
                        key,
                        values(&life.iter().collect::<Vec<_>>(), false).unwrap(),
                    )
                })
                .collect();
            assert_eq!(shown, wanted, "seed {seed} at {time}");
            assert_eq!(operator.stats().keys, wanted.len() as u64);
        }
    }
}

/// The operator as it is after a restart.
fn through(operator: &mut RegroupOperator, new: impl Fn() -> RegroupOperator) -> RegroupOperator {
    let mut saved = Vec::new();
    operator.save(&mut saved);
    let mut again = new();
    again.load(&[&saved], &Share::all()).unwrap();
    again
}

#[test]
fn a_group_that_the_reader_may_have_is_told_gone() {
    let mut operator = RegroupOperator::new(
        encoder(),
        RegroupSpec {
            filter: None,
            ..spec(true)
        },
    );
    operator.assume_standing(true);
    let mut random = fastrand::Rng::with_seed(1);
    let mut rows = vec![row(&mut random, 0, 1)];
    rows.push(Row {
        retract: true,
        ..rows[0].clone()
    });
    operator.process(&Batch::new(&rows, 1).input(0, true));
    let changes = operator.take_changes(9, true).unwrap();
    assert_eq!(changes.states, [RowState::Empty]);
    assert!(operator.take_changes(9, true).is_none());
    assert_eq!(operator.stats().keys, 0);
}

#[test]
fn a_group_of_a_window_is_emitted_at_its_end_and_then_forgotten() {
    // The value column serves as the window's end: one window for all.
    let end = 100 * UNIT;
    for (emit, when) in [
        (
            Emit::Closed {
                allowed_lateness: 0,
            },
            end - UNIT,
        ),
        (
            Emit::Final {
                allowed_lateness: 10 * UNIT,
            },
            end + 9 * UNIT,
        ),
    ] {
        let new = || {
            let spec = RegroupSpec {
                window_end: Some(0),
                filter: None,
                emit,
                ..spec(false)
            };
            RegroupOperator::new(encoder(), spec)
        };
        let mut operator = new();
        let mut random = fastrand::Rng::with_seed(1);
        let mut rows: Vec<Row> = (0..5)
            .map(|seq| row(&mut random, end - UNIT, seq))
            .collect();
        for row in &mut rows {
            row.value = end;
        }
        assert!(
            operator
                .process(&Batch::new(&rows, 1).input(0, false))
                .is_empty()
        );
        let mut shown = BTreeMap::new();
        while operator.advance(end, when - 1, 10) {}
        operator = through(&mut operator, new);
        assert!(!take(&mut operator, 10, &mut shown));
        operator.advance(end, when, 1);
        operator = through(&mut operator, new);
        while operator.advance(end, when, 10) {}
        operator = through(&mut operator, new);
        while take(&mut operator, 10, &mut shown) {}
        assert_eq!(
            shown.values().map(|values| values[0].unwrap()).sum::<i64>(),
            5
        );
        // Nothing is left, and a row that comes now is late.
        assert_eq!(operator.stats().keys, 0);
        assert_eq!(
            operator
                .process(&Batch::new(&rows, 1).input(0, false))
                .len(),
            5
        );
    }
}
