//! OVER against a naive oracle that computes every row's values over all rows, sorted.

#![allow(clippy::unwrap_used, clippy::result_large_err, reason = "a test")]

mod save_through;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use proptest::prelude::*;
use save_through::Saves;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidewheel_kernel::input::Input;
use tidewheel_kernel::keys::KeyEncoder;
use tidewheel_kernel::over::{Frame, OverBatch, OverCall, OverFunction, OverOperator};
use tidewheel_kernel::spec::{AggregateKind, AggregateSpec};

#[derive(Debug, Clone)]
struct Row {
    id: i64,
    key: String,
    time: i64,
    seq: u64,
    x: Option<i64>,
    flag: Option<bool>,
}

type Values = Vec<Option<i64>>;

fn aggregate(kind: AggregateKind, filter: bool, frame: Frame) -> OverCall {
    let spec = AggregateSpec {
        kind,
        args: vec![0],
        arg_types: vec![DataType::Int64],
        filter: filter.then_some(1),
        result: DataType::Int64,
    };
    OverCall {
        function: OverFunction::Aggregate(spec),
        frame,
    }
}

fn lag(offset: usize, ignore_nulls: bool) -> OverCall {
    let function = OverFunction::Lag {
        column: 0,
        offset,
        ignore_nulls,
    };
    OverCall {
        function,
        frame: Frame::Unbounded { peers: false },
    }
}

fn row_number() -> OverCall {
    OverCall {
        function: OverFunction::RowNumber,
        frame: Frame::Unbounded { peers: false },
    }
}

fn operator(calls: &[OverCall]) -> OverOperator {
    let types = vec![DataType::Int64, DataType::Boolean, DataType::Int64];
    let mut fields: Vec<Field> = types
        .iter()
        .enumerate()
        .map(|(at, data_type)| Field::new(format!("c{at}"), data_type.clone(), true))
        .collect();
    for at in 0..calls.len() {
        fields.push(Field::new(format!("call{at}"), DataType::Int64, true));
    }
    OverOperator::new(types, Arc::new(Schema::new(fields)), calls).unwrap()
}

/// What a reader of the changelog holds, by the row's id.
type Reader = BTreeMap<i64, (i64, u64, Values)>;

/// Feeds rows with their watermarks, in two halves as for two shards of which this is both.
/// Gives the late rows.
fn feed(operator: &mut OverOperator, rows: &[(Row, i64)], reader: &mut Reader) -> Vec<i64> {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(
            rows.iter().map(|(row, _)| row.x).collect::<Vec<_>>(),
        )),
        Arc::new(BooleanArray::from(
            rows.iter().map(|(row, _)| row.flag).collect::<Vec<_>>(),
        )),
        Arc::new(Int64Array::from(
            rows.iter().map(|(row, _)| row.id).collect::<Vec<_>>(),
        )),
    ];
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values(
        rows.iter().map(|(row, _)| row.key.as_str()),
    ));
    let keys = KeyEncoder::new(&[DataType::Utf8])
        .unwrap()
        .encode(&[keys], rows.len())
        .unwrap();
    let time: Vec<i64> = rows.iter().map(|(row, _)| row.time).collect();
    let seq: Vec<u64> = rows.iter().map(|(row, _)| row.seq).collect();
    let watermark: Vec<i64> = rows.iter().map(|(_, watermark)| *watermark).collect();
    let all: Vec<u32> = (0..rows.len() as u32).collect();
    let input = Input {
        keys: &keys,
        rows: &all,
        time: &time,
        seq: &seq,
        watermark: &watermark,
        columns: &columns,
        retract: None,
    };
    let out = operator.process(&input).unwrap();
    read(&out, reader);
    out.late
        .iter()
        .map(|&row| rows[row as usize].0.id)
        .collect()
}

/// What a reader makes of a batch.
fn read(out: &OverBatch, reader: &mut Reader) {
    let ids = out.rows.column(2).as_primitive::<Int64Type>();
    for at in 0..out.rows.num_rows() {
        let mut values = Vec::new();
        for column in &out.rows.columns()[3..] {
            let column = column.as_primitive::<Int64Type>();
            values.push(column.is_valid(at).then(|| column.value(at)));
        }
        let row = (out.time[at], out.seq[at], values);
        if out.retract[at] {
            assert_eq!(
                reader.remove(&ids.value(at)),
                Some(row),
                "taken back as emitted"
            );
        } else {
            assert_eq!(reader.insert(ids.value(at), row), None, "emitted twice");
        }
    }
}

/// Each row with the watermark before it: the highest time so far, less a delay.
fn with_watermarks(rows: Vec<Row>, delay: i64) -> Vec<(Row, i64)> {
    let mut highest = i64::MIN / 2;
    let with = |row: Row| {
        let watermark = highest - delay;
        highest = highest.max(row.time);
        (row, watermark)
    };
    rows.into_iter().map(with).collect()
}

fn frame_of<'a>(rows: &[&'a Row], at: usize, frame: Frame) -> Vec<&'a Row> {
    let current = rows[at];
    match frame {
        Frame::Unbounded { peers: false } => rows[..=at].to_vec(),
        Frame::Unbounded { peers: true } => rows
            .iter()
            .copied()
            .filter(|row| row.time <= current.time)
            .collect(),
        Frame::Rows { preceding } => rows[at.saturating_sub(preceding as usize)..=at].to_vec(),
        Frame::Range { preceding } => rows
            .iter()
            .copied()
            .filter(|row| row.time <= current.time && row.time >= current.time - preceding)
            .collect(),
    }
}

fn value(call: &OverCall, rows: &[&Row], at: usize) -> Option<i64> {
    match &call.function {
        OverFunction::RowNumber => Some(at as i64 + 1),
        OverFunction::Lag { offset: 0, .. } => rows[at].x,
        OverFunction::Lag {
            offset,
            ignore_nulls,
            ..
        } => {
            let mut before = rows[..at]
                .iter()
                .rev()
                .filter(|row| !ignore_nulls || row.x.is_some());
            before.nth(offset - 1).and_then(|row| row.x)
        }
        OverFunction::Aggregate(spec) => {
            let mut frame = frame_of(rows, at, call.frame);
            if spec.filter.is_some() {
                frame.retain(|row| row.flag == Some(true));
            }
            let values: Vec<i64> = frame.iter().filter_map(|row| row.x).collect();
            match &spec.kind {
                AggregateKind::Count => Some(values.len() as i64),
                AggregateKind::Sum => (!values.is_empty()).then(|| values.iter().sum()),
                AggregateKind::Max => values.iter().max().copied(),
                AggregateKind::Last { ignore_nulls: true } => values.last().copied(),
                AggregateKind::First {
                    ignore_nulls: false,
                } => frame.first().and_then(|row| row.x),
                other => panic!("no oracle for {other:?}"),
            }
        }
    }
}

fn oracle(rows: &[Row], calls: &[OverCall]) -> Reader {
    let mut by_key: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        by_key.entry(&row.key).or_default().push(row);
    }
    let mut out = Reader::new();
    for rows in by_key.values_mut() {
        rows.sort_by_key(|row| (row.time, row.seq));
        for (at, row) in rows.iter().enumerate() {
            let values = calls.iter().map(|call| value(call, rows, at)).collect();
            out.insert(row.id, (row.time, row.seq, values));
        }
    }
    out
}

fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        any::<bool>().prop_map(|peers| Frame::Unbounded { peers }),
        (0..4_u64).prop_map(|preceding| Frame::Rows { preceding }),
        (0..12_i64).prop_map(|preceding| Frame::Range { preceding }),
    ]
}

fn call() -> impl Strategy<Value = OverCall> {
    let kind = prop::sample::select(vec![
        AggregateKind::Count,
        AggregateKind::Sum,
        AggregateKind::Max,
        AggregateKind::Last { ignore_nulls: true },
        AggregateKind::First {
            ignore_nulls: false,
        },
    ]);
    prop_oneof![
        1 => Just(row_number()),
        3 => (0..4_usize, any::<bool>()).prop_map(|(offset, nulls)| lag(offset, nulls)),
        6 => (kind, any::<bool>(), frame()).prop_map(|(k, filter, f)| aggregate(k, filter, f)),
    ]
}

/// Rows in the order of their arrival; time goes on with some disorder, and ties occur.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (
        "[a-c]",
        -15..15_i64,
        prop::option::weighted(0.7, 0..9_i64),
        any::<Option<bool>>(),
    );
    prop::collection::vec(row, 0..70).prop_map(|rows| {
        let row = |(at, (key, jitter, x, flag)): (usize, (String, i64, Option<i64>, _))| Row {
            id: at as i64,
            key,
            time: at as i64 + jitter,
            seq: (at as u64 * 31) % 71,
            x,
            flag,
        };
        rows.into_iter().enumerate().map(row).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_changelog_adds_up_to_the_values_over_all_rows(
        rows in rows(),
        calls in prop::collection::vec(call(), 1..6),
        sizes in prop::collection::vec(1..12_usize, 1..9),
        slack in 0..20_i64,
        seed: u64,
    ) {
        // The highest watermarks by which no row is late, less some slack.
        let mut lowest = i64::MAX / 2;
        let mut watermarks: Vec<i64> = rows.iter().rev().map(|row| {
            lowest = lowest.min(row.time);
            lowest - 1 - slack
        }).collect();
        watermarks.reverse();
        let input: Vec<(Row, i64)> = rows.iter().cloned().zip(watermarks).collect();
        let new = || operator(&calls);
        let mut operator = new();
        let mut saves = Saves::new(seed, true);
        let mut reader = Reader::new();
        let (mut done, mut sizes) = (0, sizes.into_iter().cycle());
        while done < rows.len() {
            saves.step(&mut operator, new);
            let upto = (done + sizes.next().unwrap()).min(rows.len());
            let late = feed(&mut operator, &input[done..upto], &mut reader);
            prop_assert_eq!(late, Vec::<i64>::new());
            prop_assert_eq!(&reader, &oracle(&rows[..upto], &calls));
            done = upto;
        }
    }

    #[test]
    fn late_rows_are_reported_and_change_nothing(
        rows in rows(),
        calls in prop::collection::vec(call(), 1..4),
        size in 1..20_usize,
        delay in 0..12_i64,
        seed: u64,
    ) {
        let input = with_watermarks(rows, delay);
        let (mut on_time, mut late) = (Vec::new(), Vec::new());
        for (row, watermark) in &input {
            if *watermark >= row.time { late.push(row.id) } else { on_time.push(row.clone()) }
        }
        let new = || operator(&calls);
        let mut operator = new();
        let mut saves = Saves::new(seed, true);
        let mut reader = Reader::new();
        let mut found = Vec::new();
        for batch in input.chunks(size) {
            saves.step(&mut operator, new);
            found.extend(feed(&mut operator, batch, &mut reader));
        }
        prop_assert_eq!(found, late);
        prop_assert_eq!(reader, oracle(&on_time, &calls));
    }

    #[test]
    fn rows_that_are_emitted_once_are_those_that_the_watermark_has_passed(
        rows in rows(),
        calls in prop::collection::vec(call(), 1..4),
        size in 1..20_usize,
        delay in 0..12_i64,
        seed: u64,
    ) {
        let input = with_watermarks(rows, delay);
        let new = || operator(&calls).once();
        let mut operator = new();
        let mut saves = Saves::new(seed, true);
        let mut reader = Reader::new();
        let mut on_time = Vec::new();
        for batch in input.chunks(size) {
            saves.step(&mut operator, new);
            feed(&mut operator, batch, &mut reader);
            on_time.extend(batch.iter().filter(|(row, w)| *w < row.time).map(|(row, _)| row.clone()));
            let passed = batch.last().map_or(i64::MIN, |(_, watermark)| *watermark);
            let mut expected = oracle(&on_time, &calls);
            expected.retain(|_, (time, ..)| *time <= passed);
            prop_assert_eq!(&reader, &expected);
        }
        operator.advance(i64::MAX).unwrap();
        if let Some(out) = operator.take_final().unwrap() {
            prop_assert!(out.time.is_sorted());
            read(&out, &mut reader);
        }
        prop_assert_eq!(reader, oracle(&on_time, &calls));
    }
}

/// Rows of one key in order, each with a watermark ten before it.
fn in_order(count: i64) -> Vec<(Row, i64)> {
    (0..count)
        .map(|at| {
            let x = (at % 3 > 0).then_some(at % 7);
            let row = Row {
                id: at,
                key: "a".into(),
                time: at,
                seq: 0,
                x,
                flag: Some(true),
            };
            (row, at - 10)
        })
        .collect()
}

#[test]
fn only_what_frames_need_is_kept() {
    let max = |frame| aggregate(AggregateKind::Max, false, frame);
    for (calls, most) in [
        (
            vec![
                lag(3, true),
                row_number(),
                max(Frame::Unbounded { peers: true }),
            ],
            10,
        ),
        (vec![max(Frame::Rows { preceding: 5 })], 15),
        (vec![max(Frame::Range { preceding: 20 })], 30),
    ] {
        let mut operator = operator(&calls);
        let (mut reader, mut bytes) = (Reader::new(), Vec::new());
        for batch in in_order(5_000).chunks(10) {
            feed(&mut operator, batch, &mut reader);
            // A batch's own rows come on top, since its last watermark is ten before its end.
            let rows = operator.stats().slices;
            assert!(rows <= most + 1, "{rows} rows for {calls:?}");
            bytes.push(operator.stats().state_bytes);
        }
        assert!(
            bytes[499] <= bytes[20] * 2,
            "{} grew to {}",
            bytes[20],
            bytes[499]
        );
        operator.advance(5_000).unwrap();
        assert!(operator.stats().slices <= most - 10 + 16);
    }
}

#[test]
fn a_key_goes_when_its_frames_have_passed() {
    let calls = [aggregate(
        AggregateKind::Sum,
        false,
        Frame::Range { preceding: 20 },
    )];
    let mut operator = operator(&calls);
    let mut reader = Reader::new();
    feed(&mut operator, &in_order(100), &mut reader);
    operator.advance(118).unwrap();
    assert_eq!((operator.stats().keys, operator.stats().slices), (1, 1));
    operator.advance(119).unwrap();
    assert_eq!((operator.stats().keys, operator.stats().slices), (0, 0));
}

#[test]
fn what_cannot_be_computed_is_refused() {
    let schema = |columns: usize| {
        let fields: Vec<Field> = (0..columns)
            .map(|at| Field::new(format!("c{at}"), DataType::Int64, true))
            .collect();
        Arc::new(Schema::new(fields))
    };
    let int = || vec![DataType::Int64];
    let beyond = OverFunction::Lag {
        column: 4,
        offset: 1,
        ignore_nulls: false,
    };
    let beyond = OverCall {
        function: beyond,
        frame: Frame::Unbounded { peers: false },
    };
    assert!(OverOperator::new(int(), schema(2), &[beyond]).is_err());
    assert!(OverOperator::new(int(), schema(3), &[row_number()]).is_err());
    assert!(OverOperator::new(int(), schema(2), &[row_number()]).is_ok());
}
