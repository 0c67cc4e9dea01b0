//! What a sum is when it is read, and the arrays made of such.

use crate::spec::{AggregateKind, AggregateSpec};
use arrow::array::{
    Array, ArrayRef, Decimal128Array, Float64Array, Int64Array, UInt64Array, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, i256};
use std::sync::Arc;

/// An exact sum.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Total {
    /// Of doubles: already rounded once.
    Float(f64),
    /// Of integers.
    Int(i128),
    /// Of decimals, in units of the argument's scale.
    Decimal(i256),
}

/// How a sum becomes a result.
#[derive(Debug, Clone)]
pub(crate) struct Finish {
    mean: bool,
    scale: i8,
    result: DataType,
}

impl Finish {
    pub(crate) fn new(spec: &AggregateSpec) -> Self {
        let mean = matches!(spec.kind, AggregateKind::Avg | AggregateKind::AvgDistinct);
        let scale = match spec.arg_types.first() {
            Some(DataType::Decimal128(_, scale)) => *scale,
            _ => 0,
        };
        Self {
            mean,
            scale,
            result: spec.result.clone(),
        }
    }

    /// The results for sums over so many rows each (none over no rows), and how many did not
    /// fit the result's type and so are NULL.
    pub(crate) fn array(&self, totals: Vec<Option<(Total, i64)>>) -> (ArrayRef, u64) {
        let some = totals.iter().flatten().count();
        let count = totals.len();
        let totals = totals.into_iter();
        let made: ArrayRef = match &self.result {
            DataType::Int64 => Arc::new(
                totals
                    .map(|t| i64::try_from(self.int(t?)?).ok())
                    .collect::<Int64Array>(),
            ),
            DataType::UInt64 => Arc::new(
                totals
                    .map(|t| u64::try_from(self.int(t?)?).ok())
                    .collect::<UInt64Array>(),
            ),
            DataType::Decimal128(precision, scale) => {
                let values = totals.map(|t| self.decimal(t?, *precision, *scale));
                let array: Decimal128Array = values.collect();
                match array.with_precision_and_scale(*precision, *scale) {
                    Ok(array) => Arc::new(array),
                    Err(_) => new_null_array(&self.result, count),
                }
            }
            other => {
                let array: ArrayRef = Arc::new(
                    totals
                        .map(|t| t.map(|t| self.float(t)))
                        .collect::<Float64Array>(),
                );
                if *other == DataType::Float64 {
                    array
                } else {
                    cast(&array, other).unwrap_or_else(|_| new_null_array(other, count))
                }
            }
        };
        let given = made.len() - made.null_count();
        (made, some.saturating_sub(given) as u64)
    }

    fn int(&self, (total, rows): (Total, i64)) -> Option<i128> {
        let sum = match total {
            Total::Int(sum) => sum,
            Total::Decimal(sum) => sum.to_i128()?,
            // The planner asks for integers of integers only.
            Total::Float(_) => return None,
        };
        Some(if self.mean {
            sum / i128::from(rows.max(1))
        } else {
            sum
        })
    }

    fn float(&self, (total, rows): (Total, i64)) -> f64 {
        let sum = match total {
            Total::Float(sum) => sum,
            Total::Int(sum) => sum as f64,
            Total::Decimal(sum) => {
                let text = format!("{sum}e{}", -i32::from(self.scale));
                text.parse().unwrap_or(f64::NAN)
            }
        };
        if self.mean { sum / rows as f64 } else { sum }
    }

    /// In units of the result's scale. A mean is cut off, as DataFusion does.
    fn decimal(&self, (total, rows): (Total, i64), precision: u8, scale: i8) -> Option<i128> {
        let sum = match total {
            Total::Int(sum) => i256::from_i128(sum),
            Total::Decimal(sum) => sum,
            Total::Float(_) => return None,
        };
        let ten = i256::from_i128(10);
        let shift = i32::from(scale) - i32::from(self.scale);
        let power = ten.checked_pow(shift.unsigned_abs())?;
        let mut value = if shift >= 0 {
            sum.checked_mul(power)?
        } else {
            sum.checked_div(power)?
        };
        if self.mean {
            value = value.checked_div(i256::from_i128(i128::from(rows.max(1))))?;
        }
        let most = 10_i128.checked_pow(u32::from(precision))?;
        value
            .to_i128()
            .filter(|value| value.unsigned_abs() < most.unsigned_abs())
    }
}
