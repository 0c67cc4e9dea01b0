//! The decoder of enriched events on arbitrary bytes, plain and packed: no panic, every event a row
//! or a bad row, text is UTF-8, and what is no event of 131 fields is no row.
//!
//! The first byte chooses the options, the framing and whether the data is packed first.

#![no_main]

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field};
use libfuzzer_sys::fuzz_target;
use tidewheel_core::{DecodeRequest, Format, Framing, Options, RawChunk, ReadColumn, RecordMeta};
use tidewheel_formats::SnowplowTsvFormat;

fn columns() -> Vec<ReadColumn> {
    let of_format = SnowplowTsvFormat.columns();
    let own = Field::new(
        "contexts_com_acme_thing_1",
        DataType::new_list(DataType::Utf8View, true),
        true,
    );
    let all = of_format.iter().map(|field| field.as_ref().clone());
    all.chain([own])
        .map(|field| ReadColumn {
            path: vec![field.name().clone()],
            data_type: field.data_type().clone(),
        })
        .collect()
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else {
        return;
    };
    let mut options = Options::default();
    options.set("snowplow-tsv.max-batch-bytes", "1 mb");
    if choice & 1 == 1 {
        options.set("snowplow-tsv.type-errors", "bad-row");
    }
    // Fields are rarely found by chance: 131 of them, with the data as one of the JSON fields.
    let mut record = data.to_vec();
    if choice & 8 == 8 {
        let before = [52, 58, 122][usize::from(choice >> 4) % 3];
        record.splice(..0, std::iter::repeat_n(b'\t', before));
        record.extend(std::iter::repeat_n(b'\t', 130 - before));
    }
    if choice & 4 == 4 {
        let mut plain = vec![1, 0];
        plain.extend((record.len() as u32).to_be_bytes());
        plain.extend(&record);
        plain.extend(data);
        record = zstd::encode_all(plain.as_slice(), 1).unwrap_or_default();
    }
    let framing = if choice & 2 == 2 || choice & 4 == 4 {
        Framing::Records {
            ranges: vec![(0, record.len() as u32)],
            offsets: vec![0],
        }
    } else {
        Framing::Lines { first_offset: 0 }
    };
    let request = DecodeRequest {
        columns: columns(),
        options,
        ..DecodeRequest::default()
    };
    let Ok(mut decoder) = SnowplowTsvFormat.decoder(&request) else {
        panic!("the columns are readable")
    };
    let chunk = RawChunk {
        partition: 0,
        next_offset: record.len() as u64,
        data: record,
        framing,
        meta: RecordMeta::default(),
    };
    let decoded = decoder.decode(&chunk);
    let rows = decoded.batch.num_rows();
    assert_eq!(rows, decoded.offsets.len());
    assert_eq!(rows + decoded.bad.len(), decoded.record_count as usize);
    for text in decoded.batch.column(0).as_string_view().iter().flatten() {
        assert!(std::str::from_utf8(text.as_bytes()).is_ok());
    }
    if choice & 14 == 2 {
        let fields = chunk.data.split(|byte| *byte == b'\t').count();
        assert!(rows == 0 || fields == 131);
    }
});
