//! Files that are written, shared by the sinks that write them.

use super::STANDARD;
use super::paths::Compression;
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

/// Where lines go.
pub(super) struct Output {
    target: Target,
    compression: Compression,
    packed: Vec<u8>,
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
        append: bool,
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
        if let Some(output) = exists.and_then(|key| open.get(&key)?.upgrade()) {
            return Ok(output);
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(!append)
            .open(path)
            .map_err(|error| failed(&error))?;
        // A pipe or device has no end to seek.
        let length = file.seek(SeekFrom::End(0)).unwrap_or(0);
        let key = std::fs::canonicalize(path).map_err(|error| failed(&error))?;
        let target = Target::File {
            file,
            path: key.clone(),
            length,
        };
        let compression = compression.unwrap_or_else(|| Compression::by_name(path));
        let output = Arc::new(Mutex::new(Output::new(target, compression)));
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
        }
    }

    /// Writes whole lines and flushes them: all or, on an error, none of them.
    ///
    /// # Errors
    /// `Retry` when the file stands as before, else `Fatal`.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), SinkError> {
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
        let Target::File { file, path, .. } = &mut self.target else {
            return Ok(());
        };
        match file.sync_all() {
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

fn packing(error: &io::Error) -> SinkError {
    SinkError::Fatal(format!("cannot pack lines: {error}"))
}
