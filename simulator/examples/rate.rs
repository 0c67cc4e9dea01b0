//! How fast the simulator writes on one core, and how long its lines are.

use std::time::Instant;
use tidewheel_simulator::{Shape, Simulator, SimulatorConfig};

const LINES: u32 = 1_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let plain = SimulatorConfig {
        events_per_second: 1_000.0,
        ..Default::default()
    };
    let settings = [
        ("in order", plain.clone()),
        (
            "disorder 5 s, repeats and late lines 1 %",
            SimulatorConfig {
                disorder_ms: 5_000,
                repeat: 0.01,
                late: 0.01,
                ..plain.clone()
            },
        ),
        (
            "a million shoppers",
            SimulatorConfig {
                shoppers: 1_000_000,
                events_per_second: 1e5,
                ..plain.clone()
            },
        ),
        (
            "the older shape",
            SimulatorConfig {
                shape: Shape::Older,
                ..plain
            },
        ),
    ];
    for (name, config) in settings {
        let mut simulator = Simulator::new(config)?;
        let mut out = Vec::with_capacity(1 << 20);
        let mut bytes = 0_u64;
        let start = Instant::now();
        for _ in 0..LINES {
            if out.len() > 1 << 19 {
                bytes += out.len() as u64;
                out.clear();
            }
            simulator.write_next(&mut out);
        }
        bytes += out.len() as u64;
        let rate = f64::from(LINES) / start.elapsed().as_secs_f64();
        println!(
            "{name}: {rate:.0} lines/s, {} bytes a line",
            bytes / u64::from(LINES)
        );
    }
    Ok(())
}
