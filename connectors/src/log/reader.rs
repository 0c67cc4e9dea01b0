//! Following one partition without any lock.
//!
//! A reader trusts checks alone: bytes that are not yet a whole record are left where they are
//! and read anew the next time, for a writer may still be at it, or cut them off.

use super::LogError;
use super::folder;
use super::frame::Parsed;
use super::scan::{Cursor, Tail};
use std::path::{Path, PathBuf};

/// Where to begin reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The oldest record that is still there.
    Earliest,
    /// Behind the newest record.
    Latest,
    /// This offset.
    Offset(u64),
}

/// Records as they stand in the log: `data` holds them with their headers, `records` says where
/// in `data` keys and values are. Reuse it from read to read.
#[derive(Debug, Default)]
pub struct Batch {
    /// Bytes of the segment.
    pub data: Vec<u8>,
    /// The whole records in them, by ascending offset.
    pub records: Vec<Parsed>,
}

impl Batch {
    /// The value of the record at `index`; `None` for a tombstone or where there is no record.
    #[must_use]
    pub fn value(&self, index: usize) -> Option<&[u8]> {
        let (start, end) = self.records.get(index)?.value?;
        self.data.get(start..end)
    }

    /// The key of the record at `index`.
    #[must_use]
    pub fn key(&self, index: usize) -> Option<&[u8]> {
        let (start, end) = self.records.get(index)?.key?;
        self.data.get(start..end)
    }
}

/// Reads the records of one partition and follows its end.
#[derive(Debug)]
pub struct LogReader {
    folder: PathBuf,
    cursor: Option<Cursor>,
    /// The next offset, where no cursor knows it.
    offset: u64,
    /// Reads in a row that found nothing.
    idle_reads: u32,
}

/// After so many reads that found nothing it is checked that nothing is missing.
const IDLE_READS_TO_CHECK: u32 = 1024;

impl LogReader {
    /// The number of partitions of a log.
    ///
    /// # Errors
    /// There is no log at `path`.
    pub fn partitions(path: &Path) -> Result<u32, LogError> {
        folder::partitions(path)
    }

    /// Opens a partition of a log.
    ///
    /// # Errors
    /// There is no such log, partition or offset.
    pub fn open(path: &Path, partition: u32, start: Start) -> Result<Self, LogError> {
        let count = folder::partitions(path)?;
        if partition >= count {
            return Err(LogError::Partitions {
                path: path.to_owned(),
                message: format!("it has {count} partitions, numbered from 0, and no {partition}"),
            });
        }
        let mut reader = Self {
            folder: folder::partition_path(path, partition),
            cursor: None,
            offset: 0,
            idle_reads: 0,
        };
        reader.seek(start)?;
        Ok(reader)
    }

    /// The offset of the next record.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        self.cursor
            .as_ref()
            .map_or(self.offset, |cursor| cursor.offset)
    }

    /// Reads the records that are there, about `max_bytes` at most but at least one, into `batch`
    /// and returns their number. 0 means that the partition is read to its present end; a later
    /// call returns what came meanwhile.
    ///
    /// # Errors
    /// The log is damaged, or retention has removed what was to be read next.
    pub fn read(&mut self, max_bytes: usize, batch: &mut Batch) -> Result<usize, LogError> {
        batch.data.clear();
        batch.records.clear();
        let mut closed = false;
        loop {
            let Some(cursor) = &mut self.cursor else {
                self.cursor = Cursor::open(&self.folder, self.offset)?;
                if self.cursor.is_some() {
                    continue;
                }
                return if self.is_behind()? {
                    Err(self.missing()?)
                } else {
                    Ok(0)
                };
            };
            let tail = cursor.read(max_bytes, &mut batch.data, &mut batch.records)?;
            if !batch.records.is_empty() {
                self.idle_reads = 0;
                return Ok(batch.records.len());
            }
            if cursor.position > 0
                && let Some(next) = Cursor::open(&self.folder, cursor.offset)?
            {
                // That segment begins where this one ends, so nothing more can come here.
                self.cursor = Some(next);
                continue;
            }
            if closed {
                return Err(self.missing()?);
            }
            self.idle_reads = self.idle_reads.wrapping_add(1);
            let suspect = tail != Tail::End || self.idle_reads.is_multiple_of(IDLE_READS_TO_CHECK);
            if (suspect || cursor.is_removed()?) && self.is_behind()? {
                // Records are behind this segment, so it will not change any more. It may have
                // done so since it was read above: one more look decides.
                closed = true;
                continue;
            }
            return Ok(0);
        }
    }

    /// Bytes from this place to the present end, over all segments.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn bytes_ahead(&self) -> Result<u64, LogError> {
        let (base, position) = self
            .cursor
            .as_ref()
            .map_or((0, 0), |c| (c.base, c.position));
        let mut total: u64 = 0;
        for segment in folder::segments(&self.folder)?
            .into_iter()
            .filter(|s| *s >= base)
        {
            let path = folder::segment_path(&self.folder, segment);
            // A segment that was removed meanwhile has no bytes.
            total += std::fs::metadata(&path).map_or(0, |data| data.len());
        }
        Ok(total.saturating_sub(position))
    }

    fn seek(&mut self, start: Start) -> Result<(), LogError> {
        let segments = folder::segments(&self.folder)?;
        let base = match start {
            Start::Earliest => segments.first().copied(),
            Start::Latest => segments.last().copied(),
            Start::Offset(offset) => segments.iter().copied().rfind(|base| *base <= offset),
        };
        let earliest = segments.first().copied().unwrap_or(0);
        let Some(base) = base else {
            return match start {
                Start::Offset(offset) if offset > 0 => {
                    let latest = earliest;
                    Err(LogError::Range {
                        folder: self.folder.clone(),
                        offset,
                        earliest,
                        latest,
                    })
                }
                _ => Ok(()),
            };
        };
        self.cursor = Cursor::open(&self.folder, base)?;
        self.offset = base;
        let Some(cursor) = &mut self.cursor else {
            return Ok(());
        };
        match start {
            Start::Earliest => {}
            Start::Latest => {
                cursor.skip_to_end()?;
            }
            Start::Offset(offset) => {
                cursor.skip_to(offset)?;
                if cursor.offset != offset {
                    let (folder, latest) = (self.folder.clone(), cursor.offset);
                    return Err(LogError::Range {
                        folder,
                        offset,
                        earliest,
                        latest,
                    });
                }
            }
        }
        Ok(())
    }

    /// True when there is a segment behind the one that is being read.
    fn is_behind(&self) -> Result<bool, LogError> {
        let base = self
            .cursor
            .as_ref()
            .map_or(self.offset, |cursor| cursor.base);
        Ok(folder::segments(&self.folder)?
            .last()
            .is_some_and(|last| *last > base))
    }

    /// Why the next record cannot be reached.
    fn missing(&self) -> Result<LogError, LogError> {
        let offset = self.next_offset();
        let segments = folder::segments(&self.folder)?;
        Ok(match (segments.first(), segments.last(), &self.cursor) {
            (Some(first), _, Some(cursor)) if *first <= offset => {
                LogError::damaged(cursor, "a record in it cannot be read")
            }
            (first, last, _) => LogError::Range {
                folder: self.folder.clone(),
                offset,
                earliest: first.copied().unwrap_or(0),
                latest: last.copied().unwrap_or(0),
            },
        })
    }
}
