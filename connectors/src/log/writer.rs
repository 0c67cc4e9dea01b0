//! Appending. Any number of writers, in any number of processes, take turns by the lock of the
//! partition; each turn first walks over what the others have appended since the last one.

use super::folder::{self, at};
use super::frame::{self, RECORD_BYTES_MAX, Record};
use super::scan::{Cursor, Tail};
use super::{LogConfig, LogError};
use crate::fsync::{Fsync, Syncer};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Appends records to a log.
///
/// ```no_run
/// use tidewheel_connectors::log::{LogConfig, LogWriter, Record};
///
/// let mut writer = LogWriter::open("events".as_ref(), &LogConfig::default())?;
/// let first = writer.append(0, &[Record { value: Some(b"{}"), ..Record::default() }])?;
/// println!("it has the offset {first}");
/// # Ok::<(), tidewheel_connectors::log::LogError>(())
/// ```
pub struct LogWriter {
    path: PathBuf,
    config: LogConfig,
    partitions: Vec<Option<PartitionWriter>>,
    syncer: Syncer,
    buffer: Vec<u8>,
}

struct PartitionWriter {
    folder: PathBuf,
    lock: File,
    /// The end of the log as this writer knows it.
    end: Cursor,
    /// The same file, open for writing.
    file: Arc<File>,
}

impl LogWriter {
    /// Opens a log for appending, and makes it where it is not there.
    ///
    /// # Errors
    /// The folder cannot be used, or has another number of partitions than the config asks for.
    pub fn open(path: &Path, config: &LogConfig) -> Result<Self, LogError> {
        let count = folder::open_or_create(path, config.partitions)?;
        Ok(Self {
            path: path.to_owned(),
            config: config.clone(),
            partitions: (0..count).map(|_| None).collect(),
            syncer: Syncer::new(config.fsync),
            buffer: Vec::new(),
        })
    }

    /// The number of partitions.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        self.partitions.len() as u32
    }

    /// The partition that records of a key belong in.
    #[must_use]
    pub fn partition_of(&self, key: &[u8]) -> u32 {
        (xxhash_rust::xxh3::xxh3_64(key) % self.partitions.len() as u64) as u32
    }

    /// Appends records, one after another with nothing in between, and returns the offset of the
    /// first. When it returns, they are as durable as the config's [`Fsync`] says. After a crash
    /// a log may hold the first few of a batch.
    ///
    /// # Errors
    /// There is no such partition, a record is larger than [`RECORD_BYTES_MAX`], or the folder
    /// cannot be written; then none of the records is in the log.
    pub fn append(&mut self, partition: u32, records: &[Record<'_>]) -> Result<u64, LogError> {
        for record in records {
            let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
            if bytes > RECORD_BYTES_MAX {
                return Err(LogError::TooLarge { bytes });
            }
        }
        let count = self.partitions.len();
        let Some(slot) = self.partitions.get_mut(partition as usize) else {
            return Err(LogError::Partitions {
                path: self.path.clone(),
                message: format!("it has {count} partitions, numbered from 0, and no {partition}"),
            });
        };
        let writer = match slot {
            Some(writer) => writer,
            None => slot.insert(PartitionWriter::open(&self.path, partition)?),
        };
        let first = writer.append(&self.config, records, &mut self.buffer)?;
        self.syncer
            .written(&writer.file)
            .map_err(at(&writer.end.path))?;
        Ok(first)
    }

    /// Makes everything that was appended durable, whatever the config says.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn flush(&mut self) -> Result<(), LogError> {
        for writer in self.partitions.iter().flatten() {
            writer.file.sync_data().map_err(at(&writer.end.path))?;
        }
        Ok(())
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        if self.config.fsync == Fsync::Interval
            && let Err(error) = self.flush()
        {
            tracing::warn!(%error, "the log's last records may not be durable");
        }
    }
}

impl PartitionWriter {
    fn open(path: &Path, partition: u32) -> Result<Self, LogError> {
        let folder = folder::partition_path(path, partition);
        let lock = folder::lock(&folder)?;
        lock.lock().map_err(at(&folder))?;
        let last = folder::segments(&folder)?.last().copied();
        let opened = match last {
            Some(base) => open_segment(&folder, base),
            None => create_segment(&folder, 0),
        };
        lock.unlock().map_err(at(&folder))?;
        let (end, file) = opened?;
        Ok(Self {
            folder,
            lock,
            end,
            file,
        })
    }

    fn append(
        &mut self,
        config: &LogConfig,
        records: &[Record<'_>],
        buffer: &mut Vec<u8>,
    ) -> Result<u64, LogError> {
        self.lock.lock().map_err(at(&self.folder))?;
        let result = self.append_locked(config, records, buffer);
        // Should unlocking fail, closing the file unlocks too; the records are there either way.
        let _ = self.lock.unlock();
        result
    }

    fn append_locked(
        &mut self,
        config: &LogConfig,
        records: &[Record<'_>],
        buffer: &mut Vec<u8>,
    ) -> Result<u64, LogError> {
        self.catch_up()?;
        if self.end.position >= config.segment_bytes {
            self.roll(config)?;
        }
        let first = self.end.offset;
        buffer.clear();
        for (index, record) in records.iter().enumerate() {
            frame::encode(buffer, first + index as u64, record);
        }
        if let Err(error) = self.file.write_all_at(buffer, self.end.position) {
            // A full disk, most likely. What was written of the batch must not be read.
            self.file
                .set_len(self.end.position)
                .map_err(at(&self.end.path))?;
            return Err(LogError::Io {
                path: self.end.path.clone(),
                error,
            });
        }
        self.end.position += buffer.len() as u64;
        self.end.offset += records.len() as u64;
        Ok(first)
    }

    /// Walks to the end of what other writers have appended, and cuts off what one that died has
    /// left behind incomplete. Called under the lock.
    fn catch_up(&mut self) -> Result<(), LogError> {
        loop {
            if self.end.is_removed()? {
                // This writer was idle for so long that retention has overtaken it.
                self.go_to_last()?;
            }
            let length = self.end.length()?;
            if length < self.end.position {
                return Err(LogError::damaged(&self.end, "the file has become shorter"));
            }
            if length > self.end.position {
                let tail = self.end.skip_to_end()?;
                if matches!(tail, Tail::Torn | Tail::Bad) {
                    if self.go_to_last()? {
                        continue;
                    }
                    self.cut(tail)?;
                }
            }
            let next = folder::segment_path(&self.folder, self.end.offset);
            if self.end.position == 0 || !next.exists() {
                return Ok(());
            }
            (self.end, self.file) = open_segment(&self.folder, self.end.offset)?;
        }
    }

    /// Moves to the last segment; false when this is it.
    fn go_to_last(&mut self) -> Result<bool, LogError> {
        let last = folder::segments(&self.folder)?.last().copied();
        let last = last.ok_or_else(|| LogError::damaged(&self.end, "its segments are gone"))?;
        if last == self.end.base {
            return Ok(false);
        }
        (self.end, self.file) = open_segment(&self.folder, last)?;
        Ok(true)
    }

    fn cut(&self, tail: Tail) -> Result<(), LogError> {
        match tail {
            Tail::End | Tail::More => return Ok(()),
            Tail::Torn => {}
            Tail::Bad => {
                // Not just a write that stopped half-way: a disk's fault or a power cut. Nobody
                // was promised these bytes, but somebody may want to look at them.
                let aside = self
                    .end
                    .path
                    .with_extension(format!("cut-at-{}", self.end.position));
                fs::copy(&self.end.path, &aside).map_err(at(&aside))?;
                tracing::warn!(path = %aside.display(), "unreadable end of a log put aside");
            }
        }
        self.file
            .set_len(self.end.position)
            .map_err(at(&self.end.path))
    }

    /// Begins a new segment and drops those that are past retention.
    fn roll(&mut self, config: &LogConfig) -> Result<(), LogError> {
        if config.fsync != Fsync::Never {
            // Records in the new segment must never outlive those before them.
            self.file.sync_data().map_err(at(&self.end.path))?;
        }
        (self.end, self.file) = create_segment(&self.folder, self.end.offset)?;
        if config.retention_bytes.is_some() || config.retention.is_some() {
            self.retain(config)?;
        }
        Ok(())
    }

    /// Removes the oldest segments while they are too old, or all closed ones together too large.
    fn retain(&self, config: &LogConfig) -> Result<(), LogError> {
        let mut bases = folder::segments(&self.folder)?;
        bases.pop();
        let mut closed = Vec::with_capacity(bases.len());
        for base in bases {
            let path = folder::segment_path(&self.folder, base);
            let data = fs::metadata(&path).map_err(at(&path))?;
            closed.push((path, data));
        }
        let mut total: u64 = closed.iter().map(|(_, data)| data.len()).sum();
        let now = SystemTime::now();
        for (path, data) in closed {
            let age = data
                .modified()
                .ok()
                .and_then(|then| now.duration_since(then).ok());
            let too_old = config
                .retention
                .zip(age)
                .is_some_and(|(max, age)| age > max);
            let too_large = config.retention_bytes.is_some_and(|max| total > max);
            if !too_old && !too_large {
                break;
            }
            fs::remove_file(&path).map_err(at(&path))?;
            total -= data.len();
        }
        Ok(())
    }
}

/// Opens a segment at its beginning, for reading and writing.
fn open_segment(folder: &Path, base: u64) -> Result<(Cursor, Arc<File>), LogError> {
    let path = folder::segment_path(folder, base);
    let file = OpenOptions::new()
        .write(true)
        .open(&path)
        .map_err(at(&path))?;
    let read = File::open(&path).map_err(at(&path))?;
    Ok((
        Cursor {
            file: read,
            path,
            base,
            position: 0,
            offset: base,
        },
        Arc::new(file),
    ))
}

fn create_segment(folder: &Path, base: u64) -> Result<(Cursor, Arc<File>), LogError> {
    let path = folder::segment_path(folder, base);
    File::create_new(&path).map_err(at(&path))?;
    folder::sync_folder(folder)?;
    open_segment(folder, base)
}
