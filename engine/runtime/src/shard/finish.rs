//! The last step before the sink: which rows are written, which deleted, which left alone.

use super::renew::Drift;
use super::rows::{Fate, Upserts};
use super::written::{Liveness, Written, hash_columns};
use crate::error::EngineError;
use crate::plan::{Chain, Keyed};
use crate::stats::{Stats, add};
use arrow::array::{Array, UInt32Array};
use arrow::compute::take_record_batch;
use std::sync::Arc;
use std::time::Duration;
use tidewheel_core::change::NO_EXPIRY;
use tidewheel_core::time::{END_OF_TIME, EventTime, MICROS_PER_MILLI, NO_TIME};
use tidewheel_core::{ChangeBatch, Op};
use tidewheel_kernel::spec::WindowKind;
use tidewheel_sql::plan::OnEmpty;

/// Changes of a sink.
#[derive(Debug)]
pub struct Finished {
    /// The changes.
    pub batch: ChangeBatch,
    /// Rows of the batch with values of keys that had none in the sink, as far as is known.
    pub made: Vec<u32>,
}

/// Turns a query's last rows into changes of its sink.
pub struct Finisher {
    chain: Arc<Chain>,
    written: Written,
    drift: Option<Drift>,
}

impl Finisher {
    /// For a query of which nothing was written yet.
    #[must_use]
    pub fn new(chain: Arc<Chain>) -> Self {
        let columns = chain.sink_columns.len();
        // The values of moving windows are looked at whenever a slice leaves.
        let last = chain.tail.last().or(chain.steps.last());
        let watched = chain.ttl().is_some()
            && chain.current
            && last.is_some_and(|step| match &step.keyed {
                Keyed::Window { window, .. } => matches!(window.kind, WindowKind::Session { .. }),
                _ => true,
            });
        Self {
            written: Written::new(columns, &chain.key_columns, watched),
            drift: chain.ttl().map(Drift::new),
            chain,
        }
    }

    /// Whether event time has fallen so far behind the clock that all live values are to be
    /// written again before they expire; then each is written when it is looked at next. `now` is
    /// the monotonic time.
    pub fn renews_all(&mut self, now: Duration, frontier: EventTime) -> bool {
        let due = self
            .drift
            .as_mut()
            .is_some_and(|drift| drift.is_due(now, frontier));
        if due {
            self.written.renew_all();
        }
        due
    }

    /// How often [`Self::renews_all`] is to be asked while nothing else happens.
    #[must_use]
    pub fn look_every(&self) -> Option<Duration> {
        self.drift.as_ref().map(Drift::look_every)
    }

    /// At most `max` key numbers to look at again, since the moment has come that their ttl was
    /// counted from.
    pub fn renewable(&mut self, frontier: EventTime, max: usize) -> Vec<u32> {
        self.written.renewable(frontier, max)
    }

    /// Keys whose numbers were freed.
    pub fn freed(&mut self, slots: &[u32]) {
        for slot in slots {
            self.written.forget(*slot);
        }
    }

    /// Of no key it is known what stands in the sink: a writer before has ended.
    pub fn assume_unknown(&mut self) {
        self.written.assume_unknown();
    }

    /// All keys that may stand in the sink have been looked at.
    pub fn all_known(&mut self) {
        self.written.all_known();
    }

    /// Everything is to be written again.
    pub fn forget_all(&mut self) {
        self.written.forget_all();
    }

    /// The changes that rows make; `None` where they make none.
    ///
    /// # Errors
    /// Not to be expected.
    pub fn finish(
        &mut self,
        rows: &Upserts,
        frontier: EventTime,
        stats: &Stats,
    ) -> Result<Option<Finished>, EngineError> {
        let numbered = self.chain.current && !rows.slots.is_empty();
        let hashes = if numbered {
            hash_columns(&rows.batch)
        } else {
            Vec::new()
        };
        let keys: Vec<_> = self
            .chain
            .key_columns
            .iter()
            .map(|column| rows.batch.column(*column))
            .collect();
        let mut picked: Vec<u32> = Vec::with_capacity(rows.fates.len());
        let mut ops = Vec::with_capacity(rows.fates.len());
        let mut live_ms = Vec::with_capacity(rows.fates.len());
        let mut changed = Vec::with_capacity(rows.fates.len());
        let mut made = Vec::new();
        let mut urgent = false;
        let mut keyless = 0;
        for (row, fate) in rows.fates.iter().enumerate() {
            if keys.iter().any(|key| key.is_null(row)) {
                keyless += usize::from(*fate == Fate::Live);
                continue;
            }
            let stood = numbered && self.written.liveness(rows.slots[row]) == Liveness::Live;
            let (op, bits) = if numbered {
                self.current(rows, row, *fate, &hashes, frontier)
            } else {
                match fate {
                    Fate::Live => (Op::Upsert, u64::MAX),
                    Fate::Empty if self.chain.current && self.chain.on_empty == OnEmpty::Keep => {
                        continue;
                    }
                    Fate::Empty | Fate::Filtered if keys.is_empty() => continue,
                    Fate::Empty | Fate::Filtered => (Op::Delete, u64::MAX),
                }
            };
            if bits == 0 {
                continue;
            }
            if op == Op::Upsert && !stood {
                made.push(picked.len() as u32);
            }
            picked.push(row as u32);
            ops.push(op);
            live_ms.push(live(rows.empty_at[row], frontier));
            changed.push(bits);
            urgent |= rows.urgent[row];
        }
        add(&stats.keyless, keyless);
        if picked.is_empty() {
            return Ok(None);
        }
        add(&stats.changes, picked.len());
        let batch = if picked.len() == rows.fates.len() {
            rows.batch.clone()
        } else {
            take_record_batch(&rows.batch, &UInt32Array::from(picked))
                .map_err(|error| EngineError::Expression(error.to_string()))?
        };
        let batch = ChangeBatch {
            rows: batch,
            columns: self.chain.sink_columns.clone(),
            ops,
            live_ms,
            changed,
            urgent,
        };
        Ok(Some(Finished { batch, made }))
    }

    /// A current value: what to do, and which columns changed (0: nothing).
    fn current(
        &mut self,
        rows: &Upserts,
        row: usize,
        fate: Fate,
        hashes: &[Vec<u64>],
        frontier: EventTime,
    ) -> (Op, u64) {
        let slot = rows.slots[row];
        let standing = self.written.liveness(slot);
        match fate {
            Fate::Live => {
                let empty_at = rows.empty_at[row];
                let bits =
                    self.written
                        .change(slot, row, hashes, Liveness::Live, empty_at, frontier);
                (Op::Upsert, bits)
            }
            Fate::Empty => match self.chain.on_empty {
                OnEmpty::Keep => (Op::Upsert, 0),
                // Absent means the same as zero, so a key that came and went is not written.
                OnEmpty::Zero if standing == Liveness::Absent => (Op::Upsert, 0),
                OnEmpty::Zero => {
                    let zero = Liveness::Zero;
                    let bits = self
                        .written
                        .change(slot, row, hashes, zero, frontier, frontier);
                    (Op::Upsert, bits)
                }
                OnEmpty::Delete => self.delete(slot, standing),
            },
            Fate::Filtered => self.delete(slot, standing),
        }
    }

    fn delete(&mut self, slot: u32, standing: Liveness) -> (Op, u64) {
        self.written.forget(slot);
        (
            Op::Delete,
            if standing == Liveness::Absent {
                0
            } else {
                u64::MAX
            },
        )
    }
}

/// Milliseconds from the frontier until a window runs empty, rounded up.
fn live(empty_at: EventTime, frontier: EventTime) -> i64 {
    if empty_at == END_OF_TIME {
        return NO_EXPIRY;
    }
    if frontier == NO_TIME {
        return 0;
    }
    let micros = empty_at.saturating_sub(frontier).max(0);
    micros / MICROS_PER_MILLI + i64::from(micros % MICROS_PER_MILLI != 0)
}
