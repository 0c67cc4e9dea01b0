//! One query's state in one shard.

mod serve;

use super::finish::Finisher;
use super::message::{SourceRows, SourceTime};
use super::rows::{Delta, Fate, Upserts};
use super::save::Room;
use super::step::{StepState, TIMERS_AT_ONCE, micros, over, over_delta, regroup, types};
use crate::checkpoint::gate::Gate;
use crate::error::EngineError;
use crate::plan::{Chain, Keyed};
use crate::scan::program::{QueryId, QueryInput};
use crate::sink::message::{ALL_REWRITES, SinkMessage};
use crate::stats::{Stats, add};
use crate::status::QueryHandle;
use arrow::array::{ArrayRef, AsArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use crossbeam_channel::{Receiver, Sender};
use std::sync::Arc;
use std::time::Duration;
use tidewheel_core::EventTime;
use tidewheel_kernel::change::OperatorStats;
use tidewheel_kernel::input::Input;
use tidewheel_kernel::keys::KeyEncoder;
use tidewheel_kernel::latest::{LatestInput, LatestOperator};
use tidewheel_kernel::over::OverOperator;
use tidewheel_kernel::regroup::RegroupOperator;
use tidewheel_kernel::spec::{AggregateSpec, SetSpec};
use tidewheel_kernel::window::{SetId, WindowOperator};
use tidewheel_sql::PREVIEW;
use tidewheel_sql::plan::OnEmpty;

/// Where a query's rows are kept first.
pub enum First {
    /// Nowhere: rows go straight on.
    None,
    /// In a set of a key group's window operator, which other queries share.
    Set {
        /// The key group.
        group: usize,
        /// The set.
        set: SetId,
    },
    /// In groups of its own.
    Group(Box<RegroupOperator>),
    /// As newest rows.
    Latest(Box<LatestOperator>),
    /// In OVER windows.
    Over(Box<OverOperator>),
}

/// A query's way into a shard. Where it ends before (the reading has), the sink task hears that
/// nothing comes of this shard, or it would wait for that for ever.
#[derive(Debug)]
pub struct Arrival {
    sink: Option<Sender<SinkMessage>>,
    shard: usize,
}

impl Arrival {
    /// The way into the shard of that number.
    #[must_use]
    pub fn new(sink: &Sender<SinkMessage>, shard: usize) -> Self {
        let sink = Some(sink.clone());
        Self { sink, shard }
    }

    /// It is there: the shard speaks for it.
    pub fn has_come(mut self) {
        self.sink = None;
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if let Some(sink) = &self.sink {
            let _ = sink.send(SinkMessage::Done {
                shard: self.shard,
                rewrites: ALL_REWRITES,
            });
        }
    }
}

/// A query on its way into a shard.
pub struct NewQuery {
    /// Its number.
    pub id: QueryId,
    /// What it is.
    pub chain: Arc<Chain>,
    /// What it takes from its source's program.
    pub input: QueryInput,
    /// To its sink task.
    pub sink: Sender<SinkMessage>,
    /// What is known of it.
    pub handle: Arc<QueryHandle>,
    /// Tells the sink task if it never comes into its shard.
    pub arrival: Arrival,
    /// Where its state comes from; `None`: it begins empty.
    pub from: Option<Receiver<HandOver>>,
    /// Its rows are not handed on: it reads history.
    pub muted: bool,
    /// Windows that end up to then are not handed on: their rows were not all read.
    pub skip_until: Option<EventTime>,
    /// Its values may stand in the sink, from a process that has ended.
    pub gated: bool,
}

impl std::fmt::Debug for NewQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("NewQuery").field(&self.chain.name).finish()
    }
}

/// A query's state, from the shard that has read its history to the live one.
pub struct HandOver {
    /// The query.
    pub query: QueryShard,
    /// The operator of its key group, where it has one.
    pub operator: Option<WindowOperator>,
}

/// One query in one shard.
pub struct QueryShard {
    /// Its number.
    pub id: QueryId,
    /// What is known of it.
    pub handle: Arc<QueryHandle>,
    /// Rows are not handed on: it reads history.
    pub muted: bool,
    /// Windows that end up to then are not handed on.
    pub skip_until: Option<EventTime>,
    /// When the oldest row was read that it was not served since, wall clock, milliseconds.
    pub read_at_ms: Option<i64>,
    /// What it last added to its gauges: keys, slices, bytes, bounds reached.
    pub reported: [u64; 4],
    /// The query.
    pub chain: Arc<Chain>,
    /// What it takes from its source's program.
    pub input: QueryInput,
    /// Its first operator.
    pub first: First,
    /// The operators after it.
    pub rest: Vec<StepState>,
    identity: Option<KeyEncoder>,
    finisher: Finisher,
    /// Key numbers of the last operator that are free once its rows are written.
    freed_later: Vec<u32>,
    /// To the query's sink task.
    pub sink: Sender<SinkMessage>,
    /// Rows that the sink is ready for; 0: it is busy.
    pub credit: usize,
    /// When it was served last.
    pub served: Duration,
    /// The time that the tail was told last.
    pub told: Option<SourceTime>,
    /// The sink was told that nothing follows.
    pub done: bool,
    /// The sink was told that it need not pause.
    pub hurries: bool,
    /// How often the sink asked for everything again.
    pub rewrites: u64,
    /// After a restart: when it writes again.
    pub gate: Gate,
    /// Its gate has opened or its state has come, and not all of its keys have been looked at since.
    pub settling: bool,
    /// How large its saved state was.
    pub room: Room,
    /// The next save is of all its state.
    pub save_whole: bool,
}

/// Aggregates whose columns are those of the program instead of the head's.
fn remap(aggregates: &[AggregateSpec], columns: &[usize]) -> Vec<AggregateSpec> {
    aggregates
        .iter()
        .map(|aggregate| AggregateSpec {
            args: aggregate.args.iter().map(|arg| columns[*arg]).collect(),
            filter: aggregate.filter.map(|filter| columns[filter]),
            ..aggregate.clone()
        })
        .collect()
}

/// Whether rows of OVER go to a table that cannot take them back.
fn emits_once(chain: &Chain) -> bool {
    chain.sink.is_append_only()
        && chain.steps.len() == 1
        && chain.tail.is_empty()
        && chain.sink.options.get("connector") != Some(PREVIEW)
}

impl QueryShard {
    /// The set that a query's first windows are, in its key group's operator.
    #[must_use]
    pub fn set_spec(chain: &Chain, input: &QueryInput) -> Option<SetSpec> {
        let Keyed::Window {
            window,
            emit,
            aggregates,
            ..
        } = &chain.steps.first()?.keyed
        else {
            return None;
        };
        Some(SetSpec {
            filter: input.gate,
            window: *window,
            emit: *emit,
            aggregates: remap(aggregates, &input.columns),
            retracting: false,
        })
    }

    /// Whether a query's first windows keep their last value once they have run empty.
    #[must_use]
    pub fn keeps(chain: &Chain) -> bool {
        chain.on_empty == OnEmpty::Keep
            && chain.current
            && chain.steps.len() == 1
            && chain.tail.is_empty()
    }

    /// A query's state. `set` is the set of its first windows, where it begins with windows.
    ///
    /// # Errors
    /// A column's type cannot be a key, or the shape is not executed.
    pub fn new(new: NewQuery, set: Option<SetId>) -> Result<Self, EngineError> {
        let NewQuery {
            id,
            chain,
            input,
            sink,
            handle,
            muted,
            skip_until,
            arrival,
            ..
        } = new;
        arrival.has_come();
        let failed = |error: arrow::error::ArrowError| EngineError::Plan {
            query: chain.name.clone(),
            message: error.to_string(),
        };
        let mut after_over = false;
        let first = match chain.steps.first().map(|step| (step, &step.keyed)) {
            None => First::None,
            Some((_, Keyed::Window { .. })) => match (input.group, set) {
                (Some(group), Some(set)) => First::Set { group, set },
                _ => return Err(EngineError::Defect),
            },
            Some((step, keyed @ Keyed::Group { .. })) => {
                let encoder = StepState::identity_encoder(step)?;
                let operator = regroup(keyed, encoder, false).ok_or(EngineError::Defect)?;
                First::Group(Box::new(operator))
            }
            Some((step, Keyed::Latest { keys, state_ttl })) => First::Latest(Box::new(
                LatestOperator::new(
                    SchemaRef::clone(&step.input),
                    keys.clone(),
                    state_ttl.map(micros),
                )
                .map_err(failed)?,
            )),
            Some((step, Keyed::Over { calls, .. })) => {
                after_over = true;
                let all: Vec<usize> = (0..step.input.fields().len()).collect();
                let types = types(&step.input, &all);
                let operator = OverOperator::new(types, SchemaRef::clone(&step.output), calls)
                    .map_err(failed)?;
                let operator = if emits_once(&chain) {
                    operator.once()
                } else {
                    operator
                };
                First::Over(Box::new(operator))
            }
            Some((_, Keyed::TopN { .. })) => {
                return Err(EngineError::Plan {
                    query: chain.name.clone(),
                    message: "top-N needs a GROUP BY below it".to_owned(),
                });
            }
        };
        let all: Vec<_> = chain.steps.iter().chain(&chain.tail).collect();
        let asked = |at: usize| {
            all.get(at + 1)
                .is_some_and(|step| StepState::asks_identity(step))
        };
        let mut rest = Vec::new();
        for (at, step) in chain.steps.iter().enumerate().skip(1) {
            let step = StepState::new(&chain.name, step, after_over && at == 1, asked(at))?;
            let step = step.through(chain.steps[..at].iter());
            rest.push(step.above(&chain.steps[at - 1])?);
        }
        let identity = match chain.steps.first() {
            Some(step) if asked(0) && !after_over => Some(StepState::identity_encoder(step)?),
            _ => None,
        };
        Ok(Self {
            id,
            handle,
            muted,
            skip_until,
            read_at_ms: None,
            reported: [0; 4],
            finisher: Finisher::new(Arc::clone(&chain)),
            freed_later: Vec::new(),
            identity,
            chain,
            input,
            first,
            rest,
            sink,
            credit: 0,
            served: Duration::ZERO,
            told: None,
            done: false,
            hurries: false,
            rewrites: 0,
            gate: Gate::Open,
            settling: false,
            room: Room::default(),
            save_whole: false,
        })
    }

    /// Takes a batch's rows, where they do not go through a shared operator. Rows without keyed
    /// operator are handed to the sink at once. Late rows go to `late`, by their place in the
    /// batch.
    ///
    /// # Errors
    /// The rows do not fit.
    pub fn rows(
        &mut self,
        shard: usize,
        rows: &SourceRows,
        late: &mut Vec<u32>,
        stats: &Stats,
    ) -> Result<(), EngineError> {
        if matches!(self.first, First::Set { .. }) {
            return Ok(());
        }
        let all: &[u32] = match self.input.group {
            Some(group) => &rows.selections[group],
            None if shard == 0 => &rows.fresh,
            None => return Ok(()),
        };
        let gate = self
            .input
            .gate
            .map(|gate| rows.evaluation.columns[gate].as_boolean());
        let chosen: Vec<u32> = match gate {
            None => all.to_vec(),
            Some(gate) => all
                .iter()
                .copied()
                .filter(|row| gate.value(*row as usize))
                .collect(),
        };
        if chosen.is_empty() {
            return Ok(());
        }
        let columns: Vec<ArrayRef> = self
            .input
            .columns
            .iter()
            .map(|id| Arc::clone(&rows.evaluation.columns[*id]))
            .collect();
        let failed = |error: arrow::error::ArrowError| EngineError::Expression(error.to_string());
        let keys = self.input.group.map(|group| &rows.evaluation.keys[group]);
        match (&mut self.first, keys) {
            (First::None, _) => self.pass(&columns, &chosen, shard, stats),
            (First::Group(operator), Some(keys)) => {
                let of_batch = operator.process(&Input {
                    keys,
                    rows: &chosen,
                    time: &rows.time,
                    seq: &rows.seq,
                    watermark: &rows.watermark,
                    columns: &columns,
                    retract: None,
                });
                add(&stats.late, of_batch.len());
                late.extend(of_batch);
                Ok(())
            }
            (First::Latest(operator), _) => operator
                .process(&LatestInput {
                    columns: &columns,
                    rows: &chosen,
                    time: &rows.time,
                    seq: &rows.seq,
                    retract: None,
                })
                .map_err(failed),
            (First::Over(operator), Some(keys)) => {
                let input = Input {
                    keys,
                    rows: &chosen,
                    time: &rows.time,
                    seq: &rows.seq,
                    watermark: &rows.watermark,
                    columns: &columns,
                    retract: None,
                };
                match over(&self.chain.steps[0], operator, &input, late, stats)? {
                    Some(delta) => self.after_over(&delta, shard, stats),
                    None => Ok(()),
                }
            }
            _ => Err(EngineError::Defect),
        }
    }

    fn after_over(
        &mut self,
        delta: &Delta,
        shard: usize,
        stats: &Stats,
    ) -> Result<(), EngineError> {
        if let Some(next) = self.rest.first_mut() {
            return next.delta(delta, stats);
        }
        if !self.chain.tail.is_empty() {
            return Err(EngineError::Plan {
                query: self.chain.name.clone(),
                message: "a GROUP BY above OVER must hold the PARTITION BY's columns".to_owned(),
            });
        }
        // Into an append-only table: rows that are final. A preview shows what is known on arrival.
        let added: Vec<bool> = match &delta.retract {
            None => vec![true; delta.time.len()],
            Some(retract) => retract.iter().map(|retract| !retract).collect(),
        };
        let rows: Vec<u32> = (0..added.len() as u32)
            .filter(|row| added[*row as usize])
            .collect();
        self.pass(delta.batch.columns(), &rows, shard, stats)
    }

    /// Sends rows straight to the sink; blocks while the sink is behind.
    fn pass(
        &mut self,
        columns: &[ArrayRef],
        rows: &[u32],
        shard: usize,
        stats: &Stats,
    ) -> Result<(), EngineError> {
        if self.muted {
            return Ok(());
        }
        let failed = |error: arrow::error::ArrowError| EngineError::Expression(error.to_string());
        let indices = UInt32Array::from(rows.to_vec());
        let columns = columns
            .iter()
            .map(|column| take(column, &indices, None))
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;
        let schema = match self.chain.steps.last() {
            Some(step) => &step.program.schema,
            None => &self.chain.head.schema,
        };
        let batch = super::rows::batch(schema, columns, rows.len())?;
        let upserts = Upserts {
            fates: vec![Fate::Live; rows.len()],
            slots: Vec::new(),
            identities: Vec::new(),
            empty_at: vec![tidewheel_core::time::END_OF_TIME; rows.len()],
            urgent: vec![true; rows.len()],
            batch,
        };
        if let Some(changes) = self.finisher.finish(&upserts, 0, stats)? {
            let _ = self.sink.send(SinkMessage::Changes {
                shard,
                changes,
                credit: false,
                read_at_ms: self.read_at_ms.take(),
            });
        }
        Ok(())
    }

    /// Hands on the rows of OVER that time has made final, where each goes out once.
    ///
    /// # Errors
    /// Rows that were kept cannot be read; not to be expected.
    pub fn pass_final(&mut self, shard: usize, stats: &Stats) -> Result<(), EngineError> {
        let First::Over(operator) = &mut self.first else {
            return Ok(());
        };
        let finals = operator
            .take_final()
            .map_err(|error| EngineError::Expression(error.to_string()))?;
        let Some(finals) = finals else { return Ok(()) };
        match over_delta(&self.chain.steps[0], finals, stats)? {
            Some(delta) => self.after_over(&delta, shard, stats),
            None => Ok(()),
        }
    }

    /// Time went on. True when timers are left for another call.
    pub fn advance(&mut self, time: SourceTime) -> bool {
        let mut more = match &mut self.first {
            First::Group(operator) => {
                operator.advance(time.frontier, time.watermark, TIMERS_AT_ONCE)
            }
            First::Latest(operator) => {
                operator.advance(time.frontier, time.watermark);
                false
            }
            First::Over(operator) => {
                if let Err(error) = operator.advance(time.watermark) {
                    tracing::error!(query = self.chain.name, %error, "OVER rows cannot be read");
                }
                false
            }
            First::None | First::Set { .. } => false,
        };
        // Other steps go on in time when they are pulled, once they have all rows from below.
        if matches!(self.first, First::Over(_))
            && let Some(next) = self.rest.first_mut()
        {
            more |= next.advance(time);
        }
        more
    }

    /// The sink lost what was written.
    pub fn rewrite(&mut self, groups: &mut [Option<WindowOperator>]) {
        self.rewrites += 1;
        self.done = false;
        self.finisher.forget_all();
        self.refresh(groups);
        // What is to be written again is marked at keys that did not change.
        self.save_whole = true;
        if let First::Set { group, .. } = &self.first
            && let Some(operator) = groups.get_mut(*group).and_then(Option::as_mut)
        {
            operator.save_whole_next();
        }
    }

    /// Of no key it is known what stands in the sink.
    pub(super) fn assume_unknown(&mut self) {
        self.finisher.assume_unknown();
    }

    /// All keys that may stand in the sink have been looked at.
    pub(super) fn all_known(&mut self) {
        self.finisher.all_known();
    }

    /// Marks everything that stands as changed, so that it is written again.
    pub(super) fn refresh(&mut self, groups: &mut [Option<WindowOperator>]) {
        match (self.rest.last_mut(), &mut self.first) {
            (Some(step), _) => step.refresh(),
            (None, First::Set { group, set }) => {
                if let Some(operator) = groups.get_mut(*group).and_then(Option::as_mut) {
                    operator.refresh(*set);
                }
            }
            (None, First::Group(operator)) => operator.refresh(),
            (None, First::Latest(operator)) => operator.refresh(),
            (None, First::None | First::Over(_)) => {}
        }
    }

    /// Counters of the operators that are the query's own.
    #[must_use]
    pub fn stats(&self) -> Vec<OperatorStats> {
        let first = match &self.first {
            First::Group(operator) => Some(operator.stats()),
            First::Latest(operator) => Some(operator.stats()),
            First::Over(operator) => Some(operator.stats()),
            First::None | First::Set { .. } => None,
        };
        first
            .into_iter()
            .chain(self.rest.iter().map(StepState::stats))
            .collect()
    }
}
