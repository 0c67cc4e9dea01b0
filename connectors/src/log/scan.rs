//! Reads one segment file from a place on, whole records at a time.

use super::LogError;
use super::folder;
use super::frame::{self, Frame, HEADER_BYTES, Parsed};
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Bytes that a scan without a limit of its own reads at a time.
const SCAN_BYTES: usize = 4 * 1024 * 1024;

/// An open segment and a place in it.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) file: File,
    pub(super) path: PathBuf,
    /// Offset of the segment's first record.
    pub(super) base: u64,
    /// Byte position of the next record.
    pub(super) position: u64,
    /// Offset of the next record.
    pub(super) offset: u64,
}

/// What stands after the records that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// More may follow: the limit was reached.
    More,
    /// Nothing.
    End,
    /// A record that is not complete.
    Torn,
    /// Bytes that are no record.
    Bad,
}

impl Cursor {
    /// The beginning of the segment that begins with offset `base`; `None` when it is not there.
    pub(super) fn open(folder: &Path, base: u64) -> Result<Option<Self>, LogError> {
        let path = folder::segment_path(folder, base);
        match File::open(&path) {
            Ok(file) => Ok(Some(Self {
                file,
                path,
                base,
                position: 0,
                offset: base,
            })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LogError::Io { path, error }),
        }
    }

    /// Bytes in the file.
    pub(super) fn length(&self) -> Result<u64, LogError> {
        Ok(self.file.metadata().map_err(folder::at(&self.path))?.len())
    }

    /// True when retention has removed the segment.
    pub(super) fn is_removed(&self) -> Result<bool, LogError> {
        Ok(self
            .file
            .metadata()
            .map_err(folder::at(&self.path))?
            .nlink()
            == 0)
    }

    /// Reads whole records, about `max_bytes` at most but at least one, into `data` (which is
    /// replaced), and moves on behind them.
    pub(super) fn read(
        &mut self,
        max_bytes: usize,
        data: &mut Vec<u8>,
        records: &mut Vec<Parsed>,
    ) -> Result<Tail, LogError> {
        data.clear();
        records.clear();
        let available = self.length()?.saturating_sub(self.position);
        if available == 0 {
            return Ok(Tail::End);
        }
        let mut wanted = max_bytes.max(HEADER_BYTES);
        loop {
            let size = usize::try_from(available).unwrap_or(usize::MAX).min(wanted);
            let read = self.fill(size, data)?;
            // Less than asked for means that the file was cut meanwhile: this is all there is.
            let whole = read < size || size as u64 == available;
            let mut at = 0;
            let tail = loop {
                if at == data.len() {
                    break if whole { Tail::End } else { Tail::More };
                }
                match frame::parse(data, at, self.offset + records.len() as u64) {
                    Frame::Whole(record) => {
                        at = record.end;
                        records.push(record);
                    }
                    Frame::Bad => break Tail::Bad,
                    Frame::Short(_) if whole => break Tail::Torn,
                    Frame::Short(needed) => {
                        if records.is_empty() {
                            wanted = needed;
                        }
                        break Tail::More;
                    }
                }
            };
            // The first record is longer than the limit: read on, once, or twice where not even
            // its header fitted.
            if tail == Tail::More && records.is_empty() && wanted > size {
                continue;
            }
            data.truncate(at);
            self.position += at as u64;
            self.offset += records.len() as u64;
            return Ok(tail);
        }
    }

    /// Moves to the record with that offset, or as near as whole records go.
    pub(super) fn skip_to(&mut self, offset: u64) -> Result<Tail, LogError> {
        let (mut data, mut records) = (Vec::new(), Vec::new());
        loop {
            let (position, first) = (self.position, self.offset);
            if first >= offset {
                return Ok(Tail::More);
            }
            let tail = self.read(SCAN_BYTES, &mut data, &mut records)?;
            if self.offset > offset {
                let index = (offset - first) as usize;
                let before = index.checked_sub(1).and_then(|i| records.get(i));
                self.position = position + before.map_or(0, |record| record.end as u64);
                self.offset = offset;
                return Ok(Tail::More);
            }
            if tail != Tail::More {
                return Ok(tail);
            }
        }
    }

    /// Moves behind the last whole record.
    pub(super) fn skip_to_end(&mut self) -> Result<Tail, LogError> {
        self.skip_to(u64::MAX)
    }

    fn fill(&self, size: usize, data: &mut Vec<u8>) -> Result<usize, LogError> {
        data.resize(size, 0);
        let mut read = 0;
        while read < size {
            match self
                .file
                .read_at(&mut data[read..], self.position + read as u64)
            {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(LogError::Io {
                        path: self.path.clone(),
                        error,
                    });
                }
            }
        }
        data.truncate(read);
        Ok(read)
    }
}
