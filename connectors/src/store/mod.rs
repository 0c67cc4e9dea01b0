//! The connector `store`: the embedded feature store.

use tidewheel_core::Registry;

/// Adds the connector to a registry.
pub fn register(_registry: &mut Registry) {}
