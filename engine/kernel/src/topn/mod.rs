//! Top-N: the first rows of each partition by an order, kept while rows come, change and go.
//!
//! All rows of a partition are held in a search tree by their order, so a change costs
//! O(log rows). What has left the operator is remembered too, and [`TopNOperator::take_changes`]
//! gives the difference between it and the first `limit` rows of the partitions that changed:
//! what came and went between two calls is never seen.

mod partition;
mod save;
mod show;

use crate::change::OperatorStats;
use crate::rows::RowCodec;
use crate::saved::ChangedKeys;
use crate::spec::WINDOW_TIME_GAP;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use hashbrown::HashMap;
use partition::{Partition, Row};
use show::{Change, Shown};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use tidewheel_core::time::{END_OF_TIME, NO_TIME};
use tidewheel_core::{EventTime, Op};

/// Name of the column that [`TopNOperator::take_changes`] appends.
pub const RANK_COLUMN: &str = "rank";

/// A column of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortColumn {
    /// The input column.
    pub column: usize,
    /// Largest first.
    pub descending: bool,
    /// NULLs before all others.
    pub nulls_first: bool,
}

/// What the rank means to who reads the changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// Nothing: a row is not emitted for a change of its rank alone.
    Unused,
    /// A column like others; the identity stays the rows' key.
    Column,
    /// With the partition, it is the key of the output: one row a rank.
    Key,
}

/// What to keep.
#[derive(Debug, Clone)]
pub struct TopNSpec {
    /// The input columns that make a row's identity: an upsert replaces the row with the same.
    pub identity: Vec<usize>,
    /// The input columns of the partition.
    pub partition: Vec<usize>,
    /// The order; ties go by the bytes of the identity.
    pub order: Vec<SortColumn>,
    /// How many rows of each partition are emitted.
    pub limit: usize,
    /// What the rank is for.
    pub rank: Rank,
    /// Index of an input column with a window's end, Timestamp(Microsecond). It is part of the
    /// partition, which is dropped when the watermark passes it.
    pub window_end: Option<usize>,
}

/// Rows that changed.
#[derive(Debug, Clone)]
pub struct RankChanges {
    /// The rows: the input's columns, then [`RANK_COLUMN`].
    pub rows: RecordBatch,
    /// What became of each.
    pub ops: Vec<Op>,
    /// When each runs empty; of a row that is deleted it says nothing.
    pub empty_at: Vec<EventTime>,
}

/// A row's partition, and its place in the partition's tree.
type Place = (u32, Arc<[u8]>);

/// The first rows of each partition.
#[derive(Debug)]
pub struct TopNOperator {
    input_schema: SchemaRef,
    output_schema: SchemaRef,
    spec: TopNSpec,
    identity_codec: RowCodec,
    partition_codec: RowCodec,
    order_codec: RowCodec,
    row_codec: RowCodec,
    /// Where each row is: its partition and its place in the partition's tree.
    by_identity: HashMap<Arc<[u8]>, Place>,
    by_partition: HashMap<Box<[u8]>, u32>,
    partitions: Vec<Partition>,
    free: Vec<u32>,
    dirty: VecDeque<u32>,
    /// Rows that are to be taken though they did not change.
    again: Vec<Change>,
    /// What readers have of each identity; unused where the rank is the key.
    shown: Shown,
    /// Partitions by their window's end.
    ends: BTreeSet<(EventTime, u32)>,
    watermark: EventTime,
    late_rows: u64,
    unknown_retractions: u64,
    /// Of the rows held, estimated.
    bytes: usize,
    /// How many of the spec's partition columns were given.
    own_columns: usize,
    /// The reader may have any row.
    standing: bool,
    /// What changed since the last save, where there was one.
    changed: Option<ChangedKeys>,
}

impl TopNOperator {
    /// An operator over rows of `schema`.
    ///
    /// # Errors
    /// A column index is out of range, a type has no row format, or the window's end is no
    /// Timestamp(Microsecond).
    pub fn new(schema: SchemaRef, mut spec: TopNSpec) -> Result<Self, ArrowError> {
        let own_columns = spec.partition.len();
        if let Some(end) = spec.window_end {
            let data_type = column_type(&schema, end)?;
            if !matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, _)) {
                return Err(ArrowError::InvalidArgumentError(format!(
                    "the window's end must be a timestamp in microseconds, not {data_type}"
                )));
            }
            if !spec.partition.contains(&end) {
                spec.partition.push(end);
            }
        }
        let types = |columns: &[usize]| -> Result<Vec<DataType>, ArrowError> {
            columns
                .iter()
                .map(|&column| column_type(&schema, column))
                .collect()
        };
        let order: Vec<(DataType, SortOptions)> = spec
            .order
            .iter()
            .map(|key| {
                let options = SortOptions {
                    descending: key.descending,
                    nulls_first: key.nulls_first,
                };
                Ok((column_type(&schema, key.column)?, options))
            })
            .collect::<Result<_, ArrowError>>()?;
        let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new(RANK_COLUMN, DataType::Int64, false)));
        Ok(Self {
            identity_codec: RowCodec::new(&types(&spec.identity)?)?,
            partition_codec: RowCodec::new(&types(&spec.partition)?)?,
            order_codec: RowCodec::ordered(order.iter().map(|(t, options)| (t, *options)))?,
            row_codec: RowCodec::new(schema.fields().iter().map(|field| field.data_type()))?,
            output_schema: Arc::new(Schema::new(fields)),
            input_schema: schema,
            spec,
            by_identity: HashMap::new(),
            by_partition: HashMap::new(),
            partitions: Vec::new(),
            free: Vec::new(),
            dirty: VecDeque::new(),
            again: Vec::new(),
            shown: Shown::default(),
            ends: BTreeSet::new(),
            watermark: NO_TIME,
            late_rows: 0,
            unknown_retractions: 0,
            bytes: 0,
            own_columns,
            standing: false,
            changed: None,
        })
    }

    /// The schema of the changes: the input's columns, then [`RANK_COLUMN`].
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.output_schema)
    }

    /// Takes in changes: upserts and deletes of rows by identity, in order. Of a delete only the
    /// identity's columns are read. Rows of a window that [`TopNOperator::advance`] has passed
    /// are counted and left out. `empty_at` says when each row runs empty; without, none does.
    ///
    /// # Errors
    /// The batch is not of the operator's schema, or has not one operation (and end) a row.
    pub fn process(
        &mut self,
        batch: &RecordBatch,
        ops: &[Op],
        empty_at: Option<&[EventTime]>,
    ) -> Result<(), ArrowError> {
        let has_ends = empty_at.is_none_or(|ends| ends.len() == ops.len());
        if batch.num_rows() != ops.len()
            || !has_ends
            || batch.num_columns() != self.input_schema.fields().len()
        {
            return Err(ArrowError::InvalidArgumentError(format!(
                "{} rows of {} columns with {} operations do not fit this top-N",
                batch.num_rows(),
                batch.num_columns(),
                ops.len()
            )));
        }
        let pick = |columns: &[usize]| -> Vec<ArrayRef> {
            columns
                .iter()
                .map(|&column| Arc::clone(batch.column(column)))
                .collect()
        };
        let identities = self.identity_codec.encode(&pick(&self.spec.identity))?;
        let partitions = self.partition_codec.encode(&pick(&self.spec.partition))?;
        let order_columns: Vec<usize> = self.spec.order.iter().map(|key| key.column).collect();
        let orders = self.order_codec.encode(&pick(&order_columns))?;
        let rows = self.row_codec.encode(batch.columns())?;
        let ends = self.spec.window_end.map(|end| batch.column(end));
        for (at, op) in ops.iter().enumerate() {
            let identity = identities.row(at);
            match op {
                Op::Delete => {
                    if !self.remove(identity) {
                        self.unknown_retractions += 1;
                        if self.standing {
                            self.assume_gone(identity, rows.row(at));
                        }
                    }
                }
                Op::Upsert => {
                    let end = window_end(ends, at);
                    if self.has_passed(end) {
                        self.late_rows += 1;
                        continue;
                    }
                    self.upsert(
                        identity,
                        partitions.row(at),
                        orders.row(at),
                        rows.row(at),
                        end,
                        empty_at.map_or(END_OF_TIME, |ends| ends[at]),
                    );
                }
            }
        }
        Ok(())
    }

    /// Tells the watermark: partitions whose window it has passed are dropped without a change,
    /// once their last changes were taken. To be called after the rows that the same watermark
    /// released were processed; where late rows still change windows, with the watermark less
    /// the allowed lateness.
    pub fn advance(&mut self, watermark: EventTime) {
        self.watermark = self.watermark.max(watermark);
        while let Some(&(end, partition)) = self.ends.first() {
            if !self.has_passed(end) {
                break;
            }
            self.ends.pop_first();
            let state = &mut self.partitions[partition as usize];
            if state.is_dirty() {
                state.close();
            } else {
                self.drop_partition(partition);
            }
        }
    }

    /// All rows that were shown are to be taken again.
    pub fn refresh(&mut self) {
        let mut partitions: Vec<u32> = self.by_partition.values().copied().collect();
        partitions.sort_unstable();
        self.again.retain(|change| change.op == Op::Delete);
        for partition in partitions {
            let shown = self.partitions[partition as usize].shown();
            let by_rank = matches!(self.spec.rank, Rank::Key);
            for (rank, row) in (1..).zip(shown) {
                if self.shown.is_assumed(&row.identity) {
                    // What became of it is told in any case.
                    continue;
                }
                let held = self.by_identity.get(&row.identity);
                let empty_at = held.and_then(|(partition, place)| {
                    Some(self.partitions[*partition as usize].row(place)?.empty_at)
                });
                let empty_at = empty_at.unwrap_or(row.empty_at);
                let told = self.shown.again(&row.identity, empty_at);
                self.again.push(match told {
                    Some(told) if !by_rank => Change { rank, ..told },
                    _ => Change {
                        columns: Arc::clone(&row.columns),
                        rank,
                        op: Op::Upsert,
                        empty_at,
                    },
                });
            }
        }
    }

    /// Tells the frontier: rows that were shown, and of which was said that they run empty by
    /// now, are to be taken again where they have been given a later end since. Of readers that
    /// know rows by rank none is told.
    pub fn renew(&mut self, frontier: EventTime) {
        while let Some(identity) = self.shown.next_longer(frontier) {
            let Some((partition, place)) = self.by_identity.get(&identity) else {
                continue;
            };
            let row = self.partitions[*partition as usize].row(place);
            let change = row.and_then(|row| self.shown.again(&identity, row.empty_at));
            self.again.extend(change);
        }
    }

    /// The net changes since the last call, of as many partitions as it takes to fill `max` rows
    /// (one partition's changes are never split); `None` where there are none. Deletes come
    /// before upserts within a partition, and hold the whole row as it was shown.
    ///
    /// # Errors
    /// The rows do not fit the schema; not to be expected.
    pub fn take_changes(&mut self, max: usize) -> Result<Option<RankChanges>, ArrowError> {
        let mut changes: Vec<Change> = std::mem::take(&mut self.again);
        while changes.len() < max.max(1) {
            let Some(partition) = self.dirty.pop_front() else {
                break;
            };
            self.touch(partition);
            let state = &mut self.partitions[partition as usize];
            let first = state.first(self.spec.limit);
            match self.spec.rank {
                Rank::Key => show::by_rank(state.shown(), &first, &mut changes),
                Rank::Column => {
                    self.shown
                        .diff(partition, state.shown(), &first, true, &mut changes);
                }
                Rank::Unused => {
                    self.shown
                        .diff(partition, state.shown(), &first, false, &mut changes);
                }
            }
            let gone = state.set_shown(first);
            for moved in self.shown.take_moved() {
                self.touch(moved);
            }
            if gone {
                self.drop_partition(partition);
            }
        }
        if changes.is_empty() {
            return Ok(None);
        }
        let mut columns = self
            .row_codec
            .decode(changes.iter().map(|change| change.columns.as_ref()))?;
        columns.push(Arc::new(Int64Array::from_iter_values(
            changes.iter().map(|c| c.rank),
        )));
        Ok(Some(RankChanges {
            rows: RecordBatch::try_new(self.schema(), columns)?,
            ops: changes.iter().map(|change| change.op).collect(),
            empty_at: changes.iter().map(|change| change.empty_at).collect(),
        }))
    }

    /// Whether [`TopNOperator::take_changes`] may have something to give.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.dirty.is_empty() || !self.again.is_empty()
    }

    /// Counters; `keys` are partitions, `slices` rows.
    #[must_use]
    pub fn stats(&self) -> OperatorStats {
        let of_partitions = self.partitions.len() * size_of::<Partition>();
        OperatorStats {
            keys: self.by_partition.len() as u64,
            slices: self.by_identity.len() as u64,
            late_rows: self.late_rows,
            unknown_retractions: self.unknown_retractions,
            bound_reached: 0,
            state_bytes: (self.bytes + of_partitions) as u64,
        }
    }

    fn has_passed(&self, end: EventTime) -> bool {
        end != END_OF_TIME && end.saturating_sub(WINDOW_TIME_GAP) <= self.watermark
    }

    fn upsert(
        &mut self,
        identity: &[u8],
        partition: &[u8],
        order: &[u8],
        columns: &[u8],
        end: EventTime,
        empty_at: EventTime,
    ) {
        let target = self.partition(partition, end);
        let place: Arc<[u8]> = [order, identity].concat().into();
        self.touch(target);
        if self.standing {
            let row = Row {
                identity: identity.into(),
                columns: columns.into(),
                empty_at,
            };
            self.assume_row(target, row);
        }
        if let Some((held_in, held_at)) = self.by_identity.get(identity)
            && *held_in == target
            && *held_at == place
        {
            let state = &mut self.partitions[target as usize];
            if let Some(old_len) = state.replace(&place, columns, empty_at) {
                self.bytes = (self.bytes + columns.len()).saturating_sub(old_len);
                if state.mark(&place, self.spec.limit) {
                    self.dirty.push_back(target);
                }
            }
            return;
        }
        self.remove(identity);
        let identity: Arc<[u8]> = identity.into();
        self.by_identity
            .insert(Arc::clone(&identity), (target, Arc::clone(&place)));
        let state = &mut self.partitions[target as usize];
        if state.mark(&place, self.spec.limit) {
            self.dirty.push_back(target);
        }
        self.bytes += state.insert(
            place,
            Row {
                identity,
                columns: columns.into(),
                empty_at,
            },
        );
    }

    /// Takes a row out; false where there is none.
    fn remove(&mut self, identity: &[u8]) -> bool {
        let Some((partition, place)) = self.by_identity.remove(identity) else {
            return false;
        };
        self.touch(partition);
        let state = &mut self.partitions[partition as usize];
        self.bytes = self.bytes.saturating_sub(state.remove(&place));
        if state.mark(&place, self.spec.limit) {
            self.dirty.push_back(partition);
        }
        true
    }

    fn partition(&mut self, key: &[u8], end: EventTime) -> u32 {
        if let Some(&partition) = self.by_partition.get(key) {
            return partition;
        }
        let state = Partition::new(key.into(), end);
        let partition = if let Some(partition) = self.free.pop() {
            self.partitions[partition as usize] = state;
            partition
        } else {
            self.partitions.push(state);
            u32::try_from(self.partitions.len() - 1).unwrap_or(u32::MAX)
        };
        self.by_partition.insert(key.into(), partition);
        if end != END_OF_TIME {
            self.ends.insert((end, partition));
        }
        partition
    }

    fn touch(&mut self, partition: u32) {
        if let Some(changed) = &mut self.changed {
            changed.touch(partition);
        }
    }

    fn drop_partition(&mut self, partition: u32) {
        let state = self.partitions[partition as usize].take();
        self.by_partition.remove(state.key());
        if let Some(changed) = &mut self.changed
            && !changed.forget(partition, state.key(), self.by_partition.len())
        {
            self.changed = None;
        }
        self.ends.remove(&(state.end(), partition));
        for (place, row) in state.rows() {
            self.by_identity.remove(&row.identity);
            self.bytes = self.bytes.saturating_sub(partition::bytes(place, row));
        }
        self.shown.forget(partition, state.shown());
        self.free.push(partition);
    }
}

fn column_type(schema: &Schema, column: usize) -> Result<DataType, ArrowError> {
    schema
        .fields()
        .get(column)
        .map(|field| field.data_type().clone())
        .ok_or_else(|| {
            ArrowError::InvalidArgumentError(format!("there is no input column {column}"))
        })
}

fn window_end(column: Option<&ArrayRef>, row: usize) -> EventTime {
    match column {
        Some(column) if column.is_valid(row) => {
            column.as_primitive::<TimestampMicrosecondType>().value(row)
        }
        _ => END_OF_TIME,
    }
}
