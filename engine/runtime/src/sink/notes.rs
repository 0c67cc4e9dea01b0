//! Keys that a restart must find.
//!
//! A value over other values (a group over windows, a top-N) can come and go without a trace in
//! what is read again after a crash: rows fall into other batches then, and a group that stood for
//! the blink of an eye never is. So a key of such a query is noted beside its values before its
//! first value is written. After a restart all noted keys are looked for, and those that have no
//! row any more are deleted. A note is dropped once no checkpoint is left from before it.

use super::SinkTask;
use super::checkpoint::keys;
use crate::checkpoint::status::SharedStatus;
use crate::error::EngineError;
use crate::plan::Chain;
use crate::shard::finish::Finished;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use tidewheel_core::SinkError;
use tidewheel_sql::plan::OnEmpty;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bytes before a key: a check of the key and of the query's definition.
const CHECK_BYTES: usize = 8;

/// A query's notes.
pub(super) struct Notes {
    /// Keys of another definition of the query are not understood.
    fingerprint: u64,
    status: Arc<SharedStatus>,
    /// Keys are noted under this number.
    number: u64,
    /// By checkpoint, the number that keys were noted under when its barrier had passed.
    barriers: VecDeque<(u64, u64)>,
    /// Notes under lower numbers were dropped.
    dropped: u64,
}

impl Notes {
    /// For a query whose keys must be noted; `None` for others: what has one keyed operator sees
    /// every key again when its rows are read again. `now_ms` is the wall clock.
    pub(super) fn of(
        chain: &Chain,
        fingerprint: u64,
        status: &Arc<SharedStatus>,
        now_ms: i64,
    ) -> Option<Self> {
        let over_values = chain.steps.len() + chain.tail.len() > 1;
        let wanted = over_values
            && chain.current
            && chain.on_empty != OnEmpty::Keep
            && !chain.key_columns.is_empty();
        wanted.then(|| Self {
            fingerprint,
            status: Arc::clone(status),
            number: u64::try_from(now_ms).unwrap_or(0).max(1),
            barriers: VecDeque::new(),
            dropped: 0,
        })
    }

    /// A checkpoint's barrier has passed. While `asks`, the notes of the process before are not
    /// known yet, so that they are not in this checkpoint either and must stay.
    pub(super) fn pass(&mut self, checkpoint: u64, asks: bool, now_ms: i64) {
        // The clock makes numbers grow from one process to the next, mostly.
        self.number = (self.number + 1).max(u64::try_from(now_ms).unwrap_or(0));
        let kept = if asks { 0 } else { self.number };
        self.barriers.push_back((checkpoint, kept));
    }

    /// Under which numbers notes are needless by now, where some may be.
    fn needless(&mut self) -> Option<u64> {
        let oldest = self.status.oldest()?;
        while self.barriers.front()?.0 < oldest {
            self.barriers.pop_front();
        }
        let (first, below) = *self.barriers.front()?;
        // A query that came after the oldest one is not in it: a restart from there would begin it
        // by history, and needs all notes.
        (first == oldest && below > self.dropped).then_some(below)
    }

    fn seal(&self, key: &[u8]) -> Vec<u8> {
        let mut note = xxh3_64_with_seed(key, self.fingerprint)
            .to_be_bytes()
            .to_vec();
        note.extend_from_slice(key);
        note
    }

    /// The key that was noted, if this query's definition noted it.
    fn open<'a>(&self, note: &'a [u8]) -> Option<&'a [u8]> {
        let (check, key) = note.split_first_chunk::<CHECK_BYTES>()?;
        (u64::from_be_bytes(*check) == xxh3_64_with_seed(key, self.fingerprint)).then_some(key)
    }
}

impl SinkTask {
    /// Notes the keys that get their first value now. To be called before they are written.
    pub(super) fn note(&mut self) -> Result<Result<(), SinkError>, EngineError> {
        let (Some(notes), Some(waiting)) = (&mut self.notes, self.state.queue.front()) else {
            return Ok(Ok(()));
        };
        let Finished { batch, made } = &waiting.changes;
        if made.is_empty() {
            return Ok(Ok(()));
        }
        let all = keys(&self.chain, batch)?;
        let sealed: Vec<Vec<u8>> = made
            .iter()
            .map(|row| notes.seal(&all[*row as usize]))
            .collect();
        // What the process before has noted stays until all of it was looked for.
        let needless = if self.progressing.is_settled() {
            notes.needless()
        } else {
            None
        };
        let noted = self.sink.note(&sealed, notes.number, needless);
        if let (Ok(()), Some(below)) = (&noted, needless) {
            notes.dropped = below;
        }
        Ok(noted)
    }

    /// The keys that the process before has noted.
    pub(super) fn noted(&mut self) -> Result<BTreeSet<Vec<u8>>, SinkError> {
        let Some(notes) = &self.notes else {
            return Ok(BTreeSet::new());
        };
        let noted = self.sink.noted()?;
        let keys = noted.iter().filter_map(|note| notes.open(note));
        Ok(keys.map(<[u8]>::to_vec).collect())
    }
}
