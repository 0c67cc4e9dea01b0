//! The one seam to the world: time, randomness, and, through the connectors' registry, disk and
//! network. The runtime gets its threads through its own executor, which an environment chooses.

use crate::Registry;
use std::time::Duration;

/// Everything outside the program that the runtime may ask.
///
/// # Contract
/// - `monotonic` never goes back.
/// - Two runs in a simulated environment with the same seed see the same answers.
pub trait Env: Send + Sync {
    /// Wall-clock time, milliseconds since the Unix epoch.
    fn wall_ms(&self) -> i64;
    /// Time since some fixed instant.
    fn monotonic(&self) -> Duration;
    /// A random number.
    fn random(&self) -> u64;
    /// The connectors and formats: all of disk and network.
    fn registry(&self) -> &Registry;
    /// Waits. Called from sinks that back off; simulated environments only move their clock.
    fn sleep(&self, duration: Duration);
}

/// The real world.
pub struct SystemEnv {
    registry: Registry,
    start: std::time::Instant,
}

impl SystemEnv {
    /// The real world with these connectors.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self {
            registry,
            start: std::time::Instant::now(),
        }
    }
}

impl Env for SystemEnv {
    fn wall_ms(&self) -> i64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn random(&self) -> u64 {
        fastrand::u64(..)
    }

    fn registry(&self) -> &Registry {
        &self.registry
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}
