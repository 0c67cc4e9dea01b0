//! A keyed operator that follows another one of the same query.

mod save;

use super::differ::Differ;
use super::message::SourceTime;
use super::rows::{Delta, Fate, Upserts, is_one_row_a_key, run, upserts};
use crate::error::EngineError;
use crate::plan::{Keyed, Step};
use crate::stats::{Stats, add};
use arrow::array::ArrayRef;
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, SchemaRef};
use std::sync::Arc;
use std::time::Duration;
use tidewheel_core::Op as RowOp;
use tidewheel_core::time::{EventTime, NO_TIME};
use tidewheel_kernel::aggregate::StateError;
use tidewheel_kernel::change::OperatorStats;
use tidewheel_kernel::input::Input;
use tidewheel_kernel::keys::{KeyEncoder, Keys};
use tidewheel_kernel::latest::{LatestInput, LatestOperator};
use tidewheel_kernel::over::{OverBatch, OverOperator};
use tidewheel_kernel::regroup::{RegroupOperator, RegroupSpec};
use tidewheel_kernel::share::Share;
use tidewheel_kernel::spec::{Emit, SetSpec};
use tidewheel_kernel::topn::{Rank, RankChanges, SortColumn, TopNOperator, TopNSpec};
use tidewheel_kernel::window::{SetId, WindowOperator};

/// Timers that one call of `advance` may fire, so that a boundary at which every key expires
/// does not hold up the rows behind it.
pub const TIMERS_AT_ONCE: usize = 4_096;

/// The operator of a step.
pub enum Operator {
    /// Windows.
    Window(Box<WindowOperator>, SetId),
    /// Groups.
    Group(Box<RegroupOperator>),
    /// Newest rows.
    Latest(Box<LatestOperator>),
    /// First rows.
    TopN(Box<TopNOperator>),
    /// OVER.
    Over(Box<OverOperator>),
}

/// A step with its state.
pub struct StepState {
    /// What it does.
    pub step: Step,
    /// The operator.
    pub operator: Operator,
    encoder: KeyEncoder,
    below: Option<Identity>,
    /// Identifies output rows, where the next step asks for it.
    identity: Option<KeyEncoder>,
    differ: Option<Differ>,
    /// How far behind the watermark its rows may still change, microseconds.
    lateness: i64,
    /// The watermark that the next rows are judged by.
    watermark: EventTime,
    frontier: EventTime,
}

/// The types of some columns.
#[must_use]
pub fn types(schema: &SchemaRef, columns: &[usize]) -> Vec<DataType> {
    columns
        .iter()
        .map(|column| schema.field(*column).data_type().clone())
        .collect()
}

/// Microseconds of a duration.
#[must_use]
pub fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The regroup operator of a Group step.
#[must_use]
pub fn regroup(keyed: &Keyed, encoder: KeyEncoder, retracting: bool) -> Option<RegroupOperator> {
    let Keyed::Group {
        window_end,
        emit,
        state_ttl,
        aggregates,
        ..
    } = keyed
    else {
        return None;
    };
    Some(RegroupOperator::new(
        encoder,
        RegroupSpec {
            filter: None,
            emit: *emit,
            window_start: None,
            window_end: *window_end,
            state_ttl: state_ttl.map(micros),
            aggregates: aggregates.clone(),
            retracting,
        },
    ))
}

/// The set of a Window step over rows that are added and taken back.
fn window_set(keyed: &Keyed) -> Option<SetSpec> {
    let Keyed::Window {
        window,
        emit,
        aggregates,
        ..
    } = keyed
    else {
        return None;
    };
    Some(SetSpec {
        filter: None,
        window: *window,
        emit: *emit,
        aggregates: aggregates.clone(),
        retracting: true,
    })
}

/// How the rows below a step are identified: by their key, and their window where they have one.
struct Identity {
    encoder: KeyEncoder,
    per_window: bool,
}

impl Identity {
    /// Which identities, as [`super::rows::upserts`] made them, are those of a share of the keys.
    fn choose(&self, share: &Share<'_>, identities: &[&[u8]]) -> Result<Vec<bool>, StateError> {
        const WINDOW_BYTES: usize = 16;
        let window = if self.per_window { WINDOW_BYTES } else { 0 };
        let keys: Vec<&[u8]> = identities
            .iter()
            .map(|identity| &identity[..identity.len().saturating_sub(window)])
            .collect();
        share.choose(&self.encoder, &keys)
    }
}

impl StepState {
    /// The state of a step that follows another one. `after_over` says that its input is the
    /// changelog of OVER; else it is rows that replace one another. `asked` says that the next
    /// step wants to know the rows' identities.
    ///
    /// # Errors
    /// A column's type cannot be a key, or the shape is not executed.
    pub fn new(
        query: &str,
        step: &Step,
        after_over: bool,
        asked: bool,
    ) -> Result<Self, EngineError> {
        let refuse = |message: &str| EngineError::Plan {
            query: query.to_owned(),
            message: message.to_owned(),
        };
        let failed = |error: arrow::error::ArrowError| refuse(&error.to_string());
        let encoder = Self::identity_encoder(step)?;
        let mut differ = None;
        let operator = match &step.keyed {
            Keyed::Window { time, .. } => {
                differ = Some(Differ::new(&step.input, Some(*time))?);
                let set = window_set(&step.keyed).ok_or_else(|| refuse("not a window"))?;
                let mut operator = WindowOperator::new(Self::identity_encoder(step)?, Vec::new());
                let id = operator.add_set(&set);
                Operator::Window(Box::new(operator), id)
            }
            Keyed::Group { window_end, .. } => {
                differ = Some(Differ::new(&step.input, *window_end)?);
                let operator = regroup(&step.keyed, Self::identity_encoder(step)?, true);
                Operator::Group(Box::new(operator.ok_or_else(|| refuse("not a group"))?))
            }
            Keyed::Latest { .. } if !after_over => {
                return Err(refuse(
                    "rows that replace one another have no newest: they have no time of their own",
                ));
            }
            Keyed::Latest { keys, state_ttl } => Operator::Latest(Box::new(
                LatestOperator::new(
                    SchemaRef::clone(&step.input),
                    keys.clone(),
                    state_ttl.map(micros),
                )
                .map_err(failed)?,
            )),
            Keyed::TopN {
                identity,
                partition,
                order,
                limit,
                rank_used,
                window_end,
            } => {
                let spec = TopNSpec {
                    identity: identity.clone(),
                    partition: partition.clone(),
                    order: order
                        .iter()
                        .map(|key| SortColumn {
                            column: key.column,
                            descending: key.descending,
                            nulls_first: key.nulls_first,
                        })
                        .collect(),
                    limit: *limit,
                    rank: if *rank_used {
                        Rank::Column
                    } else {
                        Rank::Unused
                    },
                    window_end: *window_end,
                };
                let operator = TopNOperator::new(SchemaRef::clone(&step.input), spec);
                Operator::TopN(Box::new(operator.map_err(failed)?))
            }
            Keyed::Over { .. } => {
                return Err(refuse(
                    "OVER can only read the rows of a table, not another result",
                ));
            }
        };
        if after_over {
            differ = None;
        }
        let identity = if asked {
            Some(Self::identity_encoder(step)?)
        } else {
            None
        };
        Ok(Self {
            encoder,
            below: None,
            identity,
            differ,
            step: step.clone(),
            operator,
            lateness: 0,
            watermark: NO_TIME,
            frontier: NO_TIME,
        })
    }

    /// Encodes what identifies a step's output rows besides their window.
    ///
    /// # Errors
    /// A column's type cannot be a key.
    pub fn identity_encoder(step: &Step) -> Result<KeyEncoder, EngineError> {
        KeyEncoder::new(&types(&step.input, step.keyed.keys()))
            .map_err(|error| EngineError::Expression(error.to_string()))
    }

    /// Whether this step wants to know its input rows' identities.
    #[must_use]
    pub fn asks_identity(step: &Step) -> bool {
        matches!(step.keyed, Keyed::Window { .. } | Keyed::Group { .. })
    }

    /// Says what step its rows come from.
    ///
    /// # Errors
    /// A column's type cannot be a key.
    pub fn above(mut self, below: &Step) -> Result<Self, EngineError> {
        self.below = Some(Identity {
            encoder: Self::identity_encoder(below)?,
            per_window: !is_one_row_a_key(&below.keyed),
        });
        Ok(self)
    }

    /// Says what all steps are that its rows have come through. As long as one of them takes late
    /// rows, rows that were handed on can change.
    #[must_use]
    pub fn through<'a>(mut self, below: impl Iterator<Item = &'a Step>) -> Self {
        let late = below.map(|step| match &step.keyed {
            Keyed::Window { emit, .. } | Keyed::Group { emit, .. } => lateness(*emit),
            _ => 0,
        });
        self.lateness = late.max().unwrap_or(0);
        self
    }

    /// Takes rows that replace one another.
    ///
    /// # Errors
    /// The rows do not fit.
    pub fn upserts(&mut self, rows: &Upserts, stats: &Stats) -> Result<(), EngineError> {
        let failed = |error: arrow::error::ArrowError| EngineError::Expression(error.to_string());
        match (&mut self.operator, &mut self.differ) {
            (Operator::TopN(operator), _) => {
                let ops: Vec<RowOp> = rows
                    .fates
                    .iter()
                    .map(|fate| match fate {
                        Fate::Live => RowOp::Upsert,
                        Fate::Empty | Fate::Filtered => RowOp::Delete,
                    })
                    .collect();
                let empty_at = Some(&rows.empty_at[..]);
                operator
                    .process(&rows.batch, &ops, empty_at)
                    .map_err(failed)
            }
            (_, Some(differ)) => {
                if let Some(delta) = differ.diff(rows)? {
                    self.delta(&delta, stats)?;
                }
                self.extend(rows)
            }
            _ => Err(EngineError::Defect),
        }
    }

    /// Tells groups how long the rows live that they are made of, those too that did not change.
    fn extend(&mut self, rows: &Upserts) -> Result<(), EngineError> {
        let ends_itself = |keyed: &Keyed| {
            matches!(
                keyed,
                Keyed::Group {
                    window_end: None,
                    ..
                }
            )
        };
        if !ends_itself(&self.step.keyed) {
            return Ok(());
        }
        let live: Vec<u32> = (0..rows.fates.len() as u32)
            .filter(|row| rows.fates[*row as usize] == Fate::Live)
            .collect();
        let keys = self.keys(rows.batch.columns(), rows.fates.len())?;
        if let Operator::Group(operator) = &mut self.operator {
            operator.extend(&keys, &live, &rows.empty_at);
        }
        Ok(())
    }

    /// Takes rows that are added or taken back.
    ///
    /// # Errors
    /// The rows do not fit.
    pub fn delta(&mut self, delta: &Delta, stats: &Stats) -> Result<(), EngineError> {
        let failed = |error: arrow::error::ArrowError| EngineError::Expression(error.to_string());
        let count = delta.batch.num_rows();
        let rows: Vec<u32> = (0..count as u32).collect();
        let columns = delta.batch.columns();
        let keys = self.keys(columns, count)?;
        let watermark = vec![self.watermark; count];
        let retract = delta.retract.as_deref();
        let input = Input {
            keys: &keys,
            rows: &rows,
            time: &delta.time,
            seq: &delta.seq,
            watermark: &watermark,
            columns,
            retract,
        };
        match &mut self.operator {
            Operator::Window(operator, _) => {
                let late = operator.process(&input);
                add(&stats.late, late.iter().map(|late| late.rows.len()).sum());
            }
            Operator::Group(operator) => {
                let late = operator.process(&input);
                add(&stats.late, late.len());
            }
            Operator::Latest(operator) => operator
                .process(&LatestInput {
                    columns,
                    rows: &rows,
                    time: &delta.time,
                    seq: &delta.seq,
                    retract,
                })
                .map_err(failed)?,
            Operator::TopN(_) | Operator::Over(_) => return Err(EngineError::Defect),
        }
        Ok(())
    }

    fn keys(&self, columns: &[ArrayRef], rows: usize) -> Result<Keys, EngineError> {
        let keys: Vec<ArrayRef> = self
            .step
            .keyed
            .keys()
            .iter()
            .map(|key| Arc::clone(&columns[*key]))
            .collect();
        self.encoder
            .encode(&keys, rows)
            .map_err(|error| EngineError::Expression(error.to_string()))
    }

    /// Time went on. True when timers are left for another call.
    pub fn advance(&mut self, time: SourceTime) -> bool {
        self.watermark = time.watermark;
        self.frontier = time.frontier;
        if let Some(differ) = &mut self.differ {
            differ.forget(time.watermark, self.lateness);
        }
        match &mut self.operator {
            Operator::Window(operator, _) => {
                operator.advance(time.frontier, time.watermark, TIMERS_AT_ONCE)
            }
            Operator::Group(operator) => {
                operator.advance(time.frontier, time.watermark, TIMERS_AT_ONCE)
            }
            Operator::Latest(operator) => {
                operator.advance(time.frontier, time.watermark);
                false
            }
            Operator::TopN(operator) => {
                operator.advance(time.watermark);
                operator.renew(time.frontier);
                false
            }
            Operator::Over(_) => false,
        }
    }

    /// The rows that changed.
    ///
    /// # Errors
    /// An expression cannot be evaluated at all.
    pub fn take(
        &mut self,
        max: usize,
        include_expiry: bool,
        stats: &Stats,
    ) -> Result<Option<Upserts>, EngineError> {
        let failed = |error: arrow::error::ArrowError| EngineError::Expression(error.to_string());
        let changes = match &mut self.operator {
            Operator::Window(operator, set) => operator.take_changes(*set, max, include_expiry),
            Operator::Group(operator) => operator.take_changes(max, include_expiry),
            Operator::Latest(operator) => operator.take_changes(max).map_err(failed)?,
            Operator::TopN(operator) => {
                let Some(changes) = operator.take_changes(max).map_err(failed)? else {
                    return Ok(None);
                };
                return self.ranked(&changes, stats).map(Some);
            }
            Operator::Over(_) => None,
        };
        match changes {
            Some(changes) => upserts(&self.step, changes, self.identity.as_ref(), stats).map(Some),
            None => Ok(None),
        }
    }

    fn ranked(&self, changes: &RankChanges, stats: &Stats) -> Result<Upserts, EngineError> {
        let output = super::rows::batch(
            &self.step.output,
            changes.rows.columns().to_vec(),
            changes.rows.num_rows(),
        )?;
        let (batch, passes) = run(&self.step.program, &output, stats)?;
        let fates: Vec<Fate> = changes
            .ops
            .iter()
            .enumerate()
            .map(|(row, op)| match op {
                RowOp::Delete => Fate::Filtered,
                RowOp::Upsert if passes.as_ref().is_some_and(|p| !p[row]) => Fate::Filtered,
                RowOp::Upsert => Fate::Live,
            })
            .collect();
        Ok(Upserts {
            slots: Vec::new(),
            identities: Vec::new(),
            empty_at: fates
                .iter()
                .zip(&changes.empty_at)
                .map(|(fate, empty_at)| match fate {
                    Fate::Live => *empty_at,
                    Fate::Empty | Fate::Filtered => self.frontier,
                })
                .collect(),
            urgent: vec![true; fates.len()],
            batch,
            fates,
        })
    }

    /// Marks some rows to be looked at again, by their numbers.
    pub fn mark(&mut self, slots: &[u32]) {
        match &mut self.operator {
            Operator::Window(operator, set) => operator.mark(*set, slots),
            Operator::Group(operator) => operator.mark(slots),
            Operator::Latest(operator) => operator.mark_again(slots),
            // Its rows have no numbers, and it looks at them by itself.
            Operator::TopN(_) | Operator::Over(_) => {}
        }
    }

    /// Marks every row as changed: the sink lost them.
    pub fn refresh(&mut self) {
        match &mut self.operator {
            Operator::Window(operator, set) => operator.refresh(*set),
            Operator::Group(operator) => operator.refresh(),
            Operator::Latest(operator) => operator.refresh(),
            Operator::TopN(operator) => operator.refresh(),
            Operator::Over(_) => {}
        }
    }

    /// Key numbers that were freed since the last call.
    pub fn freed(&mut self) -> Vec<u32> {
        match &mut self.operator {
            Operator::Window(operator, set) => operator.take_freed(*set),
            Operator::Group(operator) => operator.take_freed(),
            Operator::Latest(operator) => operator.take_freed(),
            Operator::TopN(_) | Operator::Over(_) => Vec::new(),
        }
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> OperatorStats {
        match &self.operator {
            Operator::Window(operator, _) => operator.stats(),
            Operator::Group(operator) => operator.stats(),
            Operator::Latest(operator) => operator.stats(),
            Operator::TopN(operator) => operator.stats(),
            Operator::Over(operator) => operator.stats(),
        }
    }
}

/// The allowed lateness of an emit mode, microseconds.
#[must_use]
pub fn lateness(emit: Emit) -> i64 {
    match emit {
        Emit::Current | Emit::LastClosed => 0,
        Emit::Closed { allowed_lateness }
        | Emit::Final { allowed_lateness }
        | Emit::EveryChange { allowed_lateness } => allowed_lateness,
    }
}

/// The changelog of an OVER operator for the rows of one batch, through the step's program. Rows
/// that were late go to `late`, by their place in the batch.
///
/// # Errors
/// An expression cannot be evaluated at all.
pub fn over(
    step: &Step,
    operator: &mut OverOperator,
    input: &Input<'_>,
    late: &mut Vec<u32>,
    stats: &Stats,
) -> Result<Option<Delta>, EngineError> {
    let failed = |error: arrow::error::ArrowError| EngineError::Expression(error.to_string());
    let out = operator.process(input).map_err(failed)?;
    add(&stats.late, out.late.len());
    late.extend_from_slice(&out.late);
    over_delta(step, out, stats)
}

/// The rows that an OVER operator gave, after what follows it; `None` where there are none.
///
/// # Errors
/// An expression cannot be evaluated at all.
pub fn over_delta(
    step: &Step,
    out: OverBatch,
    stats: &Stats,
) -> Result<Option<Delta>, EngineError> {
    if out.retract.is_empty() {
        return Ok(None);
    }
    let columns = out.rows.columns().to_vec();
    let output = super::rows::batch(&step.output, columns, out.retract.len())?;
    let (batch, passes) = run(&step.program, &output, stats)?;
    let delta = Delta {
        batch,
        retract: Some(out.retract),
        time: out.time,
        seq: out.seq,
    };
    Ok(Some(match passes {
        None => delta,
        Some(passes) => keep(&delta, &passes)?,
    }))
}

/// The rows of a delta that pass.
///
/// # Errors
/// Not to be expected.
pub fn keep(delta: &Delta, passes: &[bool]) -> Result<Delta, EngineError> {
    let rows: Vec<u32> = (0..passes.len() as u32)
        .filter(|row| passes[*row as usize])
        .collect();
    let of = |values: &[i64]| rows.iter().map(|row| values[*row as usize]).collect();
    Ok(Delta {
        time: of(&delta.time),
        seq: rows.iter().map(|row| delta.seq[*row as usize]).collect(),
        retract: delta
            .retract
            .as_ref()
            .map(|retract| rows.iter().map(|row| retract[*row as usize]).collect()),
        batch: take_record_batch(&delta.batch, &arrow::array::UInt32Array::from(rows))
            .map_err(|error| EngineError::Expression(error.to_string()))?,
    })
}
