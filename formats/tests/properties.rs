//! The decoder against a naive reading of random documents, and against hostile bytes.

#![allow(clippy::unwrap_used, reason = "a test may fail by a panic")]

mod common;

use arrow::datatypes::DataType;
use common::doc::{self, Doc};
use fastrand::Rng;
use tidewheel_core::{DecodeRequest, Decoded, Decoder, Format, ReadColumn};
use tidewheel_formats::JsonFormat;

/// Random columns, nested ones among them, some of them twice or one inside the other.
fn columns(random: &mut Rng) -> Vec<ReadColumn> {
    (0..random.usize(1..8))
        .map(|_| ReadColumn {
            path: doc::path(random),
            data_type: doc::data_type(random, 2),
        })
        .collect()
}

fn decoder(columns: &[ReadColumn]) -> Box<dyn Decoder> {
    let request = DecodeRequest {
        columns: columns.to_vec(),
        ..DecodeRequest::default()
    };
    JsonFormat.decoder(&request).unwrap()
}

fn check(columns: &[ReadColumn], decoded: &Decoded, row: usize, doc: &Doc, text: &str) {
    for (column, array) in columns.iter().zip(decoded.batch.columns()) {
        assert_eq!(array.data_type(), &column.data_type);
        let found = doc::find(doc, &column.path);
        let (want, got) = (
            doc::expected(found, &column.data_type),
            doc::actual(array, row, found),
        );
        assert!(
            doc::same(&want, &got),
            "{column:?}\nwant {want}\ngot  {got}\nin {text}"
        );
    }
}

#[test]
fn random_documents_read_as_a_naive_reader_reads_them() {
    for seed in 0..4_000 {
        let mut random = Rng::with_seed(seed);
        let columns = columns(&mut random);
        let docs: Vec<Doc> = (0..4).map(|_| doc::object(&mut random, 4)).collect();
        let texts: Vec<String> = docs
            .iter()
            .map(|doc| {
                let mut text = String::new();
                doc::write(doc, &mut random, &mut text);
                text
            })
            .collect();
        let decoded = decoder(&columns).decode(&common::lines(texts.join("\n").as_bytes(), 0));
        assert_eq!(decoded.bad, [], "{texts:?}");
        for (row, (doc, text)) in docs.iter().zip(&texts).enumerate() {
            check(&columns, &decoded, row, doc, text);
        }
    }
}

#[test]
fn every_truncation_is_a_bad_row() {
    for seed in 0..150 {
        let mut random = Rng::with_seed(seed);
        let columns = columns(&mut random);
        let mut text = String::new();
        doc::write(&doc::object(&mut random, 4), &mut random, &mut text);
        let mut decoder = decoder(&columns);
        for end in 1..text.len() {
            let record = &text.as_bytes()[..end];
            let decoded = decoder.decode(&common::records(&[record], &[5], &[]));
            let cut = String::from_utf8_lossy(record);
            assert_eq!(
                (decoded.batch.num_rows(), decoded.bad.len()),
                (0, 1),
                "{cut}"
            );
            assert_eq!(decoded.bad[0].bytes, record.trim_ascii());
        }
    }
}

#[test]
fn damaged_documents_read_right_or_are_bad() {
    let (mut good, mut bad) = (0, 0);
    for seed in 0..20_000 {
        let mut random = Rng::with_seed(seed);
        let columns = columns(&mut random);
        let mut text = String::new();
        doc::write(&doc::object(&mut random, 3), &mut random, &mut text);
        let mut bytes = text.into_bytes();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..bytes.len());
            match random.u8(..4) {
                0 => bytes[at] ^= 1 << random.u8(..8),
                1 => bytes[at] = b"\"\\{}[],: \n\xff\x000"[random.usize(..13)],
                2 => bytes.insert(at, b"\"\\{}[],: \n\xc3e-"[random.usize(..13)]),
                _ if bytes.len() > 1 => {
                    bytes.remove(at);
                }
                _ => {}
            }
        }
        let decoded = decoder(&columns).decode(&common::records(&[&bytes], &[0], &[]));
        assert_eq!(decoded.batch.num_rows() + decoded.bad.len(), 1);
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(&bytes) else {
            continue;
        };
        let lossy = String::from_utf8_lossy(&bytes);
        if !value.is_object() {
            assert_eq!(decoded.bad.len(), 1, "{lossy}");
            continue;
        }
        assert_eq!(decoded.bad, [], "{lossy}");
        // serde_json does not keep the text of a number, so those read as text are left out.
        if columns
            .iter()
            .all(|column| !reads_numbers_as_text(&column.data_type))
        {
            check(&columns, &decoded, 0, &doc::from_value(&value), &lossy);
            good += 1;
        } else {
            bad += 1;
        }
    }
    assert!(
        good > 500 && bad > 500,
        "the cases are too one-sided: {good}, {bad}"
    );
}

fn reads_numbers_as_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::List(field) | DataType::Map(field, _) => reads_numbers_as_text(field.data_type()),
        DataType::Struct(fields) => fields
            .iter()
            .any(|field| reads_numbers_as_text(field.data_type())),
        _ => false,
    }
}

#[test]
fn hostile_bytes_never_panic() {
    let alphabet = b"{}[]\"\":,,\\u00e9 \n\r\t-+.eE0123456789truefalsn\xc3\xbc\xff\x00ab";
    for seed in 0..30_000 {
        let mut random = Rng::with_seed(seed);
        let length = random.usize(..300);
        let mut data: Vec<u8> = (0..length)
            .map(|_| alphabet[random.usize(..alphabet.len())])
            .collect();
        if random.bool() {
            data.splice(0..0, *b"{\"a\":");
        }
        let columns = columns(&mut random);
        let decoded = decoder(&columns).decode(&common::lines(&data, 0));
        let lines = data.split(|byte| *byte == b'\n');
        let filled = lines.filter(|line| !line.trim_ascii().is_empty() && *line != b"\xef\xbb\xbf");
        assert_eq!(decoded.record_count, filled.count() as u64);
        assert_eq!(
            decoded.batch.num_rows() + decoded.bad.len(),
            decoded.record_count as usize
        );
    }
}

#[test]
fn rows_do_not_depend_on_how_they_are_framed() {
    for seed in 0..200 {
        let mut random = Rng::with_seed(seed);
        let columns = columns(&mut random);
        let mut texts = Vec::new();
        for _ in 0..20 {
            let mut text = String::new();
            doc::write(&doc::object(&mut random, 3), &mut random, &mut text);
            // A broken one here and there must not touch its neighbours.
            if random.u8(..4) == 0 {
                text.retain(|character| character.is_ascii());
                text.truncate(text.len() / 2);
                text.push('"');
            }
            texts.push(text);
        }
        let lines = decoder(&columns).decode(&common::lines(texts.join("\r\n").as_bytes(), 0));
        let list: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
        let offsets: Vec<u64> = (0..20).collect();
        let records = decoder(&columns).decode(&common::records(&list, &offsets, &[]));
        assert_eq!(lines.batch, records.batch);
        assert_eq!(lines.records, records.records);
        let reasons = |decoded: &Decoded| -> Vec<String> {
            decoded.bad.iter().map(|bad| bad.reason.clone()).collect()
        };
        assert_eq!(reasons(&lines), reasons(&records));
    }
}
