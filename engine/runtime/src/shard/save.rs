//! A query's state in one shard, saved for a checkpoint and taken back after a restart.

use super::message::SourceTime;
use super::query::{First, QueryShard};
use super::step::StepState;
use crate::checkpoint::gate::{Gate, Reached};
use crate::checkpoint::restore::Division;
use crate::sink::message::SinkMessage;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidewheel_checkpoint::room;
use tidewheel_kernel::aggregate::StateError;
use tidewheel_kernel::aggregate::codec::{Reader, put_count, put_i64, put_sized};
use tidewheel_kernel::window::WindowOperator;

fn no_step() -> StateError {
    StateError("it has no steps".to_owned())
}

/// No instant.
const NONE: i64 = i64::MIN;

/// How large a saved state was, so that the next one is given room at once: what grows step by step
/// is copied, and every page of each step has to be cleared.
#[derive(Debug, Clone, Copy, Default)]
pub struct Room(usize);

impl Room {
    /// What `write` appends. `memory` is how many bytes the state takes in memory: what is saved of
    /// it is not much longer.
    pub fn fill<T>(&mut self, memory: u64, write: impl FnOnce(&mut Vec<u8>) -> T) -> (T, Vec<u8>) {
        let wanted = match self.0 {
            0 => usize::try_from(memory).unwrap_or(0),
            // A state that grows.
            last => last + last / 16,
        };
        let mut bytes = room::take(wanted);
        let result = write(&mut bytes);
        // An increment may come between two full ones.
        self.0 = bytes.len().max(self.0 - self.0 / 16);
        (result, bytes)
    }
}

/// Appends an operator's state: all of it, or where it may be less what changed since the last
/// save. True if it was all.
macro_rules! save {
    ($operator:expr, $full:expr, $out:expr) => {
        if $full {
            $operator.save($out);
            true
        } else {
            $operator.save_changed($out)
        }
    };
}
pub(super) use save;

impl QueryShard {
    /// Appends the state of the operators that are the query's own: all of it where it is to be
    /// `full`, else what changed since the last save, as far as operators can tell. True if it
    /// was all.
    pub fn save(&mut self, full: bool, out: &mut Vec<u8>) -> bool {
        let full = std::mem::take(&mut self.save_whole) || full;
        put_i64(out, self.skip_until.unwrap_or(NONE));
        let mut whole = put_sized(out, |out| match &mut self.first {
            First::None | First::Set { .. } => true,
            First::Group(operator) => save!(operator, full, out),
            First::Latest(operator) => save!(operator, full, out),
            First::Over(operator) => save!(operator, full, out),
        });
        put_count(out, self.rest.len());
        for step in &mut self.rest {
            whole &= put_sized(out, |out| step.save(full, out));
        }
        whole
    }

    /// Takes what [`Self::save`] wrote in each of the shards that there were, as far as it is this
    /// shard's: for each a save that was all, and those after it, in their order.
    ///
    /// # Errors
    /// The bytes are something else.
    pub fn load(&mut self, saved: &[Vec<&[u8]>], division: &Division) -> Result<(), StateError> {
        let chain = Arc::clone(&self.chain);
        let places = |step: usize| chain.route_in_keys.get(step).map_or(&[][..], Vec::as_slice);
        let mut steps: Vec<Vec<Vec<&[u8]>>> = vec![Vec::new(); self.rest.len()];
        for saves in saved {
            let mut own = Vec::new();
            steps.iter_mut().for_each(|step| step.push(Vec::new()));
            for bytes in saves {
                let mut reader = Reader::new(bytes);
                let skip_until = reader.i64()?;
                self.skip_until = (skip_until != NONE).then_some(skip_until);
                own.push(reader.bytes()?);
                if reader.count(4)? != steps.len() {
                    return Err(StateError("it has another number of steps".to_owned()));
                }
                for of_shard in steps.iter_mut().filter_map(|step| step.last_mut()) {
                    of_shard.push(reader.bytes()?);
                }
            }
            let share = division.share(places(0));
            match &mut self.first {
                First::None | First::Set { .. } => {}
                First::Group(operator) => operator.load(&own, &share)?,
                First::Latest(operator) => operator.load(&own, &share)?,
                First::Over(operator) => {
                    let step = chain.steps.first().ok_or_else(no_step)?;
                    let encoder = StepState::identity_encoder(step)
                        .map_err(|error| StateError(error.to_string()))?;
                    operator.load(&own, &encoder, &share)?;
                }
            }
        }
        for (at, (step, saved)) in self.rest.iter_mut().zip(&steps).enumerate() {
            let below = division.share(places(at));
            step.load(saved, &below, &division.share(places(at + 1)))?;
        }
        Ok(())
    }

    /// Says whether its windows keep their last value once they have run empty.
    pub fn keep(&self, groups: &mut [Option<WindowOperator>], keeps: bool) {
        if let First::Set { group, set } = &self.first
            && let Some(operator) = groups.get_mut(*group).and_then(Option::as_mut)
        {
            operator.set_keep(*set, keeps);
        }
    }

    /// Closes its gate: what stands in the sink was written by a process that has ended.
    pub fn close_gate(&mut self, groups: &mut [Option<WindowOperator>]) {
        if matches!(self.first, First::None) {
            // Its rows are handed on as they come.
            return;
        }
        self.gate = Gate::Unknown;
        if self.stands_in_sink() {
            self.assume_standing(groups, true);
            self.assume_unknown();
        }
    }

    /// The sink has said how far its values are.
    pub fn gate_at(&mut self, reached: Arc<Reached>) {
        if self.gate == Gate::Unknown {
            self.gate = Gate::Until(reached);
        }
    }

    /// Whether it writes: its gate is open.
    pub fn is_open(&self) -> bool {
        self.gate == Gate::Open
    }

    /// Opens the gate if the reading has come to where the values in the sink are. False while it
    /// is closed. `end`: nothing follows, and whether that is since the input was read to its end.
    pub fn try_gate(
        &mut self,
        groups: &mut [Option<WindowOperator>],
        positions: &BTreeMap<u32, u64>,
        (time, end): (SourceTime, Option<bool>),
    ) -> bool {
        if self.gate == Gate::Open {
            return true;
        }
        if !self.gate.is_passed(positions, time.frontier) {
            let waits = match end {
                // Where the reading was stopped, the next one comes there.
                Some(whole) => !whole,
                None => time.behind || !self.gate.has_frontier(time.frontier),
            };
            if self.gate == Gate::Unknown || waits {
                return false;
            }
            tracing::warn!(
                query = self.chain.name,
                "its table holds fewer records than its values in the sink came from; \
                 it writes again all the same"
            );
        }
        self.gate = Gate::Open;
        self.settling = true;
        if self.stands_in_sink() {
            self.refresh(groups);
            self.assume_standing(groups, false);
        }
        true
    }

    /// Nothing is left to be looked at.
    pub(super) fn settle(&mut self, shard: usize) {
        if !std::mem::take(&mut self.settling) {
            return;
        }
        if self.rewrites == 0 {
            self.all_known();
        }
        let _ = self.sink.send(SinkMessage::Settled { shard });
    }

    /// Whether what the last operator here hands on stands in the sink, one row a key.
    fn stands_in_sink(&self) -> bool {
        self.chain.current && self.chain.tail.is_empty()
    }

    fn assume_standing(&mut self, groups: &mut [Option<WindowOperator>], on: bool) {
        match (self.rest.last_mut(), &mut self.first) {
            (Some(step), _) => step.assume_standing(on),
            (None, First::Set { group, set }) => {
                if let Some(operator) = groups.get_mut(*group).and_then(Option::as_mut) {
                    operator.assume_standing(*set, on);
                }
            }
            (None, First::Group(operator)) => operator.assume_standing(on),
            (None, First::Latest(operator)) => operator.assume_standing(on),
            (None, First::None | First::Over(_)) => {}
        }
    }
}
