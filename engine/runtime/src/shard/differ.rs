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
use tidewheel_kernel::aggregate::codec::{Reader, put_bytes, put_count, put_counted, put_i64};
use xxhash_rust::xxh3::xxh3_64;

/// Rows that were taken back are named up to this many, or as many as there are rows; then the next
/// save is a whole one.
const GONE_MIN: usize = 1 << 16;
/// Stands where a whole save has a time: a save of changes follows.
const CHANGES: EventTime = EventTime::MIN + 1;

/// A row that was added, so that it can be taken back.
#[derive(Debug)]
struct Added {
    row: Box<[u8]>,
    /// The row's time, after which (and the watermark) it changes no more.
    time: EventTime,
    /// Since the last save.
    new: bool,
}

/// Remembers the rows that were handed on, each under its identity.
pub struct Differ {
    schema: SchemaRef,
    converter: RowConverter,
    rows: HashMap<Box<[u8]>, Added, foldhash::fast::FixedState>,
    /// The column with the rows' time, where the next operator cuts by it.
    time: Option<usize>,
    forgot_at: EventTime,
    /// Identities of rows that were taken back since the last save; `None`: the next one is whole.
    gone: Option<Vec<Box<[u8]>>>,
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
            gone: None,
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
                        new: true,
                    },
                );
                out.push((row, false, time, seq));
            } else if let Some(gone) = &mut self.gone {
                gone.push(identity.into());
                self.bound_gone();
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

    fn bound_gone(&mut self) {
        let most = GONE_MIN.max(self.rows.len());
        self.gone = self.gone.take().filter(|gone| gone.len() <= most);
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

    /// Appends the rows that were handed on, for checkpoints: all where it is to be `full` or no save
    /// was before, else those that came since and which are gone. True if it was all. Rows that are
    /// forgotten as they were saved are not named: they do no harm.
    ///
    /// ```text
    /// whole    forgot at i64, rows (count u32, then for each: identity, row, time i64)
    /// changes  CHANGES i64, forgot at i64, gone (count u32, identity *), rows as above
    /// ```
    pub fn save(&mut self, full: bool, out: &mut Vec<u8>) -> bool {
        let gone = self.gone.take().filter(|_| !full);
        let whole = gone.is_none();
        if let Some(gone) = &gone {
            put_i64(out, CHANGES);
            put_i64(out, self.forgot_at);
            put_count(out, gone.len());
            gone.iter().for_each(|identity| put_bytes(out, identity));
        } else {
            put_i64(out, self.forgot_at);
        }
        put_counted(out, |out| {
            let mut count = 0;
            for (identity, added) in &mut self.rows {
                if whole || added.new {
                    put_bytes(out, identity);
                    put_bytes(out, &added.row);
                    put_i64(out, added.time);
                    added.new = false;
                    count += 1;
                }
            }
            count
        });
        let mut gone = gone.unwrap_or_default();
        gone.clear();
        self.gone = Some(gone);
        whole
    }

    /// Takes what [`Self::save`] wrote, a save that was all and those after it, as far as `choose` says
    /// by the rows' identities.
    ///
    /// # Errors
    /// The bytes are something else.
    pub fn load(
        &mut self,
        saves: &mut [Reader<'_>],
        choose: impl Fn(&[&[u8]]) -> Result<Vec<bool>, StateError>,
    ) -> Result<(), StateError> {
        self.gone = None;
        let mut rows: HashMap<&[u8], (&[u8], EventTime), foldhash::fast::FixedState> =
            HashMap::default();
        for saved in saves {
            let mut forgot_at = saved.i64()?;
            if forgot_at == CHANGES {
                forgot_at = saved.i64()?;
                for _ in 0..saved.count(size_of::<u32>())? {
                    rows.remove(saved.bytes()?);
                }
            } else {
                rows.clear();
            }
            self.forgot_at = self.forgot_at.max(forgot_at);
            let count = saved.count(16)?;
            rows.reserve(count);
            for _ in 0..count {
                rows.insert(saved.bytes()?, (saved.bytes()?, saved.i64()?));
            }
        }
        let identities: Vec<&[u8]> = rows.keys().copied().collect();
        for (identity, own) in identities.iter().zip(choose(&identities)?) {
            if let (true, Some((row, time))) = (own, rows.get(identity)) {
                let added = Added {
                    row: (*row).into(),
                    time: *time,
                    new: false,
                };
                self.rows.insert((*identity).into(), added);
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
        let gone = &mut self.gone;
        self.rows.retain(|identity, added| {
            let stays = added.time >= limit;
            // A save before has another row under it, or none.
            if let (false, true, Some(gone)) = (stays, added.new, gone.as_mut()) {
                gone.push(identity.clone());
            }
            stays
        });
        self.bound_gone();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, TimestampMicrosecondArray};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn upserts(rows: &[(u8, i64, EventTime, Fate)]) -> Upserts {
        let values: ArrayRef = Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>());
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(
            rows.iter().map(|row| row.2),
        ));
        Upserts {
            batch: RecordBatch::try_from_iter([("v", values), ("t", times)]).unwrap(),
            fates: rows.iter().map(|row| row.3).collect(),
            slots: Vec::new(),
            identities: rows.iter().map(|row| vec![row.0]).collect(),
            empty_at: vec![0; rows.len()],
            urgent: vec![true; rows.len()],
        }
    }

    fn held(differ: &Differ, from: EventTime) -> BTreeMap<Vec<u8>, (Vec<u8>, EventTime)> {
        let rows = differ.rows.iter().filter(|(_, added)| added.time >= from);
        rows.map(|(identity, added)| (identity.to_vec(), (added.row.to_vec(), added.time)))
            .collect()
    }

    #[test]
    fn saves_of_changes_hold_all_together() {
        let mut random = fastrand::Rng::with_seed(3);
        let schema = upserts(&[]).batch.schema();
        let new = || Differ::new(&schema, Some(1)).unwrap();
        let mut increments = 0;
        for _ in 0..30 {
            let (mut differ, mut watermark) = (new(), 0);
            let mut saves: Vec<Vec<u8>> = Vec::new();
            for _ in 0..200 {
                let mut row = || {
                    let fate = [Fate::Live, Fate::Live, Fate::Empty, Fate::Filtered];
                    let time = watermark + random.i64(0..300_000_000);
                    (
                        random.u8(..40),
                        random.i64(..3),
                        time,
                        fate[random.usize(..4)],
                    )
                };
                let rows: Vec<_> = (0..8).map(|_| row()).collect();
                for row in rows {
                    differ.diff(&upserts(&[row])).unwrap();
                }
                watermark += random.i64(0..10_000_000);
                differ.forget(watermark, 0);
                if random.u8(..4) > 0 {
                    continue;
                }
                let mut out = b"before".to_vec();
                if differ.save(random.u8(..8) == 0, &mut out) {
                    saves.clear();
                } else {
                    increments += 1;
                }
                out.extend_from_slice(b"behind");
                saves.push(out);
                let mut readers: Vec<Reader<'_>> =
                    saves.iter().map(|save| Reader::new(&save[6..])).collect();
                let mut other = new();
                let odd =
                    |identities: &[&[u8]]| Ok(identities.iter().map(|i| i[0] % 2 == 1).collect());
                other.load(&mut readers, odd).unwrap();
                assert!(readers.iter().all(|reader| reader.rest() == b"behind"));
                let mut wanted = held(&differ, differ.forgot_at);
                wanted.retain(|identity, _| identity[0] % 2 == 1);
                assert_eq!(held(&other, differ.forgot_at), wanted);
                assert_eq!(other.forgot_at, differ.forgot_at);
                if random.bool() {
                    let mut readers: Vec<Reader<'_>> =
                        saves.iter().map(|save| Reader::new(&save[6..])).collect();
                    let mut all = new();
                    let every = |identities: &[&[u8]]| Ok(vec![true; identities.len()]);
                    all.load(&mut readers, every).unwrap();
                    differ = all;
                    saves.clear();
                }
            }
        }
        assert!(increments > 100);
    }
}
