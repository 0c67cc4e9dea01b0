//! Files that are written, shared by the sinks that write them.

use super::STANDARD;
use super::paths::Compression;
use super::place::{Left, Place};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use tidewheel_core::SinkError;

/// A balance of speed and size; zstd's own default.
const ZSTD_LEVEL: i32 = 3;
/// A balance of speed and size; gzip's own default.
const GZIP_LEVEL: u32 = 6;

/// The outputs that are open, by path.
#[derive(Default)]
pub(super) struct Outputs {
    open: Mutex<HashMap<PathBuf, Weak<Mutex<Output>>>>,
}

/// How a file begins.
#[derive(Debug, Clone, Default)]
pub(super) struct Begin {
    /// What it holds stays.
    pub(super) append: bool,
    /// It is cut back to this place, and written from there.
    pub(super) resume: Option<Place>,
    /// Nothing is cut before the first write: another process may still be the one that writes.
    pub(super) later: bool,
}

/// Where lines go.
pub(super) struct Output {
    target: Target,
    compression: Compression,
    packed: Vec<u8>,
    /// The length to cut the file to before anything is written; `None` once that is done.
    cut: Option<u64>,
    /// True once the file is written: nothing is cut any more.
    begun: bool,
    /// True until the file's name is durable.
    is_new: bool,
}

enum Target {
    Standard,
    File {
        file: File,
        path: PathBuf,
        length: u64,
    },
}

impl Outputs {
    /// Opens a file, or joins the one that is open; folders above it are made.
    ///
    /// # Errors
    /// The file cannot be made; says what to do.
    pub(super) fn open(
        &self,
        path: &str,
        compression: Option<Compression>,
        begin: &Begin,
    ) -> Result<Arc<Mutex<Output>>, String> {
        if path == STANDARD {
            let compression = compression.unwrap_or(Compression::None);
            return Ok(Arc::new(Mutex::new(Output::new(
                Target::Standard,
                compression,
            ))));
        }
        let path = Path::new(path);
        let failed = |error: &io::Error| {
            format!(
                "cannot write '{}': {error}; check the path and its permissions",
                path.display()
            )
        };
        if path.is_dir() {
            return Err(format!("'{}' is a folder; name a file", path.display()));
        }
        if let Some(parent) = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            std::fs::create_dir_all(parent).map_err(|error| failed(&error))?;
        }
        let mut open = self.open.lock();
        open.retain(|_, output| output.strong_count() > 0);
        let exists = std::fs::canonicalize(path).ok();
        let is_new = exists.is_none();
        if let Some(output) = exists.and_then(|key| open.get(&key)?.upgrade()) {
            if let Some(place) = &begin.resume {
                output.lock().resume(place)?;
            }
            return Ok(output);
        }
        let regular = is_new || path.is_file();
        let mut file = open_file(path, regular).map_err(|error| failed(&error))?;
        // A pipe or device has no end to seek.
        let length = file.seek(SeekFrom::End(0)).unwrap_or(0);
        let key = std::fs::canonicalize(path).map_err(|error| failed(&error))?;
        let target = Target::File {
            file,
            path: key.clone(),
            length,
        };
        let compression = compression.unwrap_or_else(|| Compression::by_name(path));
        let mut output = Output::new(target, compression);
        output.is_new = is_new;
        if regular {
            match &begin.resume {
                Some(place) => output.resume(place)?,
                None if begin.append => {}
                None => output.cut = Some(0),
            }
            if !begin.later && begin.resume.is_none() {
                output.begin().map_err(|error| error.to_string())?;
            }
        }
        let output = Arc::new(Mutex::new(output));
        open.insert(key, Arc::downgrade(&output));
        Ok(output)
    }
}

impl Output {
    fn new(target: Target, compression: Compression) -> Self {
        Self {
            target,
            compression,
            packed: Vec::new(),
            cut: None,
            begun: false,
            is_new: false,
        }
    }

    /// Takes the file up where it stood. Of several places (several queries write the file) the
    /// last one counts: nothing is lost, and what others wrote before it may come twice.
    ///
    /// # Errors
    /// It is not the file that was left there.
    fn resume(&mut self, place: &Place) -> Result<(), String> {
        let Target::File { file, path, length } = &self.target else {
            return Ok(());
        };
        if self.begun {
            tracing::warn!(
                path = %path.display(),
                "the file is being written already, so it cannot be cut back to the checkpoint; \
                 rows after it may stand there twice"
            );
            return Ok(());
        }
        if place.look(file, path, *length)? == Left::Gone && place.length > 0 {
            tracing::warn!(
                path = %path.display(),
                "the file is gone since the checkpoint; a new one is begun, and what was written \
                 after the checkpoint stands in both"
            );
        }
        let to = place.length.min(*length);
        self.cut = Some(self.cut.map_or(to, |cut| cut.max(to)));
        Ok(())
    }

    /// Cuts the file to where it begins, before anything is written.
    ///
    /// # Errors
    /// The file system refuses.
    fn begin(&mut self) -> Result<(), SinkError> {
        self.begun = true;
        let (Some(cut), Target::File { file, path, length }) = (self.cut, &mut self.target) else {
            return Ok(());
        };
        file.set_len(cut)
            .and_then(|()| file.seek(SeekFrom::Start(cut)))
            .map_err(|error| {
                SinkError::Fatal(format!("cannot cut '{}': {error}", path.display()))
            })?;
        if *length > cut && cut > 0 {
            let (path, bytes) = (path.display(), *length - cut);
            tracing::info!(%path, bytes, "what was written after the checkpoint is taken back");
        }
        *length = cut;
        self.cut = None;
        Ok(())
    }

    /// Makes what was written durable, and says where the file stands; empty where it has no
    /// place to go back to.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn position(&mut self) -> Result<Vec<u8>, SinkError> {
        self.sync()?;
        let Target::File { file, path, length } = &self.target else {
            return Ok(Vec::new());
        };
        if !file.metadata().is_ok_and(|meta| meta.is_file()) {
            return Ok(Vec::new());
        }
        let place = Place::of(file, *length).map_err(|error| {
            SinkError::Retry(format!(
                "cannot read the end of '{}': {error}",
                path.display()
            ))
        })?;
        Ok(place.to_bytes())
    }

    /// Writes whole lines and flushes them: all or, on an error, none of them.
    ///
    /// # Errors
    /// `Retry` when the file stands as before, else `Fatal`.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), SinkError> {
        self.begin()?;
        let bytes = match self.compression {
            Compression::None => lines,
            Compression::Gzip => {
                self.packed.clear();
                let level = flate2::Compression::new(GZIP_LEVEL);
                let mut encoder = flate2::write::GzEncoder::new(&mut self.packed, level);
                encoder
                    .write_all(lines)
                    .and_then(|()| encoder.try_finish())
                    .map_err(|error| packing(&error))?;
                drop(encoder);
                self.packed.as_slice()
            }
            Compression::Zstd => {
                self.packed.clear();
                zstd::stream::copy_encode(lines, &mut self.packed, ZSTD_LEVEL)
                    .map_err(|error| packing(&error))?;
                self.packed.as_slice()
            }
        };
        match &mut self.target {
            Target::Standard => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)
                    .and_then(|()| out.flush())
                    .map_err(|error| {
                        SinkError::Fatal(format!("cannot write to standard output: {error}"))
                    })
            }
            Target::File { file, path, length } => {
                let Err(error) = file.write_all(bytes).and_then(|()| file.flush()) else {
                    *length += bytes.len() as u64;
                    return Ok(());
                };
                let message = format!("cannot write '{}': {error}", path.display());
                // Cut back to the last whole write, so that a retry repeats no line.
                let cut = file
                    .set_len(*length)
                    .and_then(|()| file.seek(SeekFrom::Start(*length)));
                Err(match cut {
                    Ok(_) => SinkError::Retry(message),
                    Err(_) => SinkError::Fatal(message),
                })
            }
        }
    }

    /// Makes what was written durable.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn sync(&mut self) -> Result<(), SinkError> {
        self.begin()?;
        let Target::File { file, path, .. } = &mut self.target else {
            return Ok(());
        };
        let mut synced = file.sync_all();
        if synced.is_ok() && std::mem::take(&mut self.is_new) {
            // A new file's name stands in its folder.
            let folder = path
                .parent()
                .map_or(Ok(()), |folder| File::open(folder)?.sync_all());
            synced = folder;
        }
        match synced {
            Ok(()) => Ok(()),
            // Pipes and devices have nothing to sync.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            Err(error) => Err(SinkError::Fatal(format!(
                "cannot make '{}' durable: {error}; look at the disk",
                path.display()
            ))),
        }
    }
}

/// Opens a file for writing, and, where that is allowed, for reading its end again.
fn open_file(path: &Path, regular: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    if regular {
        match options.clone().read(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            opened => return opened,
        }
    }
    options.open(path)
}

fn packing(error: &io::Error) -> SinkError {
    SinkError::Fatal(format!("cannot pack lines: {error}"))
}
