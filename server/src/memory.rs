//! How much memory the process may use, and how much it does.

use crate::config::Config;
use std::fs::read_to_string;
use std::sync::Arc;
use tidewheel_runtime::memory::MemoryLimit;

/// Where the kernel says what a container may use: control groups of version 2, then 1.
const CONTAINER: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];
/// Version 1 says a number like this where there is no limit.
const NONE: u64 = 1 << 60;

/// What the command line says about memory.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct MemoryArgs {
    /// Memory that the process may use, such as `2 gb`: reading pauses before it is reached.
    /// Default: what its container may use, else there is no limit.
    #[arg(long = "memory-limit", value_name = "SIZE")]
    pub limit: Option<String>,
}

impl MemoryArgs {
    /// The settings that these flags give: setting, flag, value.
    pub(crate) fn flags(&self) -> Option<(&'static str, &'static str, String)> {
        let limit = self.limit.clone()?;
        Some(("engine.memory-limit", "--memory-limit", limit))
    }
}

/// The limit that the settings name, else that of the container; `None`: there is none.
pub(crate) fn limit(config: &Config) -> Option<MemoryLimit> {
    let given = config.bytes("engine.memory-limit") as u64;
    let bytes = Some(given)
        .filter(|given| *given > 0)
        .or_else(of_container)?;
    let limit = MemoryLimit {
        bytes,
        used: Arc::new(resident),
    };
    Some(limit)
}

fn of_container() -> Option<u64> {
    let text = CONTAINER
        .iter()
        .find_map(|path| read_to_string(path).ok())?;
    text.trim().parse().ok().filter(|bytes| *bytes < NONE)
}

/// Bytes of this process that are in memory; `None` where there is no `/proc`.
pub(crate) fn resident() -> Option<u64> {
    let status = read_to_string("/proc/self/status").ok()?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = kib.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}
