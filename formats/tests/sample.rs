//! The decoder on records as they come from the topic.

#![allow(clippy::unwrap_used, reason = "a test may fail by a panic")]

mod common;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMillisecondType};
use common::{decode_lines, decode_records, read};
use tidewheel_core::text::write_value;

const EVENT: &str = include_str!("product_view.json");

fn text(array: &dyn Array, row: usize) -> Option<String> {
    let mut out = String::new();
    write_value(&mut out, array, row).then_some(out)
}

#[test]
fn an_event_reads_as_it_is_written() {
    let string = DataType::Utf8View;
    let time = DataType::Timestamp(TimeUnit::Millisecond, None);
    let cases = [
        (
            "id",
            string.clone(),
            Some("a3a7ec8c-4ff0-4efd-9a4b-4ec2e9b5a9b4"),
        ),
        ("type", string.clone(), Some("product_view")),
        ("timestamp", time.clone(), Some("2025-03-26T10:57:11.700Z")),
        ("payload.product.price", DataType::Float64, Some("129.99")),
        ("payload.product.price", string.clone(), Some("129.99")),
        (
            "payload.product.price",
            DataType::Decimal128(10, 2),
            Some("129.99"),
        ),
        ("payload.product.price", DataType::Int32, None),
        ("payload.product.position", DataType::Int64, Some("4")),
        ("payload.product.position", DataType::Float64, Some("4.0")),
        (
            "payload.product.name",
            string.clone(),
            Some("Schuhe \"für\" alle 😀"),
        ),
        ("payload.product", DataType::Int64, None),
        ("payload.list_name", string.clone(), None),
        ("payload.cart", string.clone(), Some("{}")),
        ("payload.cart.total_value", DataType::Float64, None),
        ("payload.products", string.clone(), Some("[ ]")),
        ("enrich.marketing", string.clone(), None),
        ("enrich.marketing.mkt_campaign", string.clone(), None),
        (
            "enrich.client.browser.online",
            DataType::Boolean,
            Some("true"),
        ),
        ("enrich.client.browser.online", string.clone(), Some("true")),
        (
            "enrich.client.device.created_tstamp",
            time,
            Some("2025-03-26T10:57:10.046Z"),
        ),
        (
            "enrich.client.device.created_tstamp",
            DataType::Date32,
            Some("2025-03-26"),
        ),
        ("enrich.platform", DataType::Utf8, Some("web")),
        ("enrich.platform", DataType::LargeUtf8, Some("web")),
        (
            "session.sessionId",
            string.clone(),
            Some("c9727c0f-0f83-4a70-9eca-a415cf9ea52b"),
        ),
        ("session.domain_sessionid", string.clone(), None),
        ("nowhere.at.all", string, None),
    ];
    let line = EVENT.replace('\n', " ");
    let columns: Vec<_> = cases
        .iter()
        .map(|(path, kind, _)| (*path, kind.clone()))
        .collect();
    let decoded = read(&columns, line.as_bytes());
    assert_eq!(decoded.bad, []);
    for ((path, kind, want), column) in cases.iter().zip(decoded.batch.columns()) {
        assert_eq!(column.data_type(), kind);
        assert_eq!(text(column, 0).as_deref(), *want, "{path} as {kind}");
    }
}

#[test]
fn lines_have_byte_offsets_and_blank_ones_are_passed_over() {
    let data = "{\"n\":1}\n\n \t\r\n{\"n\":2}\r\nnot json\n  {\"n\":3}  \n{\"n\":";
    let decoded = decode_lines(&[("n", DataType::Int64)], data.as_bytes(), 100, &[]);
    let numbers = decoded.batch.column(0).as_primitive::<Int64Type>();
    assert_eq!(numbers.values(), &[1, 2, 3]);
    assert_eq!(decoded.offsets, [100, 113, 131]);
    assert_eq!(decoded.records, [0, 1, 3]);
    assert_eq!(decoded.record_count, 5);
    let bad: Vec<_> = decoded
        .bad
        .iter()
        .map(|bad| (bad.offset, bad.bytes.as_slice()))
        .collect();
    assert_eq!(bad, [(122, &b"not json"[..]), (143, b"{\"n\":")]);
    assert_eq!(decoded.bad[0].reason, "not a JSON object");
}

#[test]
fn records_keep_their_numbers_and_offsets() {
    let records: [&[u8]; 5] = [
        b"{\"n\":1}",
        b"",
        b"{\"n\":[}",
        b"",
        b"\xef\xbb\xbf{\"n\":2}\n",
    ];
    let decoded = decode_records(
        &[("n", DataType::Float64)],
        &records,
        &[7, 9, 10, 11, 40],
        &[3],
    );
    assert_eq!(
        decoded
            .batch
            .column(0)
            .as_primitive::<Float64Type>()
            .values(),
        &[1.0, 2.0]
    );
    assert_eq!(
        (decoded.offsets, decoded.records),
        (vec![7, 40], vec![0, 4])
    );
    assert_eq!(decoded.record_count, 5);
    let bad: Vec<_> = decoded
        .bad
        .iter()
        .map(|bad| (bad.offset, bad.reason.as_str()))
        .collect();
    let malformed = "malformed JSON: brackets do not match";
    assert_eq!(
        bad,
        [(9, "empty record"), (10, malformed), (11, "tombstone")]
    );
}

#[test]
fn a_bad_record_leaves_nothing_behind() {
    // The string comes first and fits; the number behind it fails.
    let columns = [
        ("s", DataType::Utf8View),
        ("l", list(DataType::Utf8)),
        ("n", DataType::Int32),
    ];
    let data = br#"{"s":"one","l":["a"],"n":1}
{"s":"a long text that must go again","l":["b","c"],"n":"x"}
{"s":"three","l":[],"n":3}"#;
    let decoded = decode_lines(&columns, data, 0, &[("json.type-errors", "bad-row")]);
    assert_eq!(decoded.bad.len(), 1);
    assert_eq!(decoded.bad[0].reason, "'n' is not a Int32");
    let row = |row| -> Vec<_> {
        decoded
            .batch
            .columns()
            .iter()
            .map(|column| text(column, row).unwrap())
            .collect()
    };
    assert_eq!(row(0), ["one", "[\"a\"]", "1"]);
    assert_eq!(row(1), ["three", "[]", "3"]);
    let lenient = decode_lines(&columns, data, 0, &[]);
    assert_eq!(lenient.bad, []);
    assert!(lenient.batch.column(2).is_null(1));
}

fn list(item: DataType) -> DataType {
    DataType::new_list(item, true)
}

#[test]
fn missing_fields_can_be_refused() {
    let columns = [("a.b", DataType::Int64)];
    let strict = [("json.fail-on-missing-field", "true")];
    let data = b"{\"a\":{\"b\":null}}\n{\"a\":{}}";
    let decoded = decode_lines(&columns, data, 0, &strict);
    assert_eq!(decoded.batch.num_rows(), 1);
    assert_eq!(decoded.bad[0].reason, "'a.b' is missing");
    assert_eq!(decode_lines(&columns, data, 0, &[]).bad, []);
}

#[test]
fn bounds_are_kept_and_named() {
    let columns = [("n", DataType::Int64)];
    let nested = |depth: usize| {
        format!(
            "{{\"n\":1,\"x\":{}{}}}",
            "[".repeat(depth),
            "]".repeat(depth)
        )
        .into_bytes()
    };
    let max = tidewheel_formats::NESTING_MAX;
    assert_eq!(read(&columns, &nested(max - 1)).bad, []);
    assert_eq!(
        read(&columns, &nested(max)).bad[0].reason,
        "nested too deep"
    );
    assert_eq!(
        read(&columns, &nested(100_000)).bad[0].reason,
        "nested too deep"
    );

    let long = format!("{{\"n\":1,\"x\":\"{}\"}}", "x".repeat(100_000));
    let decoded = decode_lines(
        &columns,
        long.as_bytes(),
        0,
        &[("json.max-record-bytes", "64 kb")],
    );
    assert!(decoded.bad[0].reason.contains("json.max-record-bytes"));
    assert_eq!(
        decoded.bad[0].bytes.len(),
        tidewheel_core::decode::BAD_ROW_BYTES_MAX
    );
    assert_eq!(read(&columns, long.as_bytes()).bad, []);
}

#[test]
fn no_columns_still_give_rows() {
    let decoded = decode_lines(&[], b"{\"a\":[1,{}]}\n{}\nx", 0, &[]);
    assert_eq!((decoded.batch.num_rows(), decoded.bad.len()), (2, 1));
}

#[test]
fn of_a_key_that_comes_twice_the_last_counts() {
    let columns = [
        ("a.x", DataType::Int64),
        ("a.y", DataType::Int64),
        ("b", DataType::Int64),
    ];
    let decoded = read(&columns, br#"{"a":{"x":1,"y":2},"b":1,"a":{"y":3},"b":2}"#);
    let row: Vec<_> = decoded
        .batch
        .columns()
        .iter()
        .map(|column| text(column, 0))
        .collect();
    assert_eq!(row, [None, Some("3".into()), Some("2".into())]);
    let decoded = read(&columns, br#"{"a":{"x":1,"y":2},"b":1,"a":null}"#);
    assert!(decoded.batch.column(0).is_null(0) && decoded.batch.column(1).is_null(0));
}

#[test]
fn a_decoder_forgets_the_chunk_before() {
    let mut decoder = common::decoder(
        &[("t", DataType::Timestamp(TimeUnit::Millisecond, None))],
        &[],
    );
    for (line, want) in [("{\"t\":1}", 1), ("{\"t\":2}", 2)] {
        let decoded = decoder.decode(&common::lines(line.as_bytes(), 0));
        let times = decoded
            .batch
            .column(0)
            .as_primitive::<TimestampMillisecondType>();
        assert_eq!(times.values(), &[want]);
    }
}

#[test]
fn types_that_json_cannot_hold_are_refused() {
    use tidewheel_core::{DecodeRequest, Format, ReadColumn};
    let columns = vec![ReadColumn {
        path: vec!["x".into()],
        data_type: DataType::Decimal256(50, 2),
    }];
    let request = DecodeRequest {
        columns,
        ..DecodeRequest::default()
    };
    let error = tidewheel_formats::JsonFormat
        .decoder(&request)
        .err()
        .unwrap();
    assert!(error.message.contains("'x'") && error.message.contains("STRING"));
}
