//! Where a file stood at a checkpoint, and going back there.

use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes before the place that must be the same when a file is taken up again.
const TAIL_BYTES: u64 = 4096;

/// A place behind a whole write of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The file's length.
    pub(super) length: u64,
    /// XXH3 of the bytes before, [`TAIL_BYTES`] at most; `None` where they could not be read.
    tail: Option<u64>,
}

/// What is found where a file was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// The file, as long or longer.
    There,
    /// No file, or an empty one.
    Gone,
}

impl Place {
    /// The present end of a file of this length.
    ///
    /// # Errors
    /// The file is shorter.
    pub(super) fn of(file: &File, length: u64) -> io::Result<Self> {
        let tail = match tail(file, length) {
            Ok(tail) => Some(tail),
            // Opened for writing only.
            Err(error) if error.raw_os_error() == Some(EBADF) => None,
            Err(error) => return Err(error),
        };
        Ok(Self { length, tail })
    }

    /// Reads what [`Place::to_bytes`] wrote; `None` of nothing, which is no place.
    ///
    /// # Errors
    /// It is no place.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Option<Self>, String> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let place = serde_json::from_slice(bytes);
        place
            .map(Some)
            .map_err(|error| format!("the checkpoint's place in the file cannot be read: {error}"))
    }

    /// As text.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Looks whether this is the file that was left there.
    ///
    /// # Errors
    /// It is another one, or was cut; says what to do.
    pub(super) fn look(&self, file: &File, path: &Path, has: u64) -> Result<Left, String> {
        if has == 0 {
            return Ok(Left::Gone);
        }
        let what = if has < self.length {
            format!(
                "has {has} bytes, and at the checkpoint it had {}: it was cut or replaced",
                self.length
            )
        } else if self
            .tail
            .is_some_and(|known| tail(file, self.length).is_ok_and(|found| found != known))
        {
            format!(
                "is not the file of the checkpoint: the bytes before byte {} are others",
                self.length
            )
        } else {
            return Ok(Left::There);
        };
        Err(format!(
            "'{}' {what}; move it away to go on with a new file, or bring the old one back",
            path.display()
        ))
    }
}

/// The error of reading a file that was opened for writing only.
const EBADF: i32 = 9;

fn tail(file: &File, length: u64) -> io::Result<u64> {
    let begin = length.saturating_sub(TAIL_BYTES);
    let mut bytes = vec![0; (length - begin) as usize];
    file.read_exact_at(&mut bytes, begin)?;
    Ok(xxh3_64(&bytes))
}
