//! A Redis that loses its data while no event comes: every live value stands again, without one.

mod support_service;
mod support_services;

use std::collections::BTreeMap;
use support_service::{Service, Start, folder, root};
use support_services::Services;
use tidewheel_simulator::{Simulator, SimulatorConfig};
use tidewheel_tests::reference::Value;

const EVENTS: usize = 800;

/// What is given again: not the rows of windows that have closed, and not what was kept of
/// sessions that are over.
fn live(services: &Services) -> BTreeMap<String, Value> {
    let (mut values, _) = services.redis_values();
    values.retain(|key, _| !key.starts_with("shop:2") && !key.starts_with("session:"));
    values
}

/// Waits until nothing more is written.
fn settled(service: &Service, services: &Services) -> BTreeMap<String, Value> {
    let mut before = BTreeMap::new();
    let mut same = 0;
    service.until("the last value", |_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let now = live(services);
        same = if now == before && !now.is_empty() {
            same + 1
        } else {
            0
        };
        before = now;
        same >= 10
    });
    before
}

#[test]
fn silent_queries_write_again_what_stood() {
    let Some(services) = Services::start_if_possible() else {
        return;
    };
    let simulator = Simulator::new(SimulatorConfig::default()).expect("settings");
    let records: Vec<_> = simulator
        .take(EVENTS)
        .map(|event| (0, event.json))
        .collect();
    services.fill("snowplow-enriched-good", 1, &records);
    let folder = folder();
    for query in std::fs::read_dir(root().join("queries")).expect("reads") {
        let from = query.expect("reads").path();
        if from.extension().is_some_and(|extension| extension == "sql") {
            let to = folder.path().join("queries");
            std::fs::copy(&from, to.join(from.file_name().expect("a name"))).expect("copies");
        }
    }
    let service = Start::default()
        .with(&["--checkpoints", "state", "--checkpoint-interval", "200 ms"])
        .env("KAFKA_BROKERS", &services.brokers())
        .env("REDIS_URL", &services.redis_url())
        .serve(&folder);
    let before = settled(&service, &services);
    assert!(before.len() > 200, "{} keys", before.len());

    // It comes back as another server, and then loses all without a broken connection.
    services.kill_redis();
    services.restart_redis(true);
    service.until("all values", |_| live(&services) == before);
    services.flush_redis();
    service.until("all values", |_| live(&services) == before);
    let away = service.get("/healthz").json()["away"].clone();
    assert_eq!(away, serde_json::json!([]));
}
