//! Gathers a partition's records into one chunk, each copied once.

use super::mark;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use tidewheel_core::{Framing, Mark, RawChunk, RecordMeta};

/// What a record counts for beside its bytes when a chunk's size is judged.
const RECORD_OVERHEAD: usize = 32;

/// Which metadata is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted {
    pub(super) timestamps: bool,
    pub(super) keys: bool,
    pub(super) headers: bool,
}

impl Wanted {
    pub(super) fn new(names: &[String]) -> Self {
        let has = |name: &str| names.iter().any(|wanted| wanted == name);
        Self {
            timestamps: has("timestamp"),
            keys: has("key"),
            headers: has("headers"),
        }
    }
}

/// A chunk in the making.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    data: Vec<u8>,
    ranges: Vec<(u32, u32)>,
    offsets: Vec<u64>,
    meta: RecordMeta,
    has_tombstones: bool,
    /// The timestamp of the last record.
    last_ms: Option<i64>,
}

impl Gathering {
    /// About how many bytes it holds.
    pub(super) fn size(&self) -> usize {
        self.data.len() + self.ranges.len() * RECORD_OVERHEAD
    }

    pub(super) fn push(&mut self, message: &BorrowedMessage<'_>, offset: u64, wanted: Wanted) {
        let start = self.data.len();
        let payload = message.payload();
        self.data.extend_from_slice(payload.unwrap_or_default());
        self.ranges.push((start as u32, self.data.len() as u32));
        self.offsets.push(offset);
        self.meta.tombstones.push(payload.is_none());
        self.has_tombstones |= payload.is_none();
        self.last_ms = message.timestamp().to_millis();
        if wanted.timestamps {
            self.meta
                .timestamps
                .push(message.timestamp().to_millis().unwrap_or(-1));
        }
        if wanted.keys {
            self.meta.keys.push(message.key().map(<[u8]>::to_vec));
        }
        if wanted.headers {
            let headers = message.headers().into_iter().flat_map(|headers| {
                headers.iter().map(|header| {
                    (
                        header.key.to_owned(),
                        header.value.unwrap_or_default().to_vec(),
                    )
                })
            });
            self.meta.headers.push(headers.collect());
        }
    }

    /// The chunk and its last record's mark, if there is any record.
    pub(super) fn take(&mut self, partition: u32) -> Option<(RawChunk, Mark)> {
        let last = *self.offsets.last()?;
        let (start, end) = *self.ranges.last()?;
        let payload = self.data.get(start as usize..end as usize);
        let mark = mark::of(last, self.last_ms, payload.unwrap_or_default());
        let Self {
            data,
            ranges,
            offsets,
            mut meta,
            has_tombstones,
            last_ms: _,
        } = std::mem::take(self);
        if !has_tombstones {
            meta.tombstones.clear();
        }
        // The next chunk is likely to be as large.
        self.data.reserve(data.len());
        self.ranges.reserve(ranges.len());
        self.offsets.reserve(offsets.len());
        let framing = Framing::Records { ranges, offsets };
        let chunk = RawChunk {
            partition,
            next_offset: last + 1,
            data,
            framing,
            meta,
        };
        Some((chunk, mark))
    }
}
