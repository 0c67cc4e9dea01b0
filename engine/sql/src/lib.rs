//! From SQL text to a streaming plan.

pub mod plan;
