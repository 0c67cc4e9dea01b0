//! Signatures of the aggregates that DataFusion lacks and the kernel has.

use arrow::datatypes::{DataType, Field};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ScalarUDF, Signature, Volatility,
};
use std::sync::Arc;

/// Scalar functions of our own.
pub(crate) fn scalars() -> Vec<Arc<ScalarUDF>> {
    Vec::new()
}

/// Aggregates of our own: name, fewest and most arguments.
const AGGREGATES: &[(&str, usize, usize)] = &[
    ("mode", 1, 1),
    ("histogram", 1, 1),
    ("list_distinct", 1, 2),
    ("min_by", 2, 2),
    ("max_by", 2, 2),
    ("count_changes", 1, 1),
];

/// Aggregates of our own.
pub(crate) fn aggregates() -> Vec<Arc<AggregateUDF>> {
    AGGREGATES
        .iter()
        .map(|(name, fewest, most)| {
            let counts: Vec<Signature> = (*fewest..=*most)
                .map(|count| Signature::any(count, Volatility::Immutable))
                .collect();
            let signature = match <[Signature; 1]>::try_from(counts) {
                Ok([one]) => one,
                Err(many) => Signature::one_of(
                    many.into_iter().map(|s| s.type_signature).collect(),
                    Volatility::Immutable,
                ),
            };
            Arc::new(AggregateUDF::from(KernelAggregate { name, signature }))
        })
        .collect()
}

/// An aggregate that only the kernel can compute.
#[derive(Debug, PartialEq, Eq, Hash)]
struct KernelAggregate {
    name: &'static str,
    signature: Signature,
}

impl AggregateUDFImpl for KernelAggregate {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        let first = arg_types.first().cloned().unwrap_or(DataType::Null);
        Ok(match self.name {
            "histogram" => crate::parser::types::map_of(first, DataType::Int64),
            "list_distinct" => DataType::List(Arc::new(Field::new_list_field(first, true))),
            "count_changes" => DataType::Int64,
            _ => first,
        })
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Err(DataFusionError::NotImplemented(format!(
            "{} runs in the window kernel",
            self.name
        )))
    }
}
