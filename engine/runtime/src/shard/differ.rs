//! From rows that replace one another to rows that are taken back and added.

use super::rows::{Delta, Fate, Upserts};
use crate::error::EngineError;
use crate::shard::rows::batch;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use arrow::row::{RowConverter, SortField};
use hashbrown::HashMap;
use tidewheel_core::EventTime;
use tidewheel_core::time::END_OF_TIME;
use tidewheel_kernel::aggregate::StateError;
use tidewheel_kernel::aggregate::codec::{Reader, put_bytes, put_count, put_i64};
use xxhash_rust::xxh3::xxh3_64;

/// A row that was added, so that it can be taken back.
#[derive(Debug)]
struct Added {
    row: Box<[u8]>,
    /// The row's time, after which (and the watermark) it changes no more.
    time: EventTime,
}

/// Remembers the rows that were handed on, each under its identity.
pub struct Differ {
    schema: SchemaRef,
    converter: RowConverter,
    rows: HashMap<Box<[u8]>, Added, foldhash::fast::FixedState>,
    /// The column with the rows' time, where the next operator cuts by it.
    time: Option<usize>,
    forgot_at: EventTime,
}

impl Differ {
    /// A differ of rows with `schema`; `time` is the Timestamp(Microsecond) column that they are
    /// cut by.
    ///
    /// # Errors
    /// A column's type has no row encoding.
    pub fn new(schema: &SchemaRef, time: Option<usize>) -> Result<Self, EngineError> {
        let fields = schema
            .fields()
            .iter()
            .map(|f| SortField::new(f.data_type().clone()))
            .collect();
        let converter = RowConverter::new(fields)
            .map_err(|error| EngineError::Expression(error.to_string()))?;
        Ok(Self {
            schema: SchemaRef::clone(schema),
            converter,
            rows: HashMap::default(),
            time,
            forgot_at: EventTime::MIN,
        })
    }

    /// What changes downstream: old rows taken back, new ones added; nothing where they are equal.
    ///
    /// # Errors
    /// The rows cannot be encoded.
    pub fn diff(&mut self, upserts: &Upserts) -> Result<Option<Delta>, EngineError> {
        let failed = |error: arrow::error::ArrowError| EngineError::Expression(error.to_string());
        let encoded = self
            .converter
            .convert_columns(upserts.batch.columns())
            .map_err(failed)?;
        let times = self.time.map(|column| {
            upserts
                .batch
                .column(column)
                .as_primitive::<TimestampMicrosecondType>()
                .clone()
        });
        let mut out: Vec<(Box<[u8]>, bool, EventTime, u64)> = Vec::new();
        for row in 0..upserts.batch.num_rows() {
            let identity = upserts.identities[row].as_slice();
            let seq = xxh3_64(identity);
            let new = (upserts.fates[row] == Fate::Live).then(|| encoded.row(row).data().to_vec());
            let time = times.as_ref().map_or(0, |times| times.value(row));
            let old = self.rows.get(identity);
            if old.map(|added| &*added.row) == new.as_deref() {
                continue;
            }
            if old.is_some()
                && let Some(old) = self.rows.remove(identity)
            {
                out.push((old.row, true, old.time, seq));
            }
            if let Some(new) = new {
                let row: Box<[u8]> = new.into();
                self.rows.insert(
                    identity.into(),
                    Added {
                        row: row.clone(),
                        time,
                    },
                );
                out.push((row, false, time, seq));
            }
        }
        if out.is_empty() {
            return Ok(None);
        }
        Ok(Some(Delta {
            batch: self.decode(out.iter().map(|(row, ..)| &**row))?,
            retract: Some(out.iter().map(|(_, retract, ..)| *retract).collect()),
            time: out.iter().map(|(_, _, time, _)| *time).collect(),
            seq: out.iter().map(|(.., seq)| *seq).collect(),
        }))
    }

    fn decode<'a>(&self, rows: impl Iterator<Item = &'a [u8]>) -> Result<RecordBatch, EngineError> {
        let parser = self.converter.parser();
        let rows: Vec<_> = rows.map(|row| parser.parse(row)).collect();
        let count = rows.len();
        let columns = self
            .converter
            .convert_rows(rows)
            .map_err(|error| EngineError::Expression(error.to_string()))?;
        batch(&self.schema, columns, count)
    }

    /// Appends the rows that were handed on, for checkpoints.
    pub fn save(&self, out: &mut Vec<u8>) {
        put_i64(out, self.forgot_at);
        put_count(out, self.rows.len());
        for (identity, added) in &self.rows {
            put_bytes(out, identity);
            put_bytes(out, &added.row);
            put_i64(out, added.time);
        }
    }

    /// Takes what [`Self::save`] wrote, as far as `choose` says by the rows' identities.
    ///
    /// # Errors
    /// The bytes are something else.
    pub fn load(
        &mut self,
        saved: &mut Reader<'_>,
        choose: impl Fn(&[&[u8]]) -> Result<Vec<bool>, StateError>,
    ) -> Result<(), StateError> {
        self.forgot_at = self.forgot_at.max(saved.i64()?);
        let count = saved.count(16)?;
        let mut rows = Vec::with_capacity(count);
        for _ in 0..count {
            rows.push((saved.bytes()?, saved.bytes()?, saved.i64()?));
        }
        let identities: Vec<&[u8]> = rows.iter().map(|(identity, ..)| *identity).collect();
        for ((identity, row, time), own) in rows.into_iter().zip(choose(&identities)?) {
            if own {
                let row = row.into();
                self.rows.insert(identity.into(), Added { row, time });
            }
        }
        Ok(())
    }

    /// Forgets rows that change no more: their window has closed by the watermark, less
    /// `lateness`.
    pub fn forget(&mut self, watermark: EventTime, lateness: i64) {
        /// Looked at once for each minute that the watermark moves.
        const EVERY: i64 = 60_000_000;
        if self.time.is_none() || watermark < self.forgot_at.saturating_add(EVERY) {
            return;
        }
        self.forgot_at = watermark;
        let limit = if watermark == END_OF_TIME {
            watermark
        } else {
            watermark - lateness
        };
        self.rows.retain(|_, added| added.time >= limit);
    }
}
