//! From what a query asks for to the stores that compute it.

use super::boolean::BooleanStore;
use super::changes::ChangesStore;
use super::count::CountStore;
use super::extreme::ExtremeStore;
use super::extreme_by::ExtremeByStore;
use super::first_last::FirstLastStore;
use super::multiset::MultisetStore;
use super::sight::{History, Newest, Oldest, Unseen};
use super::sum::{Decimals, Floats, Signed, SumStore, Unsigned};
use super::tally::TallyStore;
use super::variance::VarianceStore;
use super::{CellStore, value};
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
        return Err(format!(
            "{wanted} arguments wanted, {} given",
            spec.arg_types.len()
        ));
    }
    if let Some(bad) = spec.arg_types.iter().find(|arg| !value::supported(arg)) {
        return Err(format!(
            "values of type {bad} cannot be kept by an aggregate"
        ));
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
        AggregateKind::Variance { sample, stddev } => {
            Box::new(VarianceStore::new(spec, *sample, *stddev))
        }
        AggregateKind::BoolAnd => Box::new(BooleanStore::new(spec, true)),
        AggregateKind::BoolOr => Box::new(BooleanStore::new(spec, false)),
        AggregateKind::CountDistinct
        | AggregateKind::SumDistinct
        | AggregateKind::AvgDistinct
        | AggregateKind::Mode
        | AggregateKind::Histogram
        | AggregateKind::ListDistinct { .. } => tally(vec![spec.clone()], retracting),
        AggregateKind::Custom(custom) => custom.store(retracting),
        AggregateKind::ArrayAgg { .. } | AggregateKind::StringAgg { .. } => {
            Box::new(MultisetStore::new(spec, retracting))
        }
        _ if retracting => Box::new(MultisetStore::new(spec, true)),
        AggregateKind::Min => Box::new(ExtremeStore::new(spec, false)),
        AggregateKind::Max => Box::new(ExtremeStore::new(spec, true)),
        AggregateKind::First { ignore_nulls } => {
            Box::new(FirstLastStore::new(spec, false, *ignore_nulls))
        }
        AggregateKind::Last { ignore_nulls } => {
            Box::new(FirstLastStore::new(spec, true, *ignore_nulls))
        }
        AggregateKind::MinBy => Box::new(ExtremeByStore::new(spec, false)),
        AggregateKind::MaxBy => Box::new(ExtremeByStore::new(spec, true)),
        AggregateKind::CountChanges => Box::new(ChangesStore::new(spec)),
    }
}

/// One store for aggregates that count the values of one argument over the same rows.
fn tally(specs: Vec<AggregateSpec>, retracting: bool) -> Box<dyn CellStore> {
    let newest = specs
        .iter()
        .any(|spec| matches!(spec.kind, AggregateKind::Mode));
    let oldest = specs.iter().any(is_list);
    match (newest, oldest) {
        (false, false) => Box::new(TallyStore::<Unseen>::new(specs, retracting)),
        _ if retracting => Box::new(TallyStore::<History>::new(specs, retracting)),
        (true, _) => Box::new(TallyStore::<Newest>::new(specs, retracting)),
        (false, true) => Box::new(TallyStore::<Oldest>::new(specs, retracting)),
    }
}

fn is_list(spec: &AggregateSpec) -> bool {
    matches!(spec.kind, AggregateKind::ListDistinct { .. })
}

fn is_tally(spec: &AggregateSpec) -> bool {
    is_list(spec)
        || matches!(
            spec.kind,
            AggregateKind::CountDistinct
                | AggregateKind::SumDistinct
                | AggregateKind::AvgDistinct
                | AggregateKind::Mode
                | AggregateKind::Histogram
        )
}

/// Whether two aggregates can be read from one tally. Lists go apart from the others where rows
/// are only added: see [`super::tally`].
fn share(a: &AggregateSpec, b: &AggregateSpec, retracting: bool) -> bool {
    is_tally(a)
        && is_tally(b)
        && (a.args == b.args && a.arg_types == b.arg_types && a.filter == b.filter)
        && (retracting || is_list(a) == is_list(b))
}

/// The stores of a set's aggregates, in the order of their first members. Aggregates that can
/// share their values do.
#[must_use]
pub fn new_stores(specs: &[AggregateSpec], retracting: bool) -> Vec<StoreGroup> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (member, spec) in specs.iter().enumerate() {
        let shared = groups
            .iter_mut()
            .find(|group| share(&specs[group[0]], spec, retracting));
        match shared {
            Some(group) => group.push(member),
            None => groups.push(vec![member]),
        }
    }
    let group = |members: Vec<usize>| {
        let first = &specs[members[0]];
        let store = if is_tally(first) {
            tally(
                members
                    .iter()
                    .map(|member| specs[*member].clone())
                    .collect(),
                retracting,
            )
        } else {
            new_store(first, retracting)
        };
        StoreGroup {
            members,
            args: first.args.clone(),
            filter: first.filter,
            store,
        }
    };
    groups.into_iter().map(group).collect()
}
