//! What a restart finds of a topic that changed while nothing ran: deleted and made anew, which the
//! checkpoint's knowledge of the records before its offsets tells, also where the new topic has grown past them; or
//! records in a partition that had been silent.

mod support_service;
mod support_services;

use std::sync::Arc;
use support_service::{Service, Start, folder, views};
use support_services::Services;
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

fn serve(services: &Services, folder: &Arc<TempDir>, option: &str) -> Service {
    let set = format!("shopper_events.scan.{option}");
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

fn with_a_query() -> Arc<TempDir> {
    let folder = folder();
    let seen = views("seen", "product_view");
    std::fs::write(folder.path().join("queries/seen.sql"), seen).expect("writes");
    folder
}

#[test]
fn it_is_told_and_goes_on_as_the_table_says() {
    let Some(services) = Services::start_if_possible() else {
        return;
    };
    services.fill(TOPIC, 1, &records(1, BEFORE));
    let folder = with_a_query();
    let first = serve(&services, &folder, "on-reset=fail");
    first.until("all rows", |service| rows(service) == BEFORE as u64);
    checkpoint(&first);
    drop(first);

    // The same topic is known again: nothing is read anew, nothing is told.
    let same = serve(&services, &folder, "on-reset=fail");
    same.until("the end", |service| {
        service.get("/api/v1/tables/shopper_events").json()["source"]["behind"] == false
    });
    checkpoint(&same);
    assert_eq!(rows(&same), 0);
    assert_eq!(same.get("/healthz").json()["away"], serde_json::json!([]));
    drop(same);

    services.make_anew(TOPIC, &records(2, AFTER));
    let refused = serve(&services, &folder, "on-reset=fail");
    refused.until("word of it", |service| {
        service.get("/healthz").text.contains("made anew")
    });
    assert_eq!(rows(&refused), 0, "{}", refused.log());
    drop(refused);

    let goes_on = serve(&services, &folder, "on-reset=earliest");
    goes_on.until("all that is new", |service| rows(service) == AFTER as u64);
    assert!(goes_on.log().contains("made anew"), "{}", goes_on.log());
}

/// The partition's end is saved, though no record of it was read: at the start alone does
/// `latest-offset` pass over what is there.
#[test]
fn what_came_to_a_silent_partition_is_read() {
    let Some(services) = Services::start_if_possible() else {
        return;
    };
    let mut before = records(1, BEFORE);
    // So that its end is not its beginning.
    before
        .iter_mut()
        .take(9)
        .for_each(|(partition, _)| *partition = 1);
    services.fill(TOPIC, 2, &before);
    let folder = with_a_query();
    let append = |partition: u32, seed: u64, count: usize| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.expect("after 1970").as_millis() as i64;
        let records = records(seed, count).into_iter();
        let records: Vec<_> = records.map(|(_, json)| (partition, now, json)).collect();
        services.append(TOPIC, &records);
    };
    let first = serve(&services, &folder, "startup.mode=latest-offset");
    first.until_ends("shopper_events", 2);
    append(0, 2, AFTER);
    first.until("what is new", |service| rows(service) == AFTER as u64);
    checkpoint(&first);
    drop(first);

    append(1, 3, BEFORE);
    append(0, 4, 1);
    let again = serve(&services, &folder, "startup.mode=latest-offset");
    again.until("what came meanwhile", |service| {
        rows(service) > BEFORE as u64
    });
    checkpoint(&again);
    assert_eq!(rows(&again), BEFORE as u64 + 1);
}
