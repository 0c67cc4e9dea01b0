//! What the aggregate tests share: rows, a naive oracle over them, and arrays from and to values.
// Each test binary uses a part; and a test may panic.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::redundant_clone
)]

pub mod exact;
pub mod oracle;

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, TimeUnit};
use std::sync::Arc;
use tidewheel_kernel::aggregate::{Args, Cell, CellStore, StoreGroup};
use tidewheel_kernel::spec::{AggregateKind, AggregateSpec};

/// A value of a test row, or of a result.
#[derive(Debug, Clone, PartialEq)]
pub enum V {
    Null,
    Int(i64),
    /// By its bits: results must agree bit for bit.
    Bits(u64),
    Text(String),
    Bool(bool),
    List(Vec<V>),
    Map(Vec<(V, V)>),
}

impl V {
    pub fn float(x: f64) -> Self {
        // One bit pattern for all NaN.
        Self::Bits(if x.is_nan() {
            f64::NAN.to_bits()
        } else {
            x.to_bits()
        })
    }

    pub fn as_float(&self) -> f64 {
        match self {
            Self::Bits(bits) => f64::from_bits(*bits),
            Self::Int(x) => *x as f64,
            other => panic!("{other:?} is no number"),
        }
    }

    /// The order of MIN and MAX.
    pub fn rank(&self, other: &Self) -> std::cmp::Ordering {
        match (self, other) {
            (Self::Null, Self::Null) => std::cmp::Ordering::Equal,
            (Self::Null, _) => std::cmp::Ordering::Less,
            (_, Self::Null) => std::cmp::Ordering::Greater,
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Bits(a), Self::Bits(b)) => f64::from_bits(*a).total_cmp(&f64::from_bits(*b)),
            (Self::Text(a), Self::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            other => panic!("{other:?} do not compare"),
        }
    }

    /// What COUNT(DISTINCT) takes for the same value.
    pub fn grouped(&self) -> Self {
        match self {
            Self::Bits(bits) if f64::from_bits(*bits) == 0.0 => Self::float(0.0),
            other => other.clone(),
        }
    }
}

/// A row: its order and two arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub time: i64,
    pub seq: u64,
    pub args: [V; 2],
}

/// The types of arguments that the tests draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Int,
    Float,
    Text,
    Bool,
    Time,
    Decimal,
}

pub const KINDS: [Kind; 6] = [
    Kind::Int,
    Kind::Float,
    Kind::Text,
    Kind::Bool,
    Kind::Time,
    Kind::Decimal,
];

impl Kind {
    pub fn data_type(self) -> DataType {
        match self {
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Bool => DataType::Boolean,
            Self::Time => DataType::Timestamp(TimeUnit::Millisecond, None),
            Self::Decimal => DataType::Decimal128(20, 2),
        }
    }

    pub fn draw(self, rng: &mut fastrand::Rng) -> V {
        if rng.u8(..6) == 0 {
            return V::Null;
        }
        match self {
            Self::Int | Self::Time | Self::Decimal => V::Int(match rng.u8(..8) {
                0 => rng.i64(-1_000_000_000..1_000_000_000),
                _ => rng.i64(-3..6),
            }),
            Self::Float => V::float(match rng.u8(..20) {
                0 => rng.f64() * 10f64.powi(rng.i32(-40..40)),
                1 => -0.0,
                2 => 0.0,
                3 => -rng.f64(),
                _ => f64::from(rng.i32(-2..6)) * 0.1,
            }),
            Self::Text => V::Text(match rng.u8(..6) {
                0 => String::new(),
                1 => "a longer text than fits a view".repeat(rng.usize(1..3)),
                _ => char::from(rng.u8(b'a'..b'f')).to_string(),
            }),
            Self::Bool => V::Bool(rng.bool()),
        }
    }

    /// An array of values, sometimes in another of the type's representations.
    pub fn array(self, values: &[V], other: bool) -> ArrayRef {
        let ints = || {
            values.iter().map(|v| match v {
                V::Int(x) => Some(*x),
                _ => None,
            })
        };
        let texts = || {
            values.iter().map(|v| match v {
                V::Text(x) => Some(x.as_str()),
                _ => None,
            })
        };
        match self {
            Self::Int => Arc::new(ints().collect::<Int64Array>()),
            Self::Time => Arc::new(ints().collect::<TimestampMillisecondArray>()),
            Self::Decimal => Arc::new(
                ints()
                    .map(|x| x.map(i128::from))
                    .collect::<Decimal128Array>()
                    .with_precision_and_scale(20, 2)
                    .unwrap(),
            ),
            Self::Float => {
                let floats = values.iter().map(|v| match v {
                    V::Bits(x) => Some(f64::from_bits(*x)),
                    _ => None,
                });
                Arc::new(floats.collect::<Float64Array>())
            }
            Self::Text if other => Arc::new(texts().collect::<StringViewArray>()),
            Self::Text => Arc::new(texts().collect::<StringArray>()),
            Self::Bool => {
                let bools = values.iter().map(|v| match v {
                    V::Bool(x) => Some(*x),
                    _ => None,
                });
                Arc::new(bools.collect::<BooleanArray>())
            }
        }
    }
}

/// One value of a result.
pub fn value(array: &dyn Array, at: usize) -> V {
    if array.is_null(at) {
        return V::Null;
    }
    match array.data_type() {
        DataType::Int64 => V::Int(array.as_primitive::<Int64Type>().value(at)),
        DataType::Float64 => V::float(array.as_primitive::<Float64Type>().value(at)),
        DataType::Timestamp(TimeUnit::Millisecond, None) => V::Int(
            array
                .as_primitive::<arrow::datatypes::TimestampMillisecondType>()
                .value(at),
        ),
        DataType::Decimal128(_, _) => V::Int(
            array
                .as_primitive::<arrow::datatypes::Decimal128Type>()
                .value(at)
                .try_into()
                .unwrap(),
        ),
        DataType::Utf8 => V::Text(array.as_string::<i32>().value(at).to_owned()),
        DataType::Utf8View => V::Text(array.as_string_view().value(at).to_owned()),
        DataType::Boolean => V::Bool(array.as_boolean().value(at)),
        DataType::List(_) => {
            let list = array.as_list::<i32>().value(at);
            V::List((0..list.len()).map(|i| value(&list, i)).collect())
        }
        DataType::Map(_, _) => {
            let map = array.as_map().value(at);
            let (keys, values) = (map.column(0).clone(), map.column(1).clone());
            V::Map(
                (0..map.len())
                    .map(|i| (value(&keys, i), value(&values, i)))
                    .collect(),
            )
        }
        other => panic!("no reading of {other}"),
    }
}

/// The call of an aggregate over arguments of these kinds; `None` where it makes no sense.
pub fn spec(kind: AggregateKind, args: [Kind; 2]) -> Option<AggregateSpec> {
    use AggregateKind as A;
    let arg = args[0].data_type();
    let numbers = matches!(args[0], Kind::Int | Kind::Float | Kind::Decimal);
    let result = match &kind {
        A::Count | A::CountDistinct | A::CountChanges => DataType::Int64,
        A::Sum | A::SumDistinct if numbers => match args[0] {
            Kind::Decimal => DataType::Decimal128(30, 2),
            _ => arg.clone(),
        },
        A::Avg | A::AvgDistinct if numbers => match args[0] {
            Kind::Decimal => DataType::Decimal128(24, 6),
            _ => DataType::Float64,
        },
        A::Variance { .. } if matches!(args[0], Kind::Int | Kind::Float) => DataType::Float64,
        A::BoolAnd | A::BoolOr if args[0] == Kind::Bool => DataType::Boolean,
        A::Min | A::Max | A::Mode | A::First { .. } | A::Last { .. } | A::MinBy | A::MaxBy => {
            if args[0] == Kind::Text {
                DataType::Utf8View
            } else {
                arg.clone()
            }
        }
        A::Histogram => {
            let fields = vec![
                Field::new("k", arg.clone(), false),
                Field::new("n", DataType::Int64, true),
            ];
            let entries = Field::new("pairs", DataType::Struct(fields.into()), false);
            DataType::Map(Arc::new(entries), false)
        }
        A::ListDistinct { .. } | A::ArrayAgg { .. } => {
            DataType::List(Arc::new(Field::new("element", arg.clone(), true)))
        }
        A::StringAgg { .. } if args[0] == Kind::Text => DataType::Utf8,
        _ => return None,
    };
    let count = if matches!(kind, A::MinBy | A::MaxBy) {
        2
    } else {
        1
    };
    Some(AggregateSpec {
        kind,
        args: (0..count).collect(),
        arg_types: args[..count].iter().map(|arg| arg.data_type()).collect(),
        filter: None,
        result,
    })
}

pub fn all_kinds() -> Vec<AggregateKind> {
    use AggregateKind as A;
    let mut kinds = vec![
        A::Count,
        A::Sum,
        A::Avg,
        A::Min,
        A::Max,
        A::CountDistinct,
        A::SumDistinct,
        A::AvgDistinct,
        A::Mode,
        A::Histogram,
        A::ListDistinct { cap: 3 },
        A::ListDistinct { cap: 100 },
        A::First {
            ignore_nulls: false,
        },
        A::First { ignore_nulls: true },
        A::Last {
            ignore_nulls: false,
        },
        A::Last { ignore_nulls: true },
        A::MinBy,
        A::MaxBy,
        A::CountChanges,
        A::BoolAnd,
        A::BoolOr,
        A::ArrayAgg { cap: 4 },
        A::ArrayAgg { cap: 1000 },
        A::StringAgg {
            separator: ", ".into(),
        },
    ];
    for sample in [false, true] {
        kinds.extend([false, true].map(|stddev| A::Variance { sample, stddev }));
    }
    kinds
}

/// Applies rows to cells, as one batch that also holds rows for nobody.
pub fn apply(
    store: &mut dyn CellStore,
    args: [Kind; 2],
    rows: &[(Cell, Row)],
    retract: bool,
    rng: &mut fastrand::Rng,
) {
    let mut batch: Vec<Option<Cell>> = Vec::new();
    let mut full: Vec<Row> = Vec::new();
    for (cell, row) in rows {
        if rng.u8(..5) == 0 {
            let foreign = [args[0].draw(rng), args[1].draw(rng)];
            full.push(Row {
                time: 0,
                seq: 0,
                args: foreign,
            });
            batch.push(None);
        }
        full.push(row.clone());
        batch.push(Some(*cell));
    }
    // Arrays with an offset now and then.
    let skip = rng.usize(..3);
    let columns: Vec<ArrayRef> = (0..2)
        .map(|at| {
            let mut values = vec![args[at].draw(rng); skip];
            values.extend(full.iter().map(|row| row.args[at].clone()));
            let array = args[at].array(&values, rng.bool());
            array.slice(skip, full.len())
        })
        .collect();
    let time: Vec<i64> = full.iter().map(|row| row.time).collect();
    let seq: Vec<u64> = full.iter().map(|row| row.seq).collect();
    let (mut cells, mut chosen) = (Vec::new(), Vec::new());
    for (at, cell) in batch.iter().enumerate() {
        if let Some(cell) = cell {
            cells.push(*cell);
            chosen.push(at as u32);
        }
    }
    let call = Args {
        columns: &columns,
        time: &time,
        seq: &seq,
    };
    if retract {
        store.retract(&cells, &chosen, &call);
    } else {
        store.update(&cells, &chosen, &call);
    }
}

/// The columns of a group's store that its aggregate reads.
pub fn read_one(group: &mut StoreGroup, cell: Cell) -> Vec<V> {
    let arrays = group.store.read_all(&[cell]);
    assert_eq!(arrays.len(), group.store.outputs());
    arrays.iter().map(|array| value(array, 0)).collect()
}
