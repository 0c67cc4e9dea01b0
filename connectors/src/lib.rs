//! Tidewheel's connectors: where tables are read from and written to.
//!
//! Each module holds one connector by the name of the option `connector` that selects it, and a
//! function `register` that adds it to a registry.
//!
//! It is not: a place for formats (they turn the bytes that sources hand on into columns), nor
//! for anything that knows of windows or queries.

pub mod blackhole;
pub mod file;
mod fsync;
mod json_row;
pub mod kafka;
pub mod log;
pub mod lookup;
pub mod print;
mod progress;
pub mod redis;
mod scan_options;
pub mod store;

use tidewheel_core::Registry;

/// A registry with all connectors of this crate; formats are added by the caller.
#[must_use]
pub fn registry() -> Registry {
    let mut registry = Registry::default();
    blackhole::register(&mut registry);
    file::register(&mut registry);
    kafka::register(&mut registry);
    log::register(&mut registry);
    print::register(&mut registry);
    redis::register(&mut registry);
    store::register(&mut registry);
    registry
}
