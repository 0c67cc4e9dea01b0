//! The aggregates that DataFusion lacks: their names and types for planning, and a plain batch
//! implementation that keeps all values. In a stream the window kernel computes them; a batch
//! run of DataFusion's, rows sorted by event time, serves as an oracle for it.

use crate::parser::types::map_of;
use arrow::array::{Array, ArrayRef, AsArray, MapArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, TypeSignature, Volatility,
};
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The aggregates: MODE, HISTOGRAM, LIST_DISTINCT, MIN_BY, MAX_BY, COUNT_CHANGES.
#[must_use]
pub fn aggregate_functions() -> Vec<AggregateUDF> {
    use Kind::{CountChanges, Histogram, ListDistinct, MaxBy, MinBy, Mode};
    [Mode, Histogram, ListDistinct, MinBy, MaxBy, CountChanges]
        .into_iter()
        .map(|kind| {
            AggregateUDF::from(KernelAggregate {
                kind,
                signature: kind.signature(),
            })
        })
        .collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Mode,
    Histogram,
    ListDistinct,
    MinBy,
    MaxBy,
    CountChanges,
}

impl Kind {
    fn signature(self) -> Signature {
        let any = |count| Signature::any(count, Volatility::Immutable);
        match self {
            Self::Mode | Self::Histogram | Self::CountChanges => any(1),
            Self::MinBy | Self::MaxBy => any(2),
            Self::ListDistinct => Signature::one_of(
                vec![TypeSignature::Any(1), TypeSignature::Any(2)],
                Volatility::Immutable,
            ),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct KernelAggregate {
    kind: Kind,
    signature: Signature,
}

impl AggregateUDFImpl for KernelAggregate {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Mode => "mode",
            Kind::Histogram => "histogram",
            Kind::ListDistinct => "list_distinct",
            Kind::MinBy => "min_by",
            Kind::MaxBy => "max_by",
            Kind::CountChanges => "count_changes",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        let first = arg_types.first().cloned().unwrap_or(DataType::Null);
        Ok(match self.kind {
            Kind::Histogram => map_of(first, DataType::Int64),
            Kind::ListDistinct => DataType::List(Arc::new(Field::new_list_field(first, true))),
            Kind::CountChanges => DataType::Int64,
            Kind::Mode | Kind::MinBy | Kind::MaxBy => first,
        })
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Values {
            kind: self.kind,
            result: args.return_type().clone(),
            types: args
                .expr_fields
                .iter()
                .map(|field| field.data_type().clone())
                .collect(),
            columns: vec![Vec::new(); args.expr_fields.len()],
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let fields = args.input_fields.iter().enumerate().map(|(at, field)| {
            let item = Arc::new(Field::new_list_field(field.data_type().clone(), true));
            let name = format_state_name(args.name, &format!("values{at}"));
            Arc::new(Field::new(name, DataType::List(item), true))
        });
        Ok(fields.collect())
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        no_rows(self.kind, data_type)
    }
}

fn no_rows(kind: Kind, result: &DataType) -> Result<ScalarValue> {
    match kind {
        Kind::CountChanges => Ok(ScalarValue::Int64(Some(0))),
        Kind::Histogram => histogram(&[], result),
        Kind::ListDistinct => list(&[], result),
        Kind::Mode | Kind::MinBy | Kind::MaxBy => ScalarValue::try_from(result),
    }
}

/// All values of each argument, in the order of their rows.
#[derive(Debug)]
struct Values {
    kind: Kind,
    result: DataType,
    types: Vec<DataType>,
    columns: Vec<Vec<ScalarValue>>,
}

impl Accumulator for Values {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for (column, array) in self.columns.iter_mut().zip(values) {
            for row in 0..array.len() {
                column.push(ScalarValue::try_from_array(array, row)?);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let Some(first) = self.columns.first() else {
            return no_rows(self.kind, &self.result);
        };
        let values = || first.iter().filter(|value| !value.is_null());
        match self.kind {
            Kind::Mode => {
                let mut counts: HashMap<&ScalarValue, (usize, usize)> = HashMap::new();
                for (at, value) in values().enumerate() {
                    let entry = counts.entry(value).or_default();
                    *entry = (entry.0 + 1, at);
                }
                let most = counts
                    .into_iter()
                    .max_by_key(|(_, count_and_last)| *count_and_last);
                most.map_or_else(
                    || no_rows(self.kind, &self.result),
                    |(value, _)| Ok(value.clone()),
                )
            }
            Kind::Histogram => {
                let mut places: HashMap<&ScalarValue, usize> = HashMap::new();
                let mut counts: Vec<(&ScalarValue, i64)> = Vec::new();
                for value in values() {
                    let place = *places.entry(value).or_insert_with(|| {
                        counts.push((value, 0));
                        counts.len() - 1
                    });
                    counts[place].1 += 1;
                }
                histogram(&counts, &self.result)
            }
            Kind::ListDistinct => {
                let cap = self
                    .columns
                    .get(1)
                    .and_then(|cap| cap.first())
                    .and_then(|cap| match cap.cast_to(&DataType::Int64) {
                        Ok(ScalarValue::Int64(Some(cap))) => usize::try_from(cap).ok(),
                        _ => None,
                    });
                let mut seen = HashSet::new();
                let firsts = values().filter(|value| seen.insert(*value)).cloned();
                let firsts: Vec<ScalarValue> = firsts.take(cap.unwrap_or(usize::MAX)).collect();
                list(&firsts, &self.result)
            }
            Kind::MinBy => self.by(Ordering::Less),
            Kind::MaxBy => self.by(Ordering::Greater),
            Kind::CountChanges => {
                let changes = values()
                    .zip(values().skip(1))
                    .filter(|(a, b)| a != b)
                    .count();
                Ok(ScalarValue::Int64(Some(
                    i64::try_from(changes).unwrap_or(i64::MAX),
                )))
            }
        }
    }

    fn size(&self) -> usize {
        size_of::<Self>()
            + self
                .columns
                .iter()
                .map(ScalarValue::size_of_vec)
                .sum::<usize>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let lists = self
            .columns
            .iter()
            .zip(&self.types)
            .map(|(values, data_type)| {
                ScalarValue::List(ScalarValue::new_list(values, data_type, true))
            });
        Ok(lists.collect())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for (column, lists) in self.columns.iter_mut().zip(states) {
            for list in lists.as_list::<i32>().iter().flatten() {
                for row in 0..list.len() {
                    column.push(ScalarValue::try_from_array(&list, row)?);
                }
            }
        }
        Ok(())
    }
}

impl Values {
    /// The first argument where the second is smallest (the earliest row) or largest (the latest).
    fn by(&self, wanted: Ordering) -> Result<ScalarValue> {
        let mut best: Option<(&ScalarValue, &ScalarValue)> = None;
        if let [values, keys] = self.columns.as_slice() {
            for (value, key) in values.iter().zip(keys) {
                if key.is_null() {
                    continue;
                }
                let is_better = best.is_none_or(|(_, best)| match key.partial_cmp(best) {
                    Some(Ordering::Equal) => wanted == Ordering::Greater,
                    order => order == Some(wanted),
                });
                if is_better {
                    best = Some((value, key));
                }
            }
        }
        best.map_or_else(
            || no_rows(self.kind, &self.result),
            |(value, _)| Ok(value.clone()),
        )
    }
}

fn list(values: &[ScalarValue], result: &DataType) -> Result<ScalarValue> {
    let DataType::List(item) = result else {
        return Err(DataFusionError::Internal(format!(
            "a list was planned as {result}"
        )));
    };
    Ok(ScalarValue::List(ScalarValue::new_list(
        values,
        item.data_type(),
        true,
    )))
}

fn histogram(counts: &[(&ScalarValue, i64)], result: &DataType) -> Result<ScalarValue> {
    let shape = match result {
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => fields.first().map(|key| (entries, fields, key)),
            _ => None,
        },
        _ => None,
    };
    let Some((entries, fields, key)) = shape else {
        return Err(DataFusionError::Internal(format!(
            "a histogram was planned as {result}"
        )));
    };
    let keys = if counts.is_empty() {
        arrow::array::new_empty_array(key.data_type())
    } else {
        ScalarValue::iter_to_array(counts.iter().map(|(value, _)| (*value).clone()))?
    };
    let numbers: ArrayRef = Arc::new(arrow::array::Int64Array::from_iter_values(
        counts.iter().map(|(_, count)| *count),
    ));
    let rows = StructArray::try_new(fields.clone(), vec![keys, numbers], None)?;
    let offsets = OffsetBuffer::from_lengths([counts.len()]);
    let map = MapArray::try_new(Arc::clone(entries), offsets, rows, None, false)?;
    Ok(ScalarValue::Map(Arc::new(map)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringViewArray};
    use arrow::datatypes::Schema;
    use datafusion::physical_expr::PhysicalExpr;
    use datafusion::physical_expr::expressions::Column;
    use tidewheel_core::text::write_json;

    /// The aggregate's value over rows, as JSON: once in one go, once from two states.
    fn run(name: &str, columns: &[ArrayRef]) -> String {
        let function = aggregate_functions()
            .into_iter()
            .find(|f| f.name() == name)
            .unwrap();
        let fields: Vec<FieldRef> = columns
            .iter()
            .enumerate()
            .map(|(at, c)| Arc::new(Field::new(format!("c{at}"), c.data_type().clone(), true)))
            .collect();
        let types: Vec<DataType> = columns.iter().map(|c| c.data_type().clone()).collect();
        let result = function.return_type(&types).unwrap();
        let exprs: Vec<Arc<dyn PhysicalExpr>> = (0..columns.len())
            .map(|at| Arc::new(Column::new(&format!("c{at}"), at)) as _)
            .collect();
        let schema = Schema::new(fields.clone());
        let accumulator = || {
            let args = AccumulatorArgs {
                return_field: Arc::new(Field::new("r", result.clone(), true)),
                schema: &schema,
                ignore_nulls: false,
                order_bys: &[],
                is_reversed: false,
                name,
                is_distinct: false,
                exprs: &exprs,
                expr_fields: &fields,
            };
            function.accumulator(args).unwrap()
        };
        let mut whole = accumulator();
        whole.update_batch(columns).unwrap();
        let want = whole.evaluate().unwrap();
        assert_eq!(want.data_type(), result);
        let half = columns[0].len() / 2;
        let mut merged = accumulator();
        for (from, len) in [(0, half), (half, columns[0].len() - half)] {
            let part: Vec<ArrayRef> = columns.iter().map(|c| c.slice(from, len)).collect();
            let mut one = accumulator();
            one.update_batch(&part).unwrap();
            let states: Vec<ArrayRef> = one
                .state()
                .unwrap()
                .iter()
                .map(|s| s.to_array().unwrap())
                .collect();
            merged.merge_batch(&states).unwrap();
        }
        assert_eq!(merged.evaluate().unwrap(), want);
        let mut json = String::new();
        write_json(&mut json, want.to_array().unwrap().as_ref(), 0);
        json
    }

    fn texts(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringViewArray::from(values.to_vec()))
    }

    #[test]
    fn values_are_as_documented() {
        let brands = texts(&[Some("b"), None, Some("a"), Some("a"), Some("b"), Some("c")]);
        let one = std::slice::from_ref(&brands);
        assert_eq!(
            run("mode", one),
            "\"b\"",
            "of two as frequent the one seen latest"
        );
        assert_eq!(run("histogram", one), r#"{"a":2,"b":2,"c":1}"#);
        assert_eq!(run("list_distinct", one), r#"["b","a","c"]"#);
        assert_eq!(
            run("count_changes", one),
            "3",
            "b a a b c, NULL passed over"
        );
        let two: ArrayRef = Arc::new(Int64Array::from(vec![2; 6]));
        assert_eq!(run("list_distinct", &[brands, two]), r#"["b","a"]"#);
    }

    #[test]
    fn extremes_choose_by_the_second_argument() {
        let values = texts(&[Some("a"), Some("b"), Some("c"), None, Some("e")]);
        let keys: ArrayRef = Arc::new(Int64Array::from(vec![
            Some(1),
            Some(1),
            Some(3),
            Some(3),
            None,
        ]));
        let args = [values, keys];
        assert_eq!(run("min_by", &args), "\"a\"", "the earliest of equals");
        assert_eq!(run("max_by", &args), "null", "the latest of equals");
    }

    #[test]
    fn over_no_rows() {
        let none = texts(&[]);
        for (name, want) in [
            ("mode", "null"),
            ("histogram", "{}"),
            ("list_distinct", "[]"),
            ("count_changes", "0"),
        ] {
            assert_eq!(run(name, std::slice::from_ref(&none)), want);
            let function = aggregate_functions()
                .into_iter()
                .find(|f| f.name() == name)
                .unwrap();
            let result = function.return_type(&[DataType::Utf8View]).unwrap();
            let mut json = String::new();
            let default = function.default_value(&result).unwrap().to_array().unwrap();
            write_json(&mut json, default.as_ref(), 0);
            assert_eq!(json, want);
        }
    }
}
