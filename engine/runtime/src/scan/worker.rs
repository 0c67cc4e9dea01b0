//! Decodes chunks and evaluates the scan program, several side by side.

use super::bad::SideRow;
use super::dedup::hash_keys;
use super::program::{Evaluation, ScanProgram};
use crate::error::EngineError;
use crate::expr::{Expr, evaluate};
use crate::task::{Poll, Task};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Int64Array, MapBuilder, RecordBatch,
    StringBuilder, StringViewArray, TimestampMillisecondArray, new_null_array,
};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, SchemaRef, TimestampMicrosecondType, UInt64Type};
use crossbeam_channel::{Receiver, Sender};
use std::sync::Arc;
use std::time::Duration;
use tidewheel_core::decode::BAD_ROW_BYTES_MAX;
use tidewheel_core::time::pack_seq;
use tidewheel_core::{Decoded, Decoder, RawChunk, SourceEvent};
use tidewheel_sql::plan::{MetadataColumn, MetadataKind};

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
    /// The source or a worker cannot go on.
    Failed(EngineError),
    /// The reader has stopped: nothing follows.
    Stopped,
}

/// A chunk, decoded and evaluated.
#[derive(Debug)]
pub struct Prepared {
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
    /// Hash of each good row's repeat key, where the table has one.
    pub dedup: Option<Vec<Option<u128>>>,
    /// Bad rows, future ones included.
    pub bad: Vec<SideRow>,
    /// How many of `bad` are future rows.
    pub future: usize,
    /// How many of `bad` are tombstones.
    pub tombstones: usize,
    /// Records in the chunk.
    pub records: u64,
    /// Bytes in the chunk.
    pub bytes: usize,
}

/// What a worker needs to know of its source table.
#[derive(Clone)]
pub struct TableReading {
    /// The name that bad rows carry: topic, path, or the table's name.
    pub topic: String,
    /// METADATA columns after the decoder's.
    pub metadata: Vec<MetadataColumn>,
    /// The scan's schema.
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

/// Decodes and evaluates.
pub struct Worker {
    /// Its number, for its name.
    pub number: usize,
    /// What to know of the table.
    pub reading: TableReading,
    /// The decoder.
    pub decoder: Box<dyn Decoder>,
    /// Chunks to decode, shared by all workers.
    pub inbox: Receiver<Work>,
    /// Where results go.
    pub outbox: Sender<(u64, Output)>,
}

/// Event times of the good rows.
struct Times {
    time: Vec<i64>,
    watermark: Vec<i64>,
}

impl Worker {
    fn prepare(&mut self, work: &Work) -> Result<Prepared, EngineError> {
        let chunk = &work.chunk;
        let decoded = self.decoder.decode(chunk);
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
        let mut offsets = decoded.offsets;
        let (times, keep, future) =
            self.times(&batch, chunk, &offsets, work.read_at_ms, &mut bad)?;
        if let Some(keep) = keep {
            batch = filter_record_batch(&batch, &keep)
                .map_err(|error| EngineError::Expression(error.to_string()))?;
            let mut flags = keep.values().iter();
            offsets.retain(|_| flags.next().unwrap_or(false));
        }
        let seq = match &self.reading.order_by {
            None => offsets
                .iter()
                .map(|offset| pack_seq(chunk.partition, *offset))
                .collect(),
            Some(expr) => {
                let array = evaluate(expr, &batch)?.array;
                let array = cast(&array, &DataType::UInt64)
                    .map_err(|error| EngineError::Expression(error.to_string()))?;
                array.as_primitive::<UInt64Type>().values().to_vec()
            }
        };
        let dedup = match &self.reading.dedup {
            None => None,
            Some(exprs) => {
                let columns = exprs
                    .iter()
                    .map(|expr| evaluate(expr, &batch).map(|result| result.array))
                    .collect::<Result<Vec<_>, _>>()?;
                Some(hash_keys(&columns))
            }
        };
        Ok(Prepared {
            partition: chunk.partition,
            next_offset: chunk.next_offset,
            evaluation: work.program.evaluate(&batch)?,
            time: times.time,
            watermark: times.watermark,
            seq,
            dedup,
            bad,
            future,
            tombstones,
            records: decoded.record_count,
            bytes: chunk.data.len(),
        })
    }

    fn side_row(&self, partition: u32, offset: u64, reason: &str, bytes: Option<&[u8]>) -> SideRow {
        SideRow {
            topic: self.reading.topic.clone(),
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
        let Some(event_time) = &self.reading.event_time else {
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
            .saturating_add(self.reading.max_ahead);
        let micros =
            |expr: &Expr| -> Result<ArrayRef, EngineError> { Ok(evaluate(expr, batch)?.array) };
        let time = micros(event_time)?;
        let time = time.as_primitive::<TimestampMicrosecondType>();
        let watermark = match &self.reading.watermark {
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
        for row in 0..rows {
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
            let record = chunk.record_at(offsets[row]);
            let record = record.map(|bytes| bytes.get(..BAD_ROW_BYTES_MAX).unwrap_or(bytes));
            let mut side = self.side_row(chunk.partition, offsets[row], reason, record);
            side.event_time = ahead.then(|| time.value(row));
            bad.push(side);
        }
        Ok((times, Some(BooleanArray::from(keep)), future))
    }

    fn with_metadata(
        &self,
        decoded: &Decoded,
        chunk: &RawChunk,
    ) -> Result<RecordBatch, EngineError> {
        if self.reading.metadata.is_empty() {
            return Ok(decoded.batch.clone());
        }
        let mut columns = decoded.batch.columns().to_vec();
        for column in &self.reading.metadata {
            let plain = self.metadata_column(column, decoded, chunk);
            let typed = cast(&plain, &column.data_type)
                .unwrap_or_else(|_| new_null_array(&column.data_type, plain.len()));
            columns.push(typed);
        }
        let options = arrow::record_batch::RecordBatchOptions::new()
            .with_row_count(Some(decoded.offsets.len()));
        RecordBatch::try_new_with_options(SchemaRef::clone(&self.reading.schema), columns, &options)
            .map_err(|error| EngineError::Expression(error.to_string()))
    }

    fn metadata_column(
        &self,
        column: &MetadataColumn,
        decoded: &Decoded,
        chunk: &RawChunk,
    ) -> ArrayRef {
        let rows = decoded.offsets.len();
        let records = decoded.records.iter().map(|record| *record as usize);
        match column.kind {
            MetadataKind::Partition => {
                Arc::new(Int64Array::from(vec![i64::from(chunk.partition); rows]))
            }
            MetadataKind::Offset => Arc::new(
                decoded
                    .offsets
                    .iter()
                    .map(|o| i64::try_from(*o).ok())
                    .collect::<Int64Array>(),
            ),
            MetadataKind::Timestamp => Arc::new(
                records
                    .map(|record| chunk.meta.timestamps.get(record).copied())
                    .collect::<TimestampMillisecondArray>(),
            ),
            MetadataKind::Key => Arc::new(
                records
                    .map(|record| chunk.meta.keys.get(record).and_then(|key| key.as_deref()))
                    .collect::<BinaryArray>(),
            ),
            MetadataKind::Topic => Arc::new(
                std::iter::repeat_n(Some(self.reading.topic.as_str()), rows)
                    .collect::<StringViewArray>(),
            ),
            MetadataKind::Headers => {
                let mut maps = MapBuilder::new(
                    None,
                    StringBuilder::new(),
                    arrow::array::BinaryBuilder::new(),
                );
                for record in records {
                    for (name, value) in chunk.meta.headers.get(record).into_iter().flatten() {
                        maps.keys().append_value(name);
                        maps.values().append_value(value);
                    }
                    // Names and values are appended in pairs, so the lengths agree.
                    let _ = maps.append(true);
                }
                Arc::new(maps.finish())
            }
        }
    }
}

impl Task for Worker {
    fn poll(&mut self) -> Poll {
        match self.inbox.try_recv() {
            Ok(work) => {
                let output = match self.prepare(&work) {
                    Ok(prepared) => Output::Batch(Box::new(prepared)),
                    Err(error) => Output::Failed(error),
                };
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
        format!("decode {}", self.number)
    }
}
