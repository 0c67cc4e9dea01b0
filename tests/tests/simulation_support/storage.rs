//! A store of checkpoints in memory that fails, tears objects, and loses nothing else.

use super::world::Death;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use tidewheel_checkpoint::{MemoryStorage, Storage, StorageError};

pub struct SimulatedStorage {
    pub inner: MemoryStorage,
    random: Mutex<fastrand::Rng>,
    /// Per mille of calls that fail.
    pub faults: AtomicU64,
    death: Arc<Death>,
}

impl SimulatedStorage {
    pub fn new(seed: u64, death: &Arc<Death>) -> Self {
        Self {
            inner: MemoryStorage::default(),
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
            faults: AtomicU64::new(0),
            death: Arc::clone(death),
        }
    }

    /// True before the first whole checkpoint.
    pub fn is_empty(&self) -> bool {
        let objects = self.inner.objects.lock();
        let manifests = objects
            .iter()
            .filter(|(name, _)| name.contains("manifest-"));
        let mut whole = manifests.filter(|(_, bytes)| {
            tidewheel_checkpoint::envelope::open(tidewheel_checkpoint::Kind::Manifest, bytes)
                .is_ok()
        });
        whole.next().is_none()
    }

    fn fails(&self) -> bool {
        self.death.strikes()
            || self.random.lock().unwrap().u64(0..1_000) < self.faults.load(Relaxed)
    }
}

fn away() -> StorageError {
    StorageError("simulated".to_owned())
}

impl Storage for SimulatedStorage {
    fn put_parts(&self, name: &str, parts: Vec<Vec<u8>>) -> Result<(), StorageError> {
        let mut bytes = parts.concat();
        if self.death.strikes() {
            return Err(away());
        }
        // It may also die while the object is on its way, or before it hears of it.
        if !self.fails() {
            return self.inner.put(name, bytes);
        }
        let kind = self.random.lock().unwrap().u8(0..3);
        match kind {
            // It arrived, and nobody heard of it.
            0 => self.inner.put(name, bytes)?,
            // It arrived in part.
            1 if name.contains("data-") || name.contains("manifest-") => {
                let cut = self.random.lock().unwrap().usize(0..bytes.len());
                bytes.truncate(cut);
                self.inner.put(name, bytes)?;
            }
            _ => {}
        }
        Err(away())
    }

    fn put_new(&self, name: &str, bytes: Vec<u8>) -> Result<bool, StorageError> {
        if self.fails() {
            return Err(away());
        }
        self.inner.put_new(name, bytes)
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        if self.fails() {
            return Err(away());
        }
        self.inner.get(name)
    }

    fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, StorageError> {
        if self.fails() {
            return Err(away());
        }
        self.inner.list(prefix)
    }

    fn delete(&self, name: &str) -> Result<(), StorageError> {
        if self.fails() {
            return Err(away());
        }
        self.inner.delete(name)
    }

    fn place(&self) -> String {
        "simulated".to_owned()
    }
}
