//! Decodes chunks and evaluates the scan program, several side by side.

use super::bad::SideRow;
use super::change::Change;
use super::dedup::hash_keys;
use super::program::{Evaluation, ScanProgram};
use crate::checkpoint::Barrier;
use crate::error::EngineError;
use crate::expr::{Expr, evaluate};
use crate::status::SourceHandle;
use crate::task::{Poll, Task};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{
    DataType, FieldRef, Schema, SchemaRef, TimestampMicrosecondType, UInt64Type,
};
use crossbeam_channel::{Receiver, Sender};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tidewheel_core::decode::BAD_ROW_BYTES_MAX;
use tidewheel_core::spare;
use tidewheel_core::time::{MICROS_PER_MILLI, pack_seq, pack_seq_at};
use tidewheel_core::{ConnectorError, DecodeRequest, Decoder, Format, Mark, RawChunk, SourceEvent};
use tidewheel_sql::plan::MetadataColumn;

/// A chunk on its way to a worker.
#[derive(Debug)]
pub struct Work {
    /// Its place in the reader's order.
    pub ticket: u64,
    /// The wall clock when it was read, milliseconds.
    pub read_at_ms: i64,
    /// What to evaluate.
    pub program: Arc<ScanProgram>,
    /// The records.
    pub chunk: RawChunk,
}

/// What reaches the sequencer under a ticket.
#[derive(Debug)]
pub enum Output {
    /// A decoded and evaluated chunk.
    Batch(Box<Prepared>),
    /// What the source said besides records.
    Event(SourceEvent),
    /// From here on, other queries.
    Change(Box<Change>),
    /// State is to be saved as it is here.
    Barrier {
        /// The cut.
        barrier: Barrier,
        /// By partition, what the last record before it was.
        marks: BTreeMap<u32, Mark>,
    },
    /// The reading of history has come to where it meets the live one.
    HandOver,
    /// The table is read no more: its queries are gone.
    Removed,
    /// The source or a worker cannot go on.
    Failed(EngineError),
    /// The reader has stopped: nothing follows.
    Stopped,
}

/// A chunk, decoded and evaluated.
#[derive(Debug)]
pub struct Prepared {
    /// The wall clock when the chunk was read, milliseconds.
    pub read_at_ms: i64,
    /// The partition.
    pub partition: u32,
    /// The offset after the chunk.
    pub next_offset: u64,
    /// Results for each good row.
    pub evaluation: Evaluation,
    /// Event time of each good row, microseconds.
    pub time: Vec<i64>,
    /// Value of the WATERMARK expression for each good row, microseconds.
    pub watermark: Vec<i64>,
    /// Second part of each good row's order.
    pub seq: Vec<u64>,
    /// Partition and offset of each good row, packed, where `seq` is something else.
    pub places: Option<Vec<u64>>,
    /// Hash of each good row's repeat key, where the table has one.
    pub dedup: Option<Vec<Option<u128>>>,
    /// Bad rows, future ones included.
    pub bad: Vec<SideRow>,
    /// How many of `bad` are future rows.
    pub future: usize,
    /// How many of `bad` are tombstones.
    pub tombstones: usize,
    /// How far event times lie beyond their records' timestamps at most, milliseconds, where
    /// records have any.
    pub lead_ms: Option<i64>,
    /// When its newest record was made: its timestamp, or without one its event time;
    /// milliseconds.
    pub newest_ms: Option<i64>,
    /// Values passed over since their schema is none that the table knows.
    pub unknown_schemas: u64,
    /// Records in the chunk.
    pub records: u64,
    /// Bytes in the chunk.
    pub bytes: usize,
}

/// How a source table's records become rows.
#[derive(Clone)]
pub struct TableReading {
    /// The name that bad rows carry: topic, path, or the table's name.
    pub topic: String,
    /// The format.
    pub format: Arc<dyn Format>,
    /// What to decode.
    pub request: DecodeRequest,
    /// For each decoded column, its index in the schema.
    pub decoded: Vec<usize>,
    /// METADATA columns, each with its index in the schema.
    pub metadata: Vec<(usize, MetadataColumn)>,
    /// The scan's schema; a column that is neither decoded nor metadata is NULL.
    pub schema: SchemaRef,
    /// Event time.
    pub event_time: Option<Expr>,
    /// WATERMARK expression.
    pub watermark: Option<Expr>,
    /// Repeat key.
    pub dedup: Option<Vec<Expr>>,
    /// Column that breaks ties.
    pub order_by: Option<Expr>,
    /// `scan.max-ahead`, microseconds.
    pub max_ahead: i64,
}

impl TableReading {
    /// The same, without columns that neither these expressions nor the table's own read.
    #[must_use]
    pub fn only<'a>(&'a self, exprs: impl Iterator<Item = &'a Expr>) -> Self {
        let own = self.event_time.iter().chain(&self.watermark);
        let own = own.chain(self.dedup.iter().flatten()).chain(&self.order_by);
        let mut used = BTreeSet::new();
        for expr in own.chain(exprs) {
            used.extend(collect_columns(expr).iter().map(Column::index));
        }
        let mut only = self.clone();
        let mut kept = Vec::new();
        only.decoded.clear();
        for (column, at) in self.request.columns.iter().zip(&self.decoded) {
            if used.contains(at) {
                kept.push(column.clone());
                only.decoded.push(*at);
            }
        }
        only.request.columns = kept;
        only.metadata.retain(|(at, _)| used.contains(at));
        only
    }

    /// The same with all that `other` reads of the same table, and for each column of `other`'s
    /// schema its index in the new one.
    #[must_use]
    pub fn grow(&self, other: &Self) -> (Self, Vec<usize>) {
        let mut grown = self.clone();
        let mut fields: Vec<FieldRef> = self.schema.fields().iter().cloned().collect();
        let mut places: Vec<usize> = (0..other.schema.fields().len()).collect();
        for (column, at) in other.request.columns.iter().zip(&other.decoded) {
            let known = grown
                .request
                .columns
                .iter()
                .position(|known| known == column);
            places[*at] = known.map_or(fields.len(), |known| grown.decoded[known]);
            if known.is_none() {
                grown.request.columns.push(column.clone());
                grown.decoded.push(fields.len());
                fields.push(Arc::clone(&other.schema.fields()[*at]));
            }
        }
        for (at, column) in &other.metadata {
            let known = grown.metadata.iter().find(|(_, known)| known == column);
            places[*at] = known.map_or(fields.len(), |(place, _)| *place);
            if places[*at] == fields.len() {
                grown.metadata.push((fields.len(), column.clone()));
                fields.push(Arc::clone(&other.schema.fields()[*at]));
            }
        }
        grown.schema = SchemaRef::new(Schema::new(fields));
        (grown, places)
    }

    /// A decoder for it.
    ///
    /// # Errors
    /// The format refuses an option or a column's type.
    pub fn decoder(&self) -> Result<Box<dyn Decoder>, ConnectorError> {
        self.format.decoder(&self.request)
    }
}

/// Decodes and evaluates.
pub struct Worker {
    /// The table's name, for errors.
    pub table: String,
    /// Its number, for its name.
    pub number: usize,
    /// The decoder of the program that was evaluated last.
    pub decoder: Option<(Arc<ScanProgram>, Box<dyn Decoder>)>,
    /// Chunks to decode, shared by all workers.
    pub inbox: Receiver<Work>,
    /// Where results go.
    pub outbox: Sender<(u64, Output)>,
    /// Where it is shown how many chunks wait.
    pub handle: Arc<SourceHandle>,
}

/// Event times of the good rows.
struct Times {
    time: Vec<i64>,
    watermark: Vec<i64>,
}

impl Worker {
    fn prepare(&mut self, work: &Work) -> Result<Prepared, EngineError> {
        let reading = Arc::clone(&work.program.reading);
        let decoder = match &mut self.decoder {
            Some((program, decoder)) if Arc::ptr_eq(program, &work.program) => decoder,
            other => {
                let decoder = reading.decoder().map_err(|error| EngineError::Table {
                    table: self.table.clone(),
                    message: error.message,
                })?;
                &mut other.insert((Arc::clone(&work.program), decoder)).1
            }
        };
        reading.prepare(decoder.as_mut(), work)
    }
}

impl TableReading {
    fn prepare(&self, decoder: &mut dyn Decoder, work: &Work) -> Result<Prepared, EngineError> {
        let chunk = &work.chunk;
        let decoded = decoder.decode(chunk);
        let tombstones = decoded
            .bad
            .iter()
            .filter(|row| row.reason == "tombstone")
            .count();
        let mut bad: Vec<SideRow> = decoded
            .bad
            .iter()
            .map(|row| self.side_row(chunk.partition, row.offset, &row.reason, Some(&row.bytes)))
            .collect();
        let mut batch = self.with_metadata(&decoded, chunk)?;
        let (mut offsets, mut positions) = (decoded.offsets, decoded.positions);
        let (times, keep, future) =
            self.times(&batch, chunk, &offsets, work.read_at_ms, &mut bad)?;
        let lead_ms = match keep {
            None => lead(&times.time, &decoded.records, &chunk.meta.timestamps),
            Some(_) => None,
        };
        if let Some(keep) = keep {
            batch = filter_record_batch(&batch, &keep)
                .map_err(|error| EngineError::Expression(error.to_string()))?;
            let mut flags = keep.values().iter();
            offsets.retain(|_| flags.next().unwrap_or(false));
            let mut flags = keep.values().iter();
            positions.retain(|_| flags.next().unwrap_or(false));
        }
        let places: Vec<u64> = if positions.is_empty() {
            offsets
                .iter()
                .map(|offset| pack_seq(chunk.partition, *offset))
                .collect()
        } else {
            offsets
                .iter()
                .zip(&positions)
                .map(|(offset, at)| pack_seq_at(chunk.partition, *offset, *at))
                .collect()
        };
        let (seq, places) = match &self.order_by {
            None => (places, None),
            Some(expr) => {
                let array = evaluate(expr, &batch)?.array;
                let array = cast(&array, &DataType::UInt64)
                    .map_err(|error| EngineError::Expression(error.to_string()))?;
                // Without a value a row comes before all others of its time.
                let values = array.as_primitive::<UInt64Type>().iter();
                (
                    values.map(Option::unwrap_or_default).collect(),
                    Some(places),
                )
            }
        };
        let dedup = match &self.dedup {
            None => None,
            Some(exprs) => {
                let columns = exprs
                    .iter()
                    .map(|expr| evaluate(expr, &batch).map(|result| result.array))
                    .collect::<Result<Vec<_>, _>>()?;
                Some(hash_keys(&columns))
            }
        };
        let newest_ms = match chunk.meta.timestamps.last() {
            Some(timestamp) => Some(*timestamp),
            None => times.time.iter().max().map(|time| time / MICROS_PER_MILLI),
        };
        Ok(Prepared {
            read_at_ms: work.read_at_ms,
            lead_ms,
            newest_ms,
            partition: chunk.partition,
            next_offset: chunk.next_offset,
            evaluation: work.program.evaluate(&batch)?,
            time: times.time,
            watermark: times.watermark,
            seq,
            places,
            dedup,
            bad,
            future,
            tombstones,
            unknown_schemas: decoded.unknown_schemas,
            records: decoded.record_count,
            bytes: chunk.data.len(),
        })
    }

    fn side_row(&self, partition: u32, offset: u64, reason: &str, bytes: Option<&[u8]>) -> SideRow {
        SideRow {
            topic: self.topic.clone(),
            partition,
            offset,
            reason: reason.to_owned(),
            query: String::new(),
            event_time: None,
            record: bytes.map(<[u8]>::to_vec),
        }
    }

    /// Event time and watermark of each row that has a usable one; which rows those are, where
    /// not all; and how many lie too far ahead.
    fn times(
        &self,
        batch: &RecordBatch,
        chunk: &RawChunk,
        offsets: &[u64],
        read_at_ms: i64,
        bad: &mut Vec<SideRow>,
    ) -> Result<(Times, Option<BooleanArray>, usize), EngineError> {
        let rows = batch.num_rows();
        let Some(event_time) = &self.event_time else {
            return Ok((
                Times {
                    time: vec![0; rows],
                    watermark: vec![0; rows],
                },
                None,
                0,
            ));
        };
        let limit = read_at_ms
            .saturating_mul(1_000)
            .saturating_add(self.max_ahead);
        let micros =
            |expr: &Expr| -> Result<ArrayRef, EngineError> { Ok(evaluate(expr, batch)?.array) };
        let time = micros(event_time)?;
        let time = time.as_primitive::<TimestampMicrosecondType>();
        let watermark = match &self.watermark {
            Some(expr) => micros(expr)?,
            None => Arc::new(time.clone()),
        };
        let watermark = watermark.as_primitive::<TimestampMicrosecondType>();
        let fine = |row: usize| time.is_valid(row) && time.value(row) <= limit;
        if (0..rows).all(fine) {
            let watermark = (0..rows)
                .map(|row| {
                    if watermark.is_valid(row) {
                        watermark.value(row)
                    } else {
                        i64::MIN
                    }
                })
                .collect();
            return Ok((
                Times {
                    time: time.values().to_vec(),
                    watermark,
                },
                None,
                0,
            ));
        }
        let mut future = 0;
        let mut times = Times {
            time: Vec::with_capacity(rows),
            watermark: Vec::new(),
        };
        let mut keep = Vec::with_capacity(rows);
        for (row, &offset) in offsets.iter().enumerate() {
            keep.push(fine(row));
            if fine(row) {
                times.time.push(time.value(row));
                let value = if watermark.is_valid(row) {
                    watermark.value(row)
                } else {
                    i64::MIN
                };
                times.watermark.push(value);
                continue;
            }
            let ahead = time.is_valid(row);
            future += usize::from(ahead);
            let reason = if ahead {
                "event time too far ahead of the wall clock"
            } else {
                "no event time, or an unreadable one"
            };
            let record = chunk.record_at(offset);
            let record = record.map(|bytes| bytes.get(..BAD_ROW_BYTES_MAX).unwrap_or(bytes));
            let mut side = self.side_row(chunk.partition, offset, reason, record);
            side.event_time = ahead.then(|| time.value(row));
            bad.push(side);
        }
        Ok((times, Some(BooleanArray::from(keep)), future))
    }
}

/// How far event times (microseconds) lie beyond their records' timestamps at most, milliseconds.
fn lead(time: &[i64], records: &[u32], timestamps: &[i64]) -> Option<i64> {
    let stamps = records
        .iter()
        .map(|record| timestamps.get(*record as usize));
    time.iter()
        .zip(stamps)
        .filter_map(|(time, stamp)| Some(time / MICROS_PER_MILLI - stamp?))
        .max()
}

impl Task for Worker {
    fn poll(&mut self) -> Poll {
        match self.inbox.try_recv() {
            Ok(work) => {
                self.handle.queued.fetch_sub(1, Relaxed);
                let output = match self.prepare(&work) {
                    Ok(prepared) => Output::Batch(Box::new(prepared)),
                    Err(error) => Output::Failed(error),
                };
                spare::give(work.chunk.data);
                match self.outbox.send((work.ticket, output)) {
                    Ok(()) => Poll::Ready,
                    Err(_) => Poll::Done,
                }
            }
            Err(crossbeam_channel::TryRecvError::Empty) => Poll::Idle(None),
            Err(crossbeam_channel::TryRecvError::Disconnected) => Poll::Done,
        }
    }

    fn wait(&self, timeout: Option<Duration>) {
        crate::task::wait_for(&self.inbox, timeout);
    }

    fn name(&self) -> String {
        format!("decode {} {}", self.table, self.number)
    }
}
