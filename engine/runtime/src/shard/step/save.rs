//! A step's state, saved for a checkpoint and taken back after a restart.

use super::{Operator, StepState, window_set};
use crate::shard::save::save;
use tidewheel_core::time::NO_TIME;
use tidewheel_kernel::aggregate::StateError;
use tidewheel_kernel::aggregate::codec::{Reader, put_i64};
use tidewheel_kernel::keys::KeyEncoder;
use tidewheel_kernel::share::Share;
use tidewheel_kernel::window::{SetId, WindowOperator};

impl StepState {
    /// Appends the step's state, for checkpoints: all of it where it is to be `full`, else what
    /// changed since the last save, as far as its parts can tell. True if it was all.
    pub fn save(&mut self, full: bool, out: &mut Vec<u8>) -> bool {
        put_i64(out, self.watermark);
        put_i64(out, self.frontier);
        let mut whole = true;
        if let Some(differ) = &mut self.differ {
            whole &= differ.save(full, out);
        }
        whole &= match &mut self.operator {
            Operator::Window(operator, _) => save!(operator, full, out),
            Operator::Group(operator) => save!(operator, full, out),
            Operator::Latest(operator) => save!(operator, full, out),
            Operator::TopN(operator) => save!(operator, full, out),
            Operator::Over(operator) => save!(operator, full, out),
        };
        whole
    }

    /// Takes what [`Self::save`] wrote in `saved`: for each shard that there was, a save that was all
    /// and those after it, in their order. `below` is the share of the keys of the step below that
    /// is this shard's, `share` that of its own.
    ///
    /// # Errors
    /// The bytes are something else.
    pub fn load(
        &mut self,
        saved: &[Vec<&[u8]>],
        below: &Share<'_>,
        share: &Share<'_>,
    ) -> Result<(), StateError> {
        let mut chains = Vec::new();
        for (number, saves) in saved.iter().enumerate() {
            let mut readers: Vec<Reader<'_>> = saves.iter().map(|save| Reader::new(save)).collect();
            let mut times = (NO_TIME, NO_TIME);
            for reader in &mut readers {
                times = (reader.i64()?, reader.i64()?);
            }
            let (watermark, frontier) = times;
            self.watermark = if number == 0 {
                watermark
            } else {
                self.watermark.min(watermark)
            };
            self.frontier = self.frontier.max(frontier);
            if let Some(differ) = &mut self.differ {
                differ.load(&mut readers, |identities| match &self.below {
                    Some(identity) => identity.choose(below, identities),
                    None => Ok(vec![true; identities.len()]),
                })?;
            }
            chains.push(readers.iter().map(Reader::rest).collect::<Vec<_>>());
        }
        if let Operator::Window(operator, set) = &mut self.operator {
            let encoder = KeyEncoder::new(self.encoder.types())
                .map_err(|error| StateError(error.to_string()))?;
            let spec = window_set(&self.step.keyed)
                .ok_or_else(|| StateError("not a window".to_owned()))?;
            let (restored, sets) =
                WindowOperator::restore(encoder, &[(SetId(0), spec)], &chains, share)?;
            **operator = restored;
            *set = sets.first().copied().unwrap_or(*set);
            return Ok(());
        }
        for chain in chains {
            match &mut self.operator {
                Operator::Window(..) => {}
                Operator::Group(operator) => operator.load(&chain, share)?,
                Operator::Latest(operator) => operator.load(&chain, share)?,
                Operator::TopN(operator) => operator.load(&chain, share)?,
                Operator::Over(operator) => operator.load(&chain, &self.encoder, share)?,
            }
        }
        Ok(())
    }

    /// Whether every row, those that come included, is taken to stand with the reader.
    pub fn assume_standing(&mut self, on: bool) {
        match &mut self.operator {
            Operator::Window(operator, set) => operator.assume_standing(*set, on),
            Operator::Group(operator) => operator.assume_standing(on),
            Operator::Latest(operator) => operator.assume_standing(on),
            Operator::TopN(operator) => operator.assume_standing(on),
            Operator::Over(_) => {}
        }
    }
}
