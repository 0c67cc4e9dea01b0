//! The collector on arbitrary requests: every event is a record or a bad row, no panic is met (not
//! even one that is caught), and what is written is sound.
//!
//! The first byte chooses where the rest goes: body, query, or a parameter of a sound event.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};
use tidewheel_collector::collect::{Arrival, Collector, Rules};
use tidewheel_collector::metrics::Metrics;
use tidewheel_collector::Batch;

static COLLECTOR: LazyLock<Collector> = LazyLock::new(|| {
    let rules = Rules {
        json: true,
        tsv: true,
        record_bytes: 990_000,
        payload_bytes: 1 << 20,
        internal_domains: vec!["shop.example".to_owned()],
        places: None,
    };
    Collector::new(rules, Arc::new(Metrics::default()))
});

fn event(name: &str, value: &str) -> Vec<u8> {
    let event = serde_json::json!({ "e": "ue", "p": "web", "tv": "t", name: value });
    serde_json::json!({
        "schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
        "data": [event],
    })
    .to_string()
    .into_bytes()
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(data);
    let arrival = Arrival {
        collector_ms: 1_742_986_606_043,
        path: "/i",
        user_agent: Some(&text),
        referer: Some(&text),
        address: "203.0.113.9",
        network_userid: "de30aa02-de2e-4cf0-bd9d-3bbd89d47e0c",
    };
    let mut batch = Batch::default();
    match choice % 8 {
        0 => COLLECTOR.post("", data, &arrival, &mut batch),
        1 => COLLECTOR.get(&text, &arrival, &mut batch),
        2 => COLLECTOR.post(&text, &event("e", "pv"), &arrival, &mut batch),
        3 => COLLECTOR.post("", &event("co", &text), &arrival, &mut batch),
        4 => COLLECTOR.post("", &event("ue_pr", &text), &arrival, &mut batch),
        5 => COLLECTOR.post("", &event("ue_px", &text), &arrival, &mut batch),
        6 => COLLECTOR.post("e=pv", &event("url", &text), &arrival, &mut batch),
        _ => COLLECTOR.post("e=pv", &event("refr", &text), &arrival, &mut batch),
    }
    assert!(!batch.is_empty(), "every request leaves a trace");
    assert_eq!(batch.json.len(), batch.tsv.len());
    for (_, row) in batch.json.iter().chain(batch.bad.iter()) {
        assert!(!row.contains(&b'\n'));
        assert!(std::str::from_utf8(row).is_ok());
        let read = serde_json::from_slice::<&serde_json::value::RawValue>(row);
        assert!(read.is_ok(), "{read:?}");
    }
    for (_, row) in batch.bad.iter() {
        assert!(!row.windows(16).any(|part| part == b"collector_defect"));
    }
    for (_, row) in batch.tsv.iter() {
        assert_eq!(row.split(|byte| *byte == b'\t').count(), 131);
        assert!(!row.contains(&b'\n') && std::str::from_utf8(row).is_ok());
    }
});
