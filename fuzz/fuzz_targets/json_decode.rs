//! The JSON decoder on arbitrary bytes: no panic, every record a row or a bad row, and what
//! serde_json accepts as an object is no bad row.
//!
//! The first byte chooses the options and the framing, the rest is the data.

#![no_main]

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, TimeUnit};
use libfuzzer_sys::fuzz_target;
use tidewheel_core::{DecodeRequest, Format, Framing, Options, RawChunk, ReadColumn, RecordMeta};
use tidewheel_formats::{JsonFormat, NESTING_MAX};

fn columns() -> Vec<ReadColumn> {
    let row = DataType::Struct(
        vec![
            Field::new("a", DataType::Utf8, true),
            Field::new("b", DataType::new_list(DataType::Int64, true), true),
        ]
        .into(),
    );
    [
        ("a", DataType::Utf8View),
        ("b", DataType::Int64),
        ("c", DataType::Float64),
        ("d", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ("e", DataType::Decimal128(20, 4)),
        ("f", DataType::Boolean),
        ("g", DataType::new_list(DataType::Utf8, true)),
        ("h", row.clone()),
        ("h.a", DataType::Date32),
        ("h.b", DataType::Binary),
        ("i", DataType::new_list(row, false)),
    ]
    .into_iter()
    .map(|(path, data_type)| ReadColumn {
        path: path.split('.').map(str::to_owned).collect(),
        data_type,
    })
    .collect()
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else {
        return;
    };
    let mut options = Options::default();
    if choice & 1 == 1 {
        options.set("json.type-errors", "bad-row");
    }
    if choice & 2 == 2 {
        options.set("json.fail-on-missing-field", "true");
    }
    let framing = if choice & 4 == 4 {
        Framing::Records {
            ranges: vec![(0, data.len() as u32)],
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
    let Ok(mut decoder) = JsonFormat.decoder(&request) else {
        panic!("the columns are readable")
    };
    let chunk = RawChunk {
        partition: 0,
        next_offset: data.len() as u64,
        data: data.to_vec(),
        framing,
        meta: RecordMeta::default(),
    };
    let decoded = decoder.decode(&chunk);
    let rows = decoded.batch.num_rows();
    assert_eq!(rows, decoded.offsets.len());
    assert_eq!(rows + decoded.bad.len(), decoded.record_count as usize);
    // Every text must be sound UTF-8: reading it would fail otherwise.
    for text in decoded.batch.column(0).as_string_view().iter().flatten() {
        assert!(std::str::from_utf8(text.as_bytes()).is_ok());
    }
    let lenient = choice & 3 == 0 && choice & 4 == 4;
    let shallow = data
        .iter()
        .filter(|byte| matches!(byte, b'{' | b'['))
        .count()
        < NESTING_MAX;
    if lenient
        && shallow
        && let Ok(serde_json::Value::Object(_)) = serde_json::from_slice(data)
    {
        assert_eq!(rows, 1, "{:?}", decoded.bad);
    }
});
