//! The one writer: a generation is a snapshot (`N.snap`, absent for the first) and the writes
//! since (`N.log`). When the log has outgrown the snapshot, the next generation begins.

use super::op::{self, BODY_BYTES_MAX, Frame, Op};
use super::reader::{Generation, Loaded};
use super::state::{Entry, State};
use super::{StoreError, at, log_path, snapshot_path};
use crate::fsync::{Fsync, Syncer};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The next generation begins when the log has this many bytes at least, and twice the snapshot's.
pub const COMPACT_BYTES_MIN: u64 = 16 * 1024 * 1024;
/// Operations of a snapshot that stand in one frame.
const SNAPSHOT_OPS: usize = 1024;

/// Writes a store. There is one writer at a time; a second one is refused while it lives.
pub struct StoreWriter {
    path: PathBuf,
    /// Held, not used: the lock is given back when the process ends, however it ends.
    _lock: File,
    state: State,
    generation: u64,
    log: Arc<File>,
    log_bytes: u64,
    frames: u64,
    snapshot_bytes: u64,
    compact_bytes: u64,
    syncer: Syncer,
    durable: bool,
    buffer: Vec<u8>,
}

impl StoreWriter {
    /// Opens a store for writing, and makes it where it is not there.
    ///
    /// # Errors
    /// Another writer has it, it is damaged, or the folder cannot be used.
    pub fn open(path: &Path, fsync: Fsync) -> Result<Self, StoreError> {
        fs::create_dir_all(path).map_err(at(path))?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(at(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(at(&lock_path)(error)),
        }
        let newest = Generation::newest(path)?.unwrap_or(0);
        let loaded = Loaded::load(path, newest)?;
        let log_file = log_path(path, newest);
        let log = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&log_file)
            .map_err(at(&log_file))?;
        // What a writer that died left behind incomplete was never acknowledged.
        put_aside(&log_file, &loaded)?;
        log.set_len(loaded.position).map_err(at(&log_file))?;
        let mut writer = Self {
            path: path.to_owned(),
            _lock: lock,
            state: loaded.state,
            generation: newest,
            log: Arc::new(log),
            log_bytes: loaded.position,
            frames: loaded.frames,
            snapshot_bytes: loaded.snapshot_bytes,
            compact_bytes: COMPACT_BYTES_MIN,
            syncer: Syncer::new(fsync),
            durable: fsync != Fsync::Never,
            buffer: Vec::new(),
        };
        writer.remove_old()?;
        Ok(writer)
    }

    /// The same with another least size of a log that is compacted, in bytes.
    #[must_use]
    pub fn with_compact_bytes(mut self, bytes: u64) -> Self {
        self.compact_bytes = bytes;
        self
    }

    /// Writes operations: all of them are in the store when it returns, or, should it fail or the
    /// process die, none. `now_ms` is the wall clock.
    ///
    /// # Errors
    /// The disk refuses, or the operations have more than 1 GiB together.
    pub fn write(&mut self, now_ms: i64, ops: Vec<Op>) -> Result<(), StoreError> {
        self.buffer.clear();
        op::encode(&mut self.buffer, self.frames, now_ms, &ops);
        if self.buffer.len() > BODY_BYTES_MAX {
            return Err(StoreError::TooLarge {
                bytes: self.buffer.len(),
            });
        }
        let path = || log_path(&self.path, self.generation);
        if let Err(error) = self.log.write_all_at(&self.buffer, self.log_bytes) {
            self.log.set_len(self.log_bytes).map_err(at(&path()))?;
            return Err(StoreError::Io {
                path: path(),
                error,
            });
        }
        self.log_bytes += self.buffer.len() as u64;
        self.frames += 1;
        for op in ops {
            self.state.apply(now_ms, op);
        }
        self.syncer.written(&self.log).map_err(at(&path()))?;
        if self.log_bytes > self.compact_bytes.max(2 * self.snapshot_bytes) {
            self.compact(now_ms)?;
        }
        Ok(())
    }

    /// What a key holds at `now_ms`.
    #[must_use]
    pub fn get(&self, key: &str, now_ms: i64) -> Option<&Entry> {
        self.state.get(key, now_ms)
    }

    /// Makes everything durable, whatever the config says.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        self.log
            .sync_data()
            .map_err(at(&log_path(&self.path, self.generation)))
    }

    /// Begins the next generation: a snapshot of what is live, then an empty log. Until the
    /// snapshot has its name, the old generation is the store.
    fn compact(&mut self, now_ms: i64) -> Result<(), StoreError> {
        self.state.drop_expired(now_ms);
        let next = self.generation + 1;
        let log_file = log_path(&self.path, next);
        let log = File::create(&log_file).map_err(at(&log_file))?;
        let fresh = self.path.join("snap.new");
        self.snapshot_bytes = self.write_snapshot(&fresh, now_ms).map_err(at(&fresh))?;
        if self.durable {
            // The old log's end must not be lost once nobody reads it again; it is in the
            // snapshot, which therefore must be on the disk first.
            File::open(&fresh)
                .and_then(|file| file.sync_all())
                .map_err(at(&fresh))?;
        }
        let named = snapshot_path(&self.path, next);
        fs::rename(&fresh, &named).map_err(at(&named))?;
        if self.durable {
            File::open(&self.path)
                .and_then(|folder| folder.sync_all())
                .map_err(at(&self.path))?;
        }
        self.generation = next;
        self.log = Arc::new(log);
        (self.log_bytes, self.frames) = (0, 0);
        self.remove_old()
    }

    fn write_snapshot(&self, path: &Path, now_ms: i64) -> std::io::Result<u64> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        let (mut buffer, mut number, mut bytes) = (Vec::new(), 0, 0);
        let mut ops = self.state.ops(now_ms).peekable();
        while ops.peek().is_some() {
            let some: Vec<Op> = ops.by_ref().take(SNAPSHOT_OPS).collect();
            buffer.clear();
            op::encode(&mut buffer, number, now_ms, &some);
            file.write_all(&buffer)?;
            number += 1;
            bytes += buffer.len() as u64;
        }
        file.flush()?;
        Ok(bytes)
    }

    /// Removes generations before the last one: a reader that is one behind can still follow.
    fn remove_old(&mut self) -> Result<(), StoreError> {
        for generation in Generation::all(&self.path)? {
            if generation + 1 < self.generation {
                for path in [
                    snapshot_path(&self.path, generation),
                    log_path(&self.path, generation),
                ] {
                    match fs::remove_file(&path) {
                        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                            return Err(StoreError::Io { path, error });
                        }
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }
}

/// Keeps a copy of a log whose end is not just a write that stopped half-way: a disk's fault, or
/// a power cut.
fn put_aside(log_file: &Path, loaded: &Loaded) -> Result<(), StoreError> {
    let Ok(mut file) = File::open(log_file) else {
        return Ok(());
    };
    let mut rest = Vec::new();
    file.seek(SeekFrom::Start(loaded.position))
        .and_then(|_| file.read_to_end(&mut rest))
        .map_err(at(log_file))?;
    if op::decode(&rest, 0, loaded.frames) == Frame::Bad {
        let aside = log_file.with_extension(format!("cut-at-{}", loaded.position));
        fs::copy(log_file, &aside).map_err(at(&aside))?;
        tracing::warn!(path = %aside.display(), "unreadable end of a store put aside");
    }
    Ok(())
}
