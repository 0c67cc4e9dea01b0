//! Chunks and decoders for tests.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "tests may fail by a panic, and each file uses its own part"
)]
pub(crate) mod doc;

use arrow::datatypes::DataType;
use tidewheel_core::{
    DecodeRequest, Decoded, Decoder, Format, Framing, RawChunk, ReadColumn, RecordMeta,
};
use tidewheel_formats::JsonFormat;

/// A decoder of columns given as dotted paths.
pub(crate) fn decoder(columns: &[(&str, DataType)], options: &[(&str, &str)]) -> Box<dyn Decoder> {
    let columns = columns
        .iter()
        .map(|(path, data_type)| ReadColumn {
            path: path.split('.').map(str::to_owned).collect(),
            data_type: data_type.clone(),
        })
        .collect();
    let request = DecodeRequest {
        columns,
        options: options.iter().copied().collect(),
        ..DecodeRequest::default()
    };
    JsonFormat.decoder(&request).unwrap()
}

/// A chunk of lines.
pub(crate) fn lines(data: &[u8], first_offset: u64) -> RawChunk {
    RawChunk {
        partition: 0,
        next_offset: first_offset + data.len() as u64,
        data: data.to_vec(),
        framing: Framing::Lines { first_offset },
        meta: RecordMeta::default(),
    }
}

/// Decodes lines.
pub(crate) fn decode_lines(
    columns: &[(&str, DataType)],
    data: &[u8],
    first_offset: u64,
    options: &[(&str, &str)],
) -> Decoded {
    decoder(columns, options).decode(&lines(data, first_offset))
}

/// Decodes lines with default options.
pub(crate) fn read(columns: &[(&str, DataType)], data: &[u8]) -> Decoded {
    decode_lines(columns, data, 0, &[])
}

/// A chunk of records, some of them tombstones.
pub(crate) fn records(records: &[&[u8]], offsets: &[u64], tombstones: &[usize]) -> RawChunk {
    let mut ranges = Vec::new();
    let mut data = Vec::new();
    for record in records {
        let start = data.len() as u32;
        data.extend_from_slice(record);
        ranges.push((start, data.len() as u32));
    }
    let mut meta = RecordMeta::default();
    if !tombstones.is_empty() {
        meta.tombstones = (0..records.len())
            .map(|at| tombstones.contains(&at))
            .collect();
    }
    let framing = Framing::Records {
        ranges,
        offsets: offsets.to_vec(),
    };
    RawChunk {
        partition: 0,
        next_offset: 0,
        data,
        framing,
        meta,
    }
}

/// Decodes records.
pub(crate) fn decode_records(
    columns: &[(&str, DataType)],
    list: &[&[u8]],
    offsets: &[u64],
    tombstones: &[usize],
) -> Decoded {
    decoder(columns, &[]).decode(&records(list, offsets, tombstones))
}
