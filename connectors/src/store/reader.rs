//! Reading a store that another process may be writing, without any lock.

use super::op::{self, Frame, Op};
use super::state::{Entry, State};
use super::{LOG_SUFFIX, SNAPSHOT_SUFFIX, StoreError, at, log_path, snapshot_path};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes read at a time.
const READ_BYTES: usize = 1 << 20;

/// The numbers of a store's generations.
pub(super) struct Generation;

impl Generation {
    /// All of which some file is there, ascending.
    pub(super) fn all(path: &Path) -> Result<Vec<u64>, StoreError> {
        Self::with(path, &[SNAPSHOT_SUFFIX, LOG_SUFFIX])
    }

    /// The newest that is complete: the newest snapshot's, or the first, which has none.
    pub(super) fn newest(path: &Path) -> Result<Option<u64>, StoreError> {
        let newest = Self::with(path, &[SNAPSHOT_SUFFIX])?.last().copied();
        Ok(newest.or_else(|| log_path(path, 0).exists().then_some(0)))
    }

    fn with(path: &Path, suffixes: &[&str]) -> Result<Vec<u64>, StoreError> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(path).map_err(at(path))? {
            let name = entry.map_err(at(path))?.file_name();
            let name = name.to_string_lossy();
            let base = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
            numbers.extend(base.and_then(|base| base.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }
}

/// A generation as far as it was read.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) state: State,
    pub(super) log: Option<File>,
    /// Byte position in the log behind its last whole frame.
    pub(super) position: u64,
    /// Whole frames of the log.
    pub(super) frames: u64,
    pub(super) snapshot_bytes: u64,
}

impl Loaded {
    pub(super) fn load(path: &Path, generation: u64) -> Result<Self, StoreError> {
        let mut state = State::default();
        let mut snapshot_bytes = 0;
        if generation > 0 {
            let file_path = snapshot_path(path, generation);
            let file = File::open(&file_path).map_err(at(&file_path))?;
            let length = file.metadata().map_err(at(&file_path))?.len();
            let apply = |now_ms, op| state.apply(now_ms, op);
            let (position, _) = read_frames(&file, 0, 0, apply).map_err(at(&file_path))?;
            if position != length {
                return Err(StoreError::Damaged {
                    path: file_path,
                    position,
                });
            }
            snapshot_bytes = length;
        }
        let mut loaded = Self {
            state,
            log: None,
            position: 0,
            frames: 0,
            snapshot_bytes,
        };
        loaded.follow(path, generation)?;
        Ok(loaded)
    }

    /// Reads on; true when there was something.
    pub(super) fn follow(&mut self, path: &Path, generation: u64) -> Result<bool, StoreError> {
        let file_path = log_path(path, generation);
        let file = match self.log.take() {
            Some(file) => file,
            None => match File::open(&file_path) {
                Ok(file) => file,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
                Err(error) => {
                    return Err(StoreError::Io {
                        path: file_path,
                        error,
                    });
                }
            },
        };
        let before = self.position;
        let state = &mut self.state;
        let apply = |now_ms, op| state.apply(now_ms, op);
        let read = read_frames(&file, self.position, self.frames, apply);
        (self.position, self.frames) = read.map_err(at(&file_path))?;
        self.log = Some(file);
        Ok(self.position > before)
    }
}

/// Applies the whole frames from a place on, and returns the place behind them.
fn read_frames(
    file: &File,
    mut position: u64,
    mut number: u64,
    mut apply: impl FnMut(i64, Op),
) -> std::io::Result<(u64, u64)> {
    let mut data = Vec::new();
    let mut wanted = READ_BYTES;
    loop {
        let available = file.metadata()?.len().saturating_sub(position);
        let size = usize::try_from(available).unwrap_or(usize::MAX).min(wanted);
        data.resize(size, 0);
        match file.read_exact_at(&mut data, position) {
            // Cut meanwhile: the next look will tell.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Ok((position, number));
            }
            result => result?,
        }
        let mut start = 0;
        while let Frame::Whole(now_ms, ops, end) = op::decode(&data, start, number) {
            for op in ops {
                apply(now_ms, op);
            }
            (start, number) = (end, number + 1);
        }
        position += start as u64;
        if size as u64 == available {
            return Ok((position, number));
        }
        // A frame that is longer than what was read.
        wanted = if start == 0 {
            wanted.saturating_mul(2)
        } else {
            READ_BYTES
        };
        if start == 0 && matches!(op::decode(&data, 0, number), Frame::Bad) {
            return Ok((position, number));
        }
    }
}

/// Reads a store and follows its writer.
///
/// ```no_run
/// use tidewheel_connectors::store::StoreReader;
///
/// let mut store = StoreReader::open("features".as_ref())?;
/// store.refresh()?;
/// let now_ms = 1_742_986_606_700;
/// for (key, entry) in store.scan_prefix("user:42:", now_ms) {
///     println!("{key} = {:?}", entry.value);
/// }
/// # Ok::<(), tidewheel_connectors::store::StoreError>(())
/// ```
#[derive(Debug)]
pub struct StoreReader {
    path: PathBuf,
    generation: u64,
    loaded: Loaded,
}

impl StoreReader {
    /// Opens a store and reads what is in it.
    ///
    /// # Errors
    /// There is no store at `path`, or it is damaged.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (generation, loaded) = load_newest(path)?;
        Ok(Self {
            path: path.to_owned(),
            generation,
            loaded,
        })
    }

    /// Reads what was written since; true when there was something. Never goes back.
    ///
    /// # Errors
    /// The store is gone or damaged.
    pub fn refresh(&mut self) -> Result<bool, StoreError> {
        // Asked first, and the log read after: once the next snapshot is there, its log is final.
        let next = self.generation + 1;
        let is_final = snapshot_path(&self.path, next).exists();
        let mut changed = self.loaded.follow(&self.path, self.generation)?;
        let is_gone = self.loaded.log.is_none()
            || (!is_final && !log_path(&self.path, self.generation).exists());
        if is_gone {
            // More than one generation behind.
            (self.generation, self.loaded) = load_newest(&self.path)?;
            changed = true;
        } else if is_final {
            // The next snapshot is what was just read to its end.
            self.generation = next;
            (self.loaded.log, self.loaded.position, self.loaded.frames) = (None, 0, 0);
            changed |= self.refresh()?;
        }
        Ok(changed)
    }

    /// True when nothing was written since the last [`refresh`](Self::refresh): a look at two
    /// files, without reading any.
    #[must_use]
    pub fn is_current(&self) -> bool {
        let length = |file: &File| file.metadata().map(|meta| meta.len()).ok();
        let log = self.loaded.log.as_ref();
        log.and_then(length) == Some(self.loaded.position)
            && !snapshot_path(&self.path, self.generation + 1).exists()
            && log_path(&self.path, self.generation).exists()
    }

    /// What a key holds at `now_ms`, wall clock in ms since the Unix epoch.
    #[must_use]
    pub fn get(&self, key: &str, now_ms: i64) -> Option<&Entry> {
        self.loaded.state.get(key, now_ms)
    }

    /// The keys that begin with `prefix` and what they hold at `now_ms`, in the order of their
    /// bytes.
    pub fn scan_prefix<'a>(
        &'a self,
        prefix: &'a str,
        now_ms: i64,
    ) -> impl Iterator<Item = (&'a str, &'a Entry)> {
        self.loaded.state.scan(prefix, now_ms)
    }

    /// All keys and what they hold at `now_ms`, in the order of their bytes.
    pub fn iter(&self, now_ms: i64) -> impl Iterator<Item = (&str, &Entry)> {
        self.loaded.state.scan("", now_ms)
    }

    /// The number of keys, those included that have expired since they were last written.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.loaded.state.len()
    }
}

/// Loads the newest generation; begins anew when the writer removes it meanwhile.
fn load_newest(path: &Path) -> Result<(u64, Loaded), StoreError> {
    loop {
        let Some(generation) = Generation::newest(path)? else {
            return Err(StoreError::NoStore {
                path: path.to_owned(),
            });
        };
        match Loaded::load(path, generation) {
            Err(StoreError::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => {}
            result => return Ok((generation, result?)),
        }
    }
}
