//! Reads the paths of the shopper features out of events of about 3 KB: this decoder, into Arrow
//! columns, against `sonic_rs::get_many` (checked), which only finds the values.
//!
//! Both work over the same bytes in turns within one run, on one thread. Time is what that thread
//! had of a core, so that other programs on the machine count little; where the system does not
//! say, it is the wall clock's. Usage: `decode [EVENTS] [ROUNDS]`, with `--verbose` for each round.

use arrow::datatypes::{DataType, TimeUnit};
use std::hint::black_box;
use std::time::Instant;
use tidewheel_bench::PATHS;
use tidewheel_core::{DecodeRequest, Decoder, Format, Framing, RawChunk, ReadColumn, RecordMeta};
use tidewheel_formats::JsonFormat;

/// Events that both readers go over in each round.
const EVENTS: usize = 20_000;
/// Rounds; their sum is reported, since the system counts a thread's time in coarse steps.
const ROUNDS: usize = 25;
/// Bytes a chunk, as a source hands them on.
const CHUNK_BYTES: usize = 256 * 1024;

fn data_type(path: &str) -> DataType {
    match path {
        "timestamp" => DataType::Timestamp(TimeUnit::Millisecond, None),
        "payload.product.price" | "payload.cart.total_value" | "payload.transaction.revenue" => {
            DataType::Float64
        }
        "payload.checkout_step.step" => DataType::Int32,
        _ => DataType::Utf8View,
    }
}

fn main() {
    let (mut numbers, mut verbose) = (Vec::new(), false);
    for argument in std::env::args().skip(1) {
        match argument.parse::<usize>() {
            Ok(number) if number > 0 => numbers.push(number),
            _ if argument == "--verbose" => verbose = true,
            // `cargo bench` passes this on.
            _ if argument == "--bench" => {}
            _ => {
                eprintln!("'{argument}' is not known; usage: decode [EVENTS] [ROUNDS] [--verbose]");
                std::process::exit(2);
            }
        }
    }
    let events = numbers.first().copied().unwrap_or(EVENTS);
    let rounds = numbers.get(1).copied().unwrap_or(ROUNDS);

    let chunks = chunks(events);
    let bytes: usize = chunks.iter().map(|chunk| chunk.data.len()).sum();
    println!(
        "{events} events of {} bytes on average, {} paths",
        bytes / events,
        PATHS.len()
    );

    let clock = Clock {
        started: Instant::now(),
    };
    let mut ours = decoder();
    // Lines are cut beforehand for sonic-rs, while the decoder cuts its own.
    let lines: Vec<&[u8]> = chunks
        .iter()
        .flat_map(|chunk| chunk.data.split(|byte| *byte == b'\n'))
        .filter(|line| !line.is_empty())
        .collect();
    let mut tree = sonic_rs::PointerTree::new();
    for path in PATHS {
        tree.add_path(path.split('.'));
    }
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for round in 0..rounds + 1 {
        let ours_first = round % 2 == 0;
        let (mut our_time, mut their_time) = (0.0, 0.0);
        for turn in [ours_first, !ours_first] {
            let start = clock.now();
            if turn {
                assert_eq!(
                    run_ours(&mut *ours, &chunks),
                    events,
                    "an event was not read"
                );
                our_time = clock.now() - start;
            } else {
                assert_eq!(run_sonic(&tree, &lines), events, "an event was not read");
                their_time = clock.now() - start;
            }
        }
        // The first round warms up.
        if round > 0 {
            our_times.push(our_time);
            their_times.push(their_time);
            if verbose {
                println!("round {round}: {our_time:.4} s, sonic-rs {their_time:.4} s");
            }
        }
    }
    let (ours, theirs) = (mean(&our_times), mean(&their_times));
    let rate = |time: f64| events as f64 / time;
    let each = |time: f64| time / events as f64 * 1e6;
    let speed = |time: f64| bytes as f64 / time / 1e9;
    for (name, time) in [
        ("tidewheel json, into columns", ours),
        ("sonic-rs get_many", theirs),
    ] {
        println!(
            "{name:30} {:>9.0} events/s  {:.2} µs an event  {:.2} GB/s",
            rate(time),
            each(time),
            speed(time)
        );
    }
    println!("ratio {:.2}", theirs / ours);
}

/// Seconds of work.
struct Clock {
    started: Instant,
}

impl Clock {
    fn now(&self) -> f64 {
        // The first number is the nanoseconds that this thread ran (Linux).
        let ran = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
        let ran = ran.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
        ran.map_or_else(|| self.started.elapsed().as_secs_f64(), |nanos| nanos / 1e9)
    }
}

fn decoder() -> Box<dyn Decoder> {
    let columns = PATHS
        .iter()
        .map(|path| ReadColumn {
            path: path.split('.').map(str::to_owned).collect(),
            data_type: data_type(path),
        })
        .collect();
    let request = DecodeRequest {
        columns,
        ..DecodeRequest::default()
    };
    match JsonFormat.decoder(&request) {
        Ok(decoder) => decoder,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}

fn run_ours(decoder: &mut dyn Decoder, chunks: &[RawChunk]) -> usize {
    chunks
        .iter()
        .map(|chunk| black_box(decoder.decode(chunk)).offsets.len())
        .sum()
}

fn run_sonic(tree: &sonic_rs::PointerTree, lines: &[&[u8]]) -> usize {
    let read = lines.iter().filter(|line| {
        black_box(sonic_rs::get_many(**line, tree)).is_ok_and(|values| values.len() == PATHS.len())
    });
    read.count()
}

fn mean(times: &[f64]) -> f64 {
    times.iter().sum::<f64>() / times.len() as f64
}

/// Events in the shape of the topic, of every type, cut into chunks at line ends.
fn chunks(events: usize) -> Vec<RawChunk> {
    let mut random = fastrand::Rng::with_seed(42);
    let mut chunks = Vec::new();
    let mut data = Vec::with_capacity(CHUNK_BYTES);
    let mut offset = 0;
    for number in 0..events {
        tidewheel_bench::event::write(&mut data, &mut random, number as u64);
        data.push(b'\n');
        if data.len() >= CHUNK_BYTES || number + 1 == events {
            let first_offset = offset;
            offset += data.len() as u64;
            chunks.push(RawChunk {
                partition: 0,
                next_offset: offset,
                data: std::mem::replace(&mut data, Vec::with_capacity(CHUNK_BYTES)),
                framing: Framing::Lines { first_offset },
                meta: RecordMeta::default(),
            });
        }
    }
    chunks
}
