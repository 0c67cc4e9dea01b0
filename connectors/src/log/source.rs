//! Reading a table from a log.

use super::reader::{Batch, LogReader, Start};
use super::{LogWriter, connector, folder};
use crate::scan_options::specific_offsets;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tidewheel_core::time::{OFFSET_MAX, PARTITION_MAX};
use tidewheel_core::{
    ConnectorError, Env, Framing, LagAmount, PartitionLag, RawChunk, RecordMeta, Source,
    SourceError, SourceEvent, SourceRequest,
};

/// First wait when there is nothing to read; it doubles up to [`WAIT_MAX`].
const WAIT_MIN: Duration = Duration::from_micros(100);
/// Longest wait between two looks: what a record may be late by at most.
const WAIT_MAX: Duration = Duration::from_millis(1);
/// How often it is said again that a partition is at its end.
const AT_END_AGAIN: Duration = Duration::from_millis(500);

/// All partitions of one log, read in turn.
pub(super) struct LogSource {
    env: Arc<dyn Env>,
    partitions: Vec<Partition>,
    /// Whose turn it is.
    turn: usize,
    wants_timestamps: bool,
    wants_keys: bool,
    wants_headers: bool,
    /// Records from before this time are left out.
    from_ms: Option<i64>,
    /// Older records than the first of some partition are gone.
    cut: bool,
    bounded: bool,
    bytes_total: u64,
    bytes_read: u64,
}

struct Partition {
    number: u32,
    reader: LogReader,
    paused: bool,
    /// Where a bounded read ends.
    end: Option<u64>,
    finished: bool,
    /// When it was last said that it is at its end.
    said_at_end: Option<Duration>,
}

/// Where to begin so that no record from `from_ms` on is left out and few before it are read: at
/// the newest segment that begins before that time. Timestamps are those of appending, so they
/// ascend but for a clock that is set.
fn start_at(path: &Path, partition: u32, from_ms: Option<i64>) -> Start {
    let folder = folder::partition_path(path, partition);
    let Ok(segments) = folder::segments(&folder) else {
        return Start::Earliest;
    };
    let mut batch = Batch::default();
    for base in segments.into_iter().rev() {
        let start = Start::Offset(base);
        let first = LogReader::open(path, partition, start).and_then(|mut reader| {
            reader.read(1, &mut batch)?;
            Ok(batch.records.first().map(|record| record.timestamp_ms))
        });
        match first {
            Ok(first) if first < from_ms && first.is_some() => return start,
            Ok(_) => {}
            // Retention may have taken it meanwhile: then what is left is all there is.
            Err(_) => return Start::Earliest,
        }
    }
    Start::Earliest
}

impl LogSource {
    pub(super) fn open(request: &SourceRequest) -> Result<Self, ConnectorError> {
        let options = &request.table.options;
        let path = connector::path(options)?;
        let mode = connector::startup_mode(options)?;
        let bounded = connector::is_bounded(options)?;
        let specific = match mode {
            "specific-offsets" => specific_offsets(options, connector::STARTUP_OFFSETS)?,
            _ => std::collections::BTreeMap::new(),
        };
        let on_path = |error: super::LogError| ConnectorError::option("path", error.to_string());
        // Whoever comes first makes the log, so that its writer may be started later.
        let config = super::LogConfig {
            partitions: connector::partitions(options)?,
            fsync: super::Fsync::Never,
            ..super::LogConfig::default()
        };
        let count = LogWriter::open(&path, &config)
            .map_err(on_path)?
            .partitions();
        let mut partitions = Vec::new();
        let mut bytes_total = 0;
        let mut cut = false;
        for number in 0..count.min(PARTITION_MAX) {
            let requested = request.start.get(&number);
            let start = match requested.or(specific.get(&number)) {
                Some(offset) if requested.is_some() || request.from_ms.is_none() => {
                    Start::Offset(*offset)
                }
                _ if request.from_ms.is_some() => start_at(&path, number, request.from_ms),
                None if mode == "latest-offset" => Start::Latest,
                _ => Start::Earliest,
            };
            let reader = LogReader::open(&path, number, start).map_err(on_path)?;
            cut |= matches!(start, Start::Earliest) && reader.next_offset() > 0;
            let mut end = None;
            if bounded {
                bytes_total += reader.bytes_ahead().map_err(on_path)?;
                let last = LogReader::open(&path, number, Start::Latest).map_err(on_path)?;
                end = Some(last.next_offset());
            }
            let (paused, finished, said_at_end) = (false, false, None);
            partitions.push(Partition {
                number,
                reader,
                paused,
                end,
                finished,
                said_at_end,
            });
        }
        let wants = |name: &str| request.metadata.iter().any(|wanted| wanted == name);
        Ok(Self {
            env: request.env.clone(),
            partitions,
            turn: 0,
            wants_timestamps: wants("timestamp"),
            wants_keys: wants("key"),
            wants_headers: wants("headers"),
            from_ms: request.from_ms,
            cut,
            bounded,
            bytes_total,
            bytes_read: 0,
        })
    }

    /// What the partition whose turn it is has to say now.
    fn look(&mut self, max_bytes: usize) -> Result<Option<SourceEvent>, SourceError> {
        let now = self.env.monotonic();
        let Some(partition) = self.partitions.get_mut(self.turn) else {
            return Ok(None);
        };
        if partition.finished || partition.paused {
            return Ok(None);
        }
        let number = partition.number;
        if partition
            .end
            .is_some_and(|end| partition.reader.next_offset() >= end)
        {
            partition.finished = true;
            return Ok(Some(SourceEvent::Finished { partition: number }));
        }
        let mut batch = Batch::default();
        let count = partition
            .reader
            .read(max_bytes.min(u32::MAX as usize / 2), &mut batch)
            .map_err(|error| SourceError(error.to_string()))?;
        if count > 0 {
            self.bytes_read += batch.data.len() as u64;
            partition.said_at_end = None;
            let end = partition.end;
            return self
                .chunk(number, batch, end)
                .map(|chunk| Some(SourceEvent::Records(chunk)));
        }
        if partition
            .said_at_end
            .is_none_or(|then| now.saturating_sub(then) >= AT_END_AGAIN)
        {
            partition.said_at_end = Some(now);
            let next_offset = partition.reader.next_offset();
            return Ok(Some(SourceEvent::AtEnd {
                partition: number,
                next_offset,
            }));
        }
        Ok(None)
    }

    /// The bytes as they were read; the records' ranges leave out what stands between them.
    fn chunk(
        &self,
        partition: u32,
        mut batch: Batch,
        end: Option<u64>,
    ) -> Result<RawChunk, SourceError> {
        if let Some(end) = end {
            batch.records.retain(|record| record.offset < end);
        }
        let next_offset = batch.records.last().map_or(0, |record| record.offset + 1);
        if let Some(from) = self.from_ms {
            batch.records.retain(|record| record.timestamp_ms >= from);
        }
        let records = &batch.records;
        if next_offset > OFFSET_MAX {
            return Err(SourceError(format!(
                "partition {partition} has reached offset {next_offset}, the highest is {OFFSET_MAX}"
            )));
        }
        let value = |record: &super::Parsed| record.value.unwrap_or((0, 0));
        let ranges = records
            .iter()
            .map(value)
            .map(|(a, b)| (a as u32, b as u32))
            .collect();
        let offsets = records.iter().map(|record| record.offset).collect();
        let mut meta = RecordMeta::default();
        if self.wants_timestamps {
            meta.timestamps = records.iter().map(|record| record.timestamp_ms).collect();
        }
        if self.wants_keys {
            meta.keys = (0..records.len())
                .map(|i| batch.key(i).map(<[u8]>::to_vec))
                .collect();
        }
        if self.wants_headers {
            meta.headers = vec![Vec::new(); records.len()];
        }
        if records.iter().any(|record| record.value.is_none()) {
            meta.tombstones = records
                .iter()
                .map(|record| record.value.is_none())
                .collect();
        }
        let framing = Framing::Records { ranges, offsets };
        Ok(RawChunk {
            partition,
            next_offset,
            data: batch.data,
            framing,
            meta,
        })
    }
}

impl Source for LogSource {
    fn partitions(&self) -> Vec<u32> {
        self.partitions
            .iter()
            .map(|partition| partition.number)
            .collect()
    }

    fn poll(&mut self, max_bytes: usize, timeout: Duration) -> Result<SourceEvent, SourceError> {
        let begin = self.env.monotonic();
        let mut wait = WAIT_MIN;
        loop {
            for _ in 0..self.partitions.len() {
                let event = self.look(max_bytes)?;
                self.turn = (self.turn + 1) % self.partitions.len();
                if let Some(event) = event {
                    return Ok(event);
                }
            }
            let left = timeout.saturating_sub(self.env.monotonic().saturating_sub(begin));
            if left.is_zero() {
                return Ok(SourceEvent::Nothing);
            }
            self.env.sleep(wait.min(left));
            wait = (wait * 2).min(WAIT_MAX);
        }
    }

    fn pause(&mut self, partition: u32, paused: bool) {
        if let Some(partition) = self.partitions.iter_mut().find(|p| p.number == partition) {
            partition.paused = paused;
        }
    }

    fn lags(&self) -> Vec<PartitionLag> {
        let lag = |partition: &Partition| {
            Some(PartitionLag {
                partition: partition.number,
                amount: LagAmount::Bytes(partition.reader.bytes_ahead().ok()?),
            })
        };
        self.partitions.iter().filter_map(lag).collect()
    }

    fn size(&self) -> Option<(u64, u64)> {
        self.bounded
            .then_some((self.bytes_total, self.bytes_read.min(self.bytes_total)))
    }

    fn is_bounded(&self) -> bool {
        self.bounded
    }

    fn begins_late(&self) -> bool {
        self.from_ms.is_some() && self.cut
    }
}
