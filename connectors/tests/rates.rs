//! Rates, printed and not judged: run with `--ignored --nocapture`.

#[path = "support/redis.rs"]
mod redis_server;
#[path = "support/tables.rs"]
mod tables;

use arrow::datatypes::DataType::{Float64, Int64, Utf8};
use redis_server::RedisServer;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tables::{Col, env, open, progress, table, upserts};
use tidewheel_core::{SourceEvent, SourceRequest};

/// Rows of one batch.
const ROWS: usize = 10_000;
/// Batches written to each layout.
const BATCHES: u64 = 20;
/// Bytes of the file that is read.
const FILE_BYTES: usize = 512 << 20;
/// Bytes asked for at once.
const CHUNK_BYTES: usize = 1 << 20;

#[test]
#[ignore = "prints rates"]
fn redis_writes() {
    let server = RedisServer::start(&[]);
    let url = format!("unix://{}", server.socket().display());
    for (layout, key, ttl) in [
        ("string", "user:{user_key}:{column}_5m", true),
        ("string", "user:{user_key}:{column}_5m", false),
        ("hash", "h:{user_key}", true),
        ("hash", "g:{user_key}", false),
        ("json", "j:{user_key}", true),
    ] {
        let mut options = vec![
            ("connector", "redis"),
            ("url", &url),
            ("layout", layout),
            ("key", key),
        ];
        if ttl {
            options.push(("ttl", "10 min"));
        }
        let columns = [
            ("user_key", Utf8),
            ("views", Int64),
            ("price", Float64),
            ("brand", Utf8),
        ];
        let spec = table(&columns, 1, &options);
        let batch = upserts(
            &spec,
            &[
                Col::Owned((0..ROWS).map(|i| Some(format!("shopper-{i}"))).collect()),
                Col::Int((0..ROWS).map(|i| Some(i as i64)).collect()),
                Col::Double((0..ROWS).map(|i| Some(i as f64 / 8.0)).collect()),
                Col::Text(vec![Some("a brand"); ROWS]),
            ],
        );
        let mut sink = open(&spec);
        let start = Instant::now();
        for offset in 0..BATCHES {
            sink.write(&batch, &progress(offset)).expect("written");
        }
        let rate = sink.writes() as f64 / start.elapsed().as_secs_f64();
        println!("redis {layout}, ttl {ttl}: {rate:.0} values/s");
    }
}

#[test]
#[ignore = "prints rates"]
fn file_reads() {
    let folder = tempfile::tempdir().expect("a folder");
    let line = format!("{{\"id\":\"{}\"}}\n", "x".repeat(2_700));
    let text = line.repeat(FILE_BYTES / line.len());
    for name in ["a.jsonl", "a.jsonl.zst", "a.jsonl.gz"] {
        let path = folder.path().join(name);
        let mut file = std::fs::File::create(&path).expect("made");
        match name {
            "a.jsonl" => file.write_all(text.as_bytes()).expect("written"),
            "a.jsonl.zst" => zstd::stream::copy_encode(text.as_bytes(), file, 1).expect("packed"),
            _ => {
                let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
                encoder.write_all(text.as_bytes()).expect("packed");
                encoder.finish().expect("packed");
            }
        }
        let mut spec = table(&[("line", Utf8)], 0, &[("connector", "file")]);
        spec.options.set("path", path.to_string_lossy());
        let env = env();
        let connector = env.registry().for_table(&spec.options).expect("file");
        let request = SourceRequest {
            table: spec.clone(),
            start: Default::default(),
            from_ms: None,
            metadata: Vec::new(),
            env: Arc::clone(&env),
        };
        for _ in 0..3 {
            let mut source = connector.source(&request).expect("opens");
            let start = Instant::now();
            let mut bytes = 0;
            loop {
                match source
                    .poll(CHUNK_BYTES, Duration::from_secs(1))
                    .expect("readable")
                {
                    SourceEvent::Records(chunk) => bytes += chunk.data.len(),
                    SourceEvent::Finished { .. } => break,
                    other => panic!("unexpected: {other:?}"),
                }
            }
            let rate = bytes as f64 / start.elapsed().as_secs_f64() / 1e9;
            println!("file {name}: {rate:.2} GB/s of text");
        }
    }
}
