//! Every aggregate against a naive oracle: rows in random order and batches, spread over cells,
//! merged in random trees, taken back, subtracted, saved and loaded on the way.

#![allow(clippy::unwrap_used)]

mod aggregate;

use aggregate::oracle::{close, oracle};
use aggregate::{KINDS, Kind, Row, V, all_kinds, apply, read_one, spec, value};
use tidewheel_kernel::aggregate::{Cell, CellStore, check, new_store, new_stores};
use tidewheel_kernel::spec::{AggregateKind, AggregateSpec};

const ROUNDS: u64 = 60;

fn draw_rows(rng: &mut fastrand::Rng, args: [Kind; 2]) -> Vec<Row> {
    let count = if rng.u8(..8) == 0 {
        rng.usize(..200)
    } else {
        rng.usize(..25)
    };
    (0..count)
        .map(|_| Row {
            time: rng.i64(-5..40),
            seq: rng.u64(..6),
            args: [args[0].draw(rng), args[1].draw(rng)],
        })
        .collect()
}

/// Every aggregate over every kind of argument, with a generator of its own.
fn each_case(mut run: impl FnMut(&AggregateSpec, [Kind; 2], &mut fastrand::Rng)) {
    let mut cases = 0;
    for kind in all_kinds() {
        for arg in KINDS {
            for round in 0..ROUNDS {
                let mut rng = fastrand::Rng::with_seed(round * 1000 + cases);
                let args = [arg, KINDS[rng.usize(..KINDS.len())]];
                let Some(spec) = spec(kind.clone(), args) else {
                    break;
                };
                check(&spec).unwrap();
                run(&spec, args, &mut rng);
            }
            cases += 1;
        }
    }
}

/// Moves all cells into a new store by way of their saved state.
fn reload(
    store: Box<dyn CellStore>,
    cells: usize,
    spec: &AggregateSpec,
    retracting: bool,
) -> Box<dyn CellStore> {
    let mut store = store;
    let mut fresh = new_store(spec, retracting);
    fresh.grow(cells);
    for cell in 0..cells as Cell {
        let mut saved = vec![];
        store.save(cell, &mut saved);
        let length = saved.len();
        saved.extend_from_slice(b"what follows");
        assert_eq!(fresh.load(cell, &saved).unwrap(), length);
    }
    fresh
}

fn expect(store: &mut dyn CellStore, cell: Cell, spec: &AggregateSpec, arg: Kind, rows: &[Row]) {
    let array = store.read(&[cell]);
    assert_eq!(
        *array.data_type(),
        spec.result,
        "{:?} over {arg:?}",
        spec.kind
    );
    let (got, wanted) = (value(&array, 0), oracle(&spec.kind, arg, rows));
    assert!(
        close(&spec.kind, &got, &wanted),
        "{:?} over {arg:?}: got {got:?}, wanted {wanted:?} of {:?}",
        spec.kind,
        &rows[..rows.len().min(30)]
    );
}

#[test]
fn any_order_any_merge_tree() {
    each_case(|spec, args, rng| {
        let rows = draw_rows(rng, args);
        let retracting = rng.bool();
        let mut bits: Option<V> = None;
        for _ in 0..3 {
            let cells = rng.usize(1..7);
            let mut store = new_store(spec, retracting);
            store.grow(cells);
            let mut placed: Vec<(Cell, Row)> = rows
                .iter()
                .map(|row| (rng.u32(..cells as u32), row.clone()))
                .collect();
            rng.shuffle(&mut placed);
            let mut rest = &placed[..];
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rng.usize(1..=rest.len()));
                apply(&mut *store, args, now, false, rng);
                rest = later;
                if rng.u8(..4) == 0 {
                    store = reload(store, cells, spec, retracting);
                }
            }
            let mut held: Vec<Vec<Row>> = vec![vec![]; cells];
            placed
                .into_iter()
                .for_each(|(cell, row)| held[cell as usize].push(row));
            for (cell, rows) in held.iter().enumerate() {
                expect(&mut *store, cell as Cell, spec, args[0], rows);
            }
            let mut live: Vec<usize> = (0..cells).collect();
            while live.len() > 1 {
                let from = live.swap_remove(rng.usize(..live.len()));
                let into = live[rng.usize(..live.len())];
                store.merge(into as Cell, from as Cell);
                let moved = held[from].clone();
                held[into].extend(moved);
                expect(&mut *store, from as Cell, spec, args[0], &held[from]);
                expect(&mut *store, into as Cell, spec, args[0], &held[into]);
                if rng.bool() {
                    store.clear(from as Cell);
                    held[from].clear();
                    expect(&mut *store, from as Cell, spec, args[0], &[]);
                }
                if rng.u8(..4) == 0 {
                    store = reload(store, cells, spec, retracting);
                }
            }
            let got = value(&store.read(&[live[0] as Cell]), 0);
            assert_eq!(
                *bits.get_or_insert(got.clone()),
                got,
                "{:?} hangs on the order",
                spec.kind
            );
        }
    });
}

#[test]
fn rows_taken_back_leave_no_trace() {
    each_case(|spec, args, rng| {
        let rows = draw_rows(rng, args);
        let mut store = new_store(spec, true);
        store.grow(2);
        // Each row that goes again is added and taken back, in any order of the two.
        let mut steps: Vec<(bool, Row)> = rows.iter().map(|row| (false, row.clone())).collect();
        for row in draw_rows(rng, args) {
            steps.push((false, row.clone()));
            steps.push((true, row));
        }
        rng.shuffle(&mut steps);
        let half = rng.usize(..=steps.len());
        for (at, (retract, row)) in steps.into_iter().enumerate() {
            if at == half {
                store = reload(store, 2, spec, true);
            }
            apply(&mut *store, args, &[(1, row)], retract, rng);
        }
        expect(&mut *store, 1, spec, args[0], &rows);
        store.merge(0, 1);
        expect(&mut *store, 0, spec, args[0], &rows);
        let backwards: Vec<(Cell, Row)> = rows.iter().rev().map(|row| (0, row.clone())).collect();
        apply(&mut *store, args, &backwards, true, rng);
        expect(&mut *store, 0, spec, args[0], &[]);
    });
}

#[test]
fn expired_slices_are_subtracted() {
    let mut tried = 0;
    each_case(|spec, args, rng| {
        let mut store = new_store(spec, false);
        if !store.subtractable() {
            return;
        }
        tried += 1;
        const SLICE: i64 = 10;
        let mut rows = draw_rows(rng, args);
        rng.shuffle(&mut rows);
        store.grow(6);
        let slice = |row: &Row| (1 + row.time.div_euclid(SLICE) + 1) as Cell;
        let placed: Vec<_> = rows
            .iter()
            .flat_map(|row| [(slice(row), row.clone()), (0, row.clone())])
            .collect();
        apply(&mut *store, args, &placed, false, rng);
        for gone in 1..6 {
            store.subtract(0, gone);
            rows.retain(|row| slice(row) != gone);
            expect(&mut *store, 0, spec, args[0], &rows);
        }
        assert!(rows.is_empty());
    });
    assert!(tried > 0);
}

#[test]
fn slices_side_by_side_are_merged_to_be_read() {
    each_case(|spec, args, rng| {
        let rows = draw_rows(rng, args);
        let mut store = new_store(spec, false);
        store.grow(8);
        let slice = |row: &Row| row.time.div_euclid(10) + 1;
        let placed: Vec<_> = rows
            .iter()
            .map(|row| (slice(row) as Cell, row.clone()))
            .collect();
        apply(&mut *store, args, &placed, false, rng);
        // Slices 0 to 4, by way of a node over 1 and 2, from either end.
        store.merge_span(6, 1);
        store.merge_span(6, 2);
        let mut order = [0, 6, 3, 4];
        if rng.bool() {
            order.reverse();
        }
        for from in order {
            store.merge_span(7, from);
        }
        expect(&mut *store, 7, spec, args[0], &rows);
        store.clear(7);
        store.merge_span(7, 3);
        let third: Vec<Row> = rows.iter().filter(|row| slice(row) == 3).cloned().collect();
        expect(&mut *store, 7, spec, args[0], &third);
        let store = &mut *reload(store, 8, spec, false);
        expect(store, 7, spec, args[0], &third);
    });
}

#[test]
fn aggregates_of_one_set_share_a_store() {
    use AggregateKind as A;
    for seed in 0..100 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let args = [KINDS[rng.usize(..KINDS.len())], Kind::Int];
        let mut kinds = vec![
            A::CountDistinct,
            A::Mode,
            A::Sum,
            A::Histogram,
            A::CountDistinct,
        ];
        kinds.extend([
            A::ListDistinct { cap: 2 },
            A::AvgDistinct,
            A::ListDistinct { cap: 4 },
        ]);
        rng.shuffle(&mut kinds);
        let specs: Vec<_> = kinds
            .into_iter()
            .filter_map(|kind| spec(kind, args))
            .collect();
        let retracting = rng.bool();
        let mut groups = new_stores(&specs, retracting);
        let tallies = if retracting { 1 } else { 2 };
        let sums = specs
            .iter()
            .filter(|spec| matches!(spec.kind, A::Sum))
            .count();
        assert_eq!(groups.len(), tallies + sums);
        let mut rows = draw_rows(&mut rng, args);
        let mut seen = vec![];
        for group in &mut groups {
            group.store.grow(2);
            rng.shuffle(&mut rows);
            let placed: Vec<_> = rows.iter().map(|row| (rng.u32(..2), row.clone())).collect();
            apply(&mut *group.store, args, &placed, false, &mut rng);
            group.store.merge(0, 1);
            let got = read_one(group, 0);
            assert_eq!(got.len(), group.members.len());
            for (member, got) in group.members.iter().zip(got) {
                let wanted = oracle(&specs[*member].kind, args[0], &rows);
                assert_eq!(got, wanted, "{:?}", specs[*member].kind);
                seen.push(*member);
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..specs.len()).collect::<Vec<_>>());
    }
}

#[test]
fn state_is_freed_with_its_rows() {
    each_case(|spec, args, rng| {
        let retracting = rng.bool();
        let mut store = new_store(spec, retracting);
        store.grow(3);
        let rows = draw_rows(rng, args);
        let mut sizes = vec![];
        for _ in 0..3 {
            for cell in 0..2 {
                let placed: Vec<_> = rows.iter().map(|row| (cell, row.clone())).collect();
                apply(&mut *store, args, &placed, false, rng);
            }
            store.merge(2, 0);
            (0..3).for_each(|cell| store.clear(cell));
            (0..3).for_each(|cell| expect(&mut *store, cell, spec, args[0], &[]));
            sizes.push(store.state_bytes());
        }
        assert_eq!(
            sizes[1], sizes[2],
            "{:?} over {:?} leaks",
            spec.kind, args[0]
        );
    });
}

#[test]
fn hostile_state_is_refused_or_read_but_never_panics() {
    let mut refused = 0;
    each_case(|spec, args, rng| {
        let retracting = rng.bool();
        let rows = draw_rows(rng, args);
        let mut store = new_store(spec, retracting);
        store.grow(2);
        let placed: Vec<_> = rows.iter().map(|row| (0, row.clone())).collect();
        apply(&mut *store, args, &placed, false, rng);
        let mut saved = vec![];
        store.save(0, &mut saved);
        for cut in 0..saved.len().min(60) {
            assert!(
                store.load(1, &saved[..cut]).is_err(),
                "{:?}: {cut} bytes",
                spec.kind
            );
            expect_readable(&mut *store);
        }
        for _ in 0..20 {
            let mut bent = saved.clone();
            let at = rng.usize(..bent.len());
            bent[at] = rng.u8(..);
            refused += usize::from(store.load(1, &bent).is_err());
            expect_readable(&mut *store);
            let noise: Vec<u8> = (0..rng.usize(..80)).map(|_| rng.u8(..)).collect();
            refused += usize::from(store.load(1, &noise).is_err());
            expect_readable(&mut *store);
        }
        // What was read of it does not touch its neighbour.
        expect(&mut *store, 0, spec, args[0], &rows);
    });
    assert!(refused > 1000);
}

fn expect_readable(store: &mut dyn CellStore) {
    assert_eq!(store.read(&[1]).len(), 1);
    store.merge(1, 0);
    store.clear(1);
}

#[test]
fn exact_sums_of_wild_doubles() {
    let specs =
        [AggregateKind::Sum, AggregateKind::Avg].map(|kind| spec(kind, [Kind::Float; 2]).unwrap());
    for seed in 0..400 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let wild = |rng: &mut fastrand::Rng| match rng.u8(..7) {
            0 => f64::from_bits(rng.u64(..)),
            1 => f64::from_bits(rng.u64(..1 << 53)),
            2 => f64::MAX * if rng.bool() { 1.0 } else { -1.0 },
            3 => f64::from_bits(1),
            4 => (1u64 << 53) as f64 + 1.0,
            _ => (rng.f64() - 0.5) * 2f64.powi(rng.i32(-60..60)),
        };
        let specials = rng.u8(..4) == 0;
        let mut xs: Vec<f64> = (0..rng.usize(1..40)).map(|_| wild(&mut rng)).collect();
        if !specials {
            xs.retain(|x| x.is_finite());
        }
        // Huge cancellations.
        if rng.bool() {
            let all = xs.clone();
            xs.extend(all.iter().skip(1).map(|x| -x));
        }
        let row = |x: &f64| Row {
            time: 0,
            seq: 0,
            args: [V::float(*x), V::Null],
        };
        let extra = [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            1e308,
            f64::MAX,
            1e-300,
        ];
        for spec in &specs {
            rng.shuffle(&mut xs);
            let mut store = new_store(spec, true);
            store.grow(2);
            let placed: Vec<_> = xs.iter().map(|x| (rng.u32(..2), row(x))).collect();
            let extras: Vec<_> = extra.iter().map(|x| (1, row(x))).collect();
            apply(&mut *store, [Kind::Float; 2], &extras, false, &mut rng);
            apply(&mut *store, [Kind::Float; 2], &placed, false, &mut rng);
            apply(&mut *store, [Kind::Float; 2], &extras, true, &mut rng);
            store.merge(0, 1);
            let rows: Vec<Row> = xs.iter().map(row).collect();
            expect(&mut *store, 0, spec, Kind::Float, &rows);
            // Once more: a sum moves back into two words when it is read.
            expect(&mut *store, 0, spec, Kind::Float, &rows);
            store.subtract(0, 1);
            apply(&mut *store, [Kind::Float; 2], &placed, true, &mut rng);
        }
    }
}

#[test]
fn variance_of_values_far_from_zero() {
    let kind = AggregateKind::Variance {
        sample: true,
        stddev: false,
    };
    let spec = spec(kind, [Kind::Float; 2]).unwrap();
    // Offsets that cancel exactly, so that the variance is known: prices, and times.
    for (offset, step) in [(100_000.5, 0.25), (1.7e12, 1.0), (9.0e12, 0.5)] {
        let xs = (0..1000).map(|i| offset + step * f64::from(i % 7));
        let rows: Vec<Row> = xs
            .map(|x| Row {
                time: 0,
                seq: 0,
                args: [V::float(x), V::Null],
            })
            .collect();
        let small: Vec<Row> = (0..1000)
            .map(|i| step * f64::from(i % 7))
            .map(|x| Row {
                time: 0,
                seq: 0,
                args: [V::float(x), V::Null],
            })
            .collect();
        let mut store = new_store(&spec, false);
        store.grow(1);
        let placed: Vec<_> = rows.into_iter().map(|row| (0, row)).collect();
        apply(
            &mut *store,
            [Kind::Float; 2],
            &placed,
            false,
            &mut fastrand::Rng::with_seed(1),
        );
        expect(&mut *store, 0, &spec, Kind::Float, &small);
    }
}
