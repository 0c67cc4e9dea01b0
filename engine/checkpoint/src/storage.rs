//! Where objects are kept, as far as checkpoints need to know.

use parking_lot::Mutex;
use std::collections::BTreeMap;

/// The store cannot be reached, is full, or refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StorageError(pub String);

/// A store of whole objects by name. Calls block.
///
/// # Contract
/// - An object is there whole or not at all once `put` has returned, and survives a crash of the
///   machine that wrote it. Before, after a crash, what `put_parts` writes may be there in part.
/// - Of several `put_new` with one name, one at most gives true.
pub trait Storage: Send + Sync {
    /// Writes an object, whose bytes are those of the parts one behind the other; one of the same
    /// name is replaced.
    ///
    /// # Errors
    /// The store is away or refuses. The object may be there all the same.
    fn put_parts(&self, name: &str, parts: Vec<Vec<u8>>) -> Result<(), StorageError>;
    /// The same in one part.
    ///
    /// # Errors
    /// As [`Storage::put_parts`].
    fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StorageError> {
        self.put_parts(name, vec![bytes])
    }
    /// Writes an object unless there is one of that name: then false.
    ///
    /// # Errors
    /// As [`Storage::put_parts`].
    fn put_new(&self, name: &str, bytes: Vec<u8>) -> Result<bool, StorageError>;
    /// An object's bytes; `None`: there is none of that name.
    ///
    /// # Errors
    /// The store is away or refuses.
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError>;
    /// The names that begin with `prefix`, sorted, and the objects' lengths in bytes.
    ///
    /// # Errors
    /// The store is away or refuses.
    fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, StorageError>;
    /// Removes an object; one that is not there counts as removed.
    ///
    /// # Errors
    /// The store is away or refuses.
    fn delete(&self, name: &str) -> Result<(), StorageError>;
    /// Where it is, for messages; without secrets.
    fn place(&self) -> String;
}

/// Objects in memory, for tests.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    /// The objects by name.
    pub objects: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Storage for MemoryStorage {
    fn put_parts(&self, name: &str, parts: Vec<Vec<u8>>) -> Result<(), StorageError> {
        self.objects.lock().insert(name.to_owned(), parts.concat());
        Ok(())
    }

    fn put_new(&self, name: &str, bytes: Vec<u8>) -> Result<bool, StorageError> {
        let mut objects = self.objects.lock();
        let free = !objects.contains_key(name);
        if free {
            objects.insert(name.to_owned(), bytes);
        }
        Ok(free)
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.objects.lock().get(name).cloned())
    }

    fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, StorageError> {
        let objects = self.objects.lock();
        let of_prefix = objects.iter().filter(|(name, _)| name.starts_with(prefix));
        Ok(of_prefix
            .map(|(name, bytes)| (name.clone(), bytes.len() as u64))
            .collect())
    }

    fn delete(&self, name: &str) -> Result<(), StorageError> {
        self.objects.lock().remove(name);
        Ok(())
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}
