//! Large objects of a local folder, written past the system's page cache.
//!
//! What a checkpoint writes is read again after a crash at most. In the page cache it would cost a copy
//! and a page of memory for each page of it, and push out what others read: measured, up to
//! 3 seconds of a processor for a gigabyte where the cache has to grow, against 0.2.

use std::fs::File;
use std::io;
use std::path::Path;

/// Memory and file places of direct writes are multiples of this: of what disks and file systems ask
/// for, the largest that is common, bytes.
const BLOCK: usize = 4096;
/// Bytes written at once: many blocks, and few enough to stay in a processor's cache.
const CHUNK: usize = 1024 * 1024;

/// Writes an object that is made of `parts`, and has it and its name on the disk when it returns.
/// False: this folder cannot be written so, and nothing was.
///
/// # Errors
/// The disk is full, or refuses. What was written of it is removed.
pub(crate) fn write(path: &Path, parts: &[Vec<u8>]) -> io::Result<bool> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if is_unable(&error) => {
            // Some systems have made it before they refuse.
            if error.kind() != io::ErrorKind::NotFound {
                let _ = std::fs::remove_file(path);
            }
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    let written = fill(&file, parts).and_then(|()| sync_name(path));
    if let Err(error) = written {
        drop(file);
        let _ = std::fs::remove_file(path);
        return if is_unable(&error) {
            Ok(false)
        } else {
            Err(error)
        };
    }
    Ok(true)
}

/// The file system does not write directly, or the folder is not there yet.
fn is_unable(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, NotFound, Unsupported};
    matches!(error.kind(), InvalidInput | NotFound | Unsupported)
}

#[cfg(target_os = "linux")]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    options.custom_flags(libc::O_DIRECT).open(path)
}

#[cfg(not(target_os = "linux"))]
fn open(_: &Path) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

fn fill(mut file: &File, parts: &[Vec<u8>]) -> io::Result<()> {
    use io::Write;
    let mut room = vec![0; CHUNK + BLOCK];
    let begin = room.as_ptr().align_offset(BLOCK);
    let chunk = &mut room[begin..begin + CHUNK];
    let mut used = 0;
    for part in parts {
        let mut left = part.as_slice();
        while !left.is_empty() {
            let (now, later) = left.split_at(left.len().min(CHUNK - used));
            chunk[used..used + now.len()].copy_from_slice(now);
            used += now.len();
            left = later;
            if used == CHUNK {
                file.write_all(chunk)?;
                used = 0;
            }
        }
    }
    if used > 0 {
        // Whole blocks only; what is too much is cut off.
        file.write_all(&chunk[..used.next_multiple_of(BLOCK)])?;
        let total: usize = parts.iter().map(Vec::len).sum();
        file.set_len(total as u64)?;
    }
    file.sync_all()
}

/// A new file's name is on the disk when its folder is.
fn sync_name(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_length_comes_back_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("object");
        let mut random = (0_u8..251).cycle();
        let mut parts = |lengths: &[usize]| -> Vec<Vec<u8>> {
            let part = |length: &usize| random.by_ref().take(*length).collect();
            lengths.iter().map(part).collect()
        };
        // Longer ones first: a shorter one leaves nothing of them.
        for lengths in [
            &[3 * CHUNK + 1][..],
            &[CHUNK - 7, 7, CHUNK, 1],
            &[CHUNK, CHUNK],
            &[1, BLOCK, CHUNK],
            &[CHUNK + BLOCK - 1],
            &[BLOCK],
            &[BLOCK - 1],
            &[1, 0, 2],
            &[],
        ] {
            let parts = parts(lengths);
            if !write(&path, &parts).unwrap() {
                eprintln!("this file system is not written directly: nothing is tested");
                return;
            }
            assert!(
                std::fs::read(&path).unwrap() == parts.concat(),
                "{lengths:?}"
            );
        }
    }

    #[test]
    fn without_a_folder_it_is_not_written_and_an_error_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = folder.path().join("none/object");
        assert!(!write(&nowhere, &[vec![1; BLOCK]]).unwrap());
        assert!(!nowhere.exists());
        if cfg!(not(target_os = "linux")) {
            return;
        }
        // A folder stands where the object should.
        let taken = folder.path().join("taken");
        std::fs::create_dir(&taken).unwrap();
        assert!(write(&taken, &[vec![1; BLOCK]]).is_err());
        assert!(taken.is_dir());
    }
}
