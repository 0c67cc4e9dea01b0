//! Reads files: each a partition, taken in turn.

use super::lines::{LineReader, Reading, Step};
use super::paths::{self, Compression, FILES_MAX, Place};
use super::stream::{StreamSource, raw_chunk};
use super::{STANDARD, compression_option, path_option};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tidewheel_core::{
    ConnectorError, Env, LagAmount, PartitionLag, Source, SourceError, SourceEvent, SourceRequest,
    TableSpec,
};

/// Longest line, unless `line.max-bytes` says.
pub(super) const LINE_BYTES_DEFAULT: u64 = 16 * 1024 * 1024;
/// Range of `line.max-bytes`.
const LINE_BYTES_RANGE: std::ops::RangeInclusive<u64> = 64..=1024 * 1024 * 1024;
/// Plain files kept open at once; others are opened anew for each chunk.
const OPEN_FILES_MAX: usize = 256;
/// How often followed files are asked for more.
const FOLLOW_PAUSE: Duration = Duration::from_millis(20);
/// How often `AtEnd` is said again while nothing comes.
const AT_END_EVERY: Duration = Duration::from_millis(500);
/// How often a folder or glob is searched for new files.
const SEARCH_EVERY: Duration = Duration::from_secs(1);

/// The options of a file that is read.
pub(super) struct Settings {
    path: String,
    compression: Option<Compression>,
    follow: bool,
    line_max: usize,
}

impl Settings {
    /// Reads the options.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(super) fn parse(table: &TableSpec) -> Result<Self, ConnectorError> {
        let path = path_option(table)?.to_owned();
        let compression = compression_option(table)?;
        let follow = table.options.boolean("follow")?.unwrap_or(false);
        if follow && path == STANDARD {
            return Err(ConnectorError::option(
                "follow",
                "standard input is read until it ends anyway; remove the option",
            ));
        }
        let packed = compression.unwrap_or_else(|| Compression::by_name(Path::new(&path)));
        if follow && packed != Compression::None {
            return Err(packed_follow(&path));
        }
        let line_max = table
            .options
            .bytes("line.max-bytes")?
            .unwrap_or(LINE_BYTES_DEFAULT);
        if !LINE_BYTES_RANGE.contains(&line_max) {
            return Err(ConnectorError::option(
                "line.max-bytes",
                "the value is out of range; write '64' to '1 gb'",
            ));
        }
        Ok(Self {
            path,
            compression,
            follow,
            line_max: line_max as usize,
        })
    }
}

fn packed_follow(path: &str) -> ConnectorError {
    ConnectorError::option(
        "follow",
        format!("'{path}' is packed and cannot be followed; unpack it, or remove the option"),
    )
}

/// Opens the files of a table.
///
/// # Errors
/// An option is wrong or nothing is there.
pub(super) fn open(request: &SourceRequest) -> Result<Box<dyn Source>, ConnectorError> {
    let settings = Settings::parse(&request.table)?;
    let env = Arc::clone(&request.env);
    let wrong = |message: String| ConnectorError::option("path", message);
    let start = |partition: u32| request.start.get(&partition).copied().unwrap_or(0);
    let reading = Reading {
        line_max: settings.line_max,
        ends: !settings.follow,
        fill: true,
    };
    match paths::find(&settings.path, settings.follow).map_err(wrong)? {
        Place::Stream(path) => {
            let by_name = path
                .as_deref()
                .map_or(Compression::None, Compression::by_name);
            let input: paths::Input = match &path {
                None => Box::new(io::stdin()),
                Some(path) => {
                    Box::new(File::open(path).map_err(|error| wrong(unreadable(path, &error)))?)
                }
            };
            let reading = Reading {
                ends: true,
                fill: false,
                ..reading
            };
            let compression = settings.compression.unwrap_or(by_name);
            let name = if path.is_none() {
                "standard input"
            } else {
                &settings.path
            };
            Ok(Box::new(StreamSource::start(
                name,
                input,
                compression,
                reading,
                start(0),
                env,
            )?))
        }
        Place::Files { files, open } => {
            let mut source = FileSource {
                parts: Vec::with_capacity(files.len()),
                known: HashSet::new(),
                settings,
                reading,
                env,
                open,
                cursor: 0,
                open_files: 0,
                search_at: Duration::ZERO,
            };
            for (file, partition) in files.into_iter().zip(0_u32..) {
                source.add(file, start(partition))?;
            }
            Ok(Box::new(source))
        }
    }
}

/// One file.
struct Part {
    path: PathBuf,
    compression: Compression,
    reader: Option<LineReader>,
    /// Where to go on when there is no reader.
    offset: u64,
    /// Bytes of the file itself that were read.
    read: Arc<AtomicU64>,
    /// Bytes of the file, when it was last looked at.
    size: u64,
    paused: bool,
    finished: bool,
    /// When `AtEnd` was said last, while nothing has come since.
    at_end: Option<Duration>,
}

struct FileSource {
    parts: Vec<Part>,
    known: HashSet<PathBuf>,
    settings: Settings,
    reading: Reading,
    env: Arc<dyn Env>,
    /// True when more files may come.
    open: bool,
    /// The file whose turn it is.
    cursor: usize,
    open_files: usize,
    search_at: Duration,
}

/// Counts the bytes of a packed file.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read(buffer)?;
        self.read.fetch_add(got as u64, Ordering::Relaxed);
        Ok(got)
    }
}

impl FileSource {
    fn add(&mut self, path: PathBuf, offset: u64) -> Result<(), ConnectorError> {
        let compression = self
            .settings
            .compression
            .unwrap_or_else(|| Compression::by_name(&path));
        if self.settings.follow && compression != Compression::None {
            return Err(packed_follow(&path.to_string_lossy()));
        }
        // Opened now and then closed: an unreadable file is told before anything runs.
        let size = File::open(&path)
            .and_then(|file| file.metadata())
            .map_err(|error| ConnectorError::option("path", unreadable(&path, &error)))?
            .len();
        self.known.insert(path.clone());
        self.parts.push(Part {
            path,
            compression,
            reader: None,
            offset,
            read: Arc::new(AtomicU64::new(0)),
            size,
            paused: false,
            finished: false,
            at_end: None,
        });
        Ok(())
    }

    /// Asks one file for lines. `None` when it has nothing new to say.
    fn ask(&mut self, at: usize, max_bytes: usize) -> Result<Option<SourceEvent>, SourceError> {
        let partition = at as u32;
        let follow = self.settings.follow;
        let now = self.env.monotonic();
        let Some(part) = self.parts.get_mut(at) else {
            return Ok(None);
        };
        let failed = |part: &Part, error: &io::Error| SourceError(unreadable(&part.path, error));
        let reader = match part.reader.take() {
            Some(reader) => part.reader.insert(reader),
            None => {
                let reader = part
                    .open(self.reading)
                    .map_err(|error| failed(part, &error))?;
                self.open_files += 1;
                part.reader.insert(reader)
            }
        };
        let step = match reader.next(max_bytes) {
            Ok(step) => step,
            Err(error) => return Err(failed(part, &error)),
        };
        part.offset = reader.offset();
        if part.compression == Compression::None {
            part.read.store(reader.position(), Ordering::Relaxed);
        }
        let event = match step {
            Step::Chunk(chunk) => {
                part.at_end = None;
                let name = part.path.to_string_lossy();
                Some(SourceEvent::Records(raw_chunk(partition, chunk, &name)))
            }
            Step::Busy => None,
            Step::End if follow => {
                part.check_length().map_err(SourceError)?;
                let due = part.at_end.is_none_or(|said| now >= said + AT_END_EVERY);
                due.then(|| {
                    part.at_end = Some(now);
                    SourceEvent::AtEnd {
                        partition,
                        next_offset: part.offset,
                    }
                })
            }
            Step::End => {
                part.finished = true;
                Some(SourceEvent::Finished { partition })
            }
        };
        let close = part.finished
            || self.open_files > OPEN_FILES_MAX && part.compression == Compression::None;
        if close {
            part.reader = None;
            self.open_files -= 1;
        }
        Ok(event)
    }

    /// Looks for files that were not there before.
    fn search(&mut self) -> Result<Option<SourceEvent>, SourceError> {
        let now = self.env.monotonic();
        if !self.open || !self.settings.follow || now < self.search_at {
            return Ok(None);
        }
        self.search_at = now + SEARCH_EVERY;
        // A folder that is gone for a moment is no reason to stop.
        let Ok(Place::Files { files, .. }) = paths::find(&self.settings.path, true) else {
            return Ok(None);
        };
        let Some(file) = files.into_iter().find(|file| !self.known.contains(file)) else {
            return Ok(None);
        };
        if self.parts.len() >= FILES_MAX {
            return Err(SourceError(format!(
                "'{}' stands for more than {FILES_MAX} files; name fewer by a glob",
                self.settings.path
            )));
        }
        // There may be more than one: look again at once.
        self.search_at = now;
        let partition = self.parts.len() as u32;
        self.add(file, 0)
            .map_err(|error| SourceError(error.message))?;
        Ok(Some(SourceEvent::Added { partition }))
    }
}

impl Part {
    fn open(&self, reading: Reading) -> io::Result<LineReader> {
        let mut file = File::open(&self.path)?;
        let length = file.metadata()?.len();
        if self.compression == Compression::None {
            if self.offset > length {
                return Err(ends_before(length, self.offset));
            }
            file.seek(SeekFrom::Start(self.offset))?;
            return Ok(LineReader::new(Box::new(file), self.offset, reading));
        }
        self.read.store(0, Ordering::Relaxed);
        let counted = Counted {
            file,
            read: Arc::clone(&self.read),
        };
        let mut text = self.compression.unpack(counted)?;
        let skipped = io::copy(&mut Read::take(&mut text, self.offset), &mut io::sink())?;
        if skipped < self.offset {
            return Err(ends_before(skipped, self.offset));
        }
        Ok(LineReader::new(text, self.offset, reading))
    }

    /// A followed file that got shorter was cut or replaced: its offsets mean nothing any more.
    fn check_length(&mut self) -> Result<(), String> {
        let Ok(meta) = std::fs::metadata(&self.path) else {
            // Gone: nothing more comes of it, until it is back.
            return Ok(());
        };
        self.size = meta.len();
        let position = self
            .reader
            .as_ref()
            .map_or(self.offset, LineReader::position);
        if self.size < position {
            return Err(format!(
                "'{}' was cut to {} bytes while it was followed (byte {position} was read); \
                 write to a new file instead, and read the folder",
                self.path.display(),
                self.size
            ));
        }
        Ok(())
    }
}

impl Source for FileSource {
    fn partitions(&self) -> Vec<u32> {
        (0..self.parts.len() as u32).collect()
    }

    fn poll(&mut self, max_bytes: usize, timeout: Duration) -> Result<SourceEvent, SourceError> {
        let end = self.env.monotonic() + timeout;
        loop {
            if let Some(event) = self.search()? {
                return Ok(event);
            }
            for _ in 0..self.parts.len() {
                let at = self.cursor;
                self.cursor = (self.cursor + 1) % self.parts.len();
                if self.parts[at].paused || self.parts[at].finished {
                    continue;
                }
                if let Some(event) = self.ask(at, max_bytes)? {
                    return Ok(event);
                }
            }
            let left = end.saturating_sub(self.env.monotonic());
            if left.is_zero() {
                return Ok(SourceEvent::Nothing);
            }
            let waiting = self.parts.iter().any(|part| !part.paused && !part.finished);
            // Without a file to ask (all are paused or done) only the caller can change that.
            let pause = if waiting || self.settings.follow {
                FOLLOW_PAUSE
            } else {
                left
            };
            self.env.sleep(pause.min(left));
        }
    }

    fn pause(&mut self, partition: u32, paused: bool) {
        if let Some(part) = self.parts.get_mut(partition as usize) {
            part.paused = paused;
        }
    }

    fn lags(&self) -> Vec<PartitionLag> {
        let parts = (0..).zip(&self.parts);
        let lag = |(partition, part): (u32, &Part)| PartitionLag {
            partition,
            amount: LagAmount::Bytes(part.size.saturating_sub(part.read.load(Ordering::Relaxed))),
        };
        parts.map(lag).collect()
    }

    fn size(&self) -> Option<(u64, u64)> {
        let total = self.parts.iter().map(|part| part.size).sum();
        let read = self
            .parts
            .iter()
            .map(|part| part.read.load(Ordering::Relaxed))
            .sum();
        (!self.settings.follow).then_some((total, read))
    }

    fn is_bounded(&self) -> bool {
        !self.settings.follow
    }
}

fn ends_before(length: u64, offset: u64) -> io::Error {
    io::Error::other(format!(
        "it ends at byte {length}, before byte {offset} where reading was to go on; \
         is it another file?"
    ))
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::NotFound => "; it was there before, put it back or start anew",
        io::ErrorKind::PermissionDenied => "; check the file's permissions",
        io::ErrorKind::UnexpectedEof => "; the packed file is cut short",
        _ if error.raw_os_error() == Some(TOO_MANY_OPEN_FILES) => "; raise 'ulimit -n'",
        _ => "",
    };
    format!("cannot read '{}': {error}{advice}", path.display())
}

/// EMFILE of POSIX systems.
const TOO_MANY_OPEN_FILES: i32 = 24;
