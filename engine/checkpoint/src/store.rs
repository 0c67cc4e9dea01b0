//! Writes, finds, reads and removes checkpoints.

use crate::envelope::{self, FormatError, HEADER, Kind};
use crate::manifest::{Manifest, Piece};
use crate::room;
use crate::storage::{Storage, StorageError};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const MANIFEST: &str = "manifest-";
const DATA: &str = "data-";

/// A checkpoint's name: the epoch of its writer, and its number within. Later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// The epoch.
    pub epoch: u64,
    /// The number.
    pub number: u64,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.number)
    }
}

impl std::str::FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('-').and_then(|(epoch, number)| {
            Some(Self {
                epoch: epoch.parse().ok()?,
                number: number.parse().ok()?,
            })
        });
        parts.ok_or_else(|| format!("'{text}' is no checkpoint's name; they look like 3-17"))
    }
}

impl Name {
    // Padded, so that names sort as numbers do.
    fn object(self, prefix: &str) -> String {
        format!("{prefix}{:010}-{:012}", self.epoch, self.number)
    }

    fn of_object(name: &str, prefix: &str) -> Option<Self> {
        name.strip_prefix(prefix)?.parse().ok()
    }
}

/// A data object under construction.
#[derive(Debug)]
pub struct Data {
    name: Name,
    /// One behind the other they are the content.
    parts: Vec<Vec<u8>>,
    length: u64,
}

impl Data {
    /// An empty one for this checkpoint.
    #[must_use]
    pub fn new(name: Name) -> Self {
        Self {
            name,
            parts: Vec::new(),
            length: 0,
        }
    }

    /// Appends a piece. It is not copied: state may be large.
    pub fn add(&mut self, bytes: Vec<u8>) -> Piece {
        let piece = Piece {
            object: self.name.object(DATA),
            offset: self.length,
            length: bytes.len() as u64,
        };
        self.length += piece.length;
        self.parts.push(bytes);
        piece
    }

    /// Bytes so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.length
    }

    /// True without any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A checkpoint in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: Name,
    /// What it says, or why it cannot be read.
    pub manifest: Result<Manifest, FormatError>,
}

/// A checkpoint that was read whole.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What is where.
    pub manifest: Manifest,
    objects: BTreeMap<String, Arc<Vec<u8>>>,
}

impl Loaded {
    /// A piece's bytes.
    ///
    /// # Errors
    /// It does not lie in its object.
    pub fn piece(&self, piece: &Piece) -> Result<&[u8], FormatError> {
        let outside = || FormatError::Content(format!("a piece lies outside of {}", piece.object));
        let object = self.objects.get(&piece.object).ok_or_else(outside)?;
        let begin = usize::try_from(piece.offset).map_err(|_| outside())?;
        let length = usize::try_from(piece.length).map_err(|_| outside())?;
        let begin = begin.checked_add(HEADER).ok_or_else(outside)?;
        let end = begin.checked_add(length).ok_or_else(outside)?;
        object.get(begin..end).ok_or_else(outside)
    }
}

/// The checkpoints of one pipeline.
#[derive(Clone)]
pub struct CheckpointStore {
    storage: Arc<dyn Storage>,
    pipeline: String,
    /// Those that were found damaged when they were read.
    damaged: Arc<Mutex<BTreeSet<Name>>>,
}

impl CheckpointStore {
    /// Those of a pipeline, in a store.
    pub fn new(storage: Arc<dyn Storage>, pipeline: impl Into<String>) -> Self {
        let pipeline = pipeline.into();
        Self {
            storage,
            pipeline,
            damaged: Arc::default(),
        }
    }

    /// The pipeline.
    #[must_use]
    pub fn pipeline(&self) -> &str {
        &self.pipeline
    }

    /// The store.
    #[must_use]
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    pub(crate) fn path(&self, object: &str) -> String {
        format!("{}/{object}", self.pipeline)
    }

    /// Writes a checkpoint: its data, then its manifest. Before that has happened it is not there.
    ///
    /// # Errors
    /// The store is away, full or refuses; or what the checkpoint builds on was removed.
    pub fn write(&self, data: Data, manifest: &Manifest) -> Result<(), StorageError> {
        let Data {
            name, mut parts, ..
        } = data;
        self.base_is_there(name, manifest)?;
        let header = envelope::header(Kind::Data, parts.iter().map(Vec::as_slice));
        parts.insert(0, header.to_vec());
        let put = self
            .storage
            .put_parts(&self.path(&name.object(DATA)), parts);
        room::age();
        put?;
        let mut object = envelope::begin();
        serde_json::to_writer(&mut object, manifest)
            .map_err(|error| StorageError(error.to_string()))?;
        let path = self.path(&name.object(MANIFEST));
        self.storage
            .put(&path, envelope::seal(Kind::Manifest, object))
    }

    /// The names of all checkpoints, oldest first.
    ///
    /// # Errors
    /// The store is away or refuses.
    pub fn names(&self) -> Result<Vec<Name>, StorageError> {
        let prefix = self.path(MANIFEST);
        let objects = self.storage.list(&prefix)?;
        let of = |(path, _): &(String, u64)| Name::of_object(path, &prefix);
        let mut names: Vec<Name> = objects.iter().filter_map(of).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// All checkpoints, oldest first.
    ///
    /// # Errors
    /// The store is away or refuses.
    pub fn list(&self) -> Result<Vec<Found>, StorageError> {
        let read = |name| {
            Ok(Found {
                name,
                manifest: self.manifest(name)?,
            })
        };
        self.names()?.into_iter().map(read).collect()
    }

    /// What a checkpoint says of itself.
    ///
    /// # Errors
    /// The store is away or refuses; inside, the manifest cannot be read.
    pub fn manifest(&self, name: Name) -> Result<Result<Manifest, FormatError>, StorageError> {
        let Some(object) = self.storage.get(&self.path(&name.object(MANIFEST)))? else {
            return Ok(Err(FormatError::Content("it is gone".to_owned())));
        };
        let content = envelope::open(Kind::Manifest, &object);
        Ok(content.and_then(|content| {
            serde_json::from_slice(content).map_err(|error| FormatError::Content(error.to_string()))
        }))
    }

    /// Reads a checkpoint whole.
    ///
    /// # Errors
    /// The store is away or refuses; inside, a part of it is missing or damaged.
    pub fn load(&self, name: Name) -> Result<Result<Loaded, FormatError>, StorageError> {
        let loaded = self.load_whole(name)?;
        if loaded.is_err() {
            self.mark_damaged(name);
        }
        Ok(loaded)
    }

    /// Notes that a checkpoint is of no use, for [`Self::retain`].
    pub fn mark_damaged(&self, name: Name) {
        self.damaged().insert(name);
    }

    fn damaged(&self) -> MutexGuard<'_, BTreeSet<Name>> {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn load_whole(&self, name: Name) -> Result<Result<Loaded, FormatError>, StorageError> {
        let manifest = match self.manifest(name)? {
            Ok(manifest) => manifest,
            Err(error) => return Ok(Err(error)),
        };
        let wanted: BTreeSet<&String> = manifest.pieces().map(|piece| &piece.object).collect();
        let mut objects = BTreeMap::new();
        for object in wanted {
            let Some(bytes) = self.storage.get(&self.path(object))? else {
                let missing = FormatError::Content(format!("{object} is missing"));
                return Ok(Err(missing));
            };
            if let Err(error) = envelope::open(Kind::Data, &bytes) {
                return Ok(Err(FormatError::Content(format!("{object}: {error}"))));
            }
            objects.insert(object.clone(), Arc::new(bytes));
        }
        let loaded = Loaded { manifest, objects };
        let bad = loaded
            .manifest
            .pieces()
            .find_map(|piece| loaded.piece(piece).err());
        Ok(bad.map_or(Ok(loaded), Err))
    }

    /// Reads the newest checkpoint that is whole, and says which newer ones are not and why.
    ///
    /// # Errors
    /// The store is away or refuses.
    #[allow(clippy::type_complexity)]
    pub fn newest(&self) -> Result<(Option<Loaded>, Vec<(Name, FormatError)>), StorageError> {
        let mut broken = Vec::new();
        for name in self.names()?.into_iter().rev() {
            match self.load(name)? {
                Ok(loaded) => return Ok((Some(loaded), broken)),
                Err(error) => broken.push((name, error)),
            }
        }
        Ok((None, broken))
    }

    /// Removes one checkpoint, and the data that no other one uses.
    ///
    /// # Errors
    /// The store is away or refuses.
    pub fn remove(&self, name: Name) -> Result<(), StorageError> {
        self.storage.delete(&self.path(&name.object(MANIFEST)))?;
        self.sweep()
    }

    /// Removes all but the `keep` newest whole checkpoints, and the data that no kept one uses. Where
    /// all of those build on one full save, the newest one that shares no object with them is
    /// kept as well: what damages one object leaves one to go on from. Damaged ones, as far as that
    /// is known, count for nothing and go with those that are older.
    ///
    /// # Errors
    /// The store is away or refuses; then some are left for the next time.
    pub fn retain(&self, keep: usize) -> Result<(), StorageError> {
        let (mut kept, mut apart) = (0, false);
        let mut newest: Option<BTreeSet<String>> = None;
        for name in self.names()?.into_iter().rev() {
            let full = kept >= keep.max(1);
            if full && apart {
                self.storage.delete(&self.path(&name.object(MANIFEST)))?;
                continue;
            }
            let manifest = self.manifest(name)?.ok();
            let whole = manifest.filter(|_| !self.damaged().contains(&name));
            let objects: Option<BTreeSet<String>> = whole.map(|manifest| {
                let pieces = manifest.pieces();
                pieces.map(|piece| piece.object.clone()).collect()
            });
            let is_apart = match (&newest, &objects) {
                (Some(newest), Some(objects)) => newest.is_disjoint(objects),
                _ => false,
            };
            if full && !is_apart {
                self.storage.delete(&self.path(&name.object(MANIFEST)))?;
                continue;
            }
            apart |= is_apart;
            kept += usize::from(objects.is_some());
            newest = newest.or(objects);
        }
        self.sweep()
    }

    /// Whether all data that a checkpoint names is there, but for its own.
    ///
    /// # Errors
    /// The store is away or refuses; or something is missing, and it says what.
    fn base_is_there(&self, name: Name, manifest: &Manifest) -> Result<(), StorageError> {
        let own = name.object(DATA);
        let pieces = manifest.pieces().map(|piece| &piece.object);
        let base: BTreeSet<&String> = pieces.filter(|object| **object != own).collect();
        if base.is_empty() {
            return Ok(());
        }
        let there = self.storage.list(&self.path(DATA))?;
        let there: BTreeSet<&str> = there.iter().map(|(path, _)| path.as_str()).collect();
        match base
            .iter()
            .find(|object| !there.contains(&*self.path(object)))
        {
            Some(gone) => Err(StorageError(format!(
                "{gone}, which the checkpoint builds on, was removed"
            ))),
            None => Ok(()),
        }
    }

    /// Removes data that no checkpoint uses. Data newer than the newest manifest may belong to
    /// one that is being written, and stays.
    fn sweep(&self) -> Result<(), StorageError> {
        let names = self.names()?;
        let Some(newest) = names.last().copied() else {
            return Ok(());
        };
        let mut used: BTreeSet<String> = BTreeSet::new();
        for name in names {
            match self.manifest(name)? {
                Ok(manifest) => used.extend(manifest.pieces().map(|piece| piece.object.clone())),
                // What it used is not known.
                Err(_) => {
                    used.insert(name.object(DATA));
                }
            }
        }
        let prefix = self.path(DATA);
        for (path, _) in self.storage.list(&prefix)? {
            let name = Name::of_object(&path, &prefix);
            if name.is_some_and(|name| name < newest && !used.contains(&name.object(DATA))) {
                self.storage.delete(&path)?;
            }
        }
        Ok(())
    }
}
