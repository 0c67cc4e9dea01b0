//! From a parsed SELECT to a DataFusion logical plan with window nodes.

pub(crate) mod check;
pub(crate) mod errors;
pub(crate) mod planner;
pub(crate) mod table;
pub(crate) mod window_node;
