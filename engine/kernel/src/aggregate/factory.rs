//! From what a query asks for to the stores that compute it.

use super::CellStore;
use super::count::CountStore;
use super::extreme::ExtremeStore;
use super::first_last::FirstLastStore;
use super::sum::{Decimals, Floats, Signed, SumStore, Unsigned};
use super::value;
use crate::spec::{AggregateKind, AggregateSpec};
use arrow::datatypes::DataType;

/// One store and the aggregates of a set that it serves: one, or several that share their values
/// (COUNT(DISTINCT x), MODE(x), HISTOGRAM(x) over the same rows).
pub struct StoreGroup {
    /// Which of the set's aggregates it serves, as indices into the list given to [`new_stores`];
    /// in the order of the arrays of [`CellStore::read_all`].
    pub members: Vec<usize>,
    /// Its arguments: indices into the input's columns.
    pub args: Vec<usize>,
    /// Index of the Boolean input column that chooses its rows. The caller applies it.
    pub filter: Option<usize>,
    /// The store.
    pub store: Box<dyn CellStore>,
}

/// Whether the kernel can compute an aggregate, retracting input included.
///
/// # Errors
/// Says which type cannot be aggregated so; the planner points at the call.
pub fn check(spec: &AggregateSpec) -> Result<(), String> {
    let wanted = match spec.kind {
        AggregateKind::Custom(_) => return Ok(()),
        AggregateKind::Count => return Ok(()),
        AggregateKind::MinBy | AggregateKind::MaxBy => 2,
        _ => 1,
    };
    if spec.arg_types.len() != wanted {
        return Err(format!("{wanted} arguments wanted, {} given", spec.arg_types.len()));
    }
    if let Some(bad) = spec.arg_types.iter().find(|arg| !value::supported(arg)) {
        return Err(format!("values of type {bad} cannot be kept by an aggregate"));
    }
    let arg = &spec.arg_types[0];
    let numbers = matches!(
        spec.kind,
        AggregateKind::Sum
            | AggregateKind::Avg
            | AggregateKind::SumDistinct
            | AggregateKind::AvgDistinct
            | AggregateKind::Variance { .. }
    );
    if numbers && !(arg.is_numeric() || *arg == DataType::Null) {
        return Err(format!("numbers wanted, {arg} given"));
    }
    Ok(())
}

/// The store of one aggregate. With `retracting`, one that can take rows back.
///
/// What [`check`] refuses reads NULL.
#[must_use]
pub fn new_store(spec: &AggregateSpec, retracting: bool) -> Box<dyn CellStore> {
    match &spec.kind {
        AggregateKind::Count => Box::new(CountStore::new(spec.result.clone())),
        AggregateKind::Sum | AggregateKind::Avg => match spec.arg_types.first() {
            Some(arg) if arg.is_unsigned_integer() => Box::new(SumStore::<Unsigned>::new(spec)),
            Some(arg) if arg.is_signed_integer() => Box::new(SumStore::<Signed>::new(spec)),
            Some(DataType::Decimal128(_, _)) => Box::new(SumStore::<Decimals>::new(spec)),
            _ => Box::new(SumStore::<Floats>::new(spec)),
        },
        AggregateKind::Min => Box::new(ExtremeStore::new(spec, false)),
        AggregateKind::Max => Box::new(ExtremeStore::new(spec, true)),
        AggregateKind::First { ignore_nulls } => {
            Box::new(FirstLastStore::new(spec, false, *ignore_nulls))
        }
        AggregateKind::Last { ignore_nulls } => {
            Box::new(FirstLastStore::new(spec, true, *ignore_nulls))
        }
        AggregateKind::Custom(custom) => custom.store(retracting),
        _ => Box::new(CountStore::new(spec.result.clone())),
    }
}

/// The stores of a set's aggregates, in the order of their first members.
#[must_use]
pub fn new_stores(specs: &[AggregateSpec], retracting: bool) -> Vec<StoreGroup> {
    let group = |(member, spec): (usize, &AggregateSpec)| StoreGroup {
        members: vec![member],
        args: spec.args.clone(),
        filter: spec.filter,
        store: new_store(spec, retracting),
    };
    specs.iter().enumerate().map(group).collect()
}
