//! The top-N operator against a naive one that sorts all rows after each step.

#![allow(clippy::unwrap_used, clippy::result_large_err, reason = "a test")]

mod save_through;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use proptest::prelude::*;
use save_through::Saves;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidewheel_core::Op;
use tidewheel_kernel::topn::{Rank, RankChanges, SortColumn, TopNOperator, TopNSpec};

/// id, partition, score, note.
type Row = (String, i64, Option<i64>, i64);

#[derive(Debug, Clone)]
enum Step {
    Upsert(Row),
    Delete(String),
    Take(usize),
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("partition", DataType::Int64, false),
        Field::new("score", DataType::Int64, true),
        Field::new("note", DataType::Int64, false),
    ]))
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(
            rows.iter().map(|r| r.0.as_str()),
        )),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.1))),
        Arc::new(Int64Array::from(
            rows.iter().map(|r| r.2).collect::<Vec<_>>(),
        )),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.3))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn read(batch: &RecordBatch) -> Vec<(Row, i64)> {
    let ids = batch.column(0).as_string::<i32>();
    let ints: Vec<&Int64Array> = (1..5)
        .map(|column| batch.column(column).as_primitive::<Int64Type>())
        .collect();
    (0..batch.num_rows())
        .map(|i| {
            let score = ints[1].is_valid(i).then(|| ints[1].value(i));
            (
                (
                    ids.value(i).to_owned(),
                    ints[0].value(i),
                    score,
                    ints[2].value(i),
                ),
                ints[3].value(i),
            )
        })
        .collect()
}

fn spec(limit: usize, descending: bool, nulls_first: bool, rank: Rank) -> TopNSpec {
    TopNSpec {
        identity: vec![0],
        partition: vec![1],
        order: vec![SortColumn {
            column: 2,
            descending,
            nulls_first,
        }],
        limit,
        rank,
        window_end: None,
    }
}

/// The first rows of each partition with their ranks, by sorting everything.
fn oracle(rows: &BTreeMap<String, Row>, spec: &TopNSpec) -> Vec<(Row, i64)> {
    let order = spec.order[0];
    let mut partitions: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
    for row in rows.values() {
        partitions.entry(row.1).or_default().push(row.clone());
    }
    let mut out = Vec::new();
    for mut rows in partitions.into_values() {
        rows.sort_by(|a, b| {
            let nulls = if order.nulls_first {
                a.2.is_some().cmp(&b.2.is_some())
            } else {
                a.2.is_none().cmp(&b.2.is_none())
            };
            let values = if order.descending {
                b.2.cmp(&a.2)
            } else {
                a.2.cmp(&b.2)
            };
            nulls.then(values).then(a.0.cmp(&b.0))
        });
        out.extend(rows.into_iter().take(spec.limit).zip(1..));
    }
    out
}

/// What a reader of the changes holds, by the key it knows rows by.
#[derive(Default)]
struct Reader {
    by_identity: BTreeMap<String, (Row, i64)>,
    by_rank: BTreeMap<(i64, i64), Row>,
}

impl Reader {
    fn apply(&mut self, changes: &RankChanges, rank: Rank) {
        for ((row, at), op) in read(&changes.rows).into_iter().zip(&changes.ops) {
            match (rank, op) {
                (Rank::Key, Op::Upsert) => {
                    let old = self.by_rank.insert((row.1, at), row.clone());
                    assert_ne!(old, Some(row), "nothing changed");
                }
                (Rank::Key, Op::Delete) => {
                    assert_eq!(self.by_rank.remove(&(row.1, at)), Some(row));
                }
                (_, Op::Upsert) => {
                    let old = self.by_identity.insert(row.0.clone(), (row.clone(), at));
                    if let Some((old, old_at)) = old {
                        assert!(old != row || (rank == Rank::Column && old_at != at), "same");
                    }
                }
                (_, Op::Delete) => {
                    let old = self.by_identity.remove(&row.0);
                    assert_eq!(old, Some((row, at)), "a delete holds the row as shown");
                }
            }
        }
    }

    fn check(&self, want: &[(Row, i64)], rank: Rank) {
        match rank {
            Rank::Key => {
                let want: BTreeMap<_, _> = want
                    .iter()
                    .map(|(row, at)| ((row.1, *at), row.clone()))
                    .collect();
                assert_eq!(self.by_rank, want);
            }
            Rank::Column => {
                let want: BTreeMap<_, _> = want
                    .iter()
                    .map(|(row, at)| (row.0.clone(), (row.clone(), *at)))
                    .collect();
                assert_eq!(self.by_identity, want);
            }
            Rank::Unused => {
                let have: Vec<&Row> = self.by_identity.values().map(|(row, _)| row).collect();
                let want: BTreeMap<_, _> = want.iter().map(|(row, _)| (&row.0, row)).collect();
                assert_eq!(have, want.into_values().collect::<Vec<_>>());
            }
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let id = "[a-h]{1,2}";
    prop_oneof![
        6 => (id, 0..3i64, prop::option::of(0..4i64), 0..2i64).prop_map(Step::Upsert),
        3 => id.prop_map(Step::Delete),
        2 => (1..4usize).prop_map(Step::Take),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn changes_add_up_to_the_first_rows(
        steps in prop::collection::vec(step(), 0..120),
        limit in 1..5usize,
        descending: bool,
        nulls_first: bool,
        rank in prop::sample::select(vec![Rank::Unused, Rank::Column, Rank::Key]),
        seed: u64,
    ) {
        let spec = spec(limit, descending, nulls_first, rank);
        let new = || TopNOperator::new(schema(), spec.clone()).unwrap();
        let mut operator = new();
        let mut saves = Saves::new(seed, true);
        let mut rows = BTreeMap::new();
        let mut reader = Reader::default();
        for step in steps {
            saves.step(&mut operator, new);
            match step {
                Step::Upsert(row) => {
                    operator.process(&batch(std::slice::from_ref(&row)), &[Op::Upsert], None).unwrap();
                    rows.insert(row.0.clone(), row);
                }
                Step::Delete(id) => {
                    // Only the identity of a deleted row means anything.
                    let row = (id.clone(), 99, None, 99);
                    operator.process(&batch(&[row]), &[Op::Delete], None).unwrap();
                    rows.remove(&id);
                }
                Step::Take(max) => {
                    // One chunk may leave partitions for later; then all of them.
                    if let Some(changes) = operator.take_changes(max).unwrap() {
                        reader.apply(&changes, rank);
                    }
                    if max == 1 {
                        continue;
                    }
                    while let Some(changes) = operator.take_changes(max).unwrap() {
                        reader.apply(&changes, rank);
                    }
                    reader.check(&oracle(&rows, &spec), rank);
                }
            }
        }
        while let Some(changes) = operator.take_changes(100).unwrap() {
            reader.apply(&changes, rank);
        }
        reader.check(&oracle(&rows, &spec), rank);
        prop_assert_eq!(operator.stats().slices, rows.len() as u64);
    }
}

#[test]
fn what_came_and_went_is_not_seen() {
    let mut operator = TopNOperator::new(schema(), spec(2, true, false, Rank::Column)).unwrap();
    let row: Row = ("a".into(), 1, Some(5), 0);
    operator
        .process(&batch(&[row.clone(), row]), &[Op::Upsert, Op::Delete], None)
        .unwrap();
    assert!(operator.take_changes(10).unwrap().is_none());
    assert_eq!((operator.stats().keys, operator.stats().slices), (0, 0));
    assert_eq!(operator.stats().unknown_retractions, 0);
}

#[test]
fn rows_behind_the_limit_cause_no_work() {
    let mut operator = TopNOperator::new(schema(), spec(1, true, false, Rank::Column)).unwrap();
    operator
        .process(&batch(&[("a".into(), 1, Some(5), 0)]), &[Op::Upsert], None)
        .unwrap();
    assert!(operator.take_changes(10).unwrap().is_some());
    operator
        .process(&batch(&[("b".into(), 1, Some(4), 0)]), &[Op::Upsert], None)
        .unwrap();
    assert!(!operator.has_changes());
}

/// Rows whose ends move on while their columns stay: at every frontier each row that is shown has
/// an end that readers know and that has not come, or that is its last.
#[test]
fn rows_that_live_longer_are_told_again_and_no_others() {
    for seed in 0..500 {
        let mut random = fastrand::Rng::with_seed(seed);
        let rank = [Rank::Unused, Rank::Column][random.usize(0..2)];
        let spec = spec(random.usize(1..4), true, false, rank);
        let new = || TopNOperator::new(schema(), spec.clone()).unwrap();
        let mut operator = new();
        let mut saves = Saves::new(seed, false);
        let mut ends: BTreeMap<String, i64> = BTreeMap::new();
        let mut told: BTreeMap<String, i64> = BTreeMap::new();
        let mut frontier = 0;
        for _ in 0..random.usize(1..60) {
            saves.step(&mut operator, new);
            if random.u32(0..20) == 0 {
                operator.refresh();
            }
            for _ in 0..random.usize(0..4) {
                let id = random.u32(0..6).to_string();
                let row = (id.clone(), random.i64(0..2), Some(random.i64(0..2)), 0);
                if random.u32(0..8) == 0 {
                    operator
                        .process(&batch(&[row]), &[Op::Delete], Some(&[0]))
                        .unwrap();
                    ends.remove(&id);
                } else {
                    let end = frontier + random.i64(1..50);
                    let end = end.max(ends.get(&id).copied().unwrap_or(end));
                    operator
                        .process(&batch(&[row]), &[Op::Upsert], Some(&[end]))
                        .unwrap();
                    ends.insert(id, end);
                }
            }
            let before = frontier;
            frontier += random.i64(0..30);
            operator.renew(frontier);
            while let Some(changes) = operator.take_changes(random.usize(1..9)).unwrap() {
                let rows = read(&changes.rows).into_iter().zip(&changes.ops);
                for (((row, _), op), end) in rows.zip(&changes.empty_at) {
                    match op {
                        Op::Upsert => told.insert(row.0, *end),
                        Op::Delete => told.remove(&row.0),
                    };
                }
            }
            for (id, told) in &told {
                let end = ends[id];
                assert!(
                    *told > frontier || *told == end,
                    "seed {seed}: {id} until {told} of {end}"
                );
            }
            if before == frontier {
                assert!(!operator.has_changes());
                operator.renew(frontier);
                assert!(
                    operator.take_changes(9).unwrap().is_none(),
                    "seed {seed}: told twice"
                );
            }
        }
    }
}

fn windowed() -> (SchemaRef, TopNSpec) {
    let time = DataType::Timestamp(TimeUnit::Microsecond, None);
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("end", time, false),
    ]));
    let spec = TopNSpec {
        identity: vec![0, 1],
        partition: vec![],
        order: vec![SortColumn {
            column: 0,
            descending: false,
            nulls_first: false,
        }],
        limit: 1,
        rank: Rank::Unused,
        window_end: Some(1),
    };
    (schema, spec)
}

#[test]
fn a_passed_window_is_dropped_without_deletes_once_its_changes_are_taken() {
    let (schema, spec) = windowed();
    let mut operator = TopNOperator::new(Arc::clone(&schema), spec).unwrap();
    let rows = |ids: Vec<i64>, ends: Vec<i64>| {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(ids)),
            Arc::new(TimestampMicrosecondArray::from(ends)),
        ];
        RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()
    };
    let (first, second) = (60_000_000, 120_000_000);
    operator
        .process(
            &rows(vec![1, 2, 3], vec![first, first, second]),
            &[Op::Upsert; 3],
            None,
        )
        .unwrap();
    assert_eq!(operator.stats().keys, 2, "the window's end parts rows");
    operator.advance(first - 1_001);
    assert_eq!(
        operator.take_changes(10).unwrap().unwrap().ops,
        [Op::Upsert, Op::Upsert]
    );
    assert_eq!(operator.stats().slices, 3);
    operator
        .process(&rows(vec![0], vec![first]), &[Op::Upsert], None)
        .unwrap();
    operator.advance(first - 1_000);
    assert_eq!(
        operator.take_changes(10).unwrap().unwrap().ops,
        [Op::Delete, Op::Upsert]
    );
    assert_eq!((operator.stats().keys, operator.stats().slices), (1, 1));
    operator
        .process(&rows(vec![9], vec![first]), &[Op::Upsert], None)
        .unwrap();
    assert_eq!(operator.stats().late_rows, 1);
    operator.advance(second);
    assert!(operator.take_changes(10).unwrap().is_none());
    assert_eq!((operator.stats().keys, operator.stats().slices), (0, 0));
}

#[test]
fn wrong_columns_are_refused() {
    let (schema, mut spec) = windowed();
    spec.window_end = Some(0);
    assert!(TopNOperator::new(Arc::clone(&schema), spec.clone()).is_err());
    spec.window_end = Some(7);
    assert!(TopNOperator::new(Arc::clone(&schema), spec.clone()).is_err());
    spec.window_end = None;
    let mut operator = TopNOperator::new(Arc::clone(&schema), spec).unwrap();
    assert!(
        operator
            .process(&RecordBatch::new_empty(schema), &[Op::Upsert], None)
            .is_err()
    );
}

#[test]
fn a_row_that_the_reader_may_have_is_deleted_where_it_is_not_shown() {
    for rank in [Rank::Unused, Rank::Column] {
        let mut operator = TopNOperator::new(schema(), spec(1, true, false, rank)).unwrap();
        let row = |id: &str, score| -> Row { (id.to_owned(), 1, Some(score), 0) };
        operator
            .process(&batch(&[row("held", 1)]), &[Op::Upsert], None)
            .unwrap();
        operator.assume_standing(true);
        let rows = [row("first", 9), row("behind", 5), row("unknown", 0)];
        let ops = [Op::Upsert, Op::Upsert, Op::Delete];
        operator.process(&batch(&rows), &ops, None).unwrap();
        operator.refresh();
        let changes = operator.take_changes(9).unwrap().unwrap();
        let mut told: Vec<(String, Op)> = read(&changes.rows)
            .into_iter()
            .zip(changes.ops)
            .map(|((row, _), op)| (row.0, op))
            .collect();
        told.sort_by(|a, b| a.0.cmp(&b.0));
        let wanted = [
            ("behind", Op::Delete),
            ("first", Op::Upsert),
            ("held", Op::Delete),
            ("unknown", Op::Delete),
        ];
        assert_eq!(told, wanted.map(|(id, op)| (id.to_owned(), op)));
        operator.assume_standing(false);
        // What is known now is not told again.
        operator
            .process(&batch(&[row("first", 9)]), &[Op::Upsert], None)
            .unwrap();
        assert!(operator.take_changes(9).unwrap().is_none());
    }
}
