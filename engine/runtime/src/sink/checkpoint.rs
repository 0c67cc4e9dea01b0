//! A sink task's part in checkpoints: its state at a barrier, and its way back after a restart.

use super::{SinkTask, Waiting};
use crate::checkpoint::gate::Reached;
use crate::checkpoint::{Barrier, Part};
use crate::error::EngineError;
use crate::plan::Chain;
use crate::shard::finish::Finished;
use crate::shard::message::Feedback;
use crate::sink::message::SinkMessage;
use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::SchemaRef;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tidewheel_core::time::NO_TIME;
use tidewheel_core::{ChangeBatch, Op, Progress, SinkError};
use tidewheel_kernel::aggregate::StateError;
use tidewheel_kernel::aggregate::codec::{Reader, put_bytes, put_count};
use tidewheel_kernel::keys::KeyEncoder;
use tidewheel_sql::plan::OnEmpty;

/// What a sink had at the checkpoint that it goes on from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SavedSink {
    /// Where the sink was, for [`tidewheel_core::SinkRequest::resume`].
    pub position: Vec<u8>,
    /// The tail's operators.
    pub tail: Vec<Vec<u8>>,
    /// Keys of which a write was under way.
    pub under_way: Vec<Vec<u8>>,
}

impl SavedSink {
    fn save(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, &self.position);
        for list in [&self.tail, &self.under_way] {
            put_count(&mut out, list.len());
            for bytes in list {
                put_bytes(&mut out, bytes);
            }
        }
        out
    }

    /// Reads what a barrier's answer held.
    ///
    /// # Errors
    /// The bytes are something else.
    pub fn load(saved: &[u8]) -> Result<Self, StateError> {
        let mut reader = Reader::new(saved);
        let position = reader.bytes()?.to_vec();
        let mut list = || {
            let count = reader.count(4)?;
            (0..count)
                .map(|_| Ok(reader.bytes()?.to_vec()))
                .collect::<Result<Vec<_>, StateError>>()
        };
        Ok(Self {
            position,
            tail: list()?,
            under_way: list()?,
        })
    }
}

/// Where a sink task is between barriers and restarts.
#[derive(Default)]
pub(super) struct Progressing {
    /// Values are written with how far they may have come.
    pub(super) tells: bool,
    /// The barrier that is coming by.
    barrier: Option<Barrier>,
    /// Shards that are behind it.
    passed: BTreeSet<usize>,
    /// What shards sent that are behind it.
    held: VecDeque<SinkMessage>,
    /// What the sink remembers is to be asked for before anything is written.
    pub(super) asks: bool,
    /// Shards that have not handed over all that stands since the restart.
    unsettled: BTreeSet<usize>,
    /// Keys of which a write was under way at the checkpoint, and that were not written since.
    orphans: BTreeSet<Vec<u8>>,
    /// The tail's rows are not written yet.
    pub(super) tail_closed: bool,
}

impl Progressing {
    /// Waits for all shards' rows before the tail's first: a part of them is not a value.
    pub(super) fn hold_tail(&mut self, chain: &Chain, shards: usize) {
        self.unsettled = (0..shards).collect();
        self.tail_closed = !chain.tail.is_empty();
    }

    /// Goes on from a checkpoint, or from nothing where an earlier process may have written.
    pub(super) fn restart(&mut self, saved: Option<&SavedSink>, chain: &Chain, shards: usize) {
        self.asks = true;
        self.hold_tail(chain, shards);
        if let Some(saved) = saved {
            self.orphans = saved.under_way.iter().cloned().collect();
        }
    }

    /// All that stood in the sink at the restart has been looked for.
    pub(super) fn is_settled(&self) -> bool {
        !self.asks && self.unsettled.is_empty()
    }

    /// Keys that are written now are no orphans.
    pub(super) fn adopt(&mut self, chain: &Chain, batch: &ChangeBatch) -> Result<(), EngineError> {
        if self.orphans.is_empty() {
            return Ok(());
        }
        for key in keys(chain, batch)? {
            self.orphans.remove(&key);
        }
        Ok(())
    }
}

/// The schema of a query's last rows.
fn schema(chain: &Chain) -> &SchemaRef {
    match chain.tail.last().or(chain.steps.last()) {
        Some(step) => &step.program.schema,
        None => &chain.head.schema,
    }
}

fn encoder(chain: &Chain) -> Result<KeyEncoder, EngineError> {
    let schema = schema(chain);
    let types: Vec<_> = chain
        .key_columns
        .iter()
        .map(|column| schema.field(*column).data_type().clone())
        .collect();
    KeyEncoder::new(&types).map_err(|error| EngineError::Expression(error.to_string()))
}

/// The keys of a batch's rows, as bytes.
pub(super) fn keys(chain: &Chain, batch: &ChangeBatch) -> Result<Vec<Vec<u8>>, EngineError> {
    let columns: Vec<ArrayRef> = chain
        .key_columns
        .iter()
        .map(|column| Arc::clone(batch.rows.column(*column)))
        .collect();
    let rows = batch.rows.num_rows();
    let keys = encoder(chain)?
        .encode(&columns, rows)
        .map_err(|error| EngineError::Expression(error.to_string()))?;
    Ok((0..rows).map(|row| keys.key(row).to_vec()).collect())
}

/// Deletes of keys.
fn deletes(chain: &Chain, keys: &BTreeSet<Vec<u8>>) -> Result<Finished, EngineError> {
    let failed = |error: arrow::error::ArrowError| EngineError::Expression(error.to_string());
    let rows = keys.len();
    let schema = schema(chain);
    let decoded = encoder(chain)?
        .decode(keys.iter().map(Vec::as_slice))
        .map_err(failed)?;
    let mut columns: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .map(|field| new_null_array(field.data_type(), rows))
        .collect();
    for (column, values) in chain.key_columns.iter().zip(decoded) {
        columns[*column] = values;
    }
    let batch = ChangeBatch {
        rows: RecordBatch::try_new(SchemaRef::clone(schema), columns).map_err(failed)?,
        columns: chain.sink_columns.clone(),
        ops: vec![Op::Delete; rows],
        live_ms: vec![0; rows],
        changed: vec![u64::MAX; rows],
        urgent: false,
    };
    let made = Vec::new();
    Ok(Finished { batch, made })
}

impl SinkTask {
    /// Takes a message, unless its shard is behind a barrier that others have not reached.
    pub(super) fn receive(&mut self, message: SinkMessage) -> Result<(), EngineError> {
        let shard = match &message {
            SinkMessage::Changes { shard, .. }
            | SinkMessage::Upserts { shard, .. }
            | SinkMessage::Barrier { shard, .. }
            | SinkMessage::Settled { shard }
            | SinkMessage::Done { shard, .. } => Some(*shard),
            SinkMessage::Wake | SinkMessage::Hurry => None,
        };
        if shard.is_some_and(|shard| self.progressing.passed.contains(&shard)) {
            self.progressing.held.push_back(message);
            return Ok(());
        }
        match message {
            SinkMessage::Barrier { shard, barrier } => {
                // A later one says that the one before was given up.
                self.progressing.barrier = Some(barrier);
                self.progressing.passed.insert(shard);
                self.pass_barrier()
            }
            SinkMessage::Settled { shard } => self.settled(shard),
            other => self.handle(other),
        }
    }

    /// Whether writes that are under way at a barrier need not be waited for: what stands is
    /// written again after a restart, and keys that are gone are deleted.
    fn can_hurry(&self) -> bool {
        self.chain.current
            && self.chain.on_empty != OnEmpty::Keep
            && !self.chain.key_columns.is_empty()
    }

    /// Answers the barrier once all shards have passed it.
    pub(super) fn pass_barrier(&mut self) -> Result<(), EngineError> {
        if self.progressing.barrier.is_none() {
            return Ok(());
        }
        let all = (0..self.shards.len())
            .all(|shard| self.progressing.passed.contains(&shard) || self.is_done(shard));
        if !all || (!self.queue_is_empty() && !self.can_hurry()) {
            return Ok(());
        }
        let mut saved = SavedSink::default();
        if self.queue_is_empty() {
            match self.sink.position() {
                Ok(position) => saved.position = position,
                Err(SinkError::Fatal(message)) => {
                    return Err(EngineError::Sink {
                        table: self.chain.sink.name.clone(),
                        message,
                    });
                }
                Err(SinkError::Retry(message) | SinkError::Rewrite(message)) => {
                    // Tried again with the next look.
                    tracing::debug!(message, "the sink's place is not known yet");
                    return Ok(());
                }
            }
        }
        for step in &mut self.tail {
            let mut bytes = Vec::new();
            step.save(true, &mut bytes);
            saved.tail.push(bytes);
        }
        if self.can_hurry() {
            for waiting in self.queued() {
                saved
                    .under_way
                    .extend(keys(&self.chain, &waiting.changes.batch)?);
            }
            saved
                .under_way
                .extend(self.progressing.orphans.iter().cloned());
        }
        if let Some(barrier) = self.progressing.barrier.take() {
            if let Some(notes) = &mut self.notes {
                let now_ms = self.env.wall_ms();
                notes.pass(barrier.number, self.progressing.asks, now_ms);
            }
            let _ = barrier.parts.send(Part::Sink {
                query: self.handle.id,
                bytes: saved.save(),
            });
        }
        self.progressing.passed.clear();
        for message in std::mem::take(&mut self.progressing.held) {
            self.receive(message)?;
        }
        Ok(())
    }

    /// How far values that are written now may have come.
    pub(super) fn progress(&self) -> Progress {
        match self.handle.source.get() {
            Some(source) if self.progressing.tells => source.progress(),
            _ => Progress::default(),
        }
    }

    /// After a restart: asks the sink how far its values are, and tells the shards. False while
    /// the sink is away.
    pub(super) fn ask_progress(&mut self) -> Result<bool, EngineError> {
        if !self.progressing.asks {
            return Ok(true);
        }
        let asked = self
            .sink
            .progress()
            .and_then(|progress| Ok((progress.unwrap_or_default(), self.noted()?)));
        let (progress, noted) = match asked {
            Ok(asked) => asked,
            Err(SinkError::Fatal(message)) => {
                return Err(EngineError::Sink {
                    table: self.chain.sink.name.clone(),
                    message,
                });
            }
            Err(SinkError::Retry(message) | SinkError::Rewrite(message)) => {
                self.away(&message);
                return Ok(false);
            }
        };
        self.progressing.asks = false;
        self.progressing.orphans.extend(noted);
        let mut offsets = BTreeMap::new();
        if let Some(source) = self.handle.source.get() {
            let own = progress.offsets.iter();
            offsets.extend(
                own.filter(|(table, ..)| *table == source.table)
                    .map(|(_, partition, offset)| (*partition, *offset)),
            );
            if let Some(frontier) = progress.frontier {
                source.floor.fetch_max(frontier, Relaxed);
            }
        }
        let reached = Arc::new(Reached {
            offsets,
            frontier: progress.frontier.unwrap_or(NO_TIME),
        });
        for shard in &self.shards {
            let _ = shard.send(Feedback::Gate {
                query: self.handle.id,
                reached: Arc::clone(&reached),
            });
        }
        Ok(true)
    }

    /// A shard has handed over all that stands. After the last one, what was under way at the
    /// checkpoint and is not there any more is deleted.
    pub(super) fn settled(&mut self, shard: usize) -> Result<(), EngineError> {
        if !self.progressing.unsettled.remove(&shard) || !self.progressing.unsettled.is_empty() {
            return Ok(());
        }
        if std::mem::take(&mut self.progressing.tail_closed) {
            if self.chain.current
                && let Some(step) = self.tail.last_mut()
            {
                step.refresh();
                step.assume_standing(false);
            }
            self.run_tail()?;
            self.finisher.all_known();
        }
        let orphans = std::mem::take(&mut self.progressing.orphans);
        if !orphans.is_empty() {
            self.push(Waiting {
                changes: deletes(&self.chain, &orphans)?,
                shard: None,
                read_at_ms: None,
            });
        }
        Ok(())
    }
}
