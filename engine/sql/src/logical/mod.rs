//! From a parsed SELECT to a DataFusion logical plan with window nodes.

pub(crate) mod check;
pub(crate) mod constants;
pub(crate) mod differences;
pub(crate) mod errors;
pub(crate) mod faults;
pub(crate) mod flink;
pub(crate) mod names;
pub(crate) mod planner;
pub(crate) mod table;
pub(crate) mod window_node;
