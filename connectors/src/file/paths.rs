//! Which files a path stands for, and how they are packed.

use super::STANDARD;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    /// Plain text.
    None,
    /// gzip, of one or several members.
    Gzip,
    /// Zstandard, of one or several frames.
    Zstd,
}

impl Compression {
    /// By the end of the name.
    pub(super) fn by_name(path: &Path) -> Self {
        match path.extension().and_then(|e| e.to_str()) {
            Some("gz" | "gzip") => Self::Gzip,
            Some("zst" | "zstd") => Self::Zstd,
            _ => Self::None,
        }
    }

    /// The uncompressed text of an input.
    ///
    /// # Errors
    /// The decoder cannot be made.
    pub(super) fn unpack(self, input: impl Read + Send + 'static) -> io::Result<Input> {
        Ok(match self {
            Self::None => Box::new(input),
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(
                io::BufReader::with_capacity(PACKED_READ_BYTES, input),
            )),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(
                io::BufReader::with_capacity(PACKED_READ_BYTES, input),
            )?),
        })
    }
}

/// Bytes of a packed file that are read at once.
const PACKED_READ_BYTES: usize = 256 * 1024;

/// An uncompressed text.
pub(super) type Input = Box<dyn Read + Send>;

/// What a path stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Standard input, or a pipe or device: read once, as it comes.
    Stream(Option<PathBuf>),
    /// Files that can be read from any position, sorted by name.
    Files {
        /// The files that are there now.
        files: Vec<PathBuf>,
        /// True when more files may come: a folder or a glob.
        open: bool,
    },
}

/// Most files of one table: partitions are numbered with 16 bits.
pub(super) const FILES_MAX: usize = tidewheel_core::time::PARTITION_MAX as usize + 1;

/// Finds what a path stands for. A folder or glob without files is refused unless `may_be_empty`.
///
/// # Errors
/// Nothing is there; says what to do.
pub(super) fn find(path: &str, may_be_empty: bool) -> Result<Place, String> {
    if path == STANDARD {
        return Ok(Place::Stream(None));
    }
    let place = Path::new(path);
    // A file whose name holds the characters of a glob is meant as it stands.
    let files = match std::fs::metadata(place) {
        Ok(meta) if meta.is_file() => {
            return Ok(Place::Files {
                files: vec![place.to_owned()],
                open: false,
            });
        }
        Ok(meta) if !meta.is_dir() => return Ok(Place::Stream(Some(place.to_owned()))),
        Ok(_) => folder(place)?,
        Err(error) if !is_glob(path) => return Err(unreadable(path, &error)),
        Err(_) => matches(path)?,
    };
    if files.is_empty() && !may_be_empty {
        return Err(if place.is_dir() {
            format!("the folder '{path}' holds no files (subfolders are not read); name another")
        } else {
            format!("no file matches '{path}'; check the pattern and {}", here())
        });
    }
    if files.len() > FILES_MAX {
        return Err(format!(
            "'{path}' stands for {} files, a table takes {FILES_MAX}; name fewer by a glob",
            files.len()
        ));
    }
    Ok(Place::Files { files, open: true })
}

fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .and_then(|n| n.to_str())
        .is_some_and(|name| name.starts_with('.'))
}

fn folder(path: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error: io::Error| format!("cannot read '{}': {error}", path.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file.is_file() && !is_hidden(&file) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn matches(pattern: &str) -> Result<Vec<PathBuf>, String> {
    let found = glob::glob(pattern)
        .map_err(|error| format!("'{pattern}' is no pattern ({error}); use *, ? and [a-z]"))?;
    let mut files: Vec<PathBuf> = found
        .filter_map(Result::ok)
        .filter(|file| file.is_file())
        .collect();
    files.sort();
    Ok(files)
}

fn unreadable(path: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!(
                "there is no file '{path}'; check the option 'path' and {}",
                here()
            )
        }
        _ => format!("cannot read '{path}': {error}; check the file's permissions"),
    }
}

fn here() -> String {
    std::env::current_dir().map_or_else(
        |_| "that the working folder exists".to_owned(),
        |folder| format!("the folder it starts from: {}", folder.display()),
    )
}
