//! Rates of updates of each aggregate: rows of a batch go to cells at random, other ones in each
//! batch, as events go to keys. `cargo bench -p tidewheel-kernel --bench aggregates`.
#![allow(missing_docs)]

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringViewArray};
use arrow::datatypes::{DataType, Field};
use divan::counter::ItemsCount;
use std::sync::Arc;
use tidewheel_kernel::aggregate::{Args, new_stores};
use tidewheel_kernel::spec::{AggregateKind as A, AggregateSpec};

const ROWS: usize = 4096;
const CELLS: usize = 100_000;
const BATCHES: usize = 64;

fn main() {
    divan::main();
}

#[derive(Clone, Copy)]
enum Arg {
    Int,
    Float,
    Text,
}

fn rate(bencher: divan::Bencher<'_, '_>, kinds: &[A], arg: Arg) {
    let mut rng = fastrand::Rng::with_seed(1);
    let column: ArrayRef = match arg {
        Arg::Int => Arc::new(Int64Array::from_iter_values(
            (0..ROWS).map(|_| rng.i64(0..1000)),
        )),
        Arg::Float => Arc::new(Float64Array::from_iter_values(
            (0..ROWS)
                .map(|_| rng.i32(1..100_000).into())
                .map(|x: f64| x / 100.0),
        )),
        Arg::Text => Arc::new(StringViewArray::from_iter_values(
            (0..ROWS).map(|_| format!("product-{:04}", rng.u32(0..500))),
        )),
    };
    let data_type = column.data_type().clone();
    let specs: Vec<AggregateSpec> = kinds
        .iter()
        .map(|kind| {
            let by = matches!(kind, A::MinBy | A::MaxBy);
            let result = match kind {
                A::Count | A::CountDistinct | A::CountChanges => DataType::Int64,
                A::Avg | A::Variance { .. } => DataType::Float64,
                A::ListDistinct { .. } | A::ArrayAgg { .. } => {
                    DataType::List(Arc::new(Field::new("item", data_type.clone(), true)))
                }
                A::Histogram => {
                    let fields = vec![
                        Field::new("key", data_type.clone(), false),
                        Field::new("value", DataType::Int64, true),
                    ];
                    let entries = Field::new("entries", DataType::Struct(fields.into()), false);
                    DataType::Map(Arc::new(entries), false)
                }
                _ => data_type.clone(),
            };
            AggregateSpec {
                kind: kind.clone(),
                args: if by { vec![0, 0] } else { vec![0] },
                arg_types: vec![data_type.clone(); if by { 2 } else { 1 }],
                filter: None,
                result,
            }
        })
        .collect();
    let rows: Vec<u32> = (0..ROWS as u32).collect();
    let mut draw = || {
        rows.iter()
            .map(|_| rng.u32(..CELLS as u32))
            .collect::<Vec<u32>>()
    };
    let batches: Vec<Vec<u32>> = (0..BATCHES).map(|_| draw()).collect();
    let seq: Vec<u64> = (0..ROWS as u64).collect();
    let mut groups = new_stores(&specs, false);
    groups.iter_mut().for_each(|group| group.store.grow(CELLS));
    let mut now: i64 = 0;
    bencher.counter(ItemsCount::new(ROWS)).bench_local(|| {
        now += 1;
        let time = vec![now; ROWS];
        let cells = &batches[now as usize % BATCHES];
        for group in &mut groups {
            let columns = vec![column.clone(); group.args.len()];
            group.store.update(
                cells,
                &rows,
                &Args {
                    columns: &columns,
                    time: &time,
                    seq: &seq,
                },
            );
        }
    });
}

macro_rules! rates {
    ($($name:ident: $arg:ident, [$($kind:expr),+];)+) => {$(
        #[divan::bench(sample_count = 50, sample_size = 4)]
        fn $name(bencher: divan::Bencher<'_, '_>) {
            rate(bencher, &[$($kind),+], Arg::$arg);
        }
    )+};
}

rates! {
    count: Int, [A::Count];
    sum_int: Int, [A::Sum];
    sum_double: Float, [A::Sum];
    avg_double: Float, [A::Avg];
    variance_double: Float, [A::Variance { sample: true, stddev: false }];
    min_double: Float, [A::Min];
    max_text: Text, [A::Max];
    last_double: Float, [A::Last { ignore_nulls: false }];
    last_text: Text, [A::Last { ignore_nulls: true }];
    max_by_text: Text, [A::MaxBy];
    distinct_int: Int, [A::CountDistinct];
    distinct_text: Text, [A::CountDistinct];
    mode_text: Text, [A::Mode];
    histogram_text: Text, [A::Histogram];
    distinct_mode_histogram_text: Text, [A::CountDistinct, A::Mode, A::Histogram];
    list_text: Text, [A::ListDistinct { cap: 100 }];
    changes_text: Text, [A::CountChanges];
}
