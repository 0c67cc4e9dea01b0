//! Prints lines: `cargo run --example lines -- 100`.

use std::io::Write;
use tidewheel_simulator::{Simulator, SimulatorConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count = std::env::args()
        .nth(1)
        .map_or(Ok(10), |text| text.parse::<u64>())?;
    let mut simulator = Simulator::new(SimulatorConfig::default())?;
    let mut out = std::io::stdout().lock();
    let mut line = Vec::new();
    for _ in 0..count {
        line.clear();
        simulator.write_next(&mut line);
        line.push(b'\n');
        out.write_all(&line)?;
    }
    Ok(())
}
