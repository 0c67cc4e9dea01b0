//! Compiling folders of statements: one program for all of it, since each links DataFusion.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;
mod differences;
mod explained;
mod fingerprints;
mod format_columns;
mod golden;
mod previews;
mod shipped_queries;
