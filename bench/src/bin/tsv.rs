//! Reads six of the 131 fields of enriched events of about 1.5 KB into Arrow columns, against a scan
//! of the same bytes that only finds line ends and counts tabs (memchr): what no reader of the format
//! can do without.
//!
//! Both work over the same bytes in turns, on one thread; the fastest round of each counts, so that
//! other programs on the machine count little. Usage: `tsv [EVENTS] [ROUNDS]`.

use arrow::datatypes::{DataType, TimeUnit};
use std::hint::black_box;
use std::time::Instant;
use tidewheel_core::{DecodeRequest, Format, Framing, RawChunk, ReadColumn, RecordMeta};
use tidewheel_formats::SnowplowTsvFormat;
use tidewheel_simulator::{LineFormat, Simulator, SimulatorConfig};

/// Events that both go over in each round.
const EVENTS: usize = 20_000;
/// Rounds.
const ROUNDS: usize = 25;
/// Bytes a chunk, as a source hands them on.
const CHUNK_BYTES: usize = 1024 * 1024;

fn columns() -> Vec<ReadColumn> {
    let time = DataType::Timestamp(TimeUnit::Millisecond, None);
    [
        ("app_id", DataType::Utf8View),
        ("event_name", DataType::Utf8View),
        ("domain_userid", DataType::Utf8View),
        ("page_urlpath", DataType::Utf8View),
        ("domain_sessionidx", DataType::Int32),
        ("derived_tstamp", time),
    ]
    .into_iter()
    .map(|(name, data_type)| ReadColumn {
        path: vec![name.to_owned()],
        data_type,
    })
    .collect()
}

fn chunk(data: Vec<u8>) -> RawChunk {
    RawChunk {
        partition: 0,
        next_offset: data.len() as u64,
        data,
        framing: Framing::Lines { first_offset: 0 },
        meta: RecordMeta::default(),
    }
}

fn chunks(events: usize) -> Vec<RawChunk> {
    let config = SimulatorConfig {
        format: LineFormat::Tsv,
        lean: true,
        shoppers: 2_000,
        ..SimulatorConfig::default()
    };
    let Ok(mut simulator) = Simulator::new(config) else {
        return Vec::new();
    };
    let (mut all, mut data) = (Vec::new(), Vec::new());
    for _ in 0..events {
        simulator.write_next(&mut data);
        data.push(b'\n');
        if data.len() >= CHUNK_BYTES {
            all.push(chunk(std::mem::take(&mut data)));
        }
    }
    all.push(chunk(data));
    all
}

/// Line ends found and tabs counted.
fn scan(data: &[u8]) -> (usize, usize) {
    let (mut start, mut lines, mut tabs) = (0, 0, 0);
    for end in memchr::memchr_iter(b'\n', data) {
        lines += 1;
        tabs += memchr::memchr_iter(b'\t', data.get(start..end).unwrap_or_default()).count();
        start = end + 1;
    }
    (lines, tabs)
}

fn main() {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse().ok())
        .collect();
    let events = numbers.first().copied().unwrap_or(EVENTS);
    let rounds = numbers.get(1).copied().unwrap_or(ROUNDS).max(1);
    let chunks = chunks(events);
    let bytes: usize = chunks.iter().map(|chunk| chunk.data.len()).sum();
    let request = DecodeRequest {
        columns: columns(),
        ..DecodeRequest::default()
    };
    let Ok(mut decoder) = SnowplowTsvFormat.decoder(&request) else {
        return;
    };
    let (mut decoding, mut scanning) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..rounds {
        let begin = Instant::now();
        let rows: usize = chunks
            .iter()
            .map(|chunk| black_box(decoder.decode(chunk)).batch.num_rows())
            .sum();
        decoding = decoding.min(begin.elapsed().as_secs_f64());
        assert_eq!(rows, events, "every event is a row");
        let begin = Instant::now();
        let tabs: usize = chunks
            .iter()
            .map(|chunk| black_box(scan(&chunk.data)).1)
            .sum();
        scanning = scanning.min(begin.elapsed().as_secs_f64());
        assert_eq!(tabs, events * 130, "every event has 131 fields");
    }
    let rate = |seconds: f64| events as f64 / seconds;
    println!(
        "{events} events of {} bytes, six fields of 131, one thread, the fastest of {rounds} rounds",
        bytes / events.max(1)
    );
    println!(
        "decoder    {:>10.0} events/s, {:.2} GB/s",
        rate(decoding),
        bytes as f64 / decoding / 1e9
    );
    println!(
        "tabs alone {:>10.0} events/s, {:.2} GB/s",
        rate(scanning),
        bytes as f64 / scanning / 1e9
    );
    println!("the decoder takes {:.2} times as long", decoding / scanning);
}
