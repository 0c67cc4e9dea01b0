//! When a restored query writes again.
//!
//! A restored query has seen fewer rows than the one before the crash had, whose values stand in
//! the sink. It writes nothing until it has passed the progress that the sink remembers, so no
//! reader sees a value go back.

use std::collections::BTreeMap;
use std::sync::Arc;
use tidewheel_core::EventTime;

/// A restored query's gate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Gate {
    /// It writes.
    #[default]
    Open,
    /// The sink has not said yet how far its values are.
    Unknown,
    /// It writes once the reading has come that far.
    Until(Arc<Reached>),
}

/// How far values have come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// By partition, the offset of the next record.
    pub offsets: BTreeMap<u32, u64>,
    /// The frontier.
    pub frontier: EventTime,
}

impl Gate {
    /// True when it is open, or the reading has passed it.
    #[must_use]
    pub fn is_passed(&self, positions: &BTreeMap<u32, u64>, frontier: EventTime) -> bool {
        match self {
            Self::Open => true,
            Self::Unknown => false,
            Self::Until(reached) => {
                let mut offsets = reached.offsets.iter();
                frontier >= reached.frontier
                    && offsets
                        .all(|(partition, to)| positions.get(partition).is_some_and(|at| at >= to))
            }
        }
    }

    /// True when the frontier that readers have seen is reached.
    #[must_use]
    pub fn has_frontier(&self, frontier: EventTime) -> bool {
        match self {
            Self::Until(reached) => frontier >= reached.frontier,
            Self::Open => true,
            Self::Unknown => false,
        }
    }
}
