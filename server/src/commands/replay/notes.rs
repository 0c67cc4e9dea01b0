//! What was sent: a file of lines that is only appended to.
//!
//! `+ID` stands before a record is sent, `=ID` once it was acknowledged. A line that is torn at the
//! end is cut off.

use crate::error::CliError;
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// The notes of all runs with one file.
pub(super) struct Notes {
    path: PathBuf,
    file: Option<File>,
    begun: HashSet<u128>,
    sent: HashSet<u128>,
    /// What this run has taken.
    here: HashSet<u128>,
    /// What earlier runs began and did not end.
    uncertain: u64,
}

impl Notes {
    /// Reads the file; one that is not there is empty, and made with the first note.
    ///
    /// # Errors
    /// It cannot be read, or holds something else.
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let mut notes = Self {
            path: path.to_owned(),
            file: None,
            begun: HashSet::new(),
            sent: HashSet::new(),
            here: HashSet::new(),
            uncertain: 0,
        };
        let mut text = String::new();
        match File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(notes),
            Err(error) => return Err(notes.failed("read")(error)),
            Ok(mut file) => {
                file.read_to_string(&mut text)
                    .map_err(notes.failed("read"))?;
            }
        }
        for line in text.split_inclusive('\n') {
            let Some(line) = line.strip_suffix('\n') else {
                break;
            };
            let id = line
                .get(1..)
                .and_then(|id| u128::from_str_radix(id, 16).ok());
            match (line.as_bytes().first(), id) {
                (Some(b'+'), Some(id)) => notes.begun.insert(id),
                (Some(b'='), Some(id)) => notes.sent.insert(id),
                _ => {
                    return Err(CliError::Usage(format!(
                        "{} holds no notes of `tidewheel replay`; name another file by --notes",
                        path.display()
                    )));
                }
            };
        }
        notes.uncertain = notes.begun.difference(&notes.sent).count() as u64;
        Ok(notes)
    }

    /// True once for what no run has sent, or begun to send.
    pub(super) fn is_new(&mut self, id: u128) -> bool {
        !self.begun.contains(&id) && self.is_new_here(id)
    }

    /// True once for what this run has not sent.
    pub(super) fn is_new_here(&mut self, id: u128) -> bool {
        self.here.insert(id)
    }

    /// How many earlier runs began to send and did not end.
    pub(super) fn uncertain(&self) -> u64 {
        self.uncertain
    }

    /// Notes what is going to be sent.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn begin(&mut self, ids: impl Iterator<Item = u128>) -> Result<(), CliError> {
        self.append('+', ids)
    }

    /// Notes what was acknowledged.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn end(&mut self, ids: impl Iterator<Item = u128>) -> Result<(), CliError> {
        self.append('=', ids)
    }

    fn append(&mut self, sign: char, ids: impl Iterator<Item = u128>) -> Result<(), CliError> {
        let text: String = ids.map(|id| format!("{sign}{id:032x}\n")).collect();
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.open().map_err(self.failed("write"))?,
        };
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(self.failed("write"))?;
        self.file = Some(file);
        Ok(())
    }

    fn open(&self) -> std::io::Result<File> {
        if let Some(folder) = self.path.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .append(true)
            .create(true)
            .open(&self.path)?;
        file.lock()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        file.set_len(whole as u64)?;
        Ok(file)
    }

    fn failed(&self, verb: &str) -> impl FnOnce(std::io::Error) -> CliError + use<> {
        CliError::io(format!("cannot {verb} the notes {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_begun_or_sent_is_known_to_the_next_run_whole_lines_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a/notes");
        let mut notes = Notes::read(&path).expect("empty");
        assert!(notes.is_new(1) && !notes.is_new(1));
        notes.begin([1, 2, u128::MAX].into_iter()).expect("written");
        notes.end([1, u128::MAX].into_iter()).expect("written");
        drop(notes);
        let text = std::fs::read_to_string(&path).expect("read");
        std::fs::write(&path, format!("{text}+0000")).expect("written");
        let mut notes = Notes::read(&path).expect("reads");
        assert_eq!(notes.uncertain(), 1);
        assert!(!notes.is_new(1) && !notes.is_new(2) && !notes.is_new(u128::MAX));
        assert!(notes.is_new(3) && notes.is_new_here(2));
        notes.begin([3].into_iter()).expect("written");
        let notes = Notes::read(&path).expect("the torn line is gone");
        assert_eq!(notes.uncertain(), 2);
        std::fs::write(&path, "something else\n").expect("written");
        assert!(Notes::read(&path).is_err());
    }
}
