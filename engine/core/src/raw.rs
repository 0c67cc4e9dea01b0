//! Undecoded input as a source hands it on.

/// How the bytes of a chunk divide into records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framing {
    /// Records end with `\n` (a last one may lack it). A record's offset is the byte position of
    /// its first byte in the partition: `first_offset` + its position in the chunk.
    Lines {
        /// Byte position of the chunk's first byte in the partition.
        first_offset: u64,
    },
    /// Record `i` is `data[ranges[i].0..ranges[i].1]`, at `offsets[i]`.
    Records {
        /// Start and end of each record in the chunk's data.
        ranges: Vec<(u32, u32)>,
        /// The offset of each record in its partition, ascending.
        offsets: Vec<u64>,
    },
}

/// What a broker says of its records beside their bytes. Empty vectors mean: not requested.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordMeta {
    /// Record timestamps in milliseconds since the epoch, one a record.
    pub timestamps: Vec<i64>,
    /// Record keys, one a record.
    pub keys: Vec<Option<Vec<u8>>>,
    /// Record headers, one list a record.
    pub headers: Vec<Vec<(String, Vec<u8>)>>,
    /// Which records have no value at all (Kafka's tombstones), one a record.
    pub tombstones: Vec<bool>,
}

/// A run of consecutive records of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawChunk {
    /// The partition the records are from, numbered from 0 within the table.
    pub partition: u32,
    /// Where the reader stands after this chunk: the offset to begin at after a restart.
    pub next_offset: u64,
    /// The records' bytes.
    pub data: Vec<u8>,
    /// How `data` divides into records.
    pub framing: Framing,
    /// Broker metadata, where the table has METADATA columns that need it.
    pub meta: RecordMeta,
}

impl RawChunk {
    /// The bytes of the record at an offset of the partition, without the end of its line.
    #[must_use]
    pub fn record_at(&self, offset: u64) -> Option<&[u8]> {
        match &self.framing {
            Framing::Lines { first_offset } => {
                let start = usize::try_from(offset.checked_sub(*first_offset)?).ok()?;
                let line = self.data.get(start..)?;
                line.split(|byte| *byte == b'\n').next()
            }
            Framing::Records { ranges, offsets } => {
                let (start, end) = ranges.get(offsets.binary_search(&offset).ok()?)?;
                self.data.get(*start as usize..*end as usize)
            }
        }
    }
}
