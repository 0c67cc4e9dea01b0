//! The functions that DataFusion lacks: scalars, aggregates that the window kernel computes, and
//! the way of DataFusion's own aggregates into the kernel.

mod aggregates;
mod calendar;
mod custom;
mod custom_rows;
mod device;
mod device_rules;
mod geo;
mod java_pattern;
mod json_path;
mod round;
mod scalar;
mod text;
mod times;

pub use aggregates::aggregate_functions;
pub use custom::{UdafAggregate, UdafArgument};
pub use device::{DeviceClass, device_class};
pub use geo::{GeoDatabase, GeoError};
pub(crate) use java_pattern::Pattern;
pub(crate) use json_path::JsonPath;
pub use round::round_half_even;
pub(crate) use times::is_unit;

use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

/// The environment variable that names the database of GEO_COUNTRY.
pub const GEOIP_VARIABLE: &str = "TIDEWHEEL_GEOIP";

/// The scalar functions, with GEO_COUNTRY giving NULL for want of a database.
#[must_use]
pub fn scalar_functions() -> Vec<ScalarUDF> {
    scalar_functions_with(None)
}

/// The scalar functions, with a database for GEO_COUNTRY.
#[must_use]
pub fn scalar_functions_with(geo: Option<Arc<GeoDatabase>>) -> Vec<ScalarUDF> {
    vec![
        round::function(),
        text::double_text(),
        text::url_decode(),
        text::regexp_extract(),
        text::split_index(),
        times::date_format(),
        times::unix_timestamp(),
        times::to_timestamp_ltz(),
        times::timestampdiff(),
        times::timestampadd(),
        json_path::json_value(),
        json_path::json_exists(),
        device::function(),
        geo::function(geo),
    ]
}
