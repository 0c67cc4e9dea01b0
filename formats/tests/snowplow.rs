//! The decoder of enriched events against a plain `split('\t')` and serde_json, against hostile
//! bytes, and against packed records.

#![allow(clippy::unwrap_used, reason = "a test may fail by a panic")]

use arrow::datatypes::{DataType, Field, TimeUnit};
use fastrand::Rng;
use serde_json::{Map, Value, json};
use std::io::Write;
use tidewheel_core::snowplow::{ATOMIC, Kind, position};
use tidewheel_core::{
    DecodeRequest, Decoded, Decoder, Format, Framing, Options, RawChunk, ReadColumn, RecordMeta,
};
use tidewheel_formats::{JsonLineWriter, SnowplowTsvFormat};

const PRODUCT: &str = "contexts_com_snowplowanalytics_snowplow_ecommerce_product_1";
const THING: &str = "contexts_com_acme_my_thing_2";
const ACTION: &str =
    "unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1";
const SEARCH: &str = "unstruct_event_com_acme_site_search_1";
const CONTEXTS: &str = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1";
const UNSTRUCT: &str = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0";

/// Schemas that events use, and the columns that the SDKs give them.
const SCHEMAS: [(&str, &str); 9] = [
    (
        "iglu:com.snowplowanalytics.snowplow.ecommerce/product/jsonschema/1-0-0",
        PRODUCT,
    ),
    (
        "iglu:com.snowplowanalytics.snowplow.ecommerce/product/jsonschema/1-3-7",
        PRODUCT,
    ),
    (
        "iglu:com.snowplowanalytics.snowplow.ecommerce/product/jsonschema/2-0-0",
        "",
    ),
    ("iglu:com.acme/myThing/jsonschema/2-0-0", THING),
    ("iglu:com.Acme/my-thing/jsonschema/2-1-0", THING),
    (
        "iglu:org.w3/PerformanceNavigationTiming/jsonschema/1-0-0",
        "",
    ),
    (
        "iglu:com.snowplowanalytics.snowplow.ecommerce/snowplow_ecommerce_action/jsonschema/1-0-2",
        ACTION,
    ),
    ("iglu:com.acme/SiteSearch/jsonschema/1-0-0", SEARCH),
    ("no schema at all", ""),
];

fn row(fields: &[(&str, DataType)]) -> DataType {
    let fields = fields
        .iter()
        .map(|(name, t)| Field::new(*name, t.clone(), true));
    DataType::Struct(fields.collect())
}

fn thing() -> DataType {
    row(&[
        ("id", DataType::Utf8View),
        ("price", DataType::Float64),
        ("tags", DataType::new_list(DataType::Utf8View, true)),
        ("inner", row(&[("n", DataType::Int64)])),
    ])
}

fn column(path: &str, data_type: DataType) -> ReadColumn {
    ReadColumn {
        path: path.split('.').map(str::to_owned).collect(),
        data_type,
    }
}

/// What may be read of self-describing events and entities.
fn nested_columns() -> Vec<ReadColumn> {
    let list = DataType::new_list(thing(), true);
    vec![
        column(PRODUCT, list.clone()),
        column(THING, list),
        column(ACTION, thing()),
        column(&format!("{ACTION}.id"), DataType::Utf8View),
        column(&format!("{ACTION}.inner.n"), DataType::Int64),
        column(&format!("{SEARCH}.price"), DataType::Float64),
        column(&format!("{SEARCH}.id"), DataType::Utf8View),
    ]
}

fn atomic_type(kind: Kind) -> DataType {
    match kind {
        Kind::String | Kind::Json => DataType::Utf8View,
        Kind::Int => DataType::Int32,
        Kind::Double => DataType::Float64,
        Kind::Boolean => DataType::Boolean,
        Kind::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, None),
    }
}

fn columns(random: &mut Rng) -> Vec<ReadColumn> {
    let mut all: Vec<ReadColumn> = (0..random.usize(0..9))
        .map(|_| {
            let field = random.choice(ATOMIC).unwrap();
            column(field.name, atomic_type(field.kind))
        })
        .collect();
    all.extend(nested_columns().into_iter().filter(|_| random.u8(..3) == 0));
    random.shuffle(&mut all);
    all
}

fn decoder(columns: &[ReadColumn], options: &[(&str, &str)]) -> Box<dyn Decoder> {
    let request = DecodeRequest {
        columns: columns.to_vec(),
        options: options.iter().copied().collect(),
        declared: columns
            .iter()
            .map(|column| column.path[0].clone())
            .collect(),
    };
    SnowplowTsvFormat.decoder(&request).unwrap()
}

/// Text without tabs, as fields hold it.
fn text(random: &mut Rng) -> String {
    let letters = [
        "a", "Z", " ", "é", "漢", "😀", "\"", "\\", "{", "%20", ",", "[1]", "'",
    ];
    (0..random.usize(..20))
        .map(|_| *random.choice(letters.iter()).unwrap())
        .collect()
}

fn atomic(random: &mut Rng, kind: Kind) -> String {
    if random.u8(..3) == 0 {
        return String::new();
    }
    match kind {
        Kind::String => text(random),
        Kind::Json => String::new(),
        Kind::Int => random.i32(..).to_string(),
        Kind::Double => match random.u8(..3) {
            0 => format!("{:e}", random.f64() * 1e-9),
            1 => random.i16(..).to_string(),
            _ => format!("{:.2}", random.f64() * 1e6 - 5e5),
        },
        Kind::Boolean => random.choice(["0", "1"]).unwrap().to_owned(),
        Kind::Timestamp => {
            let time = format!(
                "{}-{:02}-{:02} {:02}:{:02}:{:02}",
                random.u16(1970..2100),
                random.u8(1..13),
                random.u8(1..29),
                random.u8(..24),
                random.u8(..60),
                random.u8(..60)
            );
            match random.u8(..3) {
                0 => time,
                1 => format!("{time}.{}", random.u8(1..10)),
                _ => format!("{time}.{:03}", random.u16(..1000)),
            }
        }
    }
}

fn data(random: &mut Rng) -> Value {
    let mut data = Map::new();
    let mut add = |random: &mut Rng, key: &str, value: Value| {
        if random.u8(..4) > 0 {
            data.insert(key.to_owned(), value);
        }
    };
    let id = text(random);
    add(random, "id", json!(id));
    let cents = random.i32(..1_000_000);
    add(random, "price", json!(f64::from(cents) / 100.0));
    let tags: Vec<String> = (0..random.usize(..3)).map(|_| text(random)).collect();
    add(random, "tags", json!(tags));
    let n = random.i64(..);
    add(random, "inner", json!({"n": n, "other": [{}]}));
    let more = text(random);
    add(random, "more", json!({"deep": [[more, null], true, 1e-7]}));
    Value::Object(data)
}

/// One of the schemas with data; now and then without one of the two.
fn entity(random: &mut Rng) -> Value {
    let (schema, _) = random.choice(SCHEMAS).unwrap();
    match random.u8(..12) {
        0 => json!({"data": data(random)}),
        1 => json!({"schema": schema}),
        2 => json!({"schema": schema, "data": null}),
        _ => json!({"schema": schema, "data": data(random)}),
    }
}

fn entities(random: &mut Rng) -> String {
    if random.u8(..4) == 0 {
        return String::new();
    }
    let list: Vec<Value> = (0..random.usize(..5)).map(|_| entity(random)).collect();
    written(random, &json!({"schema": CONTEXTS, "data": list}))
}

/// JSON with or without blanks and escapes that need not be.
fn written(random: &mut Rng, value: &Value) -> String {
    match random.u8(..3) {
        0 => value.to_string(),
        1 => value.to_string().replace('/', "\\/"),
        _ => serde_json::to_string_pretty(value)
            .unwrap()
            .replace('\n', " "),
    }
}

fn event(random: &mut Rng) -> Vec<String> {
    let mut fields: Vec<String> = ATOMIC
        .iter()
        .map(|field| atomic(random, field.kind))
        .collect();
    fields[position("contexts").unwrap()] = entities(random);
    fields[position("derived_contexts").unwrap()] = entities(random);
    if random.bool() {
        let inner = entity(random);
        fields[position("unstruct_event").unwrap()] =
            written(random, &json!({"schema": UNSTRUCT, "data": inner}));
    }
    fields
}

fn column_of(entity: &Value) -> &'static str {
    let schema = entity.get("schema").and_then(Value::as_str);
    let found = SCHEMAS.iter().find(|(known, _)| Some(*known) == schema);
    found.map_or("", |(_, column)| *column)
}

/// A value as its type shows it, by the plainest means.
fn shown(value: &Value, data_type: &DataType) -> Value {
    match (data_type, value) {
        (DataType::Struct(fields), Value::Object(members)) => Value::Object(
            fields
                .iter()
                .map(|field| {
                    let member = members.get(field.name()).unwrap_or(&Value::Null);
                    (field.name().clone(), shown(member, field.data_type()))
                })
                .collect(),
        ),
        (DataType::List(item), Value::Array(items)) => Value::Array(
            items
                .iter()
                .map(|value| shown(value, item.data_type()))
                .collect(),
        ),
        (DataType::Struct(_) | DataType::List(_), _) => Value::Null,
        (DataType::Float64, value) => value.as_f64().map_or(Value::Null, |n| json!(n)),
        _ => value.clone(),
    }
}

/// What the column holds of an event, read the plainest way.
fn expected(line: &str, column: &ReadColumn) -> Value {
    let fields: Vec<&str> = line.split('\t').collect();
    let name = column.path[0].as_str();
    let parsed = |field: &str| -> Value {
        let text = fields[position(field).unwrap()];
        serde_json::from_str(text).unwrap_or(Value::Null)
    };
    if let Some(at) = position(name) {
        let text = fields[at];
        return match ATOMIC[at].kind {
            _ if text.is_empty() => Value::Null,
            Kind::String | Kind::Json => json!(text),
            Kind::Int => json!(text.parse::<i64>().unwrap()),
            Kind::Double => json!(text.parse::<f64>().unwrap()),
            Kind::Boolean => json!(text == "1"),
            Kind::Timestamp => json!(text),
        };
    }
    if name.starts_with("unstruct_event_") {
        let entity = &parsed("unstruct_event")["data"];
        if column_of(entity) != name {
            return Value::Null;
        }
        let mut value = &entity["data"];
        for key in &column.path[1..] {
            value = &value[key.as_str()];
        }
        return shown(value, &column.data_type);
    }
    let of = |field: &str| -> Vec<Value> {
        let wrapper = parsed(field);
        let list = wrapper["data"].as_array().cloned().unwrap_or_default();
        let mine = list.into_iter().filter(|entity| column_of(entity) == name);
        mine.map(|entity| entity["data"].clone()).collect()
    };
    let mut found = of("derived_contexts");
    if found.is_empty() {
        found = of("contexts");
    }
    if found.is_empty() {
        return Value::Null;
    }
    shown(&Value::Array(found), &column.data_type)
}

/// A row as JSON.
fn actual(decoded: &Decoded, row: usize) -> Vec<Value> {
    let schema = decoded.batch.schema();
    let names: Vec<String> = (0..schema.fields().len()).map(|n| n.to_string()).collect();
    let mut line = String::new();
    JsonLineWriter::new(names.iter().map(String::as_str)).write_row(
        &mut line,
        &decoded.batch,
        row,
        &[],
    );
    let value: Value = serde_json::from_str(&line).unwrap();
    names.iter().map(|name| value[name].clone()).collect()
}

/// Times are written in one way and read in several: without zeros at their end.
fn plain_time(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default().replace('T', " ");
    let text = text.trim_end_matches('Z');
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

fn same(data_type: &DataType, want: &Value, got: &Value) -> bool {
    match data_type {
        DataType::Timestamp(..) => plain_time(want) == plain_time(got),
        _ => alike(want, got),
    }
}

/// Equal, but for the last place of a double, which serde_json may miss by one unit.
fn alike(want: &Value, got: &Value) -> bool {
    match (want, got) {
        (Value::Number(want), Value::Number(got)) if !(want.is_i64() && got.is_i64()) => {
            let (want, got) = (want.as_f64().unwrap(), got.as_f64().unwrap());
            (want - got).abs() <= want.abs() * 4e-16
        }
        (Value::Array(want), Value::Array(got)) => {
            want.len() == got.len() && want.iter().zip(got).all(|(w, g)| alike(w, g))
        }
        (Value::Object(want), Value::Object(got)) => {
            want.len() == got.len()
                && want
                    .iter()
                    .all(|(key, value)| got.get(key).is_some_and(|got| alike(value, got)))
        }
        _ => want == got,
    }
}

fn lines(data: &[u8]) -> RawChunk {
    RawChunk {
        partition: 0,
        next_offset: data.len() as u64,
        data: data.to_vec(),
        framing: Framing::Lines { first_offset: 0 },
        meta: RecordMeta::default(),
    }
}

fn records(list: &[&[u8]], first_offset: u64) -> RawChunk {
    let (mut data, mut ranges) = (Vec::new(), Vec::new());
    for record in list {
        let start = data.len() as u32;
        data.extend_from_slice(record);
        ranges.push((start, data.len() as u32));
    }
    RawChunk {
        partition: 0,
        next_offset: first_offset + list.len() as u64,
        data,
        framing: Framing::Records {
            offsets: (first_offset..).take(list.len()).collect(),
            ranges,
        },
        meta: RecordMeta::default(),
    }
}

fn reasons(decoded: &Decoded) -> Vec<&str> {
    decoded.bad.iter().map(|bad| bad.reason.as_str()).collect()
}

#[test]
fn random_events_read_as_a_plain_split_and_serde_json_read_them() {
    let mut nested = 0;
    for seed in 0..3_000 {
        let mut random = Rng::with_seed(seed);
        let columns = columns(&mut random);
        let events: Vec<String> = (0..3).map(|_| event(&mut random).join("\t")).collect();
        let chunk = if random.bool() {
            lines((events.join("\n") + "\n").as_bytes())
        } else {
            let bytes: Vec<&[u8]> = events.iter().map(String::as_bytes).collect();
            records(&bytes, 7)
        };
        let decoded = decoder(&columns, &[]).decode(&chunk);
        assert_eq!(decoded.bad, [], "{events:?}");
        assert_eq!(decoded.record_count, 3);
        for (row, line) in events.iter().enumerate() {
            let got = actual(&decoded, row);
            for (column, got) in columns.iter().zip(&got) {
                let want = expected(line, column);
                assert!(
                    same(&column.data_type, &want, got),
                    "{column:?}\nwant {want}\ngot  {got}\nin {line}"
                );
                nested += u32::from(want.is_array() || want.is_object());
            }
        }
    }
    assert!(nested > 500, "{nested} nested values were compared");
}

#[test]
fn every_column_of_the_format_reads_every_event() {
    let columns: Vec<ReadColumn> = SnowplowTsvFormat
        .columns()
        .iter()
        .map(|field| column(field.name(), field.data_type().clone()))
        .collect();
    assert_eq!(
        columns
            .iter()
            .map(|c| c.path[0].as_str())
            .take(131)
            .collect::<Vec<_>>(),
        ATOMIC.map(|field| field.name)
    );
    let mut decoder = decoder(&columns, &[]);
    for seed in 0..200 {
        let line = event(&mut Rng::with_seed(seed)).join("\t");
        let decoded = decoder.decode(&lines(line.as_bytes()));
        assert_eq!(decoded.bad, []);
        for (column, got) in columns.iter().zip(actual(&decoded, 0)) {
            if position(&column.path[0]).is_some() {
                let want = expected(&line, column);
                assert!(
                    same(&column.data_type, &want, &got),
                    "{column:?} {want} {got}"
                );
            }
        }
    }
}

#[test]
fn schemas_that_no_column_takes_are_counted_and_stay_readable() {
    let mut fields = vec![String::new(); 131];
    let context = json!({"schema": CONTEXTS, "data": [
        {"schema": SCHEMAS[0].0, "data": {"id": "1"}},
        {"schema": SCHEMAS[2].0, "data": {}},
        {"schema": SCHEMAS[5].0, "data": {}},
    ]});
    fields[52] = context.to_string();
    let line = fields.join("\t");
    let wanted = [
        column(PRODUCT, DataType::new_list(thing(), true)),
        column("contexts", DataType::Utf8View),
    ];
    let decoded = decoder(&wanted, &[]).decode(&lines(line.as_bytes()));
    assert_eq!((decoded.batch.num_rows(), decoded.unknown_schemas), (1, 2));
    assert_eq!(actual(&decoded, 0)[1], json!(context.to_string()));
    // A schema that the table declares is not unknown because nobody reads it.
    let request = DecodeRequest {
        columns: vec![wanted[0].clone()],
        declared: vec!["contexts_org_w3_performance_navigation_timing_1".to_owned()],
        ..DecodeRequest::default()
    };
    let decoded = SnowplowTsvFormat
        .decoder(&request)
        .unwrap()
        .decode(&lines(line.as_bytes()));
    assert_eq!(decoded.unknown_schemas, 1);
    // Nothing is parsed where nothing is read.
    fields[52] = "{no json".to_owned();
    let line = fields.join("\t");
    let decoded =
        decoder(&[column("app_id", DataType::Utf8View)], &[]).decode(&lines(line.as_bytes()));
    assert_eq!((decoded.batch.num_rows(), decoded.unknown_schemas), (1, 0));
}

#[test]
fn wrong_values_are_null_or_bad_as_the_option_says() {
    let mut fields = vec![String::new(); 131];
    fields[position("txn_id").unwrap()] = "many".to_owned();
    fields[position("app_id").unwrap()] = "shop".to_owned();
    let line = fields.join("\t");
    let wanted = [
        column("app_id", DataType::Utf8View),
        column("txn_id", DataType::Int32),
    ];
    let decoded = decoder(&wanted, &[]).decode(&lines(line.as_bytes()));
    assert_eq!(actual(&decoded, 0), [json!("shop"), Value::Null]);
    let strict = [("snowplow-tsv.type-errors", "bad-row")];
    let decoded = decoder(&wanted, &strict).decode(&lines(line.as_bytes()));
    assert_eq!(reasons(&decoded), ["'txn_id' is not a Int32"]);
    assert_eq!(decoded.batch.num_rows(), 0);
    fields[position("txn_id").unwrap()] = "7".to_owned();
    let decoded = decoder(&wanted, &strict).decode(&lines(fields.join("\t").as_bytes()));
    assert_eq!(actual(&decoded, 0), [json!("shop"), json!(7)]);
}

#[test]
fn events_without_131_fields_are_bad_rows() {
    let wanted = [column("page_url", DataType::Utf8View)];
    let mut decoder = decoder(&wanted, &[]);
    for seed in 0..300 {
        let mut random = Rng::with_seed(seed);
        let mut fields = event(&mut random);
        if random.bool() {
            for _ in 0..random.usize(1..131) {
                fields.remove(random.usize(..fields.len()));
            }
        } else {
            fields.extend((0..random.usize(1..9)).map(|_| text(&mut random)));
        }
        let count = fields.len();
        let line = fields.join("\t");
        let decoded = decoder.decode(&records(&[line.as_bytes(), b"", b"x"], 3));
        let want = format!("an event of {count} fields, not 131");
        if line.is_empty() {
            continue;
        }
        assert_eq!(
            reasons(&decoded),
            [
                want.as_str(),
                "empty record",
                "an event of 1 fields, not 131"
            ]
        );
        assert_eq!(
            decoded.bad.iter().map(|b| b.offset).collect::<Vec<_>>(),
            [3, 4, 5]
        );
    }
}

#[test]
fn damage_is_a_bad_row_or_reads_right_and_spoils_no_neighbour() {
    let (mut good, mut bad) = (0, 0);
    for seed in 0..6_000 {
        let mut random = Rng::with_seed(seed);
        let columns = columns(&mut random);
        let sound = event(&mut random).join("\t");
        let mut bytes = event(&mut random).join("\t").into_bytes();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..bytes.len());
            match random.u8(..5) {
                0 => bytes[at] ^= 1 << random.u8(..8),
                1 => bytes[at] = b"\"\\{}[],: \t\xff\x000"[random.usize(..13)],
                2 => bytes.insert(at, b"\"\\{}[],: \t\xc3e-"[random.usize(..13)]),
                3 => bytes.truncate(at.max(1)),
                _ => {
                    let text = bytes.split_off(at);
                    bytes.extend(&text[..text.len() / 2]);
                    bytes.extend(text);
                }
            }
        }
        let list: [&[u8]; 3] = [sound.as_bytes(), &bytes, sound.as_bytes()];
        let decoded = decoder(&columns, &[]).decode(&records(&list, 0));
        assert_eq!(decoded.batch.num_rows() + decoded.bad.len(), 3);
        let rows = decoded.batch.num_rows();
        for row in [0, rows - 1] {
            for (column, got) in columns.iter().zip(actual(&decoded, row)) {
                let want = expected(&sound, column);
                assert!(same(&column.data_type, &want, &got), "{column:?}");
            }
        }
        bad += decoded.bad.len();
        good += usize::from(rows == 3);
    }
    assert!(good > 500 && bad > 500, "{good} good, {bad} bad");
}

#[test]
fn hostile_json_is_a_bad_row() {
    let wrap = |text: &str| format!("{{\"schema\":\"{CONTEXTS}\",\"data\":{text}}}");
    let deep = wrap(&format!("{}{}", "[".repeat(500), "]".repeat(500)));
    let wanted = [column(PRODUCT, DataType::new_list(thing(), true))];
    let mut decoder = decoder(&wanted, &[]);
    let product = SCHEMAS[0].0;
    for (text, good) in [
        ("[]".to_owned(), false),
        ("{}".to_owned(), true),
        ("null".to_owned(), false),
        (deep, false),
        (wrap("[{\"schema\":1,\"data\":{}}]"), true),
        (wrap("[1,null,[],\"x\",{}]"), true),
        (wrap("[1,"), false),
        (wrap("[{\"schema\"}]"), false),
        (
            wrap(&format!(
                "[{{\"schema\":\"{product}\",\"data\":{{\"id\":}}}}]"
            )),
            false,
        ),
        (
            wrap(&format!("[{{\"schema\":\"{product}\",\"data\":[]}}]")),
            true,
        ),
        (wrap("{}"), true),
        (wrap("[]").repeat(2), false),
    ] {
        for field in [52, 122] {
            let mut fields = vec![String::new(); 131];
            fields[field] = text.clone();
            let decoded = decoder.decode(&lines(fields.join("\t").as_bytes()));
            assert_eq!(
                decoded.batch.num_rows() == 1,
                good,
                "{text} {:?}",
                decoded.bad
            );
            assert_eq!(decoded.bad.len(), usize::from(!good));
        }
    }
}

#[test]
fn text_that_is_read_must_be_utf8() {
    let mut line = b"\xff\tweb".to_vec();
    line.extend(vec![b'\t'; 129]);
    let read = |name| decoder(&[column(name, DataType::Utf8View)], &[]).decode(&lines(&line));
    assert_eq!(reasons(&read("app_id")), ["not UTF-8 ('app_id')"]);
    assert_eq!(actual(&read("platform"), 0), [json!("web")]);
}

#[test]
fn columns_that_no_event_has_are_refused() {
    for (name, data_type, advice) in [
        ("page_ulr", DataType::Utf8View, "none of an enriched event"),
        (
            "contexts_com_acme_thing",
            DataType::Utf8View,
            "none of an enriched event",
        ),
        (THING, thing(), "ARRAY<ROW"),
        ("contexts", thing(), "declare it as STRING"),
        ("app_id", DataType::Binary, "declare it as STRING"),
    ] {
        let request = DecodeRequest {
            columns: vec![column(name, data_type)],
            ..DecodeRequest::default()
        };
        let error = SnowplowTsvFormat.decoder(&request).err().unwrap();
        assert!(error.message.contains(advice), "{}", error.message);
    }
}

/// A packed record of these events.
fn packed(events: &[Vec<u8>], zstd: bool) -> Vec<u8> {
    let mut plain = vec![1, 9];
    for event in events {
        plain.extend((event.len() as u32).to_be_bytes());
        plain.extend(event);
    }
    pack(&plain, zstd)
}

fn pack(plain: &[u8], zstd: bool) -> Vec<u8> {
    if zstd {
        return zstd::encode_all(plain, 3).unwrap();
    }
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(plain).unwrap();
    writer.finish().unwrap()
}

#[test]
fn packed_records_hold_the_same_events() {
    for seed in 0..200 {
        let mut random = Rng::with_seed(seed);
        let columns = columns(&mut random);
        let events: Vec<Vec<u8>> = (0..random.usize(1..20))
            .map(|_| event(&mut random).join("\t").into_bytes())
            .collect();
        let plain: Vec<&[u8]> = events.iter().map(Vec::as_slice).collect();
        let want = decoder(&columns, &[]).decode(&records(&plain, 0));
        let split = random.usize(..events.len());
        let (first, second) = events.split_at(split);
        let list = [packed(first, random.bool()), packed(second, random.bool())];
        let got = decoder(&columns, &[]).decode(&records(&[&list[0], &list[1]], 40));
        assert_eq!((reasons(&got), reasons(&want)), (vec![], vec![]));
        assert_eq!(got.batch.num_rows(), events.len());
        for row in 0..events.len() {
            assert_eq!(actual(&got, row), actual(&want, row));
        }
        assert_eq!(got.record_count, events.len() as u64);
        // Events of one record share its offset, and are told apart by their position.
        let places: Vec<(u64, u32, u32)> = (0..events.len())
            .map(|at| (got.offsets[at], got.records[at], got.positions[at]))
            .collect();
        let want: Vec<(u64, u32, u32)> = (0..split as u32)
            .map(|at| (40, 0, at))
            .chain((0..(events.len() - split) as u32).map(|at| (41, 1, at)))
            .collect();
        assert_eq!(places, want);
    }
}

#[test]
fn damaged_packed_records_are_bad_rows_and_lose_no_sound_event() {
    let mut random = Rng::with_seed(5);
    let columns = [
        column("event_id", DataType::Utf8View),
        column(PRODUCT, DataType::new_list(thing(), true)),
    ];
    let events: Vec<Vec<u8>> = (0..5)
        .map(|_| event(&mut random).join("\t").into_bytes())
        .collect();
    let mut decoder = decoder(&columns, &[]);
    let plain = event(&mut random).join("\t").into_bytes();
    for zstd in [false, true] {
        let whole = packed(&events, zstd);
        for cut in 5..whole.len() {
            let decoded = decoder.decode(&records(&[&whole[..cut], &plain], 0));
            assert_eq!(decoded.bad.len(), 1, "cut at {cut}");
            assert!(decoded.batch.num_rows() <= 6);
            assert_eq!(decoded.offsets.last(), Some(&1));
        }
        for (inner, rows, reason) in [
            (vec![], 0, "ends before its events"),
            (vec![2, 0], 0, "unknown version 2"),
            (vec![1, 0, 0, 0], 0, "ends within a length"),
            (vec![1, 0, 0, 0, 0, 9, 1], 0, "9 bytes announced, 1 there"),
            (
                vec![1, 0, 255, 255, 255, 255],
                0,
                "4294967295 bytes announced",
            ),
            (vec![1, 0, 0, 0, 0, 1, b'x'], 0, "an event of 1 fields"),
        ] {
            let decoded = decoder.decode(&records(&[&pack(&inner, zstd)], 0));
            assert_eq!((decoded.batch.num_rows(), decoded.bad.len()), (rows, 1));
            assert!(reasons(&decoded)[0].contains(reason), "{:?}", decoded.bad);
        }
        // No events at all is no fault.
        let decoded = decoder.decode(&records(&[&pack(&[1, 0], zstd)], 0));
        assert_eq!((decoded.batch.num_rows(), decoded.bad.len()), (0, 0));
        let mut some = events.clone();
        some[2] = b"no event".to_vec();
        let decoded = decoder.decode(&records(&[&packed(&some, zstd)], 0));
        assert_eq!(decoded.positions, [0, 1, 3, 4]);
        assert_eq!(decoded.bad[0].bytes, b"no event");
        // A file of lines holds none.
        let decoded = decoder.decode(&lines(&pack(&[1, 0], zstd)));
        assert_eq!(decoded.batch.num_rows(), 0);
        assert!(!decoded.bad.is_empty());
    }
}

#[test]
fn bombs_are_bad_rows() {
    let columns = [column("event_id", DataType::Utf8View)];
    let small: Options = [("snowplow-tsv.max-batch-bytes", "1 mb")]
        .into_iter()
        .collect();
    let request = DecodeRequest {
        columns: columns.to_vec(),
        options: small,
        ..DecodeRequest::default()
    };
    let mut decoder = SnowplowTsvFormat.decoder(&request).unwrap();
    for zstd in [false, true] {
        let zeros = pack(&vec![0; 64 << 20], zstd);
        let decoded = decoder.decode(&records(&[&zeros, &zeros], 0));
        assert_eq!(decoded.bad.len(), 2);
        assert!(reasons(&decoded)[0].contains("more than 1048576 bytes inside"));
        // A million empty events inside cost a bounded number of bad rows.
        let mut empty = vec![0; 1 << 20];
        empty[0] = 1;
        let decoded = decoder.decode(&records(&[&pack(&empty, zstd)], 0));
        assert_eq!(decoded.bad.len(), 1_001);
        assert!(reasons(&decoded)[1_000].contains("1000 bad events"));
    }
}

#[test]
fn random_bytes_never_panic() {
    for seed in 0..5_000 {
        let mut random = Rng::with_seed(seed);
        let mut bytes: Vec<u8> = (0..random.usize(..400)).map(|_| random.u8(..)).collect();
        if random.bool() {
            let magic = [&b"\x28\xb5\x2f\xfd"[..], b"\x1f\x8b\x08\0"][random.usize(..2)];
            bytes.splice(..0, magic.iter().copied());
        }
        let columns = columns(&mut random);
        let mut decoder = decoder(&columns, &[]);
        for chunk in [records(&[&bytes], 0), lines(&bytes)] {
            let decoded = decoder.decode(&chunk);
            let rows = decoded.batch.num_rows();
            assert_eq!(rows, decoded.offsets.len());
            assert!(rows + decoded.bad.len() >= decoded.record_count as usize);
        }
    }
}
