//! Reading saves: one that is whole and those of changes after it, of one or several shards.

use super::{Kind, broken};
use crate::aggregate::StateError;
use crate::aggregate::codec::Reader;
use crate::keys::KeyEncoder;
use crate::share::Share;
use hashbrown::HashSet;
use tidewheel_core::EventTime;

/// One save, its keys read.
#[derive(Debug)]
pub(crate) struct Save<'a> {
    pub(crate) frontier: EventTime,
    pub(crate) watermark: EventTime,
    whole: bool,
    /// The keys that it saved.
    pub(crate) kept: Vec<&'a [u8]>,
    /// Keys that were forgotten before it.
    forgotten: Vec<&'a [u8]>,
    /// What the operator wrote behind them.
    pub(crate) body: Reader<'a>,
}

impl<'a> Save<'a> {
    fn read(bytes: &'a [u8], kind: Kind) -> Result<Self, StateError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != kind as u8 {
            return broken("it is of another kind of operator");
        }
        let whole = reader.bool()?;
        let (frontier, watermark) = (reader.i64()?, reader.i64()?);
        // Each key has a length at least.
        let kept = reader.count(size_of::<u32>())?;
        let forgotten = reader.count(size_of::<u32>())?;
        let mut list = |count: usize| -> Result<Vec<&'a [u8]>, StateError> {
            (0..count).map(|_| reader.bytes()).collect()
        };
        let kept = list(kept)?;
        let forgotten = list(forgotten)?;
        Ok(Self {
            frontier,
            watermark,
            whole,
            kept,
            forgotten,
            body: reader,
        })
    }
}

/// The saves of one shard that count: newest first, the last one whole.
#[derive(Debug)]
pub(crate) struct Chain<'a>(pub(crate) Vec<Save<'a>>);

/// For each key of a save whether it is to be loaded: it is the shard's, and no later save has it.
pub(crate) struct Loaded(pub(crate) Vec<bool>);

impl<'a> Chain<'a> {
    /// Reads the heads of saves in the order in which they were made.
    pub(crate) fn read(saves: &[&'a [u8]], kind: Kind) -> Result<Self, StateError> {
        let mut read = Vec::new();
        for bytes in saves.iter().rev() {
            let save = Save::read(bytes, kind)?;
            let whole = save.whole;
            read.push(save);
            if whole {
                return Ok(Self(read));
            }
        }
        if read.is_empty() {
            return Ok(Self(read));
        }
        broken("saves of changes without a whole one before them")
    }

    /// Which keys of each save are to be loaded.
    pub(crate) fn choose(
        &self,
        share: &Share<'_>,
        encoder: &KeyEncoder,
    ) -> Result<Vec<Loaded>, StateError> {
        self.choose_by(|keys| share.choose(encoder, keys))
    }

    /// As [`Chain::choose`], where `choose` says which keys are the shard's.
    pub(crate) fn choose_by(
        &self,
        choose: impl Fn(&[&[u8]]) -> Result<Vec<bool>, StateError>,
    ) -> Result<Vec<Loaded>, StateError> {
        let mut covered: HashSet<&[u8], foldhash::fast::FixedState> = HashSet::default();
        let mut all = Vec::with_capacity(self.0.len());
        for (at, save) in self.0.iter().enumerate() {
            let mut loaded = choose(&save.kept)?;
            if at > 0 {
                for (loaded, key) in loaded.iter_mut().zip(&save.kept) {
                    *loaded &= !covered.contains(key);
                }
            }
            if at + 1 < self.0.len() {
                covered.extend(save.kept.iter().chain(&save.forgotten));
            }
            all.push(Loaded(loaded));
        }
        Ok(all)
    }
}

impl Loaded {
    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().filter(|&&loaded| loaded).count()
    }
}
