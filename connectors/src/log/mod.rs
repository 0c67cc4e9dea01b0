//! The connector `log`: the embedded log.

use tidewheel_core::Registry;

/// Adds the connector to a registry.
pub fn register(_registry: &mut Registry) {}
