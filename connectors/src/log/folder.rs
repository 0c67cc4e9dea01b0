//! The files of a log: `log.meta`, and for each partition a folder with a lock and segments that
//! are named by the offset of their first record.

use super::LogError;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

const META: &str = "log.meta";
const LOCK: &str = "lock";
const SEGMENT_SUFFIX: &str = ".seg";
/// First line of `log.meta`; another one is another version's log.
const FORMAT: &str = "tidewheel-log 1";
/// Most partitions a log may have.
pub const PARTITIONS_MAX: u32 = 1024;

/// An error about a path.
pub(super) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> LogError {
    let path = path.to_owned();
    move |error| LogError::Io { path, error }
}

/// Opens the log's folder and returns its number of partitions, which is fixed when the log is
/// made: `wanted`, or 1. Several processes may do so at once.
pub(super) fn open_or_create(path: &Path, wanted: Option<u32>) -> Result<u32, LogError> {
    fs::create_dir_all(path).map_err(at(path))?;
    let lock = lock(path)?;
    lock.lock().map_err(at(path))?;
    let meta = path.join(META);
    if !meta.exists() {
        let partitions = wanted.unwrap_or(1);
        if !(1..=PARTITIONS_MAX).contains(&partitions) {
            return Err(LogError::Partitions {
                path: path.to_owned(),
                message: format!("{partitions} partitions; write 1 to {PARTITIONS_MAX}"),
            });
        }
        for partition in 0..partitions {
            let folder = partition_path(path, partition);
            fs::create_dir_all(&folder).map_err(at(&folder))?;
        }
        let fresh = path.join("log.meta.new");
        let mut file = File::create(&fresh).map_err(at(&fresh))?;
        write!(file, "{FORMAT}\npartitions {partitions}\n").map_err(at(&fresh))?;
        file.sync_all().map_err(at(&fresh))?;
        fs::rename(&fresh, &meta).map_err(at(&meta))?;
        sync_folder(path)?;
    }
    let partitions = partitions(path)?;
    match wanted {
        Some(wanted) if wanted != partitions => Err(LogError::Partitions {
            path: path.to_owned(),
            message: format!(
                "it was made with {partitions} partitions, not {wanted}; the number is fixed: \
                 write 'partitions' = '{partitions}' or choose another path"
            ),
        }),
        _ => Ok(partitions),
    }
}

/// The number of partitions of a log that is there.
pub(super) fn partitions(path: &Path) -> Result<u32, LogError> {
    let meta = path.join(META);
    let mut text = String::new();
    File::open(&meta)
        .and_then(|mut file| file.read_to_string(&mut text))
        .map_err(at(&meta))?;
    let mut lines = text.lines();
    let count = lines
        .next()
        .filter(|line| *line == FORMAT)
        .and_then(|_| lines.next()?.strip_prefix("partitions ")?.parse().ok())
        .filter(|count| (1..=PARTITIONS_MAX).contains(count));
    count.ok_or_else(|| LogError::Partitions {
        path: path.to_owned(),
        message: "its log.meta is not of this version's format; choose another path".to_owned(),
    })
}

/// The folder of one partition.
pub(super) fn partition_path(path: &Path, partition: u32) -> PathBuf {
    path.join(partition.to_string())
}

/// Opens the lock file of a folder, not locked yet.
pub(super) fn lock(folder: &Path) -> Result<File, LogError> {
    let path = folder.join(LOCK);
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(at(&path))
}

/// The file of the segment whose first record has offset `base`.
pub(super) fn segment_path(folder: &Path, base: u64) -> PathBuf {
    folder.join(format!("{base:020}{SEGMENT_SUFFIX}"))
}

/// The first offsets of all segments, ascending.
pub(super) fn segments(folder: &Path) -> Result<Vec<u64>, LogError> {
    let mut bases = Vec::new();
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let name = entry.map_err(at(folder))?.file_name();
        let base: Option<u64> = name
            .to_str()
            .and_then(|n| n.strip_suffix(SEGMENT_SUFFIX)?.parse().ok());
        bases.extend(base);
    }
    bases.sort_unstable();
    Ok(bases)
}

/// Makes new and renamed files of a folder durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), LogError> {
    File::open(folder)
        .and_then(|file| file.sync_all())
        .map_err(at(folder))
}
