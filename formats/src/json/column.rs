//! Columns under construction: one a requested type, filled a value at a time, cut back when a
//! record turns out bad.

use super::nested_column::{ListColumn, MapColumn, StructColumn};
use super::value::{Kind, Value, Wrong};
use super::{number, text, time};
use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BinaryViewArray, BooleanArray, BooleanBufferBuilder,
    LargeBinaryArray, LargeStringArray, NullBufferBuilder, PrimitiveArray, StringArray,
    StringViewArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, DecimalType, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use std::sync::Arc;

/// How values are judged.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rules {
    /// An absent key is an error.
    pub(crate) fail_on_missing: bool,
}

/// A column of any type.
#[derive(Debug)]
pub(crate) struct Column {
    data_type: DataType,
    data: Data,
    valid: NullBufferBuilder,
}

#[derive(Debug)]
enum Data {
    Boolean(BooleanBufferBuilder),
    Int8(Vec<i8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    UInt8(Vec<u8>),
    UInt16(Vec<u16>),
    UInt32(Vec<u32>),
    UInt64(Vec<u64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Decimal(Vec<i128>, u8, i8),
    Date(Vec<i32>),
    Time(Vec<i64>, TimeUnit),
    Text(Bytes),
    Binary(Bytes),
    Struct(StructColumn),
    List(Box<ListColumn>),
    Map(Box<MapColumn>),
}

/// Byte strings one behind the other. A chunk is smaller than 2 GiB, so offsets fit an `i32`.
#[derive(Debug)]
struct Bytes {
    values: Vec<u8>,
    offsets: Vec<i32>,
}

impl Bytes {
    fn new() -> Self {
        Self {
            values: Vec::new(),
            offsets: vec![0],
        }
    }

    #[inline]
    fn close(&mut self) {
        self.offsets.push(self.values.len() as i32);
    }

    fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.values
            .truncate(self.offsets.last().map_or(0, |end| *end as usize));
    }

    /// Takes the values out, leaving room for as many.
    fn take(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let mut offsets = Vec::with_capacity(self.offsets.len());
        offsets.push(0);
        let offsets = std::mem::replace(&mut self.offsets, offsets);
        let values = Vec::with_capacity(self.values.len());
        let values = std::mem::replace(&mut self.values, values);
        (
            OffsetBuffer::new(ScalarBuffer::from(offsets)),
            Buffer::from_vec(values),
        )
    }

    fn take_large(&mut self) -> (OffsetBuffer<i64>, Buffer) {
        let (offsets, values) = self.take();
        let wide: Vec<i64> = offsets.iter().map(|offset| i64::from(*offset)).collect();
        (OffsetBuffer::new(ScalarBuffer::from(wide)), values)
    }
}

impl Column {
    /// An empty column; `None` where JSON cannot be read as the type.
    pub(crate) fn new(data_type: &DataType) -> Option<Self> {
        let data = match data_type {
            DataType::Boolean => Data::Boolean(BooleanBufferBuilder::new(0)),
            DataType::Int8 => Data::Int8(Vec::new()),
            DataType::Int16 => Data::Int16(Vec::new()),
            DataType::Int32 => Data::Int32(Vec::new()),
            DataType::Int64 => Data::Int64(Vec::new()),
            DataType::UInt8 => Data::UInt8(Vec::new()),
            DataType::UInt16 => Data::UInt16(Vec::new()),
            DataType::UInt32 => Data::UInt32(Vec::new()),
            DataType::UInt64 => Data::UInt64(Vec::new()),
            DataType::Float32 => Data::Float32(Vec::new()),
            DataType::Float64 => Data::Float64(Vec::new()),
            DataType::Decimal128(precision, scale) => Data::Decimal(Vec::new(), *precision, *scale),
            DataType::Date32 => Data::Date(Vec::new()),
            DataType::Timestamp(unit, _) => Data::Time(Vec::new(), *unit),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Data::Text(Bytes::new()),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                Data::Binary(Bytes::new())
            }
            DataType::Struct(fields) => Data::Struct(StructColumn::new(fields)?),
            DataType::List(field) => Data::List(Box::new(ListColumn::new(field)?)),
            DataType::Map(entries, _) => Data::Map(Box::new(MapColumn::new(entries)?)),
            _ => return None,
        };
        Some(Self {
            data_type: data_type.clone(),
            data,
            valid: NullBufferBuilder::new(0),
        })
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.valid.len()
    }

    /// True when the last row is NULL.
    pub(crate) fn last_is_null(&self) -> bool {
        self.len()
            .checked_sub(1)
            .is_some_and(|last| !self.valid.is_valid(last))
    }

    /// Appends one row: the value, or NULL where it is absent, null or wrong.
    ///
    /// # Errors
    /// The value, or a part of it, was wrong and is NULL now.
    #[inline]
    pub(crate) fn push(&mut self, value: Value<'_>, rules: Rules) -> Result<(), Wrong> {
        if let (Kind::Text, Data::Text(bytes), false) = (value.kind, &mut self.data, value.escapes)
        {
            bytes.values.extend_from_slice(value.bytes);
            bytes.close();
            self.valid.append_non_null();
            return Ok(());
        }
        if matches!(value.kind, Kind::Absent | Kind::Null) {
            self.push_null();
            return Ok(());
        }
        self.push_present(value, rules)
    }

    fn push_present(&mut self, value: Value<'_>, rules: Rules) -> Result<(), Wrong> {
        let mut scratch = Vec::new();
        macro_rules! integer {
            ($values:expr) => {
                integer(value, &mut scratch).and_then(|number| {
                    $values.push(number.try_into().map_err(|_| Wrong::Type)?);
                    Ok(true)
                })
            };
        }
        // True: valid; false: a NULL that is no error. Nothing is appended in those that fail.
        let pushed = match &mut self.data {
            Data::Boolean(values) => boolean(value, &mut scratch).map(|value| {
                values.append(value);
                true
            }),
            Data::Int8(values) => integer!(values),
            Data::Int16(values) => integer!(values),
            Data::Int32(values) => integer!(values),
            Data::Int64(values) => integer!(values),
            Data::UInt8(values) => integer!(values),
            Data::UInt16(values) => integer!(values),
            Data::UInt32(values) => integer!(values),
            Data::UInt64(values) => integer!(values),
            Data::Float32(values) => float(value, &mut scratch, number::single, |x| x.is_finite())
                .map(|number| {
                    values.push(number.unwrap_or_default());
                    number.is_some()
                }),
            Data::Float64(values) => float(value, &mut scratch, number::double, |x| x.is_finite())
                .map(|number| {
                    values.push(number.unwrap_or_default());
                    number.is_some()
                }),
            Data::Decimal(values, precision, scale) => {
                decimal(value, &mut scratch, *precision, *scale).map(|number| {
                    values.push(number);
                    true
                })
            }
            Data::Date(values) => date(value, &mut scratch).map(|days| {
                values.push(days);
                true
            }),
            Data::Time(values, unit) => instant(value, &mut scratch, *unit).map(|time| {
                values.push(time);
                true
            }),
            Data::Text(bytes) => {
                let start = bytes.values.len();
                if value.kind == Kind::Text {
                    match text::unescape(value.bytes, &mut bytes.values) {
                        Ok(()) => {
                            bytes.close();
                            Ok(true)
                        }
                        Err(fault) => {
                            bytes.values.truncate(start);
                            Err(fault.into())
                        }
                    }
                } else {
                    bytes.values.extend_from_slice(value.bytes);
                    bytes.close();
                    Ok(true)
                }
            }
            Data::Binary(bytes) => {
                let start = bytes.values.len();
                value
                    .plain(&mut scratch)
                    .map_err(Wrong::from)
                    .and_then(|plain| {
                        if value.kind == Kind::Text && text::base64(plain, &mut bytes.values) {
                            bytes.close();
                            return Ok(true);
                        }
                        bytes.values.truncate(start);
                        Err(Wrong::Type)
                    })
            }
            // These append their row whatever happens, and say whether it is NULL.
            Data::Struct(column) => {
                let (valid, result) = column.push(value, rules);
                self.valid.append(valid);
                return result;
            }
            Data::List(column) => {
                let (valid, result) = column.push(value, rules);
                self.valid.append(valid);
                return result;
            }
            Data::Map(column) => {
                let (valid, result) = column.push(value, rules);
                self.valid.append(valid);
                return result;
            }
        };
        match pushed {
            Ok(valid) => {
                self.valid.append(valid);
                Ok(())
            }
            Err(wrong) => {
                self.push_null();
                Err(wrong)
            }
        }
    }

    /// Appends one row to a column of arrays: the items, in their order.
    ///
    /// # Errors
    /// An item, or a part of it, was wrong and is NULL now; or the column is none of arrays.
    pub(crate) fn push_items<'a>(
        &mut self,
        items: impl Iterator<Item = Value<'a>>,
        rules: Rules,
    ) -> Result<(), Wrong> {
        let Data::List(column) = &mut self.data else {
            self.push_null();
            return Err(Wrong::Type);
        };
        let (valid, result) = column.push_items(items, rules);
        self.valid.append(valid);
        result
    }

    /// Appends a NULL.
    pub(crate) fn push_null(&mut self) {
        self.valid.append_null();
        match &mut self.data {
            Data::Boolean(values) => values.append(false),
            Data::Int8(values) => values.push(0),
            Data::Int16(values) => values.push(0),
            Data::Int32(values) | Data::Date(values) => values.push(0),
            Data::Int64(values) | Data::Time(values, _) => values.push(0),
            Data::UInt8(values) => values.push(0),
            Data::UInt16(values) => values.push(0),
            Data::UInt32(values) => values.push(0),
            Data::UInt64(values) => values.push(0),
            Data::Float32(values) => values.push(0.0),
            Data::Float64(values) => values.push(0.0),
            Data::Decimal(values, _, _) => values.push(0),
            Data::Text(bytes) | Data::Binary(bytes) => bytes.close(),
            Data::Struct(column) => column.push_null(),
            Data::List(column) => column.push_empty(),
            Data::Map(column) => column.push_empty(),
        }
    }

    /// Cuts back to the first `rows` rows.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.valid.truncate(rows);
        match &mut self.data {
            Data::Boolean(values) => values.truncate(rows),
            Data::Int8(values) => values.truncate(rows),
            Data::Int16(values) => values.truncate(rows),
            Data::Int32(values) | Data::Date(values) => values.truncate(rows),
            Data::Int64(values) | Data::Time(values, _) => values.truncate(rows),
            Data::UInt8(values) => values.truncate(rows),
            Data::UInt16(values) => values.truncate(rows),
            Data::UInt32(values) => values.truncate(rows),
            Data::UInt64(values) => values.truncate(rows),
            Data::Float32(values) => values.truncate(rows),
            Data::Float64(values) => values.truncate(rows),
            Data::Decimal(values, _, _) => values.truncate(rows),
            Data::Text(bytes) | Data::Binary(bytes) => bytes.truncate(rows),
            Data::Struct(column) => column.truncate(rows),
            Data::List(column) => column.truncate(rows),
            Data::Map(column) => column.truncate(rows),
        }
    }

    /// Takes the rows out as an array.
    ///
    /// # Errors
    /// Arrow refuses the data; nothing that JSON can hold leads there.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.valid.finish();
        let data_type = self.data_type.clone();
        Ok(match &mut self.data {
            Data::Boolean(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Data::Int8(values) => primitive::<Int8Type>(values, nulls, data_type)?,
            Data::Int16(values) => primitive::<Int16Type>(values, nulls, data_type)?,
            Data::Int32(values) => primitive::<Int32Type>(values, nulls, data_type)?,
            Data::Int64(values) => primitive::<Int64Type>(values, nulls, data_type)?,
            Data::UInt8(values) => primitive::<UInt8Type>(values, nulls, data_type)?,
            Data::UInt16(values) => primitive::<UInt16Type>(values, nulls, data_type)?,
            Data::UInt32(values) => primitive::<UInt32Type>(values, nulls, data_type)?,
            Data::UInt64(values) => primitive::<UInt64Type>(values, nulls, data_type)?,
            Data::Float32(values) => primitive::<Float32Type>(values, nulls, data_type)?,
            Data::Float64(values) => primitive::<Float64Type>(values, nulls, data_type)?,
            Data::Decimal(values, _, _) => primitive::<Decimal128Type>(values, nulls, data_type)?,
            Data::Date(values) => primitive::<Date32Type>(values, nulls, data_type)?,
            Data::Time(values, TimeUnit::Second) => {
                primitive::<TimestampSecondType>(values, nulls, data_type)?
            }
            Data::Time(values, TimeUnit::Millisecond) => {
                primitive::<TimestampMillisecondType>(values, nulls, data_type)?
            }
            Data::Time(values, TimeUnit::Microsecond) => {
                primitive::<TimestampMicrosecondType>(values, nulls, data_type)?
            }
            Data::Time(values, TimeUnit::Nanosecond) => {
                primitive::<TimestampNanosecondType>(values, nulls, data_type)?
            }
            // The whole buffer is checked for UTF-8 at once, which costs less than each value.
            Data::Text(bytes) if data_type == DataType::LargeUtf8 => {
                let (offsets, values) = bytes.take_large();
                Arc::new(LargeStringArray::try_new(offsets, values, nulls)?)
            }
            Data::Text(bytes) => {
                let (offsets, values) = bytes.take();
                let array = StringArray::try_new(offsets, values, nulls)?;
                if data_type == DataType::Utf8 {
                    Arc::new(array)
                } else {
                    Arc::new(StringViewArray::from(&array))
                }
            }
            Data::Binary(bytes) if data_type == DataType::LargeBinary => {
                let (offsets, values) = bytes.take_large();
                Arc::new(LargeBinaryArray::try_new(offsets, values, nulls)?)
            }
            Data::Binary(bytes) => {
                let (offsets, values) = bytes.take();
                let array = BinaryArray::try_new(offsets, values, nulls)?;
                if data_type == DataType::Binary {
                    Arc::new(array)
                } else {
                    Arc::new(BinaryViewArray::from(&array))
                }
            }
            Data::Struct(column) => column.finish(nulls)?,
            Data::List(column) => column.finish(nulls)?,
            Data::Map(column) => column.finish(&data_type, nulls)?,
        })
    }
}

fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
    data_type: DataType,
) -> Result<ArrayRef, ArrowError> {
    let room = Vec::with_capacity(values.len());
    let values = ScalarBuffer::from(std::mem::replace(values, room));
    let array = PrimitiveArray::<T>::try_new(values, nulls)?;
    Ok(Arc::new(array.with_data_type(data_type)))
}

/// `true`, `false`, the same in quotes in any case, 1 and 0.
fn boolean(value: Value<'_>, scratch: &mut Vec<u8>) -> Result<bool, Wrong> {
    match value.kind {
        Kind::True => return Ok(true),
        Kind::False => return Ok(false),
        Kind::Text | Kind::Number => {}
        _ => return Err(Wrong::Type),
    }
    let text = value.plain(scratch)?.trim_ascii();
    if text.eq_ignore_ascii_case(b"true") || text == b"1" {
        Ok(true)
    } else if text.eq_ignore_ascii_case(b"false") || text == b"0" {
        Ok(false)
    } else {
        Err(Wrong::Type)
    }
}

/// The text of a number, or of a string that may hold one.
#[inline]
fn digits<'s>(value: Value<'s>, scratch: &'s mut Vec<u8>) -> Result<&'s [u8], Wrong> {
    match value.kind {
        Kind::Number => Ok(value.bytes),
        Kind::Text => Ok(value.plain(scratch)?.trim_ascii()),
        _ => Err(Wrong::Type),
    }
}

fn integer(value: Value<'_>, scratch: &mut Vec<u8>) -> Result<i128, Wrong> {
    number::whole(digits(value, scratch)?).ok_or(Wrong::Type)
}

/// A number; `None` for one that is not finite, which only a string can name.
fn float<T: Copy>(
    value: Value<'_>,
    scratch: &mut Vec<u8>,
    parse: impl Fn(&[u8]) -> Option<T>,
    is_finite: impl Fn(T) -> bool,
) -> Result<Option<T>, Wrong> {
    let number = parse(digits(value, scratch)?).ok_or(Wrong::Type)?;
    if is_finite(number) {
        Ok(Some(number))
    } else if value.kind == Kind::Text {
        Ok(None)
    } else {
        Err(Wrong::Type)
    }
}

fn decimal(
    value: Value<'_>,
    scratch: &mut Vec<u8>,
    precision: u8,
    scale: i8,
) -> Result<i128, Wrong> {
    let (number, _) = number::scaled(digits(value, scratch)?, scale).ok_or(Wrong::Type)?;
    if Decimal128Type::is_valid_decimal_precision(number, precision) {
        Ok(number)
    } else {
        Err(Wrong::Type)
    }
}

/// A date, or the UTC day of a time.
fn date(value: Value<'_>, scratch: &mut Vec<u8>) -> Result<i32, Wrong> {
    if value.kind != Kind::Text {
        return Err(Wrong::Type);
    }
    let text = value.plain(scratch)?.trim_ascii();
    if let Some(days) = time::days(text) {
        return Ok(days);
    }
    let (seconds, _) = time::timestamp(text).ok_or(Wrong::Type)?;
    i32::try_from(seconds.div_euclid(86_400)).map_err(|_| Wrong::Type)
}

/// A time in units since the epoch: from text, or from a number of milliseconds.
#[inline]
fn instant(value: Value<'_>, scratch: &mut Vec<u8>, unit: TimeUnit) -> Result<i64, Wrong> {
    let (seconds, nanos) = match value.kind {
        Kind::Text => time::timestamp(value.plain(scratch)?.trim_ascii()).ok_or(Wrong::Type)?,
        Kind::Number => {
            let ms = number::whole(value.bytes).ok_or(Wrong::Type)?;
            let ms = i64::try_from(ms).map_err(|_| Wrong::Type)?;
            (
                ms.div_euclid(1_000),
                ms.rem_euclid(1_000) as u32 * 1_000_000,
            )
        }
        _ => return Err(Wrong::Type),
    };
    let (per_second, fraction) = match unit {
        TimeUnit::Second => (1, 0),
        TimeUnit::Millisecond => (1_000, nanos / 1_000_000),
        TimeUnit::Microsecond => (1_000_000, nanos / 1_000),
        TimeUnit::Nanosecond => (1_000_000_000, nanos),
    };
    let time = i128::from(seconds) * per_second + i128::from(fraction);
    i64::try_from(time).map_err(|_| Wrong::Type)
}
