//! Operators that are saved now and then, thrown away, and restored through another number of
//! shards: what a test asks of them must hold all the same.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use arrow::datatypes::DataType;
use tidewheel_kernel::aggregate::StateError;
use tidewheel_kernel::keys::{KeyEncoder, shard_of};
use tidewheel_kernel::latest::LatestOperator;
use tidewheel_kernel::over::OverOperator;
use tidewheel_kernel::regroup::RegroupOperator;
use tidewheel_kernel::share::Share;
use tidewheel_kernel::topn::TopNOperator;

/// An operator that can be saved.
pub trait Saved {
    fn save(&mut self, out: &mut Vec<u8>);
    fn save_changed(&mut self, out: &mut Vec<u8>) -> bool;
    fn load(&mut self, saved: &[&[u8]], share: &Share<'_>) -> Result<(), StateError>;
}

macro_rules! saved {
    ($($operator:ty)*) => {$(
        impl Saved for $operator {
            fn save(&mut self, out: &mut Vec<u8>) {
                Self::save(self, out);
            }
            fn save_changed(&mut self, out: &mut Vec<u8>) -> bool {
                Self::save_changed(self, out)
            }
            fn load(&mut self, saved: &[&[u8]], share: &Share<'_>) -> Result<(), StateError> {
                Self::load(self, saved, share)
            }
        }
    )*};
}

saved!(RegroupOperator LatestOperator TopNOperator);

impl Saved for OverOperator {
    fn save(&mut self, out: &mut Vec<u8>) {
        Self::save(self, out);
    }
    fn save_changed(&mut self, out: &mut Vec<u8>) -> bool {
        Self::save_changed(self, out)
    }
    fn load(&mut self, saved: &[&[u8]], share: &Share<'_>) -> Result<(), StateError> {
        let encoder = KeyEncoder::new(&[DataType::Utf8]).unwrap();
        Self::load(self, saved, &encoder, share)
    }
}

/// The saves of one operator.
pub struct Saves {
    random: fastrand::Rng,
    /// Saves are of changes too: what only time did may then be told again.
    changes: bool,
    chain: Vec<Vec<u8>>,
}

impl Saves {
    pub fn new(seed: u64, changes: bool) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            changes,
            chain: Vec::new(),
        }
    }

    fn save(&mut self, operator: &mut impl Saved) {
        let mut out = Vec::new();
        if !self.changes || self.random.u32(0..8) == 0 {
            operator.save(&mut out);
            self.chain.clear();
        } else if operator.save_changed(&mut out) {
            self.chain.clear();
        }
        self.chain.push(out);
    }

    /// Perhaps saves an operator, and perhaps goes on with a new one.
    pub fn step<O: Saved>(&mut self, operator: &mut O, new: impl Fn() -> O) {
        if self.random.u32(0..3) == 0 {
            self.save(operator);
        }
        if self.random.u32(0..6) > 0 {
            return;
        }
        self.save(operator);
        let shards = self.random.u32(1..4);
        let chain: Vec<&[u8]> = self.chain.iter().map(Vec::as_slice).collect();
        let saves: Vec<Vec<u8>> = (0..shards)
            .map(|shard| {
                let mut part = new();
                let belongs = move |hash: u64| shard_of(hash, shards) == shard;
                part.load(&chain, &Share::by_key(&belongs)).unwrap();
                let mut out = Vec::new();
                assert!(part.save_changed(&mut out), "nothing was saved before");
                out
            })
            .collect();
        *operator = new();
        for save in &saves {
            operator.load(&[save], &Share::all()).unwrap();
        }
        self.chain.clear();
    }
}
