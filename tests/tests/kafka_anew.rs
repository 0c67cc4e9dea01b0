//! A topic that is deleted and made anew while nothing runs: what the checkpoint knows of the records
//! before its offsets tells it, also where the new topic has grown past them.

mod support_service;
mod support_services;

use std::sync::Arc;
use support_service::{Service, Start, folder, views};
use support_services::{Services, missing};
use tempfile::TempDir;
use tidewheel_simulator::{Simulator, SimulatorConfig};

const TOPIC: &str = "snowplow-enriched-good";
const BEFORE: usize = 50;
const AFTER: usize = 80;

fn records(seed: u64, count: usize) -> Vec<(u32, Vec<u8>)> {
    let simulator = Simulator::new(SimulatorConfig {
        seed,
        ..SimulatorConfig::default()
    });
    let events = simulator.expect("settings").take(count);
    events.map(|event| (0, event.json)).collect()
}

fn serve(services: &Services, folder: &Arc<TempDir>, on_reset: &str) -> Service {
    let set = format!("shopper_events.scan.on-reset={on_reset}");
    Start::default()
        .with(&["--checkpoints", "state", "--checkpoint-interval", "100 ms"])
        .with(&["--set", &set])
        .env("KAFKA_BROKERS", &services.brokers())
        .serve(folder)
}

fn rows(service: &Service) -> u64 {
    let table = service.get("/api/v1/tables/shopper_events").json();
    table["source"]["rows"].as_u64().unwrap_or(0)
}

fn written(service: &Service) -> u64 {
    let checkpoints = service.get("/api/v1/checkpoints").json();
    checkpoints["checkpoints"]["written"]
        .as_u64()
        .expect("a count")
}

/// Waits until a checkpoint was begun after now, and written.
fn checkpoint(service: &Service) {
    let before = written(service);
    service.until("a checkpoint", |service| written(service) > before + 1);
}

#[test]
fn it_is_told_and_goes_on_as_the_table_says() {
    if let Some(program) = missing() {
        println!("SKIPPED: {program} is missing, and the Kafka broker needs it");
        return;
    }
    let services = Services::start();
    services.fill(TOPIC, 1, &records(1, BEFORE));
    let folder = folder();
    let seen = views("seen", "product_view");
    std::fs::write(folder.path().join("queries/seen.sql"), seen).expect("writes");
    let first = serve(&services, &folder, "fail");
    first.until("all rows", |service| rows(service) == BEFORE as u64);
    checkpoint(&first);
    drop(first);

    // The same topic is known again: nothing is read anew, nothing is told.
    let same = serve(&services, &folder, "fail");
    same.until("the end", |service| {
        service.get("/api/v1/tables/shopper_events").json()["source"]["behind"] == false
    });
    checkpoint(&same);
    assert_eq!(rows(&same), 0);
    assert_eq!(same.get("/healthz").json()["away"], serde_json::json!([]));
    drop(same);

    services.make_anew(TOPIC, &records(2, AFTER));
    let refused = serve(&services, &folder, "fail");
    refused.until("word of it", |service| {
        service.get("/healthz").text.contains("made anew")
    });
    assert_eq!(rows(&refused), 0, "{}", refused.log());
    drop(refused);

    let goes_on = serve(&services, &folder, "earliest");
    goes_on.until("all that is new", |service| rows(service) == AFTER as u64);
    assert!(goes_on.log().contains("made anew"), "{}", goes_on.log());
}
