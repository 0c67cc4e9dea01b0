//! From DataFusion's logical plan to the streaming plan.
//!
//! [`bind`] walks the logical plan upwards and builds [`ir`] nodes, whose expressions are still
//! logical; projections are not nodes but compositions of expressions, so that computed columns,
//! views and subqueries cost nothing. [`sink`] decides what the sink's key asks for and sets it.
//! [`prune`] walks down and keeps only what is used: columns, fields of rows, aggregates; at the
//! bottom it notes what a scan must read. [`physical`] makes the plan that runs.

pub(crate) mod access;
pub(crate) mod aggregate;
pub(crate) mod bind;
pub(crate) mod demand;
pub(crate) mod ir;
pub(crate) mod over;
pub(crate) mod physical;
pub(crate) mod prune;
pub(crate) mod sink;
pub(crate) mod source;
pub(crate) mod topn;
