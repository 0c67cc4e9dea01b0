//! The folder of `*.sql` files: read as a whole, written file by file.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Largest file that is read, in bytes.
pub(crate) const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Where the service keeps what is no query: which ones are paused, files being written.
pub(crate) const STATE_FOLDER: &str = ".tidewheel";

/// A file of the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its text, or why there is none.
    pub text: Result<String, String>,
    /// When it was changed last, milliseconds since 1970.
    pub modified_ms: i64,
}

/// The files of the folder by the names of their queries. Subfolders are not read.
///
/// # Errors
/// The folder cannot be listed.
pub(crate) fn read(folder: &Path) -> std::io::Result<BTreeMap<String, Found>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".sql")) else {
            continue;
        };
        // A dot at the front is how editors name what they have not written yet.
        if name.is_empty() || name.starts_with('.') {
            continue;
        }
        match found(&entry.path()) {
            Ok(Some(found)) => drop(files.insert(name.to_owned(), found)),
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                let text = Err(format!("the file cannot be read: {error}"));
                let modified_ms = 0;
                files.insert(name.to_owned(), Found { text, modified_ms });
            }
        }
    }
    Ok(files)
}

fn found(path: &Path) -> std::io::Result<Option<Found>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let since = metadata.modified()?.duration_since(UNIX_EPOCH);
    let modified_ms = since.map_or(0, |passed| {
        i64::try_from(passed.as_millis()).unwrap_or(i64::MAX)
    });
    let text = if metadata.len() > FILE_BYTES_MAX {
        Err(format!(
            "the file has {} bytes; a query has at most {FILE_BYTES_MAX}",
            metadata.len()
        ))
    } else {
        String::from_utf8(fs::read(path)?)
            .map_err(|_| "the file is not UTF-8; save it with that encoding".to_owned())
    };
    Ok(Some(Found { text, modified_ms }))
}

/// The file of a query.
pub(crate) fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.sql"))
}

/// A text that is on the disk, not yet under its name.
pub(crate) struct Pending {
    temporary: PathBuf,
    target: PathBuf,
}

impl Pending {
    /// Writes the text aside, in the same file system, and makes it durable.
    ///
    /// # Errors
    /// The folder is read-only or full.
    pub(crate) fn write(target: &Path, text: &str) -> std::io::Result<Self> {
        let folder = target.parent().unwrap_or(Path::new("."));
        Self::aside(target, &folder.join(STATE_FOLDER), text)
    }

    /// The same for a file of the service's own, beside which there is room.
    ///
    /// # Errors
    /// The folder is read-only or full.
    pub(crate) fn write_at(target: &Path, text: &str) -> std::io::Result<Self> {
        Self::aside(target, target.parent().unwrap_or(Path::new(".")), text)
    }

    fn aside(target: &Path, aside: &Path, text: &str) -> std::io::Result<Self> {
        // Not the folder itself: where that is gone, one with a single file in it would make an
        // end of all other queries.
        match fs::create_dir(aside) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let temporary = aside.join(format!("{name}.new"));
        let mut file = File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(Self {
            temporary,
            target: target.to_owned(),
        })
    }

    /// Gives the file its name, in one step, and makes that durable.
    ///
    /// # Errors
    /// The folder does not allow it.
    pub(crate) fn commit(self) -> std::io::Result<()> {
        fs::rename(&self.temporary, &self.target)?;
        sync_folder(&self.target)
    }

    /// Removes it again.
    pub(crate) fn discard(self) {
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Removes a file and makes that durable. One that is gone already is fine.
///
/// # Errors
/// The folder does not allow it.
pub(crate) fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => sync_folder(path),
    }
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_there_as_a_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = path(folder.path(), "a");
        Pending::write(&target, "one")
            .expect("writes")
            .commit()
            .expect("renames");
        let pending = Pending::write(&target, "two").expect("writes");
        let files = read(folder.path()).expect("reads");
        assert_eq!(files["a"].text.as_deref(), Ok("one"));
        assert_eq!(files.len(), 1, "what is pending is no query");
        pending.discard();
        Pending::write(&target, "three")
            .expect("writes")
            .commit()
            .expect("renames");
        let files = read(folder.path()).expect("reads");
        assert_eq!(files["a"].text.as_deref(), Ok("three"));
        remove(&target).expect("removes");
        remove(&target).expect("is gone already");
        assert!(read(folder.path()).expect("reads").is_empty());
    }

    #[test]
    fn only_plain_sql_files_count() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = |name: &str| folder.path().join(name);
        fs::create_dir(place("sub.sql")).expect("makes");
        for name in ["a.sql", "b.txt", ".#a.sql", ".sql", "a.sql~"] {
            fs::write(place(name), "x").expect("writes");
        }
        fs::write(place("latin.sql"), b"\xe4").expect("writes");
        let files = read(folder.path()).expect("reads");
        assert_eq!(files.keys().collect::<Vec<_>>(), ["a", "latin"]);
        assert!(
            files["latin"]
                .text
                .as_ref()
                .is_err_and(|e| e.contains("UTF-8"))
        );
    }
}
