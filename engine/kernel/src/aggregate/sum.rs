//! SUM and AVG: exact for doubles, integers and decimals.
//!
//! A sum that does not fit its result type reads NULL, and is counted as a bound reached.

use super::codec::{Reader, put_i64};
use super::exact::{Exact, Wides};
use super::total::{Finish, Total};
use super::{Args, Cell, CellStore, StateError, touch};
use crate::spec::AggregateSpec;
use arrow::array::{Array, ArrayRef, AsArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, UInt64Type, i256};
use std::fmt::Debug;

/// Sums of one kind of numbers.
pub(crate) trait Adder: Debug + Default + Send {
    /// A sum.
    type Sum: Debug + Copy + Default + Send;
    /// A number.
    type Number: Copy;
    /// The numbers' Arrow type.
    fn arrow(arg: &DataType) -> DataType;
    /// The numbers of an array of that type.
    fn numbers(array: &ArrayRef) -> &[Self::Number];
    fn add(&mut self, sum: &mut Self::Sum, number: Self::Number);
    fn remove(&mut self, sum: &mut Self::Sum, number: Self::Number);
    fn merge(&mut self, into: &mut Self::Sum, from: Self::Sum, sign: i64);
    fn clear(&mut self, sum: &mut Self::Sum);
    fn total(&mut self, sum: &mut Self::Sum) -> Total;
    fn save(&self, sum: Self::Sum, out: &mut Vec<u8>);
    fn load(&mut self, reader: &mut Reader<'_>) -> Result<Self::Sum, StateError>;
    fn state_bytes(&self) -> usize {
        0
    }
}

/// Doubles.
#[derive(Debug, Default)]
pub(crate) struct Floats {
    wides: Wides,
}

impl Adder for Floats {
    type Sum = Exact;
    type Number = f64;

    fn arrow(_: &DataType) -> DataType {
        DataType::Float64
    }
    fn numbers(array: &ArrayRef) -> &[f64] {
        array.as_primitive::<Float64Type>().values()
    }
    #[inline]
    fn add(&mut self, sum: &mut Exact, number: f64) {
        sum.add(number, &mut self.wides);
    }
    #[inline]
    fn remove(&mut self, sum: &mut Exact, number: f64) {
        sum.remove(number, &mut self.wides);
    }
    fn merge(&mut self, into: &mut Exact, from: Exact, sign: i64) {
        into.merge(from, sign, &mut self.wides);
    }
    fn clear(&mut self, sum: &mut Exact) {
        sum.clear(&mut self.wides);
    }
    fn total(&mut self, sum: &mut Exact) -> Total {
        Total::Float(sum.value(&mut self.wides))
    }
    fn save(&self, sum: Exact, out: &mut Vec<u8>) {
        sum.save(&self.wides, out);
    }
    fn load(&mut self, reader: &mut Reader<'_>) -> Result<Exact, StateError> {
        Exact::load(reader, &mut self.wides)
    }
    fn state_bytes(&self) -> usize {
        self.wides.state_bytes()
    }
}

/// A number of 128 bits that does not force its alignment on the cell.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Int128 {
    low: u64,
    high: i64,
}

impl From<i128> for Int128 {
    fn from(value: i128) -> Self {
        Self {
            low: value as u64,
            high: (value >> 64) as i64,
        }
    }
}

impl From<Int128> for i128 {
    fn from(value: Int128) -> Self {
        (Self::from(value.high) << 64) | Self::from(value.low)
    }
}

macro_rules! integers {
    ($name:ident, $doc:literal, $native:ty, $arrow:ty, $data_type:expr) => {
        #[doc = $doc]
        #[derive(Debug, Default)]
        pub(crate) struct $name;

        impl Adder for $name {
            type Sum = Int128;
            type Number = $native;

            fn arrow(_: &DataType) -> DataType {
                $data_type
            }
            fn numbers(array: &ArrayRef) -> &[$native] {
                array.as_primitive::<$arrow>().values()
            }
            #[inline]
            fn add(&mut self, sum: &mut Int128, number: $native) {
                *sum = i128::from(*sum).wrapping_add(i128::from(number)).into();
            }
            #[inline]
            fn remove(&mut self, sum: &mut Int128, number: $native) {
                *sum = i128::from(*sum).wrapping_sub(i128::from(number)).into();
            }
            fn merge(&mut self, into: &mut Int128, from: Int128, sign: i64) {
                let by = i128::from(from).wrapping_mul(i128::from(sign));
                *into = i128::from(*into).wrapping_add(by).into();
            }
            fn clear(&mut self, sum: &mut Int128) {
                *sum = Int128::default();
            }
            fn total(&mut self, sum: &mut Int128) -> Total {
                Total::Int((*sum).into())
            }
            fn save(&self, sum: Int128, out: &mut Vec<u8>) {
                out.extend_from_slice(&i128::from(sum).to_le_bytes());
            }
            fn load(&mut self, reader: &mut Reader<'_>) -> Result<Int128, StateError> {
                Ok(reader.i128()?.into())
            }
        }
    };
}

integers!(Signed, "Signed integers.", i64, Int64Type, DataType::Int64);
integers!(
    Unsigned,
    "Unsigned integers.",
    u64,
    UInt64Type,
    DataType::UInt64
);

/// Decimals of 128 bits, in units of their scale.
#[derive(Debug, Default)]
pub(crate) struct Decimals;

impl Adder for Decimals {
    type Sum = i256;
    type Number = i128;

    fn arrow(arg: &DataType) -> DataType {
        arg.clone()
    }
    fn numbers(array: &ArrayRef) -> &[i128] {
        array.as_primitive::<Decimal128Type>().values()
    }
    fn add(&mut self, sum: &mut i256, number: i128) {
        *sum = sum.wrapping_add(i256::from_i128(number));
    }
    fn remove(&mut self, sum: &mut i256, number: i128) {
        *sum = sum.wrapping_sub(i256::from_i128(number));
    }
    fn merge(&mut self, into: &mut i256, from: i256, sign: i64) {
        *into = if sign > 0 {
            into.wrapping_add(from)
        } else {
            into.wrapping_sub(from)
        };
    }
    fn clear(&mut self, sum: &mut i256) {
        *sum = i256::ZERO;
    }
    fn total(&mut self, sum: &mut i256) -> Total {
        Total::Decimal(*sum)
    }
    fn save(&self, sum: i256, out: &mut Vec<u8>) {
        out.extend_from_slice(&sum.to_le_bytes());
    }
    fn load(&mut self, reader: &mut Reader<'_>) -> Result<i256, StateError> {
        Ok(i256::from_le_bytes(reader.array()?))
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct SumCell<S> {
    sum: S,
    rows: i64,
}

/// SUM or AVG over one kind of numbers: 24 bytes a cell (40 for decimals).
#[derive(Debug)]
pub(crate) struct SumStore<A: Adder> {
    cells: Vec<SumCell<A::Sum>>,
    adder: A,
    input: DataType,
    finish: Finish,
    overflows: u64,
}

impl<A: Adder> SumStore<A> {
    pub(crate) fn new(spec: &AggregateSpec) -> Self {
        let input = spec.arg_types.first().map_or(DataType::Float64, A::arrow);
        Self {
            cells: Vec::new(),
            adder: A::default(),
            input,
            finish: Finish::new(spec),
            overflows: 0,
        }
    }

    fn apply(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>, add: bool) {
        let Some(array) = args.columns.first() else {
            return;
        };
        let held;
        let array = if *array.data_type() == self.input {
            array
        } else {
            held = cast(array, &self.input)
                .unwrap_or_else(|_| new_null_array(&self.input, array.len()));
            &held
        };
        let numbers = A::numbers(array);
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        for (&cell, &row) in cells.iter().zip(rows) {
            if nulls.is_some_and(|nulls| nulls.is_null(row as usize)) {
                continue;
            }
            let cell = &mut self.cells[cell as usize];
            let number = numbers[row as usize];
            if add {
                cell.rows += 1;
                self.adder.add(&mut cell.sum, number);
            } else {
                cell.rows -= 1;
                self.adder.remove(&mut cell.sum, number);
            }
        }
    }

    fn combine(&mut self, into: Cell, from: Cell, sign: i64) {
        let from = self.cells[from as usize];
        let into = &mut self.cells[into as usize];
        into.rows += sign * from.rows;
        self.adder.merge(&mut into.sum, from.sum, sign);
    }
}

impl<A: Adder> CellStore for SumStore<A> {
    fn grow(&mut self, count: usize) {
        if count > self.cells.len() {
            self.cells.resize_with(count, Default::default);
        }
    }

    fn clear(&mut self, cell: Cell) {
        let cell = &mut self.cells[cell as usize];
        cell.rows = 0;
        self.adder.clear(&mut cell.sum);
    }

    fn update(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>) {
        self.apply(cells, rows, args, true);
    }

    fn retract(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>) {
        self.apply(cells, rows, args, false);
    }

    fn merge(&mut self, into: Cell, from: Cell) {
        self.combine(into, from, 1);
    }

    fn subtractable(&self) -> bool {
        true
    }

    fn subtract(&mut self, into: Cell, from: Cell) {
        self.combine(into, from, -1);
    }

    fn read(&mut self, cells: &[Cell]) -> ArrayRef {
        let mut totals = Vec::with_capacity(cells.len());
        for &cell in cells {
            let cell = &mut self.cells[cell as usize];
            let some = cell.rows > 0;
            totals.push(some.then(|| (self.adder.total(&mut cell.sum), cell.rows)));
        }
        let (array, overflows) = self.finish.array(totals);
        self.overflows += overflows;
        array
    }

    fn prefetch(&self, cells: &[Cell]) -> u64 {
        touch(&self.cells, cells, |cell| cell.rows as u64)
    }

    fn save(&mut self, cell: Cell, out: &mut Vec<u8>) {
        let cell = self.cells[cell as usize];
        put_i64(out, cell.rows);
        self.adder.save(cell.sum, out);
    }

    fn load(&mut self, cell: Cell, bytes: &[u8]) -> Result<usize, StateError> {
        self.clear(cell);
        let mut reader = Reader::new(bytes);
        let rows = reader.i64()?;
        let sum = self.adder.load(&mut reader)?;
        self.cells[cell as usize] = SumCell { sum, rows };
        Ok(reader.used())
    }

    fn state_bytes(&self) -> usize {
        self.cells.capacity() * size_of::<SumCell<A::Sum>>() + self.adder.state_bytes()
    }

    fn bound_reached(&self) -> u64 {
        self.overflows
    }
}
