//! Between Arrow's arrays and the values that cells hold.
//!
//! Fixed types of up to 64 bits become numbers that order as their values do. Text and binary
//! are their bytes, whichever of Arrow's layouts they come in. Everything else (decimals, lists,
//! structs, maps) goes by Arrow's row encoding, which orders and compares as the values do.

use super::StateError;
use super::codec::{Reader, put_bytes, put_u64};
use super::words::{Table, Token, Val};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, LargeBinaryArray,
    LargeStringArray, PrimitiveArray, StringArray, StringViewArray, UInt32Array, new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::row::{RowConverter, Rows, SortField};
use std::sync::Arc;

/// The machine type behind a fixed type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Physical {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
}

fn physical(data_type: &DataType) -> Option<Physical> {
    Some(match data_type {
        DataType::Boolean => Physical::Bool,
        DataType::Int8 => Physical::I8,
        DataType::Int16 => Physical::I16,
        DataType::Int32 | DataType::Date32 | DataType::Time32(_) => Physical::I32,
        DataType::Int64
        | DataType::Date64
        | DataType::Time64(_)
        | DataType::Timestamp(_, _)
        | DataType::Duration(_) => Physical::I64,
        DataType::UInt8 => Physical::U8,
        DataType::UInt16 => Physical::U16,
        DataType::UInt32 => Physical::U32,
        DataType::UInt64 => Physical::U64,
        DataType::Float32 => Physical::F32,
        DataType::Float64 => Physical::F64,
        _ => return None,
    })
}

/// How two floating-point values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Floats {
    /// IEEE 754's total order, every bit pattern a value of its own.
    Total,
    /// All NaN are one value, and both zeros are.
    Grouped,
}

#[derive(Debug)]
enum Shape {
    Word(Physical),
    Text,
    Binary,
    /// The type's row encoding; `None` where it has none (all such values read NULL).
    Row(Option<RowConverter>),
}

/// Reads one argument's arrays, and writes arrays of its type.
#[derive(Debug)]
pub(crate) struct Codec {
    arg: DataType,
    shape: Shape,
    floats: Floats,
    words: Vec<u64>,
    held: Option<ArrayRef>,
    rows: Option<Rows>,
}

const SIGN: u64 = 1 << 63;

#[inline]
fn signed(value: i64) -> u64 {
    (value as u64) ^ SIGN
}

#[inline]
fn float(value: f64, floats: Floats) -> u64 {
    let bits = match floats {
        Floats::Grouped if value.is_nan() => f64::NAN.to_bits(),
        // Adding zero turns -0.0 into 0.0, and leaves all others as they are.
        Floats::Grouped => (value + 0.0).to_bits(),
        Floats::Total => value.to_bits(),
    };
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

#[inline]
fn unfloat(word: u64) -> f64 {
    f64::from_bits(if word & SIGN == 0 { !word } else { word ^ SIGN })
}

/// Whether values of this type can be kept.
pub(crate) fn supported(data_type: &DataType) -> bool {
    physical(data_type).is_some()
        || is_text(data_type)
        || is_binary(data_type)
        || RowConverter::supports_fields(&[SortField::new(data_type.clone())])
}

pub(crate) fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView
    )
}

impl Codec {
    pub(crate) fn new(arg: &DataType, floats: Floats) -> Self {
        let arg = match arg {
            DataType::Dictionary(_, value) => value.as_ref().clone(),
            other => other.clone(),
        };
        let shape = if let Some(physical) = physical(&arg) {
            Shape::Word(physical)
        } else if is_text(&arg) {
            Shape::Text
        } else if is_binary(&arg) {
            Shape::Binary
        } else {
            // Values of the type NULL are all NULL, and need no encoding.
            let row = || RowConverter::new(vec![SortField::new(arg.clone())]).ok();
            Shape::Row(if arg == DataType::Null { None } else { row() })
        };
        Self {
            arg,
            shape,
            floats,
            words: Vec::new(),
            held: None,
            rows: None,
        }
    }

    /// An empty table for this codec's values.
    pub(crate) fn table(&self) -> Table {
        match self.shape {
            Shape::Word(_) => Table::Words,
            _ => Table::Bytes(Default::default()),
        }
    }

    /// Looks at the chosen rows of an array; the result's index is that into `rows`.
    pub(crate) fn bind<'a>(&'a mut self, array: &'a ArrayRef, rows: &'a [u32]) -> Bound<'a> {
        let known = match self.shape {
            Shape::Text => is_text(array.data_type()),
            Shape::Binary => is_binary(array.data_type()),
            _ => *array.data_type() == self.arg,
        };
        let array = if known {
            array
        } else {
            // Other representations of the same values: dictionaries, narrower numbers.
            let made =
                cast(array, &self.arg).unwrap_or_else(|_| new_null_array(&self.arg, array.len()));
            &*self.held.insert(made)
        };
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        match &mut self.shape {
            Shape::Word(physical) => {
                encode_words(array, *physical, rows, self.floats, &mut self.words);
                Bound {
                    column: Column::Words(&self.words),
                    nulls,
                    rows,
                }
            }
            Shape::Text | Shape::Binary => {
                let column = match array.data_type() {
                    DataType::Utf8 => Column::Utf8(array.as_string()),
                    DataType::LargeUtf8 => Column::LargeUtf8(array.as_string()),
                    DataType::Utf8View => Column::Utf8View(array.as_string_view()),
                    DataType::Binary => Column::Binary(array.as_binary()),
                    DataType::LargeBinary => Column::LargeBinary(array.as_binary()),
                    _ => Column::BinaryView(array.as_binary_view()),
                };
                Bound {
                    column,
                    nulls,
                    rows,
                }
            }
            Shape::Row(converter) => {
                let chosen = UInt32Array::from(rows.to_vec());
                let encoded = converter.as_ref().and_then(|converter| {
                    let taken = take(array, &chosen, None).ok()?;
                    converter.convert_columns(&[taken]).ok()
                });
                self.rows = encoded;
                Bound {
                    column: Column::Rows(self.rows.as_ref()),
                    nulls,
                    rows,
                }
            }
        }
    }

    /// An array of `result` from values of this codec's type.
    pub(crate) fn array<'a, I>(&self, values: I, result: &DataType) -> ArrayRef
    where
        I: ExactSizeIterator<Item = Option<Val<'a>>>,
    {
        let count = values.len();
        let made: ArrayRef = match &self.shape {
            Shape::Word(physical) => decode_words(
                values.map(|val| match val {
                    Some(Val::Word(word)) => Some(word),
                    _ => None,
                }),
                *physical,
                &self.arg,
            ),
            Shape::Text => {
                let values = values.map(text);
                match result {
                    DataType::Utf8View => Arc::new(values.collect::<StringViewArray>()),
                    DataType::LargeUtf8 => Arc::new(values.collect::<LargeStringArray>()),
                    _ => Arc::new(values.collect::<StringArray>()),
                }
            }
            Shape::Binary => {
                let values = values.map(|val| match val {
                    Some(Val::Bytes(bytes)) => Some(bytes),
                    _ => None,
                });
                match result {
                    DataType::BinaryView => Arc::new(values.collect::<BinaryViewArray>()),
                    DataType::LargeBinary => Arc::new(values.collect::<LargeBinaryArray>()),
                    _ => Arc::new(values.collect::<BinaryArray>()),
                }
            }
            Shape::Row(converter) => self.decode_rows(converter.as_ref(), values),
        };
        if made.data_type() == result {
            return made;
        }
        cast(&made, result).unwrap_or_else(|_| new_null_array(result, count))
    }

    fn decode_rows<'a, I>(&self, converter: Option<&RowConverter>, values: I) -> ArrayRef
    where
        I: ExactSizeIterator<Item = Option<Val<'a>>>,
    {
        let count = values.len();
        let decoded = converter.and_then(|converter| {
            // The encoding of NULL stands in for absent values.
            let null = converter
                .convert_columns(&[new_null_array(&self.arg, 1)])
                .ok()?;
            let parser = converter.parser();
            let rows: Vec<_> = values
                .map(|val| match val {
                    Some(Val::Bytes(bytes)) => parser.parse(bytes),
                    _ => null.row(0),
                })
                .collect();
            converter.convert_rows(rows).ok()?.pop()
        });
        decoded.unwrap_or_else(|| new_null_array(&self.arg, count))
    }

    /// Appends a value for a checkpoint.
    pub(crate) fn save(&self, table: &Table, token: Token, out: &mut Vec<u8>) {
        self.save_val(table.val(token), out);
    }

    /// The same for a value without a token.
    pub(crate) fn save_val(&self, val: Val<'_>, out: &mut Vec<u8>) {
        match val {
            Val::Word(word) => put_u64(out, word),
            Val::Bytes(bytes) => {
                if matches!(self.shape, Shape::Row(_)) {
                    put_u64(out, checksum(bytes));
                }
                put_bytes(out, bytes);
            }
        }
    }

    /// Reads a value that [`Codec::save`] wrote.
    pub(crate) fn load<'a>(&self, reader: &mut Reader<'a>) -> Result<Val<'a>, StateError> {
        match self.shape {
            Shape::Word(_) => Ok(Val::Word(reader.u64()?)),
            Shape::Binary => Ok(Val::Bytes(reader.bytes()?)),
            Shape::Text => {
                let bytes = reader.bytes()?;
                if std::str::from_utf8(bytes).is_err() {
                    return Err(StateError("text that is not UTF-8".into()));
                }
                Ok(Val::Bytes(bytes))
            }
            // Arrow's decoder of rows trusts its input, so nothing but what we wrote goes there.
            Shape::Row(_) => {
                let sum = reader.u64()?;
                let bytes = reader.bytes()?;
                if sum != checksum(bytes) {
                    return Err(StateError("a value's checksum differs".into()));
                }
                Ok(Val::Bytes(bytes))
            }
        }
    }

    /// The fewest bytes that [`Codec::save`] writes.
    pub(crate) fn least_saved(&self) -> usize {
        match self.shape {
            Shape::Word(_) => 8,
            Shape::Text | Shape::Binary => 4,
            Shape::Row(_) => 12,
        }
    }
}

/// FNV-1a (Fowler, Noll, Vo, 1991), 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The text of a value; `None` for what is no text.
pub(crate) fn text(val: Option<Val<'_>>) -> Option<&str> {
    match val {
        Some(Val::Bytes(bytes)) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// The chosen rows of one column of a batch.
#[derive(Debug)]
pub(crate) struct Bound<'a> {
    column: Column<'a>,
    nulls: Option<&'a NullBuffer>,
    rows: &'a [u32],
}

#[derive(Debug)]
enum Column<'a> {
    Words(&'a [u64]),
    Utf8(&'a StringArray),
    LargeUtf8(&'a LargeStringArray),
    Utf8View(&'a StringViewArray),
    Binary(&'a BinaryArray),
    LargeBinary(&'a LargeBinaryArray),
    BinaryView(&'a BinaryViewArray),
    Rows(Option<&'a Rows>),
}

impl<'a> Bound<'a> {
    /// All values as numbers, where the type is a fixed one and none of the array is NULL.
    #[inline]
    pub(crate) fn words(&self) -> Option<&'a [u64]> {
        match self.column {
            Column::Words(words) if self.nulls.is_none() => Some(words),
            _ => None,
        }
    }

    /// The value of the `i`-th chosen row; `None` for NULL.
    #[inline]
    pub(crate) fn get(&self, i: usize) -> Option<Val<'a>> {
        let row = self.rows[i] as usize;
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        Some(match self.column {
            Column::Words(words) => Val::Word(words[i]),
            Column::Utf8(array) => Val::Bytes(array.value(row).as_bytes()),
            Column::LargeUtf8(array) => Val::Bytes(array.value(row).as_bytes()),
            Column::Utf8View(array) => Val::Bytes(array.value(row).as_bytes()),
            Column::Binary(array) => Val::Bytes(array.value(row)),
            Column::LargeBinary(array) => Val::Bytes(array.value(row)),
            Column::BinaryView(array) => Val::Bytes(array.value(row)),
            Column::Rows(rows) => Val::Bytes(rows?.row(i).data()),
        })
    }
}

fn encode_words(
    array: &ArrayRef,
    physical: Physical,
    rows: &[u32],
    floats: Floats,
    out: &mut Vec<u64>,
) {
    out.clear();
    let data = array.to_data();
    macro_rules! each {
        ($native:ty, $map:expr) => {{
            let values = &data.buffers()[0].typed_data::<$native>()[data.offset()..];
            let map = $map;
            out.extend(rows.iter().map(|&row| map(values[row as usize])));
        }};
    }
    match physical {
        Physical::Bool => {
            let array: &BooleanArray = array.as_boolean();
            out.extend(rows.iter().map(|&row| u64::from(array.value(row as usize))));
        }
        Physical::I8 => each!(i8, |v| signed(i64::from(v))),
        Physical::I16 => each!(i16, |v| signed(i64::from(v))),
        Physical::I32 => each!(i32, |v| signed(i64::from(v))),
        Physical::I64 => each!(i64, signed),
        Physical::U8 => each!(u8, u64::from),
        Physical::U16 => each!(u16, u64::from),
        Physical::U32 => each!(u32, u64::from),
        Physical::U64 => each!(u64, |v| v),
        Physical::F32 => each!(f32, |v| float(f64::from(v), floats)),
        Physical::F64 => each!(f64, |v| float(v, floats)),
    }
}

fn decode_words<I>(words: I, physical: Physical, data_type: &DataType) -> ArrayRef
where
    I: ExactSizeIterator<Item = Option<u64>>,
{
    fn typed<T: ArrowPrimitiveType>(
        words: impl Iterator<Item = Option<u64>>,
        data_type: &DataType,
        map: impl Fn(u64) -> T::Native,
    ) -> ArrayRef {
        let array: PrimitiveArray<T> = words.map(|word| word.map(&map)).collect();
        if array.data_type() == data_type {
            return Arc::new(array);
        }
        // The same buffer under its logical type: a date, a time, a timestamp.
        let count = array.len();
        let data = array
            .into_data()
            .into_builder()
            .data_type(data_type.clone())
            .build();
        data.map_or_else(
            |_| new_null_array(data_type, count),
            arrow::array::make_array,
        )
    }
    let unsigned = |word: u64| (word ^ SIGN) as i64;
    match physical {
        Physical::Bool => Arc::new(
            words
                .map(|w| w.map(|w| w & 1 == 1))
                .collect::<BooleanArray>(),
        ),
        Physical::I8 => typed::<Int8Type>(words, data_type, |w| unsigned(w) as i8),
        Physical::I16 => typed::<Int16Type>(words, data_type, |w| unsigned(w) as i16),
        Physical::I32 => typed::<Int32Type>(words, data_type, |w| unsigned(w) as i32),
        Physical::I64 => typed::<Int64Type>(words, data_type, unsigned),
        Physical::U8 => typed::<UInt8Type>(words, data_type, |w| w as u8),
        Physical::U16 => typed::<UInt16Type>(words, data_type, |w| w as u16),
        Physical::U32 => typed::<UInt32Type>(words, data_type, |w| w as u32),
        Physical::U64 => typed::<UInt64Type>(words, data_type, |w| w),
        Physical::F32 => typed::<Float32Type>(words, data_type, |w| unfloat(w) as f32),
        Physical::F64 => typed::<Float64Type>(words, data_type, unfloat),
    }
}
